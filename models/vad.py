"""Is that speech, and is it over? Silero VAD, frame by frame, and what follows from its numbers.

`SpeechDetector` is the engine (Silero's ONNX file, as faster-whisper ships it, in ONNX Runtime): one probability a
frame. `Endpoint` is pure: it takes those probabilities and says when an utterance has begun and when it has ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import ModelError

RATE = 16_000
FRAME = 512  # samples: what this network was trained on at 16 kHz, no more and no less
SECONDS = FRAME / RATE

_BEFORE = 64  # samples of the frame before, which the network wants in front of each
_STATE = (1, 1, 128)
# A quiet microphone is turned up: of 31 recorded commands 20 dB quieter 29 were found without, all with it.
_LOUD = 0.3  # full scale is 1; the loudest sample of late is brought there
_MOST_GAIN = 10.0
_FORGET = 0.995  # of the loudest sample, a frame: half of it in 4 s
_MISSING = "the detector of speech comes with faster-whisper, which is missing: pip install 'homeward-hub[voice]'"


class SpeechDetector:
    """How likely it is that a frame is speech; it remembers what came before. About 0.3 ms a frame on one core."""

    def __init__(self, path: Path | None = None) -> None:
        """Raises ModelError where the engine or the file (None: that of faster-whisper) is missing or broken."""
        try:
            import onnxruntime
        except ImportError:
            raise ModelError(_MISSING) from None
        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = options.intra_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 4
        file = path or silero()
        try:
            self._session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has no root for its own
            raise ModelError(f"{file}: this is no detector of speech ({str(error)[:200]})") from None
        self.reset()

    def reset(self) -> None:
        """Forget everything; what comes next is the beginning."""
        self._h: NDArray[np.float32] = np.zeros(_STATE, np.float32)
        self._c: NDArray[np.float32] = np.zeros(_STATE, np.float32)
        self._before: NDArray[np.float32] = np.zeros(_BEFORE, np.float32)
        self._peak = 0.0

    def take(self, frame: NDArray[np.int16]) -> float:
        """The probability, 0 to 1, that FRAME samples at RATE are speech."""
        if len(frame) != FRAME:
            raise ValueError(f"a frame has {FRAME} samples, not {len(frame)}")
        values = self._turned_up(frame.astype(np.float32) * np.float32(1 / 32768))
        given: dict[str, Any] = {"input": np.concatenate([self._before, values])[None], "h": self._h, "c": self._c}
        found, self._h, self._c = self._session.run(None, given)
        self._before = values[-_BEFORE:]
        return float(found[0])

    def _turned_up(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        self._peak = max(float(np.abs(values).max()), self._peak * _FORGET, _LOUD / _MOST_GAIN)
        return values * np.float32(max(1.0, _LOUD / self._peak))


def silero() -> Path:
    """The file that faster-whisper ships, found without loading it. Raises ModelError."""
    package = find_spec("faster_whisper")
    folders = package.submodule_search_locations if package else None
    files = [file for folder in folders or () for file in sorted(Path(folder, "assets").glob("silero_vad*.onnx"))]
    if not files:
        raise ModelError(_MISSING)
    return files[-1]


class Phase(Enum):
    """Where an utterance is. The last three are ends."""

    WAITING = "waiting"  # nobody has said anything yet
    SPEAKING = "speaking"
    ENDED = "ended"  # something was said, and it is over
    NOTHING = "nothing"  # nobody said anything for as long as we wait
    TOO_LONG = "too long"  # it does not end: a television, not a command


@dataclass(frozen=True, slots=True)
class Patience:
    """Times in seconds. `silence` ends an utterance; the longest pause within the commands that were measured has 0.3."""

    silence: float = 0.38
    nothing: float = 5.0
    longest: float = 15.0

    def __post_init__(self) -> None:
        if not (0 < self.silence < self.longest and self.nothing > 0):
            raise ValueError(
                "the times have to be positive, and the longest utterance longer than the silence after it"
            )


_BEGIN = 0.4  # in a quiet room, which gives 0.1; a far voice gives 0.5, a near one 0.9
_BEGIN_FRAMES = 3  # in a row: 0.1 s. A click has one, a knock two
_END = 0.5  # of the way from the noise up to the voice
_END_RANGE = (0.15, 0.5)
_LEAST_FRAMES = 6  # of voice in all, 0.2 s; less was a cough or a door
_NOISE_RATE = 0.03  # of the noise's mean, a frame: it follows within a second
_VOICE_RATE = 0.1  # of the voice's mean


class Endpoint:
    """Takes the probability of each frame, and says where the utterance is. After an end it stays there.

    What noise does to the probabilities is learned while nobody speaks, what the voice does while somebody does: the
    threshold below which speech is over lies between the two, and that at which it begins rises with the noise.
    `began` and `ended` count frames: the first one of the voice and the one after the last one, None before.
    """

    def __init__(self, patience: Patience | None = None) -> None:
        self.patience = patience or Patience()
        self.phase = Phase.WAITING
        self.began: int | None = None
        self.ended: int | None = None
        self._frames = 0
        self._in_a_row = 0
        self._voiced = 0
        self._noise = 0.0
        self._voice = 0.0

    def take(self, probability: float) -> Phase:
        """The phase after one more frame."""
        self._frames += 1
        if self.phase is Phase.WAITING:
            self._wait(probability)
        elif self.phase is Phase.SPEAKING:
            self._speak(probability)
        return self.phase

    def end(self) -> Phase:
        """The phase where no frame will come any more: whoever spoke has ended."""
        if self.phase is Phase.WAITING or (self.phase is Phase.SPEAKING and self._voiced < _LEAST_FRAMES):
            self.phase = Phase.NOTHING
        elif self.phase is Phase.SPEAKING:
            self.phase = Phase.ENDED
        return self.phase

    @property
    def enough(self) -> bool:
        """Whether somebody speaks, or has just spoken, and it was more than a cough."""
        return self.phase is Phase.SPEAKING and self._voiced >= _LEAST_FRAMES

    @property
    def begin_threshold(self) -> float:
        return min(_BEGIN + self._noise, 0.8)

    @property
    def end_threshold(self) -> float:
        low, high = _END_RANGE
        return min(high, max(low, self._noise + _END * (self._voice - self._noise)))

    def _wait(self, probability: float) -> None:
        if probability >= self.begin_threshold:
            self._in_a_row += 1
        else:
            self._in_a_row = 0
            self._noise += _NOISE_RATE * (probability - self._noise)
        if self._in_a_row >= _BEGIN_FRAMES:
            self.phase, self._voice, self._voiced = Phase.SPEAKING, probability, self._in_a_row
            self.began, self.ended = self._frames - self._in_a_row, self._frames
        elif self._frames * SECONDS >= self.patience.nothing:
            self.phase = Phase.NOTHING

    def _speak(self, probability: float) -> None:
        assert self.began is not None
        assert self.ended is not None
        if probability >= self.end_threshold:
            self.ended = self._frames
            self._voiced += 1
            self._voice += _VOICE_RATE * (probability - self._voice)
        if (self._frames - self.ended) * SECONDS >= self.patience.silence:
            self._over()
        elif (self._frames - self.began) * SECONDS >= self.patience.longest:
            self.phase = Phase.TOO_LONG

    def _over(self) -> None:
        """It was an utterance, or too short to be one: then we wait on."""
        if self._voiced >= _LEAST_FRAMES:
            self.phase = Phase.ENDED
        else:
            self.phase, self.began, self.ended, self._in_a_row = Phase.WAITING, None, None, 0
