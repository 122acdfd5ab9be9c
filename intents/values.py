"""Words to values: numbers, shares, degrees, durations, colours. Pure; None where the words are no such value."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from itertools import pairwise
from types import MappingProxyType

_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_NUMBERS: Mapping[str, int] = MappingProxyType(
    {**{w: n for n, w in enumerate(_UNITS)}, **{w: 20 + 10 * n for n, w in enumerate(_TENS)}, "oh": 0}
)
_FRACTIONS: Mapping[str, float] = MappingProxyType(
    {"half": 0.5, "quarter": 0.25, "quarters": 0.25, "third": 1 / 3, "thirds": 1 / 3}
)
LARGEST = 1_000_000


def number(text: str) -> float | None:
    """A number in digits or in words: "21.5", "1 1/2", "twenty one point five", "a hundred and ten", "minus two"."""
    words = _tidy(text).split()
    negative = words[:1] in (["minus"], ["negative"])
    value = _positive(words[1:] if negative else words)
    return -value if value and negative else value


def _tidy(text: str) -> str:
    """One way of writing: a hyphen inside a word parts it and any other is a minus; "a hundred and ten" loses a and and."""
    text = re.sub(r"(?<=[^\W\d_])-(?=[^\W\d_])", " ", text).replace("-", " minus ").replace("+", " ")
    text = re.sub(r"\ban? (?=(?:hundred|thousand)\b)", "one ", text)
    text = re.sub(r"\b(hundred|thousand) and (?=\w)", r"\1 ", text)
    return re.sub(r"\b(?:and )?(?:a )?(?=\d+/\d)", "", text)


def _positive(words: list[str]) -> float | None:
    if "point" in words:
        at = words.index("point")
        whole, decimals = _sum(words[:at]) if at else 0, [_one(word) for word in words[at + 1 :]]
        digits = "".join(f"{decimal:.0f}" for decimal in decimals if decimal in range(10))
        return None if whole is None or not decimals or len(digits) < len(decimals) else whole + float(f"0.{digits}")
    if len(words) > 2 and (part := _fraction(words[-2:])) and (words[-2] == "a" or words[-3] == "and"):
        whole = _sum(words[: -3 if words[-3] == "and" else -2])
        return None if whole is None or whole % 1 else whole + part
    return _sum(words)


def _fraction(words: list[str]) -> float | None:
    """What is below one: "half", "a quarter", "one third", "three quarters"."""
    if not words or words[-1] not in _FRACTIONS or len(words) > 2:
        return None
    count = 1 if words[:-1] in ([], ["a"]) else _one(words[0])
    part = (count or 0) * _FRACTIONS[words[-1]]
    return part if 0 < part < 1 else None


def _sum(words: list[str]) -> float | None:
    """Each word has to be of a lower place than the one before: "two hundred twenty five" is one number, "five six" none."""
    total: float = 0
    current: float = 0
    place = math.inf
    for word in words:
        value = _one(word)
        if word == "thousand" and not total:
            total, current, place = (current or 1) * 1000, 0, 1000
        elif word == "hundred" and current < 100:
            current, place = (current or 1) * 100, 100
        elif value is not None and value < place and (value or place == math.inf):
            current, place = current + value, 10 if word in _TENS else 0 if value % 1 else 1
        else:
            return None
    total += current
    return total if words and total <= LARGEST else None


def _one(word: str) -> float | None:
    if re.fullmatch(r"\d{1,7}(?:\.\d{1,4})?", word):
        return float(word)
    if re.fullmatch(r"\d{1,3},\d{3}", word):
        return float(word.replace(",", ""))
    if re.fullmatch(r"\d{1,3},\d{1,2}", word):
        return float(word.replace(",", "."))
    if match := re.fullmatch(r"(\d{1,4})/(\d{1,4})", word):
        return int(match[1]) / int(match[2]) if int(match[2]) else None
    return _NUMBERS.get(word)


_MOST = frozenset("maximum max full highest brightest loudest fastest top fully completely maximize maximise".split())
_LEAST = frozenset("minimum min lowest dimmest quietest least bottom slowest minimize minimise".split())
_LITTLE = frozenset("dim dark low quiet soft slow".split())
_SHUT = frozenset("closed shut down".split())
_LEVELS: Mapping[str, float] = MappingProxyType(
    {"low": 25, "slow": 25, "medium": 50, "mid": 50, "middle": 50, "halfway": 50, "high": 75, "fast": 75, "turbo": 100}
)
_BARE = frozenset(
    "the a an of to at level setting power speed volume way wide all most open closed shut percent % per cent brightness".split()
)


def share(text: str) -> float | None:
    """Per cent from 0 to 100, or None: "50 %", "half", "three quarters", "the maximum", "level two", "fully closed".

    A number counts for more than what stands beside it: "at least 50 percent" and "a maximum of 50" are 50.
    What is so much closed is open by the rest: "30 percent closed" is 70.
    """
    words = _tidy(text.replace("per cent", "percent")).split()
    if len(words) > 3 and words[0] == words[2] == "as":  # "as bright as possible", "as quiet as it goes"
        return 0 if words[1] in _LITTLE else 100
    value = _percent(words)
    if value is not None:
        closed = words[-1] in ("closed", "shut")
        return None if not 0 <= value <= 100 else 100 - value if closed else value
    if set(words) & _MOST or text.startswith("all the way"):
        return 0 if set(words) & _SHUT else 100
    if set(words) & _LEAST:
        return 0
    bare = [w for w in words if w not in _BARE]
    if not bare:
        return 100 if "open" in words else 0 if set(words) & _SHUT else None
    return _LEVELS.get(bare[0]) if len(bare) == 1 else None


def _percent(words: list[str]) -> float | None:
    """The number among the words of a share; a fraction is one of the whole, but where per cent are said."""
    plain = (_BARE | _MOST | _LEAST) - {"a"}
    kept = [w for w, after in pairwise([*words, ""]) if w not in plain and not (w == "a" and after in plain)]
    kept = kept[1:] if kept[:1] == ["a"] else kept
    value = number(" ".join(kept))
    part = value if value is not None and "/" in kept[-1] and value <= 1 else _fraction(kept)
    return value if part is None else part if {"percent", "%"} & set(words) else round(100 * part)


def is_least(text: str) -> bool:
    """Whether the words ask for as little as there is, which for a light is not off."""
    words = text.split()
    return bool(set(words) & _LEAST) or (words[:1] == ["as"] and bool(set(words) & _LITTLE))


_DEGREES = frozenset("degrees degree deg ° f c fahrenheit celsius centigrade".split())


def degrees(text: str) -> tuple[float, str | None] | None:
    """A temperature and its unit, "C", "F" or None where none was said."""
    words = re.sub(r"\ba (?=degree\b)", "one ", text).split()
    unit = None
    if words and words[-1] in ("f", "fahrenheit"):
        unit = "F"
    elif words and words[-1] in ("c", "celsius", "centigrade"):
        unit = "C"
    kept = [w for w in words if w not in _DEGREES]
    value = number(" ".join(kept))
    return None if value is None or not -60 <= value <= 250 else (value, unit)


def celsius(value: float, unit: str | None) -> float:
    """Degrees Celsius; a number above 45 without a unit is taken as Fahrenheit: no room is that hot."""
    return round((value - 32) / 1.8, 1) if unit == "F" or (unit is None and value > 45) else value


_SECONDS: Mapping[str, int] = MappingProxyType(
    {"second": 1, "sec": 1, "s": 1, "minute": 60, "min": 60, "m": 60, "hour": 3600, "hr": 3600, "h": 3600, "day": 86400,
     "week": 604800}
)  # fmt: skip
_ABOUT = frozenset("the next another more extra of about around exactly just full".split())
_FEW: Mapping[str, float] = MappingProxyType({"": 1, "a": 1, "an": 1, "couple": 2, "few": 3, "dozen": 12})


def duration(text: str) -> int | None:
    """Seconds, at least one: "5 minutes", "an hour and a half", "half an hour", "1 hour 15 minutes", "two hours thirty"."""
    words = [w for w in re.sub(r"\bat least\b", "", _tidy(text)).split() if w not in _ABOUT]
    if words == ["a", "while"]:
        return 600
    total = 0.0
    count: list[str] = []
    last = 0
    for word in words:
        unit = _SECONDS.get(word) or _SECONDS.get(word.removesuffix("s"))
        if unit is None:
            count.append(word)
            continue
        amount = _amount(count)
        if amount is None or unit == last:
            return None
        total, last, count = total + amount * unit, unit, []
    rest = _rest(count, last)
    return None if rest is None or not 0 < round(total + rest) <= 31 * 86400 else round(total + rest)


def _rest(words: list[str], unit: int) -> float | None:
    """The seconds that stand behind the last unit without one: "an hour and a half", "two hours thirty"."""
    words = words[1:] if words[:1] == ["and"] else words
    if not words:
        return 0
    if part := _fraction(words):
        return part * unit
    extra = number(" ".join(words))
    return extra * unit / 60 if extra is not None and 0 < extra < 60 and unit in (60, 3600) else None


def _amount(words: list[str]) -> float | None:
    """How many of a unit: "ten", "a couple", "half an", "1/2 a", "three quarters an"; nothing at all is one."""
    words = words[1:] if words[:1] == ["and"] else words
    if len(words) > 1 and words[-1] in ("a", "an"):
        words = words[:-1]
    bare = words[1:] if len(words) > 1 and words[0] == "a" else words
    if (few := _FEW.get(" ".join(bare))) is not None:
        return few
    return _fraction(bare) or number(" ".join(bare))


# Hue in degrees and saturation in per cent; the names are those of CSS where it has them.
COLORS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "red": (0, 100), "green": (120, 100), "blue": (240, 100), "yellow": (60, 100), "orange": (30, 100),
        "purple": (277, 87), "pink": (340, 50), "white": (0, 0), "violet": (274, 90), "magenta": (300, 100),
        "cyan": (180, 100), "turquoise": (174, 72), "teal": (180, 100), "indigo": (275, 100), "lime": (75, 100),
        "gold": (51, 100), "brown": (25, 75), "lavender": (255, 25), "coral": (16, 69), "salmon": (6, 55),
        "crimson": (348, 91), "navy": (240, 100), "aqua": (180, 100), "maroon": (0, 100), "olive": (60, 100),
        "beige": (48, 25), "ivory": (60, 10), "mint": (150, 45), "peach": (28, 40), "amber": (45, 100),
        "fuchsia": (300, 100), "black": (0, 0), "gray": (0, 0), "grey": (0, 0), "silver": (0, 0), "tan": (34, 33),
        "sky blue": (197, 55), "hot pink": (330, 59), "royal blue": (225, 71), "forest green": (120, 76), "rose": (340, 60),
        "scarlet": (8, 100), "burgundy": (345, 100), "khaki": (54, 42), "plum": (300, 28), "cream": (50, 20),
    }
)  # fmt: skip
_ALSO: Mapping[str, str] = MappingProxyType(
    {"navy blue": "navy", "lime green": "lime", "mint green": "mint", "baby blue": "sky blue", "golden": "gold"}
)
_SHADES = frozenset("light dark bright deep pale soft color colour a the in".split())
WHITES: Mapping[str, int] = MappingProxyType(
    {
        "warm": 2700, "soft": 2700, "candle": 2000, "candlelight": 2000, "incandescent": 2700, "cool": 4500, "cold": 6000,
        "neutral": 4000, "natural": 4000, "daylight": 5500, "day": 5500, "ice": 6500, "bright": 5000, "white": 4000,
    }
)  # fmt: skip


def color(text: str) -> str | None:
    """The name of a colour of `COLORS`, shades folded in: "light blue" and "blue color" are blue."""
    if text in COLORS:
        return text
    bare = " ".join(w for w in text.split() if w not in _SHADES)
    bare = _ALSO.get(bare, bare)
    return bare if bare in COLORS else None


def kelvin(text: str) -> int | None:
    """A colour temperature: "2700 kelvin", "4000 k", "warm white", "daylight"."""
    words = text.split()
    if words and words[-1] in ("kelvin", "kelvins", "k"):
        value = number(" ".join(words[:-1]))
        return round(value) if value is not None and 1000 <= value <= 12000 else None
    value = number(text)
    if value is not None and 1500 <= value <= 10000:
        return round(value)
    kept = [w for w in words if w not in ("light", "a", "the", "tone", "color", "colour")]
    return WHITES.get(kept[0]) if kept and all(w in WHITES for w in kept) else None


# What people say for the words that devices have.
_FORMS: Mapping[str, str] = MappingProxyType(
    {
        "heating": "heat", "hot": "heat", "warm": "heat", "cooling": "cool", "cold": "cool", "drying": "dry",
        "automatic": "auto", "automatically": "auto", "sleeping": "sleep", "sleepy": "sleep", "economy": "eco",
        "economic": "eco", "quiet": "silent", "boosted": "boost", "ventilation": "fan", "ventilate": "fan",
    }
)  # fmt: skip


def option(text: str, options: Collection[str]) -> str | None:
    """Which of a device's words is said, in its own spelling: "cooling" is cool, "fan" fan_only; None for no one of them."""
    said = text.casefold().replace("_", " ").split()
    known = {tuple(o.casefold().replace("_", " ").split()): o for o in options}
    for words in (said, [_FORMS.get(w, w) for w in said]):
        if tuple(words) in known:
            return known[tuple(words)]
        among = [o for parts, o in known.items() if words and set(words) <= set(parts)]
        if len(among) == 1:
            return among[0]
    return None


_SOMEWHAT: Mapping[str, float] = MappingProxyType(
    {"a bit": 10, "a little": 10, "a little bit": 10, "slightly": 5, "a notch": 10, "a tad": 5, "a touch": 5, "some": 10,
     "somewhat": 10, "a lot": 30, "much": 30, "quite a bit": 25, "a crack": 10, "all the way": 100, "completely": 100,
     "fully": 100, "a couple of degrees": 2, "a few degrees": 3, "a degree": 1, "half a degree": 0.5}
)  # fmt: skip


def change(text: str, default: float) -> float:
    """The size of a relative change, without its sign; `default` where the words say no size that is understood."""
    if text in _SOMEWHAT:
        said = _SOMEWHAT[text]
        return said if default >= 5 or said <= 3 or said == 100 else default
    if (found := degrees(text)) is not None and "percent" not in text and "%" not in text:
        return abs(found[0])
    value = share(text)
    return default if value is None else value
