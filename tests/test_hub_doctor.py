"""Every fault that `hub doctor` knows, planted once and named by it; and a report that tells nothing to strangers."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import pytest

from devices import link
from devices.conventions import Message
from devices.link import Link, LinkSettings
from devices.simulator import Fault, Home
from hub import HubError, doctor, installed
from hub.doctor import Place, as_json, bundle, examine, is_well, verdict, write
from hub.finding import Finding, Level, wrong
from hub.pin import hashed
from models.files import PINS, default_model

ROOT = Path(__file__).parents[1]


class Running(Protocol):
    host: str
    port: int

    async def stop(self) -> None: ...


StartBroker = Callable[[str], Awaitable[Running]]


@dataclass(frozen=True)
class Found:
    """What the doctor said, by what it is about."""

    findings: tuple[Finding, ...]

    def __getitem__(self, about: str) -> Finding:
        """The worst of them."""
        order = (Level.WRONG, Level.SKIPPED, Level.NOTE, Level.FINE)
        return min((f for f in self.findings if f.about == about), key=lambda f: order.index(f.level))

    def wrong(self) -> list[str]:
        return [f.about for f in self.findings if f.level is Level.WRONG]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The files of a healthy Raspberry Pi."""
    folder = tmp_path / "root"
    for path, text in {
        "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
        "proc/cpuinfo": "".join(f"processor\t: {n}\nFeatures\t: asimd asimddp\n" for n in range(4)),
        "proc/meminfo": "MemTotal: 8000000 kB\nMemAvailable: 6000000 kB\n",
        "sys/class/thermal/thermal_zone0/type": "cpu-thermal",
        "sys/class/thermal/thermal_zone0/temp": "50000",
        "sys/devices/platform/soc/soc:firmware/get_throttled": "0",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


@pytest.fixture
def place(tmp_path: Path, root: Path) -> Place:
    """A settings file that names a broker which is not there."""
    return settle(Place(tmp_path / "hub.toml", root), host="127.0.0.1", port=1)


def settle(place: Place, head: str = "", **broker: object) -> Place:
    """Writes the settings file: lines for its head, and the keys of [broker]."""
    assert place.config is not None
    keys = "\n".join(f"{key} = {json.dumps(value)}" for key, value in broker.items())
    place.config.write_text(f'state_folder = "{place.config.parent / "state"}"\n{head}\n[broker]\n{keys}\n')
    place.config.chmod(0o600)
    return place


async def look(place: Place) -> Found:
    return Found(tuple([finding async for finding in examine(place)]))


async def only(finding: Finding | None) -> Finding:
    """What came of one step."""
    assert finding is not None
    return finding


# -- the machine and the settings


@pytest.mark.parametrize(
    ("path", "text", "about", "what"),
    [
        ("proc/meminfo", "MemTotal: 500000 kB\nMemAvailable: 50000 kB\n", "memory", "only 51 MB are free"),
        ("sys/class/thermal/thermal_zone0/temp", "86000", "board", "86 degrees"),
        ("sys/devices/platform/soc/soc:firmware/get_throttled", "50005", "board", "voltage is too low"),
        ("sys/devices/platform/soc/soc:firmware/get_throttled", "4", "board", "slowed down"),
    ],
)
async def test_a_sick_machine_is_named(place: Place, root: Path, path: str, text: str, about: str, what: str) -> None:
    healthy = [f async for f in doctor.examine(place)]
    assert not [f for f in healthy if f.about in ("board", "memory", "heat", "clock") and f.level is not Level.FINE]
    (root / path).write_text(text)
    finding = (await look(place))[about]
    assert finding.level is Level.WRONG
    assert what in finding.what
    assert finding.mend


async def test_what_was_wrong_before_is_a_note(place: Place, root: Path) -> None:
    (root / "sys/devices/platform/soc/soc:firmware/get_throttled").write_text("10000")
    finding = (await look(place))["board"]
    assert finding.level is Level.NOTE
    assert "since the last start" in finding.what


async def test_a_clock_of_a_board_without_one_is_named(place: Place) -> None:
    finding = (await look(replace(place, clock=lambda: 86400.0)))["clock"]
    assert finding.level is Level.WRONG
    assert "1970" in finding.what
    assert finding.mend == "sudo timedatectl set-ntp true"


@pytest.mark.parametrize(
    ("text", "what"),
    [("[broker\n", "not TOML"), ("[broker]\nprot = 1\n", "broker.prot: there is no such setting"), ("id = 3\n", "id")],
)
async def test_wrong_settings_are_named_and_nothing_else_is_looked_at(place: Place, text: str, what: str) -> None:
    assert place.config is not None
    place.config.write_text(text)
    found = await look(place)
    assert found.wrong() == ["settings"]
    assert what in found["settings"].what
    assert str(place.config) in found["settings"].mend
    assert found["broker"].level is Level.SKIPPED


async def test_a_settings_file_that_is_not_there_is_named(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = place.root / "none.toml"
    assert "no such settings file" in (await look(replace(place, config=missing)))["settings"].what
    monkeypatch.setenv("HUB_CONFIG", str(missing))
    assert str(missing) in (await look(replace(place, config=None)))["settings"].mend
    monkeypatch.delenv("HUB_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(place.root))
    if not doctor.files.SYSTEM_FILE.is_file():
        assert (await look(replace(place, config=None)))["settings"].level is Level.NOTE


async def test_a_password_that_others_can_read_is_named(place: Place) -> None:
    assert place.config is not None
    settle(place, host="127.0.0.1", port=1, username="u", password="secret")
    assert (await look(place))["settings"].level is Level.FINE
    place.config.chmod(0o644)
    finding = (await look(place))["settings"]
    assert (finding.level, finding.mend) == (Level.WRONG, f"sudo chmod 600 {place.config}")


async def test_a_pin_that_others_can_read_is_named(place: Place) -> None:
    assert place.config is not None
    settle(place, f'[safety]\npin = "{hashed("4071")}"\n', host="127.0.0.1", port=1)
    place.config.chmod(0o644)
    finding = (await look(place))["settings"]
    assert (finding.level, finding.mend) == (Level.WRONG, f"sudo chmod 600 {place.config}")
    assert "holds a PIN" in finding.what


async def test_settings_of_another_form_are_named(place: Place) -> None:
    assert place.config is not None
    settle(place, "[safety]\nsure = 0.3\n", host="127.0.0.1", port=1)
    finding = (await look(place))["settings"]
    assert (finding.level, finding.mend) == (Level.NOTE, "sudo hub settings migrate")
    place.config.write_text("version = 1000\n")
    finding = (await look(place))["settings"]
    assert finding.level is Level.WRONG
    assert "bring the hub up to date" in finding.what


async def test_a_key_that_others_can_read_is_named(place: Place, tmp_path: Path) -> None:
    key = tmp_path / "hub.key"
    key.write_text("")
    key.chmod(0o644)
    files = {"ca_file": str(key), "cert_file": str(key), "key_file": str(key)}
    found = await look(settle(place, host="127.0.0.1", port=1, tls=True, **files))
    assert found["settings"].mend == f"sudo chmod 600 {key}"


async def test_a_state_folder_that_cannot_be_is_named(place: Place, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    finding = (await look(place))["state"]
    assert finding.level is Level.WRONG
    assert "is a file" in finding.what


async def test_a_state_that_the_service_cannot_reach_is_named(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    assert place.config is not None
    monkeypatch.setattr(doctor.files, "SYSTEM_FILE", place.config)
    assert (await look(place))["state"].level is Level.FINE
    monkeypatch.setenv("HOME", str(place.config.parent))
    finding = (await look(place))["state"]
    assert finding.level is Level.WRONG
    assert 'state_folder = "/var/lib/hub"' in finding.mend


@pytest.mark.skipif(os.geteuid() == 0, reason="the system's manager may write everywhere")
async def test_a_state_folder_of_somebody_else_is_named(place: Place, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o500)
    finding = (await look(place))["state"]
    assert "cannot be written" in finding.what
    assert "chown" in finding.mend


async def test_a_full_disk_is_named(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "FREE_DISK", 10**18)
    finding = (await look(place))["state"]
    assert finding.level is Level.WRONG
    assert "free on the disk" in finding.what


# -- the model


def with_model(place: Place, file: Path) -> Place:
    assert place.config is not None
    place.config.write_text(f"{place.config.read_text()}\n[model]\nfile = {json.dumps(str(file))}\n")
    return place


async def test_the_model_that_ships_is_as_its_card_says_and_reads(place: Place) -> None:
    found = await look(place)
    assert (found["model"].level, found["sentence"].level) == (Level.FINE, Level.FINE)
    assert "as its card says" in found["model"].what


async def test_a_damaged_model_is_named(place: Place, tmp_path: Path) -> None:
    model, card = tmp_path / "mine.gguf", tmp_path / "mine.json"
    damaged = bytearray(default_model().read_bytes())
    damaged[-1000] ^= 1
    model.write_bytes(damaged)
    shutil.copy(default_model().with_suffix(".json"), card)
    found = await look(with_model(place, model))
    assert (found["model"].level, found["sentence"].level) == (Level.WRONG, Level.SKIPPED)
    assert "is not the file that mine.json describes" in found["model"].what
    assert found["model"].mend == "hub model use home"


async def test_a_model_that_is_not_there_is_named(place: Place, tmp_path: Path) -> None:
    finding = (await look(with_model(place, tmp_path / "none.gguf")))["model"]
    assert finding.level is Level.WRONG
    assert "no such model file" in finding.what


async def test_a_fetched_model_that_is_damaged_is_named(place: Place, tmp_path: Path) -> None:
    (pin,) = PINS["tinyllama-chat"]
    model = tmp_path / "state" / "models" / "tinyllama-chat" / pin.name
    model.parent.mkdir(parents=True)
    model.write_bytes(b"GGUF")
    finding = (await look(with_model(place, model)))["model"]
    assert (finding.level, finding.mend) == (Level.WRONG, "hub model fetch tinyllama-chat")
    assert "is damaged: its SHA-256 is another than that of tinyllama-chat" in finding.what


@pytest.mark.parametrize(("kept", "what"), [(1_000_000, "does not read"), (None, "with certainty")])
async def test_a_model_that_cannot_read_is_named(place: Place, tmp_path: Path, kept: int | None, what: str) -> None:
    whole = default_model().read_bytes()
    model = tmp_path / "mine.gguf"
    model.write_bytes(whole[:kept] if kept else whole[:-1_500_000] + bytes(1_500_000))
    found = await look(with_model(place, model))
    assert found["model"].level is Level.NOTE  # nothing is known of it
    assert found["sentence"].level is Level.WRONG
    assert what in found["sentence"].what


async def test_threads_on_every_core_are_a_note(place: Place) -> None:
    assert place.config is not None
    text = place.config.read_text()
    place.config.write_text(f"{text}\n[model]\nthreads = 3\n[voice]\nthreads = 3\n")
    assert not [f for f in (await look(place)).findings if f.about == "threads"]
    place.config.write_text(f"{text}\n[model]\nthreads = 4\n")
    finding = (await look(place))["threads"]
    assert finding.level is Level.NOTE
    assert finding.mend.startswith("threads = 3 under [model]")


def with_hearing(place: Place, folder: Path | str) -> Place:
    assert place.config is not None
    place.config.write_text(f"{place.config.read_text()}\n[voice]\nhearing = {json.dumps(str(folder))}\n")
    return place


async def test_speech_that_is_not_set_up_is_a_note(place: Place, tmp_path: Path) -> None:
    pytest.importorskip("faster_whisper", reason="the extra `voice` is not installed")
    finding = (await look(place))["hearing"]
    assert (finding.level, finding.mend) == (Level.NOTE, "hub model fetch whisper-tiny.en")
    finding = (await look(with_hearing(place, tmp_path / "none")))["hearing"]
    assert (finding.level, finding.mend) == (Level.NOTE, "name its folder under [voice] hearing")


async def test_a_model_of_speech_opens_or_is_named(place: Place, tmp_path: Path) -> None:
    pytest.importorskip("faster_whisper", reason="the extra `voice` is not installed")
    ears = importlib.import_module("hub.ears")
    ears.write(tmp_path / "ears", "turn on the light")
    with_hearing(place, tmp_path / "ears")
    assert (await look(place))["hearing"].level is Level.FINE
    (tmp_path / "ears" / "model.bin").write_bytes(b"damaged")
    finding = (await look(place))["hearing"]
    assert finding.level is Level.WRONG
    assert "damaged" in finding.what


async def test_a_fetched_model_of_speech_that_is_damaged_is_named(place: Place, tmp_path: Path) -> None:
    pytest.importorskip("faster_whisper", reason="the extra `voice` is not installed")
    folder = tmp_path / "state" / "models" / "whisper-tiny.en"
    folder.mkdir(parents=True)
    for pin in PINS["whisper-tiny.en"]:
        (folder / pin.name).write_bytes(b"{}")
    finding = (await look(place))["hearing"]
    assert (finding.level, finding.mend) == (Level.WRONG, "hub model fetch whisper-tiny.en")
    assert "is damaged: its SHA-256 is another than that of whisper-tiny.en" in finding.what


# -- the broker


async def broken(place: Place, what: str, mend: str) -> None:
    found = await look(place)
    assert found["broker"].level is Level.WRONG
    assert what in found["broker"].what
    assert mend in found["broker"].mend
    assert found["devices"].level is Level.SKIPPED


async def test_a_name_that_nobody_has_is_named(place: Place) -> None:
    await broken(settle(place, host="no such host"), "no computer is called", "correct host")


async def test_a_port_at_which_nobody_is_is_named(place: Place) -> None:
    await broken(place, "nothing answers at 127.0.0.1:1 (Connection refused)", "mosquitto")
    await broken(settle(place, host="::1", port=1), "nothing answers", "mosquitto")


async def test_a_machine_that_does_not_answer_is_named(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "WITHIN", 0.3)
    with socket.socket() as deaf, socket.socket() as first, socket.socket() as second:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for waiting in (first, second):  # its queue is full: it does not even refuse
            waiting.setblocking(False)
            waiting.connect_ex(deaf.getsockname())
        await broken(settle(place, host="127.0.0.1", port=deaf.getsockname()[1]), "does not answer", "ping")


async def test_a_server_of_something_else_is_named(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "CONNECTS_WITHIN", 0.2)
    monkeypatch.setattr(link, "FIRST_PROTOCOL_WITHIN", 0.2)

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        await broken(settle(place, host="127.0.0.1", port=port), "", "correct host, port and tls")


def passwords(folder: Path) -> str:
    """A mosquitto that knows the user hub."""
    file = folder / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", file, "hub", "right"], check=True, capture_output=True)
    return f"password_file {file}\nallow_anonymous false"


needs_passwords = pytest.mark.skipif(shutil.which("mosquitto_passwd") is None, reason="there is no mosquitto_passwd")


@needs_passwords
async def test_a_login_that_is_refused_is_named(place: Place, start_broker: StartBroker, tmp_path: Path) -> None:
    broker = await start_broker(passwords(tmp_path))
    address = {"host": broker.host, "port": broker.port}
    await broken(settle(place, **address), "a client without a user name", "set username and password")
    login = {"username": "hub", "password": "wrong"}
    await broken(settle(place, **address, **login), "the user 'hub'", "sudo mosquitto_passwd")
    found = await look(settle(place, **address, username="hub", password="right"))
    assert (found["broker"].level, found["rights"].level) == (Level.FINE, Level.FINE)
    assert "user hub" in found["broker"].what


@needs_passwords
async def test_missing_rights_are_named(
    place: Place, start_broker: StartBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "ECHO_WITHIN", 0.5)
    for rule in ("topic read #", "topic write hub/#"):
        (tmp_path / "acl").write_text(f"user hub\n{rule}\n")
        broker = await start_broker(f"{passwords(tmp_path)}\nacl_file {tmp_path / 'acl'}")
        address = {"host": broker.host, "port": broker.port}
        finding = (await look(settle(place, **address, username="hub", password="right")))["rights"]
        assert finding.level is Level.WRONG
        assert finding.mend == "in the broker's ACL file, under `user hub`: topic readwrite hub/home/#"


async def test_a_refused_subscription_is_named() -> None:
    with doctor._listened_to() as refused:
        logging.getLogger("devices.link").warning("the broker does not let us listen to x (135)")
        logging.getLogger("devices.link").warning("something else")
    assert refused == ["the broker does not let us listen to x (135)"]


# -- TLS


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def certificates(folder: Path, start: str = "20200101000000Z", end: str = "20990101000000Z", name: str = "") -> str:
    """A CA, and a certificate by it for 127.0.0.1 or `name`, with these dates; mosquitto's lines for them."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout")
    openssl(folder, "req", "-x509", *key, "ca.key", "-out", "ca.pem", "-subj", "/CN=our CA", "-days", "30")
    openssl(folder, "req", *key, "broker.key", "-out", "broker.csr", "-subj", "/CN=broker")
    (folder / "index").write_text("")
    (folder / "names").write_text(f"subjectAltName={name or 'IP:127.0.0.1'}")
    (folder / "ca.conf").write_text(
        "[ca]\ndefault_ca=a\n[a]\ndatabase=index\nnew_certs_dir=.\ndefault_md=sha256\nrand_serial=yes\npolicy=p\n"
        "email_in_dn=no\nunique_subject=no\n[p]\ncommonName=supplied\n"
    )
    dates = ("-startdate", start, "-enddate", end)
    sign = ("-in", "broker.csr", "-out", "broker.pem", "-cert", "ca.pem", "-keyfile", "ca.key", "-extfile", "names")
    openssl(folder, "ca", "-batch", "-notext", "-config", "ca.conf", *dates, *sign)
    return f"allow_anonymous true\ncertfile {folder}/broker.pem\nkeyfile {folder}/broker.key"


def day(days: float) -> str:
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + days * 86400))


needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl")


@needs_openssl
@pytest.mark.parametrize(
    ("dates", "what", "mend"),
    [
        ({"end": day(-1)}, "has run out", "certificates.sh"),
        ({"start": day(2)}, "not valid yet", "timedatectl"),
        ({"name": "IP:127.0.0.2"}, "for another address", "host is 127.0.0.1"),
    ],
)
async def test_a_wrong_certificate_is_named(
    place: Place, start_broker: StartBroker, tmp_path: Path, dates: dict[str, str], what: str, mend: str
) -> None:
    broker = await start_broker(certificates(tmp_path, **dates))
    ca = str(tmp_path / "ca.pem")
    await broken(settle(place, host=broker.host, port=broker.port, tls=True, ca_file=ca), what, mend)


@needs_openssl
async def test_tls_that_does_not_come_to_be_is_named(place: Place, start_broker: StartBroker, tmp_path: Path) -> None:
    broker, plain = await start_broker(certificates(tmp_path)), await start_broker("allow_anonymous true")
    address, ca = {"host": broker.host, "port": broker.port, "tls": True}, str(tmp_path / "ca.pem")
    found = await look(settle(place, **address, ca_file=ca))
    assert found["broker"].what.endswith("TLS, no user name")
    assert found["rights"].level is Level.FINE
    await broken(settle(place, **address), "not signed by a CA of this system", "set ca_file")
    (tmp_path / "other").mkdir()
    certificates(tmp_path / "other")
    await broken(settle(place, **address, ca_file=str(tmp_path / "other/ca.pem")), "not signed by", "set ca_file")
    await broken(settle(place, **address, ca_file=str(tmp_path / "none.pem")), "cannot be used", "correct them")
    await broken(settle(place, **address, ca_file=str(tmp_path / "names")), "cannot be used", "correct them")
    await broken(settle(place, host=plain.host, port=plain.port, tls=True, ca_file=ca), "speaks no TLS", "tls = false")


@needs_openssl
async def test_a_name_that_is_not_in_the_certificate_is_named(
    place: Place, start_broker: StartBroker, tmp_path: Path
) -> None:
    broker = await start_broker(certificates(tmp_path))
    ca = str(tmp_path / "ca.pem")
    await broken(settle(place, host="localhost", port=broker.port, tls=True, ca_file=ca), "another name", "localhost")


@needs_openssl
async def test_a_certificate_that_ends_soon_is_a_note(place: Place, start_broker: StartBroker, tmp_path: Path) -> None:
    broker = await start_broker(certificates(tmp_path, end=day(5.5)))
    ca = str(tmp_path / "ca.pem")
    found = await look(settle(place, host=broker.host, port=broker.port, tls=True, ca_file=ca))
    assert found["broker"].level is Level.NOTE
    assert "ends in 5 days" in found["broker"].what or "ends in 6 days" in found["broker"].what


# -- the devices


async def test_a_whole_home_is_well(place: Place, broker: Running) -> None:
    settle(place, host=broker.host, port=broker.port)
    async with Home(LinkSettings(broker.host, broker.port)) as home:
        found = await look(place)
        assert found.wrong() == []
        assert int(found["devices"].what.split(",")[0]) > 20
        assert not found["devices"].what.endswith(" 0 just now")
        assert found["hub"].level is Level.NOTE
        home.fault("office_printer", Fault.UNAVAILABLE)
        async with Link(LinkSettings(broker.host, broker.port), must_connect=True) as line:
            await line.publish(Message("hub/home/status", b"online", retain=True, qos=1))
        found = await look(place)
        assert found["devices"].what == "1 cannot be reached"
        assert found["hub"].level is Level.FINE


async def announced(broker: Running, *messages: tuple[str, str]) -> None:
    async with Link(LinkSettings(broker.host, broker.port), must_connect=True) as line:
        for topic, payload in messages:
            await line.publish(Message(topic, payload.encode(), retain=True, qos=1))


async def test_a_home_that_does_not_answer_is_named(place: Place, broker: Running) -> None:
    settle(place, host=broker.host, port=broker.port)
    finding = (await look(place))["devices"]
    assert finding.level is Level.WRONG
    assert "No device has announced itself" in finding.what
    assert "topic read homeassistant/#" in finding.mend
    config = {"name": "L", "command_topic": "l/set", "state_topic": "l", "availability_topic": "l/there"}
    await announced(broker, ("homeassistant/light/l/config", json.dumps(config)))
    assert "says its state" in (await look(place))["devices"].what
    await announced(broker, ("l/there", "offline"))
    assert "none of 1 can be reached" in (await look(place))["devices"].what


async def test_a_password_in_the_open_is_a_note(place: Place) -> None:
    broker = LinkSettings("192.0.2.1", username="u", password="p")
    finding = await only(await doctor._secured(broker, "f"))
    assert (finding.level, finding.what) == (Level.NOTE, "the password crosses the network unprotected")
    assert await doctor._secured(replace(broker, host="127.0.0.1"), "f") is None


# -- what is installed


def test_versions_that_do_not_fit_are_named() -> None:
    assert installed.lacking("typer>=0.1") is None
    assert installed.lacking("no-such-thing>=1") == ("no-such-thing is missing", "no-such-thing>=1")
    told = installed.lacking("typer<0.1,>=0.0; python_version > '3'")
    assert told is not None
    assert "and the hub needs <0.1,>=0.0" in told[0]
    assert not [f for f in installed.findings() if f.level is not Level.FINE]


@pytest.mark.parametrize(
    ("version", "wanted", "fits"),
    [
        ("2.5.1", ">=2.5", True), ("2.5", "==2.5.0", True), ("2.10", "<2.9", False), ("0.3.36", "==0.3.36", True),
        ("3.0", "<3", False), ("3.0rc1", "<=3", True), ("2", ">1.9", True), ("2", "!=2", False), ("1", "@ file", True),
    ],
)  # fmt: skip
def test_versions_are_compared(version: str, wanted: str, fits: bool) -> None:
    assert installed.met(version, wanted) is fits


async def hub(*arguments: str, **variables: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hub", "doctor", *arguments), cwd=ROOT, env={**os.environ, **variables},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 90)
    assert b"Traceback" not in out + err
    return process.returncode or 0, out.decode(), err.decode()


@pytest.mark.parametrize("name", installed.OURS)
async def test_another_package_in_the_way_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("")
    start = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.argv = ['hub', 'doctor', '--json']"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", f"{start}; from hub.cli import main; main()"), cwd=ROOT,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, err) == (1, b"")
    (finding,) = json.loads(out)["findings"]
    assert finding["what"] == f"another package named {name!r} is in the way: {tmp_path / name}"
    assert "PYTHONPATH" in finding["mend"]


# -- the command and the report


async def test_the_command_says_it_all_and_ends_with_1(place: Place) -> None:
    code, out, err = await hub("--config", str(place.config))
    assert (code, err) == (1, "")
    assert "WRONG    broker     nothing answers at 127.0.0.1:1" in out
    assert "-> " in out
    assert out.endswith("1 thing is wrong.\n")
    code, out, _ = await hub("--config", str(place.config), "--json")
    told = json.loads(out)
    assert (code, told["well"]) == (1, False)
    assert {f["about"] for f in told["findings"]} >= {"packages", "versions", "board", "settings", "model", "broker"}


async def test_the_report_holds_no_secret_no_name_and_no_word(place: Place, tmp_path: Path, broker: Running) -> None:
    words = ("s3cret-w0rd", "Grandma's lamp", "Cellar", "unlock the cellar", "insulin", "myuser")
    pin = hashed("4071")
    head = f'room = "{words[2]}"\n[safety]\npin = "{pin}"\n[house]\nareas = ["{words[2]}"]\n[house.devices.x]\nname = "{words[1]}"\n'
    settle(place, head, host=broker.host, port=broker.port, username=words[5], password=words[0])
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "plans.json").write_text(json.dumps({"delayed": [words[3]], "lists": {"x": [words[4]]}}))
    config = {"name": words[1], "command_topic": "l/set", "state_topic": "l", "suggested_area": words[2]}
    await announced(broker, ("homeassistant/light/l/config", json.dumps(config)), ("l", "ON"))
    file = tmp_path / "report.json"
    code, out, _ = await hub("--config", str(place.config), "--bundle", str(file))
    assert (code, "All is well." in out) == (0, True)
    text = file.read_text()
    report = json.loads(text)
    assert report["well"]
    assert report["settings"]["house"] == {"areas": 1, "floors": 0, "devices": 1}
    assert report["board"]["cores"] >= 1
    assert "aiomqtt" in report["packages"]
    assert [word for word in (*words[:5], pin, pin[-20:]) if word in text] == []
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "line",
    [
        'pin = "s3cret"',
        'password = "s3cret"',
        "password = 's3cret",
        '"password"="s3cret" # mine',
        'passwort = "s3cret"',
    ],
)
async def test_a_file_that_cannot_be_read_gives_away_nothing(place: Place, line: str) -> None:
    assert place.config is not None
    place.config.write_text(f"[broker]\n{line}\nprot = 1\n")
    leak = wrong("settings", "line 2: s3cret is no password", "")
    assert "s3cret" not in bundle(place, (*(await look(place)).findings, leak))


def test_a_report_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(HubError, match="cannot be written"):
        write(tmp_path / "none" / "report.json", "")


def test_what_is_found_is_said_in_words() -> None:
    one = wrong("broker", "it is off", "turn it on")
    assert one.in_words().split() == ["WRONG", "broker", "it", "is", "off", "->", "turn", "it", "on"]
    assert (verdict([]), verdict([one, one])) == ("All is well.", "2 things are wrong.")
    assert is_well([])
    assert not is_well([one])
    assert json.loads(as_json([one])) == {"well": False, "findings": [one.as_dict()]}
