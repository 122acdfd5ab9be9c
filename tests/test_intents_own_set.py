"""The project's own sentences, written by hand, through the model that ships: it must not get worse than it was.

Those of the blind set were written by authors who had seen neither the corpus nor any other set.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hub.measure import open_homes
from hub.score import Report, read_file, score
from hub.settings import Settings
from models.files import default_model
from models.worker import Worker

DATA = Path(__file__).parent / "data"
SETS = {name: read_file(DATA / f"{name}_set.jsonl") for name in ("own", "blind")}
# The least share that is exact, and the largest of wrong and of false acts.
FLOORS = {"own": (0.97, 0.01, 0.01), "blind": (0.75, 0.07, 0.04)}


def test_the_sets_are_large_and_mixed() -> None:
    assert len(SETS["own"]) >= 500
    assert sum(not r["expected"] for r in SETS["own"]) >= 150
    assert len({r["id"] for records in SETS.values() for r in records}) == sum(map(len, SETS.values()))


@pytest.mark.parametrize("name", SETS)
def test_the_sets_speak_of_devices_that_are_there(name: str) -> None:
    homes = open_homes(str(DATA / "own_homes.json"))
    for r in SETS[name]:
        for answer in (r["expected"], *r.get("alternatives", ())):
            assert all(homes.of(r).device(t) for action in answer for t in action["targets"]), r["utterance"]


@pytest.mark.parametrize("name", SETS)
def test_the_shipped_model_is_no_worse_than_it_was(name: str) -> None:
    async def scored() -> Report:
        async with Worker(default_model()) as worker:
            return await score(SETS[name], open_homes(str(DATA / "own_homes.json")), worker, Settings())

    report, (exact, wrong, false) = asyncio.run(scored()), FLOORS[name]
    assert report.share("exact") >= exact
    assert report.share("wrong act") <= wrong
    assert report.share("false act") <= false
