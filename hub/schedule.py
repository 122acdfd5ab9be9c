"""What happens later: timers, delayed commands and lists, kept on disk so that a power cut does not lose them.

`Plans` is the whole content, frozen, and changed by pure functions; `Schedule` holds the present one, writes each
change to the file before it counts, and says what has come due. Times are seconds since 1970, by the wall clock.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from hub import HubError

log = logging.getLogger(__name__)

LONGEST_SLEEP = 30.0  # seconds; a clock that is set by the network after boot is noticed within this
TOO_LATE = 120.0  # seconds after which a delayed command is told and not done: nobody expects it any more
MOST = 200  # timers, delayed commands, or items on a list; more is a mistake and not a wish


class ScheduleError(HubError):
    """It cannot be planned or kept; the text says why."""


@dataclass(frozen=True, slots=True)
class Timer:
    """A timer of `seconds`; it runs until `due`, or is paused with `left` seconds to go: one of the two is set."""

    id: int
    seconds: float
    due: float | None
    left: float | None = None
    name: str = ""
    room: str = ""

    def remaining(self, now: float) -> float:
        return max(0.0, self.due - now) if self.due is not None else self.left or 0.0


@dataclass(frozen=True, slots=True)
class Delayed:
    """A sentence to be answered at `due`, as if it were said then in `room`.

    With an intent it is that wish on these devices instead, and the sentence is what was said to bring it about.
    `allowed` says that the PIN was said for it.
    """

    id: int
    due: float
    text: str
    room: str = ""
    intent: str = ""
    targets: tuple[str, ...] = ()
    slots: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    allowed: bool = False


@dataclass(frozen=True, slots=True)
class Plans:
    """Everything that is kept. The items of a list are in the order in which they were put there."""

    next_id: int = 1
    timers: tuple[Timer, ...] = ()
    delayed: tuple[Delayed, ...] = ()
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


Due = Timer | Delayed
_FORMAT = TypeAdapter(Plans)


def with_timer(plans: Plans, seconds: float, now: float, name: str = "", room: str = "") -> Plans:
    """Raises ScheduleError."""
    if not 0 < seconds <= 7 * 86400:
        raise ScheduleError("A timer can be between a second and a week.")
    if len(plans.timers) >= MOST:
        raise ScheduleError("There are too many timers already.")
    timer = Timer(plans.next_id, seconds, now + seconds, name=name, room=room)
    return replace(plans, next_id=plans.next_id + 1, timers=(*plans.timers, timer))


def with_delayed(plans: Plans, due: float, text: str, room: str = "", allowed: bool = False) -> Plans:
    """Raises ScheduleError."""
    return with_wish(plans, Delayed(0, due, text, room, allowed=allowed))


def with_wish(plans: Plans, delayed: Delayed) -> Plans:
    """With `delayed`, which gets an id of its own. Raises ScheduleError."""
    if len(plans.delayed) >= MOST:
        raise ScheduleError("Too many commands are waiting already.")
    numbered = replace(delayed, id=plans.next_id)
    return replace(plans, next_id=plans.next_id + 1, delayed=(*plans.delayed, numbered))


def without(plans: Plans, *ids: int) -> Plans:
    """Without the timers and delayed commands of these ids."""
    return replace(
        plans,
        timers=tuple(t for t in plans.timers if t.id not in ids),
        delayed=tuple(d for d in plans.delayed if d.id not in ids),
    )


def changed(plans: Plans, timer: Timer) -> Plans:
    """With `timer` in the place of the one of its id."""
    return replace(plans, timers=tuple(timer if t.id == timer.id else t for t in plans.timers))


def lengthened(timer: Timer, seconds: float, now: float) -> Timer:
    """With this much more (or less) to go, never below nothing."""
    left = max(0.0, timer.remaining(now) + seconds)
    if timer.due is None:
        return replace(timer, left=left)
    return replace(timer, due=now + left)


def paused(timer: Timer, now: float) -> Timer:
    return replace(timer, due=None, left=timer.remaining(now))


def resumed(timer: Timer, now: float) -> Timer:
    return replace(timer, due=now + timer.remaining(now), left=None)


def with_list(plans: Plans, name: str, items: tuple[str, ...]) -> Plans:
    """With these items on the list. Raises ScheduleError."""
    if len(items) > MOST:
        raise ScheduleError("That list is full.")
    return replace(plans, lists={**plans.lists, name: items})


def first_due(plans: Plans) -> Due | None:
    """What comes next."""
    waiting: list[tuple[float, int, Due]] = [(d.due, d.id, d) for d in plans.delayed]
    waiting += [(t.due, t.id, t) for t in plans.timers if t.due is not None]
    return min(waiting, key=lambda w: w[:2])[2] if waiting else None


class Schedule:
    """The present plans, in the file `path` (None keeps them in memory only)."""

    def __init__(self, path: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self.clock = clock
        self._changed = asyncio.Event()
        self.plans = _read(path) if path is not None else Plans()

    def keep(self, plans: Plans) -> None:
        """From now on these are the plans. Raises ScheduleError where they cannot be written: the old ones stay."""
        if self._path is not None:
            _write(self._path, plans)
        self.plans = plans
        self._changed.set()

    async def due(self) -> AsyncIterator[Due]:
        """Each timer and delayed command when its time has come, for ever; it is no longer in the plans then."""
        while True:
            self._changed.clear()
            following = first_due(self.plans)
            wait = LONGEST_SLEEP if following is None or following.due is None else following.due - self.clock()
            if following is not None and wait <= 0:
                self._let_go(following)
                yield following
                continue
            try:
                async with asyncio.timeout(min(wait, LONGEST_SLEEP)):
                    await self._changed.wait()
            except TimeoutError:
                pass

    def _let_go(self, due: Due) -> None:
        plans = without(self.plans, due.id)
        try:
            self.keep(plans)
        except ScheduleError as error:
            log.warning("%s", error)
            self.plans = plans  # a full disk must not make a timer ring for ever


def _read(path: Path) -> Plans:
    """The plans in the file. One that cannot be read is put aside, so that nothing is lost and the hub starts."""
    try:
        return _FORMAT.validate_json(path.read_bytes())
    except FileNotFoundError:
        return Plans()
    except (OSError, ValidationError) as error:
        log.warning("%s cannot be read and is put aside as %s.broken: %s", path, path.name, str(error).split("\n")[0])
    try:
        path.replace(path.with_name(path.name + ".broken"))
    except OSError as error:
        log.warning("%s stays where it is: %s", path, error)
    return Plans()


def _write(path: Path, plans: Plans) -> None:
    """All or nothing: a new file takes the place of the old one once it is on the disk."""
    new = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new.open("wb") as file:
            file.write(_FORMAT.dump_json(plans, indent=1))
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        raise ScheduleError(f"I cannot keep that: {path} cannot be written ({error.strerror}).") from None
