"""Ears that are trained here: what they hear is what faster-whisper gives them, and what is trained is what it runs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")
pytest.importorskip("faster_whisper", reason="the extra `voice` is not installed")

from faster_whisper.feature_extractor import FeatureExtractor  # noqa: E402 - after the check that it can be imported at all
from faster_whisper.tokenizer import Tokenizer  # noqa: E402
from tokenizers import Tokenizer as Tokens  # noqa: E402

from models import ModelError  # noqa: E402
from models.hearing import RATE, Hearing  # noqa: E402
from models.train.ears import Data, Plan, train  # noqa: E402
from models.train.mels import features  # noqa: E402
from models.train.pieces import LETTERS, Pieces, learn  # noqa: E402
from models.train.surroundings import Surroundings, in_room, over_noise  # noqa: E402
from models.train.whisper import Whisper, WhisperConfig, write_folder  # noqa: E402

TEXTS = ("turn on the light", "it's dark", "open the garage door", "jazz quiz", "")
CHANCE = np.random.default_rng(0)


@dataclass(frozen=True)
class Tones:
    """Clips without any speech in them: a tone a letter, so that there is something to learn."""

    texts: Sequence[str] = TEXTS

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.array([len(self[n][0]) for n in range(len(self.texts))])

    def __getitem__(self, number: int) -> tuple[NDArray[np.float32], str]:
        at = np.arange(RATE // 20) / RATE
        tones = [np.sin(2 * np.pi * (300 + 90 * (ord(letter) - 95)) * at) for letter in self.texts[number]]
        return np.concatenate([np.zeros(1600), *tones]).astype(np.float32), self.texts[number]


@pytest.fixture(scope="module")
def pieces() -> Pieces:
    return Pieces(learn(Counter(word for text in TEXTS for word in text.split()), 40))


def config(pieces: Pieces) -> WhisperConfig:
    return WhisperConfig(width=32, heads=2, encoder_layers=1, decoder_layers=1, vocabulary=len(pieces))


# -- what goes in


@pytest.mark.parametrize("samples", [RATE, 50_001, 333])
def test_features_are_those_of_faster_whisper(samples: int) -> None:
    sound = CHANCE.normal(0, 0.1, samples).astype(np.float32)
    np.testing.assert_allclose(features(sound), FeatureExtractor()(sound.copy()), atol=1e-6)


def test_words_are_cut_as_faster_whisper_cuts_them(pieces: Pieces, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps(pieces.as_json()))
    theirs = Tokenizer(Tokens.from_file(str(tmp_path / "tokenizer.json")), multilingual=False)
    for text in (*TEXTS, "Kitchen, Desk lamp, it's", "zzz xylophone"):
        assert pieces.cut(text) == theirs.encode(f" {text}" if text else "")
        assert pieces.text(pieces.cut(text)) == text.lower() == theirs.decode(pieces.cut(text)).strip()
    assert (pieces.start, pieces.end, pieces.plain) == (theirs.sot, theirs.eot, theirs.no_timestamps)
    assert (pieces.before, pieces.no_speech) == (theirs.sot_prev, theirs.no_speech)
    assert len(pieces) == theirs.timestamp_begin + 1501


def test_nothing_that_is_said_needs_a_piece_that_faster_whisper_holds_back(pieces: Pieces, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps(pieces.as_json()))
    theirs = Tokenizer(Tokens.from_file(str(tmp_path / "tokenizer.json")), multilingual=False)
    needed = {n for letter in LETTERS if letter != "'" for n in pieces.cut(f"{letter}{LETTERS}")}
    assert needed.isdisjoint(theirs.non_speech_tokens)


def test_more_merges_than_the_words_give_are_refused() -> None:
    with pytest.raises(ModelError, match="merges, not 100"):
        learn({"a": 1, "be": 2}, 100)


# -- rooms and noise


def test_a_room_only_adds_what_comes_after_and_noise_is_as_loud_as_told() -> None:
    click = np.zeros(4000, np.float32)
    click[1000] = 1
    around = Surroundings()
    heard = in_room(click, around.rooms[0])
    assert np.abs(heard[:1000]).max() < 1e-5
    assert heard[1000] == pytest.approx(1, abs=1e-4)
    tone = np.sin(np.arange(RATE) / 5).astype(np.float32)
    noise = over_noise(tone, around.crop(RATE, CHANCE), 10) - tone
    assert 10 * np.log10(np.mean(tone**2) / np.mean(noise**2)) == pytest.approx(10, abs=1.5)
    assert np.abs(around.placed(tone, CHANCE)).max() <= 1


# -- batches


def test_a_batch_has_what_follows_each_token_and_nothing_to_learn_of_the_names(pieces: Pieces) -> None:
    data = Data(Tones(), pieces, prompts=["Garage, Light"])
    batch = data.batch([0, 4], np.random.default_rng(1), prompted=1.0)
    names = [pieces.before, *pieces.cut("garage, light")]
    said = pieces.cut(TEXTS[0])
    assert batch.inputs[0].tolist() == [*names, pieces.start, pieces.plain, *said]
    assert batch.targets[0].tolist() == [-100] * len(names) + [pieces.plain, *said, pieces.end]
    assert batch.targets[1].tolist()[len(names) :][:3] == [pieces.no_speech, pieces.end, -100]
    assert batch.features.shape[2] % 2 == 0
    assert batch.spelled.tolist() == [len(TEXTS[0]), 0]


def test_windows_are_long_now_and_then_and_each_step_has_its_own_batch(pieces: Pieces) -> None:
    plan = Plan(steps=20, batch=2, full_batch=1, every=10, full=0.25)
    data = Data(Tones(), pieces)
    whole = list(data.batches(plan, 0))
    assert [batch.features.shape[2] == 3000 for batch in whole] == [False] * 9 + [True] + [False] * 5 + [True] * 5
    assert {tuple(batch.features.shape) for batch in whole[-5:]} == {(1, 80, 3000)}
    again = next(data.batches(plan, 7))
    assert torch.equal(again.features, whole[7].features)
    assert [plan.share(step) > 0 for step in range(20)] == [True] * 20


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"rate": 2.0}, {"full": 1.1}, {"every": 0}, {"batch": 4}])
def test_plans_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ModelError):
        Plan(**wrong)  # type: ignore[arg-type]


# -- training


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Plan(steps=24, batch=4, full_batch=1, save_every=8, full=0.05, rate=0.02, threads=1)


def test_the_loss_falls_and_a_run_that_was_cut_off_goes_on_as_if_it_had_not_been(
    pieces: Pieces, plan: Plan, tmp_path: Path
) -> None:
    said: list[str] = []
    data = Data(Tones(), pieces)
    whole = train(plan, config(pieces), data, tmp_path / "whole", said.append)
    assert len(whole.losses) == plan.steps
    assert sum(whole.losses[-4:]) < 0.7 * sum(whole.losses[:4])
    assert (tmp_path / "whole" / "curve.svg").read_text().startswith("<svg")
    assert "step 24 of 24" in said[-1]
    (tmp_path / "whole" / "step-00000024.pt").unlink()
    again = train(plan, config(pieces), data, tmp_path / "whole", said.append, resume=True)
    assert again.losses == pytest.approx(whole.losses, rel=1e-3)


def test_a_checkpoint_of_other_sizes_is_named(pieces: Pieces, plan: Plan, tmp_path: Path) -> None:
    data, short = Data(Tones(), pieces), replace(plan, steps=1)
    train(short, config(pieces), data, tmp_path, print)
    with pytest.raises(ModelError, match=r"step-00000001\.pt.*these sizes"):
        train(plan, replace(config(pieces), width=64), data, tmp_path, print, resume=True)


# -- what comes out


async def test_what_is_trained_is_what_transformers_reads_and_faster_whisper_runs(
    pieces: Pieces, tmp_path: Path
) -> None:
    transformers = pytest.importorskip("transformers", reason="the extra `forms` is not installed")
    from models.export.whisper import convert

    torch.manual_seed(1)
    model = Whisper(config(pieces)).eval()
    for p in model.parameters():
        p.data += 0.05 * torch.randn_like(p)
    write_folder(tmp_path / "whisper", model, pieces)
    theirs = transformers.WhisperForConditionalGeneration.from_pretrained(tmp_path / "whisper")
    heard = torch.from_numpy(CHANCE.normal(size=(1, 80, 3000)).astype(np.float32))
    tokens = torch.tensor([[pieces.before, 5, pieces.start, pieces.plain, 300]])
    with torch.no_grad():
        ours = model(heard, tokens)
        assert torch.allclose(ours, theirs(input_features=heard, decoder_input_ids=tokens).logits, atol=1e-4)
    convert(tmp_path / "whisper", tmp_path / "ears")
    async with Hearing(tmp_path / "ears") as hearing:
        found = await hearing.hear(np.zeros(RATE, "<i2").tobytes(), "Desk lamp")
    assert found.logprob < 0


def test_a_folder_that_is_no_model_is_not_converted(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="the extra `forms` is not installed")
    from models.export.whisper import convert

    (tmp_path / "ears").mkdir()
    with pytest.raises(ModelError, match="cannot be converted"):
        convert(tmp_path / "nothing", tmp_path / "ears")
    assert [path.name for path in tmp_path.iterdir()] == ["ears"]  # what was there before stays
