"""From a TOML file to a `Config`, or to every problem in it at once.

Nothing is guessed and nothing is ignored: a key that the schema does not know is an error with the nearest spelling,
and a value of the wrong type or out of bounds names file, line, key, what was got, what is allowed and an example.
"""

from __future__ import annotations

import dataclasses
import difflib
import pathlib
import re
import tomllib
import types
import typing
from dataclasses import dataclass, field
from typing import Any

from rpmu.config.checks import contradictions
from rpmu.config.locate import Path, key_places
from rpmu.config.problems import ConfigError, Problem, key_name, toml_value
from rpmu.config.rule import Rule, rule_of
from rpmu.config.schema import Channel, Config
from rpmu.errors import InputError

MAX_FILE_BYTES = 1 << 16
TYPE_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text in quotes"}
PLAINER = {  # what tomllib says, in words for the person who wrote the file
    "Cannot overwrite a value": "the key is given twice",
    "Cannot declare": "the section is given twice",
    "Invalid value": "the value is none; a text needs quotes",
}
TOML_END = "at end of document"
TOML_PLACE = re.compile(r" \(at line (\d+), column \d+\)$")


def load(path: pathlib.Path) -> Config:
    """Read a configuration file.

    Raises:
        ConfigError: it is wrong; the message has one line per problem.
        InputError: it cannot be read.
    """
    return parse(read(path), str(path))


def read(path: pathlib.Path) -> bytes:
    """Content of a configuration file.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read the configuration {path}: {error.strerror}") from error


def parse(content: bytes, file: str = "rpmu.toml") -> Config:
    """Read a configuration from the content of a file.

    Args:
        content: the file's bytes.
        file: its name in messages.

    Raises:
        ConfigError: it is wrong; the message has one line per problem.
    """
    text = _text(content, file)
    try:
        tables = tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, or a number of more digits than Python converts
        raise ConfigError(file, [_not_toml(str(error), text)]) from None
    except RecursionError:
        raise ConfigError(file, [Problem((), "is nested too deeply to be a configuration")]) from None
    reading = _Reading({path: place.line for path, place in key_places(text).items()})
    config = reading.config(tables)
    if not reading.problems:
        reading.contradictions(config)
    if reading.problems:
        raise ConfigError(file, reading.problems)
    return config


def default() -> Config:
    """The configuration of an empty file."""
    return Config()


def _text(content: bytes, file: str) -> str:
    if len(content) > MAX_FILE_BYTES:
        raise ConfigError(file, [Problem((), f"has {len(content)} bytes, but may have at most {MAX_FILE_BYTES}")])
    try:
        return content.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(file, [Problem((), "is not UTF-8 text", line=line)]) from None


def _not_toml(message: str, text: str) -> Problem:
    place = TOML_PLACE.search(message)
    line = int(place.group(1)) if place else text.rstrip().count("\n") + 1 if TOML_END in message else None
    said = TOML_PLACE.sub("", message).removesuffix(f" ({TOML_END})")
    plainer = next((words for beginning, words in PLAINER.items() if said.startswith(beginning)), said)
    return Problem((), f"is not valid TOML here: {plainer}", line=line)


@dataclass
class _Reading:
    """Collects problems while the tables become dataclasses."""

    lines: dict[Path, int]
    problems: list[Problem] = field(default_factory=list)

    def config(self, tables: dict[str, Any]) -> Config:
        """The configuration that the tables spell; what is wrong in them is noted in `problems`."""
        sections: dict[str, Any] = {}
        known = {item.name: item for item in dataclasses.fields(Config)}
        types_ = typing.get_type_hints(Config)
        for name, value in tables.items():
            if name not in known:
                self._unknown((name,), list(known))
            elif name == "channel":
                sections[name] = self._channels(value)
            elif isinstance(value, dict):
                sections[name] = self._section(types_[name], value, (name,))
            else:
                self._complain((name,), f"is {toml_value(value)}, but must be a section", f"[{name}]")
        return Config(**sections)

    def contradictions(self, config: Config) -> None:
        for path, text, example in contradictions(config):
            self._complain(path, text, example)

    def _channels(self, value: Any) -> tuple[Channel, ...]:
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self._complain(("channel",), f"is {toml_value(value)}, but must be sections of this name", "[[channel]]")
            return ()
        return tuple(self._section(Channel, item, ("channel", number)) for number, item in enumerate(value))

    def _section(self, kind: type[Any], table: dict[str, Any], path: Path) -> Any:
        known = {item.name: item for item in dataclasses.fields(kind)}
        types_ = typing.get_type_hints(kind)
        values: dict[str, Any] = {}
        for name, value in table.items():
            if name not in known:
                self._unknown((*path, name), list(known))
                continue
            rule = rule_of(known[name])
            good, converted = self._value((*path, name), value, types_[name], rule)
            if good:
                values[name] = converted
        return kind(**values)

    def _value(self, path: Path, value: Any, kind: Any, rule: Rule) -> tuple[bool, Any]:
        """Whether a value is allowed, and the value as the schema's type."""
        wants_list = item_type(kind) is not None
        single = item_type(kind) or plain_type(kind)
        items = value if wants_list and isinstance(value, list) else [value]
        if isinstance(value, list) != wants_list or not all(_is(item, single) for item in items):
            expected = f"a list, each item {TYPE_WORDS[single]}" if wants_list else TYPE_WORDS[single]
            self._complain(path, f"is {toml_value(value)}, but must be {expected}", _example(path, rule))
            return False, None
        converted = [single(item) for item in items]
        for item in converted:
            allowed = rule.complaint(item)
            if allowed is not None:
                self._complain(path, f"is {toml_value(item)}, but must be {allowed}", _example(path, rule))
                return False, None
        return True, tuple(converted) if wants_list else converted[0]

    def _unknown(self, path: Path, known: list[str]) -> None:
        name = str(path[-1])
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
        elsewhere = [section for section in _sections_with(name) if section != path[0]]
        if near:
            hint = f"did you mean {near[0]}?"
        elif elsewhere:
            hint = f"did you mean the one in {key_name((elsewhere[0],))}?"
        else:
            hint = f"allowed are {', '.join(known)}"
        self._complain(path, f"is not a known {'key' if len(path) > 1 else 'section'}: {hint}", "")

    def _complain(self, path: Path, text: str, example: str) -> None:
        line = next((self.lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.lines), None)
        self.problems.append(Problem(path, text, example, line))


def item_type(kind: Any) -> Any:
    """T of tuple[T, ...], else None."""
    return typing.get_args(kind)[0] if typing.get_origin(kind) is tuple else None


def plain_type(kind: Any) -> Any:
    """The type of a single value: of a Literal's choices, of X in X | None, or the type itself."""
    origin = typing.get_origin(kind)
    if origin is typing.Literal:
        return type(typing.get_args(kind)[0])
    if origin in (types.UnionType, typing.Union):
        return next(part for part in typing.get_args(kind) if part is not types.NoneType)
    return kind


def _is(value: Any, kind: type[Any]) -> bool:
    if kind is float:
        return type(value) is float or (type(value) is int and abs(value) <= 1 << 53)
    return type(value) is kind  # in Python, True is also an int; in a configuration it is not


def _example(path: Path, rule: Rule) -> str:
    return f"{path[-1]} = {toml_value(rule.example)}"


def _sections_with(name: str) -> list[str]:
    """Sections that have a key of this name."""
    found = []
    for section, kind in typing.get_type_hints(Config).items():
        cls = item_type(kind) or kind
        if name in {item.name for item in dataclasses.fields(cls)}:
            found.append(section)
    return found
