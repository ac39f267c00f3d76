"""Where in a TOML file each key and its value stand; tomllib does not say.

For messages that name the line, and for changing one value without touching the rest of a person's file. Works on
text that tomllib has accepted, so it needs to know only where statements begin and how far values reach: strings of
four kinds, brackets and comments. Keys inside an inline table are found at that table.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import Any

Path = tuple[str | int, ...]

SPACES = re.compile(r"[ \t]*")
REST_OF_LINE = re.compile(r"[ \t]*(?:#[^\n]*)?")
BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
KEY = re.compile(r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[ \t]*\.[ \t]*)+""")
# A value ends at the end of its line, unless a string or a bracket spans it.
STRING = re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'', re.DOTALL)


@dataclass(frozen=True)
class Place:
    """Where a key or a table header stands.

    Attributes:
        line: its line, from 1.
        start: offset of the line's first character.
        value: offset of the value, or of the end of a header.
        end: offset just after the value (spaces and comments not included), or `value` for a header.
    """

    line: int
    start: int
    value: int
    end: int


def key_places(text: str) -> dict[Path, Place]:
    """Place of each table header and key.

    Args:
        text: valid TOML.

    Returns:
        By path: ("station",), ("station", "idcode"), ("channel", 0), ("channel", 0, "name"), and so on. A table that
        only follows from a longer path has the place of the first of those.
    """
    places: dict[Path, Place] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    at = _skip(BLANK, text, 0)
    while at < len(text):
        line, start = text.count("\n", 0, at) + 1, text.rfind("\n", 0, at) + 1
        if text[at] == "[":
            table, at = _header(text, at, counts)
            _note(places, table, Place(line, start, at, at))
        else:
            key_end = _skip(KEY, text, at)
            value = _skip(SPACES, text, text.index("=", key_end) + 1)
            path = table + _parts(text[at:key_end])
            at = _value_end(text, value)
            _note(places, path, Place(line, start, value, at))
        at = _skip(REST_OF_LINE, text, at)
        at = _skip(BLANK, text, at)
    return places


def _note(places: dict[Path, Place], path: Path, place: Place) -> None:
    for length in range(1, len(path) + 1):
        places.setdefault(path[:length], place)


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
    start = _skip(SPACES, text, place + 1 + array)
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
    """Offset just after the value that begins at `place`."""
    depth, end = 0, place
    while place < len(text) and not (depth == 0 and text[place] in "#\n"):
        letter = text[place]
        if letter in "\"'":
            place = end = _skip(STRING, text, place)
        elif letter == "#":
            place = _skip(REST_OF_LINE, text, place)
        else:
            depth += (letter in "[{") - (letter in "]}")
            place += 1
            end = place if not letter.isspace() else end
    return end
