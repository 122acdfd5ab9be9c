"""`hub bench`: how long this board takes from words to their meaning, with each of the model files, and what they hold.

Every sentence goes the way that it goes in the daemon, over the model's own process, without the cache of answers.
"""

from __future__ import annotations

import html
import json
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from devices.device import Capability, Device, Kind
from hub import HubError
from hub.reading import Completer, Reader, open_model
from hub.settings import Settings
from intents.homes import Home
from intents.understand import understand
from models import ModelError
from models.completion import Completion
from models.files import resolve_model

SENTENCES = (
    "turn on the kitchen light",
    "switch everything off upstairs except the hall light",
    "dim the bedroom lamp to thirty percent",
    "make the living room warmer by two degrees and close the shutters",
    "set a timer of ten minutes for the eggs",
    "is the garage door open",
    "how warm is it in the office",
    "put olive oil on the shopping list",
    "lock the front door please",
    "turn off the fan in the bedroom after half an hour",
    "could you open the blinds in the living room halfway",
    "what a lovely day it is today",
)
_PLACES = (("Kitchen light", "Kitchen"), ("Hall light", "Hall"), ("Bedroom lamp", "Bedroom"), ("Desk lamp", "Office"))
HOME = Home(tuple(Device(name, name, Kind.LIGHT, frozenset(Capability), area=area) for name, area in _PLACES))

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Measured:
    """One model on this board. Milliseconds for a sentence, tokens a second, resident megabytes of its process or processes."""

    model: str
    file_mb: float
    threads: int
    start_s: float
    ms_median: float
    ms_95: float
    read_per_s: float
    written_per_s: float
    memory_mb: float


class Noting:
    """Passes on what is asked, and keeps the answers."""

    def __init__(self, completer: Completer) -> None:
        self._completer = completer
        self.answers: list[Completion] = []

    async def complete(self, prompt: str, grammar: str) -> Completion:
        """Raises ModelError."""
        self.answers.append(await self._completer.complete(prompt, grammar))
        return self.answers[-1]


async def measure(file: Path, threads: int, rounds: int, tell: Tell = lambda text: None) -> Measured:
    """All sentences `rounds` times, after one round that does not count. `tell` is told how far it is.

    Raises ModelError.
    """
    began = time.perf_counter()
    tell(f"{file.name}: loading")
    async with open_model(file, threads) as model:
        start = time.perf_counter() - began
        await _round(model)
        noting, times = Noting(model), list[float]()
        for number in range(1, rounds + 1):
            tell(f"{file.name}: round {number} of {rounds}")
            times += await _round(noting)
        memory = sum(resident(pid) for pid in model.pids)
    answers = noting.answers
    return Measured(
        model=file.name,
        file_mb=file.stat().st_size / 1e6,
        threads=threads,
        start_s=start,
        ms_median=statistics.median(times),
        ms_95=percentile(times, 95),
        read_per_s=_rate(sum(a.read for a in answers), sum(a.ms_read for a in answers)),
        written_per_s=_rate(sum(len(a.tokens) for a in answers), sum(a.ms_write for a in answers)),
        memory_mb=memory,
    )


async def _round(completer: Completer) -> list[float]:
    """The milliseconds of each sentence."""
    times = []
    for sentence in SENTENCES:
        before = time.perf_counter()
        await understand(sentence, HOME, Reader(completer))
        times.append((time.perf_counter() - before) * 1000)
    return times


def percentile(values: Sequence[float], part: int) -> float:
    """The least of the values that `part` percent of them do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * part / 100) - 1)]


def resident(pid: int) -> float:
    """The megabytes that a process holds in memory. Raises HubError where the system does not say it."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) * 1024 / 1e6
    except (OSError, IndexError, ValueError):
        raise HubError("this system does not say what a process holds in memory; hub bench needs Linux") from None


def _rate(count: int, ms: float) -> float:
    return count / ms * 1000 if ms else 0.0


_COLUMNS = (
    ("model", "", ""),
    ("file_mb", "file MB", ".1f"),
    ("threads", "threads", "d"),
    ("start_s", "start s", ".2f"),
    ("ms_median", "ms median", ".1f"),
    ("ms_95", "ms 95th", ".1f"),
    ("read_per_s", "read tok/s", ".0f"),
    ("written_per_s", "written tok/s", ".0f"),
    ("memory_mb", "memory MB", ".0f"),
)


def table(found: Sequence[Measured]) -> list[str]:
    """A line for each model under a line of headings; numbers stand at the right of their columns."""
    rows = [[title or name for name, title, _ in _COLUMNS]]
    rows += [[format(getattr(each, name), form) for name, _, form in _COLUMNS] for each in found]
    widths = [max(len(row[n]) for row in rows) for n in range(len(_COLUMNS))]
    return [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]


WIDTH, ROW, LEFT, TOP = 720, 44, 220, 40


def picture(found: Sequence[Measured]) -> str:
    """An SVG: a bar for each model up to its median, a thin one up to the 95th in a hundred."""
    longest = max((each.ms_95 for each in found), default=0.0) or 1.0
    scale = (WIDTH - LEFT - 190) / longest
    bars = "".join(_bar(each, TOP + ROW * n, scale) for n, each in enumerate(found))
    height = TOP + ROW * len(found) + 16
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">'
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>'
        f'<text x="16" y="24">Milliseconds from words to their meaning: median, and thin the 95th in a hundred</text>'
        f"{bars}</svg>\n"
    )


def _bar(each: Measured, top: float, scale: float) -> str:
    median, late = each.ms_median * scale, each.ms_95 * scale
    name = each.model if len(each.model) <= 28 else f"{each.model[:27]}…"
    return (
        f'<text x="{LEFT - 10}" y="{top + 20}" text-anchor="end">{html.escape(name)}</text>'
        f'<rect x="{LEFT}" y="{top + 6}" width="{median:.1f}" height="20" fill="#1f6f8b"/>'
        f'<rect x="{LEFT}" y="{top + 14}" width="{late:.1f}" height="4" fill="#99c4d1"/>'
        f'<text x="{LEFT + late + 8:.1f}" y="{top + 20}">{each.ms_median:.1f} ({each.ms_95:.1f}) ms, '
        f"{each.memory_mb:.0f} MB</text>"
    )


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be measured and how it is to be told. No model stands for that of the settings and the one that ships."""

    models: tuple[str, ...] = ()
    rounds: int = 10
    threads: int = 1
    as_json: bool = False
    svg: Path | None = None


def chosen(settings: Settings, models: Sequence[str]) -> list[Path]:
    """The files that are meant, each once. Raises ModelError."""
    return list(dict.fromkeys(resolve_model(model) for model in models or (settings.model.file, "")))


async def show(settings: Settings, order: Order, write: Tell, tell: Tell) -> int:
    """Measures each model and writes the report; `tell` is told how far it is.

    1 where a model cannot be run; the others are measured all the same. Raises HubError and ModelError.
    """
    files = chosen(settings, order.models)
    if order.svg is not None and not order.svg.absolute().parent.is_dir():
        raise HubError(f"{order.svg}: there is no such folder for the picture")
    found: list[Measured] = []
    failed: list[str] = []
    for file in files:
        try:
            found.append(await measure(file, order.threads, order.rounds, tell))
        except ModelError as error:
            failed.append(str(error))
    tell("")
    if order.as_json:
        write(json.dumps({"models": [asdict(each) for each in found], "failed": failed}, ensure_ascii=False))
    else:
        for line in (*(table(found) if found else ()), *(f"cannot be run: {text}" for text in failed)):
            write(line)
    if order.svg is not None and found:
        _save(order.svg, picture(found))
    return 1 if failed else 0


def _save(svg: Path, text: str) -> None:
    try:
        svg.write_text(text, encoding="utf-8")
    except OSError as error:
        raise HubError(f"{svg}: the picture cannot be written ({error.strerror})") from None
