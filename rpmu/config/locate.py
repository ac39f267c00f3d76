"""On which line of a TOML file each key stands; tomllib does not say.

Works on text that tomllib has accepted, so it needs to know only where statements begin and how far values reach:
strings of four kinds, brackets and comments. Keys inside an inline table are found on the line of that table.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

Path = tuple[str | int, ...]

BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
KEY = re.compile(r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[ \t]*\.[ \t]*)+""")
# A value ends at the end of its line, unless a string or a bracket spans it.
STRING = re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'', re.DOTALL)


def key_lines(text: str) -> dict[Path, int]:
    """Line number, from 1, of each table header and key.

    Args:
        text: valid TOML.

    Returns:
        By path: ("station",), ("station", "idcode"), ("channel", 0), ("channel", 0, "name"), and so on.
    """
    lines: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    place = _skip(BLANK, text, 0)
    while place < len(text):
        line = text.count("\n", 0, place) + 1
        if text[place] == "[":
            table, place = _header(text, place, counts)
            _note(lines, table, line)
        else:
            end = _skip(KEY, text, place)
            _note(lines, table + _parts(text[place:end]), line)
            place = _value_end(text, text.index("=", end) + 1)
        place = _skip(BLANK, text, place)
    return lines


def _note(lines: dict[Path, int], path: Path, line: int) -> None:
    for length in range(1, len(path) + 1):
        lines.setdefault(path[:length], line)


def _skip(pattern: re.Pattern[str], text: str, place: int) -> int:
    match = pattern.match(text, place)
    return match.end() if match else place


def _parts(key: str) -> tuple[str, ...]:
    """The names of a dotted key, as TOML itself reads them."""
    names: list[str] = []
    inner: Any = tomllib.loads(f"{key} = 0")
    while isinstance(inner, dict):
        name = next(iter(inner))
        names.append(name)
        inner = inner[name]
    return tuple(names)


def _header(text: str, place: int, counts: dict[Path, int]) -> tuple[Path, int]:
    """Path and end of a [table] or [[array of tables]] header."""
    array = text.startswith("[[", place)
    start = _skip(re.compile(r"[ \t]*"), text, place + 1 + array)
    end = _skip(KEY, text, start)
    path: Path = ()
    names = _parts(text[start:end])
    for name in names[:-1]:
        path += (name,)
        if path in counts:
            path += (counts[path],)
    path += (names[-1],)
    if array:
        counts[path] = counts.get(path, -1) + 1
        path += (counts[path],)
    return path, text.index("]", end) + 1 + array


def _value_end(text: str, place: int) -> int:
    depth = 0
    while place < len(text):
        letter = text[place]
        if letter in "\"'":
            place = _skip(STRING, text, place)
            continue
        if letter == "#":
            newline = text.find("\n", place)
            place = len(text) if newline < 0 else newline
            continue
        if letter == "\n" and depth == 0:
            return place
        depth += (letter in "[{") - (letter in "]}")
        place += 1
    return place
