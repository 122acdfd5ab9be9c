"""What opens the house is done with the PIN and not without: over a real broker, with the model that ships."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from devices.device import Capability, Device, Kind
from devices.link import LinkSettings
from devices.simulator import Home
from hub.daemon import Hub, opened, settled
from hub.guard import ASKS_FOR, FIRST_LOCK, LONGEST_LOCK, TRIES, Guard, Verdict, Waiting, needs_pin
from hub.pin import hashed
from hub.schedule import Delayed
from hub.settings import BrokerSettings, DeviceSettings, HouseSettings, SafetySettings, Settings
from hub.turn import Turn
from intents import homes
from intents.intent import Outcome, Resolution, Wish
from intents.understand import Understanding

PIN = hashed("4071")
WAITING = Waiting("unlock", Understanding(Resolution(Outcome.ACT)), 0.0)
KEY = ("post", "Hall", "")


@dataclass
class House:
    hub: Hub
    home: Home

    async def say(self, text: str, room: str = "Hallway", source: str = "post 1", conversation: str = "") -> Turn:
        return await self.hub.pipeline.answer(text, room, conversation, source)

    @property
    def locked(self) -> bool:
        return bool(self.home.state("front_door")["state"] == "LOCKED")


@asynccontextmanager
async def living(broker: LinkSettings, folder: Path, house: HouseSettings | None = None) -> AsyncIterator[House]:
    settings = Settings(
        broker=BrokerSettings(broker.host, port=broker.port),
        state_folder=str(folder),
        safety=SafetySettings(pin=PIN),
        house=house or HouseSettings(),
    )
    async with Home(LinkSettings(broker.host, broker.port), travel=0.1) as home, opened(settings) as hub:
        await settled(hub.link, hub.house)
        yield House(hub, home)


@pytest.fixture
async def house(broker: LinkSettings, tmp_path: Path) -> AsyncIterator[House]:
    async with living(broker, tmp_path) as house:
        yield house


async def test_a_door_is_unlocked_with_the_pin(house: House) -> None:
    for digits in ("4071", "four oh seven one", "my PIN is forty seventy one"):
        asked = await house.say("unlock the front door")
        assert (asked.reply, asked.kind, asked.asks, asked.done) == ("What is the PIN?", "ask", "pin", False)
        assert not asked.orders
        wrong = await house.say("It's 70, 41.")
        assert (wrong.reply, wrong.orders, house.locked) == ("That is not the PIN. What is the PIN?", (), True)
        turn = await house.say(digits)
        assert (turn.kind, turn.confirmed, house.locked) == ("act", True, False)
        assert turn.text == wrong.text == "(PIN)"
        assert turn.line == asked.line
        assert (await house.say("lock the front door")).confirmed


async def test_shutting_asks_for_nothing(house: House) -> None:
    for text in ("lock the front door", "close the garage door", "is the front door locked"):
        turn = await house.say(text)
        assert turn.done, turn.reply
        assert not turn.asks


async def test_all_of_a_sentence_waits_for_it(house: House) -> None:
    for number, text in enumerate(
        (
            "in ten minutes unlock the front door",
            "open the garage door",
            "close the garage door for ten minutes",  # which opens it then
            "turn on the bathroom light and unlock the front door",
        )
    ):
        asked = await house.say(text)
        assert asked.asks == "pin"
        assert not asked.orders
        assert len(house.hub.schedule.plans.delayed) == (number + 1) // 2
        assert (await house.say("4071")).done


async def test_it_can_be_said_at_once(house: House) -> None:
    turn = await house.say("unlock the front door, my pin is four oh seven one")
    assert turn.confirmed
    assert turn.text == "unlock the front door"
    assert (await house.say("open the garage door with the pin 1704")).reply.startswith("That is not the PIN.")


async def test_what_was_planned_with_it_is_done_and_nothing_else(house: House) -> None:
    await house.say("in ten minutes unlock the front door")
    assert (await house.say("4071")).done
    (planned,) = house.hub.schedule.plans.delayed
    assert "4071" not in repr(planned)
    stolen = await house.hub.pipeline.do(replace(planned, allowed=False))
    assert (stolen.kind, stolen.orders) == ("refuse", ())
    assert house.locked
    assert (await house.hub.pipeline.do(planned)).confirmed
    assert not house.locked


async def test_an_end_that_opens_is_planned_with_it(house: House) -> None:
    await house.say("close the garage door for ten minutes")
    assert not (await house.say("1704")).done
    assert (await house.say("4071")).done
    (planned,) = house.hub.schedule.plans.delayed
    assert isinstance(planned, Delayed)
    assert planned.intent == "open"


async def test_it_has_to_come_from_where_it_was_asked(house: House) -> None:
    for elsewhere in ({"room": "Kitchen"}, {"source": "say"}, {"conversation": "another"}):
        await house.say("unlock the front door")
        turn = await house.say("4071", **elsewhere)
        assert turn.reply == "There is nothing now that waits for the PIN."
        assert turn.text == "(PIN)"
        assert house.locked
    assert (await house.say("4071")).confirmed


async def test_something_else_is_done_and_the_question_forgotten(house: House) -> None:
    for other in ("turn on the bathroom light", "never mind", "set the bathroom light to 40 percent"):
        await house.say("unlock the front door")
        assert (await house.say(other)).done
        assert not (await house.say("4071")).orders
    assert house.locked


async def test_what_was_not_heard_well_is_asked_again_and_not_counted(house: House) -> None:
    await house.say("unlock the front door")
    for unclear in ("four oh seven", "my PIN is", "four fork seven one", *["407"] * TRIES):
        turn = await house.say(unclear)
        assert (turn.reply, turn.text) == ("What is the PIN?", "(PIN)")
    assert (await house.say("4071")).confirmed


async def test_nobody_tries_for_long(house: House) -> None:
    await house.say("unlock the front door")
    for number in range(1, TRIES):
        turn = await house.say("1704")
        assert (number, turn.reply, turn.asks) == (number, "That is not the PIN. What is the PIN?", "pin")
    told = "There were too many wrong PINs. I take no other for 1 minute."
    assert (await house.say("1704")).reply == told
    assert (await house.say("unlock the front door", source="post 2")).reply == told
    assert (await house.say("unlock the front door, PIN 4071")).reply == told
    assert house.locked
    assert (await house.say("lock the front door")).done


async def test_it_is_written_down_nowhere(house: House, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        turns = [await house.say(t) for t in ("unlock the front door", "1704", "four oh seven", "four oh seven one")]
        turns += [await house.say("4071"), await house.say("unlock the front door, my pin is 4071")]
        turns += [
            await house.say("unlock the front door 4071"),
            await house.say("in a minute open the garage, PIN 4071"),
        ]
        assert (await house.hub.pipeline.meaning("4071"))[0].trouble is not None
    told = json.dumps([turn.as_json() for turn in turns])
    with sqlite3.connect(tmp_path / "parses.sqlite") as cache:
        kept = "\n".join(cache.iterdump())
    cache.close()
    files = "".join(f.read_bytes().decode("latin-1") for f in tmp_path.iterdir() if f.suffix in (".json", ".sqlite"))
    for text in (told.replace(turns[0].id, ""), caplog.text, kept, files):
        words = text.casefold()
        assert not any(secret in words for secret in ("four oh", "seven one", '"4071', " 4071", "1704"))
    assert "front door" in kept


async def test_home_assistant_is_not_told_to_do_it_for_us(house: House) -> None:
    for text in ("unlock the front door", "unlock the front door, PIN 4071", "in ten minutes unlock the front door"):
        resolution, said = await house.hub.pipeline.meaning(text)
        assert resolution.trouble is not None
        assert "PIN" in said
    assert (await house.hub.pipeline.meaning("lock the front door"))[0].trouble is None


async def test_the_settings_say_what_is_sensitive(broker: LinkSettings, tmp_path: Path) -> None:
    marked = HouseSettings(
        devices={"Garage light switch": DeviceSettings(sensitive=True), "Front door": DeviceSettings(sensitive=False)}
    )
    async with living(broker, tmp_path, marked) as house:
        assert (await house.say("unlock the front door")).confirmed
        assert (await house.say("turn on the garage light switch")).asks == "pin"
        assert (await house.say("4071")).confirmed


async def test_without_a_pin_all_is_as_before(broker: LinkSettings, tmp_path: Path) -> None:
    address = BrokerSettings(broker.host, port=broker.port)
    settings = Settings(broker=address, state_folder=str(tmp_path))
    async with Home(LinkSettings(broker.host, broker.port), travel=0.1) as home, opened(settings) as hub:
        await settled(hub.link, hub.house)
        assert (await hub.pipeline.answer("unlock the front door")).confirmed
        assert home.state("front_door")["state"] == "UNLOCKED"
        assert (await hub.pipeline.answer("4071")).text == "4071"


# -- what needs it


def device(kind: Kind, device_class: str = "", **more: object) -> Device:
    found = Device("x", "Thing", kind, frozenset({Capability.ON_OFF}), device_class=device_class)
    return replace(found, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "device_class", "opens", "shuts"),
    [
        (Kind.LOCK, "", "unlock", "lock"),
        (Kind.COVER, "garage", "open toggle turn_on set_position", "close turn_off"),
        (Kind.COVER, "gate", "open", "close"),
        (Kind.COVER, "blind", "", "open close toggle set_position"),
        (Kind.SIREN, "", "turn_off toggle", "turn_on"),
        (Kind.LIGHT, "", "", "turn_on turn_off toggle get_state"),
    ],
)
def test_what_opens_needs_it(kind: Kind, device_class: str, opens: str, shuts: str) -> None:
    plain = device(kind, device_class)
    for intents, needed in ((opens, True), (shuts, False)):
        for intent in intents.split():
            assert needs_pin(Wish(intent, ("x",)), homes.Home((plain,))) is needed, intent
            assert not needs_pin(Wish(intent, ("x",)), homes.Home((replace(plain, sensitive=False),)))
            marked = homes.Home((replace(plain, sensitive=True),))
            assert needs_pin(Wish(intent, ("x",)), marked) is (intent not in ("lock", "close", "get_state"))


def test_closing_by_a_number_is_closing_and_a_group_is_its_members() -> None:
    gate = device(Kind.COVER, "gate")
    group = Device("all", "Covers", Kind.COVER, frozenset({Capability.OPEN_CLOSE}), members=("x",))
    home = homes.Home((gate, group))
    assert not needs_pin(Wish("set_position", ("x",), {"value": 0}), home)
    assert needs_pin(Wish("set_position", ("x",), {"value": 1}), home)
    assert needs_pin(Wish("set_position", ("x",), {"delta": -10}), home)
    assert needs_pin(Wish("open", ("all",)), home)


# -- questions and wrong ones


@dataclass
class Clock:
    now: float = 1000.0
    calls: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now


def test_a_question_is_open_for_a_while_and_for_one_answer() -> None:
    clock = Clock()
    guard = Guard(PIN, clock=clock)
    waiting = replace(WAITING, at=clock.now)
    guard.ask(KEY, waiting)
    assert guard.shown("one two tree", KEY) == "(PIN)"
    assert guard.take(KEY) is waiting
    assert guard.take(KEY) is None
    guard.ask(KEY, waiting)
    clock.now += ASKS_FOR + 1
    assert not guard.asks(KEY)
    assert guard.take(KEY) is None
    for number in range(1000):
        guard.ask((str(number), "", ""), replace(WAITING, at=clock.now))
    assert sum(guard.asks((str(number), "", "")) for number in range(1000)) <= 100


async def test_each_wrong_one_more_doubles_the_time_also_over_a_restart(tmp_path: Path) -> None:
    wall, file = Clock(), tmp_path / "state" / "pin.json"
    guard = Guard(PIN, file, wall=wall)
    for _ in range(TRIES - 1):
        assert await guard.check("1704") is Verdict.WRONG
        assert guard.locked_for == 0
    for length in (FIRST_LOCK, 2 * FIRST_LOCK, 4 * FIRST_LOCK):
        assert await guard.check("1704") is Verdict.WRONG
        assert guard.locked_for == length
        guard = Guard(PIN, file, wall=wall)
        assert guard.locked_for == length
        assert await guard.check("4071") is Verdict.LOCKED
        wall.now += length
    assert file.stat().st_mode & 0o777 == 0o600
    wall.now -= 10**9  # a board without a clock of its own, just started
    assert 0 < guard.locked_for <= LONGEST_LOCK
    wall.now += 10**9
    assert await guard.check("4071") is Verdict.RIGHT
    assert await Guard(PIN, file, wall=wall).check("1704") is Verdict.WRONG
    assert guard.locked_for == 0


async def test_the_time_grows_to_an_hour(tmp_path: Path) -> None:
    file = tmp_path / "pin.json"
    for text, locked in (
        ('{"wrong": 1000000, "at": 1000}', LONGEST_LOCK),
        ('{"wrong": "many", "at": 1}', 0),
        ("[]", 0),
        ("oops", 0),
    ):
        file.write_text(text)
        assert Guard(PIN, file, wall=Clock()).locked_for == locked


async def test_who_tries_many_at_once_gets_no_more_tries() -> None:
    guard = Guard(PIN)
    found = await asyncio.gather(*(guard.check(f"{number}") for number in range(4000, 4080)))
    assert [*found].count(Verdict.WRONG) == TRIES
    assert Verdict.RIGHT not in found


async def test_a_full_disk_locks_nobody_out_and_lets_nobody_in(tmp_path: Path) -> None:
    (tmp_path / "not a folder").write_text("")
    guard = Guard(PIN, tmp_path / "not a folder" / "pin.json")
    for _ in range(TRIES):
        assert await guard.check("1704") is Verdict.WRONG
    assert guard.locked_for
