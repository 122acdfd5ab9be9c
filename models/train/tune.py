"""Fine-tuning of a checkpoint on home commands, whole or by LoRA: checkpoint -> new tokens -> training -> Hugging Face folder.

Like models.train.home it is handed the sentences; hub.train does that.
"""

from __future__ import annotations

import json
import shutil
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models import ModelError
from models.export import sentencepiece
from models.export.checkpoint import Checkpoint, Shape
from models.train.batch import ASK, Encoder, Pair, packed
from models.train.folder import ADDED, write_shape, write_weights
from models.train.fsdp import Plan, Start, processes, train

PROBED = 200  # sentences
NOISE = 0.1  # of the spread of the other rows, by which a new row is not their mean: no two may stay the same


@dataclass(frozen=True, slots=True)
class Tuning:
    """How a checkpoint is tuned. `row`: the length that examples are packed into, at most the model's context."""

    batch_tokens: int = 8192
    row: int = 512
    plan: Plan = field(
        default_factory=lambda: Plan(steps=1000, matrix_rate=0.0, rate=2e-5, warm_up=0.03, clip=1.0, grid=0.0)
    )


@dataclass(frozen=True, slots=True)
class Tokens:
    """A tokenizer with the tokens beyond its own (`added`), of which those from the id `fresh` on are not trained yet."""

    tokenizer: Path
    added: Mapping[str, int]
    fresh: int

    @property
    def end(self) -> int:
        """One more than the last id of an added token."""
        return max(self.added.values(), default=-1) + 1


def with_symbols(tokenizer: Path, symbols: Sequence[str]) -> Tokens:
    """The tokens with one for each symbol that has none, numbered from where the others end. Raises ModelError.

    Tokens that were added before are read from added_tokens.json beside the tokenizer.
    """
    if tokenizer.suffix == ".json":
        raise ModelError(f"{tokenizer}: fine-tuning needs the SentencePiece form of the tokenizer, tokenizer.model")
    sentencepiece.read(tokenizer)  # refuses what llama.cpp would cut in another way
    added = _added(tokenizer.with_name(ADDED))
    encode = Encoder(tokenizer, added)
    fresh = max(encode.vocabulary, max(added.values(), default=-1) + 1)
    new = [symbol for symbol in symbols if not encode.has(symbol)]
    return Tokens(tokenizer, added | {symbol: fresh + n for n, symbol in enumerate(new)}, fresh)


def _added(file: Path) -> dict[str, int]:
    if not file.is_file():
        return {}
    try:
        return {str(token): int(number) for token, number in json.loads(file.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"{file} cannot be read as tokens and their ids: {error}") from error


def find_tokenizer(checkpoint: Path) -> Path:
    """The tokenizer.model beside a checkpoint. Raises ModelError."""
    folder = checkpoint if checkpoint.is_dir() else checkpoint.parent
    for place in (folder / "tokenizer.model", folder.parent / "tokenizer.model"):
        if place.is_file():
            return place
    raise ModelError(f"there is no tokenizer.model beside {checkpoint}; name one with --tokenizer")


def start_from(checkpoint: Checkpoint, tokens: Tokens) -> Start:
    """The checkpoint as it is, with rows for the new tokens. Raises ModelError for a tokenizer of another model."""
    config = checkpoint.shape.config
    if tokens.fresh > config.vocab:
        raise ModelError(f"{tokens.tokenizer} has {tokens.fresh} tokens, the checkpoint only {config.vocab}")
    rows = max(config.vocab, tokens.end)

    def load(name: str) -> NDArray[np.generic]:
        array = checkpoint.load(name)
        return _grown(name, array, tokens, rows) if name in ("tok.weight", "head.weight") else array

    return Start(
        config=replace(config, vocab=rows),
        rope_scale=checkpoint.shape.rope_scale,
        load=load,
        grown=tokens.end > tokens.fresh,
    )


def _grown(name: str, array: NDArray[np.generic], tokens: Tokens, rows: int) -> NDArray[np.generic]:
    """With the rows of new tokens near the mean of the others: where a row had only been padding, it is replaced."""
    new = range(tokens.fresh, tokens.end)
    if not new:
        return array
    whole = np.zeros((rows, array.shape[1]), np.float32)
    whole[: len(array)] = array
    old = whole[: tokens.fresh]
    noise = np.random.default_rng(zlib.crc32(name.encode())).standard_normal((len(new), array.shape[1]))
    whole[new.start : new.stop] = old.mean(0) + NOISE * old.std(0) * noise
    return whole


def tune(
    tuning: Tuning,
    checkpoint: Checkpoint,
    tokenizer: Path,
    pairs: Callable[[int], Iterator[Pair]],
    symbols: Sequence[str],
    folder: Path,
    log: Callable[[str], None] = print,
    *,
    resume: bool = False,
) -> Path | None:
    """Trains from the checkpoint or with `resume` from the newest of its own in `folder`. Raises ModelError.

    Returns `folder`, or None in a process that is not the first. It gets model.safetensors and config.json as Hugging
    Face has them, tokenizer.model, added_tokens.json, training/ (checkpoints and the learning curve) and run.json.
    """
    began = time.monotonic()
    tokens = with_symbols(tokenizer, [ASK, *symbols])
    start = start_from(checkpoint, tokens)
    row = min(tuning.row, start.config.context)
    encode = Encoder(tokenizer, tokens.added)
    _check_cuts(encode, tokenizer, islice(pairs(tuning.plan.seed), PROBED))
    data = packed(map(encode, pairs(tuning.plan.seed)), max(1, tuning.batch_tokens // row), row)
    shape = Shape(start.config, start.rope_scale)
    with processes() as group:
        if group.first and not resume:
            shutil.rmtree(folder / "training", ignore_errors=True)
        if group.first:
            write_shape(folder / "training", shape, tokenizer, tokens.added)
        trained = train(tuning.plan, start, data, folder / "training", log, group)
        if not group.first:
            return None
    write_shape(folder, shape, tokenizer, tokens.added)
    write_weights(folder, trained.weights)
    last = trained.losses[-100:]
    run = {
        "minutes": round((time.monotonic() - began) / 60, 1),
        "loss": round(sum(last) / len(last), 4),
        "tokens_per_second": round(trained.tokens_per_second),
    }
    source = {"source": checkpoint.path.name, "form": checkpoint.form}
    about = {"date": f"{date.today()}", **source, "tuning": asdict(tuning), "run": run}
    (folder / "run.json").write_text(json.dumps(about, indent=1) + "\n")
    return folder


def _check_cuts(encode: Encoder, tokenizer: Path, pairs: Iterator[Pair]) -> None:
    """llama.cpp will cut whole sentences, training cuts them word by word: that has to be the same."""
    for said, _ in pairs:
        if encode.cut(" ".join(said)) != [n for word in said for n in encode.cut(word)]:
            raise ModelError(f"{tokenizer} joins words into one token or begins them otherwise: {' '.join(said)!r}")
