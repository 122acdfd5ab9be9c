"""What the language model is given: the words that were said, and the symbol that asks for the line."""

from __future__ import annotations

ASK = "<do>"


def prompt(words: list[str]) -> str:
    """The model's input for the words of `line.words`: `turn on the lamp<do>`."""
    return " ".join(words) + ASK
