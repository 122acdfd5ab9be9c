"""Log lines for people and for journald."""

from __future__ import annotations

import logging

from hub.logs import JournalFormatter, PlainFormatter


def record(level: int, text: str, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("hub.daemon", level, "f.py", 1, text, (), None)
    made.__dict__.update(extra)
    return made


def test_a_person_reads_time_level_and_text() -> None:
    assert PlainFormatter().format(record(logging.INFO, "ready"))[8:] == " ready"
    assert PlainFormatter().format(record(logging.WARNING, "slow"))[8:] == " warning: slow"


def test_journald_reads_a_priority_one_line_and_fields() -> None:
    line = JournalFormatter().format(record(logging.ERROR, "two\nlines", fields={"room": "Living room", "ms": 3}))
    assert line == '<3>two | lines logger=hub.daemon room="Living room" ms=3'
    assert JournalFormatter().format(record(logging.INFO, "x")).startswith("<6>")
    assert JournalFormatter().format(record(logging.DEBUG, "x")).startswith("<7>")
