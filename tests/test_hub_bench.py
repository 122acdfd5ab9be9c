"""`hub bench`: it measures real models, names those that cannot be run, and says the same as a table, JSON and a picture."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hub import HubError
from hub.bench import SENTENCES, Measured, Order, chosen, measure, percentile, picture, resident, show, table
from hub.settings import ModelSettings, Settings
from intents.line import words
from models import ModelError
from models.files import default_model

ONE = Measured("home.gguf", 2.5, 1, 0.4, 3.26, 8.0, 4000.4, 900.0, 66.0)
TWO = replace(ONE, model="a <large> model with & a name of more than thirty.gguf", ms_median=410.0, ms_95=620.0)


async def test_the_shipped_model_is_measured() -> None:
    told: list[str] = []
    found = await measure(default_model(), 1, 2, told.append)
    assert found.model == "home.gguf"
    assert 0 < found.ms_median <= found.ms_95
    assert found.read_per_s > 10
    assert found.written_per_s > 10
    assert 20 < found.memory_mb < 200
    assert told == [f"home.gguf: {step}" for step in ("loading", "round 1 of 2", "round 2 of 2")]


def test_sentences_are_of_several_kinds_and_lengths() -> None:
    lengths = [len(words(sentence)) for sentence in SENTENCES]
    assert min(lengths) <= 5
    assert max(lengths) >= 10


@pytest.mark.parametrize(("part", "value"), [(50, 10), (95, 19), (100, 20), (1, 1)])
def test_a_percentile_is_one_of_the_values(part: int, value: int) -> None:
    assert percentile(list(range(20, 0, -1)), part) == value
    assert percentile([7.0], part) == 7.0


def test_memory_is_that_of_the_process() -> None:
    assert resident(os.getpid()) > 10
    with pytest.raises(HubError, match="Linux"):
        resident(2**22 + 1)


def test_the_columns_of_the_table_are_aligned() -> None:
    head, one, two = table([ONE, TWO])
    assert len(head) == len(one) == len(two)
    assert one.split() == ["home.gguf", "2.5", "1", "0.40", "3.3", "8.0", "4000", "900", "66"]
    assert head.split()[:3] == ["model", "file", "MB"]


def test_the_picture_has_a_bar_for_each_model_in_proportion() -> None:
    root = ElementTree.fromstring(picture([ONE, TWO]))
    bars = [float(r.attrib["width"]) for r in root.iter("{http://www.w3.org/2000/svg}rect") if "x" in r.attrib]
    assert len(bars) == 4
    assert bars[2] / bars[0] == pytest.approx(410 / 3.26, rel=0.05)
    texts = [text.text or "" for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert any(text.startswith("a <large> model with & a na") and text.endswith("…") for text in texts)
    assert ElementTree.fromstring(picture([])) is not None


def test_without_a_name_it_is_the_settings_model_and_the_shipped_one(tmp_path: Path) -> None:
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(b"")
    assert chosen(Settings(), ()) == [default_model()]
    assert chosen(Settings(model=ModelSettings(file=str(mine))), ()) == [mine, default_model()]
    assert chosen(Settings(), ("home", str(mine), "home")) == [default_model(), mine]
    with pytest.raises(ModelError, match="absent"):
        chosen(Settings(), (str(tmp_path / "absent.gguf"),))


async def test_a_model_that_cannot_be_run_is_named_and_the_others_are_measured(tmp_path: Path) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"GGUF and no more")
    said: list[str] = []
    order = Order((str(bad), "home"), rounds=1, as_json=True, svg=tmp_path / "out.svg")
    assert await show(Settings(), order, said.append, lambda text: None) == 1
    (report,) = (json.loads(line) for line in said)
    assert [each["model"] for each in report["models"]] == ["home.gguf"]
    assert "bad.gguf" in report["failed"][0]
    assert ElementTree.parse(tmp_path / "out.svg")
    said.clear()
    assert await show(Settings(), replace(order, as_json=False, svg=None), said.append, lambda text: None) == 1
    assert said[0].startswith("model")
    assert "bad.gguf" in said[-1]


async def test_a_picture_that_cannot_be_written_is_said_at_once(tmp_path: Path) -> None:
    order = Order(("home",), svg=tmp_path / "nowhere" / "out.svg")
    with pytest.raises(HubError, match=r"out\.svg.*no such folder"):
        await show(Settings(), order, print, print)
    (tmp_path / "taken.svg").mkdir()
    with pytest.raises(HubError, match=r"taken\.svg.*cannot be written"):
        await show(Settings(), Order(("home",), rounds=1, svg=tmp_path / "taken.svg"), print, print)
