"""How much worse wording is read that the training never had: a family of phrasing, against all the others.

    python -m hub.make_model --hold-out casual --folder runs/held && \\
    python bench/bench_unseen.py --held casual --model runs/held/home.gguf [--against models/weights/home.gguf]

A family is one of intents.corpus.families.FAMILIES. Single orders are drawn from it, and from all the others, and read by
both files; right is a line that is exactly the sentence's own.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from pathlib import Path

from hub.reading import Reader
from intents.corpus.families import FAMILIES
from intents.corpus.orders import ROWS, Rows, spoken
from intents.corpus.phrases import Dice
from intents.line import words, write
from models.files import default_model
from models.worker import Worker

SEED = 20264


async def share(worker: Worker, rows: Rows, rng: random.Random, number: int) -> tuple[float, float]:
    """The shares of orders read exactly, and with the right intent."""
    reader, exact, intent = Reader(worker), 0, 0
    for _ in range(number):
        text, parse = spoken(rows.draw(rng), rng)
        line, _ = await reader(words(text))
        wanted = write([parse])
        exact += line == wanted
        intent += line.partition(">")[0] == wanted.partition(">")[0]
    return exact / number, intent / number


async def measure(held: str, files: list[Path], number: int) -> None:
    print(f"{'file':<34} {'seen: exact':>12} {'intent':>8} {held + ': exact':>16} {'intent':>8} {'ratio':>7}")
    for file in files:
        async with Worker(file) as worker:
            seen = await share(worker, ROWS, Dice(SEED, frozenset({held})), number)
            unseen = await share(worker, ROWS.of(held), Dice(SEED + 1), number)
        print(
            f"{str(file)[-34:]:<34} {seen[0]:>12.1%} {seen[1]:>8.1%} {unseen[0]:>16.1%} {unseen[1]:>8.1%} "
            f"{unseen[0] / seen[0]:>7.3f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--held", choices=sorted(FAMILIES), required=True)
    parser.add_argument("--model", type=Path, required=True, help="trained without that family")
    parser.add_argument("--against", type=Path, default=default_model(), help="trained with it")
    parser.add_argument("--number", type=int, default=1000)
    arguments = parser.parse_args()
    asyncio.run(measure(arguments.held, [arguments.model, arguments.against], arguments.number))


if __name__ == "__main__":
    main()
