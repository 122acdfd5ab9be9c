"""What the benches ask of a hub in a process of its own: that it answers, and what it holds in memory."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

from devices.conventions import Message
from devices.link import Link


async def answered(link: Link, text: str, again: float) -> None:
    """Says `text`, every so many seconds, until there is an answer: nobody hears it before the hub listens."""
    inbox = link.listen("hub/home/turn", qos=1)
    await link.settled()
    while True:
        await link.publish(Message("hub/home/say", text.encode(), qos=1))
        with suppress(TimeoutError):
            async with asyncio.timeout(again):
                await anext(inbox)
                break
    inbox.close()


def family(pid: int) -> list[int]:
    """A process and all that come from it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # it has just gone
        return []
    return [pid, *(each for child in children for each in family(int(child)))]


def pss(pid: int) -> float:
    """Megabytes; what several processes share counts once. A process that has just gone has none."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024 / 1e6
