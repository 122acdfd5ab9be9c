"""What is in the house now: every device once, under the name and in the room that people use, with its last report."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum
from types import MappingProxyType

from devices.command import State, StateValue
from devices.conventions import Announced, Entity
from devices.device import Device, DeviceError
from devices.habits import Habits

# A convention whose announcements are made by bridges too, so that it repeats what another convention says better.
COPYING_CONVENTIONS = frozenset({"home_assistant"})
FRESH = 3600.0  # seconds; a plug reports at least each quarter of an hour, a bulb that was not lost each hour
EVENTS_WAITING = 10_000  # a watcher that is this far behind has stopped watching
NOTHING: State = MappingProxyType({})

# Rooms that a name may begin with ("Kitchen lamp") in a home where nobody has named the rooms.
_COMMON_AREA = re.compile(
    "(attic|backyard|balcony|basement|bathroom|bedroom|cellar|closet|conservatory|corridor|den|dining room|driveway|"
    "en suite|entrance|entryway|family room|foyer|front yard|garage|garden|greenhouse|guest bathroom|guest bedroom|"
    "guest room|gym|hall|hallway|home office|kids bedroom|kids room|kitchen|landing|laundry room|laundry|library|"
    "living room|loft|lounge|master bathroom|master bedroom|mudroom|nursery|office|pantry|patio|playroom|porch|shed|"
    "sitting room|spare bedroom|spare room|staircase|storage room|study|sunroom|terrace|toilet|utility room|veranda|"
    "wine cellar|workshop) "
)


class UnknownDevice(DeviceError):
    """No device of this id is in the house."""


@dataclass(frozen=True, slots=True)
class Override:
    """What the settings say of one device, instead of its announcement; None and empty leave that as it is."""

    name: str | None = None
    area: str | None = None
    floor: str | None = None
    aliases: tuple[str, ...] = ()
    hidden: bool = False
    sensitive: bool | None = None


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the settings say of the house: devices by id or by announced name, the floor of each area, all areas."""

    devices: Mapping[str, Override] = field(default_factory=lambda: MappingProxyType({}))
    floors: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    areas: tuple[str, ...] = ()


class Happening(Enum):
    """What can happen in the house."""

    APPEARED = "appeared"  # a device was announced, or announced differently
    GONE = "gone"  # a device was removed
    REPORTED = "reported"  # a device has said what state it is in
    REJECTED = "rejected"  # a device or its bridge has said that it did not obey


@dataclass(frozen=True, slots=True)
class Event:
    """One happening. `reported` are the state's keys as the device sent them; `retained` that it was not said now."""

    happening: Happening
    device_id: str
    reported: Mapping[str, StateValue] = field(default_factory=lambda: NOTHING)
    retained: bool = False
    reason: str | None = None


class Events(AsyncIterator[Event]):
    """The happenings since it was opened, for one reader; of one device where an id was given."""

    def __init__(self, device_id: str | None) -> None:
        self._device_id = device_id
        self._waiting: deque[Event] = deque(maxlen=EVENTS_WAITING)
        self._arrived = asyncio.Event()

    def put(self, event: Event) -> None:
        if self._device_id in (None, event.device_id):
            self._waiting.append(event)
            self._arrived.set()

    async def __anext__(self) -> Event:
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        return self._waiting.popleft()


@dataclass(frozen=True, slots=True)
class Changed:
    """The entities that an announcement brought and those it took away."""

    added: tuple[Entity, ...] = ()
    removed: tuple[Entity, ...] = ()


@dataclass(slots=True)
class _Known:
    """What a device has told of itself."""

    state: dict[str, StateValue] = field(default_factory=dict)
    reported_at: float | None = None


class House:
    """The devices and their states. Announcements and reports go in; who wants to know watches `events`."""

    def __init__(
        self,
        overrides: Overrides | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.habits = Habits()
        self._overrides = overrides or Overrides()
        self._clock = clock
        self._sources: dict[str, tuple[str, dict[str, Entity]]] = {}  # announcing topic -> convention, its entities
        self._native: Counter[str] = Counter()  # identities that a convention of the device's own has announced
        self._entities: dict[str, Entity] = {}  # by device id, without the copies
        self._known: dict[str, _Known] = {}
        self._devices: dict[str, Device] | None = None  # with the settings applied; None when it must be made anew
        self._shown: tuple[Device, ...] | None = None  # the same, in order
        self._watchers: list[Events] = []

    # -- to look at

    @property
    def devices(self) -> tuple[Device, ...]:
        """Every device once, in the order in which they were announced, without those that the settings hide.

        The same tuple until one of them changes.
        """
        if self._shown is None:
            self._shown = tuple(self._described().values())
        return self._shown

    @property
    def states(self) -> Mapping[str, State]:
        """What the devices report, as it changes: `state` by id, for every id."""
        return _States(self)

    def device(self, device_id: str) -> Device:
        """Raises UnknownDevice."""
        found = self._described().get(device_id)
        if found is None:
            raise UnknownDevice(f"there is no device {device_id} in the house")
        return found

    def entity(self, device_id: str) -> Entity:
        """The device's announcement, which decodes and encodes. Raises UnknownDevice."""
        if device_id not in self._entities:
            raise UnknownDevice(f"there is no device {device_id} in the house")
        return self._entities[device_id]

    @property
    def entities(self) -> tuple[Entity, ...]:
        return tuple(self._entities.values())

    def state(self, device_id: str) -> State:
        """What the device last reported; empty when it never has, or is not there."""
        known = self._known.get(device_id)
        return MappingProxyType(known.state) if known else NOTHING

    def fresh(self, device_id: str) -> bool:
        """The state is worth believing: reported on this connection, and not long ago."""
        known = self._known.get(device_id)
        if known is None or known.reported_at is None:
            return False
        return self._clock() - known.reported_at <= FRESH

    def available(self, device_id: str) -> bool:
        """False only where the device was reported away."""
        return self.state(device_id).get("available") is not False

    @contextmanager
    def events(self, device_id: str | None = None) -> Iterator[Events]:
        """What happens while this is open."""
        watcher = Events(device_id)
        self._watchers.append(watcher)
        try:
            yield watcher
        finally:
            self._watchers.remove(watcher)

    async def wait_for(self, device_id: str, predicate: Callable[[State], bool], within: float) -> bool:
        """Whether the device's state came to satisfy `predicate` within so many seconds; it may have already."""
        with self.events(device_id) as events:
            try:
                async with asyncio.timeout(within):
                    while not predicate(self.state(device_id)):
                        await anext(events)
            except TimeoutError:
                return False
        return True

    # -- to change

    def apply(self, announced: Announced, convention: str) -> Changed:
        """Takes in what an announcement said. What its topic announced before and does not now is gone."""
        before = dict(self._entities)
        _, old = self._sources.pop(announced.source, (convention, {}))
        new = {e.device.id: e for e in announced.entities}
        if new:
            self._sources[announced.source] = (convention, new)
        if convention not in COPYING_CONVENTIONS and self._count_native(old, new):
            self._rebuild()
        else:
            self._update(convention, old, new)
        return self._tell(before)

    def report(
        self,
        device_id: str,
        reported: Mapping[str, StateValue],
        *,
        retained: bool = False,
    ) -> None:
        """The device has sent this. Availability alone does not make the rest of the state any fresher."""
        if device_id not in self._entities:
            return
        known = self._known.setdefault(device_id, _Known())
        known.state.update(reported)
        if any(key != "available" for key in reported):
            known.reported_at = self._clock()
        self._happened(
            Event(
                Happening.REPORTED,
                device_id,
                MappingProxyType(dict(reported)),
                retained,
            )
        )

    def reject(self, device_id: str, reason: str) -> None:
        self._happened(Event(Happening.REJECTED, device_id, reason=reason))

    def doubt(self) -> None:
        """The line was down, so anything may have happened meanwhile: no state is fresh."""
        for known in self._known.values():
            known.reported_at = None

    # -- within

    def _count_native(self, old: Mapping[str, Entity], new: Mapping[str, Entity]) -> bool:
        """Keeps the count of native identities; True when the set of them has changed."""
        before = set(self._native)
        for entity in new.values():
            self._native.update(entity.identities)
        for entity in old.values():
            self._native.subtract(entity.identities)
        self._native = +self._native
        return before != set(self._native)

    def _is_copy(self, convention: str, entity: Entity) -> bool:
        return convention in COPYING_CONVENTIONS and any(i in self._native for i in entity.identities)

    def _rebuild(self) -> None:
        native_first = sorted(self._sources.values(), key=lambda s: s[0] in COPYING_CONVENTIONS)
        self._entities = {}
        for convention, entities in native_first:
            for device_id, entity in entities.items():
                if not self._is_copy(convention, entity):
                    self._entities.setdefault(device_id, entity)

    def _update(self, convention: str, old: Mapping[str, Entity], new: Mapping[str, Entity]) -> None:
        for device_id, entity in new.items():
            if not self._is_copy(convention, entity):
                self._entities[device_id] = entity
        for device_id, entity in old.items():
            if device_id not in new and self._entities.get(device_id) is entity:
                self._put_back(device_id)

    def _put_back(self, device_id: str) -> None:
        """One announcement of the device is gone; another may still stand (as when it moves to the device form)."""
        del self._entities[device_id]
        for convention, entities in self._sources.values():
            other = entities.get(device_id)
            if other is not None and not self._is_copy(convention, other):
                self._entities[device_id] = other

    def _tell(self, before: Mapping[str, Entity]) -> Changed:
        self._devices = self._shown = None
        added = tuple(e for i, e in self._entities.items() if _differ(before.get(i), e))
        removed = tuple(e for i, e in before.items() if _differ(self._entities.get(i), e))
        for entity in removed:
            device_id = entity.device.id
            if device_id not in self._entities:
                self._known.pop(device_id, None)
                self.habits.forget(device_id)
                self._happened(Event(Happening.GONE, device_id))
        for entity in added:
            self._happened(Event(Happening.APPEARED, entity.device.id))
        return Changed(added, removed)

    def _happened(self, event: Event) -> None:
        for watcher in self._watchers:
            watcher.put(event)

    def _described(self) -> dict[str, Device]:
        if self._devices is None:
            self._devices = _describe([e.device for e in self._entities.values()], self._overrides)
        return self._devices


class _States(Mapping[str, State]):
    """The states of a house under their devices' ids."""

    def __init__(self, house: House) -> None:
        self._house = house

    def __getitem__(self, device_id: str) -> State:
        return self._house.state(device_id)

    def __iter__(self) -> Iterator[str]:
        return (device.id for device in self._house.devices)

    def __len__(self) -> int:
        return len(self._house.devices)


def _differ(one: Entity | None, other: Entity) -> bool:
    return one is not other and one != other


def _describe(announced: list[Device], overrides: Overrides) -> dict[str, Device]:
    """The devices as people know them. Pure."""
    settled = [(d, _override(d, overrides)) for d in announced]
    shown = [_renamed(d, o) for d, o in settled if not o.hidden]
    areas = _areas(shown, overrides)
    return {d.id: _placed(d, areas, overrides) for d in shown}


def _override(device: Device, overrides: Overrides) -> Override:
    by_name = overrides.devices.get(device.name, Override())
    return overrides.devices.get(device.id, by_name)


def _renamed(device: Device, override: Override) -> Device:
    aliases = tuple(dict.fromkeys((*device.aliases, *override.aliases)))
    if override.name is not None and override.name != device.name:
        aliases = tuple(a for a in (*aliases, device.name) if a != override.name)
    return replace(
        device,
        name=override.name or device.name,
        area=override.area or device.area,
        floor=override.floor or device.floor,
        aliases=aliases,
        sensitive=override.sensitive,
    )


def _areas(devices: list[Device], overrides: Overrides) -> tuple[str, ...]:
    """The rooms that somebody has named, the longest name first."""
    named = dict.fromkeys((*overrides.areas, *overrides.floors, *(d.area for d in devices if d.area)))
    return tuple(sorted(named, key=len, reverse=True))


def _placed(device: Device, areas: tuple[str, ...], overrides: Overrides) -> Device:
    area = device.area or _area_in(device.name, areas)
    floor = device.floor or (overrides.floors.get(area) if area else None)
    if area == device.area and floor == device.floor:
        return device
    return replace(device, area=area, floor=floor)


def _area_in(name: str, areas: tuple[str, ...]) -> str | None:
    """The room that a name tells: a known one anywhere in it, or a common one at its beginning."""
    said = _plain(name)
    for area in areas:
        if f" {_plain(area)} " in f" {said} ":
            return area
    common = _COMMON_AREA.match(said)
    return common[1].capitalize() if common else None


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.replace("_", " ").replace("'", "").lower()))
