"""A home as resolving sees it: its devices, rooms and floors, and what the devices last reported. And homes from files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from devices.device import Capability, Device, Kind


class HomeError(ValueError):
    """A home file cannot be used; the text names the file and the place."""


@dataclass(frozen=True, slots=True, eq=False)
class Home:
    """`areas` maps each room to its floor; `states` a device's id to the state that it last reported.

    A home is itself and no other of the same devices: what is made ready for looking things up in it is kept for it.
    """

    devices: tuple[Device, ...]
    areas: Mapping[str, str | None] = field(default_factory=lambda: MappingProxyType({}))
    states: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: MappingProxyType({}))
    _by_id: Mapping[str, Device] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_id", {d.id: d for d in reversed(self.devices)})

    def device(self, device_id: str) -> Device | None:
        return self._by_id.get(device_id)


def load(path: Path) -> dict[str, Home]:
    """The homes of a JSON file: one home, or an object of them by name. Raises HomeError."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise HomeError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise HomeError(f"{path}: not JSON ({error})") from error
    if not isinstance(data, dict):
        raise HomeError(f"{path}: expected an object with `devices`, or one of such objects")
    if "devices" in data:
        return {"": home(data, str(path))}
    return {name: home(value, f"{path}#{name}") for name, value in data.items()}


def home(data: Any, place: str) -> Home:
    """One home from its JSON form. Raises HomeError with `place` and the entry that is wrong."""
    if not isinstance(data, dict) or not isinstance(data.get("devices"), list):
        raise HomeError(f"{place}: a home needs a list `devices`")
    devices = tuple(_device(entry, f"{place}: devices[{n}]") for n, entry in enumerate(data["devices"]))
    areas: dict[str, str | None] = {d.area: d.floor for d in devices if d.area}
    for n, area in enumerate(data.get("areas") or ()):
        if not isinstance(area, dict) or not isinstance(area.get("name"), str):
            raise HomeError(f"{place}: areas[{n}] needs a name")
        areas[area["name"]] = area.get("floor")
    return Home(devices, MappingProxyType(areas))


def _device(entry: Any, place: str) -> Device:
    try:
        return Device(
            id=entry["id"],
            name=entry["name"],
            kind=Kind(entry["kind"]),
            capabilities=frozenset(Capability(c) for c in entry.get("capabilities") or ()),
            aliases=tuple(entry.get("aliases") or ()),
            area=entry.get("area"),
            floor=entry.get("floor"),
            device_class=entry.get("device_class"),
            options=tuple(entry.get("options") or ()),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise HomeError(f"{place}: {error}") from error
