"""What a language model is given and what it wrote; apart from the engine, so that who asks need not load one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from models.calibration import UNCHANGED, Calibration


@dataclass(frozen=True, slots=True)
class Primer:
    """A constant text before every prompt, with examples, for models that were not trained on our line.

    A model of which `unless` is one token needs no examples. What the model makes of the text is kept in `folder`, so that
    a start does not read it again; None keeps nothing.
    """

    text: str
    unless: str
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """The text and its tokens, with the natural logarithm of each token's probability, 0 where it was forced.

    The probabilities are those before the grammar took its choice away, so a low one says that the model would have
    written something else. `ms_read` is the time until the first choice, `ms_write` the rest, both in milliseconds;
    `read` the tokens that were read for it, without those that were in the cache. `calibration` is that of the model.
    """

    text: str
    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    ms_read: float
    ms_write: float
    read: int = 0
    calibration: Calibration = UNCHANGED

    @property
    def least(self) -> float:
        """The least probability of a token, 0 to 1."""
        return math.exp(min(self.logprobs, default=0.0))

    @property
    def confidence(self) -> float:
        """How often the model is right where its least probability is this one, as far as its card says that; 0 to 1."""
        return self.calibration(self.least)
