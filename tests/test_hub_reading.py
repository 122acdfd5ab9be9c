"""What stands before the model: an answer that was given already is not computed again, and none is changed by that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from hub.dialect import Dialect, line_in, primer, spelled
from hub.dialect import told as plainly
from hub.reading import PARSES, Remembering, Sharing, open_completer, open_model, remembered
from hub.settings import ModelSettings, Settings
from intents import line
from intents.corpus.sample import stream
from intents.grammar import allows, grammar
from intents.prompt import ASK, prompt
from models import ModelError
from models.cache import ParseCache
from models.completion import Completion
from models.files import default_model
from models.worker import Worker

SENTENCES = (
    "turn on the kitchen light",
    "dim the bedroom to 20 percent and close the blinds",
    "set a timer for ten minutes",
    "what a lovely day",
)


class Counting:
    """A model that counts how often it is asked; what it says of words depends on its name."""

    def __init__(self, fingerprint: str = "a") -> None:
        self.fingerprint = fingerprint
        self.asked: list[str] = []

    async def complete(self, prompt: str, grammar: str) -> Completion:
        self.asked.append(prompt)
        await asyncio.sleep(0)
        if not prompt:
            raise ModelError("nothing was said")
        return Completion(f"<{self.fingerprint}> {prompt}", (1, 2), (-0.25, 0.0), ms_read=1.0, ms_write=2.0)


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    async with Worker(default_model()) as worker:
        await worker.start()
        yield worker


def told(completion: Completion) -> Completion:
    """The answer without its times."""
    return replace(completion, ms_read=0.0, ms_write=0.0, read=0)


async def test_the_shipped_model_says_the_same_with_and_without_the_cache(worker: Worker, tmp_path: Path) -> None:
    asked = [line.words(sentence) for sentence in SENTENCES]
    plain = [told(await worker.complete(prompt(words), grammar(words))) for words in asked]
    for _ in range(2):
        with ParseCache(tmp_path / PARSES) as cache:
            model = Remembering(Dialect(worker), cache)
            for _ in range(2):
                assert [told(await model.complete(prompt(words), grammar(words))) for words in asked] == plain


async def test_who_shares_the_cores_waits_for_them_and_gives_them_back() -> None:
    counting, cores = Counting(), asyncio.Semaphore(1)
    model = Sharing(counting, cores)
    async with cores:  # which Whisper has at the moment
        asking = asyncio.create_task(model.complete("lamp on", "g"))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not counting.asked
    await asking
    with pytest.raises(ModelError):
        await model.complete("", "g")
    assert not cores.locked()
    assert (counting.asked, model.fingerprint) == (["lamp on", ""], "a")


async def test_the_same_words_are_asked_once_also_at_the_same_time(tmp_path: Path) -> None:
    counting = Counting()
    with ParseCache(tmp_path / PARSES) as cache:
        model = Remembering(counting, cache)
        answers = await asyncio.gather(*(model.complete("lamp on", "g") for _ in range(5)))
        assert {told(a) for a in answers} == {told(answers[0])}
        await model.complete("lamp on", "another grammar")
    assert counting.asked == ["lamp on", "lamp on"]


async def test_another_model_is_asked_anew(tmp_path: Path) -> None:
    with ParseCache(tmp_path / PARSES) as cache:
        first, second = Counting("a"), Counting("b")
        assert (await Remembering(first, cache).complete("lamp on", "g")).text == "<a> lamp on"
        assert (await Remembering(second, cache).complete("lamp on", "g")).text == "<b> lamp on"
        second.fingerprint = "c"  # as when the child was replaced and its file is another one by now
        assert (await Remembering(second, cache).complete("lamp on", "g")).text == "<c> lamp on"


async def test_what_two_models_may_have_answered_is_not_kept(tmp_path: Path) -> None:
    with ParseCache(tmp_path / PARSES) as cache:
        counting = Counting()
        call = asyncio.create_task(Remembering(counting, cache).complete("lamp on", "g"))
        await asyncio.sleep(0)
        counting.fingerprint = "b"
        await call
        assert len(cache) == 0


async def test_what_fails_is_not_kept(tmp_path: Path) -> None:
    with ParseCache(tmp_path / PARSES) as cache:
        model = Remembering(Counting(), cache)
        for _ in range(2):
            with pytest.raises(ModelError, match="nothing was said"):
                await model.complete("", "g")
        assert len(cache) == 0


async def test_it_is_opened_only_when_asked_for(tmp_path: Path) -> None:
    settings = Settings(state_folder=str(tmp_path))
    words = line.words(SENTENCES[0])
    async with open_completer(settings) as model:
        await model.complete(prompt(words), grammar(words))
    assert not list(tmp_path.iterdir())
    cores = asyncio.Semaphore()
    async with open_model(default_model(), 1, tmp_path) as alone, remembered(alone, tmp_path, cores) as model:
        await model.complete(prompt(words), grammar(words))
        known = await model.complete(prompt(words), grammar(words))
    assert known.ms_write == 0
    assert (tmp_path / PARSES).is_file()


def test_the_examples_are_lines_that_can_be_written() -> None:
    pairs = primer(None).text.split("\n")[1:-1]
    assert len(pairs) > 8
    for pair in pairs:
        said, _, written = pair.partition(" =")
        assert line.words(said) == said.split()
        assert plainly(line_in(written)) == written + "\n"
        assert allows(line.read(line_in(written)), said.split())


def test_a_line_in_plain_words_is_the_same_line() -> None:
    for example in islice(stream(5), 500):
        assert line_in(plainly(example.line)) == example.line
    assert plainly("<set><up><what> lamp<and><close>") == " set|up|what lamp; close\n"


def test_symbols_are_words_in_the_grammar() -> None:
    assert spelled("start: <none>\n") == 'start: whole "\\n"\nwhole: " none"\n'
    assert "<" not in spelled(grammar(["lamp"]))


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose vocabulary has none of our symbols."""
    export = pytest.importorskip("models.export.stand_in", reason="writing a model needs gguf")
    gguf = pytest.importorskip("models.export.gguf")
    wide = gguf.LlamaConfig(dim=64, layers=1, heads=2, kv_heads=1, ffn=64, vocab=512, context=2048)
    path = tmp_path_factory.mktemp("reading") / "stranger.gguf"
    export.write_stand_in(path, [], config=wide)
    return path


async def test_a_model_without_our_symbols_writes_our_line_after_examples(stranger: Path, tmp_path: Path) -> None:
    settings = Settings(state_folder=str(tmp_path), model=ModelSettings(file=str(stranger)))
    words = line.words(SENTENCES[0])
    found = []
    for _ in range(2):
        async with open_completer(settings) as model:
            found.append(told(await model.complete(prompt(words), grammar(words))))
    assert found[0] == found[1]
    assert allows(line.read(found[0].text), words)
    assert ASK not in found[0].text


async def test_a_guess_does_not_change_what_the_large_model_says(stranger: Path, worker: Worker) -> None:
    async with Worker(stranger, primer=primer(None)) as large, Worker(stranger) as useless:
        await large.start()
        for guesser in (worker, useless):  # the second one fails: its grammar names symbols that it does not have
            for words in map(line.words, SENTENCES):
                alone = await Dialect(large).complete(prompt(words), grammar(words))
                guided = await Dialect(large, guesser).complete(prompt(words), grammar(words))
                assert guided.text == alone.text
                assert guided.logprobs == pytest.approx(alone.logprobs, abs=0.05)
