"""What is to sound after a turn: its words, a chime in their place, or nothing. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time

from devices.control import Outcome
from devices.device import Device, Kind
from hub.chimes import Chime
from hub.settings import VoiceSettings
from hub.turn import Turn

SOFT = 0.35  # of the volume, at night
ALARM_ROUNDS = 8  # of chime and words, about half a minute

# Whoever is in the room sees or hears what these do. A lock, a thermostat or a timer has to be told.
_PLAIN_TO_SEE = frozenset({Kind.LIGHT, Kind.SWITCH, Kind.FAN, Kind.COVER, Kind.MEDIA_PLAYER, Kind.SCENE})

DeviceOf = Callable[[str], Device | None]


@dataclass(frozen=True, slots=True)
class Saying:
    """The chime, then the words; all of it `rounds` times. `volume` is a share of the voice's."""

    words: str = ""
    chime: Chime | None = None
    volume: float = 1.0
    rounds: int = 1

    def __bool__(self) -> bool:
        return bool(self.words or self.chime)


NOTHING = Saying()


def answer(turn: Turn, room: str, device_of: DeviceOf, voice: VoiceSettings, now: time) -> Saying:
    """What to let be heard of a turn in this room, at this time of day."""
    night = is_quiet(voice.quiet_hours, now)
    if night and voice.at_night == "nothing":
        return NOTHING
    if night and voice.at_night == "chime":
        return Saying(chime=_outcome(turn), volume=SOFT)
    volume = SOFT if night else 1.0
    if voice.brief and is_plain_to_see(turn, room, device_of):
        return Saying(chime=Chime.DONE, volume=volume)
    return Saying(turn.reply, volume=volume)


def sign(chime: Chime, voice: VoiceSettings, now: time) -> Saying:
    """A chime that stands for no turn: that nothing was heard, that somebody may speak."""
    if is_quiet(voice.quiet_hours, now):
        return NOTHING if voice.at_night == "nothing" else Saying(chime=chime, volume=SOFT)
    return Saying(chime=chime)


def alarm(words: str) -> Saying:
    """What nobody may sleep through: again and again, and in quiet hours too."""
    return Saying(words, Chime.ALARM, rounds=ALARM_ROUNDS)


def _outcome(turn: Turn) -> Chime:
    if turn.kind == "ask":
        return Chime.QUESTION
    return Chime.DONE if turn.done else Chime.FAILED


def is_plain_to_see(turn: Turn, room: str, device_of: DeviceOf) -> bool:
    """Whether the turn moved nothing but devices of this room whose effect tells itself, and all of them obeyed."""
    found = [device_of(order.report.command.device_id) for order in turn.orders]
    here = bool(room) and all(d and d.area and d.area.casefold() == room.casefold() for d in found)
    seen = all(d and d.kind in _PLAIN_TO_SEE for d in found)
    obeyed = all(order.report.outcome is Outcome.CONFIRMED for order in turn.orders)
    return bool(found) and here and seen and obeyed and turn.done and not _says_more(turn)


def _says_more(turn: Turn) -> bool:
    """Something was done beside the orders: a question answered, a timer set, an end planned."""
    ordered = {order.report.command.device_id for order in turn.orders}
    return any(
        not action["targets"] or not ordered.issuperset(_texts(action["targets"])) for action in turn.actions
    ) or any("seconds" in _texts(action["slots"]) for action in turn.actions)


def _texts(value: object) -> list[str]:
    """The members of a list, or the keys of a table."""
    return [str(member) for member in value] if isinstance(value, list | tuple | dict) else []


def is_quiet(hours: str, now: time) -> bool:
    """Whether `now` lies in hours such as "22:00-07:00"; "" are none."""
    if not hours:
        return False
    begin, end = (datetime.strptime(part, "%H:%M").time() for part in hours.split("-"))
    return begin <= now < end if begin <= end else now >= begin or now < end
