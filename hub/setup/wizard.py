"""The wizard: the steps in their order, each written to the settings as soon as it is done, resumable, with a report.

How far it is stands in a file beside the settings, without any answer in it: what was answered is in the settings.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from devices.device import DeviceError
from devices.link import LinkError
from hub import HubError
from hub import settings as files
from hub.settings_file import change, rights, write
from hub.setup import broker, house, machine, models, service, sound
from hub.setup.asking import HELP, Back, Prepared, SetupError, Skip, Stop, Terminal, answers
from hub.setup.step import Desk, Result, Step, by_name
from models import ModelError

STEPS: tuple[Step, ...] = (
    machine.STEP, broker.STEP, models.STEP, sound.STEP, house.DEVICES, house.SENSITIVE, service.SERVICE, service.COMMAND,
)  # fmt: skip
PROGRESS = ".setup.json"  # behind the name of the settings file
SYSTEM_STATE = "/var/lib/hub"  # where the service keeps its state
_ERRORS = (HubError, DeviceError, ModelError)

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Line:
    """What came of a step: "done", "skipped", "failed" or "open"."""

    step: str
    outcome: str
    note: str = ""


@dataclass(slots=True)
class Report:
    """What came of the steps that were taken, by their names."""

    file: Path
    lines: dict[str, Line] = field(default_factory=dict)

    @property
    def well(self) -> bool:
        return all(line.outcome in ("done", "skipped") for line in self.lines.values())

    def as_json(self) -> str:
        steps = [asdict(line) for line in self.lines.values()]
        return json.dumps({"well": self.well, "settings": str(self.file), "steps": steps}, indent=1, ensure_ascii=False)

    def as_text(self) -> str:
        lines = (f"  {line.outcome:8} {line.step:10} {line.note}".rstrip() for line in self.lines.values())
        return "\n".join(lines) or "No step was taken: none of them has an answer."


def place(config: Path | None) -> Path:
    """The settings file that is to be written: the one given or found, else the system's for root, else the user's."""
    if config is not None:
        return config
    return files.find() or (files.SYSTEM_FILE if os.geteuid() == 0 else files.user_file())


def chosen(names: Sequence[str]) -> tuple[Step, ...]:
    """The steps of these names, all where none is given. Raises SetupError."""
    known = by_name(STEPS)
    for name in names:
        if name not in known:
            raise SetupError(f"there is no step {name!r}; there are {', '.join(known)}")
    return tuple(step for step in STEPS if step.name in names) if names else STEPS


# -- at a terminal


def attended(file: Path, names: Sequence[str], terminal: Terminal) -> Report | None:
    """Takes the steps with whoever sits there; None where they go on another day. Raises SetupError and SettingsError."""
    steps = chosen(names)
    begin(file)
    terminal.say(f"The settings are in {file}. {HELP}")
    report, at = Report(file), 0
    try:
        if not names:
            report, at = _resumed(file, steps, terminal)
        while at < len(steps):
            at = max(0, at + _taken(report, steps[at], f"{at + 1} of {len(steps)}", terminal))
            if not names:
                _remember(report, steps[at].name if at < len(steps) else "")
    except (Stop, KeyboardInterrupt, EOFError):
        again = f"hub setup{''.join(f' {name}' for name in names)}"
        terminal.say(f"\nStopped; what was done is kept. {again} goes on from there.")
        return None
    except (Back, Skip):  # at the question whether to go on
        return None
    terminal.say(
        f"\n{report.as_text()}\n\nhub setup NAME takes one of these steps again; hub doctor looks at everything."
    )
    return report


def _taken(report: Report, step: Step, number: str, terminal: Terminal) -> int:
    """Takes one step; how many steps to go on. Raises Stop."""
    terminal.say(f"\n== {step.title} ({number}: {step.name})")
    terminal.answered = 0
    try:
        _keep(report, step, Desk(terminal, report.file))
    except Back:
        return 0 if terminal.answered else -1
    except Skip:
        report.lines[step.name] = Line(step.name, "skipped", f"hub setup {step.name}")
    except _ERRORS as error:
        terminal.again(_with_a_way(error, step))
        report.lines[step.name] = Line(step.name, "failed", str(error))
        return _after_failure(terminal)
    return 1


def _with_a_way(error: Exception, step: Step) -> str:
    """What went wrong; where a later step does not get to the broker, the step that asks for it."""
    lost = isinstance(error, LinkError) and step is not broker.STEP
    return f"{error}. The step that asks for it: hub setup {broker.STEP.name}" if lost else str(error)


def _after_failure(terminal: Terminal) -> int:
    """Whether the step is to be tried again. Raises Stop."""
    options = [("again", "try this step again"), ("leave", "leave it for now, and go on"), ("stop", "stop here")]
    try:
        said = terminal.choose("failed", "What now", options, "again")
    except Back:
        return -1
    except Skip:
        return 1
    if said == "stop":
        raise Stop
    return 0 if said == "again" else 1


def _resumed(file: Path, steps: Sequence[Step], terminal: Terminal) -> tuple[Report, int]:
    """Where it stopped, if it did and that is wanted; else the beginning. Raises as questions do."""
    report, names = Report(file), [step.name for step in steps]
    try:
        kept = json.loads(_progress(file).read_text(encoding="utf-8"))
        lines = [Line(str(d["step"]), str(d["outcome"]), str(d["note"])) for d in kept["steps"]]
        at = names.index(kept["at"])
    except (OSError, ValueError, KeyError, TypeError):
        return report, 0
    if not at or not terminal.yes("resume", f"Last time you came to: {steps[at].title}. Go on from there?", True):
        return report, 0
    report.lines.update({line.step: line for line in lines if line.step in names})
    return report, at


def _remember(report: Report, at: str) -> None:
    """How far it is; nothing once it has come to its end. Raises SetupError."""
    file = _progress(report.file)
    if not at:
        with suppress(OSError):
            file.unlink(missing_ok=True)
        return
    kept = {"at": at, "steps": [asdict(line) for line in report.lines.values()]}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write(file, json.dumps(kept, ensure_ascii=False).encode(), file)
    except OSError as error:
        raise SetupError(f"{file}: cannot be written ({error.strerror}); {rights(error)}") from None


def _progress(file: Path) -> Path:
    return file.with_name(file.name + PROGRESS)


# -- unattended


def unattended(file: Path, answered: Path, names: Sequence[str], tell: Tell) -> Report:
    """Takes the steps for which there are answers, and ends at the first that fails. Raises SetupError and SettingsError."""
    tables = answers(answered, {step.name: step.questions for step in STEPS})
    report = Report(file)
    begin(file)
    steps = [step for step in chosen(names) if step.name in tables]
    for step in steps:
        if not report.well:
            report.lines[step.name] = Line(step.name, "open")
            continue
        tell(f"{step.title}:")
        desk = Desk(Prepared(f"{answered}, [{step.name}]", tables[step.name], lambda text: tell(f"  {text}")), file)
        try:
            _keep(report, step, desk)
        except _ERRORS as error:
            report.lines[step.name] = Line(step.name, "failed", str(error))
    return report


def begin(file: Path) -> None:
    """Makes a settings file where there is none; the service's one says where its state is. Raises SettingsError."""
    if file.exists():
        files.load(file)
    elif file == files.SYSTEM_FILE:
        change(file, {("state_folder",): SYSTEM_STATE})


def _keep(report: Report, step: Step, desk: Desk) -> None:
    """Takes the step and writes what came of it."""
    result: Result = step.take(desk)
    if result.changes:
        change(desk.file, result.changes)
    report.lines[step.name] = Line(step.name, "skipped" if result.skipped else "done", result.note)
