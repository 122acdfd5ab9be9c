"""A trained Llama in any of the forms that it is saved in, under our names: what is exported, and what it is checked by."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from models import ModelError
from models.export import forms
from models.export.forms import Array, Lazy
from models.export.gguf import LlamaConfig, shapes

_TINY = LlamaConfig(
    dim=2048, layers=22, heads=32, kv_heads=4, ffn=5632, vocab=32000, context=2048, norm_eps=1e-5, tied=False
)


@dataclass(frozen=True, slots=True)
class Shape:
    """A configuration, and by how much positions are divided (linear rope scaling; 1 for none)."""

    config: LlamaConfig
    rope_scale: float = 1.0


# jzhang38/TinyLlama, lit_gpt/config.py. The files themselves do not say how many heads there are.
PRESETS: Mapping[str, Shape] = {
    "tiny_LLaMA_1b": Shape(_TINY),
    "code_tiny_LLaMA_1b": Shape(
        LlamaConfig(dim=2048, layers=22, heads=32, kv_heads=4, ffn=5632, vocab=32000, context=8192, tied=False), 4.0
    ),
    "tiny_LLaMA_120M": Shape(
        LlamaConfig(dim=768, layers=12, heads=12, kv_heads=12, ffn=2048, vocab=32000, context=2048, tied=False)
    ),
}

_ANYWHERE = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
_IGNORED = re.compile(r"(rotary_emb\.inv_freq|(^|\.)(cos|sin|mask|rope_cache|mask_cache))$")
_TOP = {
    "transformer.wte.weight": "tok.weight",
    "transformer.ln_f.weight": "norm.weight",
    "embed_tokens.weight": "tok.weight",
    "tok.weight": "tok.weight",
    "norm.weight": "norm.weight",
    "lm_head.weight": "head.weight",
    "head.weight": "head.weight",
}
_PARTS = {
    "norm_1": "attn_norm",
    "norm_2": "ffn_norm",
    "attn.attn": "interleaved",
    "attn.qkv": "flat",
    "attn.proj": "o",
    "mlp.swiglu.w1": "gate",
    "mlp.swiglu.w2": "up",
    "mlp.swiglu.w3": "down",
    "mlp.fc_1": "gate",
    "mlp.fc_2": "up",
    "mlp.proj": "down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "q",
    "self_attn.k_proj": "k",
    "self_attn.v_proj": "v",
    "self_attn.o_proj": "o",
    "mlp.gate_proj": "gate",
    "mlp.up_proj": "up",
    "mlp.down_proj": "down",
} | {name: name for name in ("attn_norm", "q", "k", "v", "o", "ffn_norm", "gate", "up", "down")}
_LAYER = re.compile(r"(?:transformer\.h|layers)\.(\d+)\.(.+)\.weight")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that can be exported: `tensors` are those of `shapes(shape.config)`, none of them read yet."""

    path: Path
    form: str
    shape: Shape
    tensors: Mapping[str, Lazy]

    def load(self, name: str) -> Array:
        return self.tensors[name].load()


def open_checkpoint(path: Path, preset: str = "") -> Checkpoint:
    """Recognises what `path` is. `preset` is a key of PRESETS or the path of a config.json of Hugging Face's.

    Raises ModelError for what cannot be exported, with what to do about it.
    """
    raw = forms.read(path)
    named: dict[str, Lazy] = {}
    for name, lazy in raw.tensors.items():
        if (ours := our_name(name)) is None:
            continue
        if ours in named:
            raise ModelError(f"{path} has {ours} twice, the second time as {name}")
        named[ours] = lazy
    shape = _shape(path, raw, named, preset)
    return Checkpoint(path, raw.form, shape, _fitting(path, shape.config, named))


def our_name(name: str) -> str | None:
    """Our name for a tensor, None for a table that is computed anyway. Fused tensors are `layers.N.interleaved` or `.flat`."""
    plain = name
    for wrapper in _ANYWHERE:
        plain = plain.replace(wrapper, "")
    while plain.startswith(("module.", "model.")):
        plain = plain.partition(".")[2]
    if _IGNORED.search(plain):
        return None
    if plain in _TOP:
        return _TOP[plain]
    found = _LAYER.fullmatch(plain)
    if found is None or found[2] not in _PARTS:
        raise ModelError(f"the tensor {name} is none of a Llama's; it cannot be exported")
    return f"layers.{int(found[1])}.{_PARTS[found[2]]}.weight"


def _fitting(path: Path, config: LlamaConfig, named: Mapping[str, Lazy]) -> dict[str, Lazy]:
    """The tensors that the configuration wants, each of its shape; fused ones cut apart."""
    tensors = _cut(config, named)
    wanted = shapes(config)
    if config.tied:
        tensors.pop("head.weight", None)
    if odd := sorted(wanted.keys() ^ tensors.keys()):
        missing = [name for name in odd if name in wanted]
        raise ModelError(f"{path}: {'missing' if missing else 'too many'}: {', '.join((missing or odd)[:6])}")
    for name, shape in wanted.items():
        if tensors[name].shape != shape:
            raise ModelError(f"{path}: {name} is {list(tensors[name].shape)}, not {list(shape)}; is it another preset?")
    return tensors


def _cut(config: LlamaConfig, named: Mapping[str, Lazy]) -> dict[str, Lazy]:
    heads, groups, size = config.heads, config.kv_heads, config.head_size
    rows = (heads * size, groups * size, groups * size)
    tensors: dict[str, Lazy] = {}
    for name, lazy in named.items():
        stem, _, part = name.removesuffix(".weight").rpartition(".")
        if part not in ("interleaved", "flat"):
            new = {name: lazy}
        else:
            if lazy.shape != (sum(rows), config.dim):
                raise ModelError(f"{name} is {list(lazy.shape)}, not {[sum(rows), config.dim]}; is it another preset?")
            pick = _interleaved if part == "interleaved" else _flat
            new = {
                f"{stem}.{key}.weight": Lazy((count, config.dim), partial(pick, lazy.load, config, key))
                for key, count in zip("qkv", rows, strict=True)
            }
        if both := tensors.keys() & new.keys():
            raise ModelError(f"{min(both)} is there twice")
        tensors |= new
    return tensors


def _interleaved(load: Callable[[], Array], config: LlamaConfig, key: str) -> Array:
    """For each key-value head its queries, its key, its value (litgpt before 0.5.5, TinyLlama)."""
    per = config.heads // config.kv_heads
    view = load().reshape(config.kv_heads, per + 2, config.head_size, config.dim)
    part = {"q": slice(0, per), "k": slice(per, per + 1), "v": slice(per + 1, per + 2)}[key]
    return np.ascontiguousarray(view[:, part]).reshape(-1, config.dim)


def _flat(load: Callable[[], Array], config: LlamaConfig, key: str) -> Array:
    """All queries, all keys, all values (litgpt from 0.5.5)."""
    q, kv = config.heads * config.head_size, config.kv_heads * config.head_size
    return load()[{"q": slice(0, q), "k": slice(q, q + kv), "v": slice(q + kv, None)}[key]]


def _shape(path: Path, raw: forms.Raw, named: Mapping[str, Lazy], preset: str) -> Shape:
    folder = path if path.is_dir() else path.parent
    if preset in PRESETS:
        return _with_rows(PRESETS[preset], named)
    if preset and not Path(preset).is_file():
        raise ModelError(f"no such preset or file: {preset}; there are {', '.join(PRESETS)}")
    for place in (Path(preset) if preset else None, folder / "config.json", folder.parent / "config.json"):
        if place is not None and place.is_file():
            return _with_rows(from_hugging_face(_json(place), place), named)
    if (folder / "model_config.yaml").is_file():
        return _with_rows(from_litgpt(folder / "model_config.yaml"), named)
    if raw.model_name in PRESETS:
        return _with_rows(PRESETS[raw.model_name], named)
    raise ModelError(
        f"{path} does not say how many heads the model has; name it with --preset: "
        f"{', '.join(PRESETS)}, or the path of a config.json"
    )


def _with_rows(shape: Shape, named: Mapping[str, Lazy]) -> Shape:
    """With as many tokens as the embedding has: fine-tuned variants add some."""
    rows = named["tok.weight"].shape[0] if "tok.weight" in named and named["tok.weight"].shape else shape.config.vocab
    return replace(shape, config=replace(shape.config, vocab=rows))


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path} is no configuration")
    return value


def from_hugging_face(values: Mapping[str, Any], path: Path) -> Shape:
    """The shape that a config.json of Hugging Face's says. Raises ModelError for what is no plain Llama."""
    if values.get("model_type", "llama") != "llama":
        raise ModelError(f"{path}: a {values['model_type']} is no Llama")
    scaling = values.get("rope_scaling") or values.get("rope_parameters") or {}
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    if kind not in ("default", "linear"):
        raise ModelError(f"{path}: rope scaling {kind} cannot be exported, only linear")
    try:
        heads = int(values["num_attention_heads"])
        config = LlamaConfig(
            dim=int(values["hidden_size"]),
            layers=int(values["num_hidden_layers"]),
            heads=heads,
            kv_heads=int(values.get("num_key_value_heads") or heads),
            ffn=int(values["intermediate_size"]),
            vocab=int(values["vocab_size"]),
            context=int(values.get("max_position_embeddings", 2048)),
            norm_eps=float(values.get("rms_norm_eps", 1e-6)),
            rope_base=float(values.get("rope_theta", scaling.get("rope_theta", 10000.0))),
            tied=bool(values.get("tie_word_embeddings", False)),
        )
    except (KeyError, ValueError, TypeError, ZeroDivisionError) as error:
        raise ModelError(f"{path} is no configuration of a Llama: {error}") from error
    if values.get("head_dim") not in (None, config.head_size):
        raise ModelError(f"{path}: a head size of {values['head_dim']} other than width by heads cannot be exported")
    return Shape(config, float(scaling.get("factor", 1.0)) if kind == "linear" else 1.0)


def from_litgpt(path: Path) -> Shape:
    """The shape that a model_config.yaml of litgpt's says: lines of `key: value` are all that is read."""
    lines = re.findall(r"^(\w+):[ ]*(.+?)\s*$", path.read_text(errors="replace"), re.MULTILINE)
    values = {key: value for key, value in lines if value != "null"}
    if values.get("norm_class_name", "RMSNorm") != "RMSNorm" or values.get("mlp_class_name", "LLaMAMLP") != "LLaMAMLP":
        raise ModelError(f"{path}: not the norm and feed-forward of a Llama")
    try:
        heads, dim = int(values["n_head"]), int(values["n_embd"])
        if int(values.get("head_size", dim // heads)) * heads != dim:
            raise ValueError("a head size other than width by heads")
        config = LlamaConfig(
            dim=dim,
            layers=int(values["n_layer"]),
            heads=heads,
            kv_heads=int(values.get("n_query_groups", heads)),
            ffn=int(values["intermediate_size"]),
            vocab=int(values.get("padded_vocab_size", values.get("vocab_size", "0"))),
            context=int(values.get("block_size", 2048)),
            norm_eps=float(values.get("norm_eps", 1e-5)),
            rope_base=float(values.get("rope_base", 10000)),
            tied=False,
        )
        return Shape(config, float(values.get("rope_condense_ratio", 1)))
    except (KeyError, ValueError, ZeroDivisionError) as error:
        raise ModelError(f"{path} is no configuration of a Llama: {error}") from error
