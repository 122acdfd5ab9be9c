"""Sentence by sentence at a post: the first sounds while the next is made, and who is cut off leaves the voice loaded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import numpy as np
import pytest

from hub.chimes import Chime, tones
from hub.mouth import RATE, Mouth
from hub.saying import Saying
from hub.scripted import Hum, ScriptedPost
from models import ModelError
from models.voice import Manner, Speech, sentences

pytest.importorskip("soxr", reason="the extra `voice` is not installed")


class Slow(Hum):
    """A voice that makes a sentence when it is let; it says whether it was disturbed in that."""

    def __init__(self) -> None:
        super().__init__()
        self.let = asyncio.Semaphore(0)
        self.disturbed = False

    async def speak(self, text: str, manner: Manner | None = None) -> AsyncGenerator[Speech, None]:
        for sentence in sentences(text):
            try:
                await self.let.acquire()
            except asyncio.CancelledError:
                self.disturbed = True
                raise
            async for speech in super().speak(sentence, manner):
                yield speech


class Broken(Hum):
    """A voice that fails after its first sentence."""

    async def speak(self, text: str, manner: Manner | None = None) -> AsyncGenerator[Speech, None]:
        async for speech in super().speak(text, manner):
            yield speech
            raise ModelError("the voice is hoarse")


def mouth(voice: Hum, volume: float = 1.0) -> Mouth:
    return Mouth(voice, asyncio.Semaphore(1), Manner(1.5, volume))


async def test_the_first_sentence_sounds_before_the_second_is_made() -> None:
    voice, post, sounded = Slow(), ScriptedPost("post"), asyncio.Event()
    saying = asyncio.create_task(mouth(voice).say(Saying("It is on. It is blue."), post, sounded.set))
    voice.let.release()
    async with asyncio.timeout(10):
        await sounded.wait()
        assert voice.said == [("It is on.", Manner(1.5, 1.0))]
        voice.let.release()
        await saying
    ((rate, samples),) = post.played
    assert rate == RATE
    assert len(samples) == pytest.approx(6 * 0.15 * RATE, abs=100)  # from 16 kHz


async def test_who_is_cut_off_falls_silent_and_leaves_the_voice_at_work() -> None:
    voice, post = Slow(), ScriptedPost("post")
    speaking = mouth(voice)
    saying = asyncio.create_task(speaking.say(Saying("It is on. It is blue. It is red."), post, lambda: None))
    async with asyncio.timeout(10):
        while not post.played:
            await asyncio.sleep(0)
        saying.cancel()
        await asyncio.wait([saying])
        assert (post.cut, voice.disturbed) == (1, False)
        for _ in range(2):
            voice.let.release()
        await speaking.say(Saying("Yes."), ScriptedPost("other"), lambda: None)
        assert [text for text, _ in voice.said] == ["It is on.", "Yes."]  # nothing more was made of what nobody hears
        assert not voice.disturbed
        await speaking.close()


async def test_an_alarm_is_made_once_and_heard_again_and_again() -> None:
    voice, post = Hum(), ScriptedPost("post")
    await mouth(voice, 0.5).say(Saying("Tea.", Chime.ALARM, rounds=3), post, lambda: None)
    assert voice.said == [("Tea.", Manner(1.5, 0.5))]
    ((_, samples),) = post.played
    chime = tones(Chime.ALARM, RATE, 0.5)
    at = [
        n
        for n in range(0, len(samples) - len(chime), 1)
        if samples[n : n + 50].any() and np.array_equal(samples[n : n + len(chime)], chime)
    ]
    assert len(at) == 3
    assert at[0] == 0


async def test_a_voice_that_fails_is_an_error_after_what_it_could_say() -> None:
    post = ScriptedPost("post")
    with pytest.raises(ModelError, match="hoarse"):
        await mouth(Broken()).say(Saying("One. Two."), post, lambda: None)
    assert len(post.played[0][1]) > 0


async def test_nothing_to_say_is_nothing() -> None:
    post, voice = ScriptedPost("post"), Hum()
    await mouth(voice).say(Saying("..."), post, lambda: pytest.fail("there was no sound"))
    assert not voice.said


async def test_a_voice_is_warmed_up_without_a_sound() -> None:
    voice = Hum()
    await mouth(voice).warm()
    assert len(voice.said) == 1
