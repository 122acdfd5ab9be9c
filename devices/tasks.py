"""How tasks are ended."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

log = logging.getLogger(__name__)

AGAIN_AFTER = 0.1  # seconds


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancels tasks and returns once they have ended; what they failed with is logged.

    Cancels again where a task goes on: `asyncio.wait_for` of Python 3.11 swallows a cancellation that arrives in the
    same moment as its result (cpython #86296), and aiomqtt waits for every acknowledgement with it.
    """
    going = set(tasks)
    while going:
        for task in going:
            task.cancel()
        ended, going = await asyncio.wait(going, timeout=AGAIN_AFTER)
        for task in ended:
            if not task.cancelled() and (error := task.exception()) is not None:
                log.debug("a task ended with %r", error)
