"""What a stranger installs: the wheel of this checkout, in an environment that has nothing else of the project."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
HOME = {"devices": [{"id": "l", "name": "Lamp", "kind": "light", "area": "Attic", "capabilities": ["on_off"]}]}


def run(*command: str | Path, cwd: Path, said: str = "") -> str:
    done = subprocess.run([*map(str, command)], cwd=cwd, input=said, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel in it. Only what the wheel depends on is borrowed, so that nothing is built anew."""
    folder = tmp_path_factory.mktemp("clean") / "env"
    venv.create(folder, symlinks=True, with_pip=False)
    python = folder / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=folder)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


def test_it_holds_the_four_packages_the_weights_and_the_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as content:
        names = content.namelist()
        card = json.loads(content.read("models/weights/home.json"))
        weights = content.read("models/weights/home.gguf")
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"hub", "intents", "devices", "models"}
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert card["sha256"] == hashlib.sha256(weights).hexdigest()
    assert len(weights) == card["bytes"] < 12_000_000


def test_from_an_empty_folder_a_sentence_is_understood(installed: Path, tmp_path: Path) -> None:
    where = run(installed / "python", "-c", "import hub, models; print(hub.__file__, models.__file__)", cwd=tmp_path)
    assert all(path.startswith(str(installed.parent)) for path in where.split())
    (tmp_path / "home.json").write_text(json.dumps(HOME))
    empty = tmp_path / "empty"
    empty.mkdir()
    record = json.dumps({"id": "1", "utterance": "turn on the lamp"}) + "\n"
    answer = json.loads(run(installed / "hub", "understand", "--home", tmp_path / "home.json", cwd=empty, said=record))
    assert answer["actions"] == [{"intent": "turn_on", "targets": ["l"], "slots": {}}]
    assert not list(empty.iterdir())


def lacking(metadata_of_a_wheel: str) -> list[str]:
    """What its metadata require of this environment, without extras, and what is not there in such a version."""
    wanted = [Requirement(line) for line in re.findall(r"^Requires-Dist: (.+)$", metadata_of_a_wheel, re.MULTILINE)]
    needed = [want for want in wanted if want.marker is None or want.marker.evaluate({"extra": ""})]
    assert needed
    there = {normal(d.metadata["Name"]): d.version for d in metadata.distributions()}
    held = [(want, there.get(normal(want.name))) for want in needed]
    return [f"{want}" for want, version in held if version is None or version not in want.specifier]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_what_it_asks_for_is_what_the_other_tests_ran_with(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as content:
        (name,) = [name for name in content.namelist() if name.endswith(".dist-info/METADATA")]
        written = content.read(name).decode()
    assert written.count("\nRequires-Dist: ") >= 8
    assert not lacking(written)
    for absent in ("pytest<1", "no-such-thing", "pytest==0.1; python_version > '3'"):
        assert len(lacking(f"{written.split(chr(10) * 2)[0]}\nRequires-Dist: {absent}\n")) == 1
