"""The project's own sentences, written by hand, through the model that ships: it must not get worse than it was."""

from __future__ import annotations

import asyncio
from pathlib import Path

from hub.measure import open_homes
from hub.score import Report, read_file, score
from hub.settings import Settings
from models.files import default_model
from models.worker import Worker

DATA = Path(__file__).parent / "data"
RECORDS = read_file(DATA / "own_set.jsonl")
EXACT, WRONG_ACT, FALSE_ACT = 0.94, 0.015, 0.015


def test_the_set_is_large_and_mixed() -> None:
    assert len(RECORDS) >= 500
    assert sum(not r["expected"] for r in RECORDS) >= 150
    assert len({r["id"] for r in RECORDS}) == len(RECORDS)


def test_the_set_speaks_of_devices_that_are_there() -> None:
    homes = open_homes(str(DATA / "own_homes.json"))
    for r in RECORDS:
        for answer in (r["expected"], *r.get("alternatives", ())):
            assert all(homes.of(r).device(t) for action in answer for t in action["targets"]), r["utterance"]


def test_the_shipped_model_is_no_worse_than_it_was() -> None:
    async def scored() -> Report:
        async with Worker(default_model()) as worker:
            return await score(RECORDS, open_homes(str(DATA / "own_homes.json")), worker, Settings())

    report = asyncio.run(scored())
    assert report.share("exact") >= EXACT
    assert report.share("wrong act") <= WRONG_ACT
    assert report.share("false act") <= FALSE_ACT
