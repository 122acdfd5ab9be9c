"""The ways in which a simulated device can misbehave."""

from __future__ import annotations

from enum import Enum


class Fault(Enum):
    """What is wrong with a device."""

    NONE = "none"  # it obeys at once
    IGNORES = "ignores"  # it hears commands, and does and says nothing
    SLOW = "slow"  # it obeys after `Home.slowness` seconds
    REJECTS = "rejects"  # it refuses, in its convention's words where there are such words, and stays as it was
    UNAVAILABLE = "unavailable"  # it has told that it is away, and does nothing
