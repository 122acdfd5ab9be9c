"""Training in miniature, and that what is trained is what llama.cpp runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
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
from models import ModelError  # noqa: E402
from models.language import LanguageModel  # noqa: E402
from models.train.batch import ASK as TRAINED_ASK  # noqa: E402
from models.train.batch import Encoder  # noqa: E402
from models.train.fsdp import Plan  # noqa: E402
from models.train.home import Recipe, make  # noqa: E402
from models.train.llama import q4_0  # noqa: E402

TINY = Recipe(
    dim=64, layers=1, heads=2, kv_heads=1, ffn=96, pieces=700, batch_tokens=400, plan=Plan(steps=45, save_every=15)
)
WITHIN = 120.0  # seconds
# What torchrun starts in each process: the training of a small model on small sums, its losses in losses.jsonl.
SCRIPT = """
import sys
from pathlib import Path
import torch
from models.export.gguf import LlamaConfig
from models.train.batch import Batch
from models.train.fsdp import Plan, Start, processes, train

def batches():
    generator = torch.Generator().manual_seed(3)
    while True:
        x = torch.randint(0, 50, (5, 12), generator=generator)
        yield Batch(x, (x + 1) % 50)

torch.set_num_threads(1)
config = LlamaConfig(dim=32, layers=2, heads=2, kv_heads=1, ffn=64, vocab=50, context=32)
with processes() as group:
    plan = Plan(steps=int(sys.argv[2]), save_every=5, grid=0.0, precise=True)
    train(plan, Start(config), batches(), Path(sys.argv[1]), print, group)
"""


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


def test_training_lowers_the_loss_and_leaves_a_curve(folder: Path) -> None:
    losses = losses_in(folder / "training")
    assert len(losses) == TINY.plan.steps
    assert sum(losses[-5:]) < sum(losses[:5]) * 0.8
    assert (folder / "training" / "losses.svg").read_text().startswith("<svg")
    assert json.loads((folder / "run.json").read_text())["recipe"]["plan"]["steps"] == TINY.plan.steps


def test_a_training_goes_on_from_the_weights_and_words_of_an_earlier_one(folder: Path, tmp_path: Path) -> None:
    more = replace(TINY, plan=replace(TINY.plan, steps=3, seed=5))
    make(more, lambda seed: islice(pairs(seed), 6000), symbols(), tmp_path / "more", lambda line: None, before=folder)
    first, after = losses_in(folder / "training"), losses_in(tmp_path / "more" / "training")
    assert after[0] < first[0] * 0.85, "it knows already what the first one learned"
    assert (tmp_path / "more" / "tokenizer.model").read_bytes() == (folder / "tokenizer.model").read_bytes()
    about = json.loads((tmp_path / "more" / "run.json").read_text())
    assert about["before"]["recipe"]["plan"]["steps"] == TINY.plan.steps
    with pytest.raises(ModelError, match="other sizes"):
        make(replace(more, dim=128), pairs, symbols(), tmp_path / "wide", lambda line: None, before=folder)
    with pytest.raises(ModelError, match="no finished training"):
        make(more, pairs, symbols(), tmp_path / "none", lambda line: None, before=tmp_path)


def losses_in(folder: Path) -> list[float]:
    return [float(line) for line in (folder / "losses.jsonl").read_text().split()]


def command(ranks: int, script: Path, folder: Path, steps: int) -> list[str]:
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    return [*run, str(script), str(folder), str(steps)]


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("script") / "run.py"
    file.write_text(SCRIPT)
    return file


@pytest.fixture(scope="module")
def alone(script: Path, tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    """The losses of one process that nobody disturbed."""
    folder = tmp_path_factory.mktemp("alone")
    done = subprocess.run(command(1, script, folder, 20), capture_output=True, text=True, timeout=WITHIN)
    assert done.returncode == 0, done.stderr
    return losses_in(folder)


def test_two_processes_have_the_losses_of_one(script: Path, alone: list[float], tmp_path: Path) -> None:
    done = subprocess.run(command(2, script, tmp_path, 20), capture_output=True, text=True, timeout=WITHIN)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(losses_in(tmp_path), alone, rtol=1e-4)
    assert len(list(tmp_path.glob("step-*/*.distcp"))) >= 4, "each process saves its own part"


def test_a_run_that_is_killed_goes_on_where_it_was_saved(script: Path, alone: list[float], tmp_path: Path) -> None:
    slow = script.with_name("slow.py")
    slow.write_text(SCRIPT.replace("        yield", "        import time; time.sleep(0.05)\n        yield"))
    process = subprocess.Popen(command(1, slow, tmp_path, 20), start_new_session=True, stderr=subprocess.DEVNULL)
    give_up = time.monotonic() + WITHIN
    while not (tmp_path / "losses.jsonl").exists():
        assert process.poll() is None
        assert time.monotonic() < give_up
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert len(losses_in(tmp_path)) < 20, "it was killed in the middle"
    done = subprocess.run(command(1, script, tmp_path, 20), capture_output=True, text=True, timeout=WITHIN)
    assert done.returncode == 0, done.stderr
    assert "goes on from" in done.stdout
    np.testing.assert_allclose(losses_in(tmp_path), alone, rtol=1e-6)
