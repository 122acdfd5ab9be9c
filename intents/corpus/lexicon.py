"""The words of the corpus: rooms, floors, things, names, numbers, colours. An open vocabulary, so that copying is learned."""

from __future__ import annotations

import random
from functools import cache

from intents.corpus.phrases import Filler, Sampler

ROOMS = [
    "kitchen",
    "living room",
    "bedroom",
    "bathroom",
    "hallway",
    "hall",
    "office",
    "study",
    "garage",
    "garden",
    "dining room",
    "guest room",
    "guest bedroom",
    "master bedroom",
    "kids room",
    "nursery",
    "attic",
    "basement",
    "cellar",
    "porch",
    "patio",
    "balcony",
    "terrace",
    "laundry room",
    "utility room",
    "pantry",
    "lounge",
    "den",
    "library",
    "gym",
    "playroom",
    "play room",
    "conservatory",
    "entrance",
    "entryway",
    "foyer",
    "stairs",
    "staircase",
    "landing",
    "loft",
    "shed",
    "barn",
    "workshop",
    "driveway",
    "back yard",
    "backyard",
    "front yard",
    "yard",
    "pool",
    "sauna",
    "spa",
    "closet",
    "wardrobe",
    "toilet",
    "restroom",
    "washroom",
    "shower",
    "en suite",
    "family room",
    "sitting room",
    "sunroom",
    "media room",
    "home cinema",
    "home theater",
    "music room",
    "game room",
    "games room",
    "studio",
    "wine cellar",
    "boiler room",
    "server room",
    "storage room",
    "mud room",
    "cloakroom",
    "corridor",
    "lobby",
    "kitchenette",
    "greenhouse",
    "deck",
    "rooftop terrace",
    "courtyard",
    "veranda",
    "gazebo",
    "pergola",
    "carport",
    "bar",
    "chapel",
    "stable",
    "dock",
    "guest house",
    "pool house",
    "tea room",
    "reading room",
    "dressing room",
    "spare room",
    "box room",
    "bunk room",
    "snug",
    "parlor",
    "boys room",
    "girls room",
    "drawing room",
    "meeting room",
    "conference room",
    "reception",
    "front room",
    "back room",
    "downstairs bathroom",
    "upstairs bathroom",
    "guest bathroom",
    "master bathroom",
    "main bathroom",
    "upstairs hallway",
    "top floor office",
    "north wing",
    "summer house",
    "tennis court",
    "vineyard",
    "orchard",
    "pond",
    "well",
    "fountain",
    "helipad",
    "infinity pool",
    "pavilion",
    "loo",
    "airing cupboard",
    "larder",
    "scullery",
    "granny flat",
    "walkway",
    "mudroom",
    "front garden",
    "back garden",
    "side gate",
    "dog house",
    "walk in closet",
    "boot room",
    "craft room",
    "tv room",
    "hobby room",
    "roof terrace",
    "shower room",
    "guest toilet",
    "rec room",
    "wet room",
    "sun room",
    "utility",
    "lean to",
    "cupboard under the stairs",
    "back kitchen",
    "breakfast room",
    "kids bathroom",
    "twins room",
    "home office",
    "front hall",
    "back hall",
    "side entrance",
    "outhouse",
    "potting shed",
    "half bath",
    "powder room",
    "bike shed",
    "tool shed",
    "hayloft",
    "cottage",
    "annex",
    "this room",
    "my room",
    "our room",
]
FLOORS = [
    "first floor",
    "second floor",
    "third floor",
    "ground floor",
    "top floor",
    "upper floor",
    "lower floor",
    "main floor",
    "basement level",
    "upstairs",
    "downstairs",
    "attic floor",
    "lower level",
    "upper level",
    "mezzanine",
    "fourth floor",
]
PEOPLE = [
    "emma",
    "liam",
    "noah",
    "olivia",
    "ava",
    "sophia",
    "mia",
    "lucas",
    "ethan",
    "oliver",
    "james",
    "ben",
    "anna",
    "maria",
    "peter",
    "paul",
    "tom",
    "jack",
    "lily",
    "ella",
    "grace",
    "henry",
    "leo",
    "max",
    "sam",
    "alice",
    "chloe",
    "zoe",
    "ruby",
    "nina",
    "carlos",
    "diego",
    "yuki",
    "hana",
    "omar",
    "fatima",
    "ivan",
    "olga",
    "lars",
    "ingrid",
    "pierre",
    "amelie",
    "giulia",
    "marco",
    "raj",
    "priya",
    "wei",
    "chen",
    "kofi",
    "amara",
    "sean",
    "niamh",
    "dad",
    "mum",
    "mom",
    "grandma",
    "grandpa",
    "dave",
    "karen",
    "steve",
    "julia",
    "bob",
]
MODIFIERS = [
    "left",
    "right",
    "middle",
    "front",
    "back",
    "side",
    "main",
    "small",
    "big",
    "little",
    "large",
    "old",
    "new",
    "smart",
    "corner",
    "wall",
    "ceiling",
    "floor",
    "desk",
    "table",
    "reading",
    "night",
    "bedside",
    "standing",
    "hanging",
    "outdoor",
    "indoor",
    "overhead",
    "under cabinet",
    "counter",
    "island",
    "mirror",
    "vanity",
    "window",
    "accent",
    "mood",
    "fairy",
    "christmas",
    "string",
    "strip",
    "spot",
    "track",
    "pendant",
    "hue",
    "ikea",
    "sonos",
    "philips",
    "north",
    "south",
    "east",
    "west",
    "upper",
    "lower",
    "top",
    "bottom",
    "inner",
    "outer",
    "red",
    "blue",
    "green",
    "white",
    "black",
    "yellow",
    "golden",
    "silver",
    "glass",
    "wooden",
    "copper",
    "first",
    "second",
    "third",
    "spare",
    "guest",
    "kids",
    "baby",
    "dog",
    "cat",
    "plant",
    "aquarium",
    "fish tank",
    "sofa",
    "couch",
    "tv",
    "closet",
    "stair",
    "entry",
    "door",
    "shelf",
    "bookcase",
    "piano",
    "workbench",
    "disco",
    "party",
    "rainbow",
    "moon",
    "sun",
    "star",
    "cloud",
    "lava",
    "bubble",
    "salt",
    "edison",
    "vintage",
    "antique",
    "tiffany",
    "cozy",
    "bright",
    "dim",
    "warm",
]
MADE_UP = [
    "ba",
    "be",
    "bi",
    "bo",
    "bu",
    "da",
    "de",
    "di",
    "do",
    "du",
    "fa",
    "fe",
    "fi",
    "ga",
    "go",
    "ka",
    "ke",
    "ki",
    "ko",
    "la",
    "le",
    "li",
    "lo",
    "lu",
    "ma",
    "me",
    "mi",
    "mo",
    "na",
    "ne",
    "ni",
    "no",
    "pa",
    "pe",
    "pi",
    "po",
    "ra",
    "re",
    "ri",
    "ro",
    "ru",
    "sa",
    "se",
    "si",
    "so",
    "ta",
    "te",
    "ti",
    "to",
    "va",
    "ve",
    "vi",
    "vo",
    "wa",
    "xa",
    "ya",
    "za",
    "zo",
    "zen",
    "ton",
    "lex",
    "dor",
    "mar",
    "vin",
    "bel",
    "sol",
    "nor",
    "tek",
]
ODD_NAMES = [
    "rover",
    "big bertha",
    "sparky",
    "play corner",
    "old faithful",
    "the beast",
    "mister clean",
    "dusty",
    "robbie",
    "jarvis",
    "starlight",
    "moonbeam",
    "lighthouse",
    "aurora",
    "nebula",
    "the monster",
    "hal",
    "r2d2",
    "wall e",
    "johnny five",
    "buddy",
    "the tower",
    "command center",
    "bat cave",
    "the nest",
    "reading nook",
    "breakfast corner",
    "homework corner",
    "dog bed",
    "cat tree",
    "fish tank",
    "the shrine",
    "art wall",
    "trophy case",
    "mini bar",
    "snack station",
    "craft table",
    "work bench",
    "play pen",
    "snowman",
    "santa",
    "pumpkin",
    "the tree",
    "wemo",
    "roomba",
    "nest",
    "hue go",
    "echo",
    "sonos one",
]

NOUNS = (
    "walkway|harbor|meadow|bridge|castle|river|canyon|comet|falcon|otter|badger|maple|willow|cedar|pine|birch|lotus|tulip|orchid|daisy|coral|pebble|marble|granite|velvet|cotton|anchor|compass|lantern|beacon|candle|ember|frost|thunder|breeze|storm|cloud nine|horizon|summit|valley|ridge|cove|bay|lagoon|island|reef|desert|oasis|prairie|savanna|jungle|tundra|glacier|volcano|crater|cavern|grotto|temple|palace|tower|turret|arch|dome|vault|cabin|cottage|lodge|manor|mill|forge|bakery|market|gallery|museum|theater|arcade|plaza|alley|avenue|lane|path|trail|track|station|depot|hangar|runway|pier|jetty|marina|boathouse|barnyard|coop|kennel|hutch|aviary|hive|nursery rhyme|piano|violin|guitar|drum|trumpet|flute|harp|banjo|easel|canvas|palette|loom|kiln|anvil|hammer|saw|drill|lathe|ladder|bucket|wheelbarrow|tractor|wagon|sled|canoe|kayak|bicycle|scooter|rocket|saturn|mars|venus|jupiter|pluto|titan|atlas|apollo|zeus|hera|thor|odin|loki|merlin|arthur|gandalf|frodo|yoda|vader|batman|robin hood|tinkerbell|olive grove|rose garden|herb garden|rock garden|west wing|sun deck|hot tub|fire pit|ping pong table|pool table|dart board|bookshelf|fountain|statue|birdbath|swing|hammock|trampoline|sandbox|treehouse|slide|goal|court|rink|lane two|studio b|zone 1|zone two|sector seven|unit 5|bay 3|rack|locker|bench|podium|stage|booth|kiosk|counter|cashier|aisle|freezer room|stock room|mail room|copy room|break room|war room|think tank|quiet room|phone booth|lab|clinic|ward|bunker|shelter|crypt|chapel|choir|altar|organ"
).split("|")

LAMP = "big light|strip|hanging lamp|pendant lamp|light|light|light|light|light|lamp|lamp|lamp|lamp|wall sconce|string light|garden light|porch light|path light|walkway light|picture light|vanity light|display cabinet|cabinet light|fairy lights|christmas lights|neon sign|lava lamp|salt lamp|light bar|pendant|rope light|step lights|pool light|garland|sconces|candle|tree light|headboard light|bulb|chandelier|spotlight|lantern|nightlight|night light|uplighter|downlight|sconce|led strip|light strip|lightbulb|floodlight|strip light|spots|led|ceiling light|floor lamp|desk lamp|table lamp|bedside lamp|reading light"
LAMPS = "pendant lights|reading lights|table lamps|lights|lights|sconces|chandeliers|garden lights|outdoor lights|pendants|step lights|lights|lights|lights|lights|lamps|bulbs|spotlights|spots|downlights|lanterns|ceiling lights|fairy lights|led strips|lighting|light|floor lamps|string lights|wall lights"
APPLIANCE = (
    "immersion|heated blanket|hostess trolley|nightlight|fish tank|aquarium|aquarium heater|heated towel rail|towel rail|towel radiator|immersion heater|patio heater|garden pump|oil diffuser|stove|hob|cooker|bread maker|doorbell chime|hair dryer|fog machine|string lights|gate motor|wine cooler|ice maker|incubator|terrarium|telescope|electric fence|bird feeder|coffee machine|coffee maker|kettle|toaster|oven|microwave|dishwasher|washing machine|washer|dryer|tumble dryer|"
    "fridge|freezer|heater|space heater|radiator|electric blanket|iron|printer|computer|router|pc|monitor|projector|"
    "humidifier|dehumidifier|air purifier|purifier|diffuser|fountain|pump|pool pump|well pump|sprinkler|fireplace|"
    "plug|socket|outlet|smart plug|smart socket|switch|power strip|extension cord|wemo plug|charger|car charger|"
    "aquarium pump|christmas tree|doorbell|siren|alarm siren|camera|security system|water heater|boiler|towel warmer|"
    "hot tub|jacuzzi|rice cooker|slow cooker|air fryer|grill|extractor|extractor hood|exhaust fan|game console|playstation|"
    "xbox|amplifier|receiver|subwoofer|soundbar|media server|pond pump|treadmill|massage chair|sewing machine|pump controller|relay|irrigation controller|heat lamp|sunlamp|bug zapper"
)
FAN = "fan|fan|ceiling fan|exhaust fan|ventilator|bathroom fan|extractor fan|desk fan|tower fan|ventilation|air purifier|vent fan"
CLIMATE = "fan heater|fireplace|towel rail|water heater|hot water|immersion heater|electric heater|split unit|central heating|wood stove|thermostat|thermostat|heating|heater|heat|radiator|air conditioner|air conditioning|ac|a c|aircon|floor heating|underfloor heating|heat pump|climate control|climate|boiler|hvac|smart thermostat|pool heater|towel radiator|furnace"
COVER = "pergola|pergola roof|pool cover|patio awning|louvers|louvres|cat flap|pet door|loft hatch|front gate|net curtain|blackout blind|dog door|blinds|blind|curtain|curtains|shade|shades|shutter|shutters|roller blind|roller shutter|roller shutters|venetian blinds|awning|window|skylight|drapes|garage door|gate|door|sun blind|roman shade|smart curtain|screen|projector screen|canopy|sunshade|garage door opener|driveway gate|roof window|hatch"
COVERS = "blinds|curtains|shades|shutters|drapes|windows|garage doors|roller shutters|roller blinds|skylights|awnings|gates|covers|doors"
VALVE = "garden tap|lawn sprinklers|sprinkler system|drip irrigation|hose|garden hose|main water valve|pool valve|valve|water valve|main valve|gas valve|irrigation valve|sprinkler valve|irrigation|irrigation system|sprinklers|water supply|radiator valve|smart water valve|tap|shutoff valve|drip line|drip system|watering system|heating valve"
LOCK = "door|door|front door|back door|side door|lock|door lock|smart lock|deadbolt|gate|garage door|main entrance|entrance door|patio door|cellar door|sliding door|gate lock|entry lock|cabinet|safe|main door|sliding doors|kitchen door|shed door|mailbox|terrace door|screen door|basement door|office door"
MEDIA = "sound bar|boombox|roku|tv set|dvd player|home cinema|echo dot|tv|telly|television|speaker|speakers|radio|stereo|smart speaker|sound system|soundbar|music player|hi fi|surround sound|receiver|media player|apple tv|chromecast|echo|sonos|music system|outdoor speakers|projector|home theater|samsung|smart tv|amp|audio system|turntable|jukebox|record player"
VACUUM = "vacuum|vacuum cleaner|robot vacuum|robot|roomba|hoover|robot vacuum cleaner|roborock|robot cleaner|cleaning robot|mop|robot mop|vac|dyson|deebot|cleaner"
MOWER = "lawn mower|mower|robot mower|lawnmower|robotic mower|automower|grass cutter|mowing robot"
ACTIVITY = "movie|party|night|morning|evening|dinner|reading|romantic|gaming|cooking|sleep|bedtime|good night|good morning|relax|focus|work|away|vacation|holiday|guest|cleaning|stealth|cinema|sunset|sunrise|christmas|welcome home|leaving|study|yoga|workout|breakfast|date night|thunderstorm|ocean|forest|energy saving|wake up|wind down|concentrate|nightlight|tv time|story time|bath time|pizza night"

COLORS = "red|green|blue|yellow|orange|purple|pink|white|violet|magenta|cyan|turquoise|teal|indigo|lime|gold|brown|lavender|coral|salmon|crimson|navy|sky blue|light blue|dark blue|dark red|light green|dark green|aqua|maroon|olive|beige|ivory|mint|peach|amber|fuchsia|hot pink|royal blue|forest green|black|gray|grey|silver|bright red|deep blue|light pink"
WHITES = "warm white|cool white|cold white|soft white|daylight|day light|candlelight|neutral white|warm|cold|cool|candle light|bright white|natural white|warm light|cold light|ice white|incandescent"
UNITS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
TENS = {
    20: "twenty",
    30: "thirty",
    40: "forty",
    50: "fifty",
    60: "sixty",
    70: "seventy",
    80: "eighty",
    90: "ninety",
}


def spoken(n: int) -> str:
    """A whole number from 0 to 999 in English words."""
    if n < 20:
        return UNITS[n]
    if n < 100:
        return TENS[n // 10 * 10] + (" " + UNITS[n % 10] if n % 10 else "")
    rest = n % 100
    return f"{UNITS[n // 100]} hundred" + (f" and {spoken(rest)}" if rest else "")


def number(low: int, high: int, round_to: int = 1) -> Filler:
    """A number between the two, in digits or in words."""

    def draw(rng: random.Random) -> str:
        n = rng.randint(low, high)
        if round_to > 1 and rng.random() < 0.6:
            n = max(low, n // round_to * round_to)
        return str(n) if rng.random() < 0.62 else spoken(n)

    return draw


def made_up(rng: random.Random) -> str:
    if rng.random() < 0.6:
        return wordlike(rng)
    return "".join(rng.choice(MADE_UP) for _ in range(rng.randint(2, 3)))


@cache
def _followers() -> dict[str, str]:
    """After each two letters of this file's words, the letters that follow them; blanks begin a word, one ends it."""
    lists = (*ROOMS, *PEOPLE, *MODIFIERS, *NOUNS, *ODD_NAMES, *ARTISTS, *TITLE_WORDS, APPLIANCE, COVER, MEDIA, VALVE)
    after: dict[str, str] = {}
    for word in sorted({w for w in " ".join(lists).replace("|", " ").split() if w.isalpha()}):
        letters = f"  {word} "
        for i in range(len(word) + 1):
            after[letters[i : i + 2]] = after.get(letters[i : i + 2], "") + letters[i + 2]
    return after


def wordlike(rng: random.Random) -> str:
    """A word that nobody says, spelled like one, so that every piece of a word has to be copied and not only known names."""
    while True:
        word = "  "
        while len(word) < 3 or (word[-1] != " " and len(word) < 14):
            word += rng.choice(_followers()[word[-2:]])
        if len(word) > 6 and word[-1] == " ":
            return word.strip()


def person(rng: random.Random) -> str:
    return rng.choice(PEOPLE) if rng.random() < 0.8 else made_up(rng)


def room(rng: random.Random) -> str:
    r = rng.random()
    if r < 0.76:
        base = rng.choice(ROOMS[:24]) if rng.random() < 0.5 else rng.choice(ROOMS)
    elif r < 0.85:
        owner = rng.choice(
            [
                "my son",
                "my daughter",
                person(rng),
                person(rng),
                person(rng),
                "the boys",
                "the kids",
            ]
        )
        base = f"{owner}'s {rng.choice(['room', 'bedroom', 'office', 'bathroom', 'study'])}"
    elif r < 0.90:
        base = f"{rng.choice(['bedroom', 'bathroom', 'office', 'guest bedroom', 'room'])} {rng.choice(['1', '2', '3', '4', 'one', 'two', 'three'])}"
    else:
        base = (
            f"{made_up(rng)} {rng.choice(['room', 'hall', 'wing', 'corner'])}" if rng.random() < 0.6 else made_up(rng)
        )
    return base


def one_of(words: str) -> Filler:
    choices = words.split("|")
    return lambda rng: rng.choice(choices)


def _owned(rng: random.Random) -> str:
    return f"{person(rng)}'s" if rng.random() < 0.35 else rng.choice(MODIFIERS if rng.random() < 0.6 else NOUNS)


BESIDE = (
    "next to",
    "above",
    "over",
    "behind",
    "under",
    "beside",
    "by",
    "near",
    "on",
    "in front of",
    "opposite",
    "around",
)
FURNITURE = (
    "sofa|couch|bed|table|dining table|desk|sink|stove|mirror|window|door|tv|piano|bookshelf|bath|bathtub|shower|crib|"
    "armchair|fireplace|fridge|stairs|front door|back door|counter|kitchen island|washing machine|coat rack|pond|fence|"
    "hedge|gate|shed|steps|mailbox|cabinet|wardrobe|shelf|corner|workbench|hot tub|barbecue|big tree|flower bed"
).split("|")
COUNTED = (
    "1|2|3|4|5|6|7|8|9|10|12|one|two|three|four|five|six|seven|left|right|a|b|c|d|number 2|number three|1 2|2 b|3 a|v2|mini|"
    "pro|max|plus|xl|junior|senior|north|south"
).split("|")


def long_name(noun: str, rng: random.Random) -> str:
    """A name of three to five words, as people give who have many things."""
    return rng.choice(
        (
            f"{room(rng)} {_owned(rng)} {rng.choice(MODIFIERS)} {noun}",
            f"{person(rng)}'s {rng.choice(MODIFIERS)} {noun}",
            f"{_owned(rng)} {noun} {rng.choice(COUNTED)}",
            f"{room(rng)} {noun} {rng.choice(COUNTED)}",
            f"{made_up(rng)} {rng.choice(NOUNS)} {noun}",
            f"{rng.choice(NOUNS)} {rng.choice(NOUNS)} {noun}",
            f"{rng.choice(MODIFIERS)} {rng.choice(NOUNS)} {noun} {rng.choice(COUNTED)}",
            f"{rng.choice(NOUNS)} {rng.choice(COUNTED)}",
            f"{person(rng)} and {person(rng)}'s {noun}",
            f"{rng.choice(TITLE_WORDS)} {rng.choice(TITLE_WORDS)}",
            f"{noun} {rng.choice(TITLE_WORDS)}",
            f"{rng.choice(MODIFIERS)} {noun} {rng.choice(MODIFIERS)}",
        )
    )


def _named(nouns: str) -> Filler:
    """A long name around one of these nouns."""
    noun = one_of(nouns)
    return lambda rng: long_name(noun(rng), rng)


def single(nouns: str) -> Filler:
    """The name of one thing: bare, with a room, a modifier, a number, or a name of its own."""
    noun = one_of(nouns)

    def draw(rng: random.Random) -> str:
        n, r = noun(rng), rng.random()
        if r < 0.24:
            return n
        if r < 0.52:
            return f"{room(rng)} {n}"
        if r < 0.68:
            return f"{_owned(rng)} {n}"
        if r < 0.80:
            return f"{n} {rng.choice(['in', 'in', 'in', 'of', 'at', 'on', 'by'])} {rng.choice(['the ', 'the ', ''])}{room(rng)}"
        if r < 0.85:
            return f"{room(rng)} {_owned(rng)} {n}"
        if r < 0.865:
            return f"{n} {rng.choice(BESIDE)} {rng.choice(('the ', 'the ', 'my ', ''))}{rng.choice(FURNITURE)}"
        if r < 0.90:
            return f"{n} {rng.choice(COUNTED)}"
        if r < 0.92:
            return rng.choice(ODD_NAMES)
        if r < 0.935:
            return long_name(n, rng)
        if r < 0.97:
            return f"{made_up(rng)} {n}" if rng.random() < 0.6 else made_up(rng)
        return f"{_owned(rng)} {rng.choice(MODIFIERS)}"

    return draw


def group(nouns: str) -> Filler:
    """Several things at once: a plural, with quantifiers, rooms, floors, the whole house."""
    noun = one_of(nouns)

    def draw(rng: random.Random) -> str:
        n = noun(rng)
        single_noun = n.removesuffix("s")
        every = rng.choice(
            [
                "all the",
                "all",
                "all of the",
                "all my",
                "every single",
                "each",
                "every",
                "both",
                "the whole",
                "each and every",
                "all our",
                "any",
            ]
        )
        one_by_one = every in ("every single", "each", "every", "each and every")
        every_n = f"{every} {single_noun if one_by_one else n}"
        where = rng.choice(
            [
                "in the",
                "in the",
                "in",
                "of the",
                "at the",
                "inside the",
                "across the",
                "in my",
            ]
        )
        floor = rng.choice(FLOORS)
        on_floor = (
            floor if floor in ("upstairs", "downstairs") else f"{rng.choice(['on', 'in', 'on', 'at'])} the {floor}"
        )
        if rng.random() < 0.2:
            on_floor = f"on the {floor}" if floor not in ("upstairs", "downstairs") else floor
        house = rng.choice(
            [
                "in the house",
                "in the whole house",
                "everywhere",
                "in the home",
                "at home",
                "in my house",
                "in every room",
                "across the house",
                "in the entire house",
                "across every room",
                "around the house",
                "throughout the house",
                "in all rooms",
                "in our home",
                "in our house",
                "in each room",
                "in here",
                "here",
                "in this room",
                "all over the house",
                "in the apartment",
                "in the flat",
                "in my home",
            ]
        )
        return rng.choice(
            [
                n,
                n,
                f"{room(rng)} {n}",
                f"{room(rng)} {n}",
                f"{n} {where} {room(rng)}",
                f"{n} {where} {room(rng)}",
                every_n,
                every_n,
                f"{every_n} {where} {room(rng)}",
                f"{every} {room(rng)} {n}",
                f"{floor} {n}",
                f"{n} {on_floor}",
                f"{every_n} {on_floor}",
                f"{every_n} {house}",
                f"{n} {house}",
                f"{rng.choice(MODIFIERS)} {n}",
                f"{person(rng)}'s {n}",
            ]
        )

    return draw


def mix(*parts: tuple[float, Filler]) -> Filler:
    """One of several fillers, by weight."""
    weights, fillers = [p[0] for p in parts], [p[1] for p in parts]
    return lambda rng: rng.choices(fillers, weights)[0](rng)


def floor_or_room(rng: random.Random) -> str:
    return rng.choice(FLOORS) if rng.random() < 0.15 else room(rng)


def everything(rng: random.Random) -> str:
    r = room(rng)
    return rng.choice(
        [
            "everything",
            "everything",
            f"everything in the {r}",
            "all devices",
            f"all the devices in the {r}",
            "everything upstairs",
            "everything downstairs",
            f"all switches in the {r}",
            "the whole house",
            "all the switches",
            "all appliances",
            "every device",
            f"{r}",
        ]
    )


def plot(rng: random.Random) -> str:
    """A piece of ground under a name of its own."""
    kinds = "grove bed patch lawn orchard border meadow terrace vineyard hedge field plants pots planters greenhouse"
    what = rng.choice(
        "olive rose herb tomato lemon apple cherry front back east west upper lower fern berry palm".split()
    )
    return f"{what if rng.random() < 0.7 else made_up(rng)} {rng.choice(kinds.split())}"


def title(rng: random.Random) -> str:
    """A title made of everyday words, which sound like anything but a title."""
    one, two, three = (rng.choice(TITLE_WORDS) for _ in range(3))
    form = rng.choice(
        (
            "{0}",
            "the {0}",
            "{0} {1}",
            "the {0} {1}",
            "{0} of the {1}",
            "{0} in the {1}",
            "{0} and {1}",
            "my {0} {1}",
            "a {0} for {1}",
            "{0} {1} {2}",
            "no {0} without {1}",
            "the {0} that {1}",
            "how to {0} a {1}",
            "{0} on {1}",
        )
    )
    return form.format(one, two, three)


ARTISTS = (
    "queen|adele|abba|miles davis|the beatles|pink floyd|taylor swift|bob marley|mozart|bach|beethoven|coldplay|radiohead|elton john|"
    "green day|the doors|journey|kiss|heart|foreigner|the cars|the police|the who|air|blur|garbage|keane|muse|oasis|bread|"
    "fleetwood mac|nirvana|led zeppelin|johnny cash|billie holiday|nina simone|prince|madonna|drake|rihanna|daft punk|chopin"
).split("|")


def artist(rng: random.Random) -> str:
    return rng.choice(
        (
            rng.choice(ARTISTS),
            rng.choice(ARTISTS),
            rng.choice(ARTISTS),
            f"{person(rng)} {made_up(rng)}",
            made_up(rng),
            f"the {rng.choice(TITLE_WORDS)}s",
        )
    )


def work(rng: random.Random) -> str:
    """A song, an album or a film, with who made it."""
    by = rng.choice(("by", "by", "by", "from"))
    return f"{title(rng)} {by} {artist(rng)}"


def station(rng: random.Random) -> str:
    """A radio station."""
    number = f"{rng.randint(88, 107)}.{rng.randint(0, 9)}"
    call = rng.choice(
        ("bbc radio", "radio", "capital", "kiss", "heart", "classic", "jazz", "smooth", "virgin", made_up(rng))
    )
    return rng.choice(
        (
            f"{call} {rng.randint(1, 6)}",
            f"{call} fm",
            f"{number} fm",
            f"radio {made_up(rng)}",
            f"{made_up(rng)} radio",
            f"{number}",
            "the news on npr",
            f"{call} {number}",
        )
    )


TITLE_WORDS = (
    "river moon thunder summer blue heart dance fire night train paper silver stone garden window door kitchen lamp "
    "house road rain snow winter golden ocean mirror shadow dream morning evening light dark wild quiet king queen "
    "forest mountain wolf bird horse star sun city street lonely happy broken glass money time clock history science "
    "crime cooking travel nature morning breakfast coffee candle machine robot planet island bridge tower castle "
    "letter secret stranger brother sister mother father child baby doctor detective soldier sailor hunter painter "
    "run walk sleep wake fall rise burn drive sing whisper shout forget remember believe return begin escape"
).split()


def item_made(rng: random.Random) -> str:
    """What is put on a list: goods with an amount, or a chore, often with the words of orders to a home."""
    goods = "milk|eggs|light bulbs|batteries|paint|curtains|a lamp|candles|dog food|wine|nails|lock oil|fan belts|blue cheese|green beans|red onions|hot sauce|warm socks|orange peppers|door mats|timers|music books|plant food|filters|chips|bread"
    amount = (
        "",
        "",
        "some ",
        "more ",
        f"{rng.randint(2, 12)} ",
        f"{spoken(rng.randint(2, 12))} ",
        "a pack of ",
        "two bags of ",
        "a kilo of ",
    )
    chore = "clean|fix|paint|open|close|wash|check|replace|dust|sell|buy|water|call|pick up|set up|charge|order|return|measure|turn off|lock"
    thing = "the oven|the lamp|the garage door|the windows|the car|the gutters|the fan|the curtains|the heating|the plants|the landlord|the tv|the front gate|the vacuum|the lawn mower|mum|the electrician|the timer"
    if rng.random() < 0.5:
        return f"{rng.choice(amount)}{rng.choice(goods.split('|'))}"
    return f"{rng.choice(chore.split('|'))} {rng.choice(thing.split('|'))}"


def message_made(rng: random.Random) -> str:
    """What is announced."""
    who = rng.choice(("i", "we", "the kids", person(rng), "grandma", "the plumber", "the guests", "everybody"))
    does = "will be home soon|will be there in ten minutes|need to leave now|is here|are on the way|have to be quiet|should come down|left the lights on|should turn off the tv|must lock the door|will be late|can open the presents"
    call = "come to dinner|get in the car|turn off your screens|close your windows|bring down the laundry|time to get up|it is snowing|the cake is ready|lunch in five minutes|the game is on|go to sleep|the heating is broken"
    return f"{who} {rng.choice(does.split('|'))}" if rng.random() < 0.5 else rng.choice(call.split("|"))


def duration(rng: random.Random) -> str:
    unit = rng.choice(["second", "minute", "minute", "minute", "hour"])
    n = (
        rng.choice([1, 2, 3, 4, 5, 10, 15, 20, 25, 30, 40, 45, 50, 60, 90, rng.randint(1, 120)])
        if unit != "hour"
        else rng.randint(1, 12)
    )
    count = str(n) if rng.random() < 0.62 else spoken(n)
    plural = unit if n == 1 or rng.random() < 0.3 else unit + "s"
    r = rng.random()
    if r < 0.72:
        return f"{count} {plural}"
    if r < 0.80:
        return rng.choice(
            [
                "half an hour",
                "an hour",
                "a minute",
                "half a minute",
                "a quarter of an hour",
                "quarter of an hour",
                "three quarters of an hour",
                "an hour and a half",
                "a minute and a half",
                "an hour and a quarter",
                "1/2 an hour",
                "1/2 a minute",
                "1/2 hour",
                "half hour",
                "1 1/2 hours",
                "2 1/2 minutes",
                "one and a half hours",
                "a couple of minutes",
                "a few minutes",
                "a second",
            ]
        )
    if r < 0.87:
        return f"{rng.choice(['one', '1', 'two', '2', 'an', '3'])} {rng.choice(['hour', 'hours'])} {rng.choice(['and ', ''])}{rng.choice(['5', '10', '15', '20', '30', 'thirty', 'ten', 'fifteen'])} minutes"
    if r < 0.94:
        return f"{count} {rng.choice(['minute', 'minutes'])} {rng.choice(['and ', ''])}{rng.choice(['30', '15', '45', 'ten', 'thirty', '20'])} seconds"
    return f"{count} and a half {rng.choice(['minutes', 'hours'])}"


def clock(rng: random.Random) -> str:
    hour = rng.randint(1, 12)
    said = str(hour) if rng.random() < 0.5 else spoken(hour)
    minutes = rng.choice(["", "", "", " thirty", " fifteen", " forty five", " oh five"])
    suffix = rng.choice(
        [
            " am",
            " pm",
            " a m",
            " p m",
            " o'clock",
            "",
            " in the morning",
            " in the evening",
            " tonight",
            " tomorrow",
        ]
    )
    r = rng.random()
    if r < 0.2:
        return f"{hour}:{rng.choice(['00', '15', '30', '45', '05'])}{rng.choice(['', ' am', ' pm'])}"
    if r < 0.3:
        return (
            rng.choice(
                [
                    "half past",
                    "half past",
                    "quarter past",
                    "a quarter past",
                    "quarter to",
                    "a quarter to",
                    "ten to",
                    "ten past",
                    "twenty past",
                    "five to",
                    "half",
                ]
            )
            + f" {said}"
        )
    if r < 0.36:
        return rng.choice(
            [
                "noon",
                "midnight",
                "sunset",
                "sunrise",
                "tomorrow morning",
                "tonight",
                "dawn",
            ]
        )
    return said + minutes + suffix


_percent_number = number(0, 100, 10)


def percent(rng: random.Random) -> str:
    r = rng.random()
    if r < 0.62:
        return f"{_percent_number(rng)} {rng.choice(['%', '%', 'percent', 'percent', 'per cent'])}"
    if r < 0.8:
        return _percent_number(rng)
    return rng.choice(
        [
            "half",
            "maximum",
            "minimum",
            "max",
            "min",
            "full",
            "the maximum",
            "the minimum",
            "the highest",
            "the lowest",
            "a quarter",
            "three quarters",
            "the max",
            "low",
            "medium",
            "high",
            "highest",
            "lowest",
            "a third",
            "level two",
            "level 3",
            "level five",
            "half way",
            "fifty",
            "seven",
            "full power",
        ]
    )


def degrees(rng: random.Random) -> str:
    n = rng.randint(10, 30) if rng.random() < 0.75 else rng.randint(50, 86)
    count = str(n) if rng.random() < 0.65 else spoken(n)
    if rng.random() < 0.12:
        count = rng.choice(
            (f"{n}.5", f"{n}.5", f"{spoken(n)} point five", f"{n} and a half", f"{spoken(n)} and a half")
        )
    return count + rng.choice(
        [
            " degrees",
            " degrees",
            " degrees",
            "",
            "",
            " °",
            " degrees celsius",
            " celsius",
            " degrees fahrenheit",
            " fahrenheit",
            " c",
            " f",
            " ° c",
        ]
    )


def kelvin(rng: random.Random) -> str:
    value = rng.choice(
        (2000, 2200, 2500, 2700, 3000, 3500, 4000, 4500, 5000, 6000, 6500, rng.randrange(2000, 6600, 100))
    )
    thousands, hundreds = divmod(value, 1000)
    said = f"{spoken(thousands)} thousand" + (f" {spoken(hundreds // 100)} hundred" if hundreds else "")
    hundred = f"{spoken(value // 100)} hundred" if hundreds else said
    amount = rng.choice((str(value), str(value), said, hundred))
    return f"{amount} {rng.choice(('kelvin', 'kelvin', 'k', 'kelvins'))}"


FILLERS: dict[str, Filler | str] = {
    "the": lambda rng: rng.choice(["the", "the", "the", "the", "my", "", "", "our", "that", "this"]),
    "room": room,
    "floor": one_of("|".join(FLOORS)),
    "area": floor_or_room,
    "person": person,
    "madeup": made_up,
    "lamp": mix((3, single(LAMP)), (2, group(LAMPS))),
    "lamps": group(LAMPS),
    "appliance": single(APPLIANCE),
    "fan": mix((4, single(FAN)), (1, group("fans|ceiling fans|exhaust fans"))),
    "climate": single(CLIMATE),
    "cover": mix((3, single(COVER)), (2, group(COVERS))),
    "valve": mix((5, single(VALVE)), (1, group("valves|sprinklers"))),
    "lock": mix((4, single(LOCK)), (1, group("doors|locks|outside doors|gates|door locks"))),
    "media": mix((5, single(MEDIA)), (1, group("speakers|tvs|radios"))),
    "vacuum": mix((5, single(VACUUM)), (1, group("vacuums|robots"))),
    "robot": mix((4, single(VACUUM)), (2, person), (1, one_of("|".join(ODD_NAMES)))),
    "maxword": one_of("max|max|full"),
    "mower": single(MOWER),
    "everything": everything,
    "switchable": mix(
        (6, single(LAMP)),
        (5, group(LAMPS)),
        (4, single(APPLIANCE)),
        (2, single(FAN)),
        (1, group("fans|switches|plugs|sockets|outlets|heaters")),
        (2, single(CLIMATE)),
        (2, single(MEDIA)),
        (1, everything),
    ),
    "scene": mix(
        (3, one_of(ACTIVITY)),
        (1, made_up),
        (1, lambda rng: f"{rng.choice(MODIFIERS)} {rng.choice(ACTIVITY.split('|'))}"),
    ),
    "dimmable": mix((6, single(LAMP)), (4, group(LAMPS)), (1, room)),
    "settable": mix(
        (5, single(LAMP)),
        (3, group(LAMPS)),
        (2, single(FAN)),
        (3, single(CLIMATE)),
        (3, single(COVER)),
        (2, single(MEDIA)),
        (1, single(VALVE)),
        (1, single("humidifier|dehumidifier|water heater|boiler")),
        (2, room),
    ),
    "percent": percent,
    "percentage": lambda rng: f"{_percent_number(rng)} {rng.choice(['%', 'percent', 'percent'])}",
    "degrees": degrees,
    "kelvin": kelvin,
    "color": one_of(COLORS),
    "white": mix((3, one_of(WHITES)), (1, kelvin)),
    "duration": duration,
    "clock": clock,
    "small": mix(
        (
            3,
            lambda rng: f"{number(1, 40, 5)(rng)} {rng.choice(['%', 'percent', 'percent'])}",
        ),
        (
            3,
            one_of("a bit|a little|a little bit|a lot|slightly|a notch|somewhat|some|a tad|a touch|quite a bit"),
        ),
    ),
    "fewdegrees": mix(
        (
            3,
            lambda rng: f"{number(1, 8)(rng)} {rng.choice(['degrees', 'degrees', 'degree'])}",
        ),
        (
            1,
            one_of("a bit|a little|a couple of degrees|a few degrees|one degree|a degree|half a degree"),
        ),
    ),
    "mode": one_of(
        "heat|cool|auto|off|eco|dry|fan only|heat cool|automatic|heating|cooling|away|sleep|comfort|boost|night|home|silent|turbo|manual|party|sport|frost protection|drying|smart|low|max|whisper|pet|hygiene|quick|gentle|fan"
    ),
    "speed": mix(
        (
            2,
            one_of(
                "low|medium|high|slow|fast|maximum|minimum|max|full|the lowest|the highest|level 1|level two|speed 3|one|two|three|1|2|3|4|turbo|low speed|high speed|medium speed|full speed"
            ),
        ),
        (1, percent),
    ),
    "level": one_of("low|medium|high|1|2|3|one|two|three|strong|weak|light|intense|maximum|minimum|gentle"),
    "swing": one_of("vertical|horizontal|both|off|on|up|down|left|right|wide"),
    "n": number(0, 100),
    "timername": mix(
        (
            3,
            one_of(
                "pizza|pasta|eggs|egg|tea|coffee|laundry|oven|cookies|bread|rice|chicken|cake|workout|nap|homework|dishes|meeting|steak|soup|dinner|potatoes|break|roast|lasagna|plank|meditation|dog walk|toast|turkey|muffins|yoga|kitchen|bedroom|medicine|grill|dough|brownies|pie|beans"
            ),
        ),
        (1, made_up),
        (1, person),
    ),
    "item": mix(
        (
            6,
            one_of(
                "milk|eggs|bread|butter|apples|bananas|cheese|coffee|toilet paper|dish soap|paper towels|chicken breast|orange juice|olive oil|dog food|cat litter|light bulbs|batteries|shampoo|toothpaste|rice|pasta|tomatoes|onions|potatoes|call the plumber|water the plants|clean the bathroom|take out the trash|history homework|pay the rent|buy a lamp|fix the door|two liters of milk|a dozen eggs|wash the car|walk the dog|pick up the kids|a bottle of wine|peanut butter|garlic|salt|flour|sugar|ice cream|book flights|mow the lawn|clean the kitchen|feed the cat|turn off the heating|red paint|green tea|math homework|vacuum the stairs|schedule a dentist appointment|christmas lights|baby wipes|spinach|lemons|call grandma"
            ),
        ),
        (
            2,
            lambda rng: (
                f"{number(2, 12)(rng)} {rng.choice(['apples', 'onions', 'bottles of water', 'bags of chips', 'cans of beans', 'screws', 'candles'])}"
            ),
        ),
        (1, made_up),
    ),
    "list": mix(
        (
            4,
            one_of(
                "shopping list|grocery list|to do list|todo list|chores|chores list|shopping|groceries|tasks|personal tasks|task list|packing list|wish list|work list|weekend list|costco list|hardware store list|homework list|christmas list|my tasks|errands|kitchen list|party list|target list|bucket list|to do|reading list|school list|camping list"
            ),
        ),
        (1, lambda rng: f"{made_up(rng)} list"),
        (1, lambda rng: f"{person(rng)}'s list"),
    ),
    "title": title,
    "song": mix(
        (
            5,
            one_of(
                "bohemian rhapsody|jazz|some jazz|rock music|classical music|hotel california|thriller|the beatles|queen|miles davis|adele|taylor swift|bob marley|abba|pink floyd|dark side of the moon|stranger things|the matrix|frozen|the office|friends|toy story|smooth jazz|workout mix|road trip|chill vibes|dinner party|summer hits|the lion king|star wars|game of thrones|planet earth|daft punk|radiohead|beethoven's fifth|mozart|bach|country music|blues|reggae|lullabies|white noise|rain sounds|npr|bbc radio 4|radio paradise|the news|my favorites|liked songs|discover weekly|led zeppelin|imagine by john lennon|yellow submarine|purple rain|sherlock|blade runner|die hard|the godfather|moby dick|serial|the daily|a podcast|christmas songs|eighties hits|sleep sounds|elton john|coldplay|the crown|dune|interstellar|breakfast at tiffany's|lord of the rings|red hot chili peppers|green day|black sabbath|light my fire|open your eyes|turn the page|lights|blue monday"
            ),
        ),
        (1, made_up),
        (1, lambda rng: f"{made_up(rng)} {made_up(rng)}"),
        (3, title),
    ),
    "class": one_of(
        "song|album|artist|movie|playlist|show|tv show|track|film|band|podcast|genre|station|series|audiobook|music|game|season|episode"
    ),
    "city": mix(
        (
            3,
            one_of(
                "london|paris|berlin|new york|los angeles|tokyo|madrid|rome|sydney|boston|chicago|oslo|vienna|prague|dublin|miami|toronto|san francisco|lisbon|seattle|mumbai|cairo|athens|warsaw|denver"
            ),
        ),
        (1, made_up),
    ),
    "message": one_of(
        "dinner is ready|it's time to go|breakfast is on the table|time for bed|we are leaving|come downstairs|the movie starts now|food is here|the taxi is here|wake up everybody|i am home|lunch is ready|please come to the kitchen|movie night in ten minutes|the laundry is done|put your shoes on|the bus is coming|grandma is here|clean your rooms|lights out in five minutes|please close the door|someone is at the door|the pizza has arrived|bath time|homework time|hello everybody|turn down the music|the dog needs a walk|i'll be late|we have guests"
    ),
    "brightadj": one_of("brighter|lighter"),
    "wake": mix(
        (
            1,
            one_of(
                "hey house|ok house|alexa|hey google|olly|hey olly|computer|hey jarvis|siri|hey nabu|ok nabu|home|house|assistant|jarvis|hey hub|robot|mycroft"
            ),
        ),
        (1, made_up),
    ),
    "coffee": one_of(
        "coffee|coffee|coffee|espresso|cappuccino|latte|tea|coffee|americano|drink|flat white|hot chocolate|brew|cup of joe"
    ),
    "coffeemaker": one_of("coffee machine|coffee maker|coffee pot|espresso machine|coffeemaker|machine|barista"),
    "excepted": mix(
        (3, single(LAMP)),
        (2, room),
        (1, single(APPLIANCE)),
        (1, one_of("bedroom|kitchen|hall|tv|fridge|fan|heating|nightlight|office")),
    ),
    "bigroup": mix(
        (
            3,
            lambda rng: rng.choice(
                [
                    "all the lights",
                    "all lights",
                    "every light",
                    "everything",
                    "all lamps",
                    "the lights",
                    "lights",
                    "all the lights upstairs",
                    "all the lights downstairs",
                    "all the lights in the house",
                    "all of the lights",
                    "all the fans",
                    "all the speakers",
                    "all switches",
                    "all my lights",
                    "everything in the house",
                ]
            ),
        ),
        (2, lambda rng: f"all the lights in the {room(rng)}"),
        (1, lambda rng: f"{room(rng)} lights"),
    ),
    "covergroup": mix(
        (
            3,
            lambda rng: rng.choice(
                [
                    "all the blinds",
                    "all blinds",
                    "all curtains",
                    "every blind",
                    "all the shutters",
                    "the blinds",
                    "all the windows",
                    "all the shades",
                    "all the curtains upstairs",
                ]
            ),
        ),
        (1, lambda rng: f"all the {rng.choice(COVERS.split('|'))} in the {room(rng)}"),
    ),
    "covers": group(COVERS),
    "locks": one_of("doors|locks|gates|all the doors|every door|all doors|all the locks|door|lock"),
    "minmax": one_of("full|maximum|minimum|half|max|low|the highest|lowest|highest|full"),
    "tone": one_of("warmer|cooler|colder|warm|cold|cool|more white|whiter|bluish|yellowish|more yellow|neutral"),
    "modal": single(
        "air purifier|dehumidifier|humidifier|water heater|boiler|vacuum|fan|washing machine|heat pump|air conditioner"
    ),
    "hvac": one_of("ac|thermostat|heating|air conditioner|heater|climate|heat pump|aircon|hvac|fan"),
    "purifier": single("air purifier|purifier|air conditioner|ac|humidifier|dehumidifier|extractor hood"),
    "humid": single("humidifier|dehumidifier|air humidifier|purifier"),
    "diffuser": single("diffuser|aroma diffuser|scent diffuser|air freshener|fragrance diffuser|oil diffuser"),
    "bin": single("trash can|bin|trash bin|smart bin|garbage can"),
    "coverup": mix(
        (
            3,
            single(
                "blinds|blind|shade|shades|shutter|shutters|roller blind|awning|roller shutters|roman shade|curtain|garage door|screen"
            ),
        ),
        (2, group("blinds|shades|shutters|roller shutters|roller blinds")),
    ),
    "gatelike": single("gate|garage door|door|window|driveway gate"),
    "part": mix(
        (
            3,
            one_of("halfway|half way|half|a quarter|one third|three quarters|half open|one quarter|two thirds|a third"),
        ),
        (1, lambda rng: f"{number(1, 99, 5)(rng)} {rng.choice(['%', 'percent'])}"),
    ),
    "halfish": one_of("halfway|half way|half"),
    "shutpart": mix(
        (
            2,
            one_of(
                "halfway closed|half closed|half shut|half open|a quarter open|a quarter closed|three quarters closed|two thirds open"
            ),
        ),
        (
            2,
            lambda rng: (
                f"{number(1, 99, 5)(rng)} {rng.choice(['%', 'percent'])} {rng.choice(['open', 'closed', 'shut', 'open'])}"
            ),
        ),
    ),
    "bit": one_of("a bit|a little|a little bit|slightly|some|a crack|a tad|a touch"),
    "musicword": one_of("music|volume|sound|radio|audio|song|tunes|noise|tv|speaker|speakers|stereo|bass|movie"),
    "span": mix(
        (3, duration),
        (
            1,
            one_of(
                "hour|next hour|the meeting|tonight|rest of the day|a while|next two hours|day|half an hour|ten minutes|the night|an hour"
            ),
        ),
    ),
    "mediaword": one_of(
        "music|song|movie|video|film|track|playback|show|podcast|radio|audio|tunes|media|audiobook|playlist|episode|tv"
    ),
    "trackword": one_of("song|song|track|track|episode|video|chapter|title|tune|one|item|number|piece|movie"),
    "roommedia": mix((1, room), (1, single(MEDIA))),
    "buttonname": mix(
        (
            2,
            one_of(
                "doorbell|restart|reset|identify|reboot|panic|garage|feed|feed now|water now|start|find phone|elevator|coffee"
            ),
        ),
        (1, lambda rng: f"{room(rng)} {rng.choice(['restart', 'identify', 'reset'])}"),
        (1, made_up),
    ),
    "mood": one_of("romantic|cozy|party|calm|relaxing|dinner|movie|festive|warm|sunset|reading|spooky|christmas|chill"),
    "onoff": one_of("on|off"),
    "degreesunit": lambda rng: (
        f"{rng.randint(15, 28) if rng.random() < 0.8 else spoken(rng.randint(15, 28))} {rng.choice(['degrees', 'degrees', '°', 'degrees celsius', 'celsius'])}"
    ),
    "upstairs": one_of("upstairs|downstairs|outside|outdoors|inside"),
}
_AN_HOUR = ("night", "morning", "evening", "time", "party", "nightlight", "welcome home")
_OCCASIONS = tuple(
    word
    for word in f"{ACTIVITY}|film|game|quiz|poker|girls|family|spa|match|craft|tea".split("|")
    if not word.endswith(_AN_HOUR)
)
FILLERS |= {
    "heat": one_of("heat|heat|warm"),
    "heating": one_of("heating|heating|warming"),
    "watering": one_of("water|watering|water|sprinkle|irrigating|irrigate|watering"),
    "gardenish": mix((3, one_of("garden|lawn|plants|yard|flowers|back yard|front yard|vegetables|roses|grass|orchard|field|hedge|patio plants|greenhouse|flower bed|tomatoes")), (1, room), (1, plot)),
    "odd": mix((1, one_of("|".join(ODD_NAMES))), (2, one_of("|".join(NOUNS))), (1, made_up), (1, lambda rng: f"{rng.choice(NOUNS)} {rng.choice(['switch', 'plug', 'light', 'fan', 'lamp'])}")),
    "alltheway": one_of("all the way|all the way|completely|fully|to the max|to the top|right"),
    "anycolor": one_of("a random color|random|a different color|some random color|another color|a nice color|something warm|a warmer color|a cooler color|a romantic color"),
    "loudest": one_of("loudest|the loudest|the loudest setting|the highest|max|the lowest|the lowest setting|the maximum|quietest|the highest level|full blast"),
}  # fmt: skip
_UTMOST = "the max|max|maximum|the maximum|min|minimum|the minimum|the lowest|lowest|the highest|highest|full|half|the lowest setting|the highest setting|the highest level|the lowest level|maximum level|minimum level|full power|its maximum|its minimum|the lowest possible|the highest possible"
FILLERS |= {
    "turnon": one_of("turn on|turn on|switch on|put on|power on"),
    "turnoff": one_of("turn off|turn off|turn off|switch off|shut off|power off"),
    "utmost": one_of(_UTMOST),
    "amount": mix((3, percent), (2, one_of(_UTMOST)), (1, one_of("a quarter|a third|two thirds|three quarters|half|a hundred percent|a hundred|one hundred|100 %|0 %|zero|ten|5"))),
    "top": one_of("full|max|maximum|minimum|lowest|highest|half|min|the highest|the lowest|the maximum"),
    "asbright": one_of("as bright as possible|as bright as it goes|as bright as it gets|as bright as they go|as dim as possible|as dim as it goes|as bright as can be|as dark as possible|as low as possible|as low as it goes|as high as it goes"),
    "asloud": one_of("as loud as possible|as loud as it goes|as loud as it gets|as quiet as possible|as quiet as it goes|as low as possible|as high as it goes"),
    "fully": one_of("all the way|all the way|completely|fully"),
    "fullword": one_of("fully|all the way|completely"),
    "lightword": one_of("lights|lights|light|lamps|lighting"),
    "rarething": mix((3, single("walkway|fountain|pergola|aquarium|fireplace|sprinklers|irrigation|pool pump|heat lamp|towel rail|heated towel rail|nightlight|christmas tree|string lights|display cabinet|chandelier|sconces|dehumidifier|diffuser|purifier|water heater|kettle|boiler|doorbell|projector|soundbar|pond|hot tub|jacuzzi|sauna|patio heater|garden lights|fairy lights|waterfall|bird bath heater|fire pit|fish tank|terrarium|greenhouse heater|electric blanket|humidifier|air fryer|bug zapper|mosquito trap|neon sign|disco ball|lava lamp|grow light|uv lamp|aroma diffuser|hob|cooker|telly|stereo|extractor|lawn sprinkler|outdoor heater|infrared heater|gutter heating|driveway heating|siren|alarm|security lights|pet fountain|cat fountain|bread maker|vacuum pump|compressor|server rack|ups|router")), (1, single(APPLIANCE))),
    "outdoor": single("sprinklers|sprinkler|irrigation|fountain|watering|pool pump|waterfall|pond pump|misters|drip line|hose|lawn sprinklers|garden pump"),
    "kettle": one_of("kettle|telly|heating|radio|lights|oven|coffee machine|fire|tv|immersion|fairy lights|tunes"),
    "heatable": mix((2, one_of("pool|hot tub|bath|house|water tank|sauna|jacuzzi|whole house|spa|flat|greenhouse|garage|conservatory")), (1, room)),
    "long": mix((2, _named(LAMP)), (1, _named(APPLIANCE)), (1, _named(FAN)), (1, _named(MEDIA))),
    "itword": one_of("it|it|them|that"),
    "cozier": one_of("cozier|cosier|warmer|cooler|colder|softer|whiter|yellower|more cozy|more homely|less harsh|like candlelight"),
    "sensedstate": one_of("vibrating|leaking|open|on|running|moving|broken|overheating|offline|unlocked|wet|burning|recording|charging|left on|still on|making noise"),
    "leftstate": one_of("on|open|running|unlocked|switched on|turned on|plugged in"),
    "moving": one_of("moving|walking|movement|motion"),
    "gonehome": one_of("gone|back|home|away|still here|at home|out"),
    "updates": one_of("updates|updates|software updates|firmware updates|problems|low batteries"),
    "available": one_of("available|pending|ready|there|waiting"),
    "sensorname": mix((3, single("thermometer|barometer|rain gauge|weather station|water meter|gas meter|electricity meter|power meter|air sensor|soil sensor|scale|hygrometer|co2 monitor|sensor|smart meter|flow meter|wind sensor|light sensor|tank sensor|plug")), (1, made_up)),
    "quantityname": one_of("temperature|humidity|pressure|power|energy use|current|voltage|water level|rainfall|wind speed|air quality|battery level|signal strength|moisture|weight|flow rate|apparent power|speed|noise level|brightness"),
    "dated": one_of("next bin collection|next garbage collection|next sunset|next sunrise|next full moon|next service|last update|last restart|next filter change|next watering|next payment|filter replacement|last backup"),
    "extreme": one_of("maximize|maximize|maximise|minimize|minimize|minimise|max out"),
    "heatword": one_of("heating|heating|heating|heat|thermostat|central heating|radiator|ac|aircon|boiler"),
    "openshut": one_of("open|open|closed|shut"),
    "locked": one_of("locked|locked|unlocked|bolted|secure"),
    "doing": one_of("running|going|working|charging|heating|cooling|playing|busy|idle"),
    "curtains": group("curtains|drapes|blinds|curtain|shades|blind|shutters"),
    "coverplural": one_of("windows|doors|blinds|curtains|shutters|gates|garage doors"),
    "lightplural": one_of("lights|lamps|fans|plugs|heaters|switches|devices|appliances"),
    "occasion": mix((4, lambda rng: f"{rng.choice(_OCCASIONS)} {rng.choice(('night', 'night', 'time', 'evening', 'hour', 'party'))}"), (1, lambda rng: f"{made_up(rng)} {rng.choice(('night', 'time', 'mode', 'evening'))}")),
    "machine": single("dryer|washing machine|dishwasher|tumble dryer|washer|oven|microwave|coffee machine|3d printer|printer|robot mower|bread maker|air fryer|sprinklers"),
    "everywhere": one_of("everywhere|in every room|in all rooms|all over the house|throughout the house|in the whole house|in the entire house|on all floors|on every floor|around the house|in the house"),
    "anything": one_of("anything|something|any device|any of the devices|anything else|any thing"),
    "lowhigh": one_of("low|high|full|half|medium|the lowest|the highest|maximum|minimum|max|dim|bright|full blast|full power"),
    "everylight": one_of("every device|all the lights|all lights|every light|all the devices|everything in the house"),
    "butnot": one_of("except|except|except for|but|but not|but for|apart from|other than|besides|excluding|aside from|save for|without"),
    "exceptplace": mix((3, room), (1, lambda rng: f"{room(rng)} {rng.choice(('one', 'light', 'lamp', 'ones', 'lights'))}"), (1, single(LAMP)), (1, one_of("|".join(FLOORS)))),
    "exceptone": mix((2, room), (1, one_of("|".join(MODIFIERS))), (1, lambda rng: f"{person(rng)}'s")),
    "alldoors": one_of("all the doors|every door|all doors|the doors|all the locks"),
    "tank": single("pool|hot tub|water heater|boiler|aquarium|water|fish tank|spa|sauna|jacuzzi|oven|water tank"),
    "heated": single("water heater|boiler|pool|hot tub|oven|sauna|towel rail|aquarium|kettle|fridge|freezer|wine cooler|radiator|heater|floor heating"),
    "fanword": one_of("fan|fan|ceiling fan|ventilation|extractor|purifier"),
    "gateish": mix((2, single("gate|garden gate|front gate|driveway gate|garage|garage door|pet door|cat flap|skylight|pool cover|hatch|barn door|door|window|pergola roof|tent|greenhouse vent|vent|damper")), (1, single(COVER))),
    "awning": single("awning|sunshade|sun sail|canopy|patio awning|marquee|pergola shade|sun awning"),
    "coverword": one_of("blinds|curtains|shades|shutters|window|blind|curtain|windows|drapes|roller blinds|awning|skylight"),
    "doorword": one_of("door|lock|doors|door|door lock|gate|deadbolt"),
    "tvshow": one_of("tv show|tv show|tv series|series|show|sitcom|documentary|episode|movie|film|cartoon|anime"),
    "podcastword": one_of("podcast|podcast|audiobook|radio show|audio book|episode"),
    "albumword": one_of("album|album|song|track|record|single|movie|film"),
    "artistword": one_of("artist|band|singer|composer|group|rapper"),
    "stationword": one_of("station|radio station|channel|station"),
    "playlistword": one_of("playlist|playlist|mix|album|radio|station|podcast|soundtrack"),
    "genre": one_of("jazz|rock|classical|blues|reggae|country|hip hop|rap|pop|techno|house|folk|opera|metal|punk|soul|funk|disco|ambient|latin|salsa|gospel|bluegrass|lofi|swing|eighties|nineties|christmas|holiday|children's|relaxing|workout|party|sleep|dinner|movie"),
    "artist": artist,
    "work": work,
    "station": station,
    "musicbare": one_of("music|music|music|tunes|audio"),
    "oddduration": mix((2, one_of("1/2 a minute|1/2 an hour|1/2 hour|1/2 minute|half a minute|half an hour|half hour|a half hour|a minute and a half|an hour and a half|an hour and a quarter|a quarter of an hour|quarter of an hour|quarter hour|three quarters of an hour|1 and a half hours|one and a half minutes|two and a half hours|2 and a half minutes|1 1/2 hours|2 1/2 hours|5 1/2 minutes|1.5 hours|2.5 minutes|an hour|a minute|one hour and a half|two hours and a quarter|90 secs|30 sec|five mins|10 mins|2 hrs|1 hr|an hour thirty|one hour thirty|a couple of hours|a couple minutes|a few minutes|45 s|1/4 hour|3/4 of an hour")), (1, lambda rng: f"{rng.randint(1, 12)} {rng.choice(('hours', 'hour', 'hrs'))} {rng.choice(('', 'and '))}{rng.randint(1, 59)} {rng.choice(('minutes', 'mins', 'minute'))}"), (1, lambda rng: f"{spoken(rng.randint(1, 12))} and a half {rng.choice(('minutes', 'hours'))}"), (1, duration)),
    "anyitem": mix((3, item_made), (3, lambda rng: SAMPLER.fill("item", rng))),
    "anymessage": mix((2, message_made), (2, lambda rng: SAMPLER.fill("message", rng))),
    "scenelong": mix((3, one_of(ACTIVITY)), (2, lambda rng: f"{rng.choice(TITLE_WORDS)} {rng.choice(TITLE_WORDS)}"), (1, made_up), (1, lambda rng: f"{person(rng)}'s {rng.choice(ACTIVITY.split('|'))}"), (1, lambda rng: f"{room(rng)} {rng.choice(ACTIVITY.split('|'))}"), (1, one_of("all off|lights out|leave home|arm away|open house|close up|turn down service|cool down|warm welcome|mute all|good bye|rise and shine|party time"))),
}  # fmt: skip
SAMPLER: Sampler = Sampler(FILLERS)
