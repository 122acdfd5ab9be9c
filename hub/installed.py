"""Whether what is installed is what the hub needs. Imports nothing of ours that another package could stand in for."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from itertools import zip_longest
from pathlib import Path

import hub
from hub.finding import Finding, Level, fine, note, wrong

DISTRIBUTION = "homeward-hub"
OURS = ("intents", "devices", "models")  # common names, which is why the hub has an environment of its own
_COMPARED = {">=": (0, 1), "<=": (-1, 0), "==": (0,), "!=": (-1, 1), ">": (1,), "<": (-1,), "~=": (0, 1)}


def findings() -> tuple[Finding, ...]:
    """What is in the way first: where anything is, nothing else of the hub can be imported."""
    return tuple(in_the_way()) or (fine("packages", f"{', '.join(OURS)} are the hub's own"), *versions())


def blocked(found: Iterable[Finding]) -> bool:
    """Whether nothing else of the hub can be imported, so that nothing else can be looked at."""
    return any(finding.about == "packages" and finding.level is Level.WRONG for finding in found)


def in_the_way() -> Iterator[Finding]:
    """Another package that is imported under the name of one of ours."""
    ours = Path(hub.__file__).parents[1]
    for name in OURS:
        place = _place(name)
        if place is None:
            yield wrong("packages", f"the hub's package {name!r} is missing", _again())
        elif place != ours / name:
            what = f"another package named {name!r} is in the way: {place}"
            yield wrong("packages", what, f"{_without(name)}; the hub's own is {ours / name}")


def _place(name: str) -> Path | None:
    """The folder from which this package would be imported."""
    spec = importlib.util.find_spec(name)
    if spec is None:
        return None
    if spec.origin is not None:
        origin = Path(spec.origin)
        return origin.parent if origin.name == "__init__.py" else origin
    return next((Path(place) for place in spec.submodule_search_locations or ()), None)


def _without(name: str) -> str:
    others = [d for d in metadata.packages_distributions().get(name, ()) if d.lower() != DISTRIBUTION]
    if others:
        return f"{_pip()} uninstall {' '.join(others)}"
    return "unset PYTHONPATH, and start the hub from another folder"


def versions() -> Iterator[Finding]:
    """What the hub requires, against what is there."""
    try:
        required = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        yield note("versions", "the hub is not installed but run from its sources: versions are not known")
        return
    needed = [line for line in required if "extra ==" not in line]
    bad = [found for line in needed if (found := lacking(line)) is not None]
    yield from (wrong("versions", what, f"{_pip()} install {shlex.quote(line)}") for what, line in bad)
    if not bad:
        yield fine("versions", f"hub {hub.__version__}, and the {len(needed)} packages that it requires")


def lacking(requirement: str) -> tuple[str, str] | None:
    """What is wrong with a requirement such as `aiomqtt<3,>=2.5`, and the requirement; None where it is met."""
    line = requirement.split(";")[0].strip()
    found = re.match(r"([\w.-]+)\s*(?:\[[^\]]*\])?\s*(.*)", line)
    name, wanted = (found[1], found[2].strip("() ")) if found else (line, "")
    try:
        there = metadata.version(name)
    except metadata.PackageNotFoundError:
        return f"{name} is missing", line
    if all(met(there, part.strip()) for part in wanted.split(",") if part.strip()):
        return None
    return f"{name} is of version {there}, and the hub needs {wanted}", line


def met(version: str, wanted: str) -> bool:
    """Whether a version fits one part of a requirement, such as `>=2.5`. Parts that are not known are taken as met."""
    found = re.fullmatch(r"(>=|<=|==|!=|~=|>|<)\s*(\d[\w.]*)", wanted)
    return found is None or _order(version, found[2]) in _COMPARED[found[1]]


def _order(one: str, other: str) -> int:
    """-1, 0 or 1; only the numbers of a release count, so that 2.5 is 2.5.0."""
    pairs = list(zip_longest(_numbers(one), _numbers(other), fillvalue=0))
    return next(((a > b) - (a < b) for a, b in pairs if a != b), 0)


def _numbers(version: str) -> list[int]:
    found = re.match(r"\d+(?:\.\d+)*", version)
    return [int(part) for part in found[0].split(".")] if found else []


def _pip() -> str:
    return f"{shlex.quote(sys.executable)} -m pip"


def _again() -> str:
    return f"{_pip()} install --force-reinstall --no-deps {DISTRIBUTION}"
