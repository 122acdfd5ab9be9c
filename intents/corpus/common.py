"""Writes intents/common_words.txt: the words that the generated sentences use again and again, whatever the home.

python -m intents.corpus.common > intents/common_words.txt
"""

from __future__ import annotations

import sys
from collections import Counter
from itertools import islice

from intents.corpus.sample import stream

SENTENCES = 200_000
OFTEN = 5  # of them; the words that the corpus makes up hardly come twice


def common_words(sentences: int = SENTENCES, often: int = OFTEN) -> list[str]:
    """In order, those of letters alone."""
    counts: Counter[str] = Counter()
    for example in islice(stream(5), sentences):
        counts.update(set(example.words))
    return sorted(word for word, count in counts.items() if count >= often and word.isalpha())


if __name__ == "__main__":
    sys.stdout.write("\n".join(common_words()) + "\n")
