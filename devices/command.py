"""One order to one device, in the house's own units, and what the device's report must say once it has obeyed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from devices.device import Capability

# The state of a device is a flat mapping. The keys that conventions write and control reads:
#   on bool | brightness 0-100 | color (hue 0-360, saturation 0-100) | kelvin int | position 0-100 (100 is open) |
#   lock "locked"/"unlocked"/"jammed" | temperature (target, degrees C) | current_temperature | mode str |
#   fan_speed 0-100 | swing str | humidity 0-100 (target) | volume 0-100 | muted bool |
#   playback "playing"/"paused"/"idle" | vacuum "cleaning"/"docked"/"paused"/"returning"/"idle"/"error" |
#   mower "mowing"/"docked"/"paused"/"returning"/"error" | value (sensor, number, select) | available bool
StateValue = bool | int | float | str | tuple[float, float]
State = Mapping[str, StateValue]


class Action(StrEnum):
    """The verbs that a device may be told; lock and unlock are never a kind of on and off."""

    TURN_ON = "turn_on"
    TURN_OFF = "turn_off"
    TOGGLE = "toggle"
    ACTIVATE = "activate"
    SET_BRIGHTNESS = "set_brightness"
    SET_COLOR = "set_color"
    SET_COLOR_TEMP = "set_color_temp"
    OPEN = "open"
    CLOSE = "close"
    SET_POSITION = "set_position"
    LOCK = "lock"
    UNLOCK = "unlock"
    SET_TEMPERATURE = "set_temperature"
    SET_MODE = "set_mode"
    SET_FAN_SPEED = "set_fan_speed"
    SET_SWING = "set_swing"
    SET_HUMIDITY = "set_humidity"
    SET_INTENSITY = "set_intensity"
    SET_INTERVAL = "set_interval"
    SET_VOLUME = "set_volume"
    MUTE = "mute"
    UNMUTE = "unmute"
    MEDIA_PLAY = "media_play"
    MEDIA_PAUSE = "media_pause"
    MEDIA_STOP = "media_stop"
    MEDIA_NEXT = "media_next"
    MEDIA_PREVIOUS = "media_previous"
    VACUUM_START = "vacuum_start"
    VACUUM_DOCK = "vacuum_dock"
    VACUUM_PAUSE = "vacuum_pause"
    VACUUM_STOP = "vacuum_stop"
    MOWER_START = "mower_start"
    MOWER_DOCK = "mower_dock"
    SET_NUMBER = "set_number"
    SELECT_OPTION = "select_option"


NEEDS: Mapping[Action, Capability] = MappingProxyType(
    {
        Action.TURN_ON: Capability.ON_OFF,
        Action.TURN_OFF: Capability.ON_OFF,
        Action.TOGGLE: Capability.ON_OFF,
        Action.ACTIVATE: Capability.ACTIVATE,
        Action.SET_BRIGHTNESS: Capability.BRIGHTNESS,
        Action.SET_COLOR: Capability.COLOR,
        Action.SET_COLOR_TEMP: Capability.COLOR_TEMP,
        Action.OPEN: Capability.OPEN_CLOSE,
        Action.CLOSE: Capability.OPEN_CLOSE,
        Action.SET_POSITION: Capability.POSITION,
        Action.LOCK: Capability.LOCK,
        Action.UNLOCK: Capability.LOCK,
        Action.SET_TEMPERATURE: Capability.TEMPERATURE,
        Action.SET_MODE: Capability.MODE,
        Action.SET_FAN_SPEED: Capability.FAN_SPEED,
        Action.SET_SWING: Capability.SWING,
        Action.SET_HUMIDITY: Capability.HUMIDITY,
        Action.SET_INTENSITY: Capability.INTENSITY,
        Action.SET_INTERVAL: Capability.INTERVAL,
        Action.SET_VOLUME: Capability.VOLUME,
        Action.MUTE: Capability.VOLUME,
        Action.UNMUTE: Capability.VOLUME,
        Action.MEDIA_PLAY: Capability.PLAYBACK,
        Action.MEDIA_PAUSE: Capability.PLAYBACK,
        Action.MEDIA_STOP: Capability.PLAYBACK,
        Action.MEDIA_NEXT: Capability.PLAYBACK,
        Action.MEDIA_PREVIOUS: Capability.PLAYBACK,
        Action.VACUUM_START: Capability.VACUUM,
        Action.VACUUM_DOCK: Capability.VACUUM,
        Action.VACUUM_PAUSE: Capability.VACUUM,
        Action.VACUUM_STOP: Capability.VACUUM,
        Action.MOWER_START: Capability.MOWER,
        Action.MOWER_DOCK: Capability.MOWER,
        Action.SET_NUMBER: Capability.NUMBER,
        Action.SELECT_OPTION: Capability.OPTION,
    }
)


@dataclass(frozen=True, slots=True)
class Command:
    """`action` on the device `device_id`, with an absolute `value` in house units or a relative `delta`, never both.

    A delta is turned into a value by control, from the device's last reported state.
    """

    device_id: str
    action: Action
    value: StateValue | None = None
    delta: float | None = None

    def __post_init__(self) -> None:
        if self.value is not None and self.delta is not None:
            raise ValueError("a command has a value or a delta, not both")
