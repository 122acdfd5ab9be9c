"""Simulated devices that announce themselves by Home Assistant's MQTT discovery, as ESPHome and its like do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from devices.conventions import Message
from devices.simulator.thing import Travel, Wire, dump, load, number

PREFIX = "homeassistant"
ROOT = "home"


@dataclass(frozen=True)
class Words:
    """A value that is one of some words; `commands` maps what is sent to what is then reported."""

    commands: Mapping[str, str]

    def read(self, payload: str) -> str | None:
        return self.commands.get(payload)


@dataclass(frozen=True)
class Number:
    """A value within bounds, reported as it was sent."""

    low: float
    high: float

    def read(self, payload: str) -> str | None:
        return payload if number(payload, self.low, self.high) is not None else None


@dataclass(frozen=True)
class Triple:
    """Three numbers with commas, as colours are sent."""

    low: float
    high: float

    def read(self, payload: str) -> str | None:
        parts = payload.split(",")
        right = len(parts) == 3 and all(number(p, self.low, self.high) is not None for p in parts)
        return payload if right else None


Value = Words | Number | Triple
ON_OFF = Words({"ON": "ON", "OFF": "OFF"})


def same(*words: str) -> Words:
    return Words({w: w for w in words})


@dataclass
class Channels:
    """A device with a command topic and a state topic for each of its values, in plain text.

    `keys` maps a value to the (command, state) topic keys of its announcement.
    """

    id: str
    name: str
    room: str
    component: str
    values: Mapping[str, Value]
    keys: Mapping[str, tuple[str | None, str]]
    state: Wire
    config: Wire = field(default_factory=dict)
    turns_on: frozenset[str] = frozenset()  # values whose setting also switches the device on

    def announcement(self) -> tuple[Message, ...]:
        topics: Wire = {}
        for value, (command, state) in self.keys.items():
            if command is not None:
                topics[command] = f"~/{value}/set"
            topics[state] = f"~/{value}"
        return (_announce(self.component, self.id, self.name, self.room, {**topics, **self.config}),)

    def listens(self) -> tuple[str, ...]:
        return tuple(f"{ROOT}/{self.id}/{v}/set" for v, (command, _) in self.keys.items() if command is not None)

    def obey(self, message: Message) -> bool:
        value = message.topic.split("/")[2]
        new = self.values[value].read(message.payload.decode(errors="replace"))
        if new is None:
            return False
        self.state[value] = new
        if value in self.turns_on:
            self.state["state"] = "ON"
        return True

    def asks(self, message: Message) -> bool:
        return False

    def moves(self, share: float) -> bool:
        return False

    def report(self) -> tuple[Message, ...]:
        return tuple(
            Message(f"{ROOT}/{self.id}/{value}", str(now).encode(), retain=True) for value, now in self.state.items()
        )

    def availability(self, there: bool) -> tuple[Message, ...]:
        return _availability(self.id, there)

    def refusal(self, message: Message) -> tuple[Message, ...]:
        return self.report()


@dataclass
class JsonLight:
    """A light that takes and reports one JSON object (the json schema)."""

    id: str
    name: str
    room: str
    state: Wire

    def announcement(self) -> tuple[Message, ...]:
        config: Wire = {
            "schema": "json",
            "command_topic": "~/set",
            "state_topic": "~/state",
            "brightness": True,
            "supported_color_modes": ["color_temp"],
            "color_temp_kelvin": True,
            "min_kelvin": 2200,
            "max_kelvin": 6500,
        }
        return (_announce("light", self.id, self.name, self.room, config),)

    def listens(self) -> tuple[str, ...]:
        return (f"{ROOT}/{self.id}/set",)

    def obey(self, message: Message) -> bool:
        wanted = load(message.payload)
        new: Wire = {}
        if wanted.get("state") in ("ON", "OFF"):
            new["state"] = wanted["state"]
        for key, low, high in (("brightness", 0, 255), ("color_temp", 2200, 6500)):
            if key in wanted and (value := number(wanted[key], low, high)) is not None:
                new[key] = round(value)
        self.state.update(new)
        return bool(new)

    def asks(self, message: Message) -> bool:
        return False

    def moves(self, share: float) -> bool:
        return False

    def report(self) -> tuple[Message, ...]:
        state = {**self.state, "color_mode": "color_temp"}
        return (Message(f"{ROOT}/{self.id}/state", dump(state), retain=True),)

    def availability(self, there: bool) -> tuple[Message, ...]:
        return _availability(self.id, there)

    def refusal(self, message: Message) -> tuple[Message, ...]:
        return self.report()


@dataclass
class Cover:
    """Blinds with a position, or a door that only knows open and closed."""

    id: str
    name: str
    room: str
    device_class: str
    has_position: bool
    travel: Travel = field(default_factory=Travel)

    @property
    def state(self) -> Wire:
        return {"state": self._word(), "position": round(self.travel.position)}

    def announcement(self) -> tuple[Message, ...]:
        config: Wire = {"command_topic": "~/set", "state_topic": "~/state", "device_class": self.device_class}
        if self.has_position:
            config |= {"position_topic": "~/position", "set_position_topic": "~/position/set"}
        return (_announce("cover", self.id, self.name, self.room, config),)

    def listens(self) -> tuple[str, ...]:
        return (f"{ROOT}/{self.id}/set", f"{ROOT}/{self.id}/position/set")

    def obey(self, message: Message) -> bool:
        word = message.payload.decode(errors="replace")
        if word == "STOP":
            self.travel.stop()
            return True
        target = {"OPEN": 100.0, "CLOSE": 0.0}.get(word, number(word, 0, 100))
        if target is None:
            return False
        self.travel.target = target
        return True

    def asks(self, message: Message) -> bool:
        return False

    def moves(self, share: float) -> bool:
        return self.travel.step(share)

    def report(self) -> tuple[Message, ...]:
        messages = [Message(f"{ROOT}/{self.id}/state", self._word().encode(), retain=True)]
        if self.has_position:
            position = str(round(self.travel.position)).encode()
            messages.append(Message(f"{ROOT}/{self.id}/position", position, retain=True))
        return tuple(messages)

    def availability(self, there: bool) -> tuple[Message, ...]:
        return _availability(self.id, there)

    def refusal(self, message: Message) -> tuple[Message, ...]:
        return self.report()

    def _word(self) -> str:
        if self.travel.direction:
            return "opening" if self.travel.direction > 0 else "closing"
        return "open" if self.travel.position > 0 else "closed"


@dataclass
class Scene:
    """Something that can be called up and says nothing back."""

    id: str
    name: str
    room: str
    state: Wire = field(default_factory=lambda: {"called": 0})

    def announcement(self) -> tuple[Message, ...]:
        return (_announce("scene", self.id, self.name, self.room, {"command_topic": "~/set", "payload_on": "ON"}),)

    def listens(self) -> tuple[str, ...]:
        return (f"{ROOT}/{self.id}/set",)

    def obey(self, message: Message) -> bool:
        self.state["called"] = int(str(self.state["called"])) + 1
        return True

    def asks(self, message: Message) -> bool:
        return False

    def moves(self, share: float) -> bool:
        return False

    def report(self) -> tuple[Message, ...]:
        return ()

    def availability(self, there: bool) -> tuple[Message, ...]:
        return _availability(self.id, there)

    def refusal(self, message: Message) -> tuple[Message, ...]:
        return ()


def switch(id: str, name: str, room: str, on: bool = False) -> Channels:
    state: Wire = {"state": "ON" if on else "OFF"}
    return Channels(id, name, room, "switch", {"state": ON_OFF}, {"state": ("command_topic", "state_topic")}, state)


def color_light(id: str, name: str, room: str) -> Channels:
    """A light of the default schema: a topic each for its state, brightness and RGB colour."""
    return Channels(
        id,
        name,
        room,
        "light",
        {"state": ON_OFF, "brightness": Number(0, 255), "rgb": Triple(0, 255)},
        {
            "state": ("command_topic", "state_topic"),
            "brightness": ("brightness_command_topic", "brightness_state_topic"),
            "rgb": ("rgb_command_topic", "rgb_state_topic"),
        },
        {"state": "OFF", "brightness": "128", "rgb": "255,180,107"},
        turns_on=frozenset({"brightness", "rgb"}),
    )


def lock(id: str, name: str, room: str) -> Channels:
    words = Words({"LOCK": "LOCKED", "UNLOCK": "UNLOCKED"})
    keys = {"state": ("command_topic", "state_topic")}
    return Channels(id, name, room, "lock", {"state": words}, keys, {"state": "LOCKED"})


def thermostat(id: str, name: str, room: str) -> Channels:
    modes = ("off", "heat", "auto")
    return Channels(
        id,
        name,
        room,
        "climate",
        {"mode": same(*modes), "temperature": Number(7, 30), "current": Number(-20, 50)},
        {
            "mode": ("mode_command_topic", "mode_state_topic"),
            "temperature": ("temperature_command_topic", "temperature_state_topic"),
            "current": (None, "current_temperature_topic"),
        },
        {"mode": "heat", "temperature": "20.0", "current": "19.4"},
        {"modes": list(modes), "min_temp": 7, "max_temp": 30, "temp_step": 0.5, "temperature_unit": "C"},
    )


def fan(id: str, name: str, room: str) -> Channels:
    return Channels(
        id,
        name,
        room,
        "fan",
        {"state": ON_OFF, "percentage": Number(0, 100)},
        {
            "state": ("command_topic", "state_topic"),
            "percentage": ("percentage_command_topic", "percentage_state_topic"),
        },
        {"state": "OFF", "percentage": "50"},
        turns_on=frozenset({"percentage"}),
    )


def vacuum(id: str, name: str, room: str) -> Channels:
    words = Words(
        {"start": "cleaning", "return_to_base": "returning", "pause": "paused", "stop": "idle", "locate": "idle"}
    )
    config: Wire = {"supported_features": ["start", "stop", "pause", "return_home", "status"]}
    keys = {"state": ("command_topic", "state_topic")}
    return _Vacuum(id, name, room, "vacuum", {"state": words}, keys, {"state": "docked"}, config)


class _Vacuum(Channels):
    """A vacuum reports its state as JSON, and takes plain words."""

    def report(self) -> tuple[Message, ...]:
        return (Message(f"{ROOT}/{self.id}/state", dump(self.state), retain=True),)


def sensor(id: str, name: str, room: str, device_class: str, unit: str, value: float) -> Channels:
    """A reading in a JSON object, which the announcement's template takes out."""
    config: Wire = {
        "device_class": device_class,
        "unit_of_measurement": unit,
        "value_template": "{{ value_json.reading | round(1) }}",
    }
    keys: Mapping[str, tuple[str | None, str]] = {"state": (None, "state_topic")}
    return _Sensor(id, name, room, "sensor", {}, keys, {"state": value}, config)


class _Sensor(Channels):
    def report(self) -> tuple[Message, ...]:
        return (Message(f"{ROOT}/{self.id}/state", dump({"reading": self.state["state"]}), retain=True),)


def contact(id: str, name: str, room: str, device_class: str, open: bool = False) -> Channels:
    keys: Mapping[str, tuple[str | None, str]] = {"state": (None, "state_topic")}
    state: Wire = {"state": "ON" if open else "OFF"}
    return Channels(id, name, room, "binary_sensor", {}, keys, state, {"device_class": device_class})


def _availability(id: str, there: bool) -> tuple[Message, ...]:
    return (Message(f"{ROOT}/{id}/availability", b"online" if there else b"offline", retain=True),)


def _announce(component: str, id: str, name: str, room: str, config: Mapping[str, object]) -> Message:
    payload: Wire = {
        "~": f"{ROOT}/{id}",
        "name": name,
        "unique_id": id,
        "object_id": id,
        "availability_topic": "~/availability",
        "device": {"identifiers": [id], "name": name, "suggested_area": room, "manufacturer": "A home in software"},
        **config,
    }
    return Message(f"{PREFIX}/{component}/{id}/config", dump(payload), retain=True)


def copy_of_light(address: str, friendly_name: str, base: str) -> Message:
    """What Zigbee2MQTT announces to Home Assistant of a light that it also describes itself: the same lamp again."""
    id = f"{address}_light_{base}"
    payload: Wire = {
        "name": None,
        "unique_id": id,
        "object_id": friendly_name.lower().replace(" ", "_"),
        "schema": "json",
        "brightness": True,
        "brightness_scale": 254,
        "supported_color_modes": ["brightness"],
        "command_topic": f"{base}/{friendly_name}/set",
        "state_topic": f"{base}/{friendly_name}",
        "availability": [{"topic": f"{base}/bridge/state", "value_template": "{{ value_json.state }}"}],
        "device": {"identifiers": [f"{base}_{address}"], "name": friendly_name},
        "origin": {"name": "Zigbee2MQTT", "sw": "2.1.0", "url": "https://www.zigbee2mqtt.io"},
    }
    return Message(f"{PREFIX}/light/{address}/light/config", dump(payload), retain=True)
