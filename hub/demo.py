"""`hub demo`: a broker and a house in software inside this process, a script of commands said to them, then yours.

Everything between is the real thing: the same model, the same pipeline, the same MQTT messages over a real socket.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from tempfile import TemporaryDirectory

from devices.link import LinkSettings
from devices.simulator import Home
from hub import HubError
from hub.daemon import Hub, opened, settled
from hub.listing import state_in_words
from hub.reading import Completer
from hub.settings import BrokerSettings, Settings
from hub.turn import STEPS, Turn

PLUGINS = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}  # of the demo's broker
SCRIPT = (
    "turn on the kitchen light",
    "dim it to 40 percent",
    "make the floor lamp red",
    "switch the coffee machine on",
    "close the living room blinds",
    "set the thermostat to 22 degrees",
    "lock the front door",
    "open the garage door",
    "set the bedroom fan to 60 percent",
    "turn on the bedroom lights",
    "set the bedroom lamp to 30 percent",
    "open the bedroom blinds to 50 percent",
    "turn on the office desk lamp and switch off the printer",
    "how warm is it in the kitchen",
    "is the bedroom window open",
    "start the vacuum cleaner",
    "turn the bathroom light on and close the garage door",
    "send the vacuum cleaner back to its dock",
    "set a timer for ten minutes",
    "turn off all the lights",
)
ENOUGH = frozenset({"", "quit", "exit"})

Print = Callable[[str], None]
Ask = Callable[[str], Awaitable[Turn]]
MISHEARD = 0.15  # the share of the script that may go wrong when it is said aloud


async def demo(
    settings: Settings, *, talk: bool, voice: bool = False, completer: Completer | None = None, out: Print = print
) -> int:
    """Runs the script, then with `talk` what is typed. 1 where a command of the script was not confirmed.

    With `voice` the script is said aloud and heard, where all that needs is there; the ears are small, so that one in
    seven may be misheard. Raises HubError where the broker of the demo is not installed, and ModelError.
    """
    with TemporaryDirectory(prefix="hub-demo-") as folder:
        async with (
            broker() as address,
            Home(address) as home,
            opened(inside(settings, address, folder), completer=completer) as hub,
        ):
            await settled(hub.link, hub.house)
            _introduce(hub, home, out)
            aloud = voice and _can_speak(out)
            async with _asking(hub, aloud, out) as ask:
                failed = await _perform(ask, SCRIPT, out)
            if talk:
                await _talk(hub, out)
    return 1 if len(failed) > (MISHEARD * len(SCRIPT) if aloud else 0) else 0


@asynccontextmanager
async def broker() -> AsyncIterator[LinkSettings]:
    """An MQTT broker inside this process, on a free port of the loopback interface. It speaks MQTT 3.1.1 only."""
    try:
        from amqtt.broker import Broker
    except ImportError:
        raise HubError("the demo's MQTT broker is not installed: pip install 'homeward-hub[demo]'") from None
    for chatty in ("amqtt", "transitions"):
        logging.getLogger(chatty).setLevel(logging.CRITICAL)
    port = _free_port()
    listeners = {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}}
    running = Broker({"listeners": listeners, "plugins": PLUGINS})
    await running.start()
    try:
        yield LinkSettings("127.0.0.1", port, protocol="3.1.1")
    finally:
        await running.shutdown()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def inside(settings: Settings, address: LinkSettings, folder: str) -> Settings:
    """The settings, but for this house and this broker."""
    own = BrokerSettings(address.host, protocol=address.protocol)
    own = replace(own, port=address.port)
    return Settings(id="demo", state_folder=folder, broker=own, model=settings.model, safety=settings.safety)


def _introduce(hub: Hub, home: Home, out: Print) -> None:
    rooms = sorted({d.area for d in hub.house.devices if d.area})
    out(f"An MQTT broker runs at {hub.settings.broker.address}, and a house of {len(hub.house.devices)} devices on it.")
    for room in rooms:
        out(f"  {room}: {', '.join(d.name for d in hub.house.devices if d.area == room)}")


def _can_speak(out: Print) -> bool:
    """Whether all is there that speaking and hearing need; says what is not."""
    from hub import demo_voice  # which needs the extra `voice`

    lacking = demo_voice.missing()
    if lacking:
        out(f"The commands are typed, not spoken: {lacking}")
    return not lacking


@asynccontextmanager
async def _asking(hub: Hub, aloud: bool, out: Print) -> AsyncIterator[Ask]:
    """Typed, or with `aloud` spoken and heard."""
    if not aloud:
        yield hub.pipeline.answer
        return
    from hub import demo_voice

    async with demo_voice.speaking(hub, out) as ask:
        yield ask


async def _perform(ask: Ask, script: Sequence[str], out: Print) -> list[Turn]:
    """Says each sentence; those that were not confirmed."""
    failed = []
    for number, text in enumerate(script, 1):
        turn = await ask(text)
        out(f"\n{number:2}. {told(turn, text)}")
        if not succeeded(turn):
            failed.append(turn)
    out(f"\n{len(script) - len(failed)} of {len(script)} commands were confirmed.")
    for turn in failed:
        out(f"NOT CONFIRMED: {turn.text!r}: {turn.reply}")
    return failed


def succeeded(turn: Turn) -> bool:
    """An order that the devices confirmed, or a question that was answered."""
    return turn.confirmed if turn.orders else turn.done


def told(turn: Turn, said: str = "") -> str:
    """All that is known of a turn, a line each; `said` is what was, where that may not be what was heard."""
    lines = [("said", said or turn.text)]
    if turn.spoken is not None:
        lines.append(("heard", turn.spoken.heard))
    lines.append(("understood", turn.line or "nothing"))
    for order in turn.orders:
        report = order.report
        lines += [("sent", f"{m.topic}  {m.payload.decode(errors='replace')}") for m in report.sent]
        reported = state_in_words(report.reported) or "-"
        lines.append(("reported", f"{order.name}: {reported}  [{report.outcome.value.replace('_', ' ')}]"))
    lines.append(("reply", turn.reply))
    lines.append(("ms", "  ".join(f"{step} {turn.ms[step]:.1f}" for step in (*STEPS, "all") if step in turn.ms)))
    if turn.spoken is not None:
        lines.append(("after the", "last word: " + "  ".join(f"{at} {ms:.0f} ms" for at, ms in turn.spoken.at.items())))
    return "\n    ".join(f"{label:<11} {text}" for label, text in lines)


async def _talk(hub: Hub, out: Print) -> None:
    out("\nNow you: type a command; an empty line ends it.")
    while (text := await _typed()).lower() not in ENOUGH:
        out("    " + told(await hub.pipeline.answer(text)))


async def _typed() -> str:
    """One line from the terminal, without a thread that would keep Ctrl-C waiting."""
    sys.stdout.write("> ")
    sys.stdout.flush()
    text = await _line()
    if not text.endswith("\n"):  # Ctrl-D, which leaves the cursor behind the prompt
        sys.stdout.write("\n")
    return text.strip()


async def _line() -> str:
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()
    loop.add_reader(sys.stdin.fileno(), _settle, readable)
    try:
        await readable
    finally:
        loop.remove_reader(sys.stdin.fileno())
    return sys.stdin.readline()


def _settle(readable: asyncio.Future[None]) -> None:
    if not readable.done():
        readable.set_result(None)
