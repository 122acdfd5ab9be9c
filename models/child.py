"""An engine in a process of its own, so that a crash or an abort in native code is not the end of who asks.

`Engine` is the caller's side: it starts the child, which reads one JSON object a line and answers with one a line, and
replaces it once where it crashes or hangs; models.serving is the child's side. `Child` and `twice` are what Engine is
made of, for who needs more of the child than that. The child lives in a session of its own, so that Ctrl-C at the
terminal is for who asks, and it ends when its input does: no orphan, even when the daemon is killed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self, TypeVar

from models import LengthError, ModelError

log = logging.getLogger(__name__)

_T = TypeVar("_T")

START_SECONDS = 120.0  # 0.7 GB from a slow SD card take half a minute
_END_SECONDS = 2.0  # writing a core file may take longer, and need not be awaited
_LINE = 1 << 24  # the longest reply: three minutes of speech


class DiedError(Exception):
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
        self._child: Child | None = None
        self._closed = False

    async def start(self) -> None:
        """Load it now. Raises ModelError where that cannot be done."""
        async with self._lock:
            await twice(lambda: self._once(None), self._source, self._raise_closed)

    async def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The reply. Raises ModelError where there is none, also where the child died or hung twice."""
        async with self._lock:
            return await twice(lambda: self._once(request), self._source, self._raise_closed)

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

    async def _once(self, request: dict[str, Any] | None) -> dict[str, Any]:
        """The reply to `request` (None: only be there). Raises DiedError, and leaves no child then."""
        try:
            if self._child is None:
                await self._open()
            self._raise_closed()
            assert self._child is not None
            return await self._child.ask(request, self._timeout) if request is not None else {}
        except (DiedError, asyncio.CancelledError):
            await self._stop()
            raise

    async def _open(self) -> None:
        self._raise_closed()
        try:
            self._child = await Child.spawn(self._module, f"the process for {self._what}", self._environment)
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


async def twice(attempt: Callable[[], Awaitable[_T]], source: Path, raise_closed: Callable[[], None]) -> _T:
    """What `attempt` gives, made once more where a child dies or hangs. Raises ModelError, which names `source`.

    `raise_closed` raises where the child was ended on purpose.
    """
    try:
        return await attempt()
    except DiedError as error:
        raise_closed()
        log.warning("%s; it is started again", error)
    try:
        return await attempt()
    except DiedError as error:
        raise_closed()
        causes = "damaged, too large for the memory, or too slow on this device"
        raise ModelError(f"{error}, twice in a row; is {source} {causes}?") from error


class Child:
    """One process: its pipes, and the task that passes on what it says on its error output. `name` is its own in errors,
    `chatter` the level at which what it says is logged.
    """

    def __init__(self, process: asyncio.subprocess.Process, name: str, chatter: int = logging.WARNING) -> None:
        self._process = process
        self._name = name
        self._chatter = chatter
        self._errors = asyncio.create_task(self._pass_on())
        self._last = ""

    @classmethod
    async def spawn(
        cls,
        module: str,
        name: str,
        environment: Mapping[str, str],
        longest: int = _LINE,
        chatter: int = logging.WARNING,
    ) -> Self:
        """The process of a module, with our environment and `environment` beside it; replies have `longest` bytes at most.

        Raises OSError.
        """
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
                limit=longest,
            ),
            name,
            chatter,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        """The reply to `request`. Raises DiedError, and ModelError where the child says that it cannot be answered."""
        try:
            async with asyncio.timeout(seconds):
                return await self._reply(request)
        except TimeoutError:
            raise DiedError(f"{self._name} said nothing for {seconds:g} s") from None

    async def _reply(self, request: dict[str, Any]) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        with suppress(ConnectionError):
            stdin.write(json.dumps(request).encode() + b"\n")
            await stdin.drain()
        line = await stdout.readline()
        if not line.endswith(b"\n"):
            raise DiedError(await self._cause())
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
            await asyncio.wait_for(self._process.wait(), _END_SECONDS)
        except TimeoutError:
            await self.kill()
        await self._gone()
        code = self._process.returncode or 0
        how = f"exit code {code}"
        if code < 0:
            with suppress(ValueError):
                how = signal.Signals(-code).name
        return f"{self._name} ended ({how}{': ' + self._last if self._last else ''})"

    async def _pass_on(self) -> None:
        assert self._process.stderr is not None
        with suppress(ValueError):  # a line beyond the limit
            async for line in self._process.stderr:
                if text := line.decode(errors="replace").strip():
                    self._last = text[:200]
                    log.log(self._chatter, "child %d: %s", self._process.pid, text)
