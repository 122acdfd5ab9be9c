"""What lies between a mouth and a microphone: pauses, rooms, noise, distance. Pure, and the same for the same chance."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from models.train.mels import RATE, Values

_BANK = 24  # rooms, and noises, of which each clip gets one
_NOISE_SECONDS = 12
_BEFORE, _AFTER = 1.3, 0.6  # seconds at most; what cuts utterances out leaves 1.2 before them and 0.3 behind
_HUM = (50.0, 60.0)  # Hz, with its overtones
# The slopes of noise in powers of frequency: white, pink, brown, and what fans and streets are like.
_SLOPES = (0.0, -0.5, -0.75, -1.0)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Rooms and noises of one seed. The shares are those of the clips that get some of it."""

    seed: int = 1
    roomy: float = 0.4
    noisy: float = 0.6
    coloured: float = 0.7
    rooms: list[Values] = field(init=False, repr=False)
    noises: list[Values] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        object.__setattr__(self, "rooms", [room(rng) for _ in range(_BANK)])
        object.__setattr__(self, "noises", [noise(rng, _NOISE_SECONDS * RATE) for _ in range(_BANK)])

    def placed(self, values: Values, rng: np.random.Generator) -> Values:
        """The samples as a microphone may have heard them."""
        if rng.random() < self.roomy:
            values = in_room(values, self.rooms[rng.integers(_BANK)])
        before, after = rng.uniform(0, _BEFORE) * rng.random(), rng.uniform(0.05, _AFTER)
        values = np.pad(values, (round(before * RATE), round(after * RATE)))
        if rng.random() < self.noisy:
            values = over_noise(values, self.crop(len(values), rng), rng.uniform(5, 35))
        loudest = float(np.abs(values).max())
        wanted = 10 ** (rng.uniform(-30, -1) / 20)
        scaled: Values = values * np.float32(wanted / loudest if loudest > 0 else 0.0)
        return scaled

    def crop(self, length: int, rng: np.random.Generator) -> Values:
        """So many samples of one of the noises."""
        whole = self.noises[rng.integers(_BANK)]
        part: Values = np.resize(np.roll(whole, -int(rng.integers(len(whole)))), length)
        return part

    def tilt(self, rng: np.random.Generator, bands: int) -> Values | None:
        """What another microphone would make of the logarithms of the bands: a smooth curve of up to about 8 dB."""
        if rng.random() >= self.coloured:
            return None
        points = rng.normal(0, 0.35, 5)
        curve: Values = np.interp(np.linspace(0, 4, bands), np.arange(5), points).astype(np.float32)
        return curve


def room(rng: np.random.Generator) -> Values:
    """What a click in a room sounds like: itself, some early echoes, and a tail that dies away."""
    length = round(rng.uniform(0.08, 0.45) * RATE)  # seconds until it is 60 dB lower
    decay = np.exp(np.arange(length) * (np.log(1e-3) / length))
    response = rng.normal(size=length) * decay * rng.uniform(0.01, 0.06)
    for _ in range(6):
        response[rng.integers(RATE // 500, length // 3)] += rng.uniform(-0.5, 0.5)
    response[0] = 1.0
    click: Values = response.astype(np.float32)
    return click


def in_room(values: Values, response: Values) -> Values:
    """The samples with the room's echoes, as long as they were."""
    size = 1 << (len(values) + len(response) - 1).bit_length()
    whole = np.fft.irfft(np.fft.rfft(values, size) * np.fft.rfft(response, size), size)
    heard: Values = whole[: len(values)].astype(np.float32)
    return heard


def noise(rng: np.random.Generator, length: int) -> Values:
    """Noise of power one of a random colour, now louder and now softer, in some cases with a hum."""
    spectrum = np.fft.rfft(rng.normal(size=length))
    hertz = np.maximum(np.fft.rfftfreq(length, 1 / RATE), 20.0)
    values = np.fft.irfft(spectrum * hertz ** _SLOPES[rng.integers(len(_SLOPES))], length)
    values /= values.std()
    seconds = np.arange(length) / RATE
    if rng.random() < 0.3:
        pitch = _HUM[rng.integers(len(_HUM))]
        values += sum(np.sin(2 * np.pi * pitch * n * seconds) * rng.uniform(0, 1.5) / n for n in (1, 2, 3, 5))
    every = np.arange(0, seconds[-1] + 1, 0.5)
    swell = np.interp(seconds, every, rng.uniform(0.6, 1.4, len(every)))
    values = values * swell
    even: Values = (values / values.std()).astype(np.float32)
    return even


def over_noise(values: Values, noise: Values, decibels: float) -> Values:
    """The samples with noise of power one so many decibels below what sounds of them; noise alone where nothing does."""
    sounding = values[np.abs(values) > 1e-3]
    power = float(np.mean(np.square(sounding))) if len(sounding) else 1e-4
    mixed: Values = values + noise * np.float32(np.sqrt(power) * 10 ** (-decibels / 20))
    return mixed
