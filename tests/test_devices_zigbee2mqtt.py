"""Zigbee2MQTT: what the bridge describes, what the devices report, and what they are then sent."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping

import pytest

from devices.command import NEEDS, Action, Command, State, StateValue
from devices.control import expectation, meets
from devices.conventions import Announced, CannotDo, Entity, Message
from devices.conventions.zigbee2mqtt import Zigbee2Mqtt
from devices.device import Capability, Kind

Json = dict[str, object]


def numeric(name: str, low: float, high: float, access: int = 7, **more: object) -> Json:
    return {
        "type": "numeric",
        "name": name,
        "property": name,
        "access": access,
        "value_min": low,
        "value_max": high,
        **more,
    }


def switched(key: str = "state") -> Json:
    words = {"value_on": "ON", "value_off": "OFF", "value_toggle": "TOGGLE"}
    return {"type": "binary", "name": "state", "property": key, "access": 7, **words}


def enum(name: str, *values: str, access: int = 7, **more: object) -> Json:
    return {"type": "enum", "name": name, "property": name, "access": access, "values": list(values), **more}


def color(name: str) -> Json:
    return {"type": "composite", "name": name, "property": "color", "access": 7, "features": []}


BULB = [
    {
        "type": "light",
        "features": [switched(), numeric("brightness", 0, 254), numeric("color_temp", 150, 500), color("color_xy")],
    },
    enum("effect", "blink", access=2),
    numeric("linkquality", 0, 255, access=1, category="diagnostic"),
]
HS_BULB = [{"type": "light", "features": [switched(), color("color_hs"), color("color_xy")]}]
PLUG = [
    {"type": "switch", "features": [switched()]},
    numeric("power", 0, 4000, access=5, unit="W"),
    enum("power_on_behavior", "off", "on", category="config"),
]
TWO_GANG = [
    {"type": "switch", "features": [switched("state_left")], "endpoint": "left"},
    {"type": "switch", "features": [switched("state_right")], "endpoint": "right"},
]
BLIND = [{"type": "cover", "features": [enum("state", "OPEN", "CLOSE", "STOP", access=3), numeric("position", 0, 100)]}]
CURTAIN = [{"type": "cover", "features": [enum("state", "OPEN", "CLOSE", "STOP", access=3)]}]
LOCK = [
    {
        "type": "lock",
        "features": [
            {
                "type": "binary",
                "name": "state",
                "property": "state",
                "access": 7,
                "value_on": "LOCK",
                "value_off": "UNLOCK",
            },
            enum("lock_state", "not_fully_locked", "locked", "unlocked", access=1),
        ],
    }
]
RADIATOR = [
    {
        "type": "climate",
        "features": [
            numeric("occupied_heating_setpoint", 5, 30, value_step=0.5, unit="°C"),
            numeric("local_temperature", -20, 60, access=5, unit="°C"),
            enum("system_mode", "off", "auto", "heat"),
        ],
    },
    {
        "type": "binary",
        "name": "child_lock",
        "property": "child_lock",
        "access": 7,
        "value_on": "LOCK",
        "value_off": "UNLOCK",
    },
]
FAN = [{"type": "fan", "features": [switched("fan_state"), enum("mode", "off", "low", "medium", "high")]}]
CONTACT = [
    {"type": "binary", "name": "contact", "property": "contact", "access": 1, "value_on": False, "value_off": True},
    numeric("battery", 0, 100, access=1, unit="%", category="diagnostic"),
]
AIR = [numeric("temperature", -20, 60, 1, unit="°C"), numeric("humidity", 0, 100, 1, unit="%")]
TUNED = [numeric("timeout", 0, 600, unit="s"), enum("sensitivity", "low", "medium", "high")]


def described(name: str, exposes: object, address: str = "0x00158d0001", **more: object) -> Json:
    definition = {"model": "M", "vendor": "V", "exposes": exposes}
    return {"ieee_address": address, "type": "Router", "friendly_name": name, "definition": definition, **more}


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
    (FAN, Action.SET_FAN_SPEED, 100, {"mode": "high"}),
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


def test_whatever_a_device_claims_can_be_sent() -> None:
    values: Mapping[Action, StateValue] = {
        Action.SET_COLOR: (200.0, 50.0),
        Action.SET_COLOR_TEMP: 3000,
        Action.SET_TEMPERATURE: 20,
        Action.SET_MODE: "auto",
        Action.SELECT_OPTION: "low",
    }
    for exposes in (BULB, HS_BULB, PLUG, TWO_GANG, BLIND, CURTAIN, LOCK, RADIATOR, FAN, TUNED):
        for thing in entities(exposes):
            for action, needed in NEEDS.items():
                if thing.device.can(needed):
                    state: State = {"on": True}
                    assert thing.encode(Command("", action, values.get(action, 40)), state)


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


def test_names_in_folders_are_called_by_their_last_part() -> None:
    lamp = entity(BULB, "upstairs/hall_lamp")
    assert (lamp.device.name, lamp.device.aliases) == ("hall lamp", ("upstairs hall lamp",))


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
    [("Thing", "error", "Error: no route"), ("Thing", "warning", None), ("Thing 2", "error", None)],
)
def test_only_an_error_about_this_device_is_a_refusal(name: str, level: str, reason: str | None) -> None:
    words = f"z2m: Publish 'set' 'state' to '{name}' failed: 'Error: no route'"
    message = Message("zigbee2mqtt/bridge/logging", json.dumps({"level": level, "message": words}).encode())
    assert entity(BULB).rejection(message) == reason


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


def test_nothing_that_is_said_can_break_it() -> None:
    seeds = [BULB, HS_BULB, PLUG, TWO_GANG, BLIND, LOCK, RADIATOR, FAN, CONTACT, AIR, TUNED]
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
