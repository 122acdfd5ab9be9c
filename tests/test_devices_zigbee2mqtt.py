"""Zigbee2MQTT: what the bridge describes, what the devices report, and what they are then sent."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence

import pytest

from devices.command import NEEDS, Action, Command, State, StateValue
from devices.control import absolute, expectation, meets
from devices.conventions import Announced, CannotDo, Entity, Message
from devices.conventions.zigbee2mqtt import Zigbee2Mqtt
from devices.device import Capability, Kind

Json = dict[str, object]


def exposed(type: str, name: str, access: int, **more: object) -> Json:
    key = str(more.get("property", name))
    label = key.replace("_", " ").capitalize()
    about = f"What the maker says about the {label.lower()}"
    return {
        "type": type,
        "name": name,
        "property": name,
        "label": label,
        "description": about,
        "access": access,
        **more,
    }


def numeric(name: str, low: float, high: float, access: int = 7, **more: object) -> Json:
    return exposed("numeric", name, access, value_min=low, value_max=high, **more)


def reading(name: str, unit: str, access: int = 1, **more: object) -> Json:
    return exposed("numeric", name, access, unit=unit, **more)


def binary(name: str, on: object, off: object, access: int = 1, **more: object) -> Json:
    return exposed("binary", name, access, value_on=on, value_off=off, **more)


def switched(key: str = "state", **more: object) -> Json:
    return binary("state", "ON", "OFF", 7, property=key, value_toggle="TOGGLE", **more)


def enum(name: str, *values: str, access: int = 7, **more: object) -> Json:
    return exposed("enum", name, access, values=list(values), **more)


def color(name: str, *axes: str, key: str = "color") -> Json:
    return exposed("composite", name, 7, property=key, features=[exposed("numeric", axis, 7) for axis in axes])


def white(low: int, high: int) -> Json:
    presets = [{"name": "warm", "value": 454, "description": "Warm temperature (454 mireds / 2200 Kelvin)"}]
    return numeric("color_temp", low, high, unit="mired", presets=presets)


XY, HS = color("color_xy", "x", "y"), color("color_hs", "hue", "saturation")
LINK = numeric("linkquality", 0, 255, access=1, unit="lqi", category="diagnostic")
BATTERY = numeric("battery", 0, 100, access=1, unit="%", category="diagnostic")
BULB = [
    {"type": "light", "features": [switched(), numeric("brightness", 0, 254), white(150, 500), XY]},
    enum("effect", "blink", "breathe", access=2),
    LINK,
]
HS_BULB = [{"type": "light", "features": [switched(), HS, XY]}]
WHITE_BULB = [{"type": "light", "features": [switched(), numeric("brightness", 0, 254), white(250, 454)]}, LINK]
PLUG = [
    {"type": "switch", "features": [switched()]},
    reading("power", "W", 5),
    enum("power_on_behavior", "off", "on", category="config"),
    LINK,
]
DIMMER = [
    {"type": "light", "features": [switched(), numeric("brightness", 0, 254)]},
    reading("power", "W", 5),
    reading("energy", "kWh", 5),
    numeric("ballast_minimum_level", 1, 254, category="config"),
    LINK,
]
TWO_GANG = [
    {"type": "switch", "features": [switched("state_left", endpoint="left")], "endpoint": "left"},
    {"type": "switch", "features": [switched("state_right", endpoint="right")], "endpoint": "right"},
    enum("action", "single_left", "single_right", access=1, category="diagnostic"),
]
BLIND = [
    {"type": "cover", "features": [enum("state", "OPEN", "CLOSE", "STOP", access=3), numeric("position", 0, 100)]},
    enum("moving", "UP", "STOP", "DOWN", access=1),
]
CURTAIN = [{"type": "cover", "features": [enum("state", "OPEN", "CLOSE", "STOP", access=3)]}]
LOCK = [
    {
        "type": "lock",
        "features": [
            binary("state", "LOCK", "UNLOCK", 7),
            enum("lock_state", "not_fully_locked", "locked", "unlocked", access=1),
        ],
    },
    BATTERY,
]
RADIATOR = [
    {
        "type": "climate",
        "features": [
            numeric("occupied_heating_setpoint", 5, 30, value_step=0.5, unit="°C"),
            reading("local_temperature", "°C", 5),
            enum("system_mode", "off", "auto", "heat"),
            enum("running_state", "idle", "heat", access=5),
        ],
    },
    {"type": "lock", "features": [binary("state", "LOCK", "UNLOCK", 3, property="child_lock")]},
    {"type": "switch", "features": [binary("state", "ON", "OFF", 3, property="window_detection")]},
    BATTERY,
]
TWO_WAY_CLIMATE = [
    {
        "type": "climate",
        "features": [
            numeric("occupied_heating_setpoint", 7, 30, unit="°C"),
            numeric("occupied_cooling_setpoint", 16, 32, unit="°C"),
            enum("system_mode", "off", "heat", "cool"),
            enum("fan_mode", "low", "medium", "high", "auto"),
            enum("swing_mode", "on", "off"),
        ],
    }
]
FAN = [
    {
        "type": "fan",
        "features": [switched("fan_state"), enum("mode", "off", "low", "medium", "high", property="fan_mode")],
    }
]
AUTO_FAN = [{"type": "fan", "features": [enum("mode", "off", "low", "high", "auto", property="fan_mode")]}]
SPEED_FAN = [{"type": "fan", "features": [switched(), numeric("speed", 1, 254)]}]
SIREN = [binary("alarm", "ON", "OFF", 3), numeric("duration", 0, 1800, unit="s")]
CONTACT = [binary("contact", False, True), BATTERY, reading("voltage", "mV", category="diagnostic")]
MOTION = [binary("occupancy", True, False), reading("illuminance", "lx"), BATTERY]
AIR = [reading("temperature", "°C"), reading("humidity", "%"), BATTERY]
TUNED = [numeric("timeout", 0, 600, unit="s"), enum("sensitivity", "low", "medium", "high")]
EVERYTHING: Mapping[str, Sequence[object]] = {
    "bulb": BULB,
    "hs bulb": HS_BULB,
    "white bulb": WHITE_BULB,
    "plug": PLUG,
    "dimmer": DIMMER,
    "two gang": TWO_GANG,
    "blind": BLIND,
    "curtain": CURTAIN,
    "lock": LOCK,
    "radiator": RADIATOR,
    "two-way climate": TWO_WAY_CLIMATE,
    "fan": FAN,
    "auto fan": AUTO_FAN,
    "speed fan": SPEED_FAN,
    "siren": SIREN,
    "contact": CONTACT,
    "motion": MOTION,
    "air": AIR,
    "tuned": TUNED,
}


def described(name: str, exposes: object, address: str = "0x00158d0001", **more: object) -> Json:
    definition = {"model": "M-1", "vendor": "V", "description": "A thing", "exposes": exposes, "options": []}
    return {
        "ieee_address": address,
        "type": "Router",
        "network_address": 29159,
        "supported": True,
        "disabled": False,
        "friendly_name": name,
        "description": "bought in spring",
        "endpoints": {"1": {"bindings": [], "configured_reportings": [], "scenes": []}},
        "definition": definition,
        "power_source": "Mains (single phase)",
        "interview_completed": True,
        "interview_state": "SUCCESSFUL",
        **more,
    }


def announce(devices: object, groups: object = None) -> Announced:
    convention = Zigbee2Mqtt()
    if groups is not None:
        convention.announce(Message("zigbee2mqtt/bridge/groups", json.dumps(groups).encode()))
    payload = devices if isinstance(devices, bytes) else json.dumps(devices).encode()
    announced = convention.announce(Message("zigbee2mqtt/bridge/devices", payload, retain=True))
    assert announced is not None
    return announced


def entities(exposes: object, name: str = "Thing") -> tuple[Entity, ...]:
    announced = announce([described(name, exposes)])
    assert announced.warnings == ()
    return announced.entities


def entity(exposes: object, name: str = "Thing") -> Entity:
    return entities(exposes, name)[0]


def told(entity: Entity, action: Action, value: StateValue | None = None) -> object:
    (message,) = entity.encode(Command(entity.device.id, action, value), {})
    assert message.topic == "zigbee2mqtt/Thing/set"
    assert not message.retain
    return json.loads(message.payload)


def reported(entity: Entity, said: object) -> State:
    return entity.decode(Message("zigbee2mqtt/Thing", json.dumps(said).encode()), {})


ORDERS: list[tuple[object, Action, StateValue | None, Json]] = [
    (BULB, Action.TURN_ON, None, {"state": "ON"}),
    (BULB, Action.TURN_OFF, None, {"state": "OFF"}),
    (BULB, Action.SET_BRIGHTNESS, 50, {"state": "ON", "brightness": 127}),
    (BULB, Action.SET_BRIGHTNESS, 0, {"state": "OFF"}),
    (BULB, Action.SET_COLOR_TEMP, 4000, {"state": "ON", "color_temp": 250}),
    (BULB, Action.SET_COLOR, (0.0, 100.0), {"state": "ON", "color": {"x": 0.7006, "y": 0.2993}}),
    (HS_BULB, Action.SET_COLOR, (120.0, 60.0), {"state": "ON", "color": {"hue": 120, "saturation": 60}}),
    (PLUG, Action.TURN_ON, None, {"state": "ON"}),
    (TWO_GANG, Action.TURN_OFF, None, {"state_left": "OFF"}),
    (BLIND, Action.SET_POSITION, 30, {"position": 30}),
    (CURTAIN, Action.CLOSE, None, {"state": "CLOSE"}),
    (RADIATOR, Action.SET_TEMPERATURE, 21.5, {"occupied_heating_setpoint": 21.5}),
    (RADIATOR, Action.SET_MODE, "heat", {"system_mode": "heat"}),
    (RADIATOR, Action.TURN_OFF, None, {"system_mode": "off"}),
    (RADIATOR, Action.TURN_ON, None, {"system_mode": "auto"}),
    (FAN, Action.TURN_ON, None, {"fan_state": "ON"}),
    (FAN, Action.SET_FAN_SPEED, 100, {"fan_mode": "high"}),
    (FAN, Action.SET_FAN_SPEED, 50, {"fan_mode": "low"}),
    (AUTO_FAN, Action.TURN_ON, None, {"fan_mode": "auto"}),
    (AUTO_FAN, Action.SET_MODE, "auto", {"fan_mode": "auto"}),
    (SPEED_FAN, Action.SET_FAN_SPEED, 50, {"speed": 127}),
    (SPEED_FAN, Action.SET_FAN_SPEED, 0, {"state": "OFF"}),
    (TWO_WAY_CLIMATE, Action.SET_SWING, "on", {"swing_mode": "on"}),
    (TWO_WAY_CLIMATE, Action.SET_FAN_SPEED, 100, {"fan_mode": "high"}),
    (DIMMER, Action.SET_BRIGHTNESS, 0.1, {"state": "ON", "brightness": 1}),
    (SIREN, Action.TURN_ON, None, {"alarm": "ON"}),
    (TUNED, Action.SET_NUMBER, 90, {"timeout": 90}),
]


@pytest.mark.parametrize(("exposes", "action", "value", "payload"), ORDERS)
def test_the_bridge_publishes_what_it_was_told_and_that_proves_it(
    exposes: object, action: Action, value: StateValue | None, payload: Json
) -> None:
    thing = entity(exposes)
    assert told(thing, action, value) == payload
    state = reported(thing, payload)
    assert meets(expectation(Command("", action, value), state), state, thing.device)
    assert not thing.optimistic


def published(payload: Mapping[str, object]) -> Json:
    """What the bridge publishes once a device has done what it was sent: the same, and what follows from it."""
    said = dict(payload)
    if isinstance(hue := said.get("color"), dict):
        said["color_mode"] = "xy" if "x" in hue else "hs"
        said["color_temp"] = 370  # the bridge keeps both in step
    elif "color_temp" in said:
        said |= {"color_mode": "color_temp", "color": {"x": 0.46, "y": 0.41}}
    ends = {"OPEN": 100, "CLOSE": 0}
    if said.get("state") in ends:
        said["position"] = ends[str(said["state"])]
    if said.get("state") in ("LOCK", "UNLOCK"):
        said["lock_state"] = f"{str(said['state']).lower()}ed"
    return {"battery": None, "linkquality": 120, "update": {"state": "idle"}, **said}


@pytest.mark.parametrize("exposes", EVERYTHING.values(), ids=list(EVERYTHING))
def test_whatever_a_device_claims_can_be_sent_and_is_proved_by_its_report(exposes: object) -> None:
    values: Mapping[Action, StateValue] = {
        Action.SET_COLOR: (200.0, 50.0),
        Action.SET_COLOR_TEMP: 3000,
        Action.SET_TEMPERATURE: 20,
        Action.SET_MODE: "auto",
        Action.SET_SWING: "off",
        Action.SELECT_OPTION: "low",
    }
    for thing in entities(exposes):
        device = thing.device
        for action in (a for a, needed in NEEDS.items() if device.can(needed)):
            value = values.get(action, 40) if action.name.startswith(("SET", "SELECT")) else None
            if action is Action.SET_MODE and "auto" not in device.options:
                value = device.options[-1]
            order = absolute(Command(device.id, action, value), device, {"on": True})
            (message,) = thing.encode(order, {"on": True})
            state = reported(thing, published(json.loads(message.payload)))
            assert meets(expectation(order, state), state, device), (device.name, action, state)


@pytest.mark.parametrize(
    ("exposes", "action", "value"),
    [
        (PLUG, Action.SET_BRIGHTNESS, 5),
        (BULB, Action.SET_COLOR_TEMP, 9000),
        (BULB, Action.SET_BRIGHTNESS, 120),
        (RADIATOR, Action.SET_TEMPERATURE, 40),
        (RADIATOR, Action.SET_MODE, "dry"),
        (CURTAIN, Action.SET_POSITION, 40),
        (CONTACT, Action.TURN_ON, None),
        (TUNED, Action.SET_NUMBER, 601),
        (BULB, Action.TOGGLE, None),
    ],
)
def test_what_it_cannot_do_is_not_sent(exposes: object, action: Action, value: StateValue | None) -> None:
    with pytest.raises(CannotDo):
        told(entity(exposes), action, value)


def test_a_lock_is_locked_when_its_bolt_says_so() -> None:
    lock = entity(LOCK)
    assert told(lock, Action.LOCK) == {"state": "LOCK"}
    assert reported(lock, {"state": "LOCK"}) == {}
    assert reported(lock, {"state": "LOCK", "lock_state": "not_fully_locked"}) == {"lock": "unlocked"}
    assert reported(lock, {"state": "LOCK", "lock_state": "locked"}) == {"lock": "locked"}


def test_an_open_contact_is_on_and_has_the_name_of_the_window() -> None:
    (window,) = entities(CONTACT, "Bedroom window")
    assert (window.device.name, window.device.kind) == ("Bedroom window", Kind.BINARY_SENSOR)
    assert window.device.device_class == "window"
    said = Message("zigbee2mqtt/Bedroom window", b'{"contact": false, "battery": 80}')
    assert window.decode(said, {}) == {"on": True}


def test_readings_have_the_names_classes_and_units_that_people_ask_for() -> None:
    warmth, moisture = entities(AIR, "cellar_air")
    assert [warmth.device.name, moisture.device.name] == ["cellar air temperature", "cellar air humidity"]
    assert (warmth.device.device_class, warmth.device.unit) == ("temperature", "°C")
    assert warmth.decode(Message("zigbee2mqtt/cellar_air", b'{"temperature": 9.5, "humidity": null}'), {}) == {
        "value": 9.5
    }
    assert warmth.query() == ()


def test_a_device_of_two_is_two_and_its_settings_are_none() -> None:
    left, right = entities(TWO_GANG)
    assert [left.device.name, right.device.name] == ["Thing left", "Thing right"]
    assert left.device.id != right.device.id
    lamp, *others = entities(PLUG)
    assert [e.device.name for e in others] == ["Thing power"]
    assert lamp.identities >= {"0x00158d0001", "zigbee2mqtt_0x00158d0001", "zigbee2mqtt/Thing/set"}


def test_the_state_is_asked_for_where_it_can_be() -> None:
    (message,) = entity(BULB).query()
    assert message.topic == "zigbee2mqtt/Thing/get"
    assert json.loads(message.payload) == {"state": "", "brightness": "", "color_temp": "", "color": ""}
    assert entity(CONTACT).query() == ()


@pytest.mark.parametrize(
    ("friendly", "name", "alias", "area", "floor"),
    [
        ("upstairs/hall_lamp", "hall lamp", "upstairs hall lamp", None, "Upstairs"),
        ("kitchen/floor_light", "floor light", "kitchen floor light", "Kitchen", None),
        ("first floor/Living_Room/lamps/reading lamp", "reading lamp", None, "Living Room", "First floor"),
        ("lights/desk", "desk", "lights desk", None, None),
        ("/Desk", "Desk", None, None, None),
        ("Desk", "Desk", None, None, None),
    ],
)
def test_names_in_folders_tell_where_a_device_stands(
    friendly: str, name: str, alias: str | None, area: str | None, floor: str | None
) -> None:
    device = entity(BULB, friendly).device
    assert (device.name, device.area, device.floor) == (name, area, floor)
    assert alias is None or device.aliases == (alias,)


def test_the_settings_of_a_device_are_neither_locks_nor_switches() -> None:
    (radiator,) = entities(RADIATOR)
    assert radiator.device.kind is Kind.CLIMATE
    assert radiator.device.capabilities >= {Capability.TEMPERATURE, Capability.MODE, Capability.ON_OFF}


def test_a_plug_named_after_a_reading_keeps_its_name_for_itself() -> None:
    assert [e.device.name for e in entities(PLUG, "Power strip")] == ["Power strip", "Power strip power"]


def test_a_siren_is_one() -> None:
    siren, duration = entities(SIREN)
    assert (siren.device.kind, siren.device.name) == (Kind.SIREN, "Thing")
    assert (duration.device.kind, duration.device.name) == (Kind.NUMBER, "Thing duration")


def test_a_motion_sensor_is_called_by_its_motion() -> None:
    motion, light = entities(MOTION, "Hall sensor")
    assert (motion.device.name, motion.device.device_class) == ("Hall sensor", "motion")
    assert (light.device.name, light.device.unit) == ("Hall sensor illuminance", "lx")


@pytest.mark.parametrize(
    ("topic", "payload", "there"),
    [
        ("zigbee2mqtt/Thing/availability", '{"state": "offline"}', False),
        ("zigbee2mqtt/Thing/availability", "online", True),
        ("zigbee2mqtt/bridge/state", '{"state": "offline"}', False),
        ("zigbee2mqtt/bridge/state", "offline", False),
        ("zigbee2mqtt/bridge/state", '{"state": "unsure"}', None),
    ],
)
def test_a_device_is_away_when_it_or_the_bridge_is(topic: str, payload: str, there: bool | None) -> None:
    lamp = entity(BULB)
    assert topic in lamp.topics
    assert lamp.decode(Message(topic, payload.encode()), {}) == ({} if there is None else {"available": there})


def test_a_lamp_does_not_come_back_while_the_bridge_is_away() -> None:
    lamp = entity(BULB)
    lamp.decode(Message("zigbee2mqtt/bridge/state", b"offline"), {})
    assert lamp.decode(Message("zigbee2mqtt/Thing/availability", b"online"), {}) == {"available": False}


@pytest.mark.parametrize(
    ("name", "level", "reason"),
    [("Thing", "error", "no route"), ("Thing", "warning", None), ("Thing 2", "error", None)],
)
def test_only_an_error_about_this_device_is_a_refusal(name: str, level: str, reason: str | None) -> None:
    words = f"z2m: Publish 'set' 'state' to '{name}' failed: 'Error: no route'"
    message = Message("zigbee2mqtt/bridge/logging", json.dumps({"level": level, "message": words}).encode())
    assert entity(BULB).rejection(message) == reason
    assert message.topic in entity(BULB).topics


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (
            "Publish 'set' 'state' to 'Thing' failed: 'Error: ZCL command 0x842e/1 genOnOff.on({}, {\"timeout\":10000}) "
            "failed (Data request failed with error: 'No network route' (205))'",
            "the Zigbee network has no way to it",
        ),
        (
            "Publish 'set' 'brightness' to 'Thing' failed: 'Error: ZCL command 0x842e/1 genLevelCtrl.moveToLevel({}) "
            "failed (Status 'UNSUPPORTED_ATTRIBUTE')'",
            "Status 'UNSUPPORTED_ATTRIBUTE",
        ),
        ("Publish 'set' 'state' to 'Thing' failed: ''", "it refused"),
        ("No converter available for 'state' on 'Thing': (\"ON\")", "the bridge cannot set that"),
        ("Entity 'Thing' is unknown", "the bridge does not know it"),
        ("Cannot publish to unsupported device 'Thing'", "the bridge does not support it"),
        ("Publish 'get' 'state' to 'Thing' failed: 'Error: no route'", None),
        ("Publish 'set' 'state' to 'Thin' failed: 'Error: to 'Thing' failed: 'no''", None),
        ("Failed to ping 'Thing'", None),
    ],
)
def test_a_refusal_is_told_in_words_for_a_person(line: str, reason: str | None) -> None:
    said = {"level": "error", "message": f"z2m: {line}", "namespace": "z2m"}
    assert entity(BULB).rejection(Message("zigbee2mqtt/bridge/logging", json.dumps(said).encode())) == reason


# -- what the reports of some devices need to be understood


@pytest.mark.parametrize(
    ("said", "changes"),
    [
        ({"color_mode": "color_temp", "color_temp": 250, "color": {"x": 0.38, "y": 0.38}}, {"kelvin": 4000}),
        ({"color_mode": "hs", "color": {"hue": 240, "saturation": 90, "x": 0.3, "y": 0.3}}, {"color": (240, 90)}),
        (
            {"color_mode": "xy", "color": {"h": 9, "s": 9, "x": 0.1355, "y": 0.0399}, "color_temp": 500},
            {"color": (240, 100)},
        ),
        ({"color": None, "color_temp": None, "brightness": None, "state": None}, {}),
        ({"state": "on", "brightness": "127"}, {"brightness": 50}),
    ],
)
def test_a_lamp_is_coloured_or_white_as_its_mode_says(said: Json, changes: State) -> None:
    found = reported(entity(BULB), said)
    assert found.keys() == changes.keys()
    assert all(found[k] == pytest.approx(v, abs=1) for k, v in changes.items())


def test_what_heats_and_cools_has_the_temperature_of_its_mode() -> None:
    thing = entity(TWO_WAY_CLIMATE)
    both = {"occupied_heating_setpoint": 19, "occupied_cooling_setpoint": 26}
    assert reported(thing, {**both, "system_mode": "cool"})["temperature"] == 26
    assert reported(thing, {**both, "system_mode": "heat"})["temperature"] == 19
    order = Command("", Action.SET_TEMPERATURE, 24)
    (cooler,) = thing.encode(order, {"mode": "cool"})
    (warmer,) = thing.encode(order, {"mode": "heat"})
    assert json.loads(cooler.payload) == {"occupied_cooling_setpoint": 24}
    assert json.loads(warmer.payload) == {"occupied_heating_setpoint": 24}


def test_a_blind_that_moves_says_so() -> None:
    assert reported(entity(BLIND), {"moving": "UP", "position": 12, "state": "OPEN"}) == {
        "moving": True,
        "position": 12,
    }
    assert reported(entity(BLIND), {"moving": "STOP"}) == {"moving": False}


def test_the_second_lamp_of_a_device_has_keys_of_its_own() -> None:
    features = [
        switched("state_l2"),
        white(150, 500) | {"property": "color_temp_l2"},
        color("color_xy", key="color_l2"),
    ]
    lamp = entity([{"type": "light", "features": features, "endpoint": "l2"}])
    assert lamp.device.name == "Thing 2"
    assert reported(lamp, {"color_mode_l2": "xy", "color_temp_l2": 250, "state_l2": "ON", "state_l1": "OFF"}) == {
        "on": True
    }
    assert told(lamp, Action.SET_COLOR_TEMP, 4000) == {"state_l2": "ON", "color_temp_l2": 250}


# -- groups


@pytest.mark.parametrize("groups_first", [True, False])
def test_a_group_can_what_all_its_members_can(groups_first: bool) -> None:
    devices = json.dumps([described("A", BULB, "0xA1"), described("B", HS_BULB, "0xB2")]).encode()
    scenes = [{"id": 3, "name": "evening"}]
    members = [{"ieee_address": "0xA1", "endpoint": 1}, {"ieee_address": "0xB2", "endpoint": 1}]
    groups = json.dumps([{"id": 7, "friendly_name": "Sofa", "members": members, "scenes": scenes}]).encode()
    messages = [Message("zigbee2mqtt/bridge/devices", devices), Message("zigbee2mqtt/bridge/groups", groups)]
    convention = Zigbee2Mqtt()
    for message in reversed(messages) if groups_first else messages:
        announced = convention.announce(message)
    assert announced is not None
    a, b, group, scene = announced.entities
    assert group.device.kind is Kind.LIGHT
    assert group.device.capabilities == {Capability.ON_OFF, Capability.COLOR, Capability.STATE}
    assert group.device.members == (a.device.id, b.device.id)
    assert json.loads(group.encode(Command("", Action.TURN_ON), {})[0].payload) == {"state": "ON"}
    assert scene.device.name == "evening"
    (recall,) = scene.encode(Command("", Action.ACTIVATE), {})
    assert (recall.topic, json.loads(recall.payload)) == ("zigbee2mqtt/Sofa/set", {"scene_recall": 3})


def in_group(*members: Json, devices: list[Json]) -> Entity | None:
    said = [{"id": 7, "friendly_name": "Together", "members": list(members), "scenes": []}]
    found = [e for e in announce(devices, said).entities if "group" in e.device.id]
    return found[0] if found else None


def test_a_group_has_the_limits_that_all_its_members_have() -> None:
    devices = [described("A", BULB, "0xA1"), described("B", WHITE_BULB, "0xB2")]
    group = in_group({"ieee_address": "0xa1"}, {"ieee_address": "0xb2"}, devices=devices)
    assert group is not None
    limits = group.device.limits[Capability.COLOR_TEMP]
    assert (limits.low, limits.high) == (2203, 4000)


def test_a_gang_in_a_group_is_the_one_of_its_end_point() -> None:
    named = {"1": {"name": "left", "scenes": []}, "2": {"name": "right", "scenes": []}}
    devices = [described("A", TWO_GANG, "0xA1", endpoints=named), described("B", BULB, "0xB2")]
    group = in_group({"ieee_address": "0xA1", "endpoint": 2}, {"ieee_address": "0xB2", "endpoint": 11}, devices=devices)
    assert group is not None
    assert group.device.members == ("switch.0xa1_right", "light.0xb2")
    assert group.device.kind is Kind.SWITCH
    (message,) = group.encode(Command("", Action.TURN_ON), {})
    assert (message.topic, json.loads(message.payload)) == ("zigbee2mqtt/Together/set", {"state": "ON"})


def test_a_group_of_nothing_in_common_is_no_device() -> None:
    devices = [described("A", LOCK, "0xA1"), described("B", BLIND, "0xB2"), described("C", AIR, "0xC3")]
    assert in_group({"ieee_address": "0xA1"}, {"ieee_address": "0xB2"}, devices=devices) is None
    assert in_group({"ieee_address": "0xC3"}, devices=devices) is None


def test_the_scenes_of_a_device_can_be_called_up() -> None:
    kept = {"1": {"scenes": [{"id": 2, "name": "reading_light"}, {"id": 2, "name": "again"}, {"id": 5}]}}
    lamp, scene = announce([described("Desk", WHITE_BULB, endpoints=kept)]).entities
    assert (scene.device.name, scene.device.aliases) == ("reading light", ("Desk reading light",))
    assert scene.optimistic
    assert lamp.identities <= scene.identities


def test_a_group_of_nobody_is_no_device() -> None:
    announced = announce([], [{"id": 1, "friendly_name": "Empty", "members": [{"ieee_address": "0x9"}]}])
    assert announced.entities == ()


# -- what is not there


def test_the_coordinator_the_disabled_and_the_unknown_are_passed_over() -> None:
    listed = [
        {"ieee_address": "0x1", "type": "Coordinator", "friendly_name": "Coordinator"},
        described("Off", BULB, "0x2", disabled=True),
        {**described("New", BULB, "0x3"), "definition": None},
        described("Lamp", BULB, "0x4"),
    ]
    (lamp,) = announce(listed).entities
    assert lamp.device.name == "Lamp"


def test_one_that_left_the_network_is_gone() -> None:
    convention = Zigbee2Mqtt()
    before = convention.announce(Message("zigbee2mqtt/bridge/devices", json.dumps([described("L", BULB)]).encode()))
    after = convention.announce(Message("zigbee2mqtt/bridge/devices", b"[]"))
    assert before is not None
    assert after is not None
    assert (len(before.entities), after.entities) == (1, ())
    assert before.source == after.source


def test_the_same_description_is_the_same_device() -> None:
    assert entity(BULB) == entity(BULB)
    assert entity(BULB) != entity(HS_BULB)


@pytest.mark.parametrize("payload", [b"lamp", b"{}", b"\xff", b"[" * 200_000, b"3"])
def test_an_announcement_that_is_none_is_named(payload: bytes) -> None:
    (warning,) = announce(payload).warnings
    assert "zigbee2mqtt/bridge/devices" in warning


def test_other_topics_are_left_alone() -> None:
    assert Zigbee2Mqtt().announce(Message("zigbee2mqtt/bridge/info", b"{}")) is None
    assert Zigbee2Mqtt("z").announcements == ("z/bridge/devices", "z/bridge/groups")


def test_a_network_of_any_size_is_bounded() -> None:
    announced = announce([described(f"L{n}", [], f"0x{n}") for n in range(3_000)], [{"id": n} for n in range(3_000)])
    assert [w for w in announced.warnings if "only the first 1000" in w]
    nobody = announce([{"definition": {"exposes": []}, "friendly_name": n} for n in range(2_000)])
    assert len(nobody.warnings) <= 20
    assert announce(b"[" + b"{}," * 10_000_000 + b"{}]").entities == ()


@pytest.mark.parametrize("depth", [100, 800, 950, 970, 980, 990, 100_000])
def test_no_depth_of_a_description_is_too_deep(depth: int) -> None:
    deep = b'{"values":' * depth + b"1" + b"}" * depth
    payload = json.dumps([described("Lamp", [{"type": "light", "features": [switched(), {"deep": 0}]}])]).encode()
    announced = announce(payload.replace(b'"deep": 0', b'"name": "color_xy", "value_on": ' + deep))
    assert len(announced.entities) + len(announced.warnings) == 1
    entity(BULB).decode(Message("zigbee2mqtt/Thing", b'{"color": ' + deep + b"}"), {})


def test_no_mangled_payload_can_break_it() -> None:
    chance = random.Random(7)
    whole = json.dumps([described(f"T{n}", e, f"0x{n}") for n, e in enumerate(EVERYTHING.values())]).encode()
    report = json.dumps(
        {
            "state": "ON",
            "brightness": 9,
            "color": {"x": 0.1, "y": 0.2},
            "color_temp": 250,
            "position": 3,
            "fan_mode": "low",
        }
    ).encode()

    def mangled(payload: bytes) -> bytes:
        at, length = chance.randrange(len(payload)), chance.randrange(1, 9)
        middle = chance.choice(
            [b"", b"null", b"NaN", b"1e999", b"-1", b'"\\ud800"', b"{}", b"[]", b"\xff", b"0", b'""']
        )
        return payload[:at] + middle + payload[at + length :]

    things = announce(whole).entities
    for _ in range(300):
        announce(mangled(whole))
        for thing in things:
            for topic in thing.topics:
                message = Message(topic, mangled(report))
                thing.decode(message, {})
                thing.rejection(message)


def test_nothing_that_is_said_can_break_it() -> None:
    seeds = list(EVERYTHING.values())
    junk: list[object] = [
        None,
        True,
        -1,
        1e400,
        "",
        " ",
        "/",
        "#",
        [],
        {},
        [[1]],
        {"name": {}},
        "\ud800",
        "9" * 5000,
        "ON",
        10**30,
    ]
    chance = random.Random(11)

    def spoilt(value: object, depth: int = 0) -> object:
        if chance.random() < 0.06:
            return chance.choice(junk)
        if isinstance(value, dict):
            return {k: spoilt(v, depth + 1) for k, v in value.items() if chance.random() > 0.02}
        return [spoilt(v, depth + 1) for v in value] if isinstance(value, list) else value

    for _ in range(1000):
        listed = spoilt([described(f"T{n}", chance.choice(seeds), f"0x{n}") for n in range(3)])
        members = [{"ieee_address": f"0x{n}"} for n in range(3)]
        groups = spoilt([{"id": 1, "friendly_name": "G", "members": members, "scenes": [{"id": 1, "name": "s"}]}])
        for thing in announce(listed, groups).entities:
            said = json.dumps(
                {k: chance.choice(junk) for k in ("state", "brightness", "color", "position", "lock_state")}
            )
            for topic in thing.topics:
                message = Message(topic, said.encode(errors="replace"))
                thing.decode(message, {})
                thing.rejection(message)
            for action in Action:
                try:
                    thing.encode(Command("", action, chance.choice([None, 5, "on", (1.0, 2.0), 1e300])), {})
                except CannotDo:
                    continue
