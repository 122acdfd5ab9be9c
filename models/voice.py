"""Text to speech, sentence by sentence: the first sound is there before the last word is made.

Piper in a process of its own, or espeak-ng, a program of the system, where no Piper voice is installed. Both give the
same: `speak` yields one `Speech` a sentence.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shutil
import struct
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from models import ModelError
from models.child import Engine
from models.serving import Answer, serve

SENTENCE_SECONDS = 30.0  # a Raspberry Pi 4 makes a long one of a medium voice in 6
LONGEST = 300  # characters spoken as one; what is longer is cut at a comma or between words
_ESPEAK_SPEED, _ESPEAK_VOLUME = 160, 100  # words a minute and loudness at which it is clear; its own 175 is hurried


@dataclass(frozen=True, slots=True)
class Manner:
    """How it is said: `speed` 1 is the voice's own, 2 twice as fast; `volume` 1 is as loud as can be without noise."""

    speed: float = 1.0
    volume: float = 1.0

    def __post_init__(self) -> None:
        if not 0.25 <= self.speed <= 4:
            raise ModelError(f"a voice speaks 0.25 to 4 times as fast as it was made, not {self.speed:g} times")
        if not 0 <= self.volume <= 1:
            raise ModelError(f"the volume of a voice lies between 0 and 1, not at {self.volume:g}")


@dataclass(frozen=True, slots=True)
class Speech:
    """One spoken sentence: 16-bit samples of one channel, little-endian, and how many there are a second."""

    text: str
    rate: int
    samples: bytes


class Voice(Protocol):
    """What can speak."""

    def speak(self, text: str, manner: Manner | None = None) -> AsyncGenerator[Speech, None]:
        """The sentences of the text, each as soon as it is made. Raises ModelError."""

    async def close(self) -> None:
        """End what runs. Harmless when done twice."""


def open_voice(file: Path | None, language: str = "en", *, threads: int = 1) -> Voice:
    """The Piper voice of the file; without one, espeak-ng. Raises ModelError where there is neither."""
    if file is not None:
        return Piper(file, threads=threads)
    if shutil.which("espeak-ng") is None:
        raise ModelError("there is no voice: name the .onnx file of one of Piper's, or apt-get install espeak-ng")
    return Espeak(language)


_STOP = re.compile(r"(?<=[.!?…:;])[\"')\]]*\s+|\n+")


def sentences(text: str) -> list[str]:
    """The text in parts that are spoken one after the other, none of them longer than LONGEST."""
    plain = "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text)
    plain = plain.replace("[[", "[").replace("]]", "]")  # which Piper takes for phonemes
    parts = [part.strip() for part in _STOP.split(plain)]
    return [piece for part in parts if any(map(str.isalnum, part)) for piece in _short(part)]


def complete(text: str) -> tuple[str, str]:
    """Of a text that is still coming: the sentences of it that are whole, and the rest, which may go on."""
    at = max((found.end() for found in _STOP.finditer(text)), default=0)
    return text[:at], text[at:]


def _short(sentence: str) -> list[str]:
    pieces: list[str] = []
    while len(sentence) > LONGEST:
        at = max(sentence.rfind(", ", 0, LONGEST) + 1, 0) or max(sentence.rfind(" ", 0, LONGEST), 0) or LONGEST
        pieces.append(sentence[:at].strip())
        sentence = sentence[at:].strip()
    return [*pieces, sentence] if sentence else pieces


# -- Piper


class Piper:
    """A Piper voice, NAME.onnx with NAME.onnx.json beside it, in a child process. Starts with the first sentence."""

    def __init__(self, file: Path, *, threads: int = 1, timeout: float = SENTENCE_SECONDS) -> None:
        self._file = file
        opening = {"file": str(file), "threads": threads}
        self._engine = Engine("models.voice", opening, what="speaking", source=file, timeout=timeout)

    async def start(self) -> None:
        """Load the voice now. Raises ModelError where that cannot be done."""
        check(self._file)
        await self._engine.start()

    async def speak(self, text: str, manner: Manner | None = None) -> AsyncGenerator[Speech, None]:
        check(self._file)
        manner = manner or Manner()
        for sentence in sentences(text):
            request = {"text": sentence, "speed": manner.speed, "volume": manner.volume}
            reply = await self._engine.ask(request)
            yield Speech(sentence, reply["rate"], base64.b64decode(reply["samples"]))

    async def close(self) -> None:
        await self._engine.close()

    @property
    def pid(self) -> int | None:
        """The child's process id while there is one."""
        return self._engine.pid


def check(file: Path) -> Path:
    """The file, where it looks like a Piper voice with its description. Raises ModelError."""
    described = file.with_name(file.name + ".json")
    for part in (file, described):
        if not part.is_file():
            raise ModelError(f"{part}: there is no such file; a Piper voice is a pair, NAME.onnx and NAME.onnx.json")
    return file


# -- espeak-ng


class Espeak:
    """espeak-ng, as the system has it: a process a sentence, of a few milliseconds."""

    def __init__(self, language: str = "en") -> None:
        self._language = language

    async def speak(self, text: str, manner: Manner | None = None) -> AsyncGenerator[Speech, None]:
        for sentence in sentences(text):
            yield await self._say(sentence, manner or Manner())

    async def close(self) -> None:
        """Nothing runs between sentences."""

    async def _say(self, sentence: str, manner: Manner) -> Speech:
        speed = str(round(_ESPEAK_SPEED * manner.speed))
        loud = str(round(_ESPEAK_VOLUME * manner.volume))
        options = ("-v", self._language, "-s", speed, "-a", loud, "-b", "1", "--stdin", "--stdout")
        try:
            process = await asyncio.create_subprocess_exec(
                *("espeak-ng", *options),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise ModelError(f"espeak-ng cannot be started ({error.strerror}): apt-get install espeak-ng") from None
        try:
            async with asyncio.timeout(SENTENCE_SECONDS):
                out, errors = await process.communicate(sentence.encode())
        except (TimeoutError, asyncio.CancelledError) as error:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            if isinstance(error, TimeoutError):
                raise ModelError("espeak-ng takes too long") from None
            raise
        if process.returncode or len(out) < _HEADER.size or not out.startswith(b"RIFF"):
            said = errors.decode(errors="replace").strip().splitlines()
            raise ModelError(f"espeak-ng cannot say that ({said[-1][:200] if said else 'it says nothing'})")
        (rate,) = _HEADER.unpack_from(out)
        return Speech(sentence, rate, out[_HEADER_END:])


_HEADER = struct.Struct("<24xI")  # its WAV is always of the same form: 44 bytes, 16 bits, one channel
_HEADER_END = 44


# -- the child


def _answering(opening: dict[str, Any]) -> Answer:
    voice = _load(**opening)
    from piper import SynthesisConfig

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        scale = voice.config.length_scale / request["speed"]
        how = SynthesisConfig(length_scale=scale, volume=request["volume"])
        try:
            samples = b"".join(chunk.audio_int16_bytes for chunk in voice.synthesize(request["text"], how))
        except Exception as error:  # ONNX Runtime's have no root of their own
            raise ModelError(f"the voice cannot say that ({str(error)[:200]})") from None
        return {"rate": voice.config.sample_rate, "samples": base64.b64encode(samples).decode()}

    return answer


def _load(file: str, threads: int) -> Any:
    try:
        import onnxruntime
        from piper import PiperVoice
        from piper.config import PiperConfig
    except ImportError as error:
        raise ModelError(f"speaking needs piper-tts ({error}): pip install 'homeward-hub[voice]'") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4
    options.enable_cpu_mem_arena = (
        False  # which keeps what the longest sentence took: 284 MB against 135, and no slower
    )
    try:
        config = PiperConfig.from_dict(json.loads(Path(f"{file}.json").read_text(encoding="utf-8")))
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # JSON's, Piper's and ONNX Runtime's, which have no root in common
        raise ModelError(f"{file}: this voice is damaged ({str(error)[:200]})") from None
    return PiperVoice(session=session, config=config)


if __name__ == "__main__":
    serve(_answering)
