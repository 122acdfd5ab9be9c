"""Parses and a home to wishes on devices, or to the one trouble that stops the sentence.

The model says what the words are; here the house decides what they mean. Either all of a sentence can be carried out,
or nothing of it is done: a half-understood sentence is asked about first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from devices.command import Action, Command
from devices.device import Capability, Device, Kind
from intents import values
from intents.homes import Home
from intents.intent import CHORES, QUESTIONS, Because, Outcome, Resolution, SlotValue, Trouble, Wish
from intents.line import Parse
from intents.names import PRONOUNS, Fits, Found, Index, find, indexed, words_of
from intents.repair import without_delay
from intents.sensing import sensed

Slots = dict[str, SlotValue]


class _StopError(Exception):
    """The sentence cannot be carried out; carries the trouble."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.because)
        self.trouble = trouble


@dataclass(frozen=True, slots=True)
class _Scene:
    """What a sentence is resolved against. `last` are the devices that "it" means."""

    index: Index
    area: str | None
    last: tuple[str, ...]
    before: tuple[str, ...] = ()  # the devices of the clause before, in the same sentence


def resolve(parses: Sequence[Parse], home: Home, *, area: str | None = None, last: Sequence[str] = ()) -> Resolution:
    """What the sentence means in this home, said in the room `area`, with `last` as what was spoken of before."""
    if not parses:
        return Resolution(Outcome.REFUSE, trouble=Trouble(Because.NOT_FOR_ME))
    index = indexed(home)
    wishes: list[Wish] = []
    scene = _Scene(index, _known_area(home, area), tuple(last))
    try:
        for parse in parses:
            wish = _wish(parse, scene)
            wishes.append(wish)
            if wish.targets:
                scene = _Scene(index, scene.area, wish.targets, wish.targets)
    except _StopError as stop:
        asks = stop.trouble.because in (Because.WHICH, Because.WHICH_ROOM)
        return Resolution(Outcome.ASK if asks else Outcome.REFUSE, trouble=stop.trouble)
    answers = all(w.intent in QUESTIONS for w in wishes)
    return Resolution(Outcome.ANSWER if answers else Outcome.ACT, tuple(wishes))


def _known_area(home: Home, area: str | None) -> str | None:
    folded = {a.casefold(): a for a in home.areas}
    return folded.get(area.casefold()) if area else None


def _wish(parse: Parse, scene: _Scene) -> Wish:
    if parse.intent in _SPECIAL:
        return _SPECIAL[parse.intent](parse, scene)
    if parse.intent in CHORES:
        return Wish(parse.intent, (), _chore_slots(parse))
    return _order(_meant_for_others(parse, scene), scene)


# What is said of a player and of a robot alike ("pause Rosie"), by the kind of what is named.
_ROBOTS: Mapping[str, tuple[tuple[Kind, str], ...]] = MappingProxyType(
    {
        "media_pause": ((Kind.VACUUM, "vacuum_pause"),), "media_stop": ((Kind.VACUUM, "vacuum_stop"),),
        "vacuum_start": ((Kind.LAWN_MOWER, "mower_start"),), "vacuum_dock": ((Kind.LAWN_MOWER, "mower_dock"),),
        "mower_start": ((Kind.VACUUM, "vacuum_start"),), "mower_dock": ((Kind.VACUUM, "vacuum_dock"),),
    }
)  # fmt: skip


def _meant_for_others(parse: Parse, scene: _Scene) -> Parse:
    """The verb of the robot or the scene that is named, where nothing of that name has the verb that was read."""
    if parse.intent == "set" and not {"to", "by", "down"} & parse.slots.keys():
        return _set_up(parse, scene)
    if parse.intent == "set_mode":
        return _scene_as_mode(parse, scene)
    what, where = parse.slots.get("what", ""), parse.slots.get("where")
    if parse.intent == "vacuum_start" and scene.index.phrase(what).areas and scene.index.place(what) is not None:
        return Parse("vacuum_clean_area", {"where": what})  # a room is what is cleaned, and no robot
    others = _ROBOTS.get(parse.intent, ())
    if not what or not others or find(scene.index, what, where, scene.area, _FITS[parse.intent]).devices:
        return parse
    for kind, intent in others:
        if len(find(scene.index, what, where, scene.area, _is(kind)).devices) == 1:
            return Parse(intent, parse.slots)
    return parse


def _scene_as_mode(parse: Parse, scene: _Scene) -> Parse:
    """A room is brought into a mode that nothing in it has, and a scene of the home is called so."""
    what, to = parse.slots.get("what") or parse.slots.get("where", ""), parse.slots.get("to", "")
    if not to or scene.index.place(what) is None:
        return parse
    scenes = find(scene.index, to, None, None, _is(Kind.SCENE, Kind.SCRIPT)).devices
    return Parse("activate", {"what": to}) if len(scenes) == 1 else parse


def _set_up(parse: Parse, scene: _Scene) -> Parse:
    """To set something up, or just to set it, can be said of a scene."""
    what = parse.slots.get("what", "")
    if not what or find(scene.index, what, parse.slots.get("where"), scene.area, _FITS["set"]).devices:
        return parse
    scenes = find(scene.index, what, None, scene.area, _is(Kind.SCENE, Kind.SCRIPT)).devices
    return Parse("activate", {"what": what}) if len(scenes) == 1 else parse


# --- Orders to devices -----------------------------------------------------------------------------------------------


def _can(*capabilities: Capability) -> Fits:
    return lambda d: any(d.can(c) for c in capabilities)


def _is(*kinds: Kind) -> Fits:
    return lambda d: d.kind in kinds


_SETTABLE = (
    Capability.BRIGHTNESS, Capability.POSITION, Capability.VOLUME, Capability.TEMPERATURE, Capability.FAN_SPEED,
    Capability.HUMIDITY, Capability.NUMBER, Capability.INTENSITY,
)  # fmt: skip


def _switched(d: Device) -> bool:
    """What "turn on" can be said of: a valve is opened, a robot started."""
    able = (Capability.ON_OFF, Capability.ACTIVATE, Capability.VACUUM, Capability.MOWER)
    return any(d.can(c) for c in able) or d.kind in (Kind.VALVE, Kind.COVER)


_PLAYS = _can(Capability.PLAYBACK)

# For each intent, the devices for which it makes sense.
_FITS: Mapping[str, Fits] = MappingProxyType(
    {
        "turn_on": _switched, "turn_off": _switched, "toggle": _can(Capability.ON_OFF),
        "activate": _can(Capability.ACTIVATE, Capability.ON_OFF),
        "set": _can(*_SETTABLE), "set_brightness": _can(Capability.BRIGHTNESS), "set_color": _can(Capability.COLOR),
        "set_color_temp": _can(Capability.COLOR_TEMP), "set_temperature": _can(Capability.TEMPERATURE),
        "set_mode": _can(Capability.MODE, Capability.OPTION), "set_fan_speed": _can(Capability.FAN_SPEED),
        "set_humidity": _can(Capability.HUMIDITY), "set_intensity": _can(Capability.INTENSITY),
        "set_interval": _can(Capability.INTERVAL), "set_swing": _can(Capability.SWING),
        "trash_pack": lambda d: "trash" in d.name.lower() or "bin" in words_of(d.name),
        "open": _can(Capability.OPEN_CLOSE), "close": _can(Capability.OPEN_CLOSE),
        "set_position": _can(Capability.POSITION), "lock": _can(Capability.LOCK), "unlock": _can(Capability.LOCK),
        "set_volume": _can(Capability.VOLUME), "mute": _can(Capability.VOLUME), "unmute": _can(Capability.VOLUME),
        **dict.fromkeys(("media_play", "media_pause", "media_stop", "media_next", "media_previous", "play_media"), _PLAYS),
        **dict.fromkeys(("vacuum_start", "vacuum_dock", "vacuum_pause", "vacuum_stop", "vacuum_clean_area"), _is(Kind.VACUUM)),
        **dict.fromkeys(("mower_start", "mower_dock"), _is(Kind.LAWN_MOWER)),
    }
)  # fmt: skip
# Intents that need no noun: what is meant is what there is in the room.
_IMPLIED: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("set_brightness", "set_color", "set_color_temp"), "lights"),
        "set_temperature": "thermostat", "set_fan_speed": "fan", "set_humidity": "humidifier",
        "set_mode": "thermostat", "set_swing": "thermostat",
        **dict.fromkeys(("set_volume", "mute", "unmute", "media_play", "media_pause", "media_stop", "media_next",
                         "media_previous", "play_media"), "media"),
        **dict.fromkeys(("vacuum_start", "vacuum_dock", "vacuum_pause", "vacuum_stop"), "vacuum"),
        **dict.fromkeys(("mower_start", "mower_dock"), "mower"),
    }
)  # fmt: skip
# Nouns that say nothing but that something is meant: "the music" is whatever plays.
_SOUND = frozenset(
    "music song volume sound audio media playback track movie film video show podcast noise tune episode playing "
    "everything item number piece title chapter one replay".split()
)


def _order(parse: Parse, scene: _Scene) -> Wish:
    devices = _once(_exclude(_devices(parse, scene), parse, scene))
    if parse.intent == "turn_on" and "what" not in parse.slots and _all_on(devices, scene):
        parse = Parse("set_brightness", {**parse.slots, "up": ""})  # "it is dark in here", and there is light already
        devices = _abled(devices, parse, _FITS[parse.intent])
    intent = _concrete(parse, devices)
    slots = _slots(parse, intent, devices)
    if "at" in parse.slots:
        slots["when"] = parse.slots["at"]
    if "for" in parse.slots and (seconds := values.duration(parse.slots["for"])):
        slots["seconds"] = seconds
    return Wish(intent, tuple(d.id for d in devices), slots)


def _all_on(devices: tuple[Device, ...], scene: _Scene) -> bool:
    return all(scene.index.home.states.get(d.id, {}).get("on") is True for d in devices)


def _once(devices: tuple[Device, ...]) -> tuple[Device, ...]:
    """Without the groups all of whose members are meant as well: each lamp is told once and answers for itself."""
    meant = {d.id for d in devices}
    return tuple(d for d in devices if not d.members or not meant.issuperset(d.members))


def _devices(parse: Parse, scene: _Scene) -> tuple[Device, ...]:
    fits = _FITS[parse.intent]
    what, where = parse.slots.get("what", ""), parse.slots.get("where")
    if words_of(what) and set(words_of(what)) <= PRONOUNS and scene.last:
        return _abled(tuple(d for i in scene.last if (d := scene.index.home.device(i))), parse, fits)
    if words_of(what) and set(words_of(what)) <= PRONOUNS:
        if parse.intent in _ON_OFF and not where:  # nothing was spoken of, so nothing is meant: not the whole room
            raise _StopError(Trouble(Because.NOT_UNDERSTOOD, what, parse.intent))
        what = ""
    if not what:
        return _implied(parse, scene, where)
    if not where and parse.intent in _IMPLIED and _only_a_place(scene, what):
        return _implied(parse, scene, what)
    if parse.intent == "activate":
        found = find(scene.index, what, None, scene.area, _is(Kind.SCENE, Kind.SCRIPT))
        preferred = _preferred(parse, scene, fits, what, where)
        found = found if found.devices else find(scene.index, what, where, scene.area, preferred)
        if not found.devices and (rest := " ".join(scene.index.phrase(what).rest)) and rest != what:
            found = find(scene.index, rest, None, scene.area, _is(Kind.SCENE, Kind.SCRIPT))
    elif set(words_of(what)) & _PRODUCTS and parse.intent == "turn_on":
        # Who wants coffee does not mind which machine makes it.
        makers = _around(scene, where, lambda d: fits(d) and bool(set(words_of(d.name)) & _PRODUCTS))
        found = Found(makers[:1])
    elif parse.intent in _SOUND_INTENTS and set(words_of(what)) <= _SOUND:
        return _implied(parse, scene, where)
    elif parse.intent == "vacuum_clean_area":
        found = find(scene.index, what, None, scene.area, fits)  # where it is to clean is not where it stands
    else:
        found = find(scene.index, what, where, scene.area, _preferred(parse, scene, fits, what, where))
        found = found if found.devices else find(scene.index, what, where, scene.area, fits)
    if found.ambiguous:
        raise _StopError(Trouble(Because.WHICH, what, parse.intent, tuple(d.id for d in found.devices)))
    if found.devices:
        return found.devices
    return _absent(parse, scene, what, where)


def _only_a_place(scene: _Scene, what: str) -> bool:
    """Whether the words name a place and no thing in it: "dim the study" is said of what can be dimmed there."""
    phrase = scene.index.phrase(what)
    return not phrase.rest and bool(phrase.areas or phrase.floors or phrase.here)


_ON_OFF = frozenset({"turn_on", "turn_off", "toggle"})
_PRODUCTS = frozenset("coffee espresso cappuccino latte americano tea drink brew".split())
_SOUND_INTENTS = frozenset(i for i, noun in _IMPLIED.items() if noun == "media")


def _preferred(parse: Parse, scene: _Scene, fits: Fits, what: str, where: str | None) -> Fits:
    """A narrower class where the words leave it open: a room that is turned on or coloured means its lights."""
    phrase = scene.index.phrase(what)
    if (
        parse.intent in ("turn_on", "turn_off", "toggle", "activate", "set")
        and not phrase.rest
        and (phrase.areas or phrase.floors or phrase.here)
    ):
        if "everything" in words_of(what) or "devices" in what:
            return _can(Capability.ON_OFF)
        return lambda d: d.kind == Kind.LIGHT and fits(d)
    if parse.intent == "turn_on" and phrase.whole_home and not phrase.rest:
        return lambda d: d.kind == Kind.LIGHT and fits(d)  # nobody wants every plug and heater of the house on
    if set(phrase.rest) & {"everything", "device", "thing", "appliance"} or (phrase.whole_home and not phrase.rest):
        return _can(Capability.ON_OFF)
    if parse.intent == "set_temperature" or _degrees_said(parse):
        return lambda d: d.can(Capability.TEMPERATURE) and fits(d)
    return fits


def _degrees_said(parse: Parse) -> bool:
    said = f"{parse.slots.get('to', '')} {parse.slots.get('by', '')}"
    return any(w in said for w in ("degree", "°", "celsius", "fahrenheit"))


def _implied(parse: Parse, scene: _Scene, where: str | None) -> tuple[Device, ...]:
    """The devices of an order without a noun: those of the room, or the only ones in the home."""
    intent = parse.intent
    noun = "lights" if intent == "turn_on" else _IMPLIED.get(intent)
    if (
        where
        and scene.index.place(where) is None
        and (named := find(scene.index, where, None, scene.area, _FITS[intent])).devices
    ):
        if named.ambiguous:
            raise _StopError(Trouble(Because.WHICH, where, intent, tuple(d.id for d in named.devices)))
        return named.devices
    spoken_of = scene.last if intent == "set" else scene.before
    same = tuple(d for i in spoken_of if (d := scene.index.home.device(i)) and _FITS[intent](d))
    if same and not where:
        return same
    if intent == "vacuum_clean_area" and where and scene.index.place(where) is None:
        raise _StopError(Trouble(Because.NO_SUCH_ROOM, where, intent))
    if intent in ("vacuum_clean_area", "vacuum_start"):
        found = Found(_around(scene, None, _FITS[intent])[:1])  # who wants it clean does not mind which robot cleans
    elif intent == "turn_on" or (intent == "turn_off" and where):
        found = Found(_around(scene, where, _is(Kind.LIGHT)))
    elif intent in ("turn_off", "toggle") and scene.area:
        found = find(scene.index, "everything here", None, scene.area, _can(Capability.ON_OFF))
    elif intent == "open" and (where or scene.area):
        found = _shading(scene, where)
    elif noun is None:
        raise _StopError(Trouble(Because.NOT_UNDERSTOOD, "", intent))
    else:
        found = _nearest(_around(scene, where, _FITS[intent]), scene)
    spoken = tuple(d for d in found.devices if d.id in scene.last)
    if found.ambiguous and spoken and not where:
        return spoken  # rather than to ask: what was spoken of the turn before
    if found.ambiguous:
        raise _StopError(Trouble(Because.WHICH, noun or "", intent, tuple(d.id for d in found.devices)))
    if not found.devices:
        return _absent(parse, scene, noun or "", where)
    if (
        intent in ("turn_on", "set_brightness", "set_color", "set_color_temp")
        and not where
        and not scene.area
        and len({d.area for d in found.devices}) > 1
    ):
        if spoken:
            return spoken
        raise _StopError(Trouble(Because.WHICH_ROOM, noun or "", intent, tuple(d.id for d in found.devices)))
    return found.devices


def _around(scene: _Scene, where: str | None, fits: Fits) -> tuple[Device, ...]:
    """The devices that fit, of that place; without one, of the room, and where the room has none, of the home."""
    found = [d for d in scene.index.home.devices if fits(d)]
    if where:
        place = scene.index.place(where)
        if place is None:
            return ()
        if not place.here:
            return tuple(scene.index.in_places(place, found))
    return tuple([d for d in found if scene.area and d.area == scene.area] or found)


_SHADING = frozenset({"blind", "curtain", "shade", "shutter"})


def _shading(scene: _Scene, where: str | None) -> Found:
    """What keeps the sun out of the room: who wants light let in names no blind. Doors and gates are never meant."""
    found = _around(scene, where, lambda d: d.kind is Kind.COVER and d.device_class in _SHADING)
    return Found(tuple(d for d in found if where or d.area == scene.area))


def _nearest(devices: tuple[Device, ...], scene: _Scene) -> Found:
    """All of them if they are lights; else the one that is at work, or one has to be asked for."""
    if len(devices) < 2 or all(d.kind is Kind.LIGHT for d in devices):
        return Found(devices)
    states = scene.index.home.states
    working = tuple(d for d in devices if states.get(d.id, {}).get("playback") == "playing")
    return Found(working) if len(working) == 1 else Found(devices, ambiguous=True)


def _absent(parse: Parse, scene: _Scene, what: str, where: str | None) -> tuple[Device, ...]:
    """Say whether the room, the thing or its ability is missing."""
    if where and scene.index.place(where) is None:
        raise _StopError(Trouble(Because.NO_SUCH_ROOM, where, parse.intent))
    other = find(scene.index, what, where, scene.area, lambda d: True) if what else Found()
    if other.devices and not other.ambiguous:
        raise _StopError(Trouble(Because.CANNOT, what, parse.intent, tuple(d.id for d in other.devices)))
    raise _StopError(
        Trouble(Because.NO_SUCH_DEVICE, f"{what} in {where}" if where and what else what or where or "", parse.intent)
    )


def _abled(devices: tuple[Device, ...], parse: Parse, fits: Fits) -> tuple[Device, ...]:
    able = tuple(d for d in devices if fits(d))
    if not able:
        raise _StopError(
            Trouble(Because.CANNOT, parse.slots.get("what", ""), parse.intent, tuple(d.id for d in devices))
        )
    return able


def _exclude(devices: tuple[Device, ...], parse: Parse, scene: _Scene) -> tuple[Device, ...]:
    but = parse.slots.get("but")
    if not but:
        return devices
    among = {d.id for d in devices}
    found = find(scene.index, but, None, scene.area, lambda d: d.id in among)
    if not found.devices or found.ambiguous:
        raise _StopError(
            Trouble(
                Because.WHICH if found.devices else Because.NO_SUCH_DEVICE,
                but,
                parse.intent,
                tuple(d.id for d in found.devices),
            )
        )
    left = tuple(d for d in devices if d not in found.devices)
    if not left:
        raise _StopError(Trouble(Because.NO_SUCH_DEVICE, parse.slots.get("what", ""), parse.intent))
    return left


# --- What is moved, and to where -------------------------------------------------------------------------------------

_MOVES: tuple[tuple[Capability, str], ...] = (
    (Capability.TEMPERATURE, "set_temperature"), (Capability.BRIGHTNESS, "set_brightness"), (Capability.POSITION, "set_position"),
    (Capability.VOLUME, "set_volume"), (Capability.FAN_SPEED, "set_fan_speed"), (Capability.HUMIDITY, "set_humidity"),
    (Capability.INTENSITY, "set_intensity"), (Capability.NUMBER, "set_number"),
)  # fmt: skip
_STARTS: Mapping[tuple[str, Kind], str] = MappingProxyType(
    {
        ("turn_on", Kind.VALVE): "open", ("turn_off", Kind.VALVE): "close",
        ("turn_on", Kind.COVER): "open", ("turn_off", Kind.COVER): "close",
        ("turn_on", Kind.VACUUM): "vacuum_start", ("turn_off", Kind.VACUUM): "vacuum_stop",
        ("turn_on", Kind.LAWN_MOWER): "mower_start", ("turn_off", Kind.LAWN_MOWER): "mower_dock",
        ("turn_on", Kind.SCENE): "activate", ("turn_on", Kind.SCRIPT): "activate", ("turn_on", Kind.BUTTON): "activate",
    }
)  # fmt: skip


def _concrete(parse: Parse, devices: tuple[Device, ...]) -> str:
    """The intent of the vocabulary: a generic verb takes the ability that the devices have."""
    intent, kinds = parse.intent, {d.kind for d in devices}
    if intent in ("turn_on", "turn_off") and len(kinds) == 1:
        return _STARTS.get((intent, devices[0].kind), intent)
    if intent == "activate" and kinds and not kinds & {Kind.SCENE, Kind.SCRIPT, Kind.BUTTON}:
        return "turn_on"
    if intent == "media_stop":
        # What plays at home can be paused; most players know no stop, and the next "play" should go on.
        return "media_pause"
    if intent == "vacuum_clean_area":
        return intent
    if intent != "set":
        return intent
    to = parse.slots.get("to", "")
    if to and values.color(to) and values.share(to) is None:
        return "set_color"
    for capability, moved in _MOVES:
        if all(d.can(capability) for d in devices):
            return moved
    raise _StopError(Trouble(Because.CANNOT, parse.slots.get("what", ""), intent, tuple(d.id for d in devices)))


_STEP: Mapping[str, float] = MappingProxyType({"set_temperature": 1, "set_color_temp": 500})


def _slots(parse: Parse, intent: str, devices: tuple[Device, ...]) -> Slots:
    if intent == "play_media":
        slots: Slots = {"search_query": parse.slots["query"]} if "query" in parse.slots else {}
        return {**slots, **({"media_class": parse.slots["class"]} if "class" in parse.slots else {})}
    if intent == "vacuum_clean_area":
        return {"area": parse.slots["where"]} if "where" in parse.slots else {}
    to, sign = parse.slots.get("to"), 1 if "up" in parse.slots else -1 if "down" in parse.slots else 0
    if to is not None:
        return _absolute(intent, to, devices)
    if sign and intent.startswith("set_"):
        default = _STEP.get(intent, 10)
        return {"delta": sign * values.change(parse.slots.get("by", ""), default)}
    return {}


def _absolute(intent: str, to: str, devices: tuple[Device, ...]) -> Slots:
    value = _mode(to, devices) if intent == "set_mode" else _VALUES[intent](to) if intent in _VALUES else to
    if value is None:
        knowing = devices if intent == "set_mode" else ()  # the reply says which modes they have
        raise _StopError(Trouble(Because.BAD_VALUE, to, intent, tuple(d.id for d in knowing)))
    return value if isinstance(value, dict) else {"value": value}


def _brightness(to: str) -> float | None:
    value = values.share(to)
    return 1 if value == 0 and values.is_least(to) else value


def _temperature(to: str) -> float | None:
    found = values.degrees(to)
    if found is None:
        return None
    return values.celsius(*found) if found[1] == "F" else found[0]


def _color(to: str) -> Slots | None:
    if (name := values.color(to)) is not None:
        return {"color": name}
    if (white := values.kelvin(to)) is not None:
        return {"kelvin": white}
    if any(w in to.split() for w in ("random", "different", "another", "new", "nice", "some")):
        return {"color": "random"}
    return None


_TONES = MappingProxyType(
    {
        "warmer": -500,
        "cozier": -500,
        "cosier": -500,
        "softer": -500,
        "harsh": -500,
        "homelier": -500,
        "yellower": -500,
        "yellowish": -500,
        "cooler": 500,
        "colder": 500,
        "whiter": 500,
        "bluer": 500,
        "bluish": 500,
    }
)


def _tone(to: str) -> Slots | None:
    tone = next((w for w in to.split() if w in _TONES), None)
    if tone:
        return {"delta": _TONES[tone]}
    if "yellow" in to:
        return {"delta": -500}
    white = values.kelvin(to)
    return None if white is None else {"kelvin": white}


def _mode(to: str, devices: tuple[Device, ...]) -> str | None:
    """The device's own word for the mode, or the bare word ("dry mode" is dry) where it does not say which it knows."""
    options = dict.fromkeys(option for d in devices for option in d.options)
    bare = " ".join(w for w in to.split() if w not in ("mode", "setting", "preset", "the")) or to
    return values.option(bare, options) if options else bare


def _intensity(to: str) -> float | str:
    share = values.share(to)
    return to if share is None else share


def _speed(to: str) -> float | None:
    return values.share(to)


_VALUES: Mapping[str, Callable[[str], SlotValue | Slots | None]] = MappingProxyType(
    {
        "set_brightness": _brightness, "set_position": values.share, "set_volume": values.share, "set_fan_speed": _speed,
        "set_humidity": values.share, "set_temperature": _temperature, "set_color": _color, "set_color_temp": _tone,
        "set_interval": values.duration, "set_intensity": _intensity,
    }
)  # fmt: skip


# --- Without a device ------------------------------------------------------------------------------------------------


def _chore_slots(parse: Parse) -> Slots:
    slots: Slots = {}
    for slot, key in (
        ("called", "name"),
        ("where", "area"),
        ("command", "command"),
        ("message", "message"),
        ("at", "when"),
    ):
        if slot in parse.slots:
            slots[key] = parse.slots[slot]
    for slot, key in (("for", "seconds"), ("timer", "start_seconds")):
        if slot in parse.slots:
            seconds = values.duration(parse.slots[slot])
            if seconds is None:
                raise _StopError(Trouble(Because.BAD_VALUE, parse.slots[slot], parse.intent))
            slots[key] = seconds
    if "command" in slots and "for" in parse.slots:
        slots["command"] = without_delay(str(slots["command"]), parse.slots["for"])
    needs_time = parse.intent in ("timer_start", "timer_add", "timer_subtract", "delayed_command")
    if (needs_time and "seconds" not in slots) or (parse.intent == "delayed_command" and "command" not in slots):
        raise _StopError(Trouble(Because.NOT_UNDERSTOOD, "", parse.intent))
    return slots


def _lists(parse: Parse, scene: _Scene) -> Wish:
    slots: Slots = {"item": parse.slots["item"]} if "item" in parse.slots else {}
    said = parse.slots.get("list", "")
    if parse.intent in ("list_add", "list_complete", "list_remove") and "item" not in slots:
        raise _StopError(Trouble(Because.NOT_UNDERSTOOD, said, parse.intent))
    todo = [d for d in scene.index.home.devices if d.kind == Kind.TODO]
    before = tuple(d.id for d in todo if d.id in scene.before)
    if not said and before:
        return Wish(parse.intent, before, slots)  # "tick off the dishes on chores and add the bins"
    bare = " ".join(w for w in said.split() if w not in ("list", "my", "the", "to", "do", "todo"))
    found = find(scene.index, said, None, None, _is(Kind.TODO)) if said else Found()
    if not found.devices and bare:
        found = find(scene.index, bare, None, None, _is(Kind.TODO))
    if not found.devices and (not bare or bare in ("task", "tasks")) and len(todo) == 1:
        found = Found((todo[0],))
    if not bare and len(todo) != 1:
        found = Found()
    if said and not found.devices:
        if bare == said and (parse.intent != "list_add" or not todo):
            raise _StopError(Trouble(Because.NOT_UNDERSTOOD, said, parse.intent))  # nobody called it a list
        # "The list" of a home with several or none is the one that everybody has.
        slots["list"] = bare or "shopping"
    return Wish(parse.intent, tuple(d.id for d in found.devices[:1]), slots)


def _weather(parse: Parse, scene: _Scene) -> Wish:
    stations = [d for d in scene.index.home.devices if d.kind == Kind.WEATHER]
    said = parse.slots.get("what") or parse.slots.get("where")
    if said:
        found = find(scene.index, said, None, None, _is(Kind.WEATHER))
        if not found.devices:
            raise _StopError(Trouble(Because.NO_SUCH_DEVICE, said, parse.intent))
        return Wish(parse.intent, tuple(d.id for d in found.devices[:1]))
    if not stations:
        raise _StopError(Trouble(Because.NO_SUCH_DEVICE, "weather", parse.intent))
    return Wish(parse.intent, (stations[0].id,))


def _question(parse: Parse, scene: _Scene) -> Wish:
    found = sensed(scene.index, parse, scene.area, scene.last)
    if not found:
        raise _StopError(
            Trouble(
                Because.NO_SUCH_DEVICE,
                parse.slots.get("what") or parse.slots.get("quantity") or parse.slots.get("where", ""),
                parse.intent,
            )
        )
    slots: Slots = {k: parse.slots[k] for k in ("state", "quantity") if k in parse.slots}
    intent = parse.intent
    if intent == "get_temperature" and all(d.kind in (Kind.SENSOR, Kind.BINARY_SENSOR) for d in found):
        intent = "get_state"
    elif (
        intent == "get_state"
        and parse.slots.get("quantity") in ("temperature", "warm", "hot", "cold")
        and all(d.kind == Kind.CLIMATE for d in found)
    ):
        intent = "get_temperature"
    return Wish(intent, tuple(d.id for d in found), slots)


_SPECIAL: Mapping[str, Callable[[Parse, _Scene], Wish]] = MappingProxyType(
    {
        **dict.fromkeys(("list_add", "list_complete", "list_remove", "list_query"), _lists),
        "get_weather": _weather, "get_state": _question, "get_temperature": _question,
    }
)  # fmt: skip


# --- To commands -----------------------------------------------------------------------------------------------------


def commands(resolution: Resolution, home: Home) -> list[Command]:
    """The orders to devices of a resolution, in its order; chores, questions and wishes without an action have none."""
    out = []
    for wish in resolution.wishes:
        action = wish.action
        if action is None or wish.intent in QUESTIONS:
            continue
        for target in wish.targets:
            device = home.device(target)
            if device is not None and (action is not Action.TURN_OFF or device.can(Capability.ON_OFF)):
                out.append(_command(action, wish, device))
    return out


def _command(action: Action, wish: Wish, device: Device) -> Command:
    slots = wish.slots
    if "kelvin" in slots:
        return Command(device.id, Action.SET_COLOR_TEMP, value=int(slots["kelvin"]))
    if "delta" in slots and isinstance(slots["delta"], int | float):
        return Command(device.id, action, delta=float(slots["delta"]))
    if action is Action.SET_COLOR:
        return Command(device.id, action, value=values.COLORS.get(str(slots.get("color")), (280.0, 90.0)))
    if action is Action.SET_TEMPERATURE and isinstance(slots.get("value"), int | float):
        return Command(device.id, action, value=values.celsius(float(slots["value"]), None))
    value = slots.get("value")
    return Command(device.id, action, value=value) if value is not None else Command(device.id, action)
