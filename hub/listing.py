"""`hub devices`: what is in the house, where it is, what it can do and what it last said; live where that is wanted."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from devices.command import State
from devices.device import Device
from devices.house import Happening, House
from hub.daemon import open_house, settled
from hub.reply import value
from hub.settings import Settings

NOTHING_FOUND = (
    "No device has announced itself at {}. Is Home Assistant discovery on in your devices' settings, "
    "or Zigbee2MQTT running? The topics that are listened to are in [conventions] of the settings."
)

Print = Callable[[str], None]


async def show(settings: Settings, watch: bool, as_json: bool, out: Print) -> int:
    """Prints the house, and with `watch` every change until it is interrupted. Raises LinkError."""
    async with open_house(settings) as (link, house):
        await settled(link, house)
        devices = sorted(house.devices, key=lambda d: (d.area is None, d.area or "", d.name))
        if as_json and not watch:
            out(json.dumps([as_dict(d, house) for d in devices], ensure_ascii=False, indent=1))
        elif as_json:
            for device in devices:
                out(json.dumps(as_dict(device, house), ensure_ascii=False))
        else:
            out(table(devices, house) if devices else NOTHING_FOUND.format(settings.broker.address))
        if watch:
            await _watch(house, as_json, out)
    return 0 if devices else 1


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


def table(devices: Sequence[Device], house: House) -> str:
    """Aligned columns; plain text, so that it can be searched and piped."""
    rows = [("ROOM", "NAME", "KIND", "CAN", "STATE")]
    rows += [_row(d, house.state(d.id), house.available(d.id)) for d in devices]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    return "\n".join("  ".join((*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[4])) for row in rows)


def _row(device: Device, state: State, available: bool) -> tuple[str, str, str, str, str]:
    can = ", ".join(sorted(c.value for c in device.capabilities)) or "-"
    can = f"read only: {device.read_only}" if device.read_only else can
    now = (state_in_words(state) or "not said yet") if available else "not reachable"
    return (device.area or "-", device.name, device.kind.value, can, now)


def state_in_words(state: Mapping[str, object]) -> str:
    return ", ".join(f"{key} {_word(said)}" for key, said in state.items() if key != "available")


def _word(said: object) -> str:
    if isinstance(said, tuple):
        return "/".join(f"{part:g}" for part in said)
    return value(said) if isinstance(said, bool | int | float | str) else str(said)
