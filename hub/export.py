"""What the command line does with checkpoints and model files, in words for a person."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import asdict
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from models import ModelError

if TYPE_CHECKING:
    from models.export.convert import Vocabulary
    from models.export.verify import Sample

HELD_OUT = 77_000_002  # the seed of the sentences that exported files are scored on; training takes other ones

_EXTRA = "this needs more packages than running the hub does: pip install 'homeward-hub[train]'"


def describe(path: Path, preset: str, as_json: bool = False) -> str:
    """What a checkpoint or a GGUF is, as lines or as JSON. Raises ModelError where it is neither."""
    try:
        from models.export.look import is_gguf
    except ModuleNotFoundError as error:
        raise ModelError(_EXTRA) from error
    return _describe_gguf(path, as_json) if is_gguf(path) else _describe_checkpoint(path, preset, as_json)


def _describe_checkpoint(path: Path, preset: str, as_json: bool) -> str:
    opened = _exporter().open_checkpoint(path, preset)
    c, scale = opened.shape.config, opened.shape.rope_scale
    scaled = f", positions divided by {scale:g}" if scale != 1 else ""
    count = sum(math.prod(lazy.shape) for lazy in opened.tensors.values())
    if as_json:
        counts = {"weights": count, "tensors": len(opened.tensors)}
        return json.dumps({"form": opened.form, **counts, **asdict(c), "rope_scale": scale})
    return (
        f"{path}: {opened.form}\n"
        f"Llama of {count:,} weights in {len(opened.tensors)} tensors: {c.layers} layers of {c.dim}, {c.heads} heads, "
        f"{c.kv_heads} for keys and values, {c.ffn} inside, {c.vocab} tokens, context {c.context}{scaled}\n"
        "It can be exported."
    )


def _describe_gguf(path: Path, as_json: bool) -> str:
    from models.export.look import look

    found = look(path)
    if as_json:
        return json.dumps({"form": "GGUF", **asdict(found)}, ensure_ascii=False)
    unsaid = "(not said)"
    said = {
        "name": found.name,
        "description": found.description,
        "licence": found.license,
        "source": found.source,
        **{key: f"{value:.6g}" if isinstance(value, float) else value for key, value in found.extras.items()},
    }
    return "\n".join(
        (
            f"{path}: GGUF version {found.version} of {found.size:,} bytes, {found.quantisation or unsaid}",
            f"{found.architecture} of {found.parameters:,} weights in {found.tensors} tensors: "
            f"{found.tokens:,} tokens ({found.tokenizer or unsaid}), context {found.context or unsaid}",
            *(f"{key}: {unsaid if value == '' else value}" for key, value in said.items()),
            "sizes: " + ", ".join(f"{key} {value:g}" for key, value in found.sizes.items()),
        )
    )


def run(
    path: Path,
    out: Path,
    *,
    kind: str,
    tokenizer: Path | None,
    imatrix: Path | None,
    preset: str,
    license: str,
    trained: bool,
) -> str:
    """Exports, with progress on a terminal; the options are those of the command. Raises ModelError."""
    checkpoint = _exporter().open_checkpoint(path, preset)
    from models.export.convert import export

    shown = _show if sys.stderr.isatty() else None
    stage = _tell if sys.stderr.isatty() else _nothing
    done = export(
        checkpoint,
        out,
        _samples,
        kind=kind,
        tokenizer=tokenizer,
        imatrix=imatrix,
        license=license,
        trained=trained,
        progress=shown,
        stage=stage,
    )
    said = (
        f"{out}: {out.stat().st_size:,} bytes. Its F16 form and PyTorch are {done.f16.largest:.4f} apart at most, "
        f"with the same first choice in {done.f16.top1:.0%} of {done.f16.positions} positions.\n"
        f"Perplexity on home commands: {done.perplexity:.4g}"
    )
    if done.small is None:
        return said + "."
    return said + f" ({done.f16_perplexity:.4g} at F16; {done.small.divergence:.4f} nats from it a token)."


def _samples(vocabulary: Vocabulary) -> list[Sample]:
    """Held-out sentences of the corpus; with their lines where the vocabulary has the symbols of those."""
    from intents.corpus.sample import stream
    from intents.prompt import ASK
    from models.export.bpe import BpeModel
    from models.export.verify import Sample

    names = vocabulary.tokens if isinstance(vocabulary, BpeModel) else [piece.text for piece in vocabulary.pieces]
    examples = list(islice(stream(HELD_OUT), 200))
    if ASK not in names:
        return [Sample("", " ".join(example.words)) for example in examples]
    spaced = isinstance(vocabulary, BpeModel) or not vocabulary.add_space_prefix
    lines = [example.line if spaced else example.line.replace("> ", ">") for example in examples]
    return [Sample(" ".join(e.words) + ASK, line) for e, line in zip(examples, lines, strict=True)]


def _exporter() -> ModuleType:
    try:
        from models.export import checkpoint
    except ModuleNotFoundError as error:
        raise ModelError(_EXTRA) from error
    if find_spec("torch") is None:
        raise ModelError(_EXTRA)
    return checkpoint


def _show(done: int, whole: int) -> None:
    sys.stderr.write(f"\r{done * 100 // whole:3} % written" + ("\n" if done == whole else ""))
    sys.stderr.flush()


def _tell(what: str) -> None:
    sys.stderr.write(f"{what} ...\n")


def _nothing(what: str) -> None:
    """Who reads the output from a file needs no progress."""
