"""What is in the house as a table: for a pipe, for terminals of any width, and where a name cannot be shown."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import pytest

from devices.conventions import Message
from devices.link import Link, LinkSettings
from devices.simulator import Home
from hub.listing import show, state_in_words
from hub.settings import BrokerSettings, Settings


class Running(Protocol):
    host: str
    port: int


@pytest.fixture
async def home(broker: Running) -> AsyncIterator[Settings]:
    """A home in software, and the settings with which it is found."""
    async with Home(LinkSettings(broker.host, broker.port)):
        yield Settings(broker=BrokerSettings(broker.host, port=broker.port))


async def shown(settings: Settings, width: int | None) -> list[str]:
    """The lines of the table."""
    out: list[str] = []
    assert await show(settings, False, False, out.append, width) == 0
    return out[0].splitlines()


async def test_a_state_is_said_as_it_would_be_spoken(home: Settings) -> None:
    head, *rows = [re.split(r"  +", line) for line in await shown(home, None)]
    assert head == ["ROOM", "NAME", "STATE", "KIND", "CAN"]
    assert len(rows) == 24
    assert "not said yet" not in {row[2] for row in rows}
    by_name = {row[1]: row for row in rows}
    assert by_name["Front door"] == ["Hallway", "Front door", "locked", "lock", "lock, state"]
    assert by_name["Bedroom window"][2:4] == ["closed", "binary sensor"]
    assert by_name["Movie night"][2:] == ["-", "scene", "activate"]


async def test_no_line_is_longer_than_the_terminal(home: Settings) -> None:
    whole = max(map(len, await shown(home, None)))
    heads = []
    for width in (whole, whole - 1, 50, 20, 1):
        lines = await shown(home, width)
        assert len(lines) == 25
        assert max(map(len, lines)) <= max(4, width)
        heads.append(lines[0].split()[-1])
    assert heads[:3] == ["CAN", "KIND", "STATE"]


def test_what_was_reported_is_not_said_twice() -> None:
    assert state_in_words({"on": True, "brightness": 40, "moving": False}) == "on, brightness 40"
    assert state_in_words({"moving": True, "position": 3}) == "moving, position 3"
    assert state_in_words({"color": (29.595, 58.039), "available": True}) == "color 29.6/58"


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8"])
async def test_a_name_that_the_terminal_cannot_show_is_no_error(broker: Running, tmp_path: Path, encoding: str) -> None:
    about = {"name": "K\u00fcche \u2192 \ud800", "unique_id": "x", "command_topic": "x/set"}
    async with Link(LinkSettings(broker.host, broker.port), must_connect=True) as link:
        await link.publish(Message("homeassistant/light/x/config", json.dumps(about).encode(), qos=1, retain=True))
    config = tmp_path / "hub.toml"
    config.write_text(f'[broker]\nhost = "{broker.host}"\nport = {broker.port}\n')
    for more in ((), ("--json",)):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "hub", "devices", "--config", str(config), *more),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[1],
            env=os.environ | {"PYTHONIOENCODING": encoding},
        )  # fmt: skip
        out, err = await asyncio.wait_for(process.communicate(), 60)
        assert (process.returncode, err) == (0, b"")
        assert "che" in out.decode(encoding)
    assert len(json.loads(out.decode(encoding))) == 1
