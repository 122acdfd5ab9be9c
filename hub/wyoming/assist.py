"""Sentences over the Wyoming protocol: a turn of the hub's own, or what was understood as Home Assistant's intents.

Pure but for `answer` and `recognise`, which ask the pipeline.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from wyoming.event import Event
from wyoming.handle import Handled, NotHandled
from wyoming.intent import Entity, Intent, IntentsStart, IntentsStop, NotRecognized

from devices.device import Device
from hub.pipeline import Pipeline
from hub.turn import Turn
from intents.homes import Home
from intents.intent import Wish
from intents.line import words

Slots = Mapping[str, object]

# Our verbs for devices as Home Assistant's intents, each with the slot that holds its value there, where it needs one.
# Home Assistant opens covers and locks locks by HassTurnOn.
_TO_DEVICES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        **{verb: ("HassTurnOn", "") for verb in ("turn_on", "activate", "open", "lock")},
        **{verb: ("HassTurnOff", "") for verb in ("turn_off", "close", "unlock")},
        "toggle": ("HassToggle", ""),
        "set_brightness": ("HassLightSet", "brightness"),
        "set_color": ("HassLightSet", "color"),
        "set_color_temp": ("HassLightSet", "temperature"),
        "set_position": ("HassSetPosition", "position"),
        "set_temperature": ("HassClimateSetTemperature", "temperature"),
        "set_fan_speed": ("HassFanSetSpeed", "percentage"),
        "set_volume": ("HassSetVolume", "volume_level"),
        "mute": ("HassMediaPlayerMute", ""),
        "unmute": ("HassMediaPlayerUnmute", ""),
        "media_play": ("HassMediaUnpause", ""),
        "media_pause": ("HassMediaPause", ""),
        "media_next": ("HassMediaNext", ""),
        "media_previous": ("HassMediaPrevious", ""),
        "vacuum_start": ("HassVacuumStart", ""),
        "vacuum_dock": ("HassVacuumReturnToBase", ""),
        "mower_start": ("HassLawnMowerStartMowing", ""),
        "mower_dock": ("HassLawnMowerDock", ""),
        "get_temperature": ("HassClimateGetTemperature", ""),
        "get_state": ("HassGetState", ""),
    }
)
_TIMERS: Mapping[str, str] = MappingProxyType(
    {
        "timer_start": "HassStartTimer",
        "timer_cancel": "HassCancelTimer",
        "timer_pause": "HassPauseTimer",
        "timer_resume": "HassUnpauseTimer",
        "timer_status": "HassTimerStatus",
        "timer_cancel_all": "HassCancelAllTimers",
    }
)
# Lists, each with the intent for the one that Home Assistant has where nobody named any.
_LISTS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "list_add": ("HassListAddItem", "HassShoppingListAddItem"),
        "list_complete": ("HassListCompleteItem", "HassShoppingListCompleteItem"),
    }
)
_TO_NOBODY: Mapping[str, str] = MappingProxyType(
    {
        "get_time": "HassGetCurrentTime",
        "get_date": "HassGetCurrentDate",
        "get_weather": "HassGetWeather",
        "broadcast": "HassBroadcast",
        "nevermind": "HassNevermind",
    }
)
_VALUES = ("value", "color", "kelvin")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence that came in: where it was said, "" where that is not known, and of which conversation it is part."""

    text: str
    room: str = ""
    conversation: str = ""

    @property
    def context(self) -> dict[str, Any] | None:
        """What is sent back with the answer, so that the next sentence comes with it."""
        return {"conversation_id": self.conversation} if self.conversation else None


async def answer(pipeline: Pipeline, sentence: Sentence, usual_room: str) -> tuple[Turn, Event]:
    """The whole turn, and the event that tells of it. What "it" means is the room's, else the conversation's."""
    talk = f"conversation {sentence.conversation}" if sentence.conversation and not sentence.room else ""
    source = f"wyoming {sentence.conversation}"
    turn = await pipeline.answer(sentence.text, sentence.room or usual_room, talk, source)
    well = turn.done or turn.kind == "ask"
    return turn, (Handled if well else NotHandled)(turn.reply, sentence.context).event()


async def recognise(pipeline: Pipeline, sentence: Sentence, usual_room: str) -> list[Event]:
    """What was understood, and nothing done: intents, or why there are none. Raises ModelError."""
    context = sentence.context
    resolution, said = await pipeline.meaning(sentence.text, sentence.room or usual_room)
    if resolution.trouble is not None:
        return [NotRecognized(said, context).event()]
    found = intents(resolution.wishes, pipeline.home())
    if not found:
        return [NotRecognized("Home Assistant has no intent for that.", context).event()]
    return [
        IntentsStart(context).event(),
        *(Intent(name, [Entity(k, v) for k, v in slots.items()], context=context).event() for name, slots in found),
        IntentsStop(context).event(),
    ]


def room_of(context: Mapping[str, str], rooms: Mapping[str, str], home: Home) -> str:
    """The room in which it was said: as the context names it, as the settings know it, or as the satellite is called.

    "assist_satellite.living_room_speaker" is in the living room where the home has one.
    """
    for key in ("room", "area"):
        if said := context.get(key):
            return said
    ids = [context[key] for key in ("satellite_id", "device_id") if context.get(key)]
    for known in ids:
        if known in rooms:
            return rooms[known]
    called = words(context.get("satellite_id", "").rpartition(".")[2].replace("_", " "))
    fitting = [area for area in home.areas if _within(words(area), called)]
    longest = max((len(words(area)) for area in fitting), default=0)
    best = [area for area in fitting if len(words(area)) == longest]
    return best[0] if len(best) == 1 else ""


def _within(part: Sequence[str], whole: Sequence[str]) -> bool:
    return bool(part) and any(whole[i : i + len(part)] == part for i in range(len(whole)))


def intents(wishes: Sequence[Wish], home: Home) -> list[tuple[str, Slots]]:
    """The wishes as Home Assistant's intents with their slots, one a device; none where one of them has no such intent."""
    found: list[tuple[str, Slots]] = []
    for wish in wishes:
        made = _intents(wish, home)
        if not made:
            return []
        found += made
    return found


def _intents(wish: Wish, home: Home) -> list[tuple[str, Slots]]:
    slots = wish.slots
    if wish.intent in _TIMERS:
        return [(_TIMERS[wish.intent], _timer(slots))]
    if "seconds" in slots or "when" in slots:
        return []  # what is to be done later or undone, Home Assistant would do now and for good
    devices = [d for target in wish.targets if (d := home.device(target)) is not None]
    if wish.intent in _LISTS:
        named, unnamed = _LISTS[wish.intent]
        called = devices[0].name if devices else slots.get("list")
        return [(named if called else unnamed, {"item": slots.get("item"), **({"name": called} if called else {})})]
    if wish.intent in _TO_NOBODY:
        return [(_TO_NOBODY[wish.intent], {k: v for k, v in slots.items() if k == "message"})]
    name, key = _TO_DEVICES.get(wish.intent, ("", ""))
    value = next((slots[k] for k in _VALUES if k in slots), None)
    if not name or (key and value is None) or "delta" in slots:
        return []
    values = {key: value} if key else {"state": slots["state"]} if "state" in slots else {}
    return [(name, {**_named(device, name, home), **values}) for device in devices]


def _named(device: Device, intent: str, home: Home) -> dict[str, Any]:
    """Its name; its room too where others are called the same, and what it is where it is turned on or off: a light may
    be called as the lock beside it is, which is locked and unlocked by the same intents.
    """
    alike = sum(d.name.casefold() == device.name.casefold() for d in home.devices) > 1
    area = {"area": device.area} if alike and device.area else {}
    domain = {"domain": device.kind.value} if intent.startswith(("HassTurn", "HassToggle")) else {}
    return {"name": device.name, **area, **domain}


def _timer(slots: Mapping[str, object]) -> dict[str, object]:
    """How long it runs, or by which length and name it is known."""
    found: dict[str, object] = {"name": slots["name"]} if "name" in slots else {}
    for key, before in (("seconds", ""), ("start_seconds", "start_")):
        seconds = slots.get(key)
        whole = round(seconds) if isinstance(seconds, int | float) else 0
        parts = {"hours": whole // 3600, "minutes": whole % 3600 // 60, "seconds": whole % 60}
        found |= {f"{before}{unit}": number for unit, number in parts.items() if number}
    return found
