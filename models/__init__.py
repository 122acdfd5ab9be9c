"""Neural networks and nothing else: one engine a file, behind two or three verbs. Knows nothing of homes."""

from __future__ import annotations


class ModelError(Exception):
    """The root of every error that this package raises on purpose; the text says what to do, for a person."""


class LengthError(ModelError):
    """The prompt or the answer has more tokens than there is room for: that lies in the words, and not in the model."""
