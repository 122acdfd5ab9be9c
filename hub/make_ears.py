"""Ears for the demo, the whole way: sentences, synthetic speech, tokenizer, training, conversion, scores, card.

Everything is made from nothing on this machine; it needs espeak-ng, uses flite too where it is installed, and the
extras demo, voice, train and forms.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import date
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from hub import HubError, aloud, recordings, score_ears, speakers
from models import ModelError

if TYPE_CHECKING:
    from models.train.ears import Plan
    from models.train.pieces import Pieces

SHIPPED = Path("models/weights/ears")
CARD = "card.json"
_WORDS_FROM = 20_000  # sentences, of whose words the tokenizer is made
_SEED_OF_WORDS, _SEED_OF_PROMPTS = 5_000_011, 5_000_017

Say = Callable[[str], None]

ABOUT = {
    "what": "A Whisper-architecture model for faster-whisper, made by hub.make_ears from nothing, for the project's demo.",
    "knows": "Home commands in English, above all those for the demo's own home, said by synthetic voices.",
    "does not know": "People. No recording of a person was in its training; use a Whisper model for a real home.",
    "learned from": "Sentences of the project's own grammar and of the demo's names, said by the voices below, with "
    "computed echo and noise. Nothing else.",
    "license": "Apache-2.0",
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """What the ears are made of. About an hour on two x86 cores, and before that five minutes for the speech."""

    plan: Plan
    clips: int = 60_000
    width: int = 128
    heads: int = 4
    encoder_layers: int = 4
    decoder_layers: int = 2
    merges: int = 320
    jobs: int = field(default_factory=lambda: os.cpu_count() or 1)

    def __post_init__(self) -> None:
        if min(self.clips, self.jobs) < 1:
            raise HubError("ears need at least one clip to learn from, and one job that makes it")


def make(recipe: Recipe, folder: Path, say: Say, *, resume: bool = False) -> Path:
    """The whole way into `folder`, whose part `ears` it returns: a folder for faster-whisper, with no card yet.

    Speech that is there already is used again, with `resume` the newest checkpoint too. Raises HubError and ModelError.
    """
    from models.export.whisper import convert
    from models.train.ears import Data, train
    from models.train.whisper import WhisperConfig, write_folder

    recordings.make(folder / "speech", recipe.clips, recipe.plan.seed, say, jobs=recipe.jobs)
    clips = recordings.load(folder / "speech", recipe.clips)
    say("the tokenizer learns its pieces, then the network begins")
    pieces = tokenizer(folder, recipe, resume)
    sizes = (recipe.width, recipe.heads, recipe.encoder_layers, recipe.decoder_layers)
    data = Data(clips, pieces, aloud.prompts(_SEED_OF_PROMPTS))
    learned = train(recipe.plan, WhisperConfig(*sizes, len(pieces)), data, folder / "training", say, resume=resume)
    write_folder(folder / "whisper", learned.model, pieces)
    ears = convert(folder / "whisper", folder / "ears")
    last = learned.losses[-100:]
    run = {
        "minutes": round(learned.seconds / 60, 1),
        "clips a second": round(learned.clips_per_second, 1),
        "loss": round(sum(last) / len(last), 4),
        "parameters": sum(p.numel() for p in learned.model.parameters()),
    }
    made = {"date": f"{date.today()}", "recipe": asdict(recipe), "run": run, "voices": voices()}
    (folder / "run.json").write_text(json.dumps(made, indent=1) + "\n")
    return ears


def tokenizer(folder: Path, recipe: Recipe, keep: bool) -> Pieces:
    """The pieces that words are cut into; with `keep` those that are in the folder. Raises HubError and ModelError."""
    from models.train.pieces import Pieces, learn

    file = folder / "merges.json"
    if not (keep and file.exists()):
        sentences = islice(aloud.stream(_SEED_OF_WORDS), _WORDS_FROM)
        merges = learn(Counter(word for text in sentences for word in text.split()), recipe.merges)
        file.write_text(json.dumps(merges) + "\n")
    try:
        return Pieces([(left, right) for left, right in json.loads(file.read_text())])
    except (OSError, ValueError) as error:
        raise HubError(f"{file}: cannot be read ({error}); delete it, and begin without --resume") from None


def voices() -> dict[str, object]:
    """What speaks: the engines, and which of their voices are held out."""
    engines = speakers.engines()
    return {"engines": engines, "held out": [speaker.voice for speaker in speakers.strangers(engines)]}


async def rate(folder: Path, say: Say, commands: tuple[str, ...] = aloud.COMMANDS) -> dict[str, score_ears.Scores]:
    """Scores folder/ears by voices that it never heard, and writes its card. Raises HubError and ModelError."""
    ears = folder / "ears"
    found = await score_ears.trials(ears, say, commands)
    scores = score_ears.by_voice(found)
    try:
        made = json.loads((folder / "run.json").read_text())
        card = {
            **ABOUT,
            "sha256 of model.bin": hashlib.sha256((ears / "model.bin").read_bytes()).hexdigest(),
            "bytes": sum(file.stat().st_size for file in ears.iterdir()),
            "made": made,
            "scores by voices that were not in the training": {name: asdict(one) for name, one in scores.items()},
            "misheard": [f"{t.speaker}: {t.said!r} as {t.heard!r}" for t in found if t.errors][:20],
        }
        (ears / CARD).write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n")
    except (OSError, ValueError) as error:
        raise HubError(f"{folder}: the card cannot be written ({error})") from None
    return scores


def _say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # else torch's threads burn the core that makes the next batch
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("runs/ears"), help="where everything is written")
    parser.add_argument(
        "--steps", type=int, default=4500, help="of the training; a hundred take about 75 s on two cores"
    )
    parser.add_argument("--clips", type=int, default=60_000, help="spoken sentences to learn from")
    parser.add_argument("--batch", type=int, default=32, help="clips a step")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--layers", type=int, default=4, help="of the encoder; the decoder has two")
    parser.add_argument("--matrix-rate", type=float, default=0.02, help="of Muon, at its highest")
    parser.add_argument("--rate", type=float, default=0.003, help="of AdamW, at its highest")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0, help="of the training; 0 for all")
    parser.add_argument("--save-every", type=int, default=250, help="steps between checkpoints")
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint in the folder")
    parser.add_argument("--score-only", action="store_true", help="only score the folder's ears, and write their card")
    parser.add_argument("--ship", action="store_true", help=f"copy the result to {SHIPPED}/")
    given = parser.parse_args()
    try:
        _make(given)
    except (HubError, ModelError) as error:
        parser.exit(1, f"{error}\n")
    except ImportError as error:
        parser.exit(1, f"a package is missing ({error}): pip install 'homeward-hub[demo,voice,train,forms]'\n")
    except KeyboardInterrupt:
        parser.exit(130, "ended; --resume goes on from the newest checkpoint\n")


def _make(given: argparse.Namespace) -> None:
    from models.train.ears import Plan

    plan = Plan(
        steps=given.steps, batch=given.batch, save_every=given.save_every, matrix_rate=given.matrix_rate,
        rate=given.rate, seed=given.seed, threads=given.threads,
    )  # fmt: skip
    recipe = Recipe(plan, given.clips, given.width, encoder_layers=given.layers)
    if not given.score_only:
        make(recipe, given.folder, _say, resume=given.resume)
    asyncio.run(rate(given.folder, _say))
    if given.ship:
        shutil.copytree(given.folder / "ears", SHIPPED, dirs_exist_ok=True)
        _say(f"shipped as {SHIPPED}")


if __name__ == "__main__":
    main()
