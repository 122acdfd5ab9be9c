"""Sentences as they are said aloud, in letters only: what ears for the demo learn to hear, and what they are scored on.

They come from the project's own grammar of home commands, from the names of the demo's home, and, so that the ears do
not hear a command in everything, from talk that is for nobody's home.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

from devices.simulator.home import furnish
from hub.demo import SCRIPT
from intents.corpus.phrases import Sampler
from intents.corpus.sample import stream as corpus
from intents.line import words

LONGEST = 14  # words: about six seconds

# What is scored, together with the demo's own script; none of it is trained with.
COMMANDS = tuple(
    dict.fromkeys(
        (
            *SCRIPT,
            "turn off the floor lamp",
            "turn the floor lamp on please",
            "switch off the coffee machine",
            "please turn on the bathroom light",
            "turn off the light in the kitchen",
            "dim the bathroom light to 20 percent",
            "set the desk lamp to 70 percent",
            "brighten the bedroom lamp",
            "make the bedroom lamp blue",
            "make the floor lamp green",
            "set the kitchen light to 50 percent",
            "turn on all the lights in the bedroom",
            "turn off everything in the office",
            "switch on the printer",
            "turn the fan off",
            "turn on the bedroom fan",
            "set the fan to 30 percent",
            "open the living room blinds",
            "close the bedroom blinds",
            "set the blinds in the living room to 40 percent",
            "close the garage door",
            "unlock the front door",
            "is the front door locked",
            "is the garage door open",
            "is the front door open",
            "what is the temperature in the bathroom",
            "what is the humidity in the bathroom",
            "how warm is it in the living room",
            "set the thermostat to 19 degrees",
            "make it 21 degrees in the living room",
            "turn the heating up",
            "stop the vacuum cleaner",
            "pause the vacuum cleaner",
            "start movie night",
            "turn on the garage light switch",
            "turn off the hallway lamp plug",
            "switch the hallway lamp plug on",
            "turn on the wardrobe light",
            "turn off the bedroom wardrobe light and the bedroom lamp",
            "turn on the floor lamp and close the blinds in the living room",
            "lock the front door and close the garage door",
            "turn everything off in the bedroom",
            "turn on the lights in the bathroom and the kitchen",
            "set a timer for five minutes",
            "set a timer for twenty minutes",
            "cancel the timer",
            "what time is it",
            "set the floor lamp to 80 percent and make it yellow",
            "are there any lights on in the bedroom",
        )
    )
)

_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_SPOKEN = re.compile(r"[a-z][a-z']*( [a-z][a-z']*)*")
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


def aloud(text: str) -> str:
    """The words as they are said, numbers in words too; "" where that cannot be done in plain letters."""
    said = " ".join(_spoken(word) for word in words(text))
    return said if _SPOKEN.fullmatch(said) else ""


def _spoken(word: str) -> str:
    if word == "%":
        return "percent"
    if found := _CLOCK.fullmatch(word):
        return _clock(int(found[1]), int(found[2]))
    whole, point, decimals = word.partition(".")
    if whole.isascii() and whole.isdigit() and len(whole) <= 4 and (not point or decimals.isdigit()):
        after = [_UNITS[int(digit)] for digit in decimals]
        return " ".join([number(int(whole)), *(["point", *after] if after else [])])
    return word


def number(value: int) -> str:
    """0 to 9999 in words."""
    if value < 20:
        return _UNITS[value]
    if value < 100:
        return _TENS[value // 10 - 2] + (f" {_UNITS[value % 10]}" if value % 10 else "")
    place, name = (100, "hundred") if value < 1000 else (1000, "thousand")
    return f"{number(value // place)} {name}" + (f" {number(value % place)}" if value % place else "")


def _clock(hour: int, minute: int) -> str:
    if minute == 0:
        return f"{number(hour)} o'clock"
    return f"{number(hour)} {'oh ' if minute < 10 else ''}{number(minute)}"


# -- the demo's home

_TEMPLATES = (
    "[please|can you|could you] (turn|switch) (on|off) {the} {thing} [please|now]",
    "[please|can you|could you] (turn|switch) {the} {thing} (on|off) [please]",
    "(turn|switch) (on|off) {the} {light} and (turn|switch) (on|off) {the} {thing}",
    "(turn|switch) (on|off) (all the lights|the lights|everything|all lights) [in the {room}]",
    "(turn|switch) (all the lights|the lights|everything) (on|off) [in the {room}]",
    "(turn|switch) (on|off) {the} (light|lights|lamp) in the {room} [and the {room}]",
    "[please] (dim|set|brighten|turn up|turn down|lower|raise) {the} {light} [to {number} percent]",
    "(dim it|set it|make it|turn it) (to {number} percent|{color}|up|down|on|off|brighter|darker)",
    "(make|set|turn) {the} {light} [to] {color}",
    "set {the} {light} to {number} percent and (make it {color}|{the} {light} to {color})",
    "[please|can you] (open|close|shut|raise|lower|stop) {the} {cover} [to {number} percent|please|now]",
    "[please] (open|close) {the} blinds in the {room} and (open|close|lock|unlock) {the} {cover}",
    "(lock|unlock) {the} front door [please] [and (open|close) {the} {cover}]",
    "(is|are) {the} {thing} (on|off|open|closed|locked|unlocked)",
    "(are|is) there (any|a) (light|lights|window|windows|door|doors) (on|open) [in the {room}]",
    "(how warm|how cold|how humid|what temperature) is it in the {room}",
    "what is the (temperature|humidity) in the {room}",
    "what's the (temperature|humidity) (of the {thing}|in the {room})",
    "set the (thermostat|heating|temperature) to {number} [point five] degrees [in the {room}]",
    "(turn the heating|turn the thermostat|make it) (up|down|warmer|colder|{number} degrees) [in the {room}]",
    "set {the} [{room}] fan to {number} percent",
    "(start|stop|pause|dock|find) {the} vacuum [cleaner] [please]",
    "(send|bring) {the} vacuum cleaner (back|home) [to its dock]",
    "(start|activate|turn on|set) {the} [scene] movie night [scene]",
    "(set|start|make) a timer for {number} (minutes|seconds|hours) [and {number} seconds]",
    "(cancel|stop|pause) the timer",
    "how (long|much time) is left on the timer",
    "(what time is it|what is the time|what's the date today|what day is it|stop|be quiet|never mind|cancel|thank you)",
    "(wake me|remind me) (at|in) {number} (o'clock|thirty|fifteen|minutes)",
    "add {number} (eggs|apples|lemons|bottles) to the shopping list",
    "[it is too] (dark|bright|cold|hot|warm) (in here|in the {room})",
    "(turn|switch) (on|off) {the} {thing} (in|after) {number} minutes",
    "(everything|all the lights) (on|off) (but|except) {the} {thing}",
)
_COLORS = "red|green|blue|yellow|white|orange|purple|pink|warm white|cold white|violet|turquoise"


def home_sampler() -> Sampler:
    """Draws sentences about the demo's home, whether they make sense there or not."""
    things = furnish()
    rooms = sorted({thing.room.lower() for thing in things})
    names = sorted({name for thing in things for name in _names(thing.name.lower(), thing.room.lower())})
    names += [f"{room} {kind}" for room in rooms for kind in ("light", "lights")]
    lights = [name for name in names if "light" in name or "lamp" in name]
    covers = [name for name in names if "blinds" in name or "door" in name or "window" in name]
    groups = {"room": rooms, "thing": names, "light": lights, "cover": covers}
    fillers = {name: f"({'|'.join(choices)})" for name, choices in groups.items()}
    return Sampler({**fillers, "number": _some_number, "color": f"({_COLORS})", "the": "(the|the|the|the|my|)"})


def _some_number(rng: Random) -> str:
    return number(rng.choice((rng.randint(0, 100), 5 * rng.randint(0, 20), rng.randint(1, 30))))


def _names(name: str, room: str) -> list[str]:
    """What a device is called: its name, with its room, and without it."""
    short = name.removeprefix(f"{room} ")
    return [name, f"{room} {short}", short]


# -- all of it


def stream(seed: int) -> Iterator[str]:
    """Sentences without end, none of them in COMMANDS, the same for the same seed; some are words in no order."""
    rng, home, held = Random(seed), home_sampler(), {aloud(command) for command in COMMANDS}
    others = _plain_corpus(seed + 1)
    recent: list[str] = []
    while True:
        kind = rng.random()
        if kind < 0.45 or len(recent) < 200:
            text = home.draw(rng.choice(_TEMPLATES), rng).text
        elif kind < 0.9:
            text = next(others)
        else:
            text = " ".join(rng.choices(recent, k=rng.randint(1, 8)))
        if text not in held and _SPOKEN.fullmatch(text):
            recent = [*recent[-3000:], *text.split()]
            yield text


def _plain_corpus(seed: int) -> Iterator[str]:
    """Sentences of the project's grammar that can be said in plain letters, and are not long."""
    for example in corpus(seed):
        text = aloud(" ".join(example.words))
        if text and len(text.split()) <= LONGEST:
            yield text


def prompts(seed: int, count: int = 40) -> list[str]:
    """Names that the ears may be told to expect, as the hub tells them: rooms, then devices, in any order; half of the
    time all of the demo's home, else some.
    """
    rng = Random(seed)
    rooms, names = ({name for name in found} for found in zip(*((t.room, t.name) for t in furnish()), strict=True))
    found: list[str] = []
    for n in range(count):
        share = 1.0 if n % 2 == 0 else rng.uniform(0.1, 0.9)
        parts = (rng.sample(sorted(part), max(1, round(share * len(part)))) for part in (rooms, names))
        found.append(", ".join(name for part in parts for name in part))
    return found
