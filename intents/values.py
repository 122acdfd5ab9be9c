"""Words to values: numbers, shares, degrees, durations, colours. Pure; None where the words are no such value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_NUMBERS: Mapping[str, int] = MappingProxyType(
    {**{w: n for n, w in enumerate(_UNITS)}, **{w: 20 + 10 * n for n, w in enumerate(_TENS)}, "a": 1, "an": 1, "oh": 0}
)
_FRACTIONS: Mapping[str, float] = MappingProxyType(
    {"half": 0.5, "quarter": 0.25, "quarters": 0.25, "third": 1 / 3, "thirds": 1 / 3}
)
LARGEST = 1_000_000


def number(text: str) -> float | None:
    """A number in digits or in words: "21.5", "1 1/2", "twenty one point five", "a hundred and ten", "minus two"."""
    words = re.sub(r"\ba (?=\d+/\d)", "", text.replace("-", " ")).split()
    if not words:
        return None
    if words[0] in ("minus", "negative"):
        rest = number(" ".join(words[1:]))
        return None if rest is None else -rest
    if "point" in words:
        at = words.index("point")
        whole, decimals = number(" ".join(words[:at])), [_NUMBERS.get(w) for w in words[at + 1 :]]
        if whole is None or not decimals or any(d is None or d > 9 for d in decimals):
            return None
        return whole + float("0." + "".join(str(d) for d in decimals))
    if words[-3:] == ["and", "a", "half"] or (words[-2:] == ["a", "half"] and len(words) > 2):
        whole = number(" ".join(words[: -3 if words[-3] == "and" else -2]))
        return None if whole is None else whole + 0.5
    return _sum(words)


def _sum(words: list[str]) -> float | None:
    total: float = 0
    current: float = 0
    seen = False
    for word in words:
        value = _one(word)
        if value is not None:
            current += value
        elif word == "hundred":
            current = (current or 1) * 100
        elif word == "thousand":
            total, current = total + (current or 1) * 1000, 0
        elif word == "and" and seen:
            continue
        else:
            return None
        seen = True
    total += current
    return total if seen and abs(total) <= LARGEST else None


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


_MOST = frozenset("maximum max full highest brightest loudest top fully completely hundred".split())
_LEAST = frozenset("minimum min lowest dimmest quietest least".split())
_LEVELS: Mapping[str, float] = MappingProxyType(
    {"low": 25, "slow": 25, "medium": 50, "mid": 50, "middle": 50, "halfway": 50, "high": 75, "fast": 75, "turbo": 100}
)
_BARE = frozenset(
    "the a an of to at level setting power speed way all open closed percent % per cent brightness".split()
)


def share(text: str) -> float | None:
    """Per cent from 0 to 100, or None: "50 %", "half", "three quarters", "the maximum", "level two", "medium"."""
    words = text.replace("per cent", "percent").split()
    if set(words) & _MOST or text in ("all the way", "on full", "full blast"):
        return 100
    if set(words) & _LEAST:
        return 0
    bare = [w for w in words if w not in _BARE]
    if len(bare) == 1 and bare[0] in _LEVELS:
        return _LEVELS[bare[0]]
    if bare and bare[-1] in _FRACTIONS:
        count = number(" ".join(bare[:-1])) if bare[:-1] else 1
        return None if count is None else round(100 * count * _FRACTIONS[bare[-1]])
    value = number(" ".join(w for w in words if w not in _BARE - {"a"})) if bare else None
    return value if value is not None and 0 <= value <= 100 else None


def is_least(text: str) -> bool:
    """Whether the words ask for as little as there is, which for a light is not off."""
    return bool(set(text.split()) & _LEAST)


def degrees(text: str) -> tuple[float, str | None] | None:
    """A temperature and its unit, "C", "F" or None where none was said."""
    words = text.split()
    unit = None
    if words and words[-1] in ("f", "fahrenheit"):
        unit = "F"
    elif words and words[-1] in ("c", "celsius", "centigrade"):
        unit = "C"
    kept = [w for w in words if w not in ("degrees", "degree", "°", "f", "c", "fahrenheit", "celsius", "centigrade")]
    value = number(" ".join(kept))
    return None if value is None or not -60 <= value <= 250 else (value, unit)


def celsius(value: float, unit: str | None) -> float:
    """Degrees Celsius; a number above 45 without a unit is taken as Fahrenheit: no room is that hot."""
    return round((value - 32) / 1.8, 1) if unit == "F" or (unit is None and value > 45) else value


_SECONDS: Mapping[str, int] = MappingProxyType(
    {"second": 1, "sec": 1, "s": 1, "minute": 60, "min": 60, "m": 60, "hour": 3600, "hr": 3600, "h": 3600, "day": 86400}
)


def duration(text: str) -> int | None:
    """Seconds: "5 minutes", "an hour and a half", "half an hour", "1 hour 15 minutes", "1 and a half minutes"."""
    words = [w for w in text.replace("-", " ").split() if w not in ("the", "next", "another", "of", "about")]
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
        if amount is None:
            return None
        total, last, count = total + amount * unit, unit, []
    if count:  # "an hour and a half", "two hours thirty"
        rest = [w for w in count if w != "and"]
        if last and " ".join(rest).removeprefix("a ") in ("half", "quarter"):
            total += last * _FRACTIONS[rest[-1]]
        elif last > 1 and (extra := number(" ".join(rest))) is not None:
            total += extra * last / 60
        else:
            return None
    return round(total) if 0 < total <= 31 * 86400 else None


def _amount(words: list[str]) -> float | None:
    """How many of a unit: "ten", "a couple", "half an", "1/2 a", "three quarters an"; nothing at all is one."""
    words = words[1:] if words[:1] == ["and"] else words
    if len(words) > 1 and words[-1] in ("a", "an"):
        words = words[:-1]
    few = {"": 1.0, "couple": 2.0, "few": 3.0, "half": 0.5, "1/2": 0.5, "1/4": 0.25, "3/4": 0.75}
    few |= {"quarter": 0.25, "three quarters": 0.75}
    joined = " ".join(words)
    found = few.get(joined.removeprefix("a "))
    return number(joined) if found is None else found


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
