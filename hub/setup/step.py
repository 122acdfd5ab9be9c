"""What a step of the wizard is: it asks, it checks what was answered, and says what the settings are to be."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from hub import settings as files
from hub.forms import Changes
from hub.settings import Settings
from hub.setup.asking import Asker

T = TypeVar("T")

NOTHING: Changes = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Desk:
    """What a step has before it: whom it asks, the settings file (which need not be there yet), the system's root."""

    asker: Asker
    file: Path
    root: Path = Path("/")

    @property
    def settings(self) -> Settings:
        """What the settings are now. Raises SettingsError."""
        return files.load(self.file) if self.file.exists() else Settings()


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a step: the settings that it changes, one line for the report, and whether it is done.

    What was left out because it cannot be done here says so in `note` and is `skipped`.
    """

    note: str
    changes: Changes = field(default_factory=lambda: NOTHING)
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its name for `hub setup NAME`, its heading, the keys of its questions, and its work.

    `take` asks and checks, and changes nothing but what its text says; what it gives is written afterwards. It raises
    Back, Skip and Stop, and HubError, ModelError and DeviceError where it cannot be done.
    """

    name: str
    title: str
    questions: frozenset[str]
    take: Callable[[Desk], Result]


def run(work: Coroutine[Any, Any, T]) -> T:
    """What `work` gives. Ctrl-C ends it, with everything closed: it waits until there is a loop, and for its end."""

    async def interruptible() -> T:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        try:
            return await work
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})

    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return asyncio.run(interruptible())
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def whole(desk: Desk, key: str, question: str, default: int, most: int) -> int:
    """A whole number from 1 to `most`. Raises as the questions do."""
    while True:
        said = desk.asker.ask(key, question, str(default))
        if said.isdecimal() and 1 <= int(said) <= most:
            return int(said)
        desk.asker.again(f"{said!r} is no whole number from 1 to {most}.")


def by_name(steps: tuple[Step, ...]) -> Mapping[str, Step]:
    return MappingProxyType({step.name: step for step in steps})
