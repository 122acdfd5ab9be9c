"""Whether several commands in one sentence are read as well as each of them alone.

    python bench/bench_parts.py [--sentences 400] [--seed 20262] [--model FILE]

The same generated orders are read alone, and joined to sentences of two, three and four, which the hub reads
in pieces where it is not sure. A part is right where its line is.
Below stand the project's own sentences, by how many things are to be done in them, through resolving.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from pathlib import Path

from hub.measure import open_homes
from hub.reading import Reader
from hub.score import read_file, score
from hub.settings import Settings
from intents.corpus.orders import order
from intents.corpus.sample import joined
from intents.line import AND, words, write
from intents.parts import reread
from models.files import default_model
from models.worker import Worker

DATA = Path(__file__).parents[1] / "tests" / "data"
BETWEEN = f"<{AND}>"


async def generated(worker: Worker, number: int, seed: int) -> None:
    rng, reader = random.Random(seed), Reader(worker)
    print(f"{'parts':>6} {'alone':>8} {'together':>9} {'ratio':>6}   whole sentences")
    for count in (1, 2, 3, 4):
        alone = together = whole = 0
        for _ in range(number):
            said = [(text, write([parse])) for text, parse in (order(rng) for _ in range(count))]
            lines = [(await reader(words(text)))[0] for text, _ in said]
            sentence = words(joined([text for text, _ in said], rng))
            line, _ = await reread(sentence, reader, *await reader(sentence))
            parts = line.split(BETWEEN)
            wanted = [own for _, own in said]
            alone += sum(a == b for a, b in zip(lines, wanted, strict=True))
            together += sum(part in parts for part in wanted)
            whole += parts == wanted
        total = number * count
        a, b = alone / total, together / total
        print(f"{count:>6} {a:>8.1%} {b:>9.1%} {b / a:>6.3f}   {whole / number:.1%}")


async def own(worker: Worker) -> None:
    homes, records = open_homes(str(DATA / "own_homes.json")), read_file(DATA / "own_set.jsonl")
    print(f"\n{'own set, parts':>16} {'sentences':>9} {'exact':>7} {'wrong act':>9}")
    for count in (1, 2, 3, 4):
        of_this = [r for r in records if len(r["expected"]) == count]
        if of_this:
            report = await score(of_this, homes, worker, Settings())
            print(f"{count:>16} {len(of_this):>9} {report.share('exact'):>7.1%} {report.share('wrong act'):>9.1%}")


async def measure(number: int, seed: int, model: Path) -> None:
    async with Worker(model) as worker:
        await generated(worker, number, seed)
        await own(worker)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=int, default=400)
    parser.add_argument("--seed", type=int, default=20262)
    parser.add_argument("--model", type=Path, default=default_model())
    arguments = parser.parse_args()
    asyncio.run(measure(arguments.sentences, arguments.seed, arguments.model))


if __name__ == "__main__":
    main()
