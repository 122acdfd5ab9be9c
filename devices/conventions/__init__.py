"""The payload languages that devices speak over MQTT, one file each, as pure functions: bytes in, values out.

A convention listens to its announcement topics and turns each message into entities. An entity knows its own topics:
it decodes reports into the house's state and encodes commands into messages. None of this touches a network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from devices.command import Command, State, StateValue
from devices.device import Device, DeviceError


class CannotDo(DeviceError):
    """This device has no such ability, or not this value; the text says which, for a person."""


@dataclass(frozen=True, slots=True)
class Message:
    """One MQTT message, in or out. Commands are never retained."""

    topic: str
    payload: bytes
    retain: bool = False
    qos: int = 0


class Entity(Protocol):
    """One announced device of one convention."""

    @property
    def device(self) -> Device: ...
    @property
    def identities(self) -> frozenset[str]:
        """What tells that two announcements are the same thing: addresses (lower case), command topics."""

    @property
    def topics(self) -> frozenset[str]:
        """The topics to subscribe to for state and availability (no wildcards)."""

    @property
    def optimistic(self) -> bool:
        """The device reports no state, so nothing can be confirmed."""

    def decode(self, message: Message, state: State) -> Mapping[str, StateValue]:
        """The state keys that this report changes; empty when it says nothing that is understood. Never raises on input."""

    def rejection(self, message: Message) -> str | None:
        """The device's or bridge's own words that it refused, when this message says so."""

    def encode(self, command: Command, state: State) -> tuple[Message, ...]:
        """The messages that carry the command out. Raises CannotDo."""

    def query(self) -> tuple[Message, ...]:
        """The messages that ask the device for its state, where the convention has them."""


@dataclass(frozen=True, slots=True)
class Announced:
    """What one message on an announcement topic told: entities that now exist, keys of ones that are gone, warnings.

    `source` is the announcing topic: the entities that it announced before and that are not in `entities` are gone.
    """

    source: str
    entities: tuple[Entity, ...] = ()
    warnings: tuple[str, ...] = ()


class Convention(Protocol):
    """One payload language. Holds settings (prefix, base topic) and no state."""

    @property
    def name(self) -> str: ...
    @property
    def announcements(self) -> tuple[str, ...]:
        """The topic filters on which devices are announced."""

    def announce(self, message: Message) -> Announced | None:
        """What an announcement says, or None where the topic is not this convention's. Never raises on input."""

    def greeting(self) -> tuple[Message, ...]:
        """What to publish once connected, so that devices announce themselves."""
