"""From how sure a model says it is to how often it is right: a curve that never falls, fitted on held-out sentences.

A confidence is the least probability among the model's choices. Of those who say 0.9, nine in ten should be right; small
models are surer of themselves than that. The curve stands in the card beside the model file.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

KNOTS = 16  # points of a fitted curve at most: a thousand sentences say no more


@dataclass(frozen=True, slots=True)
class Calibration:
    """Points (confidence, share that is right), both rising from 0 to 1; straight lines between them."""

    points: tuple[tuple[float, float], ...] = ((0.0, 0.0), (1.0, 1.0))

    def __post_init__(self) -> None:
        xs, ys = [x for x, _ in self.points], [y for _, y in self.points]
        if len(xs) < 2 or xs[0] != 0 or xs[-1] != 1 or sorted(set(xs)) != xs or sorted(ys) != ys:
            raise ValueError("a calibration rises from confidence 0 to 1")
        if not 0 <= ys[0] <= ys[-1] <= 1:
            raise ValueError("shares lie between 0 and 1")

    def __call__(self, confidence: float) -> float:
        """The share of right readings among those with this confidence."""
        at = min(bisect_right(self.points, (confidence, 2.0)), len(self.points) - 1)
        (x0, y0), (x1, y1) = self.points[at - 1], self.points[at]
        return y0 + (y1 - y0) * (min(max(confidence, x0), x1) - x0) / (x1 - x0)

    @classmethod
    def from_json(cls, points: Any) -> Self:
        """From lists of two numbers. Raises ValueError and TypeError."""
        return cls(tuple((float(x), float(y)) for x, y in points))


UNCHANGED = Calibration()


def fit(seen: Sequence[tuple[float, bool]]) -> Calibration:
    """The curve for readings of which the confidence is known, and whether they were right.

    They are put into groups of one size in the order of confidence, and neighbours are joined until no group is right less
    often than one before it (isotonic regression by pool adjacent violators).
    """
    if not seen:
        return UNCHANGED
    ordered = sorted(seen)
    size = max(1, -(-len(ordered) // KNOTS))
    groups = [ordered[at : at + size] for at in range(0, len(ordered), size)]
    pools: list[list[tuple[float, bool]]] = []
    for group in groups:
        pools.append(list(group))
        while len(pools) > 1 and _right(pools[-2]) >= _right(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    inner = [(sum(c for c, _ in pool) / len(pool), _right(pool)) for pool in pools]
    inner = [(round(x, 4), round(y, 4)) for x, y in inner]
    inner = [(x, y) for n, (x, y) in enumerate(inner) if 0 < x < 1 and (n == 0 or x > inner[n - 1][0])]
    return Calibration(
        ((0.0, 0.0), *inner, (1.0, max(1.0 if not inner else inner[-1][1], round(_right(pools[-1]), 4))))
    )


def _right(pool: Sequence[tuple[float, bool]]) -> float:
    return sum(right for _, right in pool) / len(pool)


def calibration_of(file: Path) -> Calibration:
    """What the card beside a model file says; confidences as they are where there is no card, or none of use."""
    try:
        return Calibration.from_json(json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))["calibration"])
    except (OSError, ValueError, KeyError, TypeError):
        return UNCHANGED
