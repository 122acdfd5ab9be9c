"""Changing the settings file: the key that is meant and nothing else, comments and all, or not at all."""

from __future__ import annotations

import resource
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hub.settings import SettingsError, load
from hub.settings_file import Changes, change, changed

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
