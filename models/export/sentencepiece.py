"""Reads a SentencePiece model file: its pieces, and the settings that decide how text is cut.

The file is a protocol buffer (sentencepiece_model.proto of the SentencePiece sources). The few fields that a GGUF needs
are read here by hand, so that neither protobuf nor sentencepiece itself has to be installed to export a model.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path
from typing import Any

from models import ModelError


class PieceType(IntEnum):
    """What a piece is; the numbers are SentencePiece's and, not by chance, GGUF's."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True, slots=True)
class Piece:
    """One entry of the vocabulary; `text` has U+2581 for a space."""

    text: str
    score: float
    type: PieceType


@dataclass(frozen=True, slots=True)
class SentencePieceModel:
    """A BPE vocabulary in the order of its ids. An id of -1 says that the model has no such piece."""

    pieces: tuple[Piece, ...]
    unk: int
    bos: int
    eos: int
    add_space_prefix: bool
    squeezes_spaces: bool = False  # several spaces count as one, which llama.cpp does not know


class _Malformed(Exception):
    """The bytes are not those of a SentencePiece model."""


_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_BPE = 2  # TrainerSpec.ModelType: 1 unigram, 2 BPE, 3 word, 4 char


def read(path: Path) -> SentencePieceModel:
    """The model in `path`, with the tokens of an added_tokens.json beside it.

    Raises ModelError for what is not a BPE model that llama.cpp cuts in the same way.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        return _with_added(_model(data), path)
    except (IndexError, struct.error, ValueError, TypeError, AttributeError, OSError, _Malformed) as error:
        raise ModelError(f"{path}: not a SentencePiece model ({error})") from error


def _model(data: bytes) -> SentencePieceModel:
    pieces: list[Piece] = []
    trainer: dict[int, int | bytes] = {}
    normalizer: dict[int, int | bytes] = {}
    for number, value in _fields(data):
        if number == 1 and isinstance(value, bytes):
            pieces.append(_piece(value))
        elif number == 2 and isinstance(value, bytes):
            trainer = dict(_fields(value))
        elif number == 3 and isinstance(value, bytes):
            normalizer = dict(_fields(value))
    if not pieces:
        raise _Malformed("it has no pieces")
    _check(trainer, normalizer)
    return SentencePieceModel(
        pieces=tuple(pieces),
        unk=_number(trainer, 40, 0),
        bos=_number(trainer, 41, 1),
        eos=_number(trainer, 42, 2),
        add_space_prefix=bool(_number(normalizer, 3, 1)),
        squeezes_spaces=bool(_number(normalizer, 4, 1)),
    )


def _with_added(model: SentencePieceModel, path: Path) -> SentencePieceModel:
    """With the tokens that fine-tuning added: added_tokens.json beside the model has them and their ids."""
    added = _json(path.with_name("added_tokens.json"))
    if not added:
        return model
    marked = _json(path.with_name("tokenizer_config.json")).get("added_tokens_decoder", {})
    pieces = list(model.pieces)
    for text, number in sorted(added.items(), key=lambda item: item[1]):
        if number < len(pieces) and pieces[number].text == text:
            continue
        if number != len(pieces):
            raise ModelError(f"{path.with_name('added_tokens.json')}: {text} has the id {number}, not {len(pieces)}")
        special = marked.get(str(number), {}).get("special", False)
        pieces.append(Piece(text, 0.0, PieceType.CONTROL if special else PieceType.USER_DEFINED))
    return replace(model, pieces=tuple(pieces))


def _json(path: Path) -> dict[str, Any]:
    values = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if not isinstance(values, dict):
        raise _Malformed(f"{path.name} is no object")
    return values


def _check(trainer: dict[int, int | bytes], normalizer: dict[int, int | bytes]) -> None:
    if _number(trainer, 3, 1) != _BPE:
        raise ModelError("llama.cpp cuts text as BPE only: train the tokenizer with model_type='bpe'")
    if normalizer.get(2):
        raise ModelError("llama.cpp does not normalise text: train with normalization_rule_name='identity'")


def _piece(data: bytes) -> Piece:
    fields = dict(_fields(data))
    text, score = fields.get(1, b""), fields.get(2, b"\0\0\0\0")
    if not isinstance(text, bytes) or not isinstance(score, bytes):
        raise _Malformed("a piece has no text")
    return Piece(
        text.decode(),
        struct.unpack("<f", score)[0],
        PieceType(_number(fields, 3, PieceType.NORMAL)),
    )


def _number(fields: dict[int, int | bytes], number: int, default: int) -> int:
    value = fields.get(number, default)
    if not isinstance(value, int):
        raise _Malformed(f"field {number} is not a number")
    return value - (1 << 64) if value >= 1 << 63 else value


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of one message: varints as numbers, everything else as its bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            size, at = _varint(data, at)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise _Malformed(f"unknown wire type {kind}")
        if at + size > len(data):
            raise _Malformed("it ends too early")
        yield key >> 3, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise _Malformed("a number is too long")
