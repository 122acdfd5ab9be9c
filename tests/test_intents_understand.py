"""The model that ships and the home of the tests: sentences in, what is meant out, through the real engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from devices.device import Kind
from hub.reading import Reader
from intents.homes import load
from intents.intent import Because, Outcome, Resolution, Trouble, Wish
from intents.line import FLAGS, Parse, read, words
from intents.understand import MAX_WORDS, Understanding, understand
from models.files import default_model
from models.worker import Worker

HOME = load(Path(__file__).parent / "data" / "home.json")[""]
IDS = {device.id for device in HOME.devices}
RIGHT = 0.9  # the share that must be right: a training run is not the same twice, and what it loses is told below


Hear = Callable[..., Awaitable[list[Understanding]]]

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hear() -> AsyncIterator[Hear]:
    """What the shipped model makes of sentences, in one process for all tests; nothing in it is made up."""
    async with Worker(default_model()) as worker:

        async def heard(*said: str, area: str | None = None) -> list[Understanding]:
            found = [await understand(text, HOME, Reader(worker), area=area) for text in said]
            for text, one in zip(said, found, strict=True):
                assert not made_up(one, text), (text, one.line)
                assert 0 <= one.confidence <= 1, text
            return found

        yield heard


def named(found: Understanding) -> set[str]:
    """The devices that the outcome is about, wished for or to choose from."""
    resolution = found.resolution
    wished = {target for wish in resolution.wishes for target in wish.targets}
    return wished | set(resolution.trouble.candidates if resolution.trouble else ())


def made_up(found: Understanding, text: str) -> list[str]:
    """What no understanding may hold, whatever was said: devices that the home does not have, words that were not said."""
    said = f" {' '.join(words(text))} "
    spans = [span for parse in found.parses for slot, span in parse.slots.items() if slot not in FLAGS]
    return [*sorted(named(found) - IDS), *(span for span in spans if not span or f" {span} " not in said)]


def told(found: Understanding) -> str:
    """The outcome in short: "turn_on light.hall", "answer get_state ...", "ask which ...", "refuse no_such_device"."""
    resolution = found.resolution
    if resolution.trouble is not None:
        choice = sorted(resolution.trouble.candidates) if resolution.outcome is Outcome.ASK else ()
        return " ".join((resolution.outcome.value, resolution.trouble.because.value, *choice))
    wishes = ", ".join(" ".join((w.intent, *sorted(w.targets))) for w in resolution.wishes)
    return wishes if resolution.outcome is Outcome.ACT else f"{resolution.outcome.value} {wishes}"


PLAIN = {
    "turn on the hall light": "turn_on light.hall",
    "switch off the espresso machine please": "turn_off switch.espresso",
    "could you turn off the sofa lamp": "turn_off light.sofa",
    "dim the desk lamp to 30 percent": "set_brightness light.study",
    "make the island blue": "set_color light.island",
    "close the garage door": "close cover.garage",
    "open the left curtain": "open cover.den_left",
    "set the roller blind to 40 %": "set_position cover.kitchen_blind",
    "lock the main door": "lock lock.main",
    "set the den thermostat to 21 degrees": "set_temperature climate.den",
    "turn off all the lights in the study": "turn_off light.study light.study2",
    "turn off the lights upstairs": "turn_off light.nursery light.study light.study2",
    "start the vacuum cleaner": "vacuum_start vacuum.dusty",
    "turn on the nursery fan": "turn_on fan.nursery",
    "mute the soundbar": "mute media_player.den",
    "turn on the sofa lamp and close the right curtain": "turn_on light.sofa, close cover.den_right",
    "is the study window open": "answer get_state binary_sensor.study_window",
    "is the main door locked": "answer get_state lock.main",
    "set a timer for ten minutes": "timer_start",
    "add milk to the groceries": "list_add todo.groceries",
    "activate the cinema scene": "activate scene.cinema",
    "what time is it": "answer get_time",
    "turn off the lights in the den": "turn_off light.den_ceiling light.sofa",
    "turn up the radio": "set_volume media_player.study",
    "how warm is it in the nursery": "answer get_temperature climate.nursery",
    "are any windows open": "answer get_state binary_sensor.study_window",
    "send the vacuum back to its dock": "vacuum_dock vacuum.dusty",
    "unlock the cellar door": "unlock lock.cellar",
}
NOT_DONE = {
    "turn on the sauna": "refuse no_such_device",
    "turn off the lights in the chapel": "refuse no_such_device",
    "unlock the garden door": "refuse no_such_device",
    "set the den thermostat to 500 degrees": "refuse bad_value",
    "dim the espresso machine": "refuse cannot",
    "lock the sofa lamp": "refuse cannot",
    "tell me a joke": "refuse not_for_me",
    "order a pizza": "refuse not_for_me",
    "i bought a new lamp yesterday": "refuse not_for_me",
    "turn on the": "refuse not_for_me",
    "open the curtain": "ask which cover.den_left cover.den_right",
    "lock the door": "ask which lock.cellar lock.main",
    "set the temperature to 20 degrees": "ask which climate.den climate.nursery",
}


async def test_plain_sentences_are_understood(hear: Hear) -> None:
    asked = PLAIN | NOT_DONE
    wrong = [
        f"{text!r}: {told(found)} instead of {asked[text]}   {found.line}"
        for text, found in zip(asked, await hear(*asked), strict=True)
        if told(found) != asked[text]
    ]
    assert len(wrong) <= (1 - RIGHT) * len(asked), "\n".join(wrong)


async def test_nothing_is_done_that_was_not_asked(hear: Hear) -> None:
    done = [
        f"{text!r}: {told(found)}" for text, found in zip(NOT_DONE, await hear(*NOT_DONE), strict=True) if acts(found)
    ]
    assert not done


def acts(found: Understanding) -> bool:
    return found.resolution.outcome is Outcome.ACT


STRANGE = (
    "",
    "   ",
    "?!",
    "💡🔥",
    "включи свет на кухне",
    "キッチンの電気をつけて",
    "<turn_on><what> hall light",
    "</s><s> turn on",
    "turn on " * 30,
    "lamp lamp lamp lamp lamp lamp lamp lamp",
    "\x00\ufffd\u202e",
    "'; drop table lamps",
    "x" * 10_000,
    "word " * (MAX_WORDS + 1),
)


async def test_a_line_that_overlooks_the_device_that_was_named_does_nothing() -> None:
    async def careless(words: list[str]) -> tuple[str, float]:
        return "<set_color><to> red", 1.0

    for text, acted in (("make the lights red", True), ("make the espresso machine red", False)):
        found = await understand(text, HOME, careless, area="Kitchen")
        assert acts(found) is acted


async def test_a_device_that_was_named_after_its_room_is_not_overlooked_for_the_room() -> None:
    async def careless(words: list[str]) -> tuple[str, float]:
        return "<turn_off><what> workbench light", 1.0

    assert acts(await understand("workbench light off", HOME, careless))
    assert not acts(await understand("garage door shut workbench light off", HOME, careless))


async def test_strange_input_has_an_outcome(hear: Hear) -> None:
    assert len(await hear(*STRANGE)) == len(STRANGE)


async def test_that_something_is_made_up_would_be_seen() -> None:
    wish, asked = Wish("turn_on", ("light.moat", "light.hall")), Trouble(Because.WHICH, candidates=("light.keep",))
    parses = (Parse("turn_on", {"what": "the moat", "where": "hall", "up": ""}),)
    acted = Understanding(Resolution(Outcome.ACT, (wish,)), parses=parses)
    assert made_up(acted, "turn on the boat in the hall") == ["light.moat", "the moat"]
    assert made_up(Understanding(Resolution(Outcome.ASK, trouble=asked)), "turn on the light") == ["light.keep"]


async def test_what_has_no_words_is_not_read(hear: Hear) -> None:
    for found in await hear("", "   ", "?!", "💡🔥"):
        assert told(found) == "refuse not_understood"
        assert not found.line


async def test_what_is_too_long_is_not_read(hear: Hear) -> None:
    for found in await hear("x" * 10_000, "turn on the light " * 20, "word " * (MAX_WORDS + 1)):
        assert told(found) == "refuse too_long"
        assert not found.line


async def test_the_room_decides_which_light_is_meant(hear: Hear) -> None:
    (hall,) = await hear("turn on the light", area="Hall")
    (study,) = await hear("turn on the light", area="Study")
    assert told(hall) == "turn_on light.hall"
    assert told(study) == "turn_on light.study light.study2"


async def test_what_was_heard_before_changes_nothing(hear: Hear) -> None:
    one, two = "turn on the sofa lamp", "close the garage door"
    first, _, again = await hear(one, two, one)
    assert (first.line, first.resolution) == (again.line, again.resolution)


@pytest.mark.parametrize(
    ("text", "line", "wanted"),
    [
        ("is the garage door open", "<get_state><what> garage door open<state> open", {"what": "garage door", "state": "open"}),
        ("open the open fire", "<open><what> open fire<state> open", {"what": "open fire", "state": "open"}),
        ("lower the ac three degrees", "<set_temperature><down><what> ac three degrees", {"down": "", "what": "ac", "by": "three degrees"}),
        ("put lamp 2 at 30 percent", "<set><what> lamp 2 30 percent", {"what": "lamp 2", "to": "30 percent"}),
        ("raise it by a few degrees", "<set><up><what> a few degrees", {"up": "", "what": "a few degrees"}),
    ],
)  # fmt: skip
async def test_words_that_were_copied_into_the_wrong_slot_are_put_right(
    text: str, line: str, wanted: dict[str, str]
) -> None:
    async def complete(said: list[str]) -> tuple[str, float]:
        return line, 1.0

    assert (await understand(text, HOME, complete)).parses == (Parse(read(line)[0].intent, wanted),)


async def test_a_scene_is_set_up() -> None:
    async def complete(said: list[str]) -> tuple[str, float]:
        return f"<set><up><what> {' '.join(said[2:])}", 1.0

    scene = next(device for device in HOME.devices if device.kind is Kind.SCENE)
    assert told(await understand(f"set up {scene.name}", HOME, complete)) == f"activate {scene.id}"


async def test_a_room_that_was_said_is_not_left_out() -> None:
    async def complete(said: list[str]) -> tuple[str, float]:
        return "<turn_off><what> all the lights", 1.0

    assert (
        told(await understand("turn off all the lights kitchen", HOME, complete)) == "turn_off light.island light.stove"
    )
    upper = told(await understand("all the lights off upper floor", HOME, complete))
    assert upper == "turn_off light.nursery light.study light.study2"
