"""Tells systemd that the hub is ready, and then that it lives; without systemd, tells nobody. See sd_notify(3)."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from devices.tasks import end

log = logging.getLogger(__name__)


@asynccontextmanager
async def living(environment: Mapping[str, str] | None = None) -> AsyncIterator[None]:
    """While this is open the hub counts as ready and, where a watchdog is set, tells twice in its time that it lives.

    Who tells is a task of the loop: a loop that hangs is silent, and systemd starts the hub again.
    """
    seen = os.environ if environment is None else environment
    tell("READY=1", seen)
    task = asyncio.create_task(_live(_seconds(seen), seen))
    try:
        yield
    finally:
        tell("STOPPING=1", seen)
        await end(task)


def tell(state: str, environment: Mapping[str, str]) -> None:
    """One datagram to whoever started us; a word that does not arrive is no reason to stop."""
    place = environment.get("NOTIFY_SOCKET", "")
    if not place.startswith(("/", "@")):
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as line:
            line.sendto(state.encode(), "\0" + place[1:] if place[0] == "@" else place)
    except OSError as error:
        log.debug("systemd does not hear us: %s", error)


async def _live(seconds: float | None, environment: Mapping[str, str]) -> None:
    while seconds is not None:
        tell("WATCHDOG=1", environment)
        await asyncio.sleep(seconds / 2)


def _seconds(environment: Mapping[str, str]) -> float | None:
    """The time in which the watchdog wants a word; None where there is none, or it is meant for another process."""
    told = environment.get("WATCHDOG_USEC", "")
    if not told.isdecimal() or int(told) == 0 or environment.get("WATCHDOG_PID") not in (None, str(os.getpid())):
        return None
    return int(told) / 1e6
