"""What must hold everywhere: rules of the house that no single file can keep alone."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

import devices.conventions
from devices.command import NEEDS, Action
from devices.conventions import Message
from hub.cli import app
from hub.daemon import conventions
from hub.settings import Settings
from intents.grammar import ALLOWED
from intents.intent import VOCABULARY
from intents.line import INTENTS

ROOT = Path(__file__).parents[1]
PACKAGES = ("hub", "intents", "devices", "models")
ENGINES = ("llama_cpp", "torch", "faster_whisper", "piper", "amqtt")


def sources() -> list[Path]:
    return sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))


def written() -> Iterator[Path]:
    """Everything that people read or run, but for what is made by tools."""
    for folder in (*PACKAGES, "bench", "deploy", "docs", "tests", ".ci"):
        yield from (f for f in (ROOT / folder).rglob("*") if f.suffix in (".py", ".md", ".toml", ".sh", ".service", ""))
    yield from (ROOT / "README.md", ROOT / "Makefile", ROOT / "pyproject.toml")


def undocumented(source: str) -> list[str]:
    """The module itself ("") and its public classes without a docstring."""
    tree = ast.parse(source)
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
    missing = [node.name for node in classes if ast.get_docstring(node) is None]
    return missing if ast.get_docstring(tree) or not tree.body else ["", *missing]


@pytest.mark.parametrize("file", sources(), ids=lambda file: str(file.relative_to(ROOT)))
def test_modules_and_public_classes_say_what_they_are(file: Path) -> None:
    assert not undocumented(file.read_text())


def test_that_law_can_be_broken() -> None:
    assert undocumented("class Lamp:\n    pass\n") == ["", "Lamp"]


@pytest.mark.parametrize("module", ["intents.resolve", "devices.control", "models.files", "hub.settings", "hub.cli"])
def test_no_engine_is_loaded_before_it_is_needed(module: str) -> None:
    code = f"import sys, {module}; print(*(e for e in {ENGINES} if e in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


_PLACES = re.compile(r"(?<![\w/])/(?:home|root|work|Users)/\w+|\b(?:192\.168|10\.\d+)\.\d+\.\d+")


def test_no_machine_is_in_the_code() -> None:
    assert _PLACES.search(" /home/" + "me/x")
    assert _PLACES.search("192.168." + "1.5")
    found: dict[str, str] = {}
    for file in written():
        if file.is_file() and "__pycache__" not in file.parts and file.suffix != ".gguf":
            text = file.read_text(errors="ignore")
            found |= {f"{file.relative_to(ROOT)}": hit[0] for hit in _PLACES.finditer(text)}
    assert not found


def test_the_readme_maps_what_is_there() -> None:
    readme = (ROOT / "README.md").read_text()
    rows = re.findall(r"^\| `(\w+)/`.*?\| (.+?) \|$", readme, re.MULTILINE)
    assert {folder for folder, _ in rows} >= set(PACKAGES) | {"deploy"}
    for folder, text in rows:
        for name in re.findall(r"`([\w/]+?(?:\.py|/))`", text):
            assert (ROOT / folder / name).exists() or (ROOT / name).exists(), f"{folder}/{name}"


def test_every_convention_is_spoken_by_the_daemon() -> None:
    spoken = conventions(Settings())
    modules = {type(convention).__module__ for convention in spoken}
    helpers = {"availability", "values"}
    there = {name for _, name, _ in pkgutil.iter_modules(devices.conventions.__path__)} - helpers
    assert modules == {f"devices.conventions.{name}" for name in there}
    assert len({convention.name for convention in spoken}) == len(spoken)


def test_conventions_keep_to_the_protocol_on_nonsense() -> None:
    for convention in conventions(Settings()):
        assert convention.announcements
        assert all(not message.retain for message in convention.greeting())
        for topic in convention.announcements:
            message = Message(topic.replace("+", "x"), b"\xff{[")
            announced = convention.announce(message)
            assert announced is not None
            assert not announced.entities
            assert announced.warnings


def test_words_of_the_vocabulary_agree() -> None:
    assert set(ALLOWED) == set(INTENTS)
    assert set(NEEDS) == set(Action)
    unwritten = {"set"}  # said of anything, and made concrete in resolving
    assert set(INTENTS) - unwritten <= set(VOCABULARY)


def test_every_command_says_what_it_does() -> None:
    commands = getattr(get_command(app), "commands", {})
    assert len(commands) >= 6
    assert all(command.help for command in commands.values())


def test_the_example_settings_are_settings_and_name_every_one() -> None:
    text = (ROOT / "deploy" / "hub.example.toml").read_text()
    Settings.model_validate(tomllib.loads(text))
    said = set(re.findall(r"^#? ?\[?([\w.]+)\]?", text, re.MULTILINE))
    for name, field in Settings.model_fields.items():
        assert name in text, name
        nested = getattr(field.annotation, "model_fields", {})
        assert not [inner for inner in nested if inner not in said and inner not in text], name


def test_tests_stand_alone() -> None:
    names = {file.stem for file in (ROOT / "tests").glob("test_*.py")}
    for file in (ROOT / "tests").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] not in names | {"tests", "conftest"}


def test_every_module_can_be_imported() -> None:
    left_out = ("models.train", "models.export", "hub.make_model", "hub.__main__")  # these need the training extra
    for file in sources():
        name = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if not name.startswith(left_out):
            importlib.import_module(name)
