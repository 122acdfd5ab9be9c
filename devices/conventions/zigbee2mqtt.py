"""Zigbee2MQTT, from what its bridge says of the devices and groups behind it.

Source: https://www.zigbee2mqtt.io/guide/usage/exposes.html and mqtt_topics_and_messages.html. The bridge publishes a new
state when the device has acknowledged the Zigbee command; that acknowledgement is the proof that this convention has.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from devices.command import NEEDS, Action, Command, State, StateValue
from devices.conventions import Announced, CannotDo, Entity, Message
from devices.conventions.availability import Availability, Mode, Source
from devices.conventions.values import (
    color_of,
    decoded,
    is_topic,
    items,
    kelvin,
    load,
    mapping,
    mired,
    nearest,
    number,
    span,
    speed_steps,
    speeds,
    spoken,
    text,
    tidy,
    wanted_color,
    wanted_number,
    wanted_share,
    wanted_word,
    xy,
)
from devices.device import Capability, Device, DeviceError, Kind, Range

LONGEST_PAYLOAD = 16_000_000  # bytes; a device is described in some 8,000, and the largest networks have 500
MOST_DEVICES = 1_000
MOST_PARTS = 100  # of one device
_SAYS, _TAKES, _TELLS = 1, 2, 4  # the bits of `access`: it is published, can be set, can be asked for

_REFUSED = re.compile(r"Publish 'set' '[^']*' to '(?P<name>.*)' failed: (?P<why>.*)", re.DOTALL)

# What the readings are called among Home Assistant's device classes.
_CLASSES: Mapping[str, str] = MappingProxyType(
    {
        "contact": "door",
        "occupancy": "motion",
        "presence": "occupancy",
        "water_leak": "moisture",
        "smoke": "smoke",
        "gas": "gas",
        "carbon_monoxide": "carbon_monoxide",
        "vibration": "vibration",
        "tamper": "tamper",
        "battery_low": "battery",
        "temperature": "temperature",
        "humidity": "humidity",
        "pressure": "atmospheric_pressure",
        "illuminance": "illuminance",
        "illuminance_lux": "illuminance",
        "co2": "carbon_dioxide",
        "pm25": "pm25",
        "voc": "volatile_organic_compounds",
        "soil_moisture": "moisture",
        "power": "power",
        "energy": "energy",
        "voltage": "voltage",
        "current": "current",
        "battery": "battery",
    }
)
# Readings of the device itself and settings that nobody asks for by voice.
_LEFT_OUT = frozenset("action effect identify linkquality power_on_behavior update update_available".split())
# Readings after which a device is named: "the bedroom window" is its contact.
_NAMING = frozenset({"contact", "occupancy", "presence", "water_leak", "smoke", "gas", "carbon_monoxide", "vibration"})

Said = Mapping[str, object]
Take = Callable[[Said], Mapping[str, StateValue]]
Write = Callable[[StateValue | None, State], dict[str, object]]


@dataclass(slots=True)
class Zigbee2Mqtt:
    """The devices behind the bridge whose base topic is `base`.

    It remembers what the bridge last said of devices and of groups, because a group can what its members can.
    """

    base: str = "zigbee2mqtt"
    _devices: tuple[_Described, ...] = field(default=(), repr=False)
    _groups: tuple[Said, ...] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        return "zigbee2mqtt"

    @property
    def announcements(self) -> tuple[str, ...]:
        return (f"{self.base}/bridge/devices", f"{self.base}/bridge/groups")

    def announce(self, message: Message) -> Announced | None:
        if message.topic not in self.announcements:
            return None
        source = f"{self.base}/bridge"
        listed = load(message.payload, LONGEST_PAYLOAD) if message.payload.strip() else []
        if not isinstance(listed, list):
            warning = f"what the bridge says on {message.topic} is not a JSON list"
            return Announced(source, tuple(self._entities([])), (warning,))
        warnings: list[str] = []
        if len(listed) > MOST_DEVICES:
            warnings.append(f"only the first {MOST_DEVICES} of {message.topic} are used")
        said = [mapping(entry) for entry in listed[:MOST_DEVICES]]
        if message.topic.endswith("/devices"):
            self._devices = tuple(_described(said, warnings))
        else:
            self._groups = tuple(said)
        return Announced(source, tuple(self._entities(warnings)), tuple(warnings))

    def greeting(self) -> tuple[Message, ...]:
        return ()  # the bridge keeps its announcements at the broker

    def _entities(self, warnings: list[str]) -> Iterator[Entity]:
        parts: dict[str, list[_Part]] = {}
        for described in self._devices:
            parts[described.address] = described.parts
            for part in described.parts:
                yield _entity(self.base, described.name, described.address, part)
        for said in self._groups:
            try:
                yield from _group(self.base, said, parts)
            except (DeviceError, ValueError) as error:
                warnings.append(f"the group {text(said.get('friendly_name'))!r} cannot be used: {error}")


# -- what is described


@dataclass(frozen=True, slots=True)
class _Feature:
    """One value of a device: the JSON key under which it goes, and what may be done with it."""

    name: str
    key: str
    access: int
    said: Said

    @property
    def takes(self) -> bool:
        return bool(self.access & _TAKES)

    @property
    def says(self) -> bool:
        return bool(self.access & _SAYS)

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(w for item in items(self.said.get("values"))[:200] if (w := text(item)) is not None)

    @property
    def range(self) -> Range | None:
        low, high, step = (number(self.said.get(k)) for k in ("value_min", "value_max", "value_step"))
        return span(low, high, step)


@dataclass(slots=True)
class _Part:
    """One entity in the making. `mark` tells it from the others of its device."""

    kind: Kind
    name: str
    mark: str = ""
    aliases: tuple[str, ...] = ()
    device_class: str | None = None
    unit: str | None = None
    options: tuple[str, ...] = ()
    capabilities: set[Capability] = field(default_factory=set)
    limits: dict[Capability, Range] = field(default_factory=dict)
    takes: list[Take] = field(default_factory=list)
    writes: dict[Action, Write] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    reported: bool = False
    features: dict[str, _Feature] = field(default_factory=dict)

    def read(self, feature: _Feature, take: Take) -> None:
        if feature.says:
            self.takes.append(take)
            self.capabilities.add(Capability.STATE)
            self.reported = True
        if feature.access & _TELLS and feature.key not in self.asked:
            self.asked.append(feature.key)

    def can(self, action: Action, write: Write) -> None:
        self.capabilities.add(NEEDS[action])
        self.writes[action] = write

    def limit(self, capability: Capability, limits: Range | None) -> None:
        if limits is not None:
            self.limits[capability] = limits


@dataclass(frozen=True, slots=True)
class _Described:
    address: str
    name: str
    parts: list[_Part]


def _described(devices: Iterable[Said], warnings: list[str]) -> Iterator[_Described]:
    """The devices that can be used. What is no device, is disabled or not yet known to the bridge is passed over."""
    seen: set[str] = set()
    for said in devices:
        address, name = text(said.get("ieee_address")), text(said.get("friendly_name"))
        definition = mapping(said.get("definition"))
        if said.get("type") == "Coordinator" or said.get("disabled") is True or not definition:
            continue
        if address is None or name is None or not is_topic(name) or not name.strip() or address in seen:
            warnings.append(f"a Zigbee device without an address or a name of its own was left out: {name!r}")
            continue
        seen.add(address)
        try:
            yield _Described(address, name, _parts(name, items(definition.get("exposes"))[:MOST_PARTS]))
        except (DeviceError, ValueError) as error:
            warnings.append(f"{name} cannot be used: {error}")


def _parts(friendly: str, exposes: list[object]) -> list[_Part]:
    """The entities of one device: what acts, then what is read."""
    called = _called(friendly)
    acting: list[_Part] = []
    for exposed in map(mapping, exposes):
        build = _SPECIFIC.get(str(exposed.get("type")))
        if build is not None:
            acting += _acting(exposed, build, called)
    reading = [p for e in map(mapping, exposes) if (p := _reading(e, called)) is not None]
    naming = [p for p in reading if p.mark in _NAMING]
    if not acting and len(naming) == 1:
        naming[0].name = called
        naming[0].device_class = _by_name(called, naming[0].device_class)
    if "/" in friendly:
        whole = " ".join(spoken(part) for part in friendly.split("/"))
        for part in acting[:1]:
            part.aliases = (whole,)
    return acting + reading


def _called(friendly: str) -> str:
    """What people call it: of a name in folders, the last part; the folders are kept in an alias."""
    return spoken(friendly.rsplit("/", 1)[-1]) or spoken(friendly)


def _by_name(name: str, device_class: str | None) -> str | None:
    """A contact is on a door unless the name tells what it is on."""
    if device_class != "door":
        return device_class
    said = name.lower()
    return next((c for word, c in (("window", "window"), ("garage", "garage_door")) if word in said), "door")


def _acting(exposed: Said, build: Callable[[_Part], None], called: str) -> list[_Part]:
    features = {f.name: f for entry in items(exposed.get("features"))[:MOST_PARTS] if (f := _feature(mapping(entry)))}
    endpoint = text(exposed.get("endpoint"))
    part = _Part(
        _KINDS[str(exposed["type"])],
        called if endpoint is None else f"{called} {spoken(endpoint)}",
        endpoint or "",
        features=features,
    )
    build(part)
    return [part] if part.takes or part.writes else []


def _feature(said: Said) -> _Feature | None:
    name, key = text(said.get("name")), text(said.get("property")) or text(said.get("name"))
    access = number(said.get("access"))
    if name is None or key is None:
        return None
    return _Feature(name, key, 1 if access is None else int(access) & 7, said)


# -- what acts


def _light(part: _Part) -> None:
    part.kind = Kind.LIGHT
    lit = _switching(part)
    features = part.features
    if bright := features.get("brightness"):
        most = number(bright.said.get("value_max")) or 254.0

        def dim(value: StateValue | None, state: State) -> dict[str, object]:
            share = wanted_share(value)
            if share == 0 and Action.TURN_OFF in part.writes:
                return part.writes[Action.TURN_OFF](None, state)
            return {**lit, bright.key: max(1, round(share * most / 100))}

        part.read(bright, _numeric(bright, "brightness", lambda n: tidy(min(max(n * 100 / most, 0), 100), 1)))
        if bright.takes:
            part.can(Action.SET_BRIGHTNESS, dim)
    if white := features.get("color_temp"):
        _white(part, white, lit)
    if color := next((f for name, f in features.items() if name in ("color_xy", "color_hs")), None):
        _color(part, color, lit)


def _white(part: _Part, white: _Feature, lit: Mapping[str, object]) -> None:
    coldest, warmest = number(white.said.get("value_min")), number(white.said.get("value_max"))
    limits = span(kelvin(warmest), kelvin(coldest)) or Range(2000, 6500)

    def take(said: Said) -> Mapping[str, StateValue]:
        if said.get("color_mode") not in (None, "color_temp"):
            return {}
        found = kelvin(number(said.get(white.key)))
        return {} if found is None else {"kelvin": found}

    part.read(white, take)
    if white.takes:
        part.limit(Capability.COLOR_TEMP, limits)
        part.can(Action.SET_COLOR_TEMP, lambda value, _: {**lit, white.key: mired(wanted_number(value, limits))})


def _color(part: _Part, color: _Feature, lit: Mapping[str, object]) -> None:
    def take(said: Said) -> Mapping[str, StateValue]:
        if said.get("color_mode") == "color_temp":
            return {}
        found = color_of(said.get(color.key))
        return {} if found is None else {"color": found}

    def write(value: StateValue | None, _: State) -> dict[str, object]:
        hue, saturation = wanted_color(value)
        if color.name == "color_hs":
            return {**lit, color.key: {"hue": round(hue), "saturation": round(saturation)}}
        x, y = xy((hue, saturation))
        return {**lit, color.key: {"x": x, "y": y}}

    part.read(color, take)
    if color.takes:
        part.can(Action.SET_COLOR, write)


def _switch(part: _Part) -> None:
    _switching(part)


def _switching(part: _Part) -> dict[str, object]:
    """Reads and writes the state; returns what switches it on, to be sent along with other values."""
    state = part.features.get("state")
    if state is None:
        return {}
    on, off = state.said.get("value_on", "ON"), state.said.get("value_off", "OFF")
    part.read(state, _binary(state, on, off))
    if not state.takes:
        return {}

    _can_switch(part, {state.key: on}, {state.key: off})
    return {state.key: on}


def _can_switch(part: _Part, on: dict[str, object], off: dict[str, object]) -> None:
    def toggle(_: StateValue | None, now: State) -> dict[str, object]:
        if not isinstance(now.get("on"), bool):
            raise CannotDo("it has not said whether it is on")
        return off if now["on"] else on

    part.can(Action.TURN_ON, lambda _, __: on)
    part.can(Action.TURN_OFF, lambda _, __: off)
    part.can(Action.TOGGLE, toggle)


def _cover(part: _Part) -> None:
    position, state = part.features.get("position"), part.features.get("state")
    if position is not None:
        part.read(position, _numeric(position, "position", lambda n: tidy(min(max(n, 0), 100), 1)))
        if position.takes:
            part.can(Action.SET_POSITION, lambda value, _: {position.key: round(wanted_share(value))})
            part.can(Action.OPEN, lambda _, __: {position.key: 100})
            part.can(Action.CLOSE, lambda _, __: {position.key: 0})
    if state is not None:
        if position is None:
            ends = {"OPEN": 100, "CLOSE": 0}
            part.read(state, _words(state, {word: {"position": end} for word, end in ends.items()}))
        if state.takes:
            part.can(Action.OPEN, lambda _, __: {state.key: "OPEN"})
            part.can(Action.CLOSE, lambda _, __: {state.key: "CLOSE"})


def _lock(part: _Part) -> None:
    """Its bolt's own report is believed before the state that the bridge assumes."""
    state, bolt = part.features.get("state"), part.features.get("lock_state")
    if state is None:
        return
    if bolt is not None and bolt.says:
        bolts = {"locked": "locked", "unlocked": "unlocked", "not_fully_locked": "unlocked"}
        part.read(bolt, _words(bolt, {word: {"lock": is_} for word, is_ in bolts.items()}))
    else:
        part.read(state, _words(state, {"LOCK": {"lock": "locked"}, "UNLOCK": {"lock": "unlocked"}}))
    if state.takes:
        part.can(Action.LOCK, lambda _, __: {state.key: "LOCK"})
        part.can(Action.UNLOCK, lambda _, __: {state.key: "UNLOCK"})


_SETPOINTS = ("occupied_heating_setpoint", "current_heating_setpoint", "occupied_cooling_setpoint")
_ON_MODES = ("auto", "heat", "cool")


def _climate(part: _Part) -> None:
    features = part.features
    part.unit = "°C"
    if now := features.get("local_temperature"):
        part.read(now, _numeric(now, "current_temperature", tidy))
    if target := next((features[name] for name in _SETPOINTS if name in features), None):
        limits = target.range
        part.read(target, _numeric(target, "temperature", tidy))
        if target.takes:
            part.limit(Capability.TEMPERATURE, limits)
            part.can(Action.SET_TEMPERATURE, lambda value, _: {target.key: tidy(wanted_number(value, limits), 2)})
    if mode := features.get("system_mode"):
        modes = mode.words
        part.read(mode, _words(mode, {m: {"mode": m, "on": m != "off"} for m in modes}))
        if mode.takes and modes:
            part.options = modes
            part.can(Action.SET_MODE, lambda value, _: {mode.key: wanted_word(value, modes)})
            first = next((m for m in (*_ON_MODES, *modes) if m in modes and m != "off"), None)
            if "off" in modes and first is not None:
                _can_switch(part, {mode.key: first}, {mode.key: "off"})
    if blow := features.get("fan_mode"):
        _speed_words(part, blow)


def _fan(part: _Part) -> None:
    _switching(part)
    speed, mode = part.features.get("speed"), part.features.get("mode")
    if speed is not None and (limits := speed.range) is not None:
        part.read(speed, _numeric(speed, "fan_speed", lambda n: tidy(min(max(n * 100 / limits.high, 0), 100), 2)))
        if speed.takes:
            part.limit(Capability.FAN_SPEED, speed_steps(limits.high))
            part.can(Action.SET_FAN_SPEED, lambda value, _: {speed.key: round(wanted_share(value) * limits.high / 100)})
    elif mode is not None:
        _speed_words(part, mode)


def _speed_words(part: _Part, mode: _Feature) -> None:
    known = speeds(mode.words)
    if not known:
        return
    part.read(mode, _words(mode, {word: {"fan_speed": share} for word, share in known.items()}))
    if mode.takes:
        part.limit(Capability.FAN_SPEED, speed_steps(sum(share > 0 for share in known.values())))
        part.can(Action.SET_FAN_SPEED, lambda value, _: {mode.key: nearest(wanted_share(value), known)})


_SPECIFIC: Mapping[str, Callable[[_Part], None]] = MappingProxyType(
    {"light": _light, "switch": _switch, "cover": _cover, "lock": _lock, "climate": _climate, "fan": _fan}
)
_KINDS: Mapping[str, Kind] = MappingProxyType({name: Kind(name) for name in _SPECIFIC})


# -- what is read, and what is set by a number or a word


def _reading(exposed: Said, called: str) -> _Part | None:
    feature = _feature(exposed)
    kind = _READINGS.get(str(exposed.get("type")))
    if feature is None or kind is None or feature.name in _LEFT_OUT or exposed.get("category") is not None:
        return None
    label = spoken(feature.key).lower()
    name = called if label in called.lower() else f"{called} {label}"
    part = _Part(kind, name, feature.key, device_class=_CLASSES.get(feature.name), unit=text(exposed.get("unit")))
    if kind is Kind.BINARY_SENSOR:
        on, off = exposed.get("value_on", True), exposed.get("value_off", False)
        part.read(feature, _binary(feature, on, off))
    elif kind is Kind.NUMBER:
        _number(part, feature)
    else:
        _choice(part, feature)
    return part if part.takes or part.writes else None


_READINGS: Mapping[str, Kind] = MappingProxyType(
    {"binary": Kind.BINARY_SENSOR, "numeric": Kind.NUMBER, "enum": Kind.SELECT}
)


def _number(part: _Part, feature: _Feature) -> None:
    part.read(feature, _numeric(feature, "value", tidy))
    limits = feature.range
    if feature.takes and limits is not None:
        part.limit(Capability.NUMBER, limits)
        part.can(Action.SET_NUMBER, lambda value, _: {feature.key: tidy(wanted_number(value, limits))})
    else:
        part.kind = Kind.SENSOR


def _choice(part: _Part, feature: _Feature) -> None:
    words = feature.words
    part.read(feature, _words(feature, {word: {"value": word} for word in words}))
    if feature.takes and words:
        part.options = words
        part.can(Action.SELECT_OPTION, lambda value, _: {feature.key: wanted_word(value, words)})
    else:
        part.kind = Kind.SENSOR


# -- how values are taken out of a report


def _binary(feature: _Feature, on: object, off: object) -> Take:
    def take(said: Said) -> Mapping[str, StateValue]:
        value = said.get(feature.key)
        if value is None or type(value) not in (type(on), type(off)):
            return {}
        return {"on": True} if value == on else {"on": False} if value == off else {}

    return take


def _numeric(feature: _Feature, key: str, convert: Callable[[float], StateValue]) -> Take:
    def take(said: Said) -> Mapping[str, StateValue]:
        found = number(said.get(feature.key))
        return {} if found is None else {key: convert(found)}

    return take


def _words(feature: _Feature, table: Mapping[str, Mapping[str, StateValue]]) -> Take:
    return lambda said: table.get(text(said.get(feature.key)) or "", {})


# -- what stands in the house


@dataclass(frozen=True, slots=True)
class _Zigbee:
    """A device or a group behind a bridge. Two are equal when they were described equally."""

    device: Device
    identities: frozenset[str]
    base: str
    friendly_name: str
    optimistic: bool
    asked: tuple[str, ...]
    described: str
    takes: tuple[Take, ...] = field(compare=False)
    writes: Mapping[Action, Write] = field(compare=False)
    availability: Availability = field(compare=False)

    @property
    def topics(self) -> frozenset[str]:
        return self.availability.topics | {self._topic, f"{self.base}/bridge/logging"}

    def decode(self, message: Message, state: State) -> Mapping[str, StateValue]:
        payload = decoded(message.payload)
        if payload is None:
            return {}
        if message.topic != self._topic:
            there = self.availability.take(message.topic, payload)
            return {} if there is None else {"available": there}
        said = mapping(load(payload))
        changes: dict[str, StateValue] = {}
        for take in self.takes:
            changes.update(take(said))
        return changes

    def rejection(self, message: Message) -> str | None:
        if message.topic != f"{self.base}/bridge/logging":
            return None
        said = mapping(load(message.payload))
        refused = _REFUSED.search(str(said.get("message"))[:2000]) if said.get("level") == "error" else None
        if refused is None or refused["name"] != self.friendly_name:
            return None
        return refused["why"].strip("' \n")[:200] or "it refused"

    def encode(self, command: Command, state: State) -> tuple[Message, ...]:
        write = self.writes.get(command.action)
        if write is None:
            raise CannotDo(f"{self.device.name} cannot do that ({command.action.value.replace('_', ' ')})")
        return (self._message("set", write(command.value, state)),)

    def query(self) -> tuple[Message, ...]:
        return (self._message("get", dict.fromkeys(self.asked, "")),) if self.asked else ()

    @property
    def _topic(self) -> str:
        return f"{self.base}/{self.friendly_name}"

    def _message(self, verb: str, payload: Mapping[str, object]) -> Message:
        return Message(f"{self._topic}/{verb}", json.dumps(payload).encode())


def _entity(base: str, friendly: str, address: str, part: _Part) -> _Zigbee:
    # The whole device has these: whatever Home Assistant's discovery repeats of it is a copy.
    low = address.lower()
    own = frozenset({low, f"zigbee2mqtt_{low}", f"{base}/{friendly}/set"})
    return _made(base, friendly, "_".join(filter(None, (low, part.mark))), part, own)


def _made(
    base: str, friendly: str, id: str, part: _Part, identities: frozenset[str], members: tuple[str, ...] = ()
) -> _Zigbee:
    device = Device(
        id=f"{part.kind.value}.{id}",
        name=part.name,
        kind=part.kind,
        capabilities=frozenset(part.capabilities),
        aliases=part.aliases,
        device_class=part.device_class,
        unit=part.unit,
        options=part.options,
        limits=MappingProxyType(part.limits),
        members=members,
    )
    sources = (Source(f"{base}/{friendly}/availability", _online), Source(f"{base}/bridge/state", _online))
    features = {key: dict(feature.said) for key, feature in part.features.items()}
    return _Zigbee(
        device=device,
        identities=identities,
        base=base,
        friendly_name=friendly,
        optimistic=not part.reported,
        asked=tuple(part.asked),
        described=json.dumps(features, sort_keys=True, default=str),
        takes=tuple(part.takes),
        writes=MappingProxyType(part.writes),
        availability=Availability(sources, Mode.ALL),
    )


def _online(payload: str) -> bool | None:
    """Both ways of saying it: the word alone, as before version 2, and the word in an object."""
    word = text(mapping(load(payload)).get("state")) or payload.strip()
    return {"online": True, "offline": False}.get(word)


def _group(base: str, said: Said, parts: Mapping[str, list[_Part]]) -> Iterator[_Zigbee]:
    """A group can what every one of its members can; its scenes can be called up."""
    friendly, id = text(said.get("friendly_name")), number(said.get("id"))
    if friendly is None or id is None or not is_topic(friendly) or not friendly.strip():
        return
    listed = [a for m in items(said.get("members")) if (a := text(mapping(m).get("ieee_address"))) is not None]
    members = {a.lower(): p for a in listed[:MOST_DEVICES] for p in parts.get(a, ())[:1] if p.writes}
    mark = f"group_{base}_{int(id)}"
    if members:
        part = _common(list(members.values()), _called(friendly))
        ids = tuple("_".join(filter(None, (f"{p.kind.value}.{a}", p.mark))) for a, p in members.items())
        yield _made(base, friendly, mark, part, frozenset({f"{base}/{friendly}/set"}), ids)
    for scene in items(said.get("scenes"))[:MOST_PARTS]:
        number_, name = number(mapping(scene).get("id")), text(mapping(scene).get("name"))
        if number_ is not None and name is not None:
            yield _scene(base, friendly, mark, int(number_), spoken(name))


def _common(members: list[_Part], called: str) -> _Part:
    kinds = {m.kind for m in members}
    kind = kinds.pop() if len(kinds) == 1 else Kind.SWITCH
    first, *others = members
    shared = {n: f for n, f in first.features.items() if all(n in o.features for o in others)}
    part = _Part(
        kind, called, features={n: replace(f, key=f.name if n == "state" else f.key) for n, f in shared.items()}
    )
    _SPECIFIC.get(kind.value, _switch)(part)
    return part


def _scene(base: str, friendly: str, mark: str, number_: int, called: str) -> _Zigbee:
    part = _Part(Kind.SCENE, called)
    part.can(Action.ACTIVATE, lambda _, __: {"scene_recall": number_})
    return _made(base, friendly, f"{mark}_{number_}", part, frozenset({f"{base}/{friendly}/set#{number_}"}))
