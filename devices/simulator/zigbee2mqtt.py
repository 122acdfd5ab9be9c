"""Simulated Zigbee devices behind a bridge that speaks as Zigbee2MQTT does: one announcement for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from devices.conventions import Message
from devices.simulator.thing import Travel, Wire, dump, load, number

BASE = "zigbee2mqtt"
SAYS, TAKES, TELLS = 1, 2, 4  # the bits of `access`: published, settable, gettable


def _numeric(name: str, low: float, high: float, unit: str = "", access: int = SAYS | TAKES | TELLS) -> Wire:
    feature: Wire = {"type": "numeric", "name": name, "property": name, "label": name, "access": access}
    feature |= {"value_min": low, "value_max": high}
    return feature | {"unit": unit} if unit else feature


def _on_off() -> Wire:
    words: Wire = {"value_on": "ON", "value_off": "OFF", "value_toggle": "TOGGLE"}
    return {"type": "binary", "name": "state", "property": "state", "label": "State", "access": 7, **words}


def _color() -> Wire:
    axes = [_numeric(axis, 0, 1) for axis in ("x", "y")]
    kind: Wire = {"type": "composite", "name": "color_xy", "property": "color", "label": "Color (X/Y)", "access": 7}
    return kind | {"features": axes}


@dataclass
class Zigbee:
    """One Zigbee device. `exposes` is its description, `state` what its bridge publishes of it."""

    id: str
    name: str
    room: str
    address: str
    model: str
    exposes: list[Wire]
    state: Wire
    members: tuple[Zigbee, ...] = ()  # of a group, which has no description of its own
    group: int | None = None
    travel: Travel | None = field(default=None)
    retain: bool = False  # the device's own setting, off unless its owner sets it, as for sensors that sleep for hours

    @property
    def topic(self) -> str:
        return f"{BASE}/{self.name}"

    def announcement(self) -> tuple[Message, ...]:
        return ()

    def listens(self) -> tuple[str, ...]:
        return (f"{self.topic}/set", f"{self.topic}/get")

    def asks(self, message: Message) -> bool:
        return message.topic == f"{self.topic}/get"

    def obey(self, message: Message) -> bool:
        wanted = load(message.payload)
        taken = {key: value for key, value in wanted.items() if self._takes(key, value)}
        for key, value in taken.items():
            self._set(key, value)
        for member in self.members:
            member.obey(Message(f"{member.topic}/set", message.payload))
        return bool(taken)

    def moves(self, share: float) -> bool:
        if self.travel is None:
            return False
        more = self.travel.step(share)
        position = round(self.travel.position)
        self.state.update(position=position, state="OPEN" if position > 0 else "CLOSE")
        return more

    def report(self) -> tuple[Message, ...]:
        state = self.state | ({} if self.group is not None else {"linkquality": 120})
        own = Message(self.topic, dump(state), retain=self.retain)
        return (own, *(report for member in self.members for report in member.report()))

    def availability(self, there: bool) -> tuple[Message, ...]:
        return (Message(f"{self.topic}/availability", dump({"state": "online" if there else "offline"}), retain=True),)

    def refusal(self, message: Message) -> tuple[Message, ...]:
        key = next(iter(load(message.payload)), "state")
        text = f"z2m: Publish 'set' '{key}' to '{self.name}' failed: 'Error: no response from the device'"
        return (Message(f"{BASE}/bridge/logging", dump({"level": "error", "message": text, "namespace": "z2m"})),)

    def description(self) -> Wire:
        return {
            "ieee_address": self.address,
            "type": "Router",
            "friendly_name": self.name,
            "supported": True,
            "disabled": False,
            "interview_completed": True,
            "definition": {"model": self.model, "vendor": "A home in software", "exposes": self.exposes},
        }

    def _takes(self, key: str, value: object) -> bool:
        if key == "state":
            return value in (("OPEN", "CLOSE", "STOP") if self.travel else ("ON", "OFF", "TOGGLE"))
        if key == "color":
            return isinstance(value, dict)
        bounds = {"brightness": (0, 254), "color_temp": (150, 500), "position": (0, 100)}.get(key)
        return key in self.state and bounds is not None and number(value, *bounds) is not None

    def _set(self, key: str, value: object) -> None:
        if self.travel is not None:
            self._travel(value)
        elif value == "TOGGLE":
            self.state[key] = "OFF" if self.state.get(key) == "ON" else "ON"
        else:
            self.state[key] = value
            if key == "brightness":
                self.state["state"] = "ON" if value else "OFF"
            if key in ("color", "color_temp"):
                self.state["color_mode"] = "xy" if key == "color" else key

    def _travel(self, value: object) -> None:
        if self.travel is None:
            return
        if value == "STOP":
            self.travel.stop()
        else:
            self.travel.target = {"OPEN": 100.0, "CLOSE": 0.0}.get(str(value), number(value, 0, 100) or 0.0)


def dimmable_light(id: str, name: str, room: str, address: str) -> Zigbee:
    features = [_on_off(), _numeric("brightness", 0, 254)]
    exposes: list[Wire] = [{"type": "light", "features": features}]
    return Zigbee(id, name, room, address, "D-1", exposes, {"state": "OFF", "brightness": 254})


def color_light(id: str, name: str, room: str, address: str) -> Zigbee:
    white = _numeric("color_temp", 150, 500, "mired")
    features = [_on_off(), _numeric("brightness", 0, 254), white, _color()]
    exposes: list[Wire] = [{"type": "light", "features": features}]
    state: Wire = {"state": "OFF", "brightness": 200, "color_temp": 370, "color": {"x": 0.46, "y": 0.41}}
    return Zigbee(id, name, room, address, "C-1", exposes, state | {"color_mode": "color_temp"})


def plug(id: str, name: str, room: str, address: str) -> Zigbee:
    exposes: list[Wire] = [{"type": "switch", "features": [_on_off()]}]
    return Zigbee(id, name, room, address, "P-1", exposes, {"state": "OFF"})


def blinds(id: str, name: str, room: str, address: str) -> Zigbee:
    words = {"type": "enum", "name": "state", "property": "state", "label": "State", "access": 3}
    features = [words | {"values": ["OPEN", "CLOSE", "STOP"]}, _numeric("position", 0, 100, "%")]
    exposes: list[Wire] = [{"type": "cover", "features": features}]
    state: Wire = {"state": "CLOSE", "position": 0}
    return Zigbee(id, name, room, address, "B-1", exposes, state, travel=Travel())


def climate_sensor(id: str, name: str, room: str, address: str, temperature: float, humidity: float) -> Zigbee:
    exposes = [
        _numeric("temperature", -20, 60, "°C", SAYS),
        _numeric("humidity", 0, 100, "%", SAYS),
        _numeric("battery", 0, 100, "%", SAYS) | {"category": "diagnostic"},
    ]
    state: Wire = {"temperature": temperature, "humidity": humidity, "battery": 87}
    return Zigbee(id, name, room, address, "T-1", exposes, state, retain=True)


def contact_sensor(id: str, name: str, room: str, address: str) -> Zigbee:
    contact: Wire = {"type": "binary", "name": "contact", "property": "contact", "label": "Contact", "access": SAYS}
    exposes = [contact | {"value_on": False, "value_off": True}]
    return Zigbee(id, name, room, address, "W-1", exposes, {"contact": True}, retain=True)


def group(id: str, name: str, room: str, number: int, members: tuple[Zigbee, ...]) -> Zigbee:
    state: Wire = {"state": "OFF", "brightness": 254}
    return Zigbee(id, name, room, "", "", [], state, members=members, group=number)


def bridge(things: Sequence[Zigbee]) -> tuple[Message, ...]:
    """What the bridge says of itself and of everything behind it, retained."""
    devices: list[Wire] = [
        {"ieee_address": "0x00124b0000000000", "type": "Coordinator", "friendly_name": "Coordinator"},
        *(t.description() for t in things if t.group is None),
    ]
    groups = [
        {
            "id": t.group,
            "friendly_name": t.name,
            "members": [{"ieee_address": m.address, "endpoint": 1} for m in t.members],
            "scenes": [],
        }
        for t in things
        if t.group is not None
    ]
    said = {"bridge/state": {"state": "online"}, "bridge/devices": devices, "bridge/groups": groups}
    return tuple(Message(f"{BASE}/{topic}", dump(value), retain=True) for topic, value in said.items())
