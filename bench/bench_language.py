"""How long an utterance takes and how much memory it needs: our way of running the model against llama-cpp-python's own.

    python bench/bench_language.py [MODEL.gguf] [--threads 1] [--rounds 5]

Each way runs in a process of its own on the same file (the model that ships, or MODEL.gguf) and the same utterances.
The times of a busy machine mean little; the ratios are what counts.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import llama_cpp
from llama_cpp.llama_grammar import LlamaGrammar

from intents import line
from intents.grammar import MAX_COMMANDS, grammar
from intents.prompt import prompt
from models.files import default_model
from models.language import LanguageModel

UTTERANCES = (
    "turn on the lamp in the study",
    "switch everything off upstairs except the hall light",
    "make the living room warmer by two degrees and close the shutters",
    "set a timer of ten minutes for the eggs",
    "is the garage door open",
    "play some jazz in the kitchen at thirty percent",
    "put olive oil on the shopping list",
    "lock the front door please",
)
MAX_TOKENS = 64

Answer = Callable[[list[str]], int]


@dataclass(frozen=True, slots=True)
class Result:
    """What one way needed: milliseconds an utterance (median), milliseconds a token written, memory at its highest."""

    ms: float
    ms_token: float
    peak_mb: float


def ours(path: Path, threads: int) -> Answer:
    """The low-level calls under llguidance, as the hub runs them."""
    model = LanguageModel(path, threads=threads)
    return lambda words: len(model.complete(prompt(words), grammar(words), MAX_TOKENS).tokens)


def completion(path: Path, threads: int) -> Answer:
    """llama_cpp.Llama.create_completion, free to write what it likes."""
    return _llama(path, threads, lambda words: None)


def completion_gbnf(path: Path, threads: int) -> Answer:
    """The same under llama.cpp's own grammar: the symbols in any order, each span words that were said."""
    return _llama(path, threads, lambda words: LlamaGrammar.from_string(gbnf(words), verbose=False))


def gbnf(words: Sequence[str]) -> str:
    intents, slots = (" | ".join(json.dumps(f"<{s}>") for s in group) for group in (line.INTENTS, line.SLOTS))
    said = " | ".join(json.dumps(f" {word}") for word in sorted(set(words)))
    return (
        f'root ::= "<{line.NONE}>" | command ("<{line.AND}>" command){{0,{MAX_COMMANDS - 1}}}\n'
        f"command ::= ({intents}) (({slots}) ({said})*)*\n"
    )


def _llama(path: Path, threads: int, bound: Callable[[list[str]], LlamaGrammar | None]) -> Answer:
    model = llama_cpp.Llama(str(path), n_ctx=0, n_threads=threads, n_threads_batch=threads, verbose=False)

    def answer(words: list[str]) -> int:
        reply = model.create_completion(prompt(words), max_tokens=MAX_TOKENS, temperature=0.0, grammar=bound(words))
        assert isinstance(reply, dict)
        return max(1, reply["usage"]["completion_tokens"])

    return answer


WAYS: dict[str, Callable[[Path, int], Answer]] = {
    "ours": ours,
    "create_completion": completion,
    "create_completion, GBNF": completion_gbnf,
}


def measure(way: str, path: Path, threads: int, rounds: int) -> Result:
    """Run all utterances `rounds` times in this process."""
    answer = WAYS[way](path, threads)
    answer(line.words(UTTERANCES[0]))
    times, tokens = [], 0
    for utterance in UTTERANCES * rounds:
        start = time.perf_counter()
        tokens += answer(line.words(utterance))
        times.append((time.perf_counter() - start) * 1000)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Result(statistics.median(times), sum(times) / tokens, peak)


def apart(way: str, path: Path, threads: int, rounds: int) -> Result:
    """`measure` in a fresh process, so that the memory is that of one way alone."""
    command = [sys.executable, __file__, str(path), "--threads", str(threads), "--rounds", str(rounds), "--way", way]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return Result(**json.loads(done.stdout.splitlines()[-1]))


def table(path: Path, threads: int, rounds: int) -> str:
    results = {way: apart(way, path, threads, rounds) for way in WAYS}
    base = results["ours"]
    rows = [f"{'':26}{'ms/utterance':>14}{'ms/token':>12}{'peak MB':>10}   times ours: ms, ms/token, MB"]
    rows += [
        f"{way:26}{r.ms:14.1f}{r.ms_token:12.2f}{r.peak_mb:10.0f}"
        f"   {r.ms / base.ms:.1f} {r.ms_token / base.ms_token:.1f} {r.peak_mb / base.peak_mb:.2f}"
        for way, r in results.items()
    ]
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--way", choices=WAYS, help="measure only this one, in this process, as JSON")
    options = parser.parse_args()
    path = options.model or default_model()
    if options.way:
        print(json.dumps(asdict(measure(options.way, path, options.threads, options.rounds))))
    else:
        print(path.name)
        print(table(path, options.threads, options.rounds))


if __name__ == "__main__":
    main()
