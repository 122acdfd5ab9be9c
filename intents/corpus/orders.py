"""Single commands, drawn from the families: any of them, or the short orders of which sentences are made up."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from intents.corpus import pastimes, rooms
from intents.corpus.agreed import agreed
from intents.corpus.common_home import homes
from intents.corpus.families import FAMILIES
from intents.corpus.lexicon import SAMPLER
from intents.corpus.phrases import Dice
from intents.line import Parse


@dataclass(frozen=True, slots=True)
class Row:
    """One way of saying one intent, and its share among all."""

    share: float
    intent: str
    flag: str
    template: str
    family: str = ""  # a key of FAMILIES


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows to draw from, with their shares added up."""

    rows: tuple[Row, ...]
    sums: tuple[float, ...]

    def draw(self, rng: random.Random) -> Row:
        held = rng.held if isinstance(rng, Dice) else ()
        while (row := rng.choices(self.rows, cum_weights=self.sums)[0]).family in held:
            pass
        return row

    def of(self, family: str) -> Rows:
        """Those of one family."""
        return _rows([row for row in self.rows if row.family == family])


def _rows(rows: Sequence[Row]) -> Rows:
    return Rows(tuple(rows), tuple(accumulate(row.share for row in rows)))


_ALL = [
    Row(share / len(ways), intent, flag, way, family)
    for family, rows in FAMILIES.items()
    for share, intent, flag, ways in rows
    for way in ways
]
# What a delayed command or one of several may be: short orders, not questions, timers or moods.
_SHORT = frozenset(
    (
        "turn_on turn_off set set_brightness set_color open close lock unlock set_temperature set_volume mute media_pause "
        "media_play vacuum_start vacuum_dock activate set_position set_mode set_fan_speed set_color_temp"
    ).split()
)
ROWS = _rows(_ALL)
ORDERS = _rows([row for row in _ALL if row.intent in _SHORT and len(row.template) < 120])


def spoken(row: Row, rng: random.Random) -> tuple[str, Parse]:
    """A sentence of this row, and its parse."""
    phrase = _home(rng).draw(row.template, rng)
    parse = Parse(row.intent, {**({row.flag: ""} if row.flag else {}), **phrase.slots})
    return phrase.text, agreed(phrase.text, parse)


def order(rng: random.Random, rows: Rows = ORDERS) -> tuple[str, Parse]:
    """A sentence of any of these rows, and its parse."""
    return spoken(rows.draw(rng), rng)


_home = homes(SAMPLER.extended({**rooms.FILLERS, **pastimes.FILLERS, "inner": lambda rng: order(rng)[0]}))
