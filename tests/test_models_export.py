"""llama.cpp must compute what the training computed: its logits against a forward pass in plain numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import llama_cpp
import numpy as np
import pytest
import sentencepiece as spm
from numpy.typing import NDArray

from models import ModelError
from models.export import sentencepiece
from models.export.gguf import LlamaConfig, gguf_name, interleave_rope, shapes, write_gguf
from models.export.quantise import quantise
from models.export.stand_in import random_tensors

CONFIG = LlamaConfig(dim=256, layers=2, heads=4, kv_heads=2, ffn=512, vocab=400, context=256)
SYMBOLS = ["<do>", "<none>", "<and>", "<turn_on>", "<turn_off>", "<what>", "<to>"]
SENTENCES = [
    "turn on the lamp in the kitchen",
    "turn off the lights",
    "set the heating to 21 degrees",
    "dim the bedroom lamp to 50 %",
    "don't open the blinds at 10:30",
    "close the café door",
]
PARTS = ("attn_norm", "q", "k", "v", "o", "ffn_norm", "gate", "up", "down")
Weights = dict[str, NDArray[np.float32]]


def train_tokenizer(path: Path, **options: Any) -> Path:
    """A BPE model as the training makes it, of a few sentences."""
    settings: dict[str, Any] = {
        "vocab_size": 340,
        "model_type": "bpe",
        "character_coverage": 1.0,
        "byte_fallback": True,
        "split_digits": True,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "add_dummy_prefix": False,
        "user_defined_symbols": SYMBOLS,
        "minloglevel": 2,
    }
    with path.open("wb") as out:
        spm.SentencePieceTrainer.train(
            sentence_iterator=iter([" " + s for s in SENTENCES]), model_writer=out, **(settings | options)
        )
    return path


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_tokenizer(tmp_path_factory.mktemp("tokenizer") / "words.model")


@pytest.fixture(scope="session")
def f32(tmp_path_factory: pytest.TempPathFactory, tokenizer: Path) -> Path:
    path = tmp_path_factory.mktemp("model") / "f32.gguf"
    write_gguf(path, config=CONFIG, tensors=random_tensors(CONFIG), tokenizer_model=tokenizer, metadata={}, dtype="f32")
    return path


def forward(w: Weights, config: LlamaConfig, tokens: list[int]) -> NDArray[np.float32]:
    """The logits [position, vocabulary] of a Llama with half-split rope, as written for clarity."""
    size, n = config.head_size, len(tokens)
    frequency = config.rope_base ** (-np.arange(0, size, 2) / size)
    angle = np.arange(n)[:, None] * frequency
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    mask = np.triu(np.full((n, n), -np.inf), 1)

    def norm(x: NDArray[np.float32], name: str) -> NDArray[np.float32]:
        y: NDArray[np.float32] = x / np.sqrt((x * x).mean(-1, keepdims=True) + config.norm_eps) * w[name]
        return y

    def rope(x: NDArray[np.float32]) -> NDArray[np.float32]:
        a, b = x[..., : size // 2], x[..., size // 2 :]
        return np.concatenate([a * cos - b * sin, a * sin + b * cos], -1)

    x = w["tok.weight"][tokens]
    for layer in range(config.layers):
        p = {k: f"layers.{layer}.{k}.weight" for k in PARTS}
        h = norm(x, p["attn_norm"])
        q = rope((h @ w[p["q"]].T).reshape(n, config.heads, size))
        k = rope((h @ w[p["k"]].T).reshape(n, config.kv_heads, size))
        v = (h @ w[p["v"]].T).reshape(n, config.kv_heads, size)
        k, v = (np.repeat(t, config.heads // config.kv_heads, axis=1) for t in (k, v))
        scores = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(size) + mask
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        x = x + np.einsum("hqk,khd->qhd", scores, v).reshape(n, -1) @ w[p["o"]].T
        h = norm(x, p["ffn_norm"])
        gate = h @ w[p["gate"]].T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ w[p["up"]].T)) @ w[p["down"]].T
    logits: NDArray[np.float32] = norm(x, "norm.weight") @ w["tok.weight" if config.tied else "head.weight"].T
    return logits


def llama(path: Path) -> llama_cpp.Llama:
    return llama_cpp.Llama(str(path), n_ctx=256, n_threads=1, logits_all=True, verbose=False)


def logits_of(path: Path, tokens: list[int]) -> NDArray[np.float32]:
    model = llama(path)
    model.eval(tokens)
    logits = np.array(model.scores[: len(tokens)], dtype=np.float32)
    model.close()
    return logits


@pytest.mark.parametrize("tied", [True, False])
def test_llama_cpp_computes_what_numpy_computes(tmp_path: Path, tokenizer: Path, tied: bool) -> None:
    config = LlamaConfig(dim=96, layers=2, heads=6, kv_heads=3, ffn=160, vocab=400, context=256, tied=tied)
    w = random_tensors(config, seed=1)
    path = tmp_path / "m.gguf"
    write_gguf(path, config=config, tensors=w, tokenizer_model=tokenizer, metadata={}, dtype="f32")
    tokens = [1, 5, 300, 17, 17, 42, 5, 260, 339, 7, 11, 80]
    # llama.cpp keeps keys, values and the table of SiLU in 16 bit: 0.002 apart. A wrong rope is 3 apart.
    np.testing.assert_allclose(logits_of(path, tokens), forward(w, config, tokens), atol=5e-3)


def test_f16_loses_little_and_four_bits_stay_close(tmp_path: Path, tokenizer: Path) -> None:
    w = random_tensors(CONFIG)
    f16, q4, q8 = tmp_path / "f16.gguf", tmp_path / "q4.gguf", tmp_path / "q8.gguf"
    write_gguf(f16, config=CONFIG, tensors=w, tokenizer_model=tokenizer, metadata={"general.name": "test"})
    quantise(f16, q4, token_embedding_type="q8_0")
    quantise(f16, q8, "q8_0")
    tokens = [1, 5, 300, 17, 42]
    reference = forward(w, CONFIG, tokens)
    assert np.abs(logits_of(f16, tokens) - reference).max() < 0.02
    assert np.abs(logits_of(q8, tokens) - reference).max() < 0.2
    types = {t.name: t.tensor_type.name for t in gguf.GGUFReader(q4).tensors}
    assert types["blk.0.attn_q.weight"] == "Q4_0"
    assert types["token_embd.weight"] == "Q8_0"
    assert types["output_norm.weight"] == "F32"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["f16.gguf", "q4.gguf", "q8.gguf"]


def quantised(path: Path) -> NDArray[np.uint8]:
    return np.array(next(t.data for t in gguf.GGUFReader(path).tensors if t.name == "blk.0.ffn_up.weight"))


def test_an_importance_matrix_changes_the_quantised_weights(tmp_path: Path, f32: Path) -> None:
    plain, weighed = tmp_path / "plain.gguf", tmp_path / "weighed.gguf"
    importance = {
        gguf_name(name): np.geomspace(1e-3, 1e3, shape[1]).astype(np.float32)
        for name, shape in shapes(CONFIG).items()
        if len(shape) == 2
    }
    quantise(f32, plain)
    quantise(f32, weighed, imatrix=importance)
    assert not np.array_equal(quantised(plain), quantised(weighed))


def test_what_cannot_be_quantised_leaves_nothing_behind(tmp_path: Path, f32: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(f32.read_bytes()[:5000])
    for source, kind in ((broken, "q4_0"), (f32, "q3_x"), (tmp_path / "absent.gguf", "q4_0")):
        with pytest.raises(ModelError):
            quantise(source, tmp_path / "out.gguf", kind)
    assert [p.name for p in tmp_path.iterdir()] == ["broken.gguf"]


def test_rope_rows_are_interleaved_within_each_head() -> None:
    rows = np.arange(12, dtype=np.float32).reshape(12, 1)
    assert interleave_rope(rows, 2).ravel().tolist() == [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]


def llama_cpp_ids(model: llama_cpp.Llama, text: str) -> list[int]:
    return model.tokenize(text.encode(), add_bos=False, special=True)


def test_llama_cpp_cuts_text_as_sentencepiece_does(f32: Path, tokenizer: Path) -> None:
    reference = spm.SentencePieceProcessor(model_file=str(tokenizer))
    model = llama(f32)
    texts = [
        " turn on the lamp<do><turn_on><what> the lamp",
        " set the heating to 21.5 degrees<do><turn_on><what> the heating<to> 21.5<and><turn_off><what> lights",
        " don't open the zürich blinds at 10:30 50 % ° +5<do><none>",
        " xylophone jazz quizzes über 漢字<do>",
        *(f" {s}<do><what> {s}" for s in SENTENCES),
    ]
    try:
        assert {t: llama_cpp_ids(model, t) for t in texts} == {t: reference.encode(t) for t in texts}
    finally:
        model.close()


def test_the_piece_reader_agrees_with_sentencepiece(tokenizer: Path) -> None:
    reference = spm.SentencePieceProcessor(model_file=str(tokenizer))
    model = sentencepiece.read(tokenizer)
    assert [p.text for p in model.pieces] == [reference.id_to_piece(i) for i in range(len(reference))]
    np.testing.assert_allclose([p.score for p in model.pieces], [reference.get_score(i) for i in range(len(reference))])
    assert (model.unk, model.bos, model.eos) == (reference.unk_id(), reference.bos_id(), reference.eos_id())
    assert [p.text for p in model.pieces if p.type is sentencepiece.PieceType.USER_DEFINED] == SYMBOLS
    assert not model.add_space_prefix


@pytest.mark.parametrize(
    "options", [{"model_type": "char", "vocab_size": 300}, {"normalization_rule_name": "nmt_nfkc"}]
)
def test_a_tokenizer_that_llama_cpp_would_cut_otherwise_is_refused(tmp_path: Path, options: dict[str, object]) -> None:
    with pytest.raises(ModelError, match="train"):
        sentencepiece.read(train_tokenizer(tmp_path / "odd.model", **options))


@pytest.mark.parametrize("data", [b"", b"\x0a", b"\xff" * 40, b"\x0a\x05hello", b"GGUF", b"\x08\x01"])
def test_a_file_that_is_no_tokenizer_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.model"
    path.write_bytes(data)
    with pytest.raises(ModelError, match="SentencePiece"):
        sentencepiece.read(path)
    with pytest.raises(ModelError, match="cannot be read"):
        sentencepiece.read(tmp_path / "absent")


def test_tensors_that_do_not_fit_are_named(tmp_path: Path, tokenizer: Path) -> None:
    w = random_tensors(CONFIG)
    missing = {k: v for k, v in w.items() if k != "layers.1.q.weight"}
    bent = w | {"norm.weight": np.ones(3, dtype=np.float32)}
    for tensors, match in ((missing, "layers.1.q"), (bent, "norm.weight"), (w | {"x": w["norm.weight"]}, "x")):
        with pytest.raises(ModelError, match=match):
            write_gguf(tmp_path / "m.gguf", config=CONFIG, tensors=tensors, tokenizer_model=tokenizer, metadata={})
    small = LlamaConfig(dim=32, layers=1, heads=2, kv_heads=1, ffn=32, vocab=100, context=8)
    with pytest.raises(ModelError, match="100 rows"):
        write_gguf(
            tmp_path / "m.gguf", config=small, tensors=random_tensors(small), tokenizer_model=tokenizer, metadata={}
        )
    assert list(tmp_path.iterdir()) == []
