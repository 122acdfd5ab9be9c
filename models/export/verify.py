"""Whether llama.cpp computes from a GGUF what PyTorch computes from the checkpoint that it was made of."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models import ModelError
from models.export.checkpoint import Shape
from models.export.forms import Array

if TYPE_CHECKING:
    from torch import Tensor

LARGEST = 0.02  # of the differences at F16; 0.008 was measured at TinyLlama's size, a fault gives more than 1
POSITIONS = 64
SECONDS = 600.0

Logits = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Compared:
    """How far two runs are apart: over all logits, in the most probable token, and in nats a position."""

    positions: int
    largest: float
    rmse: float
    top1: float
    divergence: float

    @property
    def same(self) -> bool:
        """They are as near as F16 lets them be."""
        return self.largest <= LARGEST


def sample_tokens(vocabulary: int, count: int = POSITIONS) -> list[int]:
    """Tokens all over the vocabulary, the same each time."""
    return [int(n) for n in np.random.default_rng(64).integers(3, vocabulary, count)]


def compare(reference: Logits, other: Logits) -> Compared:
    """Raises ModelError where they are not of one shape or not numbers."""
    if reference.shape != other.shape or not (np.isfinite(reference).all() and np.isfinite(other).all()):
        raise ModelError(f"logits of {reference.shape} and {other.shape} cannot be compared, or are no numbers")
    gap = np.abs(reference - other)
    p, q = _log_probabilities(reference), _log_probabilities(other)
    return Compared(
        positions=len(reference),
        largest=float(gap.max()),
        rmse=float(np.sqrt((gap.astype(np.float64) ** 2).mean())),
        top1=float((reference.argmax(1) == other.argmax(1)).mean()),
        divergence=float((np.exp(p) * (p - q)).sum(1).mean()),
    )


def _log_probabilities(logits: Logits) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    result: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return result


def torch_logits(shape: Shape, load: Callable[[str], Array], tokens: Sequence[int]) -> Logits:
    """The logits [position, vocabulary] by PyTorch in float32, with one matrix at a time in memory."""
    import torch

    c = shape.config

    def weight(name: str) -> Tensor:
        return torch.from_numpy(np.asarray(load(f"{name}.weight"), dtype=np.float32))

    def norm(x: Tensor, name: str) -> Tensor:
        return torch.nn.functional.rms_norm(x, (c.dim,), weight(name), c.norm_eps)

    frequency = c.rope_base ** (-torch.arange(0, c.head_size, 2).float() / c.head_size)
    angle = torch.outer(torch.arange(len(tokens)).float() / shape.rope_scale, frequency)

    def heads(x: Tensor, count: int, turned: bool) -> Tensor:
        x = x.view(len(tokens), count, c.head_size).transpose(0, 1)
        left, right = x.chunk(2, -1)
        cos, sin = angle.cos(), angle.sin()
        x = torch.cat((left * cos - right * sin, right * cos + left * sin), -1) if turned else x
        return x.repeat_interleave(c.heads // count, 0)

    with torch.inference_mode():
        x = weight("tok")[torch.tensor(tokens)]
        for n in range(c.layers):
            at = f"layers.{n}"
            h = norm(x, f"{at}.attn_norm")
            q = heads(h @ weight(f"{at}.q").T, c.heads, True)
            k = heads(h @ weight(f"{at}.k").T, c.kv_heads, True)
            v = heads(h @ weight(f"{at}.v").T, c.kv_heads, False)
            mixed = torch.nn.functional.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=True)[0]
            x = x + mixed.transpose(0, 1).reshape(len(tokens), c.dim) @ weight(f"{at}.o").T
            h = norm(x, f"{at}.ffn_norm")
            gate = torch.nn.functional.silu(h @ weight(f"{at}.gate").T)
            x = x + (gate * (h @ weight(f"{at}.up").T)) @ weight(f"{at}.down").T
        logits: Logits = (norm(x, "norm") @ weight("tok" if c.tied else "head").T).numpy()
    return logits


def native_logits(file: Path, tokens: Sequence[int]) -> Logits:
    """The logits [position, vocabulary] by llama.cpp, in a process of its own. Raises ModelError where that dies."""
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    child = context.Process(target=_native, args=(sending, str(file), list(tokens)), daemon=True)
    try:
        child.start()
        sending.close()
        answer: Any = receiving.recv() if receiving.poll(SECONDS) else "it took too long"
    except EOFError:
        answer = "its process ended"
    finally:
        child.kill()
        child.join()
        receiving.close()
    if isinstance(answer, str):
        raise ModelError(f"{file}: llama.cpp could not run it ({answer})")
    logits: Logits = answer
    return logits


def _native(sending: Connection, file: str, tokens: list[int]) -> None:
    """What the child does."""
    import llama_cpp

    try:
        model = llama_cpp.Llama(
            file, n_ctx=max(len(tokens), 16), n_batch=max(len(tokens), 16), logits_all=True, verbose=False
        )
        model.eval(tokens)
        sending.send(np.array(model.scores[: len(tokens)], dtype=np.float32))
    except (ValueError, RuntimeError) as error:
        sending.send(str(error) or "an error")
