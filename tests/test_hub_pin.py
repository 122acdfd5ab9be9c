"""A PIN as it is said, typed and kept."""

from __future__ import annotations

import pytest

from hub.pin import HIDDEN, PinError, Said, apart, fits, hashed, is_kept, numeric, read


@pytest.mark.parametrize(
    "said",
    [
        "1234", "1 2 3 4", "1-2-3-4.", "12, 34", "one two three four", "One, two, three, four!", "twelve thirty four",
        "it's twelve 34 please", "my PIN is 1234", "the code is one two three four thank you", "won too three for",
        "uh one two thirty four",
    ],
)  # fmt: skip
def test_it_is_read(said: str) -> None:
    assert read(said) == "1234"
    assert apart(said) == Said(HIDDEN, "1234")


@pytest.mark.parametrize(
    ("said", "digits"),
    [
        ("oh oh seven nine", "0079"),
        ("double five six seven", "5567"),
        ("triple nine one", "9991"),
        ("twenty one twenty", "2120"),
        ("twenty oh five", "2005"),
        ("one two three", ""),
        ("1234567890123", ""),
        ("double", ""),
        ("double five double", ""),
        ("unlock the front door", ""),
        ("٣٤٥٦", ""),
        ("", ""),
    ],
)
def test_digits_are_those_that_were_said(said: str, digits: str) -> None:
    assert read(said) == digits


@pytest.mark.parametrize(
    ("said", "left", "digits"),
    [
        ("unlock the front door, my pin is 1234", "unlock the front door", "1234"),
        ("unlock the door with the code one two three four", "unlock the door", "1234"),
        ("PIN 1234, unlock the front door", "unlock the front door", "1234"),
        ("Unlock the front door 1234.", "Unlock the front door", "1234"),
        ("open the gate twelve thirty four", "open the gate", "1234"),
        ("set the radio to 1234", "set the radio to 1234", ""),
        ("open the blinds to 50", "open the blinds to 50", ""),
        ("turn on the pin light", "turn on the pin light", ""),
        ("what is my pin", "what is my pin", ""),
    ],
)
def test_it_is_taken_out_of_a_sentence(said: str, left: str, digits: str) -> None:
    assert apart(said) == Said(left, digits)


def test_what_may_be_one_that_was_not_heard_well() -> None:
    assert all(map(numeric, ["one two tree", "12 uh 34", "my pin is", "1234567890123", "one fork three for", "x 1234"]))
    assert not any(map(numeric, ["turn on the light", "set the kitchen light to 40 percent", "never mind", ""]))


def test_it_is_kept_so_that_nobody_reads_it() -> None:
    one, other = hashed("1234"), hashed("1234")
    assert one != other
    assert is_kept(one)
    assert "1234" not in one.split("$")[4:]
    assert fits("1234", one)
    assert fits("1234", other)
    assert not fits("1243", one)
    assert not fits("", one)


@pytest.mark.parametrize("pin", ["123", "1234567890123", "12a4", "12 34", "", "1111", "¹²³⁴"])
def test_what_is_no_pin_is_not_kept(pin: str) -> None:
    with pytest.raises(PinError):
        hashed(pin)


def test_what_is_not_kept_so_is_none() -> None:
    scheme, cost, block, lanes, salt, key = hashed("1234").split("$")
    for parts in (
        ["1234"],
        [scheme, "999999", block, lanes, salt, key],  # no power of two
        [scheme, "524288", block, lanes, salt, key],  # half a gigabyte of memory
        [scheme, cost, block, "0", salt, key],
        [scheme, cost, block, lanes, salt, key[:36]],
        [scheme, cost, block, lanes, "=" * 24, key],
    ):
        assert not is_kept("$".join(parts))
        assert not fits("1234", "$".join(parts))
