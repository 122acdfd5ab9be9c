"""The ears of the voice loop on recorded clips: wake words, the end of speech in noise, what is kept, and idle processor time.

    python bench/bench_voice.py FOLDER [--json]

The folder holds wake/WORD/*.wav (each with the wake word in it), commands/*.wav, out_of_vocabulary/*.wav and other/*.wav, of
which one is called background_noise.wav; any rate. A file of `other` with a wake word in its name counts as one of it.
Everything goes through hub.voice_loop at the speed of the machine, so no time but processor time is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hub.bids import Bids
from hub.chimes import Chime
from hub.mouth import Mouth
from hub.post import Post, State
from hub.saying import NOTHING, Saying
from hub.scripted import Hum, ScriptedPost
from hub.settings import VoiceSettings
from hub.sound import FRAME, RATE, Decoder, Samples, level
from hub.turn import Turn
from hub.utterance import UNDECIDED, Catcher
from hub.voice_loop import Command, VoiceLoop
from models.vad import Patience, Phase, SpeechDetector
from models.voice import Manner
from models.wake import BUNDLED, Wake, WakeWord

SNRS = (None, 20, 10, 5)  # dB; None is the clip as it is
WITHIN = 0.7  # seconds after the last word
EARLY = 0.1  # seconds before it: then a word was cut off
IDLE_SECONDS = 120
MARGIN = RATE // 5  # of the recording around a command: a voice that begins out of nothing is none


def clip(file: Path) -> Samples:
    decoder = Decoder()
    return np.concatenate([*decoder.take(file.read_bytes()), *decoder.end()])


def silence(seconds: float) -> Samples:
    """A quiet room, which no microphone hears as zeros."""
    return np.random.default_rng(0).normal(0, 20, int(seconds * RATE)).astype(np.int16)


def frames(samples: Samples) -> Iterator[Samples]:
    return (samples[at : at + FRAME] for at in range(0, len(samples) - FRAME + 1, FRAME))


def wakes(folder: Path) -> dict[str, object]:
    """How often a wake word is found where there is one, and where there is none."""
    wake = Wake([WakeWord(word) for word in BUNDLED])

    def hits(file: Path) -> list[str]:
        wake.reset()
        heard = np.concatenate([silence(1), clip(file), silence(1)])
        return [hit.word.casefold().replace(" ", "_") for frame in frames(heard) if (hit := wake.take(frame))]

    there = {f: f.parent.name for f in sorted(folder.glob("wake/*/*.wav"))}
    there |= {f: word for f in folder.glob("other/*.wav") for word in BUNDLED if word in f.name}
    found = {f: hits(f) for f in there}
    none = [f for f in sorted(folder.rglob("*.wav")) if f not in there]
    wrong = {f.name: heard for f in none if (heard := hits(f))}
    return {
        "clips with a wake word": len(there),
        "found": sum(word in found[f] for f, word in there.items()),
        "another one heard": sum(bool(set(found[f]) - {word}) for f, word in there.items()),
        "clips without": len(none),
        "seconds without": round(sum(len(clip(f)) for f in none) / RATE),
        "heard in those": wrong,
    }


def speech_in(samples: Samples) -> tuple[int, int]:
    """From which sample to which somebody speaks in a clip without added noise: the recordings are too noisy to tell by
    how loud they are, so it is what the detector of speech holds for more likely speech than not.
    """
    detector, before = SpeechDetector(), silence(1)
    likely = [detector.take(frame) for frame in frames(np.concatenate([before, samples, before]))]
    spoken = [number for number, probability in enumerate(likely) if probability > 0.5]
    edges = np.array([spoken[0], spoken[-1] + 1]) * FRAME - len(before)
    begin, end = edges.clip(0, len(samples))
    return int(begin), int(end)


def over_noise(samples: Samples, noise: Samples, snr: float | None) -> Samples:
    """The clip as loud as it is, over noise that is `snr` dB below its speech."""
    if snr is None:
        return samples
    begin, end = speech_in(samples)
    gain = 10 ** ((level(samples[begin:end]) - level(noise) - snr) / 20)
    looped = np.resize(noise, len(samples)).astype(np.float32) * gain
    return (samples + looped).clip(-32768, 32767).astype(np.int16)


@dataclass(frozen=True, slots=True)
class End:
    """When speech counted as over and up to where it was kept, in seconds after it was; None where it never was."""

    decided: float | None
    kept: float = 0.0


def end_of(samples: Samples, noise: Samples, snr: float | None) -> End:
    before, after = silence(1.5), silence(3)
    _, last = speech_in(samples)
    true_end = (len(before) + last) / RATE
    catcher, detector = Catcher(Patience()), SpeechDetector()
    taken = 0
    for frame in frames(over_noise(np.concatenate([before, samples, after]), noise, snr)):
        taken += FRAME
        if catcher.take(frame, detector.take(frame)) not in UNDECIDED:
            break
    utterance = catcher.end()
    if utterance.phase is not Phase.ENDED:
        return End(None)
    decided = taken / RATE
    return End(decided - true_end, decided - utterance.decided / 1000 - true_end)


def ends(folder: Path) -> dict[str, object]:
    """Of each signal-to-noise ratio, how many ends were found in time, and how long it took."""
    noise = clip(folder / "other" / "background_noise.wav")
    clips = [clip(file) for file in sorted(folder.glob("commands/*.wav"))]
    told: dict[str, object] = {}
    for snr in SNRS:
        found = [end_of(samples, noise, snr) for samples in clips]
        decided = sorted(end.decided for end in found if end.decided is not None)
        told["as it is" if snr is None else f"{snr} dB"] = {
            "clips": len(clips),
            f"within {WITHIN} s": sum(-EARLY <= d <= WITHIN for d in decided),
            "cut off": sum(d < -EARLY for d in decided),
            "late": sum(d > WITHIN for d in decided),
            "not found": len(clips) - len(decided),
            "median s": round(statistics.median(decided), 2),
            "worst s": round(decided[-1], 2),
        }
    return told


class Listening:
    """What all posts share where nothing is understood: the commands are kept."""

    def __init__(self) -> None:
        self.voice = VoiceSettings()
        self.bids = Bids()
        self.mouth = Mouth(Hum(), asyncio.Semaphore(1), Manner())
        self.commands: list[Command] = []

    def stop_words(self) -> list[WakeWord]:
        return []

    def foresee(self, post: Post, samples: Samples) -> None:
        """Nothing is heard."""

    async def understand(self, command: Command, known: Callable[[str], None]) -> Turn | None:
        self.commands.append(command)
        return None

    async def says_stop(self, samples: Samples) -> bool:
        return False

    def answer(self, turn: Turn, room: str) -> Saying:
        return NOTHING

    def sign(self, chime: Chime) -> Saying:
        return NOTHING

    async def tell(self, turn: Turn) -> None:
        """Nobody listens."""


async def spoken_on(folder: Path) -> dict[str, object]:
    """A wake word and a command behind it, after pauses of several lengths: how much of the command is handed on."""
    words = [file for file in sorted(folder.glob("wake/*/*.wav")) if file.parent.name != "okay_nabu"]
    commands = sorted(folder.glob("commands/*.wav"))
    told: dict[str, object] = {}
    for gap in (0.0, 0.3, 1.0, 2.0):
        whole = split = lost = 0
        for number, file in enumerate(commands):
            word, command = word_in(clip(words[number % len(words)])), clip(file)
            begin, end = speech_in(command)
            around = slice(max(0, begin - MARGIN), end + MARGIN)
            shared, post = Listening(), ScriptedPost("post", "", [WakeWord(w) for w in BUNDLED])
            post.say(np.concatenate([silence(1), word, silence(gap), command[around], silence(3)]))
            post.leave()
            await VoiceLoop(post, shared).run()
            handed = [holds(c.samples, command[begin:end]) for c in shared.commands]
            whole += handed == [True]
            split += len(handed) > 1
            lost += not handed
        told[f"{gap:g} s"] = {"commands": len(commands), "whole": whole, "in parts": split, "not heard": lost}
    return told


def word_in(samples: Samples) -> Samples:
    """The clip up to where its wake word is over: 0.1 s behind where it was recognised, on average."""
    wake = Wake([WakeWord(word) for word in BUNDLED])
    led = np.concatenate([silence(1), samples, silence(1)])
    found = next(number for number, frame in enumerate(frames(led), 1) if wake.take(frame))
    return samples[: found * FRAME - RATE + RATE // 10]


def holds(handed: Samples, command: Samples) -> bool:
    """Whether the beginning and the end of the command are in what was handed on."""
    part = RATE // 4
    return all(piece.tobytes() in handed.tobytes() for piece in (command[:part], command[-part:]))


async def idle() -> dict[str, object]:
    """Share of one core while nobody speaks, for one wake word and for four."""
    told: dict[str, object] = {}
    for words in (BUNDLED[-1:], BUNDLED):
        post = ScriptedPost("post", "", [WakeWord(word) for word in words])
        loop = VoiceLoop(post, Listening())
        post.say(np.random.default_rng(0).normal(0, 100, IDLE_SECONDS * RATE).astype(np.int16))
        post.leave()
        running = asyncio.create_task(loop.run())
        await post.attended()
        began = time.process_time()
        await running
        assert loop.state is State.WAITING
        told[f"{len(words)} wake words"] = f"{(time.process_time() - began) / IDLE_SECONDS:.2%} of a core"
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", action="store_true", dest="as_json")
    given = parser.parse_args()
    parts: dict[str, Callable[[], Any]] = {
        "wake words": lambda: wakes(given.folder),
        "end of speech": lambda: ends(given.folder),
        "a command behind the wake word, after": lambda: asyncio.run(spoken_on(given.folder)),
        "idle": lambda: asyncio.run(idle()),
    }
    found = {}
    for name, measure in parts.items():
        found[name] = measure()
        if not given.as_json:
            print(name)
            for key, value in found[name].items():
                shown = (
                    ", ".join(f"{k} {v}" for k, v in value.items())
                    if isinstance(value, dict) and value
                    else value or "none"
                )
                print(f"  {key}: {shown}", flush=True)
    if given.as_json:
        print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
