"""Draws sentences with their lines: single commands, several in one, questions, and what is not for the home.

python -m intents.corpus.sample 20 --seed 1
"""

from __future__ import annotations

import argparse
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from intents.corpus.asides import aside, with_aside
from intents.corpus.common_home import some_home
from intents.corpus.elsewhere import elsewhere
from intents.corpus.lexicon import COLORS, SAMPLER, wordlike
from intents.corpus.mended import cut, declined, mended
from intents.corpus.orders import ORDERS, ROWS, order
from intents.corpus.phrases import Dice, Filler, squeeze
from intents.corpus.questions import question
from intents.corpus.talk import talk
from intents.line import FLAGS, Parse, words, write
from intents.parts import VERBS


@dataclass(frozen=True, slots=True)
class Example:
    """One sentence as the model reads it (normalised words) and the line that it is to write."""

    words: tuple[str, ...]
    line: str
    kind: str = ""  # where it was drawn from, for scores by kind


_BEFORE = [
    "please",
    "please",
    "please",
    "can you",
    "could you",
    "could you please",
    "would you",
    "would you please",
    "will you",
    "can you please",
    "i want you to",
    "i'd like you to",
    "i need you to",
    "i would like you to",
    "hey can you",
    "kindly",
    "just",
    "now",
    "ok",
    "okay",
    "so",
    "and",
    "go ahead and",
    "let's",
    "time to",
    "please go ahead and",
    "quickly",
    "be so kind and",
    "you can",
    "you should",
    "you need to",
    "we need to",
    "i want to",
    "i'd like to",
    "i need to",
    "let me",
    "help me",
    "would you mind to",
    "are you able to",
    "is it possible to",
    "why don't you",
    "if you can please",
    "then",
    "also",
    "now please",
    "go and",
    "um",
    "uh",
    "hey",
    "hi",
    "oh",
    "well",
    "hello",
    "listen",
    "actually",
    "wait",
    "alright",
    "um can you",
    "so can you",
    "please could you",
    "may i ask you to",
    "do me a favor and",
    "i think you should",
    "it would be nice if you could",
    "can i get you to",
    "try to",
    "please just",
    "yo",
    "right",
    "right then",
    "right so",
    "now then",
    "come on",
    "be a dear and",
    "be an angel and",
    "lets",
    "i was wondering if you could",
    "i wonder if you could",
    "would it be possible to",
    "do you think you could",
    "any chance you could",
    "can somebody",
    "someone",
    "quick",
    "first",
    "ok so",
    "you may",
    "we want you to",
    "it's time to",
    "feel free to",
    "you might want to",
    "good morning",
    "good evening",
    "thanks now",
]
_AFTER = [
    "please",
    "please",
    "please",
    "now",
    "right now",
    "for me",
    "thanks",
    "thank you",
    "will you",
    "would you",
    "if you can",
    "immediately",
    "if possible",
    "again",
    "asap",
    "right away",
    "okay",
    "at once",
    "already",
    "would you please",
    "real quick",
    "if you don't mind",
    "when you can",
    "then",
    "today",
    "tonight",
    "pretty please",
    "too",
    "as well",
    "straight away",
    "real quick please",
]
_HOMOPHONES = {
    "to": ["two", "too"],
    "for": ["four"],
    "lights": ["light's", "lites", "like", "lice"],
    "light": ["lite", "like"],
    "blinds": ["blind's"],
    "the": ["da", "a", "thee"],
    "turn": ["torn", "term", "tern"],
    "volume": ["volumes"],
    "up": ["a"],
    "dim": ["dem"],
    "change": ["chance", "changed"],
    "colour": ["color"],
    "set": ["sit", "said"],
    "close": ["clothes"],
    "lamp": ["lamb", "lump"],
    "in": ["and"],
    "lower": ["lure"],
    "mute": ["moot"],
    "vacuum": ["vacume"],
    "brighter": ["brightor"],
    "switch": ["swich", "which"],
    "right": ["write"],
    "by": ["buy"],
    "add": ["ad"],
    "timer": ["time her"],
    "play": ["lay"],
    "pause": ["paws", "pores"],
    "open": ["oven"],
    "lock": ["look"],
    "start": ["star"],
    "temperature": ["temperatures", "temp"],
    "brightness": ["brightnes", "brighten us"],
    "on": ["own"],
    "off": ["of"],
    "all": ["al"],
}
_IMPERATIVES = VERBS | {"tell", "give", "show", "check"}


def _wrapped(text: str, rng: random.Random) -> str:
    """The sentence with a name called, politeness, fillers; imperatives take more of it than the rest."""
    imperative = text.split()[0] in _IMPERATIVES
    if rng.random() < (0.38 if imperative else 0.06):
        text = f"{rng.choice(_BEFORE)} {text}"
    if rng.random() < (0.16 if imperative else 0.07):
        text = f"{text} {rng.choice(_AFTER)}"
    if rng.random() < 0.09:
        wake = SAMPLER.fill("wake", rng)
        text = f"{wake} {text}" if rng.random() < 0.75 else f"{text} {wake}"
    return text


# What people say between two orders of a list, and before its last one; "" is nothing.
_BETWEEN = "|||and|and|then|and then|also|next"
_AT_LAST = "and|and|and|and then|then|also|and also|after that|plus|and please|and could you|and can you|oh and|as well as that|and finally||"


def joined(parts: list[str], rng: random.Random) -> str:
    """Orders as one sentence, with what people say between them: the same thing throughout, or nothing until the last."""
    between = rng.choice(_BETWEEN.split("|")) if rng.random() < 0.5 else None
    text = parts[0]
    for i, part in enumerate(parts[1:], 2):
        glue = rng.choice((_AT_LAST if i == len(parts) else _BETWEEN).split("|")) if between is None else between
        if i == len(parts) and between == "":
            glue = rng.choice(_AT_LAST.split("|"))
        text += f" {glue} {part}"
    return squeeze(text)


def _several(rng: random.Random) -> tuple[str, list[Parse]]:
    """Two to six commands in one sentence, with or without a verb or a thing shared."""
    r = rng.random()
    if r < 0.21:
        return _side_by_side(rng)
    if r < 0.60:
        return _orders(rng)
    if r < 0.72:
        return _shared_verb(rng)
    if r < 0.83:
        return _shared_value(rng)
    if r < 0.86:
        return _listed(rng)
    if r < 0.88:
        return _timers(rng)
    return _shared_thing(rng)


LONG = 40  # words of a sentence that is made of several orders


def _orders(rng: random.Random) -> tuple[str, list[Parse]]:
    """Two to six whole orders, as many of them as one says in a breath; the last may be a question."""
    orders = [_one_of_several(rng) for _ in range(rng.choices((2, 3, 4, 5, 6), (38, 32, 20, 7, 3))[0])]
    while len(orders) > 2 and sum(len(text.split()) for text, _ in orders) > LONG:
        orders.remove(max(orders, key=lambda drawn: len(drawn[0])))
    if rng.random() < 0.08:
        text, parses = question(rng)
        orders[-1] = (text, parses[0])
    said = [text for text, _ in orders]
    if rng.random() < 0.06:
        said.insert(rng.randint(1, len(said)), some_home(rng).draw(_LEFT, rng).text)
    return joined(said, rng), [parse for _, parse in orders]


# What stays as it is, said between orders: no order itself.
_LEFT = (
    "(leave|keep) {the} {switchable} (on|alone|as it is|running|the way it is|for now)|(don't|do not|but don't) touch {the} {settable}|leave {the} {cover} (open|as it is|alone|for now)|"
    "not {the} {switchable}|{the} {switchable} can stay (on|as it is|off)|{the} {lock} stays (locked|open|as it is)"
)


def _one_of_several(rng: random.Random) -> tuple[str, Parse]:
    """A short order mostly, and now and then any: a title, a timer, a list; or a question."""
    if rng.random() < 0.07:
        text, (parse,) = question(rng)
        return text, parse
    while True:
        text, parse = order(rng, ROWS if rng.random() < 0.15 else ORDERS)
        if parse.intent not in ("nevermind", "delayed_command"):
            return text, parse


# What a thing is to be, said without a verb; what people say most stands more than once.
_TERSE = (
    ("turn_on", "{the} {what:switchable} on"), ("turn_on", "{the} {what:lamps} on"), ("turn_on", "{what:lamp} on"), ("turn_on", "{what:appliance} on"),
    ("turn_off", "{the} {what:switchable} off"), ("turn_off", "{the} {what:lamps} off"), ("turn_off", "{what:lamp} off"), ("turn_off", "{what:appliance} off"),
    ("open", "{the} {what:cover} (open|up)"), ("close", "{the} {what:cover} (closed|shut|down)"), ("lock", "{the} {what:lock} locked"), ("unlock", "{the} {what:lock} unlocked"),
    ("set", "{the} {what:settable} [to|at|on] {to:percentage}"), ("set", "{what:settable} [to|at|on] {to:percent}"), ("set_color", "{the} {what:lamp} [to|in] {to:color}"),
    ("set_color_temp", "{the} {what:lamp} [to|at] {to:white}"), ("set_temperature", "{the} {what:climate} [to|at] {to:degrees}"), ("set_volume", "{the} {what:media} volume [to|at] {to:percent}"),
    ("media_pause", "{the} {what:media} on pause"), ("timer_start", "[a] {for:duration} timer"),
)  # fmt: skip


def _side_by_side(rng: random.Random) -> tuple[str, list[Parse]]:
    """Two to five things, each with what it is to be, mostly with nothing between them; now and then a whole order among them."""
    draw, said, parses = some_home(rng).draw, [], []
    alike = [rng.choice(_TERSE) for _ in range(2)] if rng.random() < 0.4 else _TERSE
    for _ in range(rng.choices((2, 3, 4, 5), (48, 32, 15, 5))[0]):
        if rng.random() < 0.15:
            text, parse = order(rng)
        else:
            intent, template = rng.choice(alike)
            phrase = draw(template, rng)
            text, parse = phrase.text, Parse(intent, dict(phrase.slots))
        said.append(squeeze(text))
        parses.append(parse)
    # "Lamp off and the fan too": what the last thing is to be is left out.
    if parses[-1].intent in ("turn_on", "turn_off") and rng.random() < 0.15:
        too = some_home(rng).draw("(and|and|and oh|oh and|and also) {the} {what:lamp} (too|as well)", rng)
        return f"{' '.join(said)} {too.text}", [*parses, Parse(parses[-1].intent, dict(too.slots))]
    last = rng.choice((" ", " ", " and ", " and ", " but ", " then "))
    return " ".join(said[:-1]) + last + said[-1], parses


_VERBS = (
    ("turn_on", "turn on|switch on|put on", "switchable"), ("turn_off", "turn off|switch off|shut off", "switchable"), ("open", "open|raise", "cover"),
    ("close", "close|shut|lower", "cover"), ("lock", "lock", "lock"), ("unlock", "unlock", "lock"), ("mute", "mute", "media"), ("media_pause", "pause", "media"),
)  # fmt: skip


def _shared_verb(rng: random.Random) -> tuple[str, list[Parse]]:
    fill, n = some_home(rng).fill, rng.choices((2, 3, 4), (70, 24, 6))[0]
    the = [fill("the", rng) for _ in range(n)]
    if rng.random() < 0.3:
        things = [fill("settable", rng) for _ in range(n)]
        values = [fill("percentage", rng) for _ in range(n)]
        parts = [f"{t} {w} to {v}" for t, w, v in zip(the, things, values, strict=True)]
        text = "set " + " ".join(parts[:-1]) + " and " + parts[-1]
        return text, [Parse("set", {"what": w, "to": v}) for w, v in zip(things, values, strict=True)]
    intent, verbs, filler = rng.choice(_VERBS)
    things = [fill(filler, rng) for _ in range(n)]
    said = [f"{t} {w}" for t, w in zip(the, things, strict=True)]
    also = rng.choice((" and ", " and ", " and also ", " as well as "))
    listed = " ".join(said[:-1]) + also + said[-1]
    verb = rng.choice(verbs.split("|"))
    text = f"{verb} {listed}"
    if " " in verb and rng.random() < 0.5:
        first, particle = verb.split()
        late = f"{first} {said[0]} {particle} {' '.join(said[1:-1])}{also}{said[-1]}{rng.choice(('', '', ' too', ' as well'))}"
        text = rng.choice((f"{first} {listed} {particle}", late))
    return text, [Parse(intent, {"what": w}) for w in things]


def _listed(rng: random.Random) -> tuple[str, list[Parse]]:
    """Two or three things put on a list, or crossed off, each for itself."""
    fill = some_home(rng).fill
    the, where = rng.choice(("the", "my", "our", "")), fill("list", rng)
    items = [fill("item", rng) for _ in range(rng.choice((2, 2, 3)))]
    named = " ".join(items[:-1]) + " and " + items[-1]
    intent, text = rng.choice((
        ("list_add", f"(add|put|write|stick|pop) {named} (on|to|onto) {the} {where}"),
        ("list_add", f"(add|put) {named} (on|to) {the} {where}"),
        ("list_add", f"(i need|we need|i want|we're out of) {named} on {the} {where}"),
        ("list_complete", f"(tick|check|cross) {named} off {the} {where}"),
        ("list_remove", f"(remove|delete|take) {named} (from|off) {the} {where}"),
    ))  # fmt: skip
    if rng.random() < 0.3:
        other = fill("list", rng)
        return f"add {items[0]} to {the} {where} and {items[1]} to {the} {other}", [
            Parse("list_add", {"item": items[0], "list": where}), Parse("list_add", {"item": items[1], "list": other}),
        ]  # fmt: skip
    return SAMPLER.draw(text, rng).text, [Parse(intent, {"item": item, "list": where}) for item in items]


_TIMERS = (
    "{for:duration} [timer] for the {called:timername}", "a {for:duration} timer for [the] {called:timername}", "a {called:timername} timer for {for:duration}", "the {called:timername} in {for:duration}",
    "{for:duration} for [the] {called:timername}", "one for {for:duration}", "a {for:duration} timer",
)  # fmt: skip


def _timers(rng: random.Random) -> tuple[str, list[Parse]]:
    """Two timers in one sentence, the second mostly without its noun."""
    verb = rng.choice(
        ("set", "start", "set a timer", "i need", "set timers", "two timers", "put on", "time", "give me", "")
    )
    one, two = (SAMPLER.draw(rng.choice(_TIMERS), rng) for _ in range(2))
    text = (
        f"{verb} {one.text} {rng.choice(('and', 'and', 'and', 'and another', 'then', 'plus', 'and also'))} {two.text}"
    )
    return squeeze(text), [Parse("timer_start", dict(phrase.slots)) for phrase in (one, two)]


_PLACED = (
    ("turn_on", "turn on|switch on|put on", "lights|lamps|fans|heaters|lights"), ("turn_off", "turn off|switch off|shut off|kill", "lights|lamps|fans|heaters|lights"),
    ("open", "open|raise", "blinds|curtains|shutters|windows|shades"), ("close", "close|shut|lower", "blinds|curtains|shutters|windows|shades"),
    ("lock", "lock", "doors|windows|gates"),
)  # fmt: skip


def _shared_value(rng: random.Random) -> tuple[str, list[Parse]]:
    """One noun for several rooms, one value for several things, or a verb left out the second time."""
    fill = some_home(rng).fill
    the, also = fill("the", rng), rng.choice(("and", "and", "and", "and also", "plus", "then"))
    one, two = fill("room", rng), fill("room", rng)
    intent, verbs, nouns = rng.choice(_PLACED)
    verb, things = rng.choice(verbs.split("|")), rng.choice(nouns.split("|"))
    if rng.random() < 0.4:
        return rng.choice((
            (f"{verb} {the} {things} in the {one} {also} the {two}", [Parse(intent, {"what": f"{things} in the {one}"}), Parse(intent, {"what": two})]),
            (f"{verb} {the} {things} in {one} {also} {two}", [Parse(intent, {"what": f"{things} in {one}"}), Parse(intent, {"what": two})]),
            (f"{verb} {the} {one} {also} {two} {things}", [Parse(intent, {"what": one}), Parse(intent, {"what": f"{two} {things}"})]),
            (f"{verb} {the} {one} {things} {also} the {two} ones", [Parse(intent, {"what": f"{one} {things}"}), Parse(intent, {"what": two})]),
            (f"{one} {things} on {also} {two} off", [Parse("turn_on", {"what": f"{one} {things}"}), Parse("turn_off", {"what": two})])
            if intent in ("turn_on", "turn_off") else
            (f"{verb} {the} {one} {things} {also} those in the {two}", [Parse(intent, {"what": f"{one} {things}"}), Parse(intent, {"what": two})]),
        ))  # fmt: skip
    a, b = fill("settable", rng), fill("settable", rng)
    la, lb = fill("lamp", rng), fill("lamp", rng)
    v, w, c, d = fill("percentage", rng), fill("percentage", rng), fill("color", rng), fill("color", rng)
    down = rng.choice(("dim", "brighten", "dim"))
    mine, hers = f"{fill('person', rng)}'s", f"{fill('person', rng)}'s"
    return rng.choice((
        (f"{mine} lamp on {also} {hers} off", [Parse("turn_on", {"what": f"{mine} lamp"}), Parse("turn_off", {"what": hers})]),
        (f"turn off {mine} light {also} {hers}", [Parse("turn_off", {"what": f"{mine} light"}), Parse("turn_off", {"what": hers})]),
        (f"set {rng.choice(('', 'both '))}{the} {a} {also} {the} {b} to {v}", [Parse("set", {"what": a, "to": v}), Parse("set", {"what": b, "to": v})]),
        (f"{down} {the} {la} {also} {the} {lb} to {v}", [Parse("set_brightness", {"what": la, "to": v}), Parse("set_brightness", {"what": lb, "to": v})]),
        (f"dim {the} {la} {also} {the} {lb}", [Parse("set_brightness", {"down": "", "what": la}), Parse("set_brightness", {"down": "", "what": lb})]),
        (f"make {the} {la} {also} {the} {lb} {c}", [Parse("set_color", {"what": la, "to": c}), Parse("set_color", {"what": lb, "to": c})]),
        (f"make {the} {la} {c} {also} {the} {lb} {d}", [Parse("set_color", {"what": la, "to": c}), Parse("set_color", {"what": lb, "to": d})]),
        (f"set {the} {la} to {c} {also} {the} {lb} to {v}", [Parse("set_color", {"what": la, "to": c}), Parse("set", {"what": lb, "to": v})]),
        (f"{the} {a} to {v} {also} {the} {b} to {w}", [Parse("set", {"what": a, "to": v}), Parse("set", {"what": b, "to": w})]),
        (f"{the} {la} on {also} {the} {b} off", [Parse("turn_on", {"what": la}), Parse("turn_off", {"what": b})]),
        (f"turn off {the} {la} {also} {the} {lb} on", [Parse("turn_off", {"what": la}), Parse("turn_on", {"what": lb})]),
        (f"brightness {v} {also} color {c} (in|for) the {one}".replace("(in|for)", rng.choice(("in", "for"))), [Parse("set_brightness", {"where": one, "to": v}), Parse("set_color", {"where": one, "to": c})]),
        (f"set {the} {one} to {c} {also} {v}", [Parse("set_color", {"what": one, "to": c}), Parse("set_brightness", {"to": v})]),
    ))  # fmt: skip


def _shared_thing(rng: random.Random) -> tuple[str, list[Parse]]:
    fill = some_home(rng).fill
    the = fill("the", rng)
    lamp = fill("dimmable", rng)
    color, percent = fill("color", rng), fill("percentage", rng)
    media, song = fill("media", rng), fill("song", rng)
    cover, lock = fill("cover", rng), fill("lock", rng)
    return rng.choice([
        (f"turn on {the} {lamp} and set it to {percent}", [Parse("turn_on", {"what": lamp}), Parse("set", {"what": "it", "to": percent})]),
        (f"turn on {the} {lamp} and make it {color}", [Parse("turn_on", {"what": lamp}), Parse("set_color", {"what": "it", "to": color})]),
        (f"set {the} {lamp} to {color} and {percent}", [Parse("set_color", {"what": lamp, "to": color}), Parse("set", {"to": percent})]),
        (f"set {the} {lamp} to {color} at {percent}", [Parse("set_color", {"what": lamp, "to": color}), Parse("set", {"to": percent})]),
        (f"make {the} {lamp} {color} and dim it to {percent}", [Parse("set_color", {"what": lamp, "to": color}), Parse("set_brightness", {"what": "it", "to": percent})]),
        (f"dim {the} {lamp} and make it {color}", [Parse("set_brightness", {"down": "", "what": lamp}), Parse("set_color", {"what": "it", "to": color})]),
        (f"turn on {the} {media} and set the volume to {percent}", [Parse("turn_on", {"what": media}), Parse("set_volume", {"to": percent})]),
        (f"turn on {the} {media} and play {song}", [Parse("turn_on", {"what": media}), Parse("play_media", {"query": song})]),
        (f"close {the} {cover} and lock {the} {lock}", [Parse("close", {"what": cover}), Parse("lock", {"what": lock})]),
        (f"close and lock {the} {lock}", [Parse("close", {"what": lock}), Parse("lock", {"what": lock})]),
        (f"unlock and open {the} {lock}", [Parse("unlock", {"what": lock}), Parse("open", {"what": lock})]),
        (f"dim the lights close {the} {cover} and play {song}", [Parse("set_brightness", {"down": "", "what": "lights"}), Parse("close", {"what": cover}), Parse("play_media", {"query": song})]),
        (f"turn off {the} {media} and {the} {lamp} and close {the} {cover}", [Parse("turn_off", {"what": media}), Parse("turn_off", {"what": lamp}), Parse("close", {"what": cover})]),
        (f"turn {the} {lamp} on and {the} {media} off", [Parse("turn_on", {"what": lamp}), Parse("turn_off", {"what": media})]),
    ])  # fmt: skip


_PRONOUN = (
    ("turn_on", "", "turn (it|them|that) on"), ("turn_off", "", "turn (it|them|that) off [again]"), ("turn_off", "", "(switch|shut) (it|them|that) off"),
    ("set_brightness", "up", "make (it|them) brighter"), ("set_brightness", "down", "dim (it|them)"), ("set_brightness", "down", "make (it|them) (darker|dimmer)"), ("open", "", "open (it|them) [again]"),
    ("close", "", "(close|shut) (it|them)"), ("lock", "", "lock (it|them)"), ("unlock", "", "unlock (it|them)"), ("set", "up", "turn (it|that|them) up"), ("set", "down", "turn (it|that|them) down"),
)  # fmt: skip


def _pronoun(rng: random.Random) -> tuple[str, list[Parse]]:
    intent, flag, template = rng.choice(_PRONOUN)
    text = SAMPLER.draw(template, rng).text
    what = next(w for w in text.split() if w in ("it", "them", "that"))
    if rng.random() < 0.4:
        to = SAMPLER.fill(rng.choice(["percentage", "color", "degrees"]), rng)
        intent = "set_color" if not any(c.isdigit() for c in to) and rng.random() < 0 else "set"
        verb = rng.choice(["set", "put", "change", "turn"])
        color = to in _COLORS
        return f"{verb} {what} to {to}", [Parse("set_color" if color else "set", {"what": what, "to": to})]
    return text, [Parse(intent, {**({flag: ""} if flag else {}), "what": what})]


_COLORS = frozenset(COLORS.split("|"))


def _damaged(text: str, rng: random.Random, parses: list[Parse]) -> str:
    """What speech recognition does: fillers, a word twice, a word misheard; never inside a span."""
    spans = {w for p in parses for v in p.slots.values() for w in words(v)}
    out: list[str] = []
    for w in text.split():
        if w not in spans:
            r = rng.random()
            if r < 0.02:
                out.append(rng.choice(["uh", "um", "er", "like", "you know"]))
            elif r < 0.035:
                out.append(w)
            elif r < 0.05 and w in _HOMOPHONES:
                w = rng.choice(_HOMOPHONES[w])
            elif r < 0.06 and w in ("the", "my", "a", "to"):
                continue
        out.append(w)
    return " ".join(out)


def _hedged(text: str, parses: list[Parse], rng: random.Random) -> str:
    """With a word before a value that makes it less exact: "to about 20 percent"; the value stays the same."""
    for parse in parses:
        value = parse.slots.get("to") or parse.slots.get("by") or parse.slots.get("for") or ""
        if value[:1].isdigit() or value.endswith(("percent", "%", "degrees", "minutes", "seconds", "hours")):
            about = rng.choice(
                ("about", "about", "around", "roughly", "maybe", "say", "like", "just", "exactly", "more or less")
            )
            text = text.replace(f" {value}", f" {about} {value}", 1)
    return text


_OPEN = ("what", "query", "item", "message", "called", "but", "where")
# Words that carry meaning for the house: a name may lose any other.
_KEPT = frozenset(
    "all every each both any everything the my our a an and in on at of by to for from with off up down one ones it them that this lights".split()
)


def _renamed(text: str, parses: list[Parse], rng: random.Random) -> tuple[str, list[Parse]]:
    """One word of a name, title or message replaced by one that nobody has heard: what is copied must not be known."""
    spans = [(p, s) for p in parses for s in _OPEN if s in p.slots]
    if not spans:
        return text, parses
    parse, slot = rng.choice(spans)
    names = words(parse.slots[slot])
    free = [
        w for w in (names if slot not in ("what", "but", "where") else names[:-1]) if w.isalpha() and w not in _KEPT
    ]
    if not free:
        return text, parses
    old, new = rng.choice(free), wordlike(rng)

    def put(said: str) -> str:
        return " ".join(new if w == old else w for w in words(said))

    return put(text), [Parse(p.intent, {k: v if k in FLAGS else put(v) for k, v in p.slots.items()}) for p in parses]


def _single(rng: random.Random) -> tuple[str, list[Parse]]:
    text, parse = order(rng, ROWS)
    return text, [parse]


# What an order waits for, or how often it is to be done: nothing that can be done at once.
_WHEN = "when|if|once|as soon as|whenever|every time|each time|unless|until|before|after|in case"
_OFTEN = "every morning|every evening|every day|everyday|daily|every night|on weekdays|on mondays|at sunset|at sunrise|at dawn|at dusk|from now on|every hour|at the weekend|all week"


def _chatter(rng: random.Random) -> tuple[str, list[Parse]]:
    """What asks nothing of the home, or nothing that can be done now."""
    r = rng.random()
    if r < 0.06:
        return aside(rng), []
    if r < 0.10:
        return f"{aside(rng)} {rng.choice(('', 'and', 'so', 'but'))} {aside(rng)}", []
    if r < 0.14:
        return f"{order(rng)[0]} {rng.choice(_WHEN.split('|'))} {aside(rng)}", []
    if r < 0.16:
        return f"{rng.choice(_WHEN.split('|'))} {aside(rng)} {order(rng)[0]}", []
    if r < 0.18:
        return f"{order(rng)[0]} {rng.choice(_OFTEN.split('|'))}", []
    return talk(rng) if rng.random() < 0.45 else elsewhere(rng), []


# "the all the lights": a determiner too many.
_TWICE = re.compile(r"\b(?:the|my|our|this|that) (?=(?:all|every|each|both|any|everything|the|my|our|this|that|its) )")


# What is drawn, how often of a thousand, and from where.
_KINDS: tuple[tuple[int, str, Callable[[random.Random], tuple[str, list[Parse]]]], ...] = (
    (200, "elsewhere", _chatter),
    (25, "cut", cut),
    (105, "question", question),
    (290, "several", _several),
    (12, "pronoun", _pronoun),
    (38, "mended", mended),
    (20, "declined", declined),
    (345, "", _single),
)
_SHARES = tuple(share for share, _, _ in _KINDS)


def draw(rng: random.Random) -> Example:
    """One example. Every span is a run of the sentence's words; what does not come out so is drawn again."""
    while True:
        _, kind, source = rng.choices(_KINDS, _SHARES)[0]
        text, parses = source(rng)
        if kind != "cut" and rng.random() < 0.08:
            text, parses = _renamed(text, parses, rng)
        if kind != "cut":
            text = _hedged(text, parses, rng) if rng.random() < 0.05 else text
            text = with_aside(text, parses, rng) if rng.random() < (0.26 if parses else 0.07) else text
            text = _wrapped(text, rng)
        if rng.random() < 0.25:
            text = _damaged(text, rng, parses)
        if rng.random() < 0.9:
            text = _TWICE.sub("", text)
        said = words(squeeze(text))
        parses = [Parse(p.intent, {k: " ".join(words(v)) for k, v in p.slots.items()}) for p in parses]
        if 0 < len(said) <= 48 and all(_runs(said, v) for p in parses for k, v in p.slots.items() if k not in FLAGS):
            return Example(tuple(said), write(parses), kind or parses[0].intent)


def _runs(said: list[str], span: str) -> bool:
    return bool(span) and f" {span} " in f" {' '.join(said)} "


def stream(seed: int, held: frozenset[str] = frozenset()) -> Iterator[Example]:
    """Examples without end, none of the families in `held`; the same for the same seed."""
    rng = Dice(seed, held)
    while True:
        yield draw(rng)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int, nargs="?", default=20)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    examples = stream(arguments.seed)
    for _ in range(arguments.count):
        example = next(examples)
        print(f"{' '.join(example.words)}\n    {example.line}")


__all__ = ["Example", "Filler", "draw", "joined", "main", "stream"]

if __name__ == "__main__":
    main()
