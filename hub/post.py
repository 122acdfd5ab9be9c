"""A post: a place in a room to hear and to speak at. The loop over one is the same, whatever it is made of.

`LocalPost` is a microphone and a loudspeaker of this machine; a satellite across the network is another, and
hub.scripted has one without any device.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from hub.sound import Samples, SoundError
from hub.soundcard import AGAIN, Loudspeaker, from_device
from models.wake import WakeWord

log = logging.getLogger(__name__)


class State(Enum):
    """What goes on at a post."""

    WAITING = "waiting"  # for the wake word
    HEARING = "hearing"  # it was said: a command is awaited, or is being said
    UNDERSTANDING = "understanding"  # the command has ended: Whisper, the language model and the devices are at work
    SPEAKING = "speaking"  # an answer, a chime or an alarm sounds; the wake word or "stop" cuts it
    AWAITING = "awaiting"  # the hub has asked something: the answer needs no wake word


@dataclass(frozen=True, slots=True)
class Woken:
    """A wake word that the post heard itself: the frames that come after it are the command. `score` is from 0 to 1."""

    word: str
    score: float = 1.0


class Post(Protocol):
    """What the loop needs of a place. All of it is called from one task group of one event loop."""

    @property
    def name(self) -> str:
        """Its own name, another one than that of any other post."""

    @property
    def room(self) -> str:
        """Where it stands, as the house calls it; "" for nowhere in particular."""

    @property
    def words(self) -> Sequence[WakeWord]:
        """What is to be listened for here; none where the post does that itself and says so by `Woken`."""

    def listen(self) -> AsyncGenerator[Samples | Woken, None]:
        """Frames of sound.FRAME samples, 16 kHz, mono, as they are spoken. It ends when the post has gone for good.

        Raises SoundError. A microphone that may come back is waited for in here.
        """

    async def play(self, chunks: AsyncIterator[Samples], rate: int) -> None:
        """Plays chunks of any length at `rate` while they are being made; returns when the last of it has been heard.

        Where the task is cancelled it falls silent at once. Never called again before it has returned. Raises SoundError.
        """

    def show(self, state: State, text: str) -> None:
        """Told as each state begins, for lamps and the like. `text` is what was heard (UNDERSTANDING; "" until it is
        known, then it is told once more) or is said (SPEAKING). Must not block.
        """


class LocalPost:
    """A microphone and a loudspeaker of this machine, by the names that `sound` knows; "" is the default one."""

    def __init__(self, name: str, room: str, words: Sequence[WakeWord], microphone: str, loudspeaker: str) -> None:
        self.name = name
        self.room = room
        self.words = words
        self._microphone = microphone
        self._loudspeaker = Loudspeaker(loudspeaker)

    async def listen(self) -> AsyncGenerator[Samples | Woken, None]:
        """Never ends: a microphone that is not there is waited for, also at the start."""
        told = ""
        while True:
            try:
                async with aclosing(from_device(self._microphone)) as frames:
                    async for frame in frames:
                        told = ""
                        yield frame
            except SoundError as error:
                if str(error) != told:
                    log.warning("%s: %s; it is waited for", self.name, error)
                told = str(error)
            await asyncio.sleep(AGAIN)

    async def play(self, chunks: AsyncIterator[Samples], rate: int) -> None:
        await self._loudspeaker.play(chunks, rate)

    def show(self, state: State, text: str) -> None:
        """It has no lamp."""

    async def warm(self) -> None:
        """Makes the loudspeaker ready for the first word."""
        await self._loudspeaker.warm()

    async def close(self) -> None:
        """Lets the loudspeaker go."""
        await self._loudspeaker.close()
