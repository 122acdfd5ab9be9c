"""The link over a real mosquitto: what it delivers, what it survives, and what it says when it cannot connect."""

from __future__ import annotations

import asyncio
import gc
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Protocol

import pytest

from devices.conventions import Message
from devices.link import Inbox, Link, LinkError, LinkSettings, LinkState, matches

WITHIN = 10.0


class Running(Protocol):
    host: str
    port: int

    async def stop(self) -> None: ...
    async def start(self) -> None: ...


StartBroker = Callable[[str], Awaitable[Running]]


def settings(broker: Running, **more: object) -> LinkSettings:
    return LinkSettings(host=broker.host, port=broker.port, **more)  # type: ignore[arg-type]


async def first(inbox: Inbox) -> Message:
    async with asyncio.timeout(WITHIN):
        return await anext(inbox)


@pytest.fixture
async def link(broker: Running) -> AsyncIterator[Link]:
    async with Link(settings(broker), must_connect=True) as link:
        yield link


async def settled(link: Link) -> None:
    async with asyncio.timeout(WITHIN):
        await link.settled()


async def test_a_message_arrives(link: Link) -> None:
    inbox = link.listen("room/+/lamp")
    await settled(link)
    await link.publish(Message("room/1/lamp", b"ON", qos=1))
    assert await first(inbox) == Message("room/1/lamp", b"ON")
    assert link.state is LinkState.CONNECTED


@pytest.mark.parametrize("later", [0, 2, 4, 6])
async def test_one_that_is_given_up_while_it_connects_leaves_nothing_behind(
    broker: Running, later: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def given_up() -> None:
        link = Link(settings(broker), status_topic="room/hub")
        await link.open()
        for _ in range(later):  # turns of the loop, each of which takes it a little further
            await asyncio.sleep(0)
        await link.close()

    for _ in range(5):
        await asyncio.to_thread(asyncio.run, given_up())
    gc.collect()  # what was left would say so now
    assert not caplog.records


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_message_tells_whether_the_broker_had_kept_it(broker: Running, protocol: str) -> None:
    async with Link(settings(broker, protocol=protocol), must_connect=True) as link:
        await link.publish(Message("a", b"old", retain=True, qos=1))
        inbox = link.listen("a")
        assert (await first(inbox)).retain
        await link.publish(Message("a", b"new", retain=True, qos=1))
        assert not (await first(inbox)).retain


async def test_two_inboxes_get_what_each_asked_for(link: Link) -> None:
    everything, one = link.listen("#"), link.listen("a/b")
    await settled(link)
    await link.publish(Message("a/c", b"1", qos=1))
    await link.publish(Message("a/b", b"2", qos=1))
    assert (await first(one)).payload == b"2"
    assert [(await first(everything)).payload for _ in range(2)] == [b"1", b"2"]


async def test_a_removed_filter_is_silent(link: Link) -> None:
    inbox = link.listen("a", "b")
    await settled(link)
    inbox.remove("a")
    await settled(link)
    await link.publish(Message("a", b"1", qos=1))
    await link.publish(Message("b", b"2", qos=1))
    assert (await first(inbox)).payload == b"2"


async def test_a_late_inbox_gets_what_the_broker_keeps(link: Link) -> None:
    early = link.listen("a")
    await link.publish(Message("a", b"kept", retain=True, qos=1))
    await first(early)
    assert (await first(link.listen("a"))).payload == b"kept"


async def test_a_closed_inbox_ends_its_iteration(link: Link) -> None:
    inbox = link.listen("a")
    inbox.close()
    assert [m async for m in inbox] == []


def test_what_is_said_now_overtakes_a_thousand_old_announcements() -> None:
    inbox = Link(LinkSettings()).listen("#")
    for n in range(1000):
        inbox.put(Message(f"old/{n}", b"old", retain=True))
    inbox.put(Message("say", b"lights on"))
    assert asyncio.run(drain(inbox, 1001)) == [b"lights on"] + [b"old"] * 1000


async def test_a_thousand_kept_announcements_all_arrive(link: Link) -> None:
    for n in range(1000):
        await link.publish(Message(f"old/{n}", b"x" * 1000, retain=True, qos=1))
    inbox = link.listen("old/+")
    assert {(await first(inbox)).topic for _ in range(1000)} == {f"old/{n}" for n in range(1000)}


def test_a_live_message_replaces_the_waiting_one_that_was_kept() -> None:
    inbox = Link(LinkSettings()).listen("a")
    inbox.put(Message("a", b"old", retain=True))
    inbox.put(Message("a", b"new"))
    assert asyncio.run(drain(inbox, 1)) == [b"new"]
    assert not inbox._retained


async def drain(inbox: Inbox, count: int) -> list[bytes]:
    return [(await anext(inbox)).payload for _ in range(count)]


async def test_the_status_is_online_then_offline(broker: Running, link: Link) -> None:
    inbox = link.listen("hub/x/status")
    async with Link(settings(broker), status_topic="hub/x/status", must_connect=True):
        assert (await first(inbox)).payload == b"online"
    assert (await first(inbox)).payload == b"offline"


async def test_it_comes_back_after_a_restart_of_the_broker(broker: Running, link: Link) -> None:
    greeted: asyncio.Queue[str] = asyncio.Queue()
    lost = asyncio.Event()

    async def greet() -> None:
        await greeted.put("hello")

    link.on_connect(greet)
    link.on_lost(lost.set)
    inbox = link.listen("a")
    async with asyncio.timeout(WITHIN):
        await greeted.get()
        await broker.stop()
        await lost.wait()
        with pytest.raises(LinkError):
            await link.publish(Message("a", b"lost"))
        await broker.start()
        await greeted.get()
    await link.publish(Message("a", b"back", qos=1))
    assert (await first(inbox)).payload == b"back"


async def test_a_daemon_waits_for_a_broker_that_starts_later(broker: Running) -> None:
    await broker.stop()
    async with Link(settings(broker)) as link:
        await broker.start()
        async with asyncio.timeout(WITHIN):
            await link.wait_connected()
        assert link.problem is None


async def test_no_broker_is_an_error_that_says_what_to_do(broker: Running) -> None:
    await broker.stop()
    with pytest.raises(LinkError, match=f"no MQTT broker answers at {broker.host}:{broker.port}: start it"):
        await Link(settings(broker), must_connect=True).open()


async def test_an_unknown_host_is_named() -> None:
    with pytest.raises(LinkError, match=r"no computer is called nowhere\.invalid|no connection"):
        await Link(LinkSettings(host="nowhere.invalid"), must_connect=True).open()


@pytest.mark.parametrize("protocol", ["auto", "3.1.1"])
async def test_a_wrong_password_is_an_error_that_says_so(
    start_broker: StartBroker, tmp_path: Path, protocol: str
) -> None:
    broker = await start_broker(f"allow_anonymous false\npassword_file {passwords(tmp_path)}")
    wrong = settings(broker, username="anna", password="wrong", protocol=protocol)
    with pytest.raises(LinkError, match="refuses the user 'anna'"):
        await Link(wrong, must_connect=True).open()
    async with Link(settings(broker, username="anna", password="right"), must_connect=True) as link:
        assert link.state is LinkState.CONNECTED


def passwords(folder: Path) -> Path:
    tool = shutil.which("mosquitto_passwd", path="/usr/bin:/usr/sbin:/usr/local/bin:/opt/homebrew/bin")
    assert tool is not None
    path = folder / "passwords"
    subprocess.run([tool, "-b", "-c", str(path), "anna", "right"], check=True, capture_output=True)
    return path


async def test_a_port_that_is_no_broker_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devices.link.CONNECTS_WITHIN", 0.2)
    monkeypatch.setattr("devices.link.FIRST_PROTOCOL_WITHIN", 0.2)

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(LinkError, match="does not speak MQTT"):
            await Link(LinkSettings("127.0.0.1", port), must_connect=True).open()


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def certificates(folder: Path) -> None:
    """A CA, and a certificate by it for the broker and one for the client."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout")
    openssl(folder, "req", "-x509", *key, "ca.key", "-out", "ca.pem", "-subj", "/CN=our CA", "-days", "1")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost")
    for who in ("broker", "client"):
        openssl(folder, "req", *key, f"{who}.key", "-out", f"{who}.csr", "-subj", f"/CN={who}")
        sign = ("x509", "-req", "-in", f"{who}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial")
        openssl(folder, *sign, "-out", f"{who}.pem", "-extfile", "names", "-days", "1")


async def test_tls_with_a_ca_and_a_client_certificate(start_broker: StartBroker, tmp_path: Path) -> None:
    certificates(tmp_path)
    files = f"cafile {tmp_path}/ca.pem\ncertfile {tmp_path}/broker.pem\nkeyfile {tmp_path}/broker.key"
    broker = await start_broker(f"allow_anonymous true\nrequire_certificate true\n{files}")
    own = {"cert_file": f"{tmp_path}/client.pem", "key_file": f"{tmp_path}/client.key"}
    async with Link(settings(broker, tls=True, ca_file=f"{tmp_path}/ca.pem", **own), must_connect=True) as link:
        inbox = link.listen("a")
        await settled(link)
        await link.publish(Message("a", b"secret", qos=1))
        assert (await first(inbox)).payload == b"secret"
    with pytest.raises(LinkError, match="not trusted: set ca_file"):
        await Link(settings(broker, tls=True), must_connect=True).open()
    with pytest.raises(LinkError, match="no certificate file"):
        await Link(settings(broker, tls=True, ca_file=f"{tmp_path}/none.pem"), must_connect=True).open()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"host": ""}, "host is empty"),
        ({"port": 0}, "no port"),
        ({"protocol": "4"}, "no MQTT version"),
        ({"password": "x"}, "needs a user name"),
        ({"ca_file": "ca.pem"}, "tls is off"),
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(LinkError, match=says):
        LinkSettings(**wrong)  # type: ignore[arg-type]


async def test_what_cannot_be_published_is_an_error(link: Link) -> None:
    with pytest.raises(LinkError, match="cannot be published"):
        await link.publish(Message("a/#", b""))


@pytest.mark.parametrize(
    ("pattern", "topic", "wanted"),
    [
        ("a/b", "a/b", True),
        ("a/+", "a/b", True),
        ("a/+", "a/b/c", False),
        ("a/#", "a/b/c", True),
        ("a/#", "a", True),
        ("#", "$SYS/uptime", False),
        ("+/b", "a/c", False),
        ("a/b/c", "a/b", False),
    ],
)
def test_filters_match_as_the_broker_matches(pattern: str, topic: str, wanted: bool) -> None:
    assert matches(pattern, topic) is wanted
