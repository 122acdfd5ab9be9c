"""`hub bundle FOLDER`: all that deploy/install.sh needs on a machine without a network, with digests.

The machine is one of this kind, or has another processor; of what there is no wheel for that one to fetch, which is
llama.cpp alone, the wheel has to lie in FOLDER/wheels before: deploy/arm64_wheel.sh compiles it.

FOLDER/install.sh    installs from the folder in which it lies
FOLDER/wheels/       the hub and all it needs, as wheels for the processor and for this Python
FOLDER/models/       a folder for each model, as `hub setup models` takes them from a USB stick
FOLDER/deploy/       the scripts, the service, the broker's configuration
FOLDER/bundle.json   what it is for
FOLDER/SHA256SUMS    the digest of every other file, for `sha256sum -c`
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import hub
from hub import HubError, __version__, fetching
from hub.fetching import Shelf
from hub.installed import DISTRIBUTION
from hub.settings import Settings
from hub.setup.places import deploy
from models.files import HUB, digest

SUMS, ABOUT = "SHA256SUMS", "bundle.json"
EXTRAS = ("demo", "voice", "find", "wyoming")
MACHINES = ("aarch64", "x86_64")
# What makes packages and tries them out is for a checkout.
NOT_PACKED = ("debian", "deb*.sh", "*_check*.sh")
# The C library of the oldest system that has a Python that is new enough (Ubuntu 22.04, with one from elsewhere).
GLIBC = 35

Tell = Callable[[str], None]


def bundle(
    settings: Settings,
    folder: Path,
    extras: Sequence[str],
    models: Sequence[str],
    source: str,
    tell: Tell,
    machine: str = "",
) -> str:
    """Makes the folder, or brings it up to date; says what is in it. `tell` is told what is being done.

    Models that are here already are copied, others are fetched from `source` ("" for the usual server). `machine` is
    the other's processor, "" for one such as here. Raises HubError and ModelError; without its SHA256SUMS a folder is
    not finished, and install.sh refuses it.
    """
    machine = machine or platform.machine()
    foreign = machine != platform.machine()
    if foreign and machine not in MACHINES:
        raise HubError(f"there are no wheels for {machine!r}; there are some for {' and '.join(MACHINES)}")
    if foreign and not any((folder / "wheels").glob(f"llama_cpp_python-*{machine}.whl")):
        raise HubError(
            f"{folder / 'wheels'} needs llama.cpp for {machine} first: bash deploy/arm64_wheel.sh compiles it"
        )
    for extra in extras:
        if extra not in EXTRAS:
            raise HubError(f"there is no extra {extra!r}; there are {', '.join(EXTRAS)}")
    here, there = fetching.shelf(settings), Shelf(folder / "models")
    for name in models:
        here.known(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / SUMS).unlink(missing_ok=True)
        _scripts(folder)
        _wheels(folder / "wheels", extras, _foreign(machine) if foreign else (), tell)
        for name in models:
            fetching.fetched(there, name, source or (str(here.folder) if here.whole(name) else HUB), tell)
        about = {
            "hub": __version__,
            "python": f"{sys.version_info.major}.{sys.version_info.minor}",
            "machine": machine,
            "extras": list(extras),
            "models": list(models),
        }
        (folder / ABOUT).write_text(json.dumps(about, indent=1) + "\n")
        tell("digests ...")
        files = _sums(folder)
    except OSError as error:
        raise HubError(f"{error.filename or folder}: cannot be written ({error.strerror}); look at the disk") from None
    size = sum(file.stat().st_size for file in files)
    return (
        f"{folder}: {len(files)} files, {size / 1e6:,.0f} MB. On the other machine: sudo bash {folder.name}/install.sh"
    )


def _scripts(folder: Path) -> None:
    scripts = deploy("install.sh").parent
    shutil.copytree(scripts, folder / "deploy", dirs_exist_ok=True, ignore=shutil.ignore_patterns(*NOT_PACKED))
    shutil.copy(scripts / "install.sh", folder)


def _sums(folder: Path) -> list[Path]:
    """Writes the digests of all files; last of all, and at once."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and not file.name.endswith(".part"))
    lines = "".join(f"{digest(file)}  {file.relative_to(folder)}\n" for file in files)
    new = folder / f".{SUMS}.new"
    new.write_text(lines)
    new.replace(folder / SUMS)
    return files


def _wheels(folder: Path, extras: Sequence[str], foreign: Sequence[str], tell: Tell) -> None:
    """The hub's own wheel and those of all it needs; what is there already is not built or fetched again.

    `foreign` is what pip is told of another machine, for which nothing can be built here.
    """
    own = _own_wheel()
    what = f"[{','.join(extras)}]" if extras else ""
    folder.mkdir(exist_ok=True)
    for old in folder.glob(f"{DISTRIBUTION.replace('-', '_')}-*.whl"):
        old.unlink()
    pip = [sys.executable, "-m", "pip"]
    there = ["--find-links", str(folder)]
    if foreign:
        _piped([*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), str(own)], tell)
        own = next(folder.resolve().glob(f"{DISTRIBUTION.replace('-', '_')}-*.whl"))
        command = [*pip, "download", *foreign, "--dest", str(folder), *there]
    else:
        command = [*pip, "wheel", "--wheel-dir", str(folder), *there]
    _piped([*command, f"{DISTRIBUTION}{what} @ {own.as_uri()}"], tell)


def _foreign(machine: str) -> list[str]:
    """pip takes names of platforms as they are, so each that will do is named."""
    names = [f"manylinux_2_{minor}_{machine}" for minor in range(17, GLIBC + 1)]
    names += [f"manylinux2014_{machine}", f"linux_{machine}"]
    return ["--only-binary", ":all:", *(word for name in names for word in ("--platform", name))]


def _own_wheel() -> Path:
    """A checkout, from which pip builds the hub's wheel; or the wheel that install.sh left. Raises HubError."""
    root = Path(hub.__file__).parents[1]
    if (root / "pyproject.toml").is_file():
        return root
    kept = sorted((Path(sys.prefix) / "wheels").glob(f"{DISTRIBUTION.replace('-', '_')}-*.whl"))
    if not kept:
        raise HubError("the hub's own wheel is not here: make the bundle from a checkout, or where install.sh was used")
    return kept[-1]


def _piped(command: Sequence[str], tell: Tell) -> None:
    """Runs pip, and tells each line that it says. Raises HubError."""
    said: list[str] = []
    environment = os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        try:
            for line in process.stdout or ():
                said.append(line.rstrip())
                tell(f"pip: {line.strip()[:100]}")
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        last = " ".join(line for line in said[-4:] if line)
        raise HubError(f"pip cannot get all that is needed: {last}")
