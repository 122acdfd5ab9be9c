"""One model in the place of another: between two commands, and only when it is sound. Asked for over the real socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from hub import control
from hub.control import ControlError
from hub.daemon import run
from hub.settings import Settings
from hub.switching import Switch
from models import ModelError
from models.completion import Completion

BAD = "bad"


class Named:
    """A model that says its name, until it is closed."""

    def __init__(self, name: str) -> None:
        self.fingerprint = name
        self.closed = False

    async def complete(self, prompt: str, grammar: str) -> Completion:
        await asyncio.sleep(0)
        assert not self.closed
        return Completion(self.fingerprint, (), (), ms_read=0.0, ms_write=0.0)


class Shelf:
    """Opens models by their names, and remembers them all."""

    def __init__(self) -> None:
        self.opened: list[Named] = []

    def __call__(self, name: str) -> AbstractAsyncContextManager[Named]:
        return self._open(name)

    @asynccontextmanager
    async def _open(self, name: str) -> AsyncIterator[Named]:
        if name == BAD:
            raise ModelError("it is damaged")
        model = Named(name)
        self.opened.append(model)
        try:
            yield model
        finally:
            model.closed = True

    @property
    def live(self) -> list[str]:
        return [model.fingerprint for model in self.opened if not model.closed]


async def said(switch: Switch, times: int = 3) -> set[str]:
    """The models that read one command, which takes several readings."""
    async with switch.command():
        return {(await switch.complete("", "")).text for _ in range(times)}


async def test_each_command_is_read_by_one_model_and_all_are_read() -> None:
    shelf = Shelf()
    async with Switch(shelf, shelf, "one") as switch:
        commands = [asyncio.create_task(said(switch, 1 + number % 7)) for number in range(30)]
        await asyncio.sleep(0)
        switching = asyncio.create_task(switch.use("two"))
        commands += [asyncio.create_task(said(switch, 1 + number % 7)) for number in range(30)]
        await switching
        assert (shelf.live, switch.fingerprint, switch.name) == (["two"], "two", "two")
        read = [await command for command in commands]
        assert all(len(models) == 1 for models in read)
        assert {"one"} in read
        assert {"two"} in read
    assert shelf.live == []


async def test_it_waits_for_the_command_under_way_and_the_next_one_for_it() -> None:
    shelf = Shelf()
    async with Switch(shelf, shelf, "one") as switch:
        async with switch.command():
            switching = asyncio.create_task(switch.use("two"))
            later = asyncio.create_task(said(switch))
            while len(shelf.opened) < 2:
                await asyncio.sleep(0)
            for _ in range(20):
                await asyncio.sleep(0)
            assert shelf.live == ["one", "two"]
            assert (await switch.complete("", "")).text == "one"
        await switching
        assert shelf.live == ["two"]
        assert len(await later) == 1


async def test_what_does_not_open_leaves_the_one_in_use() -> None:
    shelf = Shelf()
    async with Switch(shelf, shelf, "one") as switch:
        with pytest.raises(ModelError, match="damaged"):
            await switch.use(BAD)
        assert await said(switch) == {"one"}
        async with switch.command():
            given_up = asyncio.create_task(switch.use("two"))
            while len(shelf.opened) < 2:
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            given_up.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await given_up
        assert (shelf.live, await said(switch)) == (["one"], {"one"})
        await asyncio.gather(*(switch.use(name) for name in ("two", "three", "four")))
        assert shelf.live == [switch.name] == ["four"]


# -- the socket


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Switch]:
    shelf = Shelf()
    async with Switch(shelf, shelf, "one") as switch, control.serving(folder, switch):
        yield switch


async def test_who_asks_hears_how_it_went(tmp_path: Path) -> None:
    folder = tmp_path / ("a long name " * 10) / "state"  # longer than the path of a socket may be
    assert await control.use(folder, "two") is False
    async with served(folder) as switch:
        assert (folder / control.SOCKET).stat().st_mode & 0o777 == 0o600
        assert await control.use(folder, "two") is True
        assert switch.name == "two"
        with pytest.raises(ControlError, match="two stays: it is damaged"):
            await control.use(folder, BAD)
        assert switch.name == "two"
    assert list(folder.iterdir()) == []
    assert await control.use(folder, "two") is False


@pytest.mark.parametrize("line", [b"", b"use two", b"[]", b"{}", b'{"use": 1}', b'{"use": ""}', b"\xff", b"x" * 10**6])
async def test_what_is_no_question_is_answered_so(tmp_path: Path, line: bytes) -> None:
    async with served(tmp_path) as switch:
        reader, writer = await asyncio.open_unix_connection(tmp_path / control.SOCKET)
        with contextlib.suppress(ConnectionError):
            writer.write(line + b"\n")
            await writer.drain()
            assert "in one line" in json.loads(await reader.readline())["error"]
        writer.close()
        assert switch.name == "one"
        assert await control.use(tmp_path, "two") is True


async def test_what_a_killed_hub_left_is_taken_away_and_a_second_hub_is_none_that_is_asked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / control.SOCKET))
    async with served(tmp_path) as first:
        async with served(tmp_path) as second:
            assert "another hub serves there" in caplog.text
            assert await control.use(tmp_path, "two") is True
            assert (first.name, second.name) == ("two", "one")
        assert await control.use(tmp_path, "three") is True
    assert not (tmp_path / control.SOCKET).exists()


async def test_a_second_hub_with_the_same_state_does_not_start(tmp_path: Path) -> None:
    control.alone(tmp_path / "new")
    settings = Settings(state_folder=str(tmp_path))
    async with served(tmp_path):
        with pytest.raises(ControlError, match="runs already"):
            await run(settings, asyncio.Event())
    control.alone(tmp_path)


async def test_a_hub_that_says_nothing_is_told_of(tmp_path: Path) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    async with await asyncio.start_unix_server(hang_up, tmp_path / control.SOCKET):
        with pytest.raises(ControlError, match="did not answer"):
            await control.use(tmp_path, "two")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may connect anywhere")
async def test_who_may_not_ask_is_told_what_helps(tmp_path: Path) -> None:
    async with served(tmp_path):
        (tmp_path / control.SOCKET).chmod(0)
        with pytest.raises(ControlError, match="sudo"):
            await control.use(tmp_path, "two")
