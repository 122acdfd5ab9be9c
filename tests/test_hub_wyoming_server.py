"""Who may come to the hub's services, and how many: real connections, to a hub that has nothing to offer but itself."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("wyoming", reason="the extra `wyoming` is not installed")

from wyoming.event import Event

from devices.house import House
from devices.link import Link
from hub.pipeline import Pipeline
from hub.reading import Lines
from hub.schedule import Schedule
from hub.settings import Settings, SettingsError, parse
from hub.turn import Turn
from hub.wyoming import info, server
from hub.wyoming.announce import own_addresses
from hub.wyoming.server import allowed, serving
from hub.wyoming.session import Services
from hub.wyoming.settings import WyomingSettings
from hub.wyoming.wire import WireError, pack
from models.voice import Manner


class Street:
    """In front of the door: connections that are all closed at the end."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._writers: list[asyncio.StreamWriter] = []

    async def come(self, host: str = "127.0.0.1") -> Visitor:
        reader, writer = await asyncio.open_connection(host, self.port)
        self._writers.append(writer)
        return Visitor(reader, writer)

    def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


@dataclass
class Visitor:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def is_answered(self) -> bool:
        """Whether the other side answers, rather than closing the connection."""
        try:
            self.writer.write(b'{"type": "ping"}\n')
            return b"pong" in await self.reader.readline()
        except ConnectionError:
            return False


async def nobody(turn: Turn) -> None:
    """Is told."""


@asynccontextmanager
async def serving_at(folder: Path, **wyoming: Any) -> AsyncIterator[Street]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = Settings(state_folder=str(folder), wyoming=WyomingSettings(serve=True, port=port, **wyoming))
    link = Link(settings.broker)
    pipeline = Pipeline(settings, House(), link, Schedule(folder / "plans.json"), Lines({}))
    described, cores = info.info(None, None, (), "en"), asyncio.Semaphore(1)
    services = Services(settings, pipeline, described, list, nobody, cores, None, None, Manner(), ())
    street = Street(port)
    try:
        async with serving(settings.wyoming, services):
            yield street
    finally:
        street.close()


async def test_nobody_gets_all_the_connections(tmp_path: Path) -> None:
    async with serving_at(tmp_path, connections=8) as street:
        inside = [await street.come() for _ in range(4)]
        assert all([await visitor.is_answered() for visitor in inside])
        assert not await (await street.come()).is_answered()
        inside[0].writer.transport.abort()
        async with asyncio.timeout(30):
            while not await (await street.come()).is_answered():
                pass  # until the hub knows that there is room again


async def test_it_ends_while_peers_are_inside(tmp_path: Path) -> None:
    async with serving_at(tmp_path) as street:
        half = await street.come()
        half.writer.write(b'{"type": "audio-chunk", "payload_length": 5000}\nabc')
        assert await (await street.come()).is_answered()
    with suppress(ConnectionError):
        async with asyncio.timeout(30):
            assert await half.reader.read() == b""


async def test_who_says_nothing_is_sent_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "IDLE_SECONDS", 0.01)
    async with serving_at(tmp_path) as street, asyncio.timeout(30):
        assert await (await street.come()).reader.read() == b""


async def test_what_is_not_offered_is_told(tmp_path: Path) -> None:
    async with serving_at(tmp_path) as street:
        for request in ("transcribe", "synthesize", "synthesize-start", "detect"):
            visitor = await street.come()
            visitor.writer.write(pack(Event(request, {"text": "hello"})))
            said = await visitor.reader.readuntil(b"}\n")
            assert b'"error"' in said
        assert await (await street.come()).is_answered()


async def test_strangers_are_sent_away(tmp_path: Path) -> None:
    pytest.importorskip("ifaddr", reason="the extra `wyoming` is not installed")
    own = own_addresses()[0]
    if own == "127.0.0.1":
        pytest.skip("this machine has no address but loopback")
    async with serving_at(tmp_path, address="0.0.0.0", peers=["203.0.113.1"]) as street:
        assert not await (await street.come(own)).is_answered()
        assert await (await street.come()).is_answered()


async def test_an_address_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        services: Any = None
        with pytest.raises(WireError, match=r"change \[wyoming\] address or port"):
            async with serving(WyomingSettings(port=other.getsockname()[1]), services):
                pass


@pytest.mark.parametrize(
    ("address", "peers", "may"),
    [
        ("127.0.0.1", (), True),
        ("::1", (), True),
        ("::ffff:127.0.0.1", (), True),
        ("192.0.2.5", (), False),
        ("192.0.2.5", ("192.0.2.5",), True),
        ("::ffff:192.0.2.5", ("192.0.2.0/24",), True),
        ("198.51.100.5", ("192.0.2.0/24", "fd00::/8"), False),
        ("fd00::7%eth0", ("fd00::/8",), True),
        ("", ("0.0.0.0/0",), False),
    ],
)
def test_who_may_come(address: str, peers: tuple[str, ...], may: bool) -> None:
    assert allowed(address, peers) is may


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('[wyoming]\nserve = true\naddress = "0.0.0.0"', "list who may come"),
        ('[wyoming]\naddress = "kitchen"', "line 2, wyoming.address: give an address"),
        ('[wyoming]\npeers = ["192.0.2.5/24"]', "line 2, wyoming.peers: 192.0.2.5/24 is neither"),
        ("[wyoming]\nport = 0", "wyoming.port"),
    ],
)
def test_settings_that_cannot_be(text: str, what: str) -> None:
    with pytest.raises(SettingsError, match=what.replace(".", r"\.")):
        parse(text, "hub.toml")
