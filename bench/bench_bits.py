"""What the 4-bit file loses against the same weights in 16 and 8 bits.

    python bench/bench_bits.py runs/home/home-f16.gguf [--set FILE HOMES ...] [--lines 1000]

For each type: the size of the file, how many generated sentences (of a seed that no training uses) are read exactly, how
many sentences of each set have exactly the right actions, and the median milliseconds a sentence. The first set is the
project's own; --set adds files of records in the same form, with their homes.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from itertools import islice
from pathlib import Path
from statistics import median

from hub.measure import open_homes
from hub.reading import Reader
from hub.score import read_file, score
from hub.settings import Settings
from intents.corpus.sample import stream
from models.export.quantise import quantise
from models.worker import Worker

DATA = Path(__file__).parents[1] / "tests" / "data"
TYPES = ("f16", "q8_0", "q4_0", "q4_k_m")
SEED = 20263


async def row(file: Path, lines: int, sets: list[tuple[Path, Path]]) -> tuple[list[float], float]:
    """The shares that are exact: of generated lines, then of each set; and the median milliseconds of a line."""
    shares, times = [], []
    async with Worker(file) as worker:
        reader, right = Reader(worker), 0
        for example in islice(stream(SEED), lines):
            began = time.perf_counter()
            line, _ = await reader(list(example.words))
            times.append((time.perf_counter() - began) * 1000)
            right += line == example.line
        shares.append(right / lines)
        for records, homes in sets:
            report = await score(read_file(records), open_homes(str(homes)), worker, Settings())
            shares.append(report.share("exact"))
    return shares, median(times)


async def measure(f16: Path, lines: int, sets: list[tuple[Path, Path]]) -> None:
    names = ["generated", *(records.stem for records, _ in sets)]
    print(f"{'type':>7} {'kB':>7} " + " ".join(f"{name:>15}" for name in names) + f" {'sum':>8} {'ms':>6}")
    base = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for kind in TYPES:
            file = f16 if kind == "f16" else Path(folder) / f"{kind}.gguf"
            if kind != "f16":
                quantise(f16, file, kind)
            shares, ms = await row(file, lines, sets)
            total = 100 * sum(shares)
            base = base or total
            cells = " ".join(f"{100 * share:>14.2f}%" for share in shares)
            print(f"{kind:>7} {file.stat().st_size / 1000:>7.0f} {cells} {total - base:>+8.2f} {ms:>6.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("f16", type=Path)
    parser.add_argument("--set", nargs=2, type=Path, action="append", default=[], metavar=("FILE", "HOMES"))
    parser.add_argument("--lines", type=int, default=1000)
    arguments = parser.parse_args()
    sets = [(DATA / "own_set.jsonl", DATA / "own_homes.json"), *map(tuple, arguments.set)]
    asyncio.run(measure(arguments.f16, arguments.lines, sets))


if __name__ == "__main__":
    main()
