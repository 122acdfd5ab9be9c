"""One connection to the hub's services: events come in, each is answered by the part that it is for.

describe -> info                                     transcript -> handled | intents, as the settings have it
transcribe, audio -> transcript                      recognize -> intents | not-recognized
detect, audio -> detection | not-detected            synthesize -> audio, a sentence at a time
ping -> pong                                         synthesize-start, -chunk, -stop -> the same while text comes
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from wyoming.asr import Transcript
from wyoming.event import Event
from wyoming.ping import Pong
from wyoming.tts import SynthesizeStopped
from wyoming.wake import Detection, NotDetected

from hub import sound
from hub.pipeline import Pipeline
from hub.rooms import Hears
from hub.settings import Settings
from hub.sound import Samples
from hub.turn import Turn
from hub.wyoming import assist, info, wire
from hub.wyoming.assist import Sentence
from hub.wyoming.audio import CHUNK, Pace, Sound, format_of
from hub.wyoming.wire import WireError
from models.hearing import LONGEST, Gate, hotwords
from models.voice import Manner, Speech, Voice, complete
from models.wake import Wake, WakeWord

_NAMES = 100  # names to listen for that may come with one request


@dataclass(frozen=True, slots=True)
class Services:
    """What is offered over every connection, and how it is described; what is None or empty is not offered.

    `names` gives the names of this home, which are likely to be said. `tell` passes a finished turn on. `cores` is held
    while a model works.
    """

    settings: Settings
    pipeline: Pipeline
    info: Event
    names: Callable[[], Sequence[str]]
    tell: Callable[[Turn], Awaitable[None]]
    cores: asyncio.Semaphore
    hearing: Hears | None
    voice: Voice | None
    manner: Manner
    words: tuple[WakeWord, ...]


class Transcribes:
    """Sound in, the transcript when it is over."""

    def __init__(self, services: Services, send: wire.Write, request: Event) -> None:
        if services.hearing is None:
            raise WireError("no speech can be heard here: no model for hearing is installed")
        self._hearing = services.hearing
        self._cores = services.cores
        self._send = send
        self._language = _language(request, services.settings.voice.language)
        self._names = hotwords([*_names(request), *services.names()])
        self._sound = Sound()
        self._frames: list[Samples] = []
        self._over = False

    async def take(self, event: Event) -> None:
        if not self._over:
            self._frames += self._sound.take(event)
        if len(self._frames) * sound.FRAME > LONGEST * sound.RATE:
            self._over, self._frames = True, []

    async def end(self) -> None:
        """What cannot be believed is heard as nothing at all, so that nobody acts on it. Raises WireError and ModelError."""
        if self._over:
            raise WireError(f"at most {LONGEST:g} seconds can be heard at once")
        samples = b"".join(frame.astype("<i2").tobytes() for frame in [*self._frames, *self._sound.end()])
        text = await self._text(samples) if samples else ""
        await self._send(Transcript(text, language=self._language).event())

    async def _text(self, samples: bytes) -> str:
        async with self._cores:
            heard = await self._hearing.hear(samples, self._names, self._language)
        return "" if Gate().reason(heard) else heard.text


class Wakes:
    """Sound in, a detection each time that one of the words is in it."""

    def __init__(self, send: wire.Write, words: Sequence[WakeWord], wake: Wake) -> None:
        self._send = send
        self._words = {info.phrase(word): info.identity(word) for word in words}
        self._wake = wake
        self._sound = Sound()
        self._pace = Pace()
        self._found = False

    @classmethod
    async def open(cls, services: Services, send: wire.Write, request: Event) -> Wakes:
        """Raises WireError where there is no such word, and ModelError."""
        asked = request.data.get("names") or [info.identity(word) for word in services.words]
        words = [word for word in services.words if isinstance(asked, list) and info.identity(word) in asked]
        if not words:
            raise WireError("no such wake word is listened for here; `describe` tells which are")
        return cls(send, words, await asyncio.to_thread(Wake, words))  # a file of one's own is tried in a process

    async def take(self, event: Event) -> None:
        for frame in self._sound.take(event):
            await self._pace.frame()
            if hit := self._wake.take(frame):
                self._found = True
                stamp = event.data.get("timestamp")
                name = self._words.get(info.plain(hit.word), hit.word)
                await self._send(Detection(name, stamp if isinstance(stamp, int) else None).event())

    async def end(self) -> None:
        if not self._found:
            await self._send(NotDetected().event())


class Speaks:
    """Text in, in pieces, and its sentences out as sound, each as soon as it is whole."""

    def __init__(self, services: Services, send: wire.Write) -> None:
        if services.voice is None:
            raise WireError("nothing can be spoken here: no voice is installed")
        self._voice = services.voice
        self._cores = services.cores
        self._manner = services.manner
        self._send = send
        self._format: dict[str, int] = {}
        self._waiting = ""

    async def take(self, text: str, *, last: bool = False) -> None:
        """Raises WireError and ModelError."""
        self._waiting += text
        whole, self._waiting = (self._waiting, "") if last else complete(self._waiting)
        if len(self._waiting) > wire.TEXT:
            raise WireError(f"a sentence of more than {wire.TEXT} characters is none")
        async with aclosing(self._voice.speak(whole, self._manner)) as speech:
            while (sentence := await self._next(speech)) is not None:
                await self._play(sentence.samples, sentence.rate)
        if last:
            await self._begin(sound.RATE)  # also what has no words in it has a beginning and an end
            await self._send(Event("audio-stop"))

    async def _next(self, speech: AsyncGenerator[Speech, None]) -> Speech | None:
        async with self._cores:
            return await anext(speech, None)

    async def _begin(self, rate: int) -> None:
        if not self._format:
            self._format = {"rate": rate, "width": 2, "channels": 1}
            await self._send(Event("audio-start", dict(self._format)))

    async def _play(self, samples: bytes, rate: int) -> None:
        await self._begin(rate)
        for at in range(0, len(samples), CHUNK):
            await self._send(Event("audio-chunk", dict(self._format), samples[at : at + CHUNK]))


class Session:
    """One peer. It is asked one thing at a time: who sends the next before the answer has come waits for it."""

    def __init__(self, services: Services, send: wire.Write) -> None:
        self._services = services
        self._send = send
        self._ears: Transcribes | Wakes | None = None
        self._speaks: Speaks | None = None
        self._takes: Mapping[str, Callable[[Event], Awaitable[None]]] = {
            "describe": self._describe,
            "ping": self._ping,
            "transcribe": self._transcribe,
            "detect": self._detect,
            "audio-start": self._audio_start,
            "audio-chunk": self._audio_chunk,
            "audio-stop": self._audio_stop,
            "synthesize": self._synthesize,
            "synthesize-start": self._synthesize_start,
            "synthesize-chunk": self._synthesize_chunk,
            "synthesize-stop": self._synthesize_stop,
            "transcript": self._transcript,
            "recognize": self._recognize,
        }

    async def take(self, event: Event) -> None:
        """Answers an event; one that is not known is nothing. Raises HubError and ModelError, after which nothing goes on."""
        if take := self._takes.get(event.type):
            await take(event)

    async def _describe(self, event: Event) -> None:
        await self._send(self._services.info)

    async def _ping(self, event: Event) -> None:
        await self._send(Pong(wire.text(event) if event.data.get("text") is not None else None).event())

    # -- sound in

    async def _transcribe(self, event: Event) -> None:
        self._ears = Transcribes(self._services, self._send, event)

    async def _detect(self, event: Event) -> None:
        self._ears = await Wakes.open(self._services, self._send, event)

    async def _audio_start(self, event: Event) -> None:
        format_of(event)  # so that what cannot be heard is told before it is sent
        if self._ears is None:  # a transcript is what most want who say nothing else
            self._ears = Transcribes(self._services, self._send, event)

    async def _audio_chunk(self, event: Event) -> None:
        if self._ears is not None:
            await self._ears.take(event)

    async def _audio_stop(self, event: Event) -> None:
        ears, self._ears = self._ears, None
        if ears is not None:
            await ears.end()

    # -- sound out

    async def _synthesize(self, event: Event) -> None:
        if self._speaks is None:  # else it is the whole once more, for services that cannot speak while text comes
            await Speaks(self._services, self._send).take(wire.text(event), last=True)

    async def _synthesize_start(self, event: Event) -> None:
        self._speaks = Speaks(self._services, self._send)

    async def _synthesize_chunk(self, event: Event) -> None:
        if self._speaks is not None:
            await self._speaks.take(wire.text(event))

    async def _synthesize_stop(self, event: Event) -> None:
        speaks, self._speaks = self._speaks, None
        if speaks is not None:
            await speaks.take("", last=True)
            await self._send(SynthesizeStopped().event())

    # -- sentences

    def _sentence(self, event: Event) -> Sentence:
        context, services = wire.context(event), self._services
        room = assist.room_of(context, services.settings.wyoming.rooms, services.pipeline.home())
        return Sentence(wire.text(event), room, context.get("conversation_id", ""))

    async def _transcript(self, event: Event) -> None:
        services = self._services
        if services.settings.wyoming.transcripts == "intent":
            await self._recognize(event)
            return
        turn, answer = await assist.answer(services.pipeline, self._sentence(event), services.settings.room)
        await services.tell(turn)
        await self._send(answer)

    async def _recognize(self, event: Event) -> None:
        services = self._services
        for answer in await assist.recognise(services.pipeline, self._sentence(event), services.settings.room):
            await self._send(answer)


def _language(request: Event, usual: str) -> str:
    """The language that was asked for: "en-GB" is "en"."""
    asked = request.data.get("language")
    found = asked.split("-")[0].split("_")[0].lower() if isinstance(asked, str) else ""
    return found if found.isascii() and found.isalpha() and 2 <= len(found) <= 3 else usual


def _names(request: Event) -> list[str]:
    """The names that whoever asks would listen for."""
    found: list[str] = []
    for key in ("transcript_names", "transcript_terms"):
        given = request.data.get(key)
        found += [name[:100] for name in given if isinstance(name, str)] if isinstance(given, list) else []
    return [name.encode(errors="replace").decode() for name in found[:_NAMES]]
