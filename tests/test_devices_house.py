"""The house: each device once, in its room, with the state that it reported."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from devices.command import Command, State, StateValue
from devices.conventions import Announced, CannotDo, Entity, Message
from devices.device import Capability, Device, Kind
from devices.house import FRESH, Happening, House, Override, Overrides, UnknownDevice


@dataclass(frozen=True)
class Thing:
    """The smallest entity: it can be announced, and nothing else."""

    device: Device
    identities: frozenset[str] = frozenset()
    topics: frozenset[str] = frozenset()
    optimistic: bool = False

    def decode(self, message: Message, state: State) -> Mapping[str, StateValue]:
        return {}

    def rejection(self, message: Message) -> str | None:
        return None

    def encode(self, command: Command, state: State) -> tuple[Message, ...]:
        raise CannotDo("nothing")

    def query(self) -> tuple[Message, ...]:
        return ()


def lamp(id: str, name: str = "Lamp", *identities: str, area: str | None = None) -> Thing:
    device = Device(id, name, Kind.LIGHT, frozenset({Capability.ON_OFF}), area=area)
    return Thing(device, frozenset(identities))


def announce(house: House, source: str, *entities: Entity, convention: str = "zigbee2mqtt") -> None:
    house.apply(Announced(source, entities), convention)


def ids(house: House) -> list[str]:
    return [d.id for d in house.devices]


def test_announced_devices_are_in_the_house_until_they_are_not() -> None:
    house = House()
    announce(house, "t", lamp("a"), lamp("b"))
    assert ids(house) == ["a", "b"]
    announce(house, "t", lamp("b"))
    assert ids(house) == ["b"]
    with pytest.raises(UnknownDevice, match="no device a"):
        house.device("a")
    announce(house, "t")
    assert ids(house) == []


def test_the_same_announcement_again_changes_nothing() -> None:
    house = House()
    announce(house, "t", lamp("a"))
    changed = house.apply(Announced("t", (lamp("a"),)), "zigbee2mqtt")
    assert (changed.added, changed.removed) == ((), ())


def test_a_device_that_two_topics_announce_stays_until_both_are_silent() -> None:
    house = House()
    announce(house, "single", lamp("a"), convention="home_assistant")
    announce(house, "device", lamp("a"), convention="home_assistant")
    announce(house, "device", convention="home_assistant")
    assert ids(house) == ["a"]
    announce(house, "single", convention="home_assistant")
    assert ids(house) == []


@pytest.mark.parametrize("native_first", [True, False])
def test_a_copy_of_a_native_device_is_left_out_whichever_came_first(native_first: bool) -> None:
    house = House()
    native = ("bridge/devices", lamp("z:1", "Desk lamp", "0x01"))
    copy = ("homeassistant/light/x/config", lamp("ha:1", "Desk lamp", "0x01"))
    for source, entity in (native, copy) if native_first else (copy, native):
        announce(house, source, entity, convention="zigbee2mqtt" if entity is native[1] else "home_assistant")
    assert ids(house) == ["z:1"]
    announce(house, "bridge/devices")
    assert ids(house) == ["ha:1"]


def test_parts_of_one_physical_device_are_all_kept() -> None:
    house = House()
    announce(house, "a", lamp("ha:light", "Lamp", "aa:bb"), convention="home_assistant")
    announce(house, "b", lamp("ha:power", "Lamp power", "aa:bb"), convention="home_assistant")
    assert len(ids(house)) == 2


def test_the_settings_rename_place_alias_and_hide() -> None:
    overrides = Overrides(
        {"a": Override(name="Big lamp", area="Study", aliases=("giant",)), "Gone": Override(hidden=True)},
        floors={"Study": "upstairs"},
    )
    house = House(overrides)
    announce(house, "t", lamp("a", "Lamp 0x17"), lamp("b", "Gone"))
    (device,) = house.devices
    assert (device.name, device.area, device.floor) == ("Big lamp", "Study", "upstairs")
    assert set(device.aliases) == {"giant", "Lamp 0x17"}


@pytest.mark.parametrize(
    ("name", "room"),
    [
        ("Kitchen lamp", "Kitchen"),
        ("living_room_lamp", "Living room"),
        ("Hallway lamp", "Hallway"),
        ("Lamp of Anna's den", "Annas Den"),
        ("Den", None),
        ("Reading lamp", None),
        ("Officer lamp", None),
    ],
)
def test_a_name_can_tell_the_room(name: str, room: str | None) -> None:
    house = House(Overrides(areas=("Annas Den",)))
    announce(house, "t", lamp("a", name))
    assert house.device("a").area == room


def test_a_room_that_one_device_names_is_found_in_the_names_of_others() -> None:
    house = House()
    announce(house, "t", lamp("a", "Ceiling lamp of the snug"))
    assert house.device("a").area is None
    announce(house, "u", lamp("b", "Lamp", area="Snug"))
    assert house.device("a").area == "Snug"


def test_a_state_is_fresh_until_it_is_old_or_the_line_was_lost() -> None:
    now = 1000.0
    house = House(clock=lambda: now)
    announce(house, "t", lamp("a"))
    assert not house.fresh("a")
    house.report("a", {"available": True})
    assert not house.fresh("a")
    house.report("a", {"on": True})
    assert house.fresh("a")
    assert house.state("a") == {"available": True, "on": True}
    now += FRESH + 1
    assert not house.fresh("a")
    house.report("a", {"on": True})
    house.doubt()
    assert not house.fresh("a")
    assert house.state("a")["on"] is True


def test_a_device_is_available_until_it_is_reported_away() -> None:
    house = House()
    announce(house, "t", lamp("a"))
    assert house.available("a")
    house.report("a", {"available": False})
    assert not house.available("a")


def test_reports_of_what_is_not_in_the_house_are_nothing() -> None:
    house = House()
    house.report("a", {"on": True})
    assert house.state("a") == {}


async def test_events_tell_what_happens() -> None:
    house = House()
    with house.events() as events:
        announce(house, "t", lamp("a"))
        house.report("a", {"on": True})
        house.reject("a", "no")
        announce(house, "t")
        got = [(await anext(events)).happening for _ in range(4)]
    assert got == [Happening.APPEARED, Happening.REPORTED, Happening.REJECTED, Happening.GONE]


async def test_wait_for_sees_what_comes_and_gives_up_in_time() -> None:
    house = House()
    announce(house, "t", lamp("a"))
    waiting = asyncio.create_task(house.wait_for("a", lambda s: s.get("on") is True, 5))
    await asyncio.sleep(0)
    house.report("a", {"on": False})
    house.report("a", {"on": True})
    assert await waiting
    assert not await house.wait_for("a", lambda s: s.get("on") is False, 0.01)


def test_a_thousand_announcements_are_taken_in_quickly() -> None:
    house = House()
    for n in range(1000):
        announce(house, f"t/{n}", lamp(f"d{n}", f"Lamp {n}", f"id{n}"), convention="home_assistant")
    assert len(house.devices) == 1000


def test_the_devices_are_the_same_until_one_of_them_changes_and_so_are_the_states() -> None:
    house = House()
    announce(house, "t", lamp("a"))
    before, states = house.devices, house.states
    assert house.devices is before
    assert dict(states) == {"a": {}}
    house.report("a", {"on": True})
    assert house.devices is before
    assert states["a"] == {"on": True}
    announce(house, "t", lamp("a"), lamp("b"))
    assert house.devices is not before
    assert set(states) == {"a", "b"}
