"""Training in miniature, and that what is trained is what llama.cpp runs."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the training extra is not installed")
sentencepiece = pytest.importorskip("sentencepiece", reason="the training extra is not installed")

import gguf  # noqa: E402 - after the check that training can be imported at all
import numpy as np  # noqa: E402

from hub.make_model import pairs  # noqa: E402
from intents.line import symbols  # noqa: E402
from intents.prompt import ASK  # noqa: E402
from models.language import LanguageModel  # noqa: E402
from models.train.home import ASK as TRAINED_ASK  # noqa: E402
from models.train.home import Encoder, Recipe, batches, make, scores, train  # noqa: E402
from models.train.llama import q4_0  # noqa: E402

TINY = Recipe(dim=64, layers=1, heads=2, kv_heads=1, ffn=96, pieces=700, steps=3, batch_tokens=400)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("model")
    make(TINY, lambda seed: islice(pairs(seed), 6000), symbols(), made, lambda line: None)
    return made


def test_training_asks_as_the_prompt_does() -> None:
    assert TRAINED_ASK == ASK


def test_llama_cpp_cuts_prompts_as_training_does(folder: Path) -> None:
    encode = Encoder(folder / "tokenizer.model")
    with LanguageModel(folder / "home-f16.gguf") as model:
        for said, line in islice(pairs(21), 200):
            ids, start = encode((said, line))
            assert model.tokenize(" ".join(said) + ASK) == ids[1:start]


def test_the_training_grid_is_that_of_the_file() -> None:
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(16, 64, generator=generator)
    stored = gguf.quants.quantize(weight.numpy(), gguf.GGMLQuantizationType.Q4_0)
    expected = gguf.quants.dequantize(stored, gguf.GGMLQuantizationType.Q4_0)
    np.testing.assert_allclose(q4_0(weight).numpy(), expected, atol=1e-6)


def test_training_lowers_the_loss(folder: Path) -> None:
    said: list[str] = []
    recipe = replace(TINY, steps=45)
    model, run = train(recipe, pairs, folder / "tokenizer.model", said.append)
    first = float(said[1].split("loss ")[1].split()[0])
    encode = Encoder(folder / "tokenizer.model")
    x, y = next(batches(pairs(99), encode, 2000))
    with torch.no_grad():
        last = float(torch.nn.functional.cross_entropy(*scores(model, x, y)))
    assert last < first * 0.8
    assert run.steps == 45
