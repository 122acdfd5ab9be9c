"""What `hub doctor` says of one thing: that it is fine, or what is wrong with it and what mends it. Imports nothing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """How a thing stands."""

    FINE = "fine"
    NOTE = "note"  # not wrong, but worth knowing
    WRONG = "wrong"
    SKIPPED = "skipped"  # could not be looked at, because of something that is wrong


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `mend` is the command, or what to do where there is none. Names no device."""

    about: str
    level: Level
    what: str
    mend: str = ""

    def as_dict(self) -> dict[str, str]:
        return {"about": self.about, "level": self.level.value, "what": self.what, "mend": self.mend}

    def in_words(self) -> str:
        """For a terminal: the mend stands on a line of its own, so that it can be copied."""
        word = self.level.value.upper() if self.level is Level.WRONG else self.level.value
        line = f"{word:8} {self.about:10} {self.what}"
        return f"{line}\n{'':19} -> {self.mend}" if self.mend else line


def fine(about: str, what: str) -> Finding:
    return Finding(about, Level.FINE, what)


def note(about: str, what: str, mend: str = "") -> Finding:
    return Finding(about, Level.NOTE, what, mend)


def wrong(about: str, what: str, mend: str) -> Finding:
    return Finding(about, Level.WRONG, what, mend)


def skipped(about: str, what: str) -> Finding:
    return Finding(about, Level.SKIPPED, what)
