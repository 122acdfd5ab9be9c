"""Sentences to batches: cut into tokens, then put together by length (no padding at all) or packed into rows of one length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import sentencepiece
import torch
from torch import Tensor

from models import ModelError

ASK = "<do>"
IGNORE = -100

# One example: the words that were said, and the line that they mean.
Pair = tuple[Sequence[str], str]
# Its tokens, and the place where the line begins.
Example = tuple[list[int], int]


@dataclass(frozen=True, slots=True)
class Batch:
    """Inputs and targets [rows, length]; targets that are IGNORE do not count.

    Packed rows have `positions` [rows, length], which begin with 0 at each example: none sees what stands before it.
    """

    inputs: Tensor
    targets: Tensor
    positions: Tensor | None = None

    def share(self, number: int, of: int) -> Batch:
        """The rows of one of `of` processes. Raises ModelError where there are fewer rows than processes."""
        if len(self.inputs) < of:
            raise ModelError(
                f"a batch of {len(self.inputs)} rows cannot be shared by {of} processes: make it larger (--batch-tokens)"
            )
        positions = None if self.positions is None else self.positions[number::of]
        return Batch(self.inputs[number::of], self.targets[number::of], positions)

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        positions = None if self.positions is None else self.positions.to(device)
        return Batch(self.inputs.to(device), self.targets.to(device), positions)


class Encoder:
    """Pairs to token ids and to the place where the line begins. Each word is cut apart from its neighbours.

    `added` are the tokens that the vocabulary has beyond those of the tokenizer. Raises ModelError for symbols of
    which there is no token.
    """

    def __init__(self, tokenizer: Path, added: Mapping[str, int] | None = None) -> None:
        self._spm = sentencepiece.SentencePieceProcessor(model_file=str(tokenizer))
        self._symbols = dict(added or {})
        self._words: dict[str, list[int]] = {}

    def __call__(self, pair: Pair) -> Example:
        said, line = pair
        ids = [self._spm.bos_id()]
        for word in said:
            ids += self._word(word)
        ids.append(self._symbol(ASK))
        start = len(ids)
        for part in line.replace("<", " <").replace(">", "> ").split():
            ids += [self._symbol(part)] if part.startswith("<") else self._word(part)
        return [*ids, self._spm.eos_id()], start

    @property
    def vocabulary(self) -> int:
        """The number of pieces of the tokenizer."""
        size: int = self._spm.vocab_size()
        return size

    def has(self, symbol: str) -> bool:
        """There is a token of this name."""
        return symbol in self._symbols or self._spm.piece_to_id(symbol) != self._spm.unk_id()

    def cut(self, text: str) -> list[int]:
        """The tokens of a text without symbols."""
        ids: list[int] = self._spm.encode(text)
        return ids

    def _symbol(self, symbol: str) -> int:
        if symbol not in self._symbols:
            if not self.has(symbol):
                raise ModelError(f"the tokenizer has no token {symbol}")
            self._symbols[symbol] = self._spm.piece_to_id(symbol)
        return self._symbols[symbol]

    def _word(self, word: str) -> list[int]:
        ids = self._words.get(word)
        if ids is None:
            ids = self._words[word] = self.cut(word)
        return ids


def by_length(examples: Iterator[Example], tokens: int) -> Iterator[Batch]:
    """Batches of at least `tokens` tokens, of examples of one length each, so that nothing is padded."""
    buckets: dict[int, list[Example]] = {}
    for ids, start in examples:
        bucket = buckets.setdefault(len(ids), [])
        bucket.append((ids, start))
        if len(bucket) * len(ids) >= tokens:
            del buckets[len(ids)]
            whole = torch.tensor([ids for ids, _ in bucket])
            yield Batch(whole[:, :-1], torch.tensor([_targets(example) for example in bucket]))


def packed(examples: Iterator[Example], rows: int, length: int) -> Iterator[Batch]:
    """Batches of `rows` rows of `length` tokens, each filled with whole examples; longer ones are left out.

    An example goes into the first row with room; where none has any, the batch is done. What stays free are examples
    of one token that do not count.
    """
    waiting: list[list[Example]] = [[] for _ in range(rows)]
    room = [length] * rows
    for example in examples:
        size = len(example[0]) - 1
        if size > length:
            continue
        row = next((n for n in range(rows) if room[n] >= size), None)
        if row is None:
            yield _pack(waiting, length)
            waiting, room, row = [[] for _ in range(rows)], [length] * rows, 0
        waiting[row].append(example)
        room[row] -= size


def _pack(rows: Sequence[Sequence[Example]], length: int) -> Batch:
    inputs = torch.zeros(len(rows), length, dtype=torch.long)
    targets = torch.full((len(rows), length), IGNORE)
    positions = torch.zeros(len(rows), length, dtype=torch.long)
    for row, examples in enumerate(rows):
        at = 0
        for example in examples:
            place = slice(at, at + len(example[0]) - 1)
            inputs[row, place] = torch.tensor(example[0][:-1])
            targets[row, place] = torch.tensor(_targets(example))
            positions[row, place] = torch.arange(place.stop - place.start)
            at = place.stop
    return Batch(inputs, targets, positions)


def _targets(example: Example) -> list[int]:
    """What follows each token but the last, on the line alone."""
    ids, start = example
    return [IGNORE] * (start - 1) + ids[start:]
