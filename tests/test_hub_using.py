"""A model rolled back to another while the house goes on: a real daemon, real weights, commands said all the while."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any, Protocol

import pytest

from devices.conventions import Message
from devices.link import Inbox, Link, LinkSettings
from devices.simulator import Home
from devices.tasks import end
from hub import control
from hub.control import ControlError
from hub.fetching import shelf
from hub.settings import SettingsError, load
from hub.using import use
from models.files import default_model

ROOT = Path(__file__).parents[1]
SAID = ("turn on the office printer", "turn off the office printer")


class Broker(Protocol):
    host: str
    port: int


@dataclass
class Running:
    """The daemon's process, what it logs, and a line on which it is spoken to."""

    process: asyncio.subprocess.Process
    link: Link
    turns: Inbox
    status: Inbox
    log: list[str] = field(default_factory=list)

    async def say(self, text: str, number: int = 0) -> dict[str, Any]:
        """The turn of this command."""
        payload = json.dumps({"text": text, "id": str(number)}).encode()
        await self.link.publish(Message("hub/home/say", payload, qos=1))
        async with asyncio.timeout(60):
            while (turn := json.loads((await anext(self.turns)).payload))["id"] != str(number):
                pass
        return dict(turn)

    async def logs(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.log.append(line.decode())


@asynccontextmanager
async def running(broker: Broker, config: Path) -> AsyncIterator[Running]:
    """`hub run` as a user has it, once it is online and knows the house."""
    async with Link(LinkSettings(broker.host, broker.port), must_connect=True) as link:
        status, turns = link.listen("hub/home/status", qos=1), link.listen("hub/home/turn", qos=1)
        await link.settled()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "hub", "run", "--config", str(config)), cwd=ROOT, stderr=asyncio.subprocess.PIPE
        )
        hub = Running(process, link, turns, status)
        logs = asyncio.create_task(hub.logs())
        try:
            async with asyncio.timeout(60):
                while (await anext(status)).payload != b"online":
                    pass
                while not (await hub.say(SAID[1]))["orders"]:
                    pass
            yield hub
        finally:
            process.terminate()
            await process.wait()
            await end(logs)
    assert "Traceback" not in "".join(hub.log)


@pytest.fixture
def config(broker: Broker, tmp_path: Path) -> Path:
    file = tmp_path / "hub.toml"
    broker_table = f'[broker]\nhost = "{broker.host}"\nport = {broker.port}\n'
    file.write_text(f'# mine\nstate_folder = "{tmp_path / "state"}"\n{broker_table}')
    return file


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """The same weights with their card, in another place."""
    for suffix in (".gguf", ".json"):
        shutil.copy(default_model().with_suffix(suffix), tmp_path / f"other{suffix}")
    return tmp_path / "other.gguf"


async def model(config: Path, *words: str) -> tuple[int, str]:
    """The exit status of `hub model use`, and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hub", "model", "use", *words, "--config", str(config)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert b"Traceback" not in said
    return process.returncode or 0, said.decode()


async def test_one_model_is_rolled_back_to_another_while_commands_are_said(
    broker: Broker, config: Path, other: Path
) -> None:
    async def talking(hub: Running) -> None:
        for number, text in enumerate(cycle(SAID), 1):
            if enough.is_set():
                return
            answered.append(await hub.say(text, number))

    answered: list[dict[str, Any]] = []
    enough = asyncio.Event()
    async with Home(LinkSettings(broker.host, broker.port)) as home, running(broker, config) as hub:
        talk = asyncio.create_task(talking(hub))
        code, said = await model(config, str(other))
        assert (code, "from the next command on" in said) == (0, True), said
        assert load(config).model.file == str(other)
        code, said = await model(config, "--previous")
        assert (code, "home is the hub's model now" in said) == (0, True), said
        assert load(config).model.file == "home"
        assert (await model(config, "--previous"))[0] == 0
        assert load(config).model.file == str(other)
        enough.set()
        await talk
        assert len(answered) > 2
        assert all(turn["done"] and turn["orders"] for turn in answered)
        turn = await hub.say("is the office printer on", 10**6)  # what the house has reported is still known
        assert ("Yes" in turn["reply"]) is (home.state("office_printer")["state"] == "ON")
        names = [line.split("in use is ")[1].split(" now")[0] for line in hub.log if "in use is" in line]
        assert names == [str(other), "home", str(other)]
        assert not [line for line in hub.log if "connected again" in line]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await anext(hub.status)  # it never went offline


async def test_a_model_that_is_not_sound_stays_out_of_the_hub_and_of_the_settings(
    broker: Broker, config: Path, other: Path, tmp_path: Path
) -> None:
    state, before = tmp_path / "state", config.read_bytes()
    async with Home(LinkSettings(broker.host, broker.port)), running(broker, config) as hub:
        with other.open("r+b") as file:
            file.seek(-1000, 2)
            file.write(b"\0" * 1000)
        with pytest.raises(ControlError, match=r"home stays: .*is not the file that other\.json describes"):
            await control.use(state, str(other))
        other.with_suffix(".json").unlink()
        other.write_bytes(other.read_bytes()[:100_000])
        with pytest.raises(ControlError, match="home stays"):
            await control.use(state, str(other))
        with pytest.raises(ControlError, match="home stays"):
            await control.use(state, "/nowhere.gguf")
        code, said = await model(config, str(other))
        assert code == 1
        assert len(said.splitlines()) == 1
        assert config.read_bytes() == before
        assert (await hub.say(SAID[0], 1))["done"]


async def test_where_the_settings_cannot_be_changed_the_running_hub_goes_back(
    broker: Broker, config: Path, other: Path
) -> None:
    settings = load(config)
    async with Home(LinkSettings(broker.host, broker.port)), running(broker, config) as hub:
        config.write_text("[model")
        with pytest.raises(SettingsError):
            await use(settings, config, str(other), shelf(settings))
        assert (await hub.say(SAID[0], 1))["done"]
        names = [line.split("in use is ")[1].split(" now")[0] for line in hub.log if "in use is" in line]
        assert names == [str(other), "home"]


async def test_without_a_running_hub_it_is_taken_up_at_the_next_start(config: Path, other: Path) -> None:
    code, said = await model(config, "--previous")
    assert (code, "no other model" in said) == (1, True)
    said = await use(load(config), config, str(other), shelf(load(config)))
    assert "next start" in said
    assert (await model(config))[0] == 2
    assert (await model(config, "home", "--previous"))[0] == 2
