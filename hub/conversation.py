"""What was said a moment ago in a room: what "it" means, and the question that is still open.

Pure but for the memory itself; times are seconds of any clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from devices.device import Device
from intents.homes import Home
from intents.intent import Because, Outcome, Resolution, Trouble, Wish
from intents.line import Parse, words
from intents.resolve import resolve
from intents.understand import Understanding

REMEMBERS = 120.0  # seconds; after that "it" is a new thing, and the question is forgotten
_FILLING = frozenset("the a an one ones please in on of at i mean meant that thing i'd said uh um no well yes".split())
_ALL = frozenset({"both", "all", "every", "everything"})
_IT = frozenset({"it", "them", "that", "those"})
_TO_THINGS = ("set_", "turn_", "toggle", "open", "close", "lock", "unlock")
_ORDINALS = ("first", "second", "third", "fourth")


@dataclass(frozen=True, slots=True)
class Question:
    """An open "which one?": the sentence as it was read, and the trouble that has to be cleared up."""

    text: str
    parses: tuple[Parse, ...]
    trouble: Trouble
    at: float


class Conversation:
    """The memory of one room."""

    def __init__(self) -> None:
        self._targets: tuple[str, ...] = ()
        self._at = float("-inf")
        self._question: Question | None = None

    def targets(self, now: float) -> tuple[str, ...]:
        """The devices of the last command, where that was just now."""
        return self._targets if now - self._at <= REMEMBERS else ()

    def remember(self, targets: Sequence[str], now: float) -> None:
        """These are what "it" means from now on; none leaves it as it is."""
        if targets:
            self._targets, self._at = tuple(targets), now

    def ask(self, question: Question) -> None:
        self._question = question

    def take_question(self, now: float) -> Question | None:
        """The open question, which is closed by that: whatever is said now answers it or is something new."""
        question, self._question = self._question, None
        return question if question is not None and now - question.at <= REMEMBERS else None


def refer(found: Understanding, said: str, home: Home, area: str | None, last: Sequence[str]) -> Understanding:
    """The same, with "it" put back where the line left it out ("dim it to 40" read as `<set_brightness><to> 40`)."""
    if not last or not found.parses or not _IT & set(words(said)):
        return found
    first, *others = found.parses
    if not first.intent.startswith(_TO_THINGS) or first.slots.keys() & {"what", "where"}:
        return found
    resolution = resolve([_pointing(first), *others], home, area=area, last=last)
    return found if resolution.trouble is not None else replace(found, resolution=resolution)


def settle(question: Question, answer: str, home: Home, area: str | None) -> Resolution | None:
    """What the sentence of the question means with this answer; None where it is no answer to it."""
    candidates = [d for i in question.trouble.candidates if (d := home.device(i)) is not None]
    chosen = choose(answer, candidates, several=question.trouble.because is Because.WHICH_ROOM)
    if not chosen:
        return None
    wishes: list[Wish] = []
    unclear = _unclear(question)
    for number, parse in enumerate(question.parses):
        last = tuple(d.id for d in chosen) if number == unclear else wishes[-1].targets if wishes else ()
        resolution = resolve([_pointing(parse) if number == unclear else parse], home, area=area, last=last)
        if resolution.trouble is not None:
            return resolution
        wishes += resolution.wishes
        outcome = resolution.outcome
    return Resolution(outcome if len(wishes) == 1 else Outcome.ACT, tuple(wishes))


def _unclear(question: Question) -> int:
    """Which of the parses the question is about."""
    trouble = question.trouble
    alike = [n for n, p in enumerate(question.parses) if p.intent == trouble.intent]
    exact = [n for n in alike if trouble.words and trouble.words in question.parses[n].slots.values()]
    return (exact or alike or [0])[0]


def _pointing(parse: Parse) -> Parse:
    """The same, said of "it"."""
    kept = {slot: text for slot, text in parse.slots.items() if slot not in ("what", "where", "but")}
    return replace(parse, slots={"what": "it", **kept})


def choose(text: str, candidates: Sequence[Device], *, several: bool = False) -> list[Device]:
    """The devices that an answer to "which one?" names; none where it is no such answer.

    With `several` it may name a room, and all the candidates in it are meant.
    """
    said = words(text)
    if _ALL & set(said) and len(said) <= 4:
        return list(candidates)
    if len(said) <= 3:
        for place, ordinal in enumerate(_ORDINALS[: len(candidates)]):
            if ordinal in said:
                return [candidates[place]]
    telling = [w for w in said if w not in _FILLING]
    if not telling:
        return []
    exact = [d for d in candidates if any(telling == _telling(name) for name in (d.name, *d.aliases, d.area or ""))]
    fitting = exact or [d for d in candidates if set(telling) <= _known_words(d)]
    return fitting if several or len(fitting) == 1 else []


def _telling(name: str) -> list[str]:
    return [w for w in words(name) if w not in _FILLING]


def _known_words(device: Device) -> set[str]:
    texts = (device.name, *device.aliases, device.area or "", device.floor or "", device.kind.value.replace("_", " "))
    return {word for text in texts for word in words(text)}
