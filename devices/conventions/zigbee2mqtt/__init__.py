"""Zigbee2MQTT, from what its bridge says of the devices and groups behind it.

Source: https://www.zigbee2mqtt.io/guide/usage/exposes.html and mqtt_topics_and_messages.html. The bridge publishes a new
state when the device has acknowledged the Zigbee command; that acknowledgement is the proof that this convention has.
Only the bridge's usual output, one JSON object a report, is understood.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from devices.conventions import Announced, Message
from devices.conventions.values import is_topic, items, load, mapping, number, text
from devices.conventions.zigbee2mqtt.entity import Bridged, ZigbeeEntity, entity_of
from devices.conventions.zigbee2mqtt.group import group, scenes
from devices.conventions.zigbee2mqtt.naming import Name
from devices.conventions.zigbee2mqtt.part import MOST_PARTS, Said, exact
from devices.conventions.zigbee2mqtt.parts import parts
from devices.device import DeviceError

LONGEST_PAYLOAD = 16_000_000  # bytes; a device is described in 10,000 to 40,000, and the largest networks have 500
MOST_DEVICES = 1_000
MOST_WARNINGS = 20  # of one announcement


@dataclass(slots=True)
class Zigbee2Mqtt:
    """The devices behind the bridge whose base topic is `base`.

    It remembers what the bridge last said of devices and of groups, because a group can what its members can, and its
    own announcement does not say what that is. So each announcement tells of everything behind the bridge.
    """

    base: str = "zigbee2mqtt"
    _devices: tuple[Bridged, ...] = field(default=(), repr=False)
    _groups: tuple[Said, ...] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        return "zigbee2mqtt"

    @property
    def announcements(self) -> tuple[str, ...]:
        return (f"{self.base}/bridge/devices", f"{self.base}/bridge/groups")

    def announce(self, message: Message) -> Announced | None:
        if message.topic not in self.announcements:
            return None
        warnings: list[str] = []
        listed = load(message.payload, LONGEST_PAYLOAD) if message.payload.strip() else []
        if not isinstance(listed, list):
            warnings.append(f"what the bridge says on {message.topic} is not a JSON list")
        else:
            if len(listed) > MOST_DEVICES:
                warnings.append(f"only the first {MOST_DEVICES} of {message.topic} are used")
            self._remember(message.topic, [mapping(entry) for entry in listed[:MOST_DEVICES]], warnings)
        entities = tuple(self._entities(warnings))
        return Announced(f"{self.base}/bridge", entities, tuple(warnings[:MOST_WARNINGS]))

    def greeting(self) -> tuple[Message, ...]:
        return ()  # the bridge keeps its announcements at the broker

    def _remember(self, topic: str, listed: list[Said], warnings: list[str]) -> None:
        if topic == self.announcements[0]:
            self._devices = tuple(_described(listed, warnings))
        else:
            self._groups = tuple(listed)

    def _entities(self, warnings: list[str]) -> Iterator[ZigbeeEntity]:
        for bridged in self._devices:
            for part in bridged.parts:
                yield entity_of(self.base, bridged, part)
            yield from scenes(self.base, bridged)
        by_address = {b.address: b for b in self._devices}
        for said in self._groups:
            try:
                yield from group(self.base, said, by_address)
            except (DeviceError, ValueError) as error:
                warnings.append(f"the group {text(said.get('friendly_name'))!r} cannot be used: {error}")


def _described(devices: Iterable[Said], warnings: list[str]) -> Iterator[Bridged]:
    """The devices that can be used. What is no device, is disabled or not yet known to the bridge is passed over."""
    seen: set[str] = set()
    for said in devices:
        address, friendly = exact(said.get("ieee_address")), exact(said.get("friendly_name"))
        definition = mapping(said.get("definition"))
        if said.get("type") == "Coordinator" or said.get("disabled") is True or not definition:
            continue
        if address is None or friendly is None or not is_topic(friendly) or not friendly.strip():
            warnings.append(f"a Zigbee device without an address or a name was left out: {friendly!r}")
            continue
        if address.lower() in seen:
            continue
        seen.add(address.lower())
        try:
            yield _bridged(address.lower(), friendly, said, items(definition.get("exposes"))[:MOST_PARTS])
        except (DeviceError, ValueError) as error:
            warnings.append(f"{friendly} cannot be used: {error}")


def _bridged(address: str, friendly: str, said: Said, exposes: list[object]) -> Bridged:
    endpoints = mapping(said.get("endpoints"))
    return Bridged(
        address=address,
        friendly=friendly,
        parts=tuple(parts(Name(friendly), [mapping(e) for e in exposes])),
        endpoints=_endpoint_names(endpoints),
        scenes=tuple(s for e in list(endpoints.values())[:MOST_PARTS] for s in items(mapping(e).get("scenes"))),
    )


def _endpoint_names(endpoints: Mapping[str, object]) -> Mapping[int, str]:
    """The name of each numbered end point, where the bridge tells it."""
    names: dict[int, str] = {}
    for key, said in list(endpoints.items())[:MOST_PARTS]:
        at, name = number(key), text(mapping(said).get("name"))
        if at is not None and name is not None:
            names[int(at)] = name
    return names
