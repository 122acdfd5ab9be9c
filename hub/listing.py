"""`hub devices`: what is in the house, where it is, what it can do and what it last said; live where that is wanted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from devices.command import State
from devices.device import Capability, Device
from devices.house import Happening, House
from hub.daemon import open_house, settled
from hub.reply import condition, value
from hub.settings import Settings

NOTHING_FOUND = (
    "No device has announced itself at {}. Is Home Assistant discovery on in your devices' settings, "
    "or Zigbee2MQTT running? The topics that are listened to are in [conventions] of the settings."
)
STATES_WITHIN = 1.0  # seconds; the broker sends what it has kept at once, a busy machine reads it later

Print = Callable[[str], None]


async def show(settings: Settings, watch: bool, as_json: bool, out: Print, width: int | None = None) -> int:
    """Prints the house, for a terminal of `width` columns where it is one, and with `watch` every change until it is
    interrupted. Raises LinkError."""
    async with open_house(settings) as (link, house):
        await settled(link, house)
        await _told_of(house)
        devices = sorted(house.devices, key=lambda d: (d.area is None, d.area or "", d.name))
        if as_json and not watch:
            out(json.dumps([as_dict(d, house) for d in devices], ensure_ascii=False, indent=1))
        elif as_json:
            for device in devices:
                out(json.dumps(as_dict(device, house), ensure_ascii=False))
        else:
            out(table(devices, house, width) if devices else NOTHING_FOUND.format(settings.broker.address))
        if watch:
            await _watch(house, as_json, out)
    return 0 if devices else 1


async def _told_of(house: House) -> None:
    """Returns once each device that has a state has said it, or has had the time to."""
    with house.events() as events, suppress(TimeoutError):
        async with asyncio.timeout(STATES_WITHIN):
            while any(d.can(Capability.STATE) and not _said(d, house.state(d.id)) for d in house.devices):
                await anext(events)


async def _watch(house: House, as_json: bool, out: Print) -> None:
    with house.events() as events:
        async for event in events:
            if event.happening is Happening.GONE:
                out(json.dumps({"id": event.device_id, "gone": True}) if as_json else f"{event.device_id} is gone")
                continue
            device = next((d for d in house.devices if d.id == event.device_id), None)
            if device is None:
                continue
            if as_json:
                out(json.dumps(as_dict(device, house), ensure_ascii=False))
            else:
                told = event.reason or state_in_words(event.reported) or event.happening.value
                out(f"{device.name}{f' ({device.area})' if device.area else ''}: {told}")


def as_dict(device: Device, house: House) -> dict[str, object]:
    return {
        "id": device.id,
        "name": device.name,
        "aliases": list(device.aliases),
        "kind": device.kind.value,
        "area": device.area,
        "floor": device.floor,
        "capabilities": sorted(c.value for c in device.capabilities),
        "device_class": device.device_class,
        "options": list(device.options),
        "read_only": device.read_only,
        "available": house.available(device.id),
        "state": dict(house.state(device.id)),
    }


def table(devices: Sequence[Device], house: House, width: int | None = None) -> str:
    """Aligned columns; plain text, so that it can be searched and piped.

    In a terminal of `width` columns nothing is wrapped: what a device can do is left out first, then its kind, and in
    the end the line is cut.
    """
    rows: list[Sequence[str]] = [("ROOM", "NAME", "STATE", "KIND", "CAN")]
    rows += [_row(d, house.state(d.id), house.available(d.id)) for d in devices]
    lines = aligned(rows)
    if width is None:
        return "\n".join(lines)
    for _ in range(2):
        if max(map(len, lines)) > width:
            rows = [row[:-1] for row in rows]
            lines = aligned(rows)
    return "\n".join(cut(line, width) for line in lines)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """A line for each row, with the columns below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def cut(line: str, width: int) -> str:
    return line if len(line) <= width else f"{line[: max(1, width - 3)].rstrip()}..."


def _row(device: Device, state: State, available: bool) -> tuple[str, ...]:
    can = ", ".join(sorted(c.value for c in device.capabilities)) or "-"
    can = f"read only: {device.read_only}" if device.read_only else can
    silent = "not said yet" if device.can(Capability.STATE) else "-"
    now = (_said(device, state) or silent) if available else "not reachable"
    return (device.area or "-", device.name, now, device.kind.value.replace("_", " "), can)


def _said(device: Device, state: State) -> str:
    return condition(device, state) or state_in_words(state)


def state_in_words(state: Mapping[str, object]) -> str:
    """What was reported, each thing by its name: `on, brightness 40`. That something does not move goes without saying."""
    said = {key: said for key, said in state.items() if key != "available" and (key, said) != ("moving", False)}
    return ", ".join(_told(key, value) for key, value in said.items())


def _told(key: str, said: object) -> str:
    name = key.replace("_", " ")
    if isinstance(said, tuple):
        return f"{name} {'/'.join(f'{round(part, 1):g}' for part in said)}"
    if said is True and key == "moving":
        return name
    word = value(said) if isinstance(said, bool | int | float | str) else str(said)
    return word if key == "on" else f"{name} {word}"
