"""Models fetched, listed, used and removed: a model is the hub's only when it opens, and the user's file stays theirs."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import pty
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hub import HubError
from hub import settings as files
from hub.fetching import Bar, Shelf, bar, entries, fetched, removed, shelf, table
from hub.settings import ModelSettings, Settings, load
from hub.using import use
from models import ModelError
from models.files import PINS, About, Pin, default_model, digest

ROOT = Path(__file__).parents[1]
VOICE = b"voice" * 1000


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[str]:
    """A server of the files under tmp_path/mirror."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def pin(file: str, content: bytes) -> Pin:
    return Pin("maker/model", "0123abcd", file, hashlib.sha256(content).hexdigest(), len(content))


@pytest.fixture
def mine(tmp_path: Path) -> Shelf:
    """A shelf that knows two models: one of a language, and a voice of two files."""
    model = default_model().read_bytes()
    pins = {"small": (pin("small.gguf", model),), "voice": (pin("v.onnx", VOICE), pin("v.onnx.json", b"{}"))}
    about = {
        "small": About("language", "MIT", len(model)),
        "voice": About("voice", "CC0", len(VOICE) + 2),
    }
    return Shelf(tmp_path / "models", pins=pins, about=about)


@pytest.fixture
def stick(tmp_path: Path) -> str:
    """A folder with all the files of `mine`."""
    folder = tmp_path / "stick"
    (folder / "voice").mkdir(parents=True)
    shutil.copy(default_model(), folder / "small.gguf")
    (folder / "voice" / "v.onnx").write_bytes(VOICE)
    (folder / "voice" / "v.onnx.json").write_bytes(b"{}")
    return str(folder)


def nothing(text: str) -> None:
    """Where nobody looks."""


def test_a_model_comes_with_all_its_files(mine: Shelf, mirror: str, stick: str, tmp_path: Path) -> None:
    told: list[str] = []
    with pytest.raises(ModelError, match="404"):
        fetched(mine, "voice", mirror, told.append)
    assert entries(mine)[2].state == "not here"
    for wanted in mine.known("voice"):
        place = tmp_path / "mirror" / wanted.path
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(stick) / "voice" / wanted.name, place)
    folder = fetched(mine, "voice", mirror, told.append)
    assert sorted(p.name for p in folder.iterdir()) == ["v.onnx", "v.onnx.json"]
    assert "v.onnx" in told[0]
    assert entries(mine)[2].state == "here"


def test_a_model_comes_from_a_stick(mine: Shelf, stick: str) -> None:
    assert digest(fetched(mine, "small", stick, nothing) / "small.gguf") == digest(default_model())
    assert [(e.name, e.state, e.used) for e in entries(mine)] == [
        ("home", "here", True), ("small", "here", False), ("voice", "not here", False),
    ]  # fmt: skip


def test_what_came_in_part_is_shown_as_such(mine: Shelf) -> None:
    mine.place("voice").mkdir(parents=True)
    (mine.place("voice") / "v.onnx.part").write_bytes(VOICE[:100])
    assert entries(mine)[2].state == "in part"
    assert "5,000" not in removed(mine, "voice")
    assert not mine.place("voice").exists()


def test_the_disk_is_looked_at_before_anything_comes(mine: Shelf, stick: str) -> None:
    huge = replace(mine, about={**mine.about, "voice": About("voice", "CC0", 10**16)})
    with pytest.raises(ModelError, match="no room"):
        fetched(huge, "voice", stick, nothing)
    assert not huge.held("voice")


@pytest.mark.parametrize("name", ["home", "no such", "../etc", ""])
def test_a_name_that_is_no_model_to_fetch_is_told(mine: Shelf, name: str) -> None:
    with pytest.raises(HubError, match="home"):
        fetched(mine, name, "", nothing)
    with pytest.raises(HubError, match="home"):
        removed(mine, name)


def test_a_folder_that_cannot_be_is_told(mine: Shelf, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")
    with pytest.raises(HubError, match="cannot be made"):
        fetched(mine, "voice", "", nothing)


def test_the_one_that_is_used_is_marked_and_cannot_be_removed(mine: Shelf, stick: str, tmp_path: Path) -> None:
    fetched(mine, "small", stick, nothing)
    used = replace(mine, used=str(mine.first("small")))
    assert [e.name for e in entries(used) if e.used] == ["small"]
    with pytest.raises(HubError, match="hub model use home"):
        removed(used, "small")
    assert "free again" in removed(mine, "small")
    with pytest.raises(HubError, match="not here"):
        removed(mine, "small")
    own = replace(mine, used=str(tmp_path / "own.gguf"))
    assert [(e.name, e.state) for e in entries(own) if e.used] == [("own.gguf", "not here")]


def test_the_list_is_for_people_and_for_programs(mine: Shelf) -> None:
    shown = table(entries(mine), as_json=False)
    assert "* home" in shown
    assert "MIT" in shown
    listed = json.loads(table(entries(mine), as_json=True))
    assert [(e["name"], e["used"]) for e in listed] == [("home", True), ("small", False), ("voice", False)]


def test_the_shelf_is_in_the_state_folder(tmp_path: Path) -> None:
    kept = shelf(Settings(state_folder=str(tmp_path)))
    assert (kept.folder, kept.used, kept.pins) == (tmp_path / "models", "", PINS)
    assert kept.uses("whisper-tiny.en")
    with pytest.raises(HubError, match="in the settings"):
        removed(kept, "whisper-tiny.en")


# -- use


OWN = '# my home\nid = "casa"\n\n[model]  # which\nfile = "home"  # the small one\nthreads = 2\n\n[house]\nareas = ["Sofa"]\n'


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "hub.toml"
    file.write_text(f'state_folder = "{tmp_path / "state"}"\n{OWN}')
    file.chmod(0o640)
    return file


async def test_a_model_that_opens_becomes_the_hubs(mine: Shelf, stick: str, config: Path) -> None:
    before = config.read_text()
    with pytest.raises(HubError, match="hub model fetch small"):
        await use(load(config), config, "small", mine)
    fetched(mine, "small", stick, nothing)
    said = await use(load(config), config, "small", mine)
    assert "next start" in said
    assert load(config).model == ModelSettings(file=str(mine.first("small")), threads=2)
    assert config.read_text() == before.replace('file = "home"', f'file = "{mine.first("small")}"')
    backup = config.with_name("hub.toml.bak")
    assert backup.read_text() == before
    assert {config.stat().st_mode & 0o777, backup.stat().st_mode & 0o777} == {0o640}
    assert "already" in await use(load(config), config, "small", mine)
    assert backup.read_text() == before
    await use(load(config), config, "home", mine)
    assert config.read_text() == before
    assert sorted(p.name for p in config.parent.glob("*hub.toml*")) == ["hub.toml", "hub.toml.bak"]


async def test_a_model_that_does_not_open_changes_nothing(
    mine: Shelf, stick: str, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched(mine, "small", stick, nothing)
    before = config.read_bytes()
    with mine.first("small").open("r+b") as file:
        file.truncate(100_000)
    with pytest.raises(ModelError):  # where nothing is known of the file but that it does not open
        await use(load(config), config, str(mine.first("small")), mine)
    monkeypatch.setattr("hub.fetching.shelf", lambda settings: replace(mine, used=shelf(settings).used))
    with pytest.raises(ModelError, match=r"damaged: its SHA-256 .*; hub model fetch small"):
        await use(load(config), config, "small", mine)
    for name in ("voice", "no such"):
        with pytest.raises(HubError):
            await use(load(config), config, name, mine)
    assert config.read_bytes() == before
    assert not config.with_name("hub.toml.bak").exists()


async def test_the_service_is_given_no_model_that_it_cannot_read(
    mine: Shelf, stick: str, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched(mine, "small", stick, nothing)
    monkeypatch.setattr(files, "SYSTEM_FILE", config)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(HubError, match="may not read"):
        await use(load(config), config, "small", mine)
    monkeypatch.setenv("HOME", str(tmp_path / "other"))
    assert "small is the hub's model now" in await use(load(config), config, "small", mine)


# -- what is shown


def test_the_bar_says_how_much_how_fast_and_how_long() -> None:
    assert bar("m.gguf", 250_000_000, 1_000_000_000, 2e6).split() == [
        *("m.gguf", "[######..................]", "250.0", "of", "1000.0", "MB", "2.0", "MB/s", "375", "s", "left")
    ]
    assert bar("m.gguf", 5, None, 0).split() == ["m.gguf", "0.0", "MB"]
    assert "left" not in bar("m.gguf", 10, 10, 1e6)
    assert all(len(bar("x" * 50, n, 10**9, 1e5)) < 100 for n in (0, 10**8, 10**9))


def test_the_bar_is_not_drawn_for_every_byte() -> None:
    told: list[str] = []
    times = iter(n / 100 for n in range(10_000))
    show = Bar(told.append, "m", lambda: next(times))
    for done in range(100):
        show(done, 99)
    assert 9 <= len(told) <= 12
    assert "99" in told[-1] or "0.0 of 0.0" in told[-1]


# -- the commands


async def hub(*arguments: str, config: Path) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hub", "model", *arguments, "--config", str(config)),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert b"Traceback" not in out + err
    return process.returncode or 0, out.decode(), err.decode()


async def test_the_commands_say_what_is_wrong_in_one_line(config: Path, mirror: str, tmp_path: Path) -> None:
    name, one = "piper-lessac-low", PINS["piper-lessac-low"][1]
    code, _, err = await hub("fetch", name, "--mirror", mirror, config=config)
    assert (code, err.count("\n")) == (1, 1)
    assert "404" in err
    wrong = tmp_path / "stick" / one.name
    wrong.parent.mkdir()
    wrong.write_bytes(b"{}")
    (tmp_path / "stick" / PINS[name][0].name).write_bytes(b"x")
    code, _, err = await hub("fetch", name, "--mirror", str(tmp_path / "stick"), config=config)
    assert code == 1
    assert "damaged" in err
    code, out, _ = await hub("list", "--json", config=config)
    assert code == 0
    assert {e["name"] for e in json.loads(out)} == {"home", *PINS}
    assert (await hub("remove", name, config=config))[0] == 1
    assert (await hub("use", "tinyllama-chat", config=config))[0] == 1


async def test_at_a_terminal_the_bar_is_seen(config: Path, tmp_path: Path) -> None:
    stick, name = tmp_path / "stick", "piper-lessac-low"
    stick.mkdir()
    (stick / PINS[name][0].name).write_bytes(b"x" * 300_000)
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hub", "model", "fetch", name, "--mirror", str(stick), "--config", str(config)),
        cwd=ROOT, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    await asyncio.wait_for(process.wait(), 60)
    seen = os.read(ours, 10_000).decode()
    os.close(ours)
    assert "####" in seen
    assert "0.3 of 0.3 MB" in seen
    assert process.returncode == 1


async def test_ctrl_c_keeps_what_has_come(config: Path, tmp_path: Path) -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 668788096\r\n\r\n" + b"x" * 100_000)
        await reader.read()  # until the other side goes away
        writer.close()

    server = await asyncio.start_server(half, "127.0.0.1", 0)
    async with server:
        mirror = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "hub", "model", "fetch", "tinyllama-chat"),
            *("--mirror", mirror, "--config", str(config)),
            cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        folder = tmp_path / "state" / "models" / "tinyllama-chat"
        async with asyncio.timeout(60):
            while not [file for file in folder.glob("*.part") if file.stat().st_size == 100_000]:
                await asyncio.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, out) == (130, b"")
    assert err.decode() == "Stopped; what has come is kept, and the same command goes on from there.\n"
    assert [file.suffix for file in folder.iterdir()] == [".part"]
