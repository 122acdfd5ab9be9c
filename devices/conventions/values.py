"""What payloads hold, taken out of them without trust: JSON, numbers, text, topics, colours. No input raises here."""

from __future__ import annotations

import colorsys
import json
import math
import re
from collections.abc import Mapping

from devices.command import StateValue
from devices.conventions import CannotDo
from devices.device import Range

LARGEST = 1e15  # of any number in a payload; above, floats no longer hold every integer
LONGEST_TEXT = 255  # characters of a value that is kept, as in Home Assistant
LONGEST_TOPIC = 65_535  # bytes, by the MQTT standard

Color = tuple[float, float]  # hue 0-360, saturation 0-100


def load(payload: bytes | str, longest: int = 65_536) -> object:
    """The JSON value, without its NaN and infinities; None where there is none."""
    if len(payload) > longest:
        return None
    try:
        return json.loads(payload, parse_constant=lambda name: None)
    except (ValueError, RecursionError):
        return None


def mapping(value: object) -> Mapping[str, object]:
    """The JSON object, or an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[object]:
    """The JSON list, a single value as a list of one, nothing as an empty list."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def decoded(payload: bytes) -> str | None:
    """The text of a payload, or None where it is none."""
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return None


def number(value: object) -> float | None:
    """A finite number of ordinary size, from a number or its text; None otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) and abs(found) <= LARGEST else None


def tidy(value: float, digits: int = 6) -> int | float:
    """The number as it is written: 20 rather than 20.0."""
    rounded = round(value, digits)
    return int(rounded) if rounded == int(rounded) else rounded


def text(value: object, longest: int = LONGEST_TEXT) -> str | None:
    """The text of a string, number or boolean that can be printed and sent; None for all else and for nothing."""
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int | float):
        finite = number(value)
        return None if finite is None else str(value)
    if not isinstance(value, str):
        return None
    clean = value.encode(errors="replace").decode().replace("\0", "")
    return clean[:longest] or None


def is_topic(value: str) -> bool:
    """It can be published to."""
    if not value or any(c in value for c in "+#\0"):
        return False
    try:
        return len(value.encode()) <= LONGEST_TOPIC
    except UnicodeEncodeError:
        return False


def slug(value: str) -> str:
    """The text as a part of an id; letters of every script stay."""
    return re.sub(r"[^\w-]+", "_", value.lower()).strip("_") or "unnamed"


def spoken(name: str) -> str:
    """A name as people say it: words, where it was written for machines."""
    flat = " ".join(name.split())
    return flat if " " in flat else flat.replace("_", " ").strip() or flat


def span(low: float | None, high: float | None, step: float | None = None) -> Range | None:
    """The range, where these make one."""
    if low is None or high is None or low >= high:
        return None
    return Range(low, high, step if step is not None and step > 0 else 1.0)


# -- values of commands; these raise CannotDo, for a person


def wanted_number(value: StateValue | None, limits: Range | None = None) -> float:
    """The number of a command, within the limits. Raises CannotDo."""
    found = number(value) if isinstance(value, int | float) else None
    if found is None:
        raise CannotDo("it needs a number for that")
    if limits is not None and found not in limits:
        raise CannotDo(f"it takes {tidy(limits.low, 1)} to {tidy(limits.high, 1)}, not {tidy(found, 1)}")
    return found


def wanted_share(value: StateValue | None) -> float:
    """The per cent of a command. Raises CannotDo."""
    return wanted_number(value, Range(0, 100))


def wanted_color(value: StateValue | None) -> Color:
    """The hue and saturation of a command. Raises CannotDo."""
    if not isinstance(value, tuple) or len(value) != 2:
        raise CannotDo("it needs a colour for that")
    return float(value[0]) % 360, min(max(float(value[1]), 0.0), 100.0)


def wanted_word(value: StateValue | None, words: tuple[str, ...]) -> str:
    """The device's own spelling of a word of a command. Raises CannotDo."""
    said = str(value).casefold().replace("_", " ")
    for word in words:
        if word.casefold().replace("_", " ") == said:
            return word
    raise CannotDo(f"it knows {', '.join(words[:20]) or 'no such thing'}, not {str(value)[:40]}")


# -- colours


def kelvin(mired: float | None) -> int | None:
    """The colour temperature of a mired value; None for one that no light has."""
    return round(1_000_000 / mired) if mired is not None and 20 <= mired <= 2000 else None


def mired(kelvins: float) -> int:
    return round(1_000_000 / max(kelvins, 1))


def rgb(color: Color) -> tuple[int, int, int]:
    """At full brightness, 0 to 255 each."""
    red, green, blue = colorsys.hsv_to_rgb(color[0] / 360, color[1] / 100, 1)
    return round(red * 255), round(green * 255), round(blue * 255)


def color_of_rgb(red: float, green: float, blue: float) -> Color | None:
    if min(red, green, blue) < 0 or max(red, green, blue) <= 0:
        return None
    most = max(red, green, blue)
    hue, saturation, _ = colorsys.rgb_to_hsv(red / most, green / most, blue / most)
    return round(hue * 360, 3), round(saturation * 100, 3)


def xy(color: Color) -> tuple[float, float]:
    """CIE 1931 coordinates in the wide gamut of colour lamps, as their makers publish the conversion."""
    red, green, blue = (_linear(c / 255) for c in rgb(color))
    x = red * 0.664511 + green * 0.154324 + blue * 0.162028
    y = red * 0.283881 + green * 0.668433 + blue * 0.047685
    z = red * 0.000088 + green * 0.072310 + blue * 0.986039
    total = x + y + z
    return round(x / total, 4), round(y / total, 4)


def color_of_xy(x: float, y: float) -> Color | None:
    if not 0 <= x <= 1 or not 0 < y <= 1:
        return None
    wide, high, deep = x / y, 1.0, (1 - x - y) / y
    linear = (
        wide * 1.656492 - high * 0.354851 - deep * 0.255038,
        -wide * 0.707196 + high * 1.655397 + deep * 0.036152,
        wide * 0.051713 - high * 0.121364 + deep * 1.011530,
    )
    most = max(linear)
    if most <= 0:
        return None
    red, green, blue = (_curved(max(c / most, 0)) for c in linear)
    return color_of_rgb(red, green, blue)


def color_of(value: object) -> Color | None:
    """The colour of a JSON object with h and s, r, g and b, or x and y."""
    parts = mapping(value)

    def found(*keys: str) -> list[float]:
        numbers = [number(parts.get(key)) for key in keys]
        return [n for n in numbers if n is not None]

    if len(x_y := found("x", "y")) == 2:
        return color_of_xy(*x_y)
    for keys in (("h", "s"), ("hue", "saturation")):
        if len(h_s := found(*keys)) == 2:
            return color_of_hs(*h_s)
    if len(r_g_b := found("r", "g", "b")) == 3:
        return color_of_rgb(*r_g_b)
    return None


def color_of_hs(hue: float, saturation: float) -> Color | None:
    return (hue % 360, saturation) if 0 <= hue <= 360 and 0 <= saturation <= 100 else None


def _linear(share: float) -> float:
    return float(((share + 0.055) / 1.055) ** 2.4) if share > 0.04045 else share / 12.92


def _curved(share: float) -> float:
    return float(1.055 * share ** (1 / 2.4) - 0.055) if share > 0.0031308 else share * 12.92


# -- speeds in words, as fans and air conditioners have them

_SPEEDS = {
    "off": 0,
    "min": 10,
    "silent": 10,
    "quiet": 15,
    "sleep": 15,
    "low": 25,
    "slow": 25,
    "medium low": 38,
    "mid": 50,
    "medium": 50,
    "middle": 50,
    "medium high": 63,
    "high": 75,
    "fast": 75,
    "strong": 75,
    "focus": 75,
    "turbo": 100,
    "max": 100,
    "boost": 100,
}


def speeds(words: tuple[str, ...]) -> Mapping[str, int]:
    """The share of full speed of each word that is a speed, the fastest being full. Empty when there are not two."""
    known = {w: _SPEEDS[k] for w in words if (k := w.lower().replace("_", " ").replace("-", " ")) in _SPEEDS}
    if sum(share > 0 for share in known.values()) < 2:
        return {}
    most = max(known.values())
    return {word: round(share * 100 / most) for word, share in known.items()}


def nearest(share: float, known: Mapping[str, int]) -> str:
    return min(known, key=lambda word: abs(known[word] - share))


def speed_steps(count: float) -> Range:
    """Speeds in per cent, as far apart as so many are."""
    return Range(0, 100, max(1.0, 100 / max(count, 1)))
