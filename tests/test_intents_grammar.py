"""Under the grammar exactly the lines of intents/line.py can be written, about the words that were said."""

from __future__ import annotations

from itertools import islice

import pytest
from llguidance import LLTokenizer, TokenizerWrapper

from intents import line
from intents.corpus.sample import stream
from intents.grammar import ALLOWED, MAX_COMMANDS, allows, grammar
from intents.line import FLAGS, INTENTS, SLOTS, Parse
from models.binding import Binding


class ByteTokenizer:
    """The plainest vocabulary: 256 bytes, the symbols, and an end."""

    def __init__(self) -> None:
        self.symbols = line.symbols()
        self.tokens = [bytes([b]) for b in range(256)] + [s.encode() for s in self.symbols] + [b"</s>"]
        self.special_token_ids = list(range(256, len(self.tokens)))
        self.eos_token_id, self.bos_token_id = len(self.tokens) - 1, None

    def __call__(self, text: bytes | str) -> list[int]:
        return list(text if isinstance(text, bytes) else text.encode())

    def cut(self, text: str) -> list[int]:
        tokens: list[int] = []
        while text:
            symbol = next((s for s in self.symbols if text.startswith(s)), None)
            tokens += [256 + self.symbols.index(symbol)] if symbol else list(text[0].encode())
            text = text[len(symbol or text[0]) :]
        return tokens


BYTES = ByteTokenizer()
BINDING = Binding(LLTokenizer(TokenizerWrapper(BYTES)), len(BYTES.tokens), BYTES.eos_token_id)
SAID = line.words("Turn on the kitchen lamp to 50% for 2.5 hours, don't open the other one's blinds")


def writable(text: str, words: list[str]) -> bool:
    writing = BINDING.writing(grammar(words))
    for token in BYTES.cut(text):
        if writing.stopped or token not in writing.allowed():
            return False
        writing.take(token)
    return writing.whole


@pytest.mark.parametrize("intent", INTENTS)
def test_every_intent_can_be_written_with_each_slot_and_with_all(intent: str) -> None:
    slots = [s for s in SLOTS if s in ALLOWED[intent]]
    filled = {s: "" if s in FLAGS else "the kitchen lamp" for s in slots}
    for without in (*FLAGS, None):
        whole = Parse(intent, {s: t for s, t in filled.items() if without is None or s != without})
        assert writable(line.write([whole]), SAID) is allows([whole], SAID)
    for slot in SLOTS:
        parse = Parse(intent, {slot: filled.get(slot, "the")})
        assert writable(line.write([parse]), SAID) is (slot in slots and allows([parse], SAID))
    assert writable(f"<{intent}>", SAID)


def test_the_table_has_every_intent_and_only_slots() -> None:
    assert set(ALLOWED) == set(INTENTS)
    assert all(slots <= set(SLOTS) for slots in ALLOWED.values())
    assert all(slots >= FLAGS or not slots & FLAGS for slots in ALLOWED.values())
    assert set().union(*ALLOWED.values()) == set(SLOTS)


@pytest.mark.parametrize(
    "text",
    [
        "<none>",
        "<turn_on>",
        "<turn_on><what> the kitchen lamp",
        "<turn_on><what> lamp<to> 50 %<for> 2.5 hours<and><open><what> blinds",
        "<set><up><what> lamp<by> 50",
        "<close><what> the other one's blinds<but> don't",
        "<and>".join(["<turn_on>"] * MAX_COMMANDS),
    ],
)
def test_lines_that_can_be_written(text: str) -> None:
    assert writable(text, SAID)
    assert allows(line.read(text), SAID)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<do>",
        "turn on",
        "<what> lamp",
        "<turn_on><what>",
        "<turn_on><what><to> 50",
        "<turn_on><what> the lamp",  # not said in a run
        "<turn_on><what> kitch",
        "<turn_on><what> itchen lamp",
        "<turn_on><what>kitchen",
        "<turn_on><what> kitchen ",
        "<turn_on><what> kitchen  lamp",
        "<turn_on><what> garage",
        "<turn_on><what> 2",
        "<turn_on><to> 50<what> lamp",  # not in order
        "<turn_on><what> lamp<what> lamp",
        "<set><up><down>",
        "<set><up> lamp",
        "<turn_on><item> lamp",
        "<nevermind><what> lamp",
        "<none><and><turn_on>",
        "<turn_on><and>",
        "<turn_on><and><none>",
        "<and>".join(["<turn_on>"] * (MAX_COMMANDS + 1)),
    ],
)
def test_lines_that_cannot_be_written(text: str) -> None:
    assert not writable(text, SAID)


def test_without_words_nothing_can_be_asked() -> None:
    assert writable("<none>", [])
    assert not writable("<turn_on>", [])


@pytest.mark.parametrize("word", ['"', "\\", "/", "}", "ü", "漢", "🙂", "%", "+", "."])
def test_words_of_any_characters_can_be_copied(word: str) -> None:
    assert writable(f"<turn_on><what> {word} {word}", ["a", word, word])
    assert not writable("<turn_on><what> b", ["a", word, word])


def test_very_many_words_are_still_a_grammar() -> None:
    words = line.words("turn on the lamp number " * 400)
    assert writable("<turn_on><what> lamp number turn", words)


def test_every_sentence_of_the_corpus_can_be_answered_as_it_should_be() -> None:
    for example in islice(stream(seed=7), 1000):
        assert allows(line.read(example.line), list(example.words)), example
    for example in islice(stream(seed=8), 50):
        assert writable(example.line, list(example.words)), example
