"""An utterance to what it means in this home: words -> line (of the whole, or of its pieces) -> parses -> resolution."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from intents.homes import Home
from intents.intent import SENSITIVE, Because, Outcome, Resolution, Trouble
from intents.line import LineError, Parse, read, words
from intents.parts import Complete, reread
from intents.resolve import resolve
from intents.values import number

# Longer than anybody orders a lamp; what is longer is no command, and would only cost time.
MAX_WORDS = 60
# The model's least sure token below which nothing is done. On the generated held-out set 0.3 declines one right parse
# in a hundred and more than half of the wrong ones.
THRESHOLD = 0.3
SENSITIVE_THRESHOLD = 0.6


@dataclass(frozen=True, slots=True)
class Understanding:
    """What was read and what it means. `line` is "" where the model was not asked."""

    resolution: Resolution
    line: str = ""
    confidence: float = 0.0
    parses: tuple[Parse, ...] = ()


async def understand(
    utterance: str,
    home: Home,
    complete: Complete,
    *,
    area: str | None = None,
    last: Sequence[str] = (),
    threshold: float = THRESHOLD,
) -> Understanding:
    """The meaning of `utterance`, said in the room `area`. Never raises on what was said; passes on what `complete` raises."""
    said = words(utterance[: 40 * MAX_WORDS])
    if not said:
        return Understanding(_refusal(Because.NOT_UNDERSTOOD))
    if len(said) > MAX_WORDS or len(utterance) > 40 * MAX_WORDS:
        return Understanding(_refusal(Because.TOO_LONG))
    line, confidence = await reread(said, complete, *await complete(said))
    try:
        parses = tuple(_untangled(parse, said) for parse in read(line))
    except LineError:
        return Understanding(_refusal(Because.NOT_UNDERSTOOD), line, confidence)
    needed = max(threshold, SENSITIVE_THRESHOLD) if any(p.intent in SENSITIVE for p in parses) else threshold
    resolution = resolve(parses, home, area=area, last=last)
    unsure = confidence < needed or _overlooked(parses, said, home, resolution) or _denied(said)
    if resolution.outcome is Outcome.ACT and unsure:
        resolution = _refusal(Because.NOT_UNDERSTOOD)
    return Understanding(resolution, line, confidence, parses)


def _untangled(parse: Parse, said: Sequence[str]) -> Parse:
    """Each word that was said is of one slot; the model sometimes copies a word into two, or into the one beside it."""
    for repair in (_without_delay, _without_state, _without_amount, _without_place):
        parse = repair(parse, said)
    return parse


def _without_delay(parse: Parse, _: Sequence[str]) -> Parse:
    """The delay is no part of what is to be done after it."""
    command, delay = parse.slots.get("command", ""), parse.slots.get("for", "")
    rest = re.sub(rf" ?\b(in|after) {re.escape(delay)}$", "", command) if delay else ""
    return _with(parse, command=rest) if rest else parse


def _without_state(parse: Parse, said: Sequence[str]) -> Parse:
    """Whether "the garage open" is open, the "bedroom maximum" at maximum: the state or value is no part of the name."""
    what = parse.slots.get("what", "").split()
    for slot in ("state", "to"):
        span = parse.slots.get(slot, "").split()
        if span and len(what) > len(span) and what[-len(span) :] == span and _count(said, span) == 1:
            return _with(parse, what=" ".join(what[: -len(span)]))
    return parse


_AMOUNT = re.compile(r"(?P<what>.+?) (?P<amount>(?:(?!the\b)\S+ ){1,3}(?:degrees?|percent|%))")


def _without_amount(parse: Parse, _: Sequence[str]) -> Parse:
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


def _without_place(parse: Parse, said: Sequence[str]) -> Parse:
    """A room that was copied out of the thing's own name is no place beside it."""
    what, where = parse.slots.get("what", "").split(), parse.slots.get("where", "").split()
    if not where or _count(what, where) == 0 or _count(said, where) > 1:
        return parse
    return replace(parse, slots={slot: span for slot, span in parse.slots.items() if slot != "where"})


def _with(parse: Parse, **slots: str) -> Parse:
    return replace(parse, slots={**parse.slots, **slots})


def _denied(said: Sequence[str]) -> bool:
    """It asks whether something was done, or says that nothing needs to be: the opposite of an order in nearly its words."""
    return said[0] == "did" or bool(_count(said, ["no", "need"]))


def _overlooked(parses: Sequence[Parse], said: Sequence[str], home: Home, meant: Resolution) -> bool:
    """A device was called by its whole name, of several words, that no slot has one of, and it is not what is meant."""
    spans = {word for parse in parses for span in parse.slots.values() for word in span.split()}
    targets = {target for wish in meant.wishes for target in wish.targets}
    names = {device.id: {tuple(words(name)) for name in (device.name, *device.aliases)} for device in home.devices}
    found = {name for target in targets for name in names.get(target, ())}
    named = {name for called in names.values() for name in called if len(name) > 1 and _count(said, name)}
    return any(not spans & set(name) for name in named - found)


def _count(said: Sequence[str], run: Sequence[str]) -> int:
    """How often the run of words occurs among the words."""
    return sum(list(said[i : i + len(run)]) == list(run) for i in range(len(said) - len(run) + 1))


def _refusal(because: Because) -> Resolution:
    return Resolution(Outcome.REFUSE, trouble=Trouble(because))
