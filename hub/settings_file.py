"""Changes the settings file: only the keys that are meant, with every comment where it was, and all of it or nothing.

The only file that knows tomlkit. What the file was before lies beside it, with BACKUP behind its name.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from hub import settings as files
from hub.settings import SettingsError

SECRETS = frozenset({"password", "pin"})  # keys that make a file one for its owner only
BACKUP = ".bak"  # behind the name of the settings file

Value = bool | int | float | str | list[str] | None  # None takes the key out
Changes = Mapping[tuple[str, ...], Value]


def change(place: Path, changes: Changes) -> None:
    """Sets these keys of the file; as it was, it is beside it. A file that is not there is made, for its owner only.

    One that is given a password or a PIN is for its owner only from then on. Raises SettingsError; nothing is changed then.
    """
    place = place.resolve()  # a link stays a link
    try:
        before = place.read_bytes() if place.exists() else None
        text = (before or b"").decode()
        files.parse(text, str(place))
        text = changed(text, changes)
        files.parse(text, str(place))
        if before == text.encode():
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        if before is not None:
            write(place.with_name(place.name + BACKUP), before, place)
        write(place, text.encode(), place, secret=any(path[-1] in SECRETS for path in changes))
    except UnicodeDecodeError:
        raise SettingsError(f"{place}: this is not text") from None
    except OSError as error:
        raise SettingsError(f"{place}: cannot be changed ({error.strerror}); {rights(error)}") from None


def changed(text: str, changes: Changes) -> str:
    """The TOML `text` with these keys set; every other line, comments too, as it was. Raises SettingsError."""
    wanted: dict[str, Any] = tomllib.loads(text)
    for path, value in changes.items():
        _set(wanted, path, value, dict)
    try:
        document = tomlkit.parse(text)
        for path, value in changes.items():
            _set(document, path, value, tomlkit.table)
        result = document.as_string()
        right = tomllib.loads(result) == wanted
    except (TOMLKitError, tomllib.TOMLDecodeError):
        right = False
    if not right:
        keys = ", ".join(".".join(path) for path in changes)
        raise SettingsError(f"the settings are written in a way that is not changed here: set {keys} by hand")
    return result


def _set(table: Any, path: tuple[str, ...], value: Value, new: Callable[[], Any]) -> None:
    """Makes the tables on the way with `new` where they are missing."""
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


def rights(error: OSError) -> str:
    """What helps against it."""
    return "run it again with sudo" if isinstance(error, PermissionError) else "look at the disk"


def write(place: Path, content: bytes, like: Path, *, secret: bool = False) -> None:
    """The whole file or nothing of it, with the owner and rights of `like`; for the owner only where that is new or
    `secret`. Raises OSError."""
    new = place.with_name(f".{place.name}.new")
    new.unlink(missing_ok=True)
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            if like.exists():
                status = like.stat()
                if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(file.fileno(), status.st_uid, status.st_gid)
                os.fchmod(file.fileno(), status.st_mode & (0o7700 if secret else 0o7777))
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(place)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
