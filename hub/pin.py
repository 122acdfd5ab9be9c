"""The PIN: how it is said and typed, and how it is kept. Pure, but for the salt of a new one.

It is kept as scrypt made it: scrypt$N$r$p$salt$key, the last two in base64. Four digits are soon tried out by whoever has
that text, so it is as secret as a password.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from hub import HubError

SHORTEST, LONGEST = 4, 12
HIDDEN = "(PIN)"  # stands for one wherever something is written down
# 16 MB and 0.05 s on a desktop core, 0.2 s on a Raspberry Pi 4: once a question nobody minds, ten thousand times one does.
_COST, _BLOCK, _LANES = 2**14, 8, 1
_MEMORY = 64 << 20
_KEPT = re.compile(r"scrypt\$(\d{1,6})\$(\d{1,2})\$(\d)\$([A-Za-z0-9+/=]{16,64})\$([A-Za-z0-9+/=]{32,128})")

_ONES = "zero one two three four five six seven eight nine".split()
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_DIGITS: Mapping[str, str] = MappingProxyType(
    {
        **{word: str(n) for n, word in enumerate((*_ONES, *_TEENS))},
        **{word: str(20 + 10 * n) for n, word in enumerate(_TENS)},
        **{"o": "0", "oh": "0"},
    }
)
# What numbers are written as when they are heard; only where nothing but a number is expected.
_SOUNDS: Mapping[str, str] = MappingProxyType(
    {"won": "1", "to": "2", "too": "2", "tree": "3", "for": "4", "fore": "4", "ate": "8"}
)
_TIMES: Mapping[str, int] = MappingProxyType({"double": 2, "triple": 3})
_NAMES = frozenset({"pin", "code", "passcode", "password"})
_AROUND = _NAMES | frozenset(
    "the my our a it it's its is that's number uh um er well okay ok hey hub please thanks thank you sure yes".split()
)
_OPENING = frozenset("unlock unlatch unbolt open disarm deactivate".split())
_BEFORE = frozenset("the my our a with and using".split())


class PinError(HubError):
    """It cannot be a PIN; the text says why."""


@dataclass(frozen=True, slots=True)
class Said:
    """An utterance without the PIN in it, which is apart: what may be read, kept and shown, and the digits."""

    text: str
    digits: str = ""

    @property
    def alone(self) -> bool:
        """Whether there is nothing but a PIN."""
        return bool(self.digits) and self.text == HIDDEN


def read(text: str) -> str:
    """The digits of an utterance that is a PIN and nothing else ("it's twelve thirty four please"); "" of any other."""
    words = [word for word in _words(text) if word not in _AROUND]
    digits = _digits(words, heard=True)
    return digits if SHORTEST <= len(digits) <= LONGEST else ""


def numeric(text: str) -> bool:
    """Whether half of it or more is numbers, or a PIN is spoken of: what may be one that was not heard well."""
    words = [word for word in _words(text) if word not in _AROUND - _NAMES]
    numbers = [word for word in words if _is_number(word)]
    if _NAMES & set(words) or any(len(word) >= SHORTEST and word.isdecimal() for word in numbers):
        return True
    return bool(numbers) and 2 * len(numbers) >= len(words)


def apart(text: str) -> Said:
    """The utterance and the PIN in it: alone, behind the word ("open the gate, my pin is 1234"), or at the end of
    an order to open something ("unlock the front door 1234").
    """
    if digits := read(text):
        return Said(HIDDEN, digits)
    spans = list(re.finditer(r"\d+|[a-z']+", text.lower()))
    words = [span[0] for span in spans]
    first, last = _named(words) or _at_the_end(words)
    digits = _digits(words[first:last])
    if not SHORTEST <= len(digits) <= LONGEST:
        return Said(text)
    first = next((n for n in range(first, 0, -1) if words[n - 1] not in _AROUND | _BEFORE), 0)
    before = text[: spans[first].start()].rstrip(" ,;.:-")
    after = text[spans[last - 1].end() :].lstrip(" ,;.:-")
    return Said(" ".join(filter(None, [before, after])), digits)


def _named(words: Sequence[str]) -> tuple[int, int] | None:
    """Where the number behind a word for a PIN stands."""
    for at, word in enumerate(words):
        first = at + 1
        while word in _NAMES and first < len(words) and words[first] in ("is", "number", "it's"):
            first += 1
        last = first
        while last < len(words) and _is_number(words[last]):
            last += 1
        if word in _NAMES and len(_digits(words[first:last])) >= SHORTEST:
            return first, last
    return None


def _at_the_end(words: Sequence[str]) -> tuple[int, int]:
    first = len(words)
    while first and _is_number(words[first - 1]):
        first -= 1
    return (first, len(words)) if _OPENING & set(words[:first]) else (0, 0)


def _is_number(word: str) -> bool:
    return word.isdecimal() or word in _DIGITS or word in _TIMES


def _words(text: str) -> list[str]:
    return re.findall(r"\d+|[a-z']+", text.lower())


def _digits(words: Sequence[str], heard: bool = False) -> str:
    """The digits of words that are all numbers: "twelve thirty four", "1 2 3 4", "double five"; "" of others."""
    found, times = "", 1
    tens = False  # the word before was a round one, such as "thirty", to which a single digit belongs
    for word in words:
        if word in _TIMES and times == 1:
            times = _TIMES[word]
            continue
        digits = word if word.isdecimal() else _DIGITS.get(word) or (_SOUNDS.get(word, "") if heard else "")
        if not digits or not digits.isascii():
            return ""
        belongs = tens and word in _ONES[1:]
        found = found[:-1] + digits if belongs else found + digits * times
        tens, times = word in _TENS, 1
    return found if times == 1 else ""


# -- kept


def hashed(pin: str) -> str:
    """What is kept of a new PIN. Raises PinError."""
    if not re.fullmatch(rf"[0-9]{{{SHORTEST},{LONGEST}}}", pin):
        raise PinError(f"a PIN has {SHORTEST} to {LONGEST} digits and nothing else")
    if len(set(pin)) == 1:
        raise PinError("that one digit again and again would be guessed first")
    salt = secrets.token_bytes(16)
    key = _key(pin, salt, _COST, _BLOCK, _LANES)
    return "$".join(["scrypt", str(_COST), str(_BLOCK), str(_LANES), _text(salt), _text(key)])


def is_kept(text: str) -> bool:
    """Whether this is what is kept of a PIN, at a cost that can be afforded."""
    return _parts(text) is not None


def fits(pin: str, kept: str) -> bool:
    """Whether it is the PIN of which that is kept. Takes as long as scrypt takes."""
    parts = _parts(kept)
    if parts is None:
        return False
    cost, block, lanes, salt, key = parts
    return hmac.compare_digest(_key(pin, salt, cost, block, lanes), key)


def _key(pin: str, salt: bytes, cost: int, block: int, lanes: int) -> bytes:
    return hashlib.scrypt(pin.encode(), salt=salt, n=cost, r=block, p=lanes, maxmem=_MEMORY, dklen=32)


def _parts(kept: str) -> tuple[int, int, int, bytes, bytes] | None:
    found = _KEPT.fullmatch(kept)
    if found is None:
        return None
    cost, block, lanes = int(found[1]), int(found[2]), int(found[3])
    try:
        salt, key = base64.b64decode(found[4], validate=True), base64.b64decode(found[5], validate=True)
    except binascii.Error:
        return None
    # What scrypt takes: a power of two, and the memory that is allowed here.
    sound = cost > 1 and cost & (cost - 1) == 0 and block and lanes and 128 * block * (cost + lanes) < _MEMORY // 2
    return (cost, block, lanes, salt, key) if sound and len(key) == 32 else None


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
