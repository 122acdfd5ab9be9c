"""Names misheard, and how many of them hearsay puts right; right sentences, and how many of them it harms (0 is wanted).

    python bench/bench_hearsay.py [--home HOME.json] [--words /usr/share/dict/words]

Each name of the homes (without --home the demo's) is garbled one word at a time: spelled by ear, cut in two, and with
--words as the real English word whose sounds are nearest to it, by espeak-ng's own phonemes, which hearsay knows nothing
of. The right sentences are those with the names as they are, and 20,000 of the generated corpus, said in the same homes;
with --words only those without a word that the corpus made up, as a name that no home here has.
"""

from __future__ import annotations

import argparse
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from rapidfuzz.distance import Levenshtein

from devices.device import Kind
from intents import homes
from intents.corpus.sample import stream
from intents.hearsay import GUARDED, common, names_of, repaired
from intents.homes import Home
from intents.line import words

TEMPLATES = (
    "turn on the {}",
    "dim the {} to thirty percent",
    "is the {} on",
    "set a timer and switch off the {} please",
)
# Spelled by ear: what stands first is written as what stands second, once.
BY_EAR = (
    *(
        ("c", "k"),
        ("ck", "k"),
        ("ee", "ea"),
        ("ea", "ee"),
        ("i", "ee"),
        ("o", "oh"),
        ("ai", "ay"),
        ("ou", "ow"),
        ("ph", "f"),
    ),
    *(
        ("d", "t"),
        ("t", "d"),
        ("b", "p"),
        ("p", "b"),
        ("g", "k"),
        ("v", "f"),
        ("f", "v"),
        ("z", "s"),
        ("s", "z"),
        ("m", "n"),
    ),
    *(
        ("n", "m"),
        ("a", "e"),
        ("e", "i"),
        ("o", "u"),
        ("u", "o"),
        ("th", "f"),
        ("er", "a"),
        ("h", ""),
        ("ll", "l"),
        ("tt", "t"),
    ),
)
CORPUS = 20_000
Way = Callable[[str, random.Random], str | None]
WORST = 2  # phonemes by which a real word may differ and still be what was heard


def names(home: Home) -> set[tuple[str, ...]]:
    """The names that may be put right: of devices that are no locks, and of rooms."""
    texts = [d.name for d in home.devices if d.kind is not Kind.LOCK] + [*home.areas]
    found = {tuple(words(text)) for text in texts}
    return {name for name in found if name and all(map(str.isalpha, name)) and not GUARDED & set(name)}


def by_ear(word: str, rng: random.Random) -> str | None:
    able = [(old, new) for old, new in BY_EAR if old in word[1:]]
    if not able:
        return None
    old, new = rng.choice(able)
    return word[0] + word[1:].replace(old, new, 1)


def in_two(word: str, rng: random.Random) -> str | None:
    """ "wardrobe" as "war drobe"."""
    return f"{word[: len(word) // 2]} {word[len(word) // 2 :]}" if len(word) > 6 else None


class Alike:
    """Real words by how they sound."""

    def __init__(self, file: Path) -> None:
        listed = {w for w in file.read_text(encoding="utf-8").split() if re.fullmatch("[a-z]{3,12}", w)}
        self._words = sorted(listed)
        self._sounds = dict(zip(self._words, phonemes(self._words), strict=True))

    def __call__(self, word: str, rng: random.Random) -> str | None:
        """A real word that sounds nearest to this one, and is none that is often said to homes."""
        sound = self._sounds.get(word) or phonemes([word])[0]
        near: dict[int, list[str]] = {}
        for other, sounding in self._sounds.items():
            if (
                abs(len(sound) - len(sounding)) <= WORST
                and other != word
                and not {other, other.removesuffix("s")} & common()
            ):
                near.setdefault(Levenshtein.distance(sound, sounding, score_cutoff=WORST), []).append(other)
        best = next((near[d] for d in range(WORST + 1) if d in near), None)
        return rng.choice(best) if best else None


def phonemes(listed: list[str]) -> list[str]:
    done = subprocess.run(
        ["espeak-ng", "-v", "en-us", "-q", "--ipa"],
        input="\n".join(f"{w}." for w in listed),
        capture_output=True,
        text=True,
        check=True,
    )
    found = [line.strip().replace("ˈ", "").replace("ˌ", "") for line in done.stdout.splitlines() if line.strip()]
    if len(found) != len(listed):
        sys.exit(f"espeak-ng gave {len(found)} lines for {len(listed)} words")
    return found


def garbled(name: tuple[str, ...], how: Way, rng: random.Random) -> Iterator[str]:
    """The name with one of its words misheard; only where that makes a word which nobody says to a home."""
    for at, word in enumerate(name):
        heard = how(word, rng) if len(word) > 3 else None
        if heard and heard != word and not set(heard.split()) <= common():
            yield " ".join((*name[:at], heard, *name[at + 1 :]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--words", type=Path)
    given = parser.parse_args()
    found = list(homes.load(given.home).values()) if given.home else [demo_home()]
    ways = {
        "spelled by ear": by_ear,
        "cut in two": in_two,
        **({"a real word": Alike(given.words)} if given.words else {}),
    }
    rng = random.Random(1)
    wrong: list[tuple[str, str, str]] = []
    for way, how in ways.items():
        counts: Counter[str] = Counter()
        for home in found:
            known = names_of(home)
            for name in sorted(names(home)):
                for heard in garbled(name, how, rng):
                    template = rng.choice(TEMPLATES)
                    said, right = template.format(heard), template.format(" ".join(name))
                    told = repaired(said, known)
                    if told not in (said, right) and len(wrong) < 40:
                        wrong.append((said, told, right))
                    counts["right" if told == right else "as heard" if told == said else "wrong"] += 1
        whole = sum(counts.values())
        print(
            f"{way}: {whole} names, " + ", ".join(f"{n} {what} ({n / whole:.1%})" for what, n in counts.most_common())
        )
    for said, told, right in wrong[:: max(1, len(wrong) // 20)]:
        print(f"  {said!r} -> {told!r}, not {right!r}")
    harmed(found, set(given.words.read_text(encoding="utf-8").casefold().split()) if given.words else set())


def harmed(found: list[Home], real: set[str]) -> None:
    """With `real` words the sentences of the corpus are those without a word that it made up."""
    known = [names_of(home) for home in found]
    right = [
        (t.format(" ".join(name)), k)
        for home, k in zip(found, known, strict=True)
        for name in names(home)
        for t in TEMPLATES
    ]
    drawn = (e.words for e in stream(7) if not real or all(w in real for w in e.words if w.isalpha()))
    right += [(" ".join(said), known[n % len(known)]) for n, said in enumerate(islice(drawn, CORPUS))]
    began = time.perf_counter()
    changed = [(text, told) for text, k in right if (told := repaired(text, k)) != text]
    took = (time.perf_counter() - began) / len(right)
    print(f"right sentences: {len(changed)} of {len(right)} harmed, {took * 1000:.2f} ms each")
    for text, told in changed[:20]:
        print(f"  {text!r} -> {told!r}")


def demo_home() -> Home:
    """The names of the demo's home, which only a running one has."""
    rooms = "Kitchen|Living room|Bedroom|Bathroom|Office|Hallway|Garage|Garden|Wardrobe"
    things = "Ceiling light|Floor lamp|Bedroom lamp|Bedroom wardrobe light|Office desk lamp|Hallway lamp plug|Coffee machine|Ceiling fan"
    data = {
        "devices": [{"id": t, "name": t, "kind": "light"} for t in things.split("|")],
        "areas": [{"name": r} for r in rooms.split("|")],
    }
    return homes.home(data, "the demo")


if __name__ == "__main__":
    main()
