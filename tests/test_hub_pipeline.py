"""One command from its words to its reply, over a real broker and a house in software; the model is a table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from devices.control import Outcome
from devices.link import LinkSettings
from devices.simulator import Fault, Home
from hub.chores import NOT_YET
from hub.daemon import Hub, opened, settled
from hub.pipeline import says_in
from hub.reading import Lines
from hub.schedule import Delayed, Timer
from hub.settings import BrokerSettings, Settings
from hub.turn import Turn

LINES = {
    "kitchen light on": "<turn_on><what> kitchen light",
    "kitchen light off": "<turn_off><what> kitchen light",
    "switch it off": "<turn_off><what> it",
    "dim it to 40": "<set_brightness><what> it<to> 40",
    "desk lamp on and floor lamp on": "<turn_on><what> desk lamp<and><turn_on><what> floor lamp",
    "lamp on": "<turn_on><what> the lamp",
    "open the garage door": "<open><what> the garage door",
    "unlock the front door": "<unlock><what> the front door",
    "is the front door locked": "<get_state><what> the front door<state> locked",
    "play some jazz": "<play_media><query> some jazz",
    "wake me at 7": "<alarm_set><at> 7",
    "timer for 5 minutes": "<timer_start><for> 5 minutes",
    "kitchen light on for 10 minutes": "<turn_on><what> kitchen light<for> 10 minutes",
    "kitchen light on in 10 minutes": "<turn_on><what> kitchen light<for> 10 minutes",
    "kitchen light on at 7": "<turn_on><what> kitchen light<at> 7",
    "sauna on": "<turn_on><what> sauna",
    "broken": "<turn_on",
}


@dataclass
class House:
    hub: Hub
    home: Home
    model: Lines

    async def say(self, text: str, room: str = "") -> Turn:
        return await self.hub.pipeline.answer(text, room)


@pytest.fixture
async def house(broker: LinkSettings, tmp_path: Path) -> AsyncIterator[House]:
    address = BrokerSettings(broker.host, port=broker.port)
    settings = Settings(broker=address, state_folder=str(tmp_path))
    model = Lines(dict(LINES))
    async with (
        Home(LinkSettings(broker.host, broker.port), travel=0.1) as home,
        opened(settings, completer=model) as hub,
    ):
        await settled(hub.link, hub.house)
        yield House(hub, home, model)


async def test_a_device_obeys_and_only_then_it_is_said(house: House) -> None:
    turn = await house.say("Kitchen light on!")
    assert turn.reply == "Ceiling light is on."
    assert turn.kind == "act"
    assert turn.done
    assert turn.confirmed
    assert turn.orders[0].report.sent
    assert turn.orders[0].report.reported["on"] is True
    assert house.home.state("kitchen_ceiling_light")["state"] == "ON"
    assert set(turn.ms) == {"read", "parse", "resolve", "act", "all"}
    assert (await house.say("kitchen light on")).reply == "Ceiling light is already on."


@pytest.mark.parametrize("fault", [Fault.IGNORES, Fault.UNAVAILABLE])
async def test_what_was_not_confirmed_is_not_called_done(house: House, fault: Fault) -> None:
    for _ in range(3):  # the house learns how fast the lamp answers, so that the waiting is short
        await house.say("kitchen light on")
        await house.say("kitchen light off")
    house.home.fault("kitchen_ceiling_light", fault)
    if fault is Fault.UNAVAILABLE:
        lamp = next(d for d in house.hub.house.devices if d.name == "Ceiling light")
        assert await house.hub.house.wait_for(lamp.id, lambda s: s.get("available") is False, 5)
    turn = await house.say("kitchen light on")
    assert not turn.done
    assert not turn.confirmed
    assert "Ceiling light is on" not in turn.reply
    assert turn.orders[0].report.outcome in (Outcome.NO_ANSWER, Outcome.UNAVAILABLE)


async def test_it_means_what_was_spoken_of_in_this_room(house: House) -> None:
    await house.say("kitchen light on", "Kitchen")
    assert (await house.say("dim it to 40", "Kitchen")).reply == "Ceiling light is at 40 percent."
    assert not (await house.say("switch it off", "Office")).orders


async def test_two_orders_in_one_sentence(house: House) -> None:
    turn = await house.say("desk lamp on and floor lamp on")
    assert {o.name for o in turn.orders} == {"Office desk lamp", "Floor lamp"}
    assert turn.reply in ("Office desk lamp and Floor lamp are on.", "Floor lamp and Office desk lamp are on.")


async def test_a_question_back_is_answered_by_the_next_sentence(house: House) -> None:
    asked = await house.say("lamp on")
    assert asked.kind == "ask"
    assert asked.reply.endswith("?")
    turn = await house.say("the bedroom one")
    assert [o.name for o in turn.orders] == ["Bedroom lamp"]
    assert turn.confirmed


async def test_a_question_back_is_forgotten_when_something_else_is_said(house: House) -> None:
    await house.say("lamp on")
    assert (await house.say("kitchen light on")).confirmed
    assert not (await house.say("the bedroom one")).orders


@pytest.mark.parametrize("text", ["open the garage door", "unlock the front door"])
async def test_the_house_is_not_opened_by_an_unsure_model(house: House, text: str) -> None:
    house.model.confidence = 0.4
    turn = await house.say(text)
    assert turn.kind == "refuse"
    assert not turn.orders
    assert (await house.say("kitchen light on")).orders


async def test_questions_are_answered_from_what_was_reported(house: House) -> None:
    assert (await house.say("is the front door locked")).reply.startswith(("Yes, Front door is", "No, Front door is"))


async def test_a_timer_and_what_is_to_be_undone(house: House) -> None:
    assert (await house.say("timer for 5 minutes")).reply == "The 5 minutes timer is running."
    turn = await house.say("kitchen light on for 10 minutes")
    assert turn.reply == "Ceiling light is on. I will undo that in 10 minutes."
    timer, delayed = house.hub.schedule.plans.timers[0], house.hub.schedule.plans.delayed[0]
    assert isinstance(timer, Timer)
    undone = await house.hub.pipeline.do(delayed)
    assert undone.reply == "Ceiling light is off."


async def test_what_is_wanted_later_is_not_done_now(house: House) -> None:
    turn = await house.say("kitchen light on in 10 minutes")
    assert turn.done
    assert not turn.orders
    assert house.hub.schedule.plans.delayed[0].intent == "turn_on"
    assert not (await house.say("kitchen light on at 7")).done
    assert house.home.state("kitchen_ceiling_light")["state"] == "OFF"


async def test_a_delayed_sentence_is_answered_then(house: House) -> None:
    turn = await house.hub.pipeline.do(Delayed(1, 0.0, "kitchen light on"))
    assert turn.confirmed


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("", "I did not understand that."),
        ("   \n", "I did not understand that."),
        ("?!", "I did not understand that."),
        ("lamp " * 2000, "That was too long for me."),
        ("x" * 10_000, "That was too long for me."),
        ("tell me a joke", "That is nothing that I can do"),
        ("broken", "I did not understand that."),
        ("sauna on", "I know of no sauna here."),
        ("wake me at 7", NOT_YET["alarm_set"]),
        ("play some jazz", NOT_YET["play_media"]),
    ],
)
async def test_what_cannot_be_done_is_a_sentence(house: House, text: str, reply: str) -> None:
    turn = await house.say(text)
    assert turn.reply.startswith(reply)
    assert not turn.done
    assert not turn.orders


async def test_a_lost_broker_is_a_sentence(house: House, broker: object) -> None:
    await broker.stop()  # type: ignore[attr-defined]
    turn = await asyncio.wait_for(house.say("kitchen light on"), 20)
    assert not turn.done
    assert "is on." not in turn.reply


def test_a_delay_and_a_length() -> None:
    assert says_in("open the blinds in ten minutes")
    assert says_in("in an hour turn off the light")
    assert says_in("lock the door after one and a half hours")
    assert says_in("heating on in 90 minutes")
    assert not says_in("turn on the light in the kitchen")
    assert not says_in("turn on the light in the kitchen for ten minutes")
