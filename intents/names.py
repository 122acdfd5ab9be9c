"""Which devices a noun phrase means: by name, by what they are, by where they are, and by how they sound.

Every word of a phrase has to be accounted for by a device before it is meant: "the red lamp" is no lamp that is not red.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import jellyfish
from rapidfuzz.distance import OSA

from devices.device import Device, Kind
from intents.homes import Home
from intents.line import places, words

_EMPTY = frozenset(
    "the a an and my our your his her he she their of in on at inside into to for from by with that this these those some "
    "please".split()
)
_EVERY = frozenset("all every each both everything any single entire whole".split())
_HERE = frozenset("here".split())
_WHOLE_HOME = frozenset("house home apartment flat everywhere household place building rooms".split())
_ANYTHING = frozenset("everything device devices thing things stuff appliances appliance".split())
PRONOUNS = frozenset("it them that this those these one".split())
_ALL_OVER = frozenset("room area across around throughout over".split())
_THIS_ROOM = re.compile(r"\b(?:this (?:room|space|area)|the (?:room|space))\b")
_EVERY_ROOM = re.compile(r"\b(?:(?:each|every|all|any) (?:of the )?(?:single )?(?:rooms?|areas?|floors?)|all over)\b")
_UP_DOWN = MappingProxyType({"upstairs": 1, "downstairs": -1})

Fits = Callable[[Device], bool]


def _kind(*kinds: Kind, classes: str = "") -> Fits:
    wanted = frozenset(classes.split())
    return lambda d: d.kind in kinds and (not wanted or d.device_class in wanted)


def _dries(d: Device) -> bool:
    return d.device_class == "dehumidifier" or "dehumidifier" in words_of(d.name)


def _named(fits: Fits, *tokens: str) -> Fits:
    """As `fits`, and the device's name says so too."""
    return lambda d: fits(d) and bool(set(tokens) & set(words_of(d.name)))


_SWITCH = _kind(Kind.SWITCH)
_LIGHTS = _kind(Kind.LIGHT)
_CLIMATE = _kind(Kind.CLIMATE, Kind.WATER_HEATER)
_MEDIA = _kind(Kind.MEDIA_PLAYER)
_COVER = _kind(Kind.COVER)
_VALVE = _kind(Kind.VALVE)
_DOORS = _kind(Kind.LOCK, Kind.COVER, Kind.BINARY_SENSOR, classes="")

# What a word says of a device, in the singular. A word may say several things: a door is a lock or a cover.
KINDS: Mapping[str, Fits] = MappingProxyType(
    {
        **dict.fromkeys("light lamp bulb lighting lightbulb led spotlight illumination".split(), _LIGHTS),
        **dict.fromkeys("switch plug socket outlet".split(), _SWITCH),
        **dict.fromkeys("fan ventilator ventilation".split(), _kind(Kind.FAN)),
        "blind": _kind(Kind.COVER, classes="blind shade shutter"),
        **dict.fromkeys("curtain drape".split(), _kind(Kind.COVER, classes="curtain")),
        "shade": _kind(Kind.COVER, classes="shade blind awning"),
        "shutter": _kind(Kind.COVER, classes="shutter blind shade"),
        "awning": _kind(Kind.COVER, classes="awning shade"),
        "cover": _COVER,
        "window": lambda d: d.kind in (Kind.COVER, Kind.BINARY_SENSOR) and d.device_class == "window",
        "garage": lambda d: d.kind == Kind.COVER and d.device_class in ("garage", "garage_door"),
        "gate": lambda d: (d.kind == Kind.COVER and d.device_class == "gate") or (d.kind == Kind.LOCK and "gate" in words_of(d.name)),
        "door": lambda d: d.kind == Kind.LOCK or d.device_class in ("door", "garage", "garage_door", "opening"),
        "lock": _kind(Kind.LOCK),
        "deadbolt": _kind(Kind.LOCK),
        **dict.fromkeys("valve sprinkler irrigation watering water tap".split(), _VALVE),
        **dict.fromkeys("thermostat heating heat heater ac aircon conditioning conditioner climate hvac warm furnace".split(), _CLIMATE),
        "temperature": _CLIMATE, "temp": _CLIMATE,
        **dict.fromkeys("tv television telly".split(), _kind(Kind.MEDIA_PLAYER, classes="tv")),
        **dict.fromkeys("speaker music radio stereo song audio sound volume playback media player".split(), _MEDIA),
        **dict.fromkeys("movie film video track show podcast tune playlist episode".split(), _MEDIA),
        **dict.fromkeys("vacuum robot hoover roomba cleaner vac mop".split(), _kind(Kind.VACUUM)),
        **dict.fromkeys("mower lawnmower lawn".split(), _kind(Kind.LAWN_MOWER)),
        **dict.fromkeys("scene mode script routine".split(), _kind(Kind.SCENE, Kind.SCRIPT)),
        "fire": lambda d: d.kind in (Kind.SWITCH, Kind.CLIMATE) and "fireplace" in words_of(d.name),
        "button": _kind(Kind.BUTTON), "siren": _kind(Kind.SIREN), "alarm": _kind(Kind.SIREN),
        "humidifier": lambda d: d.kind == Kind.HUMIDIFIER and not _dries(d),
        "dehumidifier": lambda d: _dries(d),
        "purifier": _kind(Kind.FAN, Kind.HUMIDIFIER),
        **dict.fromkeys("person people everyone anyone everybody anybody somebody someone who family".split(), _kind(Kind.PERSON)),
        "list": _kind(Kind.TODO),
        "sensor": _kind(Kind.SENSOR, Kind.BINARY_SENSOR), "detector": _kind(Kind.SENSOR, Kind.BINARY_SENSOR),
    }
)  # fmt: skip
# Kinds of which "the light" of a room with three means all three; for all others one is asked for.
_TOGETHER = frozenset({Kind.LIGHT})
# What keeps people or water out: it is not looked for where nobody said that it is.
_IN_THE_WALL = frozenset({Kind.LOCK, Kind.COVER, Kind.VALVE, Kind.SIREN})
# Words beside a kind that say nothing more: "vacuum cleaner", "smart lock", "robot vacuum", "garage door opener".
_FILLING = frozenset(
    "smart robot system cleaner vacuum door opener machine device control unit controller player level current new system".split()
)


_NO_PLURAL = frozenset("gas bus lens always christmas atlas canvas upstairs downstairs".split())


def singular(token: str) -> str:
    """A noun without its plural ending, roughly: what matters is that both forms give the same."""
    if token in _NO_PLURAL:
        return token
    if token.endswith("ies") and len(token) > 4:
        return token[:-3] + "y"
    if token.endswith(("sses", "shes", "ches", "xes")):
        return token[:-2]
    if token.endswith("'s"):
        return token[:-2]
    return token[:-1] if token.endswith("s") and not token.endswith(("ss", "us", "is")) and len(token) > 2 else token


def words_of(name: str) -> tuple[str, ...]:
    """The words of a name or phrase that count: singular, without articles and prepositions."""
    return _words_of(name)


@lru_cache(1 << 14)  # the names of a home are the same from command to command
def _words_of(name: str) -> tuple[str, ...]:
    return tuple(singular(w) for w in words(name.replace("_", " ")) if w not in _EMPTY)


@dataclass(frozen=True, slots=True)
class Phrase:
    """A noun phrase taken apart. `rest` are the words that are neither quantifier nor place."""

    rest: tuple[str, ...]
    every: bool
    plural: bool
    areas: frozenset[str]
    floors: frozenset[str]
    here: bool
    whole_home: bool
    both: bool = False  # two of them are meant, no more


@dataclass(frozen=True, slots=True)
class Found:
    """The devices that are meant, or several of which one is meant (`ambiguous`); neither: nothing fits."""

    devices: tuple[Device, ...] = ()
    ambiguous: bool = False


class _Places:
    """The rooms, or the floors, of a home by the words of their names, those of most words first."""

    def __init__(self, names: Iterable[str]) -> None:
        self.words = {name: words_of(name) for name in names}
        longest = sorted(self.words.items(), key=lambda item: -len(item[1]))
        self._by_first: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for rank, (name, parts) in enumerate(longest):
            if parts:
                self._by_first[parts[0]].append((rank, name))

    def take(self, tokens: list[str]) -> set[str]:
        """The places that are named by a run of the tokens, whose words are then taken out of them."""
        found = set()
        for _, name in sorted({place for token in tokens for place in self._by_first.get(token, ())}):
            parts = self.words[name]
            if (at := next(places(tokens, parts), None)) is not None:
                found.add(name)
                tokens[at : at + len(parts)] = []
        return found


class Index:
    """A home made ready for looking up phrases: what a phrase can mean is found by its words, however large the home is.

    Devices are known here by their place in the home, in whose order they are found.
    """

    def __init__(self, home: Home) -> None:
        self.home = home
        self.names = [(d, tuple(words_of(n) for n in (d.name, *d.aliases))) for d in home.devices]
        self._rooms = _Places(home.areas)
        self._floors = _Places(
            dict.fromkeys([*(f for f in home.areas.values() if f), *(d.floor for d in home.devices if d.floor)])
        )
        self.areas, self.floors = self._rooms.words, self._floors.words
        self._by_name: dict[tuple[str, ...], set[int]] = defaultdict(set)
        self._by_word: dict[str, set[int]] = defaultdict(set)
        self._by_place_word: dict[str, set[int]] = defaultdict(set)
        self._of_kind: dict[str, frozenset[int]] = {}
        self._called: dict[str, set[tuple[tuple[str, ...], str]]] = defaultdict(set)
        self._place_names: dict[str, set[tuple[str, ...]]] = defaultdict(set)
        for at, (device, names) in enumerate(self.names):
            for name in names:
                self._by_name[tuple(sorted(name))].add(at)
                for word in name:
                    self._by_word[word].add(at)
            for word in self._around(device):
                self._by_place_word[word].add(at)
            for called in (device.name, *device.aliases):
                if len(said := tuple(words(called))) > 1:
                    self._called[said[0]].add((said, device.id))
        for place in {*self.areas, *self.floors}:
            if said := tuple(words(place)):
                self._place_names[said[0]].add(said)

    def called(self, said: Sequence[str]) -> set[tuple[tuple[str, ...], str]]:
        """The whole names of several words that occur among the words `said`, each with the id of its device."""
        return {
            (name, device)
            for at, word in enumerate(said)
            for name, device in self._called.get(word, ())
            if tuple(said[at : at + len(name)]) == name
        }

    def place_names(self, said: Iterable[str]) -> set[tuple[str, ...]]:
        """The names of rooms and floors, as words, that begin with one of the words `said`."""
        return {name for word in said for name in self._place_names.get(word, ())}

    def _around(self, device: Device) -> set[str]:
        """The words for where the device is."""
        return set(self.areas.get(device.area or "", ())) | set(words_of(device.floor or ""))

    def _all_of_kind(self, token: str) -> frozenset[int]:
        """The devices of which the word says what they are."""
        if token not in self._of_kind:
            fits = KINDS.get(token)
            self._of_kind[token] = frozenset(
                at for at, device in enumerate(self.home.devices) if fits is not None and fits(device)
            )
        return self._of_kind[token]

    def phrase(self, text: str) -> Phrase:
        """The phrase with its quantifiers and places split off."""
        said = [w for w in words(text) if w not in _EMPTY]
        every = bool(set(said) & _EVERY)
        roomed = said[:1] in (["room"], ["space"]) and (len(said) == 1 or singular(said[1]) in KINDS)
        here = bool(set(said) & _HERE) or bool(_THIS_ROOM.search(text)) or roomed
        if here:
            said = [w for w in said if w not in ("here", "room", "space", "area")]
        plural = any(w != singular(w) and singular(w) in KINDS for w in said)
        tokens = [singular(w) for w in said if w not in _EVERY - {"everything"}]
        areas, floors = self._rooms.take(tokens), self._floors.take(tokens)
        for word in [t for t in tokens if t in _UP_DOWN]:
            named = self._up_or_down(word)
            if named:
                floors |= named
                tokens.remove(word)
        whole = not areas and bool(
            set(said) & _WHOLE_HOME or {"rooms", "everywhere"} & set(said) or _EVERY_ROOM.search(text)
        )
        if whole:
            tokens = [t for t in tokens if t not in _WHOLE_HOME and t not in _ALL_OVER]
        return Phrase(tuple(tokens), every, plural, frozenset(areas), frozenset(floors), here, whole, "both" in said)

    def _up_or_down(self, word: str) -> set[str]:
        """Floors that "upstairs" or "downstairs" means where none is called so."""
        order = {
            "basement": -1,
            "cellar": -1,
            "ground": 0,
            "main": 0,
            "first": 1,
            "second": 2,
            "third": 3,
            "upper": 2,
            "top": 3,
            "attic": 3,
        }
        ranks = {f: next((order[t] for t in parts if t in order), None) for f, parts in self.floors.items()}
        known = {f: r for f, r in ranks.items() if r is not None}
        if len(known) < 2:
            return set()
        lowest = (
            min(r for r in known.values() if r >= 0) if any(r >= 0 for r in known.values()) else min(known.values())
        )
        return {f for f, r in known.items() if (r > lowest if word == "upstairs" else r <= lowest)}

    def in_places(self, phrase: Phrase, devices: Iterable[Device]) -> list[Device]:
        """Those of the devices that are in the places of the phrase; all where it names none."""
        return [d for d in devices if self.inside(phrase, d)]

    def inside(self, phrase: Phrase, d: Device) -> bool:
        """Whether the device is in the places of the phrase; any is where it names none."""
        if phrase.areas:
            return d.area in phrase.areas
        return not phrase.floors or self._floor(d) in phrase.floors

    def _floor(self, device: Device) -> str | None:
        return device.floor or (self.home.areas.get(device.area) if device.area else None)

    def place(self, text: str) -> Phrase | None:
        """The phrase of a place, or None where a word of it is no place of this home."""
        phrase = self.phrase(text)
        if phrase.rest or not (phrase.areas or phrase.floors or phrase.here or phrase.whole_home):
            near = self._near_area(text)
            return self.phrase(near) if near else None
        return phrase

    def _near_area(self, text: str) -> str | None:
        """The room that sounds almost so, or the only one whose name ends so: the rooftop terrace is the terrace."""
        tokens = words_of(text)
        said = "".join(tokens)
        near = next((a for a, parts in self.areas.items() if said and _near("".join(parts), said)), None)
        if near or not tokens or tokens == ("room",):
            return near
        ending = [area for area, parts in self.areas.items() if parts[-len(tokens) :] == tokens]
        return ending[0] if len(ending) == 1 else None

    def exact(self, tokens: Collection[str], fits: Fits) -> list[Device]:
        """Devices that fit and one of whose names is these words, in any order."""
        return [d for d in self._at(self._by_name.get(tuple(sorted(tokens)), ())) if fits(d)]

    def _at(self, places: Iterable[int]) -> list[Device]:
        return [self.home.devices[at] for at in sorted(places)]

    def covering(self, tokens: Collection[str], fits: Fits) -> list[tuple[float, Device]]:
        """Devices that fit and whose name, room and kind account for every word, with the share of the name that was said."""
        out = []
        said = set(tokens)
        for at in sorted(self._candidates(said)):
            device, names = self.names[at]
            if not fits(device):
                continue
            around = self._around(device)
            of_kind = {t for t in said if at in self._all_of_kind(t)}
            best = 0.0
            for name in names:
                own = set(name) & said
                filled = said & _FILLING if of_kind or own else set()
                if said <= own | around | of_kind | filled:
                    best = max(best, 0.01 + len(own) / max(1, len(name)) + 0.1 * len(of_kind))
            if best:
                out.append((best, device))
        return out

    def _candidates(self, said: set[str]) -> set[int]:
        """The devices of which each word may say something; of words that only fill, one word."""
        about = {
            t: self._by_word.get(t, set()) | self._by_place_word.get(t, set()) | self._all_of_kind(t) for t in said
        }
        telling = [about[t] for t in said if t not in _FILLING]
        if telling:
            return set.intersection(*telling)
        return set().union(*about.values())

    def similar(self, tokens: Collection[str], fits: Fits) -> list[Device]:
        """Devices that fit and whose name is spelled or sounds almost like these words; never a lock: there near is not enough."""
        said = "".join(tokens)
        if len(said) < 4:
            return []
        return [
            d for d, names in self.names
            if d.kind != Kind.LOCK and fits(d) and any(_near("".join(n), said) for n in names)
        ]  # fmt: skip


@lru_cache(8)
def indexed(home: Home) -> Index:
    """The index of a home, made once: a home is the same from command to command."""
    return Index(home)


def _near(a: str, b: str) -> bool:
    if len(a) < 4 or abs(len(a) - len(b)) > 2:
        return a == b
    if a in (f"de{b}", f"un{b}") or b in (f"de{a}", f"un{a}"):
        return False  # a dehumidifier does the opposite of what a humidifier does
    if OSA.distance(a, b) <= (1 if len(a) < 8 else 2):
        return True
    return len(a) > 5 and _sound(a) == _sound(b)


@lru_cache(1 << 13)
def _sound(name: str) -> str:
    return jellyfish.metaphone(name)


def find(index: Index, text: str, where: str | None, area: str | None, fits: Fits) -> Found:
    """The devices that `text` means among those for which the verb makes sense, said in the room `area`.

    Order: a name that is just so; then kind, room and descriptions; then what is near in sound or spelling.
    """
    phrase = index.phrase(text)
    whole_tokens = words_of(text)
    if where:
        place = index.place(where)
        joined = index.exact(words_of(f"{where} {text}"), fits)
        if place is None:
            return Found(tuple(joined)) if len(joined) == 1 else Found()
        if len(joined) == 1 and not (phrase.every or phrase.plural):
            return Found(tuple(joined))  # "the light in the hall", where one is called hall light
        phrase = Phrase(
            phrase.rest, phrase.every, phrase.plural, place.areas or phrase.areas, place.floors or phrase.floors,
            place.here or phrase.here, place.whole_home or phrase.whole_home, phrase.both,
        )  # fmt: skip
    quantified = tuple(t for t in whole_tokens if t not in _EVERY)
    for tokens in (quantified, phrase.rest):
        if not tokens:
            continue
        named = index.exact(tokens, fits)
        if where or tokens == phrase.rest:
            named = index.in_places(phrase, named)
        if (
            len(named) == 1
            and not (phrase.every and phrase.plural)
            and not (phrase.plural and phrase.areas and _only_kind(phrase.rest))
            and not (phrase.floors and _only_kind(tokens))  # a lamp called "light" is not all the light of a floor
        ):
            return Found(tuple(named))
        if len(named) > 1 and not phrase.plural and not _only_kind(tokens):
            return _one_of(index, named, phrase, area)
    found = _described(index, phrase, fits, area)
    return found if found.devices or not phrase.areas else _adrift(index, phrase, fits)


def _adrift(index: Index, phrase: Phrase, fits: Fits) -> Found:
    """The device that is called just so and of which nobody has said where it is: it may well be in the room that was named."""
    named = [d for d in index.exact(phrase.rest, fits) if d.kind not in _IN_THE_WALL and not (d.area or d.floor)]
    return Found(tuple(named)) if len(named) == 1 else Found()


def _only_kind(tokens: Collection[str]) -> bool:
    return all(t in KINDS or t in _ANYTHING for t in tokens)


def _described(index: Index, phrase: Phrase, fits: Fits, area: str | None) -> Found:
    tokens = [t for t in phrase.rest if t not in _ANYTHING]
    at = area if phrase.here else None
    here: Fits = lambda d: index.inside(phrase, d) and (at is None or d.area == at) and fits(d)  # noqa: E731
    if not tokens:
        return _all_there(index, phrase, here, area)
    scored = index.covering(tokens, here)
    if not scored and (phrase.areas or phrase.floors):
        # A room word may be part of a name: "garage light" of the hall.
        scored = index.covering([*tokens, *(t for a in phrase.areas for t in index.areas[a])], fits)
    if not scored:
        near = index.similar(tokens, here)
        if not near and (phrase.areas or phrase.floors):
            near = index.similar([*(t for a in phrase.areas for t in index.areas[a]), *tokens], fits)
        return _one_of(index, near, phrase, area) if near else Found()
    many = phrase.every or phrase.plural or phrase.whole_home
    placed = bool(phrase.areas or phrase.floors or phrase.whole_home)
    if many:
        near_by = [] if placed or area is None else [d for _, d in scored if d.area == area]
        found = near_by or [d for _, d in scored]
        return _two(found, tokens) if phrase.both else Found(tuple(found))
    best = max(score for score, _ in scored)
    top = [d for score, d in scored if score >= best - 0.005]
    if len(top) > 1 and not placed and area is not None and (near_by := [d for d in top if d.area == area]):
        top = near_by
    elif not placed and area is not None and best < 1 and (near_by := [d for _, d in scored if d.area == area]):
        top = [d for d in near_by if d in top] or near_by
    if _only_kind(tokens) and (len(top) > 1 or phrase.floors):  # "the light" of a floor is no single lamp
        top = [d for _, d in scored if d in top or (d.kind in _TOGETHER and (d.area == area if not placed else True))]
        if all(d.kind in _TOGETHER for d in top) and (placed or area is not None):
            return Found(tuple(top))
    return _one_of(index, top, phrase, area)


def _two(devices: list[Device], tokens: list[str]) -> Found:
    """Both of them: of more than two those two that are called so; else it has to be asked which."""
    called = [d for d in devices if set(words_of(d.name)) & set(tokens)]
    devices = called if len(devices) > 2 and len(called) == 2 else devices
    return Found(tuple(devices), ambiguous=len(devices) > 2)


def _all_there(index: Index, phrase: Phrase, here: Fits, area: str | None) -> Found:
    """Everything of a place; of nothing that was named, nothing."""
    if not (phrase.every or phrase.areas or phrase.floors or phrase.here or phrase.whole_home or phrase.rest):
        return Found()
    found = [d for d in index.home.devices if here(d)]
    if area and not (phrase.areas or phrase.floors or phrase.whole_home):
        found = [d for d in found if d.area == area] or found
    return Found(tuple(found))


def _one_of(index: Index, devices: list[Device], phrase: Phrase, area: str | None) -> Found:
    """One device of several with the same claim: that of the room; else it has to be asked."""
    if len(devices) > 1 and area is not None and (near_by := [d for d in devices if d.area == area]):
        devices = near_by
    return Found(tuple(devices), ambiguous=len(devices) > 1)
