"""Fetching against a server on loopback: nothing is kept that has not the right digest, and nothing is fetched twice."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.client import HTTPMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import gguf
import pytest

from models import ModelError, files
from models.files import ABOUT, PINS, Patience, Pin, default_model, digest, fetch, resolve_model

DATA = bytes(range(256)) * 4000  # 1 MB
PIN = Pin("maker/model", "0123abcd", "some/folder/weights.gguf", hashlib.sha256(DATA).hexdigest(), len(DATA))
UNSIZED = Pin("maker/model", "0123abcd", "some/folder/weights.gguf", PIN.sha256)


@dataclass
class Site:
    """A small file server: what it sends, what it was asked, and how it misbehaves."""

    data: bytes = DATA
    ranges: bool = True
    status: int = 200
    statuses: list[int] = field(default_factory=list)  # of the next answers, before `status` holds
    headers: dict[str, str] = field(default_factory=dict)  # more of them, or in the place of the right ones
    chunked: bool = False  # no length is told, and the end only by the encoding
    breaks: list[int] = field(default_factory=list)  # bytes after which the next answers end
    stalls: list[int] = field(default_factory=list)  # bytes after which the next answers go silent
    asked: list[str] = field(default_factory=list)
    url: str = ""
    over: threading.Event = field(default_factory=threading.Event)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range", "")
        self.asked.append(wanted)
        status = self.statuses.pop(0) if self.statuses else self.status
        if request.path != "/maker/model/resolve/0123abcd/some/folder/weights.gguf":
            status = 404
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.ranges else 0
        if status == 200 and start >= len(self.data):
            status = 416
        if status != 200:
            self.head(request, status, 0)
            return
        self.head(request, 206 if start else 200, len(self.data) - start)
        self.send(request, self.data[start:])

    def head(self, request: BaseHTTPRequestHandler, status: int, length: int) -> None:
        request.send_response(status)
        right = {"Transfer-Encoding": "chunked"} if self.chunked else {"Content-Length": str(length)}
        for key, value in (right | self.headers).items():
            request.send_header(key, value)
        request.end_headers()

    def send(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        stall = self.stalls.pop(0) if self.stalls else None
        end = self.breaks.pop(0) if self.breaks else stall
        part = body[:end]
        request.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(part), part) if self.chunked else part)
        if stall is not None:
            self.over.wait()


@contextmanager
def served() -> Iterator[Site]:
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.close_connection = True
            with suppress(ConnectionError):
                site.answer(self)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}"
    yield site
    site.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def site() -> Iterator[Site]:
    with served() as site:
        yield site


@pytest.fixture
def waits() -> list[float]:
    """How long was waited between the connections of this test, in seconds; nobody really waits."""
    return []


@pytest.fixture
def patience(waits: list[float]) -> Patience:
    return Patience(silence=0.2, pause=waits.append)


@pytest.mark.parametrize("pin", [PIN, UNSIZED])
def test_a_file_comes_whole_and_only_once(site: Site, tmp_path: Path, pin: Pin) -> None:
    told: list[tuple[int, int | None]] = []
    folder = tmp_path / "new" / "models"
    target = fetch(pin, folder, lambda done, total: told.append((done, total)), source=site.url)
    assert target == folder / "weights.gguf"
    assert target.read_bytes() == DATA
    assert told[-1] == (len(DATA), len(DATA))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert fetch(pin, folder, source=site.url) == target
    assert site.asked == [""]
    assert [p.name for p in folder.iterdir()] == ["weights.gguf"]


@pytest.mark.parametrize("pin", [PIN, UNSIZED])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_connection_is_gone_on_with(
    site: Site, tmp_path: Path, pin: Pin, ranges: bool, patience: Patience
) -> None:
    site.breaks, site.ranges = [300_000, 100_000], ranges
    assert fetch(pin, tmp_path, source=site.url, patience=patience).read_bytes() == DATA
    assert site.asked == ["", "bytes=300000-", "bytes=400000-" if ranges else "bytes=100000-"]


def test_what_is_there_is_kept_for_a_later_call(site: Site, tmp_path: Path, patience: Patience) -> None:
    site.breaks = [1000] * Patience().attempts
    with pytest.raises(ModelError, match="goes on from there"):
        fetch(PIN, tmp_path, source=site.url, patience=patience)
    assert (tmp_path / "weights.gguf.part").stat().st_size == 1000 * Patience().attempts
    assert not (tmp_path / "weights.gguf").exists()
    assert fetch(PIN, tmp_path, source=site.url).read_bytes() == DATA
    assert site.asked[-1] == f"bytes={1000 * Patience().attempts}-"


@pytest.mark.parametrize("pin", [PIN, UNSIZED])
def test_a_wrong_digest_is_never_kept(site: Site, tmp_path: Path, pin: Pin) -> None:
    site.data = DATA[:-1] + b"x"
    with pytest.raises(ModelError, match="digest"):
        fetch(pin, tmp_path, source=site.url)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("pin", [PIN, UNSIZED])
@pytest.mark.parametrize("left", [b"x" * 500, DATA + b"more", b"x" * len(DATA)])
def test_a_wrong_rest_of_an_earlier_call_is_thrown_away(site: Site, tmp_path: Path, pin: Pin, left: bytes) -> None:
    (tmp_path / "weights.gguf.part").write_bytes(left)
    with pytest.raises(ModelError, match="try again"):
        fetch(pin, tmp_path, source=site.url)
    assert fetch(pin, tmp_path, source=site.url).read_bytes() == DATA


def test_a_damaged_file_is_fetched_again(site: Site, tmp_path: Path) -> None:
    (tmp_path / "weights.gguf").write_bytes(DATA[:-1])
    assert digest(fetch(PIN, tmp_path, source=site.url)) == PIN.sha256


@pytest.mark.parametrize(("status", "asked"), [(403, 1), (404, 1), (503, Patience().attempts)])
def test_what_the_server_says_is_passed_on(
    site: Site, tmp_path: Path, status: int, asked: int, patience: Patience
) -> None:
    site.status = status
    with pytest.raises(ModelError, match=str(status)):
        fetch(PIN, tmp_path, source=site.url, patience=patience)
    assert len(site.asked) == asked


def test_no_server_and_no_room_are_errors(site: Site, tmp_path: Path, patience: Patience) -> None:
    with pytest.raises(ModelError, match="no connection"):
        fetch(PIN, tmp_path, source="http://127.0.0.1:1", patience=patience)
    with pytest.raises(ModelError, match=r"nobody\.invalid is not found: this machine has no network"):
        fetch(PIN, tmp_path, source="http://nobody.invalid", patience=patience)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ModelError, match="cannot be stored"):
        fetch(PIN, tmp_path / "file", source=site.url)


def test_pauses_grow_and_a_connection_that_brought_much_is_no_failure(
    site: Site, tmp_path: Path, patience: Patience, waits: list[float]
) -> None:
    site.data = DATA * 8
    pin = replace(PIN, sha256=hashlib.sha256(site.data).hexdigest(), size=len(site.data))
    site.breaks = [1 << 20] * 6 + [0] * 3
    assert fetch(pin, tmp_path, source=site.url, patience=patience).read_bytes() == site.data
    assert waits == [0.5] * 6 + [1.0, 2.0, 4.0]


@pytest.mark.parametrize("pin", [PIN, UNSIZED])
def test_a_server_that_goes_silent_is_asked_again(site: Site, tmp_path: Path, patience: Patience, pin: Pin) -> None:
    site.stalls = [200_000, 0]
    assert fetch(pin, tmp_path, source=site.url, patience=patience).read_bytes() == DATA
    assert site.asked == ["", "bytes=200000-", "bytes=200000-"]


@pytest.mark.parametrize("pin", [PIN, UNSIZED])
def test_an_answer_without_a_length_is_read_to_its_end(site: Site, tmp_path: Path, pin: Pin) -> None:
    site.chunked = True
    assert fetch(pin, tmp_path, source=site.url).read_bytes() == DATA


@pytest.mark.parametrize("told", ["5000", "5000000", "-1", "many"])
def test_the_pin_is_believed_and_not_the_told_length(site: Site, tmp_path: Path, patience: Patience, told: str) -> None:
    site.headers = {"Content-Length": told}
    with suppress(ModelError):
        assert fetch(PIN, tmp_path, source=site.url, patience=patience).read_bytes() == DATA
    target = tmp_path / "weights.gguf"
    assert not target.exists() or target.read_bytes() == DATA
    site.headers = {}
    assert fetch(PIN, tmp_path, source=site.url, patience=patience).read_bytes() == DATA


@pytest.mark.parametrize("chunked", [True, False])
def test_what_is_longer_than_the_file_is_refused(site: Site, tmp_path: Path, chunked: bool) -> None:
    site.data, site.chunked = DATA + b"more" * 100_000, chunked
    with pytest.raises(ModelError, match="more came than the 1,024,000 bytes"):
        fetch(PIN, tmp_path, source=site.url)
    assert list(tmp_path.iterdir()) == []


def test_a_rest_from_the_wrong_place_is_not_taken(site: Site, tmp_path: Path, patience: Patience) -> None:
    (tmp_path / "weights.gguf.part").write_bytes(DATA[:1000])
    site.headers = {"Content-Range": f"bytes 5-{len(DATA) - 1}/{len(DATA)}"}
    assert fetch(PIN, tmp_path, source=site.url, patience=patience).read_bytes() == DATA
    assert site.asked == ["bytes=1000-", ""]


@pytest.mark.parametrize(
    ("status", "headers", "waited"),
    [
        (429, {"Retry-After": "7"}, [7.0, 7.0]),
        (503, {"Retry-After": "0"}, [0.0, 0.0]),
        (429, {"Retry-After": "Thu, 01 Jan 2015 00:00:00 GMT"}, [0.0, 0.0]),
        (429, {"Retry-After": "soon"}, [1.0, 2.0]),
        (429, {}, [1.0, 2.0]),
        (408, {}, [1.0, 2.0]),
    ],
)
def test_a_busy_server_is_given_the_time_that_it_asks_for(
    site: Site, tmp_path: Path, patience: Patience, waits: list[float], status: int, headers: dict[str, str],
    waited: list[float],
) -> None:  # fmt: skip
    site.statuses, site.headers = [status, status], headers
    assert fetch(PIN, tmp_path, source=site.url, patience=patience).read_bytes() == DATA
    assert waits == waited


def test_a_server_that_asks_for_an_hour_is_not_waited_for(
    site: Site, tmp_path: Path, patience: Patience, waits: list[float]
) -> None:
    site.status, site.headers = 429, {"Retry-After": "3600"}
    with pytest.raises(ModelError, match="in 60 minutes"):
        fetch(PIN, tmp_path, source=site.url, patience=patience)
    assert waits == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_to_another_host_is_followed_and_gone_on_with(
    site: Site, tmp_path: Path, patience: Patience, status: int
) -> None:
    with served() as store:
        store.breaks = [400_000]
        site.status = status
        site.headers = {"Location": f"{store.url.replace('127.0.0.1', 'localhost')}/{PIN.path}"}
        assert fetch(PIN, tmp_path, source=site.url, patience=patience).read_bytes() == DATA
        assert store.asked == ["", "bytes=400000-"]
    assert len(site.asked) == 2


@pytest.mark.parametrize(
    ("where", "what"),
    [("/maker/model/resolve/0123abcd/some/folder/weights.gguf", "loop"), ("file:///etc/passwd", "302"), ("", "302")],
)
def test_a_redirect_that_leads_nowhere_is_an_error(
    site: Site, tmp_path: Path, patience: Patience, where: str, what: str
) -> None:
    site.status, site.headers = 302, {"Location": where}
    with pytest.raises(ModelError, match=what):
        fetch(PIN, tmp_path, source=site.url, patience=patience)
    assert not (tmp_path / "weights.gguf").exists()


def test_a_redirect_never_leaves_the_protected_line() -> None:
    asked = urllib.request.Request("https://hub.example/file", headers={"Range": "bytes=5-"})
    told = (asked, BytesIO(), 302, "Found", HTTPMessage())
    on = files._Redirects().redirect_request(*told, "https://store.example/file")
    assert on is not None
    assert on.headers == asked.headers
    with pytest.raises(urllib.error.HTTPError, match="unprotected"):
        files._Redirects().redirect_request(*told, "http://store.example/file")


def test_a_page_of_the_network_is_told_from_a_file(site: Site, tmp_path: Path) -> None:
    site.data = b"<!doctype html><title>Hotel</title>"
    with pytest.raises(ModelError, match="login"):
        fetch(UNSIZED, tmp_path, source=site.url)
    assert list(tmp_path.iterdir()) == []


def test_the_disk_is_looked_at_first(site: Site, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no room in"):
        fetch(replace(PIN, size=10**16), tmp_path, source=site.url)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_on_the_way_leaves_what_can_be_gone_on_with(site: Site, tmp_path: Path) -> None:
    most = 500_000  # bytes a file of the child may have; the system then fails its writes as it does on a full disk
    code = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from models import ModelError\n"
        "from models.files import Pin, fetch\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({most}, {most}))\n"
        "try:\n"
        f"    fetch({PIN!r}, Path(sys.argv[1]), source=sys.argv[2])\n"
        "except ModelError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path, site.url],
        cwd=Path(files.__file__).parents[1], capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "cannot be stored" in done.stdout, done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["weights.gguf.part"]
    assert fetch(PIN, tmp_path, source=site.url).read_bytes() == DATA


def test_two_at_once_do_not_write_into_each_other(site: Site, tmp_path: Path) -> None:
    handle = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(ModelError, match="another command"):
        fetch(PIN, tmp_path, source=site.url)
    os.close(handle)
    assert fetch(PIN, tmp_path, source=site.url).read_bytes() == DATA


@pytest.mark.parametrize("place", ["weights.gguf", "mine/weights.gguf", PIN.path])
def test_a_stick_is_a_source_too(tmp_path: Path, place: str) -> None:
    file = tmp_path / "stick" / place
    file.parent.mkdir(parents=True)
    file.write_bytes(DATA)
    told: list[tuple[int, int | None]] = []
    target = fetch(
        PIN, tmp_path / "mine", lambda done, total: told.append((done, total)), source=str(tmp_path / "stick")
    )
    assert target.read_bytes() == DATA
    assert told[-1] == (len(DATA), len(DATA))


def test_a_wrong_stick_is_told(tmp_path: Path) -> None:
    stick, folder = tmp_path / "stick", tmp_path / "mine"
    with pytest.raises(ModelError, match="mounted"):
        fetch(PIN, folder, source=str(stick))
    stick.mkdir()
    with pytest.raises(ModelError, match=r"has no weights\.gguf"):
        fetch(PIN, folder, source=str(stick))
    for wrong in (DATA[:-1] + b"x", DATA[:1000]):
        (stick / "weights.gguf").write_bytes(wrong)
        with pytest.raises(ModelError, match="damaged"):
            fetch(PIN, folder, source=str(stick))
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("source", ["ftp://127.0.0.1", "file:///etc", "http://[::1", "http://127.0.0.1:port"])
def test_what_is_no_source_is_an_error(tmp_path: Path, source: str, patience: Patience) -> None:
    with pytest.raises(ModelError):
        fetch(PIN, tmp_path, source=source, patience=patience)


def test_every_pin_names_a_revision_and_a_digest() -> None:
    pins = [pin for group in PINS.values() for pin in group]
    assert len({pin.sha256 for pin in pins}) == len(pins)
    for pin in pins:
        assert len(pin.revision) == 40
        assert pin.path == f"{pin.repository}/resolve/{pin.revision}/{pin.file}"
    assert ABOUT.keys() == PINS.keys()
    for name, group in PINS.items():
        known = [pin.size for pin in group if pin.size is not None]
        assert sum(known) <= ABOUT[name].bytes
        assert len(known) < len(group) or sum(known) == ABOUT[name].bytes
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
