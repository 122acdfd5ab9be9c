"""The home of the demo and the tests: who lives in it, and what makes it run over a link."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType, TracebackType
from typing import Self

from devices.conventions import Message
from devices.link import Link, LinkError, LinkSettings
from devices.simulator import home_assistant as ha
from devices.simulator import zigbee2mqtt as z2m
from devices.simulator.fault import Fault
from devices.simulator.thing import Thing, Travel
from devices.tasks import end

log = logging.getLogger(__name__)

STEPS = 5  # reports on a full travel


def furnish() -> tuple[Thing, ...]:
    """Twenty-two devices and a group in seven rooms."""
    bedroom_lamp = z2m.color_light("bedroom_lamp", "Bedroom lamp", "Bedroom", "0x00124b0000000001")
    wardrobe_light = z2m.dimmable_light(
        "bedroom_wardrobe_light", "Bedroom wardrobe light", "Bedroom", "0x00124b0000000002"
    )
    return (
        ha.JsonLight(
            "kitchen_ceiling_light",
            "Ceiling light",
            "Kitchen",
            {"state": "OFF", "brightness": 255, "color_temp": 2700},
        ),
        ha.switch("coffee_machine", "Coffee machine", "Kitchen"),
        ha.sensor("kitchen_temperature", "Kitchen temperature", "Kitchen", "temperature", "°C", 21.54),
        ha.color_light("floor_lamp", "Floor lamp", "Living room"),
        ha.Cover("living_room_blinds", "Blinds", "Living room", "blind", has_position=True, travel=Travel(100, 100)),
        ha.thermostat("thermostat", "Thermostat", "Living room"),
        ha.vacuum("vacuum", "Vacuum cleaner", "Living room"),
        ha.Scene("movie_night", "Movie night", "Living room"),
        ha.lock("front_door", "Front door", "Hallway"),
        ha.contact("front_door_contact", "Front door contact", "Hallway", "door"),
        ha.fan("bedroom_fan", "Fan", "Bedroom"),
        ha.Cover("garage_door", "Garage door", "Garage", "garage", has_position=False),
        ha.switch("garage_light", "Garage light switch", "Garage"),
        bedroom_lamp,
        wardrobe_light,
        z2m.group("bedroom_lights", "Bedroom lights", "Bedroom", 7, (bedroom_lamp, wardrobe_light)),
        z2m.blinds("bedroom_blinds", "Bedroom blinds", "Bedroom", "0x00124b0000000003"),
        z2m.contact_sensor("bedroom_window", "Bedroom window", "Bedroom", "0x00124b0000000004"),
        z2m.dimmable_light("bathroom_light", "Bathroom light", "Bathroom", "0x00124b0000000005"),
        z2m.climate_sensor("bathroom_air", "Bathroom air", "Bathroom", "0x00124b0000000006", 23.1, 61.0),
        z2m.plug("office_printer", "Office printer", "Office", "0x00124b0000000007"),
        z2m.dimmable_light("office_desk_lamp", "Office desk lamp", "Office", "0x00124b0000000008"),
        z2m.plug("hallway_lamp", "Hallway lamp plug", "Hallway", "0x00124b0000000009"),
    )


class Home:
    """The devices at work, as an async context manager; inside it they have announced themselves and listen.

    `travel` is what a full movement of a cover takes and `slowness` what Fault.SLOW adds, in seconds.
    """

    def __init__(
        self,
        settings: LinkSettings,
        things: Sequence[Thing] | None = None,
        *,
        travel: float = 2.0,
        slowness: float = 2.0,
    ) -> None:
        self.things: Mapping[str, Thing] = MappingProxyType({t.id: t for t in things or furnish()})
        self.travel = travel
        self.slowness = slowness
        self._link = Link(settings, must_connect=True)
        self._faults: dict[str, Fault] = {}
        self._by_topic = {topic: t for t in self.things.values() for topic in t.listens()}
        self._inbox = self._link.listen(*self._by_topic)
        self._outbox: asyncio.Queue[Message] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._moving: set[str] = set()
        self._introduced = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._link.on_connect(self._introduce)
        await self._link.open()
        await self._introduced.wait()
        self._start(self._read())
        self._start(self._write())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await end(*self._tasks)
        await self._link.close()

    def state(self, id: str) -> Mapping[str, object]:
        """What the device itself knows that it is, in the words of its own payloads."""
        return MappingProxyType(dict(self.things[id].state))

    def fault(self, id: str, fault: Fault) -> None:
        """From now on this is wrong with the device."""
        was, self._faults[id] = self._faults.get(id, Fault.NONE), fault
        if Fault.UNAVAILABLE in (was, fault):
            self._say(self.things[id].availability(fault is not Fault.UNAVAILABLE))

    def change(self, id: str, **state: object) -> None:
        """Somebody used the device by hand: it changes, in its own words, and reports that."""
        self.things[id].state.update(state)
        self._say(self.things[id].report())

    async def _introduce(self) -> None:
        """Announces everything; after a restart of the broker too, which may have lost what it kept."""
        zigbee = [t for t in self.things.values() if isinstance(t, z2m.Zigbee)]
        messages = [*z2m.bridge(zigbee)] if zigbee else []
        for light in (t for t in zigbee if t.model == "D-1"):
            messages.append(ha.copy_of_light(light.address, light.name, z2m.BASE))
        for thing in self.things.values():
            there = self._faults.get(thing.id) is not Fault.UNAVAILABLE
            messages += [*thing.announcement(), *thing.availability(there), *thing.report()]
        for message in messages[:-1]:
            await self._link.publish(message)
        await self._link.publish(replace(messages[-1], qos=1))  # once this is acknowledged, all before has arrived
        self._introduced.set()

    async def _read(self) -> None:
        async for message in self._inbox:
            thing = self._by_topic.get(message.topic)
            if thing is not None and not message.retain:
                self._take(thing, message)

    def _take(self, thing: Thing, message: Message) -> None:
        fault = self._faults.get(thing.id, Fault.NONE)
        if fault in (Fault.IGNORES, Fault.UNAVAILABLE):
            return
        if fault is Fault.SLOW:
            self._start(self._take_later(thing, message))
        elif fault is Fault.REJECTS and not thing.asks(message):
            self._say(thing.refusal(message))
        else:
            self._obey(thing, message)

    async def _take_later(self, thing: Thing, message: Message) -> None:
        await asyncio.sleep(self.slowness)
        self._obey(thing, message)

    def _obey(self, thing: Thing, message: Message) -> None:
        if not thing.asks(message) and not thing.obey(message):
            log.debug("%s does not understand %s %r", thing.name, message.topic, message.payload[:100])
            return
        self._say(thing.report())
        if thing.id not in self._moving:
            self._start(self._move(thing))

    async def _move(self, thing: Thing) -> None:
        self._moving.add(thing.id)
        try:
            while thing.moves(0):
                await asyncio.sleep(self.travel / STEPS)
                thing.moves(1 / STEPS)
                self._say(thing.report())
        finally:
            self._moving.discard(thing.id)

    def _say(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._outbox.put_nowait(message)

    async def _write(self) -> None:
        while True:
            message = await self._outbox.get()
            try:
                await self._link.publish(message)
            except LinkError as error:
                log.debug("not said: %s", error)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
