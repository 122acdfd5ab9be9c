"""Orders over a real mosquitto: what is said to be done has been reported by the device, and nothing else is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Protocol

import pytest

from devices.command import Action, Command, State, StateValue
from devices.control import Outcome, absolute, carry_out, carry_out_all, expectation, meets
from devices.conventions import Announced, CannotDo, Message
from devices.device import Capability, Device, Kind, Range
from devices.discovery import Discovery
from devices.habits import LONGEST, SHORTEST, UNMEASURED, UNMEASURED_SLOW, Habits
from devices.house import House
from devices.link import Link, LinkSettings
from devices.tasks import end

WITHIN = 10.0
ALL = frozenset(Capability)
LAMP = Device("lamp", "Lamp", Kind.LIGHT, ALL)


class Running(Protocol):
    host: str
    port: int

    async def stop(self) -> None: ...
    async def start(self) -> None: ...


@dataclass(frozen=True)
class Plain:
    """A device of the test's own convention: the state itself as JSON, on `plain/<id>`."""

    device: Device
    optimistic: bool = False

    @property
    def identities(self) -> frozenset[str]:
        return frozenset({self.device.id})

    @property
    def topics(self) -> frozenset[str]:
        return frozenset({f"plain/{self.device.id}", f"plain/{self.device.id}/error"})

    def decode(self, message: Message, state: State) -> Mapping[str, StateValue]:
        return {} if message.topic.endswith("error") else dict(json.loads(message.payload))

    def rejection(self, message: Message) -> str | None:
        return message.payload.decode() if message.topic.endswith("error") else None

    def encode(self, command: Command, state: State) -> tuple[Message, ...]:
        if command.value == "purple":
            raise CannotDo("there is no purple")
        wanted = {k: v for k, v in expectation(command, state).items() if isinstance(v, bool | int | float | str)}
        return (Message(f"plain/{self.device.id}/set", json.dumps(wanted).encode()),)

    def query(self) -> tuple[Message, ...]:
        return (Message(f"plain/{self.device.id}/get", b""),)


@dataclass(frozen=True)
class PlainConvention:
    devices: Mapping[str, Plain]
    name: str = "plain"
    announcements: tuple[str, ...] = ("plain/+/here",)

    def announce(self, message: Message) -> Announced | None:
        entity = self.devices.get(message.topic.split("/")[1])
        if not message.topic.endswith("/here") or entity is None:
            return None
        return Announced(message.topic, (entity,) if message.payload else ())

    def greeting(self) -> tuple[Message, ...]:
        return ()


Answer = Callable[[dict[str, StateValue]], "list[tuple[str, object]]"]


def obeys(wanted: dict[str, StateValue]) -> list[tuple[str, object]]:
    return [("", wanted)]


def ignores(wanted: dict[str, StateValue]) -> list[tuple[str, object]]:
    return []


@dataclass
class Bench:
    """A house on a bench: one link for us, one for the device, whose answers the test chooses."""

    house: House
    link: Link
    far: Link
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    all_asked: asyncio.Event = field(default_factory=asyncio.Event)  # every device has been asked for its state
    answer_to_get: dict[str, object] | None = None

    async def serve(self) -> None:
        async for message in self.far.listen("plain/+/set", "plain/+/get"):
            device_id, kind = message.topic.split("/")[1:]
            self.asked.append(kind)
            if len(self.asked) == len(DEVICES):
                self.all_asked.set()
            if kind == "get":
                if self.answer_to_get is not None:
                    await self.say(device_id, self.answer_to_get)
                continue
            for suffix, payload in self.answers.get(device_id, obeys)(json.loads(message.payload)):
                await self.say(device_id + suffix, payload)

    async def say(self, path: str, payload: object) -> None:
        body = payload if isinstance(payload, str) else json.dumps(payload)
        await self.far.publish(Message(f"plain/{path}", body.encode()))

    async def knows(self, device_id: str, state: dict[str, object]) -> None:
        await self.say(device_id, state)
        assert await self.house.wait_for(device_id, lambda s: s.items() >= state.items(), WITHIN)

    async def order(self, device_id: str, action: Action, value: StateValue | None = None) -> Outcome:
        return (await carry_out(Command(device_id, action, value), self.house, self.link)).outcome


DEVICES: dict[str, Plain] = {
    "lamp": Plain(LAMP),
    "door": Plain(Device("door", "Garage door", Kind.COVER, ALL)),
    "lock": Plain(Device("lock", "Front door", Kind.LOCK, ALL)),
    "scene": Plain(Device("scene", "Movie night", Kind.SCENE, ALL), optimistic=True),
    "sensor": Plain(Device("sensor", "Sensor", Kind.SENSOR, frozenset({Capability.STATE}))),
    "broken": Plain(Device("broken", "Odd lamp", Kind.LIGHT, ALL, read_only="its template loops")),
}


@pytest.fixture
async def bench(broker: Running) -> AsyncIterator[Bench]:
    settings = LinkSettings(broker.host, broker.port)
    async with AsyncExitStack() as stack:
        link = await stack.enter_async_context(Link(settings, must_connect=True))
        far = await stack.enter_async_context(Link(settings, must_connect=True))
        bench = Bench(House(), link, far)
        serving = asyncio.create_task(bench.serve())
        await asyncio.sleep(0)
        await far.settled()
        for device_id in DEVICES:
            await far.publish(Message(f"plain/{device_id}/here", b"1", retain=True, qos=1))
        await stack.enter_async_context(Discovery(link, bench.house, [PlainConvention(DEVICES)]))
        async with asyncio.timeout(WITHIN):
            await bench.all_asked.wait()
        bench.asked.clear()
        for device_id in DEVICES:  # so that "no answer" does not take the three seconds of a stranger
            for _ in range(3):
                bench.house.habits.learn(device_id, 0.01)
        yield bench
        await end(serving)


async def test_a_device_that_reports_what_was_asked_confirms(bench: Bench) -> None:
    report = await carry_out(Command("lamp", Action.SET_BRIGHTNESS, 40), bench.house, bench.link)
    assert report.outcome is Outcome.CONFIRMED
    assert report.reported == {"on": True, "brightness": 40}
    assert [m.topic for m in report.sent] == ["plain/lamp/set"]
    assert report.ms > 0
    assert report.done


async def test_a_device_that_ignores_an_order_never_confirms(bench: Bench) -> None:
    bench.answers["lamp"] = ignores
    report = await carry_out(Command("lamp", Action.TURN_ON), bench.house, bench.link)
    assert report.outcome is Outcome.NO_ANSWER
    assert not report.done
    assert report.reason == "Lamp did not answer"
    assert bench.asked == ["set", "get"]


async def test_a_device_that_reports_something_else_does_not_confirm(bench: Bench) -> None:
    bench.answers["lamp"] = lambda wanted: [("", {"on": False})]
    report = await carry_out(Command("lamp", Action.TURN_ON), bench.house, bench.link)
    assert report.outcome is Outcome.NO_ANSWER
    assert report.reason == "Lamp answered, but it did not do it"


async def test_a_device_that_only_answers_when_asked_confirms(bench: Bench) -> None:
    bench.answers["lamp"] = ignores
    bench.answer_to_get = {"on": True}
    assert await bench.order("lamp", Action.TURN_ON) is Outcome.CONFIRMED


async def test_what_was_reported_before_the_order_proves_nothing_of_it(bench: Bench) -> None:
    bench.answers["lamp"] = lambda wanted: [("", {"brightness": 7})]
    await bench.knows("lamp", {"on": True})
    bench.house.doubt()
    assert await bench.order("lamp", Action.TURN_ON) is Outcome.NO_ANSWER


async def test_what_is_so_already_is_not_sent(bench: Bench) -> None:
    await bench.knows("lamp", {"on": True, "brightness": 40})
    assert await bench.order("lamp", Action.TURN_ON) is Outcome.ALREADY_SO
    assert await bench.order("lamp", Action.SET_BRIGHTNESS, 40) is Outcome.ALREADY_SO
    assert bench.asked == []


async def test_a_state_in_doubt_is_not_already_so(bench: Bench) -> None:
    await bench.knows("lamp", {"on": True})
    bench.house.doubt()
    assert await bench.order("lamp", Action.TURN_ON) is Outcome.CONFIRMED


async def test_a_device_that_never_reports_is_only_accepted(bench: Bench) -> None:
    assert await bench.order("scene", Action.ACTIVATE) is Outcome.ACCEPTED
    assert await bench.order("scene", Action.TURN_ON) is Outcome.ACCEPTED


async def test_a_refusal_is_told_in_the_words_of_the_bridge(bench: Bench) -> None:
    bench.answers["lamp"] = lambda wanted: [("/error", "no route")]
    report = await carry_out(Command("lamp", Action.TURN_ON), bench.house, bench.link)
    assert (report.outcome, report.reason) == (Outcome.REJECTED, "no route")


async def test_a_jammed_lock_has_not_obeyed(bench: Bench) -> None:
    bench.answers["lock"] = lambda wanted: [("", {"lock": "jammed"})]
    assert await bench.order("lock", Action.LOCK) is Outcome.REJECTED


async def test_a_device_that_is_away_gets_no_order(bench: Bench) -> None:
    await bench.knows("lamp", {"available": False})
    assert await bench.order("lamp", Action.TURN_ON) is Outcome.UNAVAILABLE
    assert bench.asked == []


async def test_a_device_that_goes_away_meanwhile_is_unavailable(bench: Bench) -> None:
    bench.answers["lamp"] = lambda wanted: [("", {"available": False})]
    assert await bench.order("lamp", Action.TURN_ON) is Outcome.UNAVAILABLE


async def test_a_device_that_is_removed_meanwhile_is_unavailable(bench: Bench) -> None:
    bench.answers["lamp"] = ignores
    order = asyncio.create_task(bench.order("lamp", Action.TURN_ON))
    await bench.far.publish(Message("plain/lamp/here", b"", retain=True))
    assert await order is Outcome.UNAVAILABLE
    assert await bench.order("lamp", Action.TURN_ON) is Outcome.UNAVAILABLE


async def test_what_a_device_cannot_do_is_said(bench: Bench) -> None:
    assert await bench.order("sensor", Action.TURN_ON) is Outcome.CANNOT_DO
    assert await bench.order("lamp", Action.SET_COLOR, "purple") is Outcome.CANNOT_DO
    report = await carry_out(Command("broken", Action.TURN_ON), bench.house, bench.link)
    assert report.outcome is Outcome.CANNOT_DO
    assert "its template loops" in (report.reason or "")


async def test_a_door_that_is_seen_to_move_is_waited_for(bench: Bench) -> None:
    async def opens() -> None:
        for position in range(0, 101, 10):
            await asyncio.sleep(0.08)
            await bench.say("door", {"position": position})

    moving: list[asyncio.Task[None]] = []

    def starts(wanted: dict[str, StateValue]) -> list[tuple[str, object]]:
        moving.append(asyncio.create_task(opens()))
        return []

    bench.answers["door"] = starts
    report = await carry_out(Command("door", Action.OPEN), bench.house, bench.link)
    assert report.outcome is Outcome.CONFIRMED
    assert report.ms > 1000 * SHORTEST


async def test_several_orders_run_at_once_and_those_to_one_device_in_order(bench: Bench) -> None:
    bench.answers["door"] = ignores
    commands = [
        Command("lamp", Action.TURN_ON),
        Command("door", Action.OPEN),
        Command("lamp", Action.TURN_OFF),
        Command("nowhere", Action.TURN_ON),
    ]
    reports = await carry_out_all(commands, bench.house, bench.link)
    assert [r.command for r in reports] == commands
    assert [r.outcome for r in reports] == [
        Outcome.CONFIRMED,
        Outcome.NO_ANSWER,
        Outcome.CONFIRMED,
        Outcome.UNAVAILABLE,
    ]
    assert bench.house.state("lamp")["on"] is False


async def test_without_a_broker_an_order_is_unavailable_and_afterwards_it_works(bench: Bench, broker: Running) -> None:
    await bench.knows("lamp", {"on": False})
    lost = asyncio.Event()
    bench.link.on_lost(lost.set)
    await broker.stop()
    async with asyncio.timeout(WITHIN):
        await lost.wait()
    assert not bench.house.fresh("lamp")
    assert await bench.order("lamp", Action.TURN_ON) is Outcome.UNAVAILABLE
    await broker.start()
    async with asyncio.timeout(WITHIN):
        await bench.far.settled()
        await bench.link.settled()
    assert await bench.order("lamp", Action.TURN_ON) is Outcome.CONFIRMED


async def test_an_order_is_answered_while_a_thousand_announcements_come_in(bench: Bench, broker: Running) -> None:
    for n in range(1000):
        await bench.far.publish(Message(f"flood/{n}/here", b"x" * 500, retain=True, qos=1))

    lamps = {f"{n}": Plain(Device(f"l{n}", f"Lamp {n}", Kind.LIGHT, ALL)) for n in range(1000)}
    house = House()
    async with Discovery(bench.link, house, [PlainConvention(lamps, "flood", ("flood/+/here",))]):
        report = await carry_out(Command("lamp", Action.TURN_ON), bench.house, bench.link)
        assert report.outcome is Outcome.CONFIRMED
        async with asyncio.timeout(WITHIN):
            while len(house.devices) < 1000:
                await asyncio.sleep(0.01)
                again = Action.TURN_OFF if bench.house.state("lamp")["on"] else Action.TURN_ON
                assert await bench.order("lamp", again) is Outcome.CONFIRMED


# -- without a broker


def test_a_delta_starts_at_the_last_report_and_stays_within_limits() -> None:
    limits = {Capability.TEMPERATURE: Range(7, 30, 0.5)}
    stove = Device("s", "Stove", Kind.CLIMATE, ALL, limits=limits)
    warmer = Command("s", Action.SET_TEMPERATURE, delta=1.3)
    assert absolute(warmer, stove, {"temperature": 20.0}).value == 21.5
    assert absolute(warmer, stove, {"temperature": 29.5}).value == 30
    with pytest.raises(CannotDo, match="has not said"):
        absolute(warmer, stove, {})


@pytest.mark.parametrize(
    ("state", "delta", "value"),
    [
        ({"on": True, "brightness": 40}, 20, 60),
        ({"on": True, "brightness": 90}, 20, 100),
        ({"on": True, "brightness": 10}, -20, 1),
        ({"on": False, "brightness": 90}, 20, 20),
    ],
)
def test_brighter_and_dimmer(state: dict[str, StateValue], delta: float, value: float) -> None:
    assert absolute(Command("lamp", Action.SET_BRIGHTNESS, delta=delta), LAMP, state).value == value


def test_a_toggle_of_a_known_state_is_an_order_that_can_be_proved() -> None:
    toggle = Command("lamp", Action.TOGGLE)
    assert absolute(toggle, LAMP, {"on": True}).action is Action.TURN_OFF
    assert absolute(toggle, LAMP, {}).action is Action.TOGGLE


@pytest.mark.parametrize("action", list(Action))
def test_every_action_expects_keys_that_a_report_can_have(action: Action) -> None:
    keys = expectation(Command("x", action, 10), {"on": True}).keys()
    known = {"on", "brightness", "color", "kelvin", "position", "lock", "temperature", "mode", "fan_speed", "swing"}
    more = {"value", "intensity", "interval"}
    assert keys <= known | {"humidity", "volume", "muted", "playback", "vacuum", "mower", *more}


@pytest.mark.parametrize(
    ("expected", "state", "met"),
    [
        ({"brightness": 50}, {"brightness": 50.4}, True),
        ({"brightness": 50}, {"brightness": 53}, False),
        ({"kelvin": 4000}, {"kelvin": 4016}, True),
        ({"color": (355.0, 100.0)}, {"color": (2.0, 96.0)}, True),
        ({"color": (120.0, 100.0)}, {"color": (240.0, 100.0)}, False),
        ({"mode": "Heat"}, {"mode": "heat"}, True),
        ({"on": True}, {"on": 1}, False),
        ({"on": True}, {}, False),
        ({"position": 0}, {"position": 2}, True),
    ],
)
def test_reports_meet_orders_within_what_devices_round(
    expected: dict[str, StateValue], state: dict[str, StateValue], met: bool
) -> None:
    assert meets(expected, state, LAMP) is met


def test_patience_is_the_devices_own_habit() -> None:
    habits = Habits()
    assert habits.patience("a", Kind.LIGHT) == UNMEASURED
    assert habits.patience("a", Kind.COVER) == UNMEASURED_SLOW
    for seconds in (0.2, 0.25, 0.3):
        habits.learn("a", seconds)
    assert habits.patience("a", Kind.LIGHT) == pytest.approx(1.2)
    for _ in range(3):
        habits.learn("b", 0.001)
        habits.learn("c", 60)
    assert (habits.patience("b", Kind.LIGHT), habits.patience("c", Kind.LIGHT)) == (SHORTEST, LONGEST)
