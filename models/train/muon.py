"""Muon: momentum whose matrix updates are made orthogonal (K. Jordan, 2024), batched over matrices of one shape.

torch.optim.Muon takes a matrix at a time and always works in bfloat16, which is slow on CPUs without units for it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from models.train.precision import halves

# The quintic of Jordan's Newton-Schulz iteration, tuned to bring singular values into 0.7..1.2 in five steps.
_A, _B, _C = 3.4445, -4.7750, 2.0315
_STEPS = 5


def orthogonal(stack: Tensor, precise: bool = False) -> Tensor:
    """Each matrix of a stack [n, rows, columns] with its singular values brought near to one.

    In bfloat16 where the device has units for it, unless `precise`.
    """
    tall = stack.shape[1] > stack.shape[2]
    x = stack.transpose(1, 2) if tall else stack
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)
    x = x.bfloat16() if halves(x.device) and not precise else x
    for _ in range(_STEPS):
        gram = x @ x.transpose(1, 2)
        x = _A * x + (_B * gram + _C * gram @ gram) @ x
    back: Tensor = x.transpose(1, 2) if tall else x
    return back.to(stack.dtype)


class Muon(torch.optim.Optimizer):
    """For the matrices inside the layers; embeddings and vectors go to AdamW."""

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float = 0.02,
        momentum: float = 0.95,
        precise: bool = False,
    ) -> None:
        super().__init__(list(parameters), {"lr": lr, "momentum": momentum})
        self._precise = precise

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            alike: dict[torch.Size, list[tuple[nn.Parameter, Tensor]]] = defaultdict(list)
            for p in group["params"]:
                if p.grad is not None:
                    alike[p.shape].append((p, self._update(p, p.grad, group["momentum"])))
            for shape, pairs in alike.items():
                scale = max(1.0, shape[0] / shape[1]) ** 0.5
                whole = torch.stack([_whole(update) for _, update in pairs])
                for (p, _), update in zip(pairs, orthogonal(whole, self._precise), strict=True):
                    p.add_(_as(p, update), alpha=-group["lr"] * scale)

    def _update(self, p: nn.Parameter, gradient: Tensor, momentum: float) -> Tensor:
        buffer: Tensor = self.state[p].setdefault("momentum", torch.zeros_like(p))
        buffer.lerp_(gradient, 1 - momentum)
        return gradient.lerp(buffer, momentum)


def _whole(update: Tensor) -> Tensor:
    """The whole matrix, of which FSDP holds a part in each process: it cannot be made orthogonal in parts."""
    return update.full_tensor() if isinstance(update, DTensor) else update


def _as(p: Tensor, update: Tensor) -> Tensor:
    """This process's part of the update, where the parameter is in parts."""
    return distribute_tensor(update, p.device_mesh, p.placements) if isinstance(p, DTensor) else update
