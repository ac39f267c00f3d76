"""What is wrong with a configuration file, each problem as one line that can be acted on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rpmu.config.locate import Path
from rpmu.errors import InputError


def toml_value(value: Any) -> str:
    """A value as TOML spells it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + "".join(_ESCAPES.get(letter) or _escaped(letter) for letter in value) + '"'
    if isinstance(value, float):
        return repr(value)  # inf and nan are spelled alike in TOML
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml_value(key)} = {toml_value(item)}" for key, item in value.items()) + "}"
    return str(value)


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def _escaped(letter: str) -> str:
    return letter if letter.isprintable() else f"\\u{ord(letter):04x}" if ord(letter) < 0x10000 else letter


def key_name(path: Path) -> str:
    """`[station] idcode`, `[[channel]] 2 ain`, `[station]`, or a bare top-level key."""
    if not path:
        return "the file"
    section, *rest = path
    if rest and isinstance(rest[0], int):
        number, *keys = rest
        return " ".join([f"[[{section}]] number {int(number) + 1}", *map(str, keys)])
    return " ".join([f"[{section}]", *map(str, rest)])


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        path: of the key; empty for the file as a whole.
        text: what was got and what is allowed, to follow the name of the key.
        example: a line that would be right, or empty.
        line: in the file, or None if the key is not in it.
    """

    path: Path
    text: str
    example: str = ""
    line: int | None = None

    def sentence(self, file: str) -> str:
        """`FILE:LINE: [section] key is GOT, but must be ALLOWED, for example EXAMPLE`."""
        place = file if self.line is None else f"{file}:{self.line}"
        example = f", for example: {self.example}" if self.example else ""
        return f"{place}: {key_name(self.path)} {self.text}{example}"


class ConfigError(InputError):
    """A configuration with problems.

    Attributes:
        file: its name.
        problems: all of them, in the order of the file.
    """

    def __init__(self, file: str, problems: Sequence[Problem]) -> None:
        self.file = file
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line or 0))
        super().__init__("\n".join(problem.sentence(file) for problem in self.problems))
