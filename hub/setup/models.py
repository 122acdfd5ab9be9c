"""The step `models`: which there are, what fits this board, and those that are wanted fetched, checked and opened."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

from hub import board, fetching
from hub.fetching import Entry, Shelf
from hub.forms import Value
from hub.reading import open_completer
from hub.settings import Settings
from hub.setup.step import Desk, Result, Step, run
from models import ModelError
from models.files import DEFAULT

SPEECH, VOICE = "whisper-tiny.en", "piper-lessac-medium"
_SPOKEN = {"hearing": SPEECH, "voice": VOICE}  # by their keys under [voice]


def take(desk: Desk) -> Result:
    """Fetches what is wanted. Raises as the questions do, and ModelError and HubError."""
    settings = desk.settings
    shelf = fetching.shelf(settings)
    there = {entry.name: entry for entry in fetching.entries(shelf)}
    free = _free(shelf.folder)
    desk.asker.say(f"{free / 1e6:,.0f} MB are free on the disk of {shelf.folder}.")
    language = _language(desk, there)
    wanted = [name for name in (language, *_spoken(desk, there)) if name in shelf.pins]
    _fetch(desk, shelf, [name for name in wanted if there[name].state != "here"])
    file = DEFAULT if language == DEFAULT else str(shelf.first(language)) if language in shelf.pins else language
    model = settings.model.model_copy(update={"file": file})
    desk.asker.progress(f"Opening {language} ...")
    run(_opens(settings.model_copy(update={"model": model})))
    changes: dict[tuple[str, ...], Value] = {("model", "file"): file}
    changes |= {("voice", key): name for key, name in _SPOKEN.items() if name in wanted}
    return Result(", ".join(dict.fromkeys((language, *wanted))), changes)


async def _opens(settings: Settings) -> None:
    async with open_completer(settings):
        pass


def _free(folder: Path) -> int:
    return shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists())).free


def _language(desk: Desk, there: dict[str, Entry]) -> str:
    """The model that reads sentences: one that fits, or the one of the settings."""
    larger = board.advise(board.look(desk.root)).larger
    fits = [e for e in there.values() if e.kind == "language" and (e.name in (DEFAULT, larger) or e.used)]
    options = [(e.path if e.name not in (DEFAULT, larger) else e.name, _words(e)) for e in fits]
    if len(options) == 1:
        desk.asker.say(f"Sentences are read by the shipped model: {_words(fits[0])}.")
        return options[0][0]
    desk.asker.say("Which model is to read your sentences? (The shipped one is right unless you know better.)")
    default = next((value for value, entry in zip(options, fits, strict=True) if entry.used), options[0])[0]
    return desk.asker.choose("language", "Which", options, default)


def _words(entry: Entry) -> str:
    here = "" if entry.state == "here" else f", {entry.state}"
    return f"{entry.name}, {entry.bytes / 1e6:,.1f} MB, {entry.licence}{here}"


def _spoken(desk: Desk, there: dict[str, Entry]) -> list[str]:
    """The models for speech that are wanted; asked for only where the engine for them is installed."""
    wanted = []
    for key, name, engine, what in (
        ("hearing", SPEECH, "faster_whisper", "to be spoken to"),
        ("voice", VOICE, "piper", "to hear the answers"),
    ):
        if importlib.util.find_spec(engine) is None:
            desk.asker.say(f"The package {engine} is not installed, so {name} ({what}) is not fetched.")
        elif desk.asker.yes(key, f"Fetch {_words(there[name])}, {what}?", True):
            wanted.append(name)
    return wanted


def _fetch(desk: Desk, shelf: Shelf, names: list[str]) -> None:
    """All of them, from where it is said; another source may be tried where one fails."""
    source = ""
    while names:
        where = desk.asker.ask(
            "source", "From where: - for huggingface.co, a mirror's address, or a folder (skip: not now)", "-"
        )
        source = "" if where == "-" else where
        try:
            for name in list(names):
                place = fetching.fetched(shelf, name, source, desk.asker.progress)
                desk.asker.say(f"{name} is in {place}.")
                names.remove(name)
        except ModelError as error:
            desk.asker.again(str(error))


STEP = Step("models", "The models", frozenset({"language", "hearing", "voice", "source"}), take)
