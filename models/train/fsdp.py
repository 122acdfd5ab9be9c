"""Training over one or many processes by PyTorch's FSDP2, with sharded checkpoints from which a run goes on.

Every process draws the same batches and keeps its rows of them, so the losses do not depend on how many there are.
What calls this runs alone, or is started by torchrun as many times as there are devices.
"""

from __future__ import annotations

import gc
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_state_dict,
    set_state_dict,
)
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

from models import ModelError
from models.export.gguf import LlamaConfig
from models.train.curve import write_curve
from models.train.llama import Llama
from models.train.muon import Muon

IGNORE = -100
KEPT = 2  # checkpoints; the one before the last is there while the last is being written
_STEP = "step-{:08}"

# Peak dense bfloat16 operations a second, by a part of the device's name; from NVIDIA's data sheets.
PEAK = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "4090": 165e12}

# Inputs and targets [rows, length]; targets that are IGNORE do not count.
Batch = tuple[Tensor, Tensor]
Log = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run does."""

    steps: int
    save_every: int = 100
    matrix_rate: float = 0.02  # of Muon, for the matrices of the layers
    rate: float = 0.003  # of AdamW, for the rest
    warm_up: float = 0.02  # the share of the steps in which the rates rise
    fall: str = "cosine"  # or "linear": how the rates then fall to nothing
    clip: float = 1.0  # of the gradient of what AdamW trains; the steps of Muon have one size anyway
    grid: float = 0.25  # the last share of the steps, in which the weights are seen as 4 bits hold them
    recompute: bool = False  # activations are computed again on the way back instead of being kept
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Trained:
    """What a finished run has made: the whole weights (on the first process, empty on the others) and its losses."""

    weights: dict[str, Tensor]
    losses: tuple[float, ...]
    tokens_per_second: float


class _Scored(nn.Module):
    """The model with the loss inside, so that all its weights are used while FSDP has them gathered."""

    def __init__(self, model: Llama) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """The summed loss of the positions that count."""
        kept = y != IGNORE
        return F.cross_entropy(self.model.logits(self.model(x)[kept]).float(), y[kept], reduction="sum")


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes that train together, each on a device of its own."""

    mesh: DeviceMesh
    device: torch.device

    @property
    def first(self) -> bool:
        """This is the one that speaks and writes for all."""
        return dist.get_rank() == 0

    def wait(self) -> None:
        """Until all have come here."""
        dist.barrier()


@contextmanager
def processes() -> Iterator[Processes]:
    """The processes that torchrun has started, or this one alone; on GPUs where there are some."""
    cuda = torch.cuda.is_available()
    if "RANK" not in os.environ:
        os.environ.update(RANK="0", WORLD_SIZE="1", LOCAL_RANK="0", MASTER_ADDR="127.0.0.1", MASTER_PORT="0")
    local = int(os.environ["LOCAL_RANK"])
    device = torch.device("cuda", local) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield Processes(init_device_mesh(device.type, (dist.get_world_size(),)), device)
        dist.barrier()  # nobody leaves while another still talks to it
    finally:
        dist.destroy_process_group()
        gc.collect()  # what still holds the group in a circle would end its threads too late, and abort at the exit


def train(
    plan: Plan, config: LlamaConfig, batches: Iterator[Batch], folder: Path, log: Log, group: Processes
) -> Trained:
    """Trains until `plan.steps`, from the newest checkpoint in `folder` where there is one. Raises ModelError.

    `batches` must be the same in each process and each time: a run that goes on passes over those that it has had.
    `folder` gets checkpoints (DCP), losses.jsonl and losses.svg.
    """
    log = log if group.first else _silent
    torch.manual_seed(plan.seed)
    scored = _Scored(Llama(config)).to(group.device)
    scored.model.recompute = plan.recompute
    _shard(scored, group.mesh)
    optimizers = _optimizers(scored.model, plan)
    done = _resume(folder, plan, scored, optimizers, log, group)
    losses = _losses(folder, done)
    speed = _Speed(sum(p.numel() for p in scored.parameters()), group)
    for number, batch in enumerate(islice(batches, plan.steps)):
        if number < done:
            continue
        if number >= plan.steps * (1 - plan.grid):
            scored.model.train_on_grid()
        losses.append(_step(plan, number, scored, optimizers, batch, group))
        speed.count(batch[0].numel())
        if (number + 1) % plan.save_every == 0 or number + 1 == plan.steps:
            _save(folder, number + 1, plan, scored, optimizers, losses, group)
            log(f"step {number + 1:6} of {plan.steps}  loss {losses[-1]:.4f}  {speed}")
    if len(losses) < plan.steps:
        raise ModelError(f"the data ended after {len(losses)} of {plan.steps} batches")
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    whole = get_model_state_dict(scored, options=options)
    weights = {n.removeprefix("model."): t for n, t in whole.items() if isinstance(t, Tensor)}
    return Trained(weights, tuple(losses), speed.tokens_per_second)


def _shard(scored: _Scored, mesh: DeviceMesh) -> None:
    """Each layer is gathered when it is its turn; matrices are multiplied in bfloat16 where there are units for it."""
    policy = MixedPrecisionPolicy()
    if mesh.device_type == "cuda":
        policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    for layer in scored.model.layers:
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    fully_shard(scored, mesh=mesh, mp_policy=policy)


def _optimizers(model: Llama, plan: Plan) -> list[torch.optim.Optimizer]:
    matrices = [p for n, p in model.named_parameters() if p.dim() == 2 and n.startswith("layers.")]
    others = [p for n, p in model.named_parameters() if p.dim() != 2 or not n.startswith("layers.")]
    return [
        Muon(matrices, lr=plan.matrix_rate),
        torch.optim.AdamW(others, lr=plan.rate, weight_decay=0.0, betas=(0.9, 0.98)),
    ]


def _silent(line: str) -> None:
    """What the other processes say: the same as the first."""


# -- one step


def _step(
    plan: Plan,
    done: int,
    scored: _Scored,
    optimizers: Sequence[torch.optim.Optimizer],
    batch: Batch,
    group: Processes,
) -> float:
    """The mean loss of the whole batch over all processes, before the step."""
    x, y = (_own_rows(part, group.mesh).to(group.device) for part in batch)
    counted = int((batch[1] != IGNORE).sum())
    summed = scored(x, y)
    # FSDP averages the gradients of the processes; what is wanted is the mean over all positions of the batch.
    torch.autograd.backward(summed * (group.mesh.size() / counted))
    torch.nn.utils.clip_grad_norm_(optimizers[1].param_groups[0]["params"], plan.clip)
    share = _share(plan, done)
    for optimizer, rate in zip(optimizers, (plan.matrix_rate, plan.rate), strict=True):
        for parameters in optimizer.param_groups:
            parameters["lr"] = rate * share
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    total = summed.detach()
    dist.all_reduce(total)
    return float(total) / counted


def _own_rows(part: Tensor, mesh: DeviceMesh) -> Tensor:
    if len(part) < mesh.size():
        raise ModelError(f"a batch of {len(part)} rows cannot be shared by {mesh.size()} processes: make it larger")
    return part[mesh.get_local_rank() :: mesh.size()]


def _share(plan: Plan, done: int) -> float:
    """What is left of the learning rates: up in a line, then down in another or along half a cosine."""
    at = done / plan.steps
    if at < plan.warm_up:
        return (at + 1 / plan.steps) / plan.warm_up if plan.warm_up else 1.0
    fallen = (at - plan.warm_up) / (1 - plan.warm_up)
    return 1 - fallen if plan.fall == "linear" else (1 + math.cos(math.pi * fallen)) / 2


# -- checkpoints


def _save(
    folder: Path,
    done: int,
    plan: Plan,
    scored: _Scored,
    optimizers: list[torch.optim.Optimizer],
    losses: Sequence[float],
    group: Processes,
) -> None:
    """Written under another name and renamed when it is whole, so that a run that is killed never leaves half of one."""
    whole, part = folder / _STEP.format(done), folder / "part"
    save(_state(scored, optimizers), checkpoint_id=part)
    if group.first:
        (part / "plan.json").write_text(json.dumps({"plan": asdict(plan), "step": done}, indent=1) + "\n")
        shutil.rmtree(whole, ignore_errors=True)
        part.rename(whole)
        (folder / "losses.jsonl").write_text("".join(f"{json.dumps(loss)}\n" for loss in losses))
        write_curve(folder / "losses.svg", losses)
        for old in _checkpoints(folder)[:-KEPT]:
            shutil.rmtree(old)
    group.wait()


def _resume(
    folder: Path, plan: Plan, scored: _Scored, optimizers: list[torch.optim.Optimizer], log: Log, group: Processes
) -> int:
    """The step at which the newest checkpoint was written; 0 where there is none. Raises ModelError."""
    if group.first:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder / "part", ignore_errors=True)
    group.wait()
    found = _checkpoints(folder)
    if not found:
        return 0
    about = json.loads((found[-1] / "plan.json").read_text())
    if about["plan"] != asdict(plan):
        raise ModelError(f"{found[-1]} is of a run with another plan; give the same one, or another folder")
    state = _state(scored, optimizers)
    load(state, checkpoint_id=found[-1])
    set_state_dict(scored, optimizers, model_state_dict=state["model"], optim_state_dict=state["optimizers"])
    log(f"goes on from {found[-1]}")
    return int(about["step"])


def _state(scored: _Scored, optimizers: list[torch.optim.Optimizer]) -> dict[str, Any]:
    model, state = get_state_dict(scored, optimizers)
    return {"model": model, "optimizers": state}


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("step-*") if (path / "plan.json").exists())


def _losses(folder: Path, done: int) -> list[float]:
    file = folder / "losses.jsonl"
    return [float(line) for line in file.read_text().split()[:done]] if done and file.exists() else []


# -- how fast


class _Speed:
    """Tokens a second over all processes, and on known devices the share of their peak that the model's own work is."""

    def __init__(self, parameters: int, group: Processes) -> None:
        self._work = 6 * parameters  # operations a token, forward and back, without attention
        name = torch.cuda.get_device_name(group.device) if group.device.type == "cuda" else ""
        self._peak = next((peak for part, peak in PEAK.items() if part in name), 0.0) * group.mesh.size()
        self._tokens, self._since = 0, time.monotonic()

    def count(self, tokens: int) -> None:
        self._tokens += tokens

    @property
    def tokens_per_second(self) -> float:
        return self._tokens / max(time.monotonic() - self._since, 1e-9)

    def __str__(self) -> str:
        rate = self.tokens_per_second
        used = f"  MFU {rate * self._work / self._peak:.1%}" if self._peak else ""
        return f"{rate:,.0f} tokens/s{used}"
