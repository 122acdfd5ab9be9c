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
import torch
from torch import Tensor

from models.export.gguf import LlamaConfig, write_gguf
from models.export.quantise import quantise
from models.train.fsdp import IGNORE, Plan, processes, train

ASK = "<do>"
CORPUS = "sentences sampled from the project's own grammar (intents/corpus) with the recipe's seed; nothing else"
DESCRIPTION = "Home commands to intents; trained from nothing on generated sentences."


@dataclass(frozen=True, slots=True)
class Recipe:
    """What the shipped model is made of, but for the sentences."""

    dim: int = 256
    layers: int = 6
    heads: int = 4
    kv_heads: int = 2
    ffn: int = 512
    pieces: int = 2048
    context: int = 256
    batch_tokens: int = 3200
    plan: Plan = field(default_factory=lambda: Plan(steps=5000, fall="linear"))


# One example: the words that were said, and the line that they mean.
Pair = tuple[Sequence[str], str]


def train_tokenizer(pairs: Iterator[Pair], symbols: Sequence[str], pieces: int, folder: Path) -> Path:
    """A SentencePiece BPE model over the words of the corpus, one piece for each symbol. Returns its path."""
    words = [" ".join(said) for said, _ in islice(pairs, 120_000)]
    model = io.BytesIO()
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
    path = folder / "tokenizer.model"
    path.write_bytes(model.getvalue())
    return path


class Encoder:
    """Pairs to token ids and to the place where the line begins. Each word is cut apart from its neighbours."""

    def __init__(self, tokenizer: Path) -> None:
        self._spm = sentencepiece.SentencePieceProcessor(model_file=str(tokenizer))
        self._words: dict[str, list[int]] = {}

    def __call__(self, pair: Pair) -> tuple[list[int], int]:
        said, line = pair
        ids = [self._spm.bos_id()]
        for word in said:
            ids += self._word(word)
        ids.append(self._spm.piece_to_id(ASK))
        start = len(ids)
        for part in line.replace("<", " <").replace(">", "> ").split():
            ids += [self._spm.piece_to_id(part)] if part.startswith("<") else self._word(part)
        return [*ids, self._spm.eos_id()], start

    @property
    def vocabulary(self) -> int:
        """The number of pieces."""
        size: int = self._spm.vocab_size()
        return size

    def _word(self, word: str) -> list[int]:
        ids = self._words.get(word)
        if ids is None:
            ids = self._words[word] = self._spm.encode(word)
        return ids


def batches(pairs: Iterator[Pair], encode: Encoder, tokens: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of examples of one length each, so that nothing is padded: inputs, and targets on the line alone."""
    buckets: dict[int, list[tuple[list[int], int]]] = {}
    for pair in pairs:
        ids, start = encode(pair)
        bucket = buckets.setdefault(len(ids), [])
        bucket.append((ids, start))
        if len(bucket) * len(ids) >= tokens:
            del buckets[len(ids)]
            yield tensors(bucket)


def tensors(bucket: list[tuple[list[int], int]]) -> tuple[Tensor, Tensor]:
    ids = torch.tensor([b[0] for b in bucket])
    targets = ids[:, 1:].clone()
    for row, (_, start) in enumerate(bucket):
        targets[row, : start - 1] = IGNORE
    return ids[:, :-1], targets


def make(
    recipe: Recipe,
    pairs: Callable[[int], Iterator[Pair]],
    symbols: Sequence[str],
    folder: Path,
    log: Callable[[str], None] = print,
    *,
    resume: bool = False,
) -> Path | None:
    """The whole way, from nothing or with `resume` from the newest checkpoint. Raises ModelError.

    Returns home.gguf (Q4_0), or None in a process that is not the first. `folder` gets tokenizer.model, training/
    (checkpoints and the learning curve), home-f16.gguf, home.gguf and run.json.
    """
    tokenizer = folder / "tokenizer.model"
    seed = recipe.plan.seed
    began = time.monotonic()
    with processes() as group:
        if group.first and not resume:
            shutil.rmtree(folder / "training", ignore_errors=True)
            tokenizer.unlink(missing_ok=True)
        if group.first and not tokenizer.exists():
            folder.mkdir(parents=True, exist_ok=True)
            train_tokenizer(pairs(seed + 1), symbols, recipe.pieces, folder)
        group.wait()
        encode = Encoder(tokenizer)
        config = LlamaConfig(
            dim=recipe.dim, layers=recipe.layers, heads=recipe.heads, kv_heads=recipe.kv_heads, ffn=recipe.ffn,
            vocab=encode.vocabulary, context=recipe.context,
        )  # fmt: skip
        data = batches(pairs(seed), encode, recipe.batch_tokens)
        trained = train(recipe.plan, config, data, folder / "training", log, group)
        if not group.first:
            return None
    f16, q4 = folder / "home-f16.gguf", folder / "home.gguf"
    tensors = {_exported(name): tensor.float().numpy() for name, tensor in trained.weights.items()}
    write_gguf(
        f16, config=config, tensors=tensors, tokenizer_model=tokenizer,
        metadata={"general.name": "home", "general.license": "apache-2.0", "general.description": DESCRIPTION},
    )  # fmt: skip
    quantise(f16, q4, type="q4_0")
    last = trained.losses[-100:]
    run = {"minutes": round((time.monotonic() - began) / 60, 1), "loss": round(sum(last) / len(last), 4)}
    about = {"date": f"{date.today()}", "corpus": CORPUS, "recipe": asdict(recipe), "run": run}
    (folder / "run.json").write_text(json.dumps(about, indent=1) + "\n")
    return q4


def _exported(name: str) -> str:
    """The name that models.export.gguf wants for a parameter."""
    parts = name.split(".")
    return ".".join(["layers", parts[1], parts[2], "weight"]) if parts[0] == "layers" else name


__all__ = ["Encoder", "Recipe", "make"]
