"""What was heard is put right by the home's names, and never where nothing was wrong."""

from __future__ import annotations

from itertools import islice
from types import MappingProxyType

import pytest

from devices.device import Capability, Device, Kind
from intents.corpus.common import common_words
from intents.corpus.sample import stream
from intents.hearsay import Names, common, likeness, names_of, repaired, sound
from intents.homes import Home

ON_OFF = frozenset({Capability.ON_OFF})


def home(*devices: Device, rooms: tuple[str, ...] = ("Kitchen", "Living room", "Bathroom", "Hallway")) -> Home:
    return Home(devices, MappingProxyType(dict.fromkeys(rooms)))


def light(name: str, *aliases: str) -> Device:
    return Device(name, name, Kind.LIGHT, ON_OFF, aliases)


HOME = home(
    *(light("Ceiling light"), light("Floor lamp", "reading lamp"), light("Wardrobe"), light("Zebra lamp")),
    *(
        Device("l", "Cellar hatch", Kind.LOCK, frozenset({Capability.LOCK})),
        Device("g", "Garage door", Kind.COVER, ON_OFF),
    ),
)


@pytest.fixture(scope="module")
def names() -> Names:
    return names_of(HOME)


@pytest.mark.parametrize(
    ("heard", "right"),
    [
        ("Turn on the kitten light.", "turn on the kitchen light"),
        ("turn on the seeling light", "turn on the ceiling light"),
        ("turn on the floor lump please", "turn on the floor lamp please"),
        ("dim the war drobe to 20 percent", "dim the wardrobe to 20 percent"),
        ("is the barfroom light on", "is the bathroom light on"),
        ("turn off the zeeber lamp and the wordrobe", "turn off the zebra lamp and the wardrobe"),
        ("switch on the livin rume lights", "switch on the living room lights"),
        ("set the redding lamp to blue", "set the reading lamp to blue"),
    ],
)
def test_what_sounds_like_a_name_becomes_it(names: Names, heard: str, right: str) -> None:
    assert repaired(heard, names) == right


@pytest.mark.parametrize(
    "heard",
    [
        "Turn on the kitchen light, please!",  # as it was heard, to the letter
        "turn off everything in the living room",
        "turn on the attic light",  # which other homes have
        "put kittens on my shopping list",
        "play kitten party in the hallway",
        "play stairway to heaven",
        "turn on the antique light",
        "what is the weather like in Kitzbühel",
        "",
        "...",
        "x" * 2000,
        "turn on " * 500,
    ],
)
def test_what_is_right_or_not_of_this_home_stays(names: Names, heard: str) -> None:
    assert repaired(heard, names) == heard


@pytest.mark.parametrize(
    "heard",
    [
        "unlock the seller hatch",
        "open the seller hatch",
        "open the garbage door",
        "open the garitch",
        "unlock the kitten",
    ],
)
def test_what_keeps_people_out_is_never_opened_on_hearsay(names: Names, heard: str) -> None:
    assert repaired(heard, names) == heard


def test_no_sentence_of_the_corpus_that_names_this_home_is_changed(names: Names) -> None:
    """What people say, in words that are known: nothing of it turns into a name."""
    said = [" ".join(e.words) for e in islice(stream(11), 3000) if set(e.words) <= common() | names.known]
    assert len(said) > 1000
    assert not [text for text in said if repaired(text, names) != text]


def test_two_names_that_are_equally_near_are_neither() -> None:
    twins = names_of(home(light("Marlin"), light("Merlin"), rooms=()))
    assert repaired("turn on murlin", twins) == "turn on murlin"
    assert repaired("turn on murlin", names_of(home(light("Marlin"), rooms=()))) == "turn on marlin"


def test_the_common_words_are_those_of_the_corpus() -> None:
    assert {"turn", "kitchen", "quieten", "percent", "please"} <= common()
    few = set(common_words(4000, 40))
    assert len(few) > 150
    assert few <= common()


@pytest.mark.parametrize(
    ("one", "other"),
    [("ceiling", "sealing"), ("night", "knite"), ("phone", "fone"), ("kitchen", "kitchin"), ("water", "wata")],
)
def test_what_sounds_the_same_is_nearly_the_same(one: str, other: str) -> None:
    assert likeness(sound(one), sound(other.replace(" ", ""))) > 0.9


def test_likeness_goes_both_ways_and_minds_the_beginning() -> None:
    for one, other in (("kitten", "kitchen"), ("lump", "lamp"), ("email", "every"), ("india", "interior")):
        assert likeness(sound(one), sound(other)) == likeness(sound(other), sound(one))
    assert likeness(sound("emergency"), sound("machine")) == 0
    assert likeness("", "a") == 0
