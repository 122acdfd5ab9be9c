"""Changes the settings file: only the keys that are meant, with every comment where it was, and all of it or nothing; and
brings it into the newest form.

The only file that knows tomlkit. What the file was before lies beside it, with BACKUP behind its name.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from hub import settings as files
from hub.forms import NEWEST, VERSION, Changes, FormError, changes, differs, put
from hub.settings import SettingsError

SECRETS = frozenset({"password", "pin"})  # keys that make a file one for its owner only
_HEAD = f"# The form of this file, by which a newer hub knows how to read it.\n{VERSION} = {NEWEST}\n"
BACKUP = ".bak"  # behind the name of the settings file


def change(place: Path, wanted: Changes) -> None:
    """Sets these keys of the file; as it was, it is beside it. A file that is not there is made, for its owner only.

    One that is given a password or a PIN is for its owner only from then on, and one of an older form is migrated first.
    Raises SettingsError; nothing is changed then.
    """
    place = place.resolve()  # a link stays a link
    with _told(place):
        before = place.read_bytes() if place.exists() else None
        text = (before or b"").decode()
        files.parse(text, str(place))
        old = differs(tomllib.loads(text))
        if old or before is None:
            text = newest(text, str(place))
        text = changed(text, wanted)
        if differs(tomllib.loads(text)):  # what was set now would be read as of an older form
            text = _numbered(text)
        files.parse(text, str(place))
        if before == text.encode():
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        if before is not None:
            if old:
                _keep(place, before)
            write(place.with_name(place.name + BACKUP), before, place)
        write(place, text.encode(), place, secret=any(path[-1] in SECRETS for path in wanted))


def migrate(place: Path) -> Path | None:
    """Brings the file into the newest form; the file as it was, which is beside it then. None where it has that form.

    Raises SettingsError; nothing is changed then.
    """
    place = place.resolve()
    with _told(place):
        before = place.read_bytes()
        text = newest(before.decode(), str(place))
        files.parse(text, str(place))
        if text.encode() == before:
            return None
        kept = _keep(place, before)
        write(place, text.encode(), place)
        return kept


def newest(text: str, name: str) -> str:
    """The TOML `text` of the file `name` in the newest form; the same where it has that. Raises SettingsError."""
    try:
        wanted = changes(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, FormError) as error:
        raise SettingsError(f"{name}: {error}") from None
    return _numbered(changed(text, {path: wanted[path] for path in wanted if path != (VERSION,)}))


def _numbered(text: str) -> str:
    """The same with the number of the newest form, where everything else has that already. Raises SettingsError."""
    if VERSION in tomllib.loads(text):
        return changed(text, {(VERSION,): NEWEST})
    return f"{_HEAD}\n{text}"


def _keep(place: Path, before: bytes) -> Path:
    """The file as it was, beside it with today's date. Raises OSError."""
    dated = f"{place.name}.{date.today():%Y-%m-%d}"
    names = (dated, *(f"{dated}.{number}" for number in range(2, 1000)))
    kept = next(path for name in names if not (path := place.with_name(name)).exists())
    write(kept, before, place)
    return kept


@contextmanager
def _told(place: Path) -> Iterator[None]:
    """What goes wrong with this file, as a SettingsError."""
    try:
        yield
    except UnicodeDecodeError:
        raise SettingsError(f"{place}: this is not text") from None
    except OSError as error:
        raise SettingsError(f"{place}: cannot be changed ({error.strerror}); {rights(error)}") from None


def changed(text: str, wanted: Changes) -> str:
    """The TOML `text` with these keys set; every other line, comments too, as it was. Raises SettingsError."""
    table: dict[str, Any] = tomllib.loads(text)
    for path, value in wanted.items():
        put(table, path, value, dict)
    try:
        document = tomlkit.parse(text)
        for path, value in wanted.items():
            put(document, path, value, tomlkit.table)
        result = document.as_string()
        right = tomllib.loads(result) == table
    except (TOMLKitError, tomllib.TOMLDecodeError):
        right = False
    if not right:
        keys = ", ".join(".".join(path) for path in wanted)
        raise SettingsError(f"the settings are written in a way that is not changed here: set {keys} by hand")
    return result


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
