"""The steps `devices` and `sensitive`: what was found, where it is, what it is called, and what a voice may not do."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from devices.command import Action, Command
from devices.control import carry_out
from devices.device import Capability, Device, Kind
from hub.daemon import open_house, settled
from hub.forms import Value
from hub.guard import keeps_people_out
from hub.listing import NOTHING_FOUND, table
from hub.pin import LONGEST, SHORTEST, PinError, hashed
from hub.settings import Settings
from hub.setup.step import Desk, Result, Step, run

NONE = "-"
_HARMLESS = frozenset({Kind.LIGHT, Kind.SWITCH})


@dataclass(frozen=True, slots=True)
class Seen:
    """The devices of the house, and how they are shown."""

    devices: tuple[Device, ...]
    shown: str


def look(desk: Desk) -> Seen:
    """What is in the house now, once there is anything. Raises LinkError, and as the questions do."""
    while True:
        desk.asker.progress("Looking for devices ...")
        seen = run(_look(desk.settings))
        if seen.devices:
            return seen
        desk.asker.again(NOTHING_FOUND.format(desk.settings.broker.address))
        if not desk.asker.yes("look_again", "Look again? (no: go on without devices)", True):
            return seen


async def _look(settings: Settings) -> Seen:
    async with open_house(settings) as (link, house):
        await settled(link, house)
        found = tuple(sorted(house.devices, key=lambda d: (d.area or "~", d.name)))
        return Seen(found, table(found, house, shutil.get_terminal_size().columns))


# -- rooms, names, and a test


def take_devices(desk: Desk) -> Result:
    """Raises as the questions do, LinkError and SetupError. Switches one device that is chosen on and off."""
    seen = look(desk)
    if not seen.devices:
        return Result("none has announced itself", skipped=True)
    _all_there(desk, seen, "rooms", "names")
    desk.asker.say(seen.shown)
    changes = {**_rooms(desk, seen), **_names(desk, seen)}
    tested = _tested(desk, seen)
    rooms = {d.area for d in seen.devices if d.area} | {str(v) for path, v in changes.items() if path[-1] == "area"}
    return Result(f"{len(seen.devices)} in {len(rooms)} rooms{f'; {tested}' if tested else ''}", changes)


def _all_there(desk: Desk, seen: Seen, *keys: str) -> None:
    """Raises SetupError where there is an answer for a device that is not there."""
    for key in keys:
        for gone in sorted(desk.asker.named(key) - {word for d in seen.devices for word in (d.id, d.name)}):
            desk.asker.again(f"{key}.{gone!r}: no device has this name or id; hub devices --json shows both")


def _key(desk: Desk, key: str, device: Device) -> str:
    """The question about this device: by its name where it is answered so, else by its id."""
    return f"{key}.{device.name if device.name in desk.asker.named(key) else device.id}"


def _rooms(desk: Desk, seen: Seen) -> dict[tuple[str, ...], Value]:
    """A room for each device that has none and is not left without."""
    homeless = [device for device in seen.devices if device.area is None]
    if homeless and desk.asker.attended:
        those = "One device says" if len(homeless) == 1 else f"{len(homeless)} devices say"
        if not desk.asker.yes("say_rooms", f"{those} not in which room it is. Say it now?", True):
            return {}
    found: dict[tuple[str, ...], Value] = {}
    for device in homeless if desk.asker.attended else seen.devices:
        default = device.area or NONE
        said = desk.asker.ask(_key(desk, "rooms", device), f"Room of {device.name} ({NONE} for none)", default)
        if said != default:
            found[("house", "devices", device.id, "area")] = said
    return found


def _names(desk: Desk, seen: Seen) -> dict[tuple[str, ...], Value]:
    """Other names, for as many devices as wanted."""
    found: dict[tuple[str, ...], Value] = {}
    if not desk.asker.attended:
        for each in seen.devices:
            if (said := desk.asker.ask(_key(desk, "names", each), "", each.name)) != each.name:
                found[("house", "devices", each.id, "name")] = said
        return found
    desk.asker.say("Names are what you will say: short ones, each another.")
    while (device := _one(desk, seen, "rename", "A device to call differently (its name, or - to go on)")) is not None:
        if said := desk.asker.ask("name", f"How is {device.name} to be called"):
            found[("house", "devices", device.id, "name")] = said
    return found


def _one(desk: Desk, seen: Seen, key: str, question: str) -> Device | None:
    """The device that is named, by its name or id; None for none."""
    while True:
        said = desk.asker.ask(key, question, NONE)
        if said == NONE:
            return None
        meant = [d for d in seen.devices if said.casefold() in (d.name.casefold(), d.id.casefold())]
        if len(meant) == 1:
            return meant[0]
        several = f"Several are called {said}: give its id ({', '.join(d.id for d in meant)})."
        desk.asker.again(several if meant else f"No device is called {said!r}.")


def _tested(desk: Desk, seen: Seen) -> str:
    """One device switched and switched back, as it says itself; "" where none was chosen."""
    while True:
        device = _one(desk, seen, "test", "A lamp or plug to switch on and off as a test (its name, or - for none)")
        if device is None:
            return ""
        if device.kind not in _HARMLESS or Capability.ON_OFF not in device.capabilities:
            desk.asker.again(f"{device.name} is no lamp or plug that can be switched.")
            continue
        problem = run(_switch(desk.settings, device))
        if not problem:
            desk.asker.say(f"{device.name} went on and off, and said so itself.")
            return f"{device.name} was switched and said so"
        desk.asker.again(f"{device.name}: {problem}")


async def _switch(settings: Settings, device: Device) -> str:
    """What went wrong; "" where both orders were confirmed. It ends as it was."""
    async with open_house(settings) as (link, house):
        await settled(link, house)
        was_on = house.state(device.id).get("on") is True
        for action in (Action.TURN_OFF, Action.TURN_ON) if was_on else (Action.TURN_ON, Action.TURN_OFF):
            report = await carry_out(Command(device.id, action), house, link)
            if not report.done:
                return report.reason or report.outcome.value.replace("_", " ")
    return ""


# -- what opens the house


def take_sensitive(desk: Desk) -> Result:
    """Raises as the questions do, LinkError and SetupError."""
    seen = look(desk)
    guarded = tuple(device for device in seen.devices if keeps_people_out(device))
    _all_there(desk, Seen(guarded, ""), "allowed")
    changes: dict[tuple[str, ...], Value] = {}
    if guarded:
        desk.asker.say(
            "These open the house. Their names must be said exactly, and the hub must be surer than for a lamp:"
        )
    for device in guarded:
        where = f" ({device.area})" if device.area else ""
        if not desk.asker.yes(
            _key(desk, "allowed", device), f"May {device.name}{where} be moved by what is said?", True
        ):
            changes[("house", "devices", device.id, "hidden")] = True
    hidden = len(changes)
    sure = _share(desk) if guarded else desk.settings.safety.sure_to_unlock
    changes |= {("safety", "sure_to_unlock"): sure} if guarded else {}
    marked = _marked(desk, seen)
    changes |= {("house", "devices", device.id, "sensitive"): True for device in marked}
    if not guarded and not marked:
        return Result("no lock, garage door or gate")
    changes |= (kept := _pin(desk))
    is_set = bool(kept.get(("safety", "pin"), desk.settings.safety.pin))
    opens = f"{len(guarded)} open the house, {hidden} of them out of reach; sure to {sure:.0%}"
    more = f"; {len(marked)} more are sensitive" if marked else ""
    return Result(f"{opens}{more}; {'with' if is_set else 'without'} a PIN", changes)


def _marked(desk: Desk, seen: Seen) -> list[Device]:
    """Other devices that are moved only with the PIN."""
    question = "Another device that is not to be moved without a PIN (its name, or - to go on)"
    if not desk.asker.attended:
        _all_there(desk, seen, "also")
        return [d for d in seen.devices if desk.asker.yes(_key(desk, "also", d), question, False)]
    found: list[Device] = []
    while (device := _one(desk, seen, "also", question)) is not None:
        found.append(device)
    return found


def _pin(desk: Desk) -> dict[tuple[str, ...], Value]:
    """What is to be kept of a new PIN; nothing where it stays as it is."""
    now = bool(desk.settings.safety.pin)
    desk.asker.say("With a PIN the hub asks for it before it unlocks or opens them; to shut them it is never needed.")
    stays = f"Enter for {'the one that is set' if now else 'none'}"
    while True:
        said = desk.asker.secret(
            "pin", f"PIN of {SHORTEST} to {LONGEST} digits ({stays}{', - for none' if now else ''})"
        )
        if said in ("", NONE):
            return {("safety", "pin"): None} if said and now else {}
        try:
            kept = hashed(said)
        except PinError as error:
            desk.asker.again(f"{error}.")
            continue
        if (
            not desk.asker.attended
            or desk.asker.secret("pin_again", "Once more, so that it is the one you mean") == said
        ):
            return {("safety", "pin"): kept}
        desk.asker.again("These are two.")


def _share(desk: Desk) -> float:
    now = desk.settings.safety.sure_to_unlock
    question = "How sure is the hub to be before it unlocks or opens them, in per cent"
    while True:
        said = desk.asker.ask("sure", question, f"{now * 100:.0f}")
        if said.isdecimal() and 1 <= int(said) <= 100:
            return int(said) / 100
        desk.asker.again(f"{said!r} is no whole number from 1 to 100.")


DEVICES = Step(
    "devices",
    "The devices",
    frozenset({"rooms", "names", "test", "look_again", "say_rooms", "rename", "name"}),
    take_devices,
)
_ASKED = frozenset({"allowed", "sure", "also", "pin", "pin_file", "look_again"})
SENSITIVE = Step("sensitive", "What opens the house", _ASKED, take_sensitive)
