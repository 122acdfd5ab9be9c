"""The wizard as a person meets it: at a real terminal, key by key, with a real broker and a home in software behind it."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import shlex
import shutil
import socket
import subprocess
import sys
import termios
import tomllib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from ctypes.util import find_library
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest

from devices.link import LinkSettings
from devices.simulator import Home
from hub.settings import load
from hub.setup import asking, mosquitto
from hub.setup.finding import Announced, brokers
from hub.setup.machine import fastest
from hub.setup.wizard import STEPS

pexpect = pytest.importorskip("pexpect")
fdpexpect = pytest.importorskip("pexpect.fdpexpect")
if shutil.which("setsid") is None:
    pytest.skip("there is no setsid: apt-get install util-linux", allow_module_level=True)

ROOT = Path(__file__).parents[1]
WITHIN = 20  # seconds for what is waited for; each takes some tenths of one


class Running(Protocol):
    host: str
    port: int


StartBroker = Callable[[str], Awaitable[Running]]


class Terminal:
    """A wizard at a pseudo-terminal of its own, and somebody who reads and types there."""

    def __init__(self, config: Path, names: Sequence[str], before: Sequence[str], **variables: str) -> None:
        self._ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (40, 100))
        command = [*before, sys.executable, "-m", "hub", "setup", *names, "--config", str(config)]
        self._process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *command],
            stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT, env=os.environ | {"TERM": "vt100", **variables},
        )  # fmt: skip
        os.close(theirs)
        self._screen = fdpexpect.fdspawn(self._ours, timeout=WITHIN, encoding="utf-8")
        self.shown = ""

    def until(self, words: str) -> str:
        """What is shown up to these words, which have to come."""
        try:
            self._screen.expect_exact(words)
        except pexpect.ExceptionPexpect:
            pytest.fail(f"{words!r} does not come; since the last words came {self._screen.before!r}")
        text = f"{self._screen.before}{words}"
        self.shown += text
        return text

    def type(self, text: str) -> None:
        self._screen.send(f"{text}\n")

    def answer(self, answers: Mapping[str, str | list[str]], until: str) -> str:
        """Answers the questions that come, until these words; of several answers the next each time. What was shown."""
        left = {question: [said] if isinstance(said, str) else list(said) for question, said in answers.items()}
        began = len(self.shown)
        while True:
            questions = [question for question, said in left.items() if said]
            patterns = [re.escape(until), *(rf"{re.escape(q)}[^\r\n]*: $" for q in questions)]
            try:
                number = self._screen.expect(patterns)
            except pexpect.ExceptionPexpect:
                pytest.fail(f"none of {patterns} comes; there is {self._screen.before!r} behind {self.shown}")
            self.shown += f"{self._screen.before}{self._screen.after}"
            if number == 0:
                return self.shown[began:]
            self.type(left[questions[number - 1]].pop(0))

    def interrupt(self) -> None:
        """Ctrl-C, as the terminal makes it."""
        self._screen.send("\x03")

    def ended(self) -> int:
        """The exit status, once all that is shown has been read."""
        self._screen.expect(pexpect.EOF)
        self.shown += self._screen.before
        assert "Traceback" not in self.shown
        return self._process.wait(WITHIN)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._screen.close()


@contextmanager
def wizard(config: Path, *names: str, before: Sequence[str] = (), **variables: str) -> Iterator[Terminal]:
    terminal = Terminal(config, names, before, **variables)
    try:
        yield terminal
    finally:
        terminal.close()


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


def read(file: Path) -> dict[str, object]:
    return tomllib.loads(file.read_text())


# -- the whole way


EVERYTHING: dict[str, str | list[str]] = {
    "Measure how": "",
    "threads for it": ["many", "1"],
    "Which": ["typed", "", "", ""],  # broker; microphone, loudspeaker and wake word where there are any
    "User name": "",
    "(TLS)": "n",
    "Fetch whisper": "n",
    "Fetch piper": "n",
    "Listen for": "n",
    "Try it": "n",
    "In which room do they": "",
    "call differently": ["the moon", "office printer", ""],
    "is Office printer to be called": "Ink",
    "switch on and off": ["Front door", "Bathroom light"],
    "May Front door": "",
    "May Garage door": "n",
    "How sure": ["very", "70"],
    "Your command": ["", "turn on the bathroom light"],
    "Said in which room": ["", ""],
}


async def test_every_step_from_nothing_to_a_lamp_that_is_on(broker: Running, config: Path) -> None:
    def person() -> str:
        with wizard(config) as it:
            typed = {"name or address": broker.host, "Its port": str(broker.port)}
            it.answer({**EVERYTHING, **typed}, "takes one of these steps again")
            assert it.ended() == 0
            return it.shown

    async with Home(LinkSettings(broker.host, broker.port)) as home:
        home.change("bathroom_light", state="OFF")
        shown = await asyncio.to_thread(person)
        assert home.state("bathroom_light")["state"] == "ON"
    assert "no whole number" in shown
    assert "No device is called 'the moon'" in shown
    assert "Front door is no lamp" in shown
    assert re.search(r"Ceiling light is on|Bathroom light is on", shown)
    assert config.read_text().startswith("# my home\nstate_folder")
    settings = load(config)
    assert (settings.broker.host, settings.broker.port, settings.safety.sure_to_unlock) == (
        broker.host,
        broker.port,
        0.7,
    )
    assert {device.name for device in settings.house.devices.values()} == {"Ink", None}
    assert [device.hidden for device in settings.house.devices.values()].count(True) == 1
    assert not config.with_name("hub.toml.setup.json").exists()
    assert not (config.stat().st_mode & 0o077)


# -- back, skip, stop, Ctrl-C


def test_back_skip_and_stop_and_then_on_from_there(config: Path) -> None:
    with wizard(config) as it:
        it.until("The board (1 of 8")
        it.answer({"Measure how": "n", "threads for it": "back"}, "The board (1 of 8")  # this step from its start
        it.answer({"Measure how": "n", "threads for it": "1"}, "The broker (2 of 8")
        it.answer({"Which": "back"}, "The board (1 of 8")  # at its start: the step before
        it.answer({"Measure how": "SKIP", "threads for it": "skip", "Which": "skip"}, "The models (3 of 8")
        it.answer({"Fetch": "stop", "Which": "stop"}, "goes on from there")
        assert it.ended() == 130
    kept = json.loads(config.with_name("hub.toml.setup.json").read_text())
    assert kept["at"] == ("models" if "Fetch" in it.shown else "sound")
    with wizard(config) as it:
        it.answer({"Go on from there": ""}, "of 8")
        assert "== " in it.shown
        assert "The board" not in it.shown
        it.interrupt()
        assert it.ended() == 130
    with wizard(config) as it:
        it.answer({"Go on from there": "no"}, "The board (1 of 8")
        it.interrupt()
        it.until("Stopped")
        assert it.ended() == 130


def test_ctrl_c_while_something_is_done_keeps_what_was_done(config: Path) -> None:
    # What it connects to takes the connection and says nothing.
    with socket.create_server(("127.0.0.1", 0)) as mute, wizard(config, "board", "broker") as it:
        it.answer({"Measure how": "n", "threads for it": "1"}, "The broker (2 of 2")
        answers = {"Which": "typed", "name or address": "127.0.0.1", "Its port": str(mute.getsockname()[1])}
        it.answer({**answers, "(TLS)": "y", "File of the CA": "", "User name": ""}, "Trying")
        it.interrupt()
        it.until("hub setup board broker goes on from there")
        assert it.ended() == 130
    assert load(config).model.threads == 1
    assert "broker" not in read(config)


def test_the_end_of_the_input_is_a_stop(config: Path) -> None:
    with wizard(config, "broker") as it:
        it.answer({}, "Which [")
        it._screen.send("\x04")  # Ctrl-D
        it.until("Stopped")
        assert it.ended() == 130


def test_steps_that_are_not_there_and_no_terminal_are_told(config: Path, tmp_path: Path) -> None:
    with wizard(config, "kitchen") as it:
        it.until("there is no step 'kitchen'")
        assert it.ended() == 2
    ended = unattended(config, "")
    assert ended.returncode == 0
    assert "board" not in ended.stdout
    done = subprocess.run(
        [sys.executable, "-m", "hub", "setup"], stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 2
    assert "--answers FILE" in done.stderr


# -- the broker


async def test_a_wrong_password_is_told_and_never_shown(start_broker: StartBroker, config: Path) -> None:
    if shutil.which("mosquitto_passwd") is None:
        pytest.skip("there is no mosquitto_passwd")
    passwords = config.with_name("passwords")
    passwords.write_text("hub:right one\n")
    await asyncio.to_thread(subprocess.run, ["mosquitto_passwd", "-U", str(passwords)], check=True)
    broker = await start_broker(f"allow_anonymous false\npassword_file {passwords}")

    def person() -> str:
        with wizard(config, "broker") as it:
            typed = {"Which": "typed", "name or address": ["127.0.0.1", ""], "Its port": [str(broker.port), ""]}
            names = {"(TLS)": ["n", ""], "User name": ["hub", "hub"], "Password": ["wrong one", "right one"]}
            it.answer({**typed, **names, "Keep this": "n"}, "takes one of these steps again")
            assert it.ended() == 0
            return it.shown

    shown = await asyncio.to_thread(person)
    assert "refuses the user 'hub'" in shown
    assert "sudo mosquitto_passwd" in shown
    assert not re.search("wrong one|right one", shown)
    assert load(config).broker.password == "right one"
    assert config.stat().st_mode & 0o777 == 0o600
    assert not [f.name for f in config.parent.iterdir() if f != config and b"right one" in content(f)]


def content(file: Path) -> bytes:
    return file.read_bytes() if file.is_file() else b""


async def test_a_broker_that_is_not_there_may_be_kept_for_later(config: Path) -> None:
    def person() -> None:
        with wizard(config, "broker", "devices") as it:
            typed = {"Which": "typed", "name or address": "127.0.0.1", "Its port": "1", "(TLS)": "n"}
            it.answer({**typed, "User name": "", "Keep this": "y", "What now": ["", "leave"]}, "these steps again")
            assert it.ended() == 1
            assert "nothing answers at 127.0.0.1:1" in it.shown
            assert re.search(r"failed +devices", it.shown)

    await asyncio.to_thread(person)
    assert load(config).broker.port == 1


# -- sound


def need_alsa() -> None:
    for package in ("sounddevice", "soxr"):
        pytest.importorskip(package, reason="the extra `voice` is not installed")
    if find_library("portaudio") is None or not Path("/usr/share/alsa/alsa.conf").exists():
        pytest.skip("there is no PortAudio or ALSA: apt-get install libportaudio2")


def test_without_a_microphone_the_step_is_skipped_with_a_clear_word(config: Path) -> None:
    need_alsa()
    if Path("/dev/snd").exists():
        pytest.skip("this machine has a sound card")
    with wizard(config, "sound") as it:
        it.until("takes one of these steps again")
        assert it.ended() == 0
    assert re.search(r"no microphone.*is it plugged in", it.shown, re.DOTALL)
    assert "can be typed to" in " ".join(it.shown.split())
    assert re.search(r"skipped +sound", it.shown)
    assert "voice" not in read(config)


def test_a_microphone_is_heard_and_played_back(config: Path) -> None:
    need_alsa()
    pytest.importorskip("pymicro_wakeword", reason="the extra `voice` is not installed")
    folder = config.parent
    said, heard = folder / "said.raw", folder / "heard.raw"
    tone = 8000 * np.sin(np.arange(16_000 * 30) * 2 * np.pi * 440 / 16_000)
    said.write_bytes(tone.astype("<i2").tobytes())
    (folder / "asound.conf").write_text(
        "</usr/share/alsa/alsa.conf>\n"
        f'pcm.desk {{ type file slave.pcm null file "/dev/null" infile "{said}" format raw hint.show on }}\n'
        f'pcm.shelf {{ type file slave.pcm null file "{heard}" format raw hint.show on }}\n'
        "pcm.!default shelf\n"
    )
    with wizard(config, "sound", ALSA_CONFIG_PATH=str(folder / "asound.conf")) as it:
        answers: dict[str, str | list[str]] = {"microphone [": ["desk"], "loudspeaker [": "shelf", "wake word [": "2"}
        answers |= {"Listen for": "", "Hear it": "", "hear yourself": "", "Try it": "", "In which room": "Study"}
        it.answer(answers, "takes one of these steps again")
        assert it.ended() == 0
    assert "that was heard" in it.shown
    assert "not heard" in it.shown  # the wake word
    assert "hey jarvis was heard 0 of 3 times" in it.shown
    voice = load(config).voice
    assert (voice.microphone, dict(voice.wake_words)) == ("desk", {"hey_jarvis": 0.0})
    assert [(name, r.microphone, r.loudspeaker) for name, r in voice.rooms.items()] == [("Study", "desk", "shelf")]
    assert heard.stat().st_size > 16_000 * 2


# -- models


def test_a_full_disk_and_an_empty_stick_are_told_before_anything_is_fetched(config: Path, tmp_path: Path) -> None:
    pytest.importorskip("faster_whisper", reason="the extra `voice` is not installed")
    state, stick = tmp_path / "state", tmp_path / "stick"
    state.mkdir()
    stick.mkdir()
    mount = f"mount -t tmpfs -o size=1m none {shlex.quote(str(state))}"
    space = ("unshare", "--mount", "--map-root-user", "sh", "-c")
    if subprocess.run([*space, mount], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    with wizard(config, "models", before=[*space, f'{mount} && exec "$@"', "sh"]) as it:
        it.answer({"Fetch whisper": "y", "Fetch piper": "n", "From where": [str(stick), "skip"]}, "these steps again")
        assert it.ended() == 0
    assert "there is no room" in " ".join(it.shown.split())
    with wizard(config, "models") as it:
        it.answer({"Fetch whisper": "y", "Fetch piper": "n", "From where": [str(stick), "skip"]}, "these steps again")
        assert it.ended() == 0
    assert "has no model.bin" in " ".join(it.shown.split())
    assert "model" not in read(config)


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
        [service]
        [command]
        say = "turn on the bathroom light"
    """
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
    assert {(d.area, d.name, d.hidden) for d in changed} == {
        ("Study", None, False),
        (None, "Ink", False),
        (None, None, True),
    }


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
