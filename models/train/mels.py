"""Samples to the log-mel features that Whisper hears, as faster-whisper computes them. Pure."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
HOP = 160  # samples; a hundred frames a second
_FFT = 400
_MELS = 80
_RANGE = 8.0  # what lies further below the loudest is cut off: 80 dB

Values = NDArray[np.float32]


def features(values: Values, tilt: Values | None = None) -> Values:
    """Features [80, frames] of samples from -1 to 1, one frame more than they fill; `tilt` [80] is added to the logarithms."""
    padded = np.pad(values, (0, HOP))  # as faster-whisper does, against a cut-off end
    padded = np.pad(padded, _FFT // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::HOP][:-1]
    power = np.abs(np.fft.rfft(frames * _window())) ** 2
    log = np.log10(np.maximum(_filters() @ power.T.astype(np.float32), 1e-10))
    if tilt is not None:
        log = log + tilt[:, None]
    out: Values = ((np.maximum(log, log.max() - _RANGE) + 4.0) / 4.0).astype(np.float32)
    return out


@cache
def _window() -> Values:
    return np.hanning(_FFT + 1)[:-1].astype(np.float32)


@cache
def _filters() -> Values:
    """Triangles on Slaney's mel scale [80, 201], of one area each: straight below 1000 Hz, logarithmic above."""
    mels = np.linspace(0, 45.245640471924965, _MELS + 2)
    hertz = np.where(mels < 15, mels * 200 / 3, 1000 * np.exp(np.log(6.4) / 27 * (mels - 15)))
    bins = np.fft.rfftfreq(_FFT, 1 / RATE)
    slopes = (bins[None] - hertz[:, None]) / np.diff(hertz, append=np.inf)[:, None]
    rising, falling = slopes[:-2], 1 - slopes[1:-1]
    area = 2 / (hertz[2:] - hertz[:-2])
    return (np.clip(np.minimum(rising, falling), 0, None) * area[:, None]).astype(np.float32)
