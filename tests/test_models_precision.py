"""Matrices multiplied in bfloat16 where the processor can, and the training that this leaves as it was."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from models.export.gguf import LlamaConfig
from models.train.llama import Linear, Llama
from models.train.muon import orthogonal
from models.train.precision import halves, multiplied

CPU = torch.device("cpu")
CONFIG = LlamaConfig(dim=64, layers=2, heads=4, kv_heads=2, ffn=128, vocab=90, context=32)


def learned(precise: bool) -> tuple[float, Tensor]:
    """The loss of a network on random tokens, and its whole gradient."""
    torch.manual_seed(3)
    model, ids = Llama(CONFIG), torch.randint(0, 90, (16, 24))
    for p in model.parameters():
        if p.dim() == 2 and not p.any():
            torch.nn.init.normal_(p, std=0.1)
    with multiplied(CPU, precise):
        logits = model.logits(model(ids[:, :-1]))
    loss = F.cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten())
    torch.autograd.backward(loss)
    return loss.item(), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def test_what_is_multiplied_is_what_the_processor_is_good_at() -> None:
    x, matrix = torch.randn(8, 32), Linear(32, 16, bias=False)
    with multiplied(CPU, precise=False):
        assert matrix(x).dtype == (torch.bfloat16 if halves(CPU) else torch.float32)
    with multiplied(CPU, precise=True):
        assert matrix(x).dtype == torch.float32


def test_it_learns_the_same_either_way() -> None:
    (loss, gradient), (precise_loss, precise_gradient) = learned(precise=False), learned(precise=True)
    assert gradient.dtype == torch.float32
    assert abs(loss - precise_loss) < 0.002 * precise_loss
    assert F.cosine_similarity(gradient, precise_gradient, dim=0) > 0.999


def test_a_step_of_muon_is_orthogonal_either_way() -> None:
    torch.manual_seed(5)
    stack = torch.randn(3, 48, 96)
    for precise in (False, True):
        made = orthogonal(stack, precise)
        assert made.dtype == torch.float32
        values = torch.linalg.svdvals(made)
        assert values.min() > 0.6
        assert values.max() < 1.3
