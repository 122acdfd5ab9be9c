"""The card beside a model file: what it is, what it was made from, how it scores, and the digest that ties the card to it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import gguf

from models import ModelError
from models.calibration import Calibration

_SIZES = ("embedding_length", "block_count", "attention.head_count", "attention.head_count_kv", "feed_forward_length")


def card(
    file: Path, made: Mapping[str, object], scores: Mapping[str, float], calibration: Calibration | None = None
) -> dict[str, object]:
    """What is read from the GGUF itself, and with it what its maker says of it. Raises ModelError."""
    try:
        reader = gguf.GGUFReader(file)
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} is not a GGUF: {error}") from error

    def value(key: str) -> object:
        field = reader.get_field(key)
        return None if field is None else field.contents()

    architecture = str(value("general.architecture"))
    kind = value("general.file_type")
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return {
        "file": file.name,
        "bytes": file.stat().st_size,
        "sha256": digest,
        "license": value("general.license"),
        "description": value("general.description"),
        "architecture": architecture,
        "sizes": {key: value(f"{architecture}.{key}") for key in _SIZES},
        "parameters": sum(int(tensor.n_elements) for tensor in reader.tensors),
        "tokenizer": {"model": value("tokenizer.ggml.model"), "pieces": len(_items(value("tokenizer.ggml.tokens")))},
        "quantisation": gguf.LlamaFileType(kind).name if isinstance(kind, int) else None,
        "made": dict(made),
        "scores": dict(scores),
        **({"calibration": calibration.points} if calibration else {}),
    }


def write_card(
    file: Path, made: Mapping[str, object], scores: Mapping[str, float], calibration: Calibration | None = None
) -> Path:
    """Writes the card beside the file, under its name with .json. Returns where."""
    place = file.with_suffix(".json")
    place.write_text(json.dumps(card(file, made, scores, calibration), indent=2) + "\n")
    return place


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []
