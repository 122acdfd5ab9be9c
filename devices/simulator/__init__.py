"""A home in software: devices that announce themselves, obey and report over a real broker, and fail on demand."""

from devices.simulator.fault import Fault
from devices.simulator.home import Home

__all__ = ["Fault", "Home"]
