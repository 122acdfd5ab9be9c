"""Which devices a question is about: named ones, all of a kind, or whatever senses the quantity that was asked after."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from devices.device import Device, Kind
from intents.line import Parse
from intents.names import KINDS, PRONOUNS, Fits, Index, Phrase, find, singular, words_of

_BINARY, _SENSOR = Kind.BINARY_SENSOR, Kind.SENSOR


def _classes(kind: Kind, classes: str) -> Fits:
    wanted = frozenset(classes.split())
    return lambda d: d.kind == kind and d.device_class in wanted


# What is sensed, by a word of the question in the singular.
_SENSED: Mapping[str, Fits] = MappingProxyType(
    {
        **dict.fromkeys("motion movement moving".split(), _classes(_BINARY, "motion")),
        **dict.fromkeys("occupancy occupied".split(), _classes(_BINARY, "occupancy")),
        "presence": _classes(_BINARY, "presence occupancy"),
        "smoke": _classes(_BINARY, "smoke"),
        **dict.fromkeys("monoxide co".split(), _classes(_BINARY, "carbon_monoxide")),
        "gas": _classes(_BINARY, "gas"),
        **dict.fromkeys("wet dry leak leaking leaky water moisture moist damp flood flooded".split(), _classes(_BINARY, "moisture")),
        **dict.fromkeys("sound noise noisy".split(), _classes(_BINARY, "sound")),
        **dict.fromkeys("vibration vibrating shaking".split(), _classes(_BINARY, "vibration")),
        **dict.fromkeys("problem issue trouble wrong".split(), _classes(_BINARY, "problem")),
        **dict.fromkeys("update updated outdated upgrade date".split(), _classes(_BINARY, "update")),
        **dict.fromkeys("tampering tamper tampered".split(), _classes(_BINARY, "tamper")),
        **dict.fromkeys("hot overheating heat".split(), _classes(_BINARY, "heat")),
        **dict.fromkeys("cold freezing frozen".split(), _classes(_BINARY, "cold")),
        **dict.fromkeys("safe unsafe safety dangerous".split(), _classes(_BINARY, "safety")),
        **dict.fromkeys("running active".split(), _classes(_BINARY, "running")),
        **dict.fromkeys("connected disconnected online offline connection connectivity".split(), _classes(_BINARY, "connectivity")),
        **dict.fromkeys("plugged unplugged plug".split(), _classes(_BINARY, "plug")),
        **dict.fromkeys("charging".split(), _classes(_BINARY, "battery_charging")),
        **dict.fromkeys("home away gone".split(), _classes(_BINARY, "presence")),
        **dict.fromkeys("power powered electricity main".split(), _classes(_BINARY, "power")),
        **dict.fromkeys("battery low empty full charged depleted dead".split(), _classes(_BINARY, "battery")),
        "light": _classes(_BINARY, "light"),
        **dict.fromkeys("window".split(), _classes(_BINARY, "window")),
        "opening": _classes(_BINARY, "opening"),
    }
)  # fmt: skip
# Quantities, by words that name them; the device classes are Home Assistant's.
_QUANTITIES: Mapping[str, str] = MappingProxyType(
    {
        "humidity": "humidity", "humid": "humidity", "moisture": "moisture", "temperature": "temperature", "warm": "temperature",
        "battery": "battery", "charge": "battery", "brightness": "illuminance", "bright": "illuminance", "light": "illuminance",
        "dark": "illuminance", "illuminance": "illuminance", "co2": "carbon_dioxide", "dioxide": "carbon_dioxide",
        "pressure": "pressure atmospheric_pressure", "energy": "energy energy_storage", "power": "power", "voltage": "voltage",
        "current": "current", "frequency": "frequency", "signal": "signal_strength", "wind": "wind_speed", "windy": "wind_speed",
        "speed": "speed wind_speed data_rate", "rain": "precipitation precipitation_intensity", "weight": "weight", "heavy": "weight",
        "gas": "gas", "water": "water", "noise": "sound_pressure", "loud": "sound_pressure", "distance": "distance", "ozone": "ozone",
        "voltage drop": "voltage", "quality": "aqi", "duration": "duration", "date": "date", "price": "monetary", "cost": "monetary",
    }
)  # fmt: skip
_SAYING = frozenset(
    "detected triggered on off open closed shut sensor detector level value reading state status measured amount much concentration "
    "any some all there device thing now".split()
)


def sensed(index: Index, parse: Parse, area: str | None, last: tuple[str, ...]) -> tuple[Device, ...]:
    """The devices that the question is about, () where the home has none such."""
    what, quantity, where = (parse.slots.get(k, "") for k in ("what", "quantity", "where"))
    if where and not what and index.place(where) is None:
        what, where = where, ""  # "the current value of outside temperature" is about a thing
    if what and set(words_of(what)) <= PRONOUNS and last:
        return tuple(d for i in last if (d := index.home.device(i)))
    if parse.intent == "get_temperature":
        return _temperature(index, what, where, area)
    if what:
        return _about(index, what, quantity, parse.slots.get("state", ""), where, area)
    words = f"{quantity} {parse.slots.get('state', '')}"
    return _by_sense(index, words, where) or _by_quantity(index, words, where, area)


def _temperature(index: Index, what: str, where: str, area: str | None) -> tuple[Device, ...]:
    sensors: Fits = lambda d: d.kind == _SENSOR and d.device_class in ("temperature", None)  # noqa: E731
    climates: Fits = lambda d: d.kind in (Kind.CLIMATE, Kind.WATER_HEATER)  # noqa: E731
    text = what or "temperature"
    if where and not what:
        named = index.exact((*words_of(where), "temperature"), lambda d: sensors(d) or climates(d))
        if len(named) == 1:
            return tuple(named)
    for fits in (climates, sensors):
        found = find(index, text, where or None, area, fits)
        if found.devices and not found.ambiguous:
            return found.devices
    if what:
        found = find(index, f"{what} temperature", where or None, area, sensors)
        return () if found.ambiguous else found.devices
    return _by_quantity(index, "temperature", where, area)


def _about(index: Index, what: str, quantity: str, state: str, where: str, area: str | None) -> tuple[Device, ...]:
    words = f"{what} {quantity} {state}"
    phrase = index.phrase(what)
    if (phrase.areas or phrase.floors) and not phrase.rest:
        if found := _by_sense(index, state, what):
            return found  # whether a room is occupied
        if found := _gates(index, what, state):
            return found  # whether the garage is open
        if quantity and (found := _by_quantity(index, quantity, what, area)):
            return found  # how humid the bathroom is
    named = () if phrase.plural and len(phrase.rest) == 1 else _named(index, what, quantity, state)
    if named:
        return named
    sense = _sense(phrase, words, state)
    if sense is not None and (found := _sensing(index, sense, phrase, where)):
        return found
    fits = _group(phrase, words)
    if fits is not None:
        several = find(index, what, where or None, area if phrase.here else None, fits)
        if several.devices:
            return several.devices
    any_kind = find(index, what, where or None, area, lambda d: True)
    if any_kind.devices:
        return any_kind.devices if not any_kind.ambiguous else _likeliest(list(any_kind.devices), quantity, state)
    return (
        _loose(index, words)
        or _by_sense(index, words, where or " ".join((*phrase.areas, *phrase.floors)))
        or _by_quantity(index, words, where, area)
    )


def _gates(index: Index, what: str, state: str) -> tuple[Device, ...]:
    """The doors that a room is called by: who asks whether the garage is open means its door."""
    kinds = [KINDS[word] for word in words_of(what) if word in KINDS]
    if not set(words_of(state)) & {"open", "closed", "shut", "ajar", "up", "down"}:
        return ()
    return tuple(d for d in index.home.devices if d.kind == Kind.COVER and any(fits(d) for fits in kinds))


def _named(index: Index, what: str, quantity: str, state: str) -> tuple[Device, ...]:
    """Devices that are called so; of several of one name (a phone's battery, its charging) that which senses what was asked."""
    for text in (what, f"{what} {quantity}", f"{quantity} {what}"):
        found = index.exact(words_of(text), lambda d: True)
        if len(found) == 1:
            return tuple(found)
        if found and not (len(words_of(text)) == 1 and words_of(text)[0] in KINDS):
            return _likeliest(found, f"{quantity} {what}", state)
    return ()


def _likeliest(devices: list[Device], quantity: str, state: str) -> tuple[Device, ...]:
    asked = words_of(f"{quantity} {state}")
    if not state and (measuring := [d for d in devices if d.kind == _SENSOR]):
        devices = measuring
    for word in asked:
        fits = _SENSED.get(word)
        if fits and (hit := [d for d in devices if fits(d)]):
            return (hit[0],)
        classes = _QUANTITIES.get(word, "").split()
        if hit := [d for d in devices if d.device_class in classes]:
            return (hit[0],)
    if set(asked) & {"locked", "unlocked", "lock"} and (
        hit := [d for d in devices if d.kind == Kind.LOCK or d.device_class == "lock"]
    ):
        return (hit[0],)
    if set(asked) & {"open", "closed", "shut", "ajar", "opened"} and (
        hit := [
            d
            for d in devices
            if d.kind in (Kind.COVER, Kind.VALVE) or d.device_class in ("door", "window", "opening", "garage_door")
        ]
    ):
        return (hit[0],)
    return (devices[0],)


_GENERIC = frozenset("device thing sensor detector machine appliance battery update problem opening".split())


def _sense(phrase: Phrase, words: str, state: str) -> tuple[str, Fits] | None:
    """What a phrase such as "water sensors" or "devices ... connected" senses, and the word that says so."""
    rest = set(phrase.rest)
    if rest == {"light"} and "detected" in words_of(words):
        return "light", _SENSED["light"]
    if not rest & _GENERIC:
        return None
    return next(((w, _SENSED[w]) for w in (*words_of(state), *phrase.rest) if w in _SENSED), None)


def _sensing(index: Index, sense: tuple[str, Fits], phrase: Phrase, where: str) -> tuple[Device, ...]:
    word, fits = sense
    place = index.place(where) if where else phrase
    if place is None:
        return ()
    found = index.in_places(place, [d for d in index.home.devices if fits(d)])
    described = set(phrase.rest) - _GENERIC - {word}
    return tuple(d for d in found if all(_says(word, d) for word in described))


def _says(word: str, d: Device) -> bool:
    """The word is one of the device's name, room or class, or another word for what it senses."""
    return word in words_of(f"{d.name} {d.area or ''} {d.device_class or ''}") or (word in _SENSED and _SENSED[word](d))


def _group(phrase: Phrase, words: str) -> Fits | None:
    """What kind of thing a noun asks after; the state tells a door's lock from its leaf."""
    rest = set(phrase.rest)
    if rest & {"door", "gate", "lock"} and set(words_of(words)) & {"locked", "unlocked", "bolted", "lock"}:
        return lambda d: d.kind == Kind.LOCK
    for word in phrase.rest:
        if word == "switch":
            return lambda d: d.kind == Kind.SWITCH
        if word == "window":
            return _window
        if word in KINDS and word not in ("sensor", "detector"):
            return KINDS[word]
    return None


def _window(d: Device) -> bool:
    return d.device_class == "window"


def _by_sense(index: Index, words: str, where: str) -> tuple[Device, ...]:
    place = index.place(where) if where else None
    if where and place is None:
        return ()
    for word in words_of(words):
        fits = _SENSED.get(word)
        if fits is None:
            continue
        found = [d for d in index.home.devices if fits(d)]
        found = index.in_places(place, found) if place else found
        if found:
            return tuple(found)
    return ()


def _by_quantity(index: Index, words: str, where: str, area: str | None) -> tuple[Device, ...]:
    place = index.place(where) if where else None
    if where and place is None:
        return ()
    for word in words_of(words):
        classes = _QUANTITIES.get(word, "").split()
        found = [d for d in index.home.devices if d.kind == _SENSOR and d.device_class in classes]
        if place:
            found = index.in_places(place, found) or [d for d in found if set(words_of(where)) <= set(words_of(d.name))]
        elif area and (near := [d for d in found if d.area == area]):
            found = near
        if found:
            return tuple(found)
    return ()


def _loose(index: Index, words: str) -> tuple[Device, ...]:
    """The one device whose whole name is among the words, the longest such name."""
    said = set(words_of(words))
    best: list[tuple[int, Device]] = []
    for device, names in index.names:
        for name in names:
            if name and set(name) <= said | _SAYING and set(name) & said - _SAYING:
                best.append((len(set(name) & said), device))
    if not best:
        return ()
    most = max(n for n, _ in best)
    found = [d for n, d in best if n == most]
    return (found[0],) if len({d.id for d in found}) == 1 else _likeliest(found, words, "")


__all__ = ["sensed", "singular"]
