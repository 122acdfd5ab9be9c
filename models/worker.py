"""A language model in a process of its own, so that a crash or an abort in native code is not the end of the daemon.

The child reads one JSON object a line and answers with one a line. It lives in a session of its own, so that Ctrl-C at
the terminal ends the daemon and not the child under it, and it ends when its input does: no orphan, even when the
daemon is killed. A child that dies or hangs is replaced and asked once more; the second time is a ModelError, and the next
call begins anew.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self, TypeVar

from models import LengthError, ModelError
from models.calibration import Calibration
from models.completion import Completion, Primer

if TYPE_CHECKING:
    from models.language import LanguageModel

log = logging.getLogger(__name__)

START_SECONDS = 120.0  # 0.7 GB from a slow SD card take half a minute
END_SECONDS = 2.0  # writing a core file may take longer, and need not be awaited
ANSWER_SECONDS = 30.0  # TinyLlama's slowest command took 5 s on two busy cores
_T = TypeVar("_T")
_LINE = 1 << 20  # the longest reply; one of 128 tokens has 6 kB


class _DiedError(Exception):
    """The child ended before it answered, or was ended because it did not; the text says how."""


class Worker:
    """The model at `path` in a child process. Calls wait for each other. Starts with the first, or with `start`."""

    def __init__(
        self,
        path: Path,
        *,
        threads: int = 1,
        timeout: float = ANSWER_SECONDS,
        loads_within: float = START_SECONDS,
        primer: Primer | None = None,
    ) -> None:
        self._path = path
        self._threads = threads
        self._timeout = timeout
        self._loads_within = loads_within
        self._primer = primer
        self._lock = asyncio.Lock()
        self._child: _Child | None = None
        self._loading: set[_Child] = set()
        self._closed = False
        self.fingerprint = ""  # as LanguageModel has it, of the model that was loaded last; "" before the first
        self.primed = False

    async def start(self) -> None:
        """Load the model now. Raises ModelError where that cannot be done."""
        async with self._lock:
            await self._twice(lambda: self._once(None), self._path)

    async def use(self, path: Path) -> None:
        """From the next call on the model at `path`, loaded beside the present one, which answers meanwhile.

        Raises ModelError with the name of the file where it cannot be loaded; the present model stays then.
        """
        child = await self._twice(lambda: self._loaded(path), path)
        unused: _Child | None = child
        try:
            async with self._lock:
                self._raise_closed()
                unused, self._child, self._path = self._child, child, path
                self._know(child)
        finally:  # also where this call is given up while it waits
            if unused is not None:
                await unused.kill()

    async def complete(self, prompt: str, grammar: str, max_tokens: int = 128, guess: str = "") -> Completion:
        """As LanguageModel.complete. Raises ModelError, also where the child died or hung twice."""
        request = {"prompt": prompt, "grammar": grammar, "max_tokens": max_tokens, "guess": guess}
        async with self._lock:
            reply = await self._twice(lambda: self._once(request), self._path)
        return Completion(
            text=reply["text"],
            tokens=tuple(reply["tokens"]),
            logprobs=tuple(reply["logprobs"]),
            ms_read=reply["ms_read"],
            ms_write=reply["ms_write"],
            read=reply["read"],
            calibration=Calibration.from_json(reply["calibration"]["points"]),
        )

    async def close(self) -> None:
        """End the child, whatever it is doing. Harmless when done twice; no call is answered afterwards."""
        self._closed = True
        await self._stop()
        for child in tuple(self._loading):
            await child.kill()
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

    async def _twice(self, attempt: Callable[[], Awaitable[_T]], path: Path) -> _T:
        """What `attempt` gives, made once more where a child dies or hangs."""
        try:
            return await attempt()
        except _DiedError as error:
            self._raise_closed()
            log.warning("%s; it is started again", error)
        try:
            return await attempt()
        except _DiedError as error:
            self._raise_closed()
            causes = "damaged, too large for the memory, or too slow on this device"
            raise ModelError(f"{error}, twice in a row; is {path} {causes}?") from error

    async def _once(self, request: dict[str, Any] | None) -> dict[str, Any]:
        """The reply to `request` (None: only be there). Raises _DiedError, and leaves no child then."""
        try:
            if self._child is None:
                self._child = await self._loaded(self._path)
                self._know(self._child)
            self._raise_closed()
            return await self._child.ask(request, self._timeout) if request else {}
        except (_DiedError, asyncio.CancelledError):
            await self._stop()
            raise

    async def _loaded(self, path: Path) -> _Child:
        """A child that has loaded the model at `path`. Raises ModelError and _DiedError, and leaves no child then."""
        self._raise_closed()
        try:
            child = await _Child.spawn()
        except OSError as error:
            raise ModelError(f"the language model's process cannot be started ({error.strerror})") from error
        self._loading.add(child)
        try:
            self._raise_closed()
            await child.load(path, self._threads, self._primer, self._loads_within)
            self._raise_closed()
        except BaseException:
            await child.kill()
            raise
        finally:
            self._loading.discard(child)
        return child

    def _know(self, child: _Child) -> None:
        self.fingerprint, self.primed = child.fingerprint, child.primed

    def _raise_closed(self) -> None:
        if self._closed:
            raise ModelError("the language model is closed")

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
        self.fingerprint = ""
        self.primed = False

    @classmethod
    async def spawn(cls) -> _Child:
        root = str(Path(__file__).resolve().parents[1])
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        return cls(
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "models.worker"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                # Else an abort starts a debugger, which takes seconds and buries the reason.
                env=os.environ | {"PYTHONPATH": path, "GGML_NO_BACKTRACE": "1"},
                start_new_session=True,
                limit=_LINE,
            )
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    async def load(self, path: Path, threads: int, primer: Primer | None, seconds: float) -> None:
        """Have it open the model. Raises _DiedError and ModelError."""
        text = {"text": primer.text, "unless": primer.unless} if primer else None
        folder = str(primer.folder) if primer and primer.folder else None
        reply = await self.ask({"path": str(path), "threads": threads, "primer": text, "folder": folder}, seconds)
        self.fingerprint, self.primed = reply["fingerprint"], reply["primed"]

    async def ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        """The reply to `request`. Raises _DiedError, and ModelError where the child says that it cannot be answered."""
        try:
            async with asyncio.timeout(seconds):
                return await self._reply(request)
        except TimeoutError:
            raise _DiedError(f"the language model's process said nothing for {seconds:g} s") from None

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
            raise (LengthError if reply.get("long") else ModelError)(reply["error"])
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
        await asyncio.wait([self._errors])  # which may be awaited from two sides, of which one is given up

    async def _cause(self) -> str:
        """How the process ended, in words."""
        try:  # its output is closed: it is ending. Killing it now would race with asyncio's own waiting for its status
            await asyncio.wait_for(self._process.wait(), END_SECONDS)
        except TimeoutError:
            await self.kill()
        await self._gone()
        code = self._process.returncode or 0
        how = f"exit code {code}"
        if code < 0:
            with suppress(ValueError):
                how = signal.Signals(-code).name
        return f"the language model's process ended ({how}{': ' + self._last if self._last else ''})"

    async def _pass_on(self) -> None:
        assert self._process.stderr is not None
        with suppress(ValueError):  # a line beyond the limit
            async for line in self._process.stderr:
                if text := line.decode(errors="replace").strip():
                    self._last = text[:200]
                    log.warning("child %d: %s", self._process.pid, text)


def main() -> None:
    """The child: open the model that the first line names, then answer line for line until the input ends."""
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever native code prints must not come between the replies
    opening = json.loads(requests.readline() or "null")
    if opening is None:
        return
    try:
        model = _open(opening)
    except ModelError as error:
        path, text = opening["path"], str(error)
        _reply(replies, {"error": text if text.startswith(path) else f"{path}: {text}"})
        return
    _reply(replies, {"fingerprint": model.fingerprint, "primed": model.primed})
    with model:
        for line in requests:
            try:
                _reply(replies, asdict(model.complete(**json.loads(line))))
            except ModelError as error:
                _reply(replies, {"error": str(error), "long": isinstance(error, LengthError)})


def _open(opening: dict[str, Any]) -> LanguageModel:
    from models.language import LanguageModel  # here, so that only the child loads the engine

    primer, folder = opening["primer"], opening["folder"]
    return LanguageModel(
        Path(opening["path"]),
        threads=opening["threads"],
        primer=Primer(**primer, folder=Path(folder) if folder else None) if primer else None,
    )


def _reply(replies: IO[bytes], reply: dict[str, Any]) -> None:
    replies.write(json.dumps(reply).encode() + b"\n")
    replies.flush()


if __name__ == "__main__":
    main()
