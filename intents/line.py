"""The compact line that the language model writes: symbols of a closed set, and runs of words copied from what was said.

    turn on the lamp and close the blinds  ->  <turn_on><what> the lamp<and><close><what> the blinds

A command is one intent symbol, then slots in the order of `SLOTS`. A slot is its symbol and a span, which is a run of
words of the utterance; `<up>` and `<down>` carry no span. `<none>` alone says that nothing is asked of the home.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

# What a person can want. `set` is the generic verb ("set X to 50", "turn X up"): the house decides what it moves.
INTENTS = (
    "turn_on turn_off toggle activate set set_brightness set_color set_color_temp set_temperature set_mode "
    "set_fan_speed set_humidity set_intensity set_interval set_swing trash_pack open close set_position lock unlock "
    "set_volume mute unmute media_play media_pause media_stop media_next media_previous play_media vacuum_start "
    "vacuum_dock vacuum_pause vacuum_stop vacuum_clean_area mower_start mower_dock timer_start timer_add "
    "timer_subtract timer_status timer_cancel timer_pause timer_resume timer_cancel_all delayed_command get_state "
    "get_temperature get_weather get_time get_date list_add list_complete list_remove list_query alarm_set "
    "alarm_query alarm_remove broadcast nevermind"
).split()

# In the order in which the line writes them. Each with what its span holds.
SLOTS = {
    "up": "no span: more, louder, brighter, warmer",
    "down": "no span: less, quieter, dimmer, colder",
    "what": "the noun phrase of the thing or things, whole, with its rooms where they are said beside it",
    "where": "a room or floor said apart from the noun phrase",
    "but": "what is excepted",
    "to": "the absolute value, colour, mode or word",
    "by": "the size of a relative change",
    "for": "the duration of a timer, of a delay, or after which to undo",
    "timer": "the duration that an existing timer was started with",
    "called": "the name of a timer or alarm",
    "at": "a clock time or a day",
    "quantity": "the quantity asked after: humidity, battery, power",
    "state": "the state asked after: open, on, locked",
    "item": "what is put on or taken off a list",
    "list": "the list",
    "query": "what is to be played",
    "class": "album, artist, movie, playlist",
    "command": "the sentence to be carried out later",
    "message": "what is to be announced",
}
FLAGS = frozenset({"up", "down"})
NONE = "none"
AND = "and"


@dataclass(frozen=True, slots=True)
class Parse:
    """One command as the model wrote it: an intent, and its slots with the words that were said."""

    intent: str
    slots: dict[str, str] = field(default_factory=dict)


# What separates words, and what stays inside them: "2.5", "don't", "wi-fi", "10:30", "1/2" are one word each, "50%" is two.
_WORD = re.compile(r"\d+(?:[.,:/]\d+)*|%|°|[^\W\d_]+(?:['’.&-][^\W\d_]+)*['’]?|\w+|[+-](?=\d)")


def words(utterance: str) -> list[str]:
    """The utterance as the model reads it: lower case, one entry a word, no punctuation."""
    return [w.replace("’", "'") for w in _WORD.findall(utterance.lower())]


def places(said: Sequence[str], run: Sequence[str]) -> Iterator[int]:
    """Where the run of words begins among the words, each time that it is said."""
    wanted = list(run)
    return (at for at in range(len(said) - len(wanted) + 1) if list(said[at : at + len(wanted)]) == wanted)


def symbols() -> list[str]:
    """Every symbol of the line, each one token of the model's tokenizer."""
    return [f"<{s}>" for s in (NONE, AND, *INTENTS, *SLOTS)]


def write(parses: list[Parse]) -> str:
    """The line for these commands; the inverse of `read`."""
    if not parses:
        return f"<{NONE}>"
    return f"<{AND}>".join(
        f"<{p.intent}>" + "".join(f"<{s}>" + ("" if s in FLAGS else " " + p.slots[s]) for s in SLOTS if s in p.slots)
        for p in parses
    )


class LineError(ValueError):
    """The line is not one that the grammar allows."""


def read(line: str) -> list[Parse]:
    """The commands of a line, [] for `<none>`. Raises LineError."""
    parts = re.findall(r"<([a-z_]+)>([^<]*)", line)
    if "".join(f"<{s}>{t}" for s, t in parts) != line or not parts:
        raise LineError(f"not a line: {line[:80]!r}")
    if parts == [(NONE, "")]:
        return []
    parses: list[Parse] = []
    fresh = True
    for symbol, text in parts:
        if fresh:
            if symbol not in INTENTS:
                raise LineError(f"<{symbol}> is not an intent")
            parses.append(Parse(symbol))
            fresh = False
        elif symbol == AND:
            fresh = True
        elif symbol in SLOTS and symbol not in parses[-1].slots and bool(text.strip()) != (symbol in FLAGS):
            parses[-1].slots[symbol] = text.strip()
        else:
            raise LineError(f"<{symbol}> cannot stand here")
    if fresh:
        raise LineError("the line ends before its last command")
    return parses
