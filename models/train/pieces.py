"""A small byte-level BPE tokenizer in Whisper's form: learned from words of plain letters, with its special tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from string import ascii_lowercase
from typing import Any

from models import ModelError

# faster-whisper's own order: what is below the first is text, what follows the last is time.
END, START, NO_SPEECH, PLAIN, BEFORE = (
    "<|endoftext|>",
    "<|startoftranscript|>",
    "<|nospeech|>",
    "<|notimestamps|>",
    "<|startofprev|>",
)
SPECIAL = (END, START, "<|translate|>", "<|transcribe|>", "<|startoflm|>", BEFORE, NO_SPEECH, PLAIN)
TIMES = tuple(f"<|{i / 50:.2f}|>" for i in range(1501))
LETTERS = ascii_lowercase + "'"
_SPACE = "Ġ"
_HELD_BACK = "-'"  # behind a space: faster-whisper never lets their first piece be written
Pair = tuple[str, str]


def byte_letters() -> list[str]:
    """The printable letter that stands for each byte, as GPT-2 has them."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = {byte: 256 + n for n, byte in enumerate(b for b in range(256) if b not in plain)}
    return [chr(rest.get(byte, byte)) for byte in range(256)]


def learn(words: Mapping[str, int], count: int) -> list[Pair]:
    """`count` merges for words of LETTERS, each with how often it comes; a word begins with the space before it.

    A space is first of all merged with the letter behind it, so it is never a piece of its own: faster-whisper does not
    let that one be written. Raises ModelError where the words give fewer.
    """
    merges: list[Pair] = [(_SPACE, letter) for letter in ascii_lowercase + _HELD_BACK]
    cut = {word: [_SPACE + word[0], *word[1:]] for word in words if word}
    while len(merges) < count:
        pairs: Counter[Pair] = Counter()
        for word, parts in cut.items():
            for pair in pairwise(parts):
                pairs[pair] += words[word]
        if not pairs:
            raise ModelError(f"the words give {len(merges)} merges, not {count}")
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        cut = {word: _merged(parts, best) for word, parts in cut.items()}
    return merges


def _merged(parts: Sequence[str], pair: Pair) -> list[str]:
    out: list[str] = []
    for part in parts:
        if out and (out[-1], part) == pair:
            out[-1] += part
        else:
            out.append(part)
    return out


class Pieces:
    """The tokenizer: bytes, merges, special tokens and times, numbered in this order."""

    def __init__(self, merges: Iterable[Pair]) -> None:
        self.merges = [(left, right) for left, right in merges]
        texts = [*byte_letters(), *(left + right for left, right in self.merges)]
        self.names = [*dict.fromkeys(texts), *SPECIAL, *TIMES]
        self._number = {name: n for n, name in enumerate(self.names)}
        self.end, self.start, self.no_speech, self.plain, self.before = (
            self._number[name] for name in (END, START, NO_SPEECH, PLAIN, BEFORE)
        )
        self.space = self._number[_SPACE]
        self._rank = {pair: rank for rank, pair in enumerate(self.merges)}
        self._known: dict[str, list[int]] = {}

    def __len__(self) -> int:
        return len(self.names)

    def cut(self, text: str) -> list[int]:
        """The tokens of words with a space before each; of other signs than LETTERS only commas behind words."""
        return [n for word in text.lower().split() for n in self._word(word)]

    def text(self, tokens: Iterable[int]) -> str:
        """The words again; what is no text is left out."""
        whole = "".join(self.names[n] for n in tokens if n < self.end)
        return whole.replace(_SPACE, " ").strip()

    def _word(self, word: str) -> list[int]:
        if word not in self._known:
            stem = word.rstrip(",")
            self._known[word] = [self._number[part] for part in [*self._parts(stem), *"," * (len(word) - len(stem))]]
        return self._known[word]

    def _parts(self, word: str) -> list[str]:
        parts = [_SPACE, *word]
        while ranks := [(self._rank[pair], pair) for pair in pairwise(parts) if pair in self._rank]:
            parts = _merged(parts, min(ranks)[1])
        return parts

    def as_json(self) -> dict[str, Any]:
        """tokenizer.json, of which both faster-whisper and Hugging Face's library make their tokenizer.

        What goes in is put into small letters: names of devices are written with large ones.
        """
        special = [name for name in self.names if name.startswith("<|")]
        flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
        level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
        return {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [{"id": self._number[name], "content": name, **flags} for name in special],
            "normalizer": {"type": "Lowercase"},
            "pre_tokenizer": level,
            "post_processor": None,
            "decoder": level,
            "model": {
                "type": "BPE",
                "dropout": None,
                "unk_token": None,
                "continuing_subword_prefix": None,
                "end_of_word_suffix": None,
                "fuse_unk": False,
                "byte_fallback": False,
                "ignore_merges": False,
                "vocab": {name: n for n, name in enumerate(self.names) if n < self.end},
                "merges": [list(pair) for pair in self.merges],
            },
        }
