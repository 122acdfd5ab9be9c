"""`hub model fetch | list | remove`: the models that can be had, and where they are kept: in STATE/models/NAME."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from hub import HubError
from hub import settings as files
from hub.settings import Settings
from hub.settings_file import rights
from models.files import ABOUT, DEFAULT, HUB, PINS, About, Patience, Pin, default_model, fetch, room

ELSEWHERE = 'set state_folder = "/var/lib/hub"'
_BAR = 24  # characters
_EVERY = 0.1  # seconds between two states of the bar

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Entry:
    """One model of the list. `bytes` are those on the disk or, where it is not all there, about those of the whole."""

    name: str
    kind: str
    bytes: int
    licence: str
    state: str  # "here", "not here", "in part"
    used: bool = False
    path: str = ""


@dataclass(frozen=True, slots=True)
class Shelf:
    """The folder in which fetched models are kept, a folder each, and what could be there. `used` is the path of the
    hub's language model, "" for the one that ships; `spoken` are the names of those for speech in the settings."""

    folder: Path
    used: str = ""
    spoken: frozenset[str] = frozenset()
    pins: Mapping[str, tuple[Pin, ...]] = field(default_factory=lambda: PINS)
    about: Mapping[str, About] = field(default_factory=lambda: ABOUT)

    def place(self, name: str) -> Path:
        return self.folder / name

    def known(self, name: str) -> tuple[Pin, ...]:
        """The files of this model. Raises HubError for a name that no model has."""
        if name == DEFAULT:
            raise HubError(f"{DEFAULT} is a part of the hub: it is there already, and it stays")
        if name not in self.pins:
            raise HubError(f"there is no model {name!r}; there are {', '.join((DEFAULT, *self.pins))}")
        return self.pins[name]

    def first(self, name: str) -> Path:
        """The file of this model that is opened."""
        return self.place(name) / self.known(name)[0].name

    def whole(self, name: str) -> bool:
        """Whether all its files are there; their digests were right when they came."""
        return all((self.place(name) / pin.name).is_file() for pin in self.known(name))

    def held(self, name: str) -> int:
        """The bytes that lie there of it, of whole files and of parts."""
        return sum(file.stat().st_size for file in self.files(name))

    def uses(self, name: str) -> bool:
        """Whether the settings name it."""
        return name in self.spoken or str(self.first(name)) == self.used

    def files(self, name: str) -> tuple[Path, ...]:
        names = [n for pin in self.known(name) for n in (pin.name, f"{pin.name}.part")]
        return tuple(path for n in names if (path := self.place(name) / n).is_file())


def shelf(settings: Settings) -> Shelf:
    used = "" if settings.model.file in ("", DEFAULT) else str(Path(settings.model.file).expanduser())
    return Shelf(settings.folder() / "models", used, frozenset({settings.voice.hearing, settings.voice.voice}))


# -- fetch


@dataclass(slots=True)
class Bar:
    """Shows a download in one line that is written over, not more often than can be read."""

    tell: Tell
    name: str
    clock: Callable[[], float] = time.monotonic
    _first: tuple[float, int] | None = None
    _shown: float = field(default=0.0, init=False)

    def __call__(self, done: int, total: int | None) -> None:
        now = self.clock()
        if self._first is None:
            self._first = now, done
        elif now - self._shown < _EVERY and done != total:
            return
        self._shown = now
        since, before = self._first
        self.tell(bar(self.name, done, total, (done - before) / max(now - since, 1e-3)))


def bar(name: str, done: int, total: int | None, speed: float) -> str:
    """The line: how much of how much, how fast (bytes a second), and how long it will take at that speed."""
    mine = f"{done / 1e6:.1f} MB" if total is None else f"{done / 1e6:.1f} of {total / 1e6:.1f} MB"
    rate = f"{speed / 1e6:.1f} MB/s" if speed else ""
    if not total:
        return f"{name[:24]:24} {mine} {rate}"
    filled = min(_BAR, _BAR * done // total)
    left = f"{(total - done) / speed:.0f} s left" if speed and done < total else ""
    return f"{name[:24]:24} [{'#' * filled}{'.' * (_BAR - filled)}] {mine} {rate} {left}".rstrip()


def fetched(shelf: Shelf, name: str, source: str, tell: Tell, patience: Patience | None = None) -> Path:
    """The folder of the model, with all its files, each with the right digest. Raises ModelError and HubError.

    `source` is a server or a folder as models.files.fetch takes it, "" for the usual one.
    """
    pins, place = shelf.known(name), shelf.place(name)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HubError(f"{place}: cannot be made ({error.strerror}); {rights(error)}") from None
    if not shelf.whole(name):
        room(place, max(0, shelf.about[name].bytes - shelf.held(name)))
    for pin in pins:
        tell(f"{pin.name}: connecting ...")
        fetch(pin, place, Bar(tell, pin.name), source=source or HUB, patience=patience or Patience())
    return place


# -- list


def entries(shelf: Shelf) -> tuple[Entry, ...]:
    """Every model that is known, and the one that is used where that is another. Raises ModelError."""
    shipped = default_model()
    found = [Entry(DEFAULT, "language", shipped.stat().st_size, "Apache-2.0", "here", not shelf.used, str(shipped))]
    found += [_entry(shelf, name) for name in shelf.pins]
    if shelf.used and not any(entry.path == shelf.used for entry in found):
        own = Path(shelf.used)
        there = own.is_file()
        size = own.stat().st_size if there else 0
        found.append(Entry(own.name, "language", size, "?", "here" if there else "not here", True, shelf.used))
    return tuple(found)


def _entry(shelf: Shelf, name: str) -> Entry:
    about, held, whole = shelf.about[name], shelf.held(name), shelf.whole(name)
    state = "here" if whole else "in part" if held else "not here"
    path = str(shelf.first(name)) if whole else ""
    return Entry(name, about.kind, held if whole else about.bytes, about.licence, state, shelf.uses(name), path)


def table(found: tuple[Entry, ...], as_json: bool) -> str:
    """The list, for people or as JSON."""
    if as_json:
        return json.dumps([asdict(entry) for entry in found], indent=1)
    rows = [
        f"{'*' if e.used else ' '} {e.name:20} {e.kind:9} {e.bytes / 1e6:7.1f} MB  {e.state:9} {e.licence}"
        for e in found
    ]
    return "\n".join([*rows, "", "* is what the settings name; hub model fetch NAME, then hub model use NAME"])


# -- remove


def hidden(config: Path, path: Path) -> bool:
    """Whether these settings are those of the service, and the path is where deploy/hub.service may not look."""
    homes = (Path.home(), Path("/home"))
    return config == files.SYSTEM_FILE and any(path.is_relative_to(home) for home in homes)


def removed(shelf: Shelf, name: str) -> str:
    """Deletes the files of the model and says how much that freed. Raises HubError, also for the one that is used."""
    if shelf.uses(name):
        other = f"take another one first, for example hub model use {DEFAULT}"
        raise HubError(f"{name} is in the settings; {'take it out there' if name in shelf.spoken else other}")
    held, place = shelf.held(name), shelf.place(name)
    if not held:
        raise HubError(f"{name} is not here")
    try:
        for file in shelf.files(name):
            file.unlink()
        if not any(place.iterdir()):
            place.rmdir()
    except OSError as error:
        raise HubError(f"{place}: cannot be removed ({error.strerror}); {rights(error)}") from None
    return f"{name} is removed; {held / 1e6:,.1f} MB are free again."
