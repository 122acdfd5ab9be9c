"""What is to sound after a turn, in which room and at what time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import time
from typing import Any

import numpy as np
import pytest

from devices.command import Action, Command
from devices.control import Outcome, Report
from devices.device import Capability, Device, Kind
from hub.chimes import Chime, pause, sounding, tones
from hub.saying import ALARM_ROUNDS, NOTHING, SOFT, Saying, alarm, answer, is_plain_to_see, is_quiet, sign
from hub.settings import Settings, SettingsError, VoiceSettings, parse
from hub.sound import level
from hub.turn import Order, Turn

LAMP = Device("lamp", "Lamp", Kind.LIGHT, frozenset({Capability.ON_OFF}), area="Kitchen")
BOLT = Device("bolt", "Bolt", Kind.LOCK, frozenset({Capability.LOCK}), area="Kitchen")
AFAR = Device("afar", "Other lamp", Kind.LIGHT, frozenset({Capability.ON_OFF}), area="Attic")
DEVICES = {device.id: device for device in (LAMP, BOLT, AFAR)}
NOON, NIGHT = time(12), time(2, 30)


def turn(*devices: str, outcome: Outcome = Outcome.CONFIRMED, kind: str = "act", done: bool = True) -> Turn:
    orders = tuple(Order(d, Report(Command(d, Action.TURN_ON), outcome)) for d in devices)
    actions = tuple({"intent": "turn_on", "targets": [d], "slots": {}} for d in devices)
    return Turn("said", "Lamp is on.", kind, done, orders=orders, actions=actions)


def said(what: Turn, room: str = "Kitchen", now: time = NOON, **voice: Any) -> Saying:
    return answer(what, room, DEVICES.get, VoiceSettings(**voice), now)


WORDS = Saying("Lamp is on.")


@pytest.mark.parametrize(
    ("what", "room", "plain"),
    [
        (turn("lamp"), "kitchen", True),
        (turn("lamp"), "Attic", False),
        (turn("lamp"), "", False),
        (turn("lamp", "afar"), "Kitchen", False),
        (turn("bolt"), "Kitchen", False),
        (turn("gone"), "Kitchen", False),
        (turn("lamp", outcome=Outcome.ALREADY_SO), "Kitchen", False),
        (turn("lamp", outcome=Outcome.NO_ANSWER, done=False), "Kitchen", False),
        (turn(), "Kitchen", False),
        (replace(turn("lamp"), actions=({"intent": "get_time", "targets": [], "slots": {}},)), "Kitchen", False),
        (
            replace(turn("lamp"), actions=({"intent": "x", "targets": ["lamp"], "slots": {"seconds": 9}},)),
            "Kitchen",
            False,
        ),
    ],
)
def test_a_chime_is_enough_only_where_all_of_it_is_seen(what: Turn, room: str, plain: bool) -> None:
    assert is_plain_to_see(what, room, DEVICES.get) is plain
    assert said(what, room) == (Saying(chime=Chime.DONE) if plain else WORDS)
    assert said(what, room, brief=False) == WORDS


@pytest.mark.parametrize(
    ("how", "what", "expected"),
    [
        ("chime", turn("lamp"), Saying(chime=Chime.DONE, volume=SOFT)),
        ("chime", turn("lamp", done=False), Saying(chime=Chime.FAILED, volume=SOFT)),
        ("chime", turn(kind="ask", done=False), Saying(chime=Chime.QUESTION, volume=SOFT)),
        ("nothing", turn(kind="ask", done=False), NOTHING),
        ("softly", turn("afar"), Saying("Lamp is on.", volume=SOFT)),
        ("softly", turn("lamp"), Saying(chime=Chime.DONE, volume=SOFT)),
    ],
)
def test_at_night_it_is_as_it_is_set(how: str, what: Turn, expected: Saying) -> None:
    hours = {"quiet_hours": "22:00-06:30", "at_night": how}
    assert said(what, now=NIGHT, **hours) == expected
    assert said(what, "Hall", now=NOON, **hours) == WORDS
    silent = sign(Chime.NOTHING, VoiceSettings.model_validate(hours), NIGHT)
    assert bool(silent) == (how != "nothing")
    assert alarm("Tea.") == Saying("Tea.", Chime.ALARM, rounds=ALARM_ROUNDS)


@pytest.mark.parametrize(
    ("hours", "quiet", "loud"),
    [("22:00-06:30", ["22:00", "23:59", "00:00", "06:29"], ["06:30", "21:59", "12:00"]),
     ("13:00-14:00", ["13:00", "13:59"], ["12:59", "14:00", "00:00"]), ("", [], ["00:00", "12:00"])],
)  # fmt: skip
def test_hours_go_around_midnight(hours: str, quiet: list[str], loud: list[str]) -> None:
    assert all(is_quiet(hours, time.fromisoformat(now)) for now in quiet)
    assert not any(is_quiet(hours, time.fromisoformat(now)) for now in loud)


@pytest.mark.parametrize("rate", [8000, 22_050, 48_000])
def test_chimes_are_short_begin_and_end_without_a_click_and_differ(rate: int) -> None:
    made = {chime: tones(chime, rate) for chime in Chime}
    for chime, samples in made.items():
        assert len(samples) < rate * (1 if chime is Chime.ALARM else 0.5)
        assert abs(int(samples[0])) < 40
        assert abs(int(samples[-1])) < 40
        assert level(samples) > -40
    assert len({samples.tobytes() for samples in made.values()}) == len(Chime)
    assert level(made[Chime.ALARM]) > level(made[Chime.DONE]) > level(made[Chime.NOTHING])
    assert not tones(Chime.ALARM, rate, 0).any()
    assert len(pause(0.5, rate)) == rate // 2
    assert np.array_equal(sounding(((0.0, 0.1, 1.0),), rate), pause(0.1, rate))


@pytest.mark.parametrize(
    ("table", "what"),
    [
        ('[voice]\nquiet_hours = "22-7"', "quiet_hours"),
        ('[voice]\nquiet_hours = "25:00-07:00"', "quiet_hours"),
        ('[voice]\nat_night = "loud"', "at_night"),
        ("[voice]\nwake_words = { okay_nabu = 1.5 }", "wake_words"),
        ('[voice.rooms.Kitchen]\nmicrofone = "x"', "no such setting"),
        ('[voice.rooms.Kitchen]\nwake_words = { okay_nabu = "loud" }', "wake_words"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_their_line(table: str, what: str) -> None:
    with pytest.raises(SettingsError, match=f"line [12].*{what}"):
        parse(table, "hub.toml")


def test_without_rooms_nothing_is_wanted() -> None:
    settings: Mapping[str, Any] = {"voice": {"rooms": {"Kitchen": {}}}}
    assert not Settings().voice.wanted
    assert Settings.model_validate(settings).voice.wanted
