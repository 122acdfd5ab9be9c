"""What is packed for a machine without a network: everything with its digest, and finished or not there."""

from __future__ import annotations

import hashlib
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from hub import HubError, bundle
from hub.settings import Settings


def other() -> str:
    """A processor that this machine does not have."""
    return next(machine for machine in bundle.MACHINES if machine != platform.machine())


def nothing(text: str) -> None:
    pass


def test_what_cannot_be_packed_is_told_before_anything_is_written(tmp_path: Path) -> None:
    settings = Settings(state_folder=str(tmp_path / "state"))
    with pytest.raises(HubError, match="no extra 'vioce'"):
        bundle.bundle(settings, tmp_path / "b", ["vioce"], [], "", nothing)
    with pytest.raises(HubError, match="there is no model 'moon'"):
        bundle.bundle(settings, tmp_path / "b", [], ["moon"], "", nothing)
    with pytest.raises(HubError, match="no wheels for 'vax'"):
        bundle.bundle(settings, tmp_path / "b", [], [], "", nothing, "vax")
    with pytest.raises(HubError, match=r"needs llama\.cpp for .* first"):
        bundle.bundle(settings, tmp_path / "b", [], [], "", nothing, other())
    assert not (tmp_path / "b").exists()


def test_for_another_machine_pip_is_told_what_will_do_there() -> None:
    """pip itself says which wheels it would take, and none of them is for here."""
    told = bundle._foreign(other())
    asked = subprocess.run(
        [sys.executable, "-m", "pip", "debug", "--verbose", *told[2:]], capture_output=True, text=True
    )
    tags = {line.strip() for line in asked.stdout.splitlines() if line.startswith("  cp") or line.startswith("  py")}
    abi = f"cp{sys.version_info.major}{sys.version_info.minor}"
    assert {f"{abi}-{abi}-manylinux_2_28_{other()}", f"py3-none-linux_{other()}", "py3-none-any"} <= tags
    assert not any(platform.machine() in tag for tag in tags)


def test_without_all_wheels_it_is_not_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    (tmp_path / bundle.SUMS).write_text("of the last time")
    told: list[str] = []
    with pytest.raises(HubError, match="pip cannot get all that is needed"):
        bundle.bundle(Settings(), tmp_path, [], [], "", told.append)
    assert not (tmp_path / bundle.SUMS).exists()
    assert (tmp_path / "install.sh").is_file()
    assert (tmp_path / "deploy" / "mosquitto" / "acl").is_file()
    assert not (tmp_path / "deploy" / "debian").exists()
    assert any(text.startswith("pip: ") for text in told)


def test_the_digests_are_those_of_all_files(tmp_path: Path) -> None:
    for name in ("wheels/a b.whl", "models/x/m.gguf", "models/x/m.gguf.part", "install.sh"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    assert len(bundle._sums(tmp_path)) == 3
    lines = dict(line.split("  ", 1)[::-1] for line in (tmp_path / bundle.SUMS).read_text().splitlines())
    assert lines == {
        n: hashlib.sha256(n.encode()).hexdigest() for n in ("wheels/a b.whl", "models/x/m.gguf", "install.sh")
    }
    assert subprocess.run(["sha256sum", "-c", "--quiet", bundle.SUMS], cwd=tmp_path).returncode == 0
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hub", "bundle", str(tmp_path / "b"), "--extras", "moon"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert done.returncode == 1
    assert done.stderr == "hub: there is no extra 'moon'; there are demo, voice, find, wyoming\n"
