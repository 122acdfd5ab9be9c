"""One line for one way of saying: of several lines that mean the same, the one that the corpus always writes.

The families of sentences were written one by one, and each knows what its thing is. The reader of a sentence often does
not: whether "stop Rosie" is said of a robot or of a player only the house can tell. So the line says no more than the
words do, and the house, which knows its things, makes of it what is meant (intents/resolve.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from intents.line import FLAGS, Parse, words

_OWN = ("the ", "my ", "our ")
_THE = r"(?:(?:the|my|our|a|this|that) )?"
_NEAR = r"(?:in|on|at|of|by|inside|from) "
# Intents whose "what" is often no thing of the home ("the music", "relax"), so that its room is a word for itself.
_APART = frozenset(
    "activate media_play media_pause media_stop media_next media_previous play_media mute unmute set_volume "
    "vacuum_clean_area get_weather broadcast".split()
)

# What is said of anything that can be started, ended, halted: by the intent that names one kind of thing.
_ON = ("turn_on", frozenset("turn switch power put start run launch enable on to work".split()))
_OFF = ("turn_off", frozenset("turn switch shut power put stop disable end off".split()))
_ANYTHING: Mapping[str, tuple[str, frozenset[str]]] = {
    **dict.fromkeys(("vacuum_start", "mower_start", "activate"), _ON),
    **dict.fromkeys(("vacuum_stop", "mower_dock"), _OFF),
    "vacuum_pause": ("media_pause", frozenset("pause hold halt".split())),
    **dict.fromkeys(
        ("set_brightness", "set_position", "set_fan_speed", "set_temperature"),
        (
            "set",
            frozenset(
                "set turn put make bring get have take move change adjust run let leave give raise lower increase decrease "
                "reduce boost bump crank drop cut step up down to at on by from for be it a little bit more less higher me "
                "i want need".split()
            ),
        ),
    ),
}
# A tap is opened, or the water turned on: what is said decides.
_TAPS = {"open": ("on", "turn_on"), "close": ("off", "turn_off")}
_MODE = re.compile(r" (?:mode|scene|routine|script)$")
_PLAIN = frozenset("the my our this that please now".split())
_DEGREES = re.compile(r"degrees?|°|celsius|fahrenheit|centigrade")
# Words of a value that say by themselves what is moved: "half open", "full speed", "as dim as it goes".
_TELLING = re.compile(r"\b(?:open|clos|shut|speed|dim|bright|dark|light\b|ajar|crack|warm|cool|hot|cold|fast|slow\b)")
_PLACED = frozenset(
    "set set_brightness set_color set_color_temp set_temperature set_fan_speed set_humidity mute unmute play_media".split()
)


def agreed(text: str, parse: Parse) -> Parse:
    """The parse of a single order or question, with spans in words as they are read, in the one form for its wording."""
    said = " ".join(words(text))
    slots = {slot: span if slot in FLAGS else " ".join(words(span)) for slot, span in parse.slots.items()}
    for slot in ("what", "where", "but"):
        if slot in slots:
            slots[slot] = _bare(slots[slot])
    if parse.intent == "activate" and _MODE.sub("", slots.get("what", "")):
        slots["what"] = _MODE.sub("", slots["what"])
    slots = slots if parse.intent in _APART else _beside(said, slots)
    slots = _placed(said, slots) if parse.intent in _PLACED else slots
    return Parse(_generic(said, parse.intent, slots), slots)


def _bare(span: str) -> str:
    """Without the article before it, which says nothing."""
    while span.startswith(_OWN):
        span = span.partition(" ")[2]
    return span


def _beside(said: str, slots: dict[str, str]) -> dict[str, str]:
    """The thing with its room, where one stands right beside the other: "lights in the hall", "hall lights"."""
    what, where = slots.get("what"), slots.get("where")
    if not what or not where:
        return slots
    thing, room = re.escape(what), re.escape(where)
    found = re.search(rf"\b{thing} {_NEAR}{_THE}{room}(?!\S)|(?<!\S){room} {thing}(?!\S)", said)
    if found is None:
        return slots
    return {slot: found[0] if slot == "what" else span for slot, span in slots.items() if slot != "where"}


def _placed(said: str, slots: dict[str, str]) -> dict[str, str]:
    """A thing or room for itself is where it happens if "in" stands before it, and otherwise what it happens to."""
    if ("what" in slots) == ("where" in slots):
        return slots
    old = "what" if "what" in slots else "where"
    inside = re.search(rf"(?:^| )(?:in|inside|throughout|across) {_THE}{re.escape(slots[old])}(?: |$)", said)
    return {("where" if inside else "what") if slot == old else slot: span for slot, span in slots.items()}


def _generic(said: str, intent: str, slots: Mapping[str, str]) -> str:
    """The intent that the words say by themselves, whatever the thing is."""
    value = f"{slots.get('to', '')} {slots.get('by', '')}"
    if intent == "set" and _DEGREES.search(value):
        return "set_temperature"
    general, verbs = _ANYTHING.get(intent, (intent, frozenset()))
    if "what" not in slots or (general == "set" and (_TELLING.search(value) or _DEGREES.search(value))):
        return intent
    if general == "set" and not {"to", "by", "up", "down"} & slots.keys():
        return intent
    around = f" {said} "
    for span in sorted((span for slot, span in slots.items() if slot not in FLAGS), key=len, reverse=True):
        around = around.replace(f" {span} ", " ", 1)
    left = set(around.split())
    if intent in _TAPS and _TAPS[intent][0] in left and intent not in left:
        return _TAPS[intent][1]
    return general if left & verbs and left <= verbs | _PLAIN else intent  # "film night please" has no verb at all
