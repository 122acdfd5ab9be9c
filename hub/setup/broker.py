"""The step `broker`: where it is, how to log in, and the proof: a message of the hub's own goes out and comes back."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hub import doctor
from hub.doctor import Place
from hub.finding import Finding, Level
from hub.forms import Changes
from hub.settings import BrokerSettings
from hub.setup import mosquitto
from hub.setup.finding import Announced, brokers
from hub.setup.step import Desk, Result, Step, run, whole

PLAIN, TLS = 1883, 8883
HERE, FIND, TYPED, INSTALL, KEPT = "here", "find", "typed", "install", "kept"
_QUESTIONS = frozenset({"where", "host", "port", "tls", "ca_file", "username", "password", "password_file", "names"})


def take(desk: Desk) -> Result:
    """Raises as the questions do, and SetupError. Installs and secures mosquitto where that is chosen."""
    where = _where(desk)
    if where == INSTALL:
        start = _installed(desk)
    elif where == FIND:
        start = _found(desk)
    else:
        start = replace(desk.settings.broker, host="localhost", port=PLAIN) if where == HERE else desk.settings.broker
    while True:
        chosen = start if where in (INSTALL, KEPT) else _asked(desk, start, where == HERE)
        bad = _tried(desk, chosen)
        if bad is None:
            return Result(f"{chosen.address}, messages go out and come in", _changes(chosen))
        desk.asker.again(f"{bad.what}. What helps: {bad.mend}")
        if desk.asker.yes("keep", "Keep this all the same, because it will be right later?", False):
            return Result(f"{chosen.address}, which did not work: {bad.what}", _changes(chosen))
        start, where = chosen, TYPED


def _where(desk: Desk) -> str:
    options = [(TYPED, "type its name or address"), (HERE, "it runs on this machine already")]
    options.append((FIND, "look for one that announces itself in the local network"))
    if mosquitto.can_be_installed(desk.root):
        options.append((INSTALL, "install mosquitto on this machine, with passwords and TLS"))
    if desk.asker.attended and desk.file.exists() and desk.settings.broker != BrokerSettings():
        options.insert(0, (KEPT, f"test {desk.settings.broker.address}, which is set already"))
    runs = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin") is not None
    default = HERE if runs else TYPED
    if options[0][0] == KEPT or not desk.asker.attended:
        default = options[0][0]
    desk.asker.say("Your devices and the hub meet at an MQTT broker, such as mosquitto. Where is it?")
    return desk.asker.choose("where", "Which", options, default)


def _found(desk: Desk) -> BrokerSettings:
    """The one that was chosen of those that announce themselves; what is set now where there is none."""
    now = desk.settings.broker
    desk.asker.progress("Looking for brokers in the network ...")
    there = brokers()
    if not there:
        desk.asker.again("No broker announces itself. (Few do: type the address of yours.)")
        return now
    chosen = there[int(desk.asker.choose("found", "Which", _options(there), "0"))]
    return replace(now, host=chosen.host, port=chosen.port, tls=chosen.tls)


def _options(there: Sequence[Announced]) -> list[tuple[str, str]]:
    return [(str(i), f"{b.name} at {b.host}:{b.port}{', with TLS' if b.tls else ''}") for i, b in enumerate(there)]


def _installed(desk: Desk) -> BrokerSettings:
    """A mosquitto on this machine, and the hub's own user in it. Raises SetupError."""
    own = socket.gethostname()
    names = desk.asker.ask("names", "Names by which your devices will call it", f"{own} {own}.local").split()
    desk.asker.say("Installing mosquitto ...")
    password = mosquitto.install(names, desk.asker.progress)
    desk.asker.say("mosquitto is installed. Each device that logs in itself needs a user of its own:")
    desk.asker.say("  sudo mosquitto_passwd /etc/mosquitto/hub/passwords NAME; sudo systemctl reload mosquitto")
    return BrokerSettings("127.0.0.1", username="hub", password=password)


def _asked(desk: Desk, start: BrokerSettings, here: bool) -> BrokerSettings:
    """What is answered, as far as it fits together. Raises as the questions do."""
    ask, yes = desk.asker.ask, desk.asker.yes
    while True:
        host = start.host if here else ask("host", "Its name or address", start.host)
        port = whole(desk, "port", "Its port", start.port, 65535)
        tls = False if here else yes("tls", "Is the connection encrypted (TLS)?", start.tls or port == TLS)
        ca_file = _ca_file(desk, start.ca_file) if tls else None
        username = ask("username", "User name at the broker (- for none)", start.username or "-")
        password = None if username == "-" else _password(desk, start)
        try:
            return replace(
                start, host=host, port=port, tls=tls, ca_file=ca_file,
                cert_file=start.cert_file if tls else None, key_file=start.key_file if tls else None,
                username=None if username == "-" else username, password=password,
            )  # fmt: skip
        except ValueError as error:
            desk.asker.again(str(error))


def _ca_file(desk: Desk, now: str | None) -> str | None:
    """The CA's file; None for the CAs of the system."""
    while True:
        said = desk.asker.ask("ca_file", "File of the CA that signed its certificate (- for a public one)", now or "-")
        if said == "-":
            return None
        path = Path(said).expanduser().absolute()
        if path.is_file():
            return str(path)
        desk.asker.again(f"There is no file {path}. With our scripts it is ca.crt in the broker's /etc/mosquitto/hub.")


def _password(desk: Desk, start: BrokerSettings) -> str | None:
    kept = " (Enter keeps the one that is set)" if start.password else ""
    return desk.asker.secret("password", f"Password{kept}") or start.password


def _tried(desk: Desk, chosen: BrokerSettings) -> Finding | None:
    """What is wrong with it, where anything is."""
    desk.asker.progress(f"Trying {chosen.address} ...")
    for finding in run(_findings(desk, chosen)):
        if finding.level is Level.WRONG:
            return finding
        if finding.level is not Level.SKIPPED:
            desk.asker.say(finding.in_words())
    return None


async def _findings(desk: Desk, chosen: BrokerSettings) -> list[Finding]:
    settings = desk.settings.model_copy(update={"broker": chosen})
    looked = doctor.broker(settings, Place(desk.file, desk.root), beyond=False)
    return [finding async for finding in looked]


def _changes(chosen: BrokerSettings) -> Changes:
    keys = ("host", "port", "tls", "ca_file", "cert_file", "key_file", "username", "password")
    return {("broker", key): getattr(chosen, key) for key in keys}


STEP = Step("broker", "The broker", _QUESTIONS, take)
