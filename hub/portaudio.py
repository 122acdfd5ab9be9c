"""PortAudio, in a process of its own: it aborts where ALSA's configuration is broken, and its calls block.

hub.soundcard runs it and asks; nothing else of ours is loaded, so that it is small. A request names what is to be done:
`names`, `meant`, `open`, `read`, `write`, `drain` or `close`. One stream is open at a time. Samples are 16 bits, in base64.
"""

from __future__ import annotations

import base64
import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import product
from pathlib import Path
from queue import Empty, Full, Queue
from typing import Any

from models import ModelError
from models.serving import Answer, serve

BLOCK = 0.032  # seconds
_MOST_CHANNELS = 128  # ALSA's plugins offer them
_HELD = 1024  # blocks that wait for a slow listener before the oldest is given up, about half a minute
_AT_ONCE = 64  # blocks in one reply at most
_MUTE = 30.0  # seconds without a sample after which a microphone has gone; whoever asks has less patience
CONFIGURATION = "is ALSA's configuration in order? See what this says: aplay -L"
_CARDS = Path("/proc/asound/cards")


class _Sound:
    """The devices, and the stream that is open."""

    def __init__(self) -> None:
        self._port_audio = _sounddevice()
        self._cards = _cards()
        self._stream: Any = None
        self._blocks: Queue[bytes] = Queue(_HELD)

    def names(self, way: str) -> dict[str, Any]:
        return {"names": list(self._able(way).values())}

    def meant(self, way: str, device: str) -> dict[str, Any]:
        return {"name": self._able(way)[self._index(way, device)]}

    def open(self, way: str, device: str, rate: int) -> dict[str, Any]:
        """At the rate that is wanted, or another that the device has. A device that was plugged in since is found."""
        if _cards() != self._cards:
            self._look_again()
        try:
            self._open(way, device, rate)
        except ModelError:
            self._look_again()
            self._open(way, device, rate)
        return {"rate": int(self._stream.samplerate), "channels": self._stream.channels}

    def read(self) -> dict[str, Any]:
        """What has come since; nothing where the microphone has gone."""
        parts: list[bytes] = []
        with suppress(Empty):
            parts.append(self._blocks.get(timeout=_MUTE))
            while parts[-1] and len(parts) < _AT_ONCE:
                parts.append(self._blocks.get_nowait())
        if len(parts) > 1 and not parts[-1]:
            self._blocks.put_nowait(b"")  # which is told next
        return {"samples": base64.b64encode(b"".join(parts)).decode()}

    def write(self, samples: str) -> dict[str, Any]:
        """Returns when the device has taken it."""
        with _reported():
            self._stream.write(base64.b64decode(samples))
        return {}

    def drain(self) -> dict[str, Any]:
        """Returns when all of it has been heard."""
        with _reported():
            self._stream.stop()
        return {}

    def close(self) -> dict[str, Any]:
        """Silent at once."""
        stream, self._stream = self._stream, None
        if stream is not None:
            with suppress(self._port_audio.PortAudioError):  # a device that is gone cannot be closed well
                stream.abort()
                stream.close()
        return {}

    # -- how

    def _open(self, way: str, device: str, rate: int) -> None:
        with _reported():
            index = self._index(way, device)
            wanted, channels = self._fitting(way, index, rate)
            how = {"samplerate": wanted, "channels": channels, "blocksize": round(wanted * BLOCK), "dtype": "int16"}
            if way == "input":
                self._blocks = Queue(_HELD)
                more = {"callback": self._heard, "finished_callback": lambda: self._push(b"")}
                self._stream = self._port_audio.RawInputStream(device=index, **how, **more)
            else:
                self._stream = self._port_audio.RawOutputStream(device=index, **how)
            self._stream.start()

    def _heard(self, data: Any, frames: int, time: object, status: object) -> None:
        """Called in a thread of PortAudio's."""
        self._push(bytes(data))

    def _push(self, data: bytes) -> None:
        try:
            self._blocks.put_nowait(data)
        except Full:
            with suppress(Empty, Full):
                self._blocks.get_nowait()
                self._blocks.put_nowait(data)

    def _look_again(self) -> None:
        """PortAudio lists the devices once, at its start; with a stream open it cannot be started again."""
        self.close()
        with _reported():
            self._port_audio._terminate()
            self._port_audio._initialize()
        self._cards = _cards()

    def _able(self, way: str) -> dict[int, str]:
        """The names by the numbers. Raises ModelError where there is none."""
        found = enumerate(self._port_audio.query_devices())
        able = {i: str(d["name"]) for i, d in found if d[f"max_{way}_channels"] > 0}
        if not able:
            raise ModelError(
                f"there is no {_CALLED[way]}; is it plugged in, and may this user use sound (group audio)?"
            )
        return able

    def _index(self, way: str, device: str) -> int:
        """The number of the device that is meant: the default one, a number, or a part of its name. Raises ModelError."""
        able = self._able(way)
        if not device:
            default = int(self._port_audio.default.device[0 if way == "input" else 1])
            return default if default in able else next(iter(able))
        if device.isdecimal() and int(device) in able:
            return int(device)
        for index, name in able.items():
            if device.casefold() in name.casefold():
                return index
        raise ModelError(f"there is no {_CALLED[way]} {device!r}; there is: {', '.join(able.values())}")

    def _fitting(self, way: str, index: int, rate: int) -> tuple[int, int]:
        """Rate and channels of the device, as near as possible to one channel of this rate. Raises ModelError."""
        found = self._port_audio.query_devices(index)
        check = self._port_audio.check_input_settings if way == "input" else self._port_audio.check_output_settings
        most = min(int(found[f"max_{way}_channels"]), _MOST_CHANNELS)
        for wanted, channels in product((rate, int(found["default_samplerate"]), 48_000, 44_100), (1, 2, most)):
            with suppress(self._port_audio.PortAudioError):
                check(device=index, channels=channels, dtype="int16", samplerate=wanted)
                return wanted, channels
        raise ModelError(
            f"{found['name']}: it is busy, or has no 16-bit sound; see which program uses it (fuser /dev/snd/*)"
        )


_CALLED = {"input": "microphone", "output": "loudspeaker"}


def _cards() -> str:
    """What says that a sound card has come or gone; nothing where this is not ALSA."""
    try:
        return _CARDS.read_text()
    except OSError:
        return ""


@contextmanager
def _reported() -> Iterator[None]:
    """Turns PortAudio's errors into ours."""
    try:
        yield
    except _sounddevice().PortAudioError as error:
        raise ModelError(f"the sound device cannot be used ({error.args[0]}); is it plugged in?") from None


def _sounddevice() -> Any:
    try:
        _quiet_alsa()
        import sounddevice
    except ImportError:
        raise ModelError("the package sounddevice is missing: pip install 'homeward-hub[voice]'") from None
    except OSError:
        raise ModelError("PortAudio is not installed: apt-get install libportaudio2") from None
    except Exception as error:  # its own, which has no name where the import fails
        raise ModelError(f"PortAudio cannot start ({str(error)[:200]}); {CONFIGURATION}") from None
    return sounddevice


_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p)
_hush = _HANDLER(lambda *_: None)  # which has to live as long as ALSA


def _quiet_alsa() -> None:
    """ALSA writes a page to stderr about every device that could be there and is not."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libasound.so.2").snd_lib_error_set_handler(_hush)


def _answering(opening: dict[str, Any]) -> Answer:
    sound = _Sound()
    verbs: dict[str, Callable[..., dict[str, Any]]] = {
        verb.__name__: verb
        for verb in (sound.names, sound.meant, sound.open, sound.read, sound.write, sound.drain, sound.close)
    }

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        return verbs[request.pop("do")](**request)

    return answer


if __name__ == "__main__":
    serve(_answering)
