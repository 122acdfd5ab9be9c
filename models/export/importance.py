"""An importance matrix: how large the inputs of each column of each matrix are on a text, for the quantiser."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models import ModelError
from models.export.checkpoint import Shape
from models.export.forms import Array
from models.export.gguf import gguf_name
from models.export.verify import run_torch

if TYPE_CHECKING:
    from torch import Tensor

CHUNK = 512
TOKENS = 4096  # a larger text is cut: PyTorch reads some hundred tokens a second at TinyLlama's size
FEWEST = 64


def importance(
    shape: Shape, load: Callable[[str], Array], tokens: Sequence[int], bos: int
) -> dict[str, NDArray[np.float32]]:
    """The mean squares of the inputs of each matrix, by its name in the GGUF. Raises ModelError for too short a text."""
    if len(tokens) < FEWEST:
        raise ModelError(f"the text for the importance matrix has {len(tokens)} tokens; it needs {FEWEST} at least")
    size = min(CHUNK, shape.config.context) - 1
    parts = [list(tokens[at : at + size]) for at in range(0, min(len(tokens), TOKENS), size)]
    sums: dict[str, NDArray[np.float64]] = {}
    count = sum(len(part) + (bos >= 0) for part in parts)

    def observe(name: str, inputs: Tensor) -> None:
        squares = inputs.double().square().sum(0).numpy()
        sums[name] = sums.get(name, 0.0) + squares

    run_torch(shape, load, [[bos, *part] if bos >= 0 else part for part in parts], observe)
    return {gguf_name(name): (total / count).astype(np.float32) for name, total in sums.items()}
