"""Where Home Assistant and others come in: who may, how many at once, and what becomes of those who misbehave.

Whatever a peer does costs that peer its connection and nobody else anything.
"""

from __future__ import annotations

import asyncio
import logging
from asyncio import StreamReader, StreamWriter
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from ipaddress import IPv6Address, ip_address, ip_network

from wyoming.error import Error

from hub import HubError
from hub.wyoming import wire
from hub.wyoming.session import Services, Session
from hub.wyoming.settings import WyomingSettings
from hub.wyoming.wire import WireError
from models import ModelError

log = logging.getLogger(__name__)

IDLE_SECONDS = 120.0  # without an event; a satellite that listens sends ten a second
_KNOWN = 1000  # strangers that are remembered, so that each is told of once


def allowed(address: str, peers: tuple[str, ...]) -> bool:
    """Whether whoever has this address may come: from this machine always, else who is listed."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return found.is_loopback or any(found in ip_network(peer) for peer in peers)


class Door:
    """Lets peers in, as far as they may and there is room, and keeps a task for each."""

    def __init__(self, settings: WyomingSettings, open_session: Callable[[wire.Write], Session]) -> None:
        self._settings = settings
        self._open = open_session
        self._tasks: set[asyncio.Task[None]] = set()
        self._inside: Counter[str] = Counter()
        self._strangers: set[str] = set()

    def knock(self, reader: StreamReader, writer: StreamWriter) -> None:
        """A connection has come."""
        address = str((writer.get_extra_info("peername") or ("",))[0])
        if reason := self._reason(address):
            self._complain(address, reason)
            writer.transport.abort()
            return
        self._inside[address] += 1
        task = asyncio.create_task(self._serve(address, reader, writer))
        self._tasks.add(task)
        task.add_done_callback(partial(self._gone, address))

    def _reason(self, address: str) -> str:
        """Why a peer may not come in; "" where it may. No address gets more than half of the room."""
        most = self._settings.connections
        if not allowed(address, self._settings.peers):
            return "it is not one of the [wyoming] peers"
        if self._inside.total() >= most or self._inside[address] >= max(1, most // 2):
            return f"there are {self._inside.total()} connections; [wyoming] connections says how many may be"
        return ""

    def _gone(self, address: str, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._inside[address] -= 1
        if not self._inside[address]:
            del self._inside[address]

    def _complain(self, address: str, reason: str) -> None:
        """Once an address: whoever comes again and again is not to fill the log."""
        known = address in self._strangers or len(self._strangers) >= _KNOWN
        if not known:
            self._strangers.add(address)
        log.log(logging.DEBUG if known else logging.WARNING, "%s is sent away: %s", address, reason)

    async def _serve(self, address: str, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            await self._talk(reader, writer)
        except WireError as error:
            self._complain(address, str(error))
        except Exception:  # a fault of ours costs this connection, never the hub
            log.exception("a connection failed: %s", address)
        finally:
            if writer.transport.get_write_buffer_size():
                writer.transport.abort()  # what it does not take would be kept for it for ever
            else:
                writer.close()

    async def _talk(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Events until the peer goes. What cannot be done is told, and the connection ends with that. Raises WireError."""
        session = self._open(partial(wire.write, writer))
        while (event := await wire.read(reader, IDLE_SECONDS)) is not None:
            try:
                await session.take(event)
            except (HubError, ModelError) as error:
                await wire.write(writer, Error(str(error), code=event.type).event())
                await wire.hang_up(reader, writer)
                raise WireError(str(error)) from None

    async def close(self) -> None:
        """Ends what is still going on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def serving(settings: WyomingSettings, services: Services) -> AsyncIterator[None]:
    """The services, offered on the address of the settings. Raises WireError where that cannot be listened on."""
    door = Door(settings, lambda send: Session(services, send))
    where = f"{settings.address} port {settings.port}"
    try:
        server = await asyncio.start_server(door.knock, settings.address, settings.port, limit=wire.LINE)
    except OSError as error:
        raise WireError(f"{where} cannot be listened on ({error.strerror}): change [wyoming] address or port") from None
    async with server:
        log.info("Wyoming services on %s", where)
        try:
            yield
        finally:
            server.close()  # before those inside go, so that nobody comes after them
            await door.close()
