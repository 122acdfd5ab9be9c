"""Ears that always hear the same: a Whisper of the true format that was not trained but written down.

It runs in faster-whisper as any other model does, so everything around hearing can be tested where no model can be
fetched. Whatever is said to it, it answers with its own sentence, as surely as it is told to.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MELS, _WINDOW, _POSITIONS = 80, 1500, 448  # Whisper's own
_START, _PLAIN, _END, _QUIET = "<|startoftranscript|>", "<|notimestamps|>", "<|endoftext|>", "<|nospeech|>"
_SPECIAL = (
    _END,
    _START,
    "<|en|>",
    "<|translate|>",
    "<|transcribe|>",
    "<|startoflm|>",
    "<|startofprev|>",
    _QUIET,
    _PLAIN,
)
_UNKNOWN = "?"

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Size:
    """How large it is; words are made up until its vocabulary is full."""

    width: int = 64
    heads: int = 1
    layers: int = 1  # of the encoder, and of the decoder
    vocabulary: int = 0


TINY = Size()
TINY_EN = Size(
    width=384, heads=6, layers=4, vocabulary=51_864
)  # Whisper's own; how long it takes and what it holds are those


def write(
    folder: Path, says: str, *, sure: float = 1.0, silent: bool = False, endless: bool = False, size: Size = TINY
) -> None:
    """Write a model into `folder` that hears `says`, whose words are all different, a token each; about 300 kB.

    `sure` is from 0 (any word is as likely as the next) to 1. A `silent` one holds what it hears for silence, and an
    `endless` one says its last word for ever.
    """
    words = says.split()
    if not words or len(set(words)) < len(words):
        raise ValueError(f"the words have to be all different: {says!r}")
    said = [f"Ġ{word}" for word in words]
    follows = {before: after for before, after in pairwise([_START, _PLAIN, *said, said[-1] if endless else _END])}
    if silent:
        follows[_START] = _QUIET
    known = [_UNKNOWN, *said, *_SPECIAL, *(f"<|{i / 50:.2f}|>" for i in range(1501))]
    vocabulary = [
        *known[: len(said) + 1],
        *(f"Ġ{i}" for i in range(size.vocabulary - len(known))),
        *known[len(said) + 1 :],
    ]
    folder.mkdir(parents=True, exist_ok=True)
    _write_model(folder, vocabulary, follows, sure, size)
    _write_tokenizer(folder / "tokenizer.json", vocabulary)


def _write_model(folder: Path, vocabulary: list[str], follows: dict[str, str], sure: float, size: Size) -> None:
    from ctranslate2.specs import WhisperSpec

    spec = WhisperSpec(size.layers, size.heads, size.layers, size.heads)
    chance = np.random.default_rng(0)
    words: Array = chance.normal(size=(len(vocabulary), size.width)).astype(np.float32)
    words = (words - words.mean(axis=1, keepdims=True)) / words.std(axis=1, keepdims=True)
    _set_encoder(spec.encoder, size.width)
    _set_decoder(spec.decoder, words, size.width)
    number = {word: i for i, word in enumerate(vocabulary)}
    projection = np.zeros_like(words)
    for before, after in follows.items():
        projection[number[after]] += words[number[before]] * (sure * 32 / size.width)
    spec.decoder.projection.weight = projection
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = [number[_END]]
    spec.config.lang_ids = [number["<|en|>"]]
    spec.config.alignment_heads = [(0, 0)]
    spec.register_vocabulary(vocabulary)
    spec.validate()
    spec.optimize(quantization="int8")
    spec.save(str(folder))


def _set_encoder(encoder: Any, width: int) -> None:
    for convolution, inputs in ((encoder.conv1, _MELS), (encoder.conv2, width)):
        convolution.weight, convolution.bias = _zeros(width, inputs, 3), _zeros(width)
    encoder.position_encodings.encodings = _zeros(_WINDOW, width)
    _set_norm(encoder.layer_norm, width)
    for layer in encoder.layer:
        _set_attention(layer.self_attention, width, 3, 1)
        _set_feed_forward(layer.ffn, width)


def _set_decoder(decoder: Any, words: Array, width: int) -> None:
    decoder.embeddings.weight = words
    decoder.position_encodings.encodings = _zeros(_POSITIONS, width)
    _set_norm(decoder.layer_norm, width)
    for layer in decoder.layer:
        _set_attention(layer.self_attention, width, 3, 1)
        _set_attention(layer.attention, width, 1, 2, 1)
        _set_feed_forward(layer.ffn, width)


def _set_attention(attention: Any, width: int, *sizes: int) -> None:
    _set_norm(attention.layer_norm, width)
    for linear, size in zip(attention.linear, sizes, strict=True):
        linear.weight, linear.bias = _zeros(size * width, width), _zeros(size * width)


def _set_feed_forward(ffn: Any, width: int) -> None:
    _set_norm(ffn.layer_norm, width)
    ffn.linear_0.weight, ffn.linear_0.bias = _zeros(4 * width, width), _zeros(4 * width)
    ffn.linear_1.weight, ffn.linear_1.bias = _zeros(width, 4 * width), _zeros(width)


def _set_norm(norm: Any, width: int) -> None:
    norm.gamma, norm.beta = np.ones(width, np.float32), _zeros(width)


def _zeros(*shape: int) -> Array:
    return np.zeros(shape, np.float32)


def _write_tokenizer(file: Path, vocabulary: list[str]) -> None:
    """Whole words are its pieces, written as Whisper's tokenizer writes them."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    numbers = {word: i for i, word in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token=_UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(word, special=True) for word in vocabulary if word.startswith("<|")])
    tokenizer.save(str(file))
