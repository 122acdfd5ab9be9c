"""What several test files share: a real mosquitto on a free port, and a real PulseAudio, started and stopped as a test likes."""

from __future__ import annotations

import asyncio
import getpass
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from ctypes.util import find_library
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


class Pulse:
    """A PulseAudio of the test's own, with a room and a loudspeaker in it, whose sound can be listened to, and which can be unplugged."""

    def __init__(self, folder: Path) -> None:
        self._socket = folder / "pulse.socket"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Returns once it answers."""
        wanted = (
            f"module-native-protocol-unix socket={self._socket}",
            "module-null-sink sink_name=room",
            "module-null-sink sink_name=answer",
        )
        loaded = [part for module in wanted for part in ("-L", module)]
        self._process = await asyncio.create_subprocess_exec(
            *("pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", *loaded),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(20):
            while await self.tell("info"):
                await asyncio.sleep(0.02)

    async def tell(self, *words: str) -> int:
        """The exit status of a command to it."""
        quiet = asyncio.subprocess.DEVNULL
        pactl = await asyncio.create_subprocess_exec("pactl", *words, stdout=quiet, stderr=quiet)
        return await pactl.wait()

    async def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            await self._process.wait()


@pytest.fixture
async def pulse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pulse]:
    if find_library("portaudio") is None:
        pytest.skip("PortAudio is not installed: apt-get install libportaudio2")
    pytest.importorskip("sounddevice", reason="the extra `voice` is not installed")
    plugin = any(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so"))
    if not (plugin and shutil.which("pulseaudio") and shutil.which("pactl")):
        pytest.skip("no sound server: apt-get install pulseaudio pulseaudio-utils libasound2-plugins")
    (tmp_path / "asound.conf").write_text(
        "</usr/share/alsa/alsa.conf>\n"
        "pcm.microphone { type pulse device room.monitor hint.show on }\n"
        "pcm.loudspeaker { type pulse device room hint.show on }\n"
        "pcm.listener { type pulse device answer.monitor hint.show on }\n"
        "pcm.mouth { type pulse device answer hint.show on }\n"
    )
    for name, value in (
        ("ALSA_CONFIG_PATH", str(tmp_path / "asound.conf")),
        ("XDG_RUNTIME_DIR", str(tmp_path)),
        ("HOME", str(tmp_path)),
        ("PULSE_SERVER", f"unix:{tmp_path}/pulse.socket"),
    ):
        monkeypatch.setenv(name, value)
    pulse = Pulse(tmp_path)
    try:
        await pulse.start()
        yield pulse
    finally:
        await pulse.stop()
