"""Sound in and out: what a microphone, a file or a pipe gives becomes frames of 16 kHz, mono, 16 bit.

The core is pure: `Decoder` takes bytes as they come, with the header of a WAV file in front or without one, and gives
frames. Around it are the edges: `from_file` (files, named pipes and stdin) and `to_file`; hub.soundcard has the devices.
"""

from __future__ import annotations

import asyncio
import io
import logging
import math
import os
import re
import stat
import struct
import sys
import wave
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from hub import HubError

log = logging.getLogger(__name__)

RATE = 16_000  # samples a second; what every recogniser of speech here was trained on
FRAME = 512  # samples: 32 ms, what the detector of speech takes at once
QUIETEST = -96.0  # dB below full scale; 16 bits hold no less

Samples = NDArray[np.int16]
Encoding = Literal["u8", "s16", "s24", "s32", "f32", "f64"]

_BYTES: dict[str, int] = {"u8": 1, "s16": 2, "s24": 3, "s32": 4, "f32": 4, "f64": 8}
_RATES = range(4_000, 384_001)
_CHANNELS = range(1, 129)  # ALSA's plugins offer 128


class SoundError(HubError):
    """Sound cannot be read, recorded or played; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Format:
    """How samples lie in bytes, little-endian, the channels of one moment side by side."""

    rate: int = RATE
    channels: int = 1
    encoding: Encoding = "s16"

    def __post_init__(self) -> None:
        if self.encoding not in _BYTES:
            raise SoundError(f"{self.encoding}: samples are one of {', '.join(_BYTES)}")
        if self.rate not in _RATES:
            raise SoundError(f"{self.rate} samples a second: only {_RATES[0]} to {_RATES[-1]} can be heard")
        if self.channels not in _CHANNELS:
            raise SoundError(f"{self.channels} channels: only {_CHANNELS[0]} to {_CHANNELS[-1]} can be heard")

    @property
    def size(self) -> int:
        """The bytes of one moment, all channels together."""
        return _BYTES[self.encoding] * self.channels


def format_of(text: str) -> Format:
    """The format that is written like "48000/2/s32": samples a second, channels, encoding; what is left out is plain.

    Raises SoundError.
    """
    found = re.fullmatch(r"(\d{1,9})(?:/(\d{1,9}))?(?:/(\w+))?", text, re.ASCII)
    if not found:
        raise SoundError(f"{text}: write the format of raw sound like 48000/2/s32")
    rate, channels, encoding = found.groups()
    return Format(int(rate), int(channels or 1), cast(Encoding, encoding or "s16"))


# -- levels


def level(samples: Samples) -> float:
    """How loud it is on average: dB below full scale, from QUIETEST to 0."""
    if not len(samples):
        return QUIETEST
    power = float(np.mean(np.square(as_values(samples))))
    return max(QUIETEST, 10 * math.log10(power)) if power else QUIETEST


def meter(loudness: float, width: int = 30) -> str:
    """A level as a bar; the range is that of rooms, -60 dB for silence to 0."""
    filled = round(width * min(1.0, max(0.0, 1 + loudness / 60)))
    return "#" * filled + "." * (width - filled)


# -- bytes to frames


def mono(data: bytes, given: Format) -> NDArray[np.float32]:
    """The mean of the channels, -1 to 1, of bytes that are whole moments. What is no number is silence."""
    values: NDArray[Any]
    match given.encoding:
        case "u8":
            values = (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / 128
        case "s24":
            wide = np.zeros((len(data) // 3, 4), np.uint8)
            wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
            values = wide.view("<i4").reshape(-1) / 2**31
        case "s16" | "s32":
            size = _BYTES[given.encoding]
            values = np.frombuffer(data, f"<i{size}") / 2 ** (8 * size - 1)
        case _:
            floats = np.frombuffer(data, f"<f{_BYTES[given.encoding]}")
            values = np.nan_to_num(floats, nan=0, posinf=1, neginf=-1).clip(-1, 1)
    mean: NDArray[np.float32] = values.astype(np.float32).reshape(-1, given.channels).mean(axis=1, dtype=np.float32)
    return mean


def as_samples(values: NDArray[np.float32]) -> Samples:
    """Values from -1 to 1 in 16 bits; what is louder is cut off there."""
    return np.rint(values * 32768).clip(-32768, 32767).astype(np.int16)


def as_values(samples: Samples) -> NDArray[np.float32]:
    """Samples of 16 bits as values from -1 to 1."""
    return samples.astype(np.float32) * np.float32(1 / 32768)


class Resampler:
    """Samples of one rate in, as they come; the same sound at another rate out."""

    def __init__(self, rate: int, wanted: int = RATE) -> None:
        self._stream: Any = None
        if rate != wanted:
            self._stream = _soxr().ResampleStream(rate, wanted, 1, dtype="float32")

    def take(self, values: NDArray[np.float32], last: bool = False) -> NDArray[np.float32]:
        if self._stream is None:
            return values
        resampled: NDArray[np.float32] = self._stream.resample_chunk(values, last=last)
        return resampled


class Converter:
    """Bytes of one format in, frames out. What is not a whole moment or frame yet waits for the next call."""

    def __init__(self, given: Format) -> None:
        self._given = given
        self._resampler = Resampler(given.rate)
        self._bytes = b""
        self._rest: Samples = np.zeros(0, np.int16)

    def take(self, data: bytes, last: bool = False) -> list[Samples]:
        """The frames that are full now; the last one of all is filled up with silence."""
        data = self._bytes + data
        whole = len(data) - len(data) % self._given.size
        self._bytes = data[whole:]
        values = self._resampler.take(mono(data[:whole], self._given), last)
        samples = np.concatenate([self._rest, as_samples(values)])
        if last and len(samples) % FRAME:
            samples = np.concatenate([samples, np.zeros(FRAME - len(samples) % FRAME, np.int16)])
        full = len(samples) - len(samples) % FRAME
        self._rest = samples[full:]
        return list(samples[:full].reshape(-1, FRAME))


# -- WAV

_ENDLESS = 0x7FFF_F000  # from this length on, or with none, the writer did not know it: it wrote into a pipe
_HEADER_MOST = 1 << 22  # bytes before the first sample; recorders put pictures there
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_KINDS: dict[tuple[int, int], Encoding] = {
    (_PCM, 8): "u8",
    (_PCM, 16): "s16",
    (_PCM, 24): "s24",
    (_PCM, 32): "s32",
    (_FLOAT, 32): "f32",
    (_FLOAT, 64): "f64",
}
_OTHERS = {2: "ADPCM", 6: "A-law", 7: "mu-law", 0x11: "ADPCM", 0x55: "MP3"}
_CONVERT = "turn it into a plain one: ffmpeg -i FILE -c:a pcm_s16le NEW.wav"


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the samples of a WAV file: their format, their first byte, their bytes; None is until the end."""

    format: Format
    start: int
    length: int | None


def header(data: bytes) -> Header | None:
    """The header of the WAV file that begins with `data`; None where more of it is needed. Raises SoundError."""
    if len(data) < 12:
        return None
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise SoundError(f"this is not a WAV file; {_CONVERT}")
    found: Format | None = None
    for kind, size, body in _chunks(data):
        if kind == b"data":
            if found is None:
                raise SoundError(f"a broken WAV file: it does not say how its samples are written; {_CONVERT}")
            return Header(found, body, None if size == 0 or size >= _ENDLESS else size)
        if kind == b"fmt " and len(data) >= body + size:
            found = _format(data[body : body + size])
    if len(data) > _HEADER_MOST:
        raise SoundError(f"a broken WAV file: no samples in its first {_HEADER_MOST >> 20} MB; {_CONVERT}")
    return None


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Each part whose head is there: its name, its length, and where it begins."""
    at = 12
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        yield kind, size, at + 8
        at += 8 + size + size % 2


def _format(fields: bytes) -> Format:
    if len(fields) < 16:
        raise SoundError(f"a broken WAV file: its header is too short; {_CONVERT}")
    tag, channels, rate, _, block, _ = struct.unpack_from("<HHIIHH", fields)
    if tag == _EXTENSIBLE and len(fields) >= 26:
        (tag,) = struct.unpack_from("<H", fields, 24)
    width = block * 8 // channels if channels else 0  # 24 bits in 32 are written to the left
    kind = _KINDS.get((tag, width))
    if kind is None:
        name = _OTHERS.get(tag, f"format {tag}")
        raise SoundError(f"a WAV file whose samples ({name}, {width} bits) cannot be read; {_CONVERT}")
    return Format(rate, channels, kind)


class Decoder:
    """The bytes of a file or pipe in, frames out. A WAV file says itself what it is; anything else is taken for `raw`.

    Without `raw` what is no WAV file is a SoundError, and so is a WAV file that ends before it should: half a sentence
    may mean the opposite of the whole.
    """

    def __init__(self, raw: Format | None = None) -> None:
        self._raw = raw
        self._head = b""
        self._left: int | None = None
        self._format: Format | None = None
        self._converter: Converter | None = None

    def take(self, data: bytes) -> list[Samples]:
        """Raises SoundError."""
        if self._converter is None:
            self._head += data
            data = self._begin()
        return self._convert(data) if self._converter else []

    def end(self) -> list[Samples]:
        """The last frame. Raises SoundError where the input was cut off."""
        if self._converter is None:
            self._begin(ended=True)
        if self._converter is None:
            raise SoundError(
                "a broken WAV file: it ends within its header" if self._head else "there is no sound in it"
            )
        if self._left and self._format:
            seconds = self._left / self._format.size / self._format.rate
            raise SoundError(f"a broken WAV file: its last {seconds:.1f} seconds are missing; record or copy it again")
        return self._converter.take(b"", last=True)

    def _begin(self, ended: bool = False) -> bytes:
        """Set the converter up where enough is known; the samples that are there already."""
        if self._raw is not None and (len(self._head) >= 4 or ended) and not self._head.startswith(b"RIFF"):
            self._format, self._converter = self._raw, Converter(self._raw)
            return self._take_head(0)
        found = header(self._head)
        if found is None:
            return b""
        self._format, self._left, self._converter = found.format, found.length, Converter(found.format)
        return self._take_head(found.start)

    def _take_head(self, start: int) -> bytes:
        head, self._head = self._head[start:], b""
        return head

    def _convert(self, data: bytes) -> list[Samples]:
        assert self._converter is not None
        if self._left is not None:
            data = data[: self._left]  # behind the samples there may be titles and pictures
            self._left -= len(data)
        return self._converter.take(data)


async def from_file(source: Path | None, raw: Format | None = None) -> AsyncGenerator[Samples, None]:
    """The frames of a file or a named pipe; None is stdin. As fast as they come. Raises SoundError, as Decoder does."""
    decoder, name = Decoder(raw), str(source) if source else "stdin"
    try:
        async with aclosing(_bytes(source)) as blocks:  # so that the pipe is left when the listener leaves
            async for data in blocks:
                for frame in decoder.take(data):
                    yield frame
        for frame in decoder.end():
            yield frame
    except OSError as error:
        raise SoundError(f"{name}: cannot be read ({error.strerror or error})") from None
    except SoundError as error:
        raise SoundError(f"{name}: {error}") from None


_BLOCK = 1 << 14  # half a second of 16 kHz


async def _bytes(source: Path | None) -> AsyncGenerator[bytes, None]:
    number = os.dup(0) if source is None else os.open(source, os.O_RDONLY | os.O_NONBLOCK)  # a pipe opens at once
    with os.fdopen(number, "rb", buffering=0) as file:
        mode = os.fstat(number).st_mode
        if stat.S_ISREG(mode) or (stat.S_ISCHR(mode) and not os.isatty(number)):
            while data := file.read(_BLOCK):
                yield data
        elif os.isatty(number):
            raise SoundError("no sound is piped in; for example: arecord -f S16_LE -r 16000 | hub listen -")
        elif not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
            raise SoundError("neither a file nor a pipe")
        else:
            async with aclosing(_piped(file)) as blocks:
                async for data in blocks:
                    yield data


async def _piped(file: io.FileIO) -> AsyncGenerator[bytes, None]:
    blocking = os.get_blocking(file.fileno())  # the pipe's own, so that of whoever else holds it
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(os.dup(file.fileno()), "rb", buffering=0)
    )
    try:
        while data := await reader.read(_BLOCK):
            yield data
    finally:
        transport.close()
        os.set_blocking(file.fileno(), blocking)


# -- sound out


async def to_file(target: Path | None, chunks: AsyncIterator[Samples], rate: int) -> None:
    """Writes sound of this rate into a WAV file; None is stdout, without a header. Raises SoundError."""
    try:
        if target is None:
            async for samples in chunks:
                sys.stdout.buffer.write(samples.astype("<i2").tobytes())
                sys.stdout.buffer.flush()
            return
        with target.open("wb") as out, wave.open(out, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate)
            async for samples in chunks:
                file.writeframes(samples.astype("<i2").tobytes())
    except BrokenPipeError:
        raise
    except OSError as error:
        raise SoundError(f"{target or 'stdout'}: cannot be written ({error.strerror or error})") from None


def _soxr() -> Any:
    try:
        import soxr
    except ImportError:
        raise SoundError(f"only sound of {RATE} samples a second can be used: {_MISSING.format('soxr')}") from None
    return soxr


_MISSING = "the package {} is missing: pip install 'homeward-hub[voice]'"
