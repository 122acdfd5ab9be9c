"""`make model`, the whole way: sentences, tokenizer, FSDP training, checkpoint, GGUF, 4 bits, scores, card.

On several GPUs: torchrun --standalone --nproc-per-node 8 -m hub.make_model
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from intents.corpus.sample import stream
from intents.grammar import grammar
from intents.line import symbols
from intents.prompt import prompt
from models.language import LanguageModel

SHIPPED = Path("models/weights/home.gguf")
HELD_OUT = 77_000_001  # the seed of the sentences that the file is scored on; training takes other ones
SCORED = 2_000


def pairs(seed: int) -> Iterator[tuple[tuple[str, ...], str]]:
    for example in stream(seed):
        yield example.words, example.line


def score(file: Path, count: int = SCORED) -> dict[str, float]:
    """The shares of held-out sentences whose line, or whose intents, the file gets right as it runs on the device."""
    right = intents = 0
    with LanguageModel(file) as model:
        for words, line in islice(pairs(HELD_OUT), count):
            text = model.complete(prompt(list(words)), grammar(list(words))).text
            right += _plain(text) == _plain(line)
            intents += _intents(text) == _intents(line)
    return {"held_out_lines_exact": right / count, "held_out_intents_exact": intents / count, "held_out_lines": count}


def _plain(line: str) -> str:
    return "".join(line.split())


def _intents(line: str) -> list[str]:
    """The first symbol of each part of a line."""
    return [part.split(">")[0] for part in line.split("<and>")]


def _say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=5000, help="of the training; a hundred take a minute on two cores")
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint in the folder")
    parser.add_argument("--folder", type=Path, default=Path("runs/home"), help="where everything is written")
    parser.add_argument("--ship", action="store_true", help="copy the result and its card to models/weights/")
    arguments = parser.parse_args()
    from models.export.card import write_card
    from models.train.fsdp import Plan
    from models.train.home import Recipe, make

    recipe = Recipe(layers=arguments.layers, plan=Plan(steps=arguments.steps, fall="linear"))
    made = make(recipe, pairs, symbols(), arguments.folder, _say, resume=arguments.resume)
    if made is None:
        return
    scores = score(made)
    print(*(f"{name}: {value:.4f}" for name, value in scores.items()), sep="\n")
    card = write_card(made, json.loads((arguments.folder / "run.json").read_text()), scores)
    if arguments.ship:
        shutil.copyfile(made, SHIPPED)
        shutil.copyfile(card, SHIPPED.with_suffix(".json"))


if __name__ == "__main__":
    main()
