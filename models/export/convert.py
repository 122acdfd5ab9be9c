"""From a checkpoint to a GGUF: written tensor by tensor, compared with the checkpoint, quantised, and described by a card."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from models import ModelError
from models.export import bpe, sentencepiece
from models.export.bpe import BpeModel
from models.export.card import write_card
from models.export.checkpoint import Checkpoint
from models.export.gguf import stored_bytes, stream_gguf
from models.export.quantise import FILE_TYPES, quantise
from models.export.sentencepiece import SentencePieceModel
from models.export.verify import Compared, compare, native_logits, sample_tokens, torch_logits

Progress = Callable[[int, int], None]


def export(
    checkpoint: Checkpoint,
    out: Path,
    *,
    kind: str = "q4_k_m",
    tokenizer: Path | None = None,
    license: str = "",
    progress: Progress | None = None,
) -> Compared:
    """Writes `out` in `kind` (a key of FILE_TYPES) and a card beside it, or nothing. Returns how near the F16 file is.

    `tokenizer` is a SentencePiece model or a tokenizer.json; without one it is tokenizer.model or .json beside the checkpoint. Raises ModelError.
    """
    if kind not in FILE_TYPES:
        raise ModelError(f"no such type: {kind}; there are {', '.join(FILE_TYPES)}")
    if out.suffix != ".gguf":
        raise ModelError(f"{out}: the name has to end in .gguf")
    vocabulary = _vocabulary(tokenizer or _tokenizer(checkpoint.path))
    config = checkpoint.shape.config
    _check_space(out, sum(stored_bytes(config, "f16").values()), kind)
    f16 = out.with_name(f".{out.name}.{os.getpid()}.f16")
    made = {"source": checkpoint.path.name, "form": checkpoint.form}
    metadata = {"general.name": out.stem, "general.description": f"from {made['source']}: {made['form']}"}
    metadata |= {"general.license": license} if license else {}
    try:
        stream_gguf(
            f16,
            config=config,
            load=checkpoint.load,
            vocabulary=vocabulary,
            metadata=metadata,
            rope_scale=checkpoint.shape.rope_scale,
            progress=progress,
        )
        tokens = sample_tokens(config.vocab, min(64, config.context))
        reference = torch_logits(checkpoint.shape, checkpoint.load, tokens)
        result = compare(reference, native_logits(f16, tokens))
        if not result.same:
            raise ModelError(f"llama.cpp computes other logits than the checkpoint: {result.largest:.3f} apart")
        scores = {f"f16_{name}": value for name, value in asdict(result).items()}
        if kind != "f16":
            small = f16.with_suffix(".small")
            try:
                quantise(f16, small, kind)
                nearness = compare(reference, native_logits(small, tokens))
                small.replace(f16)
            finally:
                small.unlink(missing_ok=True)
            scores |= {f"{kind}_top1": nearness.top1, f"{kind}_divergence": nearness.divergence}
        f16.replace(out)
        write_card(out, made, scores)
        return result
    finally:
        f16.unlink(missing_ok=True)


def _vocabulary(path: Path) -> SentencePieceModel | BpeModel:
    return bpe.read(path) if path.suffix == ".json" else sentencepiece.read(path)


def _tokenizer(path: Path) -> Path:
    folder = path if path.is_dir() else path.parent
    for name in ("tokenizer.model", "tokenizer.json"):
        for place in (folder / name, folder.parent / name):
            if place.is_file():
                return place
    raise ModelError(f"there is no tokenizer.model or tokenizer.json beside {path}; name one with --tokenizer")


def _check_space(out: Path, needed: int, kind: str) -> None:
    """With the quantised file beside the F16 one, at most 1.6 times the latter."""
    if not out.parent.is_dir():
        raise ModelError(f"{out.parent}: no such folder")
    wanted = needed + (1 << 24) if kind == "f16" else needed * 16 // 10 + (1 << 24)
    free = shutil.disk_usage(out.parent).free
    if free < wanted:
        raise ModelError(f"{out.parent} has {free >> 20} MiB left; the export needs {wanted >> 20} MiB")
