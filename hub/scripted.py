"""A post without devices, ears that are told what they hear, a voice without words: the loop can be led through a whole
evening where nothing sounds.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence

import numpy as np

from hub.chimes import Tones, sounding
from hub.post import State, Woken
from hub.sound import FRAME, Samples
from models.hearing import Heard
from models.voice import Manner, Speech, sentences
from models.wake import WakeWord


class Dictated:
    """Ears that hear what stands on a list, one utterance after the other; behind its end, nothing that can be believed."""

    def __init__(self, *texts: str | Heard) -> None:
        self._left = [Heard(text, logprob=-0.2) if isinstance(text, str) else text for text in texts]
        self.asked: list[str] = []  # the names that were expected each time

    async def hear(self, samples: bytes, hotwords: str = "", language: str = "en") -> Heard:
        self.asked.append(hotwords)
        return self._left.pop(0) if self._left else Heard("", no_speech=1.0)


class Hum:
    """A voice that hums a tone a word, at 16 kHz. It keeps what it was asked to say."""

    def __init__(self) -> None:
        self.said: list[tuple[str, Manner]] = []

    async def speak(self, text: str, manner: Manner | None = None) -> AsyncGenerator[Speech, None]:
        for sentence in sentences(text):
            self.said.append((sentence, manner or Manner()))
            hums: Tones = ((220.0, 0.15, 0.3 * (manner or Manner()).volume),) * len(sentence.split())
            yield Speech(sentence, 16_000, sounding(hums, 16_000).astype("<i2").tobytes())

    async def close(self) -> None:
        """Nothing runs."""


class ScriptedPost:
    """A post without devices: what is said at it is handed over, what is played at it is kept.

    With `holds` a loudspeaker never comes to the end of what it plays, until it is cut off.
    """

    def __init__(self, name: str, room: str = "", words: Sequence[WakeWord] = (), *, holds: bool = False) -> None:
        self.name = name
        self.room = room
        self.words = words
        self.holds = holds
        self.states: list[tuple[State, str]] = []
        self.played: list[tuple[int, Samples]] = []  # each with its rate, whole or as far as it came
        self.cut = 0  # how often it was cut off
        self._listened = asyncio.Event()
        self._said: asyncio.Queue[Samples | Woken | None] = asyncio.Queue()
        self._awaited: list[tuple[tuple[State, ...], asyncio.Future[None]]] = []

    def say(self, samples: Samples) -> None:
        """Say this at the post; what is less than a frame at its end is left out."""
        for at in range(0, len(samples) - FRAME + 1, FRAME):
            self._said.put_nowait(samples[at : at + FRAME])

    def wake(self, woken: Woken) -> None:
        """It has heard a wake word itself."""
        self._said.put_nowait(woken)

    def leave(self) -> None:
        """It goes away when all that was said has been listened to."""
        self._said.put_nowait(None)

    async def attended(self) -> None:
        """Returns when somebody listens here."""
        await self._listened.wait()

    async def until(self, *states: State) -> None:
        """Returns when these were shown, in this order but with any others in between, since the start or `clear`."""
        shown: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._awaited.append((states, shown))
        self._tell()
        await shown

    def clear(self) -> None:
        """Forget what was shown and played."""
        self.states, self.played, self.cut = [], [], 0

    async def listen(self) -> AsyncGenerator[Samples | Woken, None]:
        self._listened.set()
        while (item := await self._said.get()) is not None:
            yield item
            await asyncio.sleep(0)  # whatever is going on beside it goes on

    async def play(self, chunks: AsyncIterator[Samples], rate: int) -> None:
        self.played.append((rate, np.zeros(0, np.int16)))
        try:
            async for chunk in chunks:
                self.played[-1] = (rate, np.concatenate([self.played[-1][1], chunk]))
            if self.holds:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cut += 1
            raise

    def show(self, state: State, text: str) -> None:
        self.states.append((state, text))
        self._tell()

    def _tell(self) -> None:
        for states, shown in self._awaited:
            if not shown.done() and _in_order([s for s, _ in self.states], states):
                shown.set_result(None)


def _in_order(shown: Sequence[State], wanted: Sequence[State]) -> bool:
    left = iter(shown)
    return all(state in left for state in wanted)
