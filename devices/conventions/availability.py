"""Whether a device is there, where several topics have a say in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum


class Mode(Enum):
    """How several topics decide."""

    ALL = "all"
    ANY = "any"
    LATEST = "latest"


@dataclass(frozen=True, slots=True)
class Source:
    """One topic, and what its payload means; None where it means nothing."""

    topic: str
    read: Callable[[str], bool | None]


@dataclass(slots=True)
class Availability:
    """Remembers what each topic said last, because no single message tells the whole.

    This is kept here and not in the device's state: it is no report of the device, and must not make one look fresh.
    """

    sources: tuple[Source, ...] = ()
    mode: Mode = Mode.LATEST
    _heard: dict[int, bool] = field(default_factory=dict)

    @property
    def topics(self) -> frozenset[str]:
        return frozenset(s.topic for s in self.sources)

    def take(self, topic: str, payload: str) -> bool | None:
        """Whether the device is there now; None when the message does not tell."""
        told = None
        for index, source in enumerate(self.sources):
            if source.topic == topic and (said := source.read(payload)) is not None:
                self._heard[index] = told = said
        if told is None or self.mode is Mode.LATEST:
            return told
        if self.mode is Mode.ALL:
            return all(self._heard.values())
        if any(self._heard.values()):
            return True
        return False if len(self._heard) == len(self.sources) else None
