"""The steps `service` and `command`: the hub runs from now on, and a first command really moves something."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from devices.device import Capability, Kind
from devices.link import Link
from hub import say as saying
from hub import settings as files
from hub.settings import Settings
from hub.setup.asking import SetupError
from hub.setup.house import look
from hub.setup.step import Desk, Result, Step, run

# Where install.sh puts it, and where the Debian package has it.
UNITS = (Path("etc/systemd/system/hub.service"), Path("lib/systemd/system/hub.service"))
ONLINE_WITHIN = 60.0  # seconds; loading takes 1 on a Raspberry Pi 5, and its card may be slow
_LOOKS_EVERY = 0.5


def take_service(desk: Desk) -> Result:
    """Starts the service, where there is one. Raises as the questions do, and SetupError."""
    by_hand = "start it yourself: hub run"
    if not (desk.root / "run/systemd/system").is_dir() or shutil.which("systemctl") is None:
        desk.asker.say(f"There is no systemd here: {by_hand}")
        return Result(f"no systemd here; {by_hand}", skipped=True)
    if not any((desk.root / unit).is_file() for unit in UNITS):
        desk.asker.say("The service is not installed (deploy/install.sh does that).")
        return Result(f"the service is not installed; {by_hand}", skipped=True)
    if desk.file != files.SYSTEM_FILE or os.geteuid() != 0:
        desk.asker.say(f"The service reads {files.SYSTEM_FILE}, and only root may start it: sudo hub setup service")
        return Result("sudo hub setup service", skipped=True)
    if not desk.asker.yes("start", "Start the hub now, and whenever this machine starts?", True):
        return Result("not started; sudo systemctl enable --now hub", skipped=True)
    desk.asker.progress("Starting ...")
    for verb in ("enable", "restart"):  # one that runs already is to take up the new settings
        done = subprocess.run(["systemctl", verb, "hub"], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SetupError(f"the service does not start: {done.stderr.strip()}; journalctl -u hub -n 20 says why")
    if not run(_online(desk.settings)):
        raise SetupError("the service was started, but says nothing at the broker; journalctl -u hub -n 20 says why")
    return Result("the hub runs, and starts with this machine")


async def _online(settings: Settings) -> bool:
    """Whether the hub is at the broker before ONLINE_WITHIN is over. Raises LinkError."""
    ends = time.monotonic() + ONLINE_WITHIN
    async with Link(settings.broker, must_connect=True) as link:
        while not await saying.runs(settings, link):
            if time.monotonic() > ends:
                return False
            await asyncio.sleep(_LOOKS_EVERY)
    return True


def take_command(desk: Desk) -> Result:
    """Says commands until one is done. Raises as the questions do, ModelError, HubError and LinkError."""
    suggested = _suggested(desk)
    desk.asker.say("Now say something to your house, as you would to a person.")
    while True:
        text = desk.asker.ask("say", "Your command", suggested)
        room = desk.asker.ask("room", "Said in which room (- for none)", desk.settings.room or "-")
        desk.asker.progress("...")
        turn = _said(desk.settings, text, "" if room == "-" else room)
        desk.asker.say(f"  {turn['reply']}")
        if turn["done"] and turn.get("orders"):
            return Result(f"{text!r}: {turn['reply']}")
        if turn["done"]:
            desk.asker.again("That moved nothing: try to switch something.")
        else:
            desk.asker.again("That was not done. hub devices lists what there is; hub doctor says what is wrong.")


def _said(settings: Settings, text: str, room: str) -> dict[str, Any]:
    return run(saying.say(settings, text, room))


def _suggested(desk: Desk) -> str:
    """A command that fits this home: a lamp, else anything that can be switched."""
    able = [d for d in look(desk).devices if Capability.ON_OFF in d.capabilities and not d.read_only]
    able.sort(key=lambda d: (d.kind is not Kind.LIGHT, d.kind is not Kind.SWITCH))
    if not able:
        return ""
    room = f" in the {able[0].area.lower()}" if able[0].area else ""
    return f"turn on the {able[0].name.lower()}{'' if (able[0].area or '').lower() in able[0].name.lower() else room}"


SERVICE = Step("service", "The service", frozenset({"start"}), take_service)
COMMAND = Step("command", "A first command", frozenset({"say", "room", "look_again"}), take_command)
