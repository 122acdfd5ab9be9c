"""What several test files share: a real mosquitto on a free port, started and stopped as a test likes."""

from __future__ import annotations

import asyncio
import getpass
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

STARTS_WITHIN = 10.0  # seconds; mosquitto answers in 0.02 on an idle machine
LOOKS_EVERY = 0.01


@dataclass
class Broker:
    """A mosquitto of the test's own. It keeps its port, so that a stop and a start are a restart."""

    folder: Path
    settings: str
    host: str = "127.0.0.1"
    port: int = field(default_factory=lambda: free_port())
    _process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Returns once the port answers."""
        config = self.folder / f"mosquitto-{self.port}.conf"
        config.write_text(f"user {getpass.getuser()}\nlistener {self.port} {self.host}\n{self.settings}\n")
        log = (self.folder / f"mosquitto-{self.port}.log").open("ab")
        with log:
            self._process = await asyncio.create_subprocess_exec(
                _mosquitto(), "-c", str(config), stdout=log, stderr=log
            )
        async with asyncio.timeout(STARTS_WITHIN):
            while not await self._answers():
                if self._process.returncode is not None:
                    raise RuntimeError(f"mosquitto ended at once:\n{self.log()}")
                await asyncio.sleep(LOOKS_EVERY)

    async def stop(self) -> None:
        """Ends the broker at once, so that its clients see a broken connection. Harmless when it is not running."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()

    def log(self) -> str:
        return (self.folder / f"mosquitto-{self.port}.log").read_text(errors="replace")

    async def _answers(self) -> bool:
        try:
            _, writer = await asyncio.open_connection(self.host, self.port)
        except OSError:
            return False
        writer.close()
        await writer.wait_closed()
        return True


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _mosquitto() -> str:
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin")
    if found is None:
        pytest.fail("the tests need a real MQTT broker: apt install mosquitto")
    return found


StartBroker = Callable[[str], Awaitable[Broker]]


@pytest.fixture
async def start_broker(tmp_path: Path) -> AsyncIterator[StartBroker]:
    """Starts brokers with the given lines of mosquitto.conf, and ends them after the test."""
    started: list[Broker] = []

    async def start(settings: str) -> Broker:
        broker = Broker(tmp_path, settings)
        started.append(broker)
        await broker.start()
        return broker

    yield start
    for broker in started:
        await broker.stop()


@pytest.fixture
async def broker(start_broker: StartBroker) -> Broker:
    """A running broker that lets anyone in; `.host`, `.port`, `await stop()`, `await start()`."""
    return await start_broker("allow_anonymous true")
