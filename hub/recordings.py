"""Spoken sentences on disk, made once: parts of some hundred clips, a byte a sample.

A part is two files, NNNN.u8 with the samples one behind the other and NNNN.json with the words, lengths and voices, which is
written last: a part without it is made again.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hub import HubError, aloud, speakers
from hub.sound import RATE, Samples, as_values
from hub.speakers import Speaker

PART = 500  # clips; half a minute's work for a core
_SILENT = 0.03  # the share of the clips in which nobody speaks
_MU = 255.0
_LONGEST = 12 * RATE  # what is longer was said by a voice that drawls

Say = Callable[[Speaker, str], Samples]


def packed(samples: Samples) -> NDArray[np.uint8]:
    """The samples by the mu law: 8 bits, of which soft sounds have more."""
    values = as_values(samples)
    small = np.sign(values) * np.log1p(_MU * np.abs(values)) / np.log1p(_MU)
    data: NDArray[np.uint8] = np.rint((small + 1) * 127.5).astype(np.uint8)
    return data


def _table() -> NDArray[np.float32]:
    small = np.arange(256) / 127.5 - 1
    values: NDArray[np.float32] = (np.sign(small) * np.expm1(np.abs(small) * np.log1p(_MU)) / _MU).astype(np.float32)
    return values


_VALUES = _table()


def unpacked(data: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Samples from -1 to 1 of what `packed` gave."""
    return _VALUES[data]


@dataclass(frozen=True, slots=True)
class Recordings:
    """Clips that are read from the disk as they are asked for. See models.train.ears.Clips."""

    texts: tuple[str, ...]
    lengths: NDArray[np.int64]
    starts: NDArray[np.int64]  # in its part
    parts: NDArray[np.int64]  # which part each is in
    data: tuple[NDArray[np.uint8], ...]

    def __getitem__(self, number: int) -> tuple[NDArray[np.float32], str]:
        start = self.starts[number]
        whole = self.data[self.parts[number]]
        return unpacked(whole[start : start + self.lengths[number]]), self.texts[number]


def load(folder: Path, count: int) -> Recordings:
    """The first `count` clips or a few more. Raises HubError where there are fewer, or a part is damaged."""
    texts: list[str] = []
    lengths: list[int] = []
    starts: list[int] = []
    parts: list[int] = []
    data: list[NDArray[np.uint8]] = []
    for n in range(_parts(count)):
        try:
            about = json.loads(_words(folder, n).read_text())
            samples = np.memmap(_sound(folder, n), np.uint8, "r")
        except (OSError, ValueError) as error:
            raise HubError(
                f"{folder}: part {n} of the speech cannot be read ({error}); delete it to have it made"
            ) from None
        if sum(about["lengths"]) != len(samples):
            raise HubError(f"{_sound(folder, n)}: this part of the speech is damaged; delete it to have it made anew")
        data.append(samples)
        texts += about["texts"]
        lengths += about["lengths"]
        starts += np.cumsum([0, *about["lengths"][:-1]]).tolist()
        parts += [n] * len(about["texts"])
    return Recordings(tuple(texts), np.asarray(lengths), np.asarray(starts), np.asarray(parts), tuple(data))


def make(
    folder: Path, count: int, seed: int, log: Callable[[str], None], *, jobs: int = 2, say: Say = speakers.say
) -> None:
    """The parts that are not there yet, for at least `count` clips. Raises HubError where a voice fails."""
    engines = speakers.engines()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(jobs) as voices:
            for n in range(_parts(count)):
                if not _words(folder, n).exists():
                    _write(folder, n, _wanted(seed + n, engines), voices, say)
                    log(f"speech: {min(count, (n + 1) * PART)} of {count} sentences said")
    except OSError as error:
        raise HubError(f"{folder}: the speech cannot be written ({error})") from None


def _wanted(seed: int, engines: list[str]) -> Iterator[tuple[Speaker, str]]:
    """Who says what in a part; "" for nobody. Each part has sentences of its own."""
    rng, sentences = random.Random(seed), aloud.stream(seed * 7919)
    for text in islice(sentences, PART):
        yield speakers.draw(rng, engines), "" if rng.random() < _SILENT else text


def _write(folder: Path, n: int, wanted: Iterator[tuple[Speaker, str]], voices: ThreadPoolExecutor, say: Say) -> None:
    def said(one: tuple[Speaker, str]) -> tuple[str, str, NDArray[np.uint8]]:
        speaker, text = one
        samples = say(speaker, text) if text else np.zeros(RATE, np.int16)
        return speaker.voice, text, packed(samples)

    kept = [clip for clip in voices.map(said, wanted) if len(clip[2]) <= _LONGEST]
    about = {"texts": [text for _, text, _ in kept], "lengths": [len(data) for *_, data in kept]}
    _sound(folder, n).write_bytes(np.concatenate([data for *_, data in kept]).tobytes())
    part = _words(folder, n).with_suffix(".part")
    part.write_text(json.dumps(about | {"voices": [voice for voice, *_ in kept]}))
    part.replace(_words(folder, n))


def _parts(count: int) -> int:
    return -(-count // PART)


def _sound(folder: Path, n: int) -> Path:
    return folder / f"{n:04}.u8"


def _words(folder: Path, n: int) -> Path:
    return folder / f"{n:04}.json"
