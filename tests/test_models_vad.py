"""The end of speech: found soon, in noise too; a cough is nothing, a television is too long, and pauses tear nothing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from hub.scripted import vowels
from models import ModelError
from models.vad import FRAME, RATE, SECONDS, Endpoint, Patience, Phase, SpeechDetector, silero

Sound = NDArray[np.float64]


def run(probabilities: Iterable[float], patience: Patience | None = None) -> tuple[Endpoint, int]:
    """The endpoint after the first end, and how many frames that took."""
    endpoint, frames = Endpoint(patience), 0
    for probability in probabilities:
        frames += 1
        if endpoint.take(probability) not in (Phase.WAITING, Phase.SPEAKING):
            break
    return endpoint, frames


def shown(digits: str) -> list[float]:
    """Probabilities in sixteenths, a digit a frame."""
    return [int(digit, 16) / 15 for digit in digits]


SILENCE = "0" * 40


def test_an_utterance_ends_soon_after_its_last_frame() -> None:
    endpoint, frames = run(shown("00100" + "9def" * 6 + SILENCE))
    assert endpoint.phase is Phase.ENDED
    assert (endpoint.began, endpoint.ended) == (5, 29)
    assert 0.38 <= (frames - 29) * SECONDS < 0.42


def test_a_pause_shorter_than_the_silence_tears_nothing() -> None:
    endpoint, _ = run(shown("0000" + "dfed" * 3 + "21" * 5 + "cfed" * 3 + SILENCE))
    assert (endpoint.phase, endpoint.began, endpoint.ended) == (Phase.ENDED, 4, 38)
    hasty, _ = run(shown("0000" + "dfed" * 3 + "21" * 5 + "cfed" * 3 + SILENCE), Patience(silence=0.3))
    assert hasty.ended == 16


def test_nobody_says_anything() -> None:
    endpoint, frames = run(shown(SILENCE * 20))
    assert endpoint.phase is Phase.NOTHING
    assert frames * SECONDS == pytest.approx(5, abs=SECONDS)
    assert endpoint.began is endpoint.ended is None


def test_a_click_and_a_cough_are_no_speech() -> None:
    endpoint, frames = run(shown("000f" + "0" * 20 + "00ff0" + "0" * 20 + "0efd" + SILENCE * 5))
    assert endpoint.phase is Phase.NOTHING
    assert frames * SECONDS >= 5


def test_what_does_not_end_is_too_long() -> None:
    endpoint, frames = run(shown("00" + "de" * 1000), Patience(longest=3))
    assert endpoint.phase is Phase.TOO_LONG
    assert (frames - 2) * SECONDS == pytest.approx(3, abs=SECONDS)


def test_in_noise_the_thresholds_rise_with_it() -> None:
    quiet, loud = Endpoint(), Endpoint()
    for _ in range(60):
        quiet.take(0.02)
        loud.take(0.35)
    assert loud.begin_threshold > quiet.begin_threshold + 0.2
    for _ in range(20):
        quiet.take(0.9)
        loud.take(0.9)
    assert loud.end_threshold >= quiet.end_threshold > 0.15
    for _ in range(13):
        loud.take(0.38)  # above what would be speech from afar in a quiet room
    assert loud.phase is Phase.ENDED


def test_a_far_voice_is_heard_and_its_end_too() -> None:
    endpoint, _ = run(shown("0000" + "0179888876655544555667654" + "22111" + SILENCE))
    assert (endpoint.phase, endpoint.began) == (Phase.ENDED, 6)
    assert endpoint.ended == 29


def test_an_end_is_an_end() -> None:
    endpoint, _ = run(shown("0000" + "f" * 10 + SILENCE))
    assert {endpoint.take(p) for p in shown("ffff" * 20)} == {Phase.ENDED}


def test_where_no_more_comes_whoever_spoke_has_ended() -> None:
    for given, phase in (
        ("000", Phase.NOTHING),
        ("0fff", Phase.NOTHING),
        ("0" + "f" * 9, Phase.ENDED),
        ("", Phase.NOTHING),
    ):
        endpoint, _ = run(shown(given))
        assert endpoint.end() is phase


@pytest.mark.parametrize("wrong", [{"silence": 0}, {"longest": 0.2}, {"nothing": -1}])
def test_times_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="positive"):
        Patience(**wrong)


# -- the engine


@pytest.fixture(scope="module")
def detector() -> SpeechDetector:
    pytest.importorskip("onnxruntime", reason="the extra `voice` is not installed")
    pytest.importorskip("faster_whisper", reason="the extra `voice` is not installed")
    return SpeechDetector()


def probabilities(detector: SpeechDetector, sound: Sound) -> list[float]:
    detector.reset()
    samples = (sound * 32767).astype(np.int16)
    return [detector.take(samples[at : at + FRAME]) for at in range(0, len(samples) - FRAME + 1, FRAME)]


def test_silence_noise_and_a_hum_are_no_speech(detector: SpeechDetector) -> None:
    chance = np.random.default_rng(1)
    hum = 0.1 * np.sin(2 * np.pi * 50 * np.arange(6 * RATE) / RATE)
    for sound in (np.zeros(6 * RATE), chance.normal(0, 0.1, 6 * RATE).clip(-1, 1), hum):
        endpoint, _ = run(probabilities(detector, sound))
        assert endpoint.phase is Phase.NOTHING


@pytest.mark.parametrize("ratio", [None, 20, 10, 5])
def test_the_end_is_found_within_seven_tenths_of_a_second(detector: SpeechDetector, ratio: float | None) -> None:
    said = vowels(2.5)
    sound = np.concatenate([np.zeros(RATE), said, np.zeros(2 * RATE)])
    if ratio is not None:
        noise = np.random.default_rng(3).normal(0, 1, len(sound))
        sound += noise * np.sqrt(np.mean(said**2)) / 10 ** (ratio / 20)
    endpoint, frames = run(probabilities(detector, sound.clip(-1, 1)))
    assert endpoint.phase is Phase.ENDED
    assert endpoint.began is not None
    assert abs(endpoint.began * SECONDS - 1) < 0.25
    assert 0.3 < frames * SECONDS - (1 + len(said) / RATE) < 0.7


@pytest.mark.parametrize("loud", [0.003, 0.03, 3])
def test_a_voice_is_found_however_loud_the_microphone_is(detector: SpeechDetector, loud: float) -> None:
    sound = np.concatenate([np.zeros(RATE), vowels(1.5, loud).clip(-1, 1), np.zeros(RATE)])
    endpoint, _ = run(probabilities(detector, sound))
    assert endpoint.phase is Phase.ENDED


def test_a_reset_forgets(detector: SpeechDetector) -> None:
    first = probabilities(detector, vowels(1))
    assert probabilities(detector, vowels(1)) == first


def test_a_frame_of_another_size_is_a_mistake(detector: SpeechDetector) -> None:
    with pytest.raises(ValueError, match="512"):
        detector.take(np.zeros(480, np.int16))


def test_a_file_that_is_no_network_is_said_to_be_none(detector: SpeechDetector, tmp_path: Path) -> None:
    broken = tmp_path / "silero.onnx"
    for data in (b"", b"nonsense", silero().read_bytes()[:5000]):
        broken.write_bytes(data)
        with pytest.raises(ModelError, match="no detector of speech"):
            SpeechDetector(broken)
    with pytest.raises(ModelError, match="no detector of speech"):
        SpeechDetector(tmp_path / "missing.onnx")
