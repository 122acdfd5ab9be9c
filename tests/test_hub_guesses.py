"""Hearing begins before it is sure that somebody has ended, and costs nobody else anything."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from hub.guesses import WORTH, Guesses
from hub.sound import Samples
from models import ModelError
from models.hearing import Heard


class Ears:
    """Ears that hear how many samples there are, when they are told to go on."""

    def __init__(self, takes: float = 100.0) -> None:
        self.cores = asyncio.Semaphore(1)
        self.guesses = Guesses(self.cores, self.hear)
        self.asked: list[int] = []
        self.goes_on = asyncio.Event()
        self.takes = takes
        self.fails = 0

    async def hear(self, samples: Samples) -> Heard:
        assert self.cores.locked()
        self.asked.append(len(samples))
        await self.goes_on.wait()
        if self.fails:
            self.fails -= 1
            raise ModelError("deaf")
        return Heard(str(len(samples)), ms=self.takes)


def said(count: int) -> Samples:
    return np.arange(count, dtype=np.int16)


async def begun(ears: Ears, count: int, post: str = "hall") -> None:
    ears.guesses.begin(post, said(count))
    await asyncio.sleep(0)


async def test_what_was_guessed_is_heard_once() -> None:
    ears = Ears()
    await begun(ears, 5)
    assert ears.asked == [5]
    waiting = asyncio.create_task(ears.guesses.heard("hall", said(5)))
    ears.goes_on.set()
    assert (await waiting).text == "5"
    assert ears.asked == [5]
    assert (await ears.guesses.heard("hall", said(5))).text == "5"
    assert ears.asked == [5, 5]  # who says the same again is heard again


async def test_what_was_not_said_in_the_end_is_thrown_away() -> None:
    ears = Ears()
    ears.goes_on.set()
    await begun(ears, 5)
    assert (await ears.guesses.heard("hall", said(7))).text == "7"
    assert (await ears.guesses.heard("office", said(5))).text == "5"
    assert ears.asked == [5, 7, 5]


async def test_nothing_is_guessed_while_a_model_is_at_work() -> None:
    ears = Ears()
    ears.goes_on.set()
    async with ears.cores:
        await begun(ears, 5)
    assert not ears.asked
    assert (await ears.guesses.heard("hall", said(5))).text == "5"
    assert ears.asked == [5]


async def test_a_guess_does_not_stand_before_who_waits_already() -> None:
    ears = Ears()
    await ears.cores.acquire()
    sure = asyncio.create_task(ears.guesses.hear(said(9)))
    await asyncio.sleep(0)
    ears.guesses.begin("hall", said(5))
    ears.cores.release()
    ears.goes_on.set()
    assert (await sure).text == "9"
    assert ears.asked == [9]


async def test_one_guess_at_a_time_at_a_post() -> None:
    ears = Ears()
    await begun(ears, 5)
    await begun(ears, 6)
    ears.goes_on.set()
    assert (await ears.guesses.heard("hall", said(6))).text == "6"
    assert ears.asked == [5, 6]


async def test_ears_that_are_slow_are_not_kept_busy_with_guesses() -> None:
    ears = Ears(takes=WORTH + 1)
    ears.goes_on.set()
    await ears.guesses.hear(said(1))
    await begun(ears, 5)
    assert ears.asked == [1]
    ears.takes = WORTH
    await ears.guesses.hear(said(1))
    await begun(ears, 5)
    assert ears.asked == [1, 1, 5]


async def test_a_guess_that_fails_is_heard_again_in_earnest() -> None:
    ears = Ears()
    ears.goes_on.set()
    ears.fails = 1
    await begun(ears, 5)
    assert (await ears.guesses.heard("hall", said(5))).text == "5"
    ears.fails = 2
    await begun(ears, 6)
    with pytest.raises(ModelError, match="deaf"):
        await ears.guesses.heard("hall", said(6))


async def test_who_gives_up_waiting_leaves_the_guess_to_itself_and_who_goes_takes_it_along() -> None:
    ears = Ears()
    await begun(ears, 5)
    waiting = asyncio.create_task(ears.guesses.heard("hall", said(5)))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert ears.cores.locked()
    await ears.guesses.forget("hall")
    await ears.guesses.forget("hall")
    assert not ears.cores.locked()
