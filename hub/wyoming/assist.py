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
_TO_NOBODY: Mapping[str, str] = MappingProxyType(
    {
        "timer_start": "HassStartTimer",
        "timer_cancel_all": "HassCancelAllTimers",
        "get_time": "HassGetCurrentTime",
        "get_date": "HassGetCurrentDate",
        "get_weather": "HassGetWeather",
        "broadcast": "HassBroadcast",
        "nevermind": "HassNevermind",
    }
)
_DOMAINS: Mapping[str, str] = MappingProxyType({"open": "cover", "close": "cover", "lock": "lock", "unlock": "lock"})
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
    turn = await pipeline.answer(sentence.text, sentence.room or usual_room, talk)
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
    if ("seconds" in wish.slots and wish.intent != "timer_start") or "when" in wish.slots:
        return []  # what is to be done later or undone, Home Assistant would do now and for good
    if wish.intent in _TO_NOBODY:
        slots = _timer(wish) if wish.intent == "timer_start" else _plain(wish)
        return [(_TO_NOBODY[wish.intent], slots)]
    if wish.intent not in _TO_DEVICES:
        return []
    name, key = _TO_DEVICES[wish.intent]
    values: dict[str, object] = {}
    if key:
        value = next((wish.slots[k] for k in _VALUES if k in wish.slots), None)
        if value is None or "delta" in wish.slots:
            return []
        values[key] = value
    elif wish.intent == "get_state" and "state" in wish.slots:
        values["state"] = wish.slots["state"]
    if wish.intent in _DOMAINS:
        values["domain"] = _DOMAINS[wish.intent]
    devices = [d for target in wish.targets if (d := home.device(target)) is not None]
    return [(name, {**_named(device, home), **values}) for device in devices]


def _named(device: Device, home: Home) -> dict[str, Any]:
    """Its name; its room too where the name alone would not be enough."""
    alike = sum(d.name.casefold() == device.name.casefold() for d in home.devices) > 1
    return {"name": device.name, **({"area": device.area} if alike and device.area else {})}


def _timer(wish: Wish) -> dict[str, object]:
    seconds = wish.slots.get("seconds", 0)
    whole = round(seconds) if isinstance(seconds, int | float) else 0
    parts = {"hours": whole // 3600, "minutes": whole % 3600 // 60, "seconds": whole % 60}
    return {**{k: v for k, v in parts.items() if v}, **_plain(wish, "name")}


def _plain(wish: Wish, *keys: str) -> dict[str, object]:
    return {k: v for k, v in wish.slots.items() if k in (keys or ("name", "message"))}
