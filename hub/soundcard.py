"""Microphones and loudspeakers: whatever ALSA, PulseAudio or PipeWire has, through PortAudio in processes of its own.

A process a microphone and one a loudspeaker: whatever happens to one of them, the hub goes on and opens it again.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, Literal, Protocol, TypeVar

import numpy as np

from hub.portaudio import CONFIGURATION
from hub.sound import RATE, Converter, Format, Resampler, Samples, SoundError, as_samples, as_values
from models import ModelError
from models.child import Child, DiedError

log = logging.getLogger(__name__)

AGAIN = 2.0  # seconds between attempts to open a device that went away
MUTE = 3.0  # seconds without a sample after which a device counts as gone; USB devices often only fall silent
_PART = 0.05  # seconds written to a loudspeaker at once: how long it goes on after it was told to stop
_STARTS = 30.0  # seconds; a slow board with a full list of devices
_ANSWERS = 10.0  # to open a device, or to take a part of a sound
T = TypeVar("T")
_LEAN = {"MALLOC_ARENA_MAX": "1"}  # it has several threads, and little to keep

Way = Literal["input", "output"]


class Microphone(Protocol):
    """One that is open. `read` gives what it has heard since the last time, b"" where it has gone. Raises SoundError."""

    @property
    def format(self) -> Format: ...

    async def read(self) -> bytes: ...


Opener = Callable[[str], AbstractAsyncContextManager[Microphone]]


async def from_device(
    device: str = "", opener: Opener | None = None, *, again: float = AGAIN, mute: float = MUTE
) -> AsyncGenerator[Samples, None]:
    """The frames of a microphone, without end; close the iterator to let it go. "" is the default one.

    A device that goes away later is waited for and opened again. Raises SoundError where there is none at the start.
    """
    known, name = False, f"the microphone {device}" if device else "the microphone"
    while True:
        try:
            async with (opener or _recorder)(device) as microphone:
                if known:
                    log.warning("%s is back", name)
                known, converter = True, Converter(microphone.format)
                while True:
                    async with asyncio.timeout(mute):
                        data = await microphone.read()
                    if not data:
                        break
                    for frame in converter.take(data):
                        yield frame
            log.warning("%s has gone; it is waited for", name)
        except TimeoutError:
            log.warning("%s gives no sound any more; it is opened again", name)
        except SoundError as error:
            if not known:
                raise
            log.debug("%s", error)
        await asyncio.sleep(again)


async def to_device(device: str, chunks: AsyncIterator[Samples], rate: int) -> None:
    """Plays it once; as `Loudspeaker.play` does."""
    speaker = Loudspeaker(device)
    try:
        await speaker.play(chunks, rate)
    finally:
        await speaker.close()


class Loudspeaker:
    """One loudspeaker, "" for the default one. Its process starts with the first sound, and stays for the next."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._port_audio = _PortAudio()

    async def warm(self) -> None:
        """Starts its process, so that the first sound need not wait for that; what is wrong is told by the first sound."""
        with suppress(SoundError):
            await self._ask("close")

    async def play(self, chunks: AsyncIterator[Samples], rate: int) -> None:
        """Plays sound of this rate while it is being made; returns when the last of it has been heard. Where the task is
        cancelled, it falls silent at once. Not to be called before it has returned. Raises SoundError.
        """
        try:
            given = await self._ask("open", way="output", device=self._device, rate=rate)
            await self._write_all(chunks, Resampler(rate, given["rate"]), max(1, int(rate * _PART)), given["channels"])
            await self._ask("drain")
        finally:
            if self._port_audio.runs:
                with suppress(SoundError):
                    await self._ask("close")

    async def _write_all(self, chunks: AsyncIterator[Samples], resampler: Resampler, part: int, channels: int) -> None:
        async def write(samples: Samples, last: bool = False) -> None:
            values = as_samples(resampler.take(as_values(samples), last))
            written = np.repeat(values, channels).astype("<i2").tobytes()
            await self._ask("write", samples=base64.b64encode(written).decode())

        async for samples in chunks:
            for at in range(0, len(samples), part):
                await write(samples[at : at + part])
        await write(np.zeros(0, np.int16), last=True)

    async def _ask(self, verb: str, **how: object) -> dict[str, Any]:
        """A cancellation waits for the answer, so that the process can be asked on. Raises SoundError."""
        return await _to_its_end(self._port_audio.ask(verb, **how))

    async def close(self) -> None:
        """Ends its process. Harmless when done twice."""
        await self._port_audio.end()


async def meant(way: Way, device: str) -> str:
    """The name of the device that is meant by a part of it, a number, or "" for the default one. Raises SoundError."""
    async with _port_audio() as port_audio:
        return str((await port_audio.ask("meant", way=way, device=device))["name"])


async def names(way: Way) -> list[str]:
    """The names of the devices that can record, or play. Raises SoundError where there is none."""
    async with _port_audio() as port_audio:
        return [str(name) for name in (await port_audio.ask("names", way=way))["names"]]


# -- the process


class _PortAudio:
    """PortAudio's process, which starts with the first question and again with the next one where it died."""

    def __init__(self) -> None:
        self._child: Child | None = None
        self._ended = False

    @property
    def runs(self) -> bool:
        return self._child is not None

    async def ask(self, verb: str, **how: object) -> dict[str, Any]:
        """See hub.portaudio. Of use no more where it was cancelled. Raises SoundError."""
        if self._ended:
            raise SoundError("this device is closed")
        try:
            child = self._child or await self._start()
            return await child.ask({"do": verb, **how}, _ANSWERS)
        except ModelError as error:
            raise SoundError(str(error)) from None
        except OSError as error:
            raise SoundError(f"PortAudio cannot be started ({error.strerror})") from None
        except DiedError as error:
            await self._drop()
            raise SoundError(f"{error}; {CONFIGURATION}") from None

    async def _start(self) -> Child:
        # It writes a page to its error output about every device that is away just now.
        child = self._child = await Child.spawn("hub.portaudio", "PortAudio", _LEAN, chatter=logging.DEBUG)
        try:
            await child.ask({}, _STARTS)
        except ModelError:
            await self._drop()
            raise
        return child

    async def _drop(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            await _to_its_end(child.kill())

    async def end(self) -> None:
        """Ends the process, whatever it is doing, for good. Harmless when done twice."""
        self._ended = True
        await self._drop()


async def _to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """What `work` gives, which goes on where its caller is cancelled, also more than once; that is told afterwards."""
    task, cancelled = asyncio.create_task(work), None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        task.exception()  # nobody asks for it any more
        raise cancelled
    return task.result()


@asynccontextmanager
async def _port_audio() -> AsyncIterator[_PortAudio]:
    process = _PortAudio()
    try:
        yield process
    finally:
        await process.end()


class _Recorder:
    """An open microphone of this machine."""

    def __init__(self, port_audio: _PortAudio, given: Mapping[str, int]) -> None:
        self.format = Format(given["rate"], given["channels"])
        self._port_audio = port_audio

    async def read(self) -> bytes:
        return base64.b64decode((await self._port_audio.ask("read"))["samples"])


@asynccontextmanager
async def _recorder(device: str) -> AsyncIterator[_Recorder]:
    """The opener of real devices."""
    async with _port_audio() as port_audio:
        yield _Recorder(port_audio, await port_audio.ask("open", way="input", device=device, rate=RATE))
