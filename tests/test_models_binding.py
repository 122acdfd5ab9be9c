"""What may be written next is what llguidance alone would allow, had it compiled the words into its rules."""

from __future__ import annotations

import json
import random
from itertools import islice

import numpy as np
import pytest
from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper

from intents.corpus.sample import stream
from intents.grammar import grammar
from models import ModelError
from models.binding import Binding

SYMBOLS = ("<go>", "<what>", "<where>", "<and>")
RULES = "start: one (<and> one){0,2}\none: <go> what? where?\nwhat: <what> SPAN\nwhere: <where> SPAN\n"


class Bytes:
    """A vocabulary of bytes and symbols, so that there is one way only to cut a text."""

    def __init__(self, symbols: tuple[str, ...]) -> None:
        self.tokens = [bytes([b]) for b in range(256)] + [s.encode() for s in symbols] + [b"</s>"]
        self.special_token_ids = list(range(256, len(self.tokens)))
        self.eos_token_id, self.bos_token_id = len(self.tokens) - 1, None

    def __call__(self, text: bytes | str) -> list[int]:
        return list(text if isinstance(text, bytes) else text.encode())


def made(symbols: tuple[str, ...]) -> tuple[LLTokenizer, Binding]:
    vocabulary = Bytes(symbols)
    tokenizer = LLTokenizer(TokenizerWrapper(vocabulary))
    return tokenizer, Binding(tokenizer, len(vocabulary.tokens), vocabulary.eos_token_id)


TOKENIZER, BINDING = made(SYMBOLS)


def alone(rules: str, words: list[str]) -> LLMatcher:
    """llguidance with the words among its rules."""
    chunks = json.dumps({"substring_chunks": [f" {word}" for word in words]})
    return LLMatcher(TOKENIZER, f"{rules}RUN: %regex {chunks}\nSPAN: RUN & /(?s:.+)/\n", log_level=0)


def allowed(matcher: LLMatcher) -> set[int]:
    bits = np.unpackbits(np.frombuffer(matcher.compute_bitmask(), np.uint8), bitorder="little")
    return set(bits.nonzero()[0].tolist())


@pytest.mark.parametrize("seed", range(40))
def test_every_choice_is_the_one_that_llguidance_alone_would_leave(seed: int) -> None:
    dice = random.Random(seed)
    words = [dice.choice(("on", "one", "lamp", "land", "the", "a", "café")) for _ in range(dice.randint(1, 6))]
    writing, matcher = BINDING.writing(f"{RULES}SPAN: %said {json.dumps(words)}\n"), alone(RULES, words)
    for _ in range(60):
        assert writing.stopped == matcher.is_stopped()
        if writing.stopped:
            return
        assert writing.whole == matcher.is_accepting()
        assert set(writing.allowed().tolist()) == allowed(matcher)
        token = dice.choice(sorted(allowed(matcher)))
        writing.take(token)
        matcher.consume_tokens([token])


def test_what_alone_can_come_is_forced_and_nothing_else() -> None:
    writing = BINDING.writing(f'{RULES}SPAN: %said ["lamp", "land", "the"]\n')
    assert writing.forced() == [BINDING.texts.index(b"<go>")]
    writing.take(BINDING.texts.index(b"<what>"))
    assert bytes(writing.forced()) == b" "
    writing.take(ord("l"))
    assert bytes(writing.forced()) == b"a"
    writing.take(ord("n"))
    assert bytes(writing.forced()) == b"d"
    assert writing.forced() == []
    assert writing.whole


def test_a_text_may_stand_before_a_run_as_a_symbol_may() -> None:
    writing = BINDING.writing('start: "<what>" SPAN "\\n"\nSPAN: %said ["a", "b"]\n')
    assert bytes(writing.forced()) == b"<what> "
    writing.take(ord("b"))
    assert bytes(writing.allowed().tolist()) == b"\n"
    writing.take(ord("\n"))
    assert writing.stopped


def test_what_is_not_allowed_is_an_error() -> None:
    writing = BINDING.writing("start: <go> <what>\n")
    with pytest.raises(ModelError, match="grammar"):
        writing.take(ord("x"))
    with pytest.raises(ModelError, match="grammar"):
        BINDING.writing("start: nothing\n")


def test_each_sentence_has_its_own_words_and_all_have_the_same_rules() -> None:
    one, other = (grammar(list(e.words)) for e in islice(stream(1), 2))
    assert one.rsplit("SPAN:", 1)[0] == other.rsplit("SPAN:", 1)[0]
    assert one != other
