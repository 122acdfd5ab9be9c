"""What model files there are, where they lie, and how they are fetched: only when asked, and only what the pin names."""

from __future__ import annotations

import email.utils
import fcntl
import hashlib
import http.client
import os
import re
import shutil
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import IO, Literal

from models import ModelError

HUB = "https://huggingface.co"
DEFAULT = "home"
RESERVE = 64 << 20  # bytes that stay free on the disk: timers, lists and the system's log have to be written too
MOST = 512 << 20  # bytes of a file whose size the pin does not say; the largest of those has about 75 MB
_BLOCK = 1 << 18
_WORTH = 1 << 20  # bytes; a connection that brought as much did not fail, however it ended
_FIRST_PAUSE = 0.5  # seconds; doubled each time
_LATER = frozenset({http.HTTPStatus.REQUEST_TIMEOUT, http.HTTPStatus.TOO_EARLY, http.HTTPStatus.TOO_MANY_REQUESTS})

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True)
class Pin:
    """One file of one revision of a repository on the hub. `size` in bytes, None where it is not known beforehand."""

    repository: str
    revision: str
    file: str
    sha256: str
    size: int | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError(f"{self.file}: not a SHA-256 digest: {self.sha256}")

    @property
    def path(self) -> str:
        """The path of the file on the hub."""
        return f"{self.repository}/resolve/{self.revision}/{self.file}"

    @property
    def name(self) -> str:
        """The name of the file alone."""
        return self.file.rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class About:
    """What a person should know of a model before fetching it. `bytes` is of all its files together, about."""

    kind: Literal["language", "hearing", "voice"]
    licence: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Patience:
    """When a connection counts as lost, and how often that may happen before we give up; each goes on where the last
    one stopped. Times in seconds."""

    silence: float = 30.0  # without a byte
    attempts: int = 4  # one after the other that brought next to nothing
    longest: float = 120.0  # that a server may ask us to wait, and that we wait between two attempts
    pause: Callable[[float], None] = time.sleep


def _whisper_tiny(file: str, sha256: str) -> Pin:
    return Pin("Systran/faster-whisper-tiny.en", "0d3d19a32d3338f10357c0889762bd8d64bbdeba", file, sha256)


def _lessac(quality: str, suffix: str, sha256: str, size: int | None = None) -> Pin:
    file = f"en/en_US/lessac/{quality}/en_US-lessac-{quality}.{suffix}"
    return Pin("rhasspy/piper-voices", "1162a9173d0ce503555aed757976b7a9912eae4c", file, sha256, size)


# Each digest was found to be the same in several independent public projects. Whisper base.en and small.en are missing
# here because some of their files' digests are not known.
PINS: Mapping[str, tuple[Pin, ...]] = MappingProxyType(
    {
        "tinyllama-chat": (
            Pin(
                "TheBloke/TinyLlama-1.1B-Chat-v1.0-GGUF",
                "52e7645ba7c309695bec7ac98f4f005b139cf465",
                "tinyllama-1.1b-chat-v1.0.Q4_K_M.gguf",
                "9fecc3b3cd76bba89d504f29b616eedf7da85b96540e490ca5824d3f7d2776a0",
                668_788_096,
            ),
        ),
        "whisper-tiny.en": (
            _whisper_tiny("model.bin", "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"),
            _whisper_tiny("config.json", "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5"),
            _whisper_tiny("tokenizer.json", "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df"),
            _whisper_tiny("vocabulary.txt", "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf"),
        ),
        "piper-lessac-medium": (
            _lessac("medium", "onnx", "5efe09e69902187827af646e1a6e9d269dee769f9877d17b16b1b46eeaaf019f", 63_201_294),
            _lessac("medium", "onnx.json", "efe19c417bed055f2d69908248c6ba650fa135bc868b0e6abb3da181dab690a0", 4_885),
        ),
        "piper-lessac-low": (
            _lessac("low", "onnx", "f7d01dde371555732c4c314111ac79672b1a5ce2fc19266ab42178fd8df7f375"),
            _lessac("low", "onnx.json", "45754dfdebb3b8661c3fc564713772deec6e064feeb5b4e9594857dc7305193a"),
        ),
    }
)


_LESSAC_LICENCE = "MIT; its recordings under the Blizzard Challenge 2013 licence, see MODEL_CARD"
ABOUT: Mapping[str, About] = MappingProxyType(
    {
        "tinyllama-chat": About("language", "Apache-2.0", 668_788_096),
        "whisper-tiny.en": About("hearing", "MIT", 78_000_000),
        "piper-lessac-medium": About("voice", _LESSAC_LICENCE, 63_206_179),
        "piper-lessac-low": About("voice", _LESSAC_LICENCE, 63_200_000),
    }
)
_NOT_FROM_HERE = "it is a page of the network's own, perhaps a login: open any page in a browser first"


def default_model() -> Path:
    """The language model that ships with the package. Raises ModelError where the package is without it."""
    path = Path(str(resources.files("models"))) / "weights" / "home.gguf"
    if not path.is_file():
        raise ModelError(f"{path} is missing: install the package again, or make the model with `make model`")
    return path


def resolve_model(setting: str | None = None) -> Path:
    """The file that the settings mean: none or "home" for the one that ships, anything else is a path (~ allowed).

    Raises ModelError where there is no such file.
    """
    if setting is None or setting in ("", DEFAULT):
        return default_model()
    try:
        path = Path(setting).expanduser()
    except RuntimeError as error:
        raise ModelError(f"{setting}: there is no such home folder") from error
    if not path.is_file():
        raise ModelError(f"{path}: no such model file; leave the setting out for the one that ships")
    return path


def fetch(
    pin: Pin,
    folder: Path,
    progress: Progress = lambda done, total: None,
    *,
    source: str = HUB,
    patience: Patience = Patience(),
) -> Path:
    """The file of `pin` in `folder`, fetched where it is not there yet, and never without the right digest.

    `source` is the address of a server that has the hub's paths, or a folder (a USB stick) in which the file lies under
    its name, under the name of `folder`, or under its path on the hub. What a broken connection left (NAME.part) is
    gone on with, now and in a later call. `progress` is told the bytes so far and the whole, None where that is not
    known. Raises ModelError.
    """
    target, part = folder / pin.name, folder / f"{pin.name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            if target.is_file() and digest(target) == pin.sha256:
                return target
            if "://" in source:
                _complete(pin, part, progress, source, patience)
                _keep_only(pin, part)
            else:
                _copy_from(pin, part, progress, Path(source), folder.name)
            _put_in_place(part, target)
    except OSError as error:
        raise ModelError(f"{pin.name}: cannot be stored in {folder} ({error.strerror or error})") from error
    return target


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def room(folder: Path, size: int) -> None:
    """Raises ModelError where `size` more bytes would fill the disk of `folder`, which has to be there."""
    free = shutil.disk_usage(folder).free
    if size + RESERVE > free:
        need = f"{_megabytes(size)} more, and {_megabytes(RESERVE)} that stay free"
        raise ModelError(f"there is no room in {folder}: it needs {need}; {_megabytes(free)} are free. Make room there")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Only one at a time writes here; the system takes the lock from who died."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise ModelError(f"{folder} is being written by another command already: wait for its end") from None
    finally:
        os.close(handle)


def _put_in_place(part: Path, target: Path) -> None:
    """Under its name only when all of it is on the disk, so that a power cut leaves it whole or not there."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(target)
    handle = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _keep_only(pin: Pin, part: Path) -> None:
    """Throws away what has the wrong digest. Raises ModelError then."""
    if (found := digest(part)) == pin.sha256:
        return
    with part.open("rb") as file:
        page = file.read(100).lstrip().startswith(b"<")
    part.unlink()
    raise ModelError(
        f"{pin.name}: what came has the digest {found}, not {pin.sha256}; {_NOT_FROM_HERE if page else 'try again'}"
    )


# -- from a folder


def _copy_from(pin: Pin, part: Path, progress: Progress, source: Path, group: str) -> None:
    """Copies into `part` the first of the usual places in `source` whose content is right. Raises ModelError."""
    if not source.is_dir():
        raise ModelError(f"{source}: there is no such folder; is the stick mounted?")
    places = [p for p in (source / group / pin.name, source / pin.path, source / pin.name) if p.is_file()]
    if not places:
        raise ModelError(f"{source} has no {pin.name}: put it there, or into a folder {group} in it")
    for place in places:
        size = place.stat().st_size
        room(part.parent, size - _size(part))
        with place.open("rb") as file:
            _append(pin, file, part, 0, lambda done, size=size: progress(done, size))  # type: ignore[misc]
        if digest(part) == pin.sha256:
            return
        part.unlink()
    raise ModelError(f"{places[0]} is damaged or another version (its SHA-256 should be {pin.sha256})")


# -- from a server


class _LostError(Exception):
    """The connection failed in a way that may be over at the next attempt, `after` seconds where the server says so."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows the hub to where it keeps its files, on whatever host, but never from a protected line to an open one."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        allowed = ("https:",) if req.type == "https" else ("https:", "http:")
        if not newurl.lower().startswith(allowed):
            raise urllib.error.HTTPError(newurl, code, "leads to an unprotected address", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _complete(pin: Pin, part: Path, progress: Progress, source: str, patience: Patience) -> None:
    """Fetch into `part` until the server has no more; a broken connection is made again where it stopped."""
    url = f"{source.rstrip('/')}/{pin.path}"
    if not url.lower().startswith(("https://", "http://")):
        raise ModelError(f"{source}: not an address of a server; it begins with https:// or http://, or is a folder")
    opener = urllib.request.build_opener(_Redirects)
    failed, best = 0, _size(part)
    while True:
        after = None
        try:
            if _go_on(pin, part, progress, url, opener, patience):
                return
            reason = "the connection ended too early"
        except _LostError as error:
            reason, after = str(error), error.after
        failed = 0 if _size(part) >= best + _WORTH else failed + 1
        best = max(best, _size(part))
        if failed == patience.attempts:
            raise ModelError(f"{pin.name}: {reason}; run it again and it goes on from there")
        if after is not None and after > patience.longest:
            raise ModelError(f"{pin.name}: {reason} and asks to come again in {after / 60:.0f} minutes")
        patience.pause(min(patience.longest, _FIRST_PAUSE * 2**failed) if after is None else after)


def _go_on(
    pin: Pin, part: Path, progress: Progress, url: str, opener: urllib.request.OpenerDirector, patience: Patience
) -> bool:
    """One connection: append what `part` lacks. Whether all of it has come."""
    have = _size(part)
    if pin.size is not None and have >= pin.size:
        return True
    try:
        request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
        with opener.open(request, timeout=patience.silence) as response:
            have = _place(response, part, have)
            total = _total(pin, response, have)
            room(part.parent, (total or have) - have)
            done = _append(pin, response, part, have, lambda n: progress(n, total))
    except urllib.error.HTTPError as error:
        return _refused(pin, part, error)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError, ssl.SSLError) as error:
        raise _LostError(_unreached(url, getattr(error, "reason", error))) from error
    except ValueError as error:
        raise ModelError(f"{url} is no address: {error}") from error
    return total is None or done >= total


def _unreached(url: str, reason: object) -> str:
    """Why there is no connection, in words; for a name that nobody knows what is usually behind it."""
    if isinstance(reason, socket.gaierror):
        return f"{urllib.parse.urlsplit(url).hostname} is not found: this machine has no network, or no way into the internet"
    return f"no connection to {url} ({getattr(reason, 'strerror', None) or reason})"


def _place(response: http.client.HTTPResponse, part: Path, have: int) -> int:
    """The byte at which the answer begins: where we asked it to, or at the first. Raises _LostError for any other."""
    if response.status != http.HTTPStatus.PARTIAL_CONTENT:
        return 0
    said = re.match(r"bytes (\d+)-", response.headers.get("Content-Range") or "")
    if said is not None and int(said[1]) != have:
        part.unlink(missing_ok=True)  # or it would answer the same for ever
        raise _LostError(f"the server began at byte {said[1]} instead of {have}")
    return have


def _total(pin: Pin, response: http.client.HTTPResponse, have: int) -> int | None:
    """The size of the whole file: the pin's word counts more than the server's."""
    if pin.size is not None:
        return pin.size
    length = response.headers.get("Content-Length") or ""
    return have + int(length) if length.isdecimal() else None


def _refused(pin: Pin, part: Path, error: urllib.error.HTTPError) -> bool:
    """What an error of the server's means: nothing left to send, come again later, or never."""
    error.close()
    if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return part.exists()  # we have it all, or more: the digest tells
    said = f"the server says {error.code} {error.reason}"
    if error.code >= http.HTTPStatus.INTERNAL_SERVER_ERROR or error.code in _LATER:
        raise _LostError(said, _after(error.headers.get("Retry-After")))
    advice = "; the mirror may not have it" if error.code == http.HTTPStatus.NOT_FOUND else ""
    raise ModelError(f"{pin.name}: {said} to {error.url}{advice}")


def _after(said: str | None) -> float | None:
    """Seconds of a Retry-After, which is a number of them or a date; None where it says nothing that can be read."""
    if said is None:
        return None
    if said.strip().isdecimal():
        return float(said)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(said).timestamp() - time.time())
    except ValueError:
        return None


def _append(
    pin: Pin, source: IO[bytes] | http.client.HTTPResponse, part: Path, have: int, progress: Callable[[int], None]
) -> int:
    """Write `source` behind the first `have` bytes of `part`; the bytes there are then.

    Raises ModelError where more comes than the file can have: something else is sent, or without an end.
    """
    most = MOST if pin.size is None else pin.size
    read = getattr(source, "read1", source.read)  # what has come, without waiting for a whole block
    with part.open("r+b" if have else "wb") as file:
        file.seek(have)
        file.truncate()
        while block := read(_BLOCK):
            have += len(block)
            if have > most:
                part.unlink()
                raise ModelError(f"{pin.name}: more came than the {most:,} bytes that it has; it was thrown away")
            file.write(block)
            progress(have)
    return have


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0
