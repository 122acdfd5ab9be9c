"""Where the parts of the hub lie that are no Python: the scripts of the broker, the service file."""

from __future__ import annotations

import sys
from pathlib import Path

import hub
from hub.setup.asking import SetupError


def deploy(*parts: str) -> Path:
    """A file of deploy/: beside an installed hub's environment, or in the checkout. Raises SetupError."""
    tried = [folder / "deploy" for folder in (Path(sys.prefix), Path(hub.__file__).parents[1])]
    for folder in tried:
        if folder.joinpath(*parts).is_file():
            return folder.joinpath(*parts)
    missing = "/".join(("deploy", *parts))
    raise SetupError(f"{missing} is not installed here: the hub was not set up by deploy/install.sh, which brings it")
