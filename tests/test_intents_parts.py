"""Sentences that are read again: when, in which pieces, and without which words."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from intents.parts import DOUBT, reread

ON, OPEN, PLAY = "<turn_on><what> lamp", "<open><what> blinds", "<play_media><query> jazz"
BOTH = f"{ON}<and>{OPEN}"


def read(sentence: str, known: Mapping[str, tuple[str, float]]) -> tuple[str, float, list[str]]:
    """What comes of the sentence under a model that knows these, and what else it was asked."""
    asked: list[str] = []

    async def complete(said: list[str]) -> tuple[str, float]:
        asked.append(" ".join(said))
        return known.get(" ".join(said), ("<none>", 0.9))

    async def whole() -> tuple[str, float]:
        return await reread(sentence.split(), complete, *known[sentence])

    return *asyncio.run(whole()), asked


def test_a_sure_reading_is_left_whole() -> None:
    assert read("lamp on and blinds up", {"lamp on and blinds up": (BOTH, 0.95)}) == (BOTH, 0.95, [])


def test_an_unsure_reading_without_a_joint_is_left_whole() -> None:
    assert read("lamp on blinds up", {"lamp on blinds up": (ON, 0.2)}) == (ON, 0.2, [])


def test_a_verb_begins_an_order_that_nothing_joins() -> None:
    sentence = "lamp on open the blinds please play jazz"
    known = {sentence: (ON, 0.3), "lamp on": (ON, 0.9), "open the blinds": (OPEN, 0.8), "play jazz": (PLAY, 0.7)}
    assert read(sentence, known)[:2] == (f"{ON}<and>{OPEN}<and>{PLAY}", 0.7)
    asking = "lamp on could you open the blinds"
    assert read(asking, known | {asking: (ON, 0.3)})[:2] == (f"{ON}<and>{OPEN}", 0.8)
    once = "lamp on please do not play jazz"
    assert read(once, known | {once: (ON, 0.3)}) == (ON, 0.3, [])


def test_the_surer_pieces_are_taken() -> None:
    sentence = "lamp on and then blinds up after that play jazz"
    known = {sentence: (ON, 0.2), "lamp on": (ON, 0.9), "blinds up": (OPEN, 0.7), "play jazz": (PLAY, 0.8)}
    line, confidence, asked = read(sentence, known)
    assert line == f"{ON}<and>{OPEN}<and>{PLAY}"
    assert confidence == 0.7
    assert sorted(asked) == [
        "blinds up",
        "blinds up after that play jazz",
        "lamp on",
        "lamp on and then blinds up",
        "play jazz",
    ]


def test_what_two_orders_share_is_not_cut_apart() -> None:
    sentence = "lamp and fan on and blinds up"
    lights = f"{ON}<and><turn_on><what> fan"
    known = {sentence: (BOTH, 0.4), "lamp": (ON, 0.1), "lamp and fan on": (lights, 0.8), "blinds up": (OPEN, 0.6)}
    assert read(sentence, known)[:2] == (f"{lights}<and>{OPEN}", 0.6)


def test_a_piece_that_asks_for_nothing_is_none() -> None:
    sentence = "play salt and pepper"
    assert read(sentence, {sentence: (PLAY, 0.5), "play salt": (PLAY, 0.9)})[:2] == (PLAY, 0.5)


def test_a_small_gain_is_none() -> None:
    sentence = "lamp on and blinds up"
    known = {sentence: (BOTH, 0.6), "lamp on": (ON, 0.65), "blinds up": (OPEN, 0.65)}
    assert read(sentence, known)[:2] == (BOTH, 0.6)


def test_opening_words_are_left_out_where_that_is_surer() -> None:
    sentence = "right then lamp on"
    other = "<open><what> lamp"
    assert read(sentence, {sentence: (other, 0.4), "lamp on": (ON, 0.9)})[:2] == (ON, 0.9)
    assert read(sentence, {sentence: (other, 0.4), "lamp on": (ON, 0.45)})[:2] == (other, 0.4)
    assert read("so so", {"so so": ("<none>", 0.4)}) == ("<none>", 0.4, [])


def test_a_sentence_of_very_many_pieces_is_left_whole() -> None:
    sentence = " and ".join(["lamp on"] * 11)
    assert read(sentence, {sentence: (ON, 0.1), "lamp on": (ON, 0.9)}) == (ON, 0.1, [])


@pytest.mark.parametrize(
    "line",
    [
        ON,  # nothing of the second clause
        f"{OPEN}<and>{ON}",  # in the other order
        f"{ON}<and><open><what> lamp",  # one thing for both
    ],
)
def test_a_line_that_the_words_speak_against_is_hardly_believed(line: str) -> None:
    sentence = "lamp on and blinds up"
    assert read(sentence, {sentence: (line, 1.0), "lamp on": (ON, 0.9), "blinds up": (OPEN, 0.8)})[:2] == (BOTH, 0.8)
    assert read(sentence, {sentence: (line, 1.0)})[:2] == (line, pytest.approx(DOUBT))


@pytest.mark.parametrize(
    ("sentence", "line"),
    [
        ("go and turn the lamp on", ON),
        ("lamp on and please", ON),
        ("salt and pepper lamp on", "<turn_on><what> salt and pepper lamp"),
        ("lamp on and then mute it all", f"{ON}<and><mute>"),
        ("turn on the lamp and set it to 20", f"{ON}<and><set><what> it<to> 20"),
        ("lamp on then fan on then lamp off", f"{ON}<and><turn_on><what> fan<and><turn_off><what> lamp"),
    ],
)
def test_a_line_that_has_all_of_the_words_is_believed(sentence: str, line: str) -> None:
    assert read(sentence, {sentence: (line, 0.9)}) == (line, 0.9, [])


def test_what_is_to_be_on_is_not_turned_off() -> None:
    sentence = "lamp on fan off"
    line = "<turn_off><what> lamp<and><turn_off><what> fan"
    assert read(sentence, {sentence: (line, 0.9)})[:2] == (line, 0.9 * DOUBT)
    there = "lamps off on the top floor"
    assert read(there, {there: ("<turn_off><what> lamps<where> top floor", 0.95)})[1] == 0.95


def test_what_lasts_for_a_while_does_not_begin_after_it() -> None:
    sentence = "open the blinds for an hour"
    late = "<delayed_command><for> an hour<command> open the blinds for an hour"
    assert read(sentence, {sentence: (late, 0.9), "open the blinds": (OPEN, 0.8)})[:2] == (f"{OPEN}<for> an hour", 0.8)
    assert read(sentence, {sentence: (late, 0.9), "open the blinds": (PLAY, 0.8)})[:2] == (late, 0.9 * DOUBT)
    timer = "turn on a timer for an hour"
    assert read(timer, {timer: ("<timer_start><for> an hour", 0.95)})[1] == 0.95
