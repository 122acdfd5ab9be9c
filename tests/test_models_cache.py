"""The cache of answers: it gives back what was put in and nothing else, whatever happens to its file."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

import pytest

from models.cache import ParseCache
from models.completion import Completion

ANSWER = Completion(
    "<turn_on><what> the café lamp", (7, 9, 400), (-0.1, 0.0, -1.0 / 3), ms_read=3.0, ms_write=2.0, read=9
)
ASKED = ("model a", "turn on the café lamp<do>", "start: <none>")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "parses.sqlite"


def same(one: Completion | None, other: Completion) -> bool:
    return one is not None and (one.text, one.tokens, one.logprobs) == (other.text, other.tokens, other.logprobs)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_what_was_answered_is_known_after_a_restart(file: Path) -> None:
    with ParseCache(file) as cache:
        assert cache.get(*ASKED) is None
        cache.put(*ASKED, ANSWER)
        assert same(cache.get(*ASKED), ANSWER)
    with ParseCache(file) as cache:
        found = cache.get(*ASKED)
        assert same(found, ANSWER)
        assert found is not None
        assert found.confidence == ANSWER.confidence
        assert (found.ms_read, found.ms_write, found.read) == (0.0, 0.0, 0)


@pytest.mark.parametrize("place", range(3))
def test_another_model_prompt_or_grammar_is_another_question(file: Path, place: int) -> None:
    """Names of a home would be in the prompt or in the grammar; a model file of other bytes has another fingerprint."""
    other = [*ASKED]
    other[place] += " "
    with ParseCache(file) as cache:
        cache.put(*ASKED, ANSWER)
        assert cache.get(*other) is None


def test_parts_of_a_question_do_not_run_into_each_other(file: Path) -> None:
    with ParseCache(file) as cache:
        cache.put("m", "ab", "c", ANSWER)
        assert cache.get("m", "a", "bc") is None
        assert cache.get("ma", "b", "c") is None


def test_answers_of_another_model_go(file: Path) -> None:
    with ParseCache(file) as cache:
        cache.put(*ASKED, ANSWER)
    with ParseCache(file) as cache:
        cache.put("model b", *ASKED[1:], ANSWER)
        assert len(cache) == 1
        assert cache.get(*ASKED) is None


def test_it_stays_small_and_the_oldest_go_first(file: Path) -> None:
    with ParseCache(file, most=3) as cache:
        for n in range(10):
            cache.put("m", f"{n}", "g", ANSWER)
        assert len(cache) == 3
        assert [n for n in range(10) if cache.get("m", f"{n}", "g")] == [7, 8, 9]
        cache.put("m", "9", "g", ANSWER)
        assert len(cache) <= 3


def test_a_thousand_answers_are_under_two_megabytes(file: Path) -> None:
    with ParseCache(file) as cache:
        for n in range(1000):
            cache.put("m" * 64, f"{n}", "g", ANSWER)
    assert sum(f.stat().st_size for f in file.parent.iterdir()) < 2_000_000


@pytest.mark.parametrize("broken", [b"no database, " * 400, b"SQLite format 3\x00" + b"\xff" * 5000, b"x" * 600])
def test_a_damaged_file_is_an_empty_cache_with_a_warning(
    file: Path, broken: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    file.parent.mkdir()
    file.write_bytes(broken)
    with ParseCache(file) as cache:
        assert any(str(file) in text for text in warnings(caplog))
        assert cache.get(*ASKED) is None
        cache.put(*ASKED, ANSWER)
        assert same(cache.get(*ASKED), ANSWER)
    caplog.clear()
    with ParseCache(file) as cache:
        assert same(cache.get(*ASKED), ANSWER)
    assert not warnings(caplog)


def test_damage_anywhere_never_changes_an_answer(file: Path) -> None:
    with ParseCache(file) as cache:
        for n in range(40):
            cache.put("m", f"{n}", "g", ANSWER)
    whole = file.read_bytes()
    for place in range(100, len(whole), 997):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        with ParseCache(file) as cache:
            found = [cache.get("m", f"{n}", "g") for n in range(40)]
        assert all(answer is None or same(answer, ANSWER) for answer in found)


def test_an_answer_that_was_changed_by_hand_is_not_believed(file: Path) -> None:
    with ParseCache(file) as cache:
        cache.put(*ASKED, ANSWER)
    base = sqlite3.connect(file)
    base.execute("UPDATE parses SET answer = replace(answer, 'turn_on', 'unlock')")
    base.commit()
    base.close()
    with ParseCache(file) as cache:
        assert cache.get(*ASKED) is None


def test_a_file_of_another_format_is_begun_anew(file: Path) -> None:
    file.parent.mkdir()
    base = sqlite3.connect(file)
    base.execute("CREATE TABLE parses (old TEXT)")
    base.execute("PRAGMA user_version = 99")
    base.commit()
    base.close()
    with ParseCache(file) as cache:
        cache.put(*ASKED, ANSWER)
        assert same(cache.get(*ASKED), ANSWER)


def test_a_file_that_cannot_be_used_is_told_once_and_does_no_harm(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "taken").write_text("a file, where a folder is wanted")
    for path in (tmp_path / "taken" / "parses.sqlite", tmp_path):
        caplog.clear()
        with ParseCache(path) as cache:
            for _ in range(3):
                cache.put(*ASKED, ANSWER)
                assert cache.get(*ASKED) is None
            assert len(cache) == 0
        (told,) = warnings(caplog)
        assert str(path) in told


def test_a_writer_beside_us_costs_no_answer(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    with ParseCache(file) as cache:
        cache.put(*ASKED, ANSWER)
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        cache.put("model a", "something else", "g", ANSWER)
        assert same(cache.get(*ASKED), ANSWER)
        other.execute("COMMIT")
        other.close()
        cache.put("model a", "something else", "g", ANSWER)
        assert cache.get("model a", "something else", "g") is not None
    assert any("cannot be used" in text for text in warnings(caplog))


def test_two_processes_share_it(file: Path) -> None:
    with ParseCache(file) as one, ParseCache(file) as two:
        one.put(*ASKED, ANSWER)
        assert same(two.get(*ASKED), ANSWER)
        two.put("model a", "b", "g", ANSWER)
        assert same(one.get("model a", "b", "g"), ANSWER)


def test_nobody_else_may_read_what_was_said(file: Path) -> None:
    with ParseCache(file) as cache:
        cache.put(*ASKED, ANSWER)
        assert {f.stat().st_mode & 0o077 for f in file.parent.iterdir()} == {0}


def test_closing_twice_does_no_harm(file: Path) -> None:
    cache = ParseCache(file)
    cache.close()
    cache.close()
