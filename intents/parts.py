"""A sentence read again where the model is not sure of it: without its opening words, and order by order.

A small model loses its place among four orders, and reads each of them well alone. What it is sure of stays whole: orders
often share a verb, a thing or a value, which a cut would take from one of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from intents.line import AND, FLAGS, NONE, LineError, Parse, places, read, write
from intents.values import duration

# Hands over words, gives the model's line and how sure it is, 0 to 1.
Complete = Callable[[list[str]], Awaitable[tuple[str, float]]]

SURE = 0.9  # what is read with this confidence is not read again
GAIN = 0.05  # by which the least sure piece has to be surer than the whole
DOUBT = 0.15  # what a confidence is worth where the line cannot be right; alone not enough to act on
MOST = 9  # cuts: each pair of them is a piece to be read, 54 at most
# With what orders begin that nothing joins to the one before: "lights off lock the door".
VERBS = frozenset(
    "turn switch set open close lock unlock dim make start stop play pause put add change raise lower increase decrease mute "
    "activate shut cancel resume brighten skip vacuum clean reduce".split()
)
_GLUE = frozenset("and then also plus next finally oh".split())
_BEFORE = _GLUE | {"please", "now", "just"}
# What joins two orders, and what asks for the second of them, in several words.
_JOINING = (("after", "that"), ("as", "well", "as", "that"))
_ASKING = (("can", "you"), ("could", "you"), ("would", "you"))
_PHRASES = (*_JOINING, ("as", "well", "as"), *_ASKING)
_UNSPLIT = _GLUE | frozenset("to you please not don't".split())  # a verb behind one of these begins nothing
_OPENING = _BEFORE | frozenset("right so ok okay well hey um uh er lets alright listen first quick".split())


async def reread(said: Sequence[str], complete: Complete, line: str, confidence: float) -> tuple[str, float]:
    """The line of the whole sentence and its confidence, or those of a surer reading of the same words."""
    confidence = _believed(said, line, confidence)
    if confidence >= SURE:
        return line, confidence
    for other in (_bare, _lasting, _in_parts):
        again, sure = await other(said, complete)
        sure = _believed(said, again, sure)
        if sure > confidence + GAIN:
            line, confidence = again, sure
    return line, confidence


def _believed(said: Sequence[str], line: str, confidence: float) -> float:
    """The confidence, or next to none where the words themselves speak against the line.

    Of two hundred generated lines that were doubted so, one was right.
    """
    try:
        parses = read(line)
    except LineError:
        return confidence
    doubted = any(speaks(said, parses) for speaks in (_muddled, _unread, _contrary, _mistimed))
    return confidence * DOUBT if doubted else confidence


# What an order is about, where it is about anything.
_NOUNS = ("what", "query", "item", "message")


def _muddled(said: Sequence[str], parses: Sequence[Parse]) -> bool:
    """Whether things are named out of their order, or one that was named once is in two orders."""
    reached = -1
    for noun in [parse.slots[slot].split() for parse in parses for slot in _NOUNS if slot in parse.slots]:
        at = next((at for at in places(said, noun) if at > reached), None)
        if at is None and len(parses) > 1:
            return True
        reached = reached if at is None else at
    return False


def _unread(said: Sequence[str], parses: Sequence[Parse]) -> bool:
    """Whether more clauses have no word in the line than it has orders without any: "lights off and then let Rosie out"."""
    spans = [[span.split() for slot, span in parse.slots.items() if slot not in FLAGS] for parse in parses]
    runs = [(at, span) for order in spans for span in order for at in places(said, span)]
    known = {n for at, span in runs for n in range(at, at + len(span))}
    starts = _joints(said)
    clauses = [range(start, end) for start, end in zip(starts, [*starts[1:], len(said)], strict=False)]
    unread = [
        c for c in clauses if not known & set(c) and sum(said[n] not in _BEFORE for n in c) > 1 and not _left(said, c)
    ]
    return bool(parses) and len(unread) > sum(not order for order in spans)


def _left(said: Sequence[str], clause: range) -> bool:
    """Whether the clause only says what is to stay as it is: "and leave the blind alone"."""
    first = next((said[n] for n in clause if said[n] not in _BEFORE), "")
    return first in ("leave", "don't", "not")


# What stands behind a thing that is to be the other way round than the order has it.
_CONTRARY = {"turn_on": "off", "turn_off": "on"}
_GOES_ON = frozenset("the my our a an this that top at in".split())  # "lights off on the top floor"


def _contrary(said: Sequence[str], parses: Sequence[Parse]) -> bool:
    """Whether a thing goes off of which the words say on, wherever they name it: "patio lights on sprinkler off"."""
    for parse in parses:
        what = parse.slots.get("what", "").split()
        if not what or parse.intent not in _CONTRARY:
            continue
        behind = [[*said[at + len(what) :], "", ""][:2] for at in places(said, what)]
        if behind and all(word == _CONTRARY[parse.intent] and after not in _GOES_ON for word, after in behind):
            return True
    return False


_FOR_A_WHILE = frozenset({"turn_on", "turn_off", "open", "close"})


def _while(said: Sequence[str]) -> int:
    """Where "for ten minutes" begins at the end of the words; 0 where they end otherwise."""
    at = len(said) - 1 - said[::-1].index("for") if "for" in said else 0
    return at if at > 1 and duration(" ".join(said[at + 1 :])) else 0


def _mistimed(said: Sequence[str], parses: Sequence[Parse]) -> bool:
    """Whether what is to last for a while was taken for what is to begin after it: "close the gate for an hour"."""
    at = _while(said)
    switched = {"open", "close", "shut", "turn", "switch"} & set(said) and not {"timer", "alarm"} & set(said)
    late = [parse for parse in parses if parse.intent in ("delayed_command", "timer_start")]
    return bool(at and switched and late and late[0].slots.get("for", "").split() == list(said[at + 1 :]))


async def _lasting(said: Sequence[str], complete: Complete) -> tuple[str, float]:
    """What is to last for a while, read without it; no reading where that is no order that can."""
    at = _while(said)
    line, confidence = await _piece(said[:at], complete) if at else ("", 0.0)
    try:
        parses = read(line) if line else ()
    except LineError:
        return "", 0.0
    if len(parses) != 1 or parses[0].intent not in _FOR_A_WHILE:
        return "", 0.0
    lasting = {**parses[0].slots, "for": " ".join(said[at + 1 :])}
    return write([replace(parses[0], slots=lasting)]), confidence


async def _bare(said: Sequence[str], complete: Complete) -> tuple[str, float]:
    """Without the words that only begin a sentence; no reading where there are none."""
    start = next((n for n, word in enumerate(said) if word not in _OPENING), 0)
    return await _piece(said[start:], complete) if start else ("", 0.0)


async def _in_parts(said: Sequence[str], complete: Complete) -> tuple[str, float]:
    """The best reading in two pieces or more: that whose least sure piece is the surest; none where nothing joins any."""
    ends = [0, *_cuts(said), len(said)]
    if not 3 <= len(ends) <= MOST + 2:
        return "", 0.0
    # The best way to read the words up to each place: the least confidence in it, their product, the lines.
    best: dict[int, tuple[float, float, tuple[str, ...]]] = {0: (1.0, 1.0, ())}
    for end in range(1, len(ends)):
        ways = []
        for start in range(end):
            if (start, end) == (0, len(ends) - 1):
                continue
            piece, sure = await _piece(said[ends[start] : ends[end]], complete)
            least, product, lines = best[start]
            ways.append((min(least, sure), product * sure, (*lines, piece)))
        best[end] = max(ways)
    least, _, lines = best[len(ends) - 1]
    return f"<{AND}>".join(lines), least


async def _piece(said: Sequence[str], complete: Complete) -> tuple[str, float]:
    """A piece without what joined it; one that asks for nothing is no reading at all."""
    rest = tuple(said)
    while (lead := _lead(rest)) and len(rest) > lead:
        rest = rest[lead:]
    line, confidence = await complete(list(rest))
    return line, 0.0 if line == f"<{NONE}>" else confidence


def _lead(said: tuple[str, ...]) -> int:
    """How many of the first words only join what follows to something."""
    if said[0] in _BEFORE:
        return 1
    return next((len(phrase) for phrase in _PHRASES if said[: len(phrase)] == phrase), 0)


def _joints(said: Sequence[str]) -> list[int]:
    """Where words join one order to another: before the first of several such words."""
    return [
        i
        for i in range(1, len(said) - 1)
        if (said[i] in _GLUE and said[i - 1] not in _GLUE)
        or any(tuple(said[i : i + len(phrase)]) == phrase for phrase in _JOINING)
    ]


def _cuts(said: Sequence[str]) -> list[int]:
    """Where one order may end and another begin: at what joins them, or at a verb that nothing joins to what is before it."""
    cuts = set(_joints(said))
    for verb in (i for i in range(2, len(said) - 1) if said[i] in VERBS):
        asked = verb - 2 if tuple(said[verb - 2 : verb]) in _ASKING else verb
        begin = asked - 1 if said[asked - 1] == "please" else asked
        if begin > 0 and said[begin - 1] not in _UNSPLIT and not {begin - 1, begin - 2} & cuts:
            cuts.add(begin)
    return sorted(cuts)
