"""The demo's commands aloud: a synthetic voice says them, and the hub hears, does and answers them as it does in a room.

Everything from the end of the wake word on is the real thing: the loop over a post, the end of speech, Whisper in its
process, the gate, the pipeline, the voice of the answer. Only the post is none: what is said there comes from memory,
and sounds as well where the machine has a loudspeaker.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np

import models
from devices.tasks import end
from hub import speakers
from hub.daemon import Hub
from hub.demo import Ask
from hub.mouth import Mouth
from hub.post import State, Woken
from hub.rooms import Rooms
from hub.scripted import ScriptedPost
from hub.sound import RATE, Samples, SoundError
from hub.soundcard import to_device
from hub.turn import Turn
from models import ModelError
from models.hearing import Hearing, check
from models.voice import Manner, open_voice

EARS = Path(models.__file__).parent / "weights" / "ears"
SPEAKER = speakers.strangers(["espeak-ng"])[2]  # the ears have never heard it; the score of each is on their card
_BEFORE, _AFTER = round(0.3 * RATE), round(1.5 * RATE)  # of silence, in which the end of speech is found
_WITHIN = 60.0  # seconds: a garage door takes its time
_NEEDED = ("faster_whisper", "onnxruntime", "soxr")  # of the extra `voice`


def missing(ears: Path = EARS) -> str:
    """What the demo lacks for speaking and hearing; "" where all of it is there."""
    lacking = [name for name in _NEEDED if find_spec(name) is None]
    if lacking:
        return f"{', '.join(lacking)} is not installed: pip install 'homeward-hub[voice]'"
    if shutil.which("espeak-ng") is None:
        return "there is no voice: apt-get install espeak-ng"
    try:
        check(ears)
    except ModelError:
        return "the ears of the demo are not made yet: python -m hub.make_ears --ship"
    return ""


@asynccontextmanager
async def speaking(hub: Hub, out: Callable[[str], None], ears: Path = EARS) -> AsyncIterator[Ask]:
    """Asks the hub aloud while this is open; the turn is what came of it. Raises HubError and ModelError."""
    voice = hub.settings.voice
    async with Hearing(ears, threads=voice.threads) as hearing:
        await hearing.start()
        mouth = Mouth(open_voice(None, voice.language), hub.cores, Manner(voice.speed, voice.volume))
        post, rooms = _Post(out), _Rooms(hub, hearing, mouth)
        attending = asyncio.create_task(rooms.attend(post))
        try:
            await post.attended()

            async def ask(text: str) -> Turn:
                samples = await asyncio.to_thread(speakers.say, SPEAKER, text)
                await post.sound(samples)
                return await rooms.turn(post, np.pad(samples, (_BEFORE, _AFTER)), text)

            yield ask
        finally:
            await end(attending)
            await mouth.close()


class _Rooms(Rooms):
    """Rooms that keep the turn that was told last."""

    _last: Turn | None = None

    async def tell(self, turn: Turn) -> None:
        self._last = turn
        await super().tell(turn)

    async def turn(self, post: ScriptedPost, samples: Samples, said: str) -> Turn:
        """What came of it, once the answer has been said. Never raises."""
        self._last = None
        post.clear()
        ends = [asyncio.create_task(post.until(State.UNDERSTANDING, last)) for last in (State.WAITING, State.AWAITING)]
        post.wake(Woken("demo"))
        post.say(samples)
        await asyncio.wait(ends, timeout=_WITHIN, return_when=asyncio.FIRST_COMPLETED)
        await end(*ends)
        return self._last or Turn(said, "I heard nothing.", "refuse", done=False)


class _Post(ScriptedPost):
    """What is played here sounds as well where there is a loudspeaker; it is tried until it fails."""

    def __init__(self, out: Callable[[str], None]) -> None:
        super().__init__("demo")
        self._out = out
        self._sounds = True

    async def sound(self, samples: Samples, rate: int = RATE) -> None:
        """Lets it be heard, where that can be done."""
        if not self._sounds:
            return
        try:
            await to_device("", _once(samples), rate)
        except SoundError as error:
            self._sounds = False
            self._out(f"Nothing will sound here: {error}")

    async def play(self, chunks: AsyncIterator[Samples], rate: int) -> None:
        await super().play(chunks, rate)
        await self.sound(self.played[-1][1], rate)


async def _once(samples: Samples) -> AsyncIterator[Samples]:
    yield samples
