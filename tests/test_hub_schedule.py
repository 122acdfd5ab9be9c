"""Timers, delayed commands and lists: pure changes, a file that is whole or not there, and what comes due."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hub.chores import _CHORES, NOT_YET, can, do, rings
from hub.schedule import (
    Delayed,
    Plans,
    Schedule,
    ScheduleError,
    Timer,
    first_due,
    lengthened,
    paused,
    resumed,
    with_delayed,
    with_timer,
)
from intents.line import INTENTS

NOW = 1_700_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_timer_that_is_paused_keeps_what_is_left() -> None:
    timer = Timer(1, 300, NOW + 300)
    stopped = paused(timer, NOW + 100)
    assert stopped.remaining(NOW + 5000) == 200
    assert resumed(stopped, NOW + 5000).due == NOW + 5200
    assert lengthened(stopped, -500, NOW).remaining(NOW) == 0
    assert lengthened(timer, 60, NOW).due == NOW + 360


def test_what_comes_first_is_due_first() -> None:
    plans = with_delayed(with_timer(Plans(), 60, NOW), NOW + 30, "open the blinds")
    assert isinstance(first_due(plans), Delayed)
    assert first_due(Plans()) is None


@pytest.mark.parametrize("seconds", [0, -1, 8 * 86400, float("nan"), float("inf")])
def test_an_impossible_timer_is_refused(seconds: float) -> None:
    with pytest.raises(ScheduleError):
        with_timer(Plans(), seconds, NOW)


def test_plans_survive_a_restart(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "state" / "plans.json"
    schedule = Schedule(file, clock)
    assert do("timer_start", {"seconds": 300, "name": "egg"}, "Kitchen", schedule).done
    assert do("list_add", {"item": "milk"}, "", schedule).done
    assert do("delayed_command", {"seconds": 60, "command": "open the blinds"}, "", schedule).done
    assert Schedule(file, clock).plans == schedule.plans
    assert [f.name for f in file.parent.iterdir()] == ["plans.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"timers": 3}', b"\xff\xfe", b'{"timers": [{"id": "x"}]}'])
def test_a_broken_file_is_put_aside(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "plans.json"
    file.write_bytes(content)
    assert Schedule(file).plans == Plans()
    assert (tmp_path / "plans.json.broken").read_bytes() == content


def test_what_cannot_be_written_is_not_promised(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "file").write_text("")
    schedule = Schedule(tmp_path / "file" / "plans.json", clock)
    done = do("timer_start", {"seconds": 60}, "", schedule)
    assert not done.done
    assert "cannot keep" in done.reply
    assert schedule.plans == Plans()


async def test_each_comes_due_once_and_in_order(clock: Clock) -> None:
    schedule = Schedule(None, clock)
    do("timer_start", {"seconds": 60, "name": "tea"}, "", schedule)
    do("delayed_command", {"seconds": 30, "command": "open the blinds"}, "", schedule)
    clock.now += 61
    due = schedule.due()
    async with asyncio.timeout(5):
        first, second = await anext(due), await anext(due)
    assert isinstance(first, Delayed)
    assert first.text == "open the blinds"
    assert isinstance(second, Timer)
    assert rings(second) == "Your tea timer is done."
    assert schedule.plans.timers == ()


async def test_a_new_timer_wakes_the_waiting(clock: Clock) -> None:
    schedule = Schedule(None, clock)
    waiting = asyncio.ensure_future(anext(schedule.due()))
    await asyncio.sleep(0)
    do("timer_start", {"seconds": 0.01}, "", schedule)
    clock.now += 1
    async with asyncio.timeout(5):
        assert isinstance(await waiting, Timer)


def test_the_one_timer_that_is_meant(clock: Clock) -> None:
    schedule = Schedule(None, clock)
    assert do("timer_cancel", {}, "", schedule).reply == "There is no timer."
    do("timer_start", {"seconds": 300, "name": "egg"}, "Kitchen", schedule)
    do("timer_start", {"seconds": 600}, "Office", schedule)
    assert do("timer_pause", {}, "Garage", schedule).reply == "Which timer: the egg timer or the 10 minutes timer?"
    assert do("timer_status", {"name": "Egg"}, "", schedule).reply == "The egg timer has 5 minutes left."
    assert do("timer_add", {"start_seconds": 600, "seconds": 60}, "", schedule).reply.endswith("11 minutes left now.")
    assert do("timer_pause", {}, "kitchen", schedule).done
    clock.now += 1000
    assert do("timer_resume", {"name": "egg"}, "", schedule).reply.endswith("with 5 minutes left.")
    assert do("timer_cancel_all", {"area": "Office"}, "", schedule).done
    assert [t.name for t in schedule.plans.timers] == ["egg"]


def test_lists(clock: Clock) -> None:
    schedule = Schedule(None, clock)
    assert do("list_query", {}, "", schedule).reply == "The shopping list is empty."
    do("list_add", {"item": "milk"}, "", schedule)
    do("list_add", {"item": "Eggs", "list": "my shopping list"}, "", schedule)
    assert "already" in do("list_add", {"item": "MILK"}, "", schedule).reply
    assert do("list_query", {}, "", schedule).reply == "On the shopping list: milk and Eggs."
    assert do("list_complete", {"item": "eggs"}, "", schedule).done
    assert not do("list_remove", {"item": "bread"}, "", schedule).done


@pytest.mark.parametrize("intent", sorted({*_CHORES, *NOT_YET}))
def test_every_chore_answers_whatever_its_slots_are(intent: str, clock: Clock) -> None:
    """A law: no slots, or slots of the wrong type, are a sentence and never an exception."""
    assert intent in INTENTS
    assert can(intent)
    for slots in ({}, {"seconds": "soon", "item": 3, "name": None, "command": 1}):
        assert do(intent, slots, "", Schedule(None, clock)).reply.strip()
