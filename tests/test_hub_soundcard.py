"""Microphones and loudspeakers by the real PortAudio: those that go away, and what must not take the hub with it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from ctypes.util import find_library
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest

from hub import soundcard
from hub.post import LocalPost
from hub.sound import FRAME, RATE, Format, Samples, SoundError, level
from hub.soundcard import Loudspeaker, Microphone, from_device, to_device

TONE = 440  # Hz


def tone(seconds: float = 0.5) -> Samples:
    return (16_000 * np.sin(2 * np.pi * TONE * np.arange(int(seconds * RATE)) / RATE)).astype(np.int16)


def pitch(samples: Samples) -> float:
    """The strongest frequency, in Hz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * RATE / len(samples))


async def collected(frames: AsyncGenerator[Samples, None], most: int) -> Samples:
    """The first frames, one after the other."""
    kept: list[Samples] = []
    async with aclosing(frames):
        async for frame in frames:
            kept.append(frame)
            if len(kept) >= most:
                break
    return np.concatenate(kept)


async def parts(samples: Samples) -> AsyncIterator[Samples]:
    for at in range(0, len(samples), 999):
        yield samples[at : at + 999]


class Plug:
    """A microphone that can be unplugged: opened it gives the tone, and counts the openings."""

    def __init__(self, *, lives: int, mute: bool = False) -> None:
        self.opened = 0
        self.open_now = 0
        self.format = Format(RATE, 2)
        self._lives = lives
        self._left = 0
        self._mute = mute

    @asynccontextmanager
    async def __call__(self, device: str) -> AsyncIterator[Plug]:
        self.opened += 1
        if self.opened > 1 and self.opened % 2 == 0:
            raise SoundError("not plugged in")
        self.open_now += 1
        self._left = self._lives
        try:
            yield self
        finally:
            self.open_now -= 1

    async def read(self) -> bytes:
        if self._left:
            self._left -= 1
            return np.repeat(tone()[:FRAME], 2).tobytes()
        if self._mute:
            await asyncio.Event().wait()
        return b""


@pytest.mark.parametrize("mute", [False, True])
async def test_a_microphone_that_goes_away_is_opened_again(mute: bool, caplog: pytest.LogCaptureFixture) -> None:
    plug = Plug(lives=3, mute=mute)
    heard = await collected(from_device("x", plug, again=0, mute=0.02 if mute else 30), most=8)
    assert len(heard) == 8 * FRAME
    assert plug.opened == 5  # three times there, and twice not yet
    assert plug.open_now == 0
    assert caplog.text.count("is back") == 2


async def test_a_microphone_that_is_not_there_at_the_start_is_an_error() -> None:
    @asynccontextmanager
    async def nothing(device: str) -> AsyncIterator[Microphone]:
        raise SoundError("there is no microphone")
        yield

    with pytest.raises(SoundError, match="no microphone"):
        await collected(from_device("", nothing), 1)


async def test_a_listener_that_is_cancelled_lets_the_microphone_go() -> None:
    plug = Plug(lives=1, mute=True)
    listening = asyncio.create_task(collected(from_device("", plug), 9))
    while not plug.open_now:
        await asyncio.sleep(0)
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening
    assert plug.open_now == 0


@pytest.fixture
def alsa(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """ALSA with a microphone that says the tone over and over, and a loudspeaker that writes into a file."""
    shared = Path("/usr/share/alsa/alsa.conf")
    if not shared.exists():
        pytest.skip("ALSA is not installed: apt-get install libportaudio2")
    said, heard = tmp_path / "said.raw", tmp_path / "heard.raw"
    said.write_bytes(tone().tobytes() * 20)
    (tmp_path / "asound.conf").write_text(
        f"<{shared}>\n"
        f'pcm.microphone {{ type file slave.pcm null file "/dev/null" infile "{said}" format raw hint.show on }}\n'
        f'pcm.loudspeaker {{ type file slave.pcm null file "{heard}" format raw hint.show on }}\n'
    )
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(tmp_path / "asound.conf"))
    if find_library("portaudio") is None:
        pytest.skip("PortAudio is not installed: apt-get install libportaudio2")
    pytest.importorskip("sounddevice", reason="the extra `voice` is not installed")
    return heard


async def test_port_audio_records_and_plays(alsa: Path) -> None:
    heard = await asyncio.wait_for(collected(from_device("MICROPHONE"), most=20), 20)
    assert abs(pitch(heard[: RATE // 4]) - TONE) < 8
    samples = tone()
    await asyncio.wait_for(to_device("loudspeaker", parts(samples), RATE), 20)
    assert abs(pitch(np.frombuffer(alsa.read_bytes(), np.int16)[: RATE // 4]) - TONE) < 8


async def test_a_device_that_is_not_there_is_named_with_those_that_are(alsa: Path) -> None:
    with pytest.raises(SoundError, match=r"no microphone 'bathtub'.*microphone"):
        await collected(from_device("bathtub"), 1)
    with pytest.raises(SoundError, match=r"no loudspeaker 'bathtub'.*loudspeaker"):
        await to_device("bathtub", parts(np.zeros(1, np.int16)), RATE)


class Pulse(Protocol):
    async def tell(self, *words: str) -> int: ...


async def always(samples: Samples) -> AsyncIterator[Samples]:
    while True:
        yield samples


async def loud(frames: AsyncGenerator[Samples, None], than: float) -> None:
    """Returns when something is louder than this."""
    async with asyncio.timeout(30):
        while level(await anext(frames)) < than:
            pass


async def test_what_a_loudspeaker_says_is_heard_by_a_microphone_that_was_unplugged(pulse: Pulse) -> None:
    samples = tone()
    async with aclosing(from_device("microphone", again=0.1)) as frames:
        for _ in range(2):
            speaking = asyncio.create_task(to_device("loudspeaker", always(samples), RATE))
            await loud(frames, -20)
            speaking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await speaking
            await pulse.tell("unload-module", "module-null-sink")
            await pulse.tell("load-module", "module-null-sink", "sink_name=room")


async def test_a_post_of_this_machine_hears_again_what_was_unplugged_and_is_cut_off_at_once(
    pulse: Pulse, caplog: pytest.LogCaptureFixture
) -> None:
    post = LocalPost("hall", "Hall", (), "microphone", "loudspeaker")
    samples = tone()
    await pulse.tell("unload-module", "module-null-sink")
    async with aclosing(post.listen()) as heard:
        waiting = asyncio.ensure_future(anext(heard))  # for a microphone that was never there
        async with asyncio.timeout(30):
            while "it is waited for" not in caplog.text:
                await asyncio.sleep(0.02)
        await pulse.tell("load-module", "module-null-sink", "sink_name=room")
        speaking = asyncio.create_task(post.play(always(samples), RATE))
        await waiting
        async with asyncio.timeout(30):
            while not isinstance(frame := await anext(heard), np.ndarray) or level(frame) < -20:
                pass
            speaking.cancel()
            await asyncio.wait([speaking])
            while not isinstance(frame := await anext(heard), np.ndarray) or level(frame) > -60:
                pass
    await post.close()
    assert speaking.cancelled()
    assert caplog.text.count("it is waited for") == 1


# -- what ends PortAudio does not end the hub


@pytest.mark.parametrize("broken", ["", "pcm.!default {", "<nowhere>\n", "\0garbage\xff" * 99])
async def test_a_broken_configuration_of_alsa_is_an_error_like_any_other(
    alsa: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    (tmp_path / "broken.conf").write_text(broken)
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(tmp_path / "broken.conf"))
    for asking in (
        collected(from_device("microphone"), 1),
        to_device("loudspeaker", parts(tone()), RATE),
        soundcard.names("input"),
        soundcard.meant("output", ""),
    ):
        with pytest.raises(SoundError, match=r"aplay -L|there is no|cannot be used"):
            await asking


async def test_a_microphone_whose_process_dies_is_opened_again(alsa: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with aclosing(from_device("microphone", again=0)) as frames, asyncio.timeout(60):
        await anext(frames)
        for number in (signal.SIGABRT, signal.SIGKILL, signal.SIGSTOP):
            (pid,) = children()
            os.kill(pid, number)
            while children() in ([], [pid]):
                await anext(frames)
        await anext(frames)
    assert caplog.text.count("is back") == 3
    assert children() == []


async def test_a_loudspeaker_whose_process_dies_plays_again(alsa: Path) -> None:
    speaker = Loudspeaker("loudspeaker")
    await speaker.play(parts(tone()), RATE)
    (pid,) = children()
    await speaker.play(parts(tone()), RATE)
    assert children() == [pid]  # the same one
    os.kill(pid, signal.SIGABRT)
    with pytest.raises(SoundError, match=r"SIGABRT.*aplay -L"):
        await speaker.play(parts(tone()), RATE)
    await speaker.play(parts(tone()), RATE)
    assert abs(pitch(np.frombuffer(alsa.read_bytes(), np.int16)[: RATE // 4]) - TONE) < 8
    await speaker.close()
    await speaker.close()
    assert children() == []


async def test_who_is_cut_off_can_speak_again_by_the_same_process(alsa: Path) -> None:
    speaker = Loudspeaker("loudspeaker")
    spoken = asyncio.Event()

    async def for_ever() -> AsyncIterator[Samples]:
        while True:
            yield tone()
            spoken.set()

    speaking = asyncio.create_task(speaker.play(for_ever(), RATE))
    await spoken.wait()
    before = children()
    speaking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await speaking
    await speaker.play(parts(tone()), RATE)
    assert children() == before
    await speaker.close()


def children() -> list[int]:
    """The processes for sound that this one has started and that run."""
    found: list[int] = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just gone
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and "hub.portaudio" in (folder / "cmdline").read_text().split("\0"):
                found.append(int(folder.name))
    return found
