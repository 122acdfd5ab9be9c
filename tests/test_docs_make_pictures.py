"""The pictures in the guides: made at a real terminal, small, whole, used, and without a word of the machine that made them."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

pytest.importorskip("pexpect")
pytest.importorskip("pyte")
pytest.importorskip("rich")
ROOT = Path(__file__).parents[1]
PICTURES = sorted((ROOT / "docs" / "pictures").glob("*.svg"))


def made() -> ModuleType:
    """The script that makes them, as a module."""
    spec = importlib.util.spec_from_file_location("make_pictures", ROOT / "docs" / "make_pictures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make_pictures = made()


def text(svg: str) -> str:
    """What stands in a picture."""
    return "\n".join(
        "".join(node.itertext()) for node in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    )


@pytest.fixture
def terminal() -> Iterator[object]:
    terminal = make_pictures.Terminal(30)
    yield terminal
    terminal.close()


def test_what_a_command_shows_is_what_is_drawn(terminal: object) -> None:
    terminal.run("read -p 'Who: ' who; printf '\\033[31m%s\\033[m <%s>\\n' red \"$who\"", ("Who", "me & you"))  # type: ignore[attr-defined]
    terminal.run("printf '  12345\\r  ab\\033[K\\n%040d\\n' 7")  # type: ignore[attr-defined]
    lines = terminal.lines()  # type: ignore[attr-defined]
    shown = "\n".join(line.plain for line in lines)
    assert "Who: me & you\nred <me & you>" in shown
    assert "\n  ab\n" + 30 * "0" + "\n" + 9 * "0" + "7" in shown
    drawn = make_pictures.draw("some", "a window", 30, lines)
    assert "red" in text(drawn).splitlines()
    assert "\N{NO-BREAK SPACE}<me\N{NO-BREAK SPACE}&\N{NO-BREAK SPACE}you>" in text(drawn)
    assert drawn.count("http") == 1  # the name of the format; no font and nothing else from the network


def test_every_picture_is_there_and_shown_somewhere() -> None:
    assert {file.stem for file in PICTURES} == set(make_pictures.SHOWN)
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    shown = {
        (page.parent / place).resolve()
        for page in pages
        for place in re.findall(r"\]\(([^)]+\.svg)\)", page.read_text())
    }
    assert not [place for place in shown if not place.is_file()]
    assert set(PICTURES) <= shown


@pytest.mark.parametrize("file", PICTURES, ids=lambda file: file.stem)
def test_a_picture_is_small_and_says_nothing_of_this_machine(file: Path) -> None:
    drawn = file.read_text(encoding="utf-8")
    assert len(drawn) <= make_pictures.MOST
    shown = text(drawn)
    assert len(shown.split()) > 10
    assert "Traceback" not in shown
    places = {str(ROOT), str(Path.home()), str(Path(sys.executable).parent)} - {"/"}
    assert not [place for place in places if place in drawn]
    assert make_pictures.PASSWORD not in shown


def test_an_unknown_picture_is_told() -> None:
    with pytest.raises(SystemExit, match="there is no picture moon"):
        make_pictures.main(["moon"])
