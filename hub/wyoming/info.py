"""What is offered, as the Wyoming protocol describes services: true to what is configured and found."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from wyoming.event import Event
from wyoming.info import (
    AsrModel,
    AsrProgram,
    Attribution,
    HandleModel,
    HandleProgram,
    Info,
    IntentModel,
    IntentProgram,
    TtsProgram,
    TtsVoice,
    WakeModel,
    WakeProgram,
)

from hub import __version__
from models.wake import BUNDLED, WakeWord

NAME = "hub"
ESPEAK = "espeak-ng"  # the voice of that name
READS = "en"  # the language of the sentences that can be understood
_OURS = Attribution("homeward-hub", "")
_WHISPER = Attribution("faster-whisper", "https://github.com/SYSTRAN/faster-whisper")
_PIPER = Attribution("Piper", "https://github.com/OHF-Voice/piper1-gpl")
_ESPEAK = Attribution(ESPEAK, "https://github.com/espeak-ng/espeak-ng")
_WAKE = Attribution("microWakeWord", "https://github.com/OHF-Voice/pymicro-wakeword")


def info(hearing: Path | None, voice: str | None, words: Sequence[WakeWord], language: str) -> Event:
    """The description: of the Whisper in the folder `hearing`, the voice of that name, and the wake words; of the
    parser and of the hub itself always.
    """
    return Info(
        asr=[asr(hearing, language)] if hearing else [],
        tts=[tts(voice, language)] if voice is not None else [],
        wake=[wake(words)] if words else [],
        intent=[_program(IntentProgram, models=[_own(IntentModel)])],
        handle=[_program(HandleProgram, models=[_own(HandleModel)], supports_home_control=True)],
    ).event()


def _program(kind: type, **more: object) -> object:
    return kind(
        NAME, _OURS, installed=True, description="An offline assistant for the home", version=__version__, **more
    )


def _own(kind: type) -> object:
    return kind("home", _OURS, installed=True, description="Orders to a home", version=__version__, languages=[READS])


def asr(folder: Path, language: str) -> object:
    """Speech to text; the end of speech is found by who sends the sound."""
    model = AsrModel(
        *(folder.name, _WHISPER),
        installed=True,
        description=f"Whisper, {folder.name}",
        version=None,
        languages=[language],
    )
    return _program(AsrProgram, models=[model], requires_external_vad=True)


def tts(voice: str, language: str) -> object:
    """Text to speech, of one voice, which speaks each sentence as soon as it has come."""
    by = _ESPEAK if voice == ESPEAK else _PIPER
    model = TtsVoice(voice, by, installed=True, description=voice, version=None, languages=[language])
    return _program(TtsProgram, voices=[model], supports_synthesize_streaming=True)


def wake(words: Sequence[WakeWord]) -> object:
    """Wake words, each under the name that `Detect` asks for."""
    models = [
        WakeModel(*(identity(w), _WAKE), installed=True, description=p, version=None, languages=[READS], phrase=p)
        for w in words
        for p in [phrase(w)]
    ]
    return _program(WakeProgram, models=models)


def identity(word: WakeWord) -> str:
    """The name of a wake word in the protocol: its own, or that of its file."""
    return word.name if word.name in BUNDLED else Path(word.name).stem


def phrase(word: WakeWord) -> str:
    """What has to be said, as the models write it: in small letters with spaces. Raises nothing."""
    if word.name in BUNDLED:
        return plain(word.name)
    try:
        found = json.loads(Path(word.name).expanduser().read_text(encoding="utf-8"))["wake_word"]
    except (OSError, ValueError, KeyError, TypeError):
        return plain(identity(word))
    return plain(str(found))


def plain(name: str) -> str:
    return name.replace("_", " ").casefold()
