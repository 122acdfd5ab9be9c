"""Questions about the house: from a table of what can be sensed, and the ways people ask after it."""

from __future__ import annotations

import random

from intents.corpus.agreed import agreed
from intents.corpus.common_home import some_home
from intents.corpus.lexicon import (
    APPLIANCE,
    CLIMATE,
    COVER,
    COVERS,
    LAMP,
    LAMPS,
    LOCK,
    MEDIA,
    SAMPLER,
    VACUUM,
    VALVE,
    person,
    single,
)
from intents.corpus.phrases import Phrase, squeeze
from intents.line import Parse

# Things that are in one of two states: nouns (singular|..., plural|...), and the words for the states.
TWO_STATE: tuple[tuple[str, str, str], ...] = (
    (LAMP, LAMPS, "on|off|on|off|lit"),
    (
        APPLIANCE,
        "switches|plugs|fans|heaters|devices|appliances|outlets",
        "on|off|running|turned on|switched off",
    ),
    (COVER, COVERS, "open|closed|open|closed|shut|up|down|opened"),
    (
        "window|door|back door|shed door|garage door|fridge door|pet door|cellar window|skylight|gate",
        "windows|doors|garage doors|gates|openings",
        "open|closed|shut|open|ajar",
    ),
    (LOCK, "doors|locks|doors|gates", "locked|unlocked|locked|securely locked|bolted"),
    (VALVE, "valves|taps", "open|closed|shut"),
    (MEDIA, "speakers|tvs|media players", "playing|paused|on|off|idle|muted"),
    (
        "fountain|fireplace|pool pump|towel rail|christmas tree|sprinkler|irrigation|hot tub|sauna|kettle|water heater|heat lamp|projector|soundbar|purifier|dehumidifier|humidifier|diffuser|alarm|heating|hob|cooker|iron|telly|hoover|string lights",
        "sprinklers|fountains|heaters|pumps|appliances|devices",
        "on|off|running|on|off|still on|still running|switched on|turned off",
    ),
    (
        "mailbox|letterbox|fridge|freezer|safe|cupboard|drawer|cabinet|oven|dishwasher|cat flap|pool cover|awning|hatch|loft hatch|garage",
        "cabinets|drawers|cupboards|hatches",
        "open|closed|shut|ajar|still open|left open",
    ),
    (VACUUM, "vacuums|robots|mowers", "docked|cleaning|charging|running|stuck|done"),
    (CLIMATE, "thermostats|heaters|radiators", "on|off|heating|cooling|running"),
    (
        "phone|tablet|laptop|router|car|watch|hub|printer|server|camera|doorbell|bridge",
        "devices|phones|cameras|computers|routers|sensors",
        "connected|disconnected|online|offline|plugged in|unplugged|charging|home|away|up to date|powered|powered on",
    ),
    (
        "washer|dryer|dishwasher|oven|pump|boiler|printer|washing machine|pet feeder|freezer|compressor",
        "machines|appliances|devices|pumps",
        "running|done|finished|on|off|active",
    ),
    (
        "leak sensor|water sensor|basement floor|flood sensor|soil|sink sensor|moisture sensor|rain sensor",
        "leak sensors|water sensors|moisture sensors|flood sensors",
        "wet|dry|triggered|leaking",
    ),
    (
        "motion sensor|presence sensor|occupancy sensor|smoke detector|gas detector|alarm|tamper sensor|vibration sensor|sound sensor|glass break sensor|siren|smoke sensor|gas sensor|light sensor|problem sensor|safety sensor",
        "motion sensors|smoke sensors|occupancy sensors|gas sensors|alarms|smoke detectors|co sensors|sound sensors|vibration sensors|tamper sensors|light sensors",
        "triggered|on|off|active|clear|ok|tripped|set off|quiet|tampered|tampered with|vibrating|safe|unsafe",
    ),
    (
        "pipes|water pipes|computer|engine|greenhouse|server|pool|attic|heater|freezer|furnace|tank",
        "pipes|machines|tanks|sensors|devices",
        "hot|cold|freezing|overheating|normal|too hot|too cold",
    ),
    (
        "kitchen|basement|bathroom|cellar|laundry room|garage|hallway|roof|floor|bath",
        "floors|rooms|cellars|bathrooms",
        "flooded|wet|dry|under water|damp",
    ),
    ("road|path|stove|ladder|bridge|cellar|pool", "roads|paths|areas", "safe|unsafe"),
    (
        "room|office|bathroom|toilet|meeting room|garage|parking space|guest room|shower|bed|nursery|study",
        "rooms|bathrooms|offices|beds|parking spaces|bedrooms",
        "occupied|empty|free|in use|vacant|taken",
    ),
)
# What can be there or not, without a device being named.
DETECTED = "motion|movement|smoke|gas|carbon monoxide|co|water|a leak|moisture|light|sound|noise|vibration|occupancy|presence|someone|anyone|somebody|a problem|problems|an update|updates|tampering|heat|power|mains power|cold|any motion|any smoke|any gas|any noise|any carbon monoxide|any water|any leaks|any movement|any problems|any updates"
# What has a number: how it is asked after, and "how ADJECTIVE".
QUANTITY = [
    "temperature",
    "humidity",
    "battery",
    "battery level",
    "brightness",
    "light level",
    "illuminance",
    "power",
    "power usage",
    "power consumption",
    "energy",
    "energy usage",
    "energy consumption",
    "air quality",
    "co2",
    "co2 level",
    "carbon dioxide",
    "carbon dioxide concentration",
    "carbon monoxide level",
    "pm2.5",
    "pm10 level",
    "pm1",
    "ozone",
    "ozone level",
    "pressure",
    "air pressure",
    "atmospheric pressure",
    "wind speed",
    "speed",
    "rain",
    "rainfall",
    "precipitation",
    "rain intensity",
    "water level",
    "water usage",
    "water consumption",
    "gas consumption",
    "gas usage",
    "voltage",
    "current",
    "frequency",
    "signal strength",
    "wifi signal",
    "distance",
    "mileage",
    "weight",
    "volume",
    "noise level",
    "sound level",
    "sound pressure",
    "moisture",
    "soil moisture",
    "duration",
    "remaining time",
    "download speed",
    "upload speed",
    "data rate",
    "size",
    "data size",
    "price",
    "cost",
    "balance",
    "state",
    "status",
    "value",
    "reading",
    "nitrogen dioxide concentration",
    "no2 level",
    "nitrogen monoxide level",
    "n2o concentration",
    "sulphur dioxide level",
    "so2",
    "voc level",
    "organic compounds",
    "power factor",
    "apparent power",
    "reactive power",
    "irradiance",
    "date",
    "level",
    "storage level",
    "stored energy",
    "current value",
    "position",
    "mode",
    "fan speed",
    "temperature reading",
    "amount",
    "uv index",
    "tyre pressure",
    "ph",
    "salt level",
    "fill level",
    "consumption",
    "production",
    "output",
    "setting",
]
ADJECTIVE = "damp|stuffy|deep|salty|humid|dry|bright|dark|loud|noisy|fast|heavy|full|empty|windy|charged|far|old|clean|polluted|moist|wet|strong|big|expensive|long"
SENSOR = [
    "sensor",
    "meter",
    "phone",
    "tablet",
    "car",
    "heat pump",
    "outside sensor",
    "weather station",
    "thermometer",
    "solar panels",
    "solar production",
    "powerwall",
    "grid",
    "water pump",
    "water tank",
    "rain sensor",
    "air sensor",
    "plant sensor",
    "freezer",
    "fridge",
    "wall plug",
    "washing machine",
    "dishwasher",
    "router",
    "nas",
    "log file",
    "printer",
    "scale",
    "bed sensor",
    "mailbox",
    "gas meter",
    "electricity meter",
    "water meter",
    "ups",
    "server",
    "aquarium",
    "pool",
    "boiler",
    "furnace",
    "watch",
    "remote",
    "door sensor",
    "window sensor",
    "motion sensor",
    "battery pack",
    "inverter",
    "charger",
    "hot tub",
    "greenhouse",
    "humidity sensor",
    "temperature sensor",
    "co2 sensor",
    "air quality sensor",
    "pm2.5 sensor",
    "ozone sensor",
    "house current draw",
    "input voltage",
    "car mileage",
    "outside temperature",
    "next birthday",
    "price per kwh",
    "sound bar",
    "barometer",
    "anemometer",
    "wind sensor",
    "doorbell",
    "smart lock",
    "blinds",
    "vacuum",
    "tyre",
    "oven",
    "kettle",
    "brewery mixer",
    "wine fridge",
    "3d printer",
    "garage freezer",
    "beehive",
    "monthly gas consumption",
    "water usage today",
    "living room humidity",
    "grid frequency",
    "wall plug power factor",
    "heat pump no2 sensor",
    "outside rain sensor",
    "travelling speed",
    "water pump usage",
]

_NAMED = single("|".join(SENSOR))


def _pick(words: str, rng: random.Random) -> str:
    return rng.choice(words.split("|"))


def _room(rng: random.Random) -> str:
    return some_home(rng).fill("room", rng)


def _ask(rng: random.Random) -> tuple[str, dict[str, str]]:
    """A sentence with its spans in braces: {slot=words}."""
    r = rng.random()
    where = (
        _room(rng)
        if rng.random() < 0.85
        else _pick(
            "upstairs|downstairs|outside|house|first floor|second floor|ground floor|basement",
            rng,
        )
    )
    in_where = (
        f"{_pick('in the|in the|in|at the|in my', rng)} {{where={where}}}"
        if where not in ("upstairs", "downstairs", "outside")
        else f"{{where={where}}}"
    )
    if "floor" in where:
        in_where = f"{_pick('on the|on the|at the|in the', rng)} {{where={where}}}"
    the = _pick("the |the |my |the ||", rng)
    now = _pick("||| right now| now| at the moment| currently", rng)
    if r < 0.56:
        nouns, plurals, states = rng.choice(TWO_STATE)
        state = f"{{state={_pick(states, rng)}}}"
        if rng.random() < 0.42:
            name = single(nouns)(rng)
            q = rng.random()
            return (
                f"{_pick('is|is|is|are|check if|tell me if|do you know if|i wonder if|did i leave|did someone leave|did we leave|have i left|was|can you check whether|is my|can you tell if', rng)} {the}{{what={name}}} {state}{now}"
                if q < 0.8
                else f"{_pick('what is the state of|what is the status of|tell me the status of|check|tell me the state of|status of|what state is|what about|how is|give me the status of|check on', rng)} {the}{{what={name}}}{_pick('|| in', rng) if q > 0.99 else ''}",
                {},
            )
        things = _pick(plurals, rng)
        q = rng.random()
        if q < 0.08:
            return (
                f"{_pick('is there|do i have|do we have|are there|have i got', rng)} {_pick('any|an|a', rng)} {state} {{what={things}}} {_pick('|' + in_where, rng)}",
                {},
            )
        if q < 0.34:
            quant = _pick(
                "any |any |all |all the |all of the |any of the |the |some |both |every ",
                rng,
            )
            body = f"are {{what={quant}{things}}} {state}"
        elif q < 0.48:
            body = f"how many {_pick('|of the |', rng)}{{what={things}}} are {state}{now}"
        elif q < 0.66:
            body = f"{_pick('which|what|which of the|which of my', rng)} {{what={things}}} are {state}{now}"
        elif q < 0.72:
            return (
                f"are {{what={_pick('any |all |the |all the ', rng)}{things} in the {_room(rng)}}} {state}",
                {},
            )
        elif q < 0.80:
            return (
                f"{_pick('are any|are all|are the|how many|which|how many of the|which of the', rng)} {{what={_room(rng)} {things}}} {_pick('are ', rng) if rng.random() < 0.01 else ''}{state}",
                {},
            )
        elif q < 0.90:
            return (
                f"{_pick('any|any', rng)} {{what={things}}} {state} {_pick('|' + in_where, rng)}",
                {},
            )
        else:
            return (
                f"{_pick('list|show me|tell me', rng)} {_pick('all |the |all the |which |', rng)}{{what={things}}} {_pick('that are ', rng)}{state}",
                {},
            )
        return f"{body} {_pick('||' + in_where, rng)}", {}
    if r < 0.64:
        thing = _pick(DETECTED, rng)
        q = rng.random()
        any_, _, rest = thing.partition(" ") if thing.startswith("any ") else ("", "", thing)
        said = f"{any_} {{quantity={rest}}}"
        if q < 0.45:
            return (
                f"{_pick('is there|is there|are there|was there|do you see|do you detect|is there currently|has there been', rng)} {said} {_pick('||detected ', rng)}{_pick('|' + in_where, rng)}",
                {},
            )
        if q < 0.7:
            return (
                f"{_pick('is|is|are|has', rng)} {said} {_pick('detected|{state=detected}|present|been detected', rng)} {_pick('|' + in_where, rng)}",
                {},
            )
        return (
            f"{_pick('is there|are there', rng)} {said} {_pick('with|from|at|on|for', rng)} {the}{{what={_NAMED(rng)}}}",
            {},
        )
    if r < 0.745:
        who = person(rng)
        group_ = _pick("anyone|anybody|someone|everyone|everybody|who|all devices|the kids", rng)
        home = _pick(
            "home|away|at work|at school|home|not home|here|in the house|at the gym|at the office",
            rng,
        )
        return rng.choice(
            [
                f"where is {{what={who}}}",
                f"where is {{what={who}}} {_pick('right now|now|at the moment|at', rng)}",
                f"{_pick('do you know where|can you tell me where|tell me where|any idea where', rng)} {{what={who}}} is",
                f"{_pick('has|did', rng)} {{what={who}}} {_pick('come|arrived|got|get|gotten', rng)} {{state=home}} {_pick('|yet|already', rng)}",
                f"is {_pick('there |', rng)}{{what={_pick('anyone|anybody|someone|somebody|everyone|everybody|nobody', rng)}}} {{state={home}}}{now}",
                f"{_pick('is', rng)} {{what={who}}} {_pick('still |already |back |', rng)}{{state={_pick('home|at home|here|away|out|at work|in the house', rng)}}}",
                f"{{what=who}} {_pick('is|s', rng).replace('s', 'is').replace('iis', 'is')} {{state={_pick('home|at home|in|away|here', rng)}}}{now}",
                f"where's {{what={who}}}",
                f"is {{what={who}}} {{state={home}}}",
                f"is {{what={who}}} {{state={home}}}",
                f"is {{what={group_}}} {{state={home}}}",
                f"{{what=who}} is {{state={home}}}",
                f"which {_pick('{what=people}|{what=persons}|{what=family members}', rng)} are {{state={home}}}",
                f"how many {{what=people}} are {{state={home}}}",
                f"are all {{what=people}} {{state={home}}}",
                f"{{what=who}} is {in_where}",
                f"is {{what={who}}} {in_where}",
            ]
        ), {}
    quantity = rng.choice(QUANTITY)
    name = _NAMED(rng) if rng.random() < 0.75 else single(f"{MEDIA}|{CLIMATE}|{VACUUM}|{APPLIANCE}")(rng)
    asking = _pick(
        "what is the|what's the|what is|what's|tell me the|give me the|how is the|read me the|check the|what's the current|what is the current|show me the|do you know the|can you tell me the|how much is the",
        rng,
    )
    q = rng.random()
    if q < 0.33:
        return (
            f"{asking} {{quantity={quantity}}} {_pick('of|of|in|on|from|for|at|measured by|indicated by|reported by|by', rng)} {the}{{what={name}}}{now}",
            {},
        )
    if q < 0.45:
        return f"{asking} {{what={name} {quantity}}}{now}", {}
    if q < 0.53:
        return (
            f"{_pick('what is|what s', rng).replace(' s', ' is')} {the}{{what={name}}}'s {{quantity={quantity}}}",
            {},
        )
    if q < 0.62:
        return f"{asking} {{quantity={quantity}}} {in_where}{now}", {}
    if q < 0.70:
        return (
            f"{_pick('what is the amount of|how much', rng)} {{quantity={quantity}}} {_pick('is in|is left in|does|in|is there in', rng)} {the}{{what={name}}}{_pick('| have| use', rng)}",
            {},
        )
    if q < 0.78:
        adjective = _pick(ADJECTIVE, rng)
        return rng.choice(
            [
                f"how {{quantity={adjective}}} is it {_pick('|' + in_where, rng)}",
                f"how {{quantity={adjective}}} is {the}{{what={name}}}",
            ]
        ), {}
    if q < 0.84:
        level = _pick("low|full|empty|charged|dead|charging|fine|high|ok|depleted|flat", rng)
        return (
            f"is {the}{{what={name}}} {{quantity=battery}} {{state={level}}}"
            if rng.random() < 0.6
            else f"{_pick('are any|are all|how many|which', rng)} {{what={_pick('batteries|battery levels|phone batteries|sensor batteries', rng)}}} {_pick('are ', rng) if rng.random() < 0.3 else ''}{{state={level}}}",
            {},
        )
    if q < 0.90:
        return f"{asking} {{what={name}}} {_pick('value|reading|', rng)}", {}
    if q < 0.95:
        return f"{{what={name} {quantity}}}", {}
    return f"how (much|many) power is {the}{{what={name}}} using".replace("(much|many)", "much").replace(
        "power", "{quantity=power}"
    ), {}


def question(rng: random.Random) -> tuple[str, list[Parse]]:
    """One question, with its parse."""
    marked, _ = _ask(rng)
    slots: dict[str, str] = {}
    text = ""
    rest = marked
    while "{" in rest:
        before, _, rest = rest.partition("{")
        inside, _, rest = rest.partition("}")
        slot, _, span = inside.partition("=")
        slots[slot] = squeeze(span)
        text += before + span
    text = squeeze(text + rest)
    return text, [agreed(text, Parse("get_state", slots))]


__all__ = ["SAMPLER", "Phrase", "question"]
