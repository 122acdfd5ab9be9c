"""What was heard, put right by the names of the home: "turn on the kitten light" where there is a kitchen and no kitten.

Only words that nobody says to a home ("known" ones are in common_words.txt) are ever replaced, and only by words of the
home's names that sound almost so. A sentence of known words and names comes back as it is. Pure, and for heard text alone:
who types means what is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources

from devices.device import Kind
from intents.homes import Home
from intents.line import words
from intents.names import singular

NEAR = 0.72  # how alike one word must sound; of two real names of a home hardly any are so near each other
NEARER = (
    0.86  # the same where a known word is given up with it ("bed rum"), and for short names, which many words are like
)
APART = 0.06  # by how much the best has to be better than the next
_SHORTEST = 3  # sounds of a word that can be told by them
_SHORT = 3.0  # the weight of a short name's sounds
_LONGEST = 3  # words that are taken together

_ENDINGS = ("s", "'s", "ing", "ed", "er", "en", "ish", "y", "d", "r")
# Words that hold a sentence together are never part of a name that was misheard.
_FUNCTION = frozenset(
    "a an the and or but not in on at of to by for from with off up down my our your this that it them all is are be i you".split()
)

# What keeps people out is never opened on hearsay: with one of these words in it a sentence stays as it was heard.
GUARDED = frozenset("lock locks locked unlock unlocked door doors gate gates garage deadbolt alarm".split())

# Beside these words anything may stand: an item, a title, a message.
ANYTHING = frozenset(
    "list lists add put buy play song album artist movie film podcast playlist station broadcast announce announcement say tell "
    "message remind reminder remember note called named call weather".split()
)


@dataclass(frozen=True, slots=True)
class Names:
    """The runs of words that names of a home consist of, each with how it sounds, and all the words in them."""

    runs: tuple[tuple[tuple[str, ...], str], ...]
    known: frozenset[str]


def names_of(home: Home) -> Names:
    """The names by which this home's things are called. A lock's name must be said as it is, so it is none of them."""
    able = [d for d in home.devices if d.kind is not Kind.LOCK]
    places = {*home.areas, *(floor for floor in home.areas.values() if floor), *(d.area for d in able if d.area)}
    said = {tuple(words(text)) for d in able for text in (d.name, *d.aliases)}
    runs = {run for name in said for run in _runs(name)} | {tuple(words(place)) for place in places}
    sounding = ((run, sound("".join(run))) for run in sorted(runs) if run and all(map(str.isalpha, run)))
    known = frozenset(word for name in (*said, *runs) for word in name)
    return Names(tuple((run, key) for run, key in sounding if len(key) >= _SHORTEST), known)


def _runs(name: tuple[str, ...]) -> set[tuple[str, ...]]:
    """What of a name may stand for it: two words or more in a row, and single words that no other thing has."""
    spans = {name[i:j] for i in range(len(name)) for j in range(i + 1, min(len(name), i + _LONGEST) + 1)}
    return {run for run in spans if len(run) > 1 or run == name or run[0] not in common()}


def repaired(heard: str, names: Names) -> str:
    """The sentence with what sounds like a name written as that name; the very same text where nothing is to be mended."""
    said = words(heard)
    if (GUARDED | ANYTHING) & set(said):
        return heard
    mended, at = list(said), 0
    while at < len(mended):
        if not _is_strange(mended[at], names):
            at += 1
            continue
        found = _best(mended, at, names)
        if found is not None:
            begin, end, run = found
            mended[begin:end] = run
            at = begin + len(run)
        else:
            at += 1
    return heard if mended == said or GUARDED & set(mended) else " ".join(mended)


def _is_strange(word: str, names: Names) -> bool:
    """Nobody says it to a home, nothing here is called so, and it is no form of such a word ("gardening")."""
    if not word.isalpha() or len(word) <= 2:
        return False
    forms = {word, singular(word), *(word.removesuffix(ending) for ending in _ENDINGS if len(word) > len(ending) + 3)}
    return not forms & (common() | names.known)


def _best(said: Sequence[str], at: int, names: Names) -> tuple[int, int, tuple[str, ...]] | None:
    """From where to where, with this word in it, what stands there is to be another run; None where it stays."""
    scored: list[tuple[float, int, int, tuple[str, ...]]] = []
    for begin in range(max(0, at - _LONGEST + 1), at + 1):
        for end in range(at + 1, min(len(said), begin + _LONGEST) + 1):
            span = tuple(said[begin:end])
            if _FUNCTION & set(span) or not all(map(str.isalpha, span)):
                continue
            key, strange = sound("".join(span)), all(_is_strange(word, names) for word in span)
            for run, sounding in names.runs:
                alike = likeness(key, sounding)
                enough = NEAR if strange and _weight(sounding) >= _SHORT else NEARER
                if alike >= enough and not _has(span, run):
                    scored.append((alike, begin, end, run))
    if not scored:
        return None
    best = max(scored, key=lambda found: (found[0], found[2] - found[1]))
    others = [alike for alike, begin, end, run in scored if (begin, end) == best[1:3] and run != best[3]]
    return None if others and max(others) > best[0] - APART else best[1:]


def _has(span: Sequence[str], run: Sequence[str]) -> bool:
    """The name was said already, and a word beside it."""
    return any(tuple(span[at : at + len(run)]) == tuple(run) for at in range(len(span) - len(run) + 1))


@cache
def common() -> frozenset[str]:
    """The words that people say to homes, whichever home it is."""
    return frozenset(resources.files("intents").joinpath("common_words.txt").read_text(encoding="utf-8").split())


# -- how a word sounds

_VOWELS = "AEIOU"
# Letters, longest first, and the sounds that they stand for in English more often than not; "^" begins a word, "$" ends it.
_SPELLED = {
    **{"^kn": "n", "^wr": "r", "^gn": "n", "^ps": "s", "^wh": "w", "^gh": "g", "^y": "y", "^x": "z", "mb$": "m"},
    **{
        "tion": "Sn",
        "sion": "Sn",
        "cian": "Sn",
        "ture": "CUr",
        "ough": "O",
        "augh": "O",
        "eigh": "A",
        "igh": "I",
        "gh": "",
    },
    **{
        "tch": "C",
        "sch": "sk",
        "dge": "J",
        "sh": "S",
        "ch": "C",
        "ph": "f",
        "th": "T",
        "ck": "k",
        "qu": "kw",
        "wh": "w",
    },
    **{"ng": "N", "nk": "Nk", "le$": "l", "er$": "A", "re$": "A", "ed$": "d", "e$": ""},
    **{
        "ee": "I",
        "ea": "I",
        "ie": "I",
        "ei": "I",
        "ey": "I",
        "ai": "A",
        "ay": "A",
        "oa": "O",
        "ow": "O",
        "aw": "O",
        "au": "O",
    },
    **{"oo": "U", "ou": "U", "ue": "U", "ew": "U", "ui": "U", "oi": "O", "oy": "O"},
    **{
        f"c{soft}": f"s{sounded}"
        for soft, sounded in (("e", "E"), ("i", "I"), ("y", "I"), ("ei", "I"), ("ee", "I"), ("ea", "I"))
    },
    **{f"g{soft}": f"J{sounded}" for soft, sounded in (("e", "E"), ("i", "I"), ("y", "I"))},
    **{"ce$": "s", "ge$": "J", "se$": "s"},
    **{"c": "k", "x": "ks", "j": "J", "q": "k", "a": "A", "e": "E", "i": "I", "o": "O", "u": "U", "y": "I"},
}
_LONGEST_SPELLING = max(map(len, _SPELLED))


@lru_cache(1 << 12)
def sound(word: str) -> str:
    """About how it sounds, one letter a sound; capitals are vowels (AEIOU) and sounds of two letters (SCJTN)."""
    letters, at, key = f"^{word}$", 1, ""
    while at < len(letters) - 1:
        for size in range(_LONGEST_SPELLING, 0, -1):
            for start in (at - 1, at):  # "^" is read along, but not passed
                part = letters[start : at + size - (at - start)]
                if part in _SPELLED and (start == at or part[0] == "^") and len(part) == size:
                    key += _SPELLED[part]
                    at = start + size - part.endswith("$")
                    break
            else:
                continue
            break
        else:
            key += letters[at] if letters[at].isalpha() else ""
            at += 1
    return "".join(now for before, now in zip(" " + key, key, strict=False) if now != before)


_ALIKE = {
    frozenset(pair): cost
    for cost, pairs in {
        0.3: "pb td kg fv sz SC CJ SJ mn nN Tf Tt Td Ts sS wv",
        0.5: "lr tC dJ tk kC zJ yJ bv kt pt nd mb lw gJ",
    }.items()
    for pair in pairs.split()
}
_CHANGED_VOWEL = 0.25
# What it costs to leave a sound out or to put it in; a consonant costs 1.
_LOST: dict[str, float] = {**dict.fromkeys("rhwy", 0.4), **dict.fromkeys("tdsz", 0.7), **dict.fromkeys(_VOWELS, 0.5)}
_FIRST = 0.5  # what the first sound may differ: the beginning of a word is what is heard best


def likeness(one: str, other: str) -> float:
    """From 0 to 1, how alike two words sound."""
    longest = max(_weight(one), _weight(other))
    if not longest or abs(_weight(one) - _weight(other)) > longest * (1 - NEAR) or _changed(one[0], other[0]) > _FIRST:
        return 0.0
    return 1 - _distance(one, other) / longest


@lru_cache(1 << 12)
def _weight(key: str) -> float:
    return sum(_LOST.get(sounded, 1.0) for sounded in key)


@lru_cache(1 << 14)
def _distance(one: str, other: str) -> float:
    """What it costs to make one of the other."""
    row = [0.0]
    for sounded in other:
        row.append(row[-1] + _LOST.get(sounded, 1.0))
    for mine in one:
        lost = _LOST.get(mine, 1.0)
        before, row = row, [row[0] + lost]
        for at, theirs in enumerate(other):
            put_in = row[at] + _LOST.get(theirs, 1.0)
            row.append(min(before[at] + _changed(mine, theirs), before[at + 1] + lost, put_in))
    return row[-1]


def _changed(mine: str, theirs: str) -> float:
    if mine == theirs:
        return 0.0
    if mine in _VOWELS and theirs in _VOWELS:
        return _CHANGED_VOWEL
    return _ALIKE.get(frozenset((mine, theirs)), 1.0)
