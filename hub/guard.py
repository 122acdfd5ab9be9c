"""What opens the house, and who may: orders that need the PIN, the open question for it, and wrong ones counted.

What needs it is pure. `Guard` remembers the questions; the count of wrong PINs is on disk, so that no restart forgives them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from devices.device import Device, Kind
from hub import pin
from hub.pin import Said
from intents.homes import Home
from intents.intent import QUESTIONS, Wish
from intents.understand import Understanding

log = logging.getLogger(__name__)

ASKS_FOR = 45.0  # seconds; enough to type it on a telephone, and to be asked once more at a microphone
AT_ONCE = 100  # open questions; more are made up by somebody
TRIES = 3  # wrong ones in a row before nothing is taken any more
FIRST_LOCK, LONGEST_LOCK = 60.0, 3600.0  # seconds; each wrong one more doubles it: all of 10,000 would take a year
_COVERS = frozenset({"garage", "garage_door", "gate", "door"})
_OPENS = frozenset({"open", "set_position", "turn_on", "toggle"})
_SHUTS = frozenset({"lock", "close"})
_SILENCES = frozenset({"turn_off", "toggle"})

Key = tuple[str, str, str]  # through what it was said, in which room, in which conversation


class Verdict(Enum):
    """What came of a PIN."""

    RIGHT = "right"
    WRONG = "wrong"
    LOCKED = "locked"  # not even looked at: too many were wrong


@dataclass(frozen=True, slots=True)
class Waiting:
    """A command that is done once the PIN has been said: its words, what they mean, and since when it waits."""

    text: str
    understanding: Understanding
    at: float


# -- what opens the house


def is_guarded(wish: Wish, home: Home) -> bool:
    """Whether it locks or unlocks, or opens what keeps people out: there a wrong act is worse than none."""
    if wish.intent in ("lock", "unlock"):
        return True
    return wish.intent in _OPENS and any(keeps_people_out(d) for d in _meant(wish, home))


def keeps_people_out(device: Device) -> bool:
    return device.kind is Kind.LOCK or (device.kind is Kind.COVER and device.device_class in _COVERS)


def needs_pin(wish: Wish, home: Home) -> bool:
    """Whether it unlocks, opens or silences what is to keep people out, or moves what the settings call sensitive.

    What shuts never needs it.
    """
    if wish.intent in _SHUTS or wish.intent in QUESTIONS or (wish.intent == "set_position" and _is_shut(wish)):
        return False
    return any(_opens(wish.intent, device) for device in _meant(wish, home))


def _opens(intent: str, device: Device) -> bool:
    if device.sensitive is not None:
        return device.sensitive
    if device.kind is Kind.SIREN:
        return intent in _SILENCES
    return intent == "unlock" or (intent in _OPENS and keeps_people_out(device))


def _is_shut(wish: Wish) -> bool:
    return wish.slots.get("value") == 0 and "delta" not in wish.slots


def _meant(wish: Wish, home: Home) -> list[Device]:
    """Its devices, and those in the groups among them."""
    found = [d for target in wish.targets if (d := home.device(target)) is not None]
    return found + [d for group in found for member in group.members if (d := home.device(member)) is not None]


# -- who may


class Guard:
    """The PIN of which `kept` is kept ("" for none), the questions for it, and in `file` the wrong ones.

    `clock` measures how long a question is open, `wall` how long nothing is taken, also over a restart.
    """

    def __init__(
        self,
        kept: str,
        file: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._kept = kept
        self._file = file
        self._clock = clock
        self._wall = wall
        self._waiting: dict[Key, Waiting] = {}
        self._wrong, self._at = _read(file)

    @property
    def on(self) -> bool:
        """Whether a PIN is set at all."""
        return bool(self._kept)

    def hear(self, text: str) -> Said:
        """The utterance without a PIN in it, where one is set: nothing else of it is to be read, kept or shown."""
        return pin.apart(text) if self.on else Said(text)

    def ask(self, key: Key, waiting: Waiting) -> None:
        """From now on this waits for the PIN, which has to come from where it was said."""
        self._waiting.pop(key, None)
        while len(self._waiting) >= AT_ONCE:
            self._waiting.pop(next(iter(self._waiting)))
        self._waiting[key] = waiting

    def take(self, key: Key) -> Waiting | None:
        """What waits there for the PIN, and does so no longer."""
        found = self._waiting.pop(key, None)
        return found if found is not None and self._clock() - found.at <= ASKS_FOR else None

    def asks(self, key: Key) -> bool:
        """Whether something waits there for the PIN."""
        found = self._waiting.get(key)
        return found is not None and self._clock() - found.at <= ASKS_FOR

    def shown(self, text: str, key: Key) -> str:
        """The utterance as it may be shown and logged, before anything was done about it."""
        heard = self.hear(text)
        return pin.HIDDEN if self.asks(key) and not heard.digits and pin.numeric(text) else heard.text

    @property
    def locked_for(self) -> float:
        """The seconds for which no PIN is taken; 0 where one is."""
        if self._wrong < TRIES:
            return 0.0
        doublings = min(self._wrong - TRIES, 20)
        length = min(LONGEST_LOCK, FIRST_LOCK * float(1 << doublings))
        # A clock that was set back, or is not yet right after a start, lengthens it to one whole time at most.
        return max(0.0, min(length, self._at + length - self._wall()))

    async def check(self, digits: str) -> Verdict:
        """Whether this is the PIN. It counts as wrong until it is known to be right: whoever tries many at once is
        counted as well.
        """
        if self.locked_for:
            return Verdict.LOCKED
        before = self._wrong
        self._count(before + 1)
        if await asyncio.to_thread(pin.fits, digits, self._kept):
            self._count(0)
            return Verdict.RIGHT
        log.warning("a wrong PIN was said, number %d in a row", before + 1)
        return Verdict.WRONG

    def _count(self, wrong: int) -> None:
        self._wrong, self._at = wrong, self._wall()
        if self._file is None:
            return
        new = self._file.with_name(f"{self._file.name}.new")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                json.dump({"wrong": self._wrong, "at": self._at}, file)
            new.replace(self._file)
        except OSError as error:
            log.warning("wrong PINs are counted until the next start only: %s (%s)", self._file, error.strerror)


def _read(file: Path | None) -> tuple[int, float]:
    """How many were wrong, and when the last one was."""
    if file is not None:
        with suppress(OSError, ValueError, KeyError, TypeError):
            kept = json.loads(file.read_text(encoding="utf-8"))
            return max(0, int(kept["wrong"])), float(kept["at"])
    return 0, 0.0
