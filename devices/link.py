"""The line to the MQTT broker: opened once, kept up for ever, and honest about what state it is in.

The only file that knows aiomqtt and paho. Whoever wants messages opens an inbox with `Link.listen`; every filter of
every inbox is subscribed again after a reconnection. MQTT 5 is tried first and 3.1.1 where a broker does not speak it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
import uuid
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import aiomqtt

from devices.conventions import Message
from devices.device import DeviceError
from devices.tasks import end

log = logging.getLogger(__name__)
# What aiomqtt calls an error is here an acknowledgement that comes after its asker was stopped; real ones are raised.
_WIRE_LOG = logging.getLogger(f"{__name__}.wire")
_WIRE_LOG.setLevel(logging.CRITICAL)

CONNECTS_WITHIN = (
    5.0  # seconds for a CONNACK; a broker across a slow Wi-Fi takes 0.3, a port that is no MQTT never ends
)
# amqtt misreads a CONNECT of MQTT 5 that has a will, and waits for the rest of it for ever; then 3.1.1 gets its turn.
FIRST_PROTOCOL_WITHIN = 2.0
ANSWERS_WITHIN = 10.0  # seconds for a SUBACK or PUBACK
FIRST_WAIT, LONGEST_WAIT = (
    0.25,
    30.0,
)  # between attempts: a restarted broker is back in 1 s, nobody waits a minute for it
FILTERS_A_PACKET = 100  # keeps a SUBSCRIBE far below the smallest packet limit in use (amqtt and HiveMQ take 64 KiB)
LIVE_WAITING = 10_000  # messages; 100 a second for longer than any stall that was seen, about 5 MB
RETAINED_WAITING = 50_000  # topics; a house of a thousand devices retains 10,000
OFFLINE, ONLINE = b"offline", b"online"

Hook = Callable[[], Awaitable[None]]

_UNSUPPORTED_VERSION = frozenset({1, 132})
_BAD_LOGIN = frozenset({4, 5, 134, 135, 140})


class LinkError(DeviceError):
    """The broker cannot be reached or refuses; the text says why and what to do next."""


class LinkState(Enum):
    """Where the link stands."""

    CLOSED = "closed"  # not opened yet, or closed for good
    CONNECTING = "connecting"  # an attempt is under way
    CONNECTED = "connected"  # messages flow
    WAITING = (
        "waiting"  # the last attempt failed or the line was lost; `Link.problem` says why, the next attempt follows
    )


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """Where the broker is and how to log in; chosen once.

    `keepalive` is in seconds: a broker that lost its power is noticed within one and a half of it. An empty
    `client_id` stands for a new one. Raises LinkError when the values do not fit together.
    """

    host: str = "localhost"
    port: int = 1883
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    keepalive: int = 20
    client_id: str = ""
    protocol: Literal["auto", "5", "3.1.1"] = "auto"

    def __post_init__(self) -> None:
        if not self.host.strip():
            raise LinkError("the broker's host is empty: give its name or address")
        if not 0 < self.port < 65536:
            raise LinkError(f"{self.port} is no port: MQTT brokers use 1883, or 8883 with TLS")
        if not 0 < self.keepalive < 65536:
            raise LinkError(f"a keepalive of {self.keepalive} s is not possible: 20 is usual")
        if self.protocol not in ("auto", "5", "3.1.1"):
            raise LinkError(f"{self.protocol!r} is no MQTT version: use auto, 5 or 3.1.1")
        if self.password is not None and self.username is None:
            raise LinkError("a password needs a user name")
        if (self.ca_file or self.cert_file or self.key_file) and not self.tls:
            raise LinkError("certificates are given, but tls is off: set tls = true")
        if self.key_file and not self.cert_file:
            raise LinkError("a client key needs its certificate: set cert_file too")

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


class Inbox:
    """The messages that match this inbox's filters; an async iterator for one reader.

    Live messages come before retained ones, so that a thousand old announcements do not delay a word that was just
    said, and a live message takes the place of a retained one of its topic that still waits. Where more wait than
    fit, the oldest live ones are dropped and that is logged.
    """

    def __init__(self, link: Link, qos: int) -> None:
        self.qos = qos
        self.filters: set[str] = set()
        self._patterns: set[str] = set()
        self._link = link
        self._live: deque[Message] = deque()
        self._retained: dict[str, Message] = {}
        self._arrived = asyncio.Event()
        self._closed = False
        self._dropped = 0

    def add(self, *filters: str) -> None:
        """Listens to these too; returns at once, `Link.settled` tells when the broker knows."""
        new = [f for f in filters if f not in self.filters]
        self.filters.update(new)
        self._patterns.update(f for f in new if "+" in f or "#" in f)
        if new:
            self._link.want(self, new)

    def remove(self, *filters: str) -> None:
        gone = [f for f in filters if f in self.filters]
        self.filters.difference_update(gone)
        self._patterns.difference_update(gone)
        if gone:
            self._link.want_no_more(gone)

    def close(self) -> None:
        """Ends the iteration and drops what waits."""
        self.remove(*self.filters)
        self._link.forget(self)
        self._closed = True
        self._arrived.set()

    def wants(self, topic: str) -> bool:
        return topic in self.filters or any(matches(p, topic) for p in self._patterns)

    def put(self, message: Message) -> None:
        if not message.retain:
            self._retained.pop(message.topic, None)
            self._put_live(message)
        elif len(self._retained) < RETAINED_WAITING or message.topic in self._retained:
            self._retained[message.topic] = message
        else:
            self._count_dropped()
        self._arrived.set()

    def _put_live(self, message: Message) -> None:
        if len(self._live) >= LIVE_WAITING:
            self._live.popleft()
            self._count_dropped()
        self._live.append(message)

    def _count_dropped(self) -> None:
        self._dropped += 1
        if self._dropped.bit_count() == 1:  # the 1st, 2nd, 4th, 8th ... so that a flood does not flood the log
            log.warning(
                "more messages come in than can be read: %d dropped so far",
                self._dropped,
            )

    def __aiter__(self) -> AsyncIterator[Message]:
        return self

    async def __anext__(self) -> Message:
        await asyncio.sleep(0)  # a full inbox must not keep the loop from everyone else
        while not self._closed:
            if self._live:
                return self._live.popleft()
            if self._retained:
                return self._retained.pop(next(iter(self._retained)))
            self._arrived.clear()
            await self._arrived.wait()
        raise StopAsyncIteration


class Link:
    """One connection to the broker, as an async context manager.

    With `must_connect` the first attempt has to succeed, and entering raises LinkError when it does not; without it,
    entering returns at once and attempts go on until the link is closed. `status_topic` is kept at "online" while the
    link is up and "offline" otherwise, retained, the latter by the broker's own hand (last will).
    """

    def __init__(
        self,
        settings: LinkSettings,
        *,
        status_topic: str | None = None,
        must_connect: bool = False,
    ) -> None:
        self.settings = settings
        self.state = LinkState.CLOSED
        self.problem: LinkError | None = None
        self._status_topic = status_topic
        self._must_connect = must_connect
        self._client_id = settings.client_id or f"hub-{uuid.uuid4().hex[:12]}"
        self._protocols = _protocols(settings.protocol)
        self._client: aiomqtt.Client | None = None
        self._tls: ssl.SSLContext | None = None
        self._task: asyncio.Task[None] | None = None
        self._inboxes: list[Inbox] = []
        self._wanted: dict[str, int] = {}  # filter -> QoS
        self._known: set[str] = set()  # filters that the broker has acknowledged on this connection
        self._hooks: list[Hook] = []
        self._lost_hooks: list[Callable[[], None]] = []
        self._to_greet: list[Hook] = []  # hooks that were not called on this connection yet
        self._greetings: set[asyncio.Task[None]] = set()
        self._connected = asyncio.Event()
        self._tried = asyncio.Event()
        self._unsettled = asyncio.Event()
        self._settled = asyncio.Event()

    # -- for whoever uses the link

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Raises LinkError for certificates that cannot be read, and with `must_connect` for every other failure."""
        self._tls = _tls(self.settings)
        self.state = LinkState.CONNECTING
        self._task = asyncio.create_task(self._keep_up())
        if self._must_connect:
            tried = asyncio.create_task(self._tried.wait())
            await asyncio.wait((tried, self._task), return_when=asyncio.FIRST_COMPLETED)
            tried.cancel()
            if self._task.done():
                self._task.result()
            if self.problem is not None:
                await self.close()
                raise self.problem

    async def close(self) -> None:
        """Says "offline" where it can, and ends. Harmless when it is closed."""
        task, self._task = self._task, None
        if task is None:
            return
        try:
            await self._say_status(OFFLINE)
        except LinkError as error:
            log.debug("could not say goodbye: %s", error)
        await end(task)
        self.state = LinkState.CLOSED
        for inbox in list(self._inboxes):
            inbox.close()

    async def publish(self, message: Message) -> None:
        """Raises LinkError where there is no connection, or the broker does not acknowledge (QoS 1 and 2)."""
        client = self._client
        if client is None:
            raise self.problem or LinkError(f"there is no connection to the broker at {self.settings.address}")
        try:
            await client.publish(message.topic, message.payload, qos=message.qos, retain=message.retain)
        except aiomqtt.MqttError as error:
            raise LinkError(f"the broker at {self.settings.address} did not take {message.topic}: {error}") from None
        except ValueError as error:
            raise LinkError(f"{message.topic!r} cannot be published: {error}") from None

    def listen(self, *filters: str, qos: int = 0) -> Inbox:
        """An inbox of the messages that match. `Message.retain` tells that the broker had kept a message."""
        inbox = Inbox(self, qos)
        self._inboxes.append(inbox)
        inbox.add(*filters)
        return inbox

    def on_connect(self, hook: Hook) -> None:
        """Calls `hook` after each connection, once all filters are subscribed; now too, if that has been."""
        self._hooks.append(hook)
        if self._connected.is_set():
            self._to_greet.append(hook)
            self._settle()

    def on_lost(self, hook: Callable[[], None]) -> None:
        """Calls `hook` each time that the line was lost."""
        self._lost_hooks.append(hook)

    def forget_hooks(self, *hooks: Callable[[], object]) -> None:
        self._hooks = [h for h in self._hooks if h not in hooks]
        self._lost_hooks = [h for h in self._lost_hooks if h not in hooks]

    async def wait_connected(self) -> None:
        await self._connected.wait()

    async def settled(self) -> None:
        """Returns once the broker has acknowledged every filter that is wanted, on this connection."""
        await self._settled.wait()

    # -- for the inboxes

    def want(self, inbox: Inbox, filters: Iterable[str]) -> None:
        for topic in filters:
            if self._wanted.get(topic, -1) < inbox.qos:
                self._wanted[topic] = inbox.qos
            self._known.discard(topic)  # subscribing again makes the broker send what it kept, to the new inbox
        self._settle()

    def want_no_more(self, filters: Iterable[str]) -> None:
        for topic in filters:
            if not any(topic in inbox.filters for inbox in self._inboxes):
                self._wanted.pop(topic, None)
        self._settle()

    def forget(self, inbox: Inbox) -> None:
        if inbox in self._inboxes:
            self._inboxes.remove(inbox)

    def _settle(self) -> None:
        self._settled.clear()
        self._unsettled.set()

    # -- the connection

    async def _keep_up(self) -> None:
        wait = FIRST_WAIT
        while True:
            self.state = LinkState.CONNECTING
            try:
                async with await self._connect() as client:
                    wait = FIRST_WAIT
                    await self._serve(client)
            except aiomqtt.MqttError as error:
                self._lost(self._explain(error))
            self._tried.set()
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # not all clients at once after a power cut
            wait = min(wait * 2, LONGEST_WAIT)

    def _lost(self, problem: LinkError) -> None:
        if str(problem) != str(self.problem) and not (self._must_connect and not self._tried.is_set()):
            log.warning("%s", problem)
        self.state = LinkState.WAITING
        self.problem = problem
        self._client = None
        self._connected.clear()
        self._settled.clear()

    async def _connect(self) -> _Connected:
        """A connected client, with the first protocol version that the broker speaks."""
        for version in self._protocols[:-1]:
            try:
                return await self._connect_with(version, FIRST_PROTOCOL_WITHIN)
            except aiomqtt.MqttCodeError as error:
                if _code(error) not in _UNSUPPORTED_VERSION:
                    raise
            except aiomqtt.MqttError as error:
                if "timed out" not in str(error).lower():
                    raise
            log.debug(
                "the broker at %s does not speak MQTT %s",
                self.settings.address,
                version.name,
            )
        connected = await self._connect_with(self._protocols[-1], CONNECTS_WITHIN)
        self._protocols = self._protocols[-1:]
        return connected

    async def _connect_with(self, version: aiomqtt.ProtocolVersion, within: float) -> _Connected:
        will = None
        if self._status_topic is not None:
            will = aiomqtt.Will(self._status_topic, OFFLINE, qos=1, retain=True)
        client = aiomqtt.Client(
            self.settings.host,
            self.settings.port,
            username=self.settings.username,
            password=self.settings.password,
            identifier=self._client_id,
            protocol=version,
            will=will,
            timeout=within,
            keepalive=self.settings.keepalive,
            tls_context=self._tls,
            logger=_WIRE_LOG,
        )
        client.pending_calls_threshold = 1000
        connected = _Connected(client)
        await connected.open()
        return connected

    async def _serve(self, client: aiomqtt.Client) -> None:
        """Reads until the line is lost, which raises MqttError."""
        client.timeout = ANSWERS_WITHIN
        self._client = client
        self._known = set()
        self._to_greet = list(self._hooks)
        self._settle()
        helper = asyncio.create_task(self._look_after(client))
        try:
            async for message in client.messages:
                self._deliver(_message(message))
        finally:
            self._client = None
            self._connected.clear()
            self._settled.clear()
            for lost in self._lost_hooks:
                lost()
            await end(helper, *self._greetings)

    def _deliver(self, message: Message) -> None:
        for inbox in self._inboxes:
            if inbox.wants(message.topic):
                inbox.put(message)

    async def _look_after(self, client: aiomqtt.Client) -> None:
        """Says that we are here, then keeps the broker's list of our filters equal to ours."""
        if self.problem is not None:
            log.info("connected again to the broker at %s", self.settings.address)
        self.problem = None
        self.state = LinkState.CONNECTED
        self._connected.set()
        self._tried.set()
        while True:
            try:
                await self._say_status(ONLINE)
                break
            except LinkError as error:
                log.debug("could not say that we are here: %s", error)
                await asyncio.sleep(FIRST_WAIT)
        while True:
            await self._unsettled.wait()
            self._unsettled.clear()
            try:
                await self._subscribe_wanted(client)
            except aiomqtt.MqttError as error:
                log.debug("subscribing failed: %s", error)  # the reader sees it too, if the line was lost
                await asyncio.sleep(FIRST_WAIT)
                self._unsettled.set()

    async def _subscribe_wanted(self, client: aiomqtt.Client) -> None:
        while missing := [(f, q) for f, q in self._wanted.items() if f not in self._known][:FILTERS_A_PACKET]:
            self._known.update(f for f, _ in missing)
            try:
                answers = await client.subscribe(missing)
            except BaseException:
                self._known.difference_update(f for f, _ in missing)
                raise
            for (topic, _), answer in zip(missing, answers, strict=False):
                if _value(answer) >= 128:
                    log.warning("the broker does not let us listen to %s (%s)", topic, answer)
        while surplus := [f for f in self._known if f not in self._wanted][:FILTERS_A_PACKET]:
            self._known.difference_update(surplus)
            await client.unsubscribe(surplus)
        if not self._unsettled.is_set():
            self._settled.set()
            greet, self._to_greet = self._to_greet, []
            for hook in greet:
                task = asyncio.create_task(_call(hook))
                self._greetings.add(task)
                task.add_done_callback(self._greetings.discard)

    async def _say_status(self, status: bytes) -> None:
        if self._status_topic is not None:
            await self.publish(Message(self._status_topic, status, retain=True, qos=1))

    def _explain(self, error: aiomqtt.MqttError) -> LinkError:
        where = self.settings.address
        text = str(error)
        if isinstance(error, aiomqtt.MqttCodeError) and _code(error) in _BAD_LOGIN:
            who = f"the user {self.settings.username!r}" if self.settings.username else "a client without a user name"
            return LinkError(f"the broker at {where} refuses {who}: check the user name and password in the settings")
        if self.state is LinkState.CONNECTED:
            return LinkError(f"the connection to the broker at {where} was lost: {text}")
        return LinkError(_advice(where, text, self.settings.tls))


class _Connected:
    """A client that is connected already, as a context manager that only has to leave."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client

    async def open(self) -> None:
        try:
            await self._client.__aenter__()
        except UnicodeError as error:
            raise aiomqtt.MqttError(f"name or service not known: {error}") from None
        except BaseException:
            # aiomqtt leaves the socket open when no CONNACK comes in time, and has no verb of its own to close it.
            client = self._client._client
            client.on_disconnect = None  # nobody waits for it any more
            if client.socket() is None:  # its thread still connects, and may come to its end after our loop's
                client.on_socket_close = client.on_socket_register_write = client.on_socket_unregister_write = None
                client.on_socket_open = lambda client, data, late: late.close()
            client.disconnect()
            raise

    async def __aenter__(self) -> aiomqtt.Client:
        return self._client

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.__aexit__(kind, error, trace)


async def _call(hook: Hook) -> None:
    """Nobody awaits a hook, so what goes wrong in it is logged here; the link goes on."""
    try:
        await hook()
    except DeviceError as error:
        log.warning("%s", error)
    except Exception:
        log.exception("a hook of the link failed")


def matches(pattern: str, topic: str) -> bool:
    """Whether an MQTT filter takes in a topic; wildcards do not reach the broker's own `$SYS`."""
    if topic.startswith("$") and pattern[:1] in ("+", "#"):
        return False
    wanted, there = pattern.split("/"), topic.split("/")
    for i, level in enumerate(wanted):
        if level == "#":
            return True
        if i >= len(there) or level not in ("+", there[i]):
            return False
    return len(wanted) == len(there)


def _protocols(chosen: str) -> tuple[aiomqtt.ProtocolVersion, ...]:
    v5, v311 = aiomqtt.ProtocolVersion.V5, aiomqtt.ProtocolVersion.V311
    return {"auto": (v5, v311), "5": (v5,), "3.1.1": (v311,)}[chosen]


def _message(received: aiomqtt.Message) -> Message:
    return Message(
        received.topic.value,
        bytes(received.payload),
        bool(received.retain),
        received.qos,
    )


def _value(code: object) -> int:
    """The number of a reason code, whichever of paho's types it has."""
    value = getattr(code, "value", code)
    return value if isinstance(value, int) else -1


def _code(error: aiomqtt.MqttCodeError) -> int:
    return _value(error.rc)


class _OwnSocket(ssl.SSLSocket):
    """Closes itself when the handshake fails, which paho forgets to do."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def _tls(settings: LinkSettings) -> ssl.SSLContext | None:
    """The context of a verified connection. Raises LinkError for files that cannot be read."""
    if not settings.tls:
        return None
    for path in (settings.ca_file, settings.cert_file, settings.key_file):
        if path is not None and not Path(path).is_file():
            raise LinkError(f"there is no certificate file {path}: correct the path in the settings")
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
        context.sslsocket_class = _OwnSocket
        if settings.cert_file is not None:
            context.load_cert_chain(settings.cert_file, settings.key_file)
    except (OSError, ssl.SSLError) as error:
        raise LinkError(f"the certificates cannot be used: {error}") from None
    return context


def _advice(where: str, text: str, tls: bool) -> str:
    """What a failed attempt means and what to do, from the words of the system (aiomqtt keeps nothing else)."""
    low = text.lower()
    if "certificate" in low and "verify failed" in low:
        return f"the certificate of the broker at {where} is not trusted: set ca_file to its CA, and use its own name"
    if "ssl" in low or "tls" in low:
        return f"no TLS with the broker at {where}: is this its TLS port (usually 8883)? ({text})"
    if "refused" in low:
        return f"no MQTT broker answers at {where}: start it, or correct host and port in the settings"
    if "name or service" in low or "nodename" in low or "resolution" in low or "no address" in low:
        return f"no computer is called {where.rpartition(':')[0]}: correct the host in the settings"
    if "timed out" in low:
        kind = "and needs no TLS" if tls else "and whether it wants TLS"
        return f"what answers at {where} does not speak MQTT: check host and port, {kind}"
    return f"no connection to the broker at {where}: {text}"
