"""Sentences that change on the way: corrected, begun anew, given up, cut off, or with something that is not to be done."""

from __future__ import annotations

import random

from intents.corpus.common_home import some_home
from intents.corpus.orders import ORDERS, ROWS, order, spoken
from intents.line import Parse

_NO = "no|no wait|sorry|no sorry|wait no|actually|actually no|i mean|no i mean|no i meant|oops|hang on|correction|or rather|scratch that|uh no|make that|i meant"
_NEW_VALUE = "no|no wait|actually make it|make that|i mean|no i meant|or rather|no make it|actually|sorry i mean|hmm make it|better"
_GIVEN_UP = "never mind|no forget it|forget it|no don't|oh never mind|scratch that|no leave it|cancel that|actually never mind|no wait don't|on second thought no"
_TRUNCATED = "turn on the|turn off the|turn the|set the|open the|close the|turn on|switch off|could you|i want|turn up the|can you turn|set|play|dim the|lock"
_NOT = "don't|do not|please don't"
_UNDONE = "don't|do not|but don't|but do not|just don't|please don't"
# Where a sentence may break off: after a word that wants another one.
_DANGLING = frozenset("to the my our at in of for by from a an with and".split())


def _pick(words: str, rng: random.Random) -> str:
    return rng.choice(words.split("|"))


def mended(rng: random.Random) -> tuple[str, list[Parse]]:
    """An order that is put right before it ends: what was said last is what is meant."""
    r = rng.random()
    if r < 0.55:
        return _corrected(rng)
    if r < 0.70:
        text, parse = order(rng)
        return f"{_pick(_TRUNCATED, rng)} {_pick(_NO, rng)} {text}", [parse]
    if r < 0.88:
        (before, _), (text, parse) = order(rng), order(rng)
        return f"{before} {_pick(_NO, rng)} {text}{rng.choice(('', '', ' instead'))}", [parse]
    return f"{order(rng)[0]} {_pick(_GIVEN_UP, rng)}", [Parse("nevermind")]


_CORRECTABLE = ("what", "to", "where", "for", "called", "query", "item", "at")


def _corrected(rng: random.Random) -> tuple[str, list[Parse]]:
    """One slot said wrong, then right."""
    while True:
        row = (ORDERS if rng.random() < 0.75 else ROWS).draw(rng)
        (text, parse), (_, other) = spoken(row, rng), spoken(row, rng)
        slots = [s for s in _CORRECTABLE if s in parse.slots and parse.slots[s] != other.slots.get(s, parse.slots[s])]
        if row.intent == "delayed_command" or not slots:
            continue
        slot = rng.choice(slots)
        right = other.slots[slot]
        if slot == "what" and row.intent in ("turn_on", "turn_off", "open", "close") and rng.random() < 0.25:
            right = some_home(rng).fill("room", rng)
        the = f"{some_home(rng).fill('the', rng)} " if slot in ("what", "where", "called") else ""
        if slot == "what" and rng.random() < 0.15:
            said = f"{text} no not {the}{parse.slots[slot]} {the}{right}"
        else:
            tail = rng.choice(("", "", "", " instead", " please"))
            said = f"{text} {_pick(_NO if the else _NEW_VALUE, rng)} {the}{right}{tail}"
        return said, [Parse(parse.intent, {**parse.slots, slot: right})]


def declined(rng: random.Random) -> tuple[str, list[Parse]]:
    """An order beside something that is not to be done, or that somebody has done already."""
    text, parse = order(rng)
    undone = (
        some_home(rng)
        .draw(
            "(turn on|turn off|open|close|touch|lock|change|dim|start) {the} {switchable}"
            if rng.random() < 0.6
            else "(open|close|lock|unlock|touch) {the} {cover}",
            rng,
        )
        .text
    )
    r = rng.random()
    if r < 0.5:
        return f"{text} {_pick(_UNDONE, rng)} {undone}", [parse]
    if r < 0.8:
        return f"{_pick(_NOT, rng)} {undone} {_pick('but|just|instead|rather|only', rng)} {text}", [parse]
    done = some_home(rng).draw(
        "(i|she|he|we|{person}) (turned on|turned off|opened|closed|dimmed|locked) {the} {switchable}", rng
    )
    return f"{done.text} {_pick('so|now|so please|and now', rng)} {text}", [parse]


def cut(rng: random.Random) -> tuple[str, list[Parse]]:
    """An order that breaks off before the thing or the value that it is about."""
    while True:
        text, parse = order(rng, ROWS)
        for slot in ("to", "what", "for", "query", "item", "where"):
            span = parse.slots.get(slot)
            if not span or f" {span}" not in text:
                continue
            begun = text[: text.index(f" {span}")].split()
            if len(begun) > 1 and begun[-1] in _DANGLING and (slot != "where" or begun[-1] != "in"):
                return " ".join(begun), []
