"""`hub doctor`: walks the whole path from the settings to a device's answer, and says of each thing what mends it.

Each check takes what it looks at and gives findings; none changes anything but for one message on a topic of the hub's.
Nothing that was said at home is read, so that none of it can be in a report.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import os
import platform
import re
import shlex
import shutil
import socket
import ssl
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from importlib import metadata
from pathlib import Path

from devices.conventions import Message
from devices.discovery import Discovery
from devices.house import House
from devices.link import Link, LinkError, LinkSettings
from hub import HubError, __version__, board, doctor_voice, fetching, say, trial
from hub import settings as files
from hub.daemon import conventions, settled
from hub.finding import Finding, Level, fine, note, skipped, wrong
from hub.listing import NOTHING_FOUND
from hub.settings import Settings, SettingsError
from hub.wyoming import checks
from models import ModelError
from models.files import default_model

FREE_DISK, FREE_MEMORY = 200_000_000, 100_000_000  # bytes; the hub's own files and children stay far below
WITHIN = 5.0  # seconds for each step to the broker
ECHO_WITHIN = 3.0  # seconds for our own message to come back; 0.01 where the broker is on this machine
SOON = 14  # days in which a certificate ends that should be renewed now
_VERIFY = {
    9: "its certificate is not valid yet; is this machine's clock right?",
    10: "its certificate has run out",
    62: "its certificate is for another name",
    64: "its certificate is for another address",
}
_RENEW = "on the broker's machine: sudo deploy/mosquitto/certificates.sh FOLDER NAME..."


@dataclass(frozen=True, slots=True)
class Place:
    """Where is looked: the settings file as the command line has it, the system's root, and the time."""

    config: Path | None = None
    root: Path = Path("/")
    clock: Callable[[], float] = time.time

    @property
    def file(self) -> Path:
        """The settings file that is used, or the one that would be."""
        try:
            return files.find(self.config) or files.user_file()
        except SettingsError:  # one that was named and is not there, or one that may not be looked for
            return self.config or Path(os.environ.get(files.VARIABLE) or files.SYSTEM_FILE)


async def examine(place: Place) -> AsyncIterator[Finding]:
    """Everything, in the order in which one depends on the other."""
    for finding in _machine(place):
        yield finding
    settings, found = _settings(place)
    for finding in found:
        yield finding
    if settings is None:
        for about in ("state", "model", "sentence", "hearing", "broker", "devices"):
            yield skipped(about, "not looked at: the settings first")
        return
    yield _state(settings, place)
    for finding in _threads(settings, place):
        yield finding
    model = trial.file(settings)
    yield model
    if model.level is Level.WRONG:
        yield skipped("sentence", "not looked at: the model first")
    else:
        yield await _sentence(settings)
    async for finding in doctor_voice.findings(settings):
        yield finding
    async for finding in checks.findings(settings):
        yield finding
    async for finding in broker(settings, place):
        yield finding


# -- the machine


def _machine(place: Place) -> Iterator[Finding]:
    found = board.look(place.root)
    advice = board.advise(found)
    larger = f"; {advice.larger} would fit too, with {advice.larger_threads} threads" if advice.larger else ""
    yield fine("board", found.in_words())
    yield fine("board", f"the model for it is {advice.model}, with {advice.threads} thread{larger}")
    for trouble in advice.troubles:
        yield (wrong if trouble.urgent else note)("board", trouble.what, trouble.mend)
    yield _clock(place.clock())
    if 0 < found.available < FREE_MEMORY:
        yield wrong("memory", f"only {found.available / 1e6:.0f} MB are free", "ps aux --sort=-rss | head")
    else:
        yield fine("memory", f"{found.available / 1e6:,.0f} of {found.memory / 1e6:,.0f} MB are free")
    if found.temperature is not None and found.temperature < board.HOT:
        yield fine("heat", f"{found.temperature:.0f} degrees")


def _clock(now: float) -> Finding:
    """Timers and certificates need the time. It cannot be before the day on which the model was made."""
    shown = f"{datetime.fromtimestamp(now):%Y-%m-%d %H:%M}"
    try:
        made = date.fromisoformat(json.loads(default_model().with_suffix(".json").read_text())["made"]["date"])
    except (ModelError, OSError, ValueError, KeyError, TypeError):
        return note("clock", f"{shown}; whether that is right is not known")
    if datetime.fromtimestamp(now).date() < made:
        return wrong("clock", f"it says {shown}, and this hub was made on {made}", "sudo timedatectl set-ntp true")
    return fine("clock", shown)


# -- the settings


def _settings(place: Place) -> tuple[Settings | None, list[Finding]]:
    """The settings, where they can be used, and what is to be said of their file."""
    try:
        settings, file = files.load(place.config), files.find(place.config)
    except SettingsError as error:
        mend = f"sudo nano {shlex.quote(str(place.file))}; then hub settings check"
        return None, [wrong("settings", line, mend) for line in str(error).splitlines()]
    if file is None:
        found = [note("settings", "there is no settings file: the defaults are used", "hub settings path")]
    else:
        found = [fine("settings", str(file))]
        kept = "a password" if settings.broker.password is not None else "a PIN" if settings.safety.pin else ""
        if kept and _open(file):
            found = [_shut(f"{file} holds {kept}", file)]
        if said := files.older(file):
            found.append(note("settings", f"{file}: {said}", "sudo hub settings migrate"))
    key = settings.broker.key_file
    return settings, [*found, *([_shut(f"{key} is a key", Path(key))] if key is not None and _open(Path(key)) else [])]


def _shut(what: str, file: Path) -> Finding:
    return wrong("settings", f"{what} and can be read by others", f"sudo chmod 600 {shlex.quote(str(file))}")


def _open(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & 0o077)
    except OSError:
        return False


def _state(settings: Settings, place: Place) -> Finding:
    """The folder of timers, lists and models, or where it will be made."""
    folder = settings.folder().absolute()
    if fetching.hidden(place.file, folder):
        what = f"{folder} is in a home folder, which the service may not read"
        return wrong("state", what, f"{fetching.ELSEWHERE}: sudo nano {place.file}")
    quoted = shlex.quote(str(folder))
    try:
        there = next(path for path in (folder, *folder.parents) if path.exists())
    except OSError:  # a folder above it is another user's
        return wrong("state", f"{folder} cannot be reached by this user", "sudo hub doctor")
    if not there.is_dir():
        return wrong("state", f"{there} is a file, where a folder should be", f"mv {shlex.quote(str(there))} elsewhere")
    if not os.access(there, os.W_OK | os.X_OK, effective_ids=True):
        return wrong("state", f"{there} cannot be written by this user", f"sudo chown -R $(id -un) {quoted}")
    free = shutil.disk_usage(there).free
    if free < FREE_DISK:
        what = f"only {free / 1e6:.0f} MB are free on the disk of {folder}"
        return wrong("state", what, "sudo apt-get clean; sudo journalctl --vacuum-size=50M; hub model list")
    return fine("state", f"{folder}; {free / 1e6:,.0f} MB are free on its disk")


# -- the model


def _threads(settings: Settings, place: Place) -> Iterator[Finding]:
    """Threads wait for each other: where another program has one of their cores, a command takes minutes."""
    cores = board.look(place.root).cores
    for table, wanted in (("model", settings.model.threads), ("voice", settings.voice.threads)):
        if wanted > 1 and wanted >= cores:
            what = f"{wanted} threads for {table} on {cores} cores: any other busy program makes it very slow"
            yield note("threads", what, f"threads = {max(1, cores - 1)} under [{table}]: sudo nano {place.file}")


async def _sentence(settings: Settings) -> Finding:
    """Whether the model reads as the hub would have it read."""
    try:
        async with trial.loaded(settings) as model:
            return await trial.sentence(model, settings.safety.sure)
    except (ModelError, HubError) as error:
        return wrong("sentence", f"the model does not read: {error}", "hub model use home")


# -- the broker, and what is behind it


async def broker(settings: Settings, place: Place, *, beyond: bool = True) -> AsyncIterator[Finding]:
    """One step after the other: name, port, TLS, login, rights, and with `beyond` the hub and the devices behind it.

    Ends at the first that fails.
    """
    file = shlex.quote(str(place.file))
    for step in (_name, _port, _secured):
        finding = await step(settings.broker, file)
        if finding is not None:
            yield finding
        if finding is not None and finding.level is Level.WRONG:
            yield skipped("devices", "not looked at: the broker first")
            return
    # A name of its own: with that of a hub that runs, the broker would end the hub's connection.
    link = Link(replace(settings.broker, client_id=""), must_connect=True)
    with _listened_to() as warnings:
        try:
            async with link:
                async for finding in _connected(settings, link, beyond):
                    yield finding
        except LinkError as error:
            yield wrong("broker", str(error), _login(settings.broker, str(error), file))
            yield skipped("devices", "not looked at: the broker first")
    for refused in warnings:
        yield wrong("broker", refused, _acl(settings, "read", "#"))


async def _name(broker: LinkSettings, file: str) -> Finding | None:
    try:
        async with asyncio.timeout(WITHIN):
            await asyncio.get_running_loop().getaddrinfo(broker.host, broker.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError):
        what = f"no computer is called {broker.host}"
        return wrong("broker", what, f"correct host under [broker]: sudo nano {file}")
    return None


async def _port(broker: LinkSettings, file: str) -> Finding | None:
    try:
        async with asyncio.timeout(WITHIN):
            _, writer = await asyncio.open_connection(broker.host, broker.port)
        writer.close()
    except TimeoutError:
        what = f"{broker.address} does not answer: the machine is off, or a firewall is between"
        return wrong("broker", what, f"ping -c 3 {broker.host}")
    except OSError as error:
        why = f" ({os.strerror(error.errno)})" if error.errno else ""  # asyncio's own text is for programmers
        what = f"nothing answers at {broker.address}{why}"
        return wrong("broker", what, _start(broker, file))
    return None


def _start(broker: LinkSettings, file: str) -> str:
    if not _is_here(broker.host):
        return f"start the broker on {broker.host}, or correct port under [broker]: sudo nano {file}"
    there = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    return "sudo systemctl start mosquitto" if there else "sudo apt-get install mosquitto"


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _secured(broker: LinkSettings, file: str) -> Finding | None:
    """The handshake by itself, because only it says what is wrong with a certificate."""
    if not broker.tls:
        if broker.password is not None and not _is_here(broker.host):
            return note("broker", "the password crosses the network unprotected", f"tls = true: sudo nano {file}")
        return None
    try:
        context = ssl.create_default_context(cafile=broker.ca_file)
        if broker.cert_file is not None:
            context.load_cert_chain(broker.cert_file, broker.key_file)
    except (OSError, ssl.SSLError) as error:
        what = f"ca_file, cert_file or key_file cannot be used ({error})"
        return wrong("broker", what, f"correct them under [broker]: sudo nano {file}")
    try:
        async with asyncio.timeout(WITHIN):
            _, writer = await asyncio.open_connection(
                broker.host, broker.port, ssl=context, server_hostname=broker.host
            )
    except ssl.SSLCertVerificationError as error:
        return _untrusted(broker, error, file)
    except (OSError, TimeoutError) as error:
        what = f"{broker.address} speaks no TLS ({error or 'no answer'})"
        return wrong("broker", what, f"port = 8883, or tls = false: sudo nano {file}")
    ends = writer.get_extra_info("peercert").get("notAfter", "")
    writer.close()
    days = (ssl.cert_time_to_seconds(ends) - time.time()) / 86400 if ends else SOON
    return note("broker", f"its certificate ends in {days:.0f} days", _RENEW) if days < SOON else None


def _untrusted(broker: LinkSettings, error: ssl.SSLCertVerificationError, file: str) -> Finding:
    if error.verify_code in _VERIFY:
        mend = "sudo timedatectl set-ntp true" if error.verify_code == 9 else f"{_RENEW} (host is {broker.host})"
        return wrong("broker", f"{broker.address}: {_VERIFY[error.verify_code]}", mend)
    what = f"{broker.address}: its certificate is not signed by {broker.ca_file or 'a CA of this system'}"
    return wrong("broker", what, f"copy the broker's ca.crt here and set ca_file to it: sudo nano {file}")


def _login(broker: LinkSettings, said: str, file: str) -> str:
    if "refuses" in said and broker.username is None:
        return f"set username and password under [broker]: sudo nano {file}"
    if "refuses" in said:
        passwords = "/etc/mosquitto/hub/passwords"
        return f"sudo mosquitto_passwd {passwords} {shlex.quote(broker.username or '')}, and the same in {file}"
    return f"correct host, port and tls under [broker]: sudo nano {file}"


async def _connected(settings: Settings, link: Link, beyond: bool) -> AsyncIterator[Finding]:
    how = "TLS" if settings.broker.tls else "no TLS"
    who = f"user {settings.broker.username}" if settings.broker.username else "no user name"
    yield fine("broker", f"{settings.broker.address}, {how}, {who}")
    yield await _rights(settings, link)
    if not beyond:
        return
    if await say.runs(settings, link):
        yield fine("hub", f"one with the id {settings.id} is running")
    else:
        yield note("hub", f"none with the id {settings.id} is running", "sudo systemctl start hub, or hub run")
    for finding in await _devices(settings, link):
        yield finding


async def _rights(settings: Settings, link: Link) -> Finding:
    """Our own message comes back: we may publish and be told under our topics."""
    topic, token = settings.topic("doctor"), uuid.uuid4().hex.encode()
    inbox = link.listen(topic, qos=1)
    try:
        async with asyncio.timeout(ECHO_WITHIN):
            await link.settled()
            await link.publish(Message(topic, token, qos=1))
            while (await anext(inbox)).payload != token:
                pass
    except TimeoutError:
        what = f"the broker does not let us publish and listen under {settings.topic('#')}"
        return wrong("rights", what, _acl(settings, "readwrite", settings.topic("#")))
    finally:
        inbox.close()
    return fine("rights", f"messages under {settings.topic('#')} go out and come in")


def _acl(settings: Settings, access: str, topic: str) -> str:
    user = settings.broker.username or "(anonymous)"
    return f"in the broker's ACL file, under `user {user}`: topic {access} {topic}"


async def _devices(settings: Settings, link: Link) -> list[Finding]:
    """How many there are, can be reached, and have said their state; those that can be asked were asked."""
    house = House(settings.house.overrides())
    async with Discovery(link, house, conventions(settings)):
        await settled(link, house)
        there = house.devices
        reached = [d for d in there if house.available(d.id)]
        said = [d for d in reached if house.state(d.id)]
        just_now = [d for d in reached if house.fresh(d.id)]
    if not there:
        mend = _acl(settings, "read", f"{settings.conventions.home_assistant or 'homeassistant'}/#")
        return [wrong("devices", NOTHING_FOUND.format(settings.broker.address), f"if they are on: {mend}")]
    if not reached:
        return [wrong("devices", f"none of {len(there)} can be reached", "look at their power and their bridge")]
    if not said:
        mend = "restart their bridge; may this user write to PREFIX/NAME/get?"
        return [wrong("devices", f"none of {len(reached)} says its state", mend)]
    counts = f"{len(there)}, of which {len(said)} have said their state, {len(just_now)} just now"
    found = [fine("devices", counts)]
    if len(reached) < len(there):
        found.append(note("devices", f"{len(there) - len(reached)} cannot be reached", "hub devices"))
    return found


class _Refused(logging.Handler):
    """Gathers what the link logs of filters that the broker refused: it has no other way to tell."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if "does not let us" in record.getMessage():
            self.found.append(record.getMessage())


@contextmanager
def _listened_to() -> Iterator[list[str]]:
    """What was refused while this was open; nothing of it is shown otherwise."""
    handler, logger = _Refused(), logging.getLogger("devices.link")
    before, logger.propagate = (logger.level, logger.propagate), False
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING)
    try:
        yield handler.found
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]


# -- the report


def is_well(findings: Iterable[Finding]) -> bool:
    return not any(finding.level is Level.WRONG for finding in findings)


def verdict(findings: Iterable[Finding]) -> str:
    count = sum(finding.level is Level.WRONG for finding in findings)
    return "All is well." if not count else f"{count} {'thing is' if count == 1 else 'things are'} wrong."


def as_json(findings: Iterable[Finding]) -> str:
    told = list(findings)
    return json.dumps({"well": is_well(told), "findings": [f.as_dict() for f in told]}, indent=1, ensure_ascii=False)


def bundle(place: Place, findings: Iterable[Finding]) -> str:
    """The report for somebody else, as JSON: no password or PIN, no name of a device or room, nothing that was said."""
    told = list(findings)
    report = {
        "hub": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "board": board.look(place.root).as_dict(),
        "packages": {d.name: d.version for d in metadata.distributions()},
        "settings": _without_names(place),
        "well": is_well(told),
        "findings": [finding.as_dict() for finding in told],
    }
    text = json.dumps(report, indent=1, ensure_ascii=False)
    for secret in _secrets(place):
        text = text.replace(json.dumps(secret, ensure_ascii=False)[1:-1], "(secret)")
    return text


def _without_names(place: Place) -> dict[str, object] | None:
    try:
        shown: dict[str, object] = files.load(place.config).model_dump(mode="json")
    except SettingsError:
        return None
    house, broker, safety = shown.pop("house"), shown["broker"], shown["safety"]
    if isinstance(house, dict):
        shown["house"] = {key: len(names) for key, names in house.items()}
    if isinstance(broker, dict):
        shown["broker"] = {key: value for key, value in broker.items() if key not in ("password", "username")}
    if isinstance(safety, dict):
        shown["safety"] = {key: value for key, value in safety.items() if key != "pin"}
    return {key: value for key, value in shown.items() if key != "room"}


def _secrets(place: Place) -> list[str]:
    """What stands behind `password` and `pin` in the file, also in one that cannot be used; the longest first."""
    try:
        text = place.file.read_text(errors="replace")
    except OSError:
        return []
    found = re.findall(r"(?:pass\w*|\bpin)[\"']?\s*=\s*[\"']{0,3}([^\n]*)", text, re.IGNORECASE)
    inner = [re.split(r"[\"']", value)[0].strip() for value in found] + [value.strip(" \"'") for value in found]
    return sorted({value for value in inner if len(value) >= 3}, key=len, reverse=True)


def write(file: Path, text: str) -> None:
    """The report, readable for its owner only. Raises HubError."""
    try:
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
            out.write(text + "\n")
    except OSError as error:
        raise HubError(f"{file}: cannot be written ({error.strerror})") from None
