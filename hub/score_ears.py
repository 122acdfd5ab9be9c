"""What ears are worth: commands said by voices that were not in the training, heard by the real path, and what the hub
in the demo's home makes of them.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from statistics import median

import numpy as np

from devices.simulator import Home
from hub import speakers
from hub.aloud import COMMANDS, aloud
from hub.daemon import Hub, opened, settled
from hub.demo import broker, inside
from hub.listen import bias
from hub.settings import Settings
from hub.sound import RATE, Samples
from hub.speakers import Speaker
from intents.hearsay import names_of, repaired
from intents.intent import Outcome, Resolution
from models.hearing import Gate, Hearing, hotwords

_PAUSE = round(0.4 * RATE)  # before the command and behind it, about as it is cut out of what a microphone gives


@dataclass(frozen=True, slots=True)
class Trial:
    """One command: who said it, what was heard ("" where the gate did not believe it) and in how many milliseconds.

    `right` says whether the hub would do the same as for the typed words; None where it would do nothing for those either.
    """

    speaker: str
    said: str
    heard: str
    ms: float
    right: bool | None

    @property
    def errors(self) -> int:
        return word_errors(aloud(self.said).split(), aloud(self.heard).split())


@dataclass(frozen=True, slots=True)
class Scores:
    """Shares over some trials: of the words that were wrong, and of the commands that would be done as they were meant."""

    commands: int
    words_wrong: float
    meant: float
    ms: float

    def __str__(self) -> str:
        return f"{self.commands} commands: words wrong {self.words_wrong:.1%}, meant right {self.meant:.1%}, {self.ms:.0f} ms"


def scores(trials: Sequence[Trial]) -> Scores:
    """Of at least one trial."""
    words = sum(len(aloud(trial.said).split()) for trial in trials)
    meant = [trial.right for trial in trials if trial.right is not None]
    share = sum(meant) / len(meant) if meant else 0.0
    return Scores(
        len(trials), sum(t.errors for t in trials) / max(1, words), share, median(trial.ms for trial in trials)
    )


def by_voice(trials: Sequence[Trial]) -> dict[str, Scores]:
    """The scores of each speaker, under its name."""
    ordered = sorted(trials, key=lambda trial: trial.speaker)
    return {name: scores(list(group)) for name, group in groupby(ordered, lambda trial: trial.speaker)}


def word_errors(said: Sequence[str], heard: Sequence[str]) -> int:
    """The fewest words to put in, leave out or change that make one of the other."""
    before = list(range(len(heard) + 1))
    for n, word in enumerate(said, 1):
        row = [n]
        for m, other in enumerate(heard, 1):
            row.append(min(before[m] + 1, row[-1] + 1, before[m - 1] + (word != other)))
        before = row
    return before[-1]


async def trials(
    folder: Path,
    log: Callable[[str], None],
    commands: Sequence[str] = COMMANDS,
    by: Sequence[Speaker] = (),
    threads: int = 1,
) -> list[Trial]:
    """Each of the commands, said by each of the speakers (all that are held out, where none are named).

    Raises HubError and ModelError where a part is missing.
    """
    by = by or speakers.strangers(speakers.engines())
    found: list[Trial] = []
    with tempfile.TemporaryDirectory(prefix="hub-ears-") as state:
        async with broker() as address, Home(address), opened(inside(Settings(), address, state)) as hub:
            await settled(hub.link, hub.house)
            typed = {text: (await hub.pipeline.meaning(text))[0] for text in commands}
            async with Hearing(folder, threads=threads) as hearing:
                for speaker in by:
                    for text in commands:
                        samples = await asyncio.to_thread(speakers.say, speaker, text)
                        found.append(await _trial(hub, hearing, speaker, text, typed[text], samples))
                    log(f"{speaker.voice}: {scores(found[-len(commands) :])}")
    return found


async def _trial(hub: Hub, hearing: Hearing, speaker: Speaker, text: str, typed: Resolution, samples: Samples) -> Trial:
    names = hotwords(bias(hub.settings, hub.house.devices))
    heard = await hearing.hear(np.pad(samples, _PAUSE).astype("<i2").tobytes(), names)
    believed = "" if Gate().reason(heard) else heard.text
    right: bool | None = None
    if typed.outcome in (Outcome.ACT, Outcome.ANSWER):
        mended = repaired(believed, names_of(hub.pipeline.home()))
        right = bool(believed) and (await hub.pipeline.meaning(mended))[0] == typed
    return Trial(speaker.voice, text, believed, heard.ms, right)
