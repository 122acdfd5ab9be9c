"""An engine in a process of its own, so that a crash or an abort in native code is not the end of who asks.

`Engine` is the caller's side: it starts the child, which reads one JSON object a line and answers with one a line, and
replaces it once where it crashes or hangs. `serve` is the child's side. The child lives in a session of its own, so
that Ctrl-C at the terminal is for who asks, and it ends when its input does: no orphan, even when the daemon is killed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

from models import ModelError

log = logging.getLogger(__name__)

Answer = Callable[[dict[str, Any]], dict[str, Any]]

START_SECONDS = 120.0  # 150 MB from a slow SD card, and the libraries' own 100
_END_SECONDS = 2.0  # writing a core file may take longer, and need not be awaited
_LINE = 1 << 24  # the longest reply: three minutes of speech


class _DiedError(Exception):
    """The child ended before it answered, or was ended because it did not; the text says how."""


class Engine:
    """The engine of a module, which is run with what it is to load. Calls wait for each other.

    `what` is its name in errors, `source` what is to blame where it dies again and again, `environment` what its
    process has beside ours. It starts with the first call, or with `start`.
    """

    def __init__(
        self,
        module: str,
        opening: Mapping[str, Any],
        *,
        what: str,
        source: Path,
        timeout: float,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._module = module
        self._opening = dict(opening)
        self._what = what
        self._source = source
        self._timeout = timeout
        self._environment = environment
        self._lock = asyncio.Lock()
        self._child: _Child | None = None
        self._closed = False

    async def start(self) -> None:
        """Load it now. Raises ModelError where that cannot be done."""
        async with self._lock:
            await self._twice(None)

    async def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The reply. Raises ModelError where there is none, also where the child died or hung twice."""
        async with self._lock:
            return await self._twice(request)

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
            raise ModelError(f"{error}, twice in a row; is {self._source} {causes}?") from error

    async def _once(self, request: dict[str, Any] | None) -> dict[str, Any]:
        """Raises _DiedError, and leaves no child then."""
        try:
            if self._child is None:
                await self._open()
            self._raise_closed()
            assert self._child is not None
            return await self._child.ask(request, self._timeout) if request is not None else {}
        except (_DiedError, asyncio.CancelledError):
            await self._stop()
            raise

    async def _open(self) -> None:
        self._raise_closed()
        try:
            self._child = await _Child.spawn(self._module, self._what, self._environment)
        except OSError as error:
            raise ModelError(f"the process for {self._what} cannot be started ({error.strerror})") from error
        try:
            await self._child.ask(self._opening, START_SECONDS)
        except ModelError:
            await self._stop()
            raise

    def _raise_closed(self) -> None:
        if self._closed:
            raise ModelError(f"{self._what} is closed")

    async def _stop(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            await child.kill()


class _Child:
    """One process: its pipes, and the task that passes on what it says on its error output."""

    def __init__(self, process: asyncio.subprocess.Process, what: str) -> None:
        self._process = process
        self._what = what
        self._errors = asyncio.create_task(self._pass_on())
        self._last = ""

    @classmethod
    async def spawn(cls, module: str, what: str, environment: Mapping[str, str]) -> _Child:
        root = str(Path(__file__).resolve().parents[1])
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        return cls(
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", module),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": path, **environment},
                start_new_session=True,
                limit=_LINE,
            ),
            what,
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
            raise _DiedError(f"the process for {self._what} said nothing for {seconds:g} s") from None

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
        await asyncio.wait([self._errors])  # which may be awaited from two sides, of which one is given up

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
        return f"the process for {self._what} ended ({how}{': ' + self._last if self._last else ''})"

    async def _pass_on(self) -> None:
        assert self._process.stderr is not None
        with suppress(ValueError):  # a line beyond the limit
            async for line in self._process.stderr:
                if text := line.decode(errors="replace").strip():
                    self._last = text[:200]
                    log.warning("child %d: %s", self._process.pid, text)


def serve(load: Callable[[dict[str, Any]], Answer]) -> None:
    """The child: load what the first line names, then answer line for line until the input ends.

    A ModelError of either is the reply; anything else ends the process.
    """
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever native code prints must not come between the replies
    answer: Answer | None = None
    for line in requests:
        request = json.loads(line)
        try:
            if answer is None:
                answer = load(request)
                reply: dict[str, Any] = {}
            else:
                reply = answer(request)
        except ModelError as error:
            reply = {"error": str(error)}
        replies.write(json.dumps(reply).encode() + b"\n")
        replies.flush()
