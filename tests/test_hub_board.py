"""Boards by the files of their systems: what is read, and what follows."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from hub.board import HOT, Advice, Board, Maker, Power, advise, look, power_of

PI5_CPU = """processor\t: 0
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU architecture: 8
""" + "".join(f"\nprocessor\t: {n}\nFeatures\t: fp asimd evtstrm asimdhp asimddp\n" for n in (1, 2, 3))
PI3_CPU = "processor\t: 0\nmodel name\t: ARMv7 Processor rev 4\nFeatures\t: half thumb fastmult vfp edsp neon vfpv3\n"
PC_CPU = "".join(
    f"processor\t: {n}\nflags\t\t: fpu lm sse2 avx f16c fma avx2 avx512f avx512_vnni\n\n" for n in range(8)
)
OLD_CPU = "processor\t: 0\nflags\t\t: fpu lm sse2 avx\n\nprocessor\t: 1\nflags\t\t: fpu lm sse2 avx avx2\n"
MEMORY = "MemTotal:       {} kB\nMemFree:          100 kB\nMemAvailable:   {} kB\n"


def files(root: Path, **content: str) -> Path:
    """A system under `root`: each path, with / written as __, and what stands there."""
    for path, text in content.items():
        place = root / path.replace("__", "/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return root


@pytest.fixture
def pi5(tmp_path: Path) -> Path:
    files(
        tmp_path,
        **{
            "proc__device-tree__model": "Raspberry Pi 5 Model B Rev 1.0\0",
            "proc__cpuinfo": PI5_CPU,
            "proc__meminfo": MEMORY.format(8_252_000, 7_000_000),
            "sys__class__thermal__thermal_zone0__type": "cpu-thermal\n",
            "sys__class__thermal__thermal_zone0__temp": "51350\n",
            "sys__devices__platform__soc__soc:firmware__get_throttled": "0\n",
        },
    )
    return tmp_path


def test_a_raspberry_pi_is_known(pi5: Path) -> None:
    board = look(pi5)
    assert board == Board(
        "Raspberry Pi 5 Model B Rev 1.0", Maker.RASPBERRY_PI, "aarch64", 4, 8_252_000 * 1024, 7_000_000 * 1024,
        ("NEON", "NEON half precision", "NEON dot product"), "", 51.35, Power(),
    )  # fmt: skip
    assert advise(board) == Advice("home", 1, "tinyllama-chat", 3)
    assert board.in_words().startswith("Raspberry Pi 5 Model B Rev 1.0, 4 cores (aarch64, NEON, ")
    assert json.loads(json.dumps(board.as_dict()))["power"]["undervoltage"] is False


@pytest.mark.parametrize(
    ("said", "power"),
    [
        ("0", Power()),
        ("throttled=0x0\n", Power()),
        ("50005", Power(True, True, True, True)),
        ("throttled=0x50000\n", Power(False, True, False, True)),
        ("0x8", Power(throttled=True)),
        ("", None),
        ("VCHI initialization failed", None),
    ],
)
def test_the_bits_of_the_firmware_are_read(said: str, power: Power | None) -> None:
    assert power_of(said) == power


@pytest.mark.parametrize(("bits", "warned"), [("1", "is too low"), ("10000", "was"), ("4", "slowed down")])
def test_a_weak_supply_is_told(pi5: Path, bits: str, warned: str) -> None:
    files(pi5, **{"sys__devices__platform__soc__soc:firmware__get_throttled": bits})
    (trouble,) = advise(look(pi5)).troubles
    assert warned in trouble.what
    assert trouble.urgent is (bits != "10000")


def test_without_the_kernels_file_the_tool_is_asked_and_then_the_alarm(pi5: Path) -> None:
    (pi5 / "sys/devices/platform/soc/soc:firmware/get_throttled").unlink()
    assert look(pi5).power is None
    files(pi5, **{"sys__class__hwmon__hwmon1__name": "rpi_volt\n", "sys__class__hwmon__hwmon1__in0_lcrit_alarm": "1"})
    assert look(pi5).power == Power(undervoltage=True)
    files(pi5, usr__bin__vcgencmd='#!/bin/sh\n[ "$1" = get_throttled ] && echo throttled=0x50000\n')
    assert look(pi5).power == Power(undervoltage=True)  # it may not be run
    (pi5 / "usr/bin/vcgencmd").chmod(0o755)
    assert look(pi5).power == Power(undervoltage_before=True, throttled_before=True)


def test_a_jetson_is_known(tmp_path: Path) -> None:
    files(
        tmp_path,
        **{
            "sys__firmware__devicetree__base__model": "NVIDIA Jetson Orin Nano Developer Kit\0",
            "proc__cpuinfo": PI5_CPU.replace("asimddp", "asimddp i8mm"),
            "proc__meminfo": MEMORY.format(7_800_000, 5_000_000),
            "dev__nvhost-gpu": "",
            "sys__class__thermal__thermal_zone0__type": "cpu-thermal",
            "sys__class__thermal__thermal_zone0__temp": "48000",
            "sys__class__thermal__thermal_zone1__type": "tj-thermal",
            "sys__class__thermal__thermal_zone1__temp": "85500",
            "sys__class__thermal__thermal_zone2__type": "cv0-thermal",
            "sys__class__thermal__thermal_zone2__temp": "-256000",
        },
    )
    board = look(tmp_path)
    assert (board.maker, board.gpu, board.power) == (Maker.JETSON, "NVIDIA, built in", None)
    assert "NEON i8mm" in board.simd
    assert board.temperature == 85.5
    assert "fan" in advise(board).troubles[0].mend


def test_a_pc_is_known(tmp_path: Path) -> None:
    files(
        tmp_path,
        **{
            "sys__class__dmi__id__product_name": "NUC11\n",
            "proc__cpuinfo": PC_CPU,
            "proc__meminfo": MEMORY.format(16_000_000, 12_000_000),
            "proc__driver__nvidia__gpus__0000:01:00.0__information": "Model: \t NVIDIA GeForce RTX 3060\nIRQ: 1\n",
        },
    )
    board = look(tmp_path)
    assert (board.name, board.maker, board.architecture, board.cores) == ("NUC11", Maker.OTHER, "x86_64", 8)
    assert board.simd == ("AVX", "F16C", "FMA", "AVX2", "AVX-512", "AVX-512 VNNI")
    assert board.gpu == "NVIDIA GeForce RTX 3060"
    assert advise(board) == Advice("home", 1, "tinyllama-chat", 7)


def test_a_small_old_board_is_told_what_it_lacks(tmp_path: Path) -> None:
    files(
        tmp_path,
        **{
            "proc__device-tree__model": "Raspberry Pi 3 Model B\0",
            "proc__cpuinfo": PI3_CPU,
            "proc__meminfo": MEMORY.format(380_000, 90_000),
        },
    )
    board = look(tmp_path)
    assert (board.architecture, board.simd, board.temperature) == ("arm", ("NEON",), None)
    advice = advise(board)
    assert (advice.model, advice.threads, advice.larger) == ("home", 1, "")
    for word, trouble in zip(("32 bit", "dot product", "too few"), advice.troubles, strict=True):
        assert word in trouble.what


def test_only_what_all_cores_can_do_counts(tmp_path: Path) -> None:
    board = look(files(tmp_path, proc__cpuinfo=OLD_CPU))
    assert board.simd == ("AVX",)


def test_an_empty_system_says_nothing_and_breaks_nothing(tmp_path: Path) -> None:
    board = look(tmp_path)
    assert board == Board("a computer", Maker.OTHER, "unknown", 1, 0, 0)
    assert advise(board).model == "home"
    for nonsense in ("\xff\0\n", "processor", "MemTotal: many kB\n", "9" * 5000):
        files(
            tmp_path, proc__cpuinfo=nonsense, proc__meminfo=nonsense,
            **{"sys__class__thermal__thermal_zone0__temp": nonsense[:4000]},
        )  # fmt: skip
        assert look(tmp_path).cores == 1


def test_this_machine_is_known() -> None:
    board = look()
    assert board.cores >= 1
    assert 0 < board.available <= board.memory
    assert os.uname().machine.startswith(board.architecture)


def test_heat_is_told_from_the_limit_on(pi5: Path) -> None:
    board = look(pi5)
    assert not advise(replace(board, temperature=HOT - 0.1)).troubles
    assert advise(replace(board, temperature=HOT)).troubles


def test_a_sensor_that_cannot_be_read_is_left_out(pi5: Path) -> None:
    zone = pi5 / "sys/class/thermal/thermal_zone9"
    zone.mkdir()
    (zone / "temp").mkdir()  # reading it fails, as that of a sensor that sleeps does
    with pytest.raises(OSError, match=os.strerror(errno.EISDIR)):
        (zone / "temp").read_text()
    assert look(pi5).temperature == 51.35
