"""Of several posts that heard the same wake word, one answers: the one that heard it best."""

from __future__ import annotations

import asyncio

import pytest

from hub.bids import ALIKE, Bids


def bids(posts: int) -> Bids:
    made = Bids()
    made.posts = posts
    return made


async def test_who_is_alone_waits_for_nobody() -> None:
    alone = bids(1)
    for _ in range(3):
        assert alone.place("a", "Okay Nabu", 0.9, -30).won.result()


@pytest.mark.parametrize(
    ("claims", "best"),
    [
        ({"a": (0.8, -20.0), "b": (0.95, -40.0)}, "b"),  # surer
        ({"a": (0.95, -40.0), "b": (0.95 - ALIKE / 2, -20.0)}, "b"),  # as sure, and louder
        ({"a": (0.5, -10.0), "b": (0.9, -40.0), "c": (0.91, -41.0)}, "b"),
    ],
)
async def test_the_one_that_heard_best_wins(claims: dict[str, tuple[float, float]], best: str) -> None:
    several = bids(len(claims))
    placed = {post: several.place(post, "Okay Nabu", *how) for post, how in claims.items()}
    won = {post: await bid.won for post, bid in placed.items()}
    assert [post for post, yes in won.items() if yes] == [best]


async def test_another_word_and_another_time_are_another_claim() -> None:
    several = bids(2)
    one, other = several.place("a", "Okay Nabu", 0.9, -30), several.place("b", "Alexa", 0.5, -50)
    again = several.place("a", "okay_nabu", 0.5, -50)  # the same post a second time: somebody began anew
    assert await asyncio.gather(one.won, other.won, again.won) == [True, True, True]


async def test_who_hears_the_same_breath_later_has_lost() -> None:
    several = bids(2)
    assert await several.place("a", "Okay Nabu", 0.6, -50).won
    assert not await several.place("b", "okay nabu", 0.99, -10).won
