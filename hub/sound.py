"""Sound in and out: what a microphone, a file or a pipe gives becomes frames of 16 kHz, mono, 16 bit.

The core is pure: `Decoder` takes bytes as they come, with the header of a WAV file in front or without one, and gives
frames. Around it are the edges: `from_file` (files, named pipes and stdin) and `from_device` (PortAudio, so ALSA,
PulseAudio and PipeWire), and outward `to_file` and `to_device`.
"""

from __future__ import annotations

import asyncio
import ctypes
import io
import logging
import math
import os
import re
import stat
import struct
import sys
import threading
import wave
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

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


# -- a device

AGAIN = 2.0  # seconds between attempts to open a device that went away
MUTE = 3.0  # seconds without a sample after which a device counts as gone; USB devices often only fall silent
_HELD = 1024  # blocks of one frame that wait for a slow listener before the oldest is given up, about half a minute

Push = Callable[[bytes], None]
Opener = Callable[[str, Push], AbstractContextManager[Format]]


async def from_device(
    device: str = "", opener: Opener | None = None, *, again: float = AGAIN, mute: float = MUTE
) -> AsyncGenerator[Samples, None]:
    """The frames of a microphone, without end; close the iterator to let it go. "" is the default one.

    A device that goes away later is waited for and opened again. Raises SoundError where there is none at the start.
    `opener` opens it and calls back from any thread, with b"" at its end.
    """
    blocks: asyncio.Queue[bytes] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def put(data: bytes) -> None:
        if blocks.qsize() >= _HELD:
            blocks.get_nowait()
        blocks.put_nowait(data)

    known = False
    while True:
        try:
            recorder = (opener or _recorder)(device, lambda data: _call(loop, put, data))
            async with _opened(recorder) as given:
                if known:
                    log.warning("the microphone is back")
                known, converter = True, Converter(given)
                while data := await asyncio.wait_for(blocks.get(), mute):
                    for frame in converter.take(data):
                        yield frame
            log.warning("the microphone has gone; it is waited for")
        except TimeoutError:
            log.warning("the microphone gives no sound any more; it is opened again")
        except SoundError as error:
            if not known:
                raise
            log.debug("%s", error)
        await asyncio.sleep(again)
        while not blocks.empty():
            blocks.get_nowait()


def _call(loop: asyncio.AbstractEventLoop, put: Push, data: bytes) -> None:
    with suppress(RuntimeError):  # the loop has ended, and so has whoever listened
        loop.call_soon_threadsafe(put, data)


# -- sound out

_PART = 0.05  # seconds written to a loudspeaker at once: how long it goes on after it was told to stop


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


async def to_device(device: str, chunks: AsyncIterator[Samples], rate: int) -> None:
    """Plays sound of this rate on a loudspeaker, "" for the default one, while it is being made; returns when the last
    of it has been heard. Where the task is cancelled, it falls silent at once. Raises SoundError.
    """
    async with _opened(_player(device, rate)) as speaker:
        async for samples in chunks:
            part = max(1, int(rate * _PART))
            for at in range(0, len(samples), part):
                await _in_thread(speaker.write, samples[at : at + part])
        await _in_thread(speaker.drain)


Way = Literal["input", "output"]


def meant(way: Way, device: str) -> str:
    """The name of the device that is meant by a part of it, a number, or "" for the default one. Raises SoundError."""
    port_audio = _sounddevice()
    with _lock, _reported():
        _look_again(port_audio)
        return _able(port_audio, way)[_index(port_audio, way, device)]


def names(way: Way) -> list[str]:
    """The names of the devices that can record, or play. Raises SoundError where there is none."""
    port_audio = _sounddevice()
    with _lock, _reported():
        _look_again(port_audio)
        return list(_able(port_audio, way).values())


# -- threads: PortAudio's calls block

T = TypeVar("T")


async def _in_thread(work: Callable[..., T], *arguments: Any) -> T:
    """What `work` gives, called in a thread; a cancellation waits for its end, so that nothing is done to it twice."""
    task = asyncio.create_task(asyncio.to_thread(work, *arguments))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


@asynccontextmanager
async def _opened(manager: AbstractContextManager[T]) -> AsyncIterator[T]:
    """A blocking context manager, entered and left in threads."""
    opening = asyncio.create_task(asyncio.to_thread(manager.__enter__))
    try:
        yield await asyncio.shield(opening)
    finally:
        await asyncio.wait([opening])
        if opening.exception() is None:
            await _in_thread(manager.__exit__, None, None, None)


# -- PortAudio

_lock = threading.Lock()  # its opening and closing are not safe from several threads
_streams: set[int] = set()  # those that are open


@contextmanager
def _recorder(device: str, push: Push) -> Iterator[Format]:
    """The opener of real devices."""

    def told(data: Any, frames: int, time: object, status: object) -> None:
        push(bytes(data))

    with _stream("input", device, RATE, callback=told, finished_callback=lambda: push(b"")) as stream:
        yield Format(int(stream.samplerate), stream.channels)


class _Speaker:
    """An open loudspeaker, at its own rate and with its own channels."""

    def __init__(self, stream: Any, rate: int) -> None:
        self._stream = stream
        self._resampler = Resampler(rate, int(stream.samplerate))

    def write(self, samples: Samples, last: bool = False) -> None:
        """Returns when the device has taken it. Raises SoundError."""
        values = self._resampler.take(as_values(samples), last)
        with _reported():
            self._stream.write(np.repeat(as_samples(values), self._stream.channels).tobytes())

    def drain(self) -> None:
        """Returns when all of it has been heard."""
        self.write(np.zeros(0, np.int16), last=True)
        with _reported():
            self._stream.stop()


@contextmanager
def _player(device: str, rate: int) -> Iterator[_Speaker]:
    with _stream("output", device, rate) as stream:
        yield _Speaker(stream, rate)


@contextmanager
def _stream(way: Literal["input", "output"], device: str, rate: int, **more: Any) -> Iterator[Any]:
    """An open PortAudio stream of 16 bits; the rate and channels are those wanted, or else the device's own."""
    port_audio = _sounddevice()
    with _lock, _reported():
        _look_again(port_audio)
        index = _index(port_audio, way, device)
        fitting = _fitting(port_audio, way, index, rate)
        kind = port_audio.RawInputStream if way == "input" else port_audio.RawOutputStream
        how = {
            "samplerate": fitting.rate,
            "channels": fitting.channels,
            "blocksize": round(fitting.rate * FRAME / RATE),
        }
        stream = kind(device=index, dtype="int16", **how, **more)
        stream.start()
        _streams.add(id(stream))
    try:
        yield stream
    finally:
        with _lock:
            _streams.discard(id(stream))
            with suppress(port_audio.PortAudioError):  # a device that is gone cannot be closed well
                stream.abort()
                stream.close()


def _look_again(port_audio: Any) -> None:
    """PortAudio lists the devices once, at its start; with a stream open it cannot be started again."""
    if not _streams:
        port_audio._terminate()
        port_audio._initialize()


def _able(port_audio: Any, way: str) -> dict[int, str]:
    """The names by the numbers. Raises SoundError where there is none."""
    able = {i: str(d["name"]) for i, d in enumerate(port_audio.query_devices()) if d[f"max_{way}_channels"] > 0}
    if not able:
        what = "microphone" if way == "input" else "loudspeaker"
        raise SoundError(f"there is no {what}; is it plugged in, and may this user use sound (group audio)?")
    return able


def _index(port_audio: Any, way: str, device: str) -> int:
    """The number of the device that is meant: the default one, a number, or a part of its name. Raises SoundError."""
    able = _able(port_audio, way)
    what = "microphone" if way == "input" else "loudspeaker"
    if not device:
        default = int(port_audio.default.device[0 if way == "input" else 1])
        return default if default in able else next(iter(able))
    if device.isdecimal() and int(device) in able:
        return int(device)
    for index, name in able.items():
        if device.casefold() in name.casefold():
            return index
    raise SoundError(f"there is no {what} {device!r}; there is: {', '.join(able.values())}")


def _fitting(port_audio: Any, way: str, index: int, rate: int) -> Format:
    """What the device can do, as near as possible to one channel of this rate. Raises SoundError."""
    found = port_audio.query_devices(index)
    check = port_audio.check_input_settings if way == "input" else port_audio.check_output_settings
    most = min(int(found[f"max_{way}_channels"]), _CHANNELS[-1])
    for wanted, channels in product((rate, int(found["default_samplerate"]), 48_000, 44_100), (1, 2, most)):
        with suppress(port_audio.PortAudioError):
            check(device=index, channels=channels, dtype="int16", samplerate=wanted)
            return Format(wanted, channels)
    raise SoundError(
        f"{found['name']}: it is busy, or has no 16-bit sound; see which program uses it (fuser /dev/snd/*)"
    )


@contextmanager
def _reported() -> Iterator[None]:
    """Turns PortAudio's errors into ours."""
    try:
        yield
    except _sounddevice().PortAudioError as error:
        raise SoundError(f"the sound device cannot be used ({error.args[0]}); is it plugged in?") from None


def _sounddevice() -> Any:
    try:
        _quiet_alsa()
        import sounddevice
    except ImportError:
        raise SoundError(_MISSING.format("sounddevice")) from None
    except OSError:
        raise SoundError("PortAudio is not installed: apt-get install libportaudio2") from None
    return sounddevice


def _soxr() -> Any:
    try:
        import soxr
    except ImportError:
        raise SoundError(f"only sound of {RATE} samples a second can be used: {_MISSING.format('soxr')}") from None
    return soxr


_MISSING = "the package {} is missing: pip install 'homeward-hub[voice]'"
_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p)
_hush = _HANDLER(lambda *_: None)  # which has to live as long as ALSA


def _quiet_alsa() -> None:
    """ALSA writes a page to stderr about every device that could be there and is not."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libasound.so.2").snd_lib_error_set_handler(_hush)
