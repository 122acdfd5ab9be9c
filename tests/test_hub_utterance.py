"""What is said is kept whole, also behind the end of a wake word."""

from __future__ import annotations

import numpy as np
import pytest

from hub.sound import FRAME, Samples
from hub.utterance import AFTER, UNDECIDED, Catcher
from models.vad import SECONDS, Patience, Phase

pytest.importorskip("onnxruntime", reason="the extra `voice` is not installed")


def told(catcher: Catcher, *voices: tuple[bool, int]) -> list[Phase]:
    """The phase after each frame; the frames of one call are numbered on, so that they can be told apart."""
    phases: list[Phase] = []
    for voice, count in voices:
        for _ in range(count):
            frame = np.full(FRAME, len(phases), np.int16)
            phases.append(catcher.take(frame, 0.95 if voice else 0.02))
            if phases[-1] not in UNDECIDED:
                return phases
    return phases


def numbers(samples: Samples) -> list[int]:
    return [int(n) for n in samples[::FRAME]]


LATE = round(AFTER / SECONDS)


@pytest.mark.parametrize("pause", [20, 60])
def test_behind_the_end_of_a_wake_word_the_command_is_kept_whole(pause: int) -> None:
    catcher = Catcher(Patience(), tail=0.45)
    told(catcher, (True, 10), (False, pause), (True, 30), (False, 40))
    utterance = catcher.end()
    kept = numbers(utterance.samples)
    first, last = 10 + pause, 10 + pause + 30 - 1
    assert utterance.phase is Phase.ENDED
    assert kept[0] <= first
    assert kept[-1] == last + LATE
    assert kept == list(range(kept[0], kept[-1] + 1))
    assert utterance.spoken == pytest.approx(30 * SECONDS * 1000, abs=1)
    assert utterance.decided == pytest.approx(12 * SECONDS * 1000, abs=1)


def test_a_command_without_a_pause_is_not_taken_for_the_end_of_the_wake_word() -> None:
    catcher = Catcher(Patience(), tail=0.45)
    assert told(catcher, (True, 20), (False, 40))[-1] is Phase.ENDED
    assert numbers(catcher.end().samples) == list(range(20 + LATE))


def test_the_end_of_a_wake_word_alone_is_nothing() -> None:
    catcher = Catcher(Patience(nothing=2.0), tail=0.45)
    phases = told(catcher, (True, 10), (False, 200))
    assert phases[-1] is Phase.NOTHING
    assert len(phases) * SECONDS == pytest.approx(0.32 + 0.38 + 2.0, abs=0.1)
    assert not len(catcher.end().samples)


def foreseen(catcher: Catcher, *voices: tuple[bool, int]) -> list[list[int]]:
    """What is foreseen on the way."""
    found = []
    for voice, count in voices:
        for _ in range(count):
            told(catcher, (voice, 1))
            if (samples := catcher.foreseen()) is not None:
                found.append(numbers(samples))
    return found


def test_what_is_foreseen_in_a_pause_is_what_will_have_been_said() -> None:
    catcher = Catcher(Patience())
    (early,) = foreseen(catcher, (False, 50), (True, 30), (False, 11))
    assert told(catcher, (False, 1)) == [Phase.ENDED]
    assert early == numbers(catcher.end().samples)


def test_each_pause_is_foreseen_once_where_it_may_be_the_end() -> None:
    catcher = Catcher(Patience(), tail=0.45)
    voices = (
        (True, 10),
        (False, 20),
        (True, 30),
        (False, LATE - 1),
        (True, 5),
        (False, LATE + 2),
        (True, 5),
        (False, 30),
    )
    found = foreseen(catcher, *voices)
    assert len(found) == 2
    assert len(found[0]) < len(found[1])
    assert foreseen(Catcher(Patience()), (False, 9), (True, 4), (False, 11)) == []  # a cough
    assert foreseen(Catcher(Patience(silence=0.2)), (True, 30), (False, 30)) == []  # it is over sooner than that


def test_how_long_nobody_has_spoken() -> None:
    catcher = Catcher(Patience(), tail=0.45)
    told(catcher, (False, 10))
    assert catcher.silent == pytest.approx(0.32)
    told(catcher, (True, 5))
    assert catcher.silent == 0
