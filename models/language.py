"""The language model: llama.cpp's low-level calls; what it writes is bound to a grammar (models/binding.py).

One utterance is one short run: the prompt is read as one batch, then each token is the best of those that the grammar
allows. Tokens that the grammar forces are not sampled; they go into the batch of the token before them. A constant text
before the prompts stays in the KV cache, and is restored from a file at the next start.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import time
import warnings
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import llama_cpp
import numpy as np
from llguidance import LLTokenizer
from llguidance.llamacpp import lltokenizer_from_vocab
from numpy.typing import NDArray

from models import LengthError, ModelError
from models.binding import Binding, Writing
from models.calibration import calibration_of
from models.completion import Completion, Primer

log = logging.getLogger(__name__)

_Rows = list[NDArray[np.float32]]

# No utterance needs more: the context costs memory for each of its tokens.
MAX_CONTEXT = 2048
# A prompt's beginning that is still in the cache is kept from this length on. Shorter, reading it again costs less
# than the loss: what was read in batches of another size differs in the last bits.
KEEP_FROM = 32
# The longest batch that is computed at once: the memory for what lies between grows with it, and longer ones are no faster.
BATCH = 512
# What an utterance and its line need behind a primer: sixty words, and a symbol is up to six tokens of a foreign vocabulary.
MIN_ROOM = 384
# How often the rest of a guess is tried again where the model cut the same text into other tokens.
MISSES = 5
STATE = "primer.state"
_SEAL = hashlib.sha256().digest_size
_ERROR = 4  # GGML_LOG_LEVEL_ERROR
_MAGIC = b"GGUF"


class LanguageModel:
    """One GGUF file in memory. Not for several threads at once. `threads`: leave a core to the rest of the house.

    `fingerprint` names all that an answer depends on beside the prompt and the grammar: the file, the curve
    of its card, the engines, the text of the primer. `primed` says whether that text is read before each prompt;
    `calibration` is the curve of its card.
    """

    def __init__(self, path: Path, *, threads: int = 1, primer: Primer | None = None) -> None:
        """Raises ModelError where the file is not a model that llama.cpp can run, or the primer is too long for it."""
        _check(path)
        _silence()
        self.calibration = calibration_of(path)
        with ThreadPoolExecutor(1) as beside:  # both read the whole file: together they read it once from the card
            digest = beside.submit(_digest, path)
            self._model = _load(path)
        try:
            self._vocab = _given(llama_cpp.llama_model_get_vocab(self._model), "it has no vocabulary")
            self._size = llama_cpp.llama_vocab_n_tokens(self._vocab)
            self._eos = llama_cpp.llama_vocab_eos(self._vocab)
            self._row = ctypes.c_float * self._size  # the logits behind one token
            self._tokenizer = _tokenizer(self._vocab, self._size)
            self._binding = Binding(self._tokenizer, self._size, self._eos)
            self._cached: list[int] = []
            self._head = [llama_cpp.llama_vocab_bos(self._vocab)]  # what is read before each prompt
            self._lead = ""
            curve = hashlib.sha256(repr(self.calibration.points).encode()).hexdigest()
            self.fingerprint = f"{digest.result()} {curve} {_engines()}"
            self.primed = primer is not None and len(self.tokenize(primer.unless)) != 1
            if primer is not None and self.primed:
                self._head += self.tokenize(primer.text)
            # Each token of room costs memory, so behind a primer there is room for an utterance and no more.
            self._room = min(
                llama_cpp.llama_model_n_ctx_train(self._model),
                len(self._head) + MIN_ROOM if self.primed else MAX_CONTEXT,
            )
            self._context = _context(self._model, self._room, threads)
            self._batch = _batch(llama_cpp.llama_n_batch(self._context))
            if primer is not None and self.primed:
                self._prime(primer)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the memory back; harmless when done twice."""
        if getattr(self, "_batch", None):
            llama_cpp.llama_batch_free(self._batch)
        if getattr(self, "_context", None):
            llama_cpp.llama_free(self._context)
        if self._model:
            llama_cpp.llama_model_free(self._model)
        self._batch = self._context = self._model = None

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

    def complete(self, prompt: str, grammar: str, max_tokens: int = 128, guess: str = "") -> Completion:
        """What the model writes after `prompt` under `grammar` (as models/binding.py has it), best token first.

        `guess`, a text that the answer may be, is read with the prompt in one batch; what is right of it then need not be
        written token by token, and what is wrong of it is forgotten: the answer is the model's own either way. Raises
        ModelError for a grammar that is not one, LengthError for a prompt or an answer that is too long.
        """
        start = time.perf_counter()
        tokens = [*self._head, *self.tokenize(self._lead + prompt)]
        if len(tokens) + max_tokens > self._room:
            raise LengthError(
                f"that is too long: {len(tokens)} tokens, and there is room for {self._room - max_tokens}"
            )
        writing = self._binding.writing(grammar)
        line = _Line(guess.encode(), max_tokens, forced := writing.forced(), [0.0] * len(forced))
        ahead = self._ahead(line)
        rows, read = self._read(tokens + line.tokens, ahead)
        middle = time.perf_counter()
        self._write(writing, line, rows, ahead)
        end = time.perf_counter()
        return Completion(
            text=self._tokenizer.decode_bytes(line.tokens).replace(b"\xff", b"").decode(errors="replace"),
            tokens=tuple(line.tokens),
            logprobs=tuple(line.logprobs),
            ms_read=(middle - start) * 1000,
            ms_write=(end - middle) * 1000,
            read=read,
            calibration=self.calibration,
        )

    def _write(self, writing: Writing, line: _Line, rows: _Rows, ahead: list[int]) -> None:
        """The rest of the line. `rows` are the logits where it begins and behind each of the guessed tokens `ahead`."""
        at = 0  # of these rows
        while not writing.stopped:
            if len(line.tokens) >= line.most:
                raise LengthError(f"the answer is longer than {line.most} tokens")
            token, logprob = _choose(writing, rows[at])
            if token == self._eos:
                break
            writing.take(token)
            forced = writing.forced()
            run = [token, *forced]
            line.tokens += run
            line.logprobs += [logprob, *[0.0] * len(forced)]
            if writing.stopped:
                break
            right = _common(ahead[at:], run)
            if right == len(run):  # as guessed: what follows is known already
                at += right
                continue
            self._forget(len(self._cached) - (len(ahead) - at - right))
            line.misses += bool(ahead)
            ahead, at = self._ahead(line), 0
            rows = self._decode(run[right:], ahead)

    def _prime(self, primer: Primer) -> None:
        """Put the primer's text into the KV cache, from its file or by reading it. Raises ModelError."""
        # Behind the primer a prompt begins with a space; most tokenizers put one before each text, the others are given it.
        self._lead = "" if self._tokenizer.decode_bytes(self.tokenize("a")).startswith(b" ") else " "
        if len(self._head) + MIN_ROOM > self._room:
            raise ModelError(f"the examples take {len(self._head)} of the model's {self._room} tokens; it is too small")
        self.fingerprint += f" {hashlib.sha256(primer.text.encode()).hexdigest()}"
        state = _State(primer.folder / STATE, self.fingerprint) if primer.folder is not None else None
        if state is not None and (data := state.read()) is not None and self._restored(data):
            return
        self._read(self._head, [])
        if state is not None:
            state.write(self._state())

    def _state(self) -> bytes:
        """What is in the KV cache."""
        data = (ctypes.c_uint8 * llama_cpp.llama_state_seq_get_size(self._context, 0))()
        return bytes(data)[: llama_cpp.llama_state_seq_get_data(self._context, data, len(data), 0)]

    def _restored(self, data: bytes) -> bool:
        """Whether the KV cache now holds `data`, the state after the head."""
        array = (ctypes.c_uint8 * len(data)).from_buffer_copy(data)
        if llama_cpp.llama_state_seq_set_data(self._context, array, len(data), 0) != len(data):
            return False
        self._cached = list(self._head)
        return True

    def _ahead(self, line: _Line) -> list[int]:
        """The tokens of the guess behind those that are written already; none where these say something else."""
        done = self._tokenizer.decode_bytes(line.tokens)
        if not line.guess or line.misses > MISSES or not line.guess.startswith(done):
            return []
        return self._tokenizer.tokenize_bytes(line.guess[len(done) :])[: max(0, line.most - len(line.tokens))]

    def _read(self, tokens: list[int], ahead: list[int]) -> tuple[_Rows, int]:
        """The logits after `tokens`, the whole text so far, and after each of the guessed tokens behind them.

        And how many of `tokens` were not in the cache any more.
        """
        keep = _common(self._cached, tokens[:-1])
        # Behind a primer just that is kept: what was said before must not show in the last bits of an answer.
        keep = min(keep, len(self._head)) if self.primed else keep
        keep = keep if keep >= KEEP_FROM else 0
        self._forget(keep)
        return self._decode(tokens[keep:], ahead), len(tokens) - keep

    def _forget(self, keep: int) -> None:
        """Keep the first `keep` tokens in the cache only."""
        if 0 < keep == len(self._cached):
            return
        memory = llama_cpp.llama_get_memory(self._context)
        if memory is None or not llama_cpp.llama_memory_seq_rm(memory, 0, keep, -1):
            raise ModelError("llama.cpp's memory cannot be cut back")
        del self._cached[keep:]

    def _decode(self, tokens: list[int], ahead: Sequence[int] = ()) -> _Rows:
        """The logits [vocabulary] after `tokens`, which follow what is in the cache, and after each one of `ahead`.

        Valid until the next call.
        """
        whole, first, last, batch = [*tokens, *ahead], len(self._cached), len(tokens) - 1, self._batch
        more = min(_spare(len(whole)), self._room - first - len(whole))
        batch.n_tokens = len(whole) + more
        for n, token in enumerate([*whole, *whole[-1:] * more]):
            batch.token[n], batch.pos[n], batch.logits[n] = token, first + n, last <= n < len(whole)
        code = llama_cpp.llama_decode(self._context, batch)
        if code:
            self._cached.clear()
            raise ModelError(f"llama.cpp could not read the text (code {code})")
        self._cached += [*whole, *whole[-1:] * more]
        self._forget(first + len(whole))
        found = (llama_cpp.llama_get_logits_ith(self._context, n) for n in range(last, len(whole)))
        return [np.frombuffer(self._row.from_address(ctypes.addressof(row.contents)), np.float32) for row in found]


@dataclass(slots=True)
class _Line:
    """An answer while it is written: the text that it may become, at most how many tokens it may have, and how often the
    model wrote something else, or the same in other tokens."""

    guess: bytes
    most: int
    tokens: list[int]
    logprobs: list[float]
    misses: int = 0


class _State:
    """A file with the KV cache of one text in one model. What is damaged or of another model counts as not there.

    Its own digest is before it, because llama.cpp trusts what it is given.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        self._path = path
        self._head = f"{fingerprint}\n".encode()

    def read(self) -> bytes | None:
        try:
            whole = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("%s cannot be read, so the examples are read anew (%s)", self._path, error.strerror)
            return None
        seal, body = whole[:_SEAL], whole[_SEAL:]
        if hashlib.sha256(body).digest() != seal:
            log.warning("%s is damaged and made anew", self._path)
            return None
        return body.removeprefix(self._head) if body.startswith(self._head) else None

    def write(self, data: bytes) -> None:
        """All or nothing; a start that cannot keep it is only slower the next time."""
        body, new = self._head + data, self._path.with_name(self._path.name + ".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            new.write_bytes(hashlib.sha256(body).digest() + body)
            new.replace(self._path)
        except OSError as error:
            log.warning("%s cannot be written, so each start is slower (%s)", self._path, error.strerror)


def _spare(tokens: int) -> int:
    """How many tokens more make a batch of so many cheaper; they are forgotten at once.

    llama.cpp multiplies by four and by sixteen tokens together, and by each that is left over alone: on two x86-64 cores
    of TinyLlama's shape 3 take 62 ms and 4 take 74, but 7 and 8 both 130, and 13, 14 and 15 take 184, 202 and 224 ms, 16 168.
    """
    if tokens % 16 > 12:
        return 16 - tokens % 16
    return int(tokens > 4 and tokens % 4 == 3)


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    """How many entries at the beginning of `a` and `b` are the same."""
    return next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _choose(writing: Writing, logits: NDArray[np.float32]) -> tuple[int, float]:
    """The most probable token that may be written, and its logarithm among all tokens."""
    allowed = writing.allowed()
    token = int(allowed[logits[allowed].argmax()])
    top = logits.max()
    return token, float(logits[token] - top - np.log(np.exp(logits - top).sum()))


def _check(path: Path) -> None:
    """What can be said before llama.cpp sees the file."""
    try:
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
    except OSError as error:
        raise ModelError(f"{path}: the model cannot be read ({error.strerror}); see `hub setup`") from error
    if magic != _MAGIC:
        raise ModelError(f"{path}: not a GGUF file; fetch it again, or name another one in the settings")


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path}: the model cannot be read ({error.strerror})") from error


def _engines() -> str:
    """Another release may compute other last bits, or read a grammar in another way."""
    return " ".join(f"{name}={metadata.version(name)}" for name in ("llama-cpp-python", "llguidance"))


def _load(path: Path) -> Any:
    params = llama_cpp.llama_model_default_params()
    # Mapped, 4-bit weights are held twice: in the page cache and repacked for SIMD.
    params.load_mode = llama_cpp.LLAMA_LOAD_MODE_NONE
    _reasons.clear()
    model = llama_cpp.llama_model_load_from_file(bytes(path), params)
    reason = "; ".join(_reasons) or "llama.cpp does not say why"
    return _given(model, f"{path}: damaged or not a model that llama.cpp can run; fetch it again ({reason})")


def _context(model: Any, room: int, threads: int) -> Any:
    params = llama_cpp.llama_context_default_params()
    params.n_ctx = room
    params.n_batch = params.n_ctx
    params.n_ubatch = min(params.n_ctx, BATCH)
    params.n_seq_max = 1
    params.n_threads = params.n_threads_batch = max(1, threads)
    return _given(llama_cpp.llama_init_from_model(model, params), "there is no memory for the model's context")


def _batch(most: int) -> Any:
    """Room for `most` tokens of the one text that there is."""
    batch = llama_cpp.llama_batch_init(most, 0, 1)
    for n in range(most):
        batch.n_seq_id[n], batch.seq_id[n][0] = 1, 0
    return batch


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
