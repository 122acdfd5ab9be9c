"""What of the running hub is offered by the Wyoming protocol: its engines, its parser, and its hand in the house."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.util import find_spec

from hub import listen
from hub.daemon import Hub, tell
from hub.settings import Settings
from hub.wyoming import info
from hub.wyoming.announce import AnnounceError, announced
from hub.wyoming.server import serving
from hub.wyoming.session import Services
from models import ModelError
from models.hearing import Hearing
from models.voice import Voice, open_voice
from models.wake import BUNDLED, WakeWord

log = logging.getLogger(__name__)


@asynccontextmanager
async def offered(hub: Hub) -> AsyncIterator[None]:
    """The services while this lasts, announced where others can reach them. Raises WireError."""
    async with AsyncExitStack() as stack:
        services = await _services(hub, stack)
        await stack.enter_async_context(serving(hub.settings.wyoming, services))
        await _announce(hub.settings, stack)
        yield


async def _services(hub: Hub, stack: AsyncExitStack) -> Services:
    """What is there; what is not is logged, and not offered."""
    settings = hub.settings
    hearing, voice, words = _hearing(settings), _voice(settings), _words()
    if hearing is not None:
        await stack.enter_async_context(hearing)
    if voice is not None:
        stack.push_async_callback(voice.close)
    return Services(
        settings=settings,
        pipeline=hub.pipeline,
        tell=partial(tell, hub),
        names=lambda: listen.bias(settings, hub.house.devices),
        hearing=hearing,
        voice=voice,
        words=tuple(words),
        info=info.info(
            listen.folder(settings) if hearing is not None else None,
            "espeak-ng" if voice is not None else None,
            words,
            settings.voice.language,
        ),
    )


def _hearing(settings: Settings) -> Hearing | None:
    try:
        return Hearing(listen.folder(settings), threads=settings.voice.threads)
    except ModelError as error:
        log.warning("speech to text is not offered: %s", error)
        return None


def _voice(settings: Settings) -> Voice | None:
    try:
        return open_voice(None, settings.voice.language)
    except ModelError as error:
        log.warning("text to speech is not offered: %s", error)
        return None


def _words() -> Sequence[WakeWord]:
    if find_spec("pymicro_wakeword") is None:
        log.warning("wake words are not offered: pip install 'homeward-hub[voice]'")
        return ()
    return [WakeWord(name) for name in BUNDLED]


async def _announce(settings: Settings, stack: AsyncExitStack) -> None:
    """A network on which nobody can be told is no reason not to serve those who know."""
    wyoming = settings.wyoming
    if not (wyoming.announce and wyoming.reachable):
        return
    try:
        name = await stack.enter_async_context(announced(f"hub-{settings.id}", wyoming.address, wyoming.port))
    except AnnounceError as error:
        log.warning("not announced: %s", error)
    else:
        log.info("announced as %s", name)
