"""The compact line: cut into words, written, read back, and refused where it is not one."""

from __future__ import annotations

import pytest

from intents.line import LineError, Parse, read, words, write


@pytest.mark.parametrize(
    ("utterance", "expected"),
    [
        ("Set the lamp to 50%!", "set the lamp to 50 %"),
        ("It’s 21.5° in Zoë's room", "it's 21.5 ° in zoë's room"),
        ("wi-fi, CO2 & 10:30", "wi-fi co 2 10:30"),
        ("  \t\n ", ""),
        ("don't — really", "don't really"),
    ],
)
def test_words(utterance: str, expected: str) -> None:
    assert " ".join(words(utterance)) == expected


@pytest.mark.parametrize(
    "parses",
    [
        [],
        [Parse("turn_on", {"what": "the lamp"})],
        [Parse("set", {"up": "", "what": "heating", "by": "two degrees"}), Parse("nevermind")],
        [Parse("timer_start", {"for": "5 minutes", "called": "tea"})],
    ],
)
def test_a_line_reads_back(parses: list[Parse]) -> None:
    assert read(write(parses)) == parses


@pytest.mark.parametrize(
    "line",
    ["", "turn on", "<none><turn_on>", "<turn_on><and>", "<what> lamp", "<turn_on><up> lamp", "<turn_on><what>",
     "<turn_on><what> a<what> b", "<fly><what> lamp", "<turn_on><what> lamp<none>"],
)  # fmt: skip
def test_what_is_no_line_is_refused(line: str) -> None:
    with pytest.raises(LineError):
        read(line)
