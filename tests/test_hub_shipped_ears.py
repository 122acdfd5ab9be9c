"""The ears that ship for the demo: what a voice that they never heard says to them comes out nearly as it was said."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil

import numpy as np
import pytest

for package in ("faster_whisper", "onnxruntime", "soxr"):
    pytest.importorskip(package, reason="the extra `voice` is not installed")

from devices.simulator.home import furnish  # noqa: E402 - after the check that it can be imported at all
from hub import demo_voice, speakers  # noqa: E402
from hub.aloud import COMMANDS, aloud  # noqa: E402
from hub.score_ears import word_errors  # noqa: E402
from hub.sound import RATE, Samples  # noqa: E402
from models.hearing import Gate, Hearing, hotwords  # noqa: E402

NAMES = hotwords([name for thing in furnish() for name in (thing.room, thing.name)])
HELD = [speaker for speaker in speakers.strangers(["espeak-ng"]) if speaker.voice in ("en-us+linda", "en+edward")]


def heard(sounds: list[Samples]) -> list[str]:
    """What the ears make of each; "" where the gate does not believe it."""

    async def all_of_them() -> list[str]:
        async with Hearing(demo_voice.EARS, threads=1) as hearing:
            found = [await hearing.hear(sound.astype("<i2").tobytes(), NAMES) for sound in sounds]
            return ["" if Gate().reason(one) else one.text for one in found]

    return asyncio.run(all_of_them())


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_strangers_are_heard() -> None:
    assert all(speaker.held_out for speaker in HELD)
    said = [(speaker, text) for n, speaker in enumerate(HELD) for text in COMMANDS[n::6][:12]]
    texts = heard([np.pad(speakers.say(*one), round(0.4 * RATE)) for one in said])
    wrong = sum(
        word_errors(aloud(text).split(), aloud(got).split()) for (_, text), got in zip(said, texts, strict=True)
    )
    words = sum(len(aloud(text).split()) for _, text in said)
    assert wrong <= 0.1 * words, [(text, got) for (_, text), got in zip(said, texts, strict=True) if text != got]


def test_nobody_is_heard_in_noise() -> None:
    noise = np.random.default_rng(4).normal(0, 300, 3 * RATE).astype(np.int16)
    assert heard([np.zeros(2 * RATE, np.int16), noise]) == ["", ""]


def test_the_card_is_of_these_ears() -> None:
    card = json.loads((demo_voice.EARS / "card.json").read_text())
    assert card["sha256 of model.bin"] == hashlib.sha256((demo_voice.EARS / "model.bin").read_bytes()).hexdigest()
    assert sum(file.stat().st_size for file in demo_voice.EARS.iterdir()) < 15_000_000
    assert {speaker.voice for speaker in HELD} <= card["scores by voices that were not in the training"].keys()


def test_nothing_is_missing_for_the_demo_aloud() -> None:
    if shutil.which("espeak-ng"):
        assert demo_voice.missing() == ""
