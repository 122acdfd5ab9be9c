"""A language model in a process of its own, so that a crash or an abort in native code is not the end of the daemon.

The child reads one JSON object a line and answers with one a line. It lives in a session of its own, so that Ctrl-C at
the terminal ends the daemon and not the child under it, and it ends when its input does: no orphan, even when the
daemon is killed. A child that dies is replaced and asked once more; a second death is a ModelError.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from models import ModelError
from models.completion import Completion

log = logging.getLogger(__name__)

START_SECONDS = 120.0  # 0.7 GB from a slow SD card take half a minute
END_SECONDS = 2.0  # writing a core file may take longer, and need not be awaited
ANSWER_SECONDS = 30.0  # TinyLlama's slowest command took 5 s on two busy cores
_LINE = 1 << 20  # the longest reply; one of 128 tokens has 6 kB


class _DiedError(Exception):
    """The child ended before it answered; the text says how."""


class Worker:
    """The model at `path` in a child process. Calls wait for each other. Starts with the first, or with `start`."""

    def __init__(self, path: Path, *, threads: int = 1, timeout: float = ANSWER_SECONDS) -> None:
        self._path = path
        self._threads = threads
        self._timeout = timeout
        self._lock = asyncio.Lock()
        self._child: _Child | None = None
        self._closed = False

    async def start(self) -> None:
        """Load the model now. Raises ModelError where that cannot be done."""
        async with self._lock:
            await self._twice(None)

    async def complete(self, prompt: str, grammar: str, max_tokens: int = 128) -> Completion:
        """As LanguageModel.complete. Raises ModelError, also where the child died twice or took too long."""
        request = {"prompt": prompt, "grammar": grammar, "max_tokens": max_tokens}
        async with self._lock:
            reply = await self._twice(request)
        return Completion(
            text=reply["text"],
            tokens=tuple(reply["tokens"]),
            logprobs=tuple(reply["logprobs"]),
            ms_read=reply["ms_read"],
            ms_write=reply["ms_write"],
        )

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
        """The reply to `request` (None: only be there), from a new child where the first one dies."""
        try:
            return await self._once(request)
        except _DiedError as error:
            await self._stop()
            log.warning("%s; it is started again", error)
        try:
            return await self._once(request)
        except _DiedError as error:
            await self._stop()
            raise ModelError(f"{error}, twice in a row; is {self._path} damaged, or the memory too small?") from error

    async def _once(self, request: dict[str, Any] | None) -> dict[str, Any]:
        try:
            if self._child is None:
                await self._open()
            self._raise_closed()
            assert self._child is not None
            return await asyncio.wait_for(self._child.ask(request), self._timeout) if request else {}
        except TimeoutError as error:
            await self._stop()
            raise ModelError("the language model took too long; a model with fewer parameters may be needed") from error
        except asyncio.CancelledError:
            await self._stop()
            raise

    async def _open(self) -> None:
        """A child that has loaded the model."""
        self._raise_closed()
        try:
            self._child = await _Child.spawn()
        except OSError as error:
            raise ModelError(f"the language model's process cannot be started ({error.strerror})") from error
        self._raise_closed()
        opening = {"path": str(self._path), "threads": self._threads}
        await asyncio.wait_for(self._child.ask(opening), START_SECONDS)

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
                env=os.environ | {"PYTHONPATH": path},
                start_new_session=True,
                limit=_LINE,
            )
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The reply to `request`. Raises _DiedError, and ModelError where the child says that it cannot be answered."""
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
        await self._errors

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
    from models.language import LanguageModel  # here, so that only the child loads the engine

    try:
        model = LanguageModel(Path(opening["path"]), threads=opening["threads"])
    except ModelError as error:
        _reply(replies, {"error": str(error)})
        return
    _reply(replies, {})
    with model:
        for line in requests:
            try:
                _reply(replies, asdict(model.complete(**json.loads(line))))
            except ModelError as error:
                _reply(replies, {"error": str(error)})


def _reply(replies: IO[bytes], reply: dict[str, Any]) -> None:
    replies.write(json.dumps(reply).encode() + b"\n")
    replies.flush()


if __name__ == "__main__":
    main()
