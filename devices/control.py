"""An order carried out, and the truth about what came of it: done is what the device's own report says is done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from types import MappingProxyType
from typing import Final

from devices.command import NEEDS, Action, Command, State, StateValue
from devices.conventions import CannotDo, Entity, Message
from devices.device import Capability, Device, DeviceError, Range
from devices.habits import SLOW
from devices.house import Event, Events, Happening, House, UnknownDevice
from devices.link import Link, LinkError

MOVES_WITHIN = 60.0  # seconds for a thing that is seen to move: a wide garage door takes 25, a tall awning 50
STILL_MOVING = 10.0  # seconds without a word from a moving thing; motors that report at all report each second or two
LAST_CHANCE = 2.0  # seconds at most for the answer to the question that is asked before saying "no answer"

Clock = Callable[[], float]


class Outcome(Enum):
    """What came of an order."""

    CONFIRMED = "confirmed"  # the device reported, after the order, what was asked for
    ALREADY_SO = "already_so"  # nothing was sent: a fresh report says that it is so
    ACCEPTED = "accepted"  # sent to a device that never reports, so nobody can know
    NO_ANSWER = "no_answer"  # sent, but the device did not report in time what was asked for
    UNAVAILABLE = "unavailable"  # the device is reported away, is gone, or there is no line to it
    CANNOT_DO = "cannot_do"  # this device has no such ability, or not this value
    REJECTED = "rejected"  # the device or its bridge said no


@dataclass(frozen=True, slots=True)
class Report:
    """The record of one order. `reported` are the state keys that the device sent after it; `ms` is the whole time, and
    `sent_ms` that until the broker had the last of its messages.

    `command` is the order as it was sent, a relative one already made absolute. `reason` is for a person, and there
    for every outcome but confirmed and accepted.
    """

    command: Command
    outcome: Outcome
    sent: tuple[Message, ...] = ()
    reported: Mapping[str, StateValue] = field(default_factory=lambda: MappingProxyType({}))
    ms: float = 0.0
    reason: str | None = None
    sent_ms: float = 0.0

    @property
    def done(self) -> bool:
        return self.outcome in (Outcome.CONFIRMED, Outcome.ALREADY_SO)


@dataclass(frozen=True, slots=True)
class OneOf:
    """Any of these words fulfils the order; none at all means that any report does."""

    words: frozenset[str]


Expected = StateValue | OneOf
ANYTHING: Final = OneOf(frozenset())

# How far a report may lie from the order, in house units. Devices round to their own steps: brightness is 1 of 254,
# a mired is 42 K at 6500 K, an xy colour of a small gamut comes back pulled in, motors stop a little early.
_TOLERANCES: Mapping[str, float] = MappingProxyType(
    {
        "brightness": 1.0,
        "kelvin": 60.0,
        "position": 3.0,
        "temperature": 0.3,
        "fan_speed": 2.0,
        "humidity": 1.0,
        "volume": 1.0,
        "value": 0.001,
    }
)
_HUE, _SATURATION = 12.0, 15.0

# The state key that an action moves, for those with a value.
_KEYS: Mapping[Action, str] = MappingProxyType(
    {
        Action.SET_BRIGHTNESS: "brightness",
        Action.SET_COLOR: "color",
        Action.SET_COLOR_TEMP: "kelvin",
        Action.SET_POSITION: "position",
        Action.SET_TEMPERATURE: "temperature",
        Action.SET_MODE: "mode",
        Action.SET_FAN_SPEED: "fan_speed",
        Action.SET_SWING: "swing",
        Action.SET_HUMIDITY: "humidity",
        Action.SET_INTENSITY: "intensity",
        Action.SET_INTERVAL: "interval",
        Action.SET_VOLUME: "volume",
        Action.SET_NUMBER: "value",
        Action.SELECT_OPTION: "value",
    }
)

# What the device must report after an action without a value. An empty one cannot be seen in any report.
_PLAIN: Mapping[Action, Mapping[str, Expected]] = MappingProxyType(
    {
        Action.TURN_ON: {"on": True},
        Action.TURN_OFF: {"on": False},
        Action.TOGGLE: {"on": ANYTHING},
        Action.OPEN: {"position": 100},
        Action.CLOSE: {"position": 0},
        Action.LOCK: {"lock": "locked"},
        Action.UNLOCK: {"lock": "unlocked"},
        Action.MUTE: {"muted": True},
        Action.UNMUTE: {"muted": False},
        Action.MEDIA_PLAY: {"playback": "playing"},
        Action.MEDIA_PAUSE: {"playback": "paused"},
        Action.MEDIA_STOP: {"playback": OneOf(frozenset({"idle", "paused"}))},
        Action.VACUUM_START: {"vacuum": "cleaning"},
        Action.VACUUM_DOCK: {"vacuum": OneOf(frozenset({"returning", "docked"}))},
        Action.VACUUM_PAUSE: {"vacuum": "paused"},
        Action.VACUUM_STOP: {"vacuum": OneOf(frozenset({"idle", "paused", "docked"}))},
        Action.MOWER_START: {"mower": "mowing"},
        Action.MOWER_DOCK: {"mower": OneOf(frozenset({"returning", "docked"}))},
    }
)

# Where a device gave no limits of its own. Dimming stops above dark: off is another order.
_LIMITS: Mapping[Capability, Range] = MappingProxyType(
    {
        Capability.BRIGHTNESS: Range(1, 100),
        Capability.COLOR_TEMP: Range(2000, 6500),
        Capability.POSITION: Range(0, 100),
        Capability.TEMPERATURE: Range(5, 35, 0.5),
        Capability.FAN_SPEED: Range(0, 100),
        Capability.HUMIDITY: Range(0, 100),
        Capability.VOLUME: Range(0, 100),
    }
)

# States in which a device says itself that it could not.
_FAILED: Mapping[str, Mapping[StateValue, str]] = MappingProxyType(
    {
        "lock": {"jammed": "it is jammed"},
        "vacuum": {"error": "it has an error"},
        "mower": {"error": "it has an error"},
    }
)


async def carry_out(command: Command, house: House, link: Link, *, clock: Clock = time.monotonic) -> Report:
    """Sends one order and waits for the device's own word. Never raises on what a house or a device can do."""
    started = clock()
    report = await _carry_out(command, house, link, clock)
    return replace(report, ms=(clock() - started) * 1000)


async def carry_out_all(
    commands: Iterable[Command],
    house: House,
    link: Link,
    *,
    clock: Clock = time.monotonic,
) -> tuple[Report, ...]:
    """Several orders at once, the reports in the order of the orders; those to one device one after the other."""
    numbered = list(enumerate(commands))
    by_device: dict[str, list[tuple[int, Command]]] = {}
    for number, command in numbered:
        by_device.setdefault(command.device_id, []).append((number, command))
    reports: dict[int, Report] = {}

    async def one_device(orders: list[tuple[int, Command]]) -> None:
        for number, command in orders:
            reports[number] = await carry_out(command, house, link, clock=clock)

    await asyncio.gather(*(one_device(orders) for orders in by_device.values()))
    return tuple(reports[number] for number, _ in numbered)


async def _carry_out(command: Command, house: House, link: Link, clock: Clock) -> Report:
    try:
        device, entity = (
            house.device(command.device_id),
            house.entity(command.device_id),
        )
    except UnknownDevice as error:
        return Report(command, Outcome.UNAVAILABLE, reason=str(error))
    state = house.state(device.id)
    try:
        _check(command, device)
        command = absolute(command, device, state)
        messages = entity.encode(command, state)
    except DeviceError as error:
        return Report(command, Outcome.CANNOT_DO, reason=str(error))
    if not house.available(device.id):
        return Report(command, Outcome.UNAVAILABLE, reason=f"{device.name} is not reachable")
    expected = expectation(command, state)
    if house.fresh(device.id) and expected and meets(expected, state, device):
        return Report(command, Outcome.ALREADY_SO, reason=f"{device.name} was so already")
    with house.events(device.id) as events:
        return await _send(
            _Order(command, device, entity, messages, expected),
            house,
            link,
            events,
            clock,
        )


@dataclass(frozen=True, slots=True)
class _Order:
    """An order that is ready to be sent."""

    command: Command
    device: Device
    entity: Entity
    messages: tuple[Message, ...]
    expected: Mapping[str, Expected]


async def _send(order: _Order, house: House, link: Link, events: Events, clock: Clock) -> Report:
    sent = clock()
    try:
        for message in order.messages:
            await link.publish(replace(message, retain=False))
    except LinkError as error:
        return Report(order.command, Outcome.UNAVAILABLE, order.messages, reason=str(error))
    sent_ms = (clock() - sent) * 1000
    if _unprovable(order):
        return Report(order.command, Outcome.ACCEPTED, order.messages, sent_ms=sent_ms)
    watch = _Watch(order, house, clock)
    patience = house.habits.patience(order.device.id, order.device.kind)
    outcome, reason = await watch.until_decided(events, patience)
    if outcome is Outcome.CONFIRMED:
        house.habits.learn(order.device.id, clock() - sent)
    elif outcome is Outcome.NO_ANSWER and await _ask(order.entity, link):
        outcome, reason = await watch.until_decided(events, min(patience, LAST_CHANCE))
    return Report(
        order.command,
        outcome,
        order.messages,
        MappingProxyType(watch.reported),
        reason=reason,
        sent_ms=sent_ms,
    )


async def _ask(entity: Entity, link: Link) -> bool:
    """Asks the device for its state; False where there is no way to."""
    messages = entity.query()
    try:
        for message in messages:
            await link.publish(message)
    except LinkError:
        return False
    return bool(messages)


def _unprovable(order: _Order) -> bool:
    """No report can show that it was done: there is none, or our own words would come back as one."""
    echoed = any(message.topic in order.entity.topics for message in order.messages)
    return order.entity.optimistic or not order.expected or echoed


class _Watch:
    """Reads a device's reports until they decide the order."""

    def __init__(self, order: _Order, house: House, clock: Clock) -> None:
        self.reported: dict[str, StateValue] = {}
        self._order = order
        self._house = house
        self._clock = clock
        self._started = clock()
        # What was so before the order, by a report worth believing, does not need to be reported once more.
        before = house.state(order.device.id) if house.fresh(order.device.id) else {}
        self._to_prove = {
            key for key, wanted in order.expected.items() if not _is(key, before.get(key), wanted, order.device)
        } or set(order.expected)

    async def until_decided(self, events: Events, patience: float) -> tuple[Outcome, str | None]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(patience) as limit:
                while True:
                    event = await anext(events)
                    decided = self._judge(event)
                    if decided is not None:
                        return decided
                    if self._moves(event):
                        left = MOVES_WITHIN - (self._clock() - self._started)
                        until = loop.time() + min(max(patience, STILL_MOVING), max(left, 0))
                        limit.reschedule(max(until, limit.when() or 0))
        except TimeoutError:
            return Outcome.NO_ANSWER, self._what_it_says()

    def _judge(self, event: Event) -> tuple[Outcome, str | None] | None:
        """The outcome, where this happening decides it."""
        name = self._order.device.name
        if event.happening is Happening.REJECTED:
            return Outcome.REJECTED, event.reason
        if event.happening is Happening.GONE:
            return Outcome.UNAVAILABLE, f"{name} was removed"
        if event.happening is not Happening.REPORTED:
            return None
        if event.reported.get("available") is False:
            return Outcome.UNAVAILABLE, f"{name} is not reachable"
        if event.retained:  # said before the order
            return None
        self.reported.update(event.reported)
        for key, failures in _FAILED.items():
            if key in self._order.expected and (failure := failures.get(event.reported.get(key, ""))):
                return Outcome.REJECTED, failure
        state = self._house.state(self._order.device.id)
        if self._to_prove <= self.reported.keys() and meets(self._order.expected, state, self._order.device):
            return Outcome.CONFIRMED, None
        return None

    def _moves(self, event: Event) -> bool:
        """A thing that takes its time has begun: it reports something of what was ordered, or that it is under way."""
        slow = self._order.device.kind in SLOW
        return slow and not event.retained and any(k in event.reported for k in (*self._order.expected, "moving"))

    def _what_it_says(self) -> str:
        name = self._order.device.name
        if self._order.expected.keys() & self.reported.keys():
            return f"{name} answered, but it did not do it"
        return f"{name} did not answer"


def _check(command: Command, device: Device) -> None:
    """Raises CannotDo for an order that no device of these abilities could obey."""
    if device.read_only is not None:
        raise CannotDo(f"{device.name} can only be read: {device.read_only}")
    if not device.can(NEEDS[command.action]):
        raise CannotDo(f"{device.name} cannot do that ({command.action.value.replace('_', ' ')})")


def absolute(command: Command, device: Device, state: State) -> Command:
    """The order with its delta made a value, from the last report and within the device's limits. Raises CannotDo.

    A toggle becomes on or off where the last report tells which, so that it can be proved.
    """
    if command.action is Action.TOGGLE and isinstance(state.get("on"), bool):
        return replace(command, action=Action.TURN_OFF if state["on"] else Action.TURN_ON)
    if command.delta is None:
        return command
    key = _KEYS.get(command.action)
    if key is None:
        raise CannotDo(f"{command.action.value.replace('_', ' ')} has no more or less")
    now = _starting_point(key, state, command.delta)
    if now is None:
        raise CannotDo(f"{device.name} has not said what it is set to, so more or less of it has no meaning")
    limits = _limits(command.action, device)
    return replace(command, value=_within(now + command.delta, limits), delta=None)


def _starting_point(key: str, state: State, delta: float) -> float | None:
    """What a relative order starts from: a light or fan that is off starts from nothing."""
    if state.get("on") is False and key in ("brightness", "fan_speed") and delta > 0:
        return 0.0
    now = state.get(key)
    return float(now) if isinstance(now, int | float) and not isinstance(now, bool) else None


def _limits(action: Action, device: Device) -> Range | None:
    capability = NEEDS[action]
    return device.limits.get(capability, _LIMITS.get(capability))


def _within(value: float, limits: Range | None) -> float:
    if limits is None:
        return value
    stepped = limits.low + round((value - limits.low) / limits.step) * limits.step
    bounded = round(min(max(stepped, limits.low), limits.high), 6)
    return int(bounded) if bounded == int(bounded) else bounded


def expectation(command: Command, state: State) -> Mapping[str, Expected]:
    """What the device must report once it has obeyed; empty where no report can show it. The order is absolute."""
    key = _KEYS.get(command.action)
    if key is None:
        return _PLAIN.get(command.action, {})
    if command.value is None:
        return {key: ANYTHING}
    if key in ("brightness", "fan_speed") and command.value == 0:
        return {"on": False} if "on" in state or key == "brightness" else {key: 0}
    if key in ("brightness", "color", "kelvin"):
        return {"on": True, key: command.value}
    return {key: command.value}


def meets(expected: Mapping[str, Expected], state: State, device: Device) -> bool:
    """Whether the state is what was expected, within what devices round."""
    return all(_is(key, state.get(key), wanted, device) for key, wanted in expected.items())


def _is(key: str, value: StateValue | None, wanted: Expected, device: Device) -> bool:
    if value is None:
        return False
    if isinstance(wanted, OneOf):
        return value in wanted.words if wanted.words else True
    if isinstance(wanted, bool) or isinstance(value, bool):
        return value is wanted
    if isinstance(wanted, int | float) and isinstance(value, int | float):
        return abs(value - wanted) <= _tolerance(key, device)
    if isinstance(wanted, tuple) and isinstance(value, tuple):
        return _same_color(value, wanted)
    return str(value).casefold() == str(wanted).casefold()


def _tolerance(key: str, device: Device) -> float:
    for action, moved in _KEYS.items():
        limits = device.limits.get(NEEDS[action]) if moved == key else None
        if limits is not None:
            return max(_TOLERANCES.get(key, 0.0), limits.step / 2)
    return _TOLERANCES.get(key, 0.0)


def _same_color(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Hue and saturation alike; the hue of what is nearly white means nothing."""
    apart = abs(one[0] - other[0]) % 360
    hue = min(apart, 360 - apart)
    return abs(one[1] - other[1]) <= _SATURATION and (hue <= _HUE or other[1] < 10)
