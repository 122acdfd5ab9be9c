"""Home Assistant's MQTT discovery: payloads as devices announce them, what they report, and what they are then sent."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

import pytest

from devices.command import Action, Command, State, StateValue
from devices.control import expectation, meets
from devices.conventions import Announced, CannotDo, Entity, Message
from devices.conventions.home_assistant import HomeAssistant
from devices.device import Capability, Kind

CONVENTION = HomeAssistant()

Reports = Mapping[str, object]


def announce(component: str, config: object, id: str = "thing") -> Announced:
    payload = config if isinstance(config, bytes) else json.dumps(config).encode()
    announced = CONVENTION.announce(Message(f"homeassistant/{component}/{id}/config", payload, retain=True))
    assert announced is not None
    return announced


def entity(component: str, **config: object) -> Entity:
    announced = announce(component, {"unique_id": "u1", "name": "Thing", **config})
    assert announced.warnings == ()
    (found,) = announced.entities
    return found


def reported(entity: Entity, reports: Reports) -> State:
    state: dict[str, StateValue] = {}
    for topic, payload in reports.items():
        text = payload if isinstance(payload, str) else json.dumps(payload)
        state.update(entity.decode(Message(topic, text.encode()), state))
    return state


def sent(entity: Entity, action: Action, value: StateValue | None = None, state: State | None = None) -> dict[str, str]:
    messages = entity.encode(Command(entity.device.id, action, value), state or {})
    assert not any(m.retain for m in messages), "a command that is kept would be obeyed again at the next start"
    return {m.topic: m.payload.decode() for m in messages}


# -- each platform: what it is announced as, what it is told, what it is sent, what it then reports

SWITCH = {"command_topic": "s/set", "state_topic": "s"}
DIMMER = {
    **{"command_topic": "l/set", "state_topic": "l", "brightness_command_topic": "l/b/set"},
    **{"brightness_state_topic": "l/b", "brightness_scale": 100},
}
COLOURED = {
    **{"command_topic": "l/set", "state_topic": "l", "rgb_command_topic": "l/rgb/set", "rgb_state_topic": "l/rgb"},
    **{"color_temp_command_topic": "l/ct/set", "color_temp_state_topic": "l/ct", "min_mireds": 153, "max_mireds": 454},
}
JSON_LIGHT = {
    **{"schema": "json", "command_topic": "j/set", "state_topic": "j", "brightness": True, "brightness_scale": 254},
    **{"supported_color_modes": ["color_temp", "xy"], "min_mireds": 150, "max_mireds": 500},
}
TEMPLATE_LIGHT = {
    **{"schema": "template", "command_topic": "t/set", "state_topic": "t"},
    "command_on_template": "on,{{ brightness|d }},{{ red|d }}-{{ green|d }}-{{ blue|d }}",
    "command_off_template": "off",
    "state_template": "{{ value.split(',')[0] }}",
    "brightness_template": "{{ value.split(',')[1] }}",
    "red_template": "{{ value.split(',')[2].split('-')[0] }}",
    "green_template": "{{ value.split(',')[2].split('-')[1] }}",
    "blue_template": "{{ value.split(',')[2].split('-')[2] }}",
}
BLINDS = {"command_topic": "c/set", "state_topic": "c", "position_topic": "c/p", "set_position_topic": "c/p/set"}
UPSIDE_DOWN = {**BLINDS, "position_open": 0, "position_closed": 100}
GARAGE = {"command_topic": "g/set", "state_topic": "g", "device_class": "garage"}
LOCK = {"command_topic": "k/set", "state_topic": "k"}
THERMOSTAT = {
    **{"mode_command_topic": "m/set", "mode_state_topic": "m", "modes": ["off", "heat", "auto"]},
    **{"temperature_command_topic": "t/set", "temperature_state_topic": "t", "current_temperature_topic": "now"},
    **{"min_temp": 7, "max_temp": 30, "temp_step": 0.5},
}
AMERICAN = {**THERMOSTAT, "temperature_unit": "F", "min_temp": 50, "max_temp": 90, "temp_step": 1}
COOLER = {
    **THERMOSTAT,
    **{"fan_mode_command_topic": "f/set", "fan_mode_state_topic": "f", "fan_modes": ["auto", "low", "medium", "high"]},
    **{"swing_mode_command_topic": "w/set", "swing_mode_state_topic": "w", "swing_modes": ["on", "off", "vertical"]},
}
FAN = {
    **{
        "command_topic": "f/set",
        "state_topic": "f",
        "percentage_command_topic": "p/set",
        "percentage_state_topic": "p",
    },
    **{
        "speed_range_min": 1,
        "speed_range_max": 3,
        "oscillation_command_topic": "o/set",
        "oscillation_state_topic": "o",
    },
}
HUMIDIFIER = {
    **{"command_topic": "h/set", "state_topic": "h", "target_humidity_command_topic": "t/set"},
    **{"target_humidity_state_topic": "t", "min_humidity": 30, "max_humidity": 80},
    **{"modes": ["normal", "sleep"], "mode_command_topic": "m/set", "mode_state_topic": "m"},
}
BOILER = {
    **{"mode_command_topic": "m/set", "mode_state_topic": "m", "temperature_command_topic": "t/set"},
    **{"temperature_state_topic": "t", "power_command_topic": "p/set"},
}
VACUUM = {
    **{"command_topic": "v/set", "state_topic": "v", "set_fan_speed_topic": "v/fan", "fan_speed_list": ["min", "max"]},
    "supported_features": ["start", "pause", "stop", "return_home", "fan_speed"],
}
MOWER = {
    **{"activity_state_topic": "m", "dock_command_topic": "m/dock", "start_mowing_command_topic": "m/start"},
    "dock_command_template": '{"do": "{{ value }}"}',
}
VALVE = {"command_topic": "v/set", "state_topic": "v", "reports_position": True}
TAP = {"command_topic": "v/set", "state_topic": "v"}
SIREN = {"command_topic": "s/set", "state_topic": "s"}
NUMBER = {"command_topic": "n/set", "state_topic": "n", "min": 0, "max": 20, "step": 0.5}
SELECT = {"command_topic": "x/set", "state_topic": "x", "options": ["Eco", "Full power"]}

ORDERS: list[tuple[str, Mapping[str, object], Action, StateValue | None, Reports, Reports]] = [
    ("switch", SWITCH, Action.TURN_ON, None, {"s/set": "ON"}, {"s": "ON"}),
    ("switch", SWITCH, Action.TURN_OFF, None, {"s/set": "OFF"}, {"s": "OFF"}),
    ("switch", {**SWITCH, "payload_on": True, "state_on": "1"}, Action.TURN_ON, None, {"s/set": "True"}, {"s": "1"}),
    (
        "switch",
        {**SWITCH, "command_template": '{"relay": "{{ value }}"}', "value_template": "{{ value_json.relay }}"},
        Action.TURN_ON,
        None,
        {"s/set": '{"relay": "ON"}'},
        {"s": {"relay": "ON"}},
    ),
    ("light", DIMMER, Action.SET_BRIGHTNESS, 40, {"l/b/set": "40", "l/set": "ON"}, {"l": "ON", "l/b": "40"}),
    ("light", DIMMER, Action.SET_BRIGHTNESS, 0, {"l/set": "OFF"}, {"l": "OFF"}),
    ("light", {**DIMMER, "on_command_type": "brightness"}, Action.TURN_ON, None, {"l/b/set": "100"}, {"l": "ON"}),
    (
        "light",
        {**DIMMER, "on_command_type": "brightness"},
        Action.SET_BRIGHTNESS,
        20,
        {"l/b/set": "20"},
        {"l": "ON", "l/b": "20"},
    ),
    (
        "light",
        COLOURED,
        Action.SET_COLOR,
        (240.0, 100.0),
        {"l/rgb/set": "0,0,255", "l/set": "ON"},
        {"l": "ON", "l/rgb": "0,0,255"},
    ),
    (
        "light",
        COLOURED,
        Action.SET_COLOR_TEMP,
        4000,
        {"l/ct/set": "250", "l/set": "ON"},
        {"l": "ON", "l/ct": "250"},
    ),
    ("light", JSON_LIGHT, Action.TURN_OFF, None, {"j/set": {"state": "OFF"}}, {"j": {"state": "OFF"}}),
    (
        "light",
        JSON_LIGHT,
        Action.SET_BRIGHTNESS,
        50,
        {"j/set": {"state": "ON", "brightness": 127}},
        {"j": {"state": "ON", "brightness": 127}},
    ),
    (
        "light",
        JSON_LIGHT,
        Action.SET_COLOR_TEMP,
        2700,
        {"j/set": {"state": "ON", "color_temp": 370}},
        {"j": {"state": "ON", "color_temp": 370, "color_mode": "color_temp"}},
    ),
    (
        "light",
        {**JSON_LIGHT, "supported_color_modes": ["hs"]},
        Action.SET_COLOR,
        (30.0, 80.0),
        {"j/set": {"state": "ON", "color": {"h": 30.0, "s": 80.0}}},
        {"j": {"state": "ON", "color": {"h": 30, "s": 80}, "color_mode": "hs"}},
    ),
    (
        "light",
        {**JSON_LIGHT, "color_temp_kelvin": True},
        Action.SET_COLOR_TEMP,
        3000,
        {"j/set": {"state": "ON", "color_temp": 3000}},
        {"j": {"state": "ON", "color_temp": 3000}},
    ),
    ("light", TEMPLATE_LIGHT, Action.TURN_ON, None, {"t/set": "on,,--"}, {"t": "on,200,1-2-3"}),
    ("light", TEMPLATE_LIGHT, Action.SET_BRIGHTNESS, 60, {"t/set": "on,153,--"}, {"t": "on,153,9-9-9"}),
    ("light", TEMPLATE_LIGHT, Action.SET_COLOR, (0.0, 100.0), {"t/set": "on,,255-0-0"}, {"t": "on,7,255-0-0"}),
    ("cover", BLINDS, Action.SET_POSITION, 30, {"c/p/set": "30"}, {"c": "stopped", "c/p": "30"}),
    ("cover", BLINDS, Action.OPEN, None, {"c/set": "OPEN"}, {"c": "open", "c/p": "100"}),
    ("cover", UPSIDE_DOWN, Action.SET_POSITION, 30, {"c/p/set": "70"}, {"c/p": "70"}),
    ("cover", UPSIDE_DOWN, Action.CLOSE, None, {"c/set": "CLOSE"}, {"c/p": "100"}),
    (
        "cover",
        {**BLINDS, "set_position_template": '{"to": {{ position }}}'},
        Action.SET_POSITION,
        25,
        {"c/p/set": {"to": 25}},
        {"c/p": {"position": 25}},
    ),
    ("cover", GARAGE, Action.OPEN, None, {"g/set": "OPEN"}, {"g": "open"}),
    ("cover", GARAGE, Action.CLOSE, None, {"g/set": "CLOSE"}, {"g": "closed"}),
    ("lock", LOCK, Action.LOCK, None, {"k/set": "LOCK"}, {"k": "LOCKED"}),
    ("lock", LOCK, Action.UNLOCK, None, {"k/set": "UNLOCK"}, {"k": "UNLOCKED"}),
    ("climate", THERMOSTAT, Action.SET_TEMPERATURE, 21.5, {"t/set": "21.5"}, {"t": "21.5"}),
    ("climate", THERMOSTAT, Action.SET_MODE, "heat", {"m/set": "heat"}, {"m": "heat"}),
    ("climate", THERMOSTAT, Action.TURN_OFF, None, {"m/set": "off"}, {"m": "off"}),
    ("climate", THERMOSTAT, Action.TURN_ON, None, {"m/set": "auto"}, {"m": "auto"}),
    ("climate", AMERICAN, Action.SET_TEMPERATURE, 20, {"t/set": "68"}, {"t": "68"}),
    ("climate", COOLER, Action.SET_FAN_SPEED, 100, {"f/set": "high"}, {"f": "high"}),
    ("climate", COOLER, Action.SET_SWING, "vertical", {"w/set": "vertical"}, {"w": "vertical"}),
    ("fan", FAN, Action.TURN_ON, None, {"f/set": "ON"}, {"f": "ON"}),
    ("fan", FAN, Action.SET_FAN_SPEED, 100, {"p/set": "3"}, {"f": "ON", "p": "3"}),
    ("fan", FAN, Action.SET_FAN_SPEED, 30, {"p/set": "1"}, {"f": "ON", "p": "1"}),
    ("fan", FAN, Action.SET_FAN_SPEED, 0, {"f/set": "OFF"}, {"f": "OFF", "p": "0"}),
    ("fan", FAN, Action.SET_SWING, "on", {"o/set": "oscillate_on"}, {"o": "oscillate_on"}),
    ("humidifier", HUMIDIFIER, Action.SET_HUMIDITY, 45, {"t/set": "45"}, {"t": "45"}),
    ("humidifier", HUMIDIFIER, Action.SET_MODE, "Sleep", {"m/set": "sleep"}, {"m": "sleep"}),
    ("water_heater", BOILER, Action.SET_TEMPERATURE, 55, {"t/set": "55"}, {"t": "55.0"}),
    ("water_heater", BOILER, Action.TURN_ON, None, {"p/set": "ON"}, {"m": "eco"}),
    ("vacuum", VACUUM, Action.VACUUM_START, None, {"v/set": "start"}, {"v": {"state": "cleaning"}}),
    ("vacuum", VACUUM, Action.VACUUM_DOCK, None, {"v/set": "return_to_base"}, {"v": {"state": "returning"}}),
    ("vacuum", VACUUM, Action.VACUUM_PAUSE, None, {"v/set": "pause"}, {"v": {"state": "paused"}}),
    ("vacuum", VACUUM, Action.VACUUM_STOP, None, {"v/set": "stop"}, {"v": {"state": "idle"}}),
    ("vacuum", VACUUM, Action.SET_FAN_SPEED, 100, {"v/fan": "max"}, {"v": {"fan_speed": "max"}}),
    ("lawn_mower", MOWER, Action.MOWER_START, None, {"m/start": "start_mowing"}, {"m": "mowing"}),
    ("lawn_mower", MOWER, Action.MOWER_DOCK, None, {"m/dock": {"do": "dock"}}, {"m": "returning"}),
    ("valve", VALVE, Action.SET_POSITION, 50, {"v/set": "50"}, {"v": {"position": 50, "state": "opening"}}),
    ("valve", VALVE, Action.CLOSE, None, {"v/set": "0"}, {"v": "0"}),
    ("valve", TAP, Action.OPEN, None, {"v/set": "OPEN"}, {"v": "open"}),
    ("siren", SIREN, Action.TURN_ON, None, {"s/set": {"state": "ON"}}, {"s": {"state": "ON", "volume_level": 1}}),
    ("siren", {**SIREN, "command_template": "{{ value }}!"}, Action.TURN_OFF, None, {"s/set": "OFF!"}, {"s": "OFF"}),
    ("number", NUMBER, Action.SET_NUMBER, 7.5, {"n/set": "7.5"}, {"n": "7.5"}),
    ("select", SELECT, Action.SELECT_OPTION, "full power", {"x/set": "Full power"}, {"x": "Full power"}),
]


@pytest.mark.parametrize(("component", "config", "action", "value", "told", "answer"), ORDERS)
def test_an_order_is_written_as_the_device_wants_it_and_its_report_proves_it(
    component: str,
    config: Mapping[str, object],
    action: Action,
    value: StateValue | None,
    told: Reports,
    answer: Reports,
) -> None:
    thing = entity(component, **config)
    messages = sent(thing, action, value)
    assert {t: _read(p) for t, p in messages.items()} == {t: _read(p) for t, p in told.items()}
    command = Command(thing.device.id, action, value)
    state = reported(thing, answer)
    assert meets(expectation(command, state), state, thing.device)
    assert not thing.optimistic


def _read(payload: object) -> object:
    """A payload without the freedom that JSON leaves in writing it."""
    if not isinstance(payload, str) or not payload.startswith("{"):
        return payload
    return json.loads(payload)


def test_every_platform_of_the_tables_is_shown() -> None:
    shown = {component for component, *_ in ORDERS} | {"sensor", "binary_sensor", "scene", "button"}
    assert len(shown) == 18


@pytest.mark.parametrize(
    ("component", "config", "action", "value"),
    [
        ("climate", THERMOSTAT, Action.SET_TEMPERATURE, 45),
        ("climate", AMERICAN, Action.SET_TEMPERATURE, 9),
        ("climate", THERMOSTAT, Action.SET_MODE, "dry"),
        ("light", COLOURED, Action.SET_COLOR_TEMP, 9000),
        ("light", DIMMER, Action.SET_COLOR, (0.0, 100.0)),
        ("light", DIMMER, Action.SET_BRIGHTNESS, 101),
        ("light", DIMMER, Action.SET_BRIGHTNESS, "bright"),
        ("number", NUMBER, Action.SET_NUMBER, 21),
        ("select", SELECT, Action.SELECT_OPTION, "Turbo"),
        ("humidifier", HUMIDIFIER, Action.SET_HUMIDITY, 10),
        ("cover", GARAGE, Action.SET_POSITION, 50),
        ("cover", {**GARAGE, "payload_close": None}, Action.CLOSE, None),
        ("vacuum", {**VACUUM, "supported_features": ["start"]}, Action.VACUUM_PAUSE, None),
    ],
)
def test_what_it_cannot_do_is_not_sent(
    component: str, config: Mapping[str, object], action: Action, value: StateValue | None
) -> None:
    with pytest.raises(CannotDo):
        sent(entity(component, **config), action, value)


def test_a_toggle_goes_by_what_was_reported() -> None:
    thing = entity("switch", **SWITCH)
    assert sent(thing, Action.TOGGLE, state={"on": True}) == {"s/set": "OFF"}
    with pytest.raises(CannotDo):
        sent(thing, Action.TOGGLE)


# -- what is read


def test_sensors_have_numbers_words_and_units() -> None:
    warmth = entity("sensor", state_topic="w", unit_of_measurement="°C", device_class="temperature")
    assert (warmth.device.unit, warmth.device.device_class) == ("°C", "temperature")
    assert reported(warmth, {"w": "21.50"}) == {"value": 21.5}
    assert reported(warmth, {"w": "unusual"}) == {"value": "unusual"}
    nested = entity("sensor", state_topic="w", value_template="{{ value_json['a'].b | float / 10 }}")
    assert reported(nested, {"w": {"a": {"b": "215"}}}) == {"value": 21.5}
    assert reported(nested, {"w": "not JSON"}) == {}


def test_binary_sensors_are_on_or_off() -> None:
    door = entity("binary_sensor", state_topic="d", device_class="door", payload_on="open", payload_off="shut")
    assert reported(door, {"d": "open"}) == {"on": True}
    assert reported(door, {"d": "shut"}) == {"on": False}
    assert reported(door, {"d": "ajar"}) == {}


@pytest.mark.parametrize("payload", ["None", "", "{}", "NaN", "1e999", "[[[[", "\x00"])
def test_a_report_that_says_nothing_changes_nothing(payload: str) -> None:
    things: list[tuple[str, Mapping[str, object]]] = [("light", DIMMER), ("light", JSON_LIGHT), ("vacuum", VACUUM)]
    for component, config in things:
        thing = entity(component, **config)
        assert not any(thing.decode(Message(t, payload.encode()), {}) for t in thing.topics)


def test_the_colour_mode_tells_which_of_two_colours_is_shown() -> None:
    lamp = entity("light", **JSON_LIGHT)
    both = {"color_temp": 300, "color": {"x": 0.7, "y": 0.3}}
    assert "color" not in reported(lamp, {"j": {**both, "color_mode": "color_temp"}})
    assert "kelvin" not in reported(lamp, {"j": {**both, "color_mode": "xy"}})


def test_a_scene_and_a_button_are_set_off_and_prove_nothing() -> None:
    scene = entity("scene", command_topic="go", payload_on="movie")
    button = entity("button", command_topic="press")
    assert sent(scene, Action.ACTIVATE) == {"go": "movie"}
    assert sent(button, Action.ACTIVATE) == {"press": "PRESS"}
    assert scene.device.kind is Kind.SCENE
    assert not scene.topics


def test_without_a_state_topic_nothing_can_be_proved() -> None:
    assert entity("switch", command_topic="s/set").optimistic
    assert entity("switch", **SWITCH, optimistic=True).optimistic
    assert entity("light", command_topic="l/set", state_topic="l", brightness_command_topic="b").optimistic


# -- both forms, abbreviations, the base topic


def test_abbreviations_and_the_base_topic_say_the_same_as_whole_words() -> None:
    short = {
        **{
            "~": "esp/lamp",
            "name": "Lamp",
            "uniq_id": "esp-1",
            "schema": "json",
            "cmd_t": "~/set",
            "stat_t": "~/state",
        },
        **{
            "bri_scl": 100,
            "brightness": True,
            "sup_clrm": ["color_temp"],
            "clr_temp_k": True,
            "min_k": 2500,
            "max_k": 6000,
        },
        **{"avty": [{"t": "~/there", "pl_avail": "yes", "pl_not_avail": "no"}], "avty_mode": "all"},
        "dev": {"ids": ["esp-1"], "cns": [["mac", "AA:BB:CC:00:11:22"]], "name": "Lamp", "sa": "Hall", "mf": "Own"},
    }
    (lamp,) = announce("light", short).entities
    assert (lamp.device.name, lamp.device.area) == ("Lamp", "Hall")
    assert lamp.topics == {"esp/lamp/state", "esp/lamp/there"}
    assert {"esp-1", "aa:bb:cc:00:11:22", "esp/lamp/set"} <= lamp.identities
    assert _read(sent(lamp, Action.SET_BRIGHTNESS, 30)["esp/lamp/set"]) == {"state": "ON", "brightness": 30}
    assert lamp.device.limits[Capability.COLOR_TEMP].low == 2500
    assert reported(lamp, {"esp/lamp/there": "no"}) == {"available": False}


def test_one_message_announces_all_parts_of_a_device() -> None:
    whole: dict[str, Any] = {
        "dev": {"ids": "plug-7", "name": "Desk plug", "sa": "Office"},
        "o": {"name": "own firmware"},
        "avty_t": "plug/lwt",
        "qos": 1,
        "cmps": {
            "relay": {"p": "switch", "unique_id": "plug-7-r", "name": None, "cmd_t": "plug/set", "stat_t": "plug/s"},
            "power": {
                **{"p": "sensor", "unique_id": "plug-7-p", "stat_t": "plug/w", "unit_of_meas": "W", "dev_cla": "power"}
            },
            "firmware": {"p": "update", "unique_id": "plug-7-u", "stat_t": "plug/u"},
            "old": {"p": "button"},
        },
    }
    announced = announce("device", whole)
    assert announced.warnings == ()
    relay, power = announced.entities
    assert (relay.device.name, relay.device.area) == ("Desk plug", "Office")
    assert relay.encode(Command("", Action.TURN_ON), {})[0].qos == 1
    assert reported(relay, {"plug/lwt": "offline"}) == {"available": False}
    assert power.device.unit == "W"
    assert relay.device.id != power.device.id


def test_an_empty_announcement_removes_what_the_topic_announced() -> None:
    gone = announce("switch", b"")
    assert gone.entities == ()
    assert gone.source == announce("switch", SWITCH).source


def test_a_device_that_moves_to_the_other_form_is_announced_there() -> None:
    assert announce("switch", {"migrate_discovery": True}).entities == ()


@pytest.mark.parametrize(
    "topic",
    [
        "homeassistant/config",
        "homeassistant/light/a/b/c/config",
        "homeassistant/light/a b/config",
        "else/light/a/config",
    ],
)
def test_other_topics_are_left_alone(topic: str) -> None:
    assert CONVENTION.announce(Message(topic, b"{}")) is None


def test_the_birth_message_asks_for_announcements() -> None:
    (hello,) = HomeAssistant("ha").greeting()
    assert (hello.topic, hello.payload, hello.retain) == ("ha/status", b"online", False)


# -- availability


@pytest.mark.parametrize(
    ("mode", "said", "there"),
    [
        ("all", ["online", "online"], True),
        ("all", ["online", "offline"], False),
        ("any", ["offline", "online"], True),
        ("any", ["offline", "offline"], False),
        ("latest", ["offline", "online"], True),
        ("latest", ["online", "offline"], False),
    ],
)
def test_several_topics_decide_whether_it_is_there(mode: str, said: list[str], there: bool) -> None:
    lines = [{"topic": "a"}, {"topic": "b", "value_template": "{{ value_json.state }}"}]
    thing = entity("switch", **SWITCH, availability=lines, availability_mode=mode)
    state = reported(thing, {"a": said[0], "b": {"state": said[1]}})
    assert state == {"available": there}


# -- names


@pytest.mark.parametrize(
    ("device", "name", "called"),
    [
        ("Kitchen lamp", None, "Kitchen lamp"),
        ("Kitchen", "Ceiling", "Kitchen Ceiling"),
        ("Kitchen", "Kitchen Ceiling", "Kitchen Ceiling"),
        ("hall_lamp", None, "hall lamp"),
        (None, "Ceiling", "Ceiling"),
    ],
)
def test_the_name_is_what_people_say(device: str | None, name: str | None, called: str) -> None:
    about: Mapping[str, object] = {} if device is None else {"device": {"name": device, "identifiers": ["d"]}}
    (thing,) = announce("switch", {**SWITCH, "unique_id": "u", "name": name, **about}).entities
    assert thing.device.name == called


# -- what cannot be used


@pytest.mark.parametrize(
    ("component", "config"),
    [
        ("switch", {}),
        ("switch", {"command_topic": "a/+/b"}),
        ("light", {"schema": "json", "state_topic": "l"}),
        ("light", {"schema": "template", "command_topic": "l"}),
        ("light", {"schema": "morse", "command_topic": "l"}),
        ("sensor", {"name": "x"}),
        ("select", {"command_topic": "s"}),
        ("climate", {"name": "x"}),
    ],
)
def test_what_describes_nothing_is_a_warning_or_can_only_be_read(component: str, config: Mapping[str, object]) -> None:
    announced = announce(component, config)
    assert announced.warnings or all(e.device.read_only for e in announced.entities)
    assert announced.warnings or announced.entities


@pytest.mark.parametrize(
    ("payload", "word"), [(b"lamp", "JSON"), (b"[1]", "JSON"), (b"\xff\xfe", "JSON"), (b"[" * 100_000, "JSON")]
)
def test_an_announcement_that_is_none_is_named(payload: bytes, word: str) -> None:
    (warning,) = announce("light", payload).warnings
    assert word in warning
    assert "homeassistant/light/thing/config" in warning


@pytest.mark.parametrize("key", ["value_template", "command_template"])
@pytest.mark.parametrize(
    "template", ["{% macro m() %}{% endmacro %}", "{{ value", "{{ states('light.x') }}", "{% import 'x' %}"]
)
def test_a_template_that_cannot_be_run_makes_the_device_read_only(key: str, template: str) -> None:
    (thing,) = announce("switch", {**SWITCH, "name": "Plug", "unique_id": "u", key: template}).entities
    assert thing.device.read_only is not None
    assert key in thing.device.read_only or "told" in thing.device.read_only
    with pytest.raises(CannotDo):
        sent(thing, Action.TURN_ON)


def test_a_template_that_loops_is_stopped() -> None:
    loop = "{% for a in range(999) %}{% for b in range(999) %}{% for c in range(999) %}{% endfor %}{% endfor %}{% endfor %}ON"
    thing = announce("switch", {**SWITCH, "unique_id": "u", "value_template": loop}).entities[0]
    assert reported(thing, {"s": "ON"}) == {}


def test_a_lock_that_wants_a_code_is_not_claimed() -> None:
    (thing,) = announce("lock", {**LOCK, "unique_id": "u", "code_format": "^\\d{4}$"}).entities
    assert "code" in (thing.device.read_only or "")


# -- anything at all


def test_no_announcement_and_no_report_can_break_it() -> None:
    seeds = [(c, dict(config)) for c, config, *_ in ORDERS]
    values = [
        None,
        True,
        -1,
        1e400,
        "",
        "~",
        "a/#",
        "{{ 1/0 }}",
        [],
        {},
        [[1]],
        {"a": None},
        "\ud800",
        "9" * 5000,
        "ON",
    ]
    random_ = random.Random(7)
    for _ in range(1500):
        component, config = random_.choice(seeds)
        config = {"unique_id": "u", "name": "n", **config}
        for key in random_.sample(sorted(config), k=random_.randint(0, 3)):
            config[key] = random_.choice(values)
        if random_.random() < 0.3:
            extra = random_.choice(["device", "availability", "availability_mode", "qos", "entity_category", "~"])
            config[extra] = random_.choice(values)
        payload = bytearray(json.dumps(config).encode())
        if random_.random() < 0.3:
            payload[random_.randrange(len(payload))] = random_.randrange(256)
        kind = random_.choice([component, "device", "switch", "light"])
        for thing in announce(kind, bytes(payload)).entities:
            for topic in thing.topics:
                said = random_.choice(values)
                text = said if isinstance(said, str) else json.dumps({"state": said, "color": said, "brightness": said})
                thing.decode(Message(topic, text.encode(errors="replace")), {})
            for action in Action:
                try:
                    thing.encode(Command(thing.device.id, action, random_.choice([None, 5, "on", (1.0, 2.0)])), {})
                except CannotDo:
                    continue
