"""A post without devices, ears that are told what they hear, a voice without words, somebody who sings vowels: the loop can
be led through a whole evening where nothing sounds.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence

import numpy as np
from numpy.typing import NDArray

from hub.chimes import Tones, sounding
from hub.post import State, Woken
from hub.sound import FRAME, RATE, Samples
from models.hearing import Heard
from models.voice import Manner, Speech, sentences
from models.wake import WakeWord

_FORMANTS = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240))  # of a, i and u


def vowels(seconds: float, loud: float = 0.3) -> NDArray[np.float64]:
    """Vowels one after the other, as a person might sing them: for a detector of speech, speech. 16 kHz, from -loud to loud."""
    gap = np.zeros(600)
    parts = [part for i in range(int(seconds / 0.1775)) for part in (_vowel(_FORMANTS[i % 3], 110 + 4 * (i % 7)), gap)]
    whole = np.concatenate(parts)
    scaled: NDArray[np.float64] = loud * whole / np.abs(whole).max()
    return scaled


def spoken(seconds: float = 1.5, before: float = 0.2, after: float = 1.0) -> Samples:
    """Vowels, with so many seconds of silence around them."""
    return np.concatenate([silent(before), (vowels(seconds) * 32767).astype(np.int16), silent(after)])


def silent(seconds: float) -> Samples:
    return np.zeros(int(seconds * RATE), np.int16)


def _vowel(formants: tuple[int, ...], pitch: float, seconds: float = 0.14) -> NDArray[np.float64]:
    at = np.arange(int(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(pitch * (1 + 0.1 * np.sin(5 * np.pi * at))) / RATE
    sounds = np.zeros(len(at))
    for k in range(1, int(5000 / pitch)):
        loud = sum(w / (1 + ((k * pitch - f) / 90) ** 2) for f, w in zip(formants, (1, 0.5, 0.3), strict=True))
        sounds += loud * np.sin(k * phase)
    voiced: NDArray[np.float64] = sounds * np.minimum(1, np.minimum(at, at[::-1]) / 0.03)
    return voiced


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
