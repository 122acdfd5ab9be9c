"""The frozen description of one device: what it is called, where it stands, what it can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType


class DeviceError(Exception):
    """The root of every error that this package raises on purpose."""


class Kind(StrEnum):
    """What a device is; the words are those of Home Assistant's domains."""

    LIGHT = "light"
    SWITCH = "switch"
    FAN = "fan"
    COVER = "cover"
    VALVE = "valve"
    LOCK = "lock"
    CLIMATE = "climate"
    WATER_HEATER = "water_heater"
    HUMIDIFIER = "humidifier"
    SENSOR = "sensor"
    BINARY_SENSOR = "binary_sensor"
    SCENE = "scene"
    SCRIPT = "script"
    BUTTON = "button"
    NUMBER = "number"
    SELECT = "select"
    SIREN = "siren"
    VACUUM = "vacuum"
    LAWN_MOWER = "lawn_mower"
    MEDIA_PLAYER = "media_player"
    WEATHER = "weather"
    PERSON = "person"
    TODO = "todo"


class Capability(StrEnum):
    """What can be asked of a device; each is what one group of actions needs."""

    ON_OFF = "on_off"
    BRIGHTNESS = "brightness"
    COLOR = "color"
    COLOR_TEMP = "color_temp"
    OPEN_CLOSE = "open_close"
    POSITION = "position"
    LOCK = "lock"
    TEMPERATURE = "temperature"
    MODE = "mode"
    FAN_SPEED = "fan_speed"
    SWING = "swing"
    HUMIDITY = "humidity"
    INTENSITY = "intensity"
    INTERVAL = "interval"
    VOLUME = "volume"
    PLAYBACK = "playback"
    VACUUM = "vacuum"
    MOWER = "mower"
    ACTIVATE = "activate"
    NUMBER = "number"
    OPTION = "option"
    STATE = "state"
    WEATHER = "weather"
    LIST = "list"


@dataclass(frozen=True, slots=True)
class Range:
    """The closed interval that a device accepts, in the house's own unit (per cent, kelvin, degrees Celsius)."""

    low: float
    high: float
    step: float = 1.0

    def __post_init__(self) -> None:
        if not self.low < self.high or self.step <= 0:
            raise ValueError(f"not a range: {self.low} to {self.high} by {self.step}")

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Device:
    """One thing in the house. `id` is unique and stable; `name` is what people call it.

    `options` are the words a mode, an effect or a select accepts; `limits` the ranges, by capability, where
    the announcement gave them. `read_only` says why no command can be sent, or is None. `sensitive` is what the settings
    say of it, None where they say nothing.
    """

    id: str
    name: str
    kind: Kind
    capabilities: frozenset[Capability]
    aliases: tuple[str, ...] = ()
    area: str | None = None
    floor: str | None = None
    device_class: str | None = None
    unit: str | None = None
    options: tuple[str, ...] = ()
    limits: Mapping[Capability, Range] = field(default_factory=lambda: MappingProxyType({}))
    members: tuple[str, ...] = ()
    read_only: str | None = None
    sensitive: bool | None = None

    def __post_init__(self) -> None:
        if not self.id or not self.name.strip():
            raise ValueError("a device needs an id and a name")

    def can(self, capability: Capability) -> bool:
        return capability in self.capabilities
