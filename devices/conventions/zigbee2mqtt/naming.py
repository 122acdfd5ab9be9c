"""What people call a Zigbee device, and where its name says that it stands."""

from __future__ import annotations

import re
from dataclasses import dataclass

from devices.conventions.values import spoken

# Folders that sort devices by what they are and not by where they stand.
_SORTS = frozenset(
    "blind bulb button climate contact cover curtain device fan group home house lamp light lock motion outlet plug "
    "radiator remote sensor shutter socket switch test thermostat zigbee zigbee2mqtt".split()
)
_FLOOR = re.compile(r"(up|down)stairs|(ground|first|second|third|fourth|top|lower|upper|\d+(st|nd|rd|th)?) floor")
_NUMBERED = re.compile(r"l(\d+)")  # end points that are only counted: l1, l2


@dataclass(frozen=True, slots=True)
class Name:
    """A friendly name, whose folders are usually rooms: `upstairs/kitchen/ceiling lamp`, as the bridge's manual shows."""

    friendly: str

    @property
    def called(self) -> str:
        """The last part, as it is said."""
        return spoken(self.friendly.rsplit("/", 1)[-1]) or spoken(self.friendly)

    @property
    def whole(self) -> str | None:
        """All parts, as they are said; None where there is one only."""
        said = " ".join(filter(None, (spoken(part) for part in self.friendly.split("/"))))
        return said if "/" in self.friendly and said and said != self.called else None

    @property
    def area(self) -> str | None:
        return next((_titled(f) for f in reversed(self._folders) if not _FLOOR.fullmatch(f.lower())), None)

    @property
    def floor(self) -> str | None:
        return next((_titled(f) for f in self._folders if _FLOOR.fullmatch(f.lower())), None)

    def part(self, words: str) -> tuple[str, tuple[str, ...]]:
        """The name of a part of the device, and its other names."""
        of = f" {words}" if words else ""
        return f"{self.called}{of}", (f"{self.whole}{of}",) if self.whole else ()

    @property
    def _folders(self) -> list[str]:
        """Those that say where."""
        said = [spoken(part) for part in self.friendly.split("/")[:-1]]
        return [f for f in said if f.strip() and f.lower().rstrip("s") not in _SORTS and f.lower() not in _SORTS]


def endpoint_words(endpoint: str) -> str:
    """An end point as it is said: `left`, and `1` for l1."""
    counted = _NUMBERED.fullmatch(endpoint)
    return counted[1] if counted else spoken(endpoint)


def _titled(words: str) -> str:
    return words[0].upper() + words[1:]
