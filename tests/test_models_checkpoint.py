"""Checkpoints of every form, written by the libraries that write them, are the same model; what is none is refused."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from models import ModelError
from models.export import bpe
from models.export.check import check_card
from models.export.checkpoint import Checkpoint, Shape, open_checkpoint, our_name
from models.export.convert import Vocabulary, export, read_vocabulary
from models.export.forms import Array, Lazy
from models.export.gguf import LlamaConfig, gguf_name, shapes, stream_gguf
from models.export.sentencepiece import Piece, PieceType, SentencePieceModel
from models.export.stand_in import random_tensors, vocabulary
from models.export.verify import (
    Compared,
    Sample,
    compare,
    native_logits,
    read_samples,
    run_torch,
    sample_tokens,
    torch_logits,
)

CONFIG = LlamaConfig(dim=96, layers=2, heads=6, kv_heads=3, ffn=160, vocab=400, context=256, tied=False)
WEIGHTS = random_tensors(CONFIG, seed=3)
HF = {
    "attn_norm": "input_layernorm",
    "q": "self_attn.q_proj",
    "k": "self_attn.k_proj",
    "v": "self_attn.v_proj",
    "o": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "gate": "mlp.gate_proj",
    "up": "mlp.up_proj",
    "down": "mlp.down_proj",
}
HF_CONFIG = {
    "model_type": "llama",
    "hidden_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 3,
    "intermediate_size": 160,
    "vocab_size": 400,
    "max_position_embeddings": 256,
    "rms_norm_eps": 1e-5,
}
LITGPT_CONFIG = """name: tiny
n_layer: 2
n_head: 6
n_embd: 96
n_query_groups: 3
intermediate_size: 160
padded_vocab_size: 400
block_size: 256
norm_class_name: RMSNorm
mlp_class_name: LLaMAMLP
norm_eps: 1e-05
head_size: null
"""
State = dict[str, Any]


def tensor(name: str) -> torch.Tensor:
    return torch.from_numpy(WEIGHTS[name].copy())


def hugging_face() -> State:
    state = {
        "model.embed_tokens.weight": tensor("tok.weight"),
        "model.norm.weight": tensor("norm.weight"),
        "lm_head.weight": tensor("head.weight"),
    }
    for n in range(CONFIG.layers):
        state |= {
            f"model.layers.{n}.{theirs}.weight": tensor(f"layers.{n}.{ours}.weight") for ours, theirs in HF.items()
        }
    return state


def litgpt(old: bool, swiglu: bool = False) -> State:
    gate, up, down = (f"mlp.swiglu.w{i}" if swiglu else f"mlp.{x}" for i, x in enumerate(("fc_1", "fc_2", "proj"), 1))
    state = {
        "transformer.wte.weight": tensor("tok.weight"),
        "transformer.ln_f.weight": tensor("norm.weight"),
        "lm_head.weight": tensor("head.weight"),
    }
    parts = {"norm_1": "attn_norm", "norm_2": "ffn_norm", "attn.proj": "o", gate: "gate", up: "up", down: "down"}
    for n in range(CONFIG.layers):
        state |= {f"transformer.h.{n}.{t}.weight": tensor(f"layers.{n}.{o}.weight") for t, o in parts.items()}
        q, k, v = (tensor(f"layers.{n}.{part}.weight") for part in "qkv")
        if old:
            rows: list[torch.Tensor] = []
            for group in range(3):  # two queries, a key, a value, of 16 rows each
                rows += [q[group * 32 : group * 32 + 32], k[group * 16 :][:16], v[group * 16 :][:16]]
            state[f"transformer.h.{n}.attn.attn.weight"] = torch.cat(rows)
        else:
            state[f"transformer.h.{n}.attn.qkv.weight"] = torch.cat([q, k, v])
    return state


def with_optimizer(model: State) -> State:
    moments = {i: {"step": torch.tensor(5.0), "exp_avg": p * 0} for i, p in enumerate(model.values())}
    return {"model": model, "optimizer": {"state": moments}, "iter_num": 7, "hparams": {"model_name": "mine"}}


def save_dcp(state: State, folder: Path) -> None:
    from torch.distributed.checkpoint import FileSystemWriter, save

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is but one process
        save(state, storage_writer=FileSystemWriter(folder), no_dist=True)


def write_tinyllama(folder: Path) -> Path:
    torch.save(with_optimizer(litgpt(old=True, swiglu=True)), folder / "iter-000007-ckpt.pth")
    return folder / "iter-000007-ckpt.pth"


def write_litgpt_old(folder: Path) -> Path:
    (folder / "model_config.yaml").write_text(LITGPT_CONFIG)
    torch.save(litgpt(old=True), folder / "lit_model.pth")
    return folder


def write_litgpt_new(folder: Path) -> Path:
    (folder / "model_config.yaml").write_text(LITGPT_CONFIG)
    torch.save(litgpt(old=False), folder / "lit_model.pth")
    return folder / "lit_model.pth"


def write_fsdp_full(folder: Path) -> Path:
    wrapped = {f"_orig_mod.module._fsdp_wrapped_module.{name}": value for name, value in hugging_face().items()}
    torch.save(wrapped, folder / "model.pt")
    return folder / "model.pt"


def write_hf(folder: Path) -> Path:
    save_file(hugging_face(), folder / "model.safetensors")
    return folder


def write_hf_sharded(folder: Path) -> Path:
    state = hugging_face()
    names = list(state)
    halves = {"model-00001-of-00002.safetensors": names[:9], "model-00002-of-00002.safetensors": names[9:]}
    for file, part in halves.items():
        save_file({name: state[name] for name in part}, folder / file)
    index = {"weight_map": {name: file for file, part in halves.items() for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def write_bin(folder: Path) -> Path:
    torch.save(hugging_face(), folder / "pytorch_model.bin")
    return folder


def write_dcp(folder: Path) -> Path:
    save_dcp({"model": hugging_face(), "step": 3}, folder / "dcp")
    return folder / "dcp"


def write_accelerate(folder: Path) -> Path:
    save_dcp({"model": hugging_face()}, folder / "pytorch_model_fsdp_0")
    return folder


WRITERS = [
    write_tinyllama,
    write_litgpt_old,
    write_litgpt_new,
    write_fsdp_full,
    write_hf,
    write_hf_sharded,
    write_bin,
    write_dcp,
    write_accelerate,
]


def preset(folder: Path) -> str:
    place = folder / "shape.json"
    place.write_text(json.dumps(HF_CONFIG))
    return str(place)


@pytest.mark.parametrize("write", WRITERS, ids=lambda w: w.__name__[6:])
def test_each_form_is_the_same_model(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    checkpoint = open_checkpoint(write(tmp_path), preset(tmp_path))
    assert checkpoint.tensors.keys() == WEIGHTS.keys()
    for name, wanted in WEIGHTS.items():
        np.testing.assert_array_equal(checkpoint.load(name), wanted, err_msg=name)


def test_litgpt_and_hugging_face_say_themselves_what_shape_they_have(tmp_path: Path) -> None:
    assert open_checkpoint(write_litgpt_old(tmp_path)).shape.config == CONFIG
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf/config.json").write_text(json.dumps(HF_CONFIG | {"rope_scaling": {"type": "linear", "factor": 4}}))
    shape = open_checkpoint(write_hf(tmp_path / "hf")).shape
    assert (shape.config, shape.rope_scale) == (CONFIG, 4.0)


def test_a_shape_that_nothing_says_is_asked_for(tmp_path: Path) -> None:
    path = write_tinyllama(tmp_path)
    for given in ("", "no such", "tiny_LLaMA_1b"):
        with pytest.raises(ModelError, match="preset"):
            open_checkpoint(path, given)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_read_exactly(tmp_path: Path, dtype: torch.dtype) -> None:
    state = {name: value.to(dtype) for name, value in hugging_face().items()}
    save_file(state, tmp_path / "a.safetensors")
    torch.save(state, tmp_path / "b.pt")
    for file in ("a.safetensors", "b.pt"):
        loaded = open_checkpoint(tmp_path / file, preset(tmp_path)).load("layers.1.up.weight")
        wanted = state["model.layers.1.mlp.up_proj.weight"].float().numpy()
        np.testing.assert_array_equal(loaded.astype(np.float32), wanted)


FSDP2 = """
import sys, torch, torch.distributed as dist
from torch.distributed.checkpoint import FileSystemWriter, save
from torch.distributed.fsdp import fully_shard
from models.train.llama import Llama
from models.export.gguf import LlamaConfig

dist.init_process_group("gloo")
config = LlamaConfig(dim=96, layers=2, heads=6, kv_heads=3, ffn=160, vocab=400, context=256)
torch.manual_seed(1)
model = Llama(config)
if dist.get_rank() == 0:
    torch.save(model.state_dict(), sys.argv[1] + "/whole.pt")
for layer in model.layers:
    fully_shard(layer)
fully_shard(model)
save({"model": model.state_dict()}, storage_writer=FileSystemWriter(sys.argv[1] + "/dcp"))
torch.save(model.state_dict(), f"{sys.argv[1]}/rank{dist.get_rank()}.pt")
dist.barrier()
dist.destroy_process_group()
"""


def test_what_two_ranks_of_fsdp2_write(tmp_path: Path) -> None:
    (tmp_path / "write.py").write_text(FSDP2)
    root = str(Path(__file__).parents[1])
    command = [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    subprocess.run(
        [*command, str(tmp_path / "write.py"), str(tmp_path)],
        check=True,
        capture_output=True,
        env=os.environ | {"PYTHONPATH": root, "OMP_NUM_THREADS": "1"},
    )
    shape = tmp_path / "shape.json"
    shape.write_text(json.dumps(HF_CONFIG | {"tie_word_embeddings": True}))
    whole = open_checkpoint(tmp_path / "whole.pt", str(shape))
    sharded = open_checkpoint(tmp_path / "dcp", str(shape))
    for name in whole.tensors:
        np.testing.assert_array_equal(sharded.load(name), whole.load(name), err_msg=name)
    with pytest.raises(ModelError, match="rows of one process"):
        open_checkpoint(tmp_path / "rank0.pt", str(shape))


def test_names_that_are_unknown_twice_or_missing_are_told(tmp_path: Path) -> None:
    state = hugging_face()
    missing = {name: value for name, value in state.items() if "layers.1.mlp.up" not in name}
    doubled = state | {"module.model.norm.weight": tensor("norm.weight")}
    packed = state | {"transformer.h.0.mlp.swiglu.w12.weight": tensor("norm.weight")}
    bent = state | {"model.norm.weight": torch.ones(5)}
    for odd, told in ((missing, "layers.1.up"), (doubled, "twice"), (packed, "w12"), (bent, "preset")):
        torch.save(odd, tmp_path / "m.pt")
        with pytest.raises(ModelError, match=told):
            open_checkpoint(tmp_path / "m.pt", preset(tmp_path))
    assert our_name("model.layers.0.self_attn.rotary_emb.inv_freq") is None


class Evil:
    """Runs code where it is unpickled."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self._place),)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    torch.save(hugging_face() | {"x": Evil(ran)}, tmp_path / "m.pth")
    save_dcp({"model": hugging_face()}, tmp_path / "dcp")
    (tmp_path / "dcp/.metadata").write_bytes(pickle.dumps(Evil(ran)))
    for path in ("m.pth", "dcp"):
        with pytest.raises(ModelError, match="not loaded"):
            open_checkpoint(tmp_path / path, preset(tmp_path))
    assert not ran.exists()


def test_what_is_only_a_part_says_how_to_make_it_whole(tmp_path: Path) -> None:
    for name, told in (
        ("pytorch_model_fsdp_rank0.bin", "FULL_STATE_DICT"),
        ("shard-00000-model.safetensors", "consolid"),
    ):
        folder = tmp_path / name[:5]
        folder.mkdir()
        (folder / name).write_bytes(b"x")
        for path in (folder, folder / name):
            with pytest.raises(ModelError, match=told):
                open_checkpoint(path)


def test_files_that_lie_about_sizes_or_places_are_refused(tmp_path: Path) -> None:
    write_hf(tmp_path)
    content = (tmp_path / "model.safetensors").read_bytes()
    for broken in (b"", content[:200], content[:-10], b"\xff" * 64, content.replace(b"[96]", b"[97]", 1)):
        (tmp_path / "broken.safetensors").write_bytes(broken)
        with pytest.raises(ModelError):
            open_checkpoint(tmp_path / "broken.safetensors", preset(tmp_path))
    huge = hugging_face() | {"model.norm.weight": torch.zeros(1).expand(10**12)}
    torch.save(huge, tmp_path / "huge.pt")
    with pytest.raises(ModelError, match="size of its shape"):
        open_checkpoint(tmp_path / "huge.pt", preset(tmp_path))
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../model.safetensors"}}))
    with pytest.raises(ModelError, match="outside"):
        open_checkpoint(tmp_path, preset(tmp_path))


def checkpoint_of(config: LlamaConfig, seed: int = 3, rope_scale: float = 1.0) -> Checkpoint:
    def lazy(array: Array) -> Lazy:
        return Lazy(array.shape, lambda: array)

    tensors = {name: lazy(array) for name, array in random_tensors(config, seed).items()}
    return Checkpoint(Path("made-here.pth"), "made here", Shape(config, rope_scale), tensors)


def nearness(tmp_path: Path, load: Callable[[str], Array], rope_scale: float = 1.0) -> Compared:
    """How near the GGUF of what `load` gives is to the checkpoint as it should be read."""
    right = checkpoint_of(CONFIG, rope_scale=rope_scale)
    file = tmp_path / "m.gguf"
    stream_gguf(
        file, config=CONFIG, load=load, vocabulary=vocabulary([]), metadata={}, rope_scale=right.shape.rope_scale
    )
    tokens = sample_tokens(CONFIG.vocab)
    return compare(torch_logits(right.shape, right.load, tokens), native_logits(file, tokens))


@pytest.mark.parametrize("rope_scale", [1.0, 4.0])
def test_llama_cpp_computes_what_pytorch_computes(tmp_path: Path, rope_scale: float) -> None:
    result = nearness(tmp_path, WEIGHTS.__getitem__, rope_scale)
    assert result.same
    assert result.positions == 64


def test_planted_faults_are_seen(tmp_path: Path) -> None:
    from models.export.gguf import interleave_rope

    name = "layers.0.q.weight"
    undone = WEIGHTS[name].reshape(6, 8, 2, 96).swapaxes(1, 2).reshape(96, 96)
    np.testing.assert_array_equal(interleave_rope(undone, 6), WEIGHTS[name])
    wrong = checkpoint_fused_otherwise(tmp_path)
    faults: dict[str, dict[str, Array]] = {
        "not permuted": {name: undone},
        "the other order of the fused tensor": {n: wrong.load(n) for n in WEIGHTS if n.split(".")[-2] in "qkv"},
        "one tensor in the place of another": {"layers.1.up.weight": WEIGHTS["layers.1.gate.weight"]},
        "a row further": {"layers.1.down.weight": np.roll(WEIGHTS["layers.1.down.weight"], 1, 0)},
    }
    for fault, tensors in faults.items():
        assert not nearness(tmp_path, (WEIGHTS | tensors).__getitem__).same, fault


def checkpoint_fused_otherwise(folder: Path) -> Checkpoint:
    state = {name.replace("attn.qkv", "attn.attn"): value for name, value in litgpt(old=False).items()}
    torch.save(state, folder / "wrong.pth")
    return open_checkpoint(folder / "wrong.pth", preset(folder))


def some_text(vocabulary: Vocabulary) -> list[Sample]:
    return [Sample("turn on", " the lamp in the kitchen"), Sample("", "close the blinds")]


def write_tokenizer(path: Path) -> Path:
    import sentencepiece

    with path.open("wb") as out:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(["turn on the lamp in the kitchen", "turn off the lights", "close the blinds"]),
            model_writer=out,
            vocab_size=300,
            model_type="bpe",
            character_coverage=1.0,
            byte_fallback=True,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            minloglevel=2,
        )
    return path


@pytest.mark.parametrize("kind", ["f16", "q4_k_m"])
def test_a_checkpoint_becomes_a_file_with_a_card(tmp_path: Path, kind: str) -> None:
    write_tokenizer(tmp_path / "tokenizer.model")
    checkpoint = open_checkpoint(write_tinyllama(tmp_path), preset(tmp_path))
    (tmp_path / "out").mkdir()
    file = tmp_path / "out/m.gguf"
    heard: list[tuple[int, int]] = []
    result = export(
        checkpoint,
        file,
        some_text,
        trained=False,
        kind=kind,
        license="apache-2.0",
        progress=lambda a, b: heard.append((a, b)),
    )
    assert result.f16.same
    assert heard[-1][0] == heard[-1][1] > heard[0][0]
    assert sorted(p.name for p in file.parent.iterdir()) == ["m.gguf", "m.json"]
    card = check_card(file)
    assert card["license"] == "apache-2.0"
    content = bytearray(file.read_bytes())
    content[-9] ^= 1
    file.write_bytes(content)
    with pytest.raises(ModelError, match="not the file"):
        check_card(file)


def test_an_export_that_fails_or_is_ended_leaves_nothing(tmp_path: Path) -> None:
    write_tokenizer(tmp_path / "tokenizer.model")
    checkpoint = open_checkpoint(write_tinyllama(tmp_path), preset(tmp_path))
    (tmp_path / "out").mkdir()
    file = tmp_path / "out/m.gguf"

    def interrupt(done: int, whole: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(checkpoint, file, some_text, trained=False, progress=interrupt)
    with pytest.raises(ModelError, match="no such type"):
        export(checkpoint, file, some_text, trained=False, kind="q3_x")
    odd = 1e9
    tensors = dict(checkpoint.tensors) | {"layers.0.up.weight": Lazy((160, 96), lambda: np.full((160, 96), odd))}
    with pytest.raises(ModelError, match="cannot hold"):
        export(Checkpoint(checkpoint.path, checkpoint.form, checkpoint.shape, tensors), file, some_text, trained=False)
    odd = float("nan")
    with pytest.raises(ModelError, match="cannot hold"):
        export(Checkpoint(checkpoint.path, checkpoint.form, checkpoint.shape, tensors), file, some_text, trained=False)
    assert list(file.parent.iterdir()) == []


def test_what_llama_cpp_cannot_open_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF" + bytes(200))
    with pytest.raises(ModelError, match=r"llama\.cpp"):
        native_logits(tmp_path / "m.gguf", [1, 2])


def test_the_commands(tmp_path: Path) -> None:
    write_tokenizer(tmp_path / "tokenizer.model")
    write_tinyllama(tmp_path)
    file = tmp_path / "m.gguf"

    def hub(*words: object) -> tuple[int, str]:
        command = [sys.executable, "-P", "-c", "from hub.cli import main; main()", "model", *map(str, words)]
        env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
        done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
        return done.returncode, done.stdout + done.stderr

    source = tmp_path / "iter-000007-ckpt.pth"
    code, said = hub("inspect", source, "--preset", preset(tmp_path))
    assert (code, "can be exported" in said, "TinyLlama" in said) == (0, True, True)
    code, said = hub("export", source, "--out", file, "--type", "q8_0", "--preset", preset(tmp_path))
    assert (code, "another model's" in said) == (1, True), "random weights know no sentences"
    code, said = hub(*("export", source, "--untrained", "--out", file, "--type", "q8_0", "--preset", preset(tmp_path)))
    assert (code, "64 positions" in said) == (0, True), said
    assert hub("verify", file)[0] == 0
    file.write_bytes(b"GGUF")
    for words in (("verify", file), ("inspect", tmp_path / "absent"), ("export", source, "--out", file)):
        code, said = hub(*words)
        assert (code, said.startswith("hub: "), "Traceback" in said) == (1, True, False)


HARD = [
    " turn on the lamp in the kitchen",
    "Don't we'll I'VE they're 12345 67 8.9",
    "  two  spaces\tand a tab\n\nlines \r\n end   ",
    "zürich naïve café Straße — 漢字 かな 👩‍👩‍👧 \u200d e\u0301",
    "<|endoftext|>x<turn_on> <turn_on>y",
    "()[]{}!?.,;:'\"-_=+*&^%$#@~`/\\|",
    "",
]


def write_bpe(path: Path, llama3: bool) -> Any:
    from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE(ignore_merges=llama3))
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not llama3)
    split = pre_tokenizers.Split(Regex(bpe._LLAMA_3), "isolated")
    made.pre_tokenizer = pre_tokenizers.Sequence([split, level]) if llama3 else level
    trainer = trainers.BpeTrainer(
        vocab_size=390,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator([text for text in HARD if "<" not in text] * 3, trainer)
    made.add_tokens([AddedToken("<turn_on>", normalized=False)])
    made.save(str(path))
    return made


@pytest.mark.parametrize("llama3", [False, True], ids=["gpt2", "llama3"])
def test_byte_level_bpe_is_cut_as_its_own_library_does(tmp_path: Path, llama3: bool) -> None:
    import llama_cpp

    own = write_bpe(tmp_path / "tokenizer.json", llama3)
    checkpoint = open_checkpoint(write_tinyllama(tmp_path), preset(tmp_path))
    file = tmp_path / "m.gguf"
    assert export(checkpoint, file, some_text, trained=False, kind="f16").f16.same
    model = llama_cpp.Llama(str(file), vocab_only=True, verbose=False)
    try:
        cut = {text: model.tokenize(text.encode(), add_bos=False, special=True) for text in HARD}
    finally:
        model.close()
    assert cut == {text: own.encode(text).ids for text in HARD}


def test_a_tokenizer_by_another_rule_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "tokenizer.json"
    write_bpe(place, llama3=False)
    whole = json.loads(place.read_text())
    spaced = {"type": "ByteLevel", "add_prefix_space": True, "use_regex": True}
    for odd in ({"normalizer": {"type": "NFC"}}, {"pre_tokenizer": None}, {"model": {}}, {"pre_tokenizer": spaced}):
        place.write_text(json.dumps(whole | odd))
        with pytest.raises(ModelError, match=r"tokenizer\.json"):
            bpe.read(place)


def test_the_numbers_of_an_export_are_in_the_file_and_on_its_card(tmp_path: Path) -> None:
    import gguf

    write_tokenizer(tmp_path / "tokenizer.model")
    checkpoint = open_checkpoint(write_tinyllama(tmp_path), preset(tmp_path))
    text = tmp_path / "calibration.txt"
    text.write_text("turn on the lamp in the kitchen and close all the blinds\n" * 12)
    file = tmp_path / "m.gguf"
    numbers = export(checkpoint, file, some_text, trained=False, kind="q4_0", imatrix=text).numbers()
    assert numbers["divergence_from_f16"] > 0
    assert numbers["f16_perplexity"] != numbers["perplexity"] > 1
    assert check_card(file)["scores"] == numbers
    reader = gguf.GGUFReader(file)

    def value(key: str) -> Any:
        field = reader.get_field(key)
        assert field is not None, key
        return field.contents()

    for name, number in numbers.items():
        assert value(f"homeward.check.{name}") == pytest.approx(number, rel=1e-6), name
    assert value("homeward.importance_matrix") == "calibration.txt"
    digest = value("homeward.tensors_sha256")
    stream = tmp_path / "again.gguf"
    again = stream_gguf(
        stream,
        config=CONFIG,
        load=checkpoint.load,
        vocabulary=read_vocabulary(tmp_path / "tokenizer.model"),
        metadata={},
    )
    assert digest == again
    text.write_text("too short")
    with pytest.raises(ModelError, match="64 at least"):
        export(checkpoint, file, some_text, trained=False, kind="q4_0", imatrix=text)


def test_an_importance_matrix_is_the_mean_square_of_what_comes_in() -> None:
    from models.export.importance import importance

    checkpoint = checkpoint_of(CONFIG)
    tokens = sample_tokens(CONFIG.vocab, 300)  # two chunks, each with the token of the beginning before it
    found = importance(checkpoint.shape, checkpoint.load, tokens, bos=1)
    embedded = WEIGHTS["tok.weight"][[1, *tokens[:255], 1, *tokens[255:]]].astype(np.float64)
    normed = embedded / np.sqrt((embedded**2).mean(1, keepdims=True) + CONFIG.norm_eps)
    expected = ((normed * WEIGHTS["layers.0.attn_norm.weight"]) ** 2).mean(0)
    for part in ("q", "k", "v"):
        np.testing.assert_allclose(found[f"blk.0.attn_{part}.weight"], expected, rtol=1e-4)
    assert found["blk.1.ffn_down.weight"].shape == (CONFIG.ffn,)
    assert len(found) == 7 * CONFIG.layers + 1


def test_chunks_are_read_apart_from_each_other() -> None:
    checkpoint = checkpoint_of(CONFIG)
    a, b = sample_tokens(CONFIG.vocab, 9), sample_tokens(CONFIG.vocab, 20)[9:]
    together = run_torch(checkpoint.shape, checkpoint.load, [a, b])
    for chunk, logits in zip((a, b), together, strict=True):
        np.testing.assert_allclose(logits, torch_logits(checkpoint.shape, checkpoint.load, chunk), atol=1e-4)


def test_choices_that_f16_cannot_tell_apart_count_as_the_same() -> None:
    reference = np.array([[0.0, 1.0, 1.01], [0.0, 1.0, 1.5]], np.float32)
    near = np.array([[0.0, 1.01, 1.0], [0.0, 1.0, 1.5]], np.float32)
    far = np.array([[0.0, 1.01, 1.0], [0.0, 1.51, 1.5]], np.float32)
    assert compare(reference, near).same
    assert compare(reference, far).top1 == 0.5


def test_tokens_that_fine_tuning_added(tmp_path: Path) -> None:
    import llama_cpp

    write_tokenizer(tmp_path / "tokenizer.model")
    config = dataclasses.replace(CONFIG, vocab=303)
    added = {"<|im_start|>": 300, "<|im_end|>": 301, "[PAD]": 302}
    (tmp_path / "added_tokens.json").write_text(json.dumps(added))
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps({"added_tokens_decoder": {"302": {"special": True}}, "chat_template": "{{ messages }}"})
    )
    made = checkpoint_of(config)
    checkpoint = Checkpoint(tmp_path / "m.pth", made.form, made.shape, made.tensors)
    file = tmp_path / "m.gguf"
    export(checkpoint, file, some_text, trained=False, kind="f16")
    model = llama_cpp.Llama(str(file), vocab_only=True, verbose=False)
    try:
        cut = model.tokenize(b"<|im_start|><|im_end|>", add_bos=False, special=True)
        assert [n for n in cut if n >= 300] == [300, 301]
        assert model.metadata["tokenizer.chat_template"] == "{{ messages }}"
    finally:
        model.close()
    (tmp_path / "added_tokens.json").write_text('{"<x>": 305}')
    with pytest.raises(ModelError, match="the id 305, not 300"):
        export(checkpoint, file, some_text, trained=False, kind="f16")


def test_the_tokenizer_of_another_model_is_seen(tmp_path: Path) -> None:
    """On the shipped weights, which know what follows what: with two thousand pieces in another order nothing fits."""
    from hub.export import _samples
    from models.export.convert import _check_likely
    from models.files import default_model

    config, weights, right = unpacked(default_model())
    normal = [n for n, piece in enumerate(right.pieces) if piece.type == PieceType.NORMAL]
    pieces = list(right.pieces)
    for old, new in zip(normal, np.random.default_rng(5).permutation(normal), strict=True):
        pieces[new] = dataclasses.replace(right.pieces[old], score=right.pieces[new].score)
    readings = []
    for known in (right, dataclasses.replace(right, pieces=tuple(pieces))):
        file = tmp_path / "m.gguf"
        stream_gguf(file, config=config, load=weights.__getitem__, vocabulary=known, metadata={})
        readings.append(read_samples(file, _samples(known), known.bos, config.context))
    assert readings[0].perplexity < 5
    _check_likely(readings[0], config.vocab)
    with pytest.raises(ModelError, match="another model's"):
        _check_likely(readings[1], config.vocab)


def unpacked(file: Path) -> tuple[LlamaConfig, dict[str, Array], SentencePieceModel]:
    """A GGUF of ours as what it was made of."""
    import gguf

    reader = gguf.GGUFReader(file)

    def value(key: str) -> Any:
        field = reader.get_field(key)
        assert field is not None, key
        return field.contents()

    stored = {t.name: gguf.quants.dequantize(t.data, t.tensor_type) for t in reader.tensors}
    config = LlamaConfig(
        dim=value("llama.embedding_length"),
        layers=value("llama.block_count"),
        heads=value("llama.attention.head_count"),
        kv_heads=value("llama.attention.head_count_kv"),
        ffn=value("llama.feed_forward_length"),
        vocab=value("llama.vocab_size"),
        context=value("llama.context_length"),
        tied="output.weight" not in stored,
    )
    weights: dict[str, Array] = {}
    for name, shape in shapes(config).items():
        array = stored[gguf_name(name)].reshape(shape)
        if name.split(".")[-2] in ("q", "k"):
            heads = config.heads if ".q." in name else config.kv_heads
            array = array.reshape(heads, config.head_size // 2, 2, config.dim).swapaxes(1, 2).reshape(shape)
        weights[name] = array
    columns = (value(f"tokenizer.ggml.{key}") for key in ("tokens", "scores", "token_type"))
    pieces = tuple(Piece(text, score, PieceType(kind)) for text, score, kind in zip(*columns, strict=True))
    return config, weights, SentencePieceModel(pieces, unk=0, bos=1, eos=2, add_space_prefix=True)


def test_a_vocabulary_that_llama_cpp_cuts_otherwise_is_refused(tmp_path: Path) -> None:
    from models.export.convert import _check_cut

    write_tokenizer(tmp_path / "tokenizer.model")
    known = read_vocabulary(tmp_path / "tokenizer.model")
    assert isinstance(known, SentencePieceModel)
    swapped = list(known.pieces)
    a, e = (next(n for n, piece in enumerate(swapped) if piece.text == letter) for letter in "ae")
    swapped[a], swapped[e] = swapped[e], swapped[a]
    file = tmp_path / "m.gguf"
    for pieces, same in ((known.pieces, True), (tuple(swapped), False)):
        stream_gguf(
            file,
            config=CONFIG,
            load=WEIGHTS.__getitem__,
            vocabulary=dataclasses.replace(known, pieces=pieces),
            metadata={},
        )
        if same:
            _check_cut(file, tmp_path / "tokenizer.model", known)
        else:
            with pytest.raises(ModelError, match=r"llama\.cpp cuts"):
                _check_cut(file, tmp_path / "tokenizer.model", known)
