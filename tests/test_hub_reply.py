"""What is said back: every outcome and every action has words, and done is said only where it was confirmed."""

from __future__ import annotations

from datetime import datetime

import pytest

from devices.command import NEEDS, Action, Command
from devices.control import Outcome, Report
from devices.device import Capability, Device, Kind
from hub import reply
from intents.intent import Because, Trouble

LAMP = Device("l", "Desk lamp", Kind.LIGHT, frozenset({Capability.ON_OFF, Capability.BRIGHTNESS}), area="Office")
BLINDS = Device("b", "Blinds", Kind.COVER, frozenset({Capability.OPEN_CLOSE, Capability.POSITION}))
DOOR = Device("d", "Back door", Kind.BINARY_SENSOR, frozenset({Capability.STATE}), device_class="door")
HOUSE = {d.id: d for d in (LAMP, BLINDS, DOOR)}


def made(outcome: Outcome, action: Action = Action.TURN_ON, device: str = "l", reason: str | None = None) -> Report:
    return Report(Command(device, action), outcome, reason=reason)


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("action", Action)
def test_every_outcome_of_every_action_has_a_sentence(outcome: Outcome, action: Action) -> None:
    said = reply.reports([made(outcome, action)], HOUSE)
    assert said.startswith("Desk lamp") or "Desk lamp" in said
    assert said.endswith(".")
    assert "{" not in said


def test_every_action_that_can_be_ordered_has_words() -> None:
    assert reply.BECOMES.keys() == NEEDS.keys() == set(Action)


@pytest.mark.parametrize("outcome", sorted(set(Outcome) - {Outcome.CONFIRMED, Outcome.ALREADY_SO}, key=str))
def test_nothing_is_called_done_that_was_not_confirmed(outcome: Outcome) -> None:
    said = reply.reports([made(outcome, reason="it is away")], HOUSE)
    assert not said.startswith("Desk lamp is on")


def test_sentences() -> None:
    assert reply.reports([made(Outcome.CONFIRMED)], HOUSE) == "Desk lamp is on."
    assert reply.reports([made(Outcome.CONFIRMED, Action.CLOSE, "b")], HOUSE) == "Blinds are closed."
    both = [made(Outcome.CONFIRMED), made(Outcome.NO_ANSWER, Action.CLOSE, "b")]
    assert reply.reports(both, HOUSE) == (
        "Desk lamp is on. Blinds did not confirm it, so I do not know whether they are closed."
    )
    dimmed = Report(Command("l", Action.SET_BRIGHTNESS, 40.0), Outcome.CONFIRMED)
    assert reply.reports([dimmed], HOUSE) == "Desk lamp is at 40 percent."
    red = Report(Command("l", Action.SET_COLOR, (0.0, 100.0)), Outcome.CONFIRMED)
    assert reply.reports([red], HOUSE) == "Desk lamp is red."
    away = made(Outcome.UNAVAILABLE, reason="Desk lamp is not reachable")
    assert reply.reports([away], HOUSE) == "Desk lamp is not reachable."


def test_many_are_counted_and_twins_told_apart() -> None:
    lights = [Device(str(n), "Lamp", Kind.LIGHT, frozenset(), area=f"Room {n}") for n in range(6)]
    assert reply.names(lights) == "6 lights"
    assert reply.names(lights[:2]) == "Lamp in the room 0 and Lamp in the room 1"


def test_answers() -> None:
    assert reply.states([(DOOR, {"on": True})]) == "Back door is open."
    assert reply.states([(DOOR, {"on": False})], "open") == "No, Back door is closed."
    assert reply.states([(BLINDS, {"position": 40})], "open") == "Yes, Blinds are 40 percent open."
    assert reply.states([(LAMP, {"on": True, "brightness": 50.0})]) == "Desk lamp is on at 50 percent."
    assert reply.states([(LAMP, {})]) == "Desk lamp has not said how it is."
    assert reply.states([]) == "I do not know that."
    two = [(LAMP, {"on": True}), (BLINDS, {"on": False})]
    assert reply.states(two, "on") == "1 of 2 is on: Desk lamp."


def test_a_device_of_any_kind_in_any_state_can_be_described() -> None:
    state = {"on": True, "value": 21.46, "brightness": 3, "mode": "heat", "temperature": 21, "vacuum": "docked"}
    for kind in Kind:
        device = Device("x", "Thing", kind, frozenset(Capability), unit="W")
        assert reply.states([(device, state)]).startswith("Thing is ")
        assert reply.states([(device, {})])
        assert reply.states([(device, state)] * 6)


def test_times() -> None:
    assert reply.clock_time(datetime(2024, 5, 6, 0, 5)) == "It is 12:05 AM."
    assert reply.clock_time(datetime(2024, 5, 6, 15, 30)) == "It is 3:30 PM."
    assert reply.date(datetime(2024, 5, 6)) == "Today is Monday, May 6, 2024."
    assert reply.duration(5400) == "1 hour and 30 minutes"
    assert reply.duration(0.2) == "0 seconds"


@pytest.mark.parametrize("because", Because)
@pytest.mark.parametrize("words", ["", "the lamp"])
@pytest.mark.parametrize("candidates", [(), ("l",), ("l", "b"), ("gone",)])
def test_every_refusal_and_every_question_back_has_a_sentence(
    because: Because, words: str, candidates: tuple[str, ...]
) -> None:
    said = reply.trouble(Trouble(because, words, "turn_on", candidates), HOUSE)
    assert said.endswith((".", "?"))
    assert said[0].isupper()
    assert "  " not in said
