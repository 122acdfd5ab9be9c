"""What is set up around the hub: the service and what it tells systemd, the broker and its certificates, the reference."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tomllib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

import pytest

from devices.conventions import Message
from devices.link import Link, LinkError, LinkSettings
from devices.simulator import Home
from hub import notify, reference
from hub.doctor import Place, examine
from hub.finding import Level
from hub.say import say
from hub.settings import BrokerSettings, Settings, SettingsError, load, parse

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
MOSQUITTO = DEPLOY / "mosquitto"
WITHIN = 30.0  # seconds for a process to do what is waited for


class Running(Protocol):
    host: str
    port: int

    async def start(self) -> None: ...
    async def stop(self) -> None: ...


StartBroker = Callable[[str], Awaitable[Running]]


def run(*command: str | Path, code: int = 0, **variables: str) -> str:
    """What it says, on both its lines."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=60, env=os.environ | variables)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


# -- the service


needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")


def version() -> int:
    """That of systemd."""
    return int(re.findall(r"\d+", run("systemd-analyze", "--version"))[0])


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units as they would be installed, with a program in them that is here."""
    folder = tmp_path / "units"
    shutil.copytree(DEPLOY / "hub.service.d", folder / "hub.service.d")
    if version() < 254:
        (folder / "hub.service.d" / "back-off.conf").unlink()
    for file in (DEPLOY / "hub.service", *MOSQUITTO.glob("hub-certificates.*")):
        text = re.sub(r"^(ExecStart=)/opt/\S+", r"\g<1>/bin/true", file.read_text(), flags=re.MULTILINE)
        assert (".timer" in file.name) is ("/bin/true" not in text)
        (folder / file.name).write_text(text)
    return folder


@needs_systemd
@pytest.mark.parametrize("name", ["hub.service", "hub-certificates.service", "hub-certificates.timer"])
def test_the_units_are_in_order(units: Path, name: str) -> None:
    assert run("systemd-analyze", "verify", units / name) == ""


@needs_systemd
def test_a_mistake_in_a_unit_would_be_seen(units: Path) -> None:
    (units / "hub.service.d" / "local-network.conf").write_text("[Service]\nIPAddressAllow=nonsense\nNoSuchKey=1\n")
    said = run("systemd-analyze", "verify", units / "hub.service")
    assert "nonsense" in said
    assert "NoSuchKey" in said


@needs_systemd
def test_the_service_is_shut_in(units: Path) -> None:
    if version() < 250:
        pytest.skip("this systemd cannot look at a unit that is not installed")
    said = run("systemd-analyze", "security", "--offline=true", "--no-pager", units / "hub.service")
    found = re.search(r"Overall exposure level for hub\.service: ([\d.]+)", said)
    assert found is not None, said
    assert float(found[1]) <= 1.5


def test_the_service_starts_a_command_that_is_there() -> None:
    unit = (DEPLOY / "hub.service").read_text()
    started = re.search(r"^ExecStart=/opt/hub/bin/hub (.*)$", unit, re.MULTILINE)
    assert started is not None
    words = started[1].replace("${CREDENTIALS_DIRECTORY}/hub.toml", "no such file").split(" ", 2)
    assert words == ["run", "--config", "no such file"]
    stops = re.search(r"^RestartPreventExitStatus=(\d+)$", unit, re.MULTILINE)
    assert stops is not None
    assert "no such settings file" in run(sys.executable, "-m", "hub", *words, code=int(stops[1]))


@pytest.fixture
def systemd(tmp_path: Path) -> socket.socket:
    """The socket on which systemd would listen."""
    line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    line.bind(str(tmp_path / "notify"))
    return line


async def heard(line: socket.socket) -> str:
    async with asyncio.timeout(WITHIN):
        return (await asyncio.get_running_loop().sock_recv(line, 1000)).decode()


async def test_the_hub_says_that_it_is_ready_and_that_it_lives(
    broker: Running, systemd: socket.socket, tmp_path: Path
) -> None:
    config = tmp_path / "hub.toml"
    config.write_text(f'state_folder = "{tmp_path}"\n[broker]\nhost = "{broker.host}"\nport = {broker.port}\n')
    variables = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "100000"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hub", "run", "--config", str(config)),
        cwd=ROOT, env={**os.environ, **variables}, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    with systemd:
        assert await heard(systemd) == "READY=1"
        assert [await heard(systemd) for _ in range(3)] == ["WATCHDOG=1"] * 3
        process.send_signal(signal.SIGTERM)
        last = ""
        while last != "STOPPING=1":
            last = await heard(systemd)
        assert await asyncio.wait_for(process.wait(), WITHIN) == 0


async def test_without_systemd_nothing_is_told(systemd: socket.socket, tmp_path: Path) -> None:
    place = str(tmp_path / "notify")
    with systemd:
        for environment in ({}, {"NOTIFY_SOCKET": "vsock:2:1"}, {"NOTIFY_SOCKET": f"{place}.gone"}):
            async with notify.living(environment):
                pass
        other = {"NOTIFY_SOCKET": place, "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}
        async with notify.living(other):  # the watchdog is for another process
            await asyncio.sleep(0.01)
        assert [await heard(systemd), await heard(systemd)] == ["READY=1", "STOPPING=1"]


async def test_a_socket_without_a_file_is_told_too(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as line:
        line.bind(f"\0{tmp_path}")
        async with notify.living({"NOTIFY_SOCKET": f"@{tmp_path}"}):
            assert await heard(line) == "READY=1"


# -- certificates


needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl")


def certificates(folder: Path, *names: str, code: int = 0) -> str:
    return run("bash", MOSQUITTO / "certificates.sh", folder, *names, code=code)


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def changed(before: dict[str, bytes], after: dict[str, bytes]) -> set[str]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


@needs_openssl
def test_certificates_are_made_once_and_stay_while_they_are_good(tmp_path: Path) -> None:
    folder = tmp_path / "new folder"
    assert "copy it to every client" in certificates(folder, "broker.local", "127.0.0.1", "::1")
    made = content(folder)
    assert made.keys() == {"ca.crt", "ca.key", "server.crt", "server.key", "names"}
    assert (folder / "ca.key").stat().st_mode & 0o777 == 0o600
    assert (folder / "server.key").stat().st_mode & 0o007 == 0
    told = run("openssl", "x509", "-in", folder / "server.crt", "-noout", "-text")
    assert "DNS:broker.local, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1" in told
    for names in ((), ("broker.local", "127.0.0.1", "::1")):
        assert "is good until" in certificates(folder, *names)
    assert content(folder) == made


@needs_openssl
def test_a_renewal_keeps_the_ca_and_the_keys(tmp_path: Path) -> None:
    certificates(tmp_path, "old")
    before = content(tmp_path)
    certificates(tmp_path, "new")  # another name
    assert changed(before, content(tmp_path)) == {"server.crt", "names"}
    before = content(tmp_path)
    request = ("-key", tmp_path / "server.key", "-subj", "/CN=x", "-out", tmp_path / "request")
    run("openssl", "req", "-new", *request)
    sign = ("-CA", tmp_path / "ca.crt", "-CAkey", tmp_path / "ca.key", "-set_serial", "7", "-days", "20")
    run("openssl", "x509", "-req", "-in", tmp_path / "request", *sign, "-out", tmp_path / "server.crt")
    (tmp_path / "request").unlink()
    assert "made server.crt for new" in certificates(tmp_path)  # it would end within a month
    assert changed(before, content(tmp_path)) == {"server.crt"}
    (tmp_path / "server.key").unlink()
    before = content(tmp_path)
    certificates(tmp_path)  # the certificate is not of the new key
    assert changed(before, content(tmp_path)) == {"server.crt", "server.key"}


@needs_openssl
def test_what_cannot_be_certified_is_told_and_changes_nothing(tmp_path: Path) -> None:
    assert "usage" in run("bash", MOSQUITTO / "certificates.sh", code=1)
    assert "give each name" in certificates(tmp_path, code=1)
    for name in ("a b", "a,DNS:b", "$(id)", "-x", "999.1.1.1", "é"):
        certificates(tmp_path / "f", name, code=1)
    shutil.rmtree(tmp_path / "f")
    certificates(tmp_path, "one")
    whole = content(tmp_path)
    (tmp_path / "ca.key").rename(tmp_path / "kept")
    assert "ca.key and ca.crt is missing" in certificates(tmp_path, "two", code=1)
    run(
        "openssl",
        "genpkey",
        "-algorithm",
        "EC",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-out",
        tmp_path / "ca.key",
    )
    certificates(tmp_path, "two", code=1)  # a key that is not of this CA
    (tmp_path / "kept").rename(tmp_path / "ca.key")
    assert content(tmp_path) == whole
    (tmp_path / "file").write_text("")
    assert "cannot be written" in certificates(tmp_path / "file", "one", code=1)


def test_the_scripts_can_be_read_by_bash() -> None:
    scripts = sorted(DEPLOY.rglob("*.sh"))
    assert len(scripts) >= 3
    for script in scripts:
        run("bash", "-n", script)
        assert os.access(script, os.X_OK) is script.read_text().startswith("#!")


# -- the broker


needs_passwords = pytest.mark.skipif(shutil.which("mosquitto_passwd") is None, reason="there is no mosquitto_passwd")
USERS = ("hub", "zigbee2mqtt", "plug1", "house")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Secured:
    """A mosquitto with our configuration, on free ports; the user `house` is the simulated home, and may do all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tls_port = free_port()
        self.plain_port = 0
        certificates(folder, "127.0.0.1")
        passwords = folder / "passwords"
        passwords.touch()
        for user in USERS:
            run("mosquitto_passwd", "-b", passwords, user, f"{user}'s own")
        (folder / "acl").write_text(f"user house\ntopic readwrite #\n\n{(MOSQUITTO / 'acl').read_text()}")

    def lines(self) -> str:
        text = (MOSQUITTO / "hub.conf").read_text().replace("/etc/mosquitto/hub", str(self.folder))
        assert text.count("listener 1883 127.0.0.1") == text.count("listener 8883") == 1
        # The plain one is what the fixture starts anyway.
        return text.replace("listener 1883 127.0.0.1", "").replace("listener 8883", f"listener {self.tls_port}")

    def as_user(self, user: str, **more: object) -> BrokerSettings:
        login = {"username": user, "password": f"{user}'s own"}
        tls = {"port": self.tls_port, "tls": True, "ca_file": str(self.folder / "ca.crt")}
        return BrokerSettings("127.0.0.1", **login, **tls, **more)  # type: ignore[arg-type]


async def listens(port: int) -> None:
    """Returns once something answers there: mosquitto opens one listener after the other."""
    async with asyncio.timeout(WITHIN):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            return


@pytest.fixture
async def secured(start_broker: StartBroker, tmp_path: Path) -> Secured:
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    made = Secured(folder)
    made.plain_port = (await start_broker(made.lines())).port
    await listens(made.tls_port)
    return made


@needs_openssl
@needs_passwords
async def test_nobody_gets_in_without_a_password_or_outside_without_tls(secured: Secured) -> None:
    plain = LinkSettings("127.0.0.1", secured.plain_port)
    for settings in (plain, LinkSettings("127.0.0.1", secured.plain_port, username="hub", password="wrong")):
        with pytest.raises(Exception, match="refuses"):
            await Link(settings, must_connect=True).open()
    async with Link(secured.as_user("hub"), must_connect=True):
        pass
    listeners = re.findall(r"^listener (.*)$", (MOSQUITTO / "hub.conf").read_text(), re.MULTILINE)
    assert listeners == ["1883 127.0.0.1", "8883"]


def secure(root: Path, password: str, *names: str, code: int = 0) -> str:
    """What secure.sh says when it secures the mosquitto under this root."""
    done = subprocess.run(
        ["bash", MOSQUITTO / "secure.sh", *names],
        input=password, capture_output=True, text=True, timeout=60, env=os.environ | {"ROOT": str(root)},
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert not password or password.strip() not in done.stdout + done.stderr
    return done.stdout + done.stderr


@needs_openssl
@needs_passwords
async def test_a_broker_is_secured_by_one_script_and_again(start_broker: StartBroker, tmp_path: Path) -> None:
    folder = tmp_path / "etc" / "mosquitto" / "hub"
    secure(tmp_path, "first one\n", "127.0.0.1")
    run("mosquitto_passwd", "-b", folder / "passwords", "plug1", "plug1's own")
    (folder / "acl").write_text(f"# mine\n{(folder / 'acl').read_text()}")
    before = content(folder)
    secure(tmp_path, "second one", "127.0.0.1")
    assert changed(before, content(folder)) == {"passwords"}
    assert b"second one" not in (folder / "passwords").read_bytes()
    assert (folder / "passwords").stat().st_mode & 0o007 == 0
    lines = (tmp_path / "etc/mosquitto/conf.d/hub.conf").read_text()
    lines = lines.replace("listener 1883 127.0.0.1", "").replace("listener 8883", f"listener {free_port()}")
    port = (await start_broker(lines)).port
    for user, password in (("hub", "second one"), ("plug1", "plug1's own")):
        async with Link(LinkSettings("127.0.0.1", port, username=user, password=password), must_connect=True):
            pass
    with pytest.raises(LinkError, match="refuses"):
        await Link(LinkSettings("127.0.0.1", port, username="hub", password="first one"), must_connect=True).open()


@needs_openssl
@needs_passwords
def test_a_broker_that_cannot_be_secured_is_told(tmp_path: Path) -> None:
    assert "usage" in secure(tmp_path, "x", code=1)
    assert "no password" in secure(tmp_path, "", "one", code=1)
    assert "colon" in secure(tmp_path, "a:b", "one", code=1)
    assert not list(tmp_path.iterdir())


ALLOWED = [
    *(
        "hub/home/turn",
        "hub/home/status",
        "zigbee2mqtt/lamp/set",
        "zigbee2mqtt/kitchen/lamp/set",
        "zigbee2mqtt/lamp/get",
    ),
    *("cmnd/plug/POWER", "esp/light/lamp/command", "homie/d/n/p/set", "homeassistant/status"),
]
FORBIDDEN = [
    *("zigbee2mqtt/lamp", "zigbee2mqtt/bridge/request/permit_join", "zigbee2mqtt/lamp/availability", "stat/plug/POWER"),
    *("homeassistant/light/lamp/config", "esp/light/lamp/state", "tele/plug/LWT", "zigbee2mqtt/bridge/state", "other"),
]


async def passes(secured: Secured, user: str, topics: list[str], last: str) -> list[str]:
    """Which of these topics `user` can write to; `last` is one that it can for certain."""
    async with (
        Link(secured.as_user("house"), must_connect=True) as all_hearing,
        Link(secured.as_user(user, protocol="3.1.1"), must_connect=True) as speaking,
    ):
        inbox = all_hearing.listen("#", qos=1)
        await all_hearing.settled()
        for topic in (*topics, last):
            await speaking.publish(Message(topic, b"x", qos=1))
        arrived = []
        async with asyncio.timeout(WITHIN):
            async for message in inbox:
                if message.topic == last:
                    return arrived
                arrived.append(message.topic)
    return arrived


@needs_openssl
@needs_passwords
async def test_the_hub_writes_to_command_topics_only(secured: Secured) -> None:
    assert await passes(secured, "hub", [*ALLOWED, *FORBIDDEN], "hub/home/last") == ALLOWED


@needs_openssl
@needs_passwords
async def test_a_plug_speaks_for_itself_only(secured: Secured) -> None:
    own = [
        "plug1/relay/0",
        "stat/plug1/POWER",
        "homeassistant/switch/plug1/config",
        "homeassistant/switch/plug1/r/config",
    ]
    others = [
        "plug2/relay/0",
        "zigbee2mqtt/lamp/set",
        "hub/home/say",
        "cmnd/plug1/POWER",
        "homeassistant/lock/x/config",
    ]
    assert await passes(secured, "plug1", [*own, *others], "plug1/last") == own
    bridge = ["zigbee2mqtt/lamp", "homeassistant/light/l/config"]
    assert await passes(secured, "zigbee2mqtt", [*bridge, "hub/home/say", "cmnd/x/y"], "zigbee2mqtt/last") == bridge
    async with (
        Link(secured.as_user("plug1"), must_connect=True) as plug,
        Link(secured.as_user("house"), must_connect=True) as house,
    ):
        inbox = plug.listen("#", qos=1)
        await plug.settled()
        for topic in ("hub/home/turn", "zigbee2mqtt/lamp", "cmnd/plug2/POWER", "cmnd/plug1/POWER"):
            await house.publish(Message(topic, b"x", qos=1))
        async with asyncio.timeout(WITHIN):
            assert (await anext(inbox)).topic == "cmnd/plug1/POWER"


@needs_openssl
@needs_passwords
async def test_a_command_is_confirmed_over_the_secured_broker_and_all_is_well(secured: Secured, tmp_path: Path) -> None:
    settings = Settings(broker=secured.as_user("hub"), state_folder=str(tmp_path / "state"))
    async with Home(secured.as_user("house")) as home:
        turn = await say(settings, "turn on the bathroom light")
        assert (turn["reply"], turn["orders"][0]["outcome"]) == ("Bathroom light is on.", "confirmed")
        assert home.state("bathroom_light")["state"] == "ON"
        config = tmp_path / "hub.toml"
        broker = settings.broker
        config.write_text(
            f'state_folder = "{tmp_path / "state"}"\n[broker]\nhost = "127.0.0.1"\nport = {broker.port}\n'
            f'username = "hub"\npassword = "{broker.password}"\ntls = true\nca_file = "{broker.ca_file}"\n'
        )
        config.chmod(0o600)
        found = [f async for f in examine(Place(config, tmp_path)) if f.level is Level.WRONG]
    assert not found


@needs_openssl
@needs_passwords
async def test_a_renewed_certificate_is_shown_after_a_reload(start_broker: StartBroker, tmp_path: Path) -> None:
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    made = Secured(folder)
    broker = await start_broker(made.lines())
    await listens(made.tls_port)
    before = await shown(made)
    certificates(folder, "127.0.0.1", "localhost")
    assert await shown(made) == before
    process = broker._process  # type: ignore[attr-defined]
    process.send_signal(signal.SIGHUP)
    async with asyncio.timeout(WITHIN):
        while await shown(made) == before:
            await asyncio.sleep(0.02)


async def shown(made: Secured) -> str:
    """The serial number of the certificate that the broker shows."""
    context = ssl.create_default_context(cafile=str(made.folder / "ca.crt"))
    _, writer = await asyncio.open_connection("127.0.0.1", made.tls_port, ssl=context)
    serial = str(writer.get_extra_info("peercert")["serialNumber"])
    writer.close()
    await writer.wait_closed()
    return serial


# -- the settings


def test_the_reference_of_the_settings_is_up_to_date() -> None:
    page = reference.page((DEPLOY / "hub.example.toml").read_text())
    assert (ROOT / "docs" / "settings.md").read_text() == page, "python -m hub.reference > docs/settings.md"


def test_every_setting_is_explained_with_what_it_may_be() -> None:
    page = reference.page((DEPLOY / "hub.example.toml").read_text())
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \| (.*?) ?\|$", page, re.MULTILINE)
    assert len(rows) > 30
    assert [key for key, *_, words in rows if not words] == []
    kinds = {key: kind for key, kind, *_ in rows}
    assert kinds["port"] == "whole number, 1 to 65535"
    with pytest.raises(SettingsError, match="65536"):
        parse("[broker]\nport = 65536\n", "f")
    assert parse("[broker]\nport = 65535\n", "f").broker.port == 65535
    assert load(DEPLOY / "hub.example.toml") == Settings()


# -- install.sh, and what it is given


@pytest.mark.parametrize(
    ("features", "flags"),
    [
        ("flags\t\t: lm avx2", ""),
        ("Features\t: fp asimd evtstrm crc32", "-DGGML_NATIVE=OFF -DGGML_CPU_ARM_ARCH=armv8-a"),  # Raspberry Pi 4
        ("Features\t: fp asimd asimdhp asimddp", "-DGGML_NATIVE=OFF -DGGML_CPU_ARM_ARCH=armv8.2-a+dotprod+fp16"),  # 5
        (
            "Features\t: fp asimd asimdhp asimddp sve i8mm bf16",
            "-DGGML_NATIVE=OFF -DGGML_CPU_ARM_ARCH=armv8.2-a+dotprod+fp16+i8mm",
        ),
    ],
)
def test_llama_is_compiled_for_the_processor(tmp_path: Path, features: str, flags: str) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "cpuinfo").write_text(f"processor\t: 0\n{features}\nprocessor\t: 1\n{features}\n")
    only, *found = run("bash", DEPLOY / "llama_flags.sh", tmp_path).split()
    assert " ".join(found) == flags
    option, _, file = only.partition("=")
    assert option == "-DCMAKE_PROJECT_INCLUDE"
    assert Path(file) == DEPLOY / "llama_only.cmake"


def test_a_jetson_has_its_gpu_used_where_cuda_is_there(tmp_path: Path) -> None:
    for file in ("proc/cpuinfo", "etc/nv_tegra_release"):
        (tmp_path / file).parent.mkdir()
        (tmp_path / file).write_text("Features\t: asimd asimdhp asimddp\n")
    said = run("bash", DEPLOY / "llama_flags.sh", tmp_path)
    assert "nvidia-jetpack" in said
    assert "CUDA=ON" not in said
    nvcc = tmp_path / "usr/local/cuda/bin/nvcc"
    nvcc.parent.mkdir(parents=True)
    nvcc.touch(0o755)
    said = run("bash", DEPLOY / "llama_flags.sh", tmp_path)
    assert "armv8.2-a+dotprod+fp16 -DGGML_CUDA=ON" in said
    assert f"CMAKE_CUDA_COMPILER={nvcc}" in said


needs_shellcheck = pytest.mark.skipif(shutil.which("shellcheck") is None, reason="there is no shellcheck")


@needs_shellcheck
def test_the_scripts_are_clean() -> None:
    scripts = [*DEPLOY.rglob("*.sh"), *DEPLOY.glob("debian/*.post*")]
    options = ("--severity=warning", "--external-sources", "--source-path=SCRIPTDIR")
    assert run("shellcheck", *options, *sorted(scripts)) == ""


needs_hadolint = pytest.mark.skipif(shutil.which("hadolint") is None, reason="there is no hadolint")
IMAGES = sorted(f for f in DEPLOY.rglob("Dockerfile*"))


@needs_hadolint
def test_the_recipes_of_images_are_clean() -> None:
    assert len(IMAGES) == 3
    assert run("hadolint", "--failure-threshold", "info", *IMAGES) == ""


def test_what_an_image_copies_is_there_and_what_it_installs_exists() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for image in IMAGES:
        text = image.read_text()
        for source in re.findall(r"^COPY (?!--)(.*) \S+$", text, re.MULTILINE):
            names = [] if "*" in source else source.split()
            folder = image.parent if image.parent.name == "home-assistant" else ROOT
            assert all((folder / name).exists() for name in names), source
        for listed in re.findall(r"^ARG EXTRAS=(\S+)$|homeward-hub\[([a-z,]+)\]", text, re.MULTILINE):
            assert set("".join(listed).split(",")) <= extras.keys()


def test_the_add_on_is_of_this_version() -> None:
    config = (DEPLOY / "home-assistant" / "config.yaml").read_text()
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f'\nversion: "{version}"\n' in config


@pytest.fixture
def as_root() -> list[str]:
    """What a command has in front of it that is to believe that it is root, and may change nothing."""
    before = ["unshare", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*before, "true"], capture_output=True).returncode:
        pytest.skip("nobody can be made root here")
    return [*before, "bash", "-c", 'mount -t tmpfs -o ro none /opt && exec bash "$@"', "-"]


def test_install_refuses_what_it_cannot_use_before_it_does_anything(tmp_path: Path, as_root: list[str]) -> None:
    shutil.copy(DEPLOY / "install.sh", tmp_path)
    install = tmp_path / "install.sh"
    assert "unknown option --foo" in run(*as_root, install, "--foo", code=1)
    assert "goes with --uninstall" in run(*as_root, install, "--purge", code=1)
    assert "cannot be read" in run(*as_root, install, "--answers", tmp_path / "no", code=1)
    assert "no checkout" in run(*as_root, install, code=1)
    (tmp_path / "bundle.json").write_text('{"machine": "vax", "extras": []}\n')
    assert "not finished" in run(*as_root, install, code=1)
    sums = run("sha256sum", tmp_path / "bundle.json").replace(f"{tmp_path}/", "")
    (tmp_path / "SHA256SUMS").write_text(sums)
    assert "another processor" in run(*as_root, install, code=1)
    (tmp_path / "bundle.json").write_text("{}")
    assert "is damaged" in run(*as_root, install, code=1)
    assert "sudo bash" in run("bash", install, "--help")


# -- the Debian package


def removed(script: Path) -> set[str]:
    """Every file and folder that a script takes away, wherever in it."""
    text = script.read_text()
    known = dict(re.findall(r"\b(place|settings|state|units|log|command_link)=(/\S+)", text))
    words = " ".join(re.findall(r"rm -r?f ([^;&|\n]*)", text)).replace('"', "").split()
    return {re.sub(r"\$(\w+)", lambda found: known.get(found[1], "?"), word) for word in words} - {"$new"}


def test_the_package_takes_away_what_the_script_does() -> None:
    units = {"hub.service", "hub-certificates.service", "hub-certificates.timer", "hub.service.d"}
    of_the_package = {f"/etc/systemd/system/{name}" for name in units} | {"/usr/local/bin/hub"}
    of_an_installation = {
        path for path in removed(DEPLOY / "install.sh") if not re.search(r"\?|/opt/hub/|service\.d/|#", path)
    }
    assert of_an_installation - of_the_package == removed(DEPLOY / "debian" / "homeward-hub.postrm")


needs_debhelper = pytest.mark.skipif(shutil.which("dh") is None, reason="there is no debhelper")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """All but the wheels of a bundle for another processor than most have."""
    folder = tmp_path / "bundle"
    shutil.copytree(DEPLOY, folder / "deploy")
    shutil.copy(DEPLOY / "install.sh", folder)
    (folder / "wheels").mkdir()
    (folder / "wheels" / "a.whl").write_bytes(b"PK")
    about = {"hub": "0.1.0", "python": "3.12", "machine": "aarch64", "extras": ["voice"], "models": []}
    (folder / "bundle.json").write_text(json.dumps(about, indent=1) + "\n")
    (folder / "SHA256SUMS").touch()
    return folder


MAKER = {"DEBFULLNAME": "A Maker", "DEBEMAIL": "maker@localhost"}


@needs_debhelper
def test_a_package_is_for_the_processor_and_the_python_of_its_bundle(tmp_path: Path, bundle: Path) -> None:
    run("bash", DEPLOY / "deb.sh", bundle, tmp_path, **MAKER)
    package = tmp_path / "homeward-hub_0.1.0_arm64.deb"
    needs = run("dpkg-deb", "--field", package, "Depends").strip().split(", ")
    assert {"python3 (>= 3.12)", "python3 (<< 3.13~)", "libportaudio2"} <= set(needs)
    root = tmp_path / "root"
    run("dpkg-deb", "--extract", package, root)
    assert os.readlink(root / "usr/bin/hub") == "/opt/hub/bin/hub"
    assert (root / "usr/lib/homeward-hub/wheels/a.whl").read_bytes() == b"PK"
    units = root / "lib/systemd/system"
    assert (units / "hub.service").read_bytes() == (DEPLOY / "hub.service").read_bytes()
    assert {f.name for f in (units / "hub.service.d").iterdir()} == {f.name for f in DEPLOY.glob("hub.service.d/*")}
    assert not (root / "opt").exists()


@needs_debhelper
def test_no_package_is_made_of_what_is_no_bundle(tmp_path: Path, bundle: Path) -> None:
    make = DEPLOY / "deb.sh"
    assert "say who makes it" in run("bash", make, bundle, tmp_path, code=1, DEBFULLNAME="A", DEBEMAIL="nowhere")
    about = bundle / "bundle.json"
    about.write_text(about.read_text().replace("aarch64", "vax"))
    assert "vax" in run("bash", make, bundle, tmp_path, code=1, **MAKER)
    (bundle / "SHA256SUMS").unlink()
    assert "no finished bundle" in run("bash", make, bundle, tmp_path, code=1, **MAKER)
    assert not list(tmp_path.glob("*.deb"))


def test_uv_is_pinned_and_the_service_starts_where_it_is_installed() -> None:
    script = (DEPLOY / "install.sh").read_text()
    assert len(re.findall(r"^uv_(?:x86_64|aarch64)=[0-9a-f]{64}$", script, re.MULTILINE)) == 2
    place = re.search(r"^place=(\S+)", script, re.MULTILINE)
    assert place is not None
    assert f"ExecStart={place[1]}/bin/hub " in (DEPLOY / "hub.service").read_text()
