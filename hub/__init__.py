"""Where the parts meet: the daemon, the command line, and what they say to people."""

from __future__ import annotations

__version__ = "0.1.0"


class HubError(Exception):
    """The root of every error that this package raises on purpose; the text is for a person and says what to do."""
