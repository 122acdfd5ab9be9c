"""What the command line does with checkpoints, in words for a person."""

from __future__ import annotations

import math
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from models import ModelError

_EXTRA = "this needs more packages than running the hub does: pip install 'homeward-hub[train]'"


def describe(path: Path, preset: str) -> str:
    """What a checkpoint is. Raises ModelError where it cannot be exported."""
    opened = _exporter().open_checkpoint(path, preset)
    c, scale = opened.shape.config, opened.shape.rope_scale
    scaled = f", positions divided by {scale:g}" if scale != 1 else ""
    count = sum(math.prod(lazy.shape) for lazy in opened.tensors.values())
    return (
        f"{path}: {opened.form}\n"
        f"Llama of {count:,} weights in {len(opened.tensors)} tensors: {c.layers} layers of {c.dim}, {c.heads} heads, "
        f"{c.kv_heads} for keys and values, {c.ffn} inside, {c.vocab} tokens, context {c.context}{scaled}\n"
        "It can be exported."
    )


def run(path: Path, out: Path, kind: str, tokenizer: Path | None, preset: str, license: str) -> str:
    """Exports, with progress on a terminal. Raises ModelError."""
    checkpoint = _exporter().open_checkpoint(path, preset)
    from models.export.convert import export

    shown = _show if sys.stderr.isatty() else None
    result = export(checkpoint, out, kind=kind, tokenizer=tokenizer, license=license, progress=shown)
    return (
        f"{out}: {out.stat().st_size:,} bytes. Its F16 form and PyTorch are {result.largest:.4f} apart at most, "
        f"with the same first choice in {result.top1:.0%} of {result.positions} positions."
    )


def _exporter() -> ModuleType:
    try:
        from models.export import checkpoint
    except ModuleNotFoundError as error:
        raise ModelError(_EXTRA) from error
    if find_spec("torch") is None:
        raise ModelError(_EXTRA)
    return checkpoint


def _show(done: int, whole: int) -> None:
    sys.stderr.write(f"\r{done * 100 // whole:3} % written" + ("\n" if done == whole else ""))
    sys.stderr.flush()
