"""Questions that are not for the home, answered on the device by a chat model of the TinyLlama family, where one is set.

The model is loaded when it is first asked and dropped when nobody has asked it for a while. What it says is only said:
nothing in the house is done by it.
"""

from __future__ import annotations

import asyncio
import os
import re
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from models.worker import Worker

IDLE = 600.0  # seconds without a question until 0.7 GB of memory are given back
NICE = 10
LONGEST = 300  # characters of an answer, which take TinyLlama five seconds on two desktop cores
# The chat form of TinyLlama-1.1B-Chat-v1.0 (its model card), which is that of Zephyr.
_FORM = "<|system|>\n{system}</s>\n<|user|>\n{question}</s>\n<|assistant|>\n"
_SYSTEM = "You answer questions that are asked aloud at home. Answer in one or two short sentences. Say so when you do not know."
# Letters of Europe only, so that none is more than two tokens.
_ANSWER = f"start: /[ -;=-~\u00a1-\u024f]{{1,{LONGEST}}}/\n"
_ASKS = frozenset(
    "what what's who who's whom whose when when's where where's which why how how's is are was were do does did can could "
    "should would will tell explain describe define name".split()
)
_POLITE = frozenset("please hey ok okay so and well um uh".split())


def is_question(text: str) -> bool:
    """Whether somebody asks something: not every word that is said in a room wants an answer."""
    said = [word for word in re.findall(r"[\w']+", text.lower()) if word not in _POLITE]
    return len(said) > 1 and (said[0] in _ASKS or text.rstrip().endswith("?"))


class Talker:
    """The chat model in `file`. Calls wait for each other."""

    def __init__(self, file: Path, threads: int = 1, *, idle: float = IDLE) -> None:
        self._file = file
        self._threads = threads
        self._idle = idle
        self._lock = asyncio.Lock()
        self._worker: Worker | None = None
        self._dropping: asyncio.Task[None] | None = None

    async def answer(self, question: str) -> str:
        """A sentence or two. Raises ModelError."""
        # What would end the question in the form is not said aloud; typed, it is taken out.
        asked = _FORM.format(system=_SYSTEM, question=re.sub(r"[<>|\s]+", " ", question).strip())
        async with self._lock:
            self._stay()
            self._worker = self._worker or Worker(self._file, threads=self._threads)
            try:
                await self._worker.start()
                _let_others_first(self._worker.pid)
                found = await self._worker.complete(asked, _ANSWER, 2 * LONGEST)
            finally:
                self._dropping = asyncio.create_task(self._drop())
        return _whole(found.text)

    @property
    def pid(self) -> int | None:
        """The process that holds the model, while there is one."""
        return self._worker.pid if self._worker else None

    async def close(self) -> None:
        """Harmless when done twice."""
        self._stay()
        async with self._lock:
            await self._unload()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, e: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    def _stay(self) -> None:
        if self._dropping is not None:
            self._dropping.cancel()
            self._dropping = None

    async def _drop(self) -> None:
        await asyncio.sleep(self._idle)
        self._dropping = None  # from here on nobody cancels this
        async with self._lock:
            await self._unload()

    async def _unload(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            await worker.close()


def _let_others_first(pid: int | None) -> None:
    """An answer takes seconds: a command that is said meanwhile, in another room, must not wait for it."""
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            os.setpriority(os.PRIO_PROCESS, int(task.name), NICE)


def _whole(text: str) -> str:
    """Without the sentence that it broke off in, where one came before it."""
    text = " ".join(text.split())
    if len(text) < LONGEST or text.endswith((".", "!", "?")):
        return text
    ended = re.match(r".*[.!?](?= )", text)
    return ended[0] if ended else f"{text}..."
