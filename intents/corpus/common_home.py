"""The home that most people have: its rooms and things under their plain names.

The lexicon's names are wide, so that names are copied and not known; but what is said every day is said of the light in the
kitchen. A good part of all that is said of a home is drawn from these, what asks nothing of it as well.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from intents.corpus.lexicon import SAMPLER, mix
from intents.corpus.phrases import Filler, Sampler

SHARE = 0.35

_ROOMS = (
    "kitchen kitchen bedroom bedroom bathroom hallway hall office garage basement attic nursery study porch patio "
    "garden lounge den balcony terrace laundry toilet loft yard entrance stairs cellar conservatory pantry".split()
    + ["living room"] * 4
    + ["dining room", "guest room", "kids room", "master bedroom", "main bedroom", "guest bedroom", "family room"]
    + ["child's room", "utility room", "guest bathroom", "front yard", "back yard", "play room", "home office"]
    + ["bedroom 2", "box room", "spare room", "game room", "laundry room", "front room", "upstairs hall"]
    + ["room", "washroom", "restroom", "closet", "foyer", "lobby", "driveway"]
)
_HOMES = (
    "house|house|apartment|flat|home|whole house|entire house|whole home|whole apartment|entire home|whole flat".split(
        "|"
    )
)
_FLOORS = "upstairs|downstairs|ground floor|first floor|second floor|basement|top floor|third floor".split("|")
_LAMP = (
    "light|light|light|lights|lights|lamp|lamp|ceiling light|floor lamp|table lamp|desk lamp|bedside lamp|night light|"
    "reading lamp|spotlights|ceiling lights|wall light|chandelier|led strip|big light|main light|lamps|string lights"
).split("|")
_LAMPS = (
    "lights|lights|lights|lamps|all the lights|all lights|every light|light|the lights|ceiling lights|spotlights".split(
        "|"
    )
)
_APPLIANCE = (
    "tv|fan|heater|coffee machine|coffee maker|kettle|oven|dishwasher|washing machine|dryer|printer|computer|radio|plug|"
    "socket|outlet|switch|humidifier|air purifier|toaster|fridge|microwave|fireplace|electric blanket|pool pump|christmas tree"
).split("|")
_FAN = "fan|fan|ceiling fan|exhaust fan|extractor fan|ventilation|air purifier|bathroom fan|desk fan".split("|")
_CLIMATE = "thermostat|thermostat|heating|heater|ac|air conditioner|air conditioning|radiator|heat pump|underfloor heating".split(
    "|"
)
_COVER = (
    "blinds|blinds|curtains|curtains|blind|shades|shutters|garage door|garage|window|windows|gate|awning|roller shutter|"
    "front gate|curtain|roller blind|skylight|drapes|door"
).split("|")
_COVERUP = "blinds|blinds|curtains|shades|shutters|blind|roller blind|awning|drapes|projector screen|garage door".split(
    "|"
)
_LOCK = "front door|front door|back door|door|garage door|door lock|side door|front gate|patio door|doors|cellar door".split(
    "|"
)
_MEDIA = "tv|tv|television|speaker|radio|stereo|sound bar|speakers|music player|record player|telly|receiver|projector".split(
    "|"
)
_VACUUM = "vacuum|vacuum cleaner|robot vacuum|robot|hoover|roomba|robot cleaner|mop".split("|")
_ROBOT = [*_VACUUM, "rosie", "henry", "dobby", "robbie", "alfred"]
_MOWER = "mower|lawn mower|robot mower|lawnmower|mowing robot".split("|")
_VALVE = "sprinkler|sprinklers|water valve|valve|irrigation|garden tap|water|main valve|drip irrigation".split("|")
_SCENE = "movie|movie night|bedtime|good night|good morning|dinner|party|reading|relax|cozy|away|work|night|romantic|sunset".split(
    "|"
)


def _room(rng: Random) -> str:
    return rng.choice(_ROOMS)


def _place(rng: Random) -> str:
    r = rng.random()
    return rng.choice(_FLOORS) if r < 0.12 else rng.choice(_HOMES) if r < 0.16 else _room(rng)


def _of(nouns: list[str]) -> Filler:
    """One of the nouns: bare, with its room before it, or in its room."""

    def draw(rng: Random) -> str:
        noun, r = rng.choice(nouns), rng.random()
        if r < 0.45:
            return noun
        if r < 0.78:
            return f"{_place(rng)} {noun}".replace(" all the ", " ").replace(" the ", " ")
        return f"{noun} {rng.choice(('in', 'in', 'in', 'in', 'on', 'of'))} {rng.choice(('the', 'the', 'the', 'my', ''))} {_place(rng)}"

    return draw


_lamp, _lamps, _appliance, _fan = _of(_LAMP), _of(_LAMPS), _of(_APPLIANCE), _of(_FAN)
_climate, _cover, _media = _of(_CLIMATE), _of(_COVER), _of(_MEDIA)

FILLERS: dict[str, Filler] = {
    "the": lambda rng: rng.choice(("the", "the", "the", "the", "the", "my", "", "")),
    "room": _room,
    "area": _place,
    "lamp": _lamp,
    "lamps": _lamps,
    "appliance": _appliance,
    "fan": _fan,
    "climate": _climate,
    "cover": _cover,
    "covers": _cover,
    "coverup": _of(_COVERUP),
    "valve": _of(_VALVE),
    "lock": _of(_LOCK),
    "media": _media,
    "vacuum": _of(_VACUUM),
    "robot": lambda rng: rng.choice(_ROBOT),
    "mower": lambda rng: rng.choice(_MOWER),
    "scene": lambda rng: rng.choice(_SCENE),
    "switchable": mix((9, _lamp), (5, _lamps), (5, _appliance), (2, _fan), (2, _climate), (2, _media)),
    "dimmable": mix((6, _lamp), (4, _lamps), (1, _room)),
    "settable": mix((6, _lamp), (3, _lamps), (2, _fan), (2, _climate), (3, _cover), (2, _media), (2, _room)),
}


def homes(names: Sampler) -> Callable[[Random], Sampler]:
    """What draws the names for one sentence: those of the home that most people have in their place, or these."""
    plain = names.extended(FILLERS)
    return lambda rng: plain if rng.random() < SHARE else names


some_home = homes(SAMPLER)
