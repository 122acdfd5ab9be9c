"""The shipped model from nothing, in one go: corpus -> tokenizer -> training -> 4-bit training -> GGUF -> Q4_0 -> card.

It reads examples made by intents.corpus, which this package may not import: `make` is handed the stream by
hub.make_model, which `make model` runs.
"""

from __future__ import annotations

import io
import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from itertools import islice
from pathlib import Path

import sentencepiece

from models import ModelError
from models.export.checkpoint import Checkpoint, Shape, open_checkpoint
from models.export.gguf import LlamaConfig, stream_gguf
from models.export.quantise import quantise
from models.export.sentencepiece import read
from models.train.batch import ASK, Encoder, Pair, by_length
from models.train.folder import write_shape
from models.train.fsdp import Plan, Start, checkpoints, processes, train

CORPUS = "sentences sampled from the project's own grammar (intents/corpus) with the recipe's seed; nothing else"
DESCRIPTION = "Home commands to intents; trained from nothing on generated sentences."


@dataclass(frozen=True, slots=True)
class Recipe:
    """What the shipped model is made of, but for the sentences. Raises ModelError for sizes that do not fit together."""

    dim: int = 256
    layers: int = 8
    heads: int = 4
    kv_heads: int = 2
    ffn: int = 512
    pieces: int = 2048
    context: int = 256
    batch_tokens: int = 6400
    plan: Plan = field(default_factory=lambda: Plan(steps=10_400, fall="linear"))

    def __post_init__(self) -> None:
        try:
            self.config(self.pieces)
        except (ValueError, ZeroDivisionError) as error:
            raise ModelError(f"a model of these sizes cannot be made: {error}") from error

    def config(self, vocab: int) -> LlamaConfig:
        """The network for a tokenizer of so many pieces."""
        return LlamaConfig(
            dim=self.dim, layers=self.layers, heads=self.heads, kv_heads=self.kv_heads, ffn=self.ffn,
            vocab=vocab, context=self.context,
        )  # fmt: skip


def train_tokenizer(pairs: Iterator[Pair], symbols: Sequence[str], pieces: int, folder: Path) -> Path:
    """A SentencePiece BPE model over the words of the corpus, one piece for each symbol. Returns its path.

    Raises ModelError for fewer pieces than there are symbols and letters, or more than the words give.
    """
    words = [" ".join(said) for said, _ in islice(pairs, 120_000)]
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(words),
            model_writer=model,
            model_type="bpe",
            vocab_size=pieces,
            character_coverage=1.0,
            byte_fallback=True,
            split_digits=True,
            normalization_rule_name="identity",
            user_defined_symbols=[ASK, *symbols],
            pad_id=-1,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise ModelError(f"no tokenizer of {pieces} pieces can be trained: {error}") from error
    path = folder / "tokenizer.model"
    path.write_bytes(model.getvalue())
    return path


def make(
    recipe: Recipe,
    pairs: Callable[[int], Iterator[Pair]],
    symbols: Sequence[str],
    folder: Path,
    log: Callable[[str], None] = print,
    *,
    resume: bool = False,
    before: Path | None = None,
) -> Path | None:
    """The whole way, from nothing or with `resume` from the newest checkpoint. Raises ModelError.

    Returns home.gguf (Q4_0), or None in a process that is not the first. `folder` gets tokenizer.model, training/
    (checkpoints and the learning curve), home-f16.gguf, home.gguf and run.json. `before`: the folder of a finished
    run, whose weights and tokenizer this one begins with; the recipe's sizes have to be that run's.
    """
    tokenizer = folder / "tokenizer.model"
    seed = recipe.plan.seed
    began = time.monotonic()
    finished = None if before is None else _finished(before)
    with processes() as group:
        if group.first and not resume:
            shutil.rmtree(folder / "training", ignore_errors=True)
            tokenizer.unlink(missing_ok=True)
        if group.first and not tokenizer.exists():
            folder.mkdir(parents=True, exist_ok=True)
            if before is None:
                train_tokenizer(pairs(seed + 1), symbols, recipe.pieces, folder)
            else:
                shutil.copyfile(before / "tokenizer.model", tokenizer)
        group.wait()
        encode = Encoder(tokenizer)
        config = recipe.config(encode.vocabulary)
        if group.first:
            write_shape(folder / "training", Shape(config), tokenizer, {})
        data = by_length(map(encode, pairs(seed)), recipe.batch_tokens)
        start = Start(config) if finished is None else _after(finished, config)
        trained = train(recipe.plan, start, data, folder / "training", log, group)
        if not group.first:
            return None
    f16, q4 = folder / "home-f16.gguf", folder / "home.gguf"
    checkpoint = open_checkpoint(checkpoints(folder / "training")[-1])
    stream_gguf(
        f16, config=checkpoint.shape.config, load=checkpoint.load, vocabulary=read(tokenizer),
        metadata={"general.name": "home", "general.license": "apache-2.0", "general.description": DESCRIPTION},
    )  # fmt: skip
    quantise(f16, q4, type="q4_0")
    last = trained.losses[-100:]
    run = {"minutes": round((time.monotonic() - began) / 60, 1), "loss": round(sum(last) / len(last), 4)}
    about = {"date": f"{date.today()}", "corpus": CORPUS, "recipe": asdict(recipe), "run": run}
    if before is not None:
        about["before"] = {k: v for k, v in json.loads((before / "run.json").read_text()).items() if k != "corpus"}
    (folder / "run.json").write_text(json.dumps(about, indent=1) + "\n")
    return q4


def _finished(folder: Path) -> Checkpoint:
    """The end of the run in `folder`. Raises ModelError where there is none."""
    whole = checkpoints(folder / "training")
    if not whole or not (folder / "run.json").exists():
        raise ModelError(f"{folder} holds no finished training to go on from")
    return open_checkpoint(whole[-1])


def _after(finished: Checkpoint, config: LlamaConfig) -> Start:
    """Its weights. Raises ModelError where they are those of another network."""
    if finished.shape.config != config:
        raise ModelError("the earlier training has a network of other sizes; give the sizes that it was made with")
    return Start(config, load=finished.load)
