"""From the broker to the house: announcements become devices, and what the devices say becomes their state."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from devices.conventions import Announced, Convention, Entity, Message
from devices.house import House
from devices.link import Link, LinkError, matches
from devices.tasks import end

log = logging.getLogger(__name__)

BETWEEN_QUERIES = 0.02  # seconds; fifty a second keep a Zigbee network answering while a hundred lamps are asked


class Discovery:
    """Keeps a house equal to what is announced and reported over a link, while it is open."""

    def __init__(self, link: Link, house: House, conventions: Sequence[Convention]) -> None:
        self._link = link
        self._house = house
        self._conventions = tuple(conventions)
        self._filters = frozenset(f for c in self._conventions for f in c.announcements)
        self._inbox = link.listen()
        self._by_topic: dict[str, dict[str, Entity]] = {}  # topic -> device id -> the entity that reads it
        self._to_ask: asyncio.Queue[Entity] = asyncio.Queue()
        self._warned: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._link.on_connect(self._greet)
        self._link.on_lost(self._house.doubt)
        self._inbox.add(*self._filters)
        self._tasks = [
            asyncio.create_task(self._read()),
            asyncio.create_task(self._ask()),
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._link.forget_hooks(self._greet, self._house.doubt)
        self._inbox.close()
        await end(*self._tasks)

    def take(self, message: Message) -> None:
        """What one message means for the house. Never raises on input."""
        if any(matches(f, message.topic) for f in self._filters):
            self._take_announcement(message)
        for device_id, entity in tuple(self._by_topic.get(message.topic, {}).items()):
            self._take_report(device_id, entity, message)

    async def _read(self) -> None:
        async for message in self._inbox:
            try:
                self.take(message)
            except Exception:  # a mistake in one convention must not make the house deaf to all others
                log.exception("a message on %s could not be read", message.topic)

    async def _greet(self) -> None:
        """After each connection: ask for announcements, and for the states that no broker keeps."""
        for convention in self._conventions:
            for message in convention.greeting():
                await self._link.publish(message)
        for entity in self._house.entities:
            self._to_ask.put_nowait(entity)

    async def _ask(self) -> None:
        while True:
            entity = await self._to_ask.get()
            await self._link.settled()  # or the answer would come before we listen
            try:
                for message in entity.query():
                    await self._link.publish(message)
                    await asyncio.sleep(BETWEEN_QUERIES)
            except LinkError as error:
                log.debug("%s was not asked for its state: %s", entity.device.name, error)

    def _take_announcement(self, message: Message) -> None:
        for convention in self._conventions:
            announced = convention.announce(message)
            if announced is not None:
                self._take_entities(announced, convention.name)

    def _take_entities(self, announced: Announced, convention: str) -> None:
        for warning in announced.warnings:
            self._warn(warning)
        changed = self._house.apply(announced, convention)
        self._follow(changed.added)
        self._ignore(changed.removed)

    def _follow(self, entities: Iterable[Entity]) -> None:
        for entity in entities:
            for topic in entity.topics:
                self._by_topic.setdefault(topic, {})[entity.device.id] = entity
            self._inbox.add(*entity.topics)
            self._to_ask.put_nowait(entity)
            if entity.device.read_only is not None:
                self._warn(f"{entity.device.name} can only be read: {entity.device.read_only}")

    def _ignore(self, entities: Iterable[Entity]) -> None:
        for entity in entities:
            for topic in entity.topics:
                readers = self._by_topic.get(topic, {})
                if readers.get(entity.device.id) == entity:
                    del readers[entity.device.id]
                if not readers:
                    self._by_topic.pop(topic, None)
                    if topic not in self._filters:
                        self._inbox.remove(topic)

    def _take_report(self, device_id: str, entity: Entity, message: Message) -> None:
        reported = entity.decode(message, self._house.state(device_id))
        if reported:
            self._house.report(device_id, reported, retained=message.retain)
        if not message.retain and (reason := entity.rejection(message)) is not None:
            self._house.reject(device_id, reason)

    def _warn(self, warning: str) -> None:
        if warning not in self._warned:
            self._warned.add(warning)
            log.warning("%s", warning)
