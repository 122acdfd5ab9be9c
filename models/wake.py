"""Wake words: several at once, each with a threshold, by pymicro-wakeword's bundled models or the user's own files.

`Wake` takes frames and says when one of its words was said, and hands over what followed the word: whoever speaks on
without a pause is heard from the first syllable of the command. One to two per cent of a core.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import ModelError

RATE = 16_000
BUNDLED = ("alexa", "hey_jarvis", "hey_mycroft", "okay_nabu")

# A word is recognised from 0.1 s before to 0.2 s after its end (13 recorded ones), so this much of what is past by
# then may belong to the command. The end of the wake word may be in it: a recogniser of speech drops that more easily
# than it guesses a first syllable that it never got.
KEPT = 0.25  # seconds
REST = 1.0  # seconds after a hit in which the same breath is not a second one
_LEAST_HEARD = 0.75  # seconds after the start; with less before it a network that remembers says anything

_STEP = 10  # ms of sound a feature; the frontend knows no other
_PROBE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class WakeWord:
    """A word to listen for: one of BUNDLED or the path of a model's JSON file, and from which probability on it counts.

    Without a threshold it is the one that the model's maker found. Raises ModelError where a word cannot be.
    """

    name: str
    threshold: float | None = None

    def __post_init__(self) -> None:
        if self.name not in BUNDLED and not self.name.endswith(".json"):
            known = ", ".join(BUNDLED)
            raise ModelError(
                f"{self.name}: there is no such wake word; there are {known}, and the JSON file of your own model"
            )
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise ModelError(f"{self.name}: a threshold lies between 0 and 1, not at {self.threshold}")


@dataclass(frozen=True, slots=True)
class Hit:
    """A wake word that was said, as its model names it, how sure that is, and the samples that followed it."""

    word: str
    probability: float
    followed: NDArray[np.int16]


class Wake:
    """Listens for words in frames of any size. Raises ModelError where the engine or a model is missing or broken."""

    def __init__(self, words: Sequence[WakeWord]) -> None:
        if not words:
            raise ModelError("no wake word to listen for; okay_nabu is one")
        engine = _engine()
        self._words = [_load(engine, word) for word in words]
        self._features = engine.MicroWakeWordFeatures()
        self._past: deque[NDArray[np.int16]] = deque()
        self._heard = 0  # samples since the start or the last reset
        self._rests_until = 0

    def take(self, frame: NDArray[np.int16]) -> Hit | None:
        """The hit that this frame completed, if there is one; of several words the surest."""
        self._heard += len(frame)
        self._past.append(frame)
        while sum(map(len, self._past)) - len(self._past[0]) >= KEPT * RATE:
            self._past.popleft()
        found = self._surest(frame)
        if found is None or self._heard < max(self._rests_until, _LEAST_HEARD * RATE):
            return None
        self._rests_until = self._heard + int(REST * RATE)
        for word, _ in self._words:  # hey_mycroft would otherwise hear itself for seconds
            word.reset()
        followed = np.concatenate(list(self._past))[-int(KEPT * RATE) :]
        return Hit(found[1], found[0], followed)

    def reset(self) -> None:
        """Forget everything, as after sound that was not listened to."""
        for word, _ in self._words:
            word.reset()
        self._features.reset()
        self._past.clear()
        self._heard = self._rests_until = 0

    def _surest(self, frame: NDArray[np.int16]) -> tuple[float, str] | None:
        found: list[tuple[float, str]] = []
        for features in self._features.process_streaming(frame.astype("<i2").tobytes()):
            for word, threshold in self._words:
                probability = word.process_streaming_prob(features) or 0.0
                if probability > threshold:
                    found.append((float(probability), word.wake_word))
        return max(found, default=None)


def _engine() -> Any:
    try:
        import pymicro_wakeword
    except (ImportError, OSError) as error:
        raise ModelError(f"wake words need pymicro-wakeword ({error}): pip install 'homeward-hub[voice]'") from None
    return pymicro_wakeword


def _load(engine: Any, word: WakeWord) -> tuple[Any, float]:
    """The open model and its threshold."""
    if word.name in BUNDLED:
        model = engine.MicroWakeWord.from_builtin(engine.Model(word.name))
    else:
        file = check(Path(word.name).expanduser())
        _probe(file)
        model = engine.MicroWakeWord.from_config(file)
    return model, model.probability_cutoff if word.threshold is None else word.threshold


def check(file: Path) -> Path:
    """The file, where it describes a microWakeWord model (version 2) that lies beside it. Raises ModelError."""
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        micro = config["micro"]
        cutoff, window, step = micro["probability_cutoff"], micro["sliding_window_size"], micro["feature_step_size"]
        model = file.parent / config["model"]
        right = isinstance(config["wake_word"], str) and 0 < cutoff < 1 and 1 <= window <= 1000
        magic = model.read_bytes()[4:8] if model.parent == file.parent else b""
    except OSError as error:
        raise ModelError(f"{error.filename}: cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        right, magic, step = False, b"", None
    if not right or magic != b"TFL3":
        raise ModelError(
            f"{file}: this describes no microWakeWord model; it comes with one, as a pair NAME.json, NAME.tflite"
        )
    if step != _STEP:
        raise ModelError(f"{file}: a model of {step} ms a step; only those of {_STEP} ms can be run")
    return file


def _probe(file: Path) -> None:
    """Run the model once in a process of its own: a damaged one ends the process that loads it. Raises ModelError."""
    root = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-P", "-m", "models.wake", str(file)]
    try:
        done = subprocess.run(
            command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, timeout=_PROBE_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise ModelError(f"{file}: its model takes too long") from None
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise ModelError(f"{file}: its model is damaged ({said[-1][:200] if said else f'status {done.returncode}'})")


def main(file: str) -> None:
    """The probe: it ends well where the model loads and takes a second of silence."""
    engine = _engine()
    model = engine.MicroWakeWord.from_config(file)
    for features in engine.MicroWakeWordFeatures().process_streaming(bytes(2 * RATE)):
        probability = model.process_streaming_prob(features)
        if probability is None or not 0 <= probability <= 1:
            raise ModelError("it gives no probabilities")


if __name__ == "__main__":
    main(sys.argv[1])
