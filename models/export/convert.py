"""From a checkpoint to a GGUF: written tensor by tensor, compared with the checkpoint, quantised, and described by a card."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models import ModelError
from models.export import bpe, native, sentencepiece
from models.export.bpe import BpeModel
from models.export.card import write_card
from models.export.checkpoint import Checkpoint
from models.export.gguf import set_metadata, stored_bytes, stream_gguf
from models.export.importance import importance
from models.export.quantise import FILE_TYPES, quantise
from models.export.sentencepiece import SentencePieceModel
from models.export.verify import (
    Compared,
    Reading,
    Sample,
    compare,
    native_logits,
    read_samples,
    sample_tokens,
    torch_logits,
)

Progress = Callable[[int, int], None]
Vocabulary = SentencePieceModel | BpeModel

DIGEST = "homeward.tensors_sha256"
_NUMBERS = "homeward.check."
# Of the vocabulary's size: random weights give a perplexity above it, the shipped model one of a thousandth of it, and with
# its pieces in another order 0.1 to 0.3 of it, by the sentences.
_UNLIKELY = 1 / 16
# Texts that tokenizers cut differently when they differ at all.
HARD = (
    "turn on the lamp in the kitchen",
    "Don't we'll I'VE they're 12345 67 8.9%",
    "  two  spaces\tand a tab\n\nlines \r\n end   ",
    "zürich naïve café Straße — 漢字 かな 👩‍👩‍👧 \u200d e\u0301",
    "()[]{}!?.,;:'\"-_=+*&^$#@~`/\\|",
)


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export found: F16 against PyTorch, the file against F16 on text (None at F16), and the perplexities."""

    f16: Compared
    small: Compared | None
    f16_perplexity: float
    perplexity: float

    def numbers(self) -> dict[str, float]:
        """As they stand in the file's metadata and on its card."""
        values = {
            "positions": float(self.f16.positions),
            "f16_largest_difference": self.f16.largest,
            "f16_top1": self.f16.top1,
            "f16_perplexity": self.f16_perplexity,
            "perplexity": self.perplexity,
        }
        if self.small is not None:
            values |= {"divergence_from_f16": self.small.divergence, "top1_of_f16": self.small.top1}
        return values


def export(
    checkpoint: Checkpoint,
    out: Path,
    samples: Callable[[Vocabulary], Sequence[Sample]],
    *,
    kind: str = "q4_k_m",
    tokenizer: Path | None = None,
    imatrix: Path | None = None,
    license: str = "",
    trained: bool = True,
    progress: Progress | None = None,
    stage: Callable[[str], None] = lambda what: None,
) -> Exported:
    """Writes `out` in `kind` (a key of FILE_TYPES) and a card beside it, or nothing.

    `tokenizer` is a SentencePiece model or a tokenizer.json; without one it is tokenizer.model or .json beside the
    checkpoint. `samples` gives the text on which the file is scored, for that vocabulary. `imatrix` is a text file for
    the importance matrix. Raises ModelError, also where llama.cpp computes or cuts otherwise than the checkpoint's own,
    and, unless the model is not `trained`, where the samples are so unlikely that the tokenizer must be another model's.
    `stage` hears what is done after the writing, as words for a person.
    """
    if kind not in FILE_TYPES:
        raise ModelError(f"no such type: {kind}; there are {', '.join(FILE_TYPES)}")
    if out.suffix != ".gguf":
        raise ModelError(f"{out}: the name has to end in .gguf")
    place = tokenizer or _tokenizer(checkpoint.path)
    vocabulary = read_vocabulary(place)
    _check_space(out, sum(stored_bytes(checkpoint.shape.config, "f16").values()), kind)
    text = _text(imatrix) if imatrix is not None else ""
    f16, small = (out.with_name(f".{out.name}.{os.getpid()}.{part}") for part in ("f16", "small"))
    made = {"source": checkpoint.path.name, "form": checkpoint.form}
    made |= {"importance_matrix": imatrix.name} if imatrix is not None else {}
    try:
        digest = stream_gguf(
            f16,
            config=checkpoint.shape.config,
            load=lambda name: checkpoint.tensors[name].load_for_f16(),
            vocabulary=vocabulary,
            metadata=_metadata(out, made, license, place, kind),
            rope_scale=checkpoint.shape.rope_scale,
            progress=progress,
        )
        stage("comparing with PyTorch and with the tokenizer's own library")
        _check_cut(f16, place, vocabulary)
        compared = _compared(checkpoint, f16)
        if kind != "f16":
            stage(f"quantising to {kind}, half a minute for a billion weights")
            columns = _importance(checkpoint, f16, text, vocabulary) if text else None
            _give_back()
            quantise(f16, small, kind, columns)
        stage("scoring on home commands")
        scored = samples(vocabulary)
        reading = _read(checkpoint, f16, scored, vocabulary)
        if trained:
            _check_likely(reading, checkpoint.shape.config.vocab)
        result = Exported(compared, None, reading.perplexity, reading.perplexity)
        if kind != "f16":
            after = _read(checkpoint, small, scored, vocabulary)
            nearness = compare(reading.logits, after.logits)
            result = Exported(compared, nearness, reading.perplexity, after.perplexity)
            small.replace(f16)
        set_metadata(f16, {_NUMBERS + name: value for name, value in result.numbers().items()} | {DIGEST: digest})
        f16.replace(out)
        write_card(out, made, result.numbers())
        return result
    finally:
        f16.unlink(missing_ok=True)
        small.unlink(missing_ok=True)


def read_vocabulary(path: Path) -> Vocabulary:
    """A tokenizer.json or a SentencePiece model. Raises ModelError for one that llama.cpp would not follow."""
    return bpe.read(path) if path.suffix == ".json" else sentencepiece.read(path)


def _metadata(out: Path, made: dict[str, str], license: str, tokenizer: Path, kind: str) -> dict[str, str | float]:
    """What is known before, and places of the right size for what is measured afterwards."""
    values: dict[str, str | float] = {
        "general.name": out.stem,
        "general.description": f"from {made['source']}: {made['form']}",
        "homeward.source": made["source"],
        DIGEST: "0" * 64,
    }
    nothing = Compared(0, 0.0, 0.0, 0.0, 0.0)
    numbers = Exported(nothing, None if kind == "f16" else nothing, 0.0, 0.0).numbers()
    values |= {_NUMBERS + name: 0.0 for name in numbers}
    values |= {"general.license": license} if license else {}
    values |= {"homeward.importance_matrix": made["importance_matrix"]} if "importance_matrix" in made else {}
    template = _template(tokenizer.with_name("tokenizer_config.json"))
    return values | ({"tokenizer.chat_template": template} if template else {})


def _template(settings: Path) -> str:
    try:
        template = json.loads(settings.read_text(encoding="utf-8")).get("chat_template")
    except (OSError, ValueError, AttributeError):
        return ""
    return template if isinstance(template, str) else ""


def _compared(checkpoint: Checkpoint, f16: Path) -> Compared:
    config = checkpoint.shape.config
    tokens = sample_tokens(config.vocab, min(64, config.context))
    result = compare(torch_logits(checkpoint.shape, checkpoint.load, tokens), native_logits(f16, tokens))
    if not result.same:
        raise ModelError(f"llama.cpp computes other logits than the checkpoint: {result.largest:.3f} apart")
    return result


def _check_cut(file: Path, tokenizer: Path, vocabulary: Vocabulary) -> None:
    """That llama.cpp cuts hard texts as the tokenizer's own library does."""
    texts = list(HARD)
    if isinstance(vocabulary, BpeModel):
        from tokenizers import Tokenizer

        own = Tokenizer.from_file(str(tokenizer))
        cut = [own.encode(text, add_special_tokens=False).ids for text in texts]
    else:
        from sentencepiece import SentencePieceProcessor

        if vocabulary.squeezes_spaces:
            texts = [" ".join(text.split()) for text in texts]
        cut = SentencePieceProcessor(model_file=str(tokenizer)).encode(texts)
    for text, wanted, found in zip(texts, cut, native.tokens(file, texts), strict=True):
        if wanted != found:
            raise ModelError(f"llama.cpp cuts {text!r} into {found}, the tokenizer {tokenizer.name} into {wanted}")


def _read(checkpoint: Checkpoint, file: Path, samples: Sequence[Sample], vocabulary: Vocabulary) -> Reading:
    return read_samples(file, samples, _bos(vocabulary), checkpoint.shape.config.context)


def _check_likely(reading: Reading, vocabulary: int) -> None:
    """A tokenizer with as many pieces in another order fits every other check."""
    if reading.perplexity > vocabulary * _UNLIKELY:
        raise ModelError(
            f"plain sentences are nearly as unlikely to the model as any tokens (perplexity {reading.perplexity:.4g} of "
            f"{vocabulary}): its tokenizer seems to be another model's; name the right one with --tokenizer, or say "
            "--untrained where the model is"
        )


def _give_back() -> None:
    """Returns to the system what this process has freed and its C library keeps: the quantiser's process needs as much."""
    with suppress(OSError, AttributeError):  # another C library has no such function
        ctypes.CDLL(None).malloc_trim(0)


def _bos(vocabulary: Vocabulary) -> int:
    """The token with which texts begin, -1 for none."""
    return -1 if isinstance(vocabulary, BpeModel) and not vocabulary.add_bos else vocabulary.bos


def _importance(checkpoint: Checkpoint, f16: Path, text: str, vocabulary: Vocabulary) -> dict[str, NDArray[np.float32]]:
    tokens = native.tokens(f16, [text])[0]
    return importance(checkpoint.shape, checkpoint.load, tokens, _bos(vocabulary))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read as text: {error}") from error


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
