"""What an export costs: our way from a checkpoint to a 4-bit GGUF against the way over a Hugging Face folder.

    python bench/bench_export.py [--full] [--type q4_k_m] [--folder FOLDER] [--tiny]

A checkpoint of TinyLlama's shape (1.1 B random weights) is written as TinyLlama's training writes it: 2.2 GB in bfloat16,
or with --full 13.2 GB in float32 with the optimizer's state. Then, each step in a process of its own:

- ours: mapped, and one tensor at a time into an F16 GGUF;
- two steps: the checkpoint loaded whole and saved as a Hugging Face folder of safetensors (as TinyLlama's and litgpt's
  scripts do it), then that folder loaded whole and written by the same writer as ours;
- the quantiser, which is the same for both;
- `hub model export`: all of ours, with the comparison with PyTorch, the scores, and the card.

Memory is what a process and its children really hold: their anonymous pages (RssAnon in /proc) at the highest, looked at
twenty times a second. What the kernel keeps of files can be dropped at any time and is not counted. --tiny is for trying
the bench itself out. Everything lies in a temporary folder that is gone afterwards, also after Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.export.checkpoint import PRESETS, open_checkpoint, our_name
from models.export.convert import read_vocabulary
from models.export.forms import Array
from models.export.gguf import LlamaConfig, stream_gguf
from models.export.quantise import quantise

if TYPE_CHECKING:  # torch is imported by the steps that need it: it alone is 0.2 GB, in the quantiser's child as well
    import torch

ROOT = Path(__file__).parents[1]
LOOKS_EVERY = 0.05  # seconds
MB = 1_000_000
SHAPES = {"tiny_LLaMA_1b": PRESETS["tiny_LLaMA_1b"].config, "tiny_LLaMA_120M": PRESETS["tiny_LLaMA_120M"].config}
PARTS = {"norm_1": "input_layernorm", "norm_2": "post_attention_layernorm", "attn.proj": "self_attn.o_proj"}
PARTS |= {f"mlp.swiglu.w{n}": f"mlp.{name}_proj" for n, name in enumerate(("gate", "up", "down"), 1)}
TOP = {
    "transformer.wte.weight": "model.embed_tokens.weight",
    "transformer.ln_f.weight": "model.norm.weight",
    "lm_head.weight": "lm_head.weight",
}


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds by the clock, and bytes held at the highest."""

    seconds: float
    held: int

    def then(self, other: Cost) -> Cost:
        """Both, one after the other."""
        return Cost(self.seconds + other.seconds, max(self.held, other.held))


# -- the steps, each run in a process of its own


def make(folder: Path, name: str, full: bool) -> None:
    """The checkpoint and a tokenizer beside it."""
    import torch

    torch.manual_seed(1)
    dtype = torch.float32 if full else torch.bfloat16
    model = {key: torch.empty(shape, dtype=dtype).normal_(0, 0.02) for key, shape in _shapes(SHAPES[name]).items()}
    state: dict[str, Any] = {"model": model, "hparams": {"model_name": name}, "iter_num": 1, "step_count": 1}
    if full:  # zeros that take no memory until they are written
        moments = {i: {k: _zeros(p) for k in ("exp_avg", "exp_avg_sq")} for i, p in enumerate(model.values())}
        state["optimizer"] = {"state": moments}
    torch.save(state, folder / "iter-000001-ckpt.pth")
    _write_tokenizer(folder / "tokenizer.model")


def ours(folder: Path) -> None:
    """The checkpoint as an F16 GGUF."""
    checkpoint = open_checkpoint(folder / "iter-000001-ckpt.pth")
    vocabulary = read_vocabulary(folder / "tokenizer.model")

    def load(key: str) -> Array:
        return checkpoint.tensors[key].load_for_f16()

    stream_gguf(folder / "f16.gguf", config=checkpoint.shape.config, load=load, vocabulary=vocabulary, metadata={})


def to_hugging_face(folder: Path, name: str) -> None:
    """The first of the two steps."""
    import torch
    from safetensors.torch import save_file

    config = SHAPES[name]
    whole = torch.load(folder / "iter-000001-ckpt.pth", map_location="cpu", weights_only=True)["model"]
    state: dict[str, torch.Tensor] = {}
    for key, value in whole.items():
        if key in TOP:
            state[TOP[key]] = value
            continue
        _, _, layer, part = key.removesuffix(".weight").split(".", 3)
        at = f"model.layers.{layer}"
        if part != "attn.attn":
            state[f"{at}.{PARTS[part]}.weight"] = value
            continue
        groups = value.view(config.kv_heads, -1, config.head_size, config.dim)
        for letter, rows in zip("qkv", groups.split((groups.shape[1] - 2, 1, 1), 1), strict=True):
            state[f"{at}.self_attn.{letter}_proj.weight"] = rows.reshape(-1, config.dim).contiguous()
    (folder / "hf").mkdir(exist_ok=True)
    save_file(state, folder / "hf/model.safetensors")


def from_hugging_face(folder: Path, name: str) -> None:
    """The second."""
    from safetensors.torch import load_file

    state = {our_name(key): value for key, value in load_file(folder / "hf/model.safetensors").items()}

    def load(key: str) -> Array:
        array: Array = state[key].float().numpy()
        return array

    vocabulary = read_vocabulary(folder / "tokenizer.model")
    stream_gguf(folder / "f16.gguf", config=SHAPES[name], load=load, vocabulary=vocabulary, metadata={})


STEPS: dict[str, Callable[[Path, str, str, bool], None]] = {
    "make": lambda folder, name, kind, full: make(folder, name, full),
    "ours": lambda folder, name, kind, full: ours(folder),
    "to_hf": lambda folder, name, kind, full: to_hugging_face(folder, name),
    "from_hf": lambda folder, name, kind, full: from_hugging_face(folder, name),
    "quantise": lambda folder, name, kind, full: quantise(folder / "f16.gguf", folder / "small.gguf", kind),
}


def _shapes(c: LlamaConfig) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {key: (c.vocab, c.dim) for key in TOP} | {"transformer.ln_f.weight": (c.dim,)}
    for n in range(c.layers):
        at = f"transformer.h.{n}"
        shapes |= {f"{at}.norm_{i}.weight": (c.dim,) for i in (1, 2)}
        shapes[f"{at}.attn.attn.weight"] = ((c.heads + 2 * c.kv_heads) * c.head_size, c.dim)
        shapes[f"{at}.attn.proj.weight"] = (c.dim, c.dim)
        shapes |= {f"{at}.mlp.swiglu.w{i}.weight": (c.ffn, c.dim) for i in (1, 2)}
        shapes[f"{at}.mlp.swiglu.w3.weight"] = (c.dim, c.ffn)
    return shapes


def _zeros(like: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.from_numpy(np.zeros(tuple(like.shape), np.float32))


def _write_tokenizer(path: Path) -> None:
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


# -- measured from outside


def measured(command: list[str]) -> Cost:
    """Runs it to its end. Ends it, with all that it started, where this process is interrupted."""
    begun, held = time.monotonic(), 0
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        while process.poll() is None:
            held = max(held, sum(map(_anonymous, _family(process.pid))))
            try:
                process.wait(LOOKS_EVERY)
            except subprocess.TimeoutExpired:
                continue
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return Cost(time.monotonic() - begun, held)


def _family(pid: int) -> Iterator[int]:
    yield pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in children:
        yield from _family(int(child))


def _anonymous(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("RssAnon:"))


def bench(folder: Path, name: str, kind: str, full: bool) -> None:
    """All steps, each told when it is done; what is no longer needed is removed in between."""
    said = [
        "--folder",
        str(folder),
        "--type",
        kind,
        *(["--full"] if full else []),
        *(["--tiny"] if "120M" in name else []),
    ]
    source, f16, small = (folder / file for file in ("iter-000001-ckpt.pth", "f16.gguf", "small.gguf"))

    def step(which: str, what: str) -> Cost:
        return _told(what, measured([sys.executable, __file__, "--step", which, *said]))

    print(f"{'':36}{'seconds':>9}{'MB held':>10}")
    step("make", "the checkpoint itself")
    direct, quantised = step("ours", "ours: checkpoint to F16"), step("quantise", f"both: F16 to {kind}")
    sizes = [file.stat().st_size for file in (source, f16, small)]
    f16.unlink()
    small.unlink()
    over = step("to_hf", "two steps: checkpoint to HF folder").then(step("from_hf", "two steps: HF folder to F16"))
    f16.unlink()
    shutil.rmtree(folder / "hf")
    ours = _told(f"ours to {kind}", direct.then(quantised))
    other = _told(f"two steps to {kind}", over.then(quantised))
    print(
        f"two steps / ours: {over.seconds / direct.seconds:.2f} of the time and {over.held / direct.held:.1f} of the memory "
        f"to F16, {other.seconds / ours.seconds:.2f} and {other.held / ours.held:.1f} to {kind}\n"
        f"bytes: checkpoint {sizes[0]:,}, F16 {sizes[1]:,}, {kind} {sizes[2]:,}",
        flush=True,
    )
    export = [sys.executable, "-c", "from hub.cli import main; main()", "model", "export", str(source)]
    command = [*export, "--out", str(folder / "m.gguf"), "--type", kind, "--untrained"]
    _told("hub model export, with its checks", measured(command))


def _told(what: str, cost: Cost) -> Cost:
    print(f"{what:36}{cost.seconds:9.1f}{cost.held / MB:10,.0f}", flush=True)
    return cost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="float32 with the optimizer's state, 13.2 GB")
    parser.add_argument("--tiny", action="store_true", help="the shape of the 120M model")
    parser.add_argument("--type", default="q4_k_m")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where there is room")
    parser.add_argument("--step", choices=STEPS, help="only this one, in this process, in that very folder")
    options = parser.parse_args()
    name = "tiny_LLaMA_120M" if options.tiny else "tiny_LLaMA_1b"
    if options.step:
        STEPS[options.step](options.folder, name, options.type, options.full)
        return
    weights = sum(int(np.prod(shape)) for shape in _shapes(SHAPES[name]).values())
    needed = weights * ((12 + 4) if options.full else (2 + 2)) + weights * 4
    free = shutil.disk_usage(options.folder).free
    if free < needed:
        raise SystemExit(f"{options.folder} has {free / MB:,.0f} MB left, and {needed / MB:,.0f} are needed: --folder")
    try:
        with tempfile.TemporaryDirectory(dir=options.folder, prefix="export-") as made:
            bench(Path(made), name, options.type, options.full)
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
