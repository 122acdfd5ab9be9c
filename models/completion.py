"""What a language model wrote; apart from the engine, so that who asks need not load one."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Completion:
    """The text and its tokens, with the natural logarithm of each token's probability, 0 where it was forced.

    The probabilities are those before the grammar took its choice away, so a low one says that the model would have
    written something else. `ms_read` is the time until the first choice, `ms_write` the rest, both in milliseconds.
    """

    text: str
    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    ms_read: float
    ms_write: float

    @property
    def confidence(self) -> float:
        """The least probability of a token, 0 to 1."""
        return math.exp(min(self.logprobs, default=0.0))
