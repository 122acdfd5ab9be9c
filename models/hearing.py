"""Speech to text: faster-whisper in a process of its own, and a gate for what Whisper makes up where nothing was said.

`Hearing` is the caller's side: a child that crashes or hangs is replaced and asked once more. `Gate` judges by the
engine's own measures. The child reads one JSON object a line and answers with one a line; it ends when its input does.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from models import ModelError

log = logging.getLogger(__name__)

RATE = 16_000
LONGEST = 30.0  # seconds: Whisper's window
START_SECONDS = 120.0  # 150 MB from a slow SD card, and the libraries' own 100
ANSWER_SECONDS = 30.0  # base.en on a Raspberry Pi 4 takes 6 for its window
_END_SECONDS = 2.0
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


class _DiedError(Exception):
    """The child ended before it answered, or was ended because it did not; the text says how."""


class Hearing:
    """The Whisper in `folder`, in a child process. Calls wait for each other. Starts with the first, or with `start`."""

    def __init__(self, folder: Path, *, threads: int = 1, timeout: float = ANSWER_SECONDS) -> None:
        self._folder = folder
        self._threads = threads
        self._timeout = timeout
        self._lock = asyncio.Lock()
        self._child: _Child | None = None
        self._closed = False

    async def start(self) -> None:
        """Load the model now. Raises ModelError where that cannot be done."""
        async with self._lock:
            await self._twice(None)

    async def hear(self, samples: bytes, hotwords: str = "", language: str = "en") -> Heard:
        """The text in up to LONGEST seconds of 16-bit samples at RATE. Raises ModelError."""
        if len(samples) > 2 * RATE * LONGEST:
            raise ModelError(f"at most {LONGEST:g} seconds can be heard at once")
        request = {"samples": base64.b64encode(samples).decode(), "hotwords": hotwords, "language": language}
        async with self._lock:
            return Heard(**await self._twice(request))

    async def close(self) -> None:
        """End the child, whatever it is doing. Harmless when done twice; no call is answered afterwards."""
        self._closed = True
        await self._stop()
        async with self._lock:  # a call that was just starting a child has to see that it is in vain
            await self._stop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, e: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def pid(self) -> int | None:
        """The child's process id while there is one."""
        return self._child.pid if self._child else None

    async def _twice(self, request: dict[str, Any] | None) -> dict[str, Any]:
        """The reply to `request` (None: only be there), from a new child where the first one dies or hangs."""
        try:
            return await self._once(request)
        except _DiedError as error:
            self._raise_closed()
            log.warning("%s; it is started again", error)
        try:
            return await self._once(request)
        except _DiedError as error:
            self._raise_closed()
            causes = "damaged, too large for the memory, or too slow on this device"
            raise ModelError(f"{error}, twice in a row; is {self._folder} {causes}?") from error

    async def _once(self, request: dict[str, Any] | None) -> dict[str, Any]:
        """Raises _DiedError, and leaves no child then."""
        try:
            if self._child is None:
                await self._open()
            self._raise_closed()
            assert self._child is not None
            return await self._child.ask(request, self._timeout) if request else {}
        except (_DiedError, asyncio.CancelledError):
            await self._stop()
            raise

    async def _open(self) -> None:
        self._raise_closed()
        check(self._folder)
        try:
            self._child = await _Child.spawn()
        except OSError as error:
            raise ModelError(f"the process for hearing cannot be started ({error.strerror})") from error
        try:
            await self._child.ask({"folder": str(self._folder), "threads": self._threads}, START_SECONDS)
        except ModelError:
            await self._stop()
            raise

    def _raise_closed(self) -> None:
        if self._closed:
            raise ModelError("hearing is closed")

    async def _stop(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            await child.kill()


class _Child:
    """One process: its pipes, and the task that passes on what it says on its error output."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._errors = asyncio.create_task(self._pass_on())
        self._last = ""

    @classmethod
    async def spawn(cls) -> _Child:
        root = str(Path(__file__).resolve().parents[1])
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        return cls(
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "models.hearing"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                # faster-whisper's libraries would otherwise ask the network for what a folder lacks.
                env=os.environ | {"PYTHONPATH": path, "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"},
                start_new_session=True,  # Ctrl-C at the terminal is for who asks, and not for the child under it
            )
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        """The reply to `request`. Raises _DiedError, and ModelError where the child says that it cannot be answered."""
        try:
            async with asyncio.timeout(seconds):
                return await self._reply(request)
        except TimeoutError:
            raise _DiedError(f"the process for hearing said nothing for {seconds:g} s") from None

    async def _reply(self, request: dict[str, Any]) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        with suppress(ConnectionError):
            stdin.write(json.dumps(request).encode() + b"\n")
            await stdin.drain()
        line = await stdout.readline()
        if not line.endswith(b"\n"):
            raise _DiedError(await self._cause())
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise ModelError(reply["error"])
        return reply

    async def kill(self) -> None:
        """End the process and wait until it has gone, so that it is no zombie."""
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._gone()

    async def _gone(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._process.wait()
        await asyncio.wait([self._errors])

    async def _cause(self) -> str:
        """How the process ended, in words."""
        try:  # its output is closed: it is ending. Killing it now would race with asyncio's own waiting for its status
            await asyncio.wait_for(self._process.wait(), _END_SECONDS)
        except TimeoutError:
            await self.kill()
        await self._gone()
        code = self._process.returncode or 0
        how = f"exit code {code}"
        if code < 0:
            with suppress(ValueError):
                how = signal.Signals(-code).name
        return f"the process for hearing ended ({how}{': ' + self._last if self._last else ''})"

    async def _pass_on(self) -> None:
        assert self._process.stderr is not None
        with suppress(ValueError):  # a line beyond the limit
            async for line in self._process.stderr:
                if text := line.decode(errors="replace").strip():
                    self._last = text[:200]
                    log.warning("child %d: %s", self._process.pid, text)


# -- the child


def main() -> None:
    """The child: load the model that the first line names, then answer line for line until the input ends."""
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever native code prints must not come between the replies
    opening = json.loads(requests.readline() or "null")
    if opening is None:
        return
    try:
        engine = _load(**opening)
    except ModelError as error:
        _reply(replies, {"error": str(error)})
        return
    _reply(replies, {})
    for line in requests:
        try:
            _reply(replies, asdict(_hear(engine, **json.loads(line))))
        except (ValueError, RuntimeError) as error:  # such as a language that it does not know
            _reply(replies, {"error": f"this could not be heard ({str(error)[:200]})"})


def _load(folder: str, threads: int) -> Any:
    try:
        from faster_whisper import WhisperModel
    except ImportError as error:
        raise ModelError(f"hearing needs faster-whisper ({error}): pip install 'homeward-hub[voice]'") from None
    try:
        return WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=threads)
    except Exception as error:  # CTranslate2's, the tokenizer's and JSON's, which have no root in common
        raise ModelError(f"{folder}: this model for hearing cannot be loaded ({str(error)[:200]})") from None


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


def _reply(replies: IO[bytes], reply: dict[str, Any]) -> None:
    replies.write(json.dumps(reply).encode() + b"\n")
    replies.flush()


if __name__ == "__main__":
    main()
