"""How long each device takes to answer, as measured, and so how long it is worth waiting for it."""

from __future__ import annotations

from collections import deque

from devices.device import Kind

REMEMBERED = 32  # answers a device; enough for a 95th percentile that forgets a bad evening within days
ENOUGH = 3  # answers before the measurement is believed
MARGIN = 4.0  # times the 95th percentile: a Zigbee route that must be found again takes about three times as long
SHORTEST, LONGEST = (
    0.5,
    10.0,
)  # seconds; below, a busy broker looks like a dead lamp; above, nobody waits for the reply
UNMEASURED = 3.0  # most lamps answer within 0.3 s, sleepy thermostats within 2
UNMEASURED_SLOW = 10.0  # things that move first and report then
SLOW = frozenset({Kind.COVER, Kind.VALVE, Kind.LOCK, Kind.VACUUM, Kind.LAWN_MOWER})


class Habits:
    """The answering times of every device, in seconds."""

    def __init__(self) -> None:
        self._answers: dict[str, deque[float]] = {}

    def learn(self, device_id: str, seconds: float) -> None:
        """The device has confirmed a command after this long."""
        self._answers.setdefault(device_id, deque(maxlen=REMEMBERED)).append(seconds)

    def patience(self, device_id: str, kind: Kind) -> float:
        """How long to wait for the device's report, in seconds."""
        answers = self._answers.get(device_id, ())
        if len(answers) < ENOUGH:
            return UNMEASURED_SLOW if kind in SLOW else UNMEASURED
        slowest = sorted(answers)[min(len(answers) - 1, int(len(answers) * 0.95))]
        return min(max(MARGIN * slowest, SHORTEST), LONGEST)

    def forget(self, device_id: str) -> None:
        self._answers.pop(device_id, None)
