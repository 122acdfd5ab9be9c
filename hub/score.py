"""`hub score FILE`: a file of sentences with what they are to do in a home, and how many of them the hub gets right.

A line is a sentence, an arrow and what is to happen: an intent, devices and values; parts apart by `;`, nothing as `none`.

    turn on the hall light -> turn_on light.hall
    [Kitchen] blind to half -> set_position cover.kitchen value=50
    sing me a song -> none

or a JSON record: {"utterance", "expected": [{"intent", "targets", "slots"}], "alternatives"?, "heard"?, "home"?,
"context"?, "states"?, "history"?}, where `heard` is what speech recognition made of the utterance.
"""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hub import HubError
from hub.measure import Homes, RecordError, meaning, open_homes, parse
from hub.pipeline import as_dict
from hub.reading import Completer, open_completer
from hub.settings import Settings
from intents.homes import Home
from intents.intent import QUESTIONS, VOCABULARY, Because
from intents.line import words
from intents.understand import Understanding

# What must agree for an action to be right; areas, names and list names are told by the devices, or by the words alone.
SCORED = ("value", "delta", "kelvin", "color", "seconds", "item", "search_query", "command")
HARMLESS = QUESTIONS | {"nevermind"}
VERDICTS = ("exact", "wrong act", "missed", "false act")
_ROOM = re.compile(r"^\[([^\]]+)\]\s*")
# Troubles that come from the home, not from the reading of the sentence.
_OF_THE_HOME = frozenset(Because) - {Because.NOT_FOR_ME, Because.NOT_UNDERSTOOD, Because.TOO_LONG}
Actions = Sequence[Mapping[str, Any]]


class ScoreError(HubError):
    """The file of sentences cannot be used; the text names the line."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One sentence: what came of it, and for a failure at which step ("misheard", "misparsed", "not resolvable")."""

    utterance: str
    verdict: str
    failure: str
    confidence: float
    line: str
    outcome: str
    expected: Actions
    actions: Actions


@dataclass(frozen=True, slots=True)
class Report:
    """All the sentences of a file, and the counts."""

    judged: tuple[Judged, ...]

    def share(self, verdict: str) -> float:
        """Of the sentences that ask for something, or for "false act" of those that do not; 0 where there are none."""
        idle = verdict == "false act"
        among = [j for j in self.judged if bool(j.expected) is not idle]
        return sum(j.verdict == verdict for j in among) / len(among) if among else 0.0

    @property
    def failures(self) -> tuple[Judged, ...]:
        return tuple(j for j in self.judged if j.verdict != "exact")


def read_file(path: Path) -> list[dict[str, Any]]:
    """The records of a file; empty lines and those with `#` are left out. Raises ScoreError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ScoreError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    records = []
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                records.append(record(line))
            except RecordError as error:
                raise ScoreError(f"{path}, line {number}: {error}") from None
    if not records:
        raise ScoreError(f"{path}: there is no sentence in it")
    return records


def record(line: str) -> dict[str, Any]:
    """One line in either form, as a record. Raises RecordError."""
    found = parse(line.encode()) if line.lstrip().startswith("{") else _simple(line)
    for answer in (found.get("expected"), *(found.get("alternatives") or ())):
        if not isinstance(answer, list) or not all(isinstance(action, dict) for action in answer):
            raise RecordError("`expected` is a list of actions, [] for none")
        for action in answer:
            if action.get("intent") not in VOCABULARY:
                raise RecordError(f"{action.get('intent')!r} is no intent")
            if not isinstance(action.get("targets") or [], list) or not isinstance(action.get("slots") or {}, dict):
                raise RecordError("`targets` is a list and `slots` an object")
    return found


def _simple(line: str) -> dict[str, Any]:
    said, arrow, wanted = line.rpartition("->")
    if not arrow or not said.strip() or not wanted.strip():
        raise RecordError("expected: a sentence -> what is to happen, or none")
    room = _ROOM.match(said.strip())
    found: dict[str, Any] = {"utterance": _ROOM.sub("", said.strip()).strip(), "expected": []}
    if room:
        found["context"] = {"area": room[1]}
    if wanted.strip() != "none":
        found["expected"] = [_action(part) for part in wanted.split(";")]
    return found


def _action(part: str) -> dict[str, Any]:
    try:
        intent, *rest = shlex.split(part)
    except ValueError:
        raise RecordError(f"this is no action: {part.strip()!r}") from None
    slots = dict(word.split("=", 1) for word in rest if "=" in word)
    return {
        "intent": intent,
        "targets": [word for word in rest if "=" not in word],
        "slots": {key: _number(value) for key, value in slots.items()},
    }


def _number(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


# --- What is right ---------------------------------------------------------------------------------------------------


def verdict(wanted: Mapping[str, Any], actions: Actions) -> str:
    """One of VERDICTS for what was understood of a record."""
    answers = [wanted["expected"], *(wanted.get("alternatives") or ())]
    if any(_same(_merged(answer), _merged(actions)) for answer in answers):
        return "exact"
    acted = any(action["intent"] not in HARMLESS for action in actions)
    if not wanted["expected"]:
        return "false act" if acted else "exact"
    return "wrong act" if acted else "missed"


def _merged(actions: Actions) -> list[dict[str, Any]]:
    """The same action on one device after the other is the action on all of them."""
    merged: dict[str, dict[str, Any]] = {}
    for n, action in enumerate(actions):
        slots = {k: v for k, v in (action.get("slots") or {}).items() if k in SCORED}
        targets = set(action.get("targets") or ())
        key = json.dumps([action["intent"], slots, "" if targets else n], sort_keys=True)
        entry = merged.setdefault(key, {"intent": action["intent"], "targets": set(), "slots": slots})
        entry["targets"] |= targets
    return list(merged.values())


def _same(wanted: list[dict[str, Any]], got: list[dict[str, Any]]) -> bool:
    """Each wanted action is found once, in any order, and nothing is left over."""
    if not wanted or not got:
        return wanted == got
    head, rest = wanted[0], wanted[1:]
    return any(_same_action(head, one) and _same(rest, got[:n] + got[n + 1 :]) for n, one in enumerate(got))


def _same_action(wanted: Mapping[str, Any], got: Mapping[str, Any]) -> bool:
    same = wanted["intent"] == got["intent"] and wanted["targets"] == got["targets"]
    return same and all(same_value(value, got["slots"].get(slot)) for slot, value in wanted["slots"].items())


def same_value(wanted: Any, got: Any) -> bool:
    """Numbers within a hundredth or a half; words without case; up and down are the sign of a change."""
    if wanted in ("up", "down"):
        return isinstance(got, int | float) and (got > 0) == (wanted == "up")
    if isinstance(wanted, int | float) and isinstance(got, int | float):
        return abs(wanted - got) <= max(0.5, abs(wanted) / 100)
    return got is not None and str(wanted).casefold().split() == str(got).casefold().split()


def failure(wanted: Mapping[str, Any], found: Understanding, home: Home) -> str:
    """Where it went wrong: the model's line ("misparsed"), or a right line in this home ("not resolvable").

    A line counts as right when it has the wanted verbs, and the words that were said of the devices' names.
    """
    trouble = found.resolution.trouble
    if trouble is not None and trouble.because not in _OF_THE_HOME:
        return "misparsed"
    read = Counter(p.intent for p in found.parses)
    asked = Counter(str(a["intent"]) for a in wanted["expected"])
    generic = read.pop("set", 0)
    if not read + Counter(set=generic) or read - asked or sum((asked - read).values()) < generic:
        return "misparsed"
    spans = {word for p in found.parses for span in p.slots.values() for word in span.split()}
    devices = [d for a in wanted["expected"] for t in a.get("targets") or () if (d := home.device(t))]
    names = {word for d in devices for name in (d.name, *d.aliases) for word in words(name)}
    texts = {word for a in wanted["expected"] for word in words(str((a.get("slots") or {}).get("item", "")))}
    items = {word for p in found.parses for word in p.slots.get("item", "").split()}
    overlooked = (names & set(words(wanted["utterance"]))) - spans
    return "misparsed" if overlooked or texts != items else "not resolvable"


# --- A whole file ----------------------------------------------------------------------------------------------------


async def score(records: Sequence[Mapping[str, Any]], homes: Homes, model: Completer, settings: Settings) -> Report:
    """Every record judged, in their order. Raises HubError and ModelError."""
    return Report(tuple([await judge(record, homes, model, settings) for record in records]))


async def judge(wanted: Mapping[str, Any], homes: Homes, model: Completer, settings: Settings) -> Judged:
    """One sentence, as it was heard. Raises RecordError and ModelError."""
    heard = wanted.get("heard")
    found = await meaning({**wanted, "utterance": heard} if isinstance(heard, str) else wanted, homes, model, settings)
    actions = [as_dict(wish) for wish in found.resolution.wishes]
    came = verdict(wanted, actions)
    why = "" if came == "exact" else failure(wanted, found, homes.of(wanted))
    if why and isinstance(heard, str) and words(heard) != words(wanted["utterance"]):
        meant = await meaning(wanted, homes, model, settings)
        if verdict(wanted, [as_dict(wish) for wish in meant.resolution.wishes]) == "exact":
            why = "misheard"
    trouble = found.resolution.trouble
    outcome = found.resolution.outcome.value + (f" {trouble.because.value}" if trouble else "")
    return Judged(
        *(wanted["utterance"], came, why, round(found.confidence, 4), found.line, outcome),
        *(wanted["expected"], actions),
    )


def told(report: Report) -> list[str]:
    """The failures, each with what was read and understood, and the shares."""
    lines = []
    for judged in report.failures:
        lines += [
            f"{judged.verdict}, {judged.failure}: {judged.utterance}",
            f"    wanted      {_briefly(judged.expected)}",
            f"    understood  {_briefly(judged.actions)} ({judged.outcome}, {judged.confidence:.2f})",
            f"    line        {judged.line}",
        ]
    idle = sum(not j.expected for j in report.judged)
    shares = ", ".join(f"{verdict} {100 * report.share(verdict):.1f} %" for verdict in VERDICTS)
    failed = ", ".join(f"{n} {why}" for why, n in Counter(j.failure for j in report.failures).most_common())
    lines += [f"{len(report.judged) - idle} to act on and {idle} not: {shares}", f"Failures: {failed or 'none'}"]
    return lines


def _briefly(actions: Actions) -> str:
    parts = []
    for action in actions:
        slots = (f"{key}={value}" for key, value in (action.get("slots") or {}).items())
        parts.append(" ".join((str(action["intent"]), *(action.get("targets") or ()), *slots)))
    return "; ".join(parts) or "none"


async def show(
    settings: Settings,
    file: Path,
    place: str,
    as_json: bool,
    write: Callable[[str], None],
    completer: Completer | None = None,
) -> int:
    """Scores a file and writes the report; 0 where every sentence is right. Raises HubError and ModelError."""
    records, homes = read_file(file), open_homes(place)
    async with open_completer(settings, completer) as model:
        report = await score(records, homes, model, settings)
    if as_json:
        shares = {verdict: round(report.share(verdict), 4) for verdict in VERDICTS}
        write(json.dumps({**shares, "sentences": [asdict(j) for j in report.judged]}, ensure_ascii=False))
    else:
        for line in told(report):
            write(line)
    return 1 if report.failures else 0
