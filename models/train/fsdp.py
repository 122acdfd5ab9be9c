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
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributed.checkpoint.api import CheckpointException
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
from torch.distributed.tensor import DTensor, distribute_tensor

from models import ModelError
from models.export.gguf import Array, LlamaConfig
from models.train import lora
from models.train.batch import IGNORE, Batch
from models.train.curve import write_curve
from models.train.llama import Llama
from models.train.muon import Muon
from models.train.precision import multiplied

KEPT = 2  # checkpoints; the one before the last is there while the last is being written
_STEP = "step-{:08}"

# Peak dense bfloat16 operations a second, by a part of the device's name; from NVIDIA's data sheets.
PEAK = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "4090": 165e12}

# Frozen weights are not saved: they are read again from where they came.
_SAVED = StateDictOptions(ignore_frozen_params=True, strict=False)

Log = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run does. Raises ModelError for what cannot be done."""

    steps: int
    save_every: int = 100
    matrix_rate: float = 0.02  # of Muon, for the matrices of the layers; with 0 AdamW trains them too
    rate: float = 0.003  # of AdamW, for the rest
    warm_up: float = 0.02  # the share of the steps in which the rates rise
    fall: str = "cosine"  # or "linear": how the rates then fall to nothing
    clip: float = 1.0  # of the gradient of what AdamW trains; the steps of Muon have one size anyway
    grid: float = 0.25  # the last share of the steps, in which the weights are seen as 4 bits hold them
    recompute: bool = False  # activations are computed again on the way back instead of being kept
    precise: bool = False  # matrices are multiplied in float32 also where the device has units for bfloat16
    lora: int = 0  # the rank of LoRA's adapters, which are then trained by AdamW instead of the matrices
    seed: int = 1

    def __post_init__(self) -> None:
        if min(self.steps, self.save_every) < 1 or self.lora < 0:
            raise ModelError("a training needs at least one step, a checkpoint every so many, and no negative rank")
        if not 0 < self.rate < 1 or self.matrix_rate < 0:
            raise ModelError(f"a learning rate is between 0 and 1, not {self.rate:g}")
        if self.fall not in ("cosine", "linear"):
            raise ModelError(f"the rates fall as cosine or linear, not as {self.fall!r}")
        if self.lora and (self.matrix_rate or self.grid):
            raise ModelError("adapters are trained by AdamW alone, and not on the grid of 4 bits")


@dataclass(frozen=True, slots=True)
class Start:
    """The network, and where its weights come from: `load` gives that of a name of models.export.gguf.shapes.

    Without `load` they are random. `rope_scale` divides positions. `grown`: rows of embedding and head are new, so
    that LoRA trains these too.
    """

    config: LlamaConfig
    rope_scale: float = 1.0
    load: Callable[[str], Array] | None = None
    grown: bool = False


@dataclass(frozen=True, slots=True)
class Trained:
    """What a finished run has made: the whole weights (on the first process, empty on the others) and its losses."""

    weights: dict[str, Tensor]
    losses: tuple[float, ...]
    tokens_per_second: float


class _Scored(nn.Module):
    """The model with the loss inside, so that all its weights are used while FSDP has them gathered."""

    def __init__(self, model: Llama, precise: bool) -> None:
        super().__init__()
        self.model = model
        self.precise = precise

    def forward(self, x: Tensor, y: Tensor, positions: Tensor | None) -> Tensor:
        """The summed loss of the positions that count."""
        kept = y != IGNORE
        with multiplied(x.device, self.precise):
            logits = self.model.logits(self.model(x, positions)[kept])
        return F.cross_entropy(logits.float(), y[kept], reduction="sum")


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


def devices() -> int:
    """How many processes this machine has devices for: one for each GPU, else one."""
    return torch.cuda.device_count() or 1


@contextmanager
def processes() -> Iterator[Processes]:
    """The processes that torchrun has started, or this one alone; on GPUs where there are some. Raises ModelError."""
    cuda = torch.cuda.is_available()
    backend = "nccl" if cuda else "gloo"
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if cuda and local >= torch.cuda.device_count():
        raise ModelError(f"there are more processes than GPUs, which are {torch.cuda.device_count()}")
    device = torch.device("cuda", local) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    if "RANK" in os.environ:
        dist.init_process_group(backend)
    else:
        alone = dist.HashStore()  # type: ignore[attr-defined]  # torch documents it without exporting it
        dist.init_process_group(backend, store=alone, rank=0, world_size=1)
    try:
        yield Processes(init_device_mesh(device.type, (dist.get_world_size(),)), device)
        dist.barrier()  # nobody leaves while another still talks to it
    finally:
        dist.destroy_process_group()
        gc.collect()  # what still holds the group in a circle would end its threads too late, and abort at the exit


def train(plan: Plan, start: Start, batches: Iterator[Batch], folder: Path, log: Log, group: Processes) -> Trained:
    """Trains until `plan.steps`, from the newest checkpoint in `folder` where there is one. Raises ModelError.

    `batches` must be the same in each process and each time: a run that goes on passes over those that it has had.
    `folder` gets checkpoints (DCP), losses.jsonl and losses.svg.
    """
    log = log if group.first else _silent
    first = next(batches, None)
    if first is None:
        raise ModelError("there is no data to train on")
    batches = chain([first], batches)
    about = _about(plan, start, first)
    scored = _build(plan, start, group)
    optimizers = _optimizers(scored.model, plan)
    done = _resume(folder, about, scored, optimizers, log, group)
    if not done:
        _check_space(folder, scored)
    losses = _losses(folder, done)
    speed = _Speed(scored, group)
    for number, batch in enumerate(islice(batches, plan.steps)):
        if number < done:
            continue
        if number >= plan.steps * (1 - plan.grid):
            scored.model.train_on_grid()
        losses.append(_step(plan, number, scored, optimizers, batch, group))
        speed.count(batch.inputs.numel())
        if (number + 1) % plan.save_every == 0 or number + 1 == plan.steps:
            _save(folder, number + 1, about, scored, optimizers, losses, group)
            log(f"step {number + 1:6} of {plan.steps}  loss {losses[-1]:.4f}  {speed}")
    if len(losses) < plan.steps:
        raise ModelError(f"the data ended after {len(losses)} of {plan.steps} batches")
    whole = get_model_state_dict(scored, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    weights = {n.removeprefix("model."): t for n, t in whole.items() if isinstance(t, Tensor)}
    return Trained(lora.merged(weights), tuple(losses), speed.tokens_per_second)


def _about(plan: Plan, start: Start, first: Batch) -> dict[str, Any]:
    """What has to be the same where a run goes on: the plan, the network, its first weights, the sentences."""
    weights = b"" if start.load is None else np.ascontiguousarray(start.load("layers.0.q.weight")).tobytes()
    return {
        "plan": asdict(plan),
        "model": asdict(start.config),
        "start": zlib.crc32(weights),
        "data": zlib.crc32(first.inputs.numpy().tobytes()),
    }


def _build(plan: Plan, start: Start, group: Processes) -> _Scored:
    """The sharded model on its device. What is loaded is never whole in memory: it is read a tensor at a time."""
    torch.manual_seed(plan.seed)
    if start.load is None:
        if plan.lora:
            raise ModelError("adapters are trained beside weights that are there already, not from nothing")
        scored = _Scored(Llama(start.config, start.rope_scale), plan.precise).to(group.device)
        _shard(scored, group.mesh, plan.precise)
    else:
        with torch.device("meta"):
            scored = _Scored(Llama(start.config, start.rope_scale), plan.precise)
            if plan.lora:
                lora.adapt(scored.model, plan.lora, vocabulary=start.grown)
        _shard(scored, group.mesh, plan.precise)
        scored.to_empty(device=group.device)
        _fill(scored.model, start.load)
    scored.model.recompute = plan.recompute
    return scored


@torch.no_grad()
def _fill(model: Llama, load: Callable[[str], Array]) -> None:
    """Each process reads every tensor and keeps its own rows."""
    for name, p in model.named_parameters():
        whole = lora.beginning(name, p.shape)
        if whole is None:
            whole = torch.from_numpy(np.array(load(lora.loaded_from(name)), dtype=np.float32))
        if isinstance(p, DTensor):
            p.copy_(distribute_tensor(whole, p.device_mesh, p.placements, src_data_rank=None))
        else:
            p.copy_(whole)


def _shard(scored: _Scored, mesh: DeviceMesh, precise: bool) -> None:
    """Each layer is gathered when it is its turn, on GPUs in bfloat16."""
    policy = MixedPrecisionPolicy()
    if mesh.device_type == "cuda" and not precise:
        policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    for layer in scored.model.layers:
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    fully_shard(scored, mesh=mesh, mp_policy=policy)


def _optimizers(model: Llama, plan: Plan) -> list[torch.optim.Optimizer]:
    """Muon where it has a rate, and AdamW, which is always the last."""
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    matrices = [p for n, p in named if plan.matrix_rate and p.dim() == 2 and n.startswith("layers.")]
    others = [p for n, p in named if not (plan.matrix_rate and p.dim() == 2 and n.startswith("layers."))]
    muon = [Muon(matrices, lr=plan.matrix_rate, precise=plan.precise)] if matrices else []
    return [*muon, torch.optim.AdamW(others, lr=plan.rate, weight_decay=0.0, betas=(0.9, 0.98))]


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
    own = batch.share(group.mesh.get_local_rank(), group.mesh.size()).to(group.device)
    counted = int((batch.targets != IGNORE).sum())
    summed = scored(own.inputs, own.targets, own.positions)
    # FSDP averages the gradients of the processes; what is wanted is the mean over all positions of the batch.
    torch.autograd.backward(summed * (group.mesh.size() / counted))
    torch.nn.utils.clip_grad_norm_(optimizers[-1].param_groups[0]["params"], plan.clip)
    share = _share(plan, done)
    for optimizer, rate in zip(optimizers, (plan.matrix_rate, plan.rate)[-len(optimizers) :], strict=True):
        for parameters in optimizer.param_groups:
            parameters["lr"] = rate * share
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    total = summed.detach()
    dist.all_reduce(total)
    return float(total) / counted


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
    about: dict[str, Any],
    scored: _Scored,
    optimizers: list[torch.optim.Optimizer],
    losses: Sequence[float],
    group: Processes,
) -> None:
    """Written under another name and renamed when it is whole, so that a run that is killed never leaves half of one."""
    whole, part = folder / _STEP.format(done), folder / "part"
    with _told(folder):
        save(_state(scored, optimizers), checkpoint_id=part)
    if group.first:
        (part / "plan.json").write_text(json.dumps(about | {"step": done}, indent=1) + "\n")
        shutil.rmtree(whole, ignore_errors=True)
        part.rename(whole)
        (folder / "losses.jsonl").write_text("".join(f"{json.dumps(loss)}\n" for loss in losses))
        write_curve(folder / "losses.svg", losses)
        for old in checkpoints(folder)[:-KEPT]:
            shutil.rmtree(old)
    group.wait()


def _resume(
    folder: Path,
    about: dict[str, Any],
    scored: _Scored,
    optimizers: list[torch.optim.Optimizer],
    log: Log,
    group: Processes,
) -> int:
    """The step at which the newest checkpoint was written; 0 where there is none. Raises ModelError.

    The folder has to be one's own: DCP unpickles the optimizer's settings, which for a foreign file would be unsafe.
    """
    if group.first:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder / "part", ignore_errors=True)
    group.wait()
    found = checkpoints(folder)
    if not found:
        return 0
    there = json.loads((found[-1] / "plan.json").read_text())
    if other := [key for key, value in about.items() if there.get(key) != value]:
        raise ModelError(f"{found[-1]} is of a run with another {other[0]}; give the same one, or another folder")
    state = _state(scored, optimizers)
    with _told(found[-1]):
        load(state, checkpoint_id=found[-1])
    set_state_dict(
        scored,
        optimizers,
        model_state_dict=state["model"],
        optim_state_dict=state["optimizers"],
        options=_SAVED,
    )
    log(f"goes on from {found[-1]}")
    return int(there["step"])


def _state(scored: _Scored, optimizers: list[torch.optim.Optimizer]) -> dict[str, Any]:
    model, state = get_state_dict(scored, optimizers, options=_SAVED)
    return {"model": model, "optimizers": state}


@contextmanager
def _told(place: Path) -> Iterator[None]:
    """What goes wrong with a checkpoint, as an error of ours; DCP's own is no Exception."""
    try:
        yield
    except (OSError, CheckpointException) as error:
        causes = [cause for cause, _ in error.failures.values()] if isinstance(error, CheckpointException) else [error]
        first = (str(causes[0]).splitlines() or [type(causes[0]).__name__])[0]
        raise ModelError(f"{place}: a checkpoint cannot be written or read: {first}") from error


def _check_space(folder: Path, scored: _Scored) -> None:
    """For the checkpoints (a weight and at most two moments of it, in float32) and the whole weights at the end."""
    whole = sum(p.numel() for p in scored.parameters())
    trained = sum(p.numel() for p in scored.parameters() if p.requires_grad)
    wanted = 4 * (3 * trained * (KEPT + 1) + whole)
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise ModelError(f"{folder} has {free >> 20} MiB left; the training needs {wanted >> 20} MiB")


def checkpoints(folder: Path) -> list[Path]:
    """Those that are whole, the newest last."""
    return sorted(path for path in folder.glob("step-*") if (path / "plan.json").exists())


def _losses(folder: Path, done: int) -> list[float]:
    file = folder / "losses.jsonl"
    return [float(line) for line in file.read_text().split()[:done]] if done and file.exists() else []


# -- how fast


class _Speed:
    """Tokens a second over all processes, and on known devices the share of their peak that the model's own work is."""

    def __init__(self, scored: _Scored, group: Processes) -> None:
        # Operations a token, without attention: forward 2 a weight, back 2, and 2 for the gradient of one that is trained.
        self._work = sum((6 if p.requires_grad else 4) * p.numel() for p in scored.parameters())
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
