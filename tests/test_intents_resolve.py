"""What lines mean in a home of our own: which devices, which values; and what is refused or asked back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from devices.command import Action, Command
from devices.device import Capability, Device, Kind
from intents.homes import Home, HomeError, home, load
from intents.intent import Because, Outcome, SlotValue
from intents.line import read
from intents.resolve import commands, resolve

HOME = load(Path(__file__).parent / "data" / "home.json")[""]
ALL_LIGHTS = {d.id for d in HOME.devices if d.kind == "light"}

Case = tuple[str, str | None, str, set[str], dict[str, SlotValue]]
# A line, the room in which it is said, the intent, the devices, the slots.
CASES: list[Case] = [
    ("<turn_on><what> pantry light", None, "turn_on", {"light.pantry"}, {}),
    ("<turn_on><what> light in the pantry", None, "turn_on", {"light.pantry"}, {}),
    ("<turn_on><what> light<where> pantry", None, "turn_on", {"light.pantry"}, {}),
    ("<turn_off><what> kitchen lights", None, "turn_off", {"light.stove", "light.island"}, {}),
    ("<turn_off><what> lights", "Kitchen", "turn_off", {"light.stove", "light.island"}, {}),
    ("<turn_off><what> all the lights", "Kitchen", "turn_off", {"light.stove", "light.island"}, {}),
    ("<turn_off><what> all the lights in the house", "Kitchen", "turn_off", ALL_LIGHTS, {}),
    ("<turn_off><what> lights", None, "turn_off", ALL_LIGHTS, {}),
    ("<turn_off><what> lights in every area", "Den", "turn_off", ALL_LIGHTS, {}),
    ("<turn_off><what> lights in this space", "Kitchen", "turn_off", {"light.stove", "light.island"}, {}),
    ("<set><up><what> cinema", None, "activate", {"scene.cinema"}, {}),
    ("<get_state><what> water sensors<state> wet", None, "get_state", {"binary_sensor.sink"}, {"state": "wet"}),
    ("<get_state><where> study humidity<quantity> value", None, "get_state", {"sensor.study_air"}, {"quantity": "value"}),
    ("<get_state><what> study<quantity> humid", None, "get_state", {"sensor.study_air"}, {"quantity": "humid"}),
    ("<vacuum_start><what> dusty he", None, "vacuum_start", {"vacuum.dusty"}, {}),
    ("<turn_off><what> lights on the upper floor", None, "turn_off", {"light.nursery", "light.study", "light.study2"}, {}),
    ("<turn_off><what> lights upstairs", None, "turn_off", {"light.nursery", "light.study", "light.study2"}, {}),
    ("<turn_off><what> study lights<but> desk lamp", None, "turn_off", {"light.study2"}, {}),
    ("<turn_on><what> study", None, "turn_on", {"light.study", "light.study2"}, {}),
    ("<turn_on><what> room lights", "Study", "turn_on", {"light.study", "light.study2"}, {}),
    ("<turn_on><what> lights in the room", "Kitchen", "turn_on", {"light.stove", "light.island"}, {}),
    ("<turn_on><where> study", None, "turn_on", {"light.study", "light.study2"}, {}),
    ("<turn_on>", "Study", "turn_on", {"light.study", "light.study2"}, {}),
    ("<turn_on><what> night light", None, "turn_on", {"light.nursery"}, {}),
    ("<turn_on><what> moon", "Kitchen", "turn_on", {"light.nursery"}, {}),
    ("<turn_on><what> sofa lamb", None, "turn_on", {"light.sofa"}, {}),
    ("<turn_on><what> desk lamp", None, "turn_on", {"light.study"}, {}),
    ("<turn_on><what> coffee", None, "turn_on", {"switch.espresso"}, {}),
    ("<turn_on><what> dusty", None, "vacuum_start", {"vacuum.dusty"}, {}),
    ("<turn_on><what> sprinklers", None, "open", {"valve.lawn"}, {}),
    ("<turn_off><what> lawn sprinkler", None, "close", {"valve.lawn"}, {}),
    ("<turn_on><what> cinema mode", None, "activate", {"scene.cinema"}, {}),
    ("<activate><what> cinema<where> den", None, "activate", {"scene.cinema"}, {}),
    ("<set><what> desk lamp<to> 40 %", None, "set_brightness", {"light.study"}, {"value": 40}),
    ("<set><what> desk lamp<to> half", None, "set_brightness", {"light.study"}, {"value": 50}),
    ("<set><up><what> soundbar<by> ten percent", None, "set_volume", {"media_player.den"}, {"delta": 10}),
    ("<set><down><what> radiator<by> two degrees", None, "set_temperature", {"climate.nursery"}, {"delta": -2}),
    ("<set><what> den thermostat<to> twenty one degrees", None, "set_temperature", {"climate.den"}, {"value": 21}),
    ("<set><what> roller blind<to> 30 %", None, "set_position", {"cover.kitchen_blind"}, {"value": 30}),
    ("<set><what> nursery fan<to> 60 percent", None, "set_fan_speed", {"fan.nursery"}, {"value": 60}),
    ("<set_brightness><to> minimum", "Study", "set_brightness", {"light.study", "light.study2"}, {"value": 1}),
    ("<set_brightness><up>", "Study", "set_brightness", {"light.study", "light.study2"}, {"delta": 10}),
    ("<set_brightness><down><where> den<by> 20 %", None, "set_brightness", {"light.sofa", "light.den_ceiling"}, {"delta": -20}),
    ("<set_color><what> island<to> light blue", None, "set_color", {"light.island"}, {"color": "blue"}),
    ("<set_color><what> sofa lamp<to> warm white", None, "set_color", {"light.sofa"}, {"kelvin": 2700}),
    ("<set_color_temp><what> moon<to> 3000 kelvin", None, "set_color_temp", {"light.nursery"}, {"kelvin": 3000}),
    ("<set_color_temp><what> moon<to> warmer", None, "set_color_temp", {"light.nursery"}, {"delta": -500}),
    ("<set_temperature><where> nursery<to> 19.5", None, "set_temperature", {"climate.nursery"}, {"value": 19.5}),
    ("<set_temperature><to> 70 fahrenheit", "Den", "set_temperature", {"climate.den"}, {"value": 21.1}),
    ("<set_temperature><up>", "Den", "set_temperature", {"climate.den"}, {"delta": 1}),
    ("<set_mode><what> den thermostat<to> eco", None, "set_mode", {"climate.den"}, {"value": "eco"}),
    ("<open><what> curtains", "Den", "open", {"cover.den_left", "cover.den_right"}, {}),
    ("<open><what> left curtain", None, "open", {"cover.den_left"}, {}),
    ("<close><what> garage door", None, "close", {"cover.garage"}, {}),
    ("<close><what> shutters in the nursery", None, "close", {"cover.nursery"}, {}),
    ("<set_position><what> nursery shutter<to> halfway", None, "set_position", {"cover.nursery"}, {"value": 50}),
    ("<lock><what> main door", None, "lock", {"lock.main"}, {}),
    ("<lock><what> all the doors", None, "lock", {"lock.main", "lock.cellar"}, {}),
    ("<unlock><what> cellar door", None, "unlock", {"lock.cellar"}, {}),
    ("<set_volume><to> 30 %", "Study", "set_volume", {"media_player.study"}, {"value": 30}),
    ("<set_volume><down>", "Den", "set_volume", {"media_player.den"}, {"delta": -10}),
    ("<mute><what> music", "Den", "mute", {"media_player.den"}, {}),
    ("<media_next><what> song<where> study", None, "media_next", {"media_player.study"}, {}),
    ("<media_next><what> track<where> radio", "Den", "media_next", {"media_player.study"}, {}),
    ("<media_pause><what> radio", None, "media_pause", {"media_player.study"}, {}),
    ("<media_stop><what> music", "Den", "media_pause", {"media_player.den"}, {}),
    ("<play_media><query> jazz<class> album", "Den", "play_media", {"media_player.den"}, {"search_query": "jazz", "media_class": "album"}),
    ("<vacuum_dock><what> vacuum cleaner", None, "vacuum_dock", {"vacuum.dusty"}, {}),
    ("<vacuum_start>", "Study", "vacuum_start", {"vacuum.dusty"}, {}),
    ("<vacuum_start><what> den", None, "vacuum_clean_area", {"vacuum.dusty"}, {"area": "den"}),
    ("<vacuum_clean_area><where> den", None, "vacuum_clean_area", {"vacuum.dusty"}, {"area": "den"}),
    ("<mower_start>", None, "mower_start", {"lawn_mower.yard"}, {}),
    ("<timer_start><for> an hour and a half<called> roast", "Kitchen", "timer_start", set(), {"seconds": 5400, "name": "roast"}),
    ("<timer_add><for> 2 minutes<timer> 10 minutes", None, "timer_add", set(), {"seconds": 120, "start_seconds": 600}),
    ("<timer_cancel_all>", None, "timer_cancel_all", set(), {}),
    ("<delayed_command><for> ten minutes<command> turn it off", None, "delayed_command", set(), {"seconds": 600, "command": "turn it off"}),
    ("<list_add><item> rice<list> groceries", None, "list_add", {"todo.groceries"}, {"item": "rice"}),
    ("<get_weather>", None, "get_weather", {"weather.town"}, {}),
    ("<get_time>", None, "get_time", set(), {}),
    ("<get_state><what> study window<state> open", None, "get_state", {"binary_sensor.study_window"}, {"state": "open"}),
    ("<get_state><what> main door<state> locked", None, "get_state", {"lock.main"}, {"state": "locked"}),
    ("<get_state><what> doors<state> locked", None, "get_state", {"lock.main", "lock.cellar"}, {"state": "locked"}),
    ("<get_state><what> any lights<state> on", None, "get_state", ALL_LIGHTS, {"state": "on"}),
    ("<get_state><where> hall<quantity> motion", None, "get_state", {"binary_sensor.hall_motion"}, {"quantity": "motion"}),
    ("<get_state><where> study<quantity> humidity", None, "get_state", {"sensor.study_air"}, {"quantity": "humidity"}),
    ("<get_state><what> mia", None, "get_state", {"person.mia"}, {}),
    ("<get_state><what> who<state> home", None, "get_state", {"person.mia", "person.tom"}, {"state": "home"}),
    ("<get_state><what> kitchen flooded", None, "get_state", {"binary_sensor.sink"}, {}),
    ("<get_temperature><where> den", None, "get_temperature", {"climate.den"}, {}),
    ("<get_temperature><what> fridge", None, "get_state", {"sensor.fridge"}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("line", "area", "intent", "targets", "slots"), CASES, ids=[f"{c[0]}@{c[1]}" for c in CASES])
def test_means(line: str, area: str | None, intent: str, targets: set[str], slots: dict[str, SlotValue]) -> None:
    resolution = resolve(read(line), HOME, area=area)
    assert resolution.trouble is None
    (wish,) = resolution.wishes
    assert (wish.intent, set(wish.targets), dict(wish.slots)) == (intent, targets, slots)


REFUSED: list[tuple[str, str | None, Because]] = [
    ("<none>", None, Because.NOT_FOR_ME),
    ("<turn_on><what> chandelier", None, Because.NO_SUCH_DEVICE),
    ("<turn_on><what> red lamp", None, Because.NO_SUCH_DEVICE),
    ("<turn_on><what> bathroom light", None, Because.NO_SUCH_DEVICE),
    ("<turn_on><what> light<where> bathroom", None, Because.NO_SUCH_ROOM),
    ("<lock><what> front door", None, Because.NO_SUCH_DEVICE),
    ("<unlock><what> celler door", None, Because.NO_SUCH_DEVICE),
    ("<unlock><what> main doom", None, Because.NO_SUCH_DEVICE),
    ("<open><what> main door", None, Because.CANNOT),
    ("<turn_on><what> main door", None, Because.CANNOT),
    ("<set_brightness><what> pantry light<to> 50 %", None, Because.CANNOT),
    ("<set_color><what> desk lamp<to> red", None, Because.CANNOT),
    ("<set><what> garage door<to> 50 %", None, Because.CANNOT),
    ("<set_temperature><what> soundbar<to> 20", None, Because.CANNOT),
    ("<set_color><what> island<to> loud", None, Because.BAD_VALUE),
    ("<set><what> desk lamp<to> 140 %", None, Because.BAD_VALUE),
    ("<timer_start><for> nothing", None, Because.BAD_VALUE),
    ("<timer_start>", None, Because.NOT_UNDERSTOOD),
    ("<list_add><list> groceries", None, Because.NOT_UNDERSTOOD),
    ("<turn_off><what> study lights<but> lava lamp", None, Because.NO_SUCH_DEVICE),
    ("<get_state><what> parrot<state> hungry", None, Because.NO_SUCH_DEVICE),
    ("<get_weather><what> atlantis", None, Because.NO_SUCH_DEVICE),
    ("<set_volume><up><where> bathroom", None, Because.NO_SUCH_ROOM),
]


@pytest.mark.parametrize(("line", "area", "because"), REFUSED, ids=[r[0] for r in REFUSED])
def test_is_refused(line: str, area: str | None, because: Because) -> None:
    resolution = resolve(read(line), HOME, area=area)
    assert resolution.outcome is Outcome.REFUSE
    assert resolution.wishes == ()
    assert resolution.trouble is not None
    assert resolution.trouble.because is because


@pytest.mark.parametrize(
    ("line", "candidates"),
    [
        ("<unlock><what> door", {"lock.main", "lock.cellar"}),
        ("<open><what> curtain", {"cover.den_left", "cover.den_right"}),
        ("<set_volume><up>", {"media_player.den", "media_player.study"}),
        ("<set_temperature><to> 20", {"climate.den", "climate.nursery"}),
        ("<turn_on>", ALL_LIGHTS),
    ],
)
def test_is_asked_back(line: str, candidates: set[str]) -> None:
    resolution = resolve(read(line), HOME)
    assert resolution.outcome is Outcome.ASK
    assert resolution.trouble is not None
    assert set(resolution.trouble.candidates) == candidates


def test_nothing_of_a_sentence_is_done_when_a_part_of_it_cannot_be() -> None:
    resolution = resolve(read("<turn_on><what> desk lamp<and><turn_on><what> chandelier"), HOME)
    assert resolution.outcome is Outcome.REFUSE
    assert resolution.wishes == ()


def test_where_it_is_dark_the_lights_go_on_and_where_they_are_on_they_grow_brighter() -> None:
    """ "It is dark in here" is written as an order to turn on that names nothing."""
    lit = replace(HOME, states={"light.study": {"on": True}, "light.study2": {"on": False}})
    (wish,) = resolve(read("<turn_on>"), lit, area="Study").wishes
    assert wish.intent == "turn_on"
    lit = replace(HOME, states={"light.study": {"on": True}, "light.study2": {"on": True}})
    (wish,) = resolve(read("<turn_on>"), lit, area="Study").wishes
    assert (wish.intent, set(wish.targets), wish.slots) == (
        "set_brightness",
        {"light.study", "light.study2"},
        {"delta": 10},
    )
    named = resolve(read("<turn_on><what> study lights"), lit, area="Study").wishes
    assert [w.intent for w in named] == ["turn_on"]


def test_it_is_what_was_spoken_of() -> None:
    wishes = resolve(read("<turn_on><what> moon<and><set_color><what> it<to> red<and><set><to> 20 %"), HOME).wishes
    assert [w.targets for w in wishes] == [("light.nursery",)] * 3
    assert resolve(read("<turn_off><what> it"), HOME, last=("light.hall",)).wishes[0].targets == ("light.hall",)


def test_commands_are_in_units_of_the_house() -> None:
    resolution = resolve(read("<set_color><what> island<to> warm white<and><set><down><what> radiator"), HOME)
    assert commands(resolution, HOME) == [
        Command("light.island", Action.SET_COLOR_TEMP, value=2700),
        Command("climate.nursery", Action.SET_TEMPERATURE, delta=-1),
    ]


@pytest.mark.parametrize(
    "data", [None, [], {}, {"devices": 3}, {"devices": [{}]}, {"devices": [{"id": "a", "name": "b", "kind": "ghost"}]}]
)
def test_a_broken_home_is_an_error_with_its_place(data: object) -> None:
    with pytest.raises(HomeError, match="here"):
        home(data, "here")


def test_an_empty_home_refuses_everything() -> None:
    assert resolve(read("<turn_on><what> lamp"), Home(())).outcome is Outcome.REFUSE


RARE = home(
    {
        "devices": [
            {"id": "v", "name": "Rosie", "kind": "vacuum", "capabilities": ["vacuum"], "area": "Hall"},
            {"id": "m", "name": "Mo", "kind": "lawn_mower", "capabilities": ["mower"]},
            {"id": "h", "name": "Humidifier", "kind": "humidifier", "capabilities": ["on_off", "mode", "intensity"]},
            {"id": "a", "name": "Bar", "kind": "media_player", "capabilities": ["volume", "playback"], "area": "Hall"},
            {"id": "b", "name": "Box", "kind": "media_player", "capabilities": ["volume", "playback"], "area": "Den"},
        ]
    },
    "rare",
)


@pytest.mark.parametrize(
    ("line", "intent", "target", "slots"),
    [
        ("<media_pause><what> rosie", "vacuum_pause", "v", {}),
        ("<vacuum_dock><what> mo", "mower_dock", "m", {}),
        ("<media_pause><what> bar", "media_pause", "a", {}),
        ("<set_mode><what> humidifier<to> sleep mode", "set_mode", "h", {"value": "sleep"}),
        ("<set_intensity><what> humidifier<to> 40 percent", "set_intensity", "h", {"value": 40}),
        ("<set_volume><up>", "set_volume", "b", {"delta": 10}),  # what the turn before was about
    ],
)
def test_verbs_and_values_of_rare_things(line: str, intent: str, target: str, slots: dict[str, SlotValue]) -> None:
    (wish,) = resolve(read(line), RARE, last=("b",)).wishes
    assert (wish.intent, wish.targets, dict(wish.slots)) == (intent, (target,), slots)


@pytest.mark.parametrize(
    ("line", "because"),
    [
        ("<turn_off><what> dehumidifier", Because.NO_SUCH_DEVICE),
        ("<vacuum_clean_area><where> cellar", Because.NO_SUCH_ROOM),
        ("<set_volume><up>", Because.WHICH),
    ],
)
def test_near_is_not_there(line: str, because: Because) -> None:
    trouble = resolve(read(line), RARE).trouble
    assert trouble is not None
    assert trouble.because is because


def test_a_delay_is_not_put_off_twice() -> None:
    (wish,) = resolve(read("<delayed_command><for> five minutes<command> open the box in five minutes"), RARE).wishes
    assert dict(wish.slots) == {"seconds": 300, "command": "open the box"}


def test_a_room_is_known_by_the_end_of_its_name_where_no_other_ends_so() -> None:
    rooms = [
        {"name": "Rooftop terrace"},
        {"name": "Guest bathroom"},
        {"name": "Main bathroom"},
        {"name": "Dining room"},
    ]
    lights = [
        {"id": f"light.{n}", "name": f"{n} light", "area": room["name"], "kind": "light", "capabilities": ["on_off"]}
        for n, room in enumerate(rooms)
    ]
    built = home({"areas": rooms, "devices": lights}, "here")
    told = {
        where: resolve(read(f"<turn_on><what> light<where> {where}"), built)
        for where in ("terrace", "bathroom", "room")
    }
    assert [w.targets for w in told["terrace"].wishes] == [("light.0",)]
    assert told["bathroom"].outcome is Outcome.REFUSE
    assert "light.3" not in {t for w in told["room"].wishes for t in w.targets}, "every room ends so"


def test_a_device_whose_room_nobody_named_may_be_in_the_one_that_is_said() -> None:
    def fan(area: str | None) -> Device:
        return Device("fan.fan", "fan", Kind.FAN, frozenset({Capability.ON_OFF}), area=area)

    door = Device("lock.door", "door", Kind.LOCK, frozenset({Capability.LOCK}))
    areas = {"Den": None, "Attic": None}
    adrift, placed = Home((fan(None), door), areas), Home((fan("Attic"), door), areas)
    assert resolve(read("<turn_off><what> fan in the den"), adrift).wishes[0].targets == ("fan.fan",)
    assert resolve(read("<turn_off><what> fan<where> den"), adrift).wishes[0].targets == ("fan.fan",)
    assert resolve(read("<turn_off><what> fan in the den"), placed).outcome is Outcome.REFUSE
    assert resolve(read("<turn_off><what> other fan in the den"), adrift).outcome is Outcome.REFUSE
    assert resolve(read("<unlock><what> door in the den"), adrift).outcome is Outcome.REFUSE


SUNNY = home(
    {
        "areas": [{"name": "Den"}, {"name": "Hall"}],
        "devices": [
            {"id": f"cover.{name.lower().replace(' ', '_')}", "name": name, "kind": "cover", "capabilities": ["open_close"],
             "device_class": made, "area": area}
            for name, made, area in (
                ("Blackout blind", "blind", "Den"), ("Roller blind", "blind", "Hall"), ("Awning", "shade", "Den"),
                ("Trapdoor", "door", "Den"), ("Gate", "gate", "Hall"),
            )
        ]
        + [{"id": "climate.den", "name": "Cooler", "kind": "climate", "capabilities": ["mode"], "options": ["cool", "fan_only"]}],
    },
    "sunny",
)  # fmt: skip


@pytest.mark.parametrize(
    ("line", "area", "targets"),
    [
        # The awning is none of two.
        ("<close><what> both blinds", None, {"cover.blackout_blind", "cover.roller_blind"}),
        ("<close><what> blinds", None, {"cover.blackout_blind", "cover.roller_blind", "cover.awning"}),
        # "Let the sun into the den" opens no door.
        ("<open><where> den", None, {"cover.blackout_blind", "cover.awning"}),
        ("<open>", "Hall", {"cover.roller_blind"}),
    ],
)
def test_blinds_that_are_counted_or_not_even_named(line: str, area: str | None, targets: set[str]) -> None:
    (wish,) = resolve(read(line), SUNNY, area=area).wishes
    assert set(wish.targets) == targets


def test_both_of_three_has_to_be_asked() -> None:
    assert resolve(read("<turn_off><what> both lights<where> kitchen"), HOME).outcome is Outcome.ACT
    assert resolve(read("<turn_off><what> both lights"), HOME).outcome is Outcome.ASK
    assert resolve(read("<open>"), SUNNY).outcome is Outcome.REFUSE


def test_a_mode_is_one_that_the_device_has() -> None:
    (wish,) = resolve(read("<set_mode><what> cooler<to> cooling mode"), SUNNY).wishes
    assert dict(wish.slots) == {"value": "cool"}
    trouble = resolve(read("<set_mode><what> cooler<to> sleep"), SUNNY).trouble
    assert trouble is not None
    assert (trouble.because, trouble.candidates) == (Because.BAD_VALUE, ("climate.den",))


def test_a_list_that_was_named_in_the_sentence_needs_no_name_again() -> None:
    lists = home(
        {
            "devices": [
                {"id": f"todo.{n}", "name": n, "kind": "todo", "capabilities": ["list"]}
                for n in ("chores", "groceries")
            ]
        },
        "lists",
    )
    said = read("<list_complete><item> dishes<list> groceries<and><list_add><item> eggs")
    assert [w.targets for w in resolve(said, lists).wishes] == [("todo.groceries",)] * 2


def test_upstairs_is_above_the_main_floor() -> None:
    rooms = [
        {"name": "Den", "floor": "Main floor"},
        {"name": "Loft", "floor": "Second floor"},
        {"name": "Gym", "floor": "Basement"},
    ]
    lamps = [
        {"id": r["name"], "name": f"{r['name']} lamp", "kind": "light", "capabilities": ["on_off"], "area": r["name"]}
        for r in rooms
    ]
    storeys = home({"areas": rooms, "devices": lamps}, "storeys")
    assert resolve(read("<turn_off><what> lights upstairs"), storeys).wishes[0].targets == ("Loft",)
    assert resolve(read("<turn_off><what> lights downstairs"), storeys).wishes[0].targets == ("Den", "Gym")
