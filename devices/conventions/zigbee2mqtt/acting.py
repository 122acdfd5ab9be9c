"""Lights, switches, covers, locks, climates and fans: from their features to what they say and what they can be told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from types import MappingProxyType

from devices.command import Action, State, StateValue
from devices.conventions import CannotDo
from devices.conventions.values import (
    Color,
    color_of,
    kelvin,
    mapping,
    mired,
    nearest,
    number,
    span,
    speed_steps,
    speeds,
    text,
    tidy,
    wanted_color,
    wanted_number,
    wanted_share,
    wanted_word,
    xy,
)
from devices.conventions.zigbee2mqtt.part import Changes, Feature, Part, Said, Scalar, binary, numeric, worded
from devices.device import Capability, Kind, Range


def _share(value: float, most: float = 100.0) -> int | float:
    return tidy(min(max(value * 100 / most, 0), 100), 1)


# -- on and off


def switch(part: Part) -> None:
    _switching(part)


def _switching(part: Part) -> dict[str, object]:
    """Reads and writes the state; returns what switches it on, to be sent along with other values."""
    state = part.features.get("state")
    if state is None:
        return {}
    part.read(state, binary(state, "ON", "OFF"))
    if not state.takes:
        return {}
    on: Scalar = "ON" if state.on is None else state.on
    off: Scalar = "OFF" if state.off is None else state.off
    _can_switch(part, {state.key: on}, {state.key: off})
    return {state.key: on}


def _can_switch(part: Part, on: dict[str, object], off: dict[str, object]) -> None:
    def toggle(_: StateValue | None, now: State) -> Said:
        if not isinstance(now.get("on"), bool):
            raise CannotDo("it has not said whether it is on")
        return off if now["on"] else on

    part.can(Action.TURN_ON, lambda _, __: on)
    part.can(Action.TURN_OFF, lambda _, __: off)
    part.can(Action.TOGGLE, toggle)


# -- lights


def light(part: Part) -> None:
    lit = _switching(part)
    if bright := part.features.get("brightness"):
        _dimming(part, bright, lit)
    if white := part.features.get("color_temp"):
        _white(part, white, lit)
    if color := next((f for name, f in part.features.items() if name in ("color_xy", "color_hs")), None):
        _color(part, color, lit)


def _dimming(part: Part, bright: Feature, lit: Said) -> None:
    most = bright.high if bright.high is not None and bright.high > 0 else 254.0
    least = min(max(bright.low or 0.0, 1.0), most)  # none at all would be off, which is another order

    def dim(value: StateValue | None, state: State) -> Said:
        share = wanted_share(value)
        if share == 0 and Action.TURN_OFF in part.writes:
            return part.writes[Action.TURN_OFF](None, state)
        return {**lit, bright.key: round(max(share * most / 100, least))}

    part.read(bright, numeric(bright, "brightness", lambda n: _share(n, most)))
    if bright.takes:
        part.can(Action.SET_BRIGHTNESS, dim)


def _color_mode(said: Said, part: Part) -> object:
    return said.get(f"color_mode_{part.endpoint}" if part.endpoint else "color_mode")


def _white(part: Part, white: Feature, lit: Said) -> None:
    limits = span(kelvin(white.high), kelvin(white.low)) or Range(2000, 6500)

    def take(said: Said, _: State) -> Changes:
        found = kelvin(number(said.get(white.key)))
        if found is None or _color_mode(said, part) not in (None, "color_temp"):
            return {}
        return {"kelvin": found}

    part.read(white, take)
    if white.takes:
        part.limit(Capability.COLOR_TEMP, limits)
        part.can(Action.SET_COLOR_TEMP, lambda value, _: {**lit, white.key: mired(wanted_number(value, limits))})


def _color(part: Part, color: Feature, lit: Said) -> None:
    by_hue = color.name == "color_hs"

    def take(said: Said, _: State) -> Changes:
        mode = _color_mode(said, part)
        if mode == "color_temp":
            return {}
        found = _color_said(said.get(color.key), by_hue if mode is None else mode == "hs")
        return {} if found is None else {"color": found}

    def write(value: StateValue | None, _: State) -> Said:
        hue, saturation = wanted_color(value)
        if by_hue:
            return {**lit, color.key: {"hue": round(hue), "saturation": round(saturation)}}
        x, y = xy((hue, saturation))
        return {**lit, color.key: {"x": x, "y": y}}

    part.read(color, take)
    if color.takes:
        part.can(Action.SET_COLOR, write)


def _color_said(value: object, by_hue: bool) -> Color | None:
    """The bridge may say a colour in both ways at once; the one in which it was set is exact."""
    said = mapping(value)
    exactly = {k: said[k] for k in (("h", "s", "hue", "saturation") if by_hue else ("x", "y")) if k in said}
    return color_of(exactly) or color_of(said)


# -- covers and locks

_STANDING = frozenset({"STOP", "stop", "stopped", "pause", "paused", "idle", "blocked", "False"})


def cover(part: Part) -> None:
    position, state = part.features.get("position"), part.features.get("state")
    if position is not None:
        part.read(position, numeric(position, "position", _share))
        if position.takes:
            part.can(Action.SET_POSITION, lambda value, _: {position.key: round(wanted_share(value))})
            part.can(Action.OPEN, lambda _, __: {position.key: 100})
            part.can(Action.CLOSE, lambda _, __: {position.key: 0})
    if state is not None:
        if position is None or not position.says:
            part.read(state, worded(state, {"OPEN": {"position": 100}, "CLOSE": {"position": 0}}))
        if state.takes:
            for action, word in ((Action.OPEN, "OPEN"), (Action.CLOSE, "CLOSE")):
                if not state.words or word in state.words:
                    part.can(action, _saying(state.key, word))
    motor = next((f for n, f in part.features.items() if n in ("moving", "running", "motor_state")), None)
    if motor is not None and part.of_use:
        part.read(motor, _moving(motor))


def _saying(key: str, word: str) -> Callable[[StateValue | None, State], Said]:
    return lambda _, __: {key: word}


def _moving(motor: Feature) -> Callable[[Said, State], Changes]:
    def take(said: Said, _: State) -> Changes:
        word = text(said.get(motor.key))
        return {} if word is None else {"moving": word not in _STANDING}

    return take


def lock(part: Part) -> None:
    """Its bolt's own report is believed before the state that the bridge assumes."""
    state, bolt = part.features.get("state"), part.features.get("lock_state")
    if state is None:
        return
    if bolt is not None and bolt.says:
        bolts = {"locked": "locked", "unlocked": "unlocked", "not_fully_locked": "unlocked"}
        part.read(bolt, worded(bolt, {word: {"lock": is_} for word, is_ in bolts.items()}))
    else:
        part.read(state, worded(state, {"LOCK": {"lock": "locked"}, "UNLOCK": {"lock": "unlocked"}}))
    if state.tells and state.key not in part.asked:
        part.asked.append(state.key)
    if state.takes:
        part.can(Action.LOCK, _saying(state.key, "LOCK"))
        part.can(Action.UNLOCK, _saying(state.key, "UNLOCK"))


# -- climates and fans

_HEATING = ("occupied_heating_setpoint", "current_heating_setpoint")
_COOLING = "occupied_cooling_setpoint"
_ON_MODES = ("auto", "heat", "cool")


def climate(part: Part) -> None:
    part.unit = "°C"
    if mode := part.features.get("system_mode"):
        _modes(part, mode)
    if now := part.features.get("local_temperature"):
        part.read(now, numeric(now, "current_temperature", tidy))
    _target(part, mode)
    if blow := part.features.get("fan_mode"):
        _speed_words(part, blow)
    if swing := part.features.get("swing_mode"):
        words = swing.words
        part.read(swing, worded(swing, {w: {"swing": w} for w in words}))
        if swing.takes and words:
            part.can(Action.SET_SWING, lambda value, _: {swing.key: wanted_word(value, words)})


def _modes(part: Part, mode: Feature) -> None:
    modes = mode.words
    part.read(mode, worded(mode, {m: {"mode": m, "on": m != "off"} for m in modes}))
    if not mode.takes or not modes:
        return
    part.options = modes
    part.can(Action.SET_MODE, lambda value, _: {mode.key: wanted_word(value, modes)})
    first = next((m for m in (*_ON_MODES, *modes) if m in modes and m != "off"), None)
    if "off" in modes and first is not None:
        _can_switch(part, {mode.key: first}, {mode.key: "off"})


def _target(part: Part, mode: Feature | None) -> None:
    """The temperature to reach. One that heats and cools has two of them, and its mode tells which one counts."""
    warm = next((part.features[name] for name in _HEATING if name in part.features), None)
    cold = part.features.get(_COOLING)
    usual = warm or cold
    if usual is None:
        return

    def counting(now: object) -> Feature:
        return cold if cold is not None and now == "cool" else usual

    def take(said: Said, state: State) -> Changes:
        reported = text(said.get(mode.key)) if mode is not None else None
        found = number(said.get(counting(reported or state.get("mode")).key))
        return {} if found is None else {"temperature": tidy(found)}

    def write(value: StateValue | None, state: State) -> Said:
        target = counting(state.get("mode"))
        return {target.key: tidy(wanted_number(value, target.range), 2)}

    part.read(usual, take)
    if cold is not None and cold.tells and cold.key not in part.asked:
        part.asked.append(cold.key)
    if usual.takes:
        ranges = [f.range for f in (warm, cold) if f is not None and f.range is not None]
        if ranges:
            low, high = min(r.low for r in ranges), max(r.high for r in ranges)
            part.limit(Capability.TEMPERATURE, Range(low, high, ranges[0].step))
        part.can(Action.SET_TEMPERATURE, write)


def fan(part: Part) -> None:
    _switching(part)
    speed, mode = part.features.get("speed"), part.features.get("mode")
    if speed is not None and speed.high is not None and speed.high > 0:
        _speed(part, speed, speed.high)
    elif mode is not None:
        if "state" not in part.features:
            _switching_by_mode(part, mode)
        _speed_words(part, mode)
        _fan_modes(part, mode)


def _speed(part: Part, speed: Feature, most: float) -> None:
    def write(value: StateValue | None, state: State) -> Said:
        share = wanted_share(value)
        if share == 0 and Action.TURN_OFF in part.writes:
            return part.writes[Action.TURN_OFF](None, state)
        return {speed.key: round(max(share * most / 100, speed.low or 0))}

    part.read(speed, numeric(speed, "fan_speed", lambda n: tidy(min(max(n * 100 / most, 0), 100), 2)))
    if speed.takes:
        part.limit(Capability.FAN_SPEED, speed_steps(most))
        part.can(Action.SET_FAN_SPEED, write)


def _switching_by_mode(part: Part, mode: Feature) -> None:
    """A fan without a state of its own is off in the mode that is called so."""
    if "off" not in mode.words:
        return
    part.read(mode, worded(mode, {m: {"on": m != "off"} for m in mode.words}))
    first = next((m for m in ("on", "auto", "medium", *mode.words) if m in mode.words and m != "off"), None)
    if mode.takes and first is not None:
        _can_switch(part, {mode.key: first}, {mode.key: "off"})


def _speed_words(part: Part, mode: Feature) -> None:
    known = speeds(mode.words)
    running = {word: share for word, share in known.items() if share > 0}
    if not running:
        return

    def write(value: StateValue | None, state: State) -> Said:
        share = wanted_share(value)
        if share > 0:
            return {mode.key: nearest(share, running)}
        still = next((word for word, at in known.items() if at == 0), None)
        if still is not None:
            return {mode.key: still}
        if part.kind is Kind.FAN and Action.TURN_OFF in part.writes:
            return part.writes[Action.TURN_OFF](None, state)
        raise CannotDo("it has no speed of nothing")

    part.read(mode, worded(mode, {word: {"fan_speed": share} for word, share in known.items()}))
    if mode.takes:
        part.limit(Capability.FAN_SPEED, _steps(running))
        part.can(Action.SET_FAN_SPEED, write)


def _steps(running: Mapping[str, int]) -> Range:
    """As far apart as the speeds are where they are farthest, so that each share is near enough to one."""
    shares = sorted({0, *running.values()})
    return Range(0, 100, max(after - before for before, after in pairwise(shares)))


def _fan_modes(part: Part, mode: Feature) -> None:
    """What is no speed (auto, smart) is a mode; all words are, where there is one that is no speed."""
    if any(word not in speeds(mode.words) and word not in ("on", "off") for word in mode.words):
        part.read(mode, worded(mode, {m: {"mode": m} for m in mode.words}))
        if mode.takes:
            part.options = mode.words
            part.can(Action.SET_MODE, lambda value, _: {mode.key: wanted_word(value, mode.words)})


ACTING: Mapping[Kind, Callable[[Part], None]] = MappingProxyType(
    {
        Kind.LIGHT: light,
        Kind.SWITCH: switch,
        Kind.COVER: cover,
        Kind.LOCK: lock,
        Kind.CLIMATE: climate,
        Kind.FAN: fan,
        Kind.SIREN: switch,
    }
)
