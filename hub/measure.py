"""`hub understand`: sentences in as JSON lines, what they mean in a home out as JSON lines. No broker, no device.

in   {"id", "utterance", "context"?: {"area"}, "states"?, "history"?: [{"utterance", "actions"}], "home"?}
out  {"id", "outcome": "act" | "ask" | "refuse" | "answer", "actions": [...], "confidence", "ms"}
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

from hub import HubError
from hub.guard import is_guarded
from hub.pipeline import as_dict
from hub.reading import Completer, Reader, open_completer
from hub.settings import Settings
from intents.homes import Home, HomeError, load
from intents.intent import Because, Outcome, Resolution, Trouble
from intents.understand import Understanding, understand


class RecordError(HubError):
    """A line of the input cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Homes:
    """The homes of a file, and the one that is meant where a record names none."""

    homes: Mapping[str, Home]
    chosen: str | None

    def of(self, record: Mapping[str, Any]) -> Home:
        """Raises RecordError."""
        named = record.get("home")
        if isinstance(named, str) and named in self.homes:
            return self.homes[named]
        if self.chosen is not None:
            return self.homes[self.chosen]
        if named is None:
            raise RecordError("the file holds several homes: name one in `home`, or with --home FILE#ID")
        raise RecordError(f"there is no home {named!r} in the file")


def open_homes(place: str) -> Homes:
    """The homes of FILE or FILE#ID. Raises HubError."""
    name, _, chosen = place.partition("#")
    try:
        homes = load(Path(name))
    except HomeError as error:
        raise HubError(str(error)) from None
    if chosen and chosen not in homes:
        raise HubError(f"{name}: there is no home {chosen!r}; there are {', '.join(sorted(homes)[:10]) or 'none'}")
    return Homes(homes, chosen or (next(iter(homes)) if len(homes) == 1 else None))


async def understand_lines(
    settings: Settings,
    place: str,
    lines: IO[bytes],
    out: IO[bytes],
    errors: IO[str],
    completer: Completer | None = None,
) -> int:
    """Answers line for line, each at once. 2 where a line could not be used; the others are answered all the same.

    Raises HubError and ModelError.
    """
    homes = open_homes(place)
    code = 0
    async with open_completer(settings, completer) as model:
        number = 0
        while line := await asyncio.to_thread(lines.readline):
            number += 1
            if not line.strip():
                continue
            try:
                answer = await answer_record(parse(line), homes, model, settings)
            except RecordError as error:
                errors.write(f"hub: line {number}: {error}\n")
                code = 2
                continue
            out.write(json.dumps(answer, ensure_ascii=False).encode() + b"\n")
            out.flush()
    return code


def parse(line: bytes) -> dict[str, Any]:
    """The record of a line. Raises RecordError."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"this is not JSON: {error}") from None
    if not isinstance(record, dict):
        raise RecordError("this is not a JSON object")
    if not isinstance(record.get("utterance"), str):
        raise RecordError("`utterance` is missing, or no text")
    for key, kind in (("context", dict), ("states", dict), ("history", list)):
        if not isinstance(record.get(key) or kind(), kind):
            raise RecordError(f"`{key}` has the wrong form")
    return record


async def answer_record(
    record: Mapping[str, Any], homes: Homes, model: Completer, settings: Settings
) -> dict[str, Any]:
    """What the utterance means, in the form of a line. Raises RecordError and ModelError."""
    started = time.perf_counter()
    found = await meaning(record, homes, model, settings)
    return {
        "id": record.get("id"),
        "outcome": found.resolution.outcome.value,
        "actions": [as_dict(wish) for wish in found.resolution.wishes],
        "confidence": round(found.confidence, 4),
        "ms": round((time.perf_counter() - started) * 1000, 2),
    }


async def meaning(record: Mapping[str, Any], homes: Homes, model: Completer, settings: Settings) -> Understanding:
    """What the utterance of a record means, as the hub would take it. Raises RecordError and ModelError."""
    home = homes.of(record)
    home = replace(home, states=MappingProxyType(_states(record.get("states") or {}, home)))
    area = (record.get("context") or {}).get("area")
    found = await understand(
        *(record["utterance"], home, Reader(model)),
        area=area if isinstance(area, str) else None,
        last=_last(record.get("history") or []),
        threshold=settings.safety.sure,
    )
    guarded = any(is_guarded(wish, home) for wish in found.resolution.wishes)
    if guarded and found.confidence < settings.safety.sure_to_unlock:
        return replace(found, resolution=Resolution(Outcome.REFUSE, trouble=Trouble(Because.NOT_UNDERSTOOD)))
    return found


def _states(said: Mapping[str, Any], home: Home) -> dict[str, dict[str, Any]]:
    """The states of a record, with its word `state` also under the key that the house uses for it."""
    states: dict[str, dict[str, Any]] = {}
    for device_id, keys in said.items():
        if not isinstance(keys, dict):
            raise RecordError(f"`states` of {device_id} is no object")
        word = keys.get("state")
        states[device_id] = dict(keys)
        if word in ("on", "off"):
            states[device_id]["on"] = word == "on"
        elif word in ("playing", "paused", "idle"):
            states[device_id]["playback"] = word
    return states


def _last(history: list[Any]) -> tuple[str, ...]:
    """The devices of the last turn that had any; [] where the history has another form."""
    for turn in reversed(history):
        actions = turn.get("actions") if isinstance(turn, dict) else None
        targets = [
            t for a in actions or () if isinstance(a, dict) for t in a.get("targets") or () if isinstance(t, str)
        ]
        if targets:
            return tuple(dict.fromkeys(targets))
    return ()
