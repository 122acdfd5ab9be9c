"""Hearing that begins before the end of speech is sure: in a pause, what has been said is probably all of it.

Where it was all, its words are there sooner by as long as the end took to be decided; where somebody spoke on, they are
thrown away. No guess is made while a model is at work for anybody, so none of them waits in front of what is sure; one
that was begun is not broken off, for the process would have to be started again, which takes longer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import numpy as np

from devices.tasks import end
from hub.sound import Samples
from models import ModelError
from models.hearing import Heard

# Milliseconds that hearing may take for a guess to pay. A right one saves 0.16 s with the usual patience, a wrong one is
# waited for by at most so long, less what was spoken meanwhile: where one pause in ten is not the end, that is even.
WORTH = 2000.0


@dataclass(frozen=True, slots=True)
class _Guess:
    samples: Samples
    task: asyncio.Task[Heard | None]


class Guesses:
    """Hears, with one guess a post. `hear` does it while `cores` is held, which a guess takes only where nobody else has
    it or waits for it.
    """

    def __init__(self, cores: asyncio.Semaphore, hear: Callable[[Samples], Awaitable[Heard]]) -> None:
        self._cores = cores
        self._hear = hear
        self._takes = 0.0  # milliseconds of the last one
        self._latest: dict[str, _Guess] = {}

    def begin(self, post: str, samples: Samples) -> None:
        """Begins to hear this, where that costs nobody anything."""
        latest = self._latest.get(post)
        if self._takes <= WORTH and not (latest and not latest.task.done()):
            self._latest[post] = _Guess(samples, asyncio.create_task(self._guess(samples)))

    async def heard(self, post: str, samples: Samples) -> Heard:
        """What is heard in just these samples, whether that was guessed or not. Raises ModelError."""
        guess = self._latest.get(post)
        guessed = None
        if guess is not None and np.array_equal(guess.samples, samples):
            self._latest[post] = _Guess(np.zeros(0, np.int16), guess.task)  # it was made for this once
            guessed = await asyncio.shield(guess.task)
        return guessed or await self.hear(samples)

    async def hear(self, samples: Samples) -> Heard:
        """What is heard; whatever else a model does is waited for. Raises ModelError."""
        async with self._cores:
            heard = await self._hear(samples)
        self._takes = heard.ms
        return heard

    async def forget(self, post: str) -> None:
        """The post has gone."""
        if guess := self._latest.pop(post, None):
            await end(guess.task)

    async def _guess(self, samples: Samples) -> Heard | None:
        if self._cores.locked():
            return None
        try:
            return await self.hear(samples)
        except ModelError:
            return None  # whoever hears it in earnest will say so
