"""What every simulated device is: what it publishes, what it listens to, and what it does with a message. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from devices.conventions import Message

Wire = dict[str, object]  # the state in the words of the device's own payloads


class Thing(Protocol):
    """One simulated device. `obey` changes `state`; whoever runs the thing then publishes `report`."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def room(self) -> str: ...
    @property
    def state(self) -> Wire: ...

    def announcement(self) -> tuple[Message, ...]:
        """What it publishes of itself, retained, where it announces itself alone."""

    def listens(self) -> tuple[str, ...]:
        """The topics on which it takes commands and questions."""

    def obey(self, message: Message) -> bool:
        """Changes the state as a command says; False where the message is no command that it understands."""

    def asks(self, message: Message) -> bool:
        """The message only asks for the state."""

    def moves(self, share: float) -> bool:
        """Goes on with a movement by this share of a full travel; True while there is more to go."""

    def report(self) -> tuple[Message, ...]:
        """The state as it is published now."""

    def availability(self, there: bool) -> tuple[Message, ...]: ...

    def refusal(self, message: Message) -> tuple[Message, ...]:
        """What is published instead of obeying, when it refuses."""


@dataclass
class Travel:
    """A position from 0 (closed) to 100 (open) that takes time to change."""

    position: float = 0.0
    target: float = 0.0

    @property
    def direction(self) -> int:
        """1 while it opens, -1 while it closes, 0 at rest."""
        return (self.target > self.position) - (self.target < self.position)

    def step(self, share: float) -> bool:
        """Moves by a share of the full travel; True while it is not there yet."""
        far = self.target - self.position
        self.position += max(-share * 100, min(share * 100, far))
        return self.direction != 0

    def stop(self) -> None:
        self.target = self.position


def dump(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def load(payload: bytes) -> Mapping[str, object]:
    """The JSON object in a payload; empty when there is none."""
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def number(value: object, low: float, high: float) -> float | None:
    """The number in a payload, when it lies within these bounds."""
    try:
        found = float(str(value))
    except ValueError:
        return None
    return found if low <= found <= high else None
