"""A language model in a process of its own, so that a crash or an abort in native code is not the end of the daemon.

The child reads one JSON object a line and answers with one a line. It lives in a session of its own, so that Ctrl-C at
the terminal ends the daemon and not the child under it, and it ends when its input does: no orphan, even when the
daemon is killed. A child that dies or hangs is replaced and asked once more; the second time is a ModelError, and the next
call begins anew.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

from models import LengthError, ModelError
from models.calibration import UNCHANGED, Calibration
from models.child import START_SECONDS, Child, DiedError, twice
from models.completion import Completion, Primer

if TYPE_CHECKING:
    from models.language import LanguageModel

ANSWER_SECONDS = 30.0  # TinyLlama's slowest command took 5 s on two busy cores
_TOLD = ("text", "tokens", "logprobs", "ms_read", "ms_write", "read")
_LINE = 1 << 20  # the longest reply; one of 128 tokens has 6 kB
# Else an abort starts a debugger, which takes seconds and buries the reason.
_ENVIRONMENT = {"GGML_NO_BACKTRACE": "1"}


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
        self._calibration = UNCHANGED

    async def start(self) -> None:
        """Load the model now. Raises ModelError where that cannot be done."""
        async with self._lock:
            await twice(lambda: self._once(None), self._path, self._raise_closed)

    async def use(self, path: Path) -> None:
        """From the next call on the model at `path`, loaded beside the present one, which answers meanwhile.

        Raises ModelError with the name of the file where it cannot be loaded; the present model stays then.
        """
        child = await twice(lambda: self._loaded(path), path, self._raise_closed)
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
            reply = await twice(lambda: self._once(request), self._path, self._raise_closed)
        return Completion(
            text=reply["text"],
            tokens=tuple(reply["tokens"]),
            logprobs=tuple(reply["logprobs"]),
            ms_read=reply["ms_read"],
            ms_write=reply["ms_write"],
            read=reply["read"],
            calibration=self._calibration,
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

    async def _once(self, request: dict[str, Any] | None) -> dict[str, Any]:
        """The reply to `request` (None: only be there). Raises DiedError, and leaves no child then."""
        try:
            if self._child is None:
                self._child = await self._loaded(self._path)
                self._know(self._child)
            self._raise_closed()
            return await self._child.ask(request, self._timeout) if request else {}
        except (DiedError, asyncio.CancelledError):
            await self._stop()
            raise

    async def _loaded(self, path: Path) -> _Child:
        """A child that has loaded the model at `path`. Raises ModelError and DiedError, and leaves no child then."""
        self._raise_closed()
        try:
            child = await _Child.spawn("models.worker", "the language model's process", _ENVIRONMENT, _LINE)
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
        self.fingerprint, self.primed, self._calibration = child.fingerprint, child.primed, child.calibration

    def _raise_closed(self) -> None:
        if self._closed:
            raise ModelError("the language model is closed")

    async def _stop(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            await child.kill()


class _Child(Child):
    """A child that says of itself what LanguageModel does."""

    fingerprint = ""
    primed = False
    calibration = UNCHANGED

    async def load(self, path: Path, threads: int, primer: Primer | None, seconds: float) -> None:
        """Have it open the model. Raises DiedError and ModelError."""
        text = {"text": primer.text, "unless": primer.unless} if primer else None
        folder = str(primer.folder) if primer and primer.folder else None
        reply = await self.ask({"path": str(path), "threads": threads, "primer": text, "folder": folder}, seconds)
        self.fingerprint, self.primed = reply["fingerprint"], reply["primed"]
        self.calibration = Calibration.from_json(reply["calibration"])


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
    curve = model.calibration.points  # said once: each answer would carry it otherwise
    _reply(replies, {"fingerprint": model.fingerprint, "primed": model.primed, "calibration": curve})
    with model:
        for line in requests:
            try:
                _reply(replies, _told(model.complete(**json.loads(line))))
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


def _told(completion: Completion) -> dict[str, Any]:
    """All of it but the curve of the model."""
    return {name: getattr(completion, name) for name in _TOLD}


def _reply(replies: IO[bytes], reply: dict[str, Any]) -> None:
    replies.write(json.dumps(reply).encode() + b"\n")
    replies.flush()


if __name__ == "__main__":
    main()
