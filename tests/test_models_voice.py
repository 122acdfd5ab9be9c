"""Speaking: sentence by sentence, faster and quieter as asked, in a process that may die; bad voices are named."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import struct
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models import ModelError
from models.voice import LONGEST, Espeak, Manner, Piper, Speech, Voice, open_voice, sentences


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("The lamp is on.", ["The lamp is on."]),
        ("It is on. Good night!  Really?", ["It is on.", "Good night!", "Really?"]),
        ("It is 5.30 p.m., and 21.5 degrees.", ["It is 5.30 p.m., and 21.5 degrees."]),
        ('He said "no." Then yes.', ['He said "no.', "Then yes."]),
        ("one\ntwo\n\nthree", ["one", "two", "three"]),
        ("", []),
        (" ... \n !? ", []),
        ("a\x00b\x1bc [[x]]", ["a b c [x]"]),
    ],
)
def test_a_text_is_cut_into_sentences(text: str, parts: list[str]) -> None:
    assert sentences(text) == parts


def test_no_part_is_too_long_and_no_word_is_lost() -> None:
    words = " ".join(f"word{i}" + "," * (i % 9 == 0) for i in range(400))
    for text in (words, "x" * 1000, words.replace(" ", "")):
        parts = sentences(text)
        assert max(map(len, parts)) <= LONGEST
        assert "".join(parts).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize("wrong", [{"speed": 0}, {"speed": 9}, {"volume": -1}, {"volume": 2}])
def test_a_manner_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ModelError, match="voice"):
        Manner(**wrong)


async def said(voice: Voice, text: str, manner: Manner | None = None) -> list[Speech]:
    return [speech async for speech in voice.speak(text, manner)]


def samples(speech: Speech) -> NDArray[np.int16]:
    return np.frombuffer(speech.samples, "<i2")


# -- Piper, with a voice written down byte for byte: it hums each phoneme for 256 samples


def field(number: int, value: int | bytes | str) -> bytes:
    """One field of a protocol buffer."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)


FLOAT, INT = 1, 7


def tensor(name: str, kind: int, *values: float, dims: int = 1) -> bytes:
    raw = struct.pack(f"<{len(values)}{'f' if kind == FLOAT else 'q'}", *values)
    shape = field(1, len(values)) if dims else b""
    return field(5, shape + field(2, kind) + field(8, name) + field(9, raw))


def port(number: int, name: str, kind: int, dims: int) -> bytes:
    shape = b"".join(field(1, field(2, f"{name}{i}")) for i in range(dims))
    return field(number, field(1, name) + field(2, field(1, field(1, kind) + field(2, shape))))


def node(operation: str, inputs: str, output: str, **attributes: int) -> bytes:
    given = b"".join(field(1, name) for name in inputs.split())
    how = b"".join(field(5, field(1, k) + field(3, v) + field(20, 2)) for k, v in attributes.items())
    return field(1, given + field(2, output) + field(4, operation) + how)


def onnx() -> bytes:
    graph = b"".join(
        [
            node("Cast", "input", "numbers", to=FLOAT),
            node("Reshape", "numbers column", "standing"),
            node("Gather", "scales one", "scale"),
            node("Mul", "scale each", "long"),
            node("Cast", "long", "length", to=INT),
            node("Concat", "ones length", "wide", axis=0),
            node("Expand", "standing wide", "spread"),
            node("Reshape", "spread row", "angles"),
            node("Sin", "angles", "output"),
            field(2, "hum"),
            tensor("column", INT, 1, -1, 1),
            tensor("one", INT, 1),
            tensor("each", FLOAT, 256),
            tensor("ones", INT, 1, 1),
            tensor("row", INT, 1, 1, -1),
            port(11, "input", INT, 2),
            port(11, "input_lengths", INT, 1),
            port(11, "scales", FLOAT, 1),
            port(12, "output", FLOAT, 3),
        ]
    )
    return field(1, 8) + field(7, graph) + field(8, field(2, 17))


@pytest.fixture
def voice_file(tmp_path: Path) -> Path:
    pytest.importorskip("piper", reason="the extra `voice` is not installed")
    file = tmp_path / "hum.onnx"
    file.write_bytes(onnx())
    symbols = "_^$ !',-.:;?abcdefghijklmnopqrstuvwxyzæðŋɐɑɔəɚɛɜɡɪɹɾʃʊʌʒθᵻˈˌː"
    config = {
        "audio": {"sample_rate": 22050},
        "espeak": {"voice": "en-us"},
        "inference": {"noise_scale": 0.667, "length_scale": 1.0, "noise_w": 0.8},
        "phoneme_type": "espeak",
        "phoneme_id_map": {symbol: [i] for i, symbol in enumerate(symbols)},
        "num_symbols": len(symbols),
        "num_speakers": 1,
    }
    Path(f"{file}.json").write_text(json.dumps(config))
    return file


@pytest.fixture
async def piper(voice_file: Path) -> AsyncIterator[Piper]:
    piper = Piper(voice_file)
    yield piper
    await piper.close()


async def test_each_sentence_comes_as_soon_as_it_is_made(piper: Piper) -> None:
    async with aclosing(piper.speak("The lamp is on. Good night!")) as speaking:
        first = await anext(speaking)
        assert (first.text, first.rate) == ("The lamp is on.", 22050)
        assert np.abs(samples(first)).max() > 30_000
        second = await anext(speaking)
        assert second.text == "Good night!"
    assert samples(first).size % 256 == 0
    assert samples(first).size > samples(second).size > 1000


async def test_it_speaks_as_fast_and_as_loud_as_asked(piper: Piper) -> None:
    (usual,) = await said(piper, "the lamp is on")
    (fast,) = await said(piper, "the lamp is on", Manner(speed=2))
    (quiet,) = await said(piper, "the lamp is on", Manner(volume=0.1))
    assert samples(fast).size * 2 == samples(usual).size
    assert np.abs(samples(quiet)).max() == pytest.approx(np.abs(samples(usual)).max() / 10, rel=0.01)
    assert await said(piper, "...") == []


async def test_a_voice_whose_process_dies_is_started_again(piper: Piper) -> None:
    await piper.start()
    pid = piper.pid
    assert pid is not None
    os.kill(pid, signal.SIGSEGV)
    assert len(await said(piper, "one. two.")) == 2
    assert piper.pid != pid
    await piper.close()
    await piper.close()
    assert not Path(f"/proc/{piper.pid}").exists()


async def test_who_is_interrupted_falls_silent_and_can_speak_again(piper: Piper) -> None:
    speaking = asyncio.create_task(said(piper, "one. " * 500))
    while piper.pid is None:
        await asyncio.sleep(0.01)
    speaking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await speaking
    assert len(await said(piper, "two.")) == 1


@pytest.mark.parametrize(
    ("part", "data"), [("", b""), ("", b"nonsense"), (".json", b"{"), (".json", b"{}"), (".json", b"[]")]
)
async def test_a_damaged_voice_is_named(voice_file: Path, part: str, data: bytes) -> None:
    Path(f"{voice_file}{part}").write_bytes(data)
    piper = Piper(voice_file)
    with pytest.raises(ModelError, match=r"hum.onnx: this voice is damaged"):
        await said(piper, "one.")
    assert piper.pid is None


async def test_a_voice_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none.onnx: there is no such file.*pair"):
        await said(Piper(tmp_path / "none.onnx"), "one.")
    (tmp_path / "half.onnx").touch()
    with pytest.raises(ModelError, match=r"half.onnx.json: there is no such file"):
        await Piper(tmp_path / "half.onnx").start()


# -- espeak-ng


@pytest.fixture
def espeak() -> Voice:
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed")
    return open_voice(None, "en-us")


async def test_espeak_speaks_where_there_is_no_piper_voice(espeak: Voice) -> None:
    one, two = await said(espeak, "-v nothing. The lamp is on.")
    assert (one.text, two.text) == ("-v nothing.", "The lamp is on.")
    assert one.rate == 22050
    assert np.abs(samples(two)).max() > 5000
    assert 0.5 < samples(two).size / two.rate < 3
    (fast,) = await said(espeak, "The lamp is on.", Manner(speed=2))
    (quiet,) = await said(espeak, "The lamp is on.", Manner(volume=0.1))
    assert samples(fast).size < samples(two).size * 0.7
    assert np.abs(samples(quiet)).max() < np.abs(samples(two)).max() / 5


async def test_a_language_that_espeak_does_not_have_is_said(espeak: Voice) -> None:
    with pytest.raises(ModelError, match="cannot say that"):
        await said(Espeak("klingonese"), "one.")


async def test_without_any_voice_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ModelError, match="apt-get install espeak-ng"):
        open_voice(None)
    with pytest.raises(ModelError, match="apt-get install espeak-ng"):
        await said(Espeak(), "one.")
