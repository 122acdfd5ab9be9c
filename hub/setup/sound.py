"""The step `sound`: a microphone that hears, a loudspeaker that is heard, and a wake word that is understood."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator
from contextlib import aclosing

import numpy as np

from hub import sound, soundcard
from hub.forms import Value
from hub.setup.step import Desk, Result, Step, run
from hub.sound import RATE, Samples, SoundError
from models.wake import BUNDLED, Wake, WakeWord

NONE = "-"
TEST_SECONDS = 3.0
QUIET = -50.0  # dB; somebody who speaks at a table is at -35 to -15
LOUD = -1.0  # dB; beyond it the peaks are cut off
TRIES, TRY_SECONDS = 3, 5.0
_PACKAGES = ("sounddevice", "soxr")


def take(desk: Desk) -> Result:
    """Raises as the questions do. Without a microphone, or what sound needs, it says so and is skipped."""
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        return _without(desk, f"What sound needs is not installed ({', '.join(missing)}).")
    try:
        microphones = run(soundcard.names("input"))
    except SoundError as error:
        return _without(desk, f"{str(error)[0].upper()}{str(error)[1:]}")
    microphone, heard = _heard(desk, microphones)
    speaker = _speaker(desk, heard)
    word, woken = _wake(desk, microphone)
    changes: dict[tuple[str, ...], Value] = {("voice", "microphone"): microphone}
    if word:
        changes |= {("voice", "wake_words", old): None for old in desk.settings.voice.wake_words}
        changes[("voice", "wake_words", word)] = 0.0  # stands for what its maker found
    room = desk.asker.ask("room", "In which room do they stand (- for none: then nobody is listened to)", NONE)
    if room != NONE:
        place = ("voice", "rooms", room)
        changes |= {(*place, "microphone"): microphone, (*place, "loudspeaker"): speaker}
    where = "" if room == NONE else f"; {room} is listened to"
    return Result(f"{microphone or 'the default microphone'}{woken}{where}", changes)


def _heard(desk: Desk, microphones: list[str]) -> tuple[str, Samples | None]:
    """The microphone, and what was heard by it where that was tried."""
    question = f"Listen for {TEST_SECONDS:.0f} seconds? Speak as you would to the hub."
    while True:
        chosen = _choice(desk, "microphone", microphones, desk.settings.voice.microphone)
        if not desk.asker.yes("listen", question, desk.asker.attended):
            return chosen, None
        try:
            heard = run(_recorded(desk, chosen))
            problem = _problem(heard)
        except SoundError as error:
            problem = str(error)
        if not problem:
            desk.asker.say(f"  {sound.meter(_loudest(heard))} {_loudest(heard):.0f} dB: that was heard.")
            return chosen, heard
        desk.asker.again(problem)


def _without(desk: Desk, why: str) -> Result:
    desk.asker.say(f"{why} The hub can be typed to; afterwards: hub setup sound")
    return Result(why, skipped=True)


def _choice(desk: Desk, key: str, names: list[str], now: str) -> str:
    """A part of its name, which stays when it is plugged in elsewhere; "" for the default one."""
    options = [("", "the default one"), *((name, name) for name in dict.fromkeys(names))]
    return desk.asker.choose(key, f"Which {key}", options, now if now in names else "")


async def _recorded(desk: Desk, device: str, seconds: float = TEST_SECONDS) -> Samples:
    """What the microphone hears, with a meter meanwhile. Raises SoundError."""
    kept: list[Samples] = []
    async with aclosing(soundcard.from_device(device)) as frames:
        async for frame in frames:
            kept.append(frame)
            loudness = sound.level(frame)
            desk.asker.progress(f"{sound.meter(loudness)} {loudness:4.0f} dB")
            if sum(map(len, kept)) >= seconds * RATE:
                break
    desk.asker.progress("")
    return np.concatenate(kept)


def _loudest(heard: Samples) -> float:
    """The level of the loudest tenth of a second, in dB."""
    width = RATE // 10
    return max(sound.level(heard[at : at + width]) for at in range(0, len(heard), width))


def _problem(heard: Samples) -> str:
    if _loudest(heard) < QUIET:
        return "Nearly nothing was heard: turn the microphone up (alsamixer, F4), or take another one."
    if float(np.mean(np.abs(heard.astype(np.int32)) > 32767 * 10 ** (LOUD / 20))) > 0.01:
        return "It was so loud that it was cut off: turn the microphone down (alsamixer, F4)."
    return ""


def _speaker(desk: Desk, heard: Samples | None) -> str:
    """The loudspeaker, once it was heard where there is something to hear; "" for the default one, or where there is none."""
    try:
        speakers = run(soundcard.names("output"))
    except SoundError as error:
        desk.asker.say(f"{error}. The hub answers in writing without one.")
        return ""
    while True:
        chosen = _choice(desk, "loudspeaker", speakers, "")
        if heard is None or not desk.asker.yes("play", "Hear it from the loudspeaker?", desk.asker.attended):
            return chosen
        try:
            run(soundcard.to_device(chosen, _whole(heard), RATE))
        except SoundError as error:
            desk.asker.again(str(error))
        else:
            if desk.asker.yes("audible", "Did you hear yourself?", True):
                return chosen


async def _whole(heard: Samples) -> AsyncIterator[Samples]:
    yield heard


def _wake(desk: Desk, device: str) -> tuple[str, str]:
    """The wake word, and how often it was understood, in words; "" for both where none was chosen."""
    if importlib.util.find_spec("pymicro_wakeword") is None:
        desk.asker.say("The package pymicro-wakeword is not installed, so no wake word is tried.")
        return "", ""
    now = next(iter(desk.settings.voice.wake_words), BUNDLED[-1])
    options = [(name, name.replace("_", " ")) for name in dict.fromkeys((*BUNDLED, now))]
    word = desk.asker.choose("word", "Which wake word", options, now)
    if not desk.asker.yes("wake", f"Try it {TRIES} times?", desk.asker.attended):
        return word, f"; {word.replace('_', ' ')}"
    hits = 0
    for number in range(1, TRIES + 1):
        desk.asker.say(f"  {number}. Say: {word.replace('_', ' ')}")
        hit = run(_woken(desk, device, word))
        desk.asker.say("     heard" if hit else "     not heard")
        hits += hit
    if hits < TRIES:
        desk.asker.say("Nearer, slower, or another word may help.")
    return word, f"; {word.replace('_', ' ')} was heard {hits} of {TRIES} times"


async def _woken(desk: Desk, device: str, word: str) -> bool:
    """Whether the word is heard within TRY_SECONDS. Raises SoundError and ModelError."""
    wake, taken = Wake([WakeWord(word)]), 0
    async with aclosing(soundcard.from_device(device)) as frames:
        async for frame in frames:
            desk.asker.progress(f"     {sound.meter(sound.level(frame))}")
            if wake.take(frame) is not None:
                return True
            taken += len(frame)
            if taken >= TRY_SECONDS * RATE:
                break
    return False


_QUESTIONS = frozenset({"microphone", "loudspeaker", "listen", "play", "audible", "wake", "word", "room"})
STEP = Step("sound", "Microphone and loudspeaker", _QUESTIONS, take)
