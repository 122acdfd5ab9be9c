"""What must hold everywhere: rules of the house that no single file can keep alone."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import math
import pkgutil
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from typer import Typer
from typer.main import get_command

import devices.conventions
from devices.command import NEEDS, Action
from devices.conventions import Convention, Message
from hub.cli import app
from hub.daemon import conventions
from hub.settings import DeviceSettings, Settings
from intents.grammar import ALLOWED
from intents.intent import VOCABULARY
from intents.line import INTENTS, SLOTS

ROOT = Path(__file__).parents[1]
PACKAGES = ("hub", "intents", "devices", "models")
ENGINES = ("llama_cpp", "llguidance", "torch", "faster_whisper", "piper", "amqtt", "numpy", "gguf", "sentencepiece")


def sources() -> list[Path]:
    return sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))


def modules() -> list[str]:
    """Every module by its name, but for those that need the training extra and the one that runs at once."""
    left_out = ("models.train", "models.export", "hub.make_model", "hub.__main__")
    names = [".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for file in sources()]
    return [name for name in names if not name.startswith(left_out)]


def written() -> Iterator[Path]:
    """Everything that people read or run, but for what is made by tools."""
    for folder in (*PACKAGES, "bench", "deploy", "docs", "tests", ".ci"):
        yield from (
            f for f in (ROOT / folder).rglob("*") if f.suffix in (".py", ".md", ".toml", ".sh", ".service", ".json", "")
        )
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


def engines(*modules: str) -> str:
    """Which engines a fresh interpreter has loaded after these modules."""
    code = f"import sys, {', '.join(modules)}; print(*(e for e in {ENGINES} if e in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_no_engine_is_loaded_before_it_is_needed() -> None:
    cores = [name for name in modules() if name.split(".")[0] in ("intents", "devices")]
    assert len(cores) > 20
    for group in (cores, ["models.files"], ["hub.settings"], ["hub.cli"], ["hub.daemon"]):
        assert not engines(*group), group
    assert engines("models.language") == "llama_cpp llguidance numpy"


_PLACES = re.compile(
    r"(?<![\w/.])/(?:(?:home|Users|work)/\w+|(?:root|work|tmp)\b)|\b(?:192\.168|10\.\d+|172\.(?:1[6-9]|2\d|3[01]))\.\d+\.\d+\b"
)


def test_no_machine_is_in_the_code() -> None:
    for place in ("home/me/x", "work/main", "root/.cache", "tmp/x"):
        assert _PLACES.search(f'open("/{place}")')
    for address in ("192.168", "172.20", "10.1"):
        assert _PLACES.search(f"mqtt://{address}.0.1:1883")
    assert not _PLACES.search("hub/home/say, homeassistant/light/tmp/config, 127.0.0.1, devices/work")
    found: dict[str, str] = {}
    for file in written():
        if file.is_file() and "__pycache__" not in file.parts and file.suffix != ".gguf":
            text = file.read_text(errors="ignore")
            found |= {f"{file.relative_to(ROOT)}": hit[0] for hit in _PLACES.finditer(text)}
    assert not found


def mapped(readme: str) -> tuple[set[str], set[str]]:
    """The folders and the files that the table names, each with its path."""
    folders: set[str] = set()
    files: set[str] = set()
    for first, rest in re.findall(r"^\| (`\w+/`.*?) \| (.+?) \|$", readme, re.MULTILINE):
        tops = re.findall(r"`(\w+)/`", first)
        inside = re.findall(r"`([\w/]+?)(/|\.py)`", rest)
        folders |= {*tops, *(f"{tops[0]}/{name}" for name, end in inside if end == "/")}
        files |= {f"{tops[0]}/{name}.py" for name, end in inside if end == ".py"}
    return folders, files


def test_the_readme_maps_what_is_there() -> None:
    folders, files = mapped((ROOT / "README.md").read_text())
    theirs = {"runs", "build", "dist"}  # made by commands, and in no checkout
    tops = {f.name for f in ROOT.iterdir() if f.is_dir() and re.fullmatch(r"[a-z]+", f.name)} - theirs
    below = {f"{p}/{f.name}" for p in PACKAGES for f in (ROOT / p).iterdir() if f.is_dir() and f.name[0] not in "._"}
    assert folders == tops | below
    assert len(files) > 20
    assert not [name for name in sorted(files) if not (ROOT / name).is_file()]
    assert mapped("| `attic/`, `loft/` | `old.py`, `box/` (full) |") == (
        {"attic", "loft", "attic/box"},
        {"attic/old.py"},
    )


PROTOCOL = {name for name in vars(Convention) if not name.startswith("_")}


def speakers(module: object) -> list[type]:
    """The classes of a module that are a payload language: they have all that the protocol has."""
    own = [value for value in vars(module).values() if isinstance(value, type)]
    return [
        value for value in own if value.__module__ == getattr(module, "__name__", "") and set(dir(value)) >= PROTOCOL
    ]


def test_every_convention_is_spoken_by_the_daemon() -> None:
    assert {"name", "announcements", "announce", "greeting"} == PROTOCOL
    spoken = conventions(Settings())
    there = [
        importlib.import_module(f"devices.conventions.{m.name}")
        for m in pkgutil.iter_modules(devices.conventions.__path__)
    ]
    for module in there:
        if hasattr(module, "__path__"):  # a language; what they share is in single files
            assert speakers(module), f"{module.__name__} has no class with {sorted(PROTOCOL)}"
    assert {type(c) for c in spoken} == {c for module in there for c in speakers(module)}
    assert len({convention.name for convention in spoken}) == len(spoken) >= 2


def test_conventions_keep_to_the_protocol_on_nonsense() -> None:
    for convention in conventions(Settings()):
        assert convention.announcements
        assert all(not message.retain for message in convention.greeting())
        assert convention.announce(Message("somebody/else", b"{}")) is None
        for topic in convention.announcements:
            message = Message(topic.replace("+", "x"), b"\xff{[")
            announced = convention.announce(message)
            assert announced is not None
            assert not announced.entities
            assert announced.warnings


def test_words_of_the_vocabulary_agree() -> None:
    generic = {"set"}  # said of anything, and made concrete in resolving
    assert set(ALLOWED) == set(INTENTS) == set(VOCABULARY) | generic
    assert not generic & set(VOCABULARY)
    assert len(set(INTENTS)) == len(INTENTS)
    assert all(slots <= set(SLOTS) for slots in ALLOWED.values())
    assert set().union(*ALLOWED.values()) == set(SLOTS)
    assert set(NEEDS) == set(Action)
    # What `set` becomes for a device that has only a number or a choice.
    by_code = {Action.SET_NUMBER, Action.SELECT_OPTION}
    assert {action.value for action in set(Action) - by_code} <= set(VOCABULARY)


def silent(command: Any, name: str) -> list[str]:
    """The commands and options from this one downwards, by their names, that have no help."""
    options = [p for p in command.params if p.param_type_name == "option" and not p.help]
    below = getattr(command, "commands", {})
    mute = [] if command.help else [name]
    return [
        *mute,
        *(f"{name} {p.name}" for p in options),
        *(s for n, c in below.items() for s in silent(c, f"{name} {n}")),
    ]


def helps(command: Any) -> list[str]:
    """All that the command, and those below it, say of themselves and of what they take."""
    below = getattr(command, "commands", {}).values()
    own = [command.help or "", *(getattr(p, "help", None) or "" for p in command.params)]
    return [*own, *(text for inner in below for text in helps(inner))]


def test_every_command_and_option_says_what_it_does() -> None:
    hub = get_command(app)
    assert {"run", "say", "devices", "settings", "understand", "demo"} <= set(getattr(hub, "commands", {}))
    assert not silent(hub, "hub")
    assert not re.findall(r"\[.*?\]", " ".join(helps(hub))), (
        "what stands in brackets is taken for markup, and not shown"
    )
    mute = Typer(add_completion=False)
    mute.command()(lambda: None)
    assert silent(get_command(mute), "mute") == ["mute"]


def called(command: Any, name: str) -> set[str]:
    """The words that call this command and each one below it."""
    below = getattr(command, "commands", {})
    return {name}.union(*(called(inner, f"{name} {word}") for word, inner in below.items()))


def test_the_readme_shows_commands_that_are_there() -> None:
    shown = re.findall(r"^    (hub [a-z]+(?: [a-z]+)?)", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(shown) >= 5
    assert set(shown) <= called(get_command(app), "hub")


def uncommented(text: str) -> str:
    """The example with every setting that is commented out taken in."""
    return re.sub(r"^# (?=\[[\w.\"]+\]$|\w+ = )", "", text, flags=re.MULTILINE)


def unnamed(model: object, table: object, path: str = "") -> list[str]:
    """The settings of a model, and of the models in it, that the table does not have."""
    fields: dict[str, object] = {}
    if isinstance(model, type) and issubclass(model, BaseModel):
        fields = {name: field.annotation for name, field in model.model_fields.items()}
    elif dataclasses.is_dataclass(model):
        fields = {field.name: None for field in dataclasses.fields(model)}
    held = table if isinstance(table, dict) else {}
    missing = [f"{path}{name}" for name in fields if name not in held]
    return missing + [
        m for name, kind in fields.items() if name in held for m in unnamed(kind, held[name], f"{path}{name}.")
    ]


def test_the_example_settings_are_the_defaults_and_name_every_one() -> None:
    text = (ROOT / "deploy" / "hub.example.toml").read_text()
    assert Settings.model_validate(tomllib.loads(text)) == Settings()
    full = tomllib.loads(uncommented(text))
    assert not unnamed(Settings, full)
    (device,) = full["house"]["devices"].values()
    assert not unnamed(DeviceSettings, device)
    full["broker"]["tls"] = True  # which the certificates want
    Settings.model_validate(full)
    assert unnamed(Settings, full | {"broker": {"host": "x"}})[:2] == ["broker.port", "broker.username"]


def imported(source: str) -> set[str]:
    """The first parts of the modules that a source imports."""
    nodes = list(ast.walk(ast.parse(source)))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    named = {"." * node.level + (node.module or "") for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.split(".")[0] for name in plain | named}


def test_tests_stand_alone() -> None:
    files = sorted((ROOT / "tests").rglob("*.py"))
    others = {file.stem for file in files} | {"tests", ""}
    assert len(files) > 20
    assert not {file.name: found for file in files if (found := imported(file.read_text()) & others)}
    assert imported("from . import a\nimport tests.b\nfrom conftest import c") == {"", "tests", "conftest"}


LONGEST_SLEEP = 0.05
SLOW_THINGS = {("test_devices_control.py", 0.08)}  # a garage door, that moves while it is waited for


def sleeps(source: str) -> list[float]:
    """For how long a source sleeps at each place that says so; infinite where that is worked out as it runs."""
    tree = ast.parse(source)
    known = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    slept = [node.args[0] for node in calls if ast.unparse(node.func).split(".")[-1] == "sleep"]
    meant = [known.get(value.id, value) if isinstance(value, ast.Name) else value for value in slept]
    return [
        float(v.value) if isinstance(v, ast.Constant) and isinstance(v.value, int | float) else math.inf for v in meant
    ]


def test_no_test_waits_for_a_time_to_pass() -> None:
    files = sorted((ROOT / "tests").rglob("*.py"))
    long = {(file.name, time) for file in files for time in sleeps(file.read_text()) if time > LONGEST_SLEEP}
    assert long == SLOW_THINGS
    assert sleeps("A = 2\ntime.sleep(A)\nsleep(0.1)\nasyncio.sleep(f())") == [2, 0.1, math.inf]


def test_every_module_can_be_imported() -> None:
    assert len(modules()) > 40
    for name in modules():
        importlib.import_module(name)
