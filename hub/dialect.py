"""How a model is spoken to that does not know our line: in plain words after examples, as few tokens as say the same.

turn on the lamp in the kitchen = turn on|what lamp in the kitchen
close the blinds and lock the front door = close|what blinds; lock|what front door
"""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from pathlib import Path

from intents.line import AND, SLOTS
from intents.prompt import ASK
from models import ModelError
from models.completion import Completion, Primer
from models.worker import Worker

log = logging.getLogger(__name__)

# The intents that are often wanted, and where our own model leaves out words.
_EXAMPLES = (
    ("turn on the lamp in the kitchen", "<turn_on><what> lamp in the kitchen"),
    (
        "switch everything off upstairs except the hall light",
        "<turn_off><what> everything<where> upstairs<but> hall light",
    ),
    ("set the bedroom lamp to thirty percent", "<set><what> bedroom lamp<to> thirty percent"),
    ("make the living room warmer by two degrees", "<set_temperature><up><where> living room<by> two degrees"),
    ("close the blinds and lock the front door", "<close><what> blinds<and><lock><what> front door"),
    ("is the garage door open", "<get_state><what> garage door<state> open"),
    ("how warm is it in the office", "<get_temperature><where> office"),
    ("set a timer of ten minutes for the eggs", "<timer_start><for> ten minutes<called> eggs"),
    ("put milk on the shopping list", "<list_add><item> milk<list> shopping list"),
    ("tell me a joke about cats", "<none>"),
)
_BEFORE, _THEN, _END = "\n", " =", "\n"
_SYMBOL = re.compile(r"<([a-z_]+)>")


class Dialect:
    """A worker spoken to as its model knows it: in our symbols or, where it was not trained on them, in text after examples.

    A model of that kind is large and slow. `quick`, a model that knows our line, then writes a guess in a moment: the large
    one reads it at once with the words, and only writes what it would say otherwise.
    """

    def __init__(self, worker: Worker, quick: Worker | None = None) -> None:
        self._worker = worker
        self._quick = quick

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes that hold the models."""
        return tuple(w.pid for w in (self._worker, self._quick) if w is not None and w.pid is not None)

    @property
    def fingerprint(self) -> str:
        return self._worker.fingerprint

    async def complete(self, prompt: str, grammar: str) -> Completion:
        """Raises ModelError."""
        if not self._worker.primed:
            return await self._worker.complete(prompt, grammar)
        guess = await self._guess(prompt, grammar)
        found = await self._worker.complete(asked(prompt), spelled(grammar), guess=guess)
        return replace(found, text=line_in(found.text))

    async def _guess(self, prompt: str, grammar: str) -> str:
        """A guess that fails is none, and no failure of the command."""
        if self._quick is None:
            return ""
        try:
            return guessed((await self._quick.complete(prompt, grammar)).text)
        except ModelError as error:
            log.warning("no guess for the large model: %s", error)
            return ""


def primer(folder: Path | None) -> Primer:
    """The examples for a model that does not know our line; what it made of them is kept in `folder`."""
    head = "What is said to a smart home, and what it means."
    examples = "".join(f"{_BEFORE}{said}{_THEN}{guessed(line)}" for said, line in _EXAMPLES)
    return Primer(f"{head}{examples}{_BEFORE}", ASK, folder)


def asked(prompt: str) -> str:
    """What is read behind the examples in the place of `prompt`."""
    return f"{prompt.removesuffix(ASK)}{_THEN}"


def told(line: str) -> str:
    """A line as such a model writes it, with its end."""
    return _SYMBOL.sub(lambda symbol: _plain(symbol[1]), line) + _END


def guessed(line: str) -> str:
    """A line as a guess at what such a model writes: without the end, behind which nothing has to be known."""
    return told(line).removesuffix(_END)


def line_in(text: str) -> str:
    """Our line in what such a model has written; the inverse of `told`."""
    return f"<{AND}>".join(_order(part) for part in text.removesuffix(_END).split(";"))


def _order(part: str) -> str:
    intent, *slots = part.split("|")
    named = (slot.partition(" ") for slot in slots)
    return f"<{intent.strip().replace(' ', '_')}>" + "".join(f"<{name}>{space}{span}" for name, space, span in named)


def spelled(grammar: str) -> str:
    """The grammar for a vocabulary without our symbols: they are words, and the end of the line is a choice of its own."""
    start, rest = grammar.split("\n", 1)
    whole = f'start: whole "\\n"\nwhole: {start.removeprefix("start: ")}\n{rest}'
    return _SYMBOL.sub(lambda symbol: f'"{_plain(symbol[1])}"', whole)


def _plain(symbol: str) -> str:
    if symbol == AND:
        return ";"
    return f"|{symbol}" if symbol in SLOTS else f" {symbol.replace('_', ' ')}"
