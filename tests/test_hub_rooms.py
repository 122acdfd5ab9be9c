"""From a wave in a room to a confirmed device and a sound in the same room: every part real but the ears, which hear
what they are told, and the devices, which are software.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest

from devices.conventions import Message
from devices.link import Inbox, Link, LinkSettings
from devices.simulator import Home
from hub import daemon, ears
from hub.chimes import Chime, tones
from hub.chores import do
from hub.daemon import Hub, opened, settled
from hub.mouth import RATE as OUT
from hub.mouth import Mouth
from hub.pin import hashed
from hub.post import State, Woken
from hub.reading import Lines
from hub.rooms import NOT_UNDERSTOOD, Hears, Rooms
from hub.saying import SOFT
from hub.schedule import Schedule
from hub.scripted import Dictated, Hum, ScriptedPost, silent, spoken
from hub.settings import BrokerSettings, SafetySettings, Settings, VoiceSettings
from hub.sound import RATE, Decoder, Samples, level
from hub.soundcard import from_device, to_device
from hub.turn import MOMENTS, Turn
from models import ModelError
from models.hearing import Heard, Hearing
from models.voice import Manner
from models.wake import WakeWord

for package in ("faster_whisper", "onnxruntime", "soxr"):
    pytest.importorskip(package, reason="the extra `voice` is not installed")

pymicro_wakeword = pytest.importorskip("pymicro_wakeword", reason="the extra `voice` is not installed")
SAYS = "turn on the bathroom light"
LINES = {
    SAYS: "<turn_on><what> bathroom light",
    "turn on the bedroom light": "<turn_on><what> light<where> bedroom",
    "lamp on": "<turn_on><what> the lamp",
    "unlock the front door": "<unlock><what> front door",
    "is the front door locked": "<get_state><what> front door<state> locked",
}
NIGHT, DAY = datetime(2024, 1, 1, 3), datetime(2024, 1, 1, 12)


class Address(Protocol):
    host: str
    port: int


@dataclass
class House:
    """The open rooms, the home around them, and the turns that were told."""

    rooms: Rooms
    hub: Hub
    home: Home
    voice: Hum
    turns: Inbox
    ears: Dictated

    async def turn(self) -> dict[str, Any]:
        async with asyncio.timeout(30):
            told: dict[str, Any] = json.loads((await anext(self.turns)).payload)
            return told

    @asynccontextmanager
    async def attended(self, *posts: ScriptedPost) -> AsyncIterator[None]:
        """These posts are served meanwhile."""
        tasks = [asyncio.create_task(self.rooms.attend(post)) for post in posts]
        try:
            async with asyncio.timeout(30):
                await asyncio.gather(*(post.attended() for post in posts))
                yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


Open = Callable[..., Any]


@pytest.fixture
def house(broker: Address, tmp_path: Path) -> Open:
    """Opens the rooms over the demo's home; its ears hear `says`, and it is `now`."""

    @asynccontextmanager
    async def open_house(
        *says: str | Heard,
        hearing: Hears | None = None,
        voice: Mapping[str, Any] | None = None,
        now: datetime = DAY,
        pin: str = "",
    ) -> AsyncIterator[House]:
        settings = Settings(
            broker=BrokerSettings(broker.host, port=broker.port),
            state_folder=str(tmp_path),
            voice=VoiceSettings(**(voice or {})),
            safety=SafetySettings(pin=pin and hashed(pin)),
        )
        async with (
            Home(LinkSettings(broker.host, broker.port), travel=0.1) as home,
            opened(settings, completer=Lines(LINES)) as hub,
        ):
            await settled(hub.link, hub.house)
            hum = Hum()
            mouth = Mouth(hum, hub.cores, Manner())
            turns = hub.link.listen(settings.topic("turn"), qos=1)
            await hub.link.settled()
            try:
                told = Dictated(*says)
                yield House(Rooms(hub, hearing or told, mouth, lambda: now), hub, home, hum, turns, told)
            finally:
                await mouth.close()

    return open_house


def is_chime(played: tuple[int, Samples], chime: Chime) -> bool:
    rate, samples = played
    return rate == OUT and np.array_equal(samples, tones(chime, OUT))


async def test_from_a_wave_to_a_light_that_is_on_and_an_answer(house: Open, tmp_path: Path) -> None:
    ears.write(tmp_path / "ears", SAYS)
    post = ScriptedPost("hall", "Hall")
    async with Hearing(tmp_path / "ears") as hearing, house(hearing=hearing) as there, there.attended(post):
        post.wake(Woken("Okay Nabu", 0.9))
        post.say(spoken())
        turn = await there.turn()
        await post.until(State.HEARING, State.UNDERSTANDING, State.SPEAKING, State.WAITING)
        assert there.home.state("bathroom_light")["state"] == "ON"
    assert (turn["text"], turn["reply"], turn["room"]) == (SAYS, "Bathroom light is on.", "Hall")
    assert turn["orders"][0]["outcome"] == "confirmed"
    assert there.voice.said == [("Bathroom light is on.", Manner())]
    ((rate, samples),) = post.played
    assert rate == OUT
    assert len(samples) / OUT == pytest.approx(4 * 0.15, abs=0.02)
    assert [text for _, text in post.states if text] == [SAYS, "Bathroom light is on."]
    assert (turn["spoken"]["post"], turn["spoken"]["wake"], turn["spoken"]["heard"]) == ("hall", "Okay Nabu", SAYS)
    at = turn["spoken"]["at"]
    assert tuple(at) == MOMENTS
    assert list(at.values()) == sorted(at.values())
    assert at["ended"] >= 380  # the silence that ends a command


# -- what is no command


async def test_silence_after_the_wake_word_is_a_soft_chime_and_nothing_else(house: Open) -> None:
    post = ScriptedPost("hall")
    async with house(SAYS) as there, there.attended(post):
        post.wake(Woken("Okay Nabu"))
        post.say(silent(6))
        await post.until(State.SPEAKING, State.WAITING)
    assert [is_chime(played, Chime.NOTHING) for played in post.played] == [False, True]
    assert is_chime(post.played[0], Chime.AWAKE)  # who waits is told to go on


@pytest.mark.parametrize(
    "heard",
    [
        Heard(SAYS, logprob=-1.5),
        Heard(SAYS, logprob=-0.5, no_speech=0.9),
        Heard("Thank you. Thank you. Thank you.", logprob=-0.1, compression=3),
        Heard("...", logprob=-0.1),
    ],
    ids=["too unsure", "more likely silence", "it repeats itself", "no words"],
)
async def test_what_was_made_up_out_of_noise_never_reaches_a_device(house: Open, heard: Heard) -> None:
    post = ScriptedPost("hall", "Hall")
    async with house(heard) as there, there.attended(post):
        before = there.home.state("bathroom_light")
        post.wake(Woken("Okay Nabu"))
        post.say(spoken())
        turn = await there.turn()
        assert there.home.state("bathroom_light") == before
    assert (turn["outcome"], turn["reply"], turn["orders"]) == ("refuse", NOT_UNDERSTOOD, [])
    assert turn["spoken"]["heard"] == heard.text
    assert "understood" not in turn["spoken"]["at"]


async def test_a_television_is_not_listened_to_for_ever(house: Open) -> None:
    post = ScriptedPost("hall")
    async with house(SAYS, voice={"longest": 3}) as there, there.attended(post):
        post.wake(Woken("Okay Nabu"))
        post.say(spoken(5))
        await post.until(State.SPEAKING, State.WAITING)
    assert is_chime(post.played[-1], Chime.NOTHING)


async def test_a_name_that_was_misheard_is_put_right_before_it_is_read(house: Open) -> None:
    post = ScriptedPost("hall", "Hall")
    async with house("Turn on the barfroom light.") as there, there.attended(post):
        post.wake(Woken("Okay Nabu"))
        post.say(spoken())
        turn = await there.turn()
    assert turn["orders"][0]["outcome"] == "confirmed"
    assert (turn["text"], turn["spoken"]["heard"]) == (SAYS, "Turn on the barfroom light.")


# -- the end is foreseen


async def test_hearing_begins_before_the_end_of_speech_is_sure(house: Open) -> None:
    post = ScriptedPost("hall", "Hall")
    async with house(SAYS) as there, there.attended(post):
        post.wake(Woken("Okay Nabu"))
        post.say(spoken(after=0.3))
        while not there.ears.asked:
            await asyncio.sleep(0)
        assert post.states[-1][0] is State.HEARING
        post.say(silent(0.5))
        assert (await there.turn())["text"] == SAYS
        assert len(there.ears.asked) == 1


async def test_who_speaks_on_after_a_pause_is_heard_to_the_end(house: Open) -> None:
    post = ScriptedPost("hall", "Hall")
    async with house("turn on", SAYS) as there, there.attended(post):
        post.wake(Woken("Okay Nabu"))
        post.say(np.concatenate([spoken(0.8, after=0.3), spoken(0.8, before=0)]))
        turn = await there.turn()
        assert len(there.ears.asked) == 2
    assert (turn["text"], turn["orders"][0]["outcome"]) == (SAYS, "confirmed")


async def test_nothing_is_guessed_while_another_room_is_being_served(house: Open) -> None:
    hall, office = ScriptedPost("hall", "Hall"), ScriptedPost("office", "Office")
    async with house(SAYS, SAYS) as there, there.attended(hall, office):
        office.wake(Woken("Alexa"))
        await office.until(State.HEARING)
        hall.wake(Woken("Okay Nabu"))
        hall.say(np.concatenate([spoken(0.8, after=0.3), spoken(0.8, before=0)]))
        await there.turn()
        assert len(there.ears.asked) == 1


# -- taking turns


async def test_after_a_question_the_answer_needs_no_wake_word(house: Open) -> None:
    post = ScriptedPost("hall", "Hall")
    async with house("lamp on", "the bedroom one") as there, there.attended(post):
        post.wake(Woken("Okay Nabu"))
        post.say(spoken())
        asked = await there.turn()
        assert asked["outcome"] == "ask"
        await post.until(State.AWAITING)
        post.say(spoken())
        answered = await there.turn()
        assert there.home.state("bedroom_lamp")["state"] == "ON"
    assert answered["reply"] == "Bedroom lamp is on."
    assert answered["spoken"]["wake"] == ""


async def test_the_pin_is_asked_for_and_heard_and_neither_shown_nor_told(house: Open) -> None:
    post, doubtful = ScriptedPost("hall", "Hall"), Heard("4071.", -2.0, 0.9)
    async with house("unlock the front door", "4 0 7 1.", doubtful, pin="4071") as there, there.attended(post):
        post.wake(Woken("Okay Nabu"))
        post.say(spoken())
        assert (await there.turn())["asks"] == "pin"
        await post.until(State.AWAITING)
        post.say(spoken())
        answered = await there.turn()
        assert there.home.state("front_door")["state"] == "UNLOCKED"
        await post.until(State.WAITING)
        post.wake(Woken("Okay Nabu"))
        post.say(spoken())
        refused = await there.turn()
    assert (answered["text"], answered["spoken"]["heard"]) == ("(PIN)", "(PIN)")
    assert (refused["text"], refused["spoken"]["heard"]) == ("(PIN)", "(PIN)")
    assert not any("4" in text or "7" in text for _, text in post.states)


async def test_a_question_that_nobody_answers_is_let_be(house: Open) -> None:
    post = ScriptedPost("hall", "Hall")
    async with house("lamp on", SAYS) as there, there.attended(post):
        post.wake(Woken("Okay Nabu"))
        post.say(spoken())
        await post.until(State.AWAITING)
        post.say(np.concatenate([silent(9), spoken()]))
        await post.until(State.AWAITING, State.WAITING)
        post.leave()
    assert len(post.played) == 1
    assert post.states[-1] == (State.WAITING, "")


async def test_the_wake_word_cuts_what_the_hub_says(house: Open) -> None:
    post = ScriptedPost("hall", "Hall", holds=True)
    async with house("is the front door locked", "is the front door locked") as there, there.attended(post):
        post.wake(Woken("Okay Nabu"))
        post.say(spoken())
        await post.until(State.SPEAKING)
        assert post.cut == 0
        post.wake(Woken("Okay Nabu"))
        post.say(spoken())
        await post.until(State.SPEAKING, State.HEARING, State.UNDERSTANDING, State.SPEAKING)
        assert post.cut == 1


@pytest.mark.parametrize(("heard", "cut"), [("Stop.", True), ("be quiet, please", True), ("stop the fan", False)])
async def test_stop_cuts_it_without_a_wake_word(house: Open, heard: str, cut: bool) -> None:
    post = ScriptedPost("hall", "Hall", holds=True)
    async with house("is the front door locked", heard, "stop") as there, there.attended(post):
        post.wake(Woken("Okay Nabu"))
        post.say(spoken())
        await post.until(State.SPEAKING)
        post.say(spoken(0.8))
        if not cut:  # then it is still speaking, and hears on
            post.say(spoken(0.8))
        await post.until(State.SPEAKING, State.WAITING)
        assert len(there.ears.asked) == (2 if cut else 3)
    assert post.cut == 1


async def test_a_model_of_the_word_stop_cuts_it_at_once(house: Open) -> None:
    stop = Path(pymicro_wakeword.__file__).parent / "models" / "alexa.json"  # of which this house makes its "stop"
    post = ScriptedPost("hall", "Hall", holds=True)
    async with house("is the front door locked", voice={"stop_words": [str(stop)]}) as there, there.attended(post):
        post.wake(Woken("Okay Nabu"))
        post.say(spoken())
        await post.until(State.SPEAKING)
        post.say(np.concatenate([wake_word("alexa"), silent(0.3)]))
        await post.until(State.SPEAKING, State.WAITING)
        assert len(there.ears.asked) == 1
    assert post.cut == 1


async def test_a_fault_costs_one_turn_and_not_the_post(house: Open, caplog: pytest.LogCaptureFixture) -> None:
    post = ScriptedPost("hall", "Hall")
    async with house(SAYS, SAYS) as there, there.attended(post):
        there.rooms.hearing = Deaf()
        post.wake(Woken("Okay Nabu"))
        post.say(spoken())
        await post.until(State.UNDERSTANDING, State.WAITING)
        there.rooms.hearing = there.ears
        post.wake(Woken("Okay Nabu"))
        post.say(spoken())
        assert (await there.turn())["orders"]
    assert "something went wrong at a post" in caplog.text


async def test_who_leaves_in_the_middle_of_a_sentence_has_said_nothing(house: Open) -> None:
    post = ScriptedPost("hall", "Hall")
    async with house(SAYS) as there:
        post.wake(Woken("Okay Nabu"))
        post.say(spoken(after=0))
        post.leave()
        async with asyncio.timeout(20):
            await there.rooms.attend(post)
        assert not there.ears.asked


class Deaf:
    """Ears with a fault that nobody has thought of."""

    async def hear(self, samples: bytes, hotwords: str = "", language: str = "en") -> Heard:
        raise ZeroDivisionError


async def test_stop_behind_the_wake_word_is_no_command_where_the_hub_was_speaking(house: Open) -> None:
    post = ScriptedPost("hall", "Hall", holds=True)
    async with house("is the front door locked", "stop", SAYS) as there, there.attended(post):
        for states in ([State.SPEAKING], [State.HEARING, State.UNDERSTANDING, State.WAITING], [State.SPEAKING]):
            post.states.clear()
            post.wake(Woken("Okay Nabu"))
            post.say(spoken())
            await post.until(*states)
        turns = [await there.turn(), await there.turn()]
    assert [turn["text"] for turn in turns] == ["is the front door locked", SAYS]
    assert post.cut >= 1


# -- several rooms


async def test_the_post_that_heard_best_answers_and_the_others_stay_quiet(house: Open) -> None:
    far, near, farther = ScriptedPost("far", "Hall"), ScriptedPost("near", "Office"), ScriptedPost("farther", "Garage")
    async with house(SAYS, SAYS, SAYS) as there, there.attended(far, near, farther):
        for post, score in ((far, 0.8), (near, 0.99), (farther, 0.8)):
            post.wake(Woken("okay_nabu" if post is far else "Okay Nabu", score))
            post.say(spoken())
        turn = await there.turn()
        await near.until(State.SPEAKING, State.WAITING)
        await far.until(State.HEARING, State.WAITING)
        await farther.until(State.HEARING, State.WAITING)
        assert len(there.ears.asked) == 1
    assert turn["room"] == "Office"
    assert not far.played
    assert not farther.played


async def test_who_is_being_served_loses_nothing_to_a_wake_word_in_another_room(house: Open) -> None:
    hall, office = ScriptedPost("hall", "Hall"), ScriptedPost("office", "Office")
    async with house(SAYS, "is the front door locked") as there, there.attended(hall, office):
        hall.wake(Woken("Okay Nabu", 0.9))
        hall.say(spoken(0.8, after=0))
        await hall.until(State.HEARING)
        for post, score in ((office, 0.99), (hall, 0.6)):  # somebody in the office, who is heard in the hall too
            post.wake(Woken("Alexa", score))
        hall.say(spoken(0.8, before=0))
        first = await there.turn()
        office.say(spoken())
        second = await there.turn()
    assert [(turn["text"], turn["room"]) for turn in (first, second)] == [
        (SAYS, "Hall"),
        ("is the front door locked", "Office"),
    ]
    assert [state for state, _ in hall.states].count(State.HEARING) == 1


async def test_of_two_that_heard_it_as_surely_the_louder_one_answers(house: Open) -> None:
    words = [WakeWord("okay_nabu")]
    loud, soft = ScriptedPost("loud", "Hall", words), ScriptedPost("soft", "Office", words)
    said = wake_word()
    async with house(SAYS, SAYS) as there, there.attended(soft, loud):
        soft.say(np.concatenate([said // 3, spoken() // 3]))
        loud.say(np.concatenate([said, spoken()]))
        turn = await there.turn()
        await soft.until(State.HEARING, State.WAITING)
        assert len(there.ears.asked) == 1
    assert turn["room"] == "Hall"
    assert turn["spoken"]["wake"] == "Okay Nabu"


async def test_two_posts_speak_at_once(house: Open) -> None:
    one, two = ScriptedPost("one", "Hall", holds=True), ScriptedPost("two", "Office", holds=True)
    async with house("is the front door locked", "is the front door locked") as there, there.attended(one, two):
        one.wake(Woken("Okay Nabu"))
        two.wake(Woken("Alexa"))
        for post in (one, two):
            post.say(spoken())
        await asyncio.gather(one.until(State.SPEAKING), two.until(State.SPEAKING))
        assert (one.states[-1][0], two.states[-1][0]) == (State.SPEAKING, State.SPEAKING)
        rooms = {(await there.turn())["room"], (await there.turn())["room"]}
    assert rooms == {"Hall", "Office"}


def ring(room: str) -> Turn:
    return Turn("tea", "Your tea timer is done.", "answer", done=True, room=room)


async def test_a_timer_rings_in_its_room_until_it_is_stopped(house: Open) -> None:
    hall, office = ScriptedPost("hall", "Hall", holds=True), ScriptedPost("office", "Office")
    async with (
        house("stop", voice={"quiet_hours": "22:00-07:00", "at_night": "nothing"}, now=NIGHT) as there,
        there.attended(hall, office),
    ):
        there.rooms.announce(ring("hall"), True)
        await hall.until(State.SPEAKING)
        hall.say(spoken(0.8))
        await hall.until(State.SPEAKING, State.WAITING)
    assert hall.cut == 1
    assert not office.played
    ((_, samples),) = hall.played
    alarm = tones(Chime.ALARM, OUT)
    assert np.array_equal(samples[: len(alarm)], alarm)
    assert there.voice.said == [("Your tea timer is done.", Manner())]


async def test_who_stops_one_timer_has_not_heard_of_the_next(house: Open) -> None:
    post = ScriptedPost("hall", "Hall", holds=True)
    async with house("stop", "enough") as there, there.attended(post):
        there.rooms.announce(ring("Hall"), True)
        there.rooms.announce(replace(ring("Hall"), reply="Your egg timer is done."), True)
        for _ in range(2):
            await post.until(State.SPEAKING)
            post.states.clear()
            post.say(spoken(0.8))
            await post.until(State.WAITING)
    assert [text for text, _ in there.voice.said] == ["Your tea timer is done.", "Your egg timer is done."]
    assert post.cut == 2


async def test_a_timer_of_no_room_rings_everywhere_and_waits_for_who_is_speaking(house: Open) -> None:
    hall, office = ScriptedPost("hall", "Hall"), ScriptedPost("office", "Office")
    async with house(SAYS) as there, there.attended(hall, office):
        hall.wake(Woken("Okay Nabu"))
        await hall.until(State.HEARING)
        there.rooms.announce(ring("Cellar"), True)
        await office.until(State.SPEAKING, State.WAITING)
        assert not hall.played
        hall.say(spoken())
        await hall.until(
            State.HEARING, State.UNDERSTANDING, State.SPEAKING, State.WAITING, State.SPEAKING, State.WAITING
        )
    assert len(hall.played) == 2


async def test_what_was_put_off_is_told_in_its_room_and_nowhere_else(house: Open) -> None:
    hall, office = ScriptedPost("hall", "Hall"), ScriptedPost("office", "Office")
    async with house() as there, there.attended(hall, office):
        there.rooms.announce(ring("Cellar"), False)
        there.rooms.announce(ring(""), False)
        there.rooms.announce(ring("Office"), False)
        await office.until(State.SPEAKING, State.WAITING)
    assert len(office.played) == 1
    assert not hall.played


# -- how it is said


@pytest.mark.parametrize(
    ("room", "voice", "now", "chime"),
    [
        ("bathroom", {}, DAY, Chime.DONE),
        ("Bathroom", {"brief": False}, DAY, None),
        ("Office", {}, DAY, None),
        ("Office", {"quiet_hours": "22:00-07:00"}, NIGHT, Chime.DONE),
        ("Office", {"quiet_hours": "22:00-07:00"}, DAY, None),
    ],
)
async def test_a_chime_stands_for_words_where_they_are_not_needed(
    house: Open, room: str, voice: dict[str, Any], now: datetime, chime: Chime | None
) -> None:
    post = ScriptedPost("post", room)
    async with house(SAYS, voice=voice, now=now) as there, there.attended(post):
        post.wake(Woken("Okay Nabu"))
        post.say(spoken())
        assert (await there.turn())["orders"][0]["outcome"] == "confirmed"
        await post.until(State.SPEAKING, State.WAITING)
    (played,) = post.played
    volume = SOFT if now is NIGHT else 1.0
    assert np.array_equal(played[1], tones(chime, OUT, volume)) if chime else there.voice.said


# -- the wake word


def wake_word(text: str = "okay nabu") -> Samples:
    """The words as a synthetic voice says them, with a second of silence before."""
    if shutil.which("espeak-ng") is None:
        pytest.skip("no synthetic voice: apt-get install espeak-ng")
    done = subprocess.run(["espeak-ng", "-s", "160", "--stdout", text], capture_output=True, check=True, timeout=30)
    decoder = Decoder()
    return np.concatenate([silent(1), *decoder.take(done.stdout), *decoder.end()])


@pytest.mark.parametrize("gap", [0.0, 0.3, 1.5])
async def test_one_speaks_on_after_the_wake_word_with_a_pause_or_without(house: Open, gap: float) -> None:
    post = ScriptedPost("hall", "Hall", [WakeWord("okay_nabu")])
    async with house(SAYS, SAYS) as there, there.attended(post):
        post.say(np.concatenate([wake_word(), silent(gap), spoken(before=0)]))
        turn = await there.turn()
        await post.until(State.HEARING, State.UNDERSTANDING, State.SPEAKING, State.WAITING)
        assert len(there.ears.asked) == 1
    assert turn["orders"][0]["outcome"] == "confirmed"
    assert turn["spoken"]["score"] > 0.8
    assert is_chime(post.played[0], Chime.AWAKE) == (gap > 1)


# -- in the daemon


def voiced(broker: Address, folder: Path, table: Mapping[str, Any]) -> Settings:
    """Settings with a room, ears and a voice, but for what `table` says."""
    usual = {"hearing": "here", "rooms": {"Hall": {}}, "voice": silent_voice(folder)}
    ears.write(folder / "models" / "here", SAYS)
    return Settings(
        broker=BrokerSettings(broker.host, port=broker.port),
        state_folder=str(folder),
        voice=VoiceSettings.model_validate({**usual, **table}),
    )


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[tuple[Link, Inbox]]:
    """A hub that runs, and a line on which its turns can be heard."""
    stop = asyncio.Event()
    async with Link(LinkSettings(settings.broker.host, settings.broker.port), must_connect=True) as link:
        turns = link.listen("hub/home/turn", qos=1)
        await link.settled()
        serving = asyncio.create_task(daemon.run(settings, stop, Lines(LINES)))
        try:
            yield link, turns
        finally:
            stop.set()
            await serving


@pytest.mark.parametrize("configuration", ["</usr/share/alsa/alsa.conf>\n", "", "pcm.!default {"])
async def test_a_hub_whose_microphone_is_missing_is_a_hub_all_the_same(
    broker: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, configuration: str
) -> None:
    (tmp_path / "asound.conf").write_text(configuration)  # with nothing in it, it ends the process that uses it
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(tmp_path / "asound.conf"))
    monkeypatch.setenv("PULSE_SERVER", f"unix:{tmp_path}/nothing")
    do("timer_start", {"seconds": 0.2, "name": "tea"}, "Hall", Schedule(tmp_path / "plans.json"))
    async with served(voiced(broker, tmp_path, {})) as (link, turns):
        async with asyncio.timeout(30):
            assert json.loads((await anext(turns)).payload)["reply"] == "Your tea timer is done."
            await link.publish(Message("hub/home/say", b"turn on the moon"))
            assert json.loads((await anext(turns)).payload)["text"] == "turn on the moon"


class Pulse(Protocol):
    async def tell(self, *words: str) -> int: ...


async def whole(samples: Samples) -> AsyncIterator[Samples]:
    yield samples


async def test_a_command_that_is_said_into_a_room_is_done_and_answered_there(
    broker: Address, tmp_path: Path, pulse: Pulse
) -> None:
    """Everything as it is at home, but for the air: a sound server stands for it."""
    said = np.concatenate([wake_word(), spoken(), silent(1)])
    table = {"rooms": {"Hall": {"microphone": "microphone", "loudspeaker": "mouth"}}, "voice": ""}
    async with (
        Home(LinkSettings(broker.host, broker.port), travel=0.1) as home,
        served(voiced(broker, tmp_path, table)) as (_, turns),
        aclosing(from_device("listener", again=0.1)) as answer,
        asyncio.timeout(60),
    ):
        speaking = asyncio.create_task(until_told(turns, said))
        while level(await anext(answer)) < -40:
            pass
        turn = await speaking
        assert home.state("bathroom_light")["state"] == "ON"
    assert (turn["text"], turn["room"], turn["spoken"]["wake"]) == (SAYS, "Hall", "Okay Nabu")
    assert tuple(turn["spoken"]["at"]) == MOMENTS


async def until_told(turns: Inbox, said: Samples) -> dict[str, Any]:
    """Says it into the room until a turn with orders comes of it: the hub may still be opening its ears."""
    while True:
        await to_device("loudspeaker", whole(said), RATE)
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                turn: dict[str, Any] = json.loads((await anext(turns)).payload)
                if turn["orders"]:
                    return turn


@pytest.mark.parametrize(
    ("table", "what"),
    [
        ({"hearing": "whisper-tiny.en"}, "hub model fetch whisper-tiny.en"),
        ({"rooms": {"Hall": {"wake_words": {"computer": 0}}}}, "no such wake word.*okay_nabu"),
        ({"voice": "nobody"}, "nobody: there is no such"),
        ({"stop_words": ["/nowhere/stop.json"]}, "stop.json: cannot be read"),
    ],
)
async def test_a_voice_that_cannot_be_is_said_at_the_start(
    broker: Address, tmp_path: Path, table: Mapping[str, Any], what: str
) -> None:
    async with asyncio.timeout(20):
        with pytest.raises(ModelError, match=what):
            await daemon.run(voiced(broker, tmp_path, table), asyncio.Event(), Lines(LINES))


def silent_voice(folder: Path) -> str:
    """The path of files that are a Piper voice as far as can be seen before it is opened."""
    file = folder / "voice" / "silent.onnx"
    file.parent.mkdir(exist_ok=True)
    for part in (file, file.with_name("silent.onnx.json")):
        part.write_text("{}")
    return str(file)
