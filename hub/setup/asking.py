"""How a step of the wizard asks: somebody at a terminal, or a file of answers. A step does not know which of them."""

from __future__ import annotations

import getpass
import shutil
import sys
import textwrap
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from hub import HubError

HELP = "Enter takes what stands in [brackets]. At any question: back, skip (this step), stop (go on another day)."
_YES, _NO = frozenset({"y", "yes"}), frozenset({"n", "no"})


class SetupError(HubError):
    """A step cannot be done; the text says what to do."""


class Back(Exception):
    """Whoever is asked wants to go back: to the start of this step, or from there to the one before."""


class Skip(Exception):
    """Whoever is asked does not want this step."""


class Stop(Exception):
    """Whoever is asked wants to go on another day."""


_WISHES: Mapping[str, type[Exception]] = {"back": Back, "skip": Skip, "stop": Stop}


class Asker(Protocol):
    """What a step asks and tells by. `key` is the name of a question in a file of answers.

    Each question may raise Back, Skip or Stop.
    """

    @property
    def attended(self) -> bool:
        """Whether somebody is there who can listen, speak, and try again."""

    def say(self, text: str = "") -> None:
        """Tells something, in whole lines."""

    def progress(self, text: str) -> None:
        """Shows what is being done now, in one line that is written over; "" takes it away."""

    def ask(self, key: str, question: str, default: str = "") -> str:
        """A line of text, without the space around it."""

    def secret(self, key: str, question: str) -> str:
        """A text that is not shown while it is typed; "" for none."""

    def yes(self, key: str, question: str, default: bool) -> bool:
        """Yes or no."""

    def choose(self, key: str, question: str, options: Sequence[tuple[str, str]], default: str) -> str:
        """The first of one of these pairs; the second says in words what it is."""

    def named(self, key: str) -> frozenset[str]:
        """Those for which there is an answer "key.NAME" beforehand."""

    def again(self, problem: str) -> None:
        """What was answered cannot be: tells why, and returns where it can be asked again. Raises SetupError."""


@dataclass(slots=True)
class Terminal:
    """Somebody at a terminal, which may be one over ssh or at a serial line: plain lines and nothing else."""

    read: Callable[[str], str] = input
    read_secret: Callable[[str], str] = getpass.getpass
    answered: int = 0  # questions, since somebody set it to none
    _shown: bool = field(default=False, init=False)

    @property
    def attended(self) -> bool:
        return True

    def say(self, text: str = "") -> None:
        self.progress("")
        width = min(100, shutil.get_terminal_size().columns)
        for line in text.splitlines() or [""]:
            indent = " " * (len(line) - len(line.lstrip()))
            print(textwrap.fill(line, width, subsequent_indent=indent + "  ", break_on_hyphens=False) or "", flush=True)

    def progress(self, text: str) -> None:
        if text or self._shown:
            most = shutil.get_terminal_size().columns - 1
            sys.stdout.write(f"\r\033[K{text[:most]}")
            sys.stdout.flush()
        self._shown = bool(text)

    def ask(self, key: str, question: str, default: str = "") -> str:
        said = self._answer(f"{question} [{default}]: " if default else f"{question}: ")
        return said or default

    def secret(self, key: str, question: str) -> str:
        self.progress("")
        said = self.read_secret(f"{question} (not shown): ")
        self.answered += 1
        return said

    def yes(self, key: str, question: str, default: bool) -> bool:
        while True:
            said = self._answer(f"{question} [{'Y/n' if default else 'y/N'}]: ").lower()
            if not said or said in _YES | _NO:
                return default if not said else said in _YES
            self.again("Please answer yes or no.")

    def choose(self, key: str, question: str, options: Sequence[tuple[str, str]], default: str) -> str:
        names = [name for name, _ in options]
        for number, (_, words) in enumerate(options, 1):
            self.say(f"  {number}  {words}")
        first = str(names.index(default) + 1) if default in names else "1"
        while True:
            said = self._answer(f"{question} [{first}]: ") or first
            if said.isdecimal() and 1 <= int(said) <= len(names):
                return names[int(said) - 1]
            if said in names:
                return said
            self.again(f"Please give a number from 1 to {len(names)}.")

    def named(self, key: str) -> frozenset[str]:
        return frozenset()

    def again(self, problem: str) -> None:
        self.say(f"  ! {problem}")

    def _answer(self, prompt: str) -> str:
        self.progress("")
        said = self.read(prompt).strip()
        if wish := _WISHES.get(said.lower()):
            raise wish
        self.answered += 1
        return said


Answer = str | bool | int | float | list[object] | Mapping[str, str | bool]


@dataclass(slots=True)
class Prepared:
    """A file of answers: a table for each step, in it a key for each question. What is not there takes its default.

    An answer that is refused is a SetupError: nobody is there to give another.
    """

    name: str
    table: Mapping[str, Answer]
    tell: Callable[[str], None]

    @property
    def attended(self) -> bool:
        return False

    def say(self, text: str = "") -> None:
        for line in text.splitlines():
            self.tell(line)

    def progress(self, text: str) -> None:
        """Nobody looks."""

    def ask(self, key: str, question: str, default: str = "") -> str:
        found = self._found(key)
        if found is None:
            return default
        if isinstance(found, bool | list | dict):
            raise SetupError(f"{self.name}: {key} is to be a text or a number")
        return str(found).strip()

    def secret(self, key: str, question: str) -> str:
        """From the file itself, or from the one that it names as KEY_file, so that the answers can be shown around."""
        if file := self._found(f"{key}_file"):
            try:
                return Path(str(file)).expanduser().read_text(encoding="utf-8").rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                raise SetupError(
                    f"{self.name}: {key}_file = {str(file)!r} cannot be read ({getattr(error, 'strerror', None) or error})"
                ) from None
        return self.ask(key, question)

    def yes(self, key: str, question: str, default: bool) -> bool:
        found = self._found(key)
        if found is not None and not isinstance(found, bool):
            raise SetupError(f"{self.name}: {key} is to be true or false")
        return default if found is None else found

    def choose(self, key: str, question: str, options: Sequence[tuple[str, str]], default: str) -> str:
        said, names = self.ask(key, question, default), [name for name, _ in options]
        if said not in names:
            raise SetupError(f"{self.name}: {key} = {said!r} is none of {', '.join(names)}")
        return said

    def named(self, key: str) -> frozenset[str]:
        found = self.table.get(key, {})
        if not isinstance(found, Mapping):
            raise SetupError(f"{self.name}: {key} is to be a table")
        return frozenset(found)

    def again(self, problem: str) -> None:
        raise SetupError(problem)

    def _found(self, key: str) -> Answer | None:
        """The answer to `key`; "rooms.x" is the key x of the table `rooms`."""
        table, _, rest = key.partition(".")
        found = self.table.get(table)
        return found.get(rest) if rest and isinstance(found, Mapping) else None if rest else found


def answers(file: Path, known: Mapping[str, frozenset[str]]) -> Mapping[str, Mapping[str, Answer]]:
    """The tables of a file of answers, by step; `known` are the questions of each step. Raises SetupError."""
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"{file}: the answers cannot be read ({getattr(error, 'strerror', None) or error})") from None
    except tomllib.TOMLDecodeError as error:
        raise SetupError(f"{file}: this is not TOML: {error}") from None
    for step, table in tables.items():
        if step not in known or not isinstance(table, dict):
            raise SetupError(f"{file}: there is no step [{step}]; there are {', '.join(known)}")
        for key in table:
            if key not in known[step]:
                keys = ", ".join(sorted(known[step]))
                raise SetupError(f"{file}: [{step}] has no question {key!r}; it has {keys}")
    return tables
