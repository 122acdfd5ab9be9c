"""An utterance to what it means in this home: words -> line (of the whole, or of its pieces) -> parses -> resolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from intents.homes import Home
from intents.intent import SENSITIVE, Because, Outcome, Resolution, Trouble
from intents.line import NONE, LineError, Parse, read, words
from intents.names import indexed
from intents.parts import Complete, reread
from intents.repair import count, repaired
from intents.resolve import resolve

# Longer than anybody orders a lamp; what is longer is no command, and would only cost time.
MAX_WORDS = 60
# Below this confidence nothing is done. It is the share of such readings that are word for word right, and a good part
# of those that are not still mean the same; docs/own-sentences.md has the curve.
THRESHOLD = 0.2
SENSITIVE_THRESHOLD = 0.5
# For a timer, an alarm or a list that nobody named: "in half an hour" is said of much, and no device has to be there for it.
UNNAMED_THRESHOLD = 0.6
_NAMED = frozenset("timer timers countdown alarm alarms list lists".split())


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
        written = read(line)
    except LineError:
        return Understanding(_refusal(Because.NOT_UNDERSTOOD), line, confidence)
    parses = _placed(tuple(repaired(parse, said, alone=len(written) == 1) for parse in written), said, home)
    needed = max([threshold, *(_needed(parse, said) for parse in parses)])
    # No other order begins so, and what is played is all the words that follow, however the model cut them.
    if said[0] == "play" and all(p.intent == "play_media" for p in parses):
        needed = 0.0
    resolution = resolve(parses, home, area=area, last=last)
    unsure = confidence < needed or _overlooked(parses, said, home, resolution) or _denied(said)
    unsure = unsure or await _idle(parses, complete)
    if resolution.outcome is Outcome.ACT and unsure:
        resolution = _refusal(Because.NOT_UNDERSTOOD)
    return Understanding(resolution, line, confidence, parses)


def _needed(parse: Parse, said: Sequence[str]) -> float:
    """How sure the reading of this order has to be at least."""
    if parse.intent in SENSITIVE:
        return SENSITIVE_THRESHOLD
    unnamed = parse.intent.startswith(("timer_", "alarm_", "list_")) and not _NAMED & set(said)
    return UNNAMED_THRESHOLD if unnamed else 0.0


def _placed(parses: tuple[Parse, ...], said: Sequence[str], home: Home) -> tuple[Parse, ...]:
    """With the room or floor that was named and that the one order has not got: "all the lights first floor"."""
    if len(parses) != 1 or "what" not in parses[0].slots or "where" in parses[0].slots:
        return parses
    spans = {word for span in parses[0].slots.values() for word in span.split()}
    index = indexed(home)
    others = {word for name, _ in index.called(said) for word in name}  # "workshop light" is no light in the workshop
    named = [name for name in index.place_names(said) if count(said, name) and not (spans | others) & set(name)]
    if len(named) != 1 or any(spans.issuperset(name) for name in index.place_names(spans)):
        return parses
    return (Parse(parses[0].intent, {**parses[0].slots, "where": " ".join(named[0])}),)


def _denied(said: Sequence[str]) -> bool:
    """It asks whether something was done or how it is done, or says that nothing needs to be: no orders, in nearly their words."""
    return said[0] == "did" or tuple(said[:2]) in (("how", "do"), ("how", "does")) or bool(count(said, ["no", "need"]))


async def _idle(parses: Sequence[Parse], complete: Complete) -> bool:
    """What is to be done later asks for nothing at all: that is heard now, and not when the time has come."""
    later = [words(parse.slots["command"]) for parse in parses if "command" in parse.slots]
    return any([(await complete(said))[0] == f"<{NONE}>" for said in later if said])


def _overlooked(parses: Sequence[Parse], said: Sequence[str], home: Home, meant: Resolution) -> bool:
    """A device was called by its whole name, of several words, that no slot has one of, and it is not what is meant."""
    spans = {word for parse in parses for span in parse.slots.values() for word in span.split()}
    targets = {target for wish in meant.wishes for target in wish.targets}
    called = indexed(home).called(said)
    found = {name for name, device in called if device in targets}
    return any(not spans & set(name) for name, _ in called if name not in found)


def _refusal(because: Because) -> Resolution:
    return Resolution(Outcome.REFUSE, trouble=Trouble(because))
