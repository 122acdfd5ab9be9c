"""What the language model has answered before, on disk, so that the same words are read once.

An answer depends on the model's file, the engines, the prompt and the grammar, and on nothing else: the model is not shown
the home. All of these are the key, so another model never finds an old answer, and neither would names of a home that are
put into a prompt or a grammar. What is damaged counts as not there.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from models.calibration import Calibration
from models.completion import Completion

log = logging.getLogger(__name__)

MOST = 5000  # answers; a household says a few hundred different things, and each takes half a kilobyte
WAIT = 0.1  # seconds for another process that writes; asking the model costs less than waiting longer
_FORMAT = 2
_TABLE = "CREATE TABLE IF NOT EXISTS parses (key BLOB NOT NULL UNIQUE, model TEXT, answer TEXT, seal BLOB)"
_T = TypeVar("_T")


class ParseCache:
    """At most `most` answers in the file `path`, the first ones in are the first out. Never raises: it has, or has not."""

    def __init__(self, path: Path, most: int = MOST) -> None:
        self._path = path
        self._most = most
        self._model = ""
        self._told = False
        self._base: sqlite3.Connection | None = None
        self._guarded(lambda base: None, None)

    def get(self, model: str, prompt: str, grammar: str) -> Completion | None:
        """What `model` (a fingerprint of LanguageModel's) answered; the times of it are 0."""
        return self._guarded(lambda base: _found(base, _key(model, prompt, grammar)), None)

    def put(self, model: str, prompt: str, grammar: str, completion: Completion) -> None:
        """Keep the answer of `model`; those of other models go."""
        key, answer = _key(model, prompt, grammar), _written(completion)

        def keep(base: sqlite3.Connection) -> None:
            if model != self._model:
                base.execute("DELETE FROM parses WHERE model IS NOT ?", (model,))
                self._model = model
            values = (key, model, answer, _seal(key, answer))
            base.execute("INSERT OR REPLACE INTO parses VALUES (?, ?, ?, ?)", values)
            base.execute("DELETE FROM parses WHERE rowid <= (SELECT max(rowid) FROM parses) - ?", (self._most,))

        self._guarded(keep, None)

    def __len__(self) -> int:
        return self._guarded(lambda base: int(base.execute("SELECT count(*) FROM parses").fetchone()[0]), 0)

    def close(self) -> None:
        """Harmless when done twice."""
        base, self._base = self._base, None
        if base is not None:
            with suppress(sqlite3.Error):
                base.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _guarded(self, work: Callable[[sqlite3.Connection], _T], otherwise: _T) -> _T:
        """What `work` gives, in a transaction; `otherwise` where the file cannot be used, which is told once."""
        try:
            if self._base is None:
                self._base = _opened(self._path)
            with self._base:
                return work(self._base)
        except (sqlite3.OperationalError, OSError) as error:  # locked, read-only, full: it may be over the next time
            self._tell("%s cannot be used, so each sentence is read anew: %s", error)
        except sqlite3.DatabaseError as error:
            self._tell("%s is damaged and begun anew: %s", error)
            self.close()
            _remove(self._path)
        return otherwise

    def _tell(self, text: str, error: Exception) -> None:
        log.log(logging.DEBUG if self._told else logging.WARNING, text, self._path, error)
        self._told = True


def _opened(path: Path) -> sqlite3.Connection:
    """Raises sqlite3.Error and OSError. Only its owner may read the file: it holds what was said in the house."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    base = sqlite3.connect(path, timeout=WAIT)
    try:
        if base.execute("PRAGMA user_version").fetchone()[0] != _FORMAT:
            base.execute("DROP TABLE IF EXISTS parses")
        # A power cut costs the newest answers at most, and an answer costs no waiting for the SD card.
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("PRAGMA synchronous = NORMAL")
        base.execute(_TABLE)
        base.execute(f"PRAGMA user_version = {_FORMAT}")
    except BaseException:
        base.close()
        raise
    return base


def _remove(path: Path) -> None:
    for end in ("", "-wal", "-shm"):
        with suppress(OSError):
            path.with_name(path.name + end).unlink()


def _found(base: sqlite3.Connection, key: bytes) -> Completion | None:
    row = base.execute("SELECT answer, seal FROM parses WHERE key = ?", (key,)).fetchone()
    if row is None or row[1] != _seal(key, row[0]):
        return None
    said = json.loads(row[0])
    return Completion(
        said["text"],
        tuple(said["tokens"]),
        tuple(said["logprobs"]),
        ms_read=0.0,
        ms_write=0.0,
        calibration=Calibration.from_json(said["calibration"]),
    )


def _written(completion: Completion) -> str:
    return json.dumps(
        {
            "text": completion.text,
            "tokens": completion.tokens,
            "logprobs": completion.logprobs,
            "calibration": completion.calibration.points,
        }
    )


def _key(model: str, prompt: str, grammar: str) -> bytes:
    return _digest(json.dumps([model, prompt, grammar]).encode())


def _seal(key: bytes, answer: str) -> bytes:
    """What tells an answer that was written here from one in which the card has turned a bit."""
    return _digest(key + str(answer).encode())


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()
