"""Spoken sentences on disk: made once, whole or not at all, and read again as they were said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hub import HubError, recordings, speakers
from hub.sound import RATE, Samples
from hub.speakers import Speaker

pytest.importorskip("soxr", reason="the extra `voice` is not installed")


def tone(speaker: Speaker, text: str) -> Samples:
    """A voice that hums, longer for longer words."""
    at = np.arange(len(text) * RATE // 200) / RATE
    return (8000 * speaker.pitch * np.sin(2 * np.pi * 300 * at)).astype(np.int16)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "PART", 6)
    monkeypatch.setattr(speakers, "engines", lambda: ["espeak-ng"])


def test_eight_bits_are_enough_for_soft_sounds_too() -> None:
    for loud in (20_000, 2_000, 200):
        samples = (loud * np.sin(np.arange(RATE) / 7)).astype(np.int16)
        off = recordings.unpacked(recordings.packed(samples)) - samples / 32768
        assert np.abs(off).max() < 0.05 * loud / 32768 + 2e-4


@pytest.mark.usefixtures("small")
def test_what_is_there_is_not_said_again(tmp_path: Path) -> None:
    said: list[str] = []

    def say(speaker: Speaker, text: str) -> Samples:
        said.append(text)
        assert not speaker.held_out
        return tone(speaker, text)

    told: list[str] = []
    recordings.make(tmp_path, 10, 1, told.append, jobs=1, say=say)
    assert told == ["speech: 6 of 10 sentences said", "speech: 10 of 10 sentences said"]
    clips = recordings.load(tmp_path, 10)
    assert [text for text in clips.texts if text] == said
    values, text = clips[1]
    assert len(values) == clips.lengths[1] == len(tone(Speaker("", ""), text)) or not text
    whole = list(clips.texts)

    (tmp_path / "0001.json").unlink()
    del said[:]
    recordings.make(tmp_path, 10, 1, told.append, jobs=2, say=say)
    assert [text for text in whole[6:] if text] == sorted(said, key=whole.index)
    assert list(recordings.load(tmp_path, 10).texts) == whole


@pytest.mark.usefixtures("small")
def test_speech_that_is_damaged_or_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(HubError, match="part 0 of the speech cannot be read"):
        recordings.load(tmp_path, 1)
    recordings.make(tmp_path, 1, 1, print, jobs=1, say=tone)
    (tmp_path / "0000.u8").write_bytes(b"12")
    with pytest.raises(HubError, match=r"0000\.u8.*damaged; delete it"):
        recordings.load(tmp_path, 1)


@pytest.mark.usefixtures("small")
def test_a_voice_that_fails_ends_it_and_leaves_no_half_part(tmp_path: Path) -> None:
    def say(speaker: Speaker, text: str) -> Samples:
        raise HubError("no voice")

    with pytest.raises(HubError, match="no voice"):
        recordings.make(tmp_path, 1, 1, print, jobs=1, say=say)
    assert not list(tmp_path.glob("*.json"))
