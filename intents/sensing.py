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
        **dict.fromkeys("motion movement".split(), _classes(_BINARY, "motion")),
        **dict.fromkeys("occupancy occupied".split(), _classes(_BINARY, "occupancy")),
        "presence": _classes(_BINARY, "presence occupancy"),
        "smoke": _classes(_BINARY, "smoke"),
        **dict.fromkeys("monoxide co".split(), _classes(_BINARY, "carbon_monoxide")),
        "gas": _classes(_BINARY, "gas"),
        **dict.fromkeys("wet dry leak leaking leaky water moisture moist damp flood".split(), _classes(_BINARY, "moisture")),
        **dict.fromkeys("sound noise noisy".split(), _classes(_BINARY, "sound")),
        **dict.fromkeys("vibration vibrating shaking".split(), _classes(_BINARY, "vibration")),
        **dict.fromkeys("problem issue trouble wrong".split(), _classes(_BINARY, "problem")),
        **dict.fromkeys("update updated outdated upgrade".split(), _classes(_BINARY, "update")),
        **dict.fromkeys("tampering tamper tampered".split(), _classes(_BINARY, "tamper")),
        **dict.fromkeys("hot overheating heat".split(), _classes(_BINARY, "heat")),
        **dict.fromkeys("cold freezing frozen".split(), _classes(_BINARY, "cold")),
        **dict.fromkeys("safe unsafe safety dangerous".split(), _classes(_BINARY, "safety")),
        **dict.fromkeys("running active".split(), _classes(_BINARY, "running")),
        **dict.fromkeys("connected disconnected online offline connection connectivity".split(), _classes(_BINARY, "connectivity")),
        **dict.fromkeys("plugged unplugged plug".split(), _classes(_BINARY, "plug")),
        **dict.fromkeys("charging".split(), _classes(_BINARY, "battery_charging")),
        **dict.fromkeys("home away".split(), _classes(_BINARY, "presence")),
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
    if what and set(words_of(what)) <= PRONOUNS and last:
        return tuple(d for i in last if (d := index.home.device(i)))
    if parse.intent == "get_temperature":
        return _temperature(index, what, where, area)
    if what:
        return _about(index, what, quantity, parse.slots.get("state", ""), where, area)
    words = f"{quantity} {parse.slots.get('state', '')}"
    return _by_sense(index, words, where, area) or _by_quantity(index, words, where, area)


def _temperature(index: Index, what: str, where: str, area: str | None) -> tuple[Device, ...]:
    sensors: Fits = lambda d: d.kind == _SENSOR and d.device_class in ("temperature", None)  # noqa: E731
    climates: Fits = lambda d: d.kind in (Kind.CLIMATE, Kind.WATER_HEATER)  # noqa: E731
    text = what or "temperature"
    if where and not what:
        named = index.exact(
            (*words_of(where), "temperature"), [d for d in index.home.devices if sensors(d) or climates(d)]
        )
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
    named = _named(index, what, quantity, state)
    if named:
        return named
    phrase = index.phrase(what)
    fits = _group(phrase, words, state)
    if fits is not None:
        found = find(index, what, where or None, None if phrase.every else area if phrase.here else None, fits)
        if found.devices:
            return found.devices
    found = find(index, what, where or None, area, lambda d: True)
    if found.devices:
        return found.devices if not found.ambiguous else _likeliest(list(found.devices), quantity, state)
    return _by_sense(index, words, where, area) or _by_quantity(index, words, where, area) or _loose(index, words)


def _named(index: Index, what: str, quantity: str, state: str) -> tuple[Device, ...]:
    """Devices that are called so; of several of one name (a phone's battery, its charging) that which senses what was asked."""
    for text in (what, f"{what} {quantity}", f"{quantity} {what}"):
        found = index.exact(words_of(text))
        if len(found) == 1:
            return tuple(found)
        if found and not (len(words_of(text)) == 1 and words_of(text)[0] in KINDS):
            return _likeliest(found, f"{quantity} {what}", state)
    return ()


def _likeliest(devices: list[Device], quantity: str, state: str) -> tuple[Device, ...]:
    asked = words_of(f"{quantity} {state}")
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


_GENERIC = frozenset("device thing sensor machine appliance".split())


def _group(phrase: Phrase, words: str, state: str) -> Fits | None:
    """What sort of thing a plural or a generic noun asks after, with the state as a hint."""
    rest = set(phrase.rest)
    said = set(words_of(words))
    if rest & {"door", "gate", "lock"} and said & {"locked", "unlocked", "bolted", "lock"}:
        return lambda d: d.kind == Kind.LOCK
    for word in (*words_of(state), *phrase.rest):
        if word in _SENSED and (
            rest & (_GENERIC | {"battery", "update", "problem", "opening"})
            or (word in rest
            and rest & {"sensor", "detector"})
        ):
            return _SENSED[word]
    if rest & {"sensor", "detector", "alarm"}:
        for word in phrase.rest:
            if word in _SENSED:
                return _SENSED[word]
    if "light" in rest and "detected" in said:
        return _SENSED["light"]
    if "opening" in rest:
        return _SENSED["opening"]
    for word in phrase.rest:
        if word == "switch":
            return lambda d: d.kind == Kind.SWITCH
        if word in KINDS and word not in ("sensor", "detector"):
            kind = KINDS[word]
            return kind if word not in ("window",) else _window
    return None


def _window(d: Device) -> bool:
    return d.device_class == "window"


def _by_sense(index: Index, words: str, where: str, area: str | None) -> tuple[Device, ...]:
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
