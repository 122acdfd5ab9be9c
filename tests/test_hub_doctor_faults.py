"""Faults that are seldom met, planted once each; and the law that no fault which the doctor knows is left out."""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from hub import demo, doctor, doctor_voice
from hub.doctor import Place, examine
from hub.finding import Finding, Level
from hub.settings import RoomSettings, Settings, VoiceSettings
from models.files import PINS, default_model

ROOT = Path(__file__).parents[1]
NAMES = {"wrong": 1, "note": 1, "lacking": 1, "_shut": 0}  # what names a fault, and where its words stand
KNOWS = ("doctor", "doctor_voice", "installed", "trial", "wyoming/checks")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return settled(Place(tmp_path / "hub.toml", tmp_path / "root"), 'host = "127.0.0.1"\nport = 1')


def settled(place: Place, broker: str, more: str = "") -> Place:
    assert place.config is not None
    folder = place.config.parent / "state"
    place.config.write_text(f'state_folder = "{folder}"\n[broker]\n{broker}\n{more}\n')
    place.config.chmod(0o600)
    return place


async def worst(place: Place, about: str) -> Finding:
    """The worst that the doctor says about this."""
    order = (Level.WRONG, Level.SKIPPED, Level.NOTE, Level.FINE)
    return min([f async for f in examine(place) if f.about == about], key=lambda f: order.index(f.level))


# -- the machine, the settings, the model


def test_a_clock_of_which_nothing_is_known_is_a_note(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shutil.copy(default_model(), tmp_path / "home.gguf")  # without its card, which has the day
    monkeypatch.setattr(doctor, "default_model", lambda: tmp_path / "home.gguf")
    finding = doctor._clock(1e9)
    assert finding.level is Level.NOTE
    assert "whether that is right is not known" in finding.what


@contextmanager
def somebody_else() -> Iterator[None]:
    """This process as a user who is not root, where it is root."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.fixture
def above() -> Iterator[Path]:
    """A folder that everybody may look into; those of pytest are its user's alone."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        above = Path(name) / "above"
        above.mkdir(mode=0o755)
        yield above


def test_a_state_folder_that_this_user_may_not_reach_is_named(place: Place, above: Path) -> None:
    state = above / "state"
    settings = Settings(state_folder=str(state))
    state.mkdir()
    for shut, mode, what in ((state, 0o555, "cannot be written"), (above, 0o600, "cannot be reached")):
        shut.chmod(mode)
        try:
            with somebody_else():
                finding = doctor._state(settings, place)
        finally:
            shut.chmod(0o755)
        assert finding.level is Level.WRONG
        assert f"{what} by this user" in finding.what
        assert finding.mend


def test_settings_that_this_user_may_not_look_at_are_named(above: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (above / "hub.toml").write_text("")
    monkeypatch.setattr(doctor.files, "SYSTEM_FILE", above / "hub.toml")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(above.parent))
    monkeypatch.delenv("HUB_CONFIG", raising=False)
    above.chmod(0o600)
    try:
        with somebody_else():
            settings, (finding,) = doctor._settings(Place())
    finally:
        above.chmod(0o755)
    assert finding.level is Level.WRONG
    assert settings is None
    assert f"{above}/hub.toml: cannot be reached" in finding.what
    assert "sudo" in finding.what


async def test_a_model_that_the_disk_does_not_give_is_named(place: Place, tmp_path: Path) -> None:
    (pin,) = PINS["tinyllama-chat"]
    model = tmp_path / "state" / "models" / "tinyllama-chat" / pin.name
    model.parent.mkdir(parents=True)
    model.symlink_to("/proc/self/mem")  # a file, of which no byte can be read
    settled(place, 'host = "127.0.0.1"\nport = 1', f"[model]\nfile = {json.dumps(str(model))}")
    finding = await worst(place, "model")
    assert (finding.level, finding.mend) == (Level.WRONG, "hub model fetch tinyllama-chat")
    assert "cannot be read (" in finding.what


# -- the broker


async def test_a_broker_of_another_machine_is_started_there(place: Place) -> None:
    settled(place, 'host = "0.0.0.0"\nport = 1')  # which is this machine, and not by its name
    finding = await worst(place, "broker")
    assert "nothing answers at" in finding.what
    assert finding.mend.startswith("start the broker on 0.0.0.0")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl")
async def test_a_certificate_of_ours_that_cannot_be_used_is_named(place: Place, tmp_path: Path) -> None:
    certificate(tmp_path, "one")
    certificate(tmp_path, "two")
    async with server() as port:
        files = f'ca_file = "{tmp_path}/one.crt"\ncert_file = "{tmp_path}/one.crt"\nkey_file = "{tmp_path}/two.key"'
        settled(place, f'host = "127.0.0.1"\nport = {port}\ntls = true\n{files}')
        finding = await worst(place, "broker")
    assert finding.level is Level.WRONG
    assert "ca_file, cert_file or key_file cannot be used" in finding.what


def certificate(folder: Path, name: str) -> None:
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key"]
    command = ["openssl", "req", "-x509", *new, "-out", f"{name}.crt", "-subj", "/CN=hub"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


@asynccontextmanager
async def server() -> AsyncIterator[int]:
    """The port of somebody who lets everybody in and says nothing."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as running:
        yield running.sockets[0].getsockname()[1]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:unclosed:ResourceWarning")  # of amqtt's own
async def test_a_subscription_that_the_broker_refuses_is_named(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("amqtt", reason="the extra `demo` is not installed")
    allowed = {"acl": {"anonymous": ["hub/#"]}, "publish_acl": {"anonymous": ["#"]}}
    rights = {"amqtt.plugins.topic_checking.TopicAccessControlListPlugin": allowed}
    monkeypatch.setattr(demo, "PLUGINS", {**demo.PLUGINS, **rights})
    async with demo.broker() as address:
        settled(place, f'host = "127.0.0.1"\nport = {address.port}\nprotocol = "3.1.1"')
        found = [f async for f in examine(place) if f.about == "broker" and f.level is Level.WRONG]
    assert found
    assert all("the broker does not let us listen to" in f.what and "topic read #" in f.mend for f in found)


# -- hearing and speaking


async def test_hearing_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "faster_whisper" else there(name))
    silent = Settings(state_folder=str(tmp_path))
    listens = silent.model_copy(update={"voice": VoiceSettings(rooms={"Study": RoomSettings()})})
    for settings, level in ((silent, Level.NOTE), (listens, Level.WRONG)):
        finding = await doctor_voice._hearing(settings)
        assert finding.level is level
        assert "what speech needs is not installed" in finding.what
        assert "pip install" in finding.mend


async def test_a_voice_that_says_nothing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty.wav").write_bytes(b"RIFF" + struct.pack("<20xI16x", 22050))  # a head, and not one sample
    program = tmp_path / "espeak-ng"
    program.write_text(f"#!/bin/sh\ncat > /dev/null\ncat {tmp_path}/empty.wav\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    finding = await doctor_voice._voice(Settings(state_folder=str(tmp_path)))
    assert (finding.level, finding.what) == (Level.WRONG, "espeak-ng says nothing")
    program.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    finding = await doctor_voice._voice(Settings(state_folder=str(tmp_path)))
    assert finding.level is Level.WRONG
    assert "apt-get install espeak-ng" in finding.mend


# -- what is installed


def installed(folder: Path, *packages: str) -> list[dict[str, str]]:
    """What is found where only these of our packages are, and what `folder` has beside them."""
    for name in packages:
        (folder / name).symlink_to(ROOT / name)
    start = f"import sys, json; sys.path[:] = [{str(folder)!r}, *[p for p in sys.path if 'site-packages' not in p]]"
    code = f"{start}\nfrom hub import installed\nprint(json.dumps([f.as_dict() for f in installed.findings()]))"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True, cwd=folder
    )
    found: list[dict[str, str]] = json.loads(done.stdout)
    return found


def test_a_package_that_is_missing_is_named(tmp_path: Path) -> None:
    (finding,) = installed(tmp_path, "hub", "intents", "devices")
    assert (finding["level"], finding["what"]) == ("wrong", "the hub's package 'models' is missing")
    assert "--force-reinstall" in finding["mend"]


def test_versions_that_are_not_known_and_such_that_do_not_fit(tmp_path: Path) -> None:
    *_, finding = installed(tmp_path, "hub", "intents", "devices", "models")
    assert finding["level"] == "note"
    assert "run from its sources: versions are not known" in finding["what"]
    about = tmp_path / "homeward_hub-0.1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Name: homeward-hub\nVersion: 0.1\nRequires-Dist: other>=2\nRequires-Dist: none\n")
    (tmp_path / "other-1.0.dist-info").mkdir()
    (tmp_path / "other-1.0.dist-info" / "METADATA").write_text("Name: other\nVersion: 1.0\n")
    old, missing = installed(tmp_path)[1:]
    assert (old["level"], old["what"]) == ("wrong", "other is of version 1.0, and the hub needs >=2")
    assert (missing["level"], missing["what"]) == ("wrong", "none is missing")


# -- the law


def faults() -> Iterator[tuple[str, list[str]]]:
    """Each fault that the doctor can name: where, and the texts in what is said of it."""
    for name in KNOWS:
        tree = ast.parse((ROOT / "hub" / f"{name}.py").read_text())
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from ((f"{name}.py, line {line}", texts) for line, texts in told_by(function))


def told_by(function: ast.AST) -> Iterator[tuple[int, list[str]]]:
    """The lines on which this function names a fault, and the texts of each."""
    nodes = list(ast.walk(function))
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in NAMES:
            what = node.args[NAMES[node.func.id]] if len(node.args) > 1 else node
            # Of a variable that is set several times the line above is meant: the last one before the call.
            above = [
                n.value
                for n in nodes
                if isinstance(n, ast.Assign) and n.lineno < node.lineno and isinstance(n.targets[0], ast.Name)
                if isinstance(what, ast.Name) and n.targets[0].id == what.id
            ]
            yield node.lineno, texts_in(above[-1] if above else what)


def texts_in(node: ast.AST) -> list[str]:
    return [n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)]


def test_every_fault_that_the_doctor_knows_is_planted_and_named() -> None:
    names = ("doctor", "doctor_voice", "wyoming_satellite", "doctor_faults")
    tested = "".join((ROOT / "tests" / f"test_hub_{name}.py").read_text() for name in names).split("# -- the law")[0]
    found = list(faults())
    assert len(found) > 40
    lacking = []
    for where, texts in found:
        pairs = [" ".join(pair) for text in texts for pair in pairwise(re.findall(r"[\w'.,-]+", text))]
        if pairs and not any(pair in tested for pair in pairs):  # without, it is another part's own error
            lacking.append(f"{where}: {texts}")
    assert lacking == [], "no test plants it and finds these words"
