"""The home in software: it announces itself as real devices do, obeys, reports, and fails when it is told to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Protocol

import pytest

from devices.conventions import Message
from devices.link import Inbox, Link, LinkError, LinkSettings
from devices.simulator import Fault, Home
from devices.simulator.home import furnish
from devices.simulator.thing import Travel

WITHIN = 10.0


class Running(Protocol):
    host: str
    port: int

    async def stop(self) -> None: ...
    async def start(self) -> None: ...


@pytest.fixture
async def link(broker: Running) -> AsyncIterator[Link]:
    async with Link(LinkSettings(broker.host, broker.port), must_connect=True) as link:
        yield link


@pytest.fixture
async def home(broker: Running) -> AsyncIterator[Home]:
    async with Home(LinkSettings(broker.host, broker.port), travel=0.02, slowness=0.02) as home:
        yield home


async def next_on(inbox: Inbox, topic: str) -> Message:
    async with asyncio.timeout(WITHIN):
        while (message := await anext(inbox)).topic != topic or message.retain:
            pass
    return message


async def ask(link: Link, topic: str, payload: str, answer: str) -> str:
    """What is published on `answer` after `payload` was sent to `topic`."""
    inbox = link.listen(answer)
    await link.settled()
    await link.publish(Message(topic, payload.encode()))
    message = await next_on(inbox, answer)
    inbox.close()
    return message.payload.decode()


def test_it_is_a_home_worth_the_name() -> None:
    things = furnish()
    assert len(things) >= 15
    assert len({t.room for t in things}) >= 6
    assert len({t.id for t in things}) == len(things)
    assert len({topic for t in things for topic in t.listens()}) == sum(len(t.listens()) for t in things)


async def test_its_announcements_are_kept_and_are_json(link: Link, home: Home) -> None:
    inbox = link.listen("homeassistant/+/+/config", "homeassistant/+/+/+/config", "zigbee2mqtt/bridge/devices")
    seen: dict[str, Any] = {}
    async with asyncio.timeout(WITHIN):
        while len(seen) < 17:
            message = await anext(inbox)
            assert message.retain
            seen[message.topic] = json.loads(message.payload)
    assert seen["homeassistant/lock/front_door/config"]["device"]["suggested_area"] == "Hallway"
    assert any(d["friendly_name"] == "Bedroom lamp" for d in seen["zigbee2mqtt/bridge/devices"])


@pytest.mark.parametrize(
    ("topic", "payload", "answer", "says"),
    [
        ("home/coffee_machine/state/set", "ON", "home/coffee_machine/state", "ON"),
        ("home/front_door/state/set", "UNLOCK", "home/front_door/state", "UNLOCKED"),
        ("home/thermostat/temperature/set", "22.5", "home/thermostat/temperature", "22.5"),
        ("home/floor_lamp/rgb/set", "255,0,0", "home/floor_lamp/state", "ON"),
        ("home/bedroom_fan/percentage/set", "75", "home/bedroom_fan/percentage", "75"),
        ("home/vacuum/state/set", "start", "home/vacuum/state", '{"state": "cleaning"}'),
    ],
)
async def test_plain_devices_obey_and_report(
    link: Link, home: Home, topic: str, payload: str, answer: str, says: str
) -> None:
    assert await ask(link, topic, payload, answer) == says


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("Bathroom light", {"state": "ON", "brightness": 100}),
        ("Bedroom lamp", {"color_temp": 250}),
        ("Bedroom lamp", {"color": {"x": 0.3, "y": 0.6}}),
        ("Office printer", {"state": "TOGGLE"}),
        ("Bedroom lights", {"state": "ON"}),
    ],
)
async def test_zigbee_devices_obey_and_report(link: Link, home: Home, name: str, wanted: dict[str, object]) -> None:
    said = await ask(link, f"zigbee2mqtt/{name}/set", json.dumps(wanted), f"zigbee2mqtt/{name}")
    expected = {k: "ON" if v == "TOGGLE" else v for k, v in wanted.items()}
    assert json.loads(said).items() >= expected.items()


async def test_a_zigbee_device_answers_a_question(link: Link, home: Home) -> None:
    said = await ask(link, "zigbee2mqtt/Bathroom light/get", '{"state": ""}', "zigbee2mqtt/Bathroom light")
    assert json.loads(said)["state"] == "OFF"


async def test_a_group_moves_its_members(link: Link, home: Home) -> None:
    await ask(link, "zigbee2mqtt/Bedroom lights/set", '{"state": "ON"}', "zigbee2mqtt/Bedroom wardrobe light")
    assert home.state("bedroom_lamp")["state"] == home.state("bedroom_wardrobe_light")["state"] == "ON"


async def test_a_cover_takes_its_time_and_says_so(link: Link, home: Home) -> None:
    inbox = link.listen("home/garage_door/state")
    await link.settled()
    await link.publish(Message("home/garage_door/set", b"OPEN"))
    assert (await next_on(inbox, "home/garage_door/state")).payload == b"opening"
    async with asyncio.timeout(WITHIN):
        while (await anext(inbox)).payload != b"open":
            pass
    assert home.state("garage_door")["position"] == 100


def test_a_travel_ends_where_it_should_and_can_be_stopped() -> None:
    travel = Travel(0, 50)
    assert travel.step(0.3)
    assert not travel.step(0.3)
    assert travel.position == 50
    travel.target = 0
    travel.step(0.1)
    travel.stop()
    assert not travel.step(1)
    assert travel.position == 40


async def test_a_device_that_ignores_does_nothing(link: Link, home: Home) -> None:
    home.fault("coffee_machine", Fault.IGNORES)
    await link.publish(Message("home/coffee_machine/state/set", b"ON"))
    await ask(link, "home/garage_light/state/set", "ON", "home/garage_light/state")  # sent later, done earlier
    assert home.state("coffee_machine")["state"] == "OFF"
    home.fault("coffee_machine", Fault.NONE)
    assert await ask(link, "home/coffee_machine/state/set", "ON", "home/coffee_machine/state") == "ON"


async def test_a_slow_device_obeys_later(link: Link, home: Home) -> None:
    home.fault("coffee_machine", Fault.SLOW)
    assert await ask(link, "home/coffee_machine/state/set", "ON", "home/coffee_machine/state") == "ON"


async def test_a_device_that_rejects_says_so_and_stays(link: Link, home: Home) -> None:
    home.fault("bathroom_light", Fault.REJECTS)
    said = await ask(link, "zigbee2mqtt/Bathroom light/set", '{"state": "ON"}', "zigbee2mqtt/bridge/logging")
    assert "Publish 'set' 'state' to 'Bathroom light' failed" in json.loads(said)["message"]
    assert home.state("bathroom_light")["state"] == "OFF"


async def test_a_device_can_go_away_and_come_back(link: Link, home: Home) -> None:
    inbox = link.listen("home/front_door/availability", "zigbee2mqtt/Bathroom light/availability")
    await link.settled()
    home.fault("front_door", Fault.UNAVAILABLE)
    assert (await next_on(inbox, "home/front_door/availability")).payload == b"offline"
    home.fault("front_door", Fault.NONE)
    assert (await next_on(inbox, "home/front_door/availability")).payload == b"online"
    home.fault("bathroom_light", Fault.UNAVAILABLE)
    assert b"offline" in (await next_on(inbox, "zigbee2mqtt/Bathroom light/availability")).payload


async def test_a_change_by_hand_is_reported(link: Link, home: Home) -> None:
    inbox = link.listen("home/front_door_contact/state")
    await link.settled()
    home.change("front_door_contact", state="ON")
    assert (await next_on(inbox, "home/front_door_contact/state")).payload == b"ON"


@pytest.mark.parametrize("payload", [b"", b"\xff", b"nonsense", b"[]", b"[" * 10_000, b"1e999", b'{"brightness": {}}'])
async def test_nonsense_is_ignored(link: Link, home: Home, payload: bytes) -> None:
    for thing in home.things.values():
        for topic in thing.listens():
            await link.publish(Message(topic, payload))
    assert await ask(link, "home/coffee_machine/state/set", "ON", "home/coffee_machine/state") == "ON"


async def test_without_a_broker_it_says_so(broker: Running) -> None:
    await broker.stop()
    with pytest.raises(LinkError, match="no MQTT broker answers"):
        async with Home(LinkSettings(broker.host, broker.port)):
            pass
