"""What the hub tells the person who looks after it: readable lines, and what journald understands when it is a service.

Under systemd each line begins with the priority of sd-daemon(3), `<6>`, and ends with its fields, `key=value`.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping

# From Python's levels to syslog's.
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.DEBUG, 7))
FIELDS = "fields"  # logger.info(..., extra={"fields": {...}})


class PlainFormatter(logging.Formatter):
    """For a terminal: time, level where it is not info, and the text."""

    def format(self, record: logging.LogRecord) -> str:
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        return f"{self.formatTime(record, '%H:%M:%S')} {level}{_text(self, record)}"


class JournalFormatter(logging.Formatter):
    """For journald: one line, so that a text with newlines stays one entry."""

    def format(self, record: logging.LogRecord) -> str:
        priority = next((p for level, p in _PRIORITIES if record.levelno >= level), 7)
        fields: Mapping[str, object] = {"logger": record.name, **getattr(record, FIELDS, {})}
        said = _text(self, record).replace("\n", " | ")
        return f"<{priority}>{said} {' '.join(f'{key}={_field(value)}' for key, value in fields.items())}"


def set_up(level: str) -> None:
    """Sends every log line to stderr, in the form that whoever reads it needs."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JournalFormatter() if under_systemd() else PlainFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noisy in ("asyncio", "amqtt", "transitions", "mqtt"):
        logging.getLogger(noisy).setLevel(logging.ERROR)


def under_systemd() -> bool:
    """Whether stderr goes to journald (systemd.exec(5): JOURNAL_STREAM is the device and inode of the stream)."""
    try:
        status = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _text(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    text = record.getMessage()
    return f"{text}\n{formatter.formatException(record.exc_info)}" if record.exc_info else text


def _field(value: object) -> str:
    text = str(value)
    return text if text and not any(c.isspace() or c in '"=' for c in text) else json.dumps(text)
