"""LoRA (Hu et al., 2021): the matrices of the layers stay as they are, and beside each a product of two thin ones is trained."""

from __future__ import annotations

import zlib

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.train.llama import Linear, Llama

MATRICES = ("q", "k", "v", "o", "gate", "up", "down")
SCALE = 2.0  # alpha / rank, with alpha = 2 * rank


class Adapted(nn.Module):
    """A frozen matrix `base` [out, in], and `b` [out, rank] @ `a` [rank, in] beside it."""

    def __init__(self, base: Linear, rank: int) -> None:
        super().__init__()
        self.base = base
        self.a = nn.Parameter(base.weight.new_empty(rank, base.in_features))
        self.b = nn.Parameter(base.weight.new_empty(base.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        beside = F.linear(F.linear(x, self.a), self.b)
        return self.base(x) + SCALE * beside  # type: ignore[no-any-return]


def adapt(model: Llama, rank: int, *, vocabulary: bool) -> None:
    """Puts adapters beside all matrices of the layers and freezes the rest, but with `vocabulary` embedding and head.

    The adapters' weights are to be filled with `beginning`.
    """
    model.requires_grad_(False)
    model.tok.requires_grad_(vocabulary)
    if model.head is not None:
        model.head.requires_grad_(vocabulary)
    for layer in model.layers:
        for name in MATRICES:
            setattr(layer, name, Adapted(getattr(layer, name), rank))


def beginning(name: str, shape: torch.Size) -> Tensor | None:
    """What an adapter's weight starts with, the same in each process: `b` is zero, so that nothing is changed yet.

    None for a name that is no adapter's.
    """
    if name.endswith(".b"):
        return torch.zeros(shape)
    if name.endswith(".a"):
        generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
        return torch.randn(shape, generator=generator).mul_(shape[1] ** -0.5)
    return None


def loaded_from(name: str) -> str:
    """The name, in a checkpoint without adapters, of a weight that is none of an adapter's."""
    return name.replace(".base.", ".")


def merged(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of the model without adapters that computes the same; the matrices are changed in place."""
    whole: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        if name.endswith(".base.weight"):
            stem = name.removesuffix(".base.weight")
            whole[f"{stem}.weight"] = tensor.addmm_(weights[f"{stem}.b"], weights[f"{stem}.a"], alpha=SCALE)
        elif not name.endswith((".a", ".b")):
            whole[name] = tensor
    return whole
