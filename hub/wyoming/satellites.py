"""The satellites of the settings, and those that are found: each is connected for as long as the hub runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager

from devices.tasks import end
from hub.rooms import Rooms, wake_words
from hub.settings import RoomSettings, Settings
from hub.sound import SoundError
from hub.wyoming.announce import AnnounceError, appearing
from hub.wyoming.satellite import NoSatelliteError, Place, connected
from hub.wyoming.server import allowed
from hub.wyoming.wire import WireError
from models import ModelError
from models.wake import WakeWord

log = logging.getLogger(__name__)

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0  # seconds until it is tried again; each time twice as long
MOST_FOUND = 32  # satellites that are not in the settings


@asynccontextmanager
async def driven(settings: Settings, rooms: Rooms) -> AsyncIterator[None]:
    """Every satellite is listened and spoken at while this is open. Raises ModelError for a wake word that there is not."""
    fleet = Fleet(settings, rooms, wake_words(settings, RoomSettings()))
    for address, room in settings.wyoming.satellites.items():
        fleet.add(place_of(address, room))
    if settings.wyoming.find_satellites:
        fleet.look()
    try:
        yield
    finally:
        await fleet.close()


def place_of(address: str, room: str = "") -> Place:
    """The place that is written as host:port."""
    host, _, port = address.rpartition(":")
    return Place(host.strip("[]"), int(port), room)


class Fleet:
    """A task for each satellite."""

    def __init__(self, settings: Settings, rooms: Rooms, words: Sequence[WakeWord]) -> None:
        self._settings = settings
        self._rooms = rooms
        self._words = words
        self._driving: dict[str, asyncio.Task[None]] = {}
        self._looking: asyncio.Task[None] | None = None
        self.found: set[str] = set()  # those that were not in the settings

    def add(self, place: Place, *, listed: bool = True) -> None:
        """Drive this one too; one that is not in the settings only while it is a satellite."""
        self._driving[place.name] = asyncio.create_task(self._drive(place, listed))
        if not listed:
            self.found.add(place.name)

    def look(self) -> None:
        """Drive those too that announce themselves, are peers, and are not in the settings."""
        self._looking = asyncio.create_task(self._look())

    async def close(self) -> None:
        tasks = [*self._driving.values(), *([self._looking] if self._looking else [])]
        if tasks:
            await end(*tasks)

    async def _drive(self, place: Place, listed: bool) -> None:
        """Connects, and again after a while where that fails or ends. What goes wrong is told when it changes."""
        loop, wait, told = asyncio.get_running_loop(), FIRST_WAIT, ""
        while True:
            began = loop.time()
            try:
                async with connected(place, self._words, self._settings.voice.language) as post:
                    log.info("satellite %s: connected, in %s", place.name, post.room or "no room")
                    told = ""
                    await self._rooms.attend(post)
                reason = "it has gone"
            except NoSatelliteError as error:
                if not listed:
                    return
                reason = str(error)
            except (WireError, SoundError, ModelError) as error:
                reason = str(error)
            except Exception:
                log.exception("satellite %s: its loop failed", place.name)
                reason = "its loop failed"
            if reason != told:
                log.warning("satellite %s: %s; it is tried again", place.name, reason)
            told = reason
            wait = FIRST_WAIT if loop.time() - began > LONGEST_WAIT else wait
            await asyncio.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)

    async def _look(self) -> None:
        try:
            async with aclosing(appearing()) as places:
                async for host, port in places:
                    await self.consider(Place(host, port))
        except AnnounceError as error:
            log.warning("satellites are not looked for: %s", error)

    async def consider(self, place: Place) -> None:
        """Drive one that was found, where it is a peer and not one of the settings."""
        going = self._driving.get(place.name)
        if going is not None and not going.done():
            return
        going_on = sum(not self._driving[name].done() for name in self.found)
        if going_on >= MOST_FOUND or not allowed(place.host, self._settings.wyoming.peers):
            log.debug("satellite %s: not one of the peers, or there are too many", place.name)
        elif place.name not in await _resolved(self._settings.wyoming.satellites):
            self.add(place, listed=False)


async def _resolved(addresses: Iterable[str]) -> set[str]:
    """The satellites of the settings by the addresses that their names stand for."""
    found: set[str] = set()
    for address in addresses:
        place = place_of(address)
        try:
            known = await asyncio.get_running_loop().getaddrinfo(place.host, place.port)
        except OSError:
            continue
        found |= {f"{entry[4][0]}:{place.port}" for entry in known}
    return found
