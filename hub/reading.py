"""The bridge between the two that do not know each other: words to the model's line, timed."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

from hub.settings import Settings
from intents.grammar import grammar
from intents.line import NONE
from intents.prompt import ASK, prompt
from models.completion import Completion
from models.files import resolve_model
from models.worker import Worker


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
        """The line, and how sure the model is of it. Raises ModelError."""
        started = time.perf_counter()
        completion = await self._completer.complete(prompt(words), grammar(words))
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


@asynccontextmanager
async def open_completer(settings: Settings, completer: Completer | None = None) -> AsyncIterator[Completer]:
    """The language model in its own process, loaded. Raises ModelError."""
    if completer is not None:
        yield completer
        return
    async with Worker(resolve_model(settings.model.file), threads=settings.model.threads) as worker:
        await worker.start()
        yield worker
