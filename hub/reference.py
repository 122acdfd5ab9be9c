"""Writes docs/settings.md: types, bounds and defaults from the code, the words from the comments of the example file.

python -m hub.reference > docs/settings.md
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hub.settings import Settings

EXAMPLE = Path(__file__).parents[1] / "deploy" / "hub.example.toml"
HEAD = """# Settings
One file in TOML: the one given with `--config`, else that of the variable `HUB_CONFIG`, else `~/.config/hub/hub.toml`,
else `/etc/hub/hub.toml`. What is not in it has its default; what is not known in it is an error with its line, so that a
misspelt key cannot be overlooked. `hub settings check` says whether the file can be used, `hub settings show` what is in
effect, and `deploy/hub.example.toml` is a file with everything in it to begin with.

This page is generated: `python -m hub.reference > docs/settings.md`.
"""

Schema = Mapping[str, Any]


def page(example: str) -> str:
    """The whole page, with the comments of this example."""
    schema = Settings.model_json_schema()
    words = explained(example)
    return "\n".join([HEAD, *_table(schema, schema["$defs"], words, ())]).rstrip("\n") + "\n"


def _table(schema: Schema, known: Schema, words: Mapping[str, str], path: tuple[str, ...]) -> Iterator[str]:
    """One table of the file, and then those inside it."""
    inner: list[tuple[tuple[str, ...], Schema]] = []
    rows = []
    for key, field in schema["properties"].items():
        here = (*path, key)
        items = field.get("additionalProperties") if isinstance(field.get("additionalProperties"), dict) else None
        if reference := field.get("$ref"):
            inner.append((here, known[reference.rsplit("/", 1)[1]]))
        elif items and "$ref" in items:
            inner.append(((*here, '"NAME"'), known[items["$ref"].rsplit("/", 1)[1]]))
        else:
            rows.append(_row(key, field, words.get(".".join(here), "")))
    yield f"## {f'`[{chr(46).join(path)}]`' if path else 'At the top'}"
    if said := words.get(".".join(path), "") if path else "":
        yield said
    yield from ("", "| key | value | default | what it is |", "|---|---|---|---|", *rows, "")
    for place, below in inner:
        yield from _table(below, known, words, place)


def _row(key: str, field: Schema, words: str) -> str:
    default = field.get("default", {} if field.get("type") == "object" else None)
    shown = "not set" if default is None else f"`{json.dumps(default, ensure_ascii=False)}`"
    return f"| `{key}` | {_kind(field)} | {shown} | {words} |".replace("|  |", "| |")


def _kind(field: Schema) -> str:
    """What may stand there, in words."""
    if "anyOf" in field:  # or not set at all
        return _kind(next(choice for choice in field["anyOf"] if choice.get("type") != "null"))
    if "enum" in field:
        return " or ".join(f"`{json.dumps(value)}`" for value in field["enum"])
    kind = field.get("type")
    if kind in ("integer", "number"):
        return f"{'whole number' if kind == 'integer' else 'number'}{_bounds(field, kind == 'integer')}"
    if kind == "string":
        return f"text that fits `{field['pattern']}`" if "pattern" in field else "text"
    if isinstance(held := field.get("additionalProperties"), dict) and held.get("type") == "number":
        return f"a {_kind(held)}, for each name"
    plain = {"boolean": "`true` or `false`", "array": "list of texts", "object": "a text for each name"}
    return plain[str(kind)]


def _bounds(field: Schema, whole: bool) -> str:
    low, high = field.get("minimum"), field.get("maximum")
    if whole and "exclusiveMinimum" in field:
        low, high = field["exclusiveMinimum"] + 1, field["exclusiveMaximum"] - 1
    if high is None and not whole and "exclusiveMaximum" in field:
        return f", from {low} to less than {field['exclusiveMaximum']}"
    return "" if low is None or high is None else f", {low} to {high}"


def explained(example: str) -> dict[str, str]:
    """The comment in front of each key and table, by its path: `broker.port`. Settings that are commented out count."""
    found: dict[str, str] = {}
    table = ""
    said: list[str] = []
    for line in example.splitlines():
        plain = re.sub(r"^# (?=\[[\w.\"]+\]$|\w+ = )", "", line)
        if header := re.fullmatch(r"\[(.+)\]", plain):
            table = re.sub(r'"[^"]*"', '"NAME"', header[1])
            found[table] = " ".join(said)
            said = []
        elif pair := re.match(r"(\w+) = ", plain):
            found[f"{table}.{pair[1]}" if table else pair[1]] = " ".join(said)
            said = []
        elif line.startswith("# "):
            said.append(line[2:])
        else:
            said = []
    return found


if __name__ == "__main__":
    sys.stdout.write(page(EXAMPLE.read_text(encoding="utf-8")))
