"""What machine this is, read from the files of its system, and what follows for the model.

Sources: proc(5); the kernel's Documentation/ABI/testing/sysfs-class-thermal; Raspberry Pi's documentation of
`vcgencmd get_throttled`. Everything is read under a root folder, so that another machine's files can stand there.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import MappingProxyType

from models.files import DEFAULT

HOT = 80.0  # degrees Celsius; a Raspberry Pi slows down from here on, a Jetson a little later
SMALL_BYTES = 400 << 20  # a machine with less has no room for the hub beside its system
LARGE_MODEL = "tinyllama-chat"
LARGE_BYTES = 740_000_000  # what a TinyLlama in 4 bit holds in memory; as much again is for the system and speech
_ANSWERS_WITHIN = 5.0  # seconds for vcgencmd


class Maker(Enum):
    """Which family of boards it is, where that changes what is looked at."""

    RASPBERRY_PI = "Raspberry Pi"
    JETSON = "Jetson"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Power:
    """What a Raspberry Pi says of its supply and its heat: now, and since it was started."""

    undervoltage: bool = False
    undervoltage_before: bool = False
    throttled: bool = False
    throttled_before: bool = False


@dataclass(frozen=True, slots=True)
class Board:
    """One machine. Memory in bytes; `simd` in the words of people; None and "" where the system does not say."""

    name: str
    maker: Maker
    architecture: str
    cores: int
    memory: int
    available: int
    simd: tuple[str, ...] = ()
    gpu: str = ""
    temperature: float | None = None
    power: Power | None = None

    def as_dict(self) -> dict[str, object]:
        power = self.power and {name: getattr(self.power, name) for name in Power.__dataclass_fields__}
        plain = {name: getattr(self, name) for name in Board.__dataclass_fields__}
        return plain | {"maker": self.maker.value, "simd": list(self.simd), "power": power}

    def in_words(self) -> str:
        """One line, such as "Raspberry Pi 5 Model B, 4 cores (aarch64, NEON dot product), 8.0 GB"."""
        parts = [f"{self.cores} cores ({', '.join((self.architecture, *self.simd))})", f"{self.memory / 1e9:.1f} GB"]
        return ", ".join([self.name, *parts, *([self.gpu] if self.gpu else [])])


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is against running the hub on a board, and what helps. `urgent` is what has to be mended first."""

    what: str
    mend: str
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Advice:
    """The model and the threads for a board, the largest other model that fits beside the rest, and what is against it."""

    model: str
    threads: int
    larger: str = ""
    larger_threads: int = 1
    troubles: tuple[Trouble, ...] = ()


# What llama.cpp makes use of, by the names of /proc/cpuinfo.
_SIMD: Mapping[str, str] = MappingProxyType(
    {
        "asimd": "NEON", "neon": "NEON", "asimdhp": "NEON half precision", "asimddp": "NEON dot product",
        "i8mm": "NEON i8mm", "sve": "SVE", "avx": "AVX", "f16c": "F16C", "fma": "FMA", "avx2": "AVX2",
        "avx_vnni": "AVX-VNNI", "avx512f": "AVX-512", "avx512_vnni": "AVX-512 VNNI", "amx_int8": "AMX",
    }
)  # fmt: skip
_FAST = frozenset({"NEON dot product", "NEON i8mm", "AVX2", "AVX-512"})


def look(root: Path = Path("/")) -> Board:
    """The machine whose system lies under `root`. Never raises: what cannot be read is not known."""
    cpu, memory = _text(root / "proc/cpuinfo"), _text(root / "proc/meminfo")
    name = _name(root)
    maker = next((m for m in (Maker.RASPBERRY_PI, Maker.JETSON) if m.value.lower() in name.lower()), Maker.OTHER)
    words = _words(cpu)
    return Board(
        name=name or "a computer",
        maker=maker,
        architecture=_architecture(cpu, words),
        cores=len(re.findall(r"^processor\s*:", cpu, re.MULTILINE)) or 1,
        memory=_kilobytes(memory, "MemTotal"),
        available=_kilobytes(memory, "MemAvailable"),
        simd=tuple(dict.fromkeys(said for word, said in _SIMD.items() if word in words)),
        gpu=_gpu(root, maker),
        temperature=_temperature(root),
        power=_power(root) if maker is Maker.RASPBERRY_PI else None,
    )


def advise(board: Board) -> Advice:
    """What fits this board. The shipped model fits every one, and one thread is enough for it."""
    roomy = board.memory >= 2 * LARGE_BYTES and board.cores >= 4 and bool(_FAST & set(board.simd))
    larger, threads = (LARGE_MODEL, board.cores - 1) if roomy else ("", 1)
    return Advice(DEFAULT, 1, larger, threads, tuple(_troubles(board)))


def _troubles(board: Board) -> Iterator[Trouble]:
    power, degrees = board.power or Power(), board.temperature
    if board.architecture == "arm":
        yield Trouble("the system is of 32 bit, for which little software is ready made", "install the 64-bit system")
    if not _FAST & set(board.simd):
        what = "the processor has no AVX2 and no NEON dot product: sentences are read some times slower"
        yield Trouble(what, "a Raspberry Pi 4 or newer, or a PC of the last ten years")
    if 0 < board.memory < SMALL_BYTES:
        yield Trouble(f"{board.memory / 1e6:.0f} MB of memory are too few", "a board with 1 GB or more")
    if power.undervoltage or power.undervoltage_before:
        when = "is" if power.undervoltage else "was, since the last start,"
        mend = "the supply that was made for this board, and a short cable"
        yield Trouble(f"the supply voltage {when} too low", mend, power.undervoltage)
    if degrees is not None and degrees >= HOT:
        yield Trouble(f"it has {degrees:.0f} degrees and slows down", "more air, or a fan", urgent=True)
    elif power.throttled:
        yield Trouble(
            "it is slowed down by heat or by its supply", "more air, and the supply that was made for it", True
        )


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").rstrip("\0\n")
    except OSError:
        return ""


def _name(root: Path) -> str:
    """The device tree's word, or that of the PC's firmware."""
    trees = ("proc/device-tree/model", "sys/firmware/devicetree/base/model", "sys/class/dmi/id/product_name")
    return next((said for place in trees if (said := _text(root / place).strip())), "")


def _words(cpu: str) -> frozenset[str]:
    """The abilities that every core has: a board may have cores of two kinds."""
    lists = [set(found.split()) for found in re.findall(r"^(?:flags|Features)\s*:(.*)$", cpu, re.MULTILINE)]
    return frozenset(set.intersection(*lists)) if lists else frozenset()


def _architecture(cpu: str, words: frozenset[str]) -> str:
    if re.search(r"^flags\s*:", cpu, re.MULTILINE):
        return "x86_64" if "lm" in words else "i686"
    return "aarch64" if "asimd" in words else "arm" if re.search(r"^Features\s*:", cpu, re.MULTILINE) else "unknown"


def _kilobytes(memory: str, key: str) -> int:
    found = re.search(rf"^{key}:\s*(\d{{1,12}}) kB", memory, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _gpu(root: Path, maker: Maker) -> str:
    for place in sorted(root.glob("proc/driver/nvidia/gpus/*/information")):
        if found := re.search(r"^Model:\s*(.+)$", _text(place), re.MULTILINE):
            return found[1].strip()
    there = any((root / place).exists() for place in ("dev/nvhost-gpu", "dev/nvgpu", "sys/module/nvgpu"))
    return "NVIDIA, built in" if maker is Maker.JETSON and there else ""


def _temperature(root: Path) -> float | None:
    """The hottest sensor of the processor, in degrees Celsius; of all sensors where none says that it is."""
    found = [(_text(zone / "type").lower(), _text(zone / "temp")) for zone in root.glob("sys/class/thermal/*zone*")]
    sane = [(kind, int(said) / 1000) for kind, said in found if re.fullmatch(r"-?\d{1,7}", said)]
    sane = [(kind, degrees) for kind, degrees in sane if -40 < degrees < 150]
    ours = [degrees for kind, degrees in sane if re.search(r"cpu|soc|pkg|tj", kind)]
    return max(ours or [degrees for _, degrees in sane], default=None)


def _power(root: Path) -> Power | None:
    """From the firmware's bits where the kernel or vcgencmd gives them; else from the kernel's alarm alone."""
    for place in sorted(root.glob("sys/devices/platform/soc*/soc*firmware/get_throttled")):
        if (power := power_of(_text(place))) is not None:
            return power
    for tool in ("usr/bin/vcgencmd", "opt/vc/bin/vcgencmd"):
        if (root / tool).is_file() and (power := power_of(_said_by(root / tool))) is not None:
            return power
    for sensor in root.glob("sys/class/hwmon/hwmon*"):
        if _text(sensor / "name") == "rpi_volt":
            return Power(undervoltage=_text(sensor / "in0_lcrit_alarm") == "1")
    return None


def _said_by(tool: Path) -> str:
    try:
        done = subprocess.run(
            [tool, "get_throttled"], capture_output=True, text=True, timeout=_ANSWERS_WITHIN, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def power_of(said: str) -> Power | None:
    """The bits of get_throttled, such as `50005` or `throttled=0x50005`; None where there are none."""
    found = re.fullmatch(r"(?:throttled=)?(?:0x)?([0-9a-fA-F]{1,8})", said.strip())
    if found is None:
        return None
    bits = int(found[1], 16)
    slow, slow_before = 0b1110, 0b1110 << 16  # capped, throttled, or at the soft limit of temperature
    return Power(bool(bits & 1), bool(bits & 1 << 16), bool(bits & slow), bool(bits & slow_before))
