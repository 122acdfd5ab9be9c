"""The running hub on the Wyoming protocol: what it offers of its engines, its parser and its hand in the house, and the
satellites at which it hears and speaks.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.util import find_spec

from hub import listen
from hub.daemon import Hub, tell
from hub.rooms import Rooms, voice_file, wake_words
from hub.settings import RoomSettings, Settings
from hub.wyoming import info
from hub.wyoming.announce import AnnounceError, announced
from hub.wyoming.satellites import driven
from hub.wyoming.server import serving
from hub.wyoming.session import Services
from models import ModelError
from models.hearing import Hearing
from models.voice import Manner, Voice, open_voice
from models.wake import BUNDLED, WakeWord

log = logging.getLogger(__name__)


@asynccontextmanager
async def connected(hub: Hub, rooms: Rooms | None) -> AsyncIterator[None]:
    """Both, as the settings have it; `rooms` hear and speak with the same engines. Raises WireError and ModelError."""
    async with AsyncExitStack() as stack:
        if rooms is not None and hub.settings.wyoming.drives:
            await stack.enter_async_context(driven(hub.settings, rooms))
        if hub.settings.wyoming.serve:
            services = await _services(hub, rooms, stack)
            await stack.enter_async_context(serving(hub.settings.wyoming, services))
            await _announce(hub.settings, stack)
        yield


async def _services(hub: Hub, rooms: Rooms | None, stack: AsyncExitStack) -> Services:
    """What is there; what is not is logged, and not offered."""
    settings, voice = hub.settings, hub.settings.voice
    hearing = rooms.hearing if rooms else await _hearing(settings, stack)
    speaking = rooms.mouth.voice if rooms else _voice(settings, stack)
    words = _words(settings)
    file = voice_file(settings) if speaking is not None else None
    return Services(
        settings=settings,
        pipeline=hub.pipeline,
        cores=hub.cores,
        tell=partial(tell, hub),
        names=lambda: listen.bias(settings, hub.house.devices),
        hearing=hearing,
        voice=speaking,
        manner=Manner(voice.speed, voice.volume),
        words=tuple(words),
        info=info.info(
            listen.folder(settings) if hearing is not None else None,
            None if speaking is None else file.stem if file is not None else info.ESPEAK,
            words,
            voice.language,
        ),
    )


async def _hearing(settings: Settings, stack: AsyncExitStack) -> Hearing | None:
    """The Whisper of the settings; it is loaded when it is asked first."""
    try:
        return await stack.enter_async_context(Hearing(listen.folder(settings), threads=settings.voice.threads))
    except ModelError as error:
        log.warning("speech to text is not offered: %s", error)
        return None


def _voice(settings: Settings, stack: AsyncExitStack) -> Voice | None:
    try:
        voice = open_voice(voice_file(settings), settings.voice.language, threads=settings.voice.threads)
    except ModelError as error:
        log.warning("text to speech is not offered: %s", error)
        return None
    stack.push_async_callback(voice.close)
    return voice


def _words(settings: Settings) -> Sequence[WakeWord]:
    """Those of the settings, with their thresholds, then the others that are there. Raises ModelError."""
    if find_spec("pymicro_wakeword") is None:
        log.warning("wake words are not offered: pip install 'homeward-hub[voice]'")
        return ()
    others = [name for name in BUNDLED if name not in settings.voice.wake_words]
    return [*wake_words(settings, RoomSettings()), *map(WakeWord, others)]


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
