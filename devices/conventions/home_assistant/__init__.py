"""Home Assistant's MQTT discovery: what ESPHome, Zigbee2MQTT, Tasmota, OpenMQTTGateway and many others announce.

Source: https://www.home-assistant.io/integrations/mqtt and the pages of its platforms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from devices.conventions import Announced, Message
from devices.conventions.home_assistant import climate, light, plain
from devices.conventions.home_assistant.entity import Config, Draft, HomeAssistantEntity, Unusable, finished
from devices.conventions.home_assistant.payload import Announcement, address, found_in
from devices.device import DeviceError

# The platforms that are something in a house; updates, cameras, triggers and the like are passed over in silence.
_PLATFORMS: Mapping[str, Callable[[Config], Draft]] = MappingProxyType(
    {
        "binary_sensor": plain.binary_sensor,
        "button": plain.button,
        "climate": climate.climate,
        "cover": plain.cover,
        "fan": climate.fan,
        "humidifier": climate.humidifier,
        "lawn_mower": plain.lawn_mower,
        "light": light.light,
        "lock": plain.lock,
        "number": plain.number_,
        "scene": plain.scene,
        "select": plain.select,
        "sensor": plain.sensor,
        "siren": plain.siren,
        "switch": plain.switch,
        "vacuum": plain.vacuum,
        "valve": plain.valve,
        "water_heater": climate.water_heater,
    }
)


@dataclass(frozen=True, slots=True)
class HomeAssistant:
    """Devices that are announced under `prefix`."""

    prefix: str = "homeassistant"

    @property
    def name(self) -> str:
        return "home_assistant"

    @property
    def announcements(self) -> tuple[str, ...]:
        return (f"{self.prefix}/+/+/config", f"{self.prefix}/+/+/+/config")

    def announce(self, message: Message) -> Announced | None:
        found_at = address(self.prefix, message.topic)
        if found_at is None:
            return None
        found = found_in(message, *found_at)
        warnings = list(found.warnings)
        entities: list[HomeAssistantEntity] = []
        for announcement in found.announcements:
            try:
                entity = _entity(announcement)
            except DeviceError as error:
                warnings.append(f"{announcement.key}, announced on {message.topic}, cannot be used: {error}")
                continue
            if entity is not None:
                entities.append(entity)
        return Announced(message.topic, tuple(entities), tuple(warnings))

    def greeting(self) -> tuple[Message, ...]:
        """The birth message, at which devices that do not keep their announcements at the broker repeat them."""
        return (Message(f"{self.prefix}/status", b"online"),)


def _entity(announcement: Announcement) -> HomeAssistantEntity | None:
    """The entity, or None for a platform that is nothing in a house. Raises DeviceError."""
    build = _PLATFORMS.get(announcement.component)
    if build is None:
        return None
    config = Config(announcement.values)
    try:
        return finished(build(config), announcement)
    except (ValueError, OverflowError) as error:  # a range or a name of impossible values
        raise Unusable(str(error)) from error
