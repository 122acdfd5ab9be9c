"""What model files there are, where they lie, and how they are fetched: only when asked, and only what the pin names."""

from __future__ import annotations

import hashlib
import http.client
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import MappingProxyType

from models import ModelError

HUB = "https://huggingface.co"
DEFAULT = "home"
SECONDS = 30.0  # without a byte, before a connection counts as lost
ATTEMPTS = 4  # connections that may break before we give up; each goes on where the last one stopped
_BLOCK = 1 << 18

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


def fetch(pin: Pin, folder: Path, progress: Progress = lambda done, total: None, *, hub: str = HUB) -> Path:
    """The file of `pin` in `folder`, fetched where it is not there yet, and never without the right digest.

    What a broken connection left (NAME.part) is gone on with, now and in a later call. `progress` is told the bytes so
    far and the whole, None where that is not known. Raises ModelError.
    """
    target = folder / pin.name
    part = folder / f"{pin.name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if target.is_file() and digest(target) == pin.sha256:
            return target
        _complete(pin, part, progress, f"{hub}/{pin.path}")
        found = digest(part)
        if found != pin.sha256:
            part.unlink()
            raise ModelError(f"{pin.name}: what came has the digest {found}, not {pin.sha256}; try again")
        part.replace(target)
    except OSError as error:
        raise ModelError(f"{pin.name}: cannot be stored in {folder} ({error.strerror or error})") from error
    return target


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _complete(pin: Pin, part: Path, progress: Progress, url: str) -> None:
    """Fetch into `part` until the server has no more; a broken connection is made again where it stopped."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            if _go_on(pin, part, progress, url):
                return
            reason = "the connection ended too early"
        except _LostError as error:
            reason = str(error)
        if attempt == ATTEMPTS:
            raise ModelError(f"{pin.name}: {reason}; run it again and it goes on from there")


class _LostError(Exception):
    """The connection failed in a way that may be over at the next attempt."""


def _go_on(pin: Pin, part: Path, progress: Progress, url: str) -> bool:
    """One connection: append what `part` lacks. Whether all of it has come."""
    have = part.stat().st_size if part.exists() else 0
    if pin.size is not None and have >= pin.size:
        return True
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as response:
            have = have if response.status == http.HTTPStatus.PARTIAL_CONTENT else 0
            length = response.headers.get("Content-Length")
            total = have + int(length) if length else pin.size
            done = _copy(response, part, have, lambda n: progress(n, total))
    except urllib.error.HTTPError as error:
        return _refused(pin, part, error)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError, ssl.SSLError) as error:
        raise _LostError(f"no connection to {url} ({getattr(error, 'reason', error)})") from error
    return total is None or done >= total


def _refused(pin: Pin, part: Path, error: urllib.error.HTTPError) -> bool:
    """What an error of the server's means: nothing left to send, come again later, or never."""
    error.close()
    if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return part.exists()  # we have it all, or more: the digest tells
    if error.code >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        raise _LostError(f"the server says {error.code} {error.reason}")
    raise ModelError(f"{pin.name}: the server says {error.code} {error.reason} to {error.url}")


def _copy(response: http.client.HTTPResponse, part: Path, have: int, progress: Callable[[int], None]) -> int:
    """Append the answer's body behind the first `have` bytes of `part`; the bytes there are then."""
    with part.open("r+b" if have else "wb") as file:
        file.seek(have)
        file.truncate()
        while block := response.read(_BLOCK):
            file.write(block)
            have += len(block)
            progress(have)
    return have
