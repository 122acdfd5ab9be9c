"""Fetching against a server on loopback: nothing is kept that has not the right digest, and nothing is fetched twice."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import gguf
import pytest

from models import ModelError, files
from models.files import PINS, Pin, default_model, digest, fetch, resolve_model

DATA = bytes(range(256)) * 4000  # 1 MB
PIN = Pin("maker/model", "0123abcd", "some/folder/weights.gguf", hashlib.sha256(DATA).hexdigest(), len(DATA))
UNSIZED = Pin("maker/model", "0123abcd", "some/folder/weights.gguf", PIN.sha256)


@dataclass
class Site:
    """A small file server: what it sends, what it was asked, and where it breaks off."""

    data: bytes = DATA
    ranges: bool = True
    status: int = 200
    breaks: list[int] = field(default_factory=list)  # bytes after which the next answers end
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range", "")
        self.asked.append(wanted)
        if request.path != "/maker/model/resolve/0123abcd/some/folder/weights.gguf":
            request.send_error(404)
            return
        if self.status != 200:
            request.send_error(self.status)
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.ranges else 0
        if start >= len(self.data):
            request.send_error(416)
            return
        body = self.data[start:]
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body[: self.breaks.pop(0)] if self.breaks else body)


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.answer(self)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}"
    yield site
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("pin", [PIN, UNSIZED])
def test_a_file_comes_whole_and_only_once(site: Site, tmp_path: Path, pin: Pin) -> None:
    told: list[tuple[int, int | None]] = []
    folder = tmp_path / "new" / "models"
    target = fetch(pin, folder, lambda done, total: told.append((done, total)), hub=site.url)
    assert target == folder / "weights.gguf"
    assert target.read_bytes() == DATA
    assert told[-1] == (len(DATA), len(DATA))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert fetch(pin, folder, hub=site.url) == target
    assert site.asked == [""]
    assert [p.name for p in folder.iterdir()] == ["weights.gguf"]


@pytest.mark.parametrize("pin", [PIN, UNSIZED])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_connection_is_gone_on_with(site: Site, tmp_path: Path, pin: Pin, ranges: bool) -> None:
    site.breaks, site.ranges = [300_000, 100_000], ranges
    assert fetch(pin, tmp_path, hub=site.url).read_bytes() == DATA
    assert site.asked == ["", "bytes=300000-", "bytes=400000-" if ranges else "bytes=100000-"]


def test_what_is_there_is_kept_for_a_later_call(site: Site, tmp_path: Path) -> None:
    site.breaks = [1000] * files.ATTEMPTS
    with pytest.raises(ModelError, match="goes on from there"):
        fetch(PIN, tmp_path, hub=site.url)
    assert (tmp_path / "weights.gguf.part").stat().st_size == 1000 * files.ATTEMPTS
    assert not (tmp_path / "weights.gguf").exists()
    assert fetch(PIN, tmp_path, hub=site.url).read_bytes() == DATA
    assert site.asked[-1] == f"bytes={1000 * files.ATTEMPTS}-"


@pytest.mark.parametrize("pin", [PIN, UNSIZED])
def test_a_wrong_digest_is_never_kept(site: Site, tmp_path: Path, pin: Pin) -> None:
    site.data = DATA[:-1] + b"x"
    with pytest.raises(ModelError, match="digest"):
        fetch(pin, tmp_path, hub=site.url)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("pin", [PIN, UNSIZED])
@pytest.mark.parametrize("left", [b"x" * 500, DATA + b"more", b"x" * len(DATA)])
def test_a_wrong_rest_of_an_earlier_call_is_thrown_away(site: Site, tmp_path: Path, pin: Pin, left: bytes) -> None:
    (tmp_path / "weights.gguf.part").write_bytes(left)
    with pytest.raises(ModelError, match="try again"):
        fetch(pin, tmp_path, hub=site.url)
    assert fetch(pin, tmp_path, hub=site.url).read_bytes() == DATA


def test_a_damaged_file_is_fetched_again(site: Site, tmp_path: Path) -> None:
    (tmp_path / "weights.gguf").write_bytes(DATA[:-1])
    assert digest(fetch(PIN, tmp_path, hub=site.url)) == PIN.sha256


@pytest.mark.parametrize(("status", "asked"), [(403, 1), (404, 1), (503, files.ATTEMPTS)])
def test_what_the_server_says_is_passed_on(site: Site, tmp_path: Path, status: int, asked: int) -> None:
    site.status = status
    with pytest.raises(ModelError, match=str(status)):
        fetch(PIN, tmp_path, hub=site.url)
    assert len(site.asked) == asked


def test_no_server_and_no_room_are_errors(site: Site, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no connection"):
        fetch(PIN, tmp_path, hub="http://127.0.0.1:1")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ModelError, match="cannot be stored"):
        fetch(PIN, tmp_path / "file", hub=site.url)


def test_every_pin_names_a_revision_and_a_digest() -> None:
    pins = [pin for group in PINS.values() for pin in group]
    assert len({pin.sha256 for pin in pins}) == len(pins)
    for pin in pins:
        assert len(pin.revision) == 40
        assert pin.path == f"{pin.repository}/resolve/{pin.revision}/{pin.file}"
    with pytest.raises(ValueError, match="digest"):
        Pin("a/b", "c", "d", "1234")


def test_the_settings_name_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.gguf"
    path.write_bytes(b"GGUF")
    assert resolve_model(str(path)) == path
    for bad in (str(tmp_path / "absent.gguf"), str(tmp_path), "~nobody-of-that-name/x.gguf"):
        with pytest.raises(ModelError):
            resolve_model(bad)


def test_without_a_setting_the_model_that_ships_is_meant() -> None:
    shipped = Path(files.__file__).parent / "weights" / "home.gguf"
    for setting in (None, "", "home"):
        if shipped.is_file():
            assert resolve_model(setting) == default_model() == shipped
        else:
            with pytest.raises(ModelError, match="install"):
                resolve_model(setting)


def test_the_card_beside_the_shipped_file_is_of_that_file() -> None:
    shipped = Path(files.__file__).parent / "weights" / "home.gguf"
    card = json.loads(shipped.with_suffix(".json").read_text())
    assert (card["file"], card["bytes"], card["sha256"]) == (shipped.name, shipped.stat().st_size, digest(shipped))
    assert card["bytes"] < 12_000_000
    reader = gguf.GGUFReader(shipped)

    def told(key: str) -> object:
        field = reader.get_field(key)
        return None if field is None else field.contents()

    assert card["license"] == told("general.license") == "apache-2.0"
    assert card["architecture"] == told("general.architecture") == "llama"
    assert card["sizes"] == {name: told(f"llama.{name}") for name in card["sizes"]}
    assert len(card["sizes"]) >= 5
    assert card["parameters"] == sum(int(tensor.n_elements) for tensor in reader.tensors)
    pieces = told("tokenizer.ggml.tokens")
    assert isinstance(pieces, list)
    assert card["tokenizer"] == {"model": told("tokenizer.ggml.model"), "pieces": len(pieces)}
    kinds = {tensor.tensor_type.name for tensor in reader.tensors}
    assert card["quantisation"].removeprefix("MOSTLY_") in kinds


def test_the_card_says_how_the_file_was_made_and_how_well() -> None:
    card = json.loads((Path(files.__file__).parent / "weights" / "home.json").read_text())
    assert card["made"].keys() >= {"date", "corpus", "recipe", "run"}
    assert "seed" in card["made"]["recipe"] or "seed" in card["made"]["recipe"]["plan"]
    assert card["made"]["run"]["minutes"] > 0
    assert card["scores"]["held_out_lines"] >= 1000
    assert 0.8 < card["scores"]["held_out_lines_exact"] <= card["scores"]["held_out_intents_exact"] <= 1
