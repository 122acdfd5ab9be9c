"""The form of the settings file, which `version` tells, and the steps from each form to the next. Pure.

A step looks at the whole table, as an older hub wrote or read it, and gives the keys to be set and those to be taken out
(None), so that everything else in the file, comments too, stays as it is. A file without a version is of the first form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from types import MappingProxyType
from typing import Any

from hub import HubError

Value = bool | int | float | str | list[str] | None  # None takes the key out
Changes = Mapping[tuple[str, ...], Value]
Table = Mapping[str, Any]
Step = Callable[[Table], Changes]

VERSION = "version"


class FormError(HubError):
    """The form of a settings file is none that this hub knows; the text says what to do."""


def shares(table: Table) -> Changes:
    """1 -> 2: `sure` was the probability of the least sure word and is the share of such readings that is right. What
    the example file had is what it has now; who chose otherwise has chosen.
    """
    safety = table.get("safety", {})
    if not isinstance(safety, Mapping):
        return {}
    defaults = (("sure", 0.3, 0.2), ("sure_to_unlock", 0.6, 0.5))
    return {("safety", key): now for key, before, now in defaults if safety.get(key) == before}


STEPS: Sequence[Step] = (shares,)  # the first one makes form 2 of form 1, and so on
NEWEST = 1 + len(STEPS)


def form(table: Table, steps: Sequence[Step] = STEPS) -> int:
    """The form of these settings, from 1. Raises FormError."""
    newest, found = 1 + len(steps), table.get(VERSION, 1)
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise FormError(f"{VERSION} is to be a whole number from 1 to {newest}")
    if found > newest:
        raise FormError(
            f"its form is {found}, and this hub knows those up to {newest}: bring the hub up to date (sudo bash "
            "deploy/install.sh), or put back the file as it was, which lies beside it with a date"
        )
    return found


def changes(table: Table, steps: Sequence[Step] = STEPS) -> Changes:
    """What makes the newest form of these settings; nothing where they have it. Raises FormError."""
    at, made = form(table, steps), deepcopy(dict(table))
    if at == 1 + len(steps):
        return MappingProxyType({})
    found: dict[tuple[str, ...], Value] = {}
    for step in steps[at - 1 :]:
        for path, value in step(made).items():
            put(made, path, value, dict)
            found[path] = value
    return MappingProxyType({**found, (VERSION,): 1 + len(steps)})


def differs(table: Table) -> bool:
    """Whether these settings mean something else in the newest form, not only lack its number. Raises FormError."""
    return any(path != (VERSION,) for path in changes(table))


def brought(table: Table) -> dict[str, Any]:
    """The same settings in the newest form. Raises FormError."""
    made = deepcopy(dict(table))
    for path, value in changes(table).items():
        put(made, path, value, dict)
    return made


def put(table: Any, path: tuple[str, ...], value: Value, new: Callable[[], Any]) -> None:
    """Sets one key, or takes it out. Makes the tables on the way with `new` where they are missing."""
    for key in path[:-1]:
        if key not in table:
            if value is None:
                return
            table[key] = new()
        table = table[key]
    if value is not None:
        table[path[-1]] = value
    elif path[-1] in table:
        del table[path[-1]]
