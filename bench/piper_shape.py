"""A Piper voice of the true shape: VITS as Piper's medium voices have it, 22,050 Hz, about 63 MB, with random weights.

It says noise. Its time and memory are those of a voice that was trained, as far as its layers are the same: text encoder
(six layers, 192 wide), flow (four couplings of four WaveNet layers), HiFi-GAN decoder (8 x 8 x 4, blocks of kind 2). What
differs: attention has no relative positions, and each phoneme lasts FRAMES frames in place of what a predictor of durations
says, which is a twentieth of the weights.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SYMBOLS = "_^$ !',-.:;?abcdefghijklmnopqrstuvwxyzæðŋɐɑɔəɚɛɜɡɪɹɾʃʊʌʒθᵻˈˌː"
FRAMES = 4  # a symbol, of 256 samples each; there is a pause symbol between two phonemes, so a phoneme has 93 ms
_WIDTH, _INNER, _IDS = 192, 768, 256
_FLOAT, _INT = 1, 7


def write(file: Path) -> None:
    """Writes the voice and its description beside it."""
    file.write_bytes(_Graph().model())
    config = {
        "audio": {"sample_rate": 22_050},
        "espeak": {"voice": "en-us"},
        "inference": {"noise_scale": 0.667, "length_scale": 1.0, "noise_w": 0.8},
        "phoneme_type": "espeak",
        "phoneme_id_map": {symbol: [i] for i, symbol in enumerate(SYMBOLS)},
        "num_symbols": _IDS,
        "num_speakers": 1,
    }
    Path(f"{file}.json").write_text(json.dumps(config))


# -- protocol buffers, as ONNX is written in them


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def _field(number: int, value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _attribute(name: str, value: int | tuple[int, ...]) -> bytes:
    if isinstance(value, int):
        return _field(5, _field(1, name) + _field(3, value) + _field(20, 2))
    return _field(5, _field(1, name) + b"".join(_field(8, part) for part in value) + _field(20, 7))


def _port(number: int, name: str, kind: int, dims: int) -> bytes:
    shape = b"".join(_field(1, _field(2, f"{name}{i}")) for i in range(dims))
    return _field(number, _field(1, name) + _field(2, _field(1, _field(1, kind) + _field(2, shape))))


# -- the network


class _Graph:
    """Nodes and weights in the order in which they were asked for; each method gives the name of what it computes."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._count = 0
        self._chance = np.random.default_rng(0)

    def model(self) -> bytes:
        flowed = self._flow(self._encoder())
        self._node("Identity", self._decoder(flowed), out="output")
        ports = [
            _port(11, "input", _INT, 2),
            _port(11, "input_lengths", _INT, 1),
            _port(11, "scales", _FLOAT, 1),
            _port(12, "output", _FLOAT, 3),
        ]
        return _field(1, 8) + _field(7, b"".join([*self._parts, _field(2, "vits"), *ports])) + _field(8, _field(2, 17))

    def _encoder(self) -> str:
        """[1, length] to [1, width, FRAMES * length]."""
        x = self._node("Gather", self._weight(_IDS, _WIDTH), "input")
        x = self._node("Transpose", x, perm=(0, 2, 1))
        for _ in range(6):
            x = self._node("Add", x, self._attention(x))
            inner = self._node("Relu", self._conv(x, _WIDTH, _INNER, 3))
            x = self._node("Add", x, self._conv(inner, _INNER, _WIDTH, 3))
        long = self._node("Unsqueeze", x, self._numbers(3))
        long = self._node("Expand", long, self._numbers(1, 1, 1, FRAMES))
        return self._node("Reshape", long, self._numbers(1, _WIDTH, -1))

    def _attention(self, x: str) -> str:
        """Of two heads, each of half the width."""
        heads = self._numbers(1, 2, _WIDTH // 2, -1)
        q, k, v = (self._node("Reshape", self._conv(x, _WIDTH, _WIDTH, 1), heads) for _ in range(3))
        seen = self._node("Softmax", self._node("MatMul", self._node("Transpose", q, perm=(0, 1, 3, 2)), k), axis=3)
        mixed = self._node("MatMul", v, self._node("Transpose", seen, perm=(0, 1, 3, 2)))
        return self._conv(self._node("Reshape", mixed, self._numbers(1, _WIDTH, -1)), _WIDTH, _WIDTH, 1)

    def _flow(self, x: str) -> str:
        half = _WIDTH // 2
        for _ in range(4):
            inner = self._conv(x, _WIDTH, _WIDTH, 1)
            for _ in range(4):
                wide = self._conv(inner, _WIDTH, 2 * _WIDTH, 5)
                open_, gate = self._halves(wide, _WIDTH)
                gated = self._node("Mul", self._node("Tanh", open_), self._node("Sigmoid", gate))
                stays, _ = self._halves(self._conv(gated, _WIDTH, 2 * _WIDTH, 1), _WIDTH)
                inner = self._node("Add", inner, stays)
            kept, changed = self._halves(x, half)
            changed = self._node("Add", changed, self._conv(inner, _WIDTH, half, 1))
            x = self._node("Concat", changed, kept, axis=1)
        return x

    def _decoder(self, x: str) -> str:
        x, width = self._conv(x, _WIDTH, 256, 7), 256
        for factor in (8, 8, 4):
            x = self._up(self._node("LeakyRelu", x), width, width // 2, factor)
            width //= 2
            branches = [
                self._block(x, width, kernel, holes) for kernel, holes in ((3, (1, 2)), (5, (2, 6)), (7, (3, 12)))
            ]
            x = self._node("Sum", *branches)
        return self._node("Tanh", self._conv(self._node("LeakyRelu", x), width, 1, 7))

    def _block(self, x: str, width: int, kernel: int, holes: tuple[int, ...]) -> str:
        for hole in holes:
            x = self._node("Add", x, self._conv(self._node("LeakyRelu", x), width, width, kernel, hole))
        return x

    def _conv(self, x: str, inputs: int, outputs: int, kernel: int, hole: int = 1) -> str:
        pad = (kernel - 1) * hole // 2
        return self._node("Conv", x, self._weight(outputs, inputs, kernel), pads=(pad, pad), dilations=(hole,))

    def _up(self, x: str, inputs: int, outputs: int, factor: int) -> str:
        pad, weight = factor // 2, self._weight(inputs, outputs, 2 * factor)
        return self._node("ConvTranspose", x, weight, pads=(pad, pad), strides=(factor,))

    def _halves(self, x: str, at: int) -> tuple[str, str]:
        def part(begin: int, end: int) -> str:
            return self._node("Slice", x, self._numbers(begin), self._numbers(end), self._numbers(1))

        return part(0, at), part(at, 2 * at)

    # -- what it is written in

    def _node(self, operation: str, *inputs: str, out: str = "", **how: int | tuple[int, ...]) -> str:
        out = out or self._name()
        given = b"".join(_field(1, name) for name in inputs)
        attributes = b"".join(_attribute(name, value) for name, value in how.items())
        self._parts.append(_field(1, given + _field(2, out) + _field(4, operation) + attributes))
        return out

    def _weight(self, *shape: int) -> str:
        values = self._chance.standard_normal(shape, dtype=np.float32) / np.float32(np.prod(shape[1:]) ** 0.5)
        return self._tensor(_FLOAT, values.astype("<f4"))

    def _numbers(self, *values: int) -> str:
        return self._tensor(_INT, np.array(values, "<i8"))

    def _tensor(self, kind: int, values: NDArray[np.float32] | NDArray[np.int64]) -> str:
        name = self._name()
        dims = b"".join(_field(1, size) for size in values.shape)
        self._parts.append(_field(5, dims + _field(2, kind) + _field(8, name) + _field(9, values.tobytes())))
        return name

    def _name(self) -> str:
        self._count += 1
        return f"n{self._count}"
