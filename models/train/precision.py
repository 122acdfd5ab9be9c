"""In which numbers matrices are multiplied: bfloat16 where the device has units for it, which is four times as fast."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch


def halves(device: torch.device) -> bool:
    """The device multiplies matrices in bfloat16: a GPU, or a CPU with instructions for it."""
    if device.type != "cpu":
        return True
    able = torch.cpu.get_capabilities()
    return any(able.get(unit, False) for unit in ("avx512_bf16", "amx_bf16", "bf16"))


def multiplied(device: torch.device, precise: bool) -> AbstractContextManager[object]:
    """Inside, matrices are multiplied in bfloat16 and all else is float32; on a GPU FSDP's own policy sees to it.

    `precise`: in float32 on any device.
    """
    return torch.autocast("cpu", torch.bfloat16, enabled=device.type == "cpu" and halves(device) and not precise)


def exact(device: torch.device) -> AbstractContextManager[object]:
    """Inside `multiplied`, the numbers as they come: attention is slower in bfloat16 on CPUs, on the way back fourfold."""
    return torch.autocast(device.type, enabled=False)
