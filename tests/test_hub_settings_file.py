"""Changing the settings file: the key that is meant and nothing else, comments and all, or not at all."""

from __future__ import annotations

import resource
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest

from hub.forms import NEWEST, Changes, Table, changes
from hub.settings import SettingsError, load, older
from hub.settings_file import change, changed, migrate

MODEL: Changes = {("model", "file"): 'a"b'}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '[model]\nfile = "a\\"b"\n'),
        ('id = "x"', 'id = "x"\n[model]\nfile = "a\\"b"\n'),
        ("[model]\nthreads = 2\n", '[model]\nthreads = 2\nfile = "a\\"b"\n'),
        ("[model]", '[model]\nfile = "a\\"b"\n'),
        ("[ model ]\r\nfile='home' # c\r\n", '[ model ]\r\nfile="a\\"b" # c\r\n'),
        ('[model]\nfile = "x\\"y"\n[house]\n', '[model]\nfile = "a\\"b"\n[house]\n'),
        ('model = { file = "home" }\n', 'model = { file = "a\\"b" }\n'),
        ("model.threads = 2\n", 'model.threads = 2\nmodel.file = "a\\"b"\n'),
        ('[model]\nfile = """home"""\n', '[model]\nfile = "a\\"b"\n'),
        ('# why\n\n[house.floors] # where\nHall = "Up"\n', None),
    ],
)
def test_one_key_is_set_and_every_other_line_stays(before: str, after: str | None) -> None:
    result = changed(before, MODEL)
    assert result == after if after else result.startswith(before)
    assert tomllib.loads(result)["model"]["file"] == 'a"b'


def test_tables_are_made_and_keys_taken_out() -> None:
    text = '[broker]\nhost = "x" # mine\nusername = "me"\n'
    device = ("house", "devices", '0x1 "é"')
    result = changed(
        text,
        {("broker", "username"): None, (*device, "area"): "Hall", (*device, "aliases"): ["a", "b"], ("a", "b"): None},
    )
    assert result.startswith('[broker]\nhost = "x" # mine\n')
    assert tomllib.loads(result) == {
        "broker": {"host": "x"},
        "house": {"devices": {'0x1 "é"': {"area": "Hall", "aliases": ["a", "b"]}}},
    }


def test_a_link_stays_a_link_and_a_new_file_is_for_its_owner(tmp_path: Path) -> None:
    change(tmp_path / "etc" / "hub.toml", {("model", "file"): "home"})
    made = tmp_path / "etc" / "hub.toml"
    assert made.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in made.parent.iterdir()] == ["hub.toml"]
    link = tmp_path / "hub.toml"
    link.symlink_to(made)
    change(link, {("model", "file"): "other.gguf"})
    assert link.is_symlink()
    assert load(made).model.file == "other.gguf"


def test_a_file_that_gets_a_password_is_shut_and_so_is_what_it_was(tmp_path: Path) -> None:
    file = tmp_path / "hub.toml"
    file.write_text('room = "Hall"\n')
    file.chmod(0o644)
    change(file, {("room",): "Attic"})
    assert file.stat().st_mode & 0o777 == 0o644
    change(file, {("broker", "username"): "hub", ("broker", "password"): "one"})
    assert file.stat().st_mode & 0o777 == 0o600
    change(file, {("broker", "password"): "two"})
    backup = tmp_path / "hub.toml.bak"
    assert "one" in backup.read_text()
    assert backup.stat().st_mode & 0o777 == 0o600


def test_a_wrong_file_or_value_is_not_written(tmp_path: Path) -> None:
    file = tmp_path / "hub.toml"
    for content in (b"[broker]\nprot = 1\n", b"\xff", b"[model\n"):
        file.write_bytes(content)
        with pytest.raises(SettingsError, match=r"hub\.toml"):
            change(file, MODEL)
        assert [p.read_bytes() for p in tmp_path.iterdir()] == [content]
    file.write_bytes(b"")
    with pytest.raises(SettingsError, match=r"broker\.port"):
        change(file, {("broker", "port"): 0})
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b""]


@contextmanager
def full_disk() -> Iterator[None]:
    """Not one byte more can be written to any file by this process."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "hub.toml"
    file.write_text("# mine\n")
    with full_disk(), pytest.raises(SettingsError, match="look at the disk"):
        change(file, MODEL)
    assert [p.name for p in tmp_path.iterdir()] == ["hub.toml"]
    assert file.read_text() == "# mine\n"


OLD = """# my home
room = "Hall" # where most is said

[safety] # as in the example
# not less
sure = 0.3 # of what was read
sure_to_unlock = 0.9
"""


def test_an_older_form_is_made_new_with_its_comments_and_kept_with_a_date(tmp_path: Path) -> None:
    file, today = tmp_path / "hub.toml", f"{date.today():%Y-%m-%d}"
    file.write_text(OLD)
    file.chmod(0o640)
    assert migrate(file) == tmp_path / f"hub.toml.{today}"
    assert (tmp_path / f"hub.toml.{today}").read_text() == OLD
    assert {p.stat().st_mode & 0o777 for p in tmp_path.iterdir()} == {0o640}
    head, text = file.read_text().split("\n\n", 1)
    assert head.endswith(f"version = {NEWEST}")
    assert text == OLD.replace("0.3", "0.2")
    settings = load(file)
    assert (settings.safety.sure, settings.safety.sure_to_unlock) == (0.2, 0.9)
    assert migrate(file) is None
    assert len(list(tmp_path.iterdir())) == 2
    file.write_text("version = 1\n")
    assert migrate(file) == tmp_path / f"hub.toml.{today}.2"
    assert file.read_text() == f"version = {NEWEST}\n"


def test_an_older_form_is_read_as_it_was_meant_and_changed_after_it_was_made_new(tmp_path: Path) -> None:
    file = tmp_path / "hub.toml"
    file.write_text(OLD)
    assert load(file).safety.sure == 0.2
    assert "form 1" in older(file)
    change(file, {("safety", "sure"): 0.3})
    assert load(file).safety.sure == 0.3
    assert older(file) == ""
    assert sorted(p.read_text() == OLD for p in tmp_path.iterdir()) == [False, True, True]


def test_what_is_set_now_is_never_read_as_of_an_older_form(tmp_path: Path) -> None:
    for text in ("", "room = 'Hall'\n", "[safety]\nsure = 0.4\n", "version = 1\n"):
        file = tmp_path / "hub.toml"
        file.write_text(text)
        change(file, {("safety", "sure_to_unlock"): 0.6})
        assert load(file).safety.sure_to_unlock == 0.6
        assert file.read_text().count("version") == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"room = ''\nversion = {NEWEST + 1}\n", "line 2: its form is .* bring the hub up to date"),
        ("version = 'x'\n", "whole number from 1"),
        ("version = true\n", "whole number from 1"),
        ("version = 0\n", "whole number from 1"),
    ],
)
def test_a_form_that_is_not_known_is_refused_and_left_alone(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "hub.toml"
    file.write_text(text)
    for attempt in (load, migrate, lambda f: change(f, MODEL)):
        with pytest.raises(SettingsError, match=told if attempt is load else told.removeprefix("line 2: ")):
            attempt(file)
    assert [p.read_text() for p in tmp_path.iterdir()] == [text]


def test_what_cannot_be_migrated_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "hub.toml"
    for content in (b"[safety]\nsure = 9\n", b"\xff", b"[safety\n", b"safety = 1\n"):
        file.write_bytes(content)
        with pytest.raises(SettingsError, match=r"hub\.toml"):
            migrate(file)
        assert [p.read_bytes() for p in tmp_path.iterdir()] == [content]
    file.write_text(OLD)
    with full_disk(), pytest.raises(SettingsError, match="look at the disk"):
        migrate(file)
    assert [p.read_text() for p in tmp_path.iterdir()] == [OLD]


def test_steps_are_taken_one_after_the_other() -> None:
    def renamed(table: Table) -> Changes:
        return {("a", "old"): None, ("b", "new"): table["a"]["old"]}

    def doubled(table: Table) -> Changes:
        return {("b", "new"): 2 * table["b"]["new"]}

    steps, table = (renamed, doubled), {"a": {"old": 1, "kept": 2}}
    assert changes(table, steps) == {("a", "old"): None, ("b", "new"): 2, ("version",): 3}
    assert changes({"version": 2, "b": {"new": 4}}, steps) == {("b", "new"): 8, ("version",): 3}
    assert changes({"version": 3}, steps) == {}
    assert table == {"a": {"old": 1, "kept": 2}}
