"""`make model`: the project's own sentences to the training, and the 4-bit file to where the wheel takes it from."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path

from intents.corpus.sample import stream
from intents.line import symbols


def pairs(seed: int) -> Iterator[tuple[tuple[str, ...], str]]:
    for example in stream(seed):
        yield example.words, example.line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=40.0, help="wall time of the training")
    parser.add_argument(
        "--steps",
        type=int,
        default=0,
        help="train this many steps instead of by the clock",
    )
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("runs/home"),
        help="where everything is written",
    )
    parser.add_argument("--ship", action="store_true", help="copy the result to models/weights/")
    arguments = parser.parse_args()
    from models.train.home import Recipe, make

    recipe = Recipe(minutes=arguments.minutes, steps=arguments.steps, layers=arguments.layers)
    made = make(recipe, pairs, symbols(), arguments.folder, lambda line: print(line, flush=True))
    if arguments.ship:
        shutil.copyfile(made, Path("models/weights/home.gguf"))


if __name__ == "__main__":
    main()
