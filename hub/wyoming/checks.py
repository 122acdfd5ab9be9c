"""What `hub doctor` says of the Wyoming protocol: whether it can be spoken, and whether each satellite is there."""

from __future__ import annotations

import importlib.util
import shlex
import sys
from collections.abc import AsyncIterator

from hub.finding import Finding, fine, wrong
from hub.installed import DISTRIBUTION
from hub.settings import Settings

_AWAY = "switch it on, or correct its host and port under [wyoming.satellites]"


async def findings(settings: Settings) -> AsyncIterator[Finding]:
    """Nothing where it is not wanted. Satellites are named by their rooms."""
    wyoming = settings.wyoming
    if not wyoming.serve and not wyoming.drives:
        return
    if importlib.util.find_spec("wyoming") is None:
        mend = f"{shlex.quote(sys.executable)} -m pip install {shlex.quote(f'{DISTRIBUTION}[wyoming]')}"
        yield wrong("wyoming", "what the protocol needs is not installed", mend)
        return
    if wyoming.serve:
        who = f"{len(wyoming.peers)} listed peers" if wyoming.reachable else "this machine only"
        yield fine("wyoming", f"offered on port {wyoming.port}, to {who}")
    for number, (address, room) in enumerate(wyoming.satellites.items(), 1):
        yield await _satellite(address, room, f"number {number}")


async def _satellite(address: str, room: str, called: str) -> Finding:
    """Whether it answers as one; it is only asked what it is, which disturbs nobody whom it serves."""
    from hub.wyoming.satellite import described
    from hub.wyoming.satellites import place_of
    from hub.wyoming.wire import WireError

    try:
        area = await described(place_of(address))
    except WireError as error:
        return wrong("satellite", f"{room or called}: {error}", _AWAY)
    if not room and not area:
        return wrong("satellite", f"{called}: it names no room", "name its room under [wyoming.satellites]")
    return fine("satellite", f"{room or area}: it answers")
