"""Whether llama.cpp computes from a GGUF what PyTorch computes from the checkpoint that it was made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models import ModelError
from models.export import native
from models.export.checkpoint import Shape
from models.export.forms import Array
from models.export.native import Logits

if TYPE_CHECKING:
    from torch import Tensor

LARGEST = 0.02  # of the differences at F16; 0.008 was measured at TinyLlama's size, a fault gives more than 1
POSITIONS = 64
SCORED = 384  # tokens of text that are scored at most
_BLOCK = 64  # rows

# Called with the name of a matrix and what it is multiplied by, [positions, columns].
Observe = Callable[[str, "Tensor"], None]


@dataclass(frozen=True, slots=True)
class Compared:
    """How far two runs are apart: over all logits, in the first choice, and in nats a position.

    `top1` is the share of positions in which the other's first choice is the reference's, or one that the reference
    has so near its own (within LARGEST) that F16 cannot tell the two apart.
    """

    positions: int
    largest: float
    rmse: float
    top1: float
    divergence: float

    @property
    def same(self) -> bool:
        """They are as near as F16 lets them be."""
        return self.largest <= LARGEST and self.top1 == 1.0


@dataclass(frozen=True, slots=True)
class Sample:
    """A text whose tokens are scored, after one that is given and not scored."""

    given: str
    scored: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file makes of samples: the perplexity of their scored tokens, and the logits there, [token, vocabulary]."""

    perplexity: float
    logits: Logits


def sample_tokens(vocabulary: int, count: int = POSITIONS) -> list[int]:
    """Tokens all over the vocabulary, the same each time."""
    return [int(n) for n in np.random.default_rng(64).integers(3, vocabulary, count)]


def compare(reference: Logits, other: Logits) -> Compared:
    """Raises ModelError where they are not of one shape or not numbers."""
    if reference.shape != other.shape or not (np.isfinite(reference).all() and np.isfinite(other).all()):
        raise ModelError(f"logits of {reference.shape} and {other.shape} cannot be compared, or are no numbers")
    largest = squares = divergence = 0.0
    agreed = 0
    for at in range(0, len(reference), _BLOCK):  # in float64, so a few rows at a time
        a, b = reference[at : at + _BLOCK], other[at : at + _BLOCK]
        gap = np.abs(a - b)
        largest = max(largest, float(gap.max()))
        squares += float((gap.astype(np.float64) ** 2).sum())
        chosen = np.take_along_axis(a, b.argmax(1)[:, None], 1)[:, 0]
        agreed += int((chosen >= a.max(1) - LARGEST).sum())
        p = _log_probabilities(a)
        divergence += float((np.exp(p) * (p - _log_probabilities(b))).sum())
    rows = len(reference)
    return Compared(rows, largest, (squares / reference.size) ** 0.5, agreed / rows, divergence / rows)


def _log_probabilities(logits: Logits) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    result: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return result


def native_logits(file: Path, tokens: Sequence[int]) -> Logits:
    """The logits [position, vocabulary] by llama.cpp. Raises ModelError where it cannot run the file."""
    return native.logits(file, [tokens])[0]


def read_samples(file: Path, samples: Sequence[Sample], bos: int, context: int) -> Reading:
    """What llama.cpp makes of the samples, of SCORED tokens in all at most. Raises ModelError."""
    cut = native.tokens(file, [text for sample in samples for text in (sample.given, sample.scored)])
    chunks: list[tuple[list[int], int]] = []
    room = SCORED
    for given, scored in zip(cut[::2], cut[1::2], strict=True):
        whole = ([bos, *given] if bos >= 0 else given) + scored
        start = max(1, len(whole) - len(scored))  # nothing says what the first of all tokens should be
        if start < len(whole) <= context and len(scored) <= room:
            chunks.append((whole, start))
            room -= len(scored)
    if not chunks:
        raise ModelError("there is no text to score the model on that fits its context")
    rows, chances = [], []
    for (whole, start), logits in zip(chunks, native.logits(file, [whole for whole, _ in chunks]), strict=True):
        rows.append(logits[start - 1 : -1])
        chances.append(np.take_along_axis(_log_probabilities(rows[-1]), np.array(whole[start:])[:, None], 1))
    return Reading(float(np.exp(-np.concatenate(chances).mean())), np.concatenate(rows))


def torch_logits(shape: Shape, load: Callable[[str], Array], tokens: Sequence[int]) -> Logits:
    """The logits [position, vocabulary] by PyTorch in float32, with one matrix at a time in memory."""
    return run_torch(shape, load, [tokens])[0]


def run_torch(
    shape: Shape, load: Callable[[str], Array], chunks: Sequence[Sequence[int]], observe: Observe | None = None
) -> list[Logits]:
    """The logits of each chunk, all chunks together layer by layer; `observe` sees what each matrix is multiplied by."""
    import torch

    c = shape.config

    def weight(name: str) -> Tensor:
        return torch.from_numpy(np.asarray(load(f"{name}.weight"), dtype=np.float32))

    def norm(x: Tensor, weight: Tensor) -> Tensor:
        return torch.nn.functional.rms_norm(x, (c.dim,), weight, c.norm_eps)

    def times(name: str, xs: list[Tensor]) -> list[Tensor]:
        matrix = weight(name)
        if observe is not None:
            for x in xs:
                observe(f"{name}.weight", x)
        return [x @ matrix.T for x in xs]

    frequency = c.rope_base ** (-torch.arange(0, c.head_size, 2).float() / c.head_size)
    angle = torch.outer(torch.arange(max(map(len, chunks))).float() / shape.rope_scale, frequency)

    def heads(x: Tensor, count: int, turned: bool) -> Tensor:
        x = x.view(len(x), count, c.head_size).transpose(0, 1)
        if turned:
            left, right = x.chunk(2, -1)
            cos, sin = angle[: x.shape[1]].cos(), angle[: x.shape[1]].sin()
            x = torch.cat((left * cos - right * sin, right * cos + left * sin), -1)
        return x.repeat_interleave(c.heads // count, 0)

    def attended(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        queries, keys, values = heads(q, c.heads, True), heads(k, c.kv_heads, True), heads(v, c.kv_heads, False)
        mixed = torch.nn.functional.scaled_dot_product_attention(
            queries[None], keys[None], values[None], is_causal=True
        )[0]
        return mixed.transpose(0, 1).reshape(len(q), c.dim)

    with torch.inference_mode():
        embedding = weight("tok")
        xs = [embedding[torch.tensor(chunk)] for chunk in chunks]
        del embedding
        for n in range(c.layers):
            at = f"layers.{n}"
            scale = weight(f"{at}.attn_norm")
            hs = [norm(x, scale) for x in xs]
            q, k, v = (times(f"{at}.{part}", hs) for part in "qkv")
            mixed = times(f"{at}.o", [attended(*parts) for parts in zip(q, k, v, strict=True)])
            xs = [x + y for x, y in zip(xs, mixed, strict=True)]
            scale = weight(f"{at}.ffn_norm")
            hs = [norm(x, scale) for x in xs]
            gates = [torch.nn.functional.silu(gate) for gate in times(f"{at}.gate", hs)]
            inner = [gate * up for gate, up in zip(gates, times(f"{at}.up", hs), strict=True)]
            xs = [x + y for x, y in zip(xs, times(f"{at}.down", inner), strict=True)]
        scale = weight("norm")
        return [logits.numpy() for logits in times("tok" if c.tied else "head", [norm(x, scale) for x in xs])]
