"""A Wyoming satellite as a post of the voice loop: its microphone is heard, the answer is played there, its lamps are told.

The hub connects to the satellite. A satellite that always streams is listened to for the wake word here; one that hears
the word itself says so and streams from then on, until it is told the transcript. That is told when nothing more is
awaited from the room, so that an answer to a question, "stop" and the wake word are heard there meanwhile.
"""

from __future__ import annotations

import asyncio
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace

import numpy as np
from wyoming.asr import Transcribe, Transcript
from wyoming.event import Event
from wyoming.info import Describe
from wyoming.ping import Ping, Pong
from wyoming.satellite import PauseSatellite, RunSatellite
from wyoming.tts import Synthesize
from wyoming.vad import VoiceStopped
from wyoming.wake import Detect, Detection

from hub import sound
from hub.post import State, Woken
from hub.sound import Samples, SoundError
from hub.wyoming import wire
from hub.wyoming.audio import CHUNK, Pace, Sound
from hub.wyoming.wire import WireError
from models.wake import WakeWord

CONNECT_SECONDS = 5.0  # for a satellite to be reached, and to say what it is
PING_SECONDS = 3.0
GONE_SECONDS = 10.0  # without an event: three pings that were not answered, by one that has answered before
DEAD_SECONDS = 20  # until the kernel tells of a machine that is not there any more; older satellites answer no pings
AHEAD = 0.5  # seconds of speech that the satellite gets before they are due: what it has, it plays even where it is cut
PLAYED_WITHIN = 0.5  # seconds after the end of a speech in which the satellite tells that it has ended
_SILENCE = 1.0  # seconds, which the satellite does not send where it has found the end of the command itself


Stream = tuple[StreamReader, StreamWriter]


class NoSatelliteError(WireError):
    """What is there is another service."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a satellite is reached, and in which room it stands; "" for the one that it names itself."""

    host: str
    port: int
    room: str = ""

    @property
    def name(self) -> str:
        return f"{self.host}:{self.port}"


class SatellitePost:
    """A connected satellite. See hub.post.Post."""

    def __init__(self, place: Place, words: Sequence[WakeWord], language: str, stream: Stream) -> None:
        self.name = place.name
        self.room = place.room
        self.words = words
        self._language = language
        self._reader, self._writer = stream
        self._sound = Sound()
        self._pace = Pace()
        self._detected = False  # it told of a wake word, and did not say yet that it streams
        self._woke_itself = False
        self._answers = False
        self._heard: str | None = None  # the words of the command that is not over yet
        self._played = asyncio.Event()

    # -- hearing

    async def listen(self) -> AsyncGenerator[Samples | Woken, None]:
        """Frames and wake words until the connection ends. Raises SoundError."""
        pinging = asyncio.create_task(self._ping())
        try:
            await wire.write(self._writer, RunSatellite().event())  # not before somebody listens, and speaks there
            while (event := await wire.read(self._reader, GONE_SECONDS if self._answers else None)) is not None:
                for item in self._take(event):
                    await self._pace.frame()
                    yield item
            self._lost()
        except WireError as error:
            self._lost()
            raise SoundError(str(error)) from None
        finally:
            pinging.cancel()

    def _lost(self) -> None:
        """Nothing can be played there any more; who does so is told."""
        self._writer.transport.abort()
        self._played.set()

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(PING_SECONDS)
            self._tell(Ping().event())

    def _take(self, event: Event) -> Sequence[Samples | Woken]:
        """What an event of the satellite is to the loop. Raises WireError and SoundError."""
        match event.type:
            case "audio-chunk":
                return self._sound.take(event)
            case "detection":
                self._detected = self._woke_itself = True
                return [Woken(_text(event, "name"))]
            case "run-pipeline":
                return self._pipeline(event)
            case "audio-stop":  # whoever spoke there has ended, as far as the satellite can tell
                frames = [*self._sound.end(), *_silence()]
                self._sound = Sound()
                return frames
            case "ping":
                self._tell(Pong(_text(event, "text") or None).event())
            case "pong":
                self._answers = True
            case "played":
                self._played.set()
        return ()

    def _pipeline(self, event: Event) -> Sequence[Samples | Woken]:
        """Sound begins to come: for the wake word, or because that was heard there."""
        self._sound = Sound()
        if event.data.get("start_stage") == "wake":
            self._tell(Detect([word.name for word in self.words]).event())
        elif event.data.get("start_stage") == "asr":
            told, self._detected = self._detected, False
            if not told:
                self._woke_itself = True
                return [Woken(_text(event, "wake_word_name"))]
        return ()

    # -- speaking

    async def play(self, chunks: AsyncIterator[Samples], rate: int) -> None:
        """Sent little before it is due, so that little more is heard where it is cut. Raises SoundError."""
        loop, seconds, began = asyncio.get_running_loop(), 0.0, 0.0
        form = {"rate": rate, "width": 2, "channels": 1}
        self._played.clear()
        try:
            async for samples in chunks:
                began = began or loop.time()
                if not seconds:
                    await wire.write(self._writer, Event("audio-start", form))
                data = samples.astype("<i2").tobytes()
                for at in range(0, len(data), CHUNK):
                    await wire.write(self._writer, Event("audio-chunk", form, data[at : at + CHUNK]))
                    seconds += len(data[at : at + CHUNK]) / 2 / rate
                    await asyncio.sleep(began + seconds - loop.time() - AHEAD)
        except WireError as error:
            raise SoundError(f"{self.name}: {error}") from None
        finally:
            if seconds:
                self._tell(Event("audio-stop"))
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, began + seconds - loop.time()) + PLAYED_WITHIN if seconds else 0):
                await self._played.wait()
        if self._writer.is_closing():
            raise SoundError(f"{self.name}: the satellite has gone")

    # -- showing

    def show(self, state: State, text: str) -> None:
        match state:
            case State.HEARING:
                if not self._woke_itself:
                    self._tell(Detection().event())
                self._woke_itself, self._heard = False, ""
                self._tell(Transcribe(language=self._language).event())
            case State.AWAITING:
                self._tell(Transcribe(language=self._language).event())
            case State.UNDERSTANDING if text:
                self._heard = text
            case State.UNDERSTANDING:
                self._tell(VoiceStopped().event())
            case State.SPEAKING if text:
                self._tell(Synthesize(text).event())
            case State.WAITING if self._heard is not None:
                self._tell(Transcript(self._heard, language=self._language).event())
                self._heard = None

    def _tell(self, event: Event) -> None:
        wire.tell(self._writer, event)


def _text(event: Event, key: str) -> str:
    """A text of an event that may be missing."""
    return wire.text(event, key)[:200] if event.data.get(key) is not None else ""


def _silence() -> list[Samples]:
    frames = round(_SILENCE * sound.RATE / sound.FRAME)
    return [np.zeros(sound.FRAME, np.int16)] * frames


@asynccontextmanager
async def connected(place: Place, words: Sequence[WakeWord], language: str) -> AsyncIterator[SatellitePost]:
    """The satellite, which is told that we are ready when it is listened to, and at the end that we are not. Raises WireError."""
    async with _opened(place) as (reader, writer):
        area = await _area(reader, writer)
        try:
            yield SatellitePost(replace(place, room=place.room or area), words, language, (reader, writer))
        finally:
            wire.tell(writer, PauseSatellite().event())


async def described(place: Place) -> str:
    """The room that the satellite names, "" for none; whoever it serves is not disturbed. Raises WireError."""
    async with _opened(place) as (reader, writer):
        return await _area(reader, writer)


@asynccontextmanager
async def _opened(place: Place) -> AsyncIterator[Stream]:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(place.host, place.port, limit=wire.LINE)
    except TimeoutError:
        raise WireError("it cannot be reached") from None
    except OSError as error:
        raise WireError(f"it cannot be reached ({error.strerror or error})") from None
    try:
        _keep_alive(writer)
        yield reader, writer
    finally:
        writer.close()


def _keep_alive(writer: StreamWriter) -> None:
    """Have the kernel notice a machine that was switched off: what we send is not acknowledged any more."""
    line = writer.get_extra_info("socket")
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_SECONDS * 1000)


async def _area(reader: StreamReader, writer: StreamWriter) -> str:
    """The room that the satellite names. Raises NoSatelliteError and WireError."""
    await wire.write(writer, Describe().event())
    while (event := await wire.read(reader, CONNECT_SECONDS)) is not None:
        if event.type == "info":
            satellite = event.data.get("satellite")
            if not isinstance(satellite, dict):
                raise NoSatelliteError("it is no satellite: it has no microphone")
            area = satellite.get("area")
            return area[:100].encode(errors="replace").decode() if isinstance(area, str) else ""
    raise WireError("it ended before it said what it is")
