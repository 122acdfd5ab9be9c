"""Checkpoints that the real libraries wrote compute in llama.cpp what they computed in those libraries.

This file is a program too: torchrun starts it as two processes of one training, each of which takes a step with each
library, writes its forms and, as its own word on what it holds, the logits at 64 positions (see `main`).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the training extra is not installed")

import torch.distributed as dist  # noqa: E402 - after the check that torch is there at all
import torch.nn.functional as F  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from models import ModelError  # noqa: E402
from models.export import forms  # noqa: E402
from models.export.checkpoint import Checkpoint, open_checkpoint  # noqa: E402
from models.export.gguf import stream_gguf  # noqa: E402
from models.export.stand_in import vocabulary  # noqa: E402
from models.export.verify import Logits, compare, native_logits, sample_tokens, torch_logits  # noqa: E402

DIM, LAYERS, HEADS, GROUPS, FFN, VOCAB, CONTEXT = 96, 2, 6, 3, 160, 400, 256
SIZE = DIM // HEADS
TOKENS = sample_tokens(VOCAB)
WITHIN = 120.0  # seconds
EXTRA = "the extra with the libraries that write checkpoints is not installed"
# What litgpt writes beside its checkpoints, and what a person gives with those that say nothing of their shape.
MODEL_CONFIG = f"""name: tiny
n_layer: {LAYERS}
n_head: {HEADS}
n_embd: {DIM}
n_query_groups: {GROUPS}
intermediate_size: {FFN}
padded_vocab_size: {VOCAB}
block_size: {CONTEXT}
norm_class_name: RMSNorm
mlp_class_name: LLaMAMLP
norm_eps: 1e-05
rope_condense_ratio: 1
"""
HF_CONFIG = {
    "model_type": "llama",
    "hidden_size": DIM,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": GROUPS,
    "intermediate_size": FFN,
    "vocab_size": VOCAB,
    "max_position_embeddings": CONTEXT,
    "rms_norm_eps": 1e-5,
}
State = dict[str, Any]


# -- models of other libraries


class Part(nn.Module):
    """A node of the tree of names."""

    def __init__(self, **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)


class Block(nn.Module):
    """A layer with the names of TinyLlama's and litgpt's; the queries, keys and values are one matrix."""

    def __init__(self, fused: str, gate: str) -> None:
        super().__init__()
        self.fused, self.gate = fused, gate
        self.norm_1, self.norm_2 = nn.RMSNorm(DIM, 1e-5), nn.RMSNorm(DIM, 1e-5)
        self.attn = Part(
            **{fused: nn.Linear(DIM, (HEADS + 2 * GROUPS) * SIZE, bias=False), "proj": nn.Linear(DIM, DIM, bias=False)}
        )
        up, whole = nn.Linear(DIM, FFN, bias=False), nn.Linear(FFN, DIM, bias=False)
        w1 = nn.Linear(DIM, FFN, bias=False)
        if gate == "swiglu":
            self.mlp = Part(swiglu=Part(w1=w1, w2=up, w3=whole))
        else:
            self.mlp = Part(fc_1=w1, fc_2=up, proj=whole)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        length = x.shape[1]
        mixed = self.attn.get_submodule(self.fused)(self.norm_1(x))[0]
        if self.fused == "attn":  # for each group its queries, its key, its value
            grouped = mixed.view(length, GROUPS, HEADS // GROUPS + 2, SIZE)
            q, k, v = grouped.split((HEADS // GROUPS, 1, 1), dim=2)
        else:  # all queries, all keys, all values
            q, k, v = mixed.split((DIM, GROUPS * SIZE, GROUPS * SIZE), dim=1)
        q, k, v = (part.reshape(length, -1, SIZE).transpose(0, 1) for part in (q, k, v))
        q, k = (part * cos + torch.cat((-part[..., SIZE // 2 :], part[..., : SIZE // 2]), -1) * sin for part in (q, k))
        k, v = (part.repeat_interleave(HEADS // GROUPS, 0) for part in (k, v))
        seen = torch.full((length, length), float("-inf")).triu(1)
        weights = (q @ k.transpose(1, 2) / SIZE**0.5 + seen).softmax(-1)
        x = x + self.attn.get_submodule("proj")((weights @ v).transpose(0, 1).reshape(1, length, DIM))
        parts = ("swiglu.w1", "swiglu.w2", "swiglu.w3") if self.gate == "swiglu" else ("fc_1", "fc_2", "proj")
        gate, up, down = (self.mlp.get_submodule(name) for name in parts)
        h = self.norm_2(x)
        return x + down(F.silu(gate(h)) * up(h))


class Gpt(nn.Module):
    """litgpt's model, written down once more, since litgpt cannot be installed beside a transformers of today.

    On the same weights litgpt's own GPT has the same names and, within 0.00001, the same logits: 0.5.4 (fused `attn`) and
    0.5.13 (`qkv`), both with `fc`. TinyLlama's training code, from which it comes, has `swiglu`.
    """

    def __init__(self, fused: str = "attn", gate: str = "swiglu") -> None:
        super().__init__()
        blocks = nn.ModuleList(Block(fused, gate) for _ in range(LAYERS))
        self.transformer = nn.ModuleDict({"wte": nn.Embedding(VOCAB, DIM), "h": blocks, "ln_f": nn.RMSNorm(DIM, 1e-5)})
        self.lm_head = nn.Linear(DIM, VOCAB, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        turns = torch.outer(torch.arange(ids.shape[1]), 1 / 10000 ** (torch.arange(0, SIZE, 2) / SIZE)).repeat(1, 2)
        x = self.transformer["wte"](ids)
        for block in self.transformer["h"]:
            x = block(x, turns.cos(), turns.sin())
        return self.lm_head(self.transformer["ln_f"](x))


def hugging_face(**settings: Any) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(LlamaConfig(**HF_CONFIG | settings))


def with_weights(model: Any) -> Any:
    """The same in each process, and such that the logits are far enough apart for a fault to show."""
    torch.manual_seed(5)
    with torch.no_grad():
        for p in model.parameters():
            noise = torch.randn(p.shape)
            p.copy_(1 + noise / 10 if p.dim() == 1 else noise / p.shape[1] ** 0.5)
    return model


def logits(model: Any) -> Any:
    """[position, vocabulary], whether the model gives them bare or in an answer."""
    answer = model(torch.tensor([TOKENS]))
    return (answer if isinstance(answer, Tensor) else answer.logits)[0]


def train(model: Any, optimizer: Any, backward: Callable[[Any], None] = lambda loss: loss.backward()) -> None:
    """One step, so that there is an optimizer with something to keep."""
    backward(F.cross_entropy(logits(model)[:-1], torch.tensor(TOKENS[1:])))
    optimizer.step()
    optimizer.zero_grad()


def adam(model: Any) -> Any:
    return torch.optim.AdamW(model.parameters(), lr=1e-3)


# -- what the two processes do


def main(folder: Path, *libraries: str) -> None:
    """Run by torchrun: train with each library, and write its forms into a folder of its name, with the logits beside."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    for library in libraries:
        (folder / library).mkdir(exist_ok=True)
        WRITERS[library](folder / library)
    dist.barrier()
    dist.destroy_process_group()


def keep_logits(model: Any, folder: Path) -> None:
    """All processes compute, since each has only its part; the first one writes."""
    with torch.no_grad():
        found = logits(model).numpy()
    if dist.get_rank() == 0:
        np.save(folder / "logits.npy", found)


def write_fsdp1(folder: Path) -> None:
    from torch.distributed.checkpoint import FileSystemWriter, save
    from torch.distributed.fsdp import FullStateDictConfig, FullyShardedDataParallel, ShardedStateDictConfig
    from torch.distributed.fsdp import StateDictType as Type
    from torch.distributed.fsdp.wrap import ModuleWrapPolicy

    model = FullyShardedDataParallel(
        with_weights(Gpt()), auto_wrap_policy=ModuleWrapPolicy({Block}), device_id=torch.device("cpu")
    )
    optimizer = adam(model)
    train(model, optimizer)
    with FullyShardedDataParallel.state_dict_type(model, Type.FULL_STATE_DICT, FullStateDictConfig()):
        # What Fabric's own FSDPStrategy gathers, and writes as TinyLlama's iter-*-ckpt.pth.
        state = {"model": model.state_dict(), "optimizer": FullyShardedDataParallel.optim_state_dict(model, optimizer)}
    if dist.get_rank() == 0:
        torch.save(state | {"hparams": {"model_name": "mine"}, "iter_num": 1, "step_count": 1}, folder / "full.pth")
        torch.save(state["model"], folder / "flat.pt")
    with FullyShardedDataParallel.state_dict_type(model, Type.SHARDED_STATE_DICT, ShardedStateDictConfig()):
        sharded = model.state_dict()
    save({"model": sharded}, storage_writer=FileSystemWriter(folder / "sharded"))
    torch.save(sharded, folder / f"rank{dist.get_rank()}.pt")
    keep_logits(model, folder)


def write_fsdp2(folder: Path) -> None:
    from torch.distributed.checkpoint import FileSystemWriter, save
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict
    from torch.distributed.fsdp import fully_shard

    model = with_weights(Gpt("qkv", "fc"))
    for block in model.transformer["h"]:
        fully_shard(block)
    fully_shard(model)
    optimizer = adam(model)
    train(model, optimizer)
    sharded, moments = get_state_dict(model, optimizer)
    save({"model": sharded, "optimizer": moments}, storage_writer=FileSystemWriter(folder / "sharded"))
    torch.save(sharded, folder / f"rank{dist.get_rank()}.pt")
    full, _ = get_state_dict(model, optimizer, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    if dist.get_rank() == 0:
        torch.save(full, folder / "full.pt")
    keep_logits(model, folder)


def write_fabric(folder: Path) -> None:
    """By ModelParallelStrategy: FSDPStrategy refuses to run on CPUs. What that one gathers is in `write_fsdp1`."""
    from lightning_fabric import Fabric
    from lightning_fabric.strategies import ModelParallelStrategy
    from torch.distributed.fsdp import fully_shard

    def shard(model: Any, mesh: Any) -> Any:
        for block in model.transformer["h"]:
            fully_shard(block, mesh=mesh["data_parallel"])
        return fully_shard(model, mesh=mesh["data_parallel"])

    strategy = ModelParallelStrategy(shard, data_parallel_size=2, tensor_parallel_size=1)
    fabric = Fabric(accelerator="cpu", devices=2, strategy=strategy)
    fabric.launch()
    model = fabric.setup_module(with_weights(Gpt()))
    optimizer = fabric.setup_optimizers(adam(model))
    train(model, optimizer, fabric.backward)
    state = {"model": model, "optimizer": optimizer, "hparams": {"model_name": "mine"}, "iter_num": 1}
    fabric.save(folder / "sharded", state)
    fabric.save(folder / "litgpt" / "lit_model.pth", {"model": model})  # as litgpt's pretraining does
    strategy._save_distributed_checkpoint = False
    fabric.save(folder / "full.pth", state)
    keep_logits(model, folder)


def write_accelerate(folder: Path) -> None:
    """By accelerate's own functions. Its Accelerator makes DDP of every model on CPUs, so the plugin is put in by hand."""
    from accelerate import Accelerator, FullyShardedDataParallelPlugin
    from accelerate.utils import fsdp_utils

    accelerator = Accelerator(cpu=True)
    plugin = FullyShardedDataParallelPlugin(fsdp_version=2, auto_wrap_policy="transformer_based_wrap")
    model = with_weights(hugging_face(tie_word_embeddings=False))
    plugin.cpu_ram_efficient_loading = False
    accelerator.state.fsdp_plugin = plugin
    model = fsdp_utils.fsdp2_prepare_model(accelerator, model)
    optimizer = adam(model)
    train(model, optimizer)
    plugin.set_state_dict_type("SHARDED_STATE_DICT")
    fsdp_utils.save_fsdp_model(plugin, accelerator, model, folder / "sharded")
    fsdp_utils.save_fsdp_optimizer(plugin, accelerator, optimizer, model, folder / "sharded")
    fsdp_utils.save_fsdp_model(plugin, accelerator, model, folder / "parts", use_dcp=False)
    plugin.set_state_dict_type("FULL_STATE_DICT")
    fsdp_utils.save_fsdp_model(plugin, accelerator, model, folder / "full")
    fsdp_utils.save_fsdp_optimizer(plugin, accelerator, optimizer, model, folder / "full")
    keep_logits(model, folder)


WRITERS: dict[str, Callable[[Path], None]] = {
    "fsdp1": write_fsdp1,
    "fsdp2": write_fsdp2,
    "fabric": write_fabric,
    "accelerate": write_accelerate,
}
NEEDS = {"fabric": ("lightning_fabric",), "accelerate": ("accelerate", "transformers")}
FILES = [
    ("fsdp1", "full.pth"),
    ("fsdp1", "flat.pt"),
    ("fsdp1", "sharded"),
    ("fsdp2", "full.pt"),
    ("fsdp2", "sharded"),
    ("fabric", "full.pth"),
    ("fabric", "sharded"),
    ("fabric", "litgpt"),
    ("accelerate", "sharded"),
    ("accelerate", "sharded/pytorch_model_fsdp_0"),
    ("accelerate", "full"),
]


# -- the tests


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of each library's that is there; torch takes longer to import than all of them to train."""
    folder = tmp_path_factory.mktemp("written")
    there = [library for library in WRITERS if all(find_spec(needed) for needed in NEEDS.get(library, ()))]
    run = [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*run, __file__, str(folder), *there],
        capture_output=True,
        text=True,
        timeout=WITHIN,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def assert_same(checkpoint: Checkpoint, wanted: Logits, file: Path) -> None:
    """llama.cpp and our own PyTorch run of the checkpoint give at every position what its library gave."""
    config = checkpoint.shape.config
    stream_gguf(
        file,
        config=config,
        load=lambda name: checkpoint.tensors[name].load_for_f16(),
        vocabulary=vocabulary([]),
        metadata={},
        rope_scale=checkpoint.shape.rope_scale,
    )
    for other in (torch_logits(checkpoint.shape, checkpoint.load, TOKENS), native_logits(file, TOKENS)):
        compared = compare(wanted, other)
        assert compared.positions == 64
        assert compared.largest <= 0.02
        assert compared.top1 == 1


@pytest.mark.parametrize(("library", "file"), FILES)
def test_what_two_processes_wrote(written: Path, library: str, file: str, tmp_path: Path) -> None:
    for needed in NEEDS.get(library, ()):
        pytest.importorskip(needed, reason=EXTRA)
    folder = written / library
    shape = tmp_path / "shape.json"
    shape.write_text(json.dumps(HF_CONFIG))
    checkpoint = open_checkpoint(folder / file, str(shape))
    assert_same(checkpoint, np.load(folder / "logits.npy"), tmp_path / "m.gguf")


@pytest.mark.parametrize("library", ["fsdp1", "fsdp2"])
def test_the_part_of_one_process_is_refused(written: Path, library: str) -> None:
    with pytest.raises(ModelError, match="rows of one process"):
        open_checkpoint(written / library / "rank0.pt")


def test_the_parts_that_accelerate_leaves_apart_are_refused(written: Path) -> None:
    for needed in NEEDS["accelerate"]:
        pytest.importorskip(needed, reason=EXTRA)
    folder = written / "accelerate" / "parts"
    for path in (folder, *folder.iterdir()):
        with pytest.raises(ModelError, match="FULL_STATE_DICT"):
            open_checkpoint(path)


@pytest.mark.parametrize(
    ("settings", "dtype"),
    [
        ({"tie_word_embeddings": False}, "float32"),
        ({"tie_word_embeddings": True}, "float32"),
        ({"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0}}, "float32"),
        ({"rope_theta": 500000.0, "rms_norm_eps": 1e-6}, "bfloat16"),
    ],
    ids=["own head", "tied", "stretched", "half"],
)
def test_what_transformers_saves(settings: State, dtype: str, tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason=EXTRA)
    from transformers import LlamaForCausalLM

    model = with_weights(hugging_face(**settings)).to(getattr(torch, dtype))
    model.save_pretrained(tmp_path / "saved", max_shard_size="100KB")
    assert len(list((tmp_path / "saved").glob("*.safetensors"))) > 3
    with torch.no_grad():
        wanted = logits(LlamaForCausalLM.from_pretrained(tmp_path / "saved", dtype=torch.float32)).numpy()
    assert_same(open_checkpoint(tmp_path / "saved"), wanted, tmp_path / "m.gguf")


@pytest.mark.parametrize(("fused", "gate"), [("attn", "swiglu"), ("attn", "fc"), ("qkv", "fc")])
def test_litgpt_of_all_ages(fused: str, gate: str, tmp_path: Path) -> None:
    model = with_weights(Gpt(fused, gate))
    (tmp_path / "model_config.yaml").write_text(MODEL_CONFIG)
    torch.save(model.state_dict(), tmp_path / "lit_model.pth")
    with torch.no_grad():
        assert_same(open_checkpoint(tmp_path), logits(model).numpy(), tmp_path / "m.gguf")


def save_dcp(state: State, folder: Path) -> None:
    from torch.distributed.checkpoint import FileSystemWriter, save

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is but one process
        save(state, storage_writer=FileSystemWriter(folder), no_dist=True)


def save_safetensors(state: State, file: Path) -> None:
    from safetensors.torch import save_file

    save_file(state, file)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    ("save", "name"),
    [(torch.save, "m.pt"), (save_safetensors, "m.safetensors"), (save_dcp, "m")],
    ids=["torch", "st", "dcp"],
)
def test_numbers_are_read_exactly_or_rounded_once(
    save: Callable[[State, Path], None], name: str, dtype: Any, tmp_path: Path
) -> None:
    bits = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16).view(256, 256)
    every = bits.view(torch.bfloat16).float().nan_to_num(1.0, 2.0, 3.0)  # among them what float16 has only almost
    state = {"a": every.to(dtype).nan_to_num(), "b": every[0].to(dtype).contiguous()}
    save(state, tmp_path / name)
    tensors = forms.read(tmp_path / name).tensors
    for key, value in state.items():
        np.testing.assert_array_equal(tensors[key].load().astype(np.float32), value.float().numpy())
    with np.errstate(over="ignore"):
        once = state["a"].float().numpy().astype(np.float16)
        np.testing.assert_array_equal(tensors["a"].load_for_f16().astype(np.float16), once)
    assert tensors["b"].load_for_f16().dtype == tensors["b"].load().dtype, "vectors stay as exact as they are"
    np.testing.assert_array_equal(tensors["b"].load_for_f16(), tensors["b"].load())


# -- ended with Ctrl-C


def write_large(folder: Path) -> Path:
    """So large that to write and to quantise it takes longer than to notice that it has begun."""
    from safetensors.torch import save_file

    from models.export.gguf import LlamaConfig, shapes

    config = LlamaConfig(dim=768, layers=3, heads=12, kv_heads=4, ffn=2048, vocab=4000, context=256)
    save_file({name: torch.randn(shape) / 32 for name, shape in shapes(config).items()}, folder / "model.safetensors")
    sizes = {"hidden_size": 768, "num_hidden_layers": 3, "num_attention_heads": 12, "num_key_value_heads": 4}
    sizes |= {"intermediate_size": 2048, "vocab_size": 4000, "tie_word_embeddings": True}
    (folder / "config.json").write_text(json.dumps(HF_CONFIG | sizes))
    return folder


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_large(tmp_path_factory.mktemp("large"))
    sentencepiece = pytest.importorskip("sentencepiece", reason="the training extra is not installed")
    with (folder / "tokenizer.model").open("wb") as out:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(["turn on the lamp in the kitchen", "turn off the lights", "close the blinds"]),
            model_writer=out,
            vocab_size=300,
            model_type="bpe",
            character_coverage=1.0,
            byte_fallback=True,
            normalization_rule_name="identity",
            minloglevel=2,
        )
    return folder


def has_files(count: int) -> Callable[[int, Path], bool]:
    return lambda process, folder: len(list(folder.iterdir())) >= count


def has_child(process: int, _: Path) -> bool:
    """The moment in which another Python has hardly begun, and knows least of what to do with Ctrl-C."""
    try:
        return bool(Path(f"/proc/{process}/task/{process}/children").read_text())
    except OSError:
        return False


@pytest.mark.parametrize("moment", [has_files(1), has_child, has_files(2)], ids=["writing", "starting", "quantising"])
def test_ctrl_c_leaves_nothing(large: Path, moment: Callable[[int, Path], bool], tmp_path: Path) -> None:
    code = "from hub.cli import main; main()"
    words = ["model", "export", str(large), "--out", str(tmp_path / "m.gguf"), "--type", "q4_k_m", "--untrained"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    give_up = time.monotonic() + WITHIN
    while not moment(process.pid, tmp_path):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < give_up
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all that run in it
    said, _ = process.communicate(timeout=WITHIN)
    assert (process.returncode, "Traceback" in said) == (130, False), said
    assert list(tmp_path.iterdir()) == []


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
