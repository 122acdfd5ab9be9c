"""What the ears of the demo learn to hear: words in plain letters, about the demo's home, and nothing that is scored."""

from __future__ import annotations

import re
from itertools import islice

import pytest

from devices.simulator.home import furnish
from hub.aloud import COMMANDS, LONGEST, aloud, number, prompts, stream
from intents import values

PLAIN = re.compile(r"[a-z][a-z']*( [a-z][a-z']*)*")


def test_numbers_are_said_as_the_hub_understands_them() -> None:
    for value in (*range(130), 200, 345, 999, 1000, 2700, 6500, 9999):
        assert values.number(number(value)) == value


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Dim it to 40%, please!", "dim it to forty percent please"),
        ("set it to 21.5 degrees", "set it to twenty one point five degrees"),
        ("at 7:05", "at seven oh five"),
        ("at 10:00", "at ten o'clock"),
        ("what's on", "what's on"),
        ("the café", ""),
        ("", ""),
    ],
)
def test_sentences_are_written_as_they_are_said(written: str, said: str) -> None:
    assert aloud(written) == said


def test_what_is_learned_is_plain_about_this_home_and_nothing_that_is_scored() -> None:
    texts = list(islice(stream(3), 3000))
    assert texts == list(islice(stream(3), 3000))
    assert all(PLAIN.fullmatch(text) for text in texts)
    assert max(len(text.split()) for text in texts) <= 2 * LONGEST
    held = {aloud(command) for command in COMMANDS}
    assert held.isdisjoint(texts)
    said = " ".join(texts)
    assert all(thing.name.lower() in said for thing in furnish())
    assert len(set(texts)) > 2500


def test_there_are_enough_commands_and_all_of_them_can_be_said() -> None:
    assert len(COMMANDS) >= 60
    assert all(map(aloud, COMMANDS))


def test_names_are_told_as_the_hub_tells_them() -> None:
    told = prompts(1)
    assert len(told) == 40
    assert {thing.name for thing in furnish()} <= set(told[0].split(", "))
    assert set(told[1].split(", ")) < set(told[0].split(", "))
    assert told[2] != told[0]
