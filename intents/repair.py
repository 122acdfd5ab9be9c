"""What the model copied a little wrong, put right by what the words themselves say: each of them belongs to one slot."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from intents.line import Parse, places
from intents.values import duration, number

Words = Sequence[str]

# What is played, as people call it; "tv show" before "show".
CLASSES = tuple(
    tuple(name.split())
    for name in (
        "tv show|tv series|radio station|radio show|audio book|album|artist|audiobook|band|episode|film|movie|playlist|"
        "podcast|series|show|singer|song|station|track"
    ).split("|")
)
# How a thing can be, in one word, where a question says so behind its name.
_STATES = frozenset(
    "open closed shut on off locked unlocked gone home away running playing charging connected wet dry ajar".split()
)
_AMOUNT = re.compile(r"(?P<what>.+?) (?P<amount>(?:(?!the\b)\S+ ){1,3}(?:degrees?|percent|%))")
_EXCEPTING = frozenset(
    "except excepting but besides apart other excluding aside save not without only leave minus bar".split()
)
_SMALL = frozenset("a an the some any my this that another more".split())
# What stands between the verb and the title, and behind the title.
_AFTER_PLAY = frozenset("me us on to some a bit of now please".split())
_CLOSING = frozenset(
    "please now on in at from through via over by the my our this that thanks again for me us tonight today right".split()
)
_PLAY = frozenset("play put start watch stream listen hear see shuffle queue".split())


def repaired(parse: Parse, said: Words, *, alone: bool = True) -> Parse:
    """The parse of the words that were said, with each word in one slot and values whole.

    `alone`: it is the only order of the sentence, so that words of no slot are nobody else's.
    """
    for repair in (_opened, _delay, _state, _amount, _exception, _place, _lasting):
        parse = repair(parse, said)
    parse = _step(parse, said) if alone else parse
    return _played(parse, said, alone)


def count(said: Words, run: Words) -> int:
    """How often the run of words occurs among the words."""
    return sum(1 for _ in places(said, run))


_OPENS = {"turn_on": "open", "turn_off": "close"}
_LIGHT = frozenset("light lights lamps lighting".split())


def _opened(parse: Parse, said: Words) -> Parse:
    """Who opens a plug does not switch it on; the light is what people of other tongues open and close."""
    verb, what = _OPENS.get(parse.intent, ""), _span(parse, "what")
    if not verb or not what or _LIGHT & set(what):
        return parse
    befores = [next((w for w in reversed(said[:at]) if w not in _SMALL), "") for at in places(said, what)]
    return replace(parse, intent=verb) if befores and set(befores) == {verb} else parse


def _delay(parse: Parse, _: Words) -> Parse:
    """The delay is no part of what is to be done after it."""
    command, delay = parse.slots.get("command", ""), parse.slots.get("for", "")
    rest = without_delay(command, delay) if delay else ""
    return _with(parse, command=rest) if rest else parse


def without_delay(command: str, delay: str) -> str:
    """The order that is put off, without the delay where it was copied along: it is not to be put off twice."""
    for word in ("in", "after"):
        command = command.removesuffix(f" {word} {delay}").removeprefix(f"{word} {delay} ")
    return command


def _state(parse: Parse, said: Words) -> Parse:
    """Whether "the garage open" is open, the "bedroom maximum" at maximum: the state or value is no part of the name."""
    what = _span(parse, "what")
    for slot in ("state", "to"):
        span = _span(parse, slot)
        if span and len(what) > len(span) and what[-len(span) :] == span and count(said, span) == 1:
            return _with(parse, what=" ".join(what[: -len(span)]))
    if (
        parse.intent == "get_state"
        and len(what) > 1
        and what[-1] in _STATES
        and said[-1] == what[-1]
        and "state" not in parse.slots
    ):
        return _with(parse, what=" ".join(what[:-1]), state=what[-1])
    return parse


def _amount(parse: Parse, _: Words) -> Parse:
    """ "Lower the thermostat three degrees": nothing is called a thermostat three degrees."""
    found = _AMOUNT.fullmatch(parse.slots.get("what", ""))
    if not parse.intent.startswith("set") or {"to", "by"} & parse.slots.keys() or found is None:
        return parse
    what, amount = found["what"].split(), found["amount"].split()
    while amount and number(" ".join(amount[:-1])) is None:
        what.append(amount.pop(0))
    if len(amount) < 2:
        return parse
    slot = "by" if {"up", "down"} & parse.slots.keys() else "to"
    return _with(parse, **{"what": " ".join(what), slot: " ".join(amount)})


_MORE, _LESS = (
    "brighter louder warmer hotter higher faster".split(),
    "dimmer darker quieter softer cooler colder lower slower".split(),
)
_COMPARED = re.compile(rf"(?P<count>(?:\S+ ){{1,3}})(?P<unit>percent|%|degrees?) (?P<how>{'|'.join(_MORE + _LESS)})\b")


def _step(parse: Parse, said: Words) -> Parse:
    """ "Twenty percent dimmer" is a step of so much, also where the model took it for the value or left it out."""
    found = _COMPARED.search(" ".join(said))
    if found is None or not parse.intent.startswith("set") or "by" in parse.slots:
        return parse
    count = found["count"].split()
    while count and number(" ".join(count)) is None:
        count.pop(0)
    by = " ".join((*count, found["unit"]))
    if not count or parse.slots.get("to", by) not in (by, " ".join(count)):
        return parse
    slots = {slot: span for slot, span in parse.slots.items() if slot not in ("to", "up", "down")}
    return replace(parse, slots={**slots, "up" if found["how"] in _MORE else "down": "", "by": by})


def _exception(parse: Parse, said: Words) -> Parse:
    """Nothing is excepted where no word says so: "all lights off in the attic" is about the attic."""
    if "but" not in parse.slots or "where" in parse.slots or _EXCEPTING & set(said):
        return parse
    return _with(_without(parse, "but"), where=parse.slots["but"])


def _place(parse: Parse, said: Words) -> Parse:
    """A room that was copied out of the thing's own name is no place beside it; nor is the whole name, "front door"."""
    what, where = _span(parse, "what"), _span(parse, "where")
    if not where or not what:
        return parse
    if count(what, where) and count(said, where) == 1:
        return _without(parse, "where")
    if len(where) > len(what) and where[-len(what) :] == what and count(said, what) == 1:
        return _with(_without(parse, "where"), what=" ".join(where))
    return parse


def _lasting(parse: Parse, said: Words) -> Parse:
    """All of "1 hour 15 minutes and 30 seconds": a timer for less than was said would ring too early."""
    at = _where(said, _span(parse, "for"))
    if parse.intent != "timer_start" or at is None:
        return parse
    start, end = at
    first = max(range(max(0, start - 4), start + 1), key=lambda n: (duration(" ".join(said[n:end])) or 0, n))
    last = max(range(end, min(len(said), end + 4) + 1), key=lambda n: (duration(" ".join(said[first:n])) or 0, -n))
    return _with(parse, **{"for": " ".join(said[first:last])})


def _played(parse: Parse, said: Words, alone: bool) -> Parse:
    """What is played is one run of words, and of what class it is stands before it or behind it."""
    if parse.intent != "play_media" or "query" not in parse.slots:
        return parse
    run = _where(said, _span(parse, "query"))
    if run is None:
        return parse
    start, end = run
    kind = tuple(_span(parse, "class"))
    for slot in ("class", "where"):  # copied out of the title, where nothing stands between them
        at = _where(said, _span(parse, slot))
        known = slot == "class" and kind in CLASSES
        if at is None or known or (at[0] > end or at[1] < start) or set(said[at[0] : at[1]]) & _PLAY:
            continue
        start, end = min(start, at[0]), max(end, at[1])
    slots = {k: v for k, v in parse.slots.items() if k not in ("class", "where")}
    where = _where(said, _span(parse, "where"))
    if where is not None and (where[0] >= end or where[1] <= start) and not set(said[where[0] : where[1]]) & _PLAY:
        slots["where"] = parse.slots["where"]
    what = _where(said, _span(parse, "what"))
    if what is not None and what[0] < end <= what[1]:  # "the office on the tv" is played on the tv
        rest = [w for w in said[end : what[1]] if w not in ("on", "in", "the", "my")]
        slots = {**slots, "what": " ".join(rest)} if rest else {k: v for k, v in slots.items() if k != "what"}
    if alone:
        start, end = _whole_title(
            said, start, end, [at for at in (_where(said, slots.get(s, "").split()) for s in ("what", "where")) if at]
        )
    query = list(said[start:end])
    bare = query[1:] if query[0] == "the" and len(query) > 1 else query
    if kind in CLASSES and kind not in (tuple(bare[: len(kind)]), tuple(bare[-len(kind) :])):
        name = " ".join(kind)
    else:
        query, name = _classed(query)
        name = name or _beside(said, start, end)
    if name and list(said[end : end + len(name.split())]) == name.split():
        query = bare  # "the Inception movie" is no film called "the Inception"
    slots |= {"class": name} if name else {}
    return replace(parse, slots={**slots, "query": " ".join(query)})


def _whole_title(said: Words, start: int, end: int, others: list[tuple[int, int]]) -> tuple[int, int]:
    """From the verb to where the player or the room is named, or what only closes a sentence."""
    verb = next((n for n in range(start - 1, -1, -1) if said[n] in _PLAY), None)
    taken = {n for a, b in others for n in range(a, b)}
    if verb is not None and not taken & set(range(verb + 1, start)):
        start = next((n for n in range(verb + 1, start) if said[n] not in _AFTER_PLAY), start)
    last = min((a for a, _ in others if a >= end), default=len(said))
    while last > end and said[last - 1] in _CLOSING:
        last -= 1
    return start, last


def _beside(said: Words, start: int, end: int) -> str:
    """The class that stands right behind the title, or right before it."""
    found = (
        n for n in CLASSES if tuple(said[end : end + len(n)]) == n or tuple(said[max(0, start - len(n)) : start]) == n
    )
    return " ".join(next(found, ()))


def _classed(query: list[str]) -> tuple[list[str], str]:
    """ "The movie Inception" and "the Inception movie": the title, and what it is."""
    bare = query[1:] if query[0] in ("the", "my", "some") and len(query) > 1 else query
    for name in CLASSES:
        if len(bare) > len(name) and not (len(bare) == len(name) + 1 and _SMALL & set(bare)):
            if tuple(bare[: len(name)]) == name:
                return bare[len(name) :], " ".join(name)
            if tuple(bare[-len(name) :]) == name:
                return (query if query[0] == "my" else bare)[: -len(name)], " ".join(name)
    return query, ""


def _span(parse: Parse, slot: str) -> list[str]:
    return parse.slots.get(slot, "").split()


def _where(said: Words, run: Words) -> tuple[int, int] | None:
    """From where to where the run stands among the words, the first time."""
    start = next(places(said, run), None) if run else None
    return None if start is None else (start, start + len(run))


def _with(parse: Parse, **slots: str) -> Parse:
    return replace(parse, slots={**parse.slots, **slots})


def _without(parse: Parse, name: str) -> Parse:
    return replace(parse, slots={slot: span for slot, span in parse.slots.items() if slot != name})
