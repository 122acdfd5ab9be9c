"""A broker on this machine: installed by the system's own tool, and secured by deploy/mosquitto/secure.sh."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from hub.setup.asking import SetupError
from hub.setup.places import deploy

WITHIN = 900.0  # seconds for the system's tool; a slow card and a slow line take minutes
OURS = "hub.conf"
_LETS_IN = re.compile(
    r"^\s*(listener|port|allow_anonymous|password_file|acl_file|plugin|auth_plugin|bind_address)\b", re.MULTILINE
)
Tell = Callable[[str], None]


def can_be_installed(root: Path = Path("/")) -> bool:
    """Whether this is a Debian, we may, and no broker that somebody set up otherwise would be shut to its devices."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None and not others(root)


def others(root: Path) -> list[Path]:
    """The files in which somebody else has said whom mosquitto lets in and where it listens."""
    folder = root / "etc/mosquitto"
    files = [folder / "mosquitto.conf", *sorted((folder / "conf.d").glob("*.conf"))]
    return [file for file in files if file.name != OURS and file.is_file() and _LETS_IN.search(_text(file))]


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""


def install(names: Sequence[str], tell: Tell) -> str:
    """The password of the user `hub` of the broker that runs here then. Raises SetupError."""
    script = deploy("mosquitto", "secure.sh")
    password = secrets.token_urlsafe(24)
    if shutil.which("mosquitto_passwd") is None or shutil.which("openssl") is None:
        tell("apt-get install mosquitto openssl ...")
        apt = ["apt-get", "install", "-y", "--no-install-recommends", "mosquitto", "openssl"]
        _run(apt, os.environ | {"DEBIAN_FRONTEND": "noninteractive"})
    tell("securing it ...")
    _run(["bash", str(script), *names], os.environ, password)
    return password


def _run(command: Sequence[str], environment: os._Environ[str] | dict[str, str], said: str = "") -> None:
    """`said` goes in through a pipe, so that no other user of this machine can see it."""
    try:
        done = subprocess.run(
            command, input=said, capture_output=True, text=True, timeout=WITHIN, env=dict(environment), check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SetupError(f"{command[0]} cannot be run: {error}") from None
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-3:]
        raise SetupError(f"{' '.join(command[:3])} failed: {' '.join(last)}")
