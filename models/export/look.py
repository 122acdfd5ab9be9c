"""What a GGUF is, where it may come from anybody: read in a child process that cannot take more than it is given.

A GGUF says of itself how many entries it has and how long each of them is. A crafted one says so much that reading it
never ends or fills the memory; here the child ends, and that is an error like any other.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import gguf
from numpy.typing import NDArray

from models import ModelError
from models.export.native import start

MAGIC = b"GGUF"
_ANSWER = 1 << 20  # bytes; a description has some thousand
_TEXT = 500  # characters of a text that are shown
_EXTRAS = 64  # values of other namespaces that are shown
_KNOWN = ("general", "tokenizer", "GGUF", "split")


@dataclass(frozen=True, slots=True)
class Limits:
    """What reading a file may take: bytes of memory beyond the file itself, seconds of computing, seconds of waiting.

    Llama 3's 128,000 tokens and 280,000 merges, among the longest there are, took 0.6 GB and 7 s on a busy machine.
    """

    memory: int = 1 << 30
    cpu: int = 60
    wall: float = 90.0

    def __post_init__(self) -> None:
        if min(self.memory, self.cpu, self.wall) <= 0:
            raise ValueError(f"no limit can be zero: {self}")


@dataclass(frozen=True, slots=True)
class Description:
    """What a GGUF says of itself. Empty texts and None are what it does not say; `size` in bytes.

    `sizes` are the numbers of the network, `extras` what it says beyond the common keys: where one of our exports says
    how it compared with its checkpoint.
    """

    size: int
    version: int
    architecture: str
    name: str
    description: str
    license: str
    source: str
    quantisation: str
    parameters: int
    tensors: int
    context: int | None
    tokenizer: str
    tokens: int
    sizes: Mapping[str, int | float]
    extras: Mapping[str, str | int | float | bool]


def look(path: Path, limits: Limits | None = None) -> Description:
    """Describes the GGUF at `path`. Raises ModelError where it is none, or cannot be read within `limits`."""
    limits = limits or Limits()
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(sending, str(path), limits), daemon=True)
    try:
        start(child)
        sending.close()
        answer = _answer(receiving, limits)
    finally:
        if child.pid is not None:  # Ctrl-C may have come before it was there
            child.kill()
            child.join()
        receiving.close()
    if "error" in answer:
        raise ModelError(f"{path} cannot be read as a GGUF: {answer['error']}")
    return Description(**answer)


def is_gguf(path: Path) -> bool:
    """Whether `path` is a file that begins as a GGUF does."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def _answer(receiving: Connection, limits: Limits) -> dict[str, Any]:
    """What the child says: JSON, since what read a foreign file is not trusted with a pickle."""
    give_up = time.monotonic() + limits.wall
    try:
        if not receiving.poll(give_up - time.monotonic()):
            return {"error": f"it takes longer than {limits.wall:g} s"}
        value = json.loads(receiving.recv_bytes(_ANSWER))
    except (EOFError, OSError):
        return {"error": f"it takes more than {limits.cpu} s of computing or {limits.memory >> 20} MiB of memory"}
    return value if isinstance(value, dict) else {"error": "it says nothing"}


# -- in the child


def _child(sending: Connection, path: str, limits: Limits) -> None:
    """Ends by its own answer, or by the limits."""
    warnings.simplefilter("ignore")  # of numpy, about sums over crafted numbers
    try:
        _limit(Path(path).stat().st_size, limits)
        sending.send_bytes(json.dumps(_told(path)).encode())
    except MemoryError:
        os._exit(1)  # at once: whatever else were done here would need memory too


def _told(path: str) -> dict[str, Any]:
    try:
        return asdict(_described(_Reader(path)))
    except MemoryError:
        raise
    except Exception as error:  # of whatever kind: the reader was not written for files that lie
        return {"error": _plain(str(error.args[0] if error.args else "")) or type(error).__name__}


def _limit(size: int, limits: Limits) -> None:
    """From here on this process gets no more. The file is mapped, so its size counts as address space too."""
    own = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (own + size + limits.memory,) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu, limits.cpu))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class _Reader(gguf.GGUFReader):
    """The library's reader gives less than was asked for where the file ends, and goes on; this one stops there."""

    def _get(self, offset: int, dtype: Any, count: int = 1, override_order: Any = None) -> NDArray[Any]:
        array: NDArray[Any] = super()._get(offset, dtype, count, override_order)
        if offset < 0 or len(array) != int(count):
            raise ValueError("it ends before what it says is in it")
        return array


def _described(reader: gguf.GGUFReader) -> Description:
    texts = {key: value for key in reader.fields if isinstance(value := _value(reader, key), str)}
    numbers = {
        key: value
        for key in reader.fields
        if isinstance(value := _value(reader, key), int | float) and not isinstance(value, bool)
    }
    architecture = texts.get("general.architecture", "")
    if not architecture:
        raise ValueError("it does not say what kind of network it is")
    within = f"{architecture}."
    kind = numbers.get("general.file_type")
    tokens = reader.get_field("tokenizer.ggml.tokens")
    context = numbers.get(f"{within}context_length")
    return Description(
        size=int(reader.data.nbytes),
        version=int(numbers["GGUF.version"]),
        architecture=architecture,
        name=texts.get("general.name", ""),
        description=texts.get("general.description", ""),
        license=texts.get("general.license", ""),
        source=texts.get("general.source.url") or texts.get("homeward.source", ""),
        quantisation=_quantisation(kind),
        parameters=sum(int(tensor.n_elements) for tensor in reader.tensors),
        tensors=len(reader.tensors),
        context=context if isinstance(context, int) else None,
        tokenizer=texts.get("tokenizer.ggml.model", ""),
        tokens=0 if tokens is None else len(tokens.data),
        sizes={key.removeprefix(within): value for key, value in numbers.items() if key.startswith(within)},
        extras=_extras(reader, architecture),
    )


def _extras(reader: gguf.GGUFReader, architecture: str) -> dict[str, str | int | float | bool]:
    known = {*_KNOWN, architecture}
    found: dict[str, str | int | float | bool] = {}
    for key in reader.fields:
        value = _value(reader, key)
        if value is not None and key.partition(".")[0] not in known and len(found) < _EXTRAS:
            found[_plain(key)] = value
    return found


def _value(reader: gguf.GGUFReader, key: str) -> str | int | float | bool | None:
    """A single value; None for a list and for what is absent."""
    field = reader.get_field(key)
    if field is None or not field.types or field.types[0] == gguf.GGUFValueType.ARRAY:
        return None
    value = field.contents()
    if isinstance(value, str):
        return _plain(value)
    return value if isinstance(value, bool | int | float) else None


def _quantisation(kind: float | None) -> str:
    if kind is None:
        return ""
    try:
        name: str = gguf.LlamaFileType(int(kind)).name
    except ValueError:
        return f"type {kind}"
    return name.removeprefix("MOSTLY_").removeprefix("ALL_").lower()


def _plain(text: str) -> str:
    """Without what a terminal would obey, and not longer than a person reads."""
    return "".join(c if c.isprintable() else " " for c in text[:_TEXT])
