"""Says things at a post: chimes and sentences, the first of which sounds while the next one is being made."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

import numpy as np

from devices.tasks import end
from hub.chimes import pause, tones
from hub.post import Post
from hub.saying import Saying
from hub.sound import Resampler, Samples, as_samples, as_values
from models import ModelError
from models.voice import Manner, Speech, Voice

RATE = 22_050  # samples a second of all that is played: espeak-ng's and most of Piper's voices' own
_AHEAD = 2  # sentences that are made before they are needed
_BETWEEN = 1.5  # seconds between the rounds of an alarm: time to hear "stop" in


class Mouth:
    """The one voice of the house, at any number of posts at once. `cores` is held while a sentence is made."""

    def __init__(self, voice: Voice, cores: asyncio.Semaphore, manner: Manner) -> None:
        self.voice = voice
        self._cores = cores
        self.manner = manner
        self._making: set[asyncio.Task[None]] = set()

    async def say(self, saying: Saying, post: Post, first: Callable[[], None]) -> None:
        """Returns when it has been heard; `first` is called with the first sound. Cancelled, it is silent at once.

        Raises ModelError and SoundError.
        """
        recipe = _Recipe(saying)
        task = asyncio.create_task(self._make(recipe))
        self._making.add(task)
        task.add_done_callback(self._making.discard)
        try:
            await post.play(recipe.chunks(first), RATE)
        finally:
            recipe.stop()

    async def warm(self) -> None:
        """Loads the voice, by a word that nobody hears. Raises ModelError."""
        async with self._cores, aclosing(self.voice.speak("Hello.", self.manner)) as parts:
            await anext(parts, None)

    async def close(self) -> None:
        """End what is being made, and the voice."""
        await end(*self._making)
        await self.voice.close()

    async def _make(self, recipe: _Recipe) -> None:
        """Never cancelled while the voice is at work, which would have to be loaded again."""
        try:
            words: list[Samples] = []
            for number in range(recipe.saying.rounds):
                volume = self.manner.volume * recipe.saying.volume
                if recipe.saying.chime:
                    await recipe.put(tones(recipe.saying.chime, RATE, volume))
                for samples in words:
                    await recipe.put(samples)
                if number == 0:
                    words = await self._speak(recipe, Manner(self.manner.speed, volume))
                if number + 1 < recipe.saying.rounds:
                    await recipe.put(pause(_BETWEEN, RATE))
            await recipe.put(None)
        except ModelError as error:
            await recipe.put(error)

    async def _speak(self, recipe: _Recipe, manner: Manner) -> list[Samples]:
        """Puts each sentence as soon as it is made; all of them."""
        made: list[Samples] = []
        async with aclosing(self.voice.speak(recipe.saying.words, manner)) as parts:
            while not recipe.stopped:
                async with self._cores:
                    speech = await anext(parts, None)
                if speech is None:
                    break
                made.append(_resampled(speech))
                await recipe.put(made[-1])
        return made


class _Recipe:
    """What is being made and played: the parts that are ready, and whether anybody wants them any more."""

    def __init__(self, saying: Saying) -> None:
        self.saying = saying
        self.stopped = False
        self._ready: asyncio.Queue[Samples | ModelError | None] = asyncio.Queue(_AHEAD)

    async def put(self, part: Samples | ModelError | None) -> None:
        if not self.stopped:
            await self._ready.put(part)

    async def chunks(self, first: Callable[[], None]) -> AsyncIterator[Samples]:
        """The parts in order. Raises ModelError where one cannot be made."""
        began = False
        while (part := await self._ready.get()) is not None:
            if isinstance(part, ModelError):
                raise part
            if not began:
                began = True
                first()
            yield part

    def stop(self) -> None:
        """Nobody listens any more; whoever waits to put something is let go."""
        self.stopped = True
        with contextlib.suppress(asyncio.QueueEmpty):
            while True:
                self._ready.get_nowait()


def _resampled(speech: Speech) -> Samples:
    samples = np.frombuffer(speech.samples, "<i2").astype(np.int16)
    if speech.rate == RATE:
        return samples
    return as_samples(Resampler(speech.rate, RATE).take(as_values(samples), last=True))
