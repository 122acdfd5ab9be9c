"""A sentence read again where the model is not sure of it: without its opening words, and order by order.

A small model loses its place among four orders, and reads each of them well alone. What it is sure of stays whole: orders
often share a verb, a thing or a value, which a cut would take from one of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from intents.line import AND, NONE

# Hands over words, gives the model's line and how sure it is, 0 to 1.
Complete = Callable[[list[str]], Awaitable[tuple[str, float]]]

SURE = 0.7  # what is read with this confidence is not read again
GAIN = 0.1  # by which the least sure piece has to be surer than the whole
MOST = 6  # cuts: each pair of them is a piece to be read, 28 at most
_GLUE = frozenset({"and", "then", "also", "plus"})
_BEFORE = _GLUE | {"please"}
_OPENING = _BEFORE | frozenset("right now so ok okay well hey um uh er oh just lets alright listen first quick".split())


async def reread(said: Sequence[str], complete: Complete, line: str, confidence: float) -> tuple[str, float]:
    """The line of the whole sentence and its confidence, or those of a surer reading of the same words."""
    if confidence >= SURE:
        return line, confidence
    for other in (_bare, _in_parts):
        again, sure = await other(said, complete)
        if sure > confidence + GAIN:
            line, confidence = again, sure
    return line, confidence


async def _bare(said: Sequence[str], complete: Complete) -> tuple[str, float]:
    """Without the words that only begin a sentence; no reading where there are none."""
    start = next((n for n, word in enumerate(said) if word not in _OPENING), 0)
    return await _piece(said[start:], complete) if start else ("", 0.0)


async def _in_parts(said: Sequence[str], complete: Complete) -> tuple[str, float]:
    """The best reading in two pieces or more: that whose least sure piece is the surest; none where nothing joins any."""
    places = [0, *_cuts(said), len(said)]
    if not 3 <= len(places) <= MOST + 2:
        return "", 0.0
    # The best way to read the words up to each place: the least confidence in it, their product, the lines.
    best: dict[int, tuple[float, float, tuple[str, ...]]] = {0: (1.0, 1.0, ())}
    for end in range(1, len(places)):
        ways = []
        for start in range(end):
            if (start, end) == (0, len(places) - 1):
                continue
            piece, sure = await _piece(said[places[start] : places[end]], complete)
            least, product, lines = best[start]
            ways.append((min(least, sure), product * sure, (*lines, piece)))
        best[end] = max(ways)
    least, _, lines = best[len(places) - 1]
    return f"<{AND}>".join(lines), least


async def _piece(said: Sequence[str], complete: Complete) -> tuple[str, float]:
    """A piece without what joined it; one that asks for nothing is no reading at all."""
    rest = list(said)
    while len(rest) > 1 and (rest[0] in _BEFORE or rest[:2] == ["after", "that"]):
        del rest[: 2 if rest[0] == "after" else 1]
    line, confidence = await complete(rest)
    return line, 0.0 if line == f"<{NONE}>" else confidence


def _cuts(said: Sequence[str]) -> list[int]:
    """Where one order may end and another begin: before a word that joins them, the first of several such words."""
    return [
        i
        for i in range(1, len(said) - 1)
        if (said[i] in _GLUE and said[i - 1] not in _GLUE) or list(said[i : i + 2]) == ["after", "that"]
    ]
