"""The engine: what it writes is bound by the grammar, repeatable, and cut as the training cut it; bad files are named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import llama_cpp
import pytest
import sentencepiece as spm

from intents import line
from intents.grammar import allows, grammar
from intents.prompt import ASK, prompt
from models import ModelError
from models.completion import Primer
from models.export.gguf import LlamaConfig, write_gguf
from models.export.stand_in import random_tensors, write_stand_in
from models.language import STATE, LanguageModel

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
    assert warm.read < 10 < cold.read / 100
    assert again.text == cold.text
    assert again.logprobs == pytest.approx(cold.logprobs, abs=0.05)


PRIMER = Primer("what is said and what it means\nsaid: lamp on\nline:<turn_on>\nsaid:", ASK)
EITHER = 'start: "<turn_on>" | "<turn_off>"'


@pytest.fixture(scope="session")
def stranger(folder: Path) -> Path:
    """A model whose vocabulary has none of our symbols."""
    path = folder / "stranger.gguf"
    write_stand_in(path, [], config=WIDE, seed=3)
    return path


def answered(model: LanguageModel, said: str) -> tuple[str, tuple[float, ...], int]:
    completion = model.complete(f"{said}\nline:", EITHER)
    return completion.text, completion.logprobs, completion.read


def test_a_primer_is_read_once_and_leaves_no_trace_of_what_was_said_before(stranger: Path) -> None:
    with LanguageModel(stranger, primer=PRIMER) as model:
        assert model.primed
        first = [answered(model, said) for said in ("lamp on", "lamp off please", "lamp off")]
        again = [answered(model, said) for said in ("lamp off", "lamp off please", "lamp on")]
        head = model.tokenize(PRIMER.text)
        assert again == first[::-1]
        assert first[0][2] == len(model.tokenize("lamp on\nline:")) + len("<turn_o") < len(head)


def test_a_primer_is_restored_from_its_file_to_the_same_answers(stranger: Path, tmp_path: Path) -> None:
    kept = replace(PRIMER, folder=tmp_path / "state")
    found = []
    for _ in range(2):
        with LanguageModel(stranger, primer=kept) as model:
            found.append(answered(model, "lamp off"))
    with LanguageModel(stranger, primer=PRIMER) as model:
        assert found == [answered(model, "lamp off")] * 2
    assert [file.name for file in (tmp_path / "state").iterdir()] == [STATE]


@pytest.mark.parametrize("damage", ["cut", "turned", "empty", "other text", "other model", "a folder"])
def test_a_state_that_is_not_the_one_is_made_anew(stranger: Path, folder: Path, tmp_path: Path, damage: str) -> None:
    kept, file = replace(PRIMER, folder=tmp_path), tmp_path / STATE
    other = folder / "stranger2.gguf"
    write_stand_in(other, [], config=WIDE, seed=4)
    if damage == "a folder":
        file.mkdir()
    else:
        wrong = replace(kept, text=kept.text + " x") if damage == "other text" else kept
        LanguageModel(other if damage == "other model" else stranger, primer=wrong).close()
        whole = file.read_bytes()
        middle = len(whole) // 2
        broken = {"cut": whole[:middle], "empty": b""}
        broken["turned"] = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
        file.write_bytes(broken.get(damage, whole))
    with LanguageModel(stranger, primer=PRIMER) as model:
        right = answered(model, "lamp off")
    for _ in range(2):
        with LanguageModel(stranger, primer=kept) as model:
            assert answered(model, "lamp off") == right


def guesses(text: str) -> list[str]:
    """The answer itself, its beginnings and what goes on behind it, and what says something else from some place on."""
    cuts = range(0, len(text), 5)
    return [
        "",
        "nonsense",
        text,
        text + "<and>",
        *(text[:n] for n in cuts),
        *(text[:n] + "zz" + text[n:] for n in cuts),
    ]


def test_no_guess_changes_an_answer(model: LanguageModel) -> None:
    for utterance in UTTERANCES[:2]:
        said = line.words(utterance)
        alone = model.complete(prompt(said), grammar(said), 400)
        for guess in guesses(alone.text):
            guided = model.complete(prompt(said), grammar(said), 400, guess)
            assert (guided.text, guided.tokens) == (alone.text, alone.tokens)
            assert guided.logprobs == pytest.approx(alone.logprobs, abs=0.02)


def test_a_guess_that_is_right_is_read_and_not_written(folder: Path) -> None:
    config = LlamaConfig(dim=256, layers=6, heads=4, kv_heads=2, ffn=512, vocab=512, context=256)
    write_stand_in(folder / "slow.gguf", SYMBOLS, config=config)
    with LanguageModel(folder / "slow.gguf") as model:
        asked = ("x", "start: (<turn_on> | <turn_off> | <toggle>){60}", 100)
        alone = model.complete(*asked)
        plain = min(model.complete(*asked).ms_write for _ in range(3))
        guided = min(model.complete(*asked, alone.text).ms_write for _ in range(3))
    assert guided < plain / 2


def test_a_guess_too_long_for_the_answer_is_cut(model: LanguageModel) -> None:
    assert model.complete("x", "start: <none> /a{9}/", 12, "<none>" + "a" * 500).text == "<none>aaaaaaaaa"


def test_a_model_that_knows_the_symbol_needs_no_primer(folder: Path, model: LanguageModel) -> None:
    with LanguageModel(folder / "random.gguf", primer=PRIMER) as other:
        assert not other.primed
        assert other.fingerprint == model.fingerprint
        assert other.complete("x" + ASK, "start: <none>").read == model.complete("x" + ASK, "start: <none>").read


def test_a_primer_that_does_not_fit_is_an_error(folder: Path) -> None:
    write_stand_in(folder / "narrow.gguf", [])
    with pytest.raises(ModelError, match="too small"):
        LanguageModel(folder / "narrow.gguf", primer=replace(PRIMER, text=PRIMER.text * 4))


def test_what_changes_an_answer_changes_the_fingerprint(folder: Path, stranger: Path, model: LanguageModel) -> None:
    prints = [model.fingerprint]
    for text in ("", "one", "two"):
        with LanguageModel(stranger, primer=replace(PRIMER, text=text) if text else None) as other:
            prints.append(other.fingerprint)
    with LanguageModel(folder / "random.gguf") as again:
        assert again.fingerprint == model.fingerprint
    carded = folder / "carded.gguf"
    carded.write_bytes((folder / "random.gguf").read_bytes())
    carded.with_suffix(".json").write_text('{"calibration": [[0, 0], [0.8, 0.6], [1, 0.9]]}')
    with LanguageModel(carded) as other:
        prints.append(other.fingerprint)
    assert len(set(prints)) == 5
    assert all("llama-cpp-python=" in each and "llguidance=" in each for each in prints)


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
