"""One command from the command line: through the hub that runs, or by ourselves where none does."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

from devices.conventions import Message
from devices.link import ONLINE, Link
from hub import HubError
from hub.daemon import opened, settled
from hub.settings import Settings

STATUS_WITHIN = 0.5  # seconds; a retained message follows the subscription at once
TURN_WITHIN = 90.0  # seconds; a garage door may take one minute and says so itself


async def say(settings: Settings, text: str, room: str = "") -> dict[str, Any]:
    """The finished turn, as JSON has it. Raises LinkError, ModelError, HubError."""
    async with Link(settings.broker, must_connect=True) as link:
        if await runs(settings, link):
            return await _ask_it(settings, link, text, room)
    async with opened(settings) as hub:
        await settled(hub.link, hub.house)
        turn = await hub.pipeline.answer(text, room or settings.room)
        return turn.as_json()


async def runs(settings: Settings, link: Link) -> bool:
    """Whether a hub of this id is online."""
    inbox = link.listen(settings.topic("status"), qos=1)
    try:
        async with asyncio.timeout(STATUS_WITHIN):
            return (await anext(inbox)).payload == ONLINE
    except TimeoutError:
        return False
    finally:
        inbox.close()


async def _ask_it(settings: Settings, link: Link, text: str, room: str) -> dict[str, Any]:
    turn_id = uuid.uuid4().hex
    inbox = link.listen(settings.topic("turn"), qos=1)
    await link.settled()
    payload = json.dumps({"text": text, "room": room, "id": turn_id}).encode()
    await link.publish(Message(settings.topic("say"), payload, qos=1))
    try:
        async with asyncio.timeout(TURN_WITHIN):
            async for message in inbox:
                if (turn := _turn(message)).get("id") == turn_id:
                    return turn
    except TimeoutError:
        pass
    raise HubError("the running hub did not answer; its log says why (journalctl -u hub)")


def _turn(message: Message) -> dict[str, Any]:
    try:
        found = json.loads(message.payload)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
