"""The forms in which checkpoints lie on disk, each read as names with tensors that are loaded one at a time.

Nothing here runs what a file says: torch.load has weights_only, and a DCP folder's `.metadata`, which is a raw pickle, is
read with a list of the few classes that it may name.
"""

from __future__ import annotations

import io
import json
import math
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from models import ModelError

Array = NDArray[np.generic]

_SAFE_TYPES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_LARGEST_HEADER = 100_000_000  # what safetensors itself allows
_BLOCK = 1 << 20  # numbers
_DTYPES = {"float32", "float16", "bfloat16", "float64", "int64", "int32", "uint8", "bool", "int8", "int16"}
_METADATA = "torch.distributed.checkpoint.metadata"
_ALLOWED = {
    *((_METADATA, name) for name in ("Metadata", "TensorStorageMetadata", "TensorProperties", "ChunkStorageMetadata")),
    *((_METADATA, name) for name in ("BytesStorageMetadata", "MetadataIndex", "StorageMeta", "_MEM_FORMAT_ENCODING")),
    ("torch.distributed.checkpoint.filesystem", "_StorageInfo"),
    ("torch", "Size"),
    ("torch.serialization", "_get_layout"),
    ("pathlib", "PosixPath"),
}


@dataclass(frozen=True, slots=True)
class Lazy:
    """A tensor that is read when it is asked for: `load` gives float32 or float16, without loss.

    `narrow` gives it rounded to float16, where that can be done without all of it in float32 in between.
    """

    shape: tuple[int, ...]
    load: Callable[[], Array]
    narrow: Callable[[], Array] | None = None

    def load_for_f16(self) -> Array:
        """What an F16 file needs and no more: a matrix in float16 where that takes less memory, else what `load` gives."""
        return self.narrow() if self.narrow is not None and len(self.shape) == 2 else self.load()


@dataclass(frozen=True, slots=True)
class Raw:
    """What a path holds: its form in words, the tensors under the names that they have there, and the model's name."""

    form: str
    tensors: Mapping[str, Lazy]
    model_name: str = ""


def read(path: Path) -> Raw:
    """Recognises the form. Raises ModelError for what is none, or is one that holds only a part of the model."""
    try:
        return _folder(path) if path.is_dir() else _file(path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError) as error:
        raise ModelError(f"{path} cannot be read as a checkpoint: {error}") from error


def _folder(path: Path) -> Raw:
    if (path / ".metadata").is_file():
        return _dcp(path)
    for inner in ("pytorch_model_fsdp_0", "lit_model.pth"):  # accelerate's; litgpt's, where it was trained by FSDP
        if (path / inner / ".metadata").is_file():
            return _dcp(path / inner)
    if any(path.glob("pytorch_model_fsdp*_rank*.bin")):
        raise ModelError(
            f"{path} holds accelerate's LOCAL state dict, a part of the model a file. "
            "Save again with SHARDED_STATE_DICT or FULL_STATE_DICT."
        )
    if any(path.glob("shard-*.safetensors")):
        raise ModelError(
            f"{path} holds partial tensors of an unconsolidated save. "
            "Run torch.distributed.checkpoint's consolidate_safetensors_files on it first."
        )
    for index in ("model.safetensors.index.json", "pytorch_model.bin.index.json"):
        if (path / index).is_file():
            return _sharded(path, path / index)
    for name in ("model.safetensors", "pytorch_model.bin", "pytorch_model_fsdp.bin", "lit_model.pth"):
        if (path / name).is_file():
            return _file(path / name)
    raise ModelError(f"{path} is no checkpoint that is known here: no .metadata, no weights under a known name")


def _file(path: Path) -> Raw:
    if not path.is_file():
        raise ModelError(f"{path}: no such file or folder")
    if path.match("pytorch_model_fsdp*_rank*.bin"):
        raise ModelError(f"{path} has only the rows of one process; save again with FULL_STATE_DICT")
    if path.name.startswith("shard-") and path.suffix == ".safetensors":
        raise ModelError(f"{path} is one of the parts of an unconsolidated save; consolidate them first")
    if path.suffix == ".safetensors":
        return Raw("safetensors", _safetensors(path))
    with path.open("rb") as file:
        start = file.read(4)
    if start == b"GGUF":
        raise ModelError(f"{path} is a GGUF already")
    if start != b"PK\x03\x04":
        raise ModelError(f"{path} is not in the zip format of torch.save; save it again with a torch of today")
    return _torch_file(path)


def _sharded(folder: Path, index: Path) -> Raw:
    files = set(json.loads(index.read_text())["weight_map"].values())
    tensors: dict[str, Lazy] = {}
    for name in sorted(files):
        part = _file(_inside(folder, name)).tensors
        if both := tensors.keys() & part.keys():
            raise ModelError(f"{folder}: {min(both)} is in more than one file")
        tensors |= part
    return Raw(f"Hugging Face folder of {len(files)} files", tensors)


def _inside(folder: Path, name: str) -> Path:
    if not isinstance(name, str) or "/" in name or "\\" in name or name in ("", ".", ".."):
        raise ModelError(f"{folder} names a file outside of itself: {name}")
    return folder / name


def _safetensors(path: Path) -> dict[str, Lazy]:
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 0 < length <= min(size - 8, _LARGEST_HEADER):
            raise ModelError(f"{path}: its header is longer than the file")
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    return {name: _safe_tensor(path, name, entry, 8 + length, size) for name, entry in header.items()}


def _safe_tensor(path: Path, name: str, entry: dict[str, Any], base: int, size: int) -> Lazy:
    shape = tuple(int(n) for n in entry["shape"])
    begin, end = (base + int(n) for n in entry["data_offsets"])
    if entry["dtype"] not in _SAFE_TYPES:
        raise ModelError(f"{path}: {name} is {entry['dtype']}; float32, float16 and bfloat16 can be exported")
    dtype = np.dtype(_SAFE_TYPES[entry["dtype"]])
    if (
        min(shape, default=1) < 0
        or not base <= begin <= end <= size
        or end - begin != math.prod(shape) * dtype.itemsize
    ):
        raise ModelError(f"{path}: {name} does not have the size of its shape")

    def mapped() -> Array:  # a private mapping: nothing is held, and nothing is ever written back
        array: Array = np.asarray(np.memmap(path, dtype=dtype, mode="c", offset=begin, shape=shape))
        return array

    if dtype.kind == "f":
        return Lazy(shape, mapped)
    return Lazy(shape, lambda: _widened(mapped()), lambda: _narrowed(mapped()))


def _widened(bfloat16: Array) -> Array:
    """The upper halves of float32 numbers, made whole."""
    wide: NDArray[np.uint32] = bfloat16.astype("<u4")
    wide <<= 16
    return wide.view("<f4")


def _narrowed(bfloat16: Array) -> Array:
    flat, narrow = bfloat16.reshape(-1), np.empty(bfloat16.size, dtype="<f2")
    with np.errstate(over="ignore"):  # what float16 cannot hold becomes infinite, and is told where it is written
        for start in range(0, flat.size, _BLOCK):
            narrow[start : start + _BLOCK] = _widened(flat[start : start + _BLOCK])
    return narrow.reshape(bfloat16.shape)


def _torch_file(path: Path) -> Raw:
    import torch

    try:
        whole = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except (pickle.UnpicklingError, RuntimeError) as error:
        if "DTensor" in str(error) or "ShardedTensor" in str(error):
            raise _one_rank(path) from error
        raise ModelError(
            f"{path} is not loaded, since it is damaged or holds more than tensors and plain values: "
            f"{str(error).splitlines()[0]}"
        ) from error
    if not isinstance(whole, dict):
        raise ModelError(f"{path} holds no state dict")
    inner = whole.get("model")
    form = "flat state dict (FSDP full, .bin or litgpt)"
    if isinstance(inner, dict):
        form = "checkpoint with its model under 'model' (Fabric, TinyLlama)"
    hparams = whole.get("hparams")
    named = str(hparams.get("model_name", "")) if isinstance(hparams, dict) else ""
    state = inner if isinstance(inner, dict) else whole
    return Raw(form, {str(name): _torch_tensor(path, str(name), value) for name, value in state.items()}, named)


def _one_rank(path: Path) -> ModelError:
    return ModelError(
        f"{path} has only the rows of one process (DTensor). Save with get_model_state_dict and "
        "StateDictOptions(full_state_dict=True), or with torch.distributed.checkpoint."
    )


def _torch_tensor(path: Path, name: str, value: Any) -> Lazy:
    import torch

    if type(value).__name__ in ("DTensor", "ShardedTensor"):
        raise _one_rank(path)
    if not isinstance(value, torch.Tensor):
        raise ModelError(f"{path}: {name} is no tensor")
    if value.is_meta or value.layout != torch.strided or not value.is_floating_point():
        raise ModelError(f"{path}: {name} is not a plain tensor of floating-point numbers")
    if value.untyped_storage().nbytes() < value.numel() * value.element_size():
        raise ModelError(f"{path}: {name} does not have the size of its shape")
    plain = value.detach()

    def load() -> Array:
        array: Array = (plain if plain.dtype == torch.float16 else plain.float()).numpy()
        return array

    return Lazy(tuple(plain.shape), load, (lambda: plain.half().numpy()) if plain.dtype == torch.bfloat16 else None)


class _Unpickler(pickle.Unpickler):
    """Builds what a `.metadata` of DCP is made of, and refuses the rest."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _ALLOWED or (module == "torch" and name in _DTYPES):
            return super().find_class(module, name)
        raise ModelError(f"the .metadata names {module}.{name}, which no checkpoint needs; it is not loaded")


def _dcp(folder: Path) -> Raw:
    import torch.distributed.checkpoint  # noqa: F401  (the classes that are allowed)

    try:
        with (folder / ".metadata").open("rb") as file:
            metadata = _Unpickler(file).load()
    except (pickle.UnpicklingError, IndexError) as error:
        raise ModelError(f"{folder}: its .metadata is damaged ({error})") from error
    stored = {(index.fqn, tuple(index.offset or ())): info for index, info in metadata.storage_data.items()}
    tensors = {
        name: _dcp_tensor(folder, name, entry, stored)
        for name, entry in metadata.state_dict_metadata.items()
        if hasattr(entry, "chunks") and not name.startswith(("optimizer", "optim."))
    }
    form = "Fabric's sharded checkpoint (DCP)" if (folder / "meta.pt").is_file() else "sharded checkpoint (DCP)"
    return Raw(form, tensors)


def _dcp_tensor(folder: Path, name: str, entry: Any, stored: Mapping[tuple[str, tuple[int, ...]], Any]) -> Lazy:
    shape = tuple(int(n) for n in entry.size)
    item = int(entry.properties.dtype.itemsize)
    parts = []
    for chunk in entry.chunks:
        offsets, sizes = tuple(map(int, chunk.offsets)), tuple(map(int, chunk.sizes))
        info = stored[name, offsets]
        file = _inside(folder, info.relative_path)
        if any(o < 0 or s < 0 or o + s > n for o, s, n in zip(offsets, sizes, shape, strict=True)):
            raise ModelError(f"{folder}: a part of {name} lies outside of it")
        start, length = int(info.offset), int(info.length)
        if start < 0 or math.prod(sizes) * item > length or start + length > file.stat().st_size:
            raise ModelError(f"{folder}: {name} does not have the size of its shape")
        parts.append((offsets, sizes, file, start, length))
    if sum(math.prod(sizes) for _, sizes, *_ in parts) != math.prod(shape):
        raise ModelError(f"{folder}: parts of {name} are missing or there twice")

    def gathered(narrow: bool) -> Array:
        import torch

        whole = torch.empty(shape, dtype=torch.float16 if narrow else torch.float32)
        for offsets, sizes, file, start, length in parts:
            place = tuple(slice(o, o + s) for o, s in zip(offsets, sizes, strict=True))
            whole[place] = _blob(file, start, length, sizes)
        array: Array = whole.numpy()
        return array

    return Lazy(shape, partial(gathered, False), partial(gathered, True))


def _blob(file: Path, start: int, length: int, sizes: tuple[int, ...]) -> Any:
    import torch

    try:
        with file.open("rb") as opened:
            part: Any = _Slice(opened, start, length)
            tensor = torch.load(part, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError) as error:
        raise ModelError(f"{file} is damaged or holds more than tensors") from error
    if not isinstance(tensor, torch.Tensor) or tuple(tensor.shape) != sizes:
        raise ModelError(f"{file}: a part is not of the shape that .metadata says")
    return tensor.detach()


class _Slice(io.RawIOBase):
    """A part of a file as a file, so that it is read to where it is wanted and not into memory first."""

    def __init__(self, file: BinaryIO, start: int, length: int) -> None:
        super().__init__()
        self._file, self._start, self._length, self._at = file, start, length, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence])
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        wanted = memoryview(buffer).cast("B")[: max(0, self._length - self._at)]
        self._file.seek(self._start + self._at)
        count = self._file.readinto(wanted)  # type: ignore[attr-defined]  # BinaryIO does not say that it has it
        self._at += count
        return int(count)
