"""The shipped model from nothing, in one go: corpus -> tokenizer -> training -> 4-bit training -> GGUF -> Q4_0 -> card.

It reads examples made by intents.corpus, which this package may not import: `make` is handed the stream by
hub.make_model, which `make model` runs.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from itertools import islice
from pathlib import Path

import numpy as np
import sentencepiece
import torch
import torch.nn.functional as F
from torch import Tensor

from models.export.gguf import LlamaConfig, write_gguf
from models.export.quantise import quantise
from models.train.llama import Llama
from models.train.muon import Muon

ASK = "<do>"
IGNORE = -100
# The share of a run in which the learning rate rises; without it the first steps of Muon scatter the embedding.
WARM_UP = 0.02
CORPUS = "sentences sampled from the project's own grammar (intents/corpus) with the recipe's seed; nothing else"
DESCRIPTION = "Home commands to intents; trained from nothing on generated sentences."


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a run is made of. `minutes` of wall time are split by `grid`, the last part, which trains on the 4-bit grid."""

    minutes: float = 40.0
    dim: int = 256
    layers: int = 6
    heads: int = 4
    kv_heads: int = 2
    ffn: int = 512
    pieces: int = 2048
    context: int = 256
    batch_tokens: int = 3200
    muon_lr: float = 0.02
    adam_lr: float = 0.003
    grid: float = 0.25
    seed: int = 1
    steps: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """A finished training: how long it took, and the share of held-out lines that the model on the grid gets right."""

    steps: int
    tokens: int
    minutes: float
    exact: float


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


def scores(model: Llama, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and targets of the positions that count."""
    kept = y != IGNORE
    return model.logits(model(x)[kept]), y[kept]


@torch.no_grad()
def exact(model: Llama, held_out: list[tuple[Tensor, Tensor]]) -> float:
    """The share of held-out lines whose every token the model ranks first."""
    right = total = 0
    for x, y in held_out:
        wrong = (model.logits(model(x)).argmax(-1) != y) & (y != IGNORE)
        right += int((~wrong.any(1)).sum())
        total += len(x)
    return right / total


def train(
    recipe: Recipe,
    pairs: Callable[[int], Iterator[Pair]],
    tokenizer: Path,
    log: Callable[[str], None],
) -> tuple[Llama, Run]:
    """Train by the clock: learning rates fall linearly to zero over `recipe.minutes`, or over `recipe.steps` if given."""
    torch.manual_seed(recipe.seed)
    encode = Encoder(tokenizer)
    config = LlamaConfig(
        dim=recipe.dim, layers=recipe.layers, heads=recipe.heads, kv_heads=recipe.kv_heads, ffn=recipe.ffn,
        vocab=sentencepiece.SentencePieceProcessor(model_file=str(tokenizer)).vocab_size(), context=recipe.context,
    )  # fmt: skip
    model = Llama(config)
    matrices = [p for n, p in model.named_parameters() if p.dim() == 2 and n.startswith("layers.")]
    others = [p for n, p in model.named_parameters() if p.dim() != 2 or not n.startswith("layers.")]
    optimizers = [
        Muon(matrices, lr=recipe.muon_lr),
        torch.optim.AdamW(others, lr=recipe.adam_lr, weight_decay=0.0, betas=(0.9, 0.98)),
    ]
    rates = [recipe.muon_lr, recipe.adam_lr]
    held_out_batches = batches(pairs(recipe.seed + 7_777_777), encode, 1600)
    held_out = [next(held_out_batches) for _ in range(16)]
    log(f"{sum(p.numel() for p in model.parameters()):,} parameters")
    began, seen, last, on_grid = time.monotonic(), 0, 0.0, False
    for step, (x, y) in enumerate(batches(pairs(recipe.seed), encode, recipe.batch_tokens)):
        elapsed = time.monotonic() - began
        done = step / recipe.steps if recipe.steps else elapsed / (60 * recipe.minutes)
        if done >= 1:
            break
        if not on_grid and done >= 1 - recipe.grid:
            model.train_on_grid()
            on_grid = True
        warm = min(1.0, (done + 0.001) / WARM_UP)
        for optimizer, rate in zip(optimizers, rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * warm * (1 - done)
        loss = F.cross_entropy(*scores(model, x, y))
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(others, 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        seen += x.numel()
        if step % 50 == 0 and (elapsed - last > 60 or step == 0):
            last = elapsed
            log(
                f"{done:6.1%}  step {step:6}  loss {loss.item():.4f}  exact {exact(model, held_out):.3f}  {seen / max(elapsed, 1e-9):,.0f} tokens/s"
            )
    run = Run(step, seen, round((time.monotonic() - began) / 60, 1), round(exact(model, held_out), 4))
    log(f"held-out lines exact, on the grid of the file: {run.exact:.4f}")
    return model, run


def to_numpy(model: Llama) -> dict[str, np.ndarray]:
    """The tensors under the names that models.export.gguf wants."""
    out: dict[str, np.ndarray] = {}
    for name, p in model.named_parameters():
        parts = name.split(".")
        name = ".".join(["layers", parts[1], parts[2], "weight"]) if parts[0] == "layers" else name
        out[name] = p.detach().numpy().astype(np.float32)
    return out


def make(
    recipe: Recipe,
    pairs: Callable[[int], Iterator[Pair]],
    symbols: Sequence[str],
    folder: Path,
    log: Callable[[str], None] = print,
) -> Path:
    """The whole way; `folder` gets tokenizer.model, home-f16.gguf, home.gguf (Q4_0) and run.json. Returns home.gguf."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(pairs(recipe.seed + 1), symbols, recipe.pieces, folder)
    model, run = train(recipe, pairs, tokenizer, log)
    torch.save(model.state_dict(), folder / "home.pt")
    f16, q4 = folder / "home-f16.gguf", folder / "home.gguf"
    write_gguf(
        f16, config=model.config, tensors=to_numpy(model), tokenizer_model=tokenizer,
        metadata={"general.name": "home", "general.license": "apache-2.0", "general.description": DESCRIPTION},
    )  # fmt: skip
    quantise(f16, q4, type="q4_0")
    about = {"date": f"{date.today()}", "corpus": CORPUS, "recipe": asdict(recipe), "run": asdict(run)}
    (folder / "run.json").write_text(json.dumps(about, indent=1) + "\n")
    return q4


__all__ = ["Encoder", "Recipe", "Run", "make", "train"]
