"""How often a model is right where it says how sure it is."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from models.calibration import KNOTS, Calibration, calibration_of, fit


def test_a_model_that_is_too_sure_is_put_right() -> None:
    rng = random.Random(1)
    said = [rng.random() for _ in range(20_000)]
    curve = fit([(c, rng.random() < c * c) for c in said])
    assert len(curve.points) <= KNOTS + 2
    for confidence in (0.2, 0.5, 0.7, 0.9):
        assert curve(confidence) == pytest.approx(confidence**2, abs=0.04)


def test_the_curve_never_falls_and_stays_between_0_and_1() -> None:
    rng = random.Random(2)
    for _ in range(50):
        seen = [(rng.random() ** 0.2, rng.random() < 0.8) for _ in range(rng.randint(0, 60))]
        curve = fit(seen + [(1.0, True)] * rng.randint(0, 9))
        values = [curve(n / 100) for n in range(-5, 106)]
        assert values == sorted(values)
        assert 0 <= values[0] <= values[-1] <= 1


def test_without_a_curve_confidences_stay_as_they_are() -> None:
    assert [Calibration()(c) for c in (0.0, 0.25, 1.0)] == [0.0, 0.25, 1.0]


@pytest.mark.parametrize("points", [[], [[0, 0]], [[0, 0], [0.5, 0.9], [1, 0.5]], [[0, 0], [1, 2]], [[0.1, 0], [1, 1]]])
def test_a_curve_that_falls_is_none(tmp_path: Path, points: list[list[float]]) -> None:
    with pytest.raises(ValueError, match=r"calibration|shares"):
        Calibration(tuple((x, y) for x, y in points))
    (tmp_path / "m.json").write_text(json.dumps({"calibration": points}))
    assert calibration_of(tmp_path / "m.gguf") == Calibration()


def test_the_card_beside_the_file_has_it(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text('{"calibration": [[0, 0], [0.8, 0.6], [1, 0.9]]}')
    assert calibration_of(tmp_path / "m.gguf")(0.9) == pytest.approx(0.75)
    for text in ("", "[]", "{}", '{"calibration": [1]}'):
        (tmp_path / "m.json").write_text(text)
        assert calibration_of(tmp_path / "m.gguf") == Calibration()
