"""From words to their meaning: our time and memory against the obvious ways, side by side on this machine.

    python bench/bench_time.py [--only ROW ...] [--folder FOLDER] [--threads N] [--rounds N] [--tiny]

Each row runs its two sides in turns, sentence by sentence, and compares the medians: the times of a busy machine mean
little, the ratios are what counts. The rows that need a model of TinyLlama's shape make one of random weights in FOLDER
(0.7 GB in Q4_K_M; kept for the next run when FOLDER is named), because neither speed nor memory depends on the weights.
What such a model writes does: it is given the right line token by token, and every token is still computed, masked and
chosen from. The high-level call writes as many tokens as its right answer has. `matcher` fetches hassil and
home-assistant-intents into an environment of its own, and `start` and `memory-small` run a broker (the demo extra).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
from numpy.typing import NDArray
from processes import answered, family, pss

from devices.device import Capability, Device, Kind
from devices.link import Link, LinkSettings
from hub.bench import resident
from hub.demo import broker
from hub.dialect import asked, guessed, line_in, primer, spelled, told
from hub.reading import Reader, open_model
from intents.corpus.sample import stream
from intents.grammar import grammar
from intents.homes import Home
from intents.line import words
from intents.prompt import prompt
from intents.understand import understand
from models.binding import Binding, Tokens, Writing
from models.export import sentencepiece
from models.export.checkpoint import PRESETS
from models.export.gguf import LlamaConfig, shapes, stream_gguf
from models.export.quantise import quantise
from models.export.sentencepiece import Piece, PieceType, SentencePieceModel
from models.files import default_model
from models.language import LanguageModel
from models.worker import Worker

ROOT = Path(__file__).parents[1]
TINY = LlamaConfig(dim=512, layers=4, heads=8, kv_heads=2, ffn=1408, vocab=32000, context=2048, tied=False)

# Each with its right line as the model writes it, and with the JSON that the obvious way asks for.
ASKED = (
    ("turn on the kitchen light", "<turn_on><what> kitchen light", ("turn_on", "kitchen light", None)),
    ("turn off all the lights in the living room", "<turn_off><what> all the lights in the living room",
     ("turn_off", "living room lamp", None)),
    ("set the bedroom lamp to thirty percent", "<set><what> bedroom lamp<to> thirty percent", ("set", "bedroom lamp", 30)),
    ("make the living room warmer by two degrees", "<set_temperature><up><where> living room<by> two degrees",
     ("set_temperature", "thermostat", 2)),
    ("is the garage door open", "<get_state><what> garage door<state> open", ("get_state", "garage door", None)),
    ("how warm is it in the office", "<get_temperature><where> office", ("get_temperature", "office sensor", None)),
    ("lock the front door please", "<lock><what> front door", ("lock", "front door", None)),
    ("open the blinds in the bedroom", "<open><what> blinds in the bedroom", ("open", "bedroom blinds", None)),
)  # fmt: skip
DEVICES = (
    ("kitchen light", "light", "kitchen"), ("living room lamp", "light", "living room"),
    ("bedroom lamp", "light", "bedroom"), ("thermostat", "climate", "living room"),
    ("garage door", "cover", "garage"), ("office sensor", "sensor", "office"), ("front door", "lock", "hallway"),
    ("bedroom blinds", "cover", "bedroom"), ("coffee machine", "switch", "kitchen"), ("bedroom fan", "fan", "bedroom"),
)  # fmt: skip
KINDS = {"light": Kind.LIGHT, "climate": Kind.CLIMATE, "cover": Kind.COVER, "sensor": Kind.SENSOR, "lock": Kind.LOCK,
         "switch": Kind.SWITCH, "fan": Kind.FAN}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Options:
    folder: Path
    threads: int
    rounds: int
    tiny: bool


@dataclass(frozen=True, slots=True)
class Found:
    """Ours and the other side in `unit`, what is compared, and whether that reaches what it must."""

    ours: float
    other: float
    unit: str
    ratio: float
    need: str
    reached: bool
    note: str = ""


def at_least(ours: float, other: float, need: float, note: str = "", unit: str = "ms") -> Found:
    """Ours is to be `need` times faster: the other's time is that many times ours."""
    return Found(ours, other, unit, other / ours, f">= {need}", other / ours >= need, note)


def at_most(ours: float, other: float, need: float, note: str = "", unit: str = "ms") -> Found:
    return Found(ours, other, unit, ours / other, f"<= {need}", ours / other <= need, note)


# -- a model of TinyLlama's shape


def large(options: Options) -> Path:
    """The file, made where it is not there: random weights under a vocabulary that cuts English as Llama's does."""
    name = "tiny" if options.tiny else "1b"
    path, f16 = options.folder / f"shape-{name}.q4_k_m.gguf", options.folder / f"shape-{name}.f16.gguf"
    if not path.is_file():
        print(f"making {path} (minutes)", file=sys.stderr, flush=True)
        config = TINY if options.tiny else PRESETS["tiny_LLaMA_1b"].config
        numbers, sizes = np.random.default_rng(1), shapes(config)

        def load(key: str) -> NDArray[np.float32]:
            shape = sizes[key]
            noise = numbers.standard_normal(shape, dtype=np.float32)
            return (1 + noise / 10 if len(shape) == 1 else noise / shape[1] ** 0.5).astype(np.float32, copy=False)

        try:
            stream_gguf(f16, config=config, load=load, vocabulary=vocabulary(config.vocab), metadata={})
            quantise(f16, path, "q4_k_m")
        finally:
            f16.unlink(missing_ok=True)
    return path


def vocabulary(size: int) -> SentencePieceModel:
    """Eight thousand pieces of this project's own text, which has English, code and home commands; the rest is never used."""
    import sentencepiece as spm

    files = (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("*/*.py"))
    text = [line for file in files for line in file.read_text().splitlines()]
    text += [" ".join(example.words) for example in islice(stream(1), 6000)]
    with tempfile.TemporaryDirectory() as folder:
        with (Path(folder) / "words.model").open("wb") as out:
            spm.SentencePieceTrainer.train(
                sentence_iterator=iter(text), model_writer=out, vocab_size=8000, model_type="bpe", byte_fallback=True,
                character_coverage=1.0, split_digits=True, normalization_rule_name="identity", hard_vocab_limit=False,
                minloglevel=2,
            )  # fmt: skip
        read = sentencepiece.read(Path(folder) / "words.model")
    more = (chr(0x4E00 + n // 100) + chr(0x5E00 + n % 100) for n in range(size - len(read.pieces)))
    unused = tuple(Piece(text, -1e5 - n, PieceType.NORMAL) for n, text in enumerate(more))
    return replace(read, pieces=read.pieces + unused)


class Told(LanguageModel):
    """A model that chooses as ever, and then takes the token with which `line` goes on, whatever it chose."""

    def __init__(self, path: Path, **more: Any) -> None:
        super().__init__(path, **more)
        self._binding = _Led(self._tokenizer, self._size, self._eos)

    def tell(self, line: str) -> None:
        self._binding.rest = line.encode()


class _Led(Binding):
    """Allows what it would allow, and then one token only: that with which the rest of the line begins as it is cut."""

    rest = b""

    def writing(self, grammar: str) -> Writing:
        writing = super().writing(grammar)
        allowed, take = writing.allowed, writing.take

        def led() -> Tokens:
            may = allowed()
            cut = self._tokenizer.tokenize_bytes(self.rest[:24])[0]
            return np.array([cut if (may == cut).any() else max(may.tolist(), key=self._goes_on)])

        def taken(token: int) -> None:
            take(token)
            self.rest = self.rest.removeprefix(self.texts[token])

        writing.allowed, writing.take = led, taken  # type: ignore[method-assign]
        return writing

    def _goes_on(self, token: int) -> int:
        """How much of the rest the token is."""
        return len(self.texts[token]) if self.rest.startswith(self.texts[token]) else -1


# -- the rows


def chat(options: Options, *, warm: bool) -> Found:
    """create_chat_completion with a JSON schema and ten devices, from nothing or with its own prefix cache warm."""
    path = large(options)
    high = llama_cpp.Llama(
        str(path), n_ctx=1024, n_threads=options.threads, n_threads_batch=options.threads, verbose=False,
        chat_format="zephyr",
    )  # fmt: skip
    ours: list[float] = []
    alone: list[float] = []
    theirs: list[float] = []
    with Told(path, threads=options.threads, primer=primer(None)) as model, LanguageModel(default_model()) as small:
        for number in range(options.rounds + 1):
            for said, line, answer in ASKED:
                if not warm:
                    high.reset()  # type: ignore[no-untyped-call]
                took = (_high(high, said, answer), _ours(model, small, said, line), _ours(model, None, said, line))
                if number:
                    for times, ms in zip((theirs, ours, alone), took, strict=True):
                        times.append(ms)
    median = statistics.median(alone)
    note = f"without the small model's guess {median:.0f} ms, {statistics.median(theirs) / median:.1f} x"
    return at_least(statistics.median(ours), statistics.median(theirs), 5 if warm else 10, note)


def _ours(model: Told, small: LanguageModel | None, said: str, line: str) -> float:
    """Milliseconds with the guess of the small model, or without one."""
    split = words(said)
    model.tell(told(line))
    before = time.perf_counter()
    rules = grammar(split)
    guess = guessed(small.complete(prompt(split), rules).text) if small is not None else ""
    found = model.complete(asked(prompt(split)), spelled(rules), guess=guess)
    took = (time.perf_counter() - before) * 1000
    assert line_in(found.text) == line, found.text
    return took


def _high(model: llama_cpp.Llama, said: str, answer: tuple[str, str, int | None]) -> float:
    """Milliseconds of the high-level call, which writes as many tokens as the right answer has."""
    intent, target, value = answer
    action = {"intent": intent, "targets": [target], "slots": {} if value is None else {"value": value}}
    length = len(model.tokenize(json.dumps({"actions": [action]}).encode(), add_bos=False))
    before = time.perf_counter()
    model.create_chat_completion(
        [{"role": "system", "content": SYSTEM}, {"role": "user", "content": said}],
        response_format={"type": "json_object", "schema": SCHEMA},
        max_tokens=length,
        temperature=0.0,
    )
    return (time.perf_counter() - before) * 1000


INTENTS = ("turn_on", "turn_off", "set", "open", "close", "lock", "unlock", "set_temperature", "get_state",
           "get_temperature")  # fmt: skip
SYSTEM = (
    "You control a smart home. Answer with JSON: a list of actions, each with the intent, the targets and its slots. "
    f"Intents: {', '.join(INTENTS)}. Devices: " + "; ".join(f"{n} ({kind}, {room})" for n, kind, room in DEVICES)
)
ACTION = {
    "type": "object",
    "properties": {
        "intent": {"enum": list(INTENTS)},
        "targets": {"type": "array", "items": {"enum": [name for name, _, _ in DEVICES]}},
        "slots": {"type": "object", "properties": {"value": {"type": "integer"}}},
    },
    "required": ["intent", "targets", "slots"],
}
SCHEMA = {
    "type": "object",
    "properties": {"actions": {"type": "array", "items": ACTION}},
    "required": ["actions"],
}


def engine(options: Options) -> Found:
    """Tokens a second that our loop reads and writes against bare llama_decode on the same file, as llama-bench does it."""
    path = large(options)
    text = " ".join(" ".join(example.words) for example in islice(stream(2), 60))
    ours: list[tuple[float, float]] = []
    bare: list[tuple[float, float]] = []
    with Told(path, threads=options.threads) as model, _bare(path, options.threads) as context:
        said, line = text[:600], text[600:760]
        tokens = model.tokenize(said)
        for number in range(options.rounds + 1):
            model.tell("a")
            model.complete(text[900:1000], "start: /[a-z]/")  # so that nothing of the text is in the cache
            model.tell(line)
            found = model.complete(said, f"start: /(?s:.{{{len(line)}}})/", 400)
            mine = (found.read / found.ms_read * 1000, (len(found.tokens) - 1) / found.ms_write * 1000)
            plain_speed = _decoded(context, tokens, len(found.tokens) - 1)
            if number:
                ours.append(mine)
                bare.append(plain_speed)
    speeds = [[statistics.median(each[k] for each in side) for k in (0, 1)] for side in (ours, bare)]
    ratios = [mine / other for mine, other in zip(*speeds, strict=True)]
    note = ", ".join(
        f"{what} {mine:.1f} against {other:.1f}"
        for what, mine, other in zip(("reading", "writing"), *speeds, strict=True)
    )
    worst = ratios.index(min(ratios))
    return Found(
        speeds[0][worst], speeds[1][worst], "tokens/s", ratios[worst], ">= 0.95", ratios[worst] >= 0.95, note
    )  # fmt: skip


@contextmanager
def _bare(path: Path, threads: int) -> Iterator[Any]:
    """A context of llama.cpp's own over the file, loaded as ours is."""
    params = llama_cpp.llama_model_default_params()
    params.load_mode = llama_cpp.LLAMA_LOAD_MODE_NONE
    model = llama_cpp.llama_model_load_from_file(bytes(path), params)
    settings = llama_cpp.llama_context_default_params()
    settings.n_ctx = settings.n_batch = 2048
    settings.n_threads = settings.n_threads_batch = threads
    context = llama_cpp.llama_init_from_model(model, settings)
    try:
        yield context
    finally:
        llama_cpp.llama_free(context)
        llama_cpp.llama_model_free(model)


def _decoded(context: Any, tokens: list[int], more: int) -> tuple[float, float]:
    """Tokens a second for reading these in one batch, and for `more` single ones."""
    llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
    times = [time.perf_counter()]
    for batch in (tokens, *([tokens[n % len(tokens)]] for n in range(more))):
        array = (llama_cpp.llama_token * len(batch))(*batch)
        assert llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(array, len(batch))) == 0
        llama_cpp.llama_synchronize(context)
        times.append(time.perf_counter())
    return len(tokens) / (times[1] - times[0]), more / (times[-1] - times[1])


LIGHT_WORK = 'start: "turn on|what kitchen light\\n"'


def memory_large(options: Options) -> Found:
    """The process that holds the model of TinyLlama's shape, after its examples, commands and the longest answer."""

    async def held() -> float:
        async with Worker(large(options), threads=options.threads, primer=primer(None)) as worker:
            for said, _, _ in ASKED:
                await worker.complete(asked(prompt(words(said))), LIGHT_WORK)
            await worker.complete("what is this", "start: /[a-z]{40}/")
            assert worker.pid is not None
            return resident(worker.pid)

    held_mb, file_mb = asyncio.run(held()), large(options).stat().st_size / 1e6
    return Found(held_mb, file_mb, "MB", held_mb / 1000, "<= 0.80 GB", held_mb <= 800, "the other is the file")


# -- the small model


def home(size: int) -> Home:
    """The ten devices, and others with names of two words until there are `size`."""
    first = [
        Device(name, name, KINDS[kind], frozenset(Capability), area=room)
        for name, kind, room in DEVICES
    ]  # fmt: skip
    dice = random.Random(1)
    rooms = [f"{place} {n}" for n in range(1, 9) for place in ("attic", "cellar", "guest room", "studio", "corridor")]
    things = ("lamp", "spotlight", "strip", "lantern", "plug", "heater", "blind", "speaker")
    named = [f"{dice.choice('abcdefgh')}{n} {dice.choice(things)}" for n in range(size)]
    more = [Device(name, name, Kind.LIGHT, frozenset(Capability), area=dice.choice(rooms)) for name in named]
    return Home((*first, *more)[:size])


async def _times(model: Any, place: Home) -> list[float]:
    """Milliseconds to the meaning of each sentence."""
    times = []
    for said, _, _ in ASKED:
        before = time.perf_counter()
        await understand(said, place, Reader(model))
        times.append((time.perf_counter() - before) * 1000)
    return times


def devices(options: Options) -> Found:
    """The meaning of a sentence in a home of a thousand devices against one of ten."""

    async def both() -> tuple[list[float], list[float]]:
        few, many = home(10), home(1000)
        sides: tuple[list[float], list[float]] = ([], [])
        async with open_model(default_model(), 1) as model:
            for number in range(options.rounds * 5 + 1):
                for side, place in zip(sides, (many, few), strict=True):
                    side += (await _times(model, place)) if number else []
        return sides

    many, few = asyncio.run(both())
    return at_most(statistics.median(many), statistics.median(few), 1.1, "the whole way, with the resolver")


HASSIL = """
import json, sys, time
from hassil import Intents, TextSlotList, recognize_best
from home_assistant_intents import get_intents
asked = json.load(sys.stdin)
intents = Intents.from_dict(get_intents("en"))
lists = {
    "name": TextSlotList.from_tuples([(n, n, {"domain": k}) for n, k, _ in asked["devices"]], name="name"),
    "area": TextSlotList.from_tuples([(a, a) for a in sorted({a for _, _, a in asked["devices"]})], name="area"),
    "floor": TextSlotList.from_tuples([("upstairs", "upstairs")], name="floor"),
}
times, right = [], 0
for number in range(asked["rounds"] + 1):
    for text in asked["texts"]:
        before = time.perf_counter()
        found = recognize_best(text, intents, slot_lists=lists, language="en", best_slot_name="name")
        if number:
            times.append((time.perf_counter() - before) * 1000)
            right += found is not None
print(json.dumps([times, right]))
"""


def matcher(options: Options) -> Found:
    """One thread of the small model against hassil with Home Assistant's own sentences, on the same ones and ten devices."""
    with tempfile.TemporaryDirectory(prefix="matcher-") as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / "bin" / "python")
        subprocess.run([python, "-m", "pip", "-q", "install", "hassil", "home-assistant-intents"], check=True)
        asked = {"devices": DEVICES, "texts": [said for said, _, _ in ASKED], "rounds": options.rounds}
        reply = subprocess.run(
            [python, "-c", HASSIL], input=json.dumps(asked), capture_output=True, text=True, check=True
        )
    theirs, understood = json.loads(reply.stdout)

    async def mine() -> list[float]:
        async with open_model(default_model(), 1) as model:
            rounds = [await _times(model, home(10)) for _ in range(options.rounds + 1)]
            return [ms for times in rounds[1:] for ms in times]

    note = f"it understands {understood} of {len(theirs)}"
    return at_most(statistics.median(asyncio.run(mine())), statistics.median(theirs), 1.0, note)


# -- the daemon


@asynccontextmanager
async def daemon(folder: Path, address: LinkSettings) -> AsyncIterator[asyncio.subprocess.Process]:
    """`hub run` in a process of its own on this broker."""
    settings = folder / "hub.toml"
    settings.write_text(
        f'state_folder = "{folder}"\n[broker]\nhost = "{address.host}"\nport = {address.port}\nprotocol = "3.1.1"\n'
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hub", "run", "--config", str(settings)), cwd=ROOT, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


def start(options: Options) -> Found:
    """From the start of `hub run` to the answer to the first command."""

    async def once(folder: Path) -> float:
        async with broker() as address, Link(address, must_connect=True) as link:
            before = time.perf_counter()
            async with daemon(folder, address):
                await answered(link, "turn on the kitchen light", 0.02)
                return time.perf_counter() - before

    with tempfile.TemporaryDirectory() as folder:
        seconds = [asyncio.run(once(Path(folder))) for _ in range(max(3, options.rounds))]
    median = statistics.median(seconds)
    return Found(median, 2.0, "s", median / 2.0, "<= 2 s", median <= 2.0, f"slowest {max(seconds):.2f} s")


def memory_small(options: Options) -> Found:
    """The daemon and the process of the small model together; what they share counts once (Pss)."""

    async def held(folder: Path) -> tuple[float, float]:
        async with broker() as address, Link(address, must_connect=True) as link, daemon(folder, address) as process:
            for said, _, _ in ASKED:
                await answered(link, said, 0.02)
            pids = family(process.pid)
            return sum(map(pss, pids)), sum(map(resident, pids))

    with tempfile.TemporaryDirectory() as folder:
        once, each = asyncio.run(held(Path(folder)))
    return Found(
        once, each, "MB", once / 120, "<= 120 MB", once <= 120, "the other is Rss, which counts twice what is shared"
    )


@contextmanager
def busy() -> Iterator[None]:
    """One core has other work."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.kill()


def busy_small(options: Options) -> Found:
    """The small model while one core is busy elsewhere against the quiet machine."""

    async def times() -> list[float]:
        async with open_model(default_model(), 1) as model:
            rounds = [await _times(model, home(10)) for _ in range(options.rounds * 5 + 1)]
            return [ms for times in rounds[1:] for ms in times]

    return _beside(lambda: asyncio.run(times()))


def busy_large(options: Options) -> Found:
    """The same of the model of TinyLlama's shape."""

    async def times() -> list[float]:
        found = []
        async with Worker(large(options), threads=options.threads, primer=primer(None)) as worker:
            for number in range(options.rounds + 1):
                before = time.perf_counter()
                await worker.complete("turn on the light", "start: /[a-z]{12}/")
                found += [(time.perf_counter() - before) * 1000] if number else []
        return found

    return _beside(lambda: asyncio.run(times()))


def _beside(times: Callable[[], list[float]]) -> Found:
    quiet = times()
    with busy():
        loud = times()
    return at_most(statistics.median(loud), statistics.median(quiet), 2.5, f"{os.cpu_count()} cores")


ROWS: dict[str, Callable[[Options], Found]] = {
    "chat": lambda options: chat(options, warm=False),
    "chat-warm": lambda options: chat(options, warm=True),
    "engine": engine,
    "memory-large": memory_large,
    "matcher": matcher,
    "memory-small": memory_small,
    "devices": devices,
    "start": start,
    "busy": busy_small,
    "busy-large": busy_large,
}


def row(name: str, found: Found) -> str:
    verdict = "reached" if found.reached else "MISSED"
    numbers = f"{found.ours:10.1f} {found.other:10.1f} {found.unit:9}{found.ratio:7.2f}  {found.need:11} {verdict:8}"
    return f"{name:14}{numbers}{found.note}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--folder", type=Path, help="where the large model is kept; a temporary one otherwise")
    parser.add_argument("--threads", type=int, default=max(1, (os.cpu_count() or 1) - 1), help="of the large model")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tiny", action="store_true", help="a much smaller shape, to try the bench itself out")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="bench-"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{'':14}{'ours':>10} {'other':>10} {'':9}{'ratio':>7}  {'must be':11}")
    try:
        for name in options.only:
            print(row(name, ROWS[name](Options(folder, options.threads, options.rounds, options.tiny))), flush=True)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    finally:
        if options.folder is None:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
