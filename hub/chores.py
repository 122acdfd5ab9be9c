"""What the hub does itself, without any device: timers, delayed commands, lists, the time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from hub import reply
from hub.schedule import (
    Plans,
    Schedule,
    ScheduleError,
    Timer,
    changed,
    lengthened,
    paused,
    resumed,
    with_delayed,
    with_list,
    with_timer,
    without,
)

Slots = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a chore: whether it was done (or answered), and the sentence to say."""

    reply: str
    done: bool = True


def can(intent: str) -> bool:
    """Whether this intent is a chore: the hub's own affair, and no device's."""
    return intent in _CHORES or intent in NOT_YET


def do(intent: str, slots: Slots, room: str, schedule: Schedule) -> Done:
    """Does it, and keeps it on disk before it says so."""
    if intent in NOT_YET:
        return Done(NOT_YET[intent], done=False)
    try:
        return _CHORES[intent](slots, room, schedule)
    except ScheduleError as error:
        return Done(str(error), done=False)


def rings(timer: Timer) -> str:
    """What to say when a timer has come due."""
    return f"Your {_called(timer)} is done."


# Wanted, and honestly refused: these need a player, loudspeakers in the rooms, or a forecast.
NOT_YET: Mapping[str, str] = MappingProxyType(
    {
        "alarm_set": "I cannot set alarms yet. I can set a timer.",
        "alarm_query": "I cannot keep alarms yet.",
        "alarm_remove": "I cannot keep alarms yet.",
        "broadcast": "I cannot make announcements yet.",
        "play_media": "I cannot look for music or films yet.",
        "get_weather": "I do not know the weather outside.",
        "vacuum_clean_area": "I can send the vacuum cleaner off, but not into one room yet.",
        "trash_pack": "I cannot do that with a bin yet.",
    }
)


# -- timers


def _start(slots: Slots, room: str, schedule: Schedule) -> Done:
    seconds = _number(slots, "seconds")
    if seconds is None:
        return Done("For how long should I set the timer?", done=False)
    name = _text(slots, "name")
    schedule.keep(with_timer(schedule.plans, seconds, schedule.clock(), name, _text(slots, "area") or room))
    return Done(f"The {_called(schedule.plans.timers[-1])} is running.")


def _status(slots: Slots, room: str, schedule: Schedule) -> Done:
    found = _matching(slots, schedule.plans)
    if not found:
        return Done(_none(slots, schedule.plans))
    now = schedule.clock()
    told = [_how_far(timer, now) for timer in found]
    return Done(reply.first_up(reply.listed(told)) + ".")


def _how_far(timer: Timer, now: float) -> str:
    if timer.due is None:
        return f"the {_called(timer)} is paused with {reply.duration(timer.remaining(now))} left"
    return f"the {_called(timer)} has {reply.duration(timer.remaining(now))} left"


def _change(make: Callable[[Timer, float], Timer], told: str) -> Callable[[Slots, str, Schedule], Done]:
    """The chore that makes one timer another one."""

    def chore(slots: Slots, room: str, schedule: Schedule) -> Done:
        timer = _the_one(slots, room, schedule.plans)
        if isinstance(timer, Done):
            return timer
        new = make(timer, schedule.clock())
        schedule.keep(changed(schedule.plans, new))
        left = reply.duration(new.remaining(schedule.clock()))
        return Done(told.format(timer=_called(timer), left=left))

    return chore


def _longer(sign: int) -> Callable[[Slots, str, Schedule], Done]:
    def chore(slots: Slots, room: str, schedule: Schedule) -> Done:
        seconds = _number(slots, "seconds")
        if seconds is None:
            return Done("By how much?", done=False)
        told = "The {timer} has {left} left now."
        return _change(lambda timer, now: lengthened(timer, sign * seconds, now), told)(slots, room, schedule)

    return chore


def _cancel(slots: Slots, room: str, schedule: Schedule) -> Done:
    timer = _the_one(slots, room, schedule.plans)
    if isinstance(timer, Done):
        return timer
    schedule.keep(without(schedule.plans, timer.id))
    return Done(f"The {_called(timer)} is cancelled.")


def _cancel_all(slots: Slots, room: str, schedule: Schedule) -> Done:
    found = _matching(slots, schedule.plans)
    if not found:
        return Done(_none(slots, schedule.plans))
    schedule.keep(without(schedule.plans, *(t.id for t in found)))
    return Done("The timer is cancelled." if len(found) == 1 else f"All {len(found)} timers are cancelled.")


def _the_one(slots: Slots, room: str, plans: Plans) -> Timer | Done:
    """The timer that is meant: of those that fit, the one of this room, or the only one; else what to say."""
    found = _matching(slots, plans)
    if len(found) > 1:
        found = [t for t in found if room and t.room.casefold() == room.casefold()] or found
    if len(found) == 1:
        return found[0]
    if not found:
        return Done(_none(slots, plans), done=False)
    return Done(f"Which timer: {reply.listed([f'the {_called(t)}' for t in found], 'or')}?", done=False)


def _matching(slots: Slots, plans: Plans) -> list[Timer]:
    name, area, started = _text(slots, "name"), _text(slots, "area"), _number(slots, "start_seconds")
    return [
        t
        for t in plans.timers
        if (not name or t.name.casefold() == name.casefold())
        and (not area or t.room.casefold() == area.casefold())
        and (started is None or abs(t.seconds - started) < 1)
    ]


def _none(slots: Slots, plans: Plans) -> str:
    return "There is no such timer." if plans.timers else "There is no timer."


def _called(timer: Timer) -> str:
    return f"{timer.name} timer" if timer.name else f"{reply.duration(timer.seconds)} timer"


# -- delayed commands


def _later(slots: Slots, room: str, schedule: Schedule) -> Done:
    seconds, text = _number(slots, "seconds"), _text(slots, "command")
    if seconds is None or not text:
        return Done("When should I do that, and what?", done=False)
    if not 0 < seconds <= 7 * 86400:
        return Done("I can wait for up to a week.", done=False)
    due, allowed = schedule.clock() + seconds, slots.get("allowed") is True
    schedule.keep(with_delayed(schedule.plans, due, text, _text(slots, "area") or room, allowed))
    return Done(f"In {reply.duration(seconds)} I will: {text}.")


# -- lists


def _list_add(slots: Slots, room: str, schedule: Schedule) -> Done:
    name, item = _list(slots), _text(slots, "item")
    if not item:
        return Done("What should I put on the list?", done=False)
    items = schedule.plans.lists.get(name, ())
    if item.casefold() in (i.casefold() for i in items):
        return Done(f"{reply.first_up(item)} is on the {name} list already.")
    schedule.keep(with_list(schedule.plans, name, (*items, item)))
    return Done(f"{reply.first_up(item)} is on the {name} list now.")


def _list_remove(slots: Slots, room: str, schedule: Schedule) -> Done:
    name, item = _list(slots), _text(slots, "item")
    items = schedule.plans.lists.get(name, ())
    left = tuple(i for i in items if i.casefold() != item.casefold())
    if len(left) == len(items):
        return Done(f"{reply.first_up(item) or 'That'} is not on the {name} list.", done=False)
    schedule.keep(with_list(schedule.plans, name, left))
    return Done(f"{reply.first_up(item)} is off the {name} list.")


def _list_query(slots: Slots, room: str, schedule: Schedule) -> Done:
    name = _list(slots)
    items = schedule.plans.lists.get(name, ())
    if not items:
        return Done(f"The {name} list is empty.")
    return Done(f"On the {name} list: {reply.listed(items)}.")


def _list(slots: Slots) -> str:
    """The name of the list, without the words that say that it is one."""
    said = [w for w in _text(slots, "list").lower().split() if w not in ("the", "my", "our", "list", "to-do", "todo")]
    return " ".join(said) or "shopping"


# -- time


def _time(slots: Slots, room: str, schedule: Schedule) -> Done:
    return Done(reply.clock_time(datetime.fromtimestamp(schedule.clock())))


def _date(slots: Slots, room: str, schedule: Schedule) -> Done:
    return Done(reply.date(datetime.fromtimestamp(schedule.clock())))


def _nothing(slots: Slots, room: str, schedule: Schedule) -> Done:
    return Done("All right.")


_CHORES: Mapping[str, Callable[[Slots, str, Schedule], Done]] = MappingProxyType(
    {
        "timer_start": _start,
        "timer_status": _status,
        "timer_add": _longer(+1),
        "timer_subtract": _longer(-1),
        "timer_pause": _change(paused, "The {timer} is paused with {left} left."),
        "timer_resume": _change(resumed, "The {timer} is running again, with {left} left."),
        "timer_cancel": _cancel,
        "timer_cancel_all": _cancel_all,
        "delayed_command": _later,
        "list_add": _list_add,
        "list_complete": _list_remove,
        "list_remove": _list_remove,
        "list_query": _list_query,
        "get_time": _time,
        "get_date": _date,
        "nevermind": _nothing,
    }
)


def _text(slots: Slots, key: str) -> str:
    found = slots.get(key)
    return found.strip() if isinstance(found, str) else ""


def _number(slots: Slots, key: str) -> float | None:
    found = slots.get(key)
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None
