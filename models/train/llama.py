"""The Llama architecture in PyTorch, as small as it is written down: what is trained here and run by llama.cpp."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from models.export.gguf import LlamaConfig
from models.train.precision import exact

Q4_BLOCK = 32


def q4_0(weight: Tensor) -> Tensor:
    """The weight as llama.cpp's Q4_0 stores it: blocks of 32 in a row, 16 steps of the entry largest in size over -8."""
    blocks = weight.reshape(-1, Q4_BLOCK)
    largest = blocks.gather(1, blocks.abs().argmax(1, keepdim=True))
    scale = largest / -8
    steps = torch.where(
        scale == 0,
        torch.zeros_like(blocks),
        blocks / torch.where(scale == 0, 1.0, scale),
    )
    stored_scale = scale.half().to(weight.dtype)
    return ((steps + 8.5).floor().clamp(0, 15).sub(8) * stored_scale).reshape(weight.shape)


class Linear(nn.Linear):
    """A matrix that can be trained on the grid of its 4-bit file: forward sees the grid, backward does not."""

    on_grid = False

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight
        if self.on_grid:
            weight = weight + (q4_0(weight.detach()) - weight).detach()
        return F.linear(x, weight)


class RMSNorm(nn.Module):
    """Scales each vector to a mean square of one, then by a learned weight for each entry."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), self.weight, self.eps)


def rotary(length: int, config: LlamaConfig, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    """Cosines and sines [length, head_size / 2] of the half-split rotary embedding, of positions divided by `scale`."""
    half = torch.arange(0, config.head_size, 2, device="cpu").float()  # also where a model without weights is built
    frequency = config.rope_base ** (-half / config.head_size)
    angle = torch.outer(torch.arange(length, device="cpu").float() / scale, frequency)
    return angle.cos(), angle.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    left, right = x.chunk(2, dim=-1)
    return torch.cat((left * cos - right * sin, right * cos + left * sin), dim=-1)


class Layer(nn.Module):
    """Grouped-query attention with rotary positions, then a gated feed-forward; each adds to what comes in."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        d, kv = config.dim, config.kv_heads * config.head_size
        self.config = config
        self.attn_norm = RMSNorm(d, config.norm_eps)
        self.q, self.k = Linear(d, d, bias=False), Linear(d, kv, bias=False)
        self.v, self.o = Linear(d, kv, bias=False), Linear(d, d, bias=False)
        self.ffn_norm = RMSNorm(d, config.norm_eps)
        self.gate, self.up = (
            Linear(d, config.ffn, bias=False),
            Linear(d, config.ffn, bias=False),
        )
        self.down = Linear(config.ffn, d, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None) -> Tensor:
        batch, length, _ = x.shape
        c = self.config
        h = self.attn_norm(x)
        q = rotate(
            self.q(h).view(batch, length, c.heads, c.head_size).transpose(1, 2),
            cos,
            sin,
        )
        k = rotate(
            self.k(h).view(batch, length, c.kv_heads, c.head_size).transpose(1, 2),
            cos,
            sin,
        )
        v = self.v(h).view(batch, length, c.kv_heads, c.head_size).transpose(1, 2)
        repeat = c.heads // c.kv_heads
        with exact(x.device):
            attended = F.scaled_dot_product_attention(
                q,
                k.repeat_interleave(repeat, 1),
                v.to(q.dtype).repeat_interleave(repeat, 1),
                attn_mask=mask,
                is_causal=mask is None,
            )
        x = x + self.o(attended.transpose(1, 2).reshape(batch, length, c.dim))
        h = self.ffn_norm(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))  # type: ignore[no-any-return]


class Llama(nn.Module):
    """[batch, length] token ids to the hidden states; `logits` turns those that count into scores of the vocabulary.

    With `recompute` the activations of a layer are not kept for the way back but computed again: less memory, more time.
    """

    recompute = False

    def __init__(self, config: LlamaConfig, rope_scale: float = 1.0) -> None:
        super().__init__()
        self.config = config
        self.tok = nn.Embedding(config.vocab, config.dim)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.dim, config.norm_eps)
        self.head = None if config.tied else nn.Linear(config.dim, config.vocab, bias=False)
        self._angles = rotary(config.context, config, rope_scale)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=0.02 if "tok" in name else p.shape[1] ** -0.5)
            if name.endswith((".o.weight", ".down.weight")):
                nn.init.zeros_(p)

    def forward(self, ids: Tensor, positions: Tensor | None = None) -> Tensor:
        """`positions` [batch, length] are those of rows of many examples: each begins with 0 and sees none but itself."""
        x = self.tok(ids)
        cos, sin = (angle.to(x) for angle in self._angles)
        if positions is None:
            cos, sin, mask = cos[: ids.shape[1]], sin[: ids.shape[1]], None
        else:
            cos, sin, mask = cos[positions][:, None], sin[positions][:, None], _apart(positions)
        for layer in self.layers:
            given = x, cos, sin, mask
            x = checkpoint(layer, *given, use_reentrant=False) if self.recompute else layer(*given)
        return self.norm(x)  # type: ignore[no-any-return]

    def logits(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden, self.tok.weight if self.head is None else self.head.weight)

    def train_on_grid(self) -> None:
        """From now on every matrix is seen as its 4-bit file will hold it."""
        for module in self.modules():
            if isinstance(module, Linear):
                module.on_grid = True


def _apart(positions: Tensor) -> Tensor:
    """What each place may look at [batch, 1, length, length]: what stands before it in its own example."""
    example = (positions == 0).cumsum(1)
    return (example[:, :, None] == example[:, None, :]).tril()[:, None]
