"""One spoken command, in a straight line: frames in, the end of speech found, the words heard, and said to the hub.

While somebody speaks, the model loads and the names of this home come in, so that neither is waited for afterwards.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from devices.device import Device
from devices.link import LinkError
from hub import say as saying
from hub import sound, soundcard
from hub.daemon import open_house, settled
from hub.settings import Settings
from hub.sound import Format, Samples
from hub.utterance import UNDECIDED, Catcher, Utterance
from intents.hearsay import names_of, repaired
from intents.homes import Home
from models import ModelError
from models.files import PINS
from models.hearing import Gate, Heard, Hearing, check, hotwords
from models.vad import Patience, Phase, SpeechDetector

NAMES_WITHIN = 2.0  # seconds for a broker to tell who is in the house; without it the settings' names have to do

Frames = AsyncGenerator[Samples, None]
Show = Callable[[float], None]


def unseen(loudness: float) -> None:
    """Shows nobody how loud it is."""


def meter(loudness: float) -> None:
    """Shows at the terminal how loud it is, always in the same line."""
    sys.stderr.write(f"\r{sound.meter(loudness)} {loudness:4.0f} dB")
    sys.stderr.flush()


@dataclass(frozen=True, slots=True)
class Listened:
    """One utterance and what came of it: `outcome` is "heard", "doubtful" (the gate did not believe it), "nothing" or
    "too long", `text` what was heard with the home's names put right in it, `reply` the sentence to say, `turn` the
    finished turn where it was said to the hub.
    """

    outcome: str
    reply: str
    ms: Mapping[str, float]
    heard: Heard | None = None
    text: str = ""
    turn: Mapping[str, Any] | None = None

    @property
    def done(self) -> bool:
        """Something was heard, and where it was said to the hub, it was done."""
        return self.outcome == "heard" and (self.turn is None or bool(self.turn["done"]))

    def as_text(self) -> str:
        """What was heard, what came of it, and the milliseconds of each step, a line each."""
        times = ", ".join(f"{step} {ms:.0f} ms" for step, ms in self.ms.items())
        return "\n".join(filter(None, [self.text, self.reply, times]))

    def as_json(self) -> dict[str, Any]:
        return {
            "outcome": self.outcome,
            "text": self.text,
            "reply": self.reply,
            "done": self.done,
            "heard": asdict(self.heard) if self.heard else None,
            "ms": {step: round(ms, 1) for step, ms in self.ms.items()},
            "turn": self.turn,
        }


_ENDS: dict[Phase, tuple[str, str]] = {
    Phase.NOTHING: ("nothing", "I heard nothing."),
    Phase.TOO_LONG: ("too long", "That was too long for me. Please say it in one sentence."),
}


async def listen(settings: Settings, frames: Frames, level: Show = unseen) -> Listened:
    """The first utterance in the frames, which are closed then. `level` is told how loud each frame is.

    Raises SoundError, and ModelError where something for hearing is missing or broken.
    """
    voice = settings.voice
    detector = SpeechDetector()
    async with Hearing(folder(settings), threads=voice.threads) as hearing:
        loading = asyncio.create_task(hearing.start())
        naming = asyncio.create_task(devices_of(settings))
        try:
            patience = Patience(voice.silence, voice.patience, voice.longest)
            async with aclosing(frames):
                utterance = await first_utterance(frames, detector, patience, level)
            if utterance.phase in _ENDS:
                return Listened(*_ENDS[utterance.phase], ms={"speech": utterance.spoken})
            return await _heard(hearing, utterance, settings, await naming)
        finally:
            for task in (loading, naming):
                task.cancel()
            await asyncio.gather(loading, naming, return_exceptions=True)


async def first_utterance(
    frames: AsyncIterator[Samples], detector: SpeechDetector, patience: Patience, level: Show
) -> Utterance:
    """Takes frames until the first utterance in them has ended, or until nobody has said anything for too long."""
    catcher = Catcher(patience)
    async for frame in frames:
        level(sound.level(frame))
        if catcher.take(frame, detector.take(frame)) not in UNDECIDED:
            break
    return catcher.end()


async def _heard(hearing: Hearing, utterance: Utterance, settings: Settings, devices: tuple[Device, ...]) -> Listened:
    started = time.perf_counter()
    expected = hotwords(bias(settings, devices))
    heard = await hearing.hear(utterance.samples.astype("<i2").tobytes(), expected, settings.voice.language)
    ms = {"speech": utterance.spoken, "end": utterance.decided, "hear": (time.perf_counter() - started) * 1000}
    if reason := Gate().reason(heard):
        return Listened("doubtful", f"I did not understand that ({reason}).", ms, heard, heard.text)
    known = names_of(Home(devices, MappingProxyType(dict.fromkeys(settings.house.areas))))
    return Listened("heard", "", ms, heard, repaired(heard.text, known))


async def said(settings: Settings, listened: Listened, room: str = "") -> Listened:
    """The same with what came of saying it to the hub; nothing is said that is not sure. Raises as `hub.say` does."""
    if listened.outcome != "heard":
        return listened
    started = time.perf_counter()
    turn = await saying.say(settings, listened.text, room)
    ms = {**listened.ms, "say": (time.perf_counter() - started) * 1000}
    return replace(listened, reply=str(turn["reply"]), turn=turn, ms=ms)


# -- what is needed


def folder(settings: Settings) -> Path:
    """Where the Whisper of the settings lies: a path, or a name in the state folder. Raises ModelError."""
    wanted = settings.voice.hearing
    path = Path(wanted).expanduser() if "/" in wanted else settings.folder() / "models" / wanted
    try:
        return check(path)
    except ModelError as error:
        get = f"hub model fetch {wanted}" if wanted in PINS else "put one there, or name its folder as [voice] hearing"
        raise ModelError(f"{error}; {get}") from None


def bias(settings: Settings, devices: Iterable[Device]) -> list[str]:
    """The names that are likely to be said in this home: its rooms, then its devices and their other names."""
    house, devices = settings.house, list(devices)
    areas = [*house.areas, *house.floors, *(d.area for d in devices if d.area)]
    renamed = [name for d in house.devices.values() for name in (d.name, d.area, *(d.aliases or ())) if name]
    return [*areas, *renamed, *(name for d in devices if not d.read_only for name in (d.name, *d.aliases))]


async def devices_of(settings: Settings) -> tuple[Device, ...]:
    """The devices of this home; none where there is no broker."""
    with suppress(LinkError, TimeoutError):
        async with asyncio.timeout(NAMES_WITHIN), open_house(settings) as (link, house):
            await settled(link, house)
            return house.devices
    return ()


def source(settings: Settings, file: Path | None, raw: str = "") -> Frames:
    """The frames of a file, of stdin ("-"), or of the microphone where no file is named.

    What is no WAV file is raw samples: of the format `raw` ("48000/2/s32": samples a second, channels, encoding), or
    as plain as can be where they come through a pipe. Raises SoundError.
    """
    if file is None:
        return soundcard.from_device(settings.voice.microphone)
    piped = file == Path("-")
    given = sound.format_of(raw) if raw else Format() if piped or file.is_fifo() else None
    return sound.from_file(None if piped else file, given)
