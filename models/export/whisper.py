"""A Whisper in Hugging Face's form to the folder that faster-whisper runs, in 8 bits, by CTranslate2's own converter."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from models import ModelError


def convert(source: Path, folder: Path) -> Path:
    """The converted model in `folder`, which is written anew, whole or not at all. Raises ModelError."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # all that is needed lies in the folder
    try:
        from ctranslate2.converters import TransformersConverter
        from transformers.utils import logging as chatty
    except ImportError as error:
        raise ModelError(
            f"the conversion needs more packages ({error}): pip install 'homeward-hub[voice,forms]'"
        ) from None
    chatty.set_verbosity_error()  # type: ignore[no-untyped-call] # theirs
    chatty.disable_progress_bar()  # type: ignore[no-untyped-call] # theirs
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        converter = TransformersConverter(str(source), copy_files=["tokenizer.json", "preprocessor_config.json"])
        converter.convert(str(part), quantization="int8")
        shutil.rmtree(folder, ignore_errors=True)
        part.replace(folder)
    except Exception as error:  # CTranslate2's, transformers' and the disk's, which have no root in common
        shutil.rmtree(part, ignore_errors=True)
        raise ModelError(f"{source}: cannot be converted ({str(error)[:300]})") from None
    return folder
