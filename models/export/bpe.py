"""Reads a byte-level BPE tokenizer (tokenizer.json of Hugging Face's), where llama.cpp cuts text as its own library does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models import ModelError
from models.export.sentencepiece import PieceType

# Llama 3's rule, and the name that llama.cpp has for it.
_LLAMA_3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


@dataclass(frozen=True, slots=True)
class BpeModel:
    """Tokens in the order of their ids (written in GPT-2's characters for bytes), merges as `left right`, and the rule."""

    tokens: tuple[str, ...]
    types: tuple[PieceType, ...]
    merges: tuple[str, ...]
    rule: str  # llama.cpp's tokenizer.ggml.pre
    bos: int
    eos: int
    add_bos: bool


def read(path: Path) -> BpeModel:
    """Raises ModelError for a tokenizer that llama.cpp would not follow exactly."""
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
        return _model(path, whole)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path} cannot be read as a tokenizer.json: {error}") from error


def _model(path: Path, whole: dict[str, Any]) -> BpeModel:
    model = whole["model"]
    if model["type"] != "BPE" or model.get("byte_fallback"):
        raise ModelError(f"{path} is no byte-level BPE; for a SentencePiece vocabulary give its tokenizer.model")
    if whole.get("normalizer") is not None or model.get("dropout") or model.get("continuing_subword_prefix"):
        raise ModelError(f"{path} changes text in ways that llama.cpp does not know; it cannot be exported")
    rule = _rule(path, whole.get("pre_tokenizer") or {}, bool(model.get("ignore_merges")))
    ids = {str(token): int(number) for token, number in model["vocab"].items()}
    types = dict.fromkeys(ids, PieceType.NORMAL)
    for added in whole.get("added_tokens", []):
        ids[added["content"]] = int(added["id"])
        types[added["content"]] = PieceType.CONTROL if added.get("special") else PieceType.USER_DEFINED
    tokens = sorted(ids, key=ids.__getitem__)
    if sorted(ids.values()) != list(range(len(ids))):
        raise ModelError(f"{path}: its ids are not the numbers from 0 to {len(ids) - 1}")
    settings = _settings(path.with_name("tokenizer_config.json"))
    bos, eos = (_marked(path, ids, settings.get(key)) for key in ("bos_token", "eos_token"))
    merges = tuple(merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"])
    add_bos = bool(settings.get("add_bos_token", rule == "llama-bpe"))
    return BpeModel(tuple(tokens), tuple(types[t] for t in tokens), merges, rule, bos, eos, add_bos)


def _rule(path: Path, steps: dict[str, Any], ignore_merges: bool) -> str:
    parts = steps["pretokenizers"] if steps.get("type") == "Sequence" else [steps]
    kinds = [part.get("type") for part in parts]
    if kinds and kinds[-1] == "ByteLevel" and not parts[-1].get("add_prefix_space"):
        if kinds == ["ByteLevel"] and parts[0].get("use_regex", True) and not ignore_merges:
            return "gpt-2"
        if kinds == ["Split", "ByteLevel"] and parts[0]["pattern"] == {"Regex": _LLAMA_3} and ignore_merges:
            return "llama-bpe"
    raise ModelError(f"{path} cuts text by a rule other than GPT-2's and Llama 3's; it cannot be exported")


def _settings(path: Path) -> dict[str, Any]:
    values = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return values if isinstance(values, dict) else {}


def _marked(path: Path, ids: dict[str, int], given: Any) -> int:
    name = given["content"] if isinstance(given, dict) else given or "<|endoftext|>"
    if name not in ids:
        raise ModelError(f"{path} has no token {name} for the beginning or end; tokenizer_config.json should name them")
    return ids[name]
