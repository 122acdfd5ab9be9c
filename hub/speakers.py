"""Synthetic voices to learn hearing from: espeak-ng, which has a hundred, and flite where it is installed.

`say` waits for the engine, a process a sentence: for making speech in bulk, not for the daemon.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import wave
from dataclasses import dataclass
from random import Random

import numpy as np

from hub import HubError
from hub.sound import Resampler, Samples, as_samples, as_values

SECONDS = 30.0  # within which a sentence is said; it takes some milliseconds

# "en" is British; under its other name, en-gb, espeak-ng takes no variants.
_ACCENTS = "en-us en-us en-us en en en-gb-x-rp en-gb-scotland en-gb-x-gbclan en-gb-x-gbcwmd en-029 en-us-nyc".split()
# Left out of espeak-ng's variants: those of robots, whisperers and demons, which nobody sounds like; those that sound
# the same as another one; and the cousins of those that are held out.
_VARIANTS = (
    "Alex Alicia Andrea Denis Diogo Gene Gene2 Henrique Hugo Jacky Lee Marco Mario Michael Mike Nguyen Storm "
    "adam anika antonio aunty belinda benjamin boris caleb david ed f1 f2 f3 f4 f5 grandma grandpa gustave iven "
    "iven2 iven3 iven4 john klatt2 klatt3 klatt4 m1 m2 m3 m4 m5 m6 m7 m8 marcelo max michel miguel norbert pablo "
    "paul pedro quincy rob robert sandro shelby travis victor zac"
).split()
# Never trained with: the model is scored by them, and by none of the others.
HELD_OUT_VARIANTS = ("Andy", "Annie", "linda", "edward", "steph")
_FLITE = ("kal16", "awb", "rms")
HELD_OUT_FLITE = "slt"


@dataclass(frozen=True, slots=True)
class Speaker:
    """A voice of one of the engines, and the manner in which it speaks.

    `speed` and `pitch` are shares of the voice's own; `size` is that of the throat: the sound is stretched by it.
    """

    engine: str
    voice: str
    speed: float = 1.0
    pitch: float = 1.0
    size: float = 1.0

    @property
    def held_out(self) -> bool:
        """Whether nothing is to be learned from this voice, however it speaks."""
        return self.voice == HELD_OUT_FLITE or self.voice.partition("+")[2] in HELD_OUT_VARIANTS


def engines() -> list[str]:
    """Those that are installed. Raises HubError where espeak-ng is not."""
    if shutil.which("espeak-ng") is None:
        raise HubError("speech to learn from needs espeak-ng: apt-get install espeak-ng")
    return ["espeak-ng", *(["flite"] if shutil.which("flite") else [])]


def draw(rng: Random, engines: list[str]) -> Speaker:
    """Anybody but those that are held out."""
    manner = (rng.uniform(0.75, 1.35), rng.uniform(0.75, 1.3), rng.uniform(0.88, 1.14))
    if "flite" in engines and rng.random() < 0.2:
        return Speaker("flite", rng.choice(_FLITE), *manner)
    variant = rng.choice(_VARIANTS) if rng.random() < 0.9 else ""
    return Speaker("espeak-ng", rng.choice(_ACCENTS) + (f"+{variant}" if variant else ""), *manner)


def strangers(engines: list[str]) -> list[Speaker]:
    """Those that are held out, as they are."""
    accents = ("en-us", "en")
    found = [Speaker("espeak-ng", f"{accents[n % 2]}+{name}") for n, name in enumerate(HELD_OUT_VARIANTS)]
    return [*found, *([Speaker("flite", HELD_OUT_FLITE)] if "flite" in engines else [])]


def say(speaker: Speaker, text: str) -> Samples:
    """The text at 16 kHz. Raises HubError where the engine cannot say it."""
    command = _espeak(speaker, text) if speaker.engine == "espeak-ng" else _flite(speaker, text)
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HubError(f"{speaker.engine} cannot be run ({error})") from None
    rate, samples = _read(done.stdout)
    if done.returncode or not len(samples):
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise HubError(
            f"{speaker.engine} cannot say that as {speaker.voice} ({said[-1] if said else 'it says nothing'})"
        )
    return as_samples(Resampler(round(rate / speaker.size)).take(as_values(samples), last=True))


def _espeak(speaker: Speaker, text: str) -> list[str]:
    speed, pitch = round(160 * speaker.speed * speaker.size), min(99, round(50 * speaker.pitch))
    return ["espeak-ng", "-v", speaker.voice, "-s", str(speed), "-p", str(pitch), "--stdout", "--", text]


def _flite(speaker: Speaker, text: str) -> list[str]:
    # Its voices' own pitches; the stretch is that of time.
    pitch = {"slt": 170, "awb": 125, "rms": 95}.get(speaker.voice, 105) * speaker.pitch
    stretch = 1 / (speaker.speed * speaker.size)
    manner = ("--setf", f"duration_stretch={stretch:.3f}", "--setf", f"int_f0_target_mean={pitch:.0f}")
    return ["flite", "-voice", speaker.voice, *manner, "-t", text, "-o", "/dev/stdout"]


def _read(data: bytes) -> tuple[int, Samples]:
    """The rate and the samples of a WAV of 16 bits; no samples where it is none."""
    try:
        with wave.open(io.BytesIO(data)) as file:
            if (file.getnchannels(), file.getsampwidth()) != (1, 2):
                return 1, np.zeros(0, np.int16)
            # espeak-ng does not know how long it will be, so all that is there is taken, whatever the header says.
            return file.getframerate(), np.frombuffer(data[44 : 44 + (len(data) - 44) // 2 * 2], "<i2").astype(np.int16)
    except (wave.Error, EOFError):
        return 1, np.zeros(0, np.int16)
