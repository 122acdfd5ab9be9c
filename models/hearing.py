"""Speech to text: faster-whisper in a process of its own, and a gate for what Whisper makes up where nothing was said.

`Hearing` is the caller's side of the child; `Gate` judges by the engine's own measures.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from models import ModelError
from models.child import Engine
from models.serving import Answer, serve

RATE = 16_000
LONGEST = 30.0  # seconds: Whisper's window
ANSWER_SECONDS = 30.0  # base.en on a Raspberry Pi 4 takes 6 for its window
_MOST_TOKENS = 100  # a command has 10 to 20; what makes things up writes until it is stopped
_PARTS = ("model.bin", "config.json", "tokenizer.json")  # and a vocabulary, of one of two names


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard, with the engine's own measures of it.

    `logprob` is the mean natural logarithm of a token's probability, `no_speech` the probability that nothing was said,
    `compression` how many times smaller the text can be packed; `ms` is the time that it took in the child.
    """

    text: str
    logprob: float = 0.0
    no_speech: float = 0.0
    compression: float = 1.0
    ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Gate:
    """What must hold before anything is done about what was heard: limits for the measures of `Heard`.

    The limits are those at which Whisper's authors hold its text for failed or for silence. A probability of silence
    counts only where the text is not sure: Whisper gives one to short commands too.
    """

    logprob: float = -1.0
    no_speech: float = 0.6
    sure: float = -0.4  # from this logprob on a text stands against the probability of silence
    compression: float = 2.4

    def reason(self, heard: Heard) -> str:
        """Why it is not to be believed; "" where it is."""
        if not any(letter.isalnum() for letter in heard.text):
            return "no words"
        if heard.compression > self.compression:
            return "it repeats itself"
        if heard.logprob < self.logprob:
            return "too unsure"
        if heard.no_speech > self.no_speech and heard.logprob < self.sure:
            return "more likely silence"
        return ""


def check(folder: Path) -> Path:
    """The folder, where it holds a Whisper for faster-whisper. Raises ModelError, and nothing is ever fetched."""
    if not folder.is_dir():
        raise ModelError(f"{folder}: there is no such model for hearing")
    missing = [name for name in _PARTS if not (folder / name).is_file()]
    if not any((folder / f"vocabulary.{end}").is_file() for end in ("json", "txt")):
        missing.append("vocabulary.json")
    if missing:
        raise ModelError(f"{folder}: this is no Whisper for faster-whisper; it lacks {', '.join(missing)}")
    return folder


def hotwords(names: Sequence[str], most: int = 60) -> str:
    """The names of a home as Whisper takes them: each once, the first ones where there are too many words."""
    found: dict[str, str] = {}
    left = most
    for name in names:
        words = name.split()
        if words and len(words) <= left and name.casefold() not in found:
            found[name.casefold()] = " ".join(words)
            left -= len(words)
    return ", ".join(found.values())


class Hearing:
    """The Whisper in `folder`, in a child process. Calls wait for each other. Starts with the first, or with `start`."""

    def __init__(self, folder: Path, *, threads: int = 1, timeout: float = ANSWER_SECONDS) -> None:
        self._folder = folder
        self._engine = Engine(
            "models.hearing",
            {"folder": str(folder), "threads": threads},
            what="hearing",
            source=folder,
            timeout=timeout,
            # Its libraries would otherwise ask the network for what a folder lacks, and keep 20 MB more of what is free again.
            environment={"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "MALLOC_ARENA_MAX": "1"},
        )

    async def start(self) -> None:
        """Load the model now. Raises ModelError where that cannot be done."""
        check(self._folder)
        await self._engine.start()

    async def hear(self, samples: bytes, hotwords: str = "", language: str = "en") -> Heard:
        """The text in up to LONGEST seconds of 16-bit samples at RATE. Raises ModelError."""
        if len(samples) > 2 * RATE * LONGEST:
            raise ModelError(f"at most {LONGEST:g} seconds can be heard at once")
        check(self._folder)
        request = {"samples": base64.b64encode(samples).decode(), "hotwords": hotwords, "language": language}
        return Heard(**await self._engine.ask(request))

    async def close(self) -> None:
        """End the child, whatever it is doing. Harmless when done twice; no call is answered afterwards."""
        await self._engine.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, e: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def pid(self) -> int | None:
        """The child's process id while there is one."""
        return self._engine.pid


# -- the child


def _load(folder: str, threads: int) -> Any:
    try:
        from faster_whisper import WhisperModel
    except ImportError as error:
        raise ModelError(f"hearing needs faster-whisper ({error}): pip install 'homeward-hub[voice]'") from None
    try:
        return WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=threads)
    except Exception as error:  # CTranslate2's, the tokenizer's and JSON's, which have no root in common
        raise ModelError(f"{folder}: this model for hearing is damaged ({str(error)[:200]})") from None


def _answering(opening: dict[str, Any]) -> Answer:
    engine = _load(**opening)

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        try:
            return asdict(_hear(engine, **request))
        except (ValueError, RuntimeError) as error:  # such as a language that it does not know
            raise ModelError(f"this could not be heard ({str(error)[:200]})") from None

    return answer


def _hear(engine: Any, samples: str, hotwords: str, language: str) -> Heard:
    import numpy as np

    started = time.perf_counter()
    sound = np.frombuffer(base64.b64decode(samples), "<i2").astype(np.float32) / 32768
    # Its own retries at higher temperatures and its own silence are off: they take seconds, and the gate judges.
    segments, _ = engine.transcribe(
        sound,
        language=language if engine.model.is_multilingual else "en",
        hotwords=hotwords or None,
        beam_size=1,
        temperature=0.0,
        without_timestamps=True,
        condition_on_previous_text=False,
        no_speech_threshold=None,
        log_prob_threshold=None,
        compression_ratio_threshold=None,
        max_new_tokens=_MOST_TOKENS,
    )
    found = list(segments)
    return Heard(
        text=" ".join(part.text.strip() for part in found),
        logprob=min((part.avg_logprob for part in found), default=0.0),
        no_speech=max((part.no_speech_prob for part in found), default=1.0),
        compression=max((part.compression_ratio for part in found), default=1.0),
        ms=(time.perf_counter() - started) * 1000,
    )


if __name__ == "__main__":
    serve(_answering)
