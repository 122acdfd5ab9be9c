"""One command from the command line: through the hub that runs, or by ourselves where none does."""

from __future__ import annotations

import asyncio
import getpass
import json
import uuid
from collections.abc import Callable
from typing import Any

from devices.conventions import Message
from devices.link import ONLINE, Link
from hub import HubError, pin
from hub.daemon import opened, settled
from hub.settings import Settings

STATUS_WITHIN = 0.5  # seconds; a retained message follows the subscription at once
TURN_WITHIN = 90.0  # seconds; a garage door may take one minute and says so itself


def said(settings: Settings, text: str, room: str, ask: Callable[[str], str] | None) -> dict[str, Any]:
    """As `say`; where the PIN is needed and there is somebody to `ask`, with it ("" gives up). Nothing runs meanwhile.

    Raises LinkError, ModelError, HubError.
    """
    turn = asyncio.run(say(settings, text, room))
    while ask is not None and turn.get("asks") == "pin" and (digits := ask(str(turn["reply"]))):
        turn = asyncio.run(say(settings, f"{text}, PIN {digits}", room))
    return turn


def at_the_terminal(question: str) -> str:
    """The PIN, typed without being shown; "" for none."""
    while True:
        typed = getpass.getpass(f"{question} (not shown; Enter for none): ").strip()
        if not typed or pin.read(typed):
            return typed
        question = "That is no PIN. What is it?"


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
