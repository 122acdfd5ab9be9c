"""How well each family of phrasing is read, by files that were trained with it and by files that never saw it.

    python -m hub.make_model --hold-out casual --folder runs/held
    python bench/bench_unseen.py runs/held/home.gguf models/weights/home.gguf [--number 500]

The families are those of intents.corpus.families.FAMILIES. Single orders are drawn from each; right is a line that is
exactly the sentence's own. A star marks a family that the file's card says it was trained without.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path

from hub.reading import Reader
from intents.corpus.families import FAMILIES
from intents.corpus.orders import ROWS, spoken
from intents.corpus.phrases import Dice
from intents.line import words, write
from models.worker import Worker

SEED = 20264


async def shares(file: Path, number: int) -> dict[str, float]:
    """For each family the share of orders that are read exactly."""
    found = {}
    async with Worker(file) as worker:
        reader = Reader(worker)
        for family in FAMILIES:
            rows, dice, exact = ROWS.of(family), Dice(SEED), 0
            for _ in range(number):
                text, parse = spoken(rows.draw(dice), dice)
                line, _ = await reader(words(text))
                exact += line == write([parse])
            found[family] = exact / number
    return found


def held(file: Path) -> frozenset[str]:
    """The families that the file was trained without."""
    card = file.with_suffix(".json")
    made = json.loads(card.read_text()).get("made", {}) if card.exists() else {}
    return frozenset(made.get("held_out", ()))


async def measure(files: list[Path], number: int) -> None:
    columns = [await shares(file, number) for file in files]
    print(f"{'family':<10}" + "".join(f"{str(file)[-26:]:>28}" for file in files))
    for family in FAMILIES:
        cells = (f"{c[family]:>26.1%} {'*' if family in held(f) else ' '}" for c, f in zip(columns, files, strict=True))
        print(f"{family:<10}" + "".join(cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    parser.add_argument("--number", type=int, default=500)
    arguments = parser.parse_args()
    asyncio.run(measure(arguments.files, arguments.number))


if __name__ == "__main__":
    main()
