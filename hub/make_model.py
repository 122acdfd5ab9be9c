"""`make model`, the whole way: sentences, tokenizer, FSDP training, checkpoint, GGUF, 4 bits, scores, card.

On several GPUs: torchrun --standalone --nproc-per-node 8 -m hub.make_model
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from intents.corpus.families import FAMILIES
from intents.corpus.sample import stream
from intents.grammar import grammar
from intents.line import symbols
from intents.prompt import prompt
from models import ModelError
from models.calibration import Calibration, fit
from models.language import LanguageModel

if TYPE_CHECKING:
    from models.train.home import Recipe

SHIPPED = Path("models/weights/home.gguf")
HELD_OUT = 77_000_001  # the seed of the sentences that the file is scored on; training takes other ones
SCORED = 2_000


def pairs(seed: int, held: frozenset[str] = frozenset()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Words and their line, without end; none of the families in `held`."""
    for example in stream(seed, held):
        yield example.words, example.line


@dataclass(frozen=True, slots=True)
class Scores:
    """How the file did on held-out sentences: the shares of the whole, by kind how many of how many lines, and how sure it was."""

    shares: dict[str, float]
    kinds: dict[str, tuple[int, int]]
    calibration: Calibration

    def worst(self, count: int = 10, least: int = 5) -> list[str]:
        """The kinds of sentences with the lowest shares, of which at least `least` were seen, as lines to print."""
        seen = sorted((right / of, kind, of) for kind, (right, of) in self.kinds.items() if of >= least)
        return [f"{kind}: {share:.2f} of {of}" for share, kind, of in seen[:count]]


def score(file: Path, count: int = SCORED) -> Scores:
    """The shares of held-out sentences whose line, or whose intents, the file gets right as it runs on the device."""
    right = intents = 0
    kinds: dict[str, tuple[int, int]] = {}
    sure: list[tuple[float, bool]] = []
    with LanguageModel(file) as model:
        for example in islice(stream(HELD_OUT), count):
            said = list(example.words)
            completion = model.complete(prompt(said), grammar(said))
            text = completion.text
            exact = _plain(text) == _plain(example.line)
            sure.append((completion.least, exact))
            right += exact
            intents += _intents(text) == _intents(example.line)
            before, of = kinds.get(example.kind, (0, 0))
            kinds[example.kind] = (before + exact, of + 1)
    shares = {"held_out_lines_exact": right / count, "held_out_intents_exact": intents / count, "held_out_lines": count}
    return Scores(shares, kinds, fit(sure))


def _plain(line: str) -> str:
    return "".join(line.split())


def _intents(line: str) -> list[str]:
    """The first symbol of each part of a line."""
    return [part.split(">")[0] for part in line.split("<and>")]


def speedrun(
    recipe: Recipe,
    folder: Path,
    say: Callable[[str], None],
    *,
    resume: bool = False,
    scored: int = SCORED,
    held: frozenset[str] = frozenset(),
    before: Path | None = None,
) -> Path | None:
    """The whole way into `folder`: home.gguf with its scores in the card beside it. Raises ModelError.

    None in a process that is not the first. `scored`: on how many held-out sentences. `held`: families of phrasing
    (keys of intents.corpus.families.FAMILIES) that the training does without. `before`: the folder of the run that
    this one goes on from.
    """
    from models.train.home import make

    made = make(recipe, partial(pairs, held=held), symbols(), folder, say, resume=resume, before=before)
    if made is None:
        return None
    rate(made, say, scored=scored, held=held)
    return made


def rate(made: Path, say: Callable[[str], None], *, scored: int = SCORED, held: frozenset[str] = frozenset()) -> None:
    """Scores a file that lies beside its run.json, and writes its card. Raises ModelError."""
    from models.export.card import write_card

    scores = score(made, scored)
    say("\n".join(f"{name}: {value:.4f}" for name, value in scores.shares.items()))
    say("\n  ".join(["the weakest kinds of sentences:", *scores.worst()]))
    about = json.loads(made.with_name("run.json").read_text()) | ({"held_out": sorted(held)} if held else {})
    write_card(made, about, scores.shares, scores.calibration)


def _say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    from models.train.home import Recipe

    usual = Recipe()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--steps", type=int, default=usual.plan.steps, help="of the training; a hundred take a minute on two cores"
    )
    parser.add_argument("--layers", type=int, default=usual.layers)
    parser.add_argument("--dim", type=int, default=usual.dim, help="the width; inside the layers it is twice that")
    parser.add_argument("--pieces", type=int, default=usual.pieces, help="of the tokenizer")
    parser.add_argument("--batch-tokens", type=int, default=usual.batch_tokens)
    parser.add_argument("--save-every", type=int, default=usual.plan.save_every, help="steps between checkpoints")
    parser.add_argument("--hold-out", choices=sorted(FAMILIES), nargs="*", default=[], help="families to do without")
    parser.add_argument("--scored", type=int, default=SCORED, help="on how many held-out sentences")
    parser.add_argument("--from", type=Path, dest="before", help="the folder of a finished run to go on from")
    parser.add_argument("--seed", type=int, default=usual.plan.seed, help="of the sentences and the weights")
    parser.add_argument("--matrix-rate", type=float, default=usual.plan.matrix_rate, help="of Muon, at its highest")
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint in the folder")
    parser.add_argument(
        "--score-only", action="store_true", help="only score the folder's home.gguf, and write its card"
    )
    parser.add_argument("--folder", type=Path, default=Path("runs/home"), help="where everything is written")
    parser.add_argument("--ship", action="store_true", help="copy the result and its card to models/weights/")
    given = parser.parse_args()
    try:
        _make(given)
    except ModelError as error:
        parser.exit(1, f"{error}\n")
    except KeyboardInterrupt:
        parser.exit(130, "ended; --resume goes on from the newest checkpoint\n")


def _make(given: argparse.Namespace) -> None:
    from models.train.fsdp import Plan
    from models.train.home import Recipe

    recipe = Recipe(
        dim=given.dim,
        layers=given.layers,
        ffn=2 * given.dim,
        pieces=given.pieces,
        batch_tokens=given.batch_tokens,
        plan=Plan(
            steps=given.steps, save_every=given.save_every, fall="linear", seed=given.seed,
            matrix_rate=given.matrix_rate,
        ),
    )  # fmt: skip
    held = frozenset(given.hold_out)
    made: Path | None = given.folder / "home.gguf"
    if given.score_only:
        rate(given.folder / "home.gguf", _say, scored=given.scored, held=held)
    else:
        made = speedrun(
            recipe, given.folder, _say, resume=given.resume, scored=given.scored, held=held, before=given.before
        )
    if made is not None and given.ship:
        shutil.copyfile(made, SHIPPED)
        shutil.copyfile(made.with_suffix(".json"), SHIPPED.with_suffix(".json"))


if __name__ == "__main__":
    main()
