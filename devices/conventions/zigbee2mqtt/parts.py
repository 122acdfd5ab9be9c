"""The entities of one device: what acts, what is read, and what is set by a number or a word."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from devices.command import Action
from devices.conventions.values import spoken, text, tidy, wanted_number, wanted_word
from devices.conventions.zigbee2mqtt.acting import ACTING
from devices.conventions.zigbee2mqtt.naming import Name, endpoint_words
from devices.conventions.zigbee2mqtt.part import Feature, Part, Said, binary, feature, features, numeric, worded
from devices.device import Capability, Kind

# What the readings are called among Home Assistant's device classes.
_CLASSES: Mapping[str, str] = MappingProxyType(
    {
        "battery": "battery",
        "battery_low": "battery",
        "carbon_monoxide": "carbon_monoxide",
        "co": "carbon_monoxide",
        "co2": "carbon_dioxide",
        "contact": "door",
        "current": "current",
        "distance": "distance",
        "energy": "energy",
        "gas": "gas",
        "humidity": "humidity",
        "illuminance": "illuminance",
        "illuminance_lux": "illuminance",
        "moving": "moving",
        "noise": "sound_pressure",
        "occupancy": "motion",
        "pm1": "pm1",
        "pm10": "pm10",
        "pm25": "pm25",
        "power": "power",
        "power_factor": "power_factor",
        "presence": "occupancy",
        "pressure": "atmospheric_pressure",
        "produced_energy": "energy",
        "rain": "moisture",
        "smoke": "smoke",
        "soil_moisture": "moisture",
        "sos": "safety",
        "tamper": "tamper",
        "temperature": "temperature",
        "vibration": "vibration",
        "voc": "volatile_organic_compounds",
        "voltage": "voltage",
        "water_leak": "moisture",
    }
)
# Readings of the device itself and settings that nobody asks for by voice.
_LEFT_OUT = frozenset("action device_temperature effect identify linkquality power_on_behavior update".split())
# What is described as a lock or a switch, or among the readings, and is a setting of the device around it.
_SETTINGS = frozenset(
    "auto_lock away_mode button_lock child_lock eco_mode keypad_lockout valve_detection window_detection".split()
)
# Readings after which a device is named: "the bedroom window" is its contact.
_NAMING = frozenset({"contact", "occupancy", "presence", "water_leak", "smoke", "gas", "carbon_monoxide", "vibration"})
# The usual key of the state of what acts; another key means that there is more of it, with a name of its own.
_USUAL_KEYS = frozenset({"state", "fan_state"})
_MOTORS = frozenset({"moving", "running", "motor_state"})
_READINGS: Mapping[str, Kind] = MappingProxyType(
    {"binary": Kind.BINARY_SENSOR, "numeric": Kind.NUMBER, "enum": Kind.SELECT}
)


def parts(name: Name, exposes: Sequence[Said]) -> Iterator[Part]:
    """The entities that a device's description makes, each with a mark of its own."""
    acting = list(_acting(name, exposes))
    reading = [p for said in exposes if (p := _reading(said, name, alone=not acting)) is not None]
    naming = [p for p in reading if p.mark in _NAMING]
    if not acting and len(naming) == 1:
        naming[0].name, naming[0].aliases = name.part("")
        naming[0].device_class = _on_what(name.called, naming[0].device_class)
    seen: set[tuple[Kind, str]] = set()
    for part in (*acting, *reading):
        if (part.kind, part.mark) not in seen:
            seen.add((part.kind, part.mark))
            part.area, part.floor = name.area, name.floor
            yield part


def _on_what(name: str, device_class: str | None) -> str | None:
    """A contact is on a door unless the name tells what it is on."""
    if device_class != "door":
        return device_class
    said = name.lower()
    return next((c for word, c in (("window", "window"), ("garage", "garage_door")) if word in said), "door")


def _is_setting(said: Said) -> bool:
    return said.get("category") in ("config", "diagnostic")


# -- what acts


def _acting(name: Name, exposes: Sequence[Said]) -> Iterator[Part]:
    for said in exposes:
        kind = _kind(said)
        if kind is None or _is_setting(said):
            continue
        part = _specific(kind, said, exposes)
        ACTING[kind](part)
        words = endpoint_words(part.endpoint) if part.endpoint else spoken(part.mark).lower()
        part.name, part.aliases = name.part(words)
        if part.of_use and part.mark not in _SETTINGS:
            yield part


def _kind(said: Said) -> Kind | None:
    if said.get("type") == "binary" and said.get("name") == "alarm":
        return Kind.SIREN
    return next((kind for kind in ACTING if said.get("type") == kind.value and kind is not Kind.SIREN), None)


def _specific(kind: Kind, said: Said, exposes: Sequence[Said]) -> Part:
    endpoint = text(said.get("endpoint"))
    alarm = feature(said) if kind is Kind.SIREN else None
    found = [replace(alarm, name="state")] if alarm else list(features(said))
    named = {f.name: f for f in found}
    if kind is Kind.COVER:
        motors = [f for e in exposes if (f := feature(e)) is not None and f.name in _MOTORS and not f.takes]
        named |= {f.name: f for f in motors}
    state = named.get("state")
    key = state.ending(endpoint).key if state is not None and kind is not Kind.SIREN else "state"
    mark = "_".join(filter(None, (endpoint, None if key in _USUAL_KEYS else key)))
    return Part(kind, mark=mark, endpoint=endpoint, features=named)


# -- what is read, and what is set by a number or a word


def _reading(said: Said, name: Name, *, alone: bool) -> Part | None:
    found = feature(said)
    kind = _READINGS.get(str(said.get("type")))
    if found is None or kind is None or _is_setting(said) or _passed_over(found):
        return None
    label = spoken(found.key).lower()
    named_so = alone and re.search(rf"\b{re.escape(label)}\b", name.called.lower())
    part = Part(kind, mark=found.key, unit=text(said.get("unit")), features={found.name: found})
    part.name, part.aliases = name.part("" if named_so else label)
    part.device_class = _class(found, part.unit)
    if kind is Kind.BINARY_SENSOR:
        part.read(found, binary(found, on=True, off=False))
    elif kind is Kind.NUMBER:
        _number(part, found)
    else:
        _choice(part, found)
    return part if part.of_use else None


def _passed_over(found: Feature) -> bool:
    if found.name in _LEFT_OUT or found.name in _SETTINGS or found.name.startswith(("action_", "update_")):
        return True
    return found.name == "alarm" and found.takes  # a siren, which acts


def _class(found: Feature, unit: str | None) -> str | None:
    of_parts = found.name == "voc" and unit in ("ppb", "ppm")
    return "volatile_organic_compounds_parts" if of_parts else _CLASSES.get(found.name)


def _number(part: Part, found: Feature) -> None:
    part.read(found, numeric(found, "value", tidy))
    limits = found.range
    if found.takes and limits is not None:
        part.limit(Capability.NUMBER, limits)
        part.can(Action.SET_NUMBER, lambda value, _: {found.key: tidy(wanted_number(value, limits))})
    else:
        part.kind = Kind.SENSOR


def _choice(part: Part, found: Feature) -> None:
    words = found.words
    part.read(found, worded(found, {word: {"value": word} for word in words}))
    if found.takes and words:
        part.options = words
        part.can(Action.SELECT_OPTION, lambda value, _: {found.key: wanted_word(value, words)})
    else:
        part.kind = Kind.SENSOR
