"""What `hub doctor` says of hearing and speaking: recognition, and for each room its sound, wake words and the voice.

Who only types misses none of it: what is not there is a note then, and wrong only where a room is to be listened to.
"""

from __future__ import annotations

import importlib.util
import shlex
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

from hub import listen, soundcard
from hub.finding import Finding, fine, note, wrong
from hub.installed import DISTRIBUTION
from hub.rooms import voice_file, wake_words
from hub.settings import RoomSettings, Settings
from hub.sound import SoundError
from models import ModelError
from models.files import PINS, digest
from models.hearing import Hearing
from models.voice import open_voice
from models.wake import Wake

AGAIN = "sudo hub setup sound"


async def findings(settings: Settings) -> AsyncIterator[Finding]:
    """In the order in which a spoken command goes through it."""
    if settings.listens:
        async for finding in _devices(settings, "input"):
            yield finding
        for finding in _woken(settings):
            yield finding
    yield await _hearing(settings)
    if settings.listens:
        yield await _voice(settings)
        async for finding in _devices(settings, "output"):
            yield finding


async def _devices(settings: Settings, way: soundcard.Way) -> AsyncIterator[Finding]:
    """Whether the microphone, or the loudspeaker, of each room is there."""
    about = "microphone" if way == "input" else "speaker"
    for name, room in settings.voice.rooms.items():
        try:
            device = room.microphone if way == "input" else room.loudspeaker
            yield fine(about, f"{name}: {await soundcard.meant(way, device)}")
        except SoundError as error:
            yield wrong(about, f"{name}: {error}", AGAIN)


def _woken(settings: Settings) -> Iterator[Finding]:
    """Whether the words open for which each room waits, and the hub at satellites."""
    satellites = {"satellites": RoomSettings()} if settings.wyoming.drives else {}
    for name, room in {**settings.voice.rooms, **satellites}.items():
        try:
            words = wake_words(settings, room)
            Wake(words)
        except ModelError as error:
            yield wrong("wake word", f"{name}: {error}", f"correct wake_words under [voice], or {AGAIN}")
        else:
            yield fine("wake word", f"{name}: {', '.join(word.name for word in words)}")


async def _hearing(settings: Settings) -> Finding:
    """The model of speech, opened as the hub would."""
    name, lacking = settings.voice.hearing, wrong if settings.listens else note
    if importlib.util.find_spec("faster_whisper") is None:
        mend = f"{shlex.quote(sys.executable)} -m pip install {shlex.quote(f'{DISTRIBUTION}[voice]')}"
        return lacking("hearing", "what speech needs is not installed: the hub can be typed to", mend)
    again = f"hub model fetch {name}" if name in PINS else "name its folder under [voice] hearing"
    try:
        folder = listen.folder(settings)
    except ModelError as error:
        return lacking("hearing", str(error).partition(";")[0], again)
    for pin in PINS.get(name, ()):
        if digest(folder / pin.name) != pin.sha256:
            damaged = f"{folder / pin.name} is damaged: its SHA-256 is another than that of {name}"
            return wrong("hearing", damaged, again)
    try:
        async with Hearing(folder, threads=settings.voice.threads) as hearing:
            await hearing.start()
    except ModelError as error:
        return wrong("hearing", str(error), again)
    return fine("hearing", f"{name} opens")


async def _voice(settings: Settings) -> Finding:
    """Whether a word can be said; nobody hears it."""
    wanted = settings.voice.voice
    again = f"hub model fetch {wanted}" if wanted in PINS else 'sudo apt-get install espeak-ng, and voice = ""'
    try:
        voice = open_voice(voice_file(settings), settings.voice.language)
        try:
            async with aclosing(voice.speak("Ready.")) as spoken:
                async for speech in spoken:
                    if speech.samples:
                        return fine("voice", f"{wanted or 'espeak-ng'} speaks")
        finally:
            await voice.close()
    except ModelError as error:
        return wrong("voice", str(error), again)
    return wrong("voice", f"{wanted or 'espeak-ng'} says nothing", again)
