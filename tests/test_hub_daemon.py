"""The running hub over a real broker: text in, a turn out, through restarts and floods of announcements."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from devices.conventions import Message
from devices.link import Inbox, Link, LinkSettings
from devices.simulator import Fault, Home
from hub import daemon
from hub.chores import do
from hub.daemon import Said, read
from hub.reading import Completer, Lines
from hub.say import say
from hub.schedule import Schedule
from hub.settings import BrokerSettings, Settings
from models.files import default_model
from models.worker import Worker

LINES = {"printer on": "<turn_on><what> printer", "printer off": "<turn_off><what> printer"}


class Broker(Protocol):
    host: str
    port: int

    async def start(self) -> None: ...
    async def stop(self) -> None: ...


class Someone:
    """Says things over the broker and hears the turns."""

    def __init__(self, link: Link, turns: Inbox) -> None:
        self.link = link
        self._turns = turns

    async def say(self, text: str, **message: Any) -> None:
        await self.link.publish(Message("hub/home/say", text.encode(), **message))

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(30):
            turn: dict[str, Any] = json.loads((await anext(self._turns)).payload)
            return turn


@asynccontextmanager
async def running(broker: Broker, folder: Path, completer: Completer | None = None) -> AsyncIterator[Someone]:
    """A hub that serves, and someone who talks to it once it is online."""
    address = BrokerSettings(broker.host, port=broker.port)
    stop = asyncio.Event()
    model = completer or Lines(LINES)
    async with Link(LinkSettings(broker.host, broker.port), must_connect=True) as link:
        status = link.listen("hub/home/status")
        turns = link.listen("hub/home/turn", qos=1)
        await link.settled()
        serving = asyncio.create_task(daemon.run(Settings(broker=address, state_folder=str(folder)), stop, model))
        async with asyncio.timeout(30):
            while (await anext(status)).payload != b"online":
                pass
        try:
            yield Someone(link, turns)
        finally:
            stop.set()
            await serving
            async with asyncio.timeout(30):
                while (await anext(status)).payload != b"offline":
                    pass


@pytest.fixture
async def home(broker: Broker) -> AsyncIterator[Home]:
    async with Home(LinkSettings(broker.host, broker.port), travel=0.1) as home:
        yield home


async def until_done(someone: Someone, text: str) -> dict[str, Any]:
    """Says it until the house knows the device: it may still be announcing itself."""
    while True:
        await someone.say(text)
        turn = await someone.hear()
        if turn["orders"]:
            return turn


async def test_a_command_comes_in_and_a_turn_goes_out(broker: Broker, home: Home, tmp_path: Path) -> None:
    async with running(broker, tmp_path) as someone:
        turn = await until_done(someone, "printer on")
        assert turn["reply"] == "Office printer is on."
        assert turn["orders"][0]["outcome"] == "confirmed"
        assert turn["orders"][0]["sent"][0]["topic"].endswith("/set")
        assert home.state("office_printer")["state"] == "ON"
        await someone.say(json.dumps({"text": "printer off", "room": "Office", "id": "7"}))
        turn = await someone.hear()
        assert (turn["id"], turn["room"], turn["done"]) == ("7", "Office", True)


async def test_a_device_that_ignores_us_is_not_done(broker: Broker, home: Home, tmp_path: Path) -> None:
    async with running(broker, tmp_path) as someone:
        await until_done(someone, "printer off")
        home.fault("office_printer", Fault.IGNORES)
        await someone.say("printer on")
        turn = await someone.hear()
        assert not turn["done"]
        assert turn["orders"][0]["outcome"] == "no_answer"
        assert "printer is on" not in turn["reply"]


async def test_the_broker_is_restarted(broker: Broker, home: Home, tmp_path: Path) -> None:
    async with running(broker, tmp_path) as someone:
        await until_done(someone, "printer off")
        status = someone.link.listen("hub/home/status")
        await broker.stop()
        await broker.start()
        await someone.link.wait_connected()
        await someone.link.settled()
        async with asyncio.timeout(30):
            while (await anext(status)).payload != b"online":
                pass
        async with asyncio.timeout(60):
            turn = await until_done(someone, "printer on")
            while not turn["done"]:  # the house in software has to find the broker again too
                turn = await until_done(someone, "printer on")
        assert home.state("office_printer")["state"] == "ON"


async def test_it_answers_while_a_thousand_announcements_come_in(broker: Broker, home: Home, tmp_path: Path) -> None:
    async with running(broker, tmp_path) as someone:
        await until_done(someone, "printer off")
        for number in range(1000):
            config = {"name": f"Lamp {number}", "command_topic": f"l/{number}/set", "state_topic": f"l/{number}"}
            topic = f"homeassistant/light/flood{number}/config"
            await someone.link.publish(Message(topic, json.dumps(config).encode(), retain=True))
            if number == 500:
                await someone.say("printer on")
        turn = await someone.hear()
        assert turn["reply"] == "Office printer is on."


async def test_what_is_not_a_command_is_left_alone(broker: Broker, home: Home, tmp_path: Path) -> None:
    async with running(broker, tmp_path) as someone:
        for text in ('{"text": 3}', '{"tex', "", "x" * 10_000, '["printer on"]', "{" * 5000):
            await someone.say(text)
        for text in ("{}", "[" * 5000, "\x00\xff", '{"templates": "{% for x in range(10**9) %}{% endfor %}"}'):
            await someone.link.publish(Message("homeassistant/light/bad/config", text.encode()))
            await someone.link.publish(Message("zigbee2mqtt/bridge/devices", text.encode()))
        turn = await until_done(someone, "printer on")
        assert turn["reply"] == "Office printer is on."


async def test_a_running_hub_is_asked_by_the_command_line(broker: Broker, home: Home, tmp_path: Path) -> None:
    settings = Settings(broker=BrokerSettings(broker.host, port=broker.port), state_folder=str(tmp_path))
    async with running(broker, tmp_path) as someone:
        await until_done(someone, "printer off")
        turn = await say(settings, "printer on", "Office")
        assert turn["reply"] == "Office printer is on."


async def test_what_was_planned_before_a_restart_is_done_after_it(broker: Broker, home: Home, tmp_path: Path) -> None:
    do("timer_start", {"seconds": 0.2, "name": "tea"}, "Kitchen", Schedule(tmp_path / "plans.json"))
    do("delayed_command", {"seconds": 1, "command": "no"}, "", Schedule(tmp_path / "plans.json", lambda: 0.0))
    async with running(broker, tmp_path) as someone:
        replies = {(await someone.hear())["reply"], (await someone.hear())["reply"]}
    assert replies == {"Your tea timer is done.", "I was not running when I should have done this, so I did not: no."}


async def test_with_the_model_that_ships(broker: Broker, home: Home, tmp_path: Path) -> None:
    async with Worker(default_model()) as worker, running(broker, tmp_path, worker) as someone:
        turn = await until_done(someone, "turn on the bathroom light")
        assert turn["understood"].startswith("<turn_on><what>")
        assert turn["reply"] == "Bathroom light is on."


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"lamp on", Said("lamp on", "Hall")),
        (b'{"text": "lamp on"}', Said("lamp on", "Hall")),
        (b'{"text": "lamp on", "room": "Attic", "id": "1", "more": 2}', Said("lamp on", "Attic", "1")),
        (b'{"text": "lamp on", "room": 3, "id": []}', Said("lamp on", "Hall")),
        (b'{"text": 1}', None),
        (b"{oops", Said("{oops", "Hall")),
        (b"\xff\xfe", Said("\ufffd\ufffd", "Hall")),
    ],
)
def test_a_message_is_read(payload: bytes, said: Said | None) -> None:
    assert read(Message("hub/home/say", payload), "Hall") == said
    assert read(Message("hub/home/say", payload, retain=True), "Hall") is None
