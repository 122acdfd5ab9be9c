"""The settings file: its example is the defaults, and every mistake in it is found with its line and key."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from hub.pin import hashed
from hub.settings import Settings, SettingsError, as_toml, find, load, parse

EXAMPLE = Path(__file__).parents[1] / "deploy" / "hub.example.toml"


def test_the_example_is_the_defaults() -> None:
    assert load(EXAMPLE) == Settings()


def test_the_example_has_every_setting() -> None:
    text = EXAMPLE.read_text()
    for table, fields in Settings().model_dump().items():
        for key in fields if isinstance(fields, dict) else (table,):
            assert f"{key} = " in text or f".{key}" in text, key


def test_what_is_shown_can_be_read_again() -> None:
    settings = parse('[house.floors]\n"Living room" = "Ground floor"\n[broker]\nusername = "me"\n', "f")
    assert parse(as_toml(settings.model_dump(mode="json")), "shown") == settings


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ('id = "home"\n\n[broker]\nprot = 1883\n', "line 4, broker.prot", "no such setting"),
        ('[broker]\nhost = "b"\nport = "x"\n', "line 3, broker.port", "integer"),
        ("[broker]\nport = 70000\n", "line 2, broker.port", "65536"),
        ('id = "my home"\n', "line 1, id", "pattern"),
        ('[house.devices."L 1"]\nname = "x"\ncolour = 1\n', "line 3, house.devices.L 1.colour", "no such setting"),
        ("[safety]\n# how sure\nsure = 2\n", "line 3, safety.sure", "1"),
        ('[broker]\npassword = "p"\n', "line 1, broker", "user name"),
        ("broker = { prot = 1 }\n", "line 1, broker.prot", "no such setting"),
        ("[broker\n", "line 1", "not TOML"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_key(text: str, where: str, what: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(text, "my.toml")
    assert str(caught.value).startswith("my.toml")
    assert where in str(caught.value)
    assert what in str(caught.value)


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        parse("[broker]\nprot = 1\nport = 0\n", "my.toml")
    assert len(str(caught.value).splitlines()) == 2


def test_the_files_are_looked_for_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, named, user = (tmp_path / name for name in ("given.toml", "named.toml", "hub/hub.toml"))
    user.parent.mkdir()
    for file in (given, named, user):
        file.write_text("")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HUB_CONFIG", str(named))
    assert find(given) == given
    assert find() == named
    monkeypatch.delenv("HUB_CONFIG")
    assert find() == user
    with pytest.raises(SettingsError, match=r"missing\.toml"):
        find(tmp_path / "missing.toml")


def test_the_password_is_not_in_the_repr() -> None:
    assert "secret" not in repr(parse('[broker]\nusername = "u"\npassword = "secret"\n', "f"))


def test_the_pin_is_neither_plain_nor_shown() -> None:
    with pytest.raises(SettingsError, match="hub setup sensitive") as caught:
        parse('[safety]\npin = "4071"\n', "f")
    assert "4071" not in str(caught.value)
    kept = hashed("4071")
    assert kept not in repr(parse(f'[safety]\npin = "{kept}"\n', "f"))


def test_devices_and_floors_reach_the_house() -> None:
    overrides = parse(tomllib_text(), "f").house.overrides()
    assert overrides.floors["Kitchen"] == "Ground floor"
    assert overrides.devices["0x1"].aliases == ("corner lamp",)


def tomllib_text() -> str:
    text = '[house.floors]\nKitchen = "Ground floor"\n[house.devices.0x1]\naliases = ["corner lamp"]\n'
    assert tomllib.loads(text)
    return text
