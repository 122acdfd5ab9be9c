"""A device or a group behind a bridge, as the house knows it: what it reports, what it is told, how it refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from devices.command import Action, Command, State, StateValue
from devices.conventions import CannotDo, Message
from devices.conventions.availability import Availability, Mode, Source
from devices.conventions.values import decoded, load, mapping, text
from devices.conventions.zigbee2mqtt.part import Feature, Part, Said, Take, Write
from devices.device import Device

LONGEST_LINE = 4_000  # characters of the bridge's log that are read
LONGEST_REASON = 200

# The bridge's complaints about one order: how they begin, what follows the name, and what they mean where that is one
# thing. The name is that of a device or a group, and may hold anything.
_COMPLAINTS: tuple[tuple[re.Pattern[str], str, str | None], ...] = (
    (re.compile(r"Publish 'set' '[^']*' to '"), "' failed: ", None),
    (re.compile(r"No converter available for '[^']*' on '"), "': ", "the bridge cannot set that"),
    (re.compile(r"Cannot publish to unsupported device '"), "'", "the bridge does not support it"),
    (re.compile(r"Entity '"), "' is unknown", "the bridge does not know it"),
    (re.compile(r"Device '"), "' has no endpoint", "the bridge does not know this part of it"),
)
# What stands inside the longest of them, for a person.
_MEANINGS = {
    "no network route": "the Zigbee network has no way to it",
    "delivery failed": "the Zigbee network could not reach it",
    "mac no ack": "the Zigbee network could not reach it",
    "network_down": "the Zigbee network is down",
    "timeout": "it did not answer the bridge in time",
}


@dataclass(frozen=True, slots=True)
class Bridged:
    """One device behind the bridge, described. `address` is lower case; `endpoints` are named by their numbers."""

    address: str
    friendly: str
    parts: tuple[Part, ...]
    endpoints: Mapping[int, str]
    scenes: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class ZigbeeEntity:
    """A device or a group behind a bridge. Two are equal when they were described equally."""

    device: Device
    identities: frozenset[str]
    base: str
    friendly_name: str
    optimistic: bool
    asked: tuple[str, ...]
    features: tuple[Feature, ...]
    takes: tuple[Take, ...] = field(compare=False)
    writes: Mapping[Action, Write] = field(compare=False)
    availability: Availability = field(compare=False)

    @property
    def topics(self) -> frozenset[str]:
        return self.availability.topics | {self._topic, self._log}

    def decode(self, message: Message, state: State) -> Mapping[str, StateValue]:
        payload = decoded(message.payload)
        if payload is None:
            return {}
        if message.topic != self._topic:
            there = self.availability.take(message.topic, payload)
            return {} if there is None else {"available": there}
        said = mapping(load(payload))
        changes: dict[str, StateValue] = {}
        for take in self.takes:
            changes.update(take(said, {**state, **changes}))
        return changes

    def rejection(self, message: Message) -> str | None:
        if message.topic != self._log:
            return None
        said = mapping(load(message.payload))
        if said.get("level") != "error" or not isinstance(line := said.get("message"), str):
            return None
        return complaint(line[:LONGEST_LINE], self.friendly_name)

    def encode(self, command: Command, state: State) -> tuple[Message, ...]:
        write = self.writes.get(command.action)
        if write is None:
            raise CannotDo(f"{self.device.name} cannot do that ({command.action.value.replace('_', ' ')})")
        return (self._message("set", write(command.value, state)),)

    def query(self) -> tuple[Message, ...]:
        return (self._message("get", dict.fromkeys(self.asked, "")),) if self.asked else ()

    @property
    def _topic(self) -> str:
        return f"{self.base}/{self.friendly_name}"

    @property
    def _log(self) -> str:
        return f"{self.base}/bridge/logging"

    def _message(self, verb: str, payload: Said) -> Message:
        return Message(f"{self._topic}/{verb}", json.dumps(payload).encode())


def complaint(line: str, friendly: str) -> str | None:
    """Why the bridge could not do what it was told for this device; None when the line is about something else."""
    for begins, follows, meaning in _COMPLAINTS:
        found = begins.search(line)
        rest = line[found.end() :] if found else ""
        if found and rest.startswith(friendly + follows):
            return meaning or _reason(rest[len(friendly + follows) :])
    return None


def _reason(why: str) -> str:
    known = next((meaning for word, meaning in _MEANINGS.items() if word in why.lower()), None)
    if known is not None:
        return known
    # What went wrong stands in the last brackets, after the command with all its options.
    inner = why.rpartition(" failed (")[2].rstrip("' )\n") if " failed (" in why else why.strip("' \n")
    return inner.removeprefix("Error: ").strip()[:LONGEST_REASON] or "it refused"


def entity_of(base: str, bridged: Bridged, part: Part) -> ZigbeeEntity:
    """One part of a device. The whole device has its identities: what Home Assistant's discovery repeats is a copy."""
    own = frozenset({bridged.address, f"zigbee2mqtt_{bridged.address}", f"{base}/{bridged.friendly}/set"})
    return made(base, bridged.friendly, part.id(bridged.address), part, own)


def made(
    base: str, friendly: str, id: str, part: Part, identities: frozenset[str], members: tuple[str, ...] = ()
) -> ZigbeeEntity:
    device = Device(
        id=id,
        name=part.name,
        kind=part.kind,
        capabilities=frozenset(part.capabilities),
        aliases=part.aliases,
        area=part.area,
        floor=part.floor,
        device_class=part.device_class,
        unit=part.unit,
        options=part.options,
        limits=MappingProxyType(part.limits),
        members=members,
    )
    sources = (Source(f"{base}/{friendly}/availability", _online), Source(f"{base}/bridge/state", _online))
    return ZigbeeEntity(
        device=device,
        identities=identities,
        base=base,
        friendly_name=friendly,
        optimistic=not part.takes,
        asked=tuple(part.asked),
        features=tuple(part.features.values()),
        takes=tuple(part.takes),
        writes=MappingProxyType(part.writes),
        availability=Availability(sources, Mode.ALL),
    )


def _online(payload: str) -> bool | None:
    """Both ways of saying it: the word alone, as before version 2, and the word in an object."""
    word = text(mapping(load(payload)).get("state")) or payload.strip().strip('"')
    return {"online": True, "offline": False}.get(word)
