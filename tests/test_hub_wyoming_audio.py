"""Sound of any format as frames, no faster than it can have been spoken."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

pytest.importorskip("wyoming", reason="the extra `wyoming` is not installed")
pytest.importorskip("soxr", reason="the extra `voice` is not installed")

from wyoming.event import Event

from hub.sound import FRAME, RATE, SoundError
from hub.wyoming import audio
from hub.wyoming.audio import Pace, Sound, format_of
from hub.wyoming.wire import WireError


def chunk(payload: bytes, rate: Any = RATE, width: Any = 2, channels: Any = 1) -> Event:
    return Event("audio-chunk", {"rate": rate, "width": width, "channels": channels}, payload)


def test_pieces_of_any_size_and_format_are_the_same_frames() -> None:
    samples = (np.sin(np.arange(4 * FRAME) / 20) * 20_000).astype("<i2")
    data = samples.tobytes()
    sound = Sound()
    frames = [frame for at in range(0, len(data), 333) for frame in sound.take(chunk(data[at : at + 333]))]
    assert np.array_equal(np.concatenate(frames), samples)
    assert not sound.end()
    stereo = np.repeat(samples, 2).tobytes()
    assert np.array_equal(np.concatenate(Sound().take(chunk(stereo, channels=2))), samples)


def test_the_last_piece_is_filled_up() -> None:
    sound = Sound()
    assert not sound.end()
    assert not sound.take(chunk(bytes(100)))
    assert [len(frame) for frame in sound.end()] == [FRAME]


@pytest.mark.parametrize(
    ("rate", "width", "channels"), [(RATE, 0, 1), (RATE, 5, 1), ("x", 2, 1), (RATE, 2, None), (1, 2, 1), (RATE, 2, 999)]
)
def test_what_is_no_format_is_told(rate: Any, width: Any, channels: Any) -> None:
    with pytest.raises((WireError, SoundError)):
        format_of(chunk(b"", rate, width, channels))


async def test_who_sends_more_than_can_be_said_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio, "BURST", 5.0)
    pace = Pace()
    for _ in range(int(5.0 * RATE / FRAME)):
        await pace.frame()
    more = asyncio.create_task(_frames(pace, 100))
    for _ in range(300):
        await asyncio.sleep(0)
    assert not more.done()
    more.cancel()


async def _frames(pace: Pace, number: int) -> None:
    for _ in range(number):
        await pace.frame()
