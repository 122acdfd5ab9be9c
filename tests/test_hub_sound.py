"""Sound in and out: any rate, width and channels become frames of 16 kHz mono; what is broken is said, in one line."""

from __future__ import annotations

import asyncio
import io
import os
import struct
import wave
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from hub.sound import (
    FRAME,
    QUIETEST,
    RATE,
    Decoder,
    Format,
    Samples,
    SoundError,
    from_file,
    header,
    level,
    meter,
    to_file,
)

SECONDS = 0.5
TONE = 440  # Hz


def tone(rate: int = RATE, channels: int = 1, loud: float = 0.5) -> NDArray[np.float64]:
    """Half a second of a tone: [moment, channel]."""
    wave_ = loud * np.sin(2 * np.pi * TONE * np.arange(int(rate * SECONDS)) / rate)
    return np.repeat(wave_[:, None], channels, axis=1)


def written(values: NDArray[np.float64], encoding: str) -> bytes:
    """Values as a file holds them."""
    match encoding:
        case "u8":
            return bytes((values.ravel() * 127 + 128).astype(np.uint8))
        case "s24":
            return (values.ravel() * (2**31 - 1)).astype("<i4").view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()
        case "s16" | "s32":
            bits = int(encoding[1:])
            return (values.ravel() * (2 ** (bits - 1) - 1)).astype(f"<i{bits // 8}").tobytes()
        case _:
            return values.ravel().astype(f"<f{int(encoding[1:]) // 8}").tobytes()


def wav(data: bytes, rate: int = RATE, channels: int = 1, encoding: str = "s16", *, length: int | None = None) -> bytes:
    """A WAV file as recorders write them, with a title in front of the samples and one behind."""
    bits = int(encoding[1:])
    tag = 3 if encoding[0] == "f" else 1
    fields = struct.pack("<HHIIHH", tag, channels, rate, rate * channels * bits // 8, channels * bits // 8, bits)
    if bits in (24, 64):  # which the extensible form is for
        guid = struct.pack("<H", tag) + bytes.fromhex("000000001000800000aa00389b71")
        fields = struct.pack("<H", 0xFFFE) + fields[2:] + struct.pack("<HHI", 22, bits, 0) + guid
    title = b"LIST" + struct.pack("<I", 5) + b"title" + b"\0"
    size = len(data) if length is None else length
    body = (
        b"WAVE" + title + b"fmt " + struct.pack("<I", len(fields)) + fields + b"data" + struct.pack("<I", size) + data
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body + title


def decoded(data: bytes, raw: Format | None = None, block: int = 1000) -> Samples:
    """What the bytes are heard as, given in blocks; every frame is a whole one."""
    decoder = Decoder(raw)
    blocks = [data[at : at + block] for at in range(0, len(data), block)]
    frames = [frame for part in blocks for frame in decoder.take(part)] + decoder.end()
    assert {len(frame) for frame in frames} <= {FRAME}
    return np.concatenate(frames) if frames else np.zeros(0, np.int16)


def pitch(samples: Samples) -> float:
    """The strongest frequency, in Hz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * RATE / len(samples))


def is_tone(samples: Samples) -> bool:
    """Whether it is the tone, as long and as loud as it was."""
    heard = samples[: int(RATE * SECONDS)]
    lasts = len(samples) - FRAME <= RATE * SECONDS <= len(samples)
    return lasts and abs(pitch(heard) - TONE) < 4 and abs(level(heard[800:-800]) + 9.03) < 0.2


@pytest.mark.parametrize("encoding", ["u8", "s16", "s24", "s32", "f32", "f64"])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_every_way_to_write_samples_is_read(encoding: str, channels: int) -> None:
    data = written(tone(channels=channels), encoding)
    assert is_tone(decoded(wav(data, RATE, channels, encoding)))
    assert is_tone(decoded(data, Format(RATE, channels, encoding)))  # type: ignore[arg-type] # one of its words


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000])
def test_every_rate_becomes_16_khz(rate: int) -> None:
    pytest.importorskip("soxr", reason="the extra `voice` is not installed")
    assert is_tone(decoded(wav(written(tone(rate, 2), "s16"), rate, 2)))


def test_what_is_16_khz_already_is_not_changed() -> None:
    samples = np.random.default_rng(1).integers(-32768, 32767, 3 * FRAME, np.int16, endpoint=True)
    assert np.array_equal(decoded(wav(samples.tobytes()), block=77), samples)
    assert np.array_equal(decoded(samples.tobytes(), Format(), block=77), samples)


def test_what_is_too_high_for_16_khz_does_not_come_back_as_something_lower() -> None:
    pytest.importorskip("soxr", reason="the extra `voice` is not installed")
    high = 0.5 * np.sin(2 * np.pi * 12_000 * np.arange(24_000) / 48_000)
    heard = decoded(wav(written(high[:, None], "s16"), 48_000))
    assert level(heard[800:7_000]) < -80


def test_a_wav_into_a_pipe_has_no_length_and_is_read_to_its_end() -> None:
    data = written(tone(), "s16")
    for length in (0, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF):
        header_only = wav(b"", length=length)
        whole = header_only[: header_only.rindex(b"LIST")] + data
        assert is_tone(decoded(whole))


def test_floats_that_are_no_numbers_are_silence_and_too_loud_ones_are_cut() -> None:
    values = np.array([np.nan, np.inf, -np.inf, 7.0, -7.0, 0.0])
    assert decoded(wav(written(values[:, None], "f32"), encoding="f32"))[:6].tolist() == [
        0,
        32767,
        -32768,
        32767,
        -32768,
        0,
    ]


GOOD = wav(written(tone(), "s16"))


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "no sound"),
        (b"RIFF", "ends within its header"),
        (GOOD[:30], "ends within its header"),
        (b"ID3\x04" + bytes(100), "not a WAV"),
        (GOOD.replace(b"WAVE", b"AVI "), "not a WAV"),
        (GOOD.replace(b"fmt ", b"fmx "), "how its samples"),
        (GOOD[: len(GOOD) // 2], "0.3 seconds are missing"),
        (wav(b"", channels=0), "format|bits"),
        (wav(bytes(64), rate=3), "3 samples a second"),
        (wav(bytes(8 * 300), channels=300), "300 channels"),
        (wav(bytes(64)).replace(struct.pack("<HHI", 1, 1, RATE), struct.pack("<HHI", 7, 1, RATE)), "mu-law.*ffmpeg"),
        (b"RIFF\0\0\0\0WAVEfmt \x04\0\0\0\1\0\1\0data\0\0\0\0", "too short"),
        (b"RIFF\0\0\0\0WAVE" + (b"JUNK" + struct.pack("<I", 1 << 20) + bytes(1 << 20)) * 5, "first 4 MB"),
    ],
)
def test_a_broken_file_is_said_to_be_one(data: bytes, what: str) -> None:
    with pytest.raises(SoundError, match=what):
        decoded(data, block=1 << 16)


def test_any_damage_to_a_header_is_an_error_or_sound_and_nothing_else() -> None:
    pytest.importorskip("soxr", reason="the extra `voice` is not installed")
    start = header(GOOD)
    assert start is not None
    chance = np.random.default_rng(2)
    for _ in range(300):
        data = bytearray(GOOD[: start.start + 400])
        for at in chance.integers(0, start.start, 3):
            data[at] = chance.integers(256)
        with suppress(SoundError):
            decoded(bytes(data))


def test_formats_that_cannot_be_are_refused() -> None:
    for wrong in (Format, 0, 1, "s16"), (Format, RATE, 0, "s16"), (Format, RATE, 1, "s12"):
        with pytest.raises(SoundError):
            wrong[0](*wrong[1:])  # type: ignore[arg-type, operator] # on purpose


def test_levels() -> None:
    assert level(np.zeros(FRAME, np.int16)) == level(np.zeros(0, np.int16)) == QUIETEST
    assert level(np.full(FRAME, -32768, np.int16)) == 0
    assert level(np.full(FRAME, 3277, np.int16)) == pytest.approx(-20, abs=0.01)
    assert (meter(-96, 4), meter(-30, 4), meter(0, 4), meter(5, 4)) == ("....", "##..", "####", "####")
    assert all(a.count("#") <= b.count("#") for a, b in pairwise(meter(db) for db in range(-70, 5)))


async def collected(frames: AsyncGenerator[Samples, None], most: int = 1 << 20) -> Samples:
    found: list[Samples] = []
    async with aclosing(frames):
        async for frame in frames:
            found.append(frame)
            if len(found) == most:
                break
    return np.concatenate(found)


async def test_a_file_is_heard_and_one_that_is_not_there_is_said(tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    file.write_bytes(GOOD)
    assert is_tone(await collected(from_file(file)))
    file.write_bytes(b"")
    for wrong, what in ((file, "no sound"), (tmp_path / "b.wav", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(SoundError, match=rf"{wrong.name}.*{what}"):
            await collected(from_file(wrong))


async def test_a_named_pipe_is_heard_as_it_is_filled(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    data = written(tone(), "s16")
    hearing = asyncio.create_task(collected(from_file(pipe, Format())))
    await asyncio.sleep(0)

    def fill() -> None:
        with pipe.open("wb", buffering=0) as file:
            file.write(data[:3_001])
            file.write(data[3_001:])

    await asyncio.gather(asyncio.to_thread(fill), hearing)
    assert is_tone(hearing.result())


async def test_stdin_is_heard_from_a_pipe_and_from_a_file(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys\nfrom hub.sound import Format, from_file, to_file\n"
        "asyncio.run(to_file(None, from_file(None, Format()), 16000))"
    )
    file = tmp_path / "a.wav"
    file.write_bytes(GOOD)
    for given in (asyncio.subprocess.PIPE, file.open("rb")):
        process = await asyncio.create_subprocess_exec(
            *(os.sys.executable, "-c", code),  # type: ignore[attr-defined]
            stdin=given,
            stdout=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parents[1],
        )
        out, _ = await process.communicate(GOOD if given == asyncio.subprocess.PIPE else None)
        assert is_tone(np.frombuffer(out, np.int16))
        if not isinstance(given, int):
            given.close()


async def parts(samples: Samples) -> AsyncIterator[Samples]:
    for at in range(0, len(samples), 999):
        yield samples[at : at + 999]


async def test_what_is_written_into_a_file_can_be_heard_again(tmp_path: Path) -> None:
    samples = (tone()[:, 0] * 32767).astype(np.int16)
    await to_file(tmp_path / "a.wav", parts(samples), RATE)
    assert is_tone(await collected(from_file(tmp_path / "a.wav")))
    with wave.open(io.BytesIO((tmp_path / "a.wav").read_bytes())) as file:
        assert file.getnframes() == len(samples)
    with pytest.raises(SoundError, match="cannot be written"):
        await to_file(tmp_path / "none" / "a.wav", parts(samples), RATE)
