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
from hub.pin import fits
from hub.settings import load

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
    """A command of the hub at a pseudo-terminal of its own, and somebody who reads and types there."""

    def __init__(self, config: Path, words: Sequence[str], before: Sequence[str], **variables: str) -> None:
        self._ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (40, 100))
        command = [*before, sys.executable, "-m", "hub", *words, "--config", str(config)]
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
    with at_terminal(config, "setup", *names, before=before, **variables) as terminal:
        yield terminal


@contextmanager
def at_terminal(config: Path, *words: str, before: Sequence[str] = (), **variables: str) -> Iterator[Terminal]:
    """Any command of the hub."""
    terminal = Terminal(config, words, before, **variables)
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
    "not to be moved without": "",
    "PIN of": "",
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
            assert "The step that asks for it: hub setup broker" in " ".join(it.shown.split())

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


async def test_a_pin_is_set_and_asked_for_by_what_is_said(broker: Running, config: Path) -> None:
    config.write_text(f'{config.read_text()}[broker]\nhost = "{broker.host}"\nport = {broker.port}\n')
    config.chmod(0o644)

    def person() -> str:
        with wizard(config, "sensitive") as it:
            told = {"May Front door": "", "May Garage door": "", "How sure": ""}
            also = {"not to be moved without": ["office printer", "-"]}
            pins = {"PIN of": ["12", "4071", "4071"], "Once more": ["4072", "4071"]}
            it.answer({**told, **also, **pins}, "takes one of these steps again")
            assert it.ended() == 0
            return it.shown

    async with Home(LinkSettings(broker.host, broker.port)) as home:
        shown = await asyncio.to_thread(person)
        assert "a PIN has 4 to 12 digits" in shown
        assert "These are two" in shown
        assert "with a PIN" in shown
        assert not re.search("407[12]", shown + config.read_text())
        assert config.stat().st_mode & 0o777 == 0o600
        assert fits("4071", load(config).safety.pin)

        def say(text: str, *typed: str) -> str:
            with at_terminal(config, "say", text) as it:
                it.answer({"(not shown": list(typed)}, ".\r\n")
                it.ended()
                return it.shown

        assert "Office printer is on" in await asyncio.to_thread(say, "turn on the office printer", "x", "4072", "4071")
        shown = await asyncio.to_thread(say, "unlock the front door", "4071")
        assert home.state("front_door")["state"] == "UNLOCKED"
        assert "4071" not in shown
