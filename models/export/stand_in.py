"""A model of random weights with the shape of a real one: for tests and measurements where only the machinery counts."""

from __future__ import annotations

import string
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.export.gguf import LlamaConfig, shapes, write_gguf
from models.export.sentencepiece import Piece, PieceType, SentencePieceModel

SHAPE = LlamaConfig(dim=64, layers=2, heads=4, kv_heads=2, ffn=128, vocab=512, context=512)


def write_stand_in(path: Path, symbols: Sequence[str], *, config: LlamaConfig = SHAPE, seed: int = 0) -> None:
    """Write an F16 GGUF whose vocabulary is `symbols`, single characters and bytes."""
    write_gguf(
        path,
        config=config,
        tensors=random_tensors(config, seed),
        tokenizer_model=vocabulary(symbols),
        metadata={"general.name": "stand-in"},
    )


def random_tensors(config: LlamaConfig, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Weights under which no token is much more probable than another."""
    random = np.random.default_rng(seed)
    tensors: dict[str, NDArray[np.float32]] = {}
    for name, shape in shapes(config).items():
        noise = random.standard_normal(shape, dtype=np.float32)
        tensors[name] = (1 + noise / 10 if len(shape) == 1 else noise / shape[1] ** 0.5).astype(np.float32)
    return tensors


def vocabulary(symbols: Sequence[str]) -> SentencePieceModel:
    """A vocabulary that was not trained: what a tokenizer needs, and nothing longer than a character."""
    characters = "\u2581" + string.ascii_lowercase + string.digits
    pieces = [
        Piece("<unk>", 0.0, PieceType.UNKNOWN),
        Piece("<s>", 0.0, PieceType.CONTROL),
        Piece("</s>", 0.0, PieceType.CONTROL),
        *(Piece(symbol, 0.0, PieceType.USER_DEFINED) for symbol in symbols),
        *(Piece(f"<0x{byte:02X}>", 0.0, PieceType.BYTE) for byte in range(256)),
        *(Piece(character, -float(n), PieceType.NORMAL) for n, character in enumerate(characters)),
    ]
    return SentencePieceModel(tuple(pieces), unk=0, bos=1, eos=2, add_space_prefix=True)
