"""Whether a model file is the one that its card describes; needs neither torch nor llama.cpp."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from models import ModelError


def check_card(file: Path) -> dict[str, object]:
    """The card beside `file`, whose size and digest are the file's. Raises ModelError where they are not."""
    place = file.with_suffix(".json")
    try:
        card = json.loads(place.read_text())
        size = file.stat().st_size
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
            opened.seek(0)
            magic = opened.read(4)
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} or its card {place.name} cannot be read: {error}") from error
    if magic != b"GGUF":
        raise ModelError(f"{file} is not a GGUF")
    if not isinstance(card, dict) or card.get("bytes") != size or card.get("sha256") != digest:
        raise ModelError(f"{file} is not the file that {place.name} describes (its SHA-256 is {digest})")
    return card
