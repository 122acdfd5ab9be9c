"""The home in software: it announces itself as real devices do, obeys, reports, and fails when it is told to."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from devices.command import Action, Command, StateValue
from devices.control import Outcome, Report, carry_out
from devices.conventions import Message
from devices.conventions.home_assistant import HomeAssistant
from devices.conventions.zigbee2mqtt import Zigbee2Mqtt
from devices.device import Kind
from devices.discovery import Discovery
from devices.house import House
from devices.link import Inbox, Link, LinkError, LinkSettings
from devices.simulator import Fault, Home
from devices.simulator.home import furnish
from devices.simulator.thing import Travel

WITHIN = 10.0
ROOT = Path(__file__).parents[1]


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


# -- the home as the house sees it, through both conventions


@dataclass
class Lived:
    """The house that was discovered from the simulated home."""

    home: Home
    house: House
    link: Link

    def id(self, name: str) -> str:
        (found,) = [d.id for d in self.house.devices if d.name == name]
        return found

    async def order(self, name: str, action: Action, value: StateValue | None = None) -> Report:
        return await carry_out(Command(self.id(name), action, value), self.house, self.link)


@pytest.fixture
async def lived(broker: Running, home: Home, link: Link) -> AsyncIterator[Lived]:
    house = House()
    async with Discovery(link, house, [HomeAssistant(), Zigbee2Mqtt()]):
        with house.events() as events:
            async with asyncio.timeout(WITHIN):
                while (
                    not all(house.fresh(d.id) or d.kind is Kind.SCENE for d in house.devices) or len(house.devices) < 23
                ):
                    await anext(events)
        yield Lived(home, house, link)


async def test_every_device_is_found_once_in_its_room_with_its_state(lived: Lived) -> None:
    rooms = {t.room for t in lived.home.things.values()}
    assert {d.area for d in lived.house.devices} == rooms
    names = [d.name for d in lived.house.devices if d.kind is not Kind.SENSOR]
    assert len(names) == len(set(names))
    assert not [d for d in lived.house.devices if d.read_only]


@pytest.mark.parametrize(
    ("name", "action", "value"),
    [
        ("Ceiling light", Action.TURN_ON, None),
        ("Ceiling light", Action.SET_BRIGHTNESS, 40),
        ("Ceiling light", Action.SET_COLOR_TEMP, 4000),
        ("Coffee machine", Action.TURN_ON, None),
        ("Floor lamp", Action.SET_COLOR, (240.0, 100.0)),
        ("Floor lamp", Action.SET_BRIGHTNESS, 33),
        ("Blinds", Action.SET_POSITION, 30),
        ("Blinds", Action.CLOSE, None),
        ("Garage door", Action.OPEN, None),
        ("Thermostat", Action.SET_TEMPERATURE, 22.5),
        ("Thermostat", Action.SET_MODE, "off"),
        ("Vacuum cleaner", Action.VACUUM_START, None),
        ("Front door", Action.UNLOCK, None),
        ("Fan", Action.SET_FAN_SPEED, 75),
        ("Fan", Action.TURN_ON, None),
        ("Bedroom lamp", Action.TURN_ON, None),
        ("Bedroom lamp", Action.SET_COLOR, (0.0, 100.0)),
        ("Bedroom lamp", Action.SET_COLOR_TEMP, 4000),
        ("Bedroom wardrobe light", Action.SET_BRIGHTNESS, 20),
        ("Bedroom lights", Action.TURN_ON, None),
        ("Bedroom blinds", Action.OPEN, None),
        ("Bedroom blinds", Action.SET_POSITION, 50),
        ("Office printer", Action.TURN_ON, None),
    ],
)
async def test_an_order_to_any_device_is_confirmed(
    lived: Lived, name: str, action: Action, value: StateValue | None
) -> None:
    report = await lived.order(name, action, value)
    assert report.outcome is Outcome.CONFIRMED, report


async def test_a_scene_is_only_accepted(lived: Lived) -> None:
    assert (await lived.order("Movie night", Action.ACTIVATE)).outcome is Outcome.ACCEPTED
    await lived.order("Coffee machine", Action.TURN_ON)  # sent later, done later
    assert lived.home.state("movie_night")["called"] == 1


@pytest.mark.parametrize("id", ["coffee_machine", "bathroom_light"])
async def test_faults_are_told_apart(lived: Lived, id: str) -> None:
    name = lived.home.things[id].name
    for _ in range(3):
        lived.house.habits.learn(lived.id(name), 0.1)
    lived.home.fault(id, Fault.IGNORES)
    assert (await lived.order(name, Action.TURN_ON)).outcome is Outcome.NO_ANSWER
    lived.home.fault(id, Fault.SLOW)
    assert (await lived.order(name, Action.TURN_ON)).outcome is Outcome.CONFIRMED
    lived.home.fault(id, Fault.UNAVAILABLE)
    assert await lived.house.wait_for(lived.id(name), lambda s: s.get("available") is False, WITHIN)
    assert (await lived.order(name, Action.TURN_OFF)).outcome is Outcome.UNAVAILABLE


async def test_a_refusal_of_the_bridge_is_a_rejection(lived: Lived) -> None:
    lived.home.fault("bathroom_light", Fault.REJECTS)
    assert (await lived.order("Bathroom light", Action.TURN_ON)).outcome is Outcome.REJECTED


async def test_it_runs_by_itself_on_a_broker_and_tells_what_is_wrong(broker: Running) -> None:
    command = (sys.executable, "-u", "-m", "devices.simulator", broker.host, "--port")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, str(broker.port), stdout=pipe, cwd=ROOT)
    assert process.stdout is not None
    assert b"23 devices are ready" in await asyncio.wait_for(process.stdout.readline(), WITHIN)
    process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(process.wait(), WITHIN) == 130
    await broker.stop()
    process = await asyncio.create_subprocess_exec(*command, str(broker.port), stderr=pipe, cwd=ROOT)
    _, said = await asyncio.wait_for(process.communicate(), WITHIN)
    assert process.returncode == 1
    assert b"start it, or correct host and port" in said
