"""One post, from the wake word to the answer and back: read `VoiceLoop._take` first, it is called with every frame.

    WAITING -> wake word -> HEARING -> UNDERSTANDING -> SPEAKING -> WAITING, or AWAITING after a question of the hub's

Frames are judged as they come and nothing is waited for there; what takes its time (hearing, the devices, speaking) is
a task beside it, so that the wake word is heard in every state and cuts what the hub is saying.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from devices.tasks import end
from hub.bids import Bid, Bids
from hub.chimes import Chime
from hub.mouth import Mouth
from hub.post import Post, State, Woken
from hub.saying import NOTHING, Saying
from hub.settings import VoiceSettings
from hub.sound import Samples, SoundError, level
from hub.turn import Turn
from hub.utterance import UNDECIDED, Catcher, Utterance
from models import ModelError
from models.vad import SECONDS, Patience, Phase, SpeechDetector
from models.wake import KEPT, Hit, Wake, WakeWord

log = logging.getLogger(__name__)

REMEMBERED = 1.0  # seconds of sound: how loud the wake word was, and what followed it
# Of 13 recorded wake words followed by a pause the voice ended up to 0.42 s after the place from which on the command is
# listened for; the shortest command, "stop", ends later.
TAIL = 0.45
GREETED_AFTER = 1.1  # seconds from there: whoever speaks on after a breath needs no sign to go on
ASIDE = Patience(silence=0.3, nothing=60, longest=3)  # for what is said while the hub speaks
SHORT = 1500.0  # ms of voice; "stop" is one word or two


@dataclass(frozen=True, slots=True)
class Woke:
    """A wake word that was heard here, when (by the loop's clock), and whether this post is to answer to it."""

    word: str
    score: float
    at: float
    bid: Bid


@dataclass(frozen=True, slots=True)
class Command:
    """What was said at a post. `ended_at` is when its last word ended, by the loop's clock; without `woke` it answers a
    question of the hub's. `cut` says that the hub was speaking, and was cut off by the wake word.
    """

    post: Post
    samples: Samples
    ended_at: float
    woke: Woke | None = None
    cut: bool = False


class Shared(Protocol):
    """What all posts have together; hub.rooms.Rooms is it."""

    voice: VoiceSettings
    bids: Bids
    mouth: Mouth

    def stop_words(self) -> list[WakeWord]:
        """What is listened for while the hub speaks."""

    def foresee(self, post: Post, samples: Samples) -> None:
        """This is probably all that will have been said at a post: whoever likes may begin to hear it. Must not block."""

    async def understand(self, command: Command, known: Callable[[str], None]) -> Turn | None:
        """The turn, whose words are told to `known` as soon as they are there; None where nothing is to be done or said.

        Never raises.
        """

    async def says_stop(self, samples: Samples) -> bool:
        """Whether that is a word for being quiet. Never raises."""

    def answer(self, turn: Turn, room: str) -> Saying:
        """What is to sound."""

    def sign(self, chime: Chime) -> Saying:
        """The same for what is no turn."""

    async def tell(self, turn: Turn) -> None:
        """The finished turn to everyone who listens."""


class _Senses:
    """What judges each frame at a post. It takes up to a second to load. Raises ModelError where an engine is missing."""

    def __init__(self, words: Sequence[WakeWord], stops: Sequence[WakeWord]) -> None:
        self.detector = SpeechDetector()
        self.wake = Wake(words) if words else None
        self.stop = Wake(stops) if stops else None


class VoiceLoop:
    """Listens and speaks at one post."""

    def __init__(self, post: Post, shared: Shared) -> None:
        self.post = post
        self.state = State.WAITING
        self._shared = shared
        self._senses: _Senses | None = None  # until they are loaded
        self._past: deque[tuple[Samples, float]] = deque(maxlen=round(REMEMBERED / SECONDS))
        self._taken = 0  # frames so far
        self._catcher = self._aside = Catcher(ASIDE)
        self._woke: Woke | None = None
        self._cut = False
        self._greeted = False
        self._epoch = 0  # counts up when somebody speaks anew: what was begun before is carried out, but not said
        self._speaking: asyncio.Task[None] | None = None
        self._to_say: deque[Saying] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until the post has gone; what was understood by then is done. Raises SoundError and ModelError."""
        self._senses = await asyncio.to_thread(_Senses, self.post.words, self._shared.stop_words())
        try:
            async with aclosing(self.post.listen()) as heard:
                async for item in heard:
                    self._take(item)
            while self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            await end(*self._tasks)

    def announce(self, saying: Saying) -> None:
        """Say this as soon as nobody is being listened to or answered here."""
        self._to_say.append(saying)
        if self.state is State.WAITING:
            self._start(self._announce())

    # -- listening

    def _take(self, item: Samples | Woken) -> None:
        if isinstance(item, Woken):
            self._woken(item.word, item.score, 0)
            return
        assert self._senses is not None
        probability = self._senses.detector.take(item)
        self._past.append((item, probability))
        self._taken += 1
        hit: Hit | None = self._senses.wake.take(item) if self._senses.wake else None
        if hit is not None:
            self._woken(hit.word, hit.probability, round(KEPT / SECONDS))
        elif self.state in (State.HEARING, State.AWAITING):
            self._hear(item, probability)
        elif self.state is State.SPEAKING:
            self._overhear(item, probability)

    def _woken(self, word: str, score: float, kept: int) -> None:
        """Who says the wake word is listened to, from `kept` frames ago on, and whatever is being said is cut off. Only
        somebody who is being served here already may have been nearer to another post, and is not given up before that is
        decided.
        """
        loudness = level(np.concatenate([frame for frame, _ in self._past])) if self._past else 0.0
        bid = self._shared.bids.place(self.post.name, word, score, loudness)
        woke = Woke(word, score, asyncio.get_running_loop().time(), bid)
        speaking = self.state in (State.HEARING, State.AWAITING) and not self._catcher.silent
        if (speaking or self.state is State.UNDERSTANDING) and not bid.won.done():
            self._start(self._once_won(woke, self._taken - kept))
        else:
            self._begin(woke, kept)

    async def _once_won(self, woke: Woke, since: int) -> None:
        if await woke.bid.won:
            self._begin(woke, self._taken - since)

    def _begin(self, woke: Woke, kept: int) -> None:
        """Whatever goes on: the last `kept` frames, and those that come, are a new command."""
        cut = self._hush()
        voice = self._shared.voice
        self._listen(State.HEARING, Patience(voice.silence, voice.patience, voice.longest), TAIL)
        self._woke, self._cut = woke, cut
        self._start(self._until_lost(woke.bid, self._epoch))
        for frame, probability in list(self._past)[-kept:] if kept else ():
            if self.state is State.HEARING:
                self._hear(frame, probability)

    def _listen(self, state: State, patience: Patience, tail: float = 0.0) -> None:
        self._epoch += 1
        self._catcher, self._woke, self._cut, self._greeted = Catcher(patience, tail), None, False, False
        self._to(state)

    async def _until_lost(self, bid: Bid, epoch: int) -> None:
        if not await bid.won:
            log.debug("%s: another post heard it better", self.post.name)
            self._rest(epoch)

    def _hear(self, frame: Samples, probability: float) -> None:
        phase = self._catcher.take(frame, probability)
        if phase in UNDECIDED:
            self._greet()
            self._foresee()
            return
        utterance, woke = self._catcher.end(), self._woke
        ended_at = asyncio.get_running_loop().time() - utterance.decided / 1000
        command = Command(self.post, utterance.samples, ended_at, woke, self._cut)
        self._to(State.UNDERSTANDING)
        self._start(self._turn(utterance, command, self._epoch))

    def _greet(self) -> None:
        """A soft sign to go on for who waits for one."""
        if self._woke is None or self._greeted or self._catcher.silent < GREETED_AFTER:
            return
        if self._is_ours():
            self._greeted = True
            self._start(self._play(self._shared.sign(Chime.AWAKE)))

    def _foresee(self) -> None:
        """Where somebody pauses, hearing need not wait until the pause is long enough to be the end."""
        samples = self._catcher.foreseen()
        if samples is not None and self._is_ours():
            self._shared.foresee(self.post, samples)

    def _is_ours(self) -> bool:
        """Whether it is decided that this post answers."""
        won = self._woke.bid.won if self._woke else None
        return won is None or (won.done() and won.result())

    def _overhear(self, frame: Samples, probability: float) -> None:
        """While the hub speaks: "stop", by a model of that word or by Whisper."""
        stop = self._senses.stop if self._senses else None
        if stop is not None and stop.take(frame) is not None:
            self._silence()
            return
        if self._aside.take(frame, probability) in UNDECIDED:
            return
        utterance, self._aside = self._aside.end(), Catcher(ASIDE)
        if utterance.phase is Phase.ENDED and utterance.spoken <= SHORT:
            self._start(self._maybe_stop(utterance.samples, self._epoch))

    async def _maybe_stop(self, samples: Samples, epoch: int) -> None:
        if await self._shared.says_stop(samples) and epoch == self._epoch and self.state is State.SPEAKING:
            self._silence()

    # -- a turn

    async def _turn(self, utterance: Utterance, command: Command, epoch: int) -> None:
        """From the end of the command until the answer has been heard."""
        asked = False
        try:
            if command.woke is None or await command.woke.bid.won:
                asked = await self._answered(utterance, command, epoch)
        finally:
            if asked and epoch == self._epoch:
                voice = self._shared.voice
                self._listen(State.AWAITING, Patience(voice.silence, voice.answer_within, voice.longest))
            else:
                self._rest(epoch)

    async def _answered(self, utterance: Utterance, command: Command, epoch: int) -> bool:
        """Does what was said; whether a question was asked back, and heard to its end."""
        if utterance.phase is not Phase.ENDED:
            if command.woke is not None:
                await self._speak(self._shared.sign(Chime.NOTHING), epoch)
            return False
        turn = await self._shared.understand(command, lambda words: self._know(words, epoch))
        return turn is not None and await self._reply(turn, command, epoch) and turn.kind == "ask"

    def _know(self, words: str, epoch: int) -> None:
        if epoch == self._epoch:
            self._to(State.UNDERSTANDING, words)

    async def _reply(self, turn: Turn, command: Command, epoch: int) -> bool:
        """Says it, and tells the turn as soon as the first sound is out; whether all of it was heard."""
        loop = asyncio.get_running_loop()
        first: asyncio.Future[float] = loop.create_future()
        saying = self._shared.answer(turn, self.post.room) if epoch == self._epoch else NOTHING
        speaking = asyncio.create_task(self._speak(saying, epoch, lambda: first.set_result(loop.time())))
        speaking.add_done_callback(lambda _: first.done() or first.cancel())
        try:
            await asyncio.wait([first])
            if not first.cancelled() and turn.spoken is not None:
                at = {**turn.spoken.at, "sound": (first.result() - command.ended_at) * 1000}
                turn = replace(turn, spoken=replace(turn.spoken, at=MappingProxyType(at)))
            await self._shared.tell(turn)
            return await speaking
        finally:
            await end(speaking)

    def _rest(self, epoch: int) -> None:
        """Nothing more is to be done: wait for the wake word, unless somebody spoke anew meanwhile."""
        if epoch == self._epoch and self.state is not State.WAITING:
            self._to(State.WAITING)
            if self._to_say:
                self._start(self._announce())

    # -- speaking

    async def _announce(self) -> None:
        while self._to_say and self.state is State.WAITING:
            epoch = self._epoch
            try:
                await self._speak(self._to_say.popleft(), epoch)
            finally:
                self._rest(epoch)

    async def _speak(self, saying: Saying, epoch: int, first: Callable[[], None] = lambda: None) -> bool:
        """Whether there was something to say and it was heard to its end. Somebody who speaks anew hears nothing of it."""
        if not saying or epoch != self._epoch:
            return False
        self._to(State.SPEAKING, saying.words)
        self._aside = Catcher(ASIDE)
        if self._senses and self._senses.stop:
            self._senses.stop.reset()
        return await self._play(saying, first)

    async def _play(self, saying: Saying, first: Callable[[], None] = lambda: None) -> bool:
        """Whether it was heard to its end. One at a time: what still sounds is waited for."""
        while self._speaking is not None and not self._speaking.done():
            await asyncio.wait([self._speaking])
        if not saying:
            return False
        task = self._speaking = asyncio.create_task(self._shared.mouth.say(saying, self.post, first))
        try:
            await asyncio.wait([task])
        finally:
            await end(task)
        if task.cancelled():
            return False
        if isinstance(error := task.exception(), SoundError | ModelError):
            log.warning("%s: nothing can be said here: %s", self.post.name, error)
            return False
        task.result()
        return True

    def _hush(self) -> bool:
        """Cuts what is being said, at once; whether there was anything."""
        task = self._speaking
        self._epoch += 1
        if task is None or task.done():
            return False
        self._start(end(task))
        return self.state is State.SPEAKING

    def _silence(self) -> None:
        """Somebody said "stop": quiet. What waits to be said is something else, a second timer, and is said."""
        self._hush()
        self._rest(self._epoch)

    # -- its own affairs

    def _to(self, state: State, text: str = "") -> None:
        self.state = state
        self.post.show(state, text)

    def _start(self, work: Coroutine[Any, Any, Any]) -> None:
        task: asyncio.Task[None] = asyncio.create_task(_logged(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _logged(work: Awaitable[Any]) -> None:
    """A fault of ours costs this turn, never the loop."""
    try:
        await work
    except Exception:
        log.exception("something went wrong at a post")
