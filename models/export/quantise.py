"""From F16 to 4 bit with llama.cpp's own quantiser, in a child process because that code may abort."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
from collections.abc import Mapping
from pathlib import Path

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from models import ModelError
from models.export.native import quiet, start

FILE_TYPES: Mapping[str, int] = {
    "f16": llama_cpp.LLAMA_FTYPE_MOSTLY_F16,
    "q4_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0,
    "q4_k_s": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_K_S,
    "q4_k_m": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_K_M,
    "iq4_nl": llama_cpp.LLAMA_FTYPE_MOSTLY_IQ4_NL,
    "q5_k_m": llama_cpp.LLAMA_FTYPE_MOSTLY_Q5_K_M,
    "q8_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0,
}
# ggml's numbers of single tensor types.
TENSOR_TYPES: Mapping[str, int] = {
    "f32": 0,
    "f16": 1,
    "q4_0": 2,
    "q8_0": 8,
    "q4_k": 12,
    "q5_k": 13,
    "q6_k": 14,
}
SECONDS = 900.0  # TinyLlama's 1.1 B parameters take 7 to 200 s on two cores, by type


def quantise(
    f16: Path,
    out: Path,
    type: str = "q4_0",
    imatrix: Mapping[str, NDArray[np.float32]] | None = None,
    *,
    token_embedding_type: str | None = None,
) -> None:
    """Write `f16` as `out` in `type` (a key of FILE_TYPES), whole or not at all.

    A tied embedding becomes Q6_K in 4-bit files unless `token_embedding_type` (a key of TENSOR_TYPES) says otherwise.
    `imatrix` maps GGUF tensor names to the mean square of each input column. Raises ModelError.
    """
    if type not in FILE_TYPES or (token_embedding_type or "f16") not in TENSOR_TYPES:
        raise ModelError(f"no such type: {type}, {token_embedding_type}; there are {', '.join(FILE_TYPES)}")
    if not f16.is_file():
        raise ModelError(f"{f16}: no such file")
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    child = multiprocessing.get_context("spawn").Process(
        target=_quantise,
        args=(
            str(f16),
            str(temporary),
            type,
            token_embedding_type,
            dict(imatrix or {}),
        ),
    )
    try:
        start(child)
        child.join(SECONDS)
        if child.exitcode is None:
            child.kill()
            child.join()
        if child.exitcode != 0:
            raise ModelError(f"{f16}: llama.cpp could not make a {type} file of it (exit code {child.exitcode})")
        temporary.replace(out)
    finally:
        if child.is_alive():  # Ctrl-C came
            child.kill()
            child.join()
        temporary.unlink(missing_ok=True)


def _quantise(
    f16: str,
    out: str,
    kind: str,
    embedding: str | None,
    imatrix: Mapping[str, NDArray[np.float32]],
) -> None:
    """What the child does; its exit code is the answer."""
    quiet()
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = FILE_TYPES[kind]
    if embedding is not None:
        params.token_embedding_type = TENSOR_TYPES[embedding]
    entries = _imatrix(imatrix)
    if imatrix:
        params.imatrix = ctypes.cast(entries, ctypes.POINTER(llama_cpp.llama_model_imatrix_data))
    code = llama_cpp.llama_model_quantize(f16.encode(), out.encode(), ctypes.byref(params))
    raise SystemExit(int(code != 0))


def _imatrix(
    imatrix: Mapping[str, NDArray[np.float32]],
) -> ctypes.Array[llama_cpp.llama_model_imatrix_data]:
    """The C array for llama.cpp, closed by an entry without a name."""
    entries = (llama_cpp.llama_model_imatrix_data * (len(imatrix) + 1))()
    for entry, (name, values) in zip(entries, imatrix.items(), strict=False):
        flat = np.ascontiguousarray(values, dtype=np.float32)
        entry.name = name.encode()
        entry.data = (ctypes.c_float * flat.size).from_buffer_copy(flat.tobytes())
        entry.size = flat.size
    return entries
