"""The hub while it runs: everything is opened in order and closed in reverse, and a turn never ends it.

hub/<id>/status   "online" or "offline", retained, the latter by the broker's own hand
hub/<id>/say      a command comes in: its plain text, or {"text": ..., "room"?: ..., "id"?: ...}
hub/<id>/turn     each finished turn, as JSON, not retained
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from devices.conventions import Convention, Message
from devices.conventions.home_assistant import HomeAssistant
from devices.conventions.zigbee2mqtt import Zigbee2Mqtt
from devices.discovery import Discovery
from devices.house import Happening, House
from devices.link import Inbox, Link, LinkError
from hub import HubError, control, trial
from hub.chores import rings
from hub.guard import Guard
from hub.logs import FIELDS
from hub.notify import living
from hub.pipeline import Pipeline
from hub.reading import Completer, open_completer, remembered
from hub.schedule import TOO_LATE, Delayed, Due, Schedule
from hub.settings import Settings
from hub.switching import Switch
from hub.talk import Talker
from hub.turn import Turn
from models.files import resolve_model

if TYPE_CHECKING:
    from hub.rooms import Rooms

log = logging.getLogger(__name__)

SOURCE = "say"  # of what comes in on that topic
AT_ONCE = 16  # turns under way; a house in which more is said at once is a loop of messages
QUIET, QUIET_AT_MOST = 0.3, 5.0  # seconds without an announcement until the house counts as known


@dataclass(frozen=True, slots=True)
class Hub:
    """The open parts. `cores` is held by whoever makes a model work, so that no two of them slow each other down. With
    `switch` another language model can be taken, where none stands in for it.

    `announce` says a turn that nobody has just asked for, in its room; the second argument tells that it is an alarm.
    """

    settings: Settings
    link: Link
    house: House
    schedule: Schedule
    pipeline: Pipeline
    cores: asyncio.Semaphore
    switch: Switch | None = None
    announce: Callable[[Turn, bool], None] = lambda turn, alarm: None


@dataclass(frozen=True, slots=True)
class Said:
    """A command as it came in; an empty id stands for a new one."""

    text: str
    room: str = ""
    id: str = ""


@asynccontextmanager
async def opened(
    settings: Settings, *, serve: bool = False, must_connect: bool = True, completer: Completer | None = None
) -> AsyncIterator[Hub]:
    """The hub with everything open. With `serve` it shows itself as online; `completer` stands in for the model.

    Raises LinkError, ModelError and SettingsError.
    """
    cores, chat = asyncio.Semaphore(slots(settings)), settings.model.chat
    async with AsyncExitStack() as open_:
        switch = await open_.enter_async_context(trial.switch(settings)) if completer is None else None
        known = remembered(switch, settings.folder(), cores) if switch else open_completer(settings, completer)
        model = await open_.enter_async_context(known)
        talker = await open_.enter_async_context(Talker(resolve_model(chat), settings.model.threads)) if chat else None
        link, house = await open_.enter_async_context(open_house(settings, serve, must_connect))
        schedule = Schedule(settings.folder() / "plans.json")
        guard = Guard(settings.safety.pin, settings.folder() / "pin.json")
        command = switch.command if switch else nullcontext
        pipeline = Pipeline(settings, house, link, schedule, model, talker=talker, guard=guard, command=command)
        yield Hub(settings, link, house, schedule, pipeline, cores, switch)


def slots(settings: Settings) -> int:
    """How many models may work at once: llama.cpp's threads wait for each other for minutes where they lack a core."""
    return max(1, ((os.cpu_count() or 1) - 1) // max(settings.model.threads, settings.voice.threads))


@asynccontextmanager
async def open_house(
    settings: Settings, serve: bool = False, must_connect: bool = True
) -> AsyncIterator[tuple[Link, House]]:
    """The line to the broker, and the house that is kept equal to what is announced over it. Raises LinkError."""
    status = settings.topic("status") if serve else None
    link = Link(settings.broker, status_topic=status, must_connect=must_connect)
    house = House(settings.house.overrides())
    async with link, Discovery(link, house, conventions(settings)):
        yield link, house


def conventions(settings: Settings) -> tuple[Convention, ...]:
    prefix = settings.conventions.home_assistant
    zigbee = tuple(Zigbee2Mqtt(base) for base in settings.conventions.zigbee2mqtt if base)
    return (*zigbee, HomeAssistant(prefix)) if prefix else zigbee


async def settled(link: Link, house: House) -> None:
    """Returns once the devices that the broker knows of are in the house: when no more of them come in."""
    try:
        async with asyncio.timeout(QUIET_AT_MOST):
            await link.settled()
            with house.events() as events:
                while True:
                    try:
                        async with asyncio.timeout(QUIET):
                            while (await anext(events)).happening is not Happening.APPEARED:
                                pass
                    except TimeoutError:
                        return
    except TimeoutError:
        return


async def run(settings: Settings, stop: asyncio.Event, completer: Completer | None = None) -> None:
    """Serves until `stop` is set. A broker that is away is waited for; one that refuses us, or none, is logged.

    Raises ControlError where another hub runs with the same state, and HubError and ModelError where a part is missing.
    """
    control.alone(settings.folder())
    opening = opened(settings, serve=True, must_connect=False, completer=completer)
    async with opening as hub, heard_and_spoken(hub) as (hub, rooms), connected(hub, rooms), asked(hub), living():
        await serve(hub, stop)
    log.info("stopped")


def asked(hub: Hub) -> AbstractAsyncContextManager[None]:
    """While this is open another model can be asked for in the state folder."""
    return control.serving(hub.settings.folder(), hub.switch)


@asynccontextmanager
async def heard_and_spoken(hub: Hub) -> AsyncIterator[tuple[Hub, Rooms | None]]:
    """The same hub with its voice, and the rooms in which it has one, where that is set. Raises ModelError and SoundError."""
    if not hub.settings.listens:
        yield hub, None
        return
    from hub.rooms import opened_rooms  # which needs the extra `voice`

    async with opened_rooms(hub) as rooms:
        yield replace(hub, announce=rooms.announce), rooms


@asynccontextmanager
async def connected(hub: Hub, rooms: Rooms | None) -> AsyncIterator[None]:
    """The satellites of the settings, and what is offered to others, by the Wyoming protocol. Raises HubError."""
    if not hub.settings.wyoming.serve and not hub.settings.wyoming.drives:
        yield
        return
    try:
        from hub.wyoming import offer
    except ImportError as error:
        raise HubError(f"[wyoming] needs a package ({error}): pip install 'homeward-hub[wyoming]'") from None
    async with offer.connected(hub, rooms):
        yield


async def serve(hub: Hub, stop: asyncio.Event) -> None:
    """Answers what is said over the broker and carries out what has come due, until `stop` is set."""
    inbox = hub.link.listen(hub.settings.topic("say"), qos=1)
    log.info("listening on %s at %s", hub.settings.topic("say"), hub.settings.broker.address)
    async with asyncio.TaskGroup() as group:
        work = [group.create_task(_hear(hub, inbox)), group.create_task(_remember(hub))]
        await stop.wait()
        for task in work:
            task.cancel()
    inbox.close()


async def _hear(hub: Hub, inbox: Inbox) -> None:
    """Each command in a task of its own, so that a slow device keeps nobody waiting."""
    turns: set[asyncio.Task[None]] = set()
    try:
        async for message in inbox:
            said = read(message, hub.settings.room)
            if said is None:
                continue
            if len(turns) >= AT_ONCE:
                shown = hub.pipeline.shown(said.text, said.room, SOURCE)
                log.warning("too much is said at once; not heard: %r", shown[:80])
                continue
            task = asyncio.create_task(_take(hub, said))
            turns.add(task)
            task.add_done_callback(turns.discard)
    finally:
        for task in turns:
            task.cancel()
        await asyncio.gather(*turns, return_exceptions=True)


def read(message: Message, room: str = "") -> Said | None:
    """The command in a message; None for a retained one, which nobody has just said. Never raises on input."""
    if message.retain:
        log.warning("a retained message on %s is not taken for a command", message.topic)
        return None
    text = message.payload.decode(errors="replace")
    if text.lstrip().startswith("{"):
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError):
            return Said(text, room)
        if not isinstance(fields.get("text"), str):
            log.warning('a command as JSON needs "text"; it has %s', ", ".join(fields)[:80])
            return None
        return Said(fields["text"], _string(fields.get("room")) or room, _string(fields.get("id")))
    return Said(text, room)


def _string(value: object) -> str:
    return value[:100] if isinstance(value, str) else ""


async def _take(hub: Hub, said: Said) -> None:
    turn = await hub.pipeline.answer(said.text, said.room, source=SOURCE)
    await tell(hub, replace(turn, id=said.id) if said.id else turn)


async def tell(hub: Hub, turn: Turn) -> None:
    """The finished turn to everyone who listens, and to the log."""
    fields = {"turn": turn.id, "outcome": turn.kind, "room": turn.room, "ms": round(turn.ms.get("all", 0))}
    log.info("%r -> %s", turn.text[:200], turn.reply, extra={FIELDS: fields})
    try:
        await hub.link.publish(Message(hub.settings.topic("turn"), json.dumps(turn.as_json()).encode(), qos=1))
    except LinkError as error:
        log.warning("the turn could not be told: %s", error)


async def _remember(hub: Hub) -> None:
    """Does what has come due; after a start not before the devices are there, and somebody to tell."""
    await settled(hub.link, hub.house)
    async for due in hub.schedule.due():
        turn = await _due(hub, due)
        hub.announce(turn, not isinstance(due, Delayed))
        await tell(hub, turn)


async def _due(hub: Hub, due: Due) -> Turn:
    if not isinstance(due, Delayed):
        return Turn(due.name, rings(due), "answer", done=True, room=due.room)
    if hub.schedule.clock() - due.due > TOO_LATE:
        missed = f"I was not running when I should have done this, so I did not: {due.text}."
        return Turn(due.text, missed, "refuse", done=False, room=due.room)
    return await hub.pipeline.do(due)
