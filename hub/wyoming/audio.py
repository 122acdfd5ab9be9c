"""Sound as the events of the protocol carry it: any format in, the hub's own frames out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from wyoming.event import Event

from hub.sound import FRAME, RATE, Converter, Encoding, Format, Samples
from hub.wyoming.wire import WireError

CHUNK = 4096  # bytes of speech in an event: a tenth of a second of most voices
BURST = 30.0  # seconds of sound that may come at once, as of a file
_ENCODINGS: Mapping[int, Encoding] = {1: "u8", 2: "s16", 3: "s24", 4: "s32"}


class Sound:
    """Audio events of any format as frames of the hub's own."""

    def __init__(self) -> None:
        self._given: Format | None = None
        self._converter: Converter | None = None

    def take(self, event: Event) -> list[Samples]:
        """The frames that are full now. Raises WireError and SoundError."""
        given = format_of(event)
        if self._converter is None or given != self._given:
            self._given, self._converter = given, Converter(given)
        return self._converter.take(event.payload or b"")

    def end(self) -> list[Samples]:
        """The last frame, filled up with silence."""
        return self._converter.take(b"", last=True) if self._converter is not None else []


def format_of(event: Event) -> Format:
    """The format of an audio event. Raises WireError and SoundError."""
    found = [event.data.get(key) for key in ("rate", "width", "channels")]
    match found:
        case [int(rate), int(width), int(channels)] if width in _ENCODINGS:
            return Format(rate, channels, _ENCODINGS[width])
    raise WireError(f"{event.type} has no rate, width (1 to 4 bytes) and channels that can be heard")


class Pace:
    """Lets the frames of a peer through as fast as they can be spoken, but for a burst: who sends more waits, and the
    house does not.
    """

    def __init__(self) -> None:
        self._due = 0.0  # when what has come would have been spoken, by the loop's clock

    async def frame(self) -> None:
        """Returns when the next frame may be taken."""
        now = asyncio.get_running_loop().time()
        self._due = max(self._due, now) + FRAME / RATE
        await asyncio.sleep(max(0.0, self._due - now - BURST))
