"""The platforms with few values: switches, covers, valves, locks, sensors, scenes, buttons, and what cleans by itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from devices.command import Action, State, StateValue
from devices.conventions import Message
from devices.conventions.home_assistant.entity import Config, Draft, Send, Unusable, saying, switching, words
from devices.conventions.values import (
    load,
    mapping,
    nearest,
    number,
    speed_steps,
    speeds,
    text,
    tidy,
    wanted_number,
    wanted_share,
    wanted_word,
)
from devices.device import Capability, Kind

Changes = Mapping[str, StateValue]


def switch(config: Config) -> Draft:
    draft = Draft(config, Kind.SWITCH)
    switching(draft, "value_template")
    return draft


def siren(config: Config) -> Draft:
    """A siren takes a JSON object, unless a template says otherwise, and reports a word or such an object."""
    draft = Draft(config, Kind.SIREN)
    on, off = config.payload("payload_on", "ON"), config.payload("payload_off", "OFF")
    said_on, said_off = config.payload("state_on", on), config.payload("state_off", off)
    table = {said_on: {"on": True}, said_off: {"on": False}}

    def take(payload: str, state: State) -> Changes:
        return table.get(text(mapping(load(payload)).get("state")) or payload, {})

    draft.read("state_topic", "state_value_template", take, "on")
    plain, by_template = draft.sender("command_topic", ""), draft.sender("command_topic", "command_template")
    to_stop = draft.sender("command_topic", "command_off_template")
    if plain is None:
        raise Unusable("it names no command_topic")
    if by_template is None or to_stop is None:
        return draft

    def told(word: str, send: Send, templated: bool) -> Message:
        return send(word, state=word) if templated else plain(json.dumps({"state": word}))

    stops_so = "command_off_template" in config
    stop = to_stop if stops_so else by_template
    draft.can_switch(
        lambda _: (told(on, by_template, "command_template" in config),),
        lambda _: (told(off, stop, stops_so or "command_template" in config),),
    )
    return draft


def lock(config: Config) -> Draft:
    draft = Draft(config, Kind.LOCK)
    states = {
        config.payload("state_locked", "LOCKED"): "locked",
        config.payload("state_unlocked", "UNLOCKED"): "unlocked",
        config.payload("state_jammed", "JAMMED"): "jammed",
        config.payload("state_locking", "LOCKING"): "locking",
        config.payload("state_unlocking", "UNLOCKING"): "unlocking",
    }
    draft.read("state_topic", "value_template", words({said: {"lock": word} for said, word in states.items()}), "lock")
    send = draft.sender("command_topic", "command_template")
    if "code_format" in config:
        config.problems.append("it wants a code, which this hub does not hold")
    if send is None:
        return _told_or_broken(draft, "command_topic")
    close, open_ = config.payload("payload_lock", "LOCK"), config.payload("payload_unlock", "UNLOCK")
    draft.can(Action.LOCK, lambda _, __: (send(close, code=""),), "lock")
    draft.can(Action.UNLOCK, lambda _, __: (send(open_, code=""),), "lock")
    return draft


# -- what opens and closes


def cover(config: Config) -> Draft:
    """Blinds, shutters, curtains, doors. 100 is open, whatever the device's own scale says."""
    draft = Draft(config, Kind.COVER)
    closed, opened = _ends(config)
    placed = draft.read("position_topic", "position_template", _position_take(closed, opened), "position")
    states = _travel_states(config, ends=not placed)
    draft.read("state_topic", "value_template", words(states), *(() if placed else ("position",)))
    send = draft.sender("command_topic", "")
    if send is not None:
        _can_open(draft, send)
    place = draft.sender("set_position_topic", "set_position_template")
    if place is not None:
        ends = {"position_open": opened, "position_closed": closed}

        def move(value: StateValue | None, state: State) -> tuple[Message, ...]:
            share = wanted_share(value)
            return (place(round(closed + (opened - closed) * share / 100), position=tidy(share), **ends),)

        draft.can(Action.SET_POSITION, move, "position")
        if send is None:
            draft.can(Action.OPEN, lambda _, state: move(100, state), "position")
            draft.can(Action.CLOSE, lambda _, state: move(0, state), "position")
    return draft if draft.writes else _told_or_broken(draft, "command_topic and no set_position_topic")


def valve(config: Config) -> Draft:
    """A valve of words, or of a position which it then takes and reports by the same topics."""
    draft = Draft(config, Kind.VALVE)
    send = draft.sender("command_topic", "command_template")
    closed, opened = _ends(config)
    placed = config.flag("reports_position")
    states = _travel_states(config, ends=not placed)
    position = _position_take(closed, opened)

    def take(payload: str, state: State) -> Changes:
        said = mapping(load(payload))
        word = states.get(text(said.get("state")) or payload, {})
        where = position(payload, state) if placed else {}
        return {**word, **where}

    draft.read("state_topic", "value_template", take, "position")
    if send is None:
        return _told_or_broken(draft, "command_topic")
    if not placed:
        _can_open(draft, send)
        return draft

    def move(value: StateValue | None, state: State) -> tuple[Message, ...]:
        return (send(round(closed + (opened - closed) * wanted_share(value) / 100)),)

    draft.can(Action.SET_POSITION, move, "position")
    draft.can(Action.OPEN, lambda _, state: move(100, state), "position")
    draft.can(Action.CLOSE, lambda _, state: move(0, state), "position")
    return draft


def _ends(config: Config) -> tuple[float, float]:
    closed, opened = config.number("position_closed"), config.number("position_open")
    ends = (0.0 if closed is None else closed, 100.0 if opened is None else opened)
    if ends[0] == ends[1]:
        config.problems.append("its open and its closed position are the same")
        return 0.0, 100.0
    return ends


def _position_take(closed: float, opened: float) -> Callable[[str, State], Changes]:
    def take(payload: str, state: State) -> Changes:
        found = number(payload)
        if found is None:
            found = number(mapping(load(payload)).get("position"))
        if found is None:
            return {}
        share = (found - closed) * 100 / (opened - closed)
        return {"position": tidy(min(max(share, 0), 100), 1)}

    return take


def _travel_states(config: Config, ends: bool) -> dict[str, Changes]:
    """What the words of the state topic tell; the position only where no number does."""
    still: Changes = {"moving": False}
    return {
        config.payload("state_open", "open"): {**still, "position": 100} if ends else still,
        config.payload("state_closed", "closed"): {**still, "position": 0} if ends else still,
        config.payload("state_stopped", "stopped"): still,
        config.payload("state_opening", "opening"): {"moving": True},
        config.payload("state_closing", "closing"): {"moving": True},
    }


def _can_open(draft: Draft, send: Send) -> None:
    config = draft.config
    for action, key, usual in ((Action.OPEN, "payload_open", "OPEN"), (Action.CLOSE, "payload_close", "CLOSE")):
        if not config.is_null(key):  # null is how a device says that it has no such movement
            word = config.payload(key, usual)
            draft.can(action, saying(send, word), "position")


# -- what is only read, and what is only set off


def sensor(config: Config) -> Draft:
    draft = Draft(config, Kind.SENSOR)

    def take(payload: str, state: State) -> Changes:
        found = number(payload)
        if found is not None:
            return {"value": tidy(found)}
        return {"value": said} if (said := text(payload)) else {}

    if not draft.read("state_topic", "value_template", take, "value") and not config.problems:
        raise Unusable("it names no state_topic")
    return draft


def binary_sensor(config: Config) -> Draft:
    draft = Draft(config, Kind.BINARY_SENSOR)
    on, off = config.payload("payload_on", "ON"), config.payload("payload_off", "OFF")
    take = words({on: {"on": True}, off: {"on": False}})
    if not draft.read("state_topic", "value_template", take, "on") and not config.problems:
        raise Unusable("it names no state_topic")
    return draft


def scene(config: Config) -> Draft:
    return _set_off(config, Kind.SCENE, "payload_on", "ON")


def button(config: Config) -> Draft:
    return _set_off(config, Kind.BUTTON, "payload_press", "PRESS")


def _set_off(config: Config, kind: Kind, key: str, usual: str) -> Draft:
    draft = Draft(config, kind)
    send = draft.sender("command_topic", "command_template")
    if send is None:
        return _told_or_broken(draft, "command_topic")
    word = config.payload(key, usual)
    draft.can(Action.ACTIVATE, saying(send, word), None)
    return draft


def number_(config: Config) -> Draft:
    """A number that can be set, in its own unit."""
    draft = Draft(config, Kind.NUMBER)

    def take(payload: str, state: State) -> Changes:
        found = number(payload)
        return {} if found is None else {"value": tidy(found)}

    draft.read("state_topic", "value_template", take, "value")
    send = draft.sender("command_topic", "command_template")
    if send is None:
        return _told_or_broken(draft, "command_topic")
    limits = draft.range("min", "max", (1.0, 100.0), config.number("step"))
    draft.limit(Capability.NUMBER, limits)
    draft.can(Action.SET_NUMBER, lambda value, _: (send(tidy(wanted_number(value, limits))),), "value")
    return draft


def select(config: Config) -> Draft:
    draft = Draft(config, Kind.SELECT)
    options = config.words("options")
    draft.read("state_topic", "value_template", words({o: {"value": o} for o in options}), "value")
    send = draft.sender("command_topic", "command_template")
    if send is None:
        return _told_or_broken(draft, "command_topic")
    if not options:
        raise Unusable("it names no options")
    draft.options = options
    draft.can(Action.SELECT_OPTION, lambda value, _: (send(wanted_word(value, options)),), "value")
    return draft


# -- what drives about

_VACUUM_ORDERS = {
    "start": (Action.VACUUM_START, "payload_start", "start"),
    "stop": (Action.VACUUM_STOP, "payload_stop", "stop"),
    "pause": (Action.VACUUM_PAUSE, "payload_pause", "pause"),
    "return_home": (Action.VACUUM_DOCK, "payload_return_to_base", "return_to_base"),
}
_VACUUM_STATES = ("cleaning", "docked", "paused", "returning", "idle", "error")
_MOWER_STATES = ("mowing", "docked", "paused", "returning", "error")


def vacuum(config: Config) -> Draft:
    """A robot; where it does not say what it can, it can what Home Assistant takes for usual."""
    draft = Draft(config, Kind.VACUUM)
    fan = speeds(config.words("fan_speed_list"))

    def take(payload: str, state: State) -> Changes:
        said = mapping(load(payload))
        changes: dict[str, StateValue] = {}
        if (word := said.get("state")) in _VACUUM_STATES:
            changes["vacuum"] = str(word)
        if (speed := fan.get(text(said.get("fan_speed")) or "")) is not None:
            changes["fan_speed"] = speed
        return changes

    draft.read("state_topic", "value_template", take, "vacuum", "fan_speed")
    features = config.words("supported_features") or ("start", "stop", "return_home")
    send = draft.sender("command_topic", "")
    for feature, (action, key, usual) in _VACUUM_ORDERS.items():
        if send is not None and feature in features:
            word = config.payload(key, usual)
            draft.can(action, saying(send, word), "vacuum")
    blow = draft.sender("set_fan_speed_topic", "")
    if blow is not None and "fan_speed" in features and fan:
        draft.limit(Capability.FAN_SPEED, speed_steps(len(fan)))
        draft.can(Action.SET_FAN_SPEED, lambda value, _: (blow(nearest(wanted_share(value), fan)),), "fan_speed")
    return draft if draft.writes else _told_or_broken(draft, "command_topic")


def lawn_mower(config: Config) -> Draft:
    draft = Draft(config, Kind.LAWN_MOWER)
    draft.read(
        "activity_state_topic", "activity_value_template", words({w: {"mower": w} for w in _MOWER_STATES}), "mower"
    )
    for action, key, word in (
        (Action.MOWER_START, "start_mowing", "start_mowing"),
        (Action.MOWER_DOCK, "dock", "dock"),
    ):
        send = draft.sender(f"{key}_command_topic", f"{key}_command_template")
        if send is not None:
            draft.can(action, saying(send, word), "mower")
    return draft if draft.writes else _told_or_broken(draft, "start_mowing_command_topic and no dock_command_topic")


def _told_or_broken(draft: Draft, missing: str) -> Draft:
    """A device that takes no orders: for want of a topic, which is an error, or because one cannot be used."""
    if draft.config.problems:
        return draft
    raise Unusable(f"it names no {missing}")
