"""The record of one command: what was said, what was understood, what was sent and reported, and what was replied."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType

from devices.control import Outcome, Report

KINDS = ("act", "ask", "refuse", "answer", "error")
STEPS = ("read", "parse", "resolve", "act")  # model reads | model writes | code finds the devices | the devices obey


@dataclass(frozen=True, slots=True)
class Order:
    """One command to one device and what came of it, under the name that people know."""

    name: str
    report: Report

    def as_json(self) -> dict[str, object]:
        command = self.report.command
        return {
            "device": command.device_id,
            "name": self.name,
            "action": command.action.value,
            "value": command.value,
            "outcome": self.report.outcome.value,
            "sent": [{"topic": m.topic, "payload": m.payload.decode(errors="replace")} for m in self.report.sent],
            "reported": dict(self.report.reported),
            "reason": self.report.reason,
            "ms": round(self.report.ms, 1),
        }


# What happens in a spoken turn, in this order.
MOMENTS = ("wake", "ended", "heard", "understood", "published", "confirmed", "sound")


@dataclass(frozen=True, slots=True)
class Spoken:
    """How a turn was spoken: at which post, after which wake word ("" for an answer to a question of the hub's) and how
    surely that was heard, and the words as Whisper wrote them, before names were put right.

    `at` has each of MOMENTS that there was, in milliseconds after the end of the last word: the wake word was heard, the
    command counted as over, its words were there, its meaning, the broker had the orders, the devices had confirmed
    them, the first sound of the answer was out.
    """

    post: str
    wake: str = ""
    score: float = 0.0
    heard: str = ""
    logprob: float = 0.0
    no_speech: float = 0.0
    at: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    def as_json(self) -> dict[str, object]:
        return {
            "post": self.post,
            "wake": self.wake,
            "score": round(self.score, 3),
            "heard": self.heard,
            "logprob": round(self.logprob, 3),
            "no_speech": round(self.no_speech, 3),
            "at": {moment: round(ms, 1) for moment, ms in self.at.items()},
        }


@dataclass(frozen=True, slots=True)
class Turn:
    """One finished turn. `line` is what the model wrote, `actions` what that means in this house.

    `ms` has the milliseconds of each of STEPS that was taken, and "all". `done` says that everything that was asked
    for was done or answered: each device confirmed it, was so already, or is one that never reports. `kind` is one
    of KINDS. `asks` is "pin" where the PIN is to be said next; it is in no field.
    """

    text: str
    reply: str
    kind: str
    done: bool
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    room: str = ""
    line: str = ""
    actions: tuple[Mapping[str, object], ...] = ()
    confidence: float = 0.0
    asks: str = ""
    orders: tuple[Order, ...] = ()
    ms: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    spoken: Spoken | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"not a kind of turn: {self.kind}")

    @property
    def confirmed(self) -> bool:
        """Every order was confirmed by the device's own report, and there was at least one."""
        outcomes = {o.report.outcome for o in self.orders}
        return bool(outcomes) and outcomes <= {Outcome.CONFIRMED, Outcome.ALREADY_SO}

    def as_json(self) -> dict[str, object]:
        return {
            "id": self.id,
            "at": self.at.isoformat(timespec="milliseconds"),
            "text": self.text,
            "room": self.room,
            "outcome": self.kind,
            "done": self.done,
            "reply": self.reply,
            "understood": self.line,
            "actions": [dict(a) for a in self.actions],
            "confidence": round(self.confidence, 4),
            **({"asks": self.asks} if self.asks else {}),
            "orders": [o.as_json() for o in self.orders],
            "ms": {step: round(ms, 1) for step, ms in self.ms.items()},
            **({"spoken": self.spoken.as_json()} if self.spoken else {}),
        }


def went_well(outcome: Outcome) -> bool:
    """Nothing is left to do or to doubt but what the device itself never tells."""
    return outcome in (Outcome.CONFIRMED, Outcome.ALREADY_SO, Outcome.ACCEPTED)
