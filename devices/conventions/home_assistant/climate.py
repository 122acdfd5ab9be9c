"""What makes warmth, air and moisture: thermostats, water heaters, fans and humidifiers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from devices.command import Action, State, StateValue
from devices.conventions import Message
from devices.conventions.home_assistant.entity import Config, Draft, Send, Unusable, measured, switching, words
from devices.conventions.values import (
    nearest,
    number,
    speed_steps,
    speeds,
    tidy,
    wanted_number,
    wanted_share,
    wanted_word,
)
from devices.device import Capability, Kind, Range

_CLIMATE_MODES = ("auto", "off", "cool", "heat", "dry", "fan_only")
_HEATER_MODES = ("off", "eco", "electric", "gas", "heat_pump", "high_demand", "performance")
_FAN_MODES = ("auto", "low", "medium", "high")
_SWING_MODES = ("on", "off")
# What a thermostat that was off is set to when somebody says no more than "on", the best first.
_ON_MODES = ("auto", "heat_cool", "heat", "cool", "eco", "performance", "electric", "gas", "heat_pump")


def climate(config: Config) -> Draft:
    """A thermostat, an air conditioner or a heat pump."""
    draft = Draft(config, Kind.CLIMATE)
    _temperatures(draft, 7.0, 35.0)
    _modes(draft, _CLIMATE_MODES)
    _fan_modes(draft)
    _swing(draft)
    _humidity(draft)
    return _something(draft)


def water_heater(config: Config) -> Draft:
    """A boiler."""
    draft = Draft(config, Kind.WATER_HEATER)
    _temperatures(draft, 43.3, 60.0)
    _modes(draft, _HEATER_MODES)
    return _something(draft)


def humidifier(config: Config) -> Draft:
    """A humidifier or a dehumidifier."""
    draft = Draft(config, Kind.HUMIDIFIER)
    switching(draft, "state_value_template")
    _humidity(draft)
    _words_of(draft, Action.SET_MODE, "mode", "mode", draft.config.words("modes"))
    return draft


def fan(config: Config) -> Draft:
    """A fan, with its speeds, presets and swing."""
    draft = Draft(config, Kind.FAN)
    switching(draft, "state_value_template")
    _percentage(draft)
    _words_of(draft, Action.SET_MODE, "preset_mode", "mode", config.words("preset_modes"))
    _oscillation(draft)
    return draft


def _something(draft: Draft) -> Draft:
    """It can be read or told something, or one of its templates is why it cannot."""
    if not draft.writes and not draft.reads and not draft.config.problems:
        raise Unusable("it names no topic to read or to write")
    return draft


# -- temperature


def _temperatures(draft: Draft, low: float, high: float) -> None:
    config = draft.config
    fahrenheit = (config.text("temperature_unit") or "C").upper() == "F"
    to_house = _celsius if fahrenheit else float
    draft.unit = "°C"
    for key, state in (("current_temperature", "current_temperature"), ("temperature_state", "temperature")):
        template = f"{key}_template"
        draft.read(f"{key}_topic", template, measured(state, lambda n: tidy(to_house(n), 2)), state)
    send = draft.sender("temperature_command_topic", "temperature_command_template")
    if send is None:
        return
    defaults = (_fahrenheit(low), _fahrenheit(high)) if fahrenheit else (low, high)
    limits = draft.range("min_temp", "max_temp", defaults, config.number("temp_step") or 1.0)
    if fahrenheit and limits is not None:
        limits = Range(round(_celsius(limits.low), 2), round(_celsius(limits.high), 2), round(limits.step / 1.8, 2))
    draft.limit(Capability.TEMPERATURE, limits)
    draft.can(Action.SET_TEMPERATURE, _temperature_write(send, limits, fahrenheit), "temperature")


def _temperature_write(send: Send, limits: Range | None, fahrenheit: bool) -> Callable[..., tuple[Message, ...]]:
    def write(value: StateValue | None, state: State) -> tuple[Message, ...]:
        wanted = wanted_number(value, limits)
        return (send(tidy(_fahrenheit(wanted) if fahrenheit else wanted, 1)),)

    return write


def _celsius(degrees: float) -> float:
    return (degrees - 32) / 1.8


def _fahrenheit(degrees: float) -> float:
    return degrees * 1.8 + 32


# -- modes, which are also how such a device is switched


def _modes(draft: Draft, usual: tuple[str, ...]) -> None:
    config = draft.config
    modes = config.words("modes") or usual
    draft.read("mode_state_topic", "mode_state_template", _mode_take(modes), "mode", "on")
    send = draft.sender("mode_command_topic", "mode_command_template")
    power = draft.sender("power_command_topic", "power_command_template")
    if send is not None:
        draft.options = modes
        draft.can(Action.SET_MODE, lambda value, _: (send(wanted_word(value, modes)),), "mode")
    if power is not None:
        on, off = config.payload("payload_on", "ON"), config.payload("payload_off", "OFF")
        draft.can_switch(lambda _: (power(on),), lambda _: (power(off),))
    elif send is not None and "off" in modes and (first := _first_on(modes)) is not None:
        draft.can_switch(lambda _: (send(first),), lambda _: (send("off"),))


def _mode_take(modes: tuple[str, ...]) -> Callable[[str, State], Mapping[str, StateValue]]:
    def take(payload: str, state: State) -> Mapping[str, StateValue]:
        return {"mode": payload, "on": payload != "off"} if payload in modes else {}

    return take


def _first_on(modes: tuple[str, ...]) -> str | None:
    return next((m for m in (*_ON_MODES, *modes) if m in modes and m != "off"), None)


def _words_of(draft: Draft, action: Action, topic: str, key: str, known: tuple[str, ...]) -> None:
    """A value that is one of the device's words, by topics called after `topic`."""
    template = f"{topic}_state_template" if f"{topic}_state_template" in draft.config else f"{topic}_value_template"
    draft.read(f"{topic}_state_topic", template, words({w: {key: w} for w in known}), key)
    send = draft.sender(f"{topic}_command_topic", f"{topic}_command_template")
    if send is not None and known:
        if action is Action.SET_MODE:
            draft.options = known
        draft.can(action, lambda value, _: (send(wanted_word(value, known)),), key)


def _swing(draft: Draft) -> None:
    _words_of(draft, Action.SET_SWING, "swing_mode", "swing", draft.config.words("swing_modes") or _SWING_MODES)


def _oscillation(draft: Draft) -> None:
    config = draft.config
    on = config.payload("payload_oscillation_on", "oscillate_on")
    off = config.payload("payload_oscillation_off", "oscillate_off")
    take = words({on: {"swing": "on"}, off: {"swing": "off"}})
    draft.read("oscillation_state_topic", "oscillation_value_template", take, "swing")
    send = draft.sender("oscillation_command_topic", "oscillation_command_template")
    if send is not None:
        draft.can(
            Action.SET_SWING, lambda value, _: (send(on if wanted_word(value, _SWING_MODES) == "on" else off),), "swing"
        )


# -- speed


def _fan_modes(draft: Draft) -> None:
    """Speeds that have only names: each stands for a share of the fastest; "auto" is none of them."""
    known = speeds(draft.config.words("fan_modes") or _FAN_MODES)
    take = words({word: {"fan_speed": share} for word, share in known.items()})
    draft.read("fan_mode_state_topic", "fan_mode_state_template", take, "fan_speed")
    send = draft.sender("fan_mode_command_topic", "fan_mode_command_template")
    if send is not None and known:
        draft.limit(Capability.FAN_SPEED, speed_steps(len([s for s in known.values() if s > 0])))
        draft.can(Action.SET_FAN_SPEED, lambda value, _: (send(nearest(wanted_share(value), known)),), "fan_speed")


def _percentage(draft: Draft) -> None:
    """A speed as a number between two bounds; below the slowest the fan is off."""
    config = draft.config
    low, high = config.number("speed_range_min"), config.number("speed_range_max")
    slowest, fastest = 1.0 if low is None else low, 100.0 if high is None else high
    if not slowest < fastest:
        config.problems.append("its speed range is none")
        return
    count = fastest - slowest + 1

    def take(payload: str, state: State) -> Mapping[str, StateValue]:
        found = number(payload)
        if found is None or not slowest - 1 <= found <= fastest:
            return {}
        return {"fan_speed": tidy((found - slowest + 1) * 100 / count, 2)}

    draft.read("percentage_state_topic", "percentage_value_template", take, "fan_speed")
    send = draft.sender("percentage_command_topic", "percentage_command_template")
    if send is None:
        return

    def write(value: StateValue | None, state: State) -> tuple[Message, ...]:
        share = wanted_share(value)
        if share == 0:
            return draft.off(state)
        return (send(round(max(share * count / 100, 1) + slowest - 1)),)

    draft.limit(Capability.FAN_SPEED, speed_steps(count))
    draft.can(Action.SET_FAN_SPEED, write, "fan_speed")


# -- moisture


def _humidity(draft: Draft) -> None:
    take = measured("humidity", lambda n: tidy(n, 1))
    template = "target_humidity_state_template"
    draft.read("target_humidity_state_topic", template, take, "humidity")
    send = draft.sender("target_humidity_command_topic", "target_humidity_command_template")
    if send is None:
        return
    limits = draft.range("min_humidity", "max_humidity", (0.0 if draft.kind is Kind.HUMIDIFIER else 30.0, 99.0))
    draft.limit(Capability.HUMIDITY, limits)

    def write(value: StateValue | None, state: State) -> tuple[Message, ...]:
        return (send(round(wanted_number(value, limits))),)

    draft.can(Action.SET_HUMIDITY, write, "humidity")
