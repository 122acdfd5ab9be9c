"""Answers to "which one?"."""

from __future__ import annotations

import pytest

from devices.device import Capability, Device, Kind
from hub.conversation import REMEMBERS, Conversation, Question, choose, settle
from intents.homes import Home
from intents.intent import Because, Trouble
from intents.line import Parse

ABLE = frozenset({Capability.ON_OFF})
LAMPS = (
    Device("1", "Desk lamp", Kind.LIGHT, ABLE, area="Office"),
    Device("2", "Floor lamp", Kind.LIGHT, ABLE, area="Living room"),
    Device("3", "Lamp", Kind.LIGHT, ABLE, area="Bedroom", aliases=("Night light",)),
)


@pytest.mark.parametrize(
    ("answer", "chosen"),
    [
        ("the desk lamp", "1"),
        ("the one in the living room please", "2"),
        ("lamp", "3"),
        ("night light", "3"),
        ("the second one", "2"),
        ("both", "123"),
        ("all of them", "123"),
        ("the one", ""),
        ("turn off the heating", ""),
        ("", ""),
    ],
)
def test_an_answer_chooses(answer: str, chosen: str) -> None:
    assert "".join(d.id for d in choose(answer, LAMPS)) == chosen


def test_a_room_may_mean_several() -> None:
    two = (*LAMPS, Device("4", "Ceiling", Kind.LIGHT, ABLE, area="Office"))
    assert choose("office", two) == []
    assert [d.id for d in choose("in the office", two, several=True)] == ["1", "4"]


def test_the_rest_of_the_sentence_is_kept() -> None:
    parses = (Parse("turn_off", {"what": "night light"}), Parse("turn_on", {"what": "the lamp"}))
    trouble = Trouble(Because.WHICH, "the lamp", "turn_on", ("1", "2"))
    resolution = settle(Question("", parses, trouble, 0), "floor", Home(LAMPS), None)
    assert resolution is not None
    assert [(w.intent, w.targets) for w in resolution.wishes] == [("turn_off", ("3",)), ("turn_on", ("2",))]
    assert settle(Question("", parses, trouble, 0), "never mind", Home(LAMPS), None) is None


def test_all_is_forgotten_in_time() -> None:
    talk = Conversation()
    talk.remember(["1"], 0.0)
    talk.ask(Question("", (), Trouble(Because.WHICH), 0.0))
    assert talk.targets(REMEMBERS) == ("1",)
    assert talk.targets(REMEMBERS + 1) == ()
    assert talk.take_question(REMEMBERS + 1) is None
    talk.remember([], 500.0)
    assert talk.targets(500.0) == ()
