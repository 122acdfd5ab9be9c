"""What may be written next: llguidance holds the rules, which are compiled once, and the words of an utterance are copied.

A grammar is llguidance's Lark, and may end with one line of its own:

    SPAN: %said ["turn", "on", "the", "lamp"]

A `SPAN` is then a run of these words, cut into tokens as the model's tokenizer cuts them. It stands behind a symbol or a
text in the rules (`<what> SPAN`, `"|what" SPAN`), and what follows it begins with a symbol or one of `<`, `|`, `;` and a line
break; the words hold none of these and no space. Compiled by llguidance for each utterance, the same costs 1.3 ms, nearly as
much as the small model takes to answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from llguidance import LLMatcher, LLTokenizer
from numpy.typing import NDArray

from models import ModelError

Tokens = NDArray[np.intp]

_SAID = re.compile(r"(?s)(.*^)(\w+): %said (\[[^\n]*\])\n?\Z", re.MULTILINE)
_ANY_RUN = r"/[^<|;\n]+/"
_SPECIAL = 0xFF  # the byte that llguidance puts before the name of a token that is no text
_AFTER_A_RUN = (b"<", b"|", b";", b"\n", bytes([_SPECIAL]))
_COMPILED = 8  # grammars; a hub has two, one for each dialect


class Binding:
    """The vocabulary of one model, to which answers are bound."""

    def __init__(self, tokenizer: LLTokenizer, size: int, eos: int) -> None:
        self._tokenizer = tokenizer
        self.size = size
        self.eos = eos
        self.texts = [tokenizer.decode_bytes([token]) for token in range(size)]
        self.after_a_run = np.array([text.startswith(_AFTER_A_RUN) for text in self.texts])
        self.after_a_run[eos] = True
        self._compiled = lru_cache(_COMPILED)(self._compile)
        self._cut = lru_cache(1 << 12)(lambda word: tuple(tokenizer.tokenize_bytes(f" {word}".encode())))

    def writing(self, grammar: str) -> Writing:
        """An answer under `grammar`, at its beginning. Raises ModelError for a grammar that is not one."""
        split = _SAID.match(grammar)
        if split is None:
            return Writing(self, self._compiled(grammar).deep_copy(), (), ())
        rules, name, said = split.groups()
        matcher = self._compiled(f"{rules}{name}: {_ANY_RUN}\n").deep_copy()
        return Writing(self, matcher, _openings(rules, name), [self._cut(word) for word in json.loads(said)])

    def _compile(self, grammar: str) -> LLMatcher:
        matcher = LLMatcher(self._tokenizer, grammar, log_level=0)
        _raise_error(matcher)
        return matcher


@lru_cache(_COMPILED)
def _openings(rules: str, name: str) -> tuple[bytes, ...]:
    """The texts behind which a run begins."""
    found = re.findall(rf'(?:<(\w+)>|"([^"\n]+)") {name}\b', rules)
    return tuple(sorted({(f"<{symbol}>" if symbol else text).encode() for symbol, text in found}))


class Writing:
    """One answer while it is written."""

    def __init__(
        self, binding: Binding, matcher: LLMatcher, openings: tuple[bytes, ...], words: Sequence[tuple[int, ...]]
    ) -> None:
        self._binding = binding
        self._matcher = matcher
        self._openings = openings
        self._words = words
        self._end = b""  # of what is written
        self._run: list[tuple[int, int]] | None = (
            None  # in a run: the words, and the tokens in them, that can come next
        )
        self._whole = False  # in a run: it may end here

    @property
    def stopped(self) -> bool:
        """Nothing can follow any more: also where the last word is copied and only the end is left."""
        return self._matcher.is_stopped() or (self._run == [] and list(self.allowed()) == [self._binding.eos])

    @property
    def whole(self) -> bool:
        """What is written is an answer, whether more can follow or not."""
        return (self._run is None or self._whole) and self._matcher.is_accepting()

    def allowed(self) -> Tokens:
        """Those that may come next. Raises ModelError."""
        copied = [self._words[word][at] for word, at in self._run or ()]
        if self._run is not None and not self._whole:
            return np.array(copied, np.intp)
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        _raise_error(self._matcher)
        mask = np.unpackbits(bits, bitorder="little")[: self._binding.size].view(np.bool_)
        if self._run is not None:
            mask &= self._binding.after_a_run
        return np.concatenate((mask.nonzero()[0], np.array(copied, np.intp)))

    def forced(self) -> list[int]:
        """The tokens that alone can come now, and are thereby written. Raises ModelError."""
        written: list[int] = []
        while not self.stopped and (more := self._only()):
            for token in more:
                self.take(token)
                written.append(token)
                if self._run is not None:
                    break
        return written

    def _only(self) -> list[int]:
        if self._run is not None:
            following = set() if self._whole else {self._words[word][at] for word, at in self._run}
            return list(following) if len(following) == 1 else []
        tokens: list[int] = self._matcher.compute_ff_tokens()
        return tokens[: tokens.index(self._binding.eos)] if self._binding.eos in tokens else tokens

    def take(self, token: int) -> None:
        """The token is written. Raises ModelError for one that is not allowed."""
        if not self._matcher.consume_tokens([token]):
            _raise_error(self._matcher)
        if self._run is not None and self._goes_on(token):
            return
        self._run = None
        self._end = (self._end + self._binding.texts[token].replace(b"\xff", b""))[-64:]
        if self._openings and self._end.endswith(self._openings):
            self._run, self._whole = [(word, 0) for word in range(len(self._words))], False

    def _goes_on(self, token: int) -> bool:
        """Whether the run goes on with the token; it is then behind it."""
        here = [(word, at + 1) for word, at in self._run or () if self._words[word][at] == token]
        if not here:
            return False
        self._whole = any(at == len(self._words[word]) for word, at in here)
        ends = [(word + 1, 0) if at == len(self._words[word]) else (word, at) for word, at in here]
        self._run = [(word, at) for word, at in ends if word < len(self._words)]
        return True


def _raise_error(matcher: LLMatcher) -> None:
    if matcher.is_error():
        raise ModelError(f"the grammar: {matcher.get_error().strip()[:300]}")
