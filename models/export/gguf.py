"""Writes a Llama with a SentencePiece vocabulary as GGUF, so that llama.cpp computes what the training computed.

The tokenizer has to be one that llama.cpp cuts as SentencePiece does: BPE, normalization_rule_name="identity",
character_coverage=1.0, byte_fallback=True, symbols as user_defined_symbols. With add_dummy_prefix=True llama.cpp puts a
space after every symbol as well as at the start, so text is cut as SentencePiece cuts it only up to the first symbol
(which is all that a prompt has); with add_dummy_prefix=False and texts that begin with a space, everywhere.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import gguf
import numpy as np
from numpy.typing import NDArray

from models import ModelError
from models.export import sentencepiece
from models.export.bpe import BpeModel
from models.export.sentencepiece import PieceType, SentencePieceModel

Array = NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class LlamaConfig:
    """The shape of the network. `context` is the longest text in tokens; `tied`: the head is the embedding."""

    dim: int
    layers: int
    heads: int
    kv_heads: int
    ffn: int
    vocab: int
    context: int
    norm_eps: float = 1e-5
    rope_base: float = 10000.0
    tied: bool = True

    def __post_init__(self) -> None:
        if self.dim % self.heads or self.heads % self.kv_heads or (self.dim // self.heads) % 2:
            raise ValueError(f"{self.heads} heads and {self.kv_heads} key-value heads do not divide {self.dim}")

    @property
    def head_size(self) -> int:
        return self.dim // self.heads


_LAYER = {
    "attn_norm": "attn_norm",
    "q": "attn_q",
    "k": "attn_k",
    "v": "attn_v",
    "o": "attn_output",
    "ffn_norm": "ffn_norm",
    "gate": "ffn_gate",
    "up": "ffn_up",
    "down": "ffn_down",
}


def shapes(config: LlamaConfig) -> dict[str, tuple[int, ...]]:
    """The tensors that `write_gguf` wants, as [out, in], with a half-split rope."""
    d, kv, f = config.dim, config.kv_heads * config.head_size, config.ffn
    layer: dict[str, tuple[int, ...]] = {
        "attn_norm": (d,),
        "q": (d, d),
        "k": (kv, d),
        "v": (kv, d),
        "o": (d, d),
        "ffn_norm": (d,),
        "gate": (f, d),
        "up": (f, d),
        "down": (d, f),
    }
    wanted: dict[str, tuple[int, ...]] = {
        "tok.weight": (config.vocab, d),
        "norm.weight": (d,),
    }
    if not config.tied:
        wanted["head.weight"] = (config.vocab, d)
    for n in range(config.layers):
        wanted |= {f"layers.{n}.{name}.weight": shape for name, shape in layer.items()}
    return wanted


def gguf_name(name: str) -> str:
    """The name in the file of one of the tensors of `shapes`."""
    top = {
        "tok.weight": "token_embd.weight",
        "norm.weight": "output_norm.weight",
        "head.weight": "output.weight",
    }
    if name in top:
        return top[name]
    _, n, part, _ = name.split(".")
    return f"blk.{n}.{_LAYER[part]}.weight"


def write_gguf(
    path: Path,
    *,
    config: LlamaConfig,
    tensors: Mapping[str, Array],
    tokenizer_model: Path | SentencePieceModel,
    metadata: Mapping[str, str | float],
    dtype: Literal["f16", "f32"] = "f16",
) -> None:
    """Write `tensors` (the names and shapes of `shapes(config)`) to `path`, whole or not at all.

    Matrices are stored as `dtype`, vectors as F32. `metadata` are further keys such as general.name, general.license.
    Raises ModelError for tensors or a tokenizer that do not fit the configuration.
    """
    _check(config, tensors)
    vocabulary = sentencepiece.read(tokenizer_model) if isinstance(tokenizer_model, Path) else tokenizer_model
    stream_gguf(path, config=config, load=tensors.__getitem__, vocabulary=vocabulary, metadata=metadata, dtype=dtype)


def stream_gguf(
    path: Path,
    *,
    config: LlamaConfig,
    load: Callable[[str], Array],
    vocabulary: SentencePieceModel | BpeModel,
    metadata: Mapping[str, str | float],
    dtype: Literal["f16", "f32"] = "f16",
    rope_scale: float = 1.0,
    progress: Callable[[int, int], None] | None = None,
) -> str:
    """Like `write_gguf`, with one tensor at a time in memory: `load` gives that of a name when its turn comes.

    `progress` hears how many of the bytes of all tensors are written. Returns the SHA-256 of all tensors as they are
    stored, one after another. Raises ModelError.
    """
    sizes = stored_bytes(config, dtype)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    writer = gguf.GGUFWriter(temporary, "llama")
    try:
        _write_config(writer, config, dtype, metadata)
        if rope_scale != 1:
            writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
            writer.add_rope_scaling_factor(rope_scale)
        if isinstance(vocabulary, BpeModel):
            _write_bpe(writer, vocabulary, config.vocab)
        else:
            _write_vocabulary(writer, vocabulary, config.vocab)
        for name, shape in shapes(config).items():
            writer.add_tensor_info(gguf_name(name), shape, _kind(shape, dtype), sizes[name])
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        done, whole, digest = 0, sum(sizes.values()), hashlib.sha256()
        for name, size in sizes.items():
            stored = _converted(config, name, load(name), dtype)
            digest.update(stored.data)
            writer.write_tensor_data(stored)
            done += size
            if progress is not None:
                progress(done, whole)
        writer.close()
        temporary.replace(path)
        return digest.hexdigest()
    except OSError as error:
        raise ModelError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        writer.close()
        temporary.unlink(missing_ok=True)


def set_metadata(path: Path, values: Mapping[str, str | float]) -> None:
    """Replaces values in the file in place: numbers, and texts by ones of the same length. Raises ModelError."""
    reader = gguf.GGUFReader(path, "r+")
    for key, value in values.items():
        field = reader.get_field(key)
        if field is None:
            raise ModelError(f"{path} has no {key}")
        place = field.parts[field.data[0]]
        new = np.frombuffer(value.encode(), np.uint8) if isinstance(value, str) else np.array([value], place.dtype)
        if new.shape != place.shape:
            raise ModelError(f"{path}: {key} has another length")
        place[:] = new
    reader.data.flush()


def stored_bytes(config: LlamaConfig, dtype: Literal["f16", "f32"]) -> dict[str, int]:
    """What each tensor takes in the file."""
    return {name: math.prod(shape) * _kind(shape, dtype).itemsize for name, shape in shapes(config).items()}


def _kind(shape: tuple[int, ...], dtype: Literal["f16", "f32"]) -> np.dtype[np.generic]:
    return np.dtype(np.float16 if dtype == "f16" and len(shape) == 2 else np.float32)


def _check(config: LlamaConfig, tensors: Mapping[str, Array]) -> None:
    wanted = shapes(config)
    if odd := sorted(wanted.keys() ^ tensors.keys()):
        raise ModelError(f"missing or unknown tensors: {', '.join(odd[:8])}")
    for name, shape in wanted.items():
        if tensors[name].shape != shape:
            raise ModelError(f"{name} is {tensors[name].shape}, not {shape}")


def _write_config(
    writer: gguf.GGUFWriter,
    config: LlamaConfig,
    dtype: Literal["f16", "f32"],
    metadata: Mapping[str, str | float],
) -> None:
    for key, value in metadata.items():
        if isinstance(value, str):
            writer.add_string(key, value)
        else:
            writer.add_float32(key, value)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16 if dtype == "f16" else gguf.LlamaFileType.ALL_F32)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_context_length(config.context)
    writer.add_embedding_length(config.dim)
    writer.add_block_count(config.layers)
    writer.add_feed_forward_length(config.ffn)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.kv_heads)
    writer.add_rope_dimension_count(config.head_size)
    writer.add_rope_freq_base(config.rope_base)
    writer.add_layer_norm_rms_eps(config.norm_eps)
    writer.add_vocab_size(config.vocab)


def _write_vocabulary(writer: gguf.GGUFWriter, model: SentencePieceModel, size: int) -> None:
    """llama.cpp wants as many tokens as embedding rows, each name once: a second one ends the process."""
    padding = size - len(model.pieces)
    if padding < 0:
        raise ModelError(f"the tokenizer has {len(model.pieces)} pieces, the embedding {size} rows")
    if min(model.bos, model.eos, model.unk) < 0:
        raise ModelError("the tokenizer needs pieces for unknown, beginning and end")
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([p.text for p in model.pieces] + [f"<unused_{n}>" for n in range(padding)])
    writer.add_token_scores([p.score for p in model.pieces] + [0.0] * padding)
    writer.add_token_types([int(p.type) for p in model.pieces] + [int(PieceType.UNUSED)] * padding)
    writer.add_bos_token_id(model.bos)
    writer.add_eos_token_id(model.eos)
    writer.add_unk_token_id(model.unk)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(model.add_space_prefix)


def _write_bpe(writer: gguf.GGUFWriter, model: BpeModel, size: int) -> None:
    padding = size - len(model.tokens)
    if padding < 0:
        raise ModelError(f"the tokenizer has {len(model.tokens)} tokens, the embedding {size} rows")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(model.rule)
    writer.add_token_list([*model.tokens, *(f"<unused_{n}>" for n in range(padding))])
    writer.add_token_types([*map(int, model.types), *[int(PieceType.UNUSED)] * padding])
    writer.add_token_merges(model.merges)
    writer.add_bos_token_id(model.bos)
    writer.add_eos_token_id(model.eos)
    writer.add_add_bos_token(model.add_bos)
    writer.add_add_eos_token(False)


def _converted(config: LlamaConfig, name: str, array: Array, dtype: Literal["f16", "f32"]) -> Array:
    part = name.split(".")[-2]
    if part in ("q", "k"):
        array = interleave_rope(array, config.heads if part == "q" else config.kv_heads)
    with np.errstate(over="ignore"):
        stored: Array = np.ascontiguousarray(array, dtype=_kind(array.shape, dtype))
    if not (np.isfinite(stored.min()) and np.isfinite(stored.max())):  # without a mask as large as the tensor
        raise ModelError(f"{name} has numbers that {dtype} cannot hold")
    return stored


def interleave_rope(weight: Array, heads: int) -> Array:
    """Rows of Q or K from half-split rope (i with i + size/2) to neighbours (2i with 2i + 1), as llama.cpp has them."""
    rows, columns = weight.shape
    halves = weight.reshape(heads, 2, rows // heads // 2, columns)
    return halves.swapaxes(1, 2).reshape(rows, columns)
