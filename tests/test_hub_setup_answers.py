"""The wizard without anybody there: a file of answers, what is refused in it, its parts, and what is written of it."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Protocol

import pytest

from devices.link import LinkSettings
from devices.simulator import Home
from hub.pin import fits
from hub.settings import load
from hub.setup import asking, mosquitto
from hub.setup.finding import Announced, brokers
from hub.setup.machine import fastest
from hub.setup.wizard import STEPS

ROOT = Path(__file__).parents[1]
WITHIN = 60  # seconds


class Running(Protocol):
    host: str
    port: int


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A settings file with a comment of its owner's in it."""
    file = tmp_path / "hub.toml"
    file.write_text(f'# my home\nstate_folder = "{tmp_path / "state"}"\n')
    return file


def know(config: Path, broker: Running, **more: str) -> None:
    """The settings name this broker already."""
    keys = "".join(f"{key} = {json.dumps(value)}\n" for key, value in more.items())
    text = f'{config.read_text()}[broker]\nhost = "{broker.host}"\nport = {broker.port}\n{keys}'
    config.write_text(text)


def test_no_answer_is_no_step(config: Path) -> None:
    ended = unattended(config, "")
    assert ended.returncode == 0
    assert "No step was taken" in ended.stdout


# -- unattended


def unattended(config: Path, answers: str, *options: str) -> subprocess.CompletedProcess[str]:
    file = config.with_name("answers.toml")
    file.write_text(answers)
    command = [sys.executable, "-m", "hub", "setup", "--answers", str(file), "--config", str(config), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=WITHIN, stdin=subprocess.DEVNULL)
    assert "Traceback" not in done.stderr
    return done


async def test_a_file_of_answers_does_the_same_and_tells_it_as_json(broker: Running, config: Path) -> None:
    answers = f"""
        [board]
        measure = false
        [broker]
        where = "typed"
        host = "{broker.host}"
        port = {broker.port}
        [models]
        hearing = false
        voice = false
        [devices]
        test = "bathroom light"
        rooms = {{ Fan = "Study" }}
        names = {{ "Office printer" = "Ink" }}
        [sensitive]
        allowed = {{ "Garage door" = false }}
        also = {{ Ink = true }}
        pin_file = "{config.with_name("pin")}"
        [service]
        [command]
        say = "turn on the bathroom light"
    """
    config.with_name("pin").write_text("4071\n")
    async with Home(LinkSettings(broker.host, broker.port)) as home:
        home.change("bathroom_light", state="OFF")
        known = (await asyncio.to_thread(unattended, config, answers, "--json")).stdout
        assert home.state("bathroom_light")["state"] == "ON"
    report = json.loads(known)
    assert report["well"] is True
    outcomes = {step["step"]: step["outcome"] for step in report["steps"]}
    assert set(outcomes) == {"board", "broker", "models", "devices", "sensitive", "service", "command"}
    assert outcomes["command"] == "done"
    assert "Bathroom light is on" in report["steps"][-1]["note"]
    changed = load(config).house.devices.values()
    assert {(d.area, d.name, d.hidden, d.sensitive) for d in changed} == {
        ("Study", None, False, None),
        (None, "Ink", False, True),
        (None, None, True, None),
    }
    assert fits("4071", load(config).safety.pin)
    assert "4071" not in known + config.read_text()


async def test_what_fails_ends_it_and_is_told(broker: Running, config: Path) -> None:
    know(config, broker)
    password = config.with_name("secret")
    password.write_text("p\n")
    for answers, step, told in (
        ('[broker]\nwhere = "typed"\nhost = "127.0.0.1"\nport = 1', "broker", "nothing answers"),
        ("[broker]\nport = 70000", "broker", "no whole number"),
        ('[broker]\nwhere = "moon"', "broker", "is none of"),
        ('[broker]\nusername = "x"\npassword_file = "/nowhere"', "broker", "cannot be read"),
        ("[broker]\ntls = 1", "broker", "true or false"),
        ('[board]\nthreads = "lots"', "board", "no whole number"),
        ('[devices]\ntest = "the moon"\nlook_again = false', "devices", "No device is called"),
        ('[sensitive]\npin = "12"', "sensitive", "a PIN has 4 to 12 digits"),
        ("[sensitive]\nalso = { moon = true }", "sensitive", "no device has this name"),
        ('[devices]\nrooms = { moon = "Attic" }', "devices", "no device has this name"),
        ('[command]\nsay = "turn on the moon"', "command", "not done"),
    ):
        async with Home(LinkSettings(broker.host, broker.port)):
            before = config.read_text()
            later = "" if step == "command" else '\n[command]\nsay = "x"'
            done = await asyncio.to_thread(unattended, config, answers + later, "--json")
        assert done.returncode == 1, done.stdout + done.stderr
        lines = {line["step"]: line for line in json.loads(done.stdout)["steps"]}
        assert lines[step]["outcome"] == "failed"
        assert told in lines[step]["note"]
        assert lines["command"]["outcome"] == ("failed" if step == "command" else "open")
        assert config.read_text() == before


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ("[kitchen]", "there is no step [kitchen]"),
        ("board = 1", "there is no step [board]"),
        ("[broker]\nhots = 'x'", "has no question 'hots'"),
        ("[broker", "not TOML"),
    ],
)
def test_answers_that_cannot_be_used_change_nothing(config: Path, answers: str, told: str) -> None:
    before = config.read_text()
    done = unattended(config, answers)
    assert done.returncode == 2
    assert told in done.stderr
    assert config.read_text() == before


# -- parts


def test_a_thread_more_has_to_be_worth_it() -> None:
    assert fastest({1: 10.0}) == 1
    assert fastest({1: 10.0, 2: 9.0, 3: 8.8}) == 1
    assert fastest({1: 10.0, 2: 6.0, 3: 5.9}) == 2
    assert fastest({1: 10.0, 2: 12.0, 3: 5.0}) == 3


def test_a_broker_that_announces_itself_is_found() -> None:
    zeroconf = pytest.importorskip("zeroconf")
    kind = "_secure-mqtt._tcp.local."
    told = zeroconf.ServiceInfo(
        kind, f"the cellar.{kind}", addresses=[socket.inet_aton("127.0.0.1")], port=8883, server="cellar.local."
    )
    with zeroconf.Zeroconf(interfaces=["127.0.0.1"]) as network:
        network.register_service(told, allow_name_change=False)
        found = brokers(5.0, ("127.0.0.1",))
    assert found == (Announced("the cellar", "cellar.local", 8883, True),)


def test_a_broker_that_somebody_else_set_up_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "etc" / "mosquitto"
    (folder / "conf.d").mkdir(parents=True)
    (folder / "mosquitto.conf").write_text("persistence true\n# listener 1883\ninclude_dir /etc/mosquitto/conf.d\n")
    (folder / "conf.d" / "hub.conf").write_text("listener 8883\n")
    assert mosquitto.others(tmp_path) == []
    (folder / "conf.d" / "mine.conf").write_text("max_queued_messages 10\n listener 1883\n")
    assert mosquitto.others(tmp_path) == [folder / "conf.d" / "mine.conf"]
    (folder / "mosquitto.conf").write_text("allow_anonymous true\n")
    assert len(mosquitto.others(tmp_path)) == 2


# -- what is written of it


DOCS = ROOT / "docs"


def test_the_file_of_answers_in_the_guide_can_be_used(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", (DOCS / "first-evening.md").read_text(), re.DOTALL)
    (tmp_path / "answers.toml").write_text(example)
    tables = asking.answers(tmp_path / "answers.toml", {step.name: step.questions for step in STEPS})
    assert list(tables) == [step.name for step in STEPS]


def test_the_guide_tells_of_every_step_and_nothing_else() -> None:
    steps = re.findall(r"^\| `(\w+)` \|", (DOCS / "first-evening.md").read_text(), re.MULTILINE)
    assert steps == [step.name for step in STEPS]


def test_what_trouble_shows_is_what_the_hub_says() -> None:
    said = "".join(
        re.sub(r"\{[^{}\n]*\}", "{}", f.read_text())
        for p in ("hub", "devices", "models")
        for f in (ROOT / p).rglob("*.py")
    )
    quoted = re.findall(
        r'"([^"]+)"', "".join(re.findall(r"^(?:\|[^|]*\||F.*$|.*digest.*$)", page("troubleshooting"), re.MULTILINE))
    )
    assert len(quoted) > 30
    assert [words for words in quoted if words != "hub" and words not in said] == []


def page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text()
