"""What was understood: wishes on devices, an answer to give, a question to ask back, or the reason why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from devices.command import Action
from intents.line import INTENTS

# The vocabulary of the outside: that of the line, without the generic verb, which the house has by then made concrete.
VOCABULARY: frozenset[str] = frozenset(INTENTS) - {"set"}
# Intents that ask and change nothing.
QUESTIONS = frozenset(
    "get_state get_temperature get_weather get_time get_date list_query alarm_query timer_status".split()
)
# Intents that need no device.
CHORES = frozenset(
    i for i in VOCABULARY if i.startswith(("timer_", "alarm_")) or i in ("delayed_command", "nevermind", "broadcast")
) | {"get_time", "get_date"}
# Wishes for which a wrong device is worse than no answer.
SENSITIVE = frozenset({"lock", "unlock"})

SlotValue = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Wish:
    """One thing that is to happen: an intent of the vocabulary, the devices that it concerns, and its values.

    Slots: value (0-100, degrees, a word), delta (a signed number), kelvin, color, area, seconds, start_seconds, name,
    command, item, list, search_query, media_class, state, quantity, message, when.
    """

    intent: str
    targets: tuple[str, ...] = ()
    slots: Mapping[str, SlotValue] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        if self.intent not in VOCABULARY:
            raise ValueError(f"not an intent: {self.intent}")

    @property
    def action(self) -> Action | None:
        """The verb for the devices, or None where it is no order to one."""
        try:
            return Action(self.intent)
        except ValueError:
            return None


class Outcome(StrEnum):
    """What is to be done about an utterance."""

    ACT = "act"
    ASK = "ask"
    REFUSE = "refuse"
    ANSWER = "answer"


class Because(StrEnum):
    """Why nothing is done, or what has to be asked first."""

    NOT_FOR_ME = "not_for_me"  # nothing was asked of the home
    NOT_UNDERSTOOD = "not_understood"  # the words are no sentence that can be read, or the model is not sure
    NO_SUCH_DEVICE = "no_such_device"  # `words` name nothing in this home
    NO_SUCH_ROOM = "no_such_room"
    CANNOT = "cannot"  # the device is there and has no such ability
    WHICH = "which"  # several fit: `candidates`
    WHICH_ROOM = "which_room"  # nothing was named, and the room is not known
    BAD_VALUE = "bad_value"  # `words` are no value of this kind
    TOO_LONG = "too_long"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why nothing is done: the reason, the words that it is about, the verb, and the devices among which to choose."""

    because: Because
    words: str = ""
    intent: str = ""
    candidates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Resolution:
    """All of an utterance: either every wish of it, or the one trouble that stopped it. Never half a sentence."""

    outcome: Outcome
    wishes: tuple[Wish, ...] = ()
    trouble: Trouble | None = None
