"""Hearing in a process of its own: a crash costs one retry, bad models are named, and what was made up is not believed."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest

from hub import ears
from models import ModelError
from models.hearing import LONGEST, RATE, Gate, Heard, Hearing, check, hotwords

SAYS = "turn on the kitchen light"


def test_the_gate_lets_sure_words_through_and_nothing_else() -> None:
    gate = Gate()
    assert gate.reason(Heard(SAYS, logprob=-0.3, no_speech=0.1, compression=0.9)) == ""
    assert gate.reason(Heard(SAYS, logprob=-0.3, no_speech=0.9)) == ""  # sure of its words
    assert gate.reason(Heard(SAYS, logprob=-0.8, no_speech=0.9)) == "more likely silence"
    assert gate.reason(Heard(SAYS, logprob=-0.8, no_speech=0.3)) == ""
    assert gate.reason(Heard(SAYS, logprob=-1.1)) == "too unsure"
    assert gate.reason(Heard("you " * 50, logprob=-0.1, compression=12)) == "it repeats itself"
    for nothing in ("", " ", "...", "♪"):
        assert gate.reason(Heard(nothing)) == "no words"
    assert Gate(logprob=-2).reason(Heard(SAYS, logprob=-1.1)) == ""


def test_hotwords_are_each_name_once_and_no_more_than_fit() -> None:
    assert hotwords(["Kitchen", "Desk  lamp", "kitchen", "", " "]) == "Kitchen, Desk lamp"
    assert hotwords(["a b c", "d e", "f"], most=4) == "a b c, f"
    assert len(hotwords([f"lamp {i}" for i in range(999)]).split()) <= 60
    assert hotwords([]) == ""


def test_a_folder_that_is_no_model_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such model"):
        check(tmp_path / "whisper")
    (tmp_path / "model.bin").touch()
    with pytest.raises(ModelError, match=r"lacks config.json, tokenizer.json, vocabulary.json"):
        check(tmp_path)
    for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
        (tmp_path / name).touch()
    assert check(tmp_path) == tmp_path


# -- the engine

Write = Callable[..., Path]


@pytest.fixture(scope="module")
def write(tmp_path_factory: pytest.TempPathFactory) -> Write:
    """Writes a model that always hears SAYS; the same words give the same folder."""
    pytest.importorskip("faster_whisper", reason="the extra `voice` is not installed")

    def make(**how: object) -> Path:
        folder = tmp_path_factory.mktemp("whisper")
        ears.write(folder, SAYS, **how)  # type: ignore[arg-type] # its own keywords
        return folder

    return make


@pytest.fixture(scope="module")
def model(write: Write) -> Path:
    return write()


@pytest.fixture
async def hearing(model: Path) -> AsyncIterator[Hearing]:
    async with Hearing(model) as hearing:
        yield hearing


def noise(seconds: float) -> bytes:
    return np.random.default_rng(1).normal(0, 2000, int(seconds * RATE)).astype("<i2").tobytes()


def exists(pid: int) -> bool:
    """Whether there is such a process, a zombie included."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def pid_of(hearing: Hearing) -> int:
    assert hearing.pid is not None
    return hearing.pid


async def test_it_hears_and_leaves_nothing_behind(hearing: Hearing) -> None:
    assert hearing.pid is None
    heard = await hearing.hear(noise(2))
    pid = pid_of(hearing)
    assert heard.text == SAYS
    assert heard.logprob > -0.1
    assert heard.no_speech < 0.1
    assert heard.compression < 1.5
    assert heard.ms > 0
    assert Gate().reason(heard) == ""
    assert (await hearing.hear(noise(1), "Kitchen, Desk lamp", "de")).text == SAYS  # an English model stays English
    assert hearing.pid == pid
    await hearing.close()
    await hearing.close()
    assert not exists(pid)
    with pytest.raises(ModelError, match="closed"):
        await hearing.hear(noise(1))


async def test_sound_of_any_length_is_heard_up_to_the_longest(hearing: Hearing) -> None:
    for seconds in (0, 0.001, LONGEST):
        assert (await hearing.hear(noise(seconds))).text in (SAYS, "")
    with pytest.raises(ModelError, match="at most 30"):
        await hearing.hear(noise(LONGEST + 0.01))


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"sure": 0.2}, "too unsure"),
        ({"endless": True}, "it repeats itself"),
        ({"silent": True, "sure": 0.25}, "silence"),
    ],
)
async def test_what_it_makes_up_is_not_believed(write: Write, how: dict[str, object], reason: str) -> None:
    async with Hearing(write(**how)) as hearing:
        heard = await hearing.hear(noise(1))
    assert reason in Gate().reason(heard), heard


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV])
async def test_a_child_that_dies_is_replaced(hearing: Hearing, number: signal.Signals) -> None:
    await hearing.start()
    pid = pid_of(hearing)
    os.kill(pid, number)
    assert (await hearing.hear(noise(1))).text == SAYS
    assert hearing.pid != pid
    assert not exists(pid)


async def test_one_that_hangs_is_replaced(model: Path) -> None:
    async with Hearing(model, timeout=1) as hearing:
        await hearing.start()
        pid = pid_of(hearing)
        os.kill(pid, signal.SIGSTOP)
        assert (await hearing.hear(noise(1))).text == SAYS
        assert not exists(pid)


async def test_one_that_always_takes_too_long_is_given_up(model: Path) -> None:
    async with Hearing(model, timeout=0.001) as hearing:
        await hearing.start()
        with pytest.raises(ModelError, match=r"said nothing for 0.001 s, twice"):
            await hearing.hear(noise(1))
        assert hearing.pid is None


async def test_a_call_that_is_given_up_leaves_no_child(hearing: Hearing) -> None:
    await hearing.start()
    pid = pid_of(hearing)
    os.kill(pid, signal.SIGSTOP)
    call = asyncio.create_task(hearing.hear(noise(1)))
    await asyncio.sleep(0.01)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert not exists(pid)
    assert (await hearing.hear(noise(1))).text == SAYS


@pytest.mark.parametrize("broken", ["model.bin", "config.json", "tokenizer.json", "vocabulary.json"])
@pytest.mark.parametrize("left", [0, 1000])
async def test_a_damaged_model_is_named(model: Path, tmp_path: Path, broken: str, left: int) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(model, folder)
    file = folder / broken
    file.write_bytes(file.read_bytes()[:left] if broken != "config.json" else b"{" + b"x" * left)
    async with Hearing(folder) as hearing:
        with pytest.raises(ModelError, match="damaged"):
            await hearing.hear(noise(1))
        assert hearing.pid is None


async def test_what_is_missing_is_said_before_a_process_is_started(tmp_path: Path) -> None:
    async with Hearing(tmp_path / "none") as hearing:
        with pytest.raises(ModelError, match="no such model"):
            await hearing.start()
        assert hearing.pid is None


async def test_a_larger_one_that_was_written_down_hears_the_same(write: Write) -> None:
    async with Hearing(write(size=ears.Size(width=128, heads=2, layers=2, vocabulary=3000))) as hearing:
        heard = await hearing.hear(noise(1), "Kitchen")
    assert (heard.text, Gate().reason(heard)) == (SAYS, "")


def test_the_sentence_of_a_model_that_was_written_down_has_each_word_once(tmp_path: Path) -> None:
    for wrong in ("", "the light of the lamp"):
        with pytest.raises(ValueError, match="all different"):
            ears.write(tmp_path, wrong)
