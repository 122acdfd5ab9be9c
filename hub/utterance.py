"""One utterance cut out of a stream: frames and their probabilities of speech in, the samples of a voice out. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hub.sound import Samples
from models.vad import SECONDS, Endpoint, Patience, Phase

BEFORE = 1.2  # seconds kept before the voice: in noise and from afar it was found up to 1.0 s late
# And behind it: a "t" or "s" at the end is quiet. From 0.1 s after the end on, 39 recorded clips were as quiet as their rooms.
# A pause as long as this was the end in 156 of 157 cases (the same clips, and over noise).
AFTER = 7 * SECONDS

UNDECIDED = (Phase.WAITING, Phase.SPEAKING)


@dataclass(frozen=True, slots=True)
class Utterance:
    """What came in until it ended: how it ended, the samples of the voice, and milliseconds of sound: how long nobody
    spoke, how long somebody did, and from the voice's last frame until it counted as over.
    """

    phase: Phase
    samples: Samples
    waited: float
    spoken: float
    decided: float


class Catcher:
    """Keeps what is said until it is over.

    A voice that ends within the first `tail` seconds was the end of something else, of a wake word, and is waited behind.
    """

    def __init__(self, patience: Patience, tail: float = 0.0) -> None:
        self._patience = patience
        self._tail = round(tail / SECONDS)
        self._endpoint = Endpoint(patience)
        self._kept: list[Samples] = []
        self._passed = 0  # frames that the present endpoint has not seen

    def take(self, frame: Samples, probability: float) -> Phase:
        """The phase after one more frame."""
        self._kept.append(frame)
        phase = self._endpoint.take(probability)
        if phase is Phase.ENDED and self._tail and (self._endpoint.ended or 0) <= self._tail:
            self._endpoint, self._tail, self._passed = Endpoint(self._patience), 0, len(self._kept)
        return self._endpoint.phase

    def foreseen(self) -> Samples | None:
        """What will have been said if nobody speaks on: once in each pause, AFTER into it. `end` has the same samples then."""
        endpoint = self._endpoint
        ended = endpoint.ended or 0
        if (
            not endpoint.enough
            or len(self._kept) - self._passed - ended != round(AFTER / SECONDS)
            or ended <= self._tail
        ):
            return None
        return self._voice()

    @property
    def silent(self) -> float:
        """Seconds without any voice so far; 0 once there was one."""
        return (len(self._kept) - self._passed) * SECONDS if self._endpoint.phase is Phase.WAITING else 0.0

    def end(self) -> Utterance:
        """What was caught; who speaks now has ended."""
        phase = self._endpoint.end()
        began, ended = self._passed + (self._endpoint.began or 0), self._passed + (self._endpoint.ended or 0)
        ms = 1000 * SECONDS
        return Utterance(
            phase,
            self._voice() if phase is Phase.ENDED else np.zeros(0, np.int16),
            waited=began * ms,
            spoken=(ended - began) * ms,
            decided=(len(self._kept) - ended) * ms,
        )

    def _voice(self) -> Samples:
        began, ended = self._passed + (self._endpoint.began or 0), self._passed + (self._endpoint.ended or 0)
        return np.concatenate(self._kept[max(0, began - round(BEFORE / SECONDS)) : ended + round(AFTER / SECONDS)])
