"""Events over a socket: what is malformed, too large, cut off or never comes is an error with its reason, in bounded time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

pytest.importorskip("wyoming", reason="the extra `wyoming` is not installed")

from wyoming.event import Event, async_write_event

from hub.wyoming import wire
from hub.wyoming.wire import DATA, LINE, PAYLOAD, WireError, context, header, read, text


def fed(*parts: bytes, ended: bool = True) -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=LINE)
    for part in parts:
        reader.feed_data(part)
    if ended:
        reader.feed_eof()
    return reader


class Pair:
    """Two ends of a connection over loopback."""

    def __init__(self) -> None:
        self.ours: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def open(self) -> None:
        came = asyncio.Event()

        def knock(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.ours.append((reader, writer))
            came.set()

        self.server = await asyncio.start_server(knock, "127.0.0.1", 0, limit=LINE)
        port = self.server.sockets[0].getsockname()[1]
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
        await came.wait()

    async def close(self) -> None:
        self.writer.transport.abort()
        for _, writer in self.ours:
            writer.transport.abort()
        self.server.close()
        await self.server.wait_closed()


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    pair = Pair()
    await pair.open()
    yield pair
    await pair.close()


async def many(pair: Pair, event: Event) -> None:
    """More of it than a socket holds."""
    for _ in range(1000):
        await wire.write(pair.ours[0][1], event)


@pytest.mark.parametrize(
    "event",
    [
        Event("describe"),
        Event("transcript", {"text": "the café's lamp", "context": {"a": 1}}),
        Event("audio-chunk", {"rate": 16000}, bytes(range(256)) * 40),
        Event("ping", {}, b"\n{}\n"),
    ],
)
async def test_what_the_package_writes_is_read(pair: Pair, event: Event) -> None:
    for _ in range(2):
        await async_write_event(event, pair.writer)
        found = await read(pair.ours[0][0], 10)
        assert found is not None
        assert (found.type, found.data, found.payload) == (event.type, event.data, event.payload)


async def test_the_data_of_the_header_and_that_behind_it_are_one() -> None:
    found = await read(fed(b'{"type": "x", "data": {"a": 1, "b": 1}, "data_length": 8}\n{"b": 2}'), 1)
    assert found is not None
    assert found.data == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "not JSON"),
        (b"\n", "not JSON"),
        (b"\xff\xfe\n", "not JSON"),
        (b"[" * 60_000 + b"\n", "not JSON"),
        (b"[]\n", "no object"),
        (b"{}\n", "no type"),
        (b'{"type": 3}\n', "no type"),
        (b'{"type": "x", "data": [1]}\n', "no data as an object"),
        (b'{"type": "x", "data_length": -1}\n', "data_length"),
        (b'{"type": "x", "data_length": "9"}\n', "data_length"),
        (b'{"type": "x", "data_length": true}\n', "data_length"),
        (b'{"type": "x", "data_length": 1.5}\n', "data_length"),
        (b'{"type": "x", "data_length": %d}\n' % (DATA + 1), "data_length"),
        (b'{"type": "x", "payload_length": %d}\n' % (PAYLOAD + 1), "payload_length"),
        (b'{"type": "x", "payload_length": %s}\n' % (b"9" * 5000), "not JSON"),
        (b'{"type": "x", "data_length": 2}\n[]', "its data is no object"),
        (b'{"type": "x", "data_length": 2}\n{a', "its data is not JSON"),
        (b'{"type": "x", "data_length": 9}\n{', "in the middle"),
        (b'{"type": "x", "payload_length": 9}\n', "in the middle"),
        (b'{"type": "x"', "in the middle"),
        (b"x" * (LINE + 2), "its header has more than"),
        (b" " * (2 * LINE) + b"\n", "its header has more than"),
    ],
)
async def test_what_is_no_event_is_refused(sent: bytes, why: str) -> None:
    with pytest.raises(WireError, match=why):
        await read(fed(sent), 1)


async def test_an_end_between_events_is_an_end() -> None:
    assert await read(fed(), 1) is None


async def test_who_says_nothing_more_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "FRAME_SECONDS", 0.01)
    for sent in (b"", b'{"type"', b'{"type": "x", "data_length": 9}\n{', b'{"type": "x", "payload_length": 9}\n123'):
        with pytest.raises(WireError, match="says nothing more"):
            await read(fed(sent, ended=False), 0.01)


async def test_who_does_not_take_what_is_sent_is_not_waited_for(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "WRITE_SECONDS", 0.05)
    chunk = Event("audio-chunk", {}, bytes(PAYLOAD))
    with pytest.raises(WireError, match="does not take"):
        await many(pair, chunk)


async def test_who_has_gone_is_told_nothing(pair: Pair) -> None:
    pair.writer.transport.abort()
    with pytest.raises(WireError, match="broke"):
        await many(pair, Event("audio-chunk", {}, bytes(PAYLOAD)))


async def test_a_connection_that_breaks_is_an_error(pair: Pair) -> None:
    reader = asyncio.StreamReader(limit=LINE)
    reader.set_exception(ConnectionResetError("reset"))
    with pytest.raises(WireError, match="broke"):
        await read(reader, 1)


def test_texts_are_checked() -> None:
    assert text(Event("transcript", {"text": "hi"})) == "hi"
    assert text(Event("transcript", {"text": json.loads('"a\\ud800b"')})) == "a?b"
    for data in ({}, {"text": None}, {"text": 3}, {"text": "x" * 10_001}):
        with pytest.raises(WireError, match="transcript has no text"):
            text(Event("transcript", data))


def test_a_context_is_what_is_text_in_it() -> None:
    assert context(Event("x", {"context": {"a": "b", "c": 1, "d": "e" * 300}})) == {"a": "b", "d": "e" * 200}
    for found in (None, 3, [], "x"):
        assert context(Event("x", {"context": found})) == {}


def test_a_header_says_what_follows() -> None:
    found = header(b'{"type": "x", "version": "1.0", "data_length": 3, "payload_length": null}')
    assert (found.type, found.data, found.data_length, found.payload_length) == ("x", {}, 3, 0)
