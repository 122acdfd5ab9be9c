"""The engine: what it writes is bound by the grammar, repeatable, and cut as the training cut it; bad files are named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import llama_cpp
import pytest
import sentencepiece as spm

from intents import line
from intents.grammar import allows, grammar
from intents.prompt import ASK, prompt
from models import ModelError
from models.export.gguf import LlamaConfig, write_gguf
from models.export.stand_in import random_tensors, write_stand_in
from models.language import LanguageModel

SYMBOLS = [ASK, *line.symbols()]
UTTERANCES = [
    "turn on the lamp in the kitchen and close the blinds",
    "set the heating to 21.5 degrees",
    "don't open the café door at 10:30",
    "stop",
]
WIDE = LlamaConfig(dim=64, layers=1, heads=2, kv_heads=1, ffn=64, vocab=512, context=4096)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("language")


@pytest.fixture(scope="session")
def model(folder: Path) -> Iterator[LanguageModel]:
    write_stand_in(folder / "random.gguf", SYMBOLS)
    with LanguageModel(folder / "random.gguf") as model:
        yield model


@pytest.mark.parametrize("seed", range(4))
def test_even_random_weights_write_a_line_about_what_was_said(folder: Path, seed: int) -> None:
    path = folder / f"seed{seed}.gguf"
    write_stand_in(path, SYMBOLS, seed=seed)
    with LanguageModel(path) as model:
        for utterance in UTTERANCES:
            said = line.words(utterance)
            completion = model.complete(prompt(said), grammar(said), 400)
            parses = line.read(completion.text)
            assert allows(parses, said)
            assert line.write(parses) == completion.text
            assert 0 < completion.confidence <= 1
            assert len(completion.tokens) == len(completion.logprobs) > 0


def test_the_same_words_give_the_same_line_whatever_came_before(model: LanguageModel) -> None:
    def answer(utterance: str) -> tuple[str, tuple[float, ...]]:
        said = line.words(utterance)
        completion = model.complete(prompt(said), grammar(said), 400)
        return completion.text, completion.logprobs

    first = [answer(u) for u in UTTERANCES]
    assert [answer(u) for u in reversed(UTTERANCES)] == first[::-1]


def test_a_long_beginning_that_was_read_is_not_read_again(folder: Path) -> None:
    path = folder / "wide.gguf"
    write_stand_in(path, SYMBOLS, config=WIDE)
    rules = "the rules of the house " * 60
    with LanguageModel(path) as model:
        cold = model.complete(rules + "one" + ASK, "start: <turn_on> | <turn_off>")
        warm = model.complete(rules + "two" + ASK, "start: <turn_on> | <turn_off>")
        again = model.complete(rules + "one" + ASK, "start: <turn_on> | <turn_off>")
    assert warm.ms_read < cold.ms_read / 2
    assert again.text == cold.text
    assert again.logprobs == pytest.approx(cold.logprobs, abs=0.05)


def test_what_the_grammar_forces_is_written_without_a_choice(model: LanguageModel) -> None:
    completion = model.complete("x", 'start: <turn_on> " the lamp"')
    assert completion.text == "<turn_on> the lamp"
    assert completion.confidence == 1.0


def test_nothing_said_is_nothing_asked(model: LanguageModel) -> None:
    assert model.complete(prompt([]), grammar([])).text == "<none>"


def test_symbols_are_one_token(model: LanguageModel) -> None:
    assert [len(model.tokenize(s)) for s in SYMBOLS] == [1] * len(SYMBOLS)


@pytest.mark.parametrize("dummy_prefix", [True, False])
def test_prompts_and_spans_are_cut_as_in_training(tmp_path: Path, dummy_prefix: bool) -> None:
    """The training cuts the whole text; here the prompt is cut by llama.cpp and forced spans by llguidance."""
    with (tmp_path / "words.model").open("wb") as out:
        spm.SentencePieceTrainer.train(
            sentence_iterator=iter(UTTERANCES * 3),
            model_writer=out,
            vocab_size=440,
            model_type="bpe",
            character_coverage=1.0,
            byte_fallback=True,
            split_digits=True,
            normalization_rule_name="identity",
            add_dummy_prefix=dummy_prefix,
            user_defined_symbols=SYMBOLS,
            hard_vocab_limit=False,
            minloglevel=2,
        )
    config = LlamaConfig(dim=64, layers=1, heads=2, kv_heads=1, ffn=64, vocab=440, context=256)
    write_gguf(
        tmp_path / "m.gguf",
        config=config,
        tensors=random_tensors(config),
        tokenizer_model=tmp_path / "words.model",
        metadata={},
    )
    reference = spm.SentencePieceProcessor(model_file=str(tmp_path / "words.model"))
    with LanguageModel(tmp_path / "m.gguf") as model:
        for utterance in [*UTTERANCES, "open the zebra's 漢字 window 50 % +5"]:
            said = line.words(utterance)
            span = " " + " ".join(said)
            trained = reference.encode(f"{prompt(said)}<turn_on><what>{span}")
            written = model.complete(prompt(said), f'start: <turn_on> <what> "{span}"').tokens
            assert model.tokenize(prompt(said)) + list(written) == trained


@pytest.mark.parametrize("text", ["", "start: <no_such_symbol>", "start: (", "start: other"])
def test_a_grammar_that_is_none_is_an_error(model: LanguageModel, text: str) -> None:
    with pytest.raises(ModelError, match="grammar"):
        model.complete("x", text)
    assert model.complete("x", "start: <none>").text == "<none>"


def test_what_is_too_long_is_refused(model: LanguageModel) -> None:
    with pytest.raises(ModelError, match="too long"):
        model.complete("a" * 10_000, "start: <none>")
    with pytest.raises(ModelError, match="longer than 5"):
        model.complete("x", "start: /[a-z]{20}/", 5)
    assert model.complete("x", "start: <none>").text == "<none>"


def test_files_that_are_no_models_are_named(folder: Path, model: LanguageModel) -> None:
    whole = (folder / "random.gguf").read_bytes()
    broken = {"empty": b"", "text": b"hello, world", "head": whole[:6], "half": whole[: len(whole) // 2]}
    for name, data in broken.items():
        path = folder / f"{name}.bad"
        path.write_bytes(data)
        with pytest.raises(ModelError, match=f"{name}.bad.*fetch it again"):
            LanguageModel(path)
    for path in (folder / "absent.gguf", folder):
        with pytest.raises(ModelError, match="cannot be read"):
            LanguageModel(path)


def test_llama_cpp_says_nothing_on_the_terminal(
    folder: Path, model: LanguageModel, capfd: pytest.CaptureFixture[str]
) -> None:
    with LanguageModel(folder / "random.gguf") as other:
        other.complete("x", "start: <none>")
    assert capfd.readouterr() == ("", "")


def test_closing_twice_does_no_harm(folder: Path, model: LanguageModel) -> None:
    other = LanguageModel(folder / "random.gguf")
    other.close()
    other.close()
    assert llama_cpp.llama_max_devices() > 0
