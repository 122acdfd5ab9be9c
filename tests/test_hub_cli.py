"""The command line: no foreseeable mistake shows a traceback; each is one line that says what to do."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

import hub
from models.files import default_model

HOME = {
    "devices": [
        {"id": "l", "name": "Ceiling light", "kind": "light", "area": "Kitchen", "capabilities": ["on_off"]},
        {"id": "d", "name": "Desk lamp", "kind": "light", "area": "Office", "capabilities": ["on_off"]},
    ]
}


class Address(Protocol):
    host: str
    port: int


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


async def run_hub(*arguments: str, said: bytes = b"", config: Path | None = None) -> Ended:
    options = ("--config", str(config)) if config else ()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hub", *arguments, *options),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    )
    out, err = await asyncio.wait_for(process.communicate(said), 60)
    ended = Ended(process.returncode or 0, out.decode(), err.decode())
    assert "Traceback" not in ended.err + ended.out
    return ended


def settings_file(folder: Path, text: str) -> Path:
    file = folder / "hub.toml"
    file.write_text(text)
    return file


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_help_is_everywhere_and_loads_no_engine() -> None:
    for command in ((), ("run",), ("say",), ("devices",), ("understand",), ("demo",), ("settings",)):
        ended = await run_hub(*command, "--help")
        assert ended.code == 0
        assert "Usage" in ended.out
    code = "import sys, hub.cli; print(sorted({'llama_cpp', 'aiomqtt', 'pydantic', 'asyncio'} & set(sys.modules)))"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[1]
    )
    out, _ = await process.communicate()
    assert out.strip() == b"['asyncio']"


async def test_ctrl_c_while_the_command_line_is_loaded_ends_it_quietly() -> None:
    code = (
        "import sys\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'typer': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "from hub.__main__ import main; main()\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stderr=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[1]
    )
    assert (await process.communicate())[1] == b""
    assert process.returncode == 130


async def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert (await run_hub("--version")).out == f"hub {project['version']}\n"
    assert hub.__version__ == project["version"]


@pytest.mark.parametrize("command", [("run",), ("say", "lamp on"), ("devices",), ("settings", "check")])
async def test_broken_settings_are_named_with_line_and_key(command: tuple[str, ...], tmp_path: Path) -> None:
    config = settings_file(tmp_path, '[broker]\nhost = "localhost"\nprot = 1883\n')
    ended = await run_hub(*command, config=config)
    assert ended.code == 2
    assert ended.err == f"hub: {config}, line 3, broker.prot: there is no such setting\n"


async def test_a_settings_file_that_is_not_there(tmp_path: Path) -> None:
    ended = await run_hub("settings", "path", config=tmp_path / "no.toml")
    assert ended.code == 2
    assert "there is no such settings file" in ended.err


async def test_settings_are_shown_without_the_password(tmp_path: Path) -> None:
    config = settings_file(tmp_path, '[broker]\nusername = "me"\npassword = "secret"\n')
    shown = await run_hub("settings", "show", config=config)
    assert shown.code == 0
    assert "secret" not in shown.out
    assert tomllib.loads(shown.out)["broker"]["username"] == "me"
    assert json.loads((await run_hub("settings", "show", "--json", config=config)).out)["broker"]["username"] == "me"
    assert (await run_hub("settings", "check", config=config)).out == f"{config} is in order.\n"


async def test_settings_of_an_older_form_are_made_new(tmp_path: Path) -> None:
    config = settings_file(tmp_path, "[safety]\nsure = 0.3\n")
    assert "hub settings migrate" in (await run_hub("settings", "check", config=config)).out
    assert "as it was, it is" in (await run_hub("settings", "migrate", config=config)).out
    assert "sure = 0.2" in config.read_text()
    assert (await run_hub("settings", "migrate", config=config)).out == f"{config} has the newest form already.\n"
    assert (await run_hub("settings", "check", config=config)).out == f"{config} is in order.\n"
    config.write_text("version = 1000\n")
    for command in ("run", "settings migrate"):
        ended = await run_hub(*command.split(), config=config)
        assert (ended.code, "bring the hub up to date" in ended.err) == (2, True)


@pytest.mark.parametrize("command", [("say", "lamp on"), ("devices",)])
async def test_no_broker(command: tuple[str, ...], tmp_path: Path) -> None:
    config = settings_file(tmp_path, f'[broker]\nhost = "127.0.0.1"\nport = {free_port()}\n')
    ended = await run_hub(*command, config=config)
    assert ended.code == 1
    assert ended.out == ""
    assert len(ended.err.splitlines()) == 1
    assert "127.0.0.1" in ended.err


async def test_a_wrong_password(start_broker: object, tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    passwords.write_text("")
    broker: Address = await start_broker(f"allow_anonymous false\npassword_file {passwords}")  # type: ignore[operator]
    login = 'username = "me"\npassword = "wrong"'
    config = settings_file(tmp_path, f'[broker]\nhost = "{broker.host}"\nport = {broker.port}\n{login}\n')
    ended = await run_hub("say", "lamp on", config=config)
    assert ended.code == 1
    assert "check the user name and password" in ended.err
    assert len(ended.err.splitlines()) == 1


async def test_an_unknown_command_and_a_missing_argument() -> None:
    unknown = await run_hub("snooze")
    assert unknown.code == 2
    assert "snooze" in unknown.err
    assert (await run_hub("say")).code == 2
    assert (await run_hub("understand")).code == 2


async def test_nobody_in_the_house(broker: Address, tmp_path: Path) -> None:
    config = settings_file(tmp_path, f'[broker]\nhost = "{broker.host}"\nport = {broker.port}\n')
    ended = await run_hub("devices", config=config)
    assert ended.code == 1
    assert "No device has announced itself" in ended.out
    assert (await run_hub("devices", "--json", config=config)).out.strip() == "[]"


async def test_ctrl_c_ends_a_watch(broker: Address, tmp_path: Path) -> None:
    config = settings_file(tmp_path, f'[broker]\nhost = "{broker.host}"\nport = {broker.port}\n')
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hub", "devices", "--watch", "--config", str(config)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    )
    assert process.stdout is not None
    await asyncio.wait_for(process.stdout.readline(), 30)
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 130
    assert b"Traceback" not in err


def record(number: int, utterance: str, **more: object) -> bytes:
    return json.dumps({"id": number, "utterance": utterance, **more}).encode() + b"\n"


async def test_understand_answers_line_for_line(tmp_path: Path) -> None:
    (tmp_path / "home.json").write_text(json.dumps(HOME))
    lines = [
        record(1, "turn on the kitchen light"),
        b"not json\n",
        record(2, "switch it off", history=[{"utterance": "x", "actions": [{"targets": ["d"]}]}]),
        b"\n",
        b'{"id": 3}\n',
        record(4, ""),
        record(5, "turn on the lights", context={"area": "Office"}),
        record(6, "lamp " * 2000),
        record(7, "turn on the lamp", states=[1]),
    ]
    ended = await run_hub("understand", "--home", str(tmp_path / "home.json"), said=b"".join(lines))
    answers = {a["id"]: a for a in map(json.loads, ended.out.splitlines())}
    assert ended.code == 2
    assert re.findall(r"line (\d+)", ended.err)[::1][:1] == ["2"]
    assert [e.split(":")[1] for e in ended.err.splitlines()] == [" line 2", " line 5", " line 9"]
    assert list(answers) == [1, 2, 4, 5, 6]
    assert answers[1]["actions"] == [{"intent": "turn_on", "targets": ["l"], "slots": {}}]
    assert answers[2]["actions"] == [{"intent": "turn_off", "targets": ["d"], "slots": {}}]
    assert answers[5]["actions"][0]["targets"] == ["d"]
    assert answers[4]["outcome"] == answers[6]["outcome"] == "refuse"
    assert {"id", "outcome", "actions", "confidence", "ms"} == answers[1].keys()


async def test_understand_picks_the_home(tmp_path: Path) -> None:
    other = {"devices": [{**HOME["devices"][0], "id": "other"}]}
    (tmp_path / "homes.json").write_text(json.dumps({"a": HOME, "b": other}))
    said = record(1, "turn on the kitchen light") + record(2, "turn on the kitchen light", home="b")
    picked = await run_hub("understand", "--home", f"{tmp_path}/homes.json#a", said=said)
    assert [json.loads(a)["actions"][0]["targets"] for a in picked.out.splitlines()] == [["l"], ["other"]]
    unpicked = await run_hub("understand", "--home", f"{tmp_path}/homes.json", said=said)
    assert unpicked.code == 2
    assert "line 1" in unpicked.err


@pytest.mark.parametrize("content", [None, "[", "[]", '{"devices": [{"id": 1}]}'])
async def test_a_home_that_cannot_be_used(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "home.json").write_text(content)
    ended = await run_hub("understand", "--home", str(tmp_path / "home.json"))
    assert ended.code == 1
    assert "home.json" in ended.err
    assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize("size", [0, 3, 5000])
async def test_a_truncated_model(tmp_path: Path, size: int) -> None:
    (tmp_path / "home.json").write_text(json.dumps(HOME))
    (tmp_path / "cut.gguf").write_bytes(default_model().read_bytes()[:size])
    config = settings_file(tmp_path, f'[model]\nfile = "{tmp_path / "cut.gguf"}"\n')
    ended = await run_hub("understand", "--home", f"{tmp_path}/home.json", said=record(1, "lamp on"), config=config)
    assert ended.code == 1
    assert ended.out == ""
    assert "cut.gguf" in ended.err
