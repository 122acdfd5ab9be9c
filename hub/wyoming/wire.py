"""Events of the Wyoming protocol over a socket, with bounds on size and time.

The package's own reader waits for ever and takes as many bytes as a header announces; this one does neither.
"""

from __future__ import annotations

import asyncio
import json
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from wyoming import __version__ as VERSION
from wyoming.event import Event

from hub import HubError

LINE = 1 << 16  # bytes of a header; asyncio's own limit for a line
DATA = 1 << 18  # bytes of data behind it: the description of a service with a hundred voices has 60,000
PAYLOAD = 1 << 20  # bytes of sound: half a minute at 16 kHz
TEXT = 10_000  # characters of a text; nobody says more at once
FRAME_SECONDS = 10.0  # for what a header announces: a megabyte over the worst of wireless networks
WRITE_SECONDS = 10.0  # for a peer to take what we send
HANG_UP_SECONDS = 2.0  # for a peer to see that we have nothing more to say

Write = Callable[[Event], Awaitable[None]]


class WireError(HubError):
    """A peer cannot be talked to: what it sends is no event, or it stopped in the middle; the text says what it did."""


@dataclass(frozen=True, slots=True)
class Header:
    """What the first line of an event says."""

    type: str
    data: dict[str, Any]
    data_length: int
    payload_length: int


async def read(reader: StreamReader, idle: float | None) -> Event | None:
    """The next event, None where the peer has ended; `idle` is how many seconds it may say nothing, None for ever.

    The reader has to be opened with LINE as its limit. Raises WireError.
    """
    try:
        async with asyncio.timeout(idle):
            line = await reader.readuntil(b"\n")
        head = header(line)
        async with asyncio.timeout(FRAME_SECONDS):
            return await _rest(reader, head)
    except asyncio.IncompleteReadError as error:
        if error.expected is None and not error.partial:
            return None
        raise WireError("it ended in the middle of an event") from None
    except asyncio.LimitOverrunError:
        raise WireError(f"its header has more than {LINE} bytes") from None
    except TimeoutError:
        raise WireError("it says nothing more") from None
    except OSError as error:
        raise WireError(f"the connection broke ({error.strerror or error})") from None


async def _rest(reader: StreamReader, head: Header) -> Event:
    data = head.data
    if head.data_length:
        data = data | _object(await reader.readexactly(head.data_length), "its data")
    payload = await reader.readexactly(head.payload_length) if head.payload_length else None
    return Event(head.type, data, payload)


def header(line: bytes) -> Header:
    """The header in a line. Raises WireError."""
    fields = _object(line, "its header")
    kind, data = fields.get("type"), fields.get("data") or {}
    if not isinstance(kind, str) or not isinstance(data, dict):
        raise WireError("its header has no type, or no data as an object")
    return Header(kind, data, _length(fields, "data_length", DATA), _length(fields, "payload_length", PAYLOAD))


def _object(text: bytes, what: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise WireError(f"{what} is not JSON") from None
    if not isinstance(found, dict):
        raise WireError(f"{what} is no object")
    return found


def _length(fields: dict[str, Any], key: str, most: int) -> int:
    length = fields.get(key)
    if length is None:
        return 0
    if not isinstance(length, int) or isinstance(length, bool) or not 0 <= length <= most:
        raise WireError(f"its {key} is no number from 0 to {most}")
    return length


async def write(writer: StreamWriter, event: Event) -> None:
    """Send an event. Raises WireError where the peer has gone, or does not take it."""
    try:
        async with asyncio.timeout(WRITE_SECONDS):
            writer.write(pack(event))
            await writer.drain()
    except TimeoutError:
        raise WireError("it does not take what it asked for") from None
    except OSError as error:
        raise WireError(f"the connection broke ({error.strerror or error})") from None


def tell(writer: StreamWriter, event: Event) -> None:
    """Send a small event without waiting; a peer that has long taken nothing is not sent to any more."""
    if writer.transport.get_write_buffer_size() > PAYLOAD:
        writer.transport.abort()
    elif not writer.is_closing():
        writer.write(pack(event))


def pack(event: Event) -> bytes:
    """The event as it is sent."""
    data = json.dumps(event.data).encode() if event.data else b""
    payload = event.payload or b""
    lengths = {"data_length": len(data)} if data else {}
    lengths |= {"payload_length": len(payload)} if payload else {}
    return json.dumps({"type": event.type, "version": VERSION, **lengths}).encode() + b"\n" + data + payload


async def hang_up(reader: StreamReader, writer: StreamWriter) -> None:
    """End our side, and let the peer end its own: a connection that is torn down loses what was said last."""
    with suppress(OSError, TimeoutError):
        writer.write_eof()
        async with asyncio.timeout(HANG_UP_SECONDS):
            while await reader.read(LINE):
                pass


def text(event: Event, key: str = "text") -> str:
    """The text that the event must have under this key, as it can be written on. Raises WireError."""
    found = event.data.get(key)
    if not isinstance(found, str) or len(found) > TEXT:
        raise WireError(f"{event.type} has no {key}, or one of more than {TEXT} characters")
    return found.encode(errors="replace").decode()  # JSON can hold halves of letters


def context(event: Event) -> dict[str, str]:
    """The texts in the context of an event, by their names; what else is in it is nothing to us."""
    found = event.data.get("context")
    pairs = found.items() if isinstance(found, dict) else ()
    return {k: v[:200].encode(errors="replace").decode() for k, v in pairs if isinstance(v, str)}
