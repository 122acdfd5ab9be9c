"""Ears from nothing: sentences, speech, tokenizer, training, conversion and scores, as small as can be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

for package in ("amqtt", "faster_whisper", "soxr", "torch", "transformers"):
    pytest.importorskip(package, reason="the extras `demo`, `voice`, `train` and `forms` are not installed")
if shutil.which("espeak-ng") is None:
    pytest.skip("espeak-ng is not installed", allow_module_level=True)

from hub import make_ears, recordings, speakers  # noqa: E402 - after the check that it can be imported at all
from hub.aloud import aloud  # noqa: E402
from hub.make_ears import Recipe, make, rate  # noqa: E402
from hub.score_ears import Scores, Trial, by_voice, scores, word_errors  # noqa: E402
from models.hearing import check  # noqa: E402
from models.train.ears import Plan  # noqa: E402


@pytest.mark.parametrize(
    ("said", "heard", "errors"),
    [
        ("turn on the light", "turn on the light", 0),
        ("turn on the light", "turn of light", 2),
        ("stop", "", 1),
        ("", "stop it", 2),
        ("a b c", "c a b", 2),
    ],
)
def test_words_that_are_wrong_are_counted(said: str, heard: str, errors: int) -> None:
    assert word_errors(said.split(), heard.split()) == errors


def test_scores_are_of_words_and_of_commands_that_mean_something() -> None:
    trials = [
        Trial("Andy", "dim it to 40 percent", "dim it to forty percent", 10, True),
        Trial("Andy", "stop", "shop", 30, False),
        Trial("linda", "hello there", "hello there", 20, None),
    ]
    assert scores(trials) == Scores(3, 1 / 8, 0.5, 20)
    assert list(by_voice(trials)) == ["Andy", "linda"]
    assert by_voice(trials)["linda"].meant == 0


async def test_the_whole_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "PART", 8)
    monkeypatch.setattr(make_ears, "_WORDS_FROM", 500)
    monkeypatch.setattr(speakers, "HELD_OUT_VARIANTS", ("Andy",))
    monkeypatch.setattr(speakers, "engines", lambda: ["espeak-ng"])
    plan = Plan(steps=3, batch=2, full_batch=1, save_every=2, full=0.0, threads=1)
    recipe = Recipe(plan, clips=8, width=16, heads=2, encoder_layers=1, decoder_layers=1, merges=60, jobs=1)
    said: list[str] = []
    folder = make(recipe, tmp_path, said.append)
    assert check(folder) == folder
    assert sum(file.stat().st_size for file in folder.iterdir()) < 15e6
    found = await rate(tmp_path, said.append, ("turn on the kitchen light", "stop"))
    assert set(found) == {"en-us+Andy"}
    card = json.loads((folder / make_ears.CARD).read_text())
    assert "People" in card["does not know"]
    assert card["made"]["voices"]["held out"] == ["en-us+Andy"]
    assert card["made"]["run"]["parameters"] > 0
    assert card["scores by voices that were not in the training"]["en-us+Andy"]["commands"] == 2
    before = (folder / "model.bin").read_bytes()
    again = make(recipe, tmp_path, said.append, resume=True)
    assert (again / "model.bin").read_bytes() == before
    assert aloud("stop") == "stop"
