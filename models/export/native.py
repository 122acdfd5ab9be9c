"""llama.cpp in a process of its own: what it makes of a file, where the file may be one that ends the process."""

from __future__ import annotations

import ctypes
import multiprocessing
import signal
import sys
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
from llama_cpp import Llama
from numpy.typing import NDArray

from models import ModelError

SECONDS = 900.0  # 64 positions of TinyLlama take 4 s on two cores, 600 take 40

_ERROR = 4  # GGML_LOG_LEVEL_ERROR

Logits = NDArray[np.float32]


def logits(file: Path, chunks: Sequence[Sequence[int]]) -> list[Logits]:
    """For each chunk of token ids its logits [position, vocabulary]. Raises ModelError where the process dies."""
    longest = max(16, *(len(chunk) for chunk in chunks))
    options = {"n_ctx": longest, "n_batch": longest, "logits_all": True}
    answer: list[Logits] = _asked(_logits, file, options, [list(chunk) for chunk in chunks])
    return answer


def tokens(file: Path, texts: Sequence[str]) -> list[list[int]]:
    """For each text its token ids as llama.cpp cuts it, without the one of the beginning. Raises ModelError."""
    answer: list[list[int]] = _asked(_tokens, file, {"vocab_only": True}, list(texts))
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
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        child.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _logits(model: Llama, chunks: list[list[int]]) -> list[Logits]:
    results = []
    for chunk in chunks:
        model.reset()  # type: ignore[no-untyped-call] # its own have no annotations
        model.eval(chunk)
        results.append(np.array(model.scores[: len(chunk)], dtype=np.float32))
    return results


def _tokens(model: Llama, texts: list[str]) -> list[list[int]]:
    return [model.tokenize(text.encode(), add_bos=False, special=True) if text else [] for text in texts]


def _asked(work: Callable[[Llama, Any], Any], file: Path, options: dict[str, Any], argument: object) -> Any:
    """What `work` gives for the model of `file` and `argument`, in a child that is gone afterwards."""
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(sending, work, str(file), options, argument), daemon=True)
    try:
        start(child)
        sending.close()
        answer: Any = receiving.recv() if receiving.poll(SECONDS) else "it took too long"
    except EOFError:
        answer = "its process ended"
    finally:
        child.kill()
        child.join()
        receiving.close()
    if isinstance(answer, str):
        raise ModelError(f"{file}: llama.cpp could not run it ({answer})")
    return answer


def _child(
    sending: Connection, work: Callable[[Llama, Any], Any], file: str, options: dict[str, Any], argument: object
) -> None:
    """What the child does: a list is the answer, a text says what went wrong."""
    quiet()
    try:
        sending.send(work(llama_cpp.Llama(file, verbose=False, **options), argument))
    except (ValueError, RuntimeError) as error:
        sending.send(str(error) or "an error")
