"""What a sentence from Home Assistant is taken for: the room it was said in, and what was meant in its own intents."""

from __future__ import annotations

from types import MappingProxyType

import pytest

pytest.importorskip("wyoming", reason="the extra `wyoming` is not installed")

from devices.device import Device, Kind
from hub.wyoming.assist import intents, room_of
from intents.homes import Home
from intents.intent import VOCABULARY, SlotValue, Wish


def a(id: str, name: str, kind: Kind, area: str | None) -> Device:
    return Device(id, name, kind, frozenset(), area=area)


DEVICES = (
    a("l1", "Lamp", Kind.LIGHT, "Kitchen"),
    a("l2", "Lamp", Kind.LIGHT, "Hall"),
    a("door", "Front door", Kind.LOCK, "Hall"),
    a("porch", "Front door", Kind.LIGHT, "Porch"),
    a("blind", "Blind", Kind.COVER, "Living room"),
    a("heat", "Heating", Kind.CLIMATE, "Living room"),
    a("todo", "Groceries", Kind.TODO, None),
)
HOME = Home(
    DEVICES,
    MappingProxyType({"Kitchen": None, "Living room": None, "Room": None, "Hall": "Ground floor"}),
    MappingProxyType({}),
)


def meant(intent: str, *targets: str, **slots: SlotValue) -> list[tuple[str, object]]:
    return [(name, dict(found)) for name, found in intents([Wish(intent, targets, MappingProxyType(slots))], HOME)]


@pytest.mark.parametrize(
    ("intent", "targets", "slots", "name", "theirs"),
    [
        ("turn_on", ["l1"], {}, "HassTurnOn", {"name": "Lamp", "area": "Kitchen", "domain": "light"}),
        ("lock", ["door"], {}, "HassTurnOn", {"name": "Front door", "area": "Hall", "domain": "lock"}),
        ("unlock", ["door"], {}, "HassTurnOff", {"name": "Front door", "area": "Hall", "domain": "lock"}),
        ("turn_off", ["porch"], {}, "HassTurnOff", {"name": "Front door", "area": "Porch", "domain": "light"}),
        ("close", ["blind"], {}, "HassTurnOff", {"name": "Blind", "domain": "cover"}),
        ("set_position", ["blind"], {"value": 40}, "HassSetPosition", {"name": "Blind", "position": 40}),
        (
            "set_temperature",
            ["heat"],
            {"value": 21.5},
            "HassClimateSetTemperature",
            {"name": "Heating", "temperature": 21.5},
        ),
        ("get_state", ["blind"], {"state": "open"}, "HassGetState", {"name": "Blind", "state": "open"}),
        (
            "timer_start",
            [],
            {"seconds": 3660, "name": "tea"},
            "HassStartTimer",
            {"name": "tea", "hours": 1, "minutes": 1},
        ),
        ("timer_cancel", [], {"start_seconds": 90}, "HassCancelTimer", {"start_minutes": 1, "start_seconds": 30}),
        ("list_add", ["todo"], {"item": "milk"}, "HassListAddItem", {"item": "milk", "name": "Groceries"}),
        ("list_add", [], {"item": "milk"}, "HassShoppingListAddItem", {"item": "milk"}),
        ("broadcast", [], {"message": "dinner"}, "HassBroadcast", {"message": "dinner"}),
    ],
)
def test_a_wish_is_an_intent(
    intent: str, targets: list[str], slots: dict[str, SlotValue], name: str, theirs: dict[str, object]
) -> None:
    assert meant(intent, *targets, **slots) == [(name, theirs)]


def test_each_device_is_an_intent_of_its_own() -> None:
    assert [slots for _, slots in meant("turn_on", "l1", "l2")] == [
        {"name": "Lamp", "area": "Kitchen", "domain": "light"},
        {"name": "Lamp", "area": "Hall", "domain": "light"},
    ]


def test_what_home_assistant_could_not_do_in_full_is_refused_whole() -> None:
    assert not meant("set_brightness", "l1", delta=10)
    assert not meant("turn_on", "l1", seconds=60)
    assert not meant("turn_on", "l1", when="tomorrow")
    assert not meant("set_brightness", "l1")
    assert not intents([Wish("turn_on", ("l1",)), Wish("set_mode", ("heat",))], HOME)


@pytest.mark.parametrize("intent", sorted(VOCABULARY))
def test_every_intent_is_theirs_or_none(intent: str) -> None:
    slots: dict[str, SlotValue] = {"value": 1, "color": "red", "kelvin": 3000, "item": "milk"}
    found = meant(intent, "l1", **slots)
    assert all(name.startswith("Hass") and isinstance(theirs, dict) for name, theirs in found)


@pytest.mark.parametrize(
    ("context", "room"),
    [
        ({}, ""),
        ({"satellite_id": "assist_satellite.kitchen"}, "Kitchen"),
        ({"satellite_id": "assist_satellite.living_room_speaker"}, "Living room"),  # and not the one called Room
        ({"satellite_id": "assist_satellite.hall_kitchen"}, ""),  # which of them
        ({"satellite_id": "assist_satellite.shallow"}, ""),
        ({"satellite_id": "kitchen"}, "Kitchen"),
        ({"device_id": "1f"}, "Attic"),
        ({"device_id": "2f"}, ""),
        ({"satellite_id": "assist_satellite.kitchen", "device_id": "1f"}, "Attic"),
        ({"area": "Cellar", "device_id": "1f"}, "Cellar"),
    ],
)
def test_the_room(context: dict[str, str], room: str) -> None:
    assert room_of(context, {"1f": "Attic"}, HOME) == room
