"""llama.cpp in a process of its own: what it makes of a file, where the file may be one that ends the process."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from models import ModelError

SECONDS = 900.0  # 64 positions of TinyLlama take 4 s on two cores, 600 take 40

_ERROR = 4  # GGML_LOG_LEVEL_ERROR
_ITEM, _DONE, _FAILED = "item", "done", "failed"

Logits = NDArray[np.float32]


def logits(file: Path, chunks: Sequence[Sequence[int]]) -> list[Logits]:
    """For each chunk of token ids its logits [position, vocabulary]. Raises ModelError where the process dies."""
    answer: list[Logits] = _asked(_logits, file, [list(chunk) for chunk in chunks])
    return answer


def tokens(file: Path, texts: Sequence[str]) -> list[list[int]]:
    """For each text its token ids as llama.cpp cuts it, without the one of the beginning. Raises ModelError."""
    answer: list[list[int]] = _asked(_tokens, file, list(texts))
    return answer


def quiet() -> None:
    """From now on llama.cpp says only what went wrong: two hundred lines about tensors would hide that."""
    llama_cpp.llama_log_set(_errors_only, ctypes.c_void_p(0))


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def _errors_only(level: int, text: bytes, _: object) -> None:
    if level == _ERROR:
        sys.stderr.write(text.decode(errors="replace"))


def start(child: BaseProcess) -> None:
    """Starts a child that does not hear Ctrl-C: the one who started it ends it, and it has no traceback to show."""
    resource_tracker.ensure_running()  # the first child would start it, and it opens the way for Ctrl-C again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        child.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _logits(file: str, chunks: list[list[int]]) -> Iterator[Logits]:
    model = _model(file, vocabulary_only=False)
    size = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    params = llama_cpp.llama_context_default_params()
    params.n_ctx = params.n_batch = params.n_ubatch = max(16, *map(len, chunks))
    params.n_threads = params.n_threads_batch = os.cpu_count() or 1
    context = llama_cpp.llama_init_from_model(model, params)
    if not context:
        raise ValueError("there is no memory for its context")
    for chunk in chunks:
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
        batch = llama_cpp.llama_batch_init(len(chunk), 0, 1)
        batch.n_tokens = len(chunk)
        for n, token in enumerate(chunk):
            batch.token[n], batch.pos[n], batch.n_seq_id[n], batch.seq_id[n][0], batch.logits[n] = token, n, 1, 0, True
        code = llama_cpp.llama_decode(context, batch)
        llama_cpp.llama_batch_free(batch)
        if code:
            raise ValueError(f"it cannot be evaluated (code {code})")
        yield np.ctypeslib.as_array(llama_cpp.llama_get_logits(context), (len(chunk), size)).copy()


def _tokens(file: str, texts: list[str]) -> Iterator[list[int]]:
    vocabulary = llama_cpp.llama_model_get_vocab(_model(file, vocabulary_only=True))
    for text in texts:
        data = text.encode()
        room = (llama_cpp.llama_token * (len(data) + 8))()
        count = llama_cpp.llama_tokenize(vocabulary, data, len(data), room, len(room), False, True)
        if count < 0:
            raise ValueError(f"{text[:40]!r} cannot be cut into tokens")
        yield list(room[:count]) if text else []


def _model(file: str, *, vocabulary_only: bool) -> llama_cpp.llama_model_p:
    params = llama_cpp.llama_model_default_params()
    params.vocab_only = vocabulary_only
    params.use_extra_bufts = False  # weights packed anew for speed would be a second copy of them in memory
    model: llama_cpp.llama_model_p | None = llama_cpp.llama_model_load_from_file(file.encode(), params)
    if not model:
        raise ValueError("it cannot be loaded")
    return model


def _asked(work: Callable[[str, Any], Iterator[Any]], file: Path, argument: object) -> list[Any]:
    """What `work` gives for the file and `argument`, item by item from a child that is gone afterwards."""
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(sending, work, str(file), argument), daemon=True)
    items: list[Any] = []
    trouble = ""
    try:
        start(child)
        sending.close()
        while not trouble:
            kind, item = receiving.recv() if receiving.poll(SECONDS) else (_FAILED, "it took too long")
            if kind == _DONE:
                return items
            if kind == _FAILED:
                trouble = item
            items.append(item)
    except EOFError:
        trouble = "its process ended"
    finally:
        if child.pid is not None:  # Ctrl-C may have come before it was there
            child.kill()
            child.join()
        receiving.close()
    raise ModelError(f"{file}: llama.cpp could not run it ({trouble})")


def _child(sending: Connection, work: Callable[[str, Any], Iterator[Any]], file: str, argument: object) -> None:
    """What the child does."""
    quiet()
    try:
        for item in work(file, argument):
            sending.send((_ITEM, item))
        sending.send((_DONE, None))
    except (ValueError, RuntimeError) as error:
        sending.send((_FAILED, str(error) or "an error"))
