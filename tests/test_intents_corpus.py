"""The corpus: what it draws is what the grammar allows, with all of the vocabulary in it, and the same for a seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import islice

import pytest

from intents import values
from intents.corpus.agreed import agreed
from intents.corpus.asides import aside, with_aside
from intents.corpus.families import FAMILIES
from intents.corpus.lexicon import SAMPLER
from intents.corpus.mended import cut, declined, mended
from intents.corpus.orders import ORDERS, ROWS, order, spoken
from intents.corpus.phrases import Dice, Sampler, parse
from intents.corpus.sample import stream
from intents.corpus.talk import talk
from intents.grammar import allows
from intents.line import INTENTS, Parse, read, words, write


def test_every_line_can_be_written_under_the_grammar() -> None:
    for example in islice(stream(11), 4000):
        parses = read(example.line)
        assert allows(parses, list(example.words)), example
        assert write(parses) == example.line


def test_every_intent_has_sentences() -> None:
    drawn = {parse.intent for example in islice(stream(3), 20_000) for parse in read(example.line)}
    assert drawn == set(INTENTS)
    assert {intent for rows in FAMILIES.values() for _, intent, _, _ in rows} <= set(INTENTS)


def test_a_fifth_asks_nothing_of_the_home_and_a_fifth_asks_several_things() -> None:
    lines = [example.line for example in islice(stream(4), 5000)]
    assert sum(line == "<none>" for line in lines) > 900
    assert sum("<and>" in line for line in lines) > 900


def test_what_is_said_every_day_is_said_often() -> None:
    said = [" ".join(example.words) for example in islice(stream(21), 10_000)]
    assert sum("light in the" in text or "lights in the" in text for text in said) > 100
    assert len({text for text in said if len(text.split()) > 3}) > 9_000  # and yet hardly anything twice


def test_the_same_seed_draws_the_same_sentences() -> None:
    assert list(islice(stream(8), 200)) == list(islice(stream(8), 200))
    assert list(islice(stream(8), 200)) != list(islice(stream(9), 200))


def test_sentences_are_read_as_they_are_drawn() -> None:
    for example in islice(stream(12), 1000):
        assert words(" ".join(example.words)) == list(example.words)


def test_every_way_to_say_it_can_be_written_under_the_grammar() -> None:
    rng = random.Random(5)
    for row in ROWS.rows:
        for _ in range(5):
            text, parse = spoken(row, rng)
            said = words(text)
            plain = Parse(parse.intent, {slot: " ".join(words(span)) for slot, span in parse.slots.items()})
            assert allows([plain], said), (row, text)


@pytest.mark.parametrize(
    ("text", "parse", "line"),
    [
        ("turn on the lights in the hall", Parse("turn_on", {"what": "lights", "where": "hall"}), "<turn_on><what> lights in the hall"),
        ("turn the hall lights on", Parse("turn_on", {"where": "hall", "what": "lights"}), "<turn_on><what> hall lights"),
        ("turn the lights on in the hall", Parse("turn_on", {"what": "lights", "where": "hall"}), "<turn_on><what> lights<where> hall"),
        ("all lights off but the lamp", Parse("turn_off", {"what": "all lights", "but": "the lamp"}), "<turn_off><what> all lights<but> lamp"),
        ("set the study to 20%", Parse("set_brightness", {"where": "study", "to": "20%"}), "<set><what> study<to> 20 %"),
        ("dim the study to 20%", Parse("set_brightness", {"where": "study", "to": "20%"}), "<set_brightness><what> study<to> 20 %"),
        ("set the brightness in the den to 20%", Parse("set_brightness", {"where": "den", "to": "20%"}), "<set_brightness><where> den<to> 20 %"),
        ("set the oven to 200 degrees", Parse("set", {"what": "oven", "to": "200 degrees"}), "<set_temperature><what> oven<to> 200 degrees"),
        ("set the blind half open", Parse("set_position", {"what": "blind", "to": "half open"}), "<set_position><what> blind<to> half open"),
        ("put it slightly lower", Parse("set_brightness", {"down": "", "what": "it", "by": "slightly"}), "<set><down><what> it<by> slightly"),
        ("start Rosie", Parse("vacuum_start", {"what": "Rosie"}), "<turn_on><what> rosie"),
        ("let Rosie vacuum", Parse("vacuum_start", {"what": "Rosie"}), "<vacuum_start><what> rosie"),
        ("pause Rosie", Parse("vacuum_pause", {"what": "Rosie"}), "<media_pause><what> rosie"),
        ("film night please", Parse("activate", {"what": "film night"}), "<activate><what> film night"),
        ("shut off the main valve", Parse("close", {"what": "main valve"}), "<turn_off><what> main valve"),
        ("shut the main valve", Parse("close", {"what": "main valve"}), "<close><what> main valve"),
        ("play jazz on the stereo", Parse("play_media", {"query": "jazz", "where": "stereo"}), "<play_media><what> stereo<query> jazz"),
    ],
)  # fmt: skip
def test_what_can_be_written_in_two_ways_is_written_in_one(text: str, parse: Parse, line: str) -> None:
    assert write([agreed(text, parse)]) == line
    assert agreed(text, agreed(text, parse)) == agreed(text, parse)


@pytest.mark.parametrize(
    ("filler", "value"),
    [
        ("duration", values.duration),
        ("oddduration", values.duration),
        ("amount", values.share),
        ("utmost", values.share),
        ("top", values.share),
        ("part", values.share),
        ("halfish", values.share),
        ("shutpart", values.share),
        ("asbright", values.share),
        ("asloud", values.share),
    ],
)
def test_what_is_said_for_a_value_has_one(filler: str, value: Callable[[str], float | None]) -> None:
    rng = random.Random(6)
    for _ in range(1000):
        text = " ".join(words(SAMPLER.fill(filler, rng)))
        assert value(text) is not None, text


def test_a_sentence_that_breaks_off_asks_nothing() -> None:
    rng = random.Random(7)
    for _ in range(500):
        text, parses = cut(rng)
        assert parses == []
        assert len(text.split()) > 1


def test_a_sentence_put_right_is_one_command() -> None:
    rng = random.Random(8)
    for _ in range(500):
        for draw in (mended, declined):
            text, parses = draw(rng)
            assert len(parses) == 1
            said = " ".join(words(text))
            assert all(" ".join(words(span)) in said for span in parses[0].slots.values())


def test_hardly_any_sentence_has_two_meanings() -> None:
    lines: dict[tuple[str, ...], set[str]] = {}
    for example in islice(stream(14), 30_000):
        lines.setdefault(example.words, set()).add(example.line)
    assert sum(len(meant) > 1 for meant in lines.values()) < 30


def test_each_kind_of_sentence_has_a_name() -> None:
    kinds = {example.kind for example in islice(stream(13), 20_000)}
    assert {"elsewhere", "cut", "question", "several", "pronoun", "mended", "declined"} < kinds
    assert "" not in kinds


def test_what_is_said_beside_an_order_leaves_it_whole() -> None:
    rng = random.Random(31)
    for _ in range(500):
        text, parse = order(rng)
        said = with_aside(text, [parse], rng)
        assert f" {text} " in f" {said} "
        assert said != text
        assert allows([parse], words(said))


def test_what_is_said_beside_an_order_asks_for_nothing_when_it_is_said_alone() -> None:
    rng = random.Random(32)
    bothers = {"freezing", "roasting", "stuffy", "loud", "bright", "gloomy", "quiet", "shivering"}
    assert not bothers & {word for _ in range(4000) for word in aside(rng).split()}


def test_an_order_that_waits_for_something_is_not_done_at_once() -> None:
    examples = [e for e in islice(stream(33), 20_000) if {"whenever", "daily", "dusk"} & set(e.words)]
    lines = [e.line for e in examples if "<query> the daily" not in e.line]  # which is a podcast
    assert len(lines) > 20
    assert set(lines) == {"<none>"}


def test_talk_is_never_an_order() -> None:
    rng = random.Random(34)
    talked = {tuple(words(talk(rng))) for _ in range(5000)}
    assert len(talked) > 4000
    assert not talked & {tuple(words(order(rng, ROWS)[0])) for _ in range(20_000)}


def test_two_timers_in_one_sentence_each_have_their_time() -> None:
    lines = [e.line for e in islice(stream(35), 30_000) if e.line.count("<timer_start>") == 2]
    assert len(lines) > 20
    assert all(line.count("<for>") >= 2 for line in lines)


def test_a_template_remembers_its_spans() -> None:
    sampler = Sampler({"thing": "(lamp|lamp)", "the": lambda rng: "the"})
    phrase = sampler.draw("(open) [now|] {the} {what:thing}", random.Random(1))
    assert phrase.slots == {"what": "lamp"}
    assert phrase.text.endswith("the lamp")


@pytest.mark.parametrize("template", ["(a|b", "a)", "[a", "a]b"])
def test_a_template_whose_brackets_do_not_match_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match=r"match|missing"):
        parse(template)


def test_a_family_that_is_held_back_never_comes_up() -> None:
    dice = Dice(3, frozenset(FAMILIES) - {"casual"})
    assert {ROWS.draw(dice).family for _ in range(300)} == {"casual"}
    free = Dice(4)
    assert {ORDERS.draw(free).family for _ in range(3000)} == set(FAMILIES) - {"timer"}, "none of a timer is short"
    held = list(islice(stream(5, frozenset({"casual"})), 50))
    assert held != list(islice(stream(5), 50))
    assert held == list(islice(stream(5, frozenset({"casual"})), 50))
