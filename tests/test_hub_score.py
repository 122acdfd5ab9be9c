"""Sentences in a simple file and what comes of them, with a table in the place of the model."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from hub.measure import RecordError, open_homes
from hub.reading import Lines
from hub.score import ScoreError, read_file, record, same_value, score, show, told, verdict
from hub.settings import Settings

HOME = str(Path(__file__).parent / "data" / "home.json")
LINES = {
    "turn on the hall light": "<turn_on><what> hall light",
    "put the hall light out": "<turn_on><what> hall light",
    "turn on the whale": "<turn_on><what> whale",
    "turn off the attic fan": "<turn_off><what> attic fan",
    "sing a song": "<turn_off><what> radio",
}
FILE = """# the home's own words
turn on the hall light -> turn_on light.hall
put the hall light out -> turn_off light.hall
turn off the attic fan -> turn_off fan.nursery

sing a song -> none
tell a joke -> none
{"utterance": "turn on the hall light", "heard": "turn on the whale", \
"expected": [{"intent": "turn_on", "targets": ["light.hall"]}]}
"""


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "mine.txt"
    file.write_text(text)
    return file


def test_each_failure_is_named(tmp_path: Path) -> None:
    records = read_file(written(tmp_path, FILE))
    report = asyncio.run(score(records, open_homes(HOME), Lines(LINES), Settings()))
    assert [(j.verdict, j.failure) for j in report.judged] == [
        ("exact", ""),
        ("wrong act", "misparsed"),
        ("missed", "not resolvable"),
        ("false act", "misparsed"),
        ("exact", ""),
        ("missed", "misheard"),
    ]
    assert report.share("exact") == 0.25
    assert report.share("false act") == 0.5
    assert told(report)[-1] == "Failures: 2 misparsed, 1 not resolvable, 1 misheard"


@pytest.mark.parametrize("as_json", [False, True])
async def test_the_report_is_for_people_and_for_programs(tmp_path: Path, as_json: bool) -> None:
    said: list[str] = []
    file = written(tmp_path, "turn on the hall light -> turn_on light.hall")
    assert await show(Settings(), file, HOME, as_json, said.append, Lines(LINES)) == 0
    assert json.loads(said[0])["exact"] == 1 if as_json else "exact 100.0 %" in said[0]


def test_a_line_has_a_room_values_and_several_parts() -> None:
    found = record("[Kitchen] blind to half and milk too -> set_position cover.x value=50; list_add item='oat milk'")
    assert found["context"] == {"area": "Kitchen"}
    assert found["utterance"] == "blind to half and milk too"
    assert [a["slots"] for a in found["expected"]] == [{"value": 50}, {"item": "oat milk"}]


@pytest.mark.parametrize(
    "line", ["turn on", "-> none", "x -> fly lamp", "x -> turn_on 'a", '{"utterance": 1}', '{"utterance": "x"}', "x ->"]
)
def test_a_line_that_is_none_is_told(line: str, tmp_path: Path) -> None:
    with pytest.raises(RecordError):
        record(line)
    with pytest.raises(ScoreError, match="line 1"):
        read_file(written(tmp_path, line))


def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    for file in (tmp_path / "none", tmp_path, written(tmp_path, "# nothing\n")):
        with pytest.raises(ScoreError):
            read_file(file)


def test_the_same_on_one_after_the_other_is_the_same() -> None:
    both = {"expected": [{"intent": "lock", "targets": ["a", "b"], "slots": {}}]}
    assert verdict(both, [{"intent": "lock", "targets": [x], "slots": {}} for x in "ba"]) == "exact"
    assert verdict(both, [{"intent": "lock", "targets": ["a"], "slots": {}}]) == "wrong act"
    assert verdict(both, []) == "missed"


def test_values_agree_nearly() -> None:
    assert same_value(33, 33.3)
    assert same_value("up", 10)
    assert not same_value("down", 10)
    assert same_value("Oat milk", "oat  milk")
    assert not same_value(50, None)
