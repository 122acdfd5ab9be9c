"""A small language for sentence templates, and its sampler.

    (turn|switch) on {the} {what:lamp} [now]

`(a|b)` is a choice, `[a]` is there or not, `{filler}` is replaced by a word of that filler, and `{slot:filler}` as
well, with its words remembered as the slot's span. Fillers are templates themselves.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Filler = Callable[[random.Random], str]
# A node is a text, a choice of sequences, or a hole: (slot or None, filler).
Node = str | list["Sequence"] | tuple[str | None, str]
Sequence = list[Node]

_TOKEN = re.compile(r"[()\[\]|]|\{[^}]*\}|[^()\[\]|{}]+")


def parse(template: str) -> Sequence:
    """The tree of a template. Raises ValueError where brackets do not close."""
    tokens = _TOKEN.findall(template)
    tree, rest = _sequence(tokens, 0, None)
    if rest != len(tokens):
        raise ValueError(f"brackets do not match in {template!r}")
    return tree


def _sequence(tokens: list[str], at: int, closing: str | None) -> tuple[Sequence, int]:
    choices, at = _choices(tokens, at, closing)
    return (choices[0] if len(choices) == 1 else [choices]), at


def _choices(tokens: list[str], at: int, closing: str | None) -> tuple[list[Sequence], int]:
    choices: list[Sequence] = [[]]
    while at < len(tokens) and tokens[at] not in (")", "]"):
        token = tokens[at]
        at += 1
        if token == "|":
            choices.append([])
        elif token in "([":
            inner, at = _choices(tokens, at, ")" if token == "(" else "]")
            choices[-1].append(inner if token == "(" else [*inner, *([[]] * len(inner))])
        elif token.startswith("{"):
            slot, _, filler = token[1:-1].rpartition(":")
            choices[-1].append((slot or None, filler))
        else:
            choices[-1].append(token)
    if closing is not None:
        if at >= len(tokens) or tokens[at] != closing:
            raise ValueError(f"a {closing!r} is missing")
        at += 1
    return choices, at


class Dice(random.Random):
    """A source of chance under which some families of sentences never come up, so that they are new to what is trained."""

    def __init__(self, seed: int, held: frozenset[str] = frozenset()) -> None:
        super().__init__(seed)
        self.held = held


@dataclass(frozen=True, slots=True)
class Phrase:
    """A sampled sentence, with the words of its slots."""

    text: str
    slots: dict[str, str]


class Sampler:
    """Draws phrases from templates, with fillers by name."""

    def __init__(self, fillers: Mapping[str, Filler | str]) -> None:
        self._fillers = fillers
        self._trees: dict[str, Sequence] = {}

    def extended(self, fillers: Mapping[str, Filler | str]) -> Sampler:
        """A sampler with these fillers too."""
        return Sampler({**self._fillers, **fillers})

    def draw(self, template: str, rng: random.Random) -> Phrase:
        tree = self._trees.get(template)
        if tree is None:
            tree = self._trees[template] = parse(template)
        parts: list[str] = []
        slots: dict[str, str] = {}
        self._walk(tree, rng, parts, slots)
        return Phrase(squeeze("".join(parts)), {k: squeeze(v) for k, v in slots.items()})

    def fill(self, name: str, rng: random.Random) -> str:
        filler = self._fillers[name]
        return filler(rng) if callable(filler) else self.draw(filler, rng).text

    def _walk(
        self,
        tree: Sequence,
        rng: random.Random,
        parts: list[str],
        slots: dict[str, str],
    ) -> None:
        for node in tree:
            if isinstance(node, str):
                parts.append(node)
            elif isinstance(node, tuple):
                slot, name = node
                text = self.fill(name, rng)
                parts.append(text)
                if slot:
                    slots[slot] = text
            else:
                self._walk(rng.choice(node), rng, parts, slots)


def squeeze(text: str) -> str:
    return " ".join(text.split())
