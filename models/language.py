"""The language model: llama.cpp's low-level calls, and llguidance to bind what it writes to a grammar.

One utterance is one short run: the prompt is read as one batch, then each token is the best of those that the grammar
allows. Tokens that the grammar forces are not sampled; they go into the batch of the token before them.
"""

from __future__ import annotations

import ctypes
import logging
import time
import warnings
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import llama_cpp
import numpy as np
from llguidance import LLMatcher, LLTokenizer
from llguidance.llamacpp import lltokenizer_from_vocab
from numpy.typing import NDArray

from models import ModelError
from models.completion import Completion

log = logging.getLogger(__name__)

# No utterance needs more: the context costs memory for each of its tokens.
MAX_CONTEXT = 2048
# A prompt's beginning that is still in the cache is kept from this length on. Shorter, reading it again costs less
# than the loss: what was read in batches of another size differs in the last bits.
KEEP_FROM = 32
_ERROR = 4  # GGML_LOG_LEVEL_ERROR
_MAGIC = b"GGUF"


class LanguageModel:
    """One GGUF file in memory. Not for several threads at once. `threads`: leave a core to the rest of the house."""

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        """Raises ModelError where the file is not a model that llama.cpp can run."""
        _check(path)
        _silence()
        self._model = _load(path)
        try:
            self._vocab = _given(llama_cpp.llama_model_get_vocab(self._model), "it has no vocabulary")
            self._context = _context(self._model, threads)
            self._size = llama_cpp.llama_vocab_n_tokens(self._vocab)
            self._bos = llama_cpp.llama_vocab_bos(self._vocab)
            self._eos = llama_cpp.llama_vocab_eos(self._vocab)
            self._room = min(llama_cpp.llama_n_ctx(self._context), llama_cpp.llama_model_n_ctx_train(self._model))
            self._tokenizer = _tokenizer(self._vocab, self._size)
        except BaseException:
            self.close()
            raise
        self._cached: list[int] = []

    def close(self) -> None:
        """Give the memory back; harmless when done twice."""
        if getattr(self, "_context", None):
            llama_cpp.llama_free(self._context)
        if self._model:
            llama_cpp.llama_model_free(self._model)
        self._context = self._model = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def tokenize(self, text: str) -> list[int]:
        """The tokens of `text`, without beginning or end; symbols such as `<do>` are one token."""
        data = text.encode()
        tokens = (llama_cpp.llama_token * (len(data) + 8))()
        count = llama_cpp.llama_tokenize(self._vocab, data, len(data), tokens, len(tokens), False, True)
        if count < 0:
            raise ModelError("the text cannot be cut into tokens")
        return list(tokens[:count])

    def complete(self, prompt: str, grammar: str, max_tokens: int = 128) -> Completion:
        """What the model writes after `prompt` under `grammar` (llguidance's Lark), best token first.

        Raises ModelError for a grammar that is not one, and for a prompt or an answer that is too long.
        """
        start = time.perf_counter()
        tokens = [self._bos, *self.tokenize(prompt)]
        if len(tokens) + max_tokens > self._room:
            raise ModelError(f"that is too long: {len(tokens)} tokens, and there is room for {self._room - max_tokens}")
        matcher = LLMatcher(self._tokenizer, grammar, log_level=0)
        written, logprobs = self._forced(matcher)
        logits = self._read(tokens + written)
        middle = time.perf_counter()
        while not matcher.is_stopped():
            if len(written) >= max_tokens:
                raise ModelError(f"the answer is longer than {max_tokens} tokens")
            token, logprob = self._choose(matcher, logits)
            if token == self._eos:
                break
            _consume(matcher, [token])
            forced, zeros = self._forced(matcher)
            written += [token, *forced]
            logprobs += [logprob, *zeros]
            if not matcher.is_stopped():
                logits = self._decode([token, *forced])
        _raise_error(matcher)
        end = time.perf_counter()
        return Completion(
            text=self._tokenizer.decode_bytes(written).replace(b"\xff", b"").decode(errors="replace"),
            tokens=tuple(written),
            logprobs=tuple(logprobs),
            ms_read=(middle - start) * 1000,
            ms_write=(end - middle) * 1000,
        )

    def _forced(self, matcher: LLMatcher) -> tuple[list[int], list[float]]:
        """The tokens that the grammar forces now, which the matcher has then taken, and a logarithm of 1 for each."""
        forced = matcher.compute_ff_tokens()
        if self._eos in forced:
            forced = forced[: forced.index(self._eos)]
        if forced:
            _consume(matcher, forced)
        return forced, [0.0] * len(forced)

    def _choose(self, matcher: LLMatcher, logits: NDArray[np.float32]) -> tuple[int, float]:
        """The most probable token that the grammar allows, and its logarithm among all tokens."""
        mask = np.unpackbits(np.frombuffer(matcher.compute_bitmask(), np.uint8), bitorder="little")
        _raise_error(matcher)
        token = int(np.where(mask[: self._size], logits, -np.inf).argmax())
        top = logits.max()
        return token, float(logits[token] - top - np.log(np.exp(logits - top).sum()))

    def _read(self, tokens: list[int]) -> NDArray[np.float32]:
        """The logits after `tokens`, the whole text so far; its beginning may still be in the cache."""
        keep = _common(self._cached, tokens[:-1])
        keep = keep if keep >= KEEP_FROM else 0
        memory = llama_cpp.llama_get_memory(self._context)
        if memory is None or not llama_cpp.llama_memory_seq_rm(memory, 0, keep, -1):
            raise ModelError("llama.cpp's memory cannot be cut back")
        self._cached = tokens[:keep]
        return self._decode(tokens[keep:])

    def _decode(self, tokens: list[int]) -> NDArray[np.float32]:
        """The logits [vocabulary] after `tokens`, which follow what is in the cache. Valid until the next call."""
        array = (llama_cpp.llama_token * len(tokens))(*tokens)  # the batch only points to it
        batch = llama_cpp.llama_batch_get_one(array, len(tokens))
        if code := llama_cpp.llama_decode(self._context, batch):
            self._cached = []
            raise ModelError(f"llama.cpp could not read the text (code {code})")
        self._cached += tokens
        return np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(self._context, -1), (self._size,))


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    """How many entries at the beginning of `a` and `b` are the same."""
    return next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _consume(matcher: LLMatcher, tokens: list[int]) -> None:
    if not matcher.consume_tokens(tokens):
        _raise_error(matcher)


def _raise_error(matcher: LLMatcher) -> None:
    if matcher.is_error():
        raise ModelError(f"the grammar: {matcher.get_error().strip()[:300]}")


def _check(path: Path) -> None:
    """What can be said before llama.cpp sees the file."""
    try:
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
    except OSError as error:
        raise ModelError(f"{path}: the model cannot be read ({error.strerror}); see `hub setup`") from error
    if magic != _MAGIC:
        raise ModelError(f"{path}: not a GGUF file; fetch it again, or name another one in the settings")


def _load(path: Path) -> Any:
    params = llama_cpp.llama_model_default_params()
    # Mapped, 4-bit weights are held twice: in the page cache and repacked for SIMD.
    params.load_mode = llama_cpp.LLAMA_LOAD_MODE_NONE
    _reasons.clear()
    model = llama_cpp.llama_model_load_from_file(bytes(path), params)
    reason = "; ".join(_reasons) or "llama.cpp does not say why"
    return _given(model, f"{path}: damaged or not a model that llama.cpp can run; fetch it again ({reason})")


def _context(model: Any, threads: int) -> Any:
    params = llama_cpp.llama_context_default_params()
    params.n_ctx = min(llama_cpp.llama_model_n_ctx_train(model), MAX_CONTEXT)
    params.n_batch = params.n_ubatch = params.n_ctx
    params.n_seq_max = 1
    params.n_threads = params.n_threads_batch = max(1, threads)
    return _given(llama_cpp.llama_init_from_model(model, params), "there is no memory for the model's context")


def _tokenizer(vocab: Any, size: int) -> LLTokenizer:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # llguidance 1.9.1 calls llama_token_get_attr
            return lltokenizer_from_vocab(vocab, size)
    except ValueError as error:
        raise ModelError(f"the model's vocabulary cannot be used: {error}") from error


def _given(value: Any, otherwise: str) -> Any:
    """`value`, a pointer of llama.cpp's, unless it is null."""
    if value is None:
        raise ModelError(otherwise)
    return value


# llama.cpp's last errors: the reason why a file did not load.
_reasons: deque[str] = deque(maxlen=3)


def _log(level: int, text: bytes, _: ctypes.c_void_p) -> None:
    """llama.cpp's log: hundreds of lines for each file, of which only the errors matter."""
    if level == _ERROR and (line := text.decode(errors="replace").strip()):
        _reasons.append(line)
        log.info("llama.cpp: %s", line)


_CALLBACK = llama_cpp.llama_log_callback(_log)  # held here: llama.cpp calls it for as long as the process lives


def _silence() -> None:
    llama_cpp.llama_log_set(_CALLBACK, ctypes.c_void_p(0))
