"""A model as a folder that Hugging Face's libraries read, and models.export.checkpoint like any other."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from models import ModelError
from models.export.checkpoint import Shape

ADDED = "added_tokens.json"
_PARTS = {
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
_TOP = {
    "tok.weight": "model.embed_tokens.weight",
    "norm.weight": "model.norm.weight",
    "head.weight": "lm_head.weight",
}


def write_shape(folder: Path, shape: Shape, tokenizer: Path, added: Mapping[str, int]) -> None:
    """config.json, tokenizer.model and added_tokens.json: all but the weights. Raises ModelError.

    Checkpoints of a training in folders of this one are exported with these.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(_config(shape), indent=1) + "\n")
        if tokenizer.resolve() != (folder / "tokenizer.model").resolve():
            shutil.copyfile(tokenizer, folder / "tokenizer.model")
        (folder / ADDED).unlink(missing_ok=True)
        if added:
            (folder / ADDED).write_text(json.dumps(dict(added), indent=1) + "\n")
    except OSError as error:
        raise ModelError(f"{folder}: the model cannot be written: {error}") from error


def write_weights(folder: Path, weights: Mapping[str, Tensor]) -> None:
    """model.safetensors in float32, whole or not at all. Raises ModelError."""
    part = folder / "model.safetensors.part"
    try:
        named = {_their_name(name): tensor.float().contiguous() for name, tensor in weights.items()}
        save_file(named, part, metadata={"format": "pt"})
        part.replace(folder / "model.safetensors")
    except OSError as error:
        raise ModelError(f"{folder}: the weights cannot be written: {error}") from error
    finally:
        part.unlink(missing_ok=True)


def _their_name(name: str) -> str:
    if name in _TOP:
        return _TOP[name]
    _, number, part, _ = name.split(".")
    return f"model.layers.{number}.{_PARTS[part]}.weight"


def _config(shape: Shape) -> dict[str, object]:
    c = shape.config
    scaling = {"rope_type": "linear", "factor": shape.rope_scale} if shape.rope_scale != 1 else None
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": c.dim,
        "num_hidden_layers": c.layers,
        "num_attention_heads": c.heads,
        "num_key_value_heads": c.kv_heads,
        "intermediate_size": c.ffn,
        "vocab_size": c.vocab,
        "max_position_embeddings": c.context,
        "rms_norm_eps": c.norm_eps,
        "rope_theta": c.rope_base,
        "rope_scaling": scaling,
        "tie_word_embeddings": c.tied,
        "hidden_act": "silu",
        "attention_bias": False,
        "torch_dtype": "float32",
    }
