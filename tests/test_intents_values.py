"""What people mean by their numbers, shares, degrees, durations and colours, in plain English."""

from __future__ import annotations

import random

import pytest

from intents import values
from intents.line import words

NUMBERS: dict[str, float | None] = {
    "zero": 0,
    "7": 7,
    "twelve": 12,
    "nineteen": 19,
    "twenty": 20,
    "twenty one": 21,
    "ninety-nine": 99,
    "hundred": 100,
    "a hundred": 100,
    "one hundred and one": 101,
    "a hundred and ten": 110,
    "two hundred twenty five": 225,
    "3 hundred": 300,
    "fifteen hundred": 1500,
    "twenty seven hundred": 2700,
    "two thousand seven hundred": 2700,
    "two thousand and five": 2005,
    "one thousand two hundred thirty four": 1234,
    "one hundred two thousand": 102_000,
    "two hundred and fifty thousand": 250_000,
    "2,700": 2700,
    "21.5": 21.5,
    "21,5": 21.5,
    "twenty one point five": 21.5,
    "three point one four": 3.14,
    "2 point 5": 2.5,
    "point five": 0.5,
    "oh point five": 0.5,
    "1/2": 0.5,
    "1 1/2": 1.5,
    "one and a half": 1.5,
    "twenty and a half": 20.5,
    "two and a quarter": 2.25,
    "one and three quarters": 1.75,
    "minus two": -2,
    "negative ten": -10,
    "-5": -5,
    "+5": 5,
    "minus one and a half": -1.5,
    "minus zero": 0,
    "": None,
    "a": None,
    "minus": None,
    "point": None,
    "five point": None,
    "one point ten": None,
    "lamp": None,
    "five lamps": None,
    "five six": None,
    "one two three": None,
    "twenty twenty": None,
    "twenty eleven": None,
    "ten one": None,
    "twenty zero": None,
    "hundred hundred": None,
    "thousand thousand": None,
    "20 or 21": None,
    "between 20 and 22": None,
    "1/0": None,
    "99999999999": None,
    "1e5": None,
    "nan": None,
    "infinity": None,
    "²": None,
    "1 and 1/2": 1.5,
    "-21.5": -21.5,
    "thirty five point oh": 35,
    "twenty thirty": None,
    "10 20": None,
    "2-3": None,
    "nineteen eighty four": None,
    "one oh five": None,
    "five and six": None,
    "twenty and": None,
    "a thousand thousand": None,
    "minus minus two": None,
    "two and a half and a half": None,
    "21.5 and a half": None,
    "9999999": None,
    "10:30": None,
    "ten to twenty": None,
}

SHARES: dict[str, float | None] = {
    "as bright as possible": 100,
    "as dim as it goes": 0,
    "as loud as it gets": 100,
    "as low as possible": 0,
    "50": 50,
    "50%": 50,
    "50 percent": 50,
    "50 per cent": 50,
    "fifty percent": 50,
    "a hundred percent": 100,
    "12.5 %": 12.5,
    "twelve point five percent": 12.5,
    "0 %": 0,
    "one percent": 1,
    "1/2 percent": 0.5,
    "half a percent": 0.5,
    "one and a half percent": 1.5,
    "50 percent brightness": 50,
    "a brightness of 50 percent": 50,
    "a volume of thirty": 30,
    "at least 50 percent": 50,
    "a maximum of 50": 50,
    "a minimum of twenty percent": 20,
    "half": 50,
    "a half": 50,
    "one half": 50,
    "half volume": 50,
    "half the brightness": 50,
    "a quarter": 25,
    "three quarters": 75,
    "a third": 33,
    "two thirds": 67,
    "3/4": 75,
    "maximum": 100,
    "the highest": 100,
    "full": 100,
    "full brightness": 100,
    "full speed": 100,
    "the brightest": 100,
    "the top": 100,
    "the bottom": 0,
    "the minimum": 0,
    "the lowest": 0,
    "low": 25,
    "medium": 50,
    "the middle": 50,
    "high": 75,
    "open": 100,
    "fully open": 100,
    "wide open": 100,
    "half open": 50,
    "halfway open": 50,
    "a quarter open": 25,
    "75 percent open": 75,
    "closed": 0,
    "fully closed": 0,
    "completely shut": 0,
    "half closed": 50,
    "a quarter closed": 75,
    "30 % closed": 70,
    "thirty percent shut": 70,
    "100 percent closed": 0,
    "all the way": 100,
    "all the way up": 100,
    "all the way down": 0,
    "101 %": None,
    "a hundred and ten percent": None,
    "minus ten percent": None,
    "-5": None,
    "": None,
    "percent": None,
    "a": None,
    "blue": None,
    "the lamp": None,
    "low high": None,
    "at most 50 percent": 50,
    "a maximum of 60 percent": 60,
    "the minimum 10 percent": 10,
    "two and a half percent": 2.5,
    "1/2 %": 0.5,
    "half full": 50,
    "completely closed": 0,
    "two hundred percent": None,
    "a hundred and twenty percent": None,
    "one hundred and one": None,
    "ten quarters": None,
    "four thirds": None,
    "fifty shades": None,
}

DURATIONS: dict[str, int | None] = {
    "five more minutes": 300,
    "a second": 1,
    "90 seconds": 90,
    "30s": 30,
    "10 s": 10,
    "a minute": 60,
    "five minutes": 300,
    "5 mins": 300,
    "5-minute": 300,
    "ten-minute": 600,
    "a ten minute": 600,
    "twenty-five minutes": 1500,
    "a hundred seconds": 100,
    "an hour": 3600,
    "2 hrs": 7200,
    "1h 30m": 5400,
    "1h30": 5400,
    "1.5 hours": 5400,
    "1,5 hours": 5400,
    "1 1/2 hours": 5400,
    "1/2 an hour": 1800,
    "twenty four hours": 86_400,
    "two days": 172_800,
    "a day and a half": 129_600,
    "a week": 604_800,
    "1 hour and 15 minutes": 4500,
    "one hour, 20 minutes": 4800,
    "1 hour 2 minutes 3 seconds": 3723,
    "two hours thirty": 9000,
    "an hour and ten": 4200,
    "half an hour": 1800,
    "a half hour": 1800,
    "half of an hour": 1800,
    "half a minute": 30,
    "an hour and a half": 5400,
    "one and a half hours": 5400,
    "two and a half minutes": 150,
    "two minutes and a half": 150,
    "a quarter of an hour": 900,
    "quarter hour": 900,
    "three quarters of an hour": 2700,
    "an hour and a quarter": 4500,
    "one hour and three quarters": 6300,
    "a couple of minutes": 120,
    "a few minutes": 180,
    "a dozen minutes": 720,
    "the next hour": 3600,
    "another ten minutes": 600,
    "about five minutes": 300,
    "at least 10 minutes": 600,
    "": None,
    "ten": None,
    "soon": None,
    "10:30": None,
    "0 minutes": None,
    "minus five minutes": None,
    "0.2 seconds": None,
    "40 days": None,
    "lamp minutes": None,
    "5 hours lamp": None,
    "5 minutes 5 minutes": None,
    "an hour or two": None,
    "five or ten minutes": None,
    "an hour and three quarters": 6300,
    "two and three quarter hours": 9900,
    "exactly 5 minutes": 300,
    "at least ten minutes": 600,
    "half a second": None,
    "five minutes ten minutes": None,
    "two hours ninety": None,
    "two days five": None,
    "-5 minutes": None,
    "2-3 minutes": None,
    "five minutes no ten minutes": None,
}

DEGREES: dict[str, tuple[float, str | None] | None] = {
    "21": (21, None),
    "21 degrees": (21, None),
    "21°": (21, None),
    "21°C": (21, "C"),
    "21 c": (21, "C"),
    "twenty one degrees celsius": (21, "C"),
    "20 centigrade": (20, "C"),
    "70 f": (70, "F"),
    "70 degrees fahrenheit": (70, "F"),
    "21.5 degrees": (21.5, None),
    "twenty one and a half degrees": (21.5, None),
    "21 degrees and a half": (21.5, None),
    "zero degrees": (0, None),
    "minus five degrees": (-5, None),
    "-5 degrees": (-5, None),
    "": None,
    "degrees": None,
    "blue": None,
    "warm": None,
    "300": None,
    "-70": None,
    "20 or 21 degrees": None,
    "minus eighteen": (-18, None),
    "21 deg": (21, None),
    "70F": (70, "F"),
    "a degree and a half": (1.5, None),
    "a": None,
    "half": None,
    "20 30": None,
    "300 degrees": None,
}

CELSIUS: list[tuple[float, str | None, float]] = [
    (32, "F", 0),
    (212, "F", 100),
    (-40, "F", -40),
    (68, "F", 20),
    (21.5, "C", 21.5),
    (60, "C", 60),
    (21, None, 21),
    (70, None, 21.1),
]

COLOURS: dict[str, str | None] = {
    "red": "red",
    "the color red": "red",
    "blue colour": "blue",
    "light blue": "blue",
    "dark green": "green",
    "a soft pink": "pink",
    "navy blue": "navy",
    "baby blue": "sky blue",
    "hot pink": "hot pink",
    "golden": "gold",
    "": None,
    "lamp": None,
    "dark": None,
    "light": None,
    "red blue": None,
    "warm white": None,
    "50": None,
    "lime green": "lime",
    "mint green": "mint",
    "light sky blue": "sky blue",
    "red and blue": None,
}

WHITES: dict[str, int | None] = {
    "2700 kelvin": 2700,
    "2700k": 2700,
    "2,700 kelvin": 2700,
    "4000": 4000,
    "three thousand kelvin": 3000,
    "twenty seven hundred kelvin": 2700,
    "": None,
    "kelvin": None,
    "50": None,
    "100 kelvin": None,
    "20000 k": None,
    "blue": None,
    "light": None,
    "2700K": 2700,
    "four thousand kelvin": 4000,
    "500 kelvin": None,
    "-3000 kelvin": None,
    "warm red": None,
}

CHANGES: list[tuple[str, float, float]] = [
    ("10 percent", 10, 10),
    ("20%", 10, 20),
    ("twenty", 10, 20),
    ("half", 10, 50),
    ("a quarter", 10, 25),
    ("two degrees", 1, 2),
    ("a degree", 1, 1),
    ("half a degree", 1, 0.5),
    ("a degree and a half", 1, 1.5),
    ("one and a half degrees", 1, 1.5),
    ("a couple of degrees", 1, 2),
    ("a bit", 1, 1),
    ("", 10, 10),
    ("nonsense", 10, 10),
]


def said(text: str) -> str:
    """The words as a span of the line holds them."""
    return " ".join(words(text))


@pytest.mark.parametrize(("text", "meant"), NUMBERS.items())
def test_numbers(text: str, meant: float | None) -> None:
    assert values.number(said(text)) == meant


@pytest.mark.parametrize("below", range(100))
def test_every_number_below_a_hundred_has_words(below: int) -> None:
    tens = "zero ten twenty thirty forty fifty sixty seventy eighty ninety".split()[below // 10]
    ones = "zero one two three four five six seven eight nine".split()[below % 10]
    teens = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()[below % 10]
    text = ones if below < 10 else teens if below < 20 else tens if below % 10 == 0 else f"{tens}-{ones}"
    assert values.number(said(text)) == values.number(said(str(below))) == below
    assert values.share(said(f"{text} percent")) == below
    assert values.degrees(said(f"{text} degrees")) == (below, None)
    assert values.duration(said(f"{text} seconds")) == (below or None)


def in_words(count: int) -> str:
    """A number of up to six digits as a schoolbook has it."""
    if count < 20:
        teens = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
        return ["zero", *"one two three four five six seven eight nine".split(), *teens][count]
    if count < 100:
        ten = "twenty thirty forty fifty sixty seventy eighty ninety".split()[count // 10 - 2]
        return f"{ten}-{in_words(count % 10)}" if count % 10 else ten
    size, name = (100, "hundred") if count < 1000 else (1000, "thousand")
    head, rest = f"{in_words(count // size)} {name}", count % size
    return f"{head} {'and ' if rest < 100 else ''}{in_words(rest)}" if rest else head


def test_large_numbers_are_the_same_in_digits_and_in_words() -> None:
    for count in (*range(100, 1200), *range(1200, 1_000_000, 7919)):
        assert values.number(str(count)) == values.number(said(in_words(count))) == count, in_words(count)
        assert values.number(said(f"minus {in_words(count)}")) == -count


@pytest.mark.parametrize(("text", "meant"), SHARES.items())
def test_shares(text: str, meant: float | None) -> None:
    assert values.share(said(text)) == meant


@pytest.mark.parametrize(
    ("text", "least"), [("the minimum", True), ("as low as the lowest", True), ("zero", False), ("off", False)]
)
def test_as_little_as_there_is_differs_from_nothing(text: str, least: bool) -> None:
    assert values.is_least(said(text)) is least


@pytest.mark.parametrize(("text", "meant"), DURATIONS.items())
def test_durations(text: str, meant: int | None) -> None:
    assert values.duration(said(text)) == meant


@pytest.mark.parametrize(("text", "meant"), DEGREES.items())
def test_degrees(text: str, meant: tuple[float, str | None] | None) -> None:
    assert values.degrees(said(text)) == meant


@pytest.mark.parametrize(("value", "unit", "meant"), CELSIUS)
def test_celsius(value: float, unit: str | None, meant: float) -> None:
    assert values.celsius(value, unit) == pytest.approx(meant)


@pytest.mark.parametrize(("text", "meant"), COLOURS.items())
def test_colours(text: str, meant: str | None) -> None:
    assert values.color(said(text)) == meant


def test_every_colour_is_understood_by_its_name_and_can_be_sent() -> None:
    for name, (hue, saturation) in values.COLORS.items():
        assert values.color(said(name)) == name
        assert 0 <= hue < 360
        assert 0 <= saturation <= 100


@pytest.mark.parametrize(("text", "meant"), WHITES.items())
def test_whites(text: str, meant: int | None) -> None:
    assert values.kelvin(said(text)) == meant


def test_warm_is_warmer_than_cool() -> None:
    named = ["candle light", "warm white", "neutral white", "daylight", "ice white"]
    found = [values.kelvin(said(name)) for name in named]
    kelvins = [kelvin for kelvin in found if kelvin is not None]
    assert len(kelvins) == len(named)
    assert kelvins == sorted(set(kelvins))


@pytest.mark.parametrize(("text", "default", "meant"), CHANGES)
def test_changes(text: str, default: float, meant: float) -> None:
    assert values.change(said(text), default) == pytest.approx(meant)


def test_a_little_is_less_than_a_lot() -> None:
    assert 0 < values.change("a bit", 10) < values.change("a lot", 10) < values.change("all the way", 10) == 100


PIECES = (
    "a an one two five twenty hundred thousand half quarter quarters third point and minus - + % percent degrees f c "
    "1/2 3/4 0/7 1/0 0 5 21.5 1,5 2,700 1000 9999999 hour minutes s a while of the to at least maximum lowest closed open "
    "kelvin k red light warm white bit couple of lamp 10:30 é 電気 💡 x"
).split()


def test_any_words_have_a_value_within_bounds_or_none() -> None:
    chance = random.Random(7)
    found = 0
    for _ in range(20_000):
        text = " ".join(chance.choices(PIECES, k=chance.randint(0, 6)))
        number, share, degrees = values.number(text), values.share(text), values.degrees(text)
        seconds, kelvin, color = values.duration(text), values.kelvin(text), values.color(text)
        assert number is None or abs(number) <= values.LARGEST, text
        assert share is None or 0 <= share <= 100, text
        assert degrees is None or -60 <= degrees[0] <= 250, text
        assert seconds is None or 1 <= seconds <= 31 * 86_400, text
        assert kelvin is None or 1000 <= kelvin <= 12_000, text
        assert color is None or color in values.COLORS, text
        assert values.change(text, 10) >= 0, text
        found += any(value is not None for value in (number, share, degrees, seconds, kelvin, color))
    assert found > 1000


MODES = {
    "auto": "auto", "automatic": "auto", "heating": "heat", "cooling": "Cool", "fan": "fan_only", "fan only": "fan_only",
    "dry": None, "auto heat": None, "heat up": None, "": None,
}  # fmt: skip


@pytest.mark.parametrize(("text", "meant"), MODES.items())
def test_the_words_of_a_device_in_its_own_spelling(text: str, meant: str | None) -> None:
    assert values.option(text, ["heat", "Cool", "auto", "fan_only"]) == meant


def test_a_word_of_the_device_goes_before_what_people_say_for_others() -> None:
    assert values.option("quiet", ["quiet", "silent"]) == "quiet"
    assert values.option("quiet", ["silent", "boost"]) == "silent"
    assert values.option("fan", ["fan high", "fan low"]) is None


@pytest.mark.parametrize("text", ["9" * 10_000, "a " * 5_000, "one hundred " * 1_000, "1/" * 5_000, "- " * 5_000])
def test_what_is_very_long_is_no_value(text: str) -> None:
    assert values.number(text) is None
    assert values.share(text) is None
    assert values.duration(text) is None
    assert values.kelvin(text) is None
    assert values.color(text) is None
