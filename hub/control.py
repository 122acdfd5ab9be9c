"""What somebody who may write in the state folder can ask of the running hub, without a broker and without a signal.

STATE/hub.sock, for its owner only: one line of JSON comes, {"use": "home" or the path of a GGUF}, and one goes back,
{"done": "..."} or {"error": "..."}. The service can serve it shut in as it is, and who asks hears how it went.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from devices.device import DeviceError
from devices.tasks import end
from hub import HubError
from hub.switching import Switch
from models import ModelError

log = logging.getLogger(__name__)

SOCKET = "hub.sock"
LONGEST = 1 << 16  # bytes of a line
ANSWERS_WITHIN = 600.0  # seconds: a large model is read from a slow card, twice where it fails
ASKS_WITHIN = 10.0  # seconds for the line to come once somebody has connected


class ControlError(HubError):
    """The running hub has not done what was asked; the text says why."""


# -- the hub's side


def alone(folder: Path) -> None:
    """Raises ControlError where a hub runs already that keeps its state in this folder: both would do each command."""
    with suppress(OSError), _reached(folder) as place, socket.socket(socket.AF_UNIX) as probe:
        probe.connect(place)
        raise ControlError(
            f"a hub runs already with its state in {folder}: end that one (systemctl stop hub), or give this one "
            "another id and state_folder in its settings"
        )


@asynccontextmanager
async def serving(folder: Path, switch: Switch | None) -> AsyncIterator[None]:
    """Does what is asked while this is open. A hub that cannot be asked runs all the same, and its log says so."""
    async with AsyncExitStack() as open_:
        if switch is not None:
            try:
                await open_.enter_async_context(_served(folder, switch))
            except OSError as error:
                log.warning(
                    "%s cannot be served (%s): another model is taken up at the next start", folder / SOCKET, error
                )
        yield


@asynccontextmanager
async def _served(folder: Path, switch: Switch) -> AsyncIterator[None]:
    """Raises OSError."""
    tasks: set[asyncio.Task[Any]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            reply = await _reply(switch, reader)
            writer.write(json.dumps(reply).encode() + b"\n")
            await writer.drain()
        except OSError as error:
            log.debug("who asked has gone: %s", error)
        finally:
            tasks.discard(task)
            writer.close()

    folder.mkdir(parents=True, exist_ok=True)
    with _reached(folder) as place, closing(_bound(place)) as line:
        async with await asyncio.start_unix_server(answer, sock=line, limit=LONGEST):
            try:
                yield
            finally:
                Path(place).unlink(missing_ok=True)
                await end(*tasks)


async def _reply(switch: Switch, reader: asyncio.StreamReader) -> dict[str, str]:
    try:
        async with asyncio.timeout(ASKS_WITHIN):
            asked = json.loads(await reader.readline())
        name = asked["use"]
        if not isinstance(name, str) or not name:
            raise ValueError("no name")
    except (ValueError, KeyError, TypeError, RecursionError, TimeoutError):  # also a line that is too long
        return {"error": 'this is no {"use": "NAME"} in one line'}
    try:
        await switch.use(name)
    except (HubError, DeviceError, ModelError) as error:
        log.warning("%s does not become the model; %s stays: %s", name, switch.name, error)
        return {"error": f"{switch.name} stays: {error}"}
    return {"done": name}


def _bound(place: str) -> socket.socket:
    """Only its owner may connect, from the first moment. Raises OSError, also where another hub serves there."""
    with socket.socket(socket.AF_UNIX) as probe, suppress(FileNotFoundError, ConnectionRefusedError):
        probe.connect(place)
        raise OSError("another hub serves there")
    Path(place).unlink(missing_ok=True)  # left by one that was killed
    line = socket.socket(socket.AF_UNIX)
    try:
        line.bind(place)
        os.chmod(place, 0o600)
        line.listen()
        line.setblocking(False)
    except BaseException:
        line.close()
        raise
    return line


@contextmanager
def _reached(folder: Path) -> Iterator[str]:
    """The path of the socket in it, short enough for the 108 bytes that it may have. Raises OSError."""
    handle = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{handle}/{SOCKET}"
    finally:
        os.close(handle)


# -- the side of who asks


async def use(folder: Path, name: str) -> bool:
    """Has the hub that keeps its state in this folder use another model; False where none runs that can be asked.

    Raises ControlError where it keeps the one that it has.
    """
    try:
        with _reached(folder) as place:
            reader, writer = await asyncio.open_unix_connection(place, limit=LONGEST)
    except PermissionError as error:
        raise ControlError(f"the running hub cannot be asked ({error.strerror}): run it again with sudo") from None
    except OSError:
        return False
    try:
        writer.write(json.dumps({"use": name}).encode() + b"\n")
        async with asyncio.timeout(ANSWERS_WITHIN):
            reply: dict[str, Any] = json.loads(await reader.readline())
    except (OSError, ValueError, TimeoutError):
        raise ControlError("the running hub did not answer; its log says why (journalctl -u hub)") from None
    finally:
        writer.close()
    if "error" in reply:
        raise ControlError(f"the running hub does not take it up: {reply['error']}")
    return True
