"""GGUF files of anybody: what they are, and that a crafted one costs no more than an error."""

from __future__ import annotations

import json
import math
import os
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

gguf = pytest.importorskip("gguf", reason="the training extra is not installed")

from models import ModelError  # noqa: E402 - after the check that such files can be read at all
from models.export.look import Limits, is_gguf, look  # noqa: E402
from models.export.stand_in import SHAPE, write_stand_in  # noqa: E402
from models.files import default_model  # noqa: E402

SMALL = Limits(memory=1 << 28, cpu=3, wall=10.0)
QUICK = 30.0  # seconds, on a busy machine; most take 0.4
UINT8, UINT32, STRING, ARRAY = 0, 4, 8, 9


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def entry(key: bytes, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def listed(kind: int, count: int, items: bytes = b"") -> bytes:
    return struct.pack("<IQ", kind, count) + items


def header(tensors: int = 0, entries: int = 0, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, entries)


def tensor(name: bytes, sizes: list[int], kind: int = 0, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, kind, offset)


NAMED = entry(b"general.architecture", STRING, text(b"llama"))
HUGE = 1 << 60
CRAFTED = {
    "nothing after the magic": b"GGUF",
    "an old version": header(version=1) + bytes(64),
    "a version of tomorrow": header(version=9) + bytes(64),
    "bytes of the other order": b"GGUF" + struct.pack(">IQQ", 3, 1, 1),
    "zero bytes": header(1, 1) + bytes(4096),
    "as many entries as can be said": header(0, HUGE) + NAMED,
    "as many tensors as can be said": header(HUGE, 1) + NAMED + tensor(b"a", [4]),
    "empty entries without end": header(0, HUGE) + entry(b"", ARRAY, listed(UINT8, 0)) * 1000,
    "a text longer than the file": header(0, 1) + struct.pack("<Q", HUGE) + b"general.name",
    "a value longer than the file": header(0, 1) + entry(b"general.name", STRING, struct.pack("<Q", HUGE) + b"x"),
    "a length of minus one": header(0, 1) + entry(b"general.name", STRING, b"\xff" * 8 + b"x"),
    "a list longer than the file": header(0, 1) + entry(b"a", ARRAY, listed(UINT8, HUGE)),
    "a list of texts longer than the file": header(0, 1) + entry(b"a", ARRAY, listed(STRING, HUGE)),
    "lists in lists": header(0, 1) + entry(b"a", ARRAY, listed(ARRAY, 1) * 100_000 + listed(UINT8, 0)),
    "an unknown kind": header(0, 1) + entry(b"a", 77, bytes(8)),
    "text that is none": header(0, 1) + entry(b"\xff\xfe", UINT32, bytes(4)),
    "a key twice": header(0, 2) + NAMED * 2,
    "a tensor larger than the file": header(1, 1) + NAMED + tensor(b"a", [1 << 40]) + bytes(64),
    "a tensor whose size overflows": header(1, 1) + NAMED + tensor(b"a", [1 << 33, 1 << 33]) + bytes(64),
    "a tensor behind the end": header(1, 1) + NAMED + tensor(b"a", [1], offset=HUGE) + bytes(64),
    "a tensor of a million dimensions": header(1, 1) + NAMED + text(b"a") + struct.pack("<I", 1 << 20) + bytes(64),
    "a tensor of an unknown kind": header(1, 1) + NAMED + tensor(b"a", [4], kind=999) + bytes(64),
    "an odd alignment": header(0, 2) + NAMED + entry(b"general.alignment", UINT32, struct.pack("<I", 3)),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("look") / "m.gguf"
    write_stand_in(file, ["<do>"])
    return file


def test_what_a_file_says_of_itself(written: Path) -> None:
    found = look(written)
    reader = gguf.GGUFReader(written)
    assert found.size == written.stat().st_size
    assert (found.architecture, found.name, found.quantisation, found.version) == ("llama", "stand-in", "f16", 3)
    assert found.parameters == sum(math.prod(t.shape.tolist()) for t in reader.tensors)
    assert (found.tokenizer, found.tokens, found.context) == ("llama", SHAPE.vocab, SHAPE.context)
    assert (found.sizes["attention.head_count_kv"], found.sizes["block_count"]) == (SHAPE.kv_heads, SHAPE.layers)


def test_the_shipped_model_is_described() -> None:
    found = look(default_model())
    assert (found.architecture, found.license) == ("llama", "apache-2.0")
    assert found.parameters > 1_000_000


@pytest.mark.parametrize("what", CRAFTED)
def test_crafted_files_are_an_error_and_soon(what: str, tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(CRAFTED[what])
    begun = time.monotonic()
    with pytest.raises(ModelError, match="cannot be read as a GGUF"):
        look(tmp_path / "m.gguf", SMALL)
    assert time.monotonic() - begun < QUICK


def test_a_file_that_ends_anywhere_is_an_error(written: Path, tmp_path: Path) -> None:
    content = written.read_bytes()
    for end in (0, 10, 500, 3000, len(content) - 100):
        (tmp_path / "m.gguf").write_bytes(content[:end])
        with pytest.raises(ModelError, match="cannot be read"):
            look(tmp_path / "m.gguf", SMALL)


def test_long_lists_that_are_really_there_end_at_the_limits(tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    with file.open("wb") as out:
        out.write(header(0, 1) + entry(b"a", ARRAY, listed(UINT8, 1 << 31)))
        out.truncate(1 << 32)  # with holes: no room on the disk
    for limits in (Limits(memory=1 << 26), Limits(cpu=1), Limits(wall=0.5)):
        begun = time.monotonic()
        with pytest.raises(ModelError, match="it takes"):
            look(file, limits)
        assert time.monotonic() - begun < QUICK


def test_what_a_terminal_would_obey_is_not_printed(tmp_path: Path) -> None:
    name = entry(b"general.name", STRING, text(b"a\x1b[2Jb\nc" + b"x" * 10_000))
    odd = entry(b"somebody.\x1b]0;key", UINT32, bytes(4))
    (tmp_path / "m.gguf").write_bytes(header(0, 3) + NAMED + name + odd + bytes(32))
    found = look(tmp_path / "m.gguf")
    assert found.name.startswith("a [2Jb c")
    assert len(found.name) <= 500
    assert all(line.isprintable() for line in (found.name, *found.extras))


def test_what_begins_otherwise_is_no_gguf(tmp_path: Path) -> None:
    for content in (b"", b"GGU", b"PK\x03\x04", b"FUGG" + bytes(100)):
        (tmp_path / "m").write_bytes(content)
        assert not is_gguf(tmp_path / "m")
        with pytest.raises(ModelError):
            look(tmp_path / "m", SMALL)
    assert not is_gguf(tmp_path)
    assert not is_gguf(tmp_path / "absent")
    with pytest.raises(ModelError):
        look(tmp_path / "absent")


def inspect(*words: object) -> tuple[int, str]:
    command = [sys.executable, "-P", "-c", "from hub.cli import main; main()", "model", "inspect", *map(str, words)]
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_command_says_what_a_gguf_is(written: Path, tmp_path: Path) -> None:
    code, said = inspect(written)
    assert code == 0, said
    for part in ("llama", "stand-in", "f16", f"{SHAPE.vocab:,} tokens", f"context {SHAPE.context}"):
        assert part in said
    renamed = tmp_path / "model.bin"  # the magic says what it is, not the name
    renamed.write_bytes(written.read_bytes())
    code, said = inspect(renamed, "--json")
    answer = json.loads(said)
    assert (code, answer["form"], answer["tokens"]) == (0, "GGUF", SHAPE.vocab)
    (tmp_path / "evil.gguf").write_bytes(CRAFTED["a list of texts longer than the file"])
    code, said = inspect(tmp_path / "evil.gguf")
    assert (code, said.startswith("hub: "), "Traceback" in said) == (1, True, False)


def test_the_command_says_what_a_checkpoint_is(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the training extra is not installed")
    from safetensors.numpy import save_file

    from models.export.stand_in import random_tensors

    save_file(random_tensors(SHAPE), tmp_path / "model.safetensors")
    config: dict[str, Any] = {"model_type": "llama", "hidden_size": SHAPE.dim, "num_hidden_layers": SHAPE.layers}
    config |= {"num_attention_heads": SHAPE.heads, "num_key_value_heads": SHAPE.kv_heads, "tie_word_embeddings": True}
    config |= {"intermediate_size": SHAPE.ffn, "vocab_size": SHAPE.vocab}
    (tmp_path / "config.json").write_text(json.dumps(config))
    code, said = inspect(tmp_path)
    assert (code, "can be exported" in said) == (0, True), said
    code, said = inspect(tmp_path, "--json")
    answer = json.loads(said)
    assert (code, answer["form"], answer["heads"], answer["vocab"]) == (0, "safetensors", SHAPE.heads, SHAPE.vocab)
    assert answer["weights"] > 50_000
