"""What `hub model train` does: the shipped model from nothing, or a checkpoint that is tuned on home commands.

With more than one process it starts torchrun on this module. Over several machines torchrun is started by hand on each,
with its own options and then those of `hub model train` (the folder has to be on a disk that all of them see):

    torchrun --nnodes 2 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint HOST:29400 -m hub.train --out runs/tuned ...
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from importlib.util import find_spec
from pathlib import Path

from models import ModelError

Say = Callable[[str], None]

_EXTRA = "training needs more packages than running the hub does: pip install 'homeward-hub[train]'"
_OPTIONS = {"source": "from"}  # which no field can be called
RATE_WHOLE, RATE_LORA = 2e-5, 2e-4


@dataclass(frozen=True, slots=True)
class Order:
    """The options of `hub model train`; None leaves the choice to what is trained. Raises ModelError."""

    out: Path
    source: Path | None = None
    tokenizer: Path | None = None
    preset: str = ""
    lora: int = 0
    processes: int = 0
    steps: int | None = None
    batch_tokens: int | None = None
    rate: float | None = None
    fall: str | None = None
    recompute: bool = False
    save_every: int = 100
    resume: bool = False

    def __post_init__(self) -> None:
        if self.source is None and (self.tokenizer or self.preset or self.lora):
            raise ModelError("--tokenizer, --preset and --lora are for a checkpoint: name it with --from")
        if self.fall not in (None, "cosine", "linear"):
            raise ModelError(f"--fall is cosine or linear, not {self.fall}")
        for name in ("steps", "batch_tokens", "rate", "save_every"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ModelError(f"--{name.replace('_', '-')} has to be more than nothing, not {value}")
        if self.lora < 0 or self.processes < 0:
            raise ModelError("--lora and --processes cannot be less than nothing")

    def words(self) -> list[str]:
        """The options as they are written on the command line, without those that are not changed."""
        said: list[str] = []
        for each in fields(self):
            value = getattr(self, each.name)
            if value != each.default:
                said.append("--" + _OPTIONS.get(each.name, each.name).replace("_", "-"))
                said += [] if value is True else [str(value)]
        return said


def run(order: Order, say: Say) -> int:
    """Trains, and says what can be done next. Returns 0, or 130 after Ctrl-C. Raises ModelError."""
    if find_spec("torch") is None or find_spec("sentencepiece") is None or find_spec("safetensors") is None:
        raise ModelError(_EXTRA)
    if not order.resume and any((order.out / "training").glob("step-*")):
        raise ModelError(f"{order.out} has the checkpoints of a training: go on with --resume, or name another folder")
    try:
        count = 1 if "RANK" in os.environ else order.processes or _devices()
        if count > 1:
            _start(order, count)
        elif order.source is None:
            _from_nothing(order, say)
        else:
            _from_checkpoint(order, order.source, say)
    except KeyboardInterrupt:
        say(_how_to_go_on(order))
        return 130
    return 0


def _how_to_go_on(order: Order) -> str:
    words = [*order.words(), *([] if order.resume else ["--resume"])]
    kept = sorted((order.out / "training").glob("step-*"))
    known = f"{kept[-1]} is kept" if kept else "there is no checkpoint yet"
    return f"Ended; {known}. Go on with:\n    {shlex.join(['hub', 'model', 'train', *words])}"


def _devices() -> int:
    from models.train.fsdp import devices

    return devices()


def _from_nothing(order: Order, say: Say) -> None:
    from hub.make_model import speedrun
    from models.train.fsdp import Plan
    from models.train.home import Recipe

    usual = Recipe()
    rate = order.rate or usual.plan.rate
    plan = Plan(
        steps=order.steps or usual.plan.steps,
        save_every=order.save_every,
        matrix_rate=usual.plan.matrix_rate * rate / usual.plan.rate,
        rate=rate,
        fall=order.fall or usual.plan.fall,
        recompute=order.recompute,
    )
    recipe = Recipe(batch_tokens=order.batch_tokens or usual.batch_tokens, plan=plan)
    made = speedrun(recipe, order.out, say, resume=order.resume)
    if made is not None:
        say(f"{made} can be given to the hub as it is.")


def _from_checkpoint(order: Order, source: Path, say: Say) -> None:
    from hub.make_model import pairs
    from intents.line import symbols
    from models.export.checkpoint import open_checkpoint
    from models.train.fsdp import Plan
    from models.train.tune import Tuning, find_tokenizer, tune

    usual = Tuning()
    plan = Plan(
        steps=order.steps or usual.plan.steps,
        save_every=order.save_every,
        matrix_rate=0.0,
        rate=order.rate or (RATE_LORA if order.lora else RATE_WHOLE),
        warm_up=usual.plan.warm_up,
        fall=order.fall or usual.plan.fall,
        grid=0.0,
        recompute=order.recompute,
        lora=order.lora,
    )
    tuning = Tuning(batch_tokens=order.batch_tokens or usual.batch_tokens, plan=plan)
    checkpoint = open_checkpoint(source, order.preset)
    tokenizer = order.tokenizer or find_tokenizer(source)
    if tune(tuning, checkpoint, tokenizer, pairs, symbols(), order.out, say, resume=order.resume) is not None:
        next_one = ["hub", "model", "export", str(order.out), "--out", str(order.out / "model.gguf")]
        say(f"{order.out} is trained. Make a model file of it with:\n    {shlex.join(next_one)}")


def _start(order: Order, count: int) -> None:
    """Has torchrun start `count` processes of this module, and ends them all where this one is ended."""
    torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(count), "-m", "hub.train"]
    threads = str(max(1, (os.cpu_count() or 1) // count))
    said: deque[str] = deque(maxlen=400)
    with (
        _ended_like_ctrl_c(),
        subprocess.Popen(
            [sys.executable, "-m", *torchrun, *order.words()],
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C comes to this process alone, which passes it on in order
            env={"OMP_NUM_THREADS": threads} | os.environ,
        ) as process,
    ):
        try:
            assert process.stderr is not None
            said.extend(process.stderr)
            code = process.wait()
        except KeyboardInterrupt:
            _end(process)
            raise
    if code:
        _failed(said)


def _end(process: subprocess.Popen[str]) -> None:
    """torchrun passes the signal on to its processes and waits for them; a second Ctrl-C does not disturb that."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    process.terminate()
    process.communicate()  # how torchrun tells of the signal is for nobody


def _failed(said: deque[str]) -> None:
    """The error that one of the processes has told; else all that they wrote, which is about torch or this program."""
    told = [line.removeprefix("hub: ").strip() for line in said if line.startswith("hub: ")]
    if not told:
        sys.stderr.writelines(said)
    raise ModelError(told[0] if told else "a process of the training ended; what it wrote stands above")


@contextmanager
def _ended_like_ctrl_c() -> Iterator[None]:
    """While torchrun runs, whoever ends this process ends it as Ctrl-C does: nothing else would end torchrun.

    What is ignored (by nohup, say) stays so.
    """
    before = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for name, handler in before.items():
        signal.signal(name, handler if handler is signal.SIG_IGN else signal.default_int_handler)
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


if __name__ == "__main__":
    from hub.cli import main

    sys.argv = ["hub", "model", "train", *sys.argv[1:]]
    main()
