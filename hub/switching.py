"""The model in use, and another put in its place while the hub runs: loaded beside it, tried, and taken between two commands."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Protocol, Self

from models.completion import Completion

log = logging.getLogger(__name__)


class Known(Protocol):
    """A completer that says what its answers depend on beside the prompt and the grammar."""

    async def complete(self, prompt: str, grammar: str) -> Completion:
        """Raises ModelError."""

    @property
    def fingerprint(self) -> str:
        """As LanguageModel has it."""


Opening = Callable[[str], AbstractAsyncContextManager[Known]]


class Switch:
    """A completer: the model of a name as the settings have it; the first one as `first` opens it, others as `later` does.

    Whoever reads a command holds `command` meanwhile, so that all of it is read by one model.
    """

    def __init__(self, first: Opening, later: Opening, name: str) -> None:
        self._first = first
        self._later = later
        self.name = name
        self._model: Known | None = None
        self._opened = AsyncExitStack()
        self._switching = asyncio.Lock()
        self._reading = 0
        self._let_in, self._still = asyncio.Event(), asyncio.Event()
        self._let_in.set()
        self._still.set()

    async def __aenter__(self) -> Self:
        """Raises ModelError."""
        self._model = await self._opened.enter_async_context(self._first(self.name))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, e: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._opened.aclose()

    @property
    def fingerprint(self) -> str:
        return self._model.fingerprint if self._model is not None else ""

    async def complete(self, prompt: str, grammar: str) -> Completion:
        """Raises ModelError."""
        assert self._model is not None
        return await self._model.complete(prompt, grammar)

    @asynccontextmanager
    async def command(self) -> AsyncIterator[None]:
        """One command from its first reading to its last; it waits for the moment in which a model takes the other's place."""
        while not self._let_in.is_set():
            await self._let_in.wait()
        self._reading += 1
        self._still.clear()
        try:
            yield
        finally:
            self._reading -= 1
            if not self._reading:
                self._still.set()

    async def use(self, name: str) -> None:
        """From the next command on the model of this name. Raises ModelError and HubError, as opening does; the one in
        use then stays.
        """
        async with self._switching, AsyncExitStack() as opened:
            model = await opened.enter_async_context(self._later(name))
            self._let_in.clear()
            try:
                await self._still.wait()
                self._model, self.name = model, name
                before, self._opened = self._opened, opened.pop_all()
            finally:
                self._let_in.set()
            log.info("the model in use is %s now", name)
            await before.aclose()
