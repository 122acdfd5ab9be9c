"""The bridge between the two that do not know each other: words to the model's line, timed."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from hub.dialect import Dialect, primer
from hub.settings import Settings
from hub.switching import Known
from intents.grammar import grammar
from intents.line import NONE
from intents.prompt import ASK, prompt
from models import LengthError
from models.cache import ParseCache
from models.completion import Completion
from models.files import default_model, resolve_model
from models.worker import Worker

PARSES = "parses.sqlite"


class Completer(Protocol):
    """Completes text under a grammar; models.worker.Worker is one."""

    async def complete(self, prompt: str, grammar: str) -> Completion:
        """Raises ModelError."""


class Reader:
    """Asks the model for one utterance, and knows how long that took: milliseconds of reading and of writing."""

    def __init__(self, completer: Completer) -> None:
        self._completer = completer
        self.ms_read = 0.0
        self.ms_write = 0.0

    async def __call__(self, words: list[str]) -> tuple[str, float]:
        """The line, and how sure the model is of it: "" and 0 for words that it cannot get to an end with. Raises ModelError."""
        started = time.perf_counter()
        try:
            completion = await self._completer.complete(prompt(words), grammar(words))
        except LengthError:
            return "", 0.0
        self.ms_write = completion.ms_write
        self.ms_read = (time.perf_counter() - started) * 1000 - self.ms_write  # with the way to the child and back
        return completion.text, completion.confidence

    @property
    def ms(self) -> float:
        return self.ms_read + self.ms_write


class Lines:
    """A completer without a model: a table of sentences, as `line.words` joins them, and their lines. For tests."""

    def __init__(self, lines: Mapping[str, str], confidence: float = 1.0) -> None:
        self.lines = lines
        self.confidence = confidence

    async def complete(self, prompt: str, grammar: str) -> Completion:
        line = self.lines.get(prompt.removesuffix(ASK), f"<{NONE}>")
        return Completion(line, (0,), (math.log(self.confidence),), ms_read=0.0, ms_write=0.0)


class Remembering:
    """Asks the model only what is not in the cache. Every answer is the model's own, and what fails is not kept."""

    def __init__(self, model: Known, cache: ParseCache) -> None:
        self._model = model
        self._cache = cache
        self._lock = asyncio.Lock()

    async def complete(self, prompt: str, grammar: str) -> Completion:
        """Raises ModelError."""
        if (known := self._known(prompt, grammar)) is not None:
            return known
        async with self._lock:  # who says the same at the same time finds the answer of the first
            if (known := self._known(prompt, grammar)) is not None:
                return known
            before = self._model.fingerprint
            completion = await self._model.complete(prompt, grammar)
            if (
                before == self._model.fingerprint
            ):  # else another model was loaded meanwhile, and either may have answered
                self._cache.put(before, prompt, grammar, completion)
        return completion

    def _known(self, prompt: str, grammar: str) -> Completion | None:
        return self._cache.get(self._model.fingerprint, prompt, grammar)


class Sharing:
    """Asks the model only while no other one works on the same cores."""

    def __init__(self, model: Known, cores: asyncio.Semaphore) -> None:
        self._model = model
        self._cores = cores

    @property
    def fingerprint(self) -> str:
        return self._model.fingerprint

    async def complete(self, prompt: str, grammar: str) -> Completion:
        """Raises ModelError."""
        async with self._cores:
            return await self._model.complete(prompt, grammar)


@asynccontextmanager
async def open_completer(settings: Settings, completer: Completer | None = None) -> AsyncIterator[Completer]:
    """The language model in its own process, loaded; or the one that stands in for it. Raises ModelError."""
    if completer is not None:
        yield completer
        return
    async with open_model(resolve_model(settings.model.file), settings.model.threads, settings.folder()) as model:
        yield model


@asynccontextmanager
async def remembered(model: Known, folder: Path, cores: asyncio.Semaphore) -> AsyncIterator[Completer]:
    """The same model, which is not asked twice for the same words, and works only while it holds `cores`."""
    with ParseCache(folder / PARSES) as cache:
        yield Remembering(Sharing(model, cores), cache)


@asynccontextmanager
async def open_model(file: Path, threads: int, folder: Path | None = None) -> AsyncIterator[Dialect]:
    """A model file in its own process, loaded; beside it the one that ships where it can guess for it. Raises ModelError."""
    async with Worker(file, threads=threads, primer=primer(folder)) as worker:
        await worker.start()
        if not worker.primed:
            yield Dialect(worker)
            return
        async with Worker(default_model()) as quick:
            yield Dialect(worker, quick)
