"""The step `sound`: a microphone that hears, a loudspeaker that is heard, and a wake word that is understood."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator
from contextlib import aclosing

import numpy as np

from hub import sound
from hub.setup.step import Desk, Result, Step, run
from hub.sound import RATE, Samples, SoundError

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
        microphones = sound.names("input")
    except SoundError as error:
        return _without(desk, f"{str(error)[0].upper()}{str(error)[1:]}")
    chosen = _microphone(desk, microphones)
    while desk.asker.yes(
        "listen", f"Listen for {TEST_SECONDS:.0f} seconds? Speak as you would to the hub.", desk.asker.attended
    ):
        try:
            heard = run(_recorded(desk, chosen))
        except SoundError as error:
            desk.asker.again(str(error))
            chosen = _microphone(desk, microphones)
            continue
        if problem := _problem(heard):
            desk.asker.again(problem)
            chosen = _microphone(desk, microphones)
            continue
        desk.asker.say(f"  {sound.meter(_loudest(heard))} {_loudest(heard):.0f} dB: that was heard.")
        _play(desk, heard)
        break
    woken = _wake(desk, chosen)
    return Result(f"{chosen or 'the default microphone'}{woken}", {("voice", "microphone"): chosen})


def _without(desk: Desk, why: str) -> Result:
    desk.asker.say(f"{why} The hub can be typed to; afterwards: hub setup sound")
    return Result(why, skipped=True)


def _microphone(desk: Desk, names: list[str]) -> str:
    """A part of its name, which stays when it is plugged in elsewhere; "" for the default one."""
    now = desk.settings.voice.microphone
    options = [("", "the default one"), *((name, name) for name in dict.fromkeys(names))]
    return desk.asker.choose("microphone", "Which microphone", options, now if now in names else "")


async def _recorded(desk: Desk, device: str, seconds: float = TEST_SECONDS) -> Samples:
    """What the microphone hears, with a meter meanwhile. Raises SoundError."""
    kept: list[Samples] = []
    async with aclosing(sound.from_device(device)) as frames:
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


def _play(desk: Desk, heard: Samples) -> None:
    if not desk.asker.yes("play", "Hear it from the loudspeaker?", desk.asker.attended):
        return
    try:
        run(sound.to_device("", _whole(heard), RATE))
    except SoundError as error:
        desk.asker.say(f"  ! {error}. The hub answers in writing without one.")


async def _whole(heard: Samples) -> AsyncIterator[Samples]:
    yield heard


def _wake(desk: Desk, device: str) -> str:
    """How often the wake word was understood, in words; "" where that was not tried."""
    if importlib.util.find_spec("pymicro_wakeword") is None:
        desk.asker.say("The package pymicro-wakeword is not installed, so no wake word is tried.")
        return ""
    if not desk.asker.yes("wake", f"Try the wake word {TRIES} times?", desk.asker.attended):
        return ""
    from models.wake import BUNDLED

    word = desk.asker.choose("word", "Which", [(name, name.replace("_", " ")) for name in BUNDLED], "okay_nabu")
    hits = 0
    for number in range(1, TRIES + 1):
        desk.asker.say(f"  {number}. Say: {word.replace('_', ' ')}")
        hit = run(_woken(desk, device, word))
        desk.asker.say("     heard" if hit else "     not heard")
        hits += hit
    if hits < TRIES:
        desk.asker.say("Nearer, slower, or another word may help.")
    return f"; {word.replace('_', ' ')} was heard {hits} of {TRIES} times"


async def _woken(desk: Desk, device: str, word: str) -> bool:
    """Whether the word is heard within TRY_SECONDS. Raises SoundError and ModelError."""
    from models.wake import Wake, WakeWord

    wake, taken = Wake([WakeWord(word)]), 0
    async with aclosing(sound.from_device(device)) as frames:
        async for frame in frames:
            desk.asker.progress(f"     {sound.meter(sound.level(frame))}")
            if wake.take(frame) is not None:
                return True
            taken += len(frame)
            if taken >= TRY_SECONDS * RATE:
                break
    return False


_QUESTIONS = frozenset({"microphone", "listen", "play", "wake", "word"})
STEP = Step("sound", "Microphone and loudspeaker", _QUESTIONS, take)
