"""Whether a language model can be the hub's: its file is what it should be, it opens, and it reads a sentence."""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from hub import fetching
from hub.finding import Finding, Level, fine, note, wrong
from hub.installed import DISTRIBUTION
from hub.reading import Completer, Reader, open_model
from hub.settings import Settings
from hub.switching import Known, Switch
from intents.line import words
from models import ModelError
from models.export.check import check_card
from models.files import DEFAULT, digest, resolve_model

SENTENCE, SYMBOL = "turn on the kitchen light", "<turn_on>"


def with_model(settings: Settings, name: str) -> Settings:
    """The same with this model as [model] file."""
    return settings.model_copy(update={"model": settings.model.model_copy(update={"file": name})})


def file(settings: Settings) -> Finding:
    """The file of the model, against what is known of it."""
    shelf = fetching.shelf(settings)
    name = next((n for n in shelf.pins if str(shelf.first(n)) == shelf.used), "" if shelf.used else DEFAULT)
    again = "hub model use home"
    try:
        path = resolve_model(settings.model.file)
        if name == DEFAULT:
            again = f"{shlex.quote(sys.executable)} -m pip install --force-reinstall --no-deps {DISTRIBUTION}"
            check_card(path)
        elif name:
            again = f"hub model fetch {name}"
            if digest(path) != shelf.known(name)[0].sha256:
                return wrong("model", f"{path} is damaged: its SHA-256 is another than that of {name}", again)
        elif path.with_suffix(".json").is_file():
            check_card(path)
        else:
            return note("model", f"{path}; there is no card beside it, so what it should be is not known")
    except ModelError as error:
        return wrong("model", str(error), again)
    except OSError as error:
        return wrong("model", f"{settings.model.file}: cannot be read ({error.strerror})", again)
    return fine("model", f"{name or path}, {path.stat().st_size / 1e6:,.1f} MB, as its card says")


async def sentence(completer: Completer, sure: float) -> Finding:
    """A sentence that everybody says, read as the hub would. Raises ModelError."""
    reader = Reader(completer)
    await reader(words(SENTENCE))  # the first one is slower
    line, certain = await reader(words(SENTENCE))
    if not line.startswith(SYMBOL) or certain < sure:
        what = f"the model reads {SENTENCE!r} as {line!r}, with certainty {certain:.2f}"
        return wrong("sentence", what, "hub model use home")
    return fine("sentence", f"{SENTENCE!r} is read in {reader.ms:.0f} ms, with certainty {certain:.2f}")


def switch(settings: Settings) -> Switch:
    """The model of the settings as it is, and in its place only others that were found to be sound."""
    return Switch(
        lambda name: loaded(with_model(settings, name)),
        lambda name: opened(with_model(settings, name)),
        settings.model.file,
    )


def loaded(settings: Settings) -> AbstractAsyncContextManager[Known]:
    """The model of the settings in its own process. Its opening raises ModelError."""
    return open_model(resolve_model(settings.model.file), settings.model.threads, settings.folder())


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Known]:
    """As `loaded`, after it was found to be sound. Raises ModelError."""
    _pass(await asyncio.to_thread(file, settings))
    async with loaded(settings) as model:
        _pass(await sentence(model, settings.safety.sure))
        yield model


def _pass(found: Finding) -> None:
    if found.level is Level.WRONG:
        raise ModelError(f"{found.what}; {found.mend}")
