"""How many wrong acts are avoided by acting only when the model is sure, and how many right ones that costs.

    python bench/bench_confidence.py [--generated 1000] [--seed 20261] [--svg docs/confidence.svg]

Two curves over the threshold from 0 to 1. Generated: sentences of the corpus under a seed that no training uses; acted on
is a line that is not `<none>`, wrong is one that differs from the sentence's own. Own set: tests/data, through resolving;
acted on are the sentences that changed something, wrong those that changed something else than wanted, or should not have.
Coverage is the share of right acts that are still done. The hub's own floor is off, but for that of locks.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from hub.measure import open_homes
from hub.reading import Reader
from hub.score import HARMLESS, judge, read_file
from hub.settings import SafetySettings, Settings
from intents.corpus.sample import stream
from intents.understand import THRESHOLD
from models.files import default_model
from models.worker import Worker

DATA = Path(__file__).parents[1] / "tests" / "data"
STEPS = tuple(n / 50 for n in range(51))
WIDTH, HEIGHT, MARGIN = 560, 360, 56
COLORS = ("#0b6e99", "#c4501b")


@dataclass(frozen=True)
class Act:
    """Something that was done: how sure the model was, and whether it was right."""

    confidence: float
    right: bool


@dataclass(frozen=True)
class Point:
    """At this threshold: the share of right acts that are done, and the share of wrong ones among all sentences."""

    threshold: float
    coverage: float
    wrong: float


def curve(acts: Sequence[Act], sentences: int) -> list[Point]:
    """One point for each of STEPS."""
    right = sum(act.right for act in acts)
    points = []
    for step in STEPS:
        done = [act for act in acts if act.confidence >= step]
        good = sum(act.right for act in done)
        points.append(Point(step, good / max(right, 1), (len(done) - good) / max(sentences, 1)))
    return points


async def generated(worker: Worker, number: int, seed: int) -> list[Point]:
    reader, acts = Reader(worker), []
    for example in islice(stream(seed), number):
        line, sure = await reader(list(example.words))
        if line != "<none>":
            acts.append(Act(sure, line == example.line))
    return curve(acts, number)


async def own(worker: Worker) -> list[Point]:
    homes, records = open_homes(str(DATA / "own_homes.json")), read_file(DATA / "own_set.jsonl")
    settings = Settings(safety=SafetySettings(sure=0.0, sure_to_unlock=0.0))
    acts = []
    for record in records:
        judged = await judge(record, homes, worker, settings)
        if any(action["intent"] not in HARMLESS for action in judged.actions):
            acts.append(Act(judged.confidence, judged.verdict == "exact"))
    return curve(acts, len(records))


def picture(curves: dict[str, list[Point]]) -> str:
    """The curves as SVG: coverage to the right, wrong acts upwards, the shipped threshold marked."""
    most = max([p.wrong for points in curves.values() for p in points] + [0.01])
    wide, high = WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN

    def at(point: Point) -> tuple[float, float]:
        return MARGIN + wide * point.coverage, HEIGHT - MARGIN - high * point.wrong / most

    def text(x: float, y: float, words: str, more: str = "") -> str:
        return f'<text x="{x:.0f}" y="{y:.0f}" {more}>{words}</text>'

    base = HEIGHT - MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        "<title>Wrong acts against coverage, for each threshold of confidence</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<path d="M{MARGIN} {MARGIN}V{base}H{WIDTH - MARGIN}" fill="none" stroke="#555"/>',
        text(WIDTH / 2, HEIGHT - 12, "right acts that are done (coverage), %", 'text-anchor="middle"'),
        text(MARGIN - 40, MARGIN - 14, "wrong acts, % of all sentences; a dot: the shipped threshold"),
    ]
    for n in range(6):
        x, y = MARGIN + wide * n / 5, base - high * n / 5
        parts.append(text(x, base + 18, f"{20 * n}", 'text-anchor="middle"'))
        parts.append(text(MARGIN - 6, y + 4, f"{100 * most * n / 5:.1f}", 'text-anchor="end"'))
    for (name, points), color, row in zip(curves.items(), COLORS, range(len(curves)), strict=False):
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(at, points))
        x, y = at(min(points, key=lambda p: abs(p.threshold - THRESHOLD)))
        parts.append(f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{color}"/>')
        parts.append(text(MARGIN + 16, MARGIN + 12 + 18 * row, name, f'fill="{color}"'))
    return "\n".join([*parts, "</svg>", ""])


async def measure(number: int, seed: int, svg: Path | None) -> None:
    async with Worker(default_model()) as worker:
        curves = {f"{number} generated": await generated(worker, number, seed), "own set": await own(worker)}
    print(f"{'threshold':>10}" + "".join(f"{name + ': coverage':>26} {'wrong':>7}" for name in curves))
    for row in list(zip(*curves.values(), strict=True))[::5]:
        cells = "".join(f"{100 * p.coverage:>24.1f} % {100 * p.wrong:>5.1f} %" for p in row)
        print(f"{row[0].threshold:>10.1f}{cells}")
    if svg is not None:
        svg.write_text(picture(curves), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--generated", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=20261)
    parser.add_argument("--svg", type=Path)
    arguments = parser.parse_args()
    asyncio.run(measure(arguments.generated, arguments.seed, arguments.svg))


if __name__ == "__main__":
    main()
