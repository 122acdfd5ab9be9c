"""Tuning in miniature: from a checkpoint in TinyLlama's form to a folder that is exported, and the whole speedrun."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the training extra is not installed")
sentencepiece = pytest.importorskip("sentencepiece", reason="the training extra is not installed")
pytest.importorskip("safetensors", reason="the training extra is not installed")

import numpy as np  # noqa: E402 - after the check that training can be imported at all
import torch.nn.functional as F  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

from hub.cli import app  # noqa: E402
from hub.make_model import pairs  # noqa: E402
from hub.train import Order, run  # noqa: E402
from intents.line import symbols  # noqa: E402
from intents.prompt import ASK  # noqa: E402
from models import ModelError  # noqa: E402
from models.export.check import check_card  # noqa: E402
from models.export.checkpoint import Checkpoint, open_checkpoint  # noqa: E402
from models.export.gguf import LlamaConfig  # noqa: E402
from models.export.stand_in import random_tensors  # noqa: E402
from models.export.verify import sample_tokens, torch_logits  # noqa: E402
from models.language import LanguageModel  # noqa: E402
from models.train import lora  # noqa: E402
from models.train.batch import IGNORE, Batch, Encoder, Example, by_length, packed  # noqa: E402
from models.train.folder import ADDED  # noqa: E402
from models.train.fsdp import Plan  # noqa: E402
from models.train.home import Recipe, train_tokenizer  # noqa: E402
from models.train.llama import Llama  # noqa: E402
from models.train.tune import start_from, with_symbols  # noqa: E402

ROOT = Path(__file__).parents[1]
PIECES = 420
CONFIG = LlamaConfig(
    dim=64, layers=2, heads=4, kv_heads=2, ffn=96, vocab=PIECES, context=128, norm_eps=1e-5, tied=False
)
HF_CONFIG = {
    "model_type": "llama",
    "hidden_size": CONFIG.dim,
    "num_hidden_layers": CONFIG.layers,
    "num_attention_heads": CONFIG.heads,
    "num_key_value_heads": CONFIG.kv_heads,
    "intermediate_size": CONFIG.ffn,
    "vocab_size": CONFIG.vocab,
    "max_position_embeddings": CONFIG.context,
    "rms_norm_eps": CONFIG.norm_eps,
    "rope_scaling": {"rope_type": "linear", "factor": 2.0},
}
STEPS = 24
SMALL = ("--steps", STEPS, "--save-every", 8, "--batch-tokens", 1024, "--rate", 0.01)
WITHIN = 120.0  # seconds
torch.set_num_threads(1)


def fused(tensors: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """The weights under TinyLlama's names, queries, key and value of a group together."""
    state = {
        "transformer.wte.weight": tensors["tok.weight"],
        "transformer.ln_f.weight": tensors["norm.weight"],
        "lm_head.weight": tensors["head.weight"],
    }
    parts = {"norm_1": "attn_norm", "norm_2": "ffn_norm", "attn.proj": "o"}
    parts |= {"mlp.swiglu.w1": "gate", "mlp.swiglu.w2": "up", "mlp.swiglu.w3": "down"}
    for n in range(CONFIG.layers):
        state |= {f"transformer.h.{n}.{t}.weight": tensors[f"layers.{n}.{o}.weight"] for t, o in parts.items()}
        q, k, v = (tensors[f"layers.{n}.{part}.weight"].reshape(2, -1, 16, CONFIG.dim) for part in "qkv")
        state[f"transformer.h.{n}.attn.attn.weight"] = np.concatenate([q, k, v], 1).reshape(-1, CONFIG.dim)
    return {name: torch.from_numpy(array.copy()) for name, array in state.items()}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint like TinyLlama's: its .pth, its shape, and a tokenizer that knows nothing of the line."""
    folder = tmp_path_factory.mktemp("base")
    with (folder / "tokenizer.model").open("wb") as out:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter([" ".join(said) for said, _ in islice(pairs(5), 3000)]),
            model_writer=out,
            model_type="bpe",
            vocab_size=PIECES,
            character_coverage=1.0,
            byte_fallback=True,
            normalization_rule_name="identity",
            pad_id=-1,
            minloglevel=2,
        )
    (folder / "config.json").write_text(json.dumps(HF_CONFIG))
    torch.save({"model": fused(random_tensors(CONFIG, 4)), "iter_num": 7}, folder / "iter-000007-ckpt.pth")
    return folder / "iter-000007-ckpt.pth"


def command(*words: object) -> list[str]:
    return [sys.executable, "-P", "-c", "from hub.cli import main; main()", "model", *map(str, words)]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def hub(*words: object) -> tuple[int, str]:
    """The exit code of `hub model ...` and what it says, in this process."""
    result = CliRunner().invoke(app, ["model", *map(str, words)])
    return result.exit_code, result.output


def losses(folder: Path) -> list[float]:
    return [float(line) for line in (folder / "training/losses.jsonl").read_text().split()]


@pytest.fixture(scope="module", params=[0, 4], ids=["whole", "lora"])
def tuned(request: pytest.FixtureRequest, base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Path]:
    """The rank of the adapters, and what one process has made of the checkpoint that nobody disturbed."""
    folder = tmp_path_factory.mktemp("tuned") / "out"
    code, said = hub("train", "--out", folder, "--from", base, "--lora", request.param, *SMALL)
    assert code == 0, said
    assert f"hub model export {folder}" in said
    return request.param, folder


def test_tuning_lowers_the_loss_and_its_folder_is_exported(tuned: tuple[int, Path], tmp_path: Path) -> None:
    rank, folder = tuned
    had = losses(folder)
    assert len(had) == STEPS
    assert np.mean(had[-4:]) < np.mean(had[:4]) - 0.5
    assert json.loads((folder / "run.json").read_text())["tuning"]["plan"]["lora"] == rank
    checkpoint = open_checkpoint(folder)
    assert checkpoint.shape.rope_scale == 2.0
    assert checkpoint.shape.config.vocab == PIECES + len(symbols()) + 1
    code, said = hub("export", folder, "--out", tmp_path / "m.gguf", "--type", "f16", "--untrained")
    assert code == 0, said
    encode = Encoder(folder / "tokenizer.model", json.loads((folder / ADDED).read_text()))
    with LanguageModel(tmp_path / "m.gguf") as model:
        for said_words, line in islice(pairs(21), 50):
            ids, start = encode((said_words, line))
            assert model.tokenize(" ".join(said_words) + ASK) == ids[1:start]


@pytest.mark.parametrize("tuned", [0], indirect=True, ids=["whole"])
def test_two_processes_have_the_losses_of_one(tuned: tuple[int, Path], base: Path, tmp_path: Path) -> None:
    _, folder = tuned  # adapters: below, where the two are ended in the middle and go on
    code, said = hub("train", "--out", tmp_path / "two", "--from", base, "--processes", 2, *SMALL)
    assert code == 0, said
    np.testing.assert_allclose(losses(tmp_path / "two"), losses(folder), rtol=2e-3)
    assert len(list((tmp_path / "two").glob("training/step-*/*.distcp"))) >= 4
    one, two = open_checkpoint(folder), open_checkpoint(tmp_path / "two")
    # Whole matrices: a single weight with next to no gradient may step either way (Adam), and does when the corpus changes.
    for name in ("tok.weight", "layers.1.q.weight"):
        assert np.linalg.norm(two.load(name) - one.load(name)) < 0.02 * np.linalg.norm(one.load(name))


@pytest.mark.parametrize("tuned", [0], indirect=True, ids=["whole"])
def test_a_checkpoint_on_the_way_is_exported_as_it_is(tuned: tuple[int, Path]) -> None:
    _, folder = tuned
    last, made = open_checkpoint(folder / f"training/step-{STEPS:08}"), open_checkpoint(folder)
    assert last.shape == made.shape
    for name in made.tensors:
        np.testing.assert_array_equal(last.load(name), made.load(name), err_msg=name)
    assert json.loads((folder / "training" / ADDED).read_text()) == json.loads((folder / ADDED).read_text())


def test_adapters_leave_the_rest_as_it_was(tuned: tuple[int, Path], base: Path) -> None:
    rank, folder = tuned
    before, after = open_checkpoint(base), open_checkpoint(folder)
    same = [n for n in after.tensors if "tok" not in n and np.array_equal(before.load(n), after.load(n)[:PIECES])]
    assert len(same) == (2 * CONFIG.layers + 1 if rank else 0)
    assert all("norm" in name for name in same)
    assert not np.array_equal(before.load("tok.weight"), after.load("tok.weight")[:PIECES])


def seen(folder: Path, process: subprocess.Popen[str]) -> None:
    """Waits for the first checkpoint."""
    give_up = time.monotonic() + WITHIN
    while not (folder / "training/losses.jsonl").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < give_up
        time.sleep(0.01)


def alive(mark: str) -> list[int]:
    """The processes in whose command line the mark is."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark.encode() in place.read_bytes():
                found.append(int(place.parent.name))
        except OSError:  # it has just ended
            continue
    return found


@pytest.mark.parametrize(("tuned", "count"), [(0, 1), (4, 2)], indirect=["tuned"], ids=["whole by 1", "lora by 2"])
def test_ctrl_c_leaves_checkpoints_from_which_one_process_goes_on(
    tuned: tuple[int, Path], count: int, base: Path, tmp_path: Path
) -> None:
    rank, folder = tuned
    out = tmp_path / "ended"
    words = ("train", "--out", out, "--from", base, "--lora", rank, *SMALL)
    process = subprocess.Popen(
        command(*words, "--processes", count),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    seen(out, process)
    process.send_signal(signal.SIGINT)
    said, wrong = process.communicate(timeout=WITHIN)
    assert process.returncode == 130, said + wrong
    assert "--resume" in said
    assert "Traceback" not in said + wrong
    assert not alive(str(out))
    assert list(out.glob("training/step-*/plan.json"))
    assert len(losses(out)) < STEPS, "it was ended in the middle"
    code, told = hub(*words)
    assert (code, "--resume" in told) == (1, True)
    code, told = hub(*words, "--resume")
    assert (code, "goes on from" in told) == (0, True), told
    np.testing.assert_allclose(losses(out), losses(folder), rtol=2e-3 if count > 1 else 1e-6)


def test_a_run_does_not_go_on_from_another_or_a_damaged_one(
    tuned: tuple[int, Path], base: Path, tmp_path: Path
) -> None:
    rank, folder = tuned
    out = tmp_path / "copy"
    shutil.copytree(folder, out)
    words = ("train", "--out", out, "--from", base, "--lora", rank, *SMALL, "--resume")
    other = tmp_path / "other"
    other.mkdir()
    torch.save(fused(random_tensors(CONFIG, 5)), other / "m.pth")
    for name in ("config.json", "tokenizer.model"):
        shutil.copyfile(base.with_name(name), other / name)
    for option, value, what in (
        ("--fall", "linear", "plan"),
        ("--batch-tokens", 512, "data"),
        ("--from", other / "m.pth", "start"),
    ):
        code, told = hub(*words, option, value)
        assert (code, f"another {what}" in told) == (1, True), told
    for part in max(out.glob("training/step-*")).glob("*.distcp"):
        part.write_bytes(part.read_bytes()[:100])
    code, told = hub(*words)
    assert (code, "cannot be written or read" in told, told.count("\n")) == (1, True, 1), told


def wrong_options(base: Path) -> Iterator[tuple[int, str, tuple[object, ...]]]:
    """The exit code, a part of what is said, and the options."""
    start = ("--from", base)
    yield 2, "--from", ("--lora", 8)
    yield 2, "cosine or linear", ("--fall", "steep")
    yield 2, "--steps", ("--steps", 0)
    yield 2, "--rate", ("--rate", -1)
    yield 2, "--lora", (*start, "--lora", -2)
    yield 1, "no such file", ("--from", base.with_name("absent.pth"))
    yield 1, "cannot be read", (*start, "--tokenizer", base.with_name("absent.model"))
    yield 1, "SentencePiece", (*start, "--tokenizer", base.with_name("config.json"))
    yield 1, "preset", (*start, "--preset", "no-such")
    yield 1, "learning rate", (*start, "--rate", 3)


def test_wrong_options_are_told(base: Path, tmp_path: Path) -> None:
    for code, part, words in wrong_options(base):
        ended, said = hub("train", "--out", tmp_path / "out", *words)
        assert (ended, part in said, said.startswith("hub: ")) == (code, True, True), said
    assert not (tmp_path / "out").exists()


def test_an_error_in_one_of_many_processes_is_one_line(base: Path, tmp_path: Path) -> None:
    words = ("--from", base, "--batch-tokens", 128, "--processes", 2)
    code, said = hub("train", "--out", tmp_path / "out", *words)
    assert (code, said.count("\n")) == (1, 1), said
    assert "make it larger" in said


def test_an_order_is_written_as_it_was_given(tmp_path: Path) -> None:
    order = Order(tmp_path, tmp_path / "x.pth", lora=8, rate=0.5, recompute=True, save_every=7)
    said = ["--from", f"{tmp_path}/x.pth", "--lora", "8", "--rate", "0.5", "--recompute", "--save-every", "7"]
    assert order.words() == ["--out", str(tmp_path), *said]
    with pytest.raises(ModelError, match="no such"):
        run(order, print)


def examples(count: int) -> list[Example]:
    generator = np.random.default_rng(6)
    made = []
    for length in generator.integers(4, 40, count):
        ids = [int(n) for n in generator.integers(3, 60, length)]
        made.append((ids, int(generator.integers(2, length))))
    return made


def per_token(model: Llama, batch: Batch) -> torch.Tensor:
    kept = batch.targets != IGNORE
    logits = model.logits(model(batch.inputs, batch.positions)[kept])
    return F.cross_entropy(logits, batch.targets[kept], reduction="none")


def test_a_packed_row_has_the_losses_of_its_examples_alone() -> None:
    torch.manual_seed(2)
    config = LlamaConfig(dim=32, layers=2, heads=4, kv_heads=2, ffn=48, vocab=60, context=64, tied=False)
    model = Llama(config, rope_scale=4.0)
    for p in model.parameters():  # those that begin with zero would hide what is wrong
        torch.nn.init.normal_(p, std=0.3)
    given = [*examples(30), (list(range(50)) * 2, 5)]  # the last is longer than a row
    batches = list(packed(iter([*given, *examples(60)]), 3, 64))
    assert len(batches) > 1
    first = batches[0]
    assert first.inputs.shape == (3, 64)
    assert first.positions is not None
    assert int((first.positions == 0).sum()) > 6, "many examples a row"
    together = torch.cat([per_token(model, batch) for batch in batches]).sort().values
    model.recompute = True
    again = torch.cat([per_token(model, batch) for batch in batches]).sort().values
    torch.testing.assert_close(again, together)
    shown = sum(int((batch.targets != IGNORE).sum()) for batch in batches)
    stream = (e for e in [*given, *examples(60)] if len(e[0]) <= 65)
    alone: list[torch.Tensor] = []
    while sum(map(len, alone)) < shown:
        (batch,) = by_length(iter([next(stream)]), 1)
        assert batch.positions is None
        alone.append(per_token(model, batch))
    torch.testing.assert_close(together, torch.cat(alone).sort().values, atol=1e-4, rtol=1e-4)


def opened(base: Path) -> Checkpoint:
    return open_checkpoint(base)


@pytest.mark.parametrize("rank", [0, 4])
def test_new_rows_leave_the_others_as_they_were(base: Path, rank: int) -> None:
    checkpoint = opened(base)
    tokens = with_symbols(base.with_name("tokenizer.model"), [ASK, *symbols()])
    start = start_from(checkpoint, tokens)
    assert start.load is not None
    assert start.grown
    assert start.config.vocab == PIECES + len(symbols()) + 1 == tokens.end
    assert tokens.added[ASK] == PIECES
    model = Llama(start.config, start.rope_scale)
    if rank:
        lora.adapt(model, rank, vocabulary=True)
    with torch.no_grad():
        for name, p in model.named_parameters():
            value = lora.beginning(name, p.shape)
            p.copy_(torch.tensor(start.load(lora.loaded_from(name))) if value is None else value)
        ids = sample_tokens(PIECES)
        logits = model.logits(model(torch.tensor([ids])))[0]
    reference = torch_logits(checkpoint.shape, checkpoint.load, ids)
    np.testing.assert_allclose(logits[:, :PIECES].numpy(), reference, atol=1e-4)
    new = start.load("tok.weight")[PIECES:]
    assert len(np.unique(new, axis=0)) == len(new)


def test_tokens_that_are_there_are_not_added(base: Path, tmp_path: Path) -> None:
    whole = train_tokenizer(islice(pairs(5), 6000), symbols(), 700, tmp_path)
    assert with_symbols(whole, [ASK, *symbols()]).added == {}
    part = tmp_path / "part"
    part.mkdir()
    (part / "tokenizer.model").write_bytes(base.with_name("tokenizer.model").read_bytes())
    (part / ADDED).write_text(json.dumps({"<|chat|>": PIECES, ASK: PIECES + 1}))
    tokens = with_symbols(part / "tokenizer.model", [ASK, "<turn_on>"])
    assert dict(tokens.added) == {"<|chat|>": PIECES, ASK: PIECES + 1, "<turn_on>": PIECES + 2}
    assert tokens.fresh == PIECES + 2
    with pytest.raises(ModelError, match="the checkpoint only"):
        start_from(opened(base), tokens)
    (part / ADDED).write_text("[1]")
    with pytest.raises(ModelError, match="added_tokens"):
        with_symbols(part / "tokenizer.model", [])


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"steps": 0}, "one step"),
        ({"rate": 2.0}, "learning rate"),
        ({"fall": "up"}, "cosine or linear"),
        ({"lora": 4}, "AdamW alone"),
    ],
)
def test_plans_that_cannot_be_done_are_refused(wrong: dict[str, object], told: str) -> None:
    with pytest.raises(ModelError, match=told):
        Plan(**({"steps": 5} | wrong))  # type: ignore[arg-type]


def test_sizes_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="heads"):
        Recipe(dim=66)
    with pytest.raises(ModelError, match="20 pieces"):
        train_tokenizer(islice(pairs(5), 100), symbols(), 20, tmp_path)


def test_the_whole_speedrun_in_miniature(tmp_path: Path) -> None:
    """Corpus, tokenizer, training, checkpoint, GGUF, 4 bits, scores and card, as the shipped model is made."""
    size = ("--layers", 2, "--dim", 64, "--pieces", 700, "--batch-tokens", 800)
    words = [*size, "--steps", 60, "--save-every", 30, "--scored", 10, "--folder", tmp_path]
    done = subprocess.run(
        [sys.executable, "-m", "hub.make_model", *map(str, words)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment(),
        check=False,
        timeout=WITHIN,
    )
    assert done.returncode == 0, done.stderr
    assert "held_out_lines_exact" in done.stdout
    assert len(list((tmp_path / "training").glob("step-*/plan.json"))) == 2
    card = check_card(tmp_path / "home.gguf")
    assert card["quantisation"] == "MOSTLY_Q4_0"
    assert isinstance(scores := card["scores"], dict)
    assert scores["held_out_lines"] == 10
    assert losses(tmp_path)[-1] < losses(tmp_path)[0]
    with LanguageModel(tmp_path / "home.gguf") as model:
        assert model.tokenize("turn on the lamp" + ASK)
