"""Sounds that say as much as a word: made of a few tones, at any rate. Pure."""

from __future__ import annotations

from enum import Enum

import numpy as np

from hub.sound import Samples, as_samples

# Each tone: hertz (0 is a pause), seconds, loudness.
Tones = tuple[tuple[float, float, float], ...]


class Chime(Enum):
    """What is meant, and the tones that say it."""

    AWAKE = ((880.0, 0.07, 0.15),)  # go on, I hear you
    DONE = ((659.3, 0.09, 0.3), (987.8, 0.14, 0.3))  # upwards
    FAILED = ((440.0, 0.14, 0.3), (329.6, 0.22, 0.3))  # downwards
    NOTHING = ((392.0, 0.12, 0.12),)  # soft and low: I heard nothing
    QUESTION = ((587.3, 0.12, 0.3), (587.3, 0.08, 0.3), (880.0, 0.18, 0.3))
    ALARM = ((880.0, 0.12, 0.8), (0.0, 0.06, 0.0)) * 3 + ((0.0, 0.3, 0.0),)


_EDGE = 0.012  # seconds in which a tone swells and fades: an edge would click
_OVERTONE = 0.25  # of the octave, for a sound that is heard on a small loudspeaker


def tones(chime: Chime, rate: int, volume: float = 1.0) -> Samples:
    """The samples of a chime."""
    given: Tones = chime.value
    return sounding(tuple((hertz, seconds, loud * volume) for hertz, seconds, loud in given), rate)


def sounding(given: Tones, rate: int) -> Samples:
    """Tones as samples, one after the other."""
    return as_samples(np.concatenate([_tone(*tone, rate) for tone in given]).astype(np.float32))


def pause(seconds: float, rate: int) -> Samples:
    return np.zeros(round(seconds * rate), np.int16)


def _tone(hertz: float, seconds: float, loud: float, rate: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    at = np.arange(round(seconds * rate)) / rate
    swell = np.clip(np.minimum(at, at[::-1]) / _EDGE, 0, 1)
    wave = np.sin(2 * np.pi * hertz * at) + _OVERTONE * np.sin(4 * np.pi * hertz * at)
    return loud / (1 + _OVERTONE) * swell * wave
