"""What the model may write: a line of intents/line.py, in which every span is a run of the words that were said.

The grammar is in llguidance's dialect of Lark; `<symbol>` is one token of the model. It is the same for all utterances but
for its last line, which names the words that a span is a run of: so it has to be compiled once only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import groupby
from types import MappingProxyType

from intents.line import AND, FLAGS, INTENTS, NONE, SLOTS, Parse

# People give up to four orders in a breath; beyond that a line is a model running in circles.
MAX_COMMANDS = 6

_THING = ("what", "where", "but")
_WHEN = ("for", "at")
_MOVE = ("up", "down", "to", "by")
_TIMER = ("for", "timer", "called", "where", "what", "at")
_LIST = ("item", "list", "what", "where")
_ALARM = ("at", "for", "called", "where", "what")

# The slots that each intent may have. Generous: to leave out what cannot be meant, not what is rare.
_GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("turn_on turn_off toggle activate", (*_THING, *_MOVE, *_WHEN)),
    ("open close lock unlock", (*_THING, *_MOVE, *_WHEN)),
    ("set set_brightness set_color set_color_temp set_temperature set_mode", (*_THING, *_MOVE, *_WHEN, "quantity")),
    ("set_fan_speed set_humidity set_intensity set_interval set_swing", (*_THING, *_MOVE, *_WHEN, "quantity")),
    ("set_position set_volume trash_pack", (*_THING, *_MOVE, *_WHEN, "quantity")),
    ("mute unmute media_play media_pause media_stop media_next media_previous", (*_THING, *_MOVE, *_WHEN)),
    ("play_media", (*_THING, *_WHEN, "to", "query", "class")),
    ("vacuum_start vacuum_dock vacuum_pause vacuum_stop vacuum_clean_area", (*_THING, *_WHEN)),
    ("mower_start mower_dock", (*_THING, *_WHEN)),
    ("timer_start timer_status timer_cancel timer_pause timer_resume timer_cancel_all", _TIMER),
    ("timer_add timer_subtract", (*_TIMER, "by")),
    ("delayed_command", (*_WHEN, "command", "where")),
    ("get_state get_temperature get_weather", (*_THING, "at", "for", "quantity", "state")),
    ("get_time get_date", ("where", "at")),
    ("list_add list_complete list_remove list_query", _LIST),
    ("alarm_set alarm_query alarm_remove", _ALARM),
    ("broadcast", ("message", *_THING, *_WHEN)),
    ("nevermind", ()),
)
ALLOWED: Mapping[str, frozenset[str]] = MappingProxyType(
    {intent: frozenset(slots) for intents, slots in _GROUPS for intent in intents.split()}
)


def allows(parses: list[Parse], words: list[str]) -> bool:
    """Whether the model can write these commands for these words; what a training example has to satisfy."""
    said = " " + " ".join(words) + " "
    return len(parses) <= MAX_COMMANDS and all(
        parse.slots.keys() <= ALLOWED[parse.intent]
        and not parse.slots.keys() >= FLAGS
        and all(slot in FLAGS or (text and f" {text} " in said) for slot, text in parse.slots.items())
        for parse in parses
    )


def grammar(words: list[str]) -> str:
    """The grammar of the lines that may answer these words (as `line.words` gives them)."""
    return f"{_RULES}SPAN: %said {json.dumps(words)}\n" if words else f"start: <{NONE}>\n"


def _rules() -> str:
    """What is the same for all utterances."""
    more = MAX_COMMANDS - 1
    commands = [
        f"({' | '.join(f'<{intent}>' for intent in intents)}) {' '.join(_optional(slots))}"
        for slots, intents in groupby(sorted(INTENTS, key=_slots), key=_slots)
    ]
    rules = [
        f"start: <{NONE}> | command (<{AND}> command){{0,{more}}}",
        f"command: {' | '.join(f'command_{n}' for n in range(len(commands)))}",
        *(f"command_{n}: {command}" for n, command in enumerate(commands)),
        f"direction: {' | '.join(f'<{flag}>' for flag in sorted(FLAGS))}",
        *(f"slot_{slot}: <{slot}> SPAN" for slot in SLOTS if slot not in FLAGS),
    ]
    return "\n".join(rules) + "\n"


def _slots(intent: str) -> tuple[str, ...]:
    """The slots of an intent in the order of the line."""
    return tuple(slot for slot in SLOTS if slot in ALLOWED[intent])


def _optional(slots: tuple[str, ...]) -> list[str]:
    direction = ["direction?"] if set(slots) >= FLAGS else []
    return direction + [f"slot_{slot}?" for slot in slots if slot not in FLAGS]


_RULES = _rules()
