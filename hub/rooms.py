"""The voice in the house: every post's loop, and what they share: one Whisper, one voice, one pipeline.

`opened_rooms` opens it beside the running hub; `Rooms.attend` serves one more post for as long as that is there, so a
satellite across the network is heard exactly as a microphone of this machine is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from devices.tasks import end
from hub import saying
from hub.bids import Bids
from hub.chimes import Chime
from hub.daemon import Hub, tell
from hub.guesses import Guesses
from hub.listen import bias, folder
from hub.mouth import Mouth
from hub.post import LocalPost, Post, State
from hub.saying import Saying
from hub.settings import RoomSettings, Settings
from hub.sound import Samples, SoundError
from hub.soundcard import AGAIN
from hub.turn import Spoken, Turn
from hub.voice_loop import Command, VoiceLoop
from intents.hearsay import names_of, repaired
from intents.line import words
from models import ModelError, wake
from models.hearing import Gate, Heard, Hearing, hotwords
from models.voice import Manner, check, open_voice
from models.wake import BUNDLED, WakeWord

log = logging.getLogger(__name__)

NOT_UNDERSTOOD = "I did not understand that."
STOPS = frozenset(
    {
        "stop",
        "stop it",
        "stop that",
        "be quiet",
        "quiet",
        "silence",
        "enough",
        "shut up",
        "cancel",
        "never mind",
        "nevermind",
    }
)


class Hears(Protocol):
    """What can hear; models.hearing.Hearing is it."""

    async def hear(self, samples: bytes, hotwords: str = "", language: str = "en") -> Heard:
        """The text in 16-bit samples of 16 kHz, biased to the hotwords. Raises ModelError."""


class Rooms:
    """All posts, and what they have together. See hub.voice_loop.Shared."""

    def __init__(self, hub: Hub, hearing: Hears, mouth: Mouth, clock: Callable[[], datetime] = datetime.now) -> None:
        self.voice = hub.settings.voice
        self.bids = Bids()
        self.mouth = mouth
        self._hub = hub
        self.hearing = hearing
        self._clock = clock
        self._loops: set[VoiceLoop] = set()
        self._guesses = Guesses(hub.cores, self._hear)

    # -- the posts

    async def attend(self, post: Post) -> None:
        """Hears and answers at this post until it has gone. Raises SoundError and ModelError."""
        loop = VoiceLoop(post, self)
        self._loops.add(loop)
        self.bids.posts = len(self._loops)
        log.info("listening at %s", post.name)
        try:
            await loop.run()
        finally:
            self._loops.discard(loop)
            self.bids.posts = len(self._loops)
            await self._guesses.forget(post.name)

    def announce(self, turn: Turn, alarm: bool = False) -> None:
        """What nobody has asked for just now, in its room: what was put off, or an alarm, which sounds everywhere where no
        post is there.
        """
        room = turn.room.casefold()
        here = [loop for loop in self._loops if room and loop.post.room.casefold() == room]
        for loop in here or (self._loops if alarm else ()):
            loop.announce(saying.alarm(turn.reply) if alarm else self.answer(turn, loop.post.room))

    # -- what the loops ask for

    def stop_words(self) -> list[WakeWord]:
        return _words(dict.fromkeys(self.voice.stop_words, 0.0))

    def foresee(self, post: Post, samples: Samples) -> None:
        served = (State.HEARING, State.UNDERSTANDING, State.AWAITING)
        if not any(loop.state in served for loop in self._loops if loop.post is not post):
            self._guesses.begin(post.name, samples)

    async def understand(self, command: Command, known: Callable[[str], None]) -> Turn | None:
        room = command.post.room or self._hub.settings.room
        at = {"wake": (command.woke.at - command.ended_at) * 1000} if command.woke else {}
        at["ended"] = _since(command)
        try:
            heard = await self._guesses.heard(command.post.name, command.samples)
        except ModelError as error:
            log.warning("%s", error)
            return Turn("", "I cannot hear at the moment; my log says why.", "error", done=False, room=room)
        at["heard"] = _since(command)
        source, pipeline = f"post {command.post.name}", self._hub.pipeline
        shown = pipeline.shown(heard.text, room, source)
        spoken = _spoken(command, replace(heard, text=shown), at)
        if reason := Gate().reason(heard):
            log.info("not believed (%s): %r", reason, shown[:200])
            return Turn(shown[:2000], NOT_UNDERSTOOD, "refuse", done=False, room=room, spoken=spoken)
        if command.cut and is_stop(heard.text):
            return None
        text = repaired(heard.text, names_of(pipeline.home()))
        known(pipeline.shown(text, room, source))
        began = _since(command)
        turn = await pipeline.answer(text, room, source=source)
        return replace(turn, spoken=replace(spoken, at=MappingProxyType(at | _moments(turn, began))))

    async def says_stop(self, samples: Samples) -> bool:
        try:
            heard = await self._guesses.hear(samples)
        except ModelError as error:
            log.warning("%s", error)
            return False
        return not Gate().reason(heard) and is_stop(heard.text)

    def answer(self, turn: Turn, room: str) -> Saying:
        found = {d.id: d for d in self._hub.house.devices}
        return saying.answer(turn, room, found.get, self.voice, self._clock().time())

    def sign(self, chime: Chime) -> Saying:
        return saying.sign(chime, self.voice, self._clock().time())

    async def tell(self, turn: Turn) -> None:
        await tell(self._hub, turn)

    async def _hear(self, samples: Samples) -> Heard:
        names = hotwords(bias(self._hub.settings, self._hub.house.devices))
        return await self.hearing.hear(samples.astype("<i2").tobytes(), names, self.voice.language)


def _since(command: Command) -> float:
    """Milliseconds since its last word."""
    return (asyncio.get_running_loop().time() - command.ended_at) * 1000


def _spoken(command: Command, heard: Heard, at: Mapping[str, float]) -> Spoken:
    woke = command.woke
    return Spoken(
        command.post.name,
        woke.word if woke else "",
        woke.score if woke else 0.0,
        heard.text[:2000],
        heard.logprob,
        heard.no_speech,
        MappingProxyType(dict(at)),
    )


def _moments(turn: Turn, began: float) -> dict[str, float]:
    """The moments of what the pipeline did, which began `began` ms after the last word."""
    understood = began + sum(turn.ms.get(step, 0.0) for step in ("read", "parse", "resolve"))
    at = {"understood": understood}
    reports = [order.report for order in turn.orders]
    if any(report.sent for report in reports):
        at["published"] = understood + max(report.sent_ms for report in reports)
    if turn.confirmed:
        at["confirmed"] = understood + max(report.ms for report in reports)
    return at


def is_stop(text: str) -> bool:
    """Whether this is nothing but a word for being quiet."""
    said = [word for word in words(text) if word != "please"]
    return " ".join(said) in STOPS


# -- opened beside the hub


@asynccontextmanager
async def opened_rooms(hub: Hub) -> AsyncIterator[Rooms]:
    """The rooms of the settings, heard and spoken in while this is open. Raises ModelError."""
    voice = hub.settings.voice
    speaking = open_voice(voice_file(hub.settings), voice.language, threads=voice.threads)
    mouth = Mouth(speaking, hub.cores, Manner(voice.speed, voice.volume))
    async with Hearing(folder(hub.settings), threads=voice.threads) as hearing:
        rooms = Rooms(hub, hearing, mouth)
        attending: list[asyncio.Task[None]] = []
        here: list[LocalPost] = []
        try:
            rooms.stop_words()  # so that a wrong one is told now
            here += posts(hub.settings)
            attending += [asyncio.create_task(_for_ever(rooms, post)) for post in here]
            attending.append(asyncio.create_task(_warm(hub, hearing, mouth, here)))
            yield rooms
        finally:
            await end(*attending)
            await asyncio.gather(*(post.close() for post in here))
            await mouth.close()


async def _warm(hub: Hub, hearing: Hearing, mouth: Mouth, here: Sequence[LocalPost]) -> None:
    """Loads what the first command would wait for, while the rest of the hub is at work already."""
    try:
        async with hub.cores:
            await hearing.start()
        await mouth.warm()
        for post in here:
            await post.warm()
    except ModelError as error:
        log.error("%s", error)


def posts(settings: Settings) -> list[LocalPost]:
    """The microphones and loudspeakers of this machine. Raises ModelError for a wake word that there is not."""
    return [_post(settings, name, room) for name, room in settings.voice.rooms.items()]


def _post(settings: Settings, name: str, room: RoomSettings) -> LocalPost:
    return LocalPost(name, room.room or name, wake_words(settings, room), room.microphone, room.loudspeaker)


def wake_words(settings: Settings, room: RoomSettings) -> list[WakeWord]:
    """What this room waits for. Raises ModelError for a wake word that there is not."""
    return _words(room.wake_words or settings.voice.wake_words)


def _words(wanted: Mapping[str, float]) -> list[WakeWord]:
    """The words of a table of the settings; their files are looked at. Raises ModelError."""
    listened = [WakeWord(word, threshold or None) for word, threshold in wanted.items()]
    for word in listened:
        if word.name not in BUNDLED:
            wake.check(Path(word.name).expanduser())
    return listened


async def _for_ever(rooms: Rooms, post: Post) -> None:
    """A fault of ours or of an engine costs one post some seconds, and never the hub."""
    while True:
        try:
            await rooms.attend(post)
        except (SoundError, ModelError) as error:
            log.error("%s: %s", post.name, error)
        except Exception:
            log.exception("%s: its loop failed and begins anew", post.name)
        await asyncio.sleep(AGAIN)


def voice_file(settings: Settings) -> Path | None:
    """The Piper voice of the settings: a path, or the only .onnx file of a folder in the state folder's models; None is
    espeak-ng. Raises ModelError.
    """
    wanted = settings.voice.voice
    if not wanted:
        return None
    path = Path(wanted).expanduser() if "/" in wanted else settings.folder() / "models" / wanted
    if not path.is_dir():
        return check(path)
    files = sorted(path.glob("*.onnx"))
    if len(files) != 1:
        raise ModelError(f"{path}: there are {len(files)} Piper voices in it; name one .onnx file as [voice] voice")
    return check(files[0])
