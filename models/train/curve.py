"""The learning curve as a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

WIDTH, HEIGHT, EDGE = 640, 360, 48
POINTS = 400


def write_curve(file: Path, losses: Sequence[float]) -> None:
    """Writes the losses as an SVG: steps to the right, the loss upwards on a logarithmic scale."""
    every = max(1, math.ceil(len(losses) / POINTS))
    means = [_mean(losses[at : at + every]) for at in range(0, len(losses), every)]
    logs = [math.log10(max(mean, 1e-4)) for mean in means]
    low, high = math.floor(min(logs)), math.ceil(max(logs) + 1e-9)
    high = max(high, low + 1)

    def place(index: int, value: float) -> str:
        across = EDGE + (WIDTH - 2 * EDGE) * index / max(1, len(logs) - 1)
        up = HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * (value - low) / (high - low)
        return f"{across:.1f},{up:.1f}"

    line = " ".join(place(index, value) for index, value in enumerate(logs))
    rules = "".join(_rule(power, low, high) for power in range(low, high + 1))
    file.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>{rules}'
        f'<polyline points="{line}" fill="none" stroke="#1f6f8b" stroke-width="1.5"/>'
        f'<text x="{WIDTH - EDGE}" y="{HEIGHT - 16}" text-anchor="end">{len(losses)} steps</text>'
        f'<text x="{EDGE}" y="24">loss</text></svg>\n'
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _rule(power: int, low: int, high: int) -> str:
    up = HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * (power - low) / (high - low)
    return (
        f'<line x1="{EDGE}" x2="{WIDTH - EDGE}" y1="{up:.1f}" y2="{up:.1f}" stroke="#ddd"/>'
        f'<text x="{EDGE - 6}" y="{up + 4:.1f}" text-anchor="end">{10.0**power:g}</text>'
    )
