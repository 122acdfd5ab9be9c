"""Synthetic voices: many to learn from, some that are never learned from."""

from __future__ import annotations

import random
import shutil

import numpy as np
import pytest

from hub import HubError
from hub.sound import RATE
from hub.speakers import Speaker, draw, engines, say, strangers

pytest.importorskip("soxr", reason="the extra `voice` is not installed")
needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")


def test_nobody_who_is_held_out_is_ever_drawn() -> None:
    rng = random.Random(1)
    drawn = {draw(rng, ["espeak-ng", "flite"]).voice for _ in range(3000)}
    assert len(drawn) > 300
    assert drawn.isdisjoint(speaker.voice for speaker in strangers(["espeak-ng", "flite"]))
    assert not any(Speaker("", voice).held_out for voice in drawn)
    assert all(speaker.held_out for speaker in strangers(["espeak-ng", "flite"]))


@needs_espeak
@pytest.mark.parametrize("speaker", strangers(engines() if shutil.which("espeak-ng") else ["espeak-ng"]), ids=str)
def test_strangers_speak_each_in_another_way(speaker: Speaker) -> None:
    samples = say(speaker, "turn on the light")
    assert 0.7 * RATE < len(samples) < 4 * RATE
    assert np.abs(samples.astype(int)).max() > 2000
    others = [say(other, "turn on the light") for other in strangers(["espeak-ng"]) if other != speaker]
    assert not any(np.array_equal(samples, other) for other in others)


@needs_espeak
def test_a_larger_throat_is_lower_and_as_fast() -> None:
    plain, large = (say(Speaker("espeak-ng", "en-us", size=size), "turn on the light") for size in (0.9, 1.14))
    assert len(large) == pytest.approx(len(plain), rel=0.15)
    middle = [np.average(np.arange(4001), weights=np.abs(np.fft.rfft(x[:8000])) ** 2) for x in (plain, large)]
    assert middle[1] < middle[0]


@needs_espeak
def test_what_cannot_be_said_is_an_error_with_a_reason() -> None:
    with pytest.raises(HubError, match="espeak-ng cannot say that as nobody"):
        say(Speaker("espeak-ng", "nobody"), "hello")


def test_a_machine_without_a_voice_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(HubError, match="apt-get install espeak-ng"):
        engines()
