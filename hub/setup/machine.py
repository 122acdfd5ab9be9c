"""The step `board`: what machine this is, what is against it, and how many threads are fastest, as measured on it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hub import bench, board
from hub.board import Board
from hub.forms import Changes
from hub.setup.asking import SetupError
from hub.setup.step import Desk, Result, Step, run, whole
from models.files import resolve_model

ROUNDS = 2  # of twelve sentences each; about a second on a Raspberry Pi 5 for each number of threads
WORTH = 0.85  # a further thread has to bring as much: it is taken from everything else in the house
SPEECH_MOST = 4  # threads; Whisper's small models gain nothing from more


def take(desk: Desk) -> Result:
    """Raises as the questions do, SetupError for a board that is too weak, and ModelError."""
    found = board.look(desk.root)
    desk.asker.say(f"This is {found.in_words()}.")
    if found.temperature is not None:
        desk.asker.say(f"It has {found.temperature:.0f} degrees.")
    _warn(desk, found)
    advice = board.advise(found)
    desk.asker.say(
        "The model that reads your sentences ships with the hub: 4 bit, 3 MB, and fits every board."
        + (f" There is room for {advice.larger} (4 bit) too." if advice.larger else "")
    )
    threads = advice.threads
    if found.cores > 1 and desk.asker.yes("measure", "Measure how many threads are fastest here?", True):
        threads = fastest(_measured(desk, found.cores))
    threads = whole(desk, "threads", "Processor threads for it", threads, max(found.cores, threads))
    speech = max(1, min(SPEECH_MOST, found.cores - 1))
    changes: Changes = {("model", "threads"): threads, ("voice", "threads"): speech}
    return Result(f"{found.name}, {found.cores} cores, {threads} for the model, {speech} for speech", changes)


def _warn(desk: Desk, found: Board) -> None:
    urgent = False
    for trouble in board.advise(found).troubles:
        desk.asker.say(f"  ! {trouble.what}: {trouble.mend}")
        urgent = urgent or trouble.urgent
    if urgent and not desk.asker.yes("anyway", "That should be mended first. Go on all the same?", False):
        raise SetupError("the board is to be mended first; then: hub setup")


def _measured(desk: Desk, cores: int) -> Mapping[int, float]:
    """The median milliseconds of a sentence by the number of threads. Raises ModelError."""
    file = resolve_model(desk.settings.model.file)
    times: dict[int, float] = {}
    for threads in sorted({1, 2, max(1, cores - 1)} - {cores}) or [1]:
        times[threads] = run(_one(file, threads, desk))
        desk.asker.say(f"  {threads} thread{'s' * (threads > 1)}: {times[threads]:.1f} ms a sentence")
    return times


async def _one(file: Path, threads: int, desk: Desk) -> float:
    return (await bench.measure(file, threads, ROUNDS, desk.asker.progress)).ms_median


def fastest(times: Mapping[int, float]) -> int:
    """The least number of threads to which no larger one is worth it."""
    best = min(times)
    for threads in sorted(times):
        if times[threads] < WORTH * times[best]:
            best = threads
    return best


STEP = Step("board", "The board", frozenset({"measure", "threads", "anyway"}), take)
