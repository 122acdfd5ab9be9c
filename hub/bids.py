"""Which of several posts that heard the same wake word answers: the one that heard it best."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

TOGETHER = 0.3  # seconds that the others are waited for; whoever speaks on does not notice
LATE = 1.0  # seconds after the first in which the same word is the same breath: a satellite's sound comes later
ALIKE = 0.05  # of the score: less of a difference says nothing, and the louder one is nearer


@dataclass(slots=True)
class Bid:
    """One post's claim: it heard the word with this score (0 to 1), this loud (dB)."""

    post: str
    score: float
    level: float
    won: asyncio.Future[bool] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Bids:
    """The claims for each word that was just said. `posts` says how many there are: one alone waits for nobody."""

    def __init__(self) -> None:
        self.posts = 0
        self._rounds: dict[str, _Round] = {}

    def place(self, post: str, word: str, score: float, level: float) -> Bid:
        """A claim whose `won` is set when it is decided."""
        bid = Bid(post, score, level)
        loop = asyncio.get_running_loop()
        key = "".join(filter(str.isalnum, word.casefold()))
        current = self._rounds.get(key)
        if current is None or loop.time() - current.began > LATE or current.has(post):
            current = self._rounds[key] = _Round(loop.time())
            if self.posts > 1:
                loop.call_later(TOGETHER, current.decide)
        current.add(bid)
        if self.posts <= 1:
            current.decide()
        return bid


class _Round:
    def __init__(self, began: float) -> None:
        self.began = began
        self._bids: list[Bid] = []
        self._decided = False

    def has(self, post: str) -> bool:
        """A post that has claimed already hears the word a second time: that is a new round."""
        return any(bid.post == post for bid in self._bids)

    def add(self, bid: Bid) -> None:
        self._bids.append(bid)
        if self._decided and not bid.won.done():
            bid.won.set_result(False)

    def decide(self) -> None:
        self._decided = True
        enough = max(bid.score for bid in self._bids) - ALIKE
        best = max((bid for bid in self._bids if bid.score >= enough), key=lambda bid: bid.level)
        for bid in self._bids:
            if not bid.won.done():
                bid.won.set_result(bid is best)
