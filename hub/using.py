"""`hub model use`: another language model for the hub, in the settings file and in the hub that runs, or nothing changed.

The model before it stands in STATE/previous-model, so that there is a way back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from hub import HubError, control, trial
from hub import settings as files
from hub.fetching import ELSEWHERE, Shelf, hidden
from hub.settings import Settings, SettingsError
from hub.settings_file import change, rights
from models.files import DEFAULT

PREVIOUS = "previous-model"
AT_ONCE = "the hub that runs reads with it from the next command on"
LATER = "no hub runs here that could be told; one that runs elsewhere takes it up at its next start"

Tell = Callable[[str], None]


async def use(settings: Settings, config: Path | None, name: str, shelf: Shelf, tell: Tell = lambda text: None) -> str:
    """Tries the model as the hub would, has the running hub take it up, and makes it the hub's in the settings file; says
    what was done.

    Raises HubError, SettingsError and ModelError; nothing is changed then.
    """
    wanted, place = _wanted(shelf, name), files.find(config) or files.user_file()
    if wanted != DEFAULT and hidden(place, Path(wanted)):
        raise HubError(f"{wanted} is in a home folder, which the service may not read: {ELSEWHERE} in {place}")
    tell(f"Trying {name} ...")
    async with trial.opened(trial.with_model(settings, wanted)):
        pass
    tell("The running hub loads it ...")
    told = AT_ONCE if await control.use(settings.folder(), wanted) else LATER
    if wanted == settings.model.file:
        return f"{name} is the model of {place} already; {told}"
    try:
        change(place, {("model", "file"): wanted})
    except SettingsError:
        await control.use(settings.folder(), settings.model.file)
        raise
    kept = await asyncio.to_thread(_remember, settings)
    return f"{name} is the hub's model now, in {place}; {told}{kept}"


def previous(settings: Settings) -> str:
    """The model that was the hub's before the present one. Raises HubError where none is known."""
    file = settings.folder() / PREVIOUS
    try:
        return file.read_text(encoding="utf-8").strip() or DEFAULT
    except FileNotFoundError:
        raise HubError("no other model was the hub's before: hub model list shows what there is") from None
    except (OSError, UnicodeDecodeError) as error:
        raise HubError(f"{file}: cannot be read ({error})") from None


def _remember(settings: Settings) -> str:
    """Writes down which model it was; what to say where that cannot be done, which is no reason to go back."""
    file = settings.folder() / PREVIOUS
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(settings.model.file + "\n", encoding="utf-8")
    except OSError as error:
        return f" (that it was {settings.model.file} before cannot be kept: {error.strerror}; {rights(error)})"
    return ""


def _wanted(shelf: Shelf, name: str) -> str:
    """What the settings have to say for this model: a name of ours or the path of a GGUF. Raises HubError."""
    if name == DEFAULT:
        return DEFAULT
    if name not in shelf.pins:
        path = Path(name).expanduser().absolute()
        if not path.is_file():
            raise HubError(f"{name}: neither a model of `hub model list` nor a file")
        return str(path)
    if shelf.about[name].kind != "language":
        raise HubError(f"{name} does not read sentences: it is for {shelf.about[name].kind}")
    path = shelf.first(name)
    if not path.is_file():
        raise HubError(f"{name} is not here yet: hub model fetch {name}")
    return str(path)
