"""Wake words: the right one is heard once, with what followed it; noise and other words are none; bad models are refused."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from hub.sound import Decoder
from models import ModelError
from models.wake import BUNDLED, KEPT, RATE, Hit, Wake, WakeWord, check

engine = pytest.importorskip("pymicro_wakeword", reason="the extra `voice` is not installed")
Samples = NDArray[np.int16]


def silence(seconds: float) -> Samples:
    return np.zeros(int(seconds * RATE), np.int16)


def said(text: str) -> Samples:
    """The text as a synthetic voice says it, with silence around it."""
    if shutil.which("espeak-ng") is None:
        pytest.skip("no synthetic voice: apt-get install espeak-ng")
    pytest.importorskip("soxr", reason="the extra `voice` is not installed")
    done = subprocess.run(["espeak-ng", "-s", "160", "--stdout", text], capture_output=True, check=True, timeout=30)
    decoder = Decoder()
    return np.concatenate([silence(1), *decoder.take(done.stdout), *decoder.end(), silence(1)])


def heard(wake: Wake, sound: Samples, size: int = 512) -> list[tuple[int, Hit]]:
    """The hits, each with the number of samples that had come by then."""
    frames = [(at + size, wake.take(sound[at : at + size])) for at in range(0, len(sound), size)]
    return [(at, hit) for at, hit in frames if hit]


def words(hits: Iterable[tuple[int, Hit]]) -> list[str]:
    return [hit.word for _, hit in hits]


@pytest.fixture
def wake() -> Wake:
    return Wake([WakeWord(name) for name in BUNDLED])


@pytest.mark.parametrize(
    ("text", "name"), [("okay nabu", "Okay Nabu"), ("alexa", "Alexa"), ("hey mycroft", "Hey Mycroft")]
)
def test_each_word_is_heard_once_and_as_itself(wake: Wake, text: str, name: str) -> None:
    sound = said(text)
    assert words(heard(wake, sound)) == [name]
    assert words(heard(wake, sound, size=160)) == [name]  # the next time, and in frames of another size


def test_what_followed_without_a_pause_is_handed_over(wake: Wake) -> None:
    sound = said("okay nabu turn on the kitchen light")
    ((at, hit),) = heard(wake, sound)
    assert len(hit.followed) == KEPT * RATE
    assert np.array_equal(hit.followed, sound[at - len(hit.followed) : at])
    assert hit.probability > 0.85
    assert len(sound) - at > RATE  # the command is still to come


def test_other_words_noise_and_silence_are_none(wake: Wake) -> None:
    noise = np.random.default_rng(1).normal(0, 3000, 10 * RATE).astype(np.int16)
    for sound in (
        said("turn off all of the lights in the office, and set a timer for ten minutes"),
        noise,
        silence(10),
    ):
        assert not heard(wake, sound)


def test_only_the_words_that_are_listened_for_count() -> None:
    assert not heard(Wake([WakeWord("hey_jarvis"), WakeWord("okay_nabu")]), said("alexa"))


def test_a_threshold_that_nothing_reaches_and_one_that_anything_does() -> None:
    sound = said("alexa")
    assert not heard(Wake([WakeWord("alexa", 0.99999)]), sound)
    ((_, low),) = heard(Wake([WakeWord("alexa", 0.2)]), sound)
    ((_, usual),) = heard(Wake([WakeWord("alexa")]), sound)
    assert low.probability < usual.probability


def test_a_reset_forgets_half_a_word(wake: Wake) -> None:
    sound = said("alexa")
    (at, _), *_ = heard(wake, sound)
    wake.reset()
    assert not heard(wake, sound[: at - RATE // 5])
    wake.reset()
    assert not heard(wake, np.concatenate([silence(1), sound[at - RATE // 5 :]]))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A model of the user's own: a bundled one under another name."""
    bundled = Path(engine.__file__).parent / "models"
    config = json.loads((bundled / "alexa.json").read_text())
    shutil.copy(bundled / "alexa.tflite", tmp_path / "computer.tflite")
    file = tmp_path / "computer.json"
    file.write_text(json.dumps(config | {"wake_word": "Computer", "model": "computer.tflite"}))
    return file


def test_a_model_of_ones_own_is_heard_beside_the_bundled_ones(own: Path) -> None:
    wake = Wake([WakeWord(str(own)), WakeWord("okay_nabu")])
    assert words(heard(wake, said("alexa"))) == ["Computer"]


def changed(file: Path, change: dict[str, object]) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | change))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"model": "missing.tflite"}, "missing.tflite: cannot be read"),
        ({"model": "../computer.tflite"}, "no microWakeWord"),
        ({"model": "computer.json"}, "no microWakeWord"),
        ({"model": 1}, "no microWakeWord"),
        ({"micro": {}}, "no microWakeWord"),
        ({"micro": []}, "no microWakeWord"),
        ({"wake_word": None}, "no microWakeWord"),
        ({"micro": {"probability_cutoff": 2, "sliding_window_size": 5, "feature_step_size": 10}}, "no microWakeWord"),
        ({"micro": {"probability_cutoff": 0.9, "sliding_window_size": 5, "feature_step_size": 20}}, "20 ms a step"),
    ],
)
def test_a_description_that_is_wrong_is_refused(own: Path, change: dict[str, object], what: str) -> None:
    changed(own, change)
    with pytest.raises(ModelError, match=what):
        check(own)


def test_a_damaged_model_is_refused_and_ends_nobody(own: Path) -> None:
    model = own.with_suffix(".tflite")
    whole = model.read_bytes()
    for damaged in (whole[:2000], whole[:8] + bytes(len(whole) - 8)):
        model.write_bytes(damaged)
        with pytest.raises(ModelError, match="damaged"):
            Wake([WakeWord(str(own))])


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: WakeWord("computer"), "no such wake word.*okay_nabu"),
        (lambda: WakeWord("alexa", 1.5), "between 0 and 1"),
        (lambda: Wake([]), "no wake word"),
        (lambda: Wake([WakeWord("/nowhere/x.json")]), "cannot be read"),
    ],
)
def test_wrong_words_are_refused(make: object, what: str) -> None:
    assert callable(make)
    with pytest.raises(ModelError, match=what):
        make()
