"""Trains a small Whisper from nothing on clips of speech: batches, loss, loop, checkpoints, learning curve.

An attention model this small takes long to find out which sound belongs to which word. A second head on the encoder,
which guesses the letters by CTC and is thrown away afterwards, tells it that from the start.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from models import ModelError
from models.train.curve import write_curve
from models.train.mels import HOP, Values, features
from models.train.muon import Muon
from models.train.pieces import LETTERS, Pieces
from models.train.surroundings import Surroundings
from models.train.whisper import MELS, PLACES, POSITIONS, Whisper, WhisperConfig

_IGNORE = -100
_LETTERS = LETTERS + " "
_POOL = 16  # batches that are drawn together and sorted by length, so that little is padded
_SPARE = 60  # frames at most that a window is longer than its longest clip
_KEPT = 2  # checkpoints
_LONGEST_PROMPT = 200  # tokens; faster-whisper cuts at 223

Log = Callable[[str], None]


class Clips(Protocol):
    """Speech with its words."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """How many samples each has."""

    def __getitem__(self, number: int, /) -> tuple[Values, str]:
        """Samples of 16 kHz from -1 to 1, and the words in them, in letters only; "" where nobody speaks."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run does. Raises ModelError for what cannot be done.

    In use every window is of 30 seconds, most of which nothing fills. Here it is so in each step whose number `every`
    divides, and in the last share `full` of them; in all others it is about as long as the clips, which costs a
    fifteenth. A network that first meets long windows at the end has learned by then to look at all of them.
    """

    steps: int = 5000
    batch: int = 32
    full_batch: int = 8
    save_every: int = 250
    matrix_rate: float = 0.02  # of Muon, for the matrices of the layers
    rate: float = 0.003  # of AdamW, for the rest
    warm_up: float = 0.04
    every: int = 20
    full: float = 0.04
    prompted: float = 0.35  # the share of the batches that are given names to expect
    ctc: float = 1.0  # the weight of the second head's loss at the start; it falls to a fifth of that
    seed: int = 1
    threads: int = 0  # as many as torch takes by itself

    def __post_init__(self) -> None:
        if min(self.steps, self.batch, self.full_batch, self.save_every) < 1 or self.full_batch > self.batch:
            raise ModelError(
                "a training needs steps, checkpoints, and clips in each step, no more of them where windows are long"
            )
        if not (0 < self.rate < 1 and 0 <= self.matrix_rate < 1):
            raise ModelError("a learning rate lies between 0 and 1")
        if self.every < 1 or not 0 <= self.full <= 1:
            raise ModelError("long windows come every so many steps, and in a last share of them from 0 to 1")

    def frames(self, step: int) -> int:
        """How many frames a window has at least in this step, of a hundred a second."""
        long = (step + 1) % self.every == 0 or step >= (1 - self.full) * self.steps
        return 2 * POSITIONS if long else 0

    def work(self, step: int) -> float:
        """How many clips in windows of their own length cost as much as this step."""
        return 15.0 * self.full_batch if self.frames(step) else float(self.batch)

    def share(self, step: int) -> float:
        """The share of the rates in this step: they rise, then fall to nothing."""
        rising = max(1, round(self.warm_up * self.steps))
        return min((step + 1) / rising, (self.steps - step) / max(1, self.steps - rising))


@dataclass(frozen=True, slots=True)
class Batch:
    """Features [batch, MELS, frames], how many frames of each are sound, tokens in, what follows each of them (_IGNORE
    for what is not learned), and the letters of all texts one behind the other, with how many each has.
    """

    features: Tensor
    lengths: Tensor
    inputs: Tensor
    targets: Tensor
    letters: Tensor
    spelled: Tensor


@dataclass(frozen=True, slots=True)
class Data:
    """What batches are made of: clips, the names that may be told beforehand, and where the clips were recorded."""

    clips: Clips
    pieces: Pieces
    prompts: Sequence[str] = ()
    surroundings: Surroundings = field(default_factory=Surroundings)

    def batch(self, chosen: Sequence[int], rng: np.random.Generator, frames: int = 0, prompted: float = 0.0) -> Batch:
        """The clips of these numbers, in a window of at least so many frames."""
        sounds, texts = [], []
        for number in chosen:
            values, text = self.clips[number]
            placed = self.surroundings.placed(values, rng)[: 2 * POSITIONS * HOP - HOP]
            sounds.append(features(placed, self.surroundings.tilt(rng, MELS)))
            texts.append(text)
        prompt: list[int] = []
        if self.prompts and rng.random() < prompted:
            names = self.pieces.cut(self.prompts[int(rng.integers(len(self.prompts)))])
            prompt = [self.pieces.before, *names[:_LONGEST_PROMPT]]
        # What Whisper is given ends in nothing at all, and no silence: there is a little of that in every window.
        longest = max(frames, *(sound.shape[1] for sound in sounds)) + int(rng.integers(0, _SPARE))
        return _batch(sounds, texts, prompt, self.pieces, longest)

    def batches(self, plan: Plan, first: int) -> Iterator[Batch]:
        """The batches from step `first` on, without end, always the same for a step."""
        for step in range(first, plan.steps):
            frames = plan.frames(step)
            rng = np.random.default_rng([plan.seed, 2, step])
            chosen = self._chosen(plan, step)[: plan.full_batch if frames else plan.batch]
            yield self.batch(chosen, rng, frames, plan.prompted)

    def _chosen(self, plan: Plan, step: int) -> list[int]:
        """A pool of clips sorted by length, of which this step has its part."""
        rng = np.random.default_rng([plan.seed, 1, step // _POOL])
        pool = rng.integers(0, len(self.clips.lengths), _POOL * plan.batch)
        sorted_ = pool[np.argsort(self.clips.lengths[pool], kind="stable")]
        parts = rng.permutation(sorted_.reshape(_POOL, plan.batch))
        return [int(n) for n in np.random.default_rng([plan.seed, 3, step]).permutation(parts[step % _POOL])]


def _batch(sounds: list[Values], texts: list[str], prompt: list[int], pieces: Pieces, frames: int) -> Batch:
    heard = np.zeros((len(sounds), MELS, min(frames + frames % 2, 2 * POSITIONS)), np.float32)
    lines = [[*prompt, pieces.start, pieces.plain, *pieces.cut(text), pieces.end] for text in texts]
    inputs = torch.full((len(lines), max(map(len, lines)) - 1), pieces.end)
    targets = torch.full_like(inputs, _IGNORE)
    for row, (sound, line, text) in enumerate(zip(sounds, lines, texts, strict=True)):
        heard[row, :, : sound.shape[1]] = sound[:, : heard.shape[2]]
        inputs[row, : len(line) - 1] = torch.tensor(line[:-1])
        targets[row, len(prompt) : len(line) - 1] = torch.tensor(line[len(prompt) + 1 :])
        if not text:
            targets[row, len(prompt)] = pieces.no_speech
    lengths = torch.tensor([min(sound.shape[1], heard.shape[2]) for sound in sounds])
    letters = torch.tensor([_LETTERS.index(letter) for text in texts for letter in text], dtype=torch.long)
    # More than the decoder has places for is nothing that is said in 30 seconds.
    inputs, targets = inputs[:, :PLACES], targets[:, :PLACES]
    return Batch(
        torch.from_numpy(heard), lengths, inputs, targets, letters, torch.tensor([len(text) for text in texts])
    )


class Student(nn.Module):
    """The network with the head that is only there while it learns."""

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        self.model = Whisper(config)
        self.letters = nn.Linear(config.width, len(_LETTERS) + 1)  # the last one is CTC's blank

    def losses(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """The loss of the text, that of the second head, and the share of the tokens that were guessed right."""
        heard = self.model.encoder(batch.features)
        kept = batch.targets != _IGNORE
        scores = self.model.scores(self.model.decoder(batch.inputs, heard)[kept])
        targets = batch.targets[kept]
        return F.cross_entropy(scores, targets), self._ctc(heard, batch), (scores.argmax(1) == targets).float().mean()

    def _ctc(self, heard: Tensor, batch: Batch) -> Tensor:
        positions = (batch.lengths + 1) // 2
        guesses = self.letters(heard[:, : int(positions.max())]).log_softmax(2).transpose(0, 1)
        loss = F.ctc_loss(
            guesses, batch.letters, positions, batch.spelled, len(_LETTERS), reduction="sum", zero_infinity=True
        )
        return loss / batch.spelled.sum().clamp(min=1)


@dataclass(frozen=True, slots=True)
class Learned:
    """What a run has come to; the speed is that of clips in windows of their own length. See Plan.work.

    `seconds` are those of all its parts, where it was gone on from a checkpoint; the speed is that of the last one.
    """

    model: Whisper
    losses: tuple[float, ...]
    clips_per_second: float
    seconds: float


def train(plan: Plan, config: WhisperConfig, data: Data, folder: Path, log: Log, *, resume: bool = False) -> Learned:
    """The whole run, from nothing or with `resume` from the newest checkpoint in `folder`, which also gets curve.svg.

    Raises ModelError.
    """
    torch.manual_seed(plan.seed)
    if plan.threads:
        torch.set_num_threads(plan.threads)
    student = Student(config)
    optimizers = _optimizers(plan, student)
    if not resume:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    losses, before = _restore(folder, student, optimizers, plan) if resume else ([], 0.0)
    began, work = time.monotonic(), 0.0
    for step, batch in enumerate(_ahead(data.batches(plan, len(losses))), len(losses)):
        loss, ctc, right = _step(plan, student, optimizers, batch, step)
        losses.append(loss)
        work += plan.work(step)
        if (step + 1) % 20 == 0 or step + 1 == plan.steps:
            log(_progress(plan, losses, ctc, right, work / (time.monotonic() - began)))
        if (step + 1) % plan.save_every == 0 or step + 1 == plan.steps:
            _save(folder, student, optimizers, losses, before + time.monotonic() - began)
            write_curve(folder / "curve.svg", losses)
    seconds = time.monotonic() - began
    return Learned(student.model.eval(), tuple(losses), work / max(seconds, 1e-9), before + seconds)


def _step(
    plan: Plan, student: Student, optimizers: Sequence[Any], batch: Batch, step: int
) -> tuple[float, float, float]:
    share = plan.share(step)
    for optimizer, rate in zip(optimizers, (plan.matrix_rate, plan.rate), strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate * share
        optimizer.zero_grad()
    loss, ctc, right = student.losses(batch)
    weight = plan.ctc * max(0.2, 1 - step / plan.steps)
    (loss + weight * ctc).backward()  # type: ignore[no-untyped-call] # torch's own
    if not math.isfinite(loss.item()):
        raise ModelError(f"the loss of step {step + 1} is no number; lower the learning rates, and --resume")
    nn.utils.clip_grad_norm_(student.parameters(), 1.0)
    for optimizer in optimizers:
        optimizer.step()
    return loss.item(), ctc.item(), right.item()


def _optimizers(plan: Plan, student: Student) -> tuple[Muon, torch.optim.AdamW]:
    """Muon for the matrices of the layers, AdamW for all else."""
    named = [(name, p) for name, p in student.named_parameters() if p.requires_grad]
    inner = [p for name, p in named if "layers." in name and p.dim() == 2]
    rest = [p for name, p in named if not ("layers." in name and p.dim() == 2)]
    return Muon(inner, lr=plan.matrix_rate), torch.optim.AdamW(rest, lr=plan.rate, betas=(0.9, 0.98), weight_decay=0.01)


def _progress(plan: Plan, losses: Sequence[float], ctc: float, right: float, speed: float) -> str:
    recent, done = losses[-20:], len(losses)
    left = sum(plan.work(step) for step in range(done, plan.steps)) / speed / 60
    return (
        f"step {done} of {plan.steps}: loss {sum(recent) / len(recent):.3f}, by CTC {ctc:.2f}, "
        f"{right:.0%} of the tokens right, {speed:.1f} clips a second, {left:.0f} minutes left"
    )


def _ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same, of which the next one is being made while one is in use."""
    with ThreadPoolExecutor(1) as maker:
        coming = maker.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = maker.submit(next, batches, None)
            yield batch


# -- checkpoints


def _save(folder: Path, student: Student, optimizers: Sequence[Any], losses: Sequence[float], seconds: float) -> None:
    file = folder / f"step-{len(losses):08}.pt"
    part = file.with_suffix(".part")
    kept = [optimizer.state_dict() for optimizer in optimizers]
    state = {"student": student.state_dict(), "optimizers": kept, "losses": [*losses], "seconds": seconds}
    try:
        torch.save(state, part)
        part.replace(file)
    except (OSError, RuntimeError) as error:
        part.unlink(missing_ok=True)
        raise ModelError(f"{file}: the checkpoint cannot be written ({error})") from error
    for old in sorted(folder.glob("step-*.pt"))[:-_KEPT]:
        old.unlink()


def _restore(folder: Path, student: Student, optimizers: Sequence[Any], plan: Plan) -> tuple[list[float], float]:
    """The losses so far and the seconds that they took; none where there is no checkpoint. Raises ModelError for one of another network or run."""
    found = sorted(folder.glob("step-*.pt"))
    if not found:
        return [], 0.0
    try:
        state = torch.load(found[-1], weights_only=True)
        student.load_state_dict(state["student"])
        for optimizer, kept in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
    except Exception as error:  # torch's own errors for damaged files have no root
        raise ModelError(f"{found[-1]}: cannot be gone on from with these sizes ({str(error)[:200]})") from None
    losses, seconds = list(state["losses"]), float(state["seconds"])
    if len(losses) > plan.steps:
        raise ModelError(f"{found[-1]}: {len(losses)} steps are done already, of {plan.steps}")
    return losses, seconds
