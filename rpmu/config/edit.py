"""Change one setting in a configuration file and leave every other character of it alone.

A person's file has comments and an order of its own; a tool that rewrote it would not be used twice.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
import typing
from typing import Any

from rpmu.config.locate import Path, Place, key_places
from rpmu.config.problems import key_name, toml_value
from rpmu.config.reader import item_type, plain_type
from rpmu.config.schema import Channel, Config
from rpmu.errors import InputError


def parse_assignment(text: str) -> tuple[Path, str | None]:
    """Read `SECTION.KEY=VALUE`, or `channel.NUMBER.KEY=VALUE` with channels counted from 1.

    Returns:
        The path, and the value as TOML spells it; None for `SECTION.KEY=`, which takes the setting out of the file.

    Raises:
        InputError: not of this form, or no such setting.
    """
    key, equals, value = text.partition("=")
    path = _path(key.strip())
    if not equals or path is None:
        meant = "" if path is not None else _nearest(key.strip())
        hint = f"did you mean {meant}?" if meant else "`rpmu config show` lists all settings"
        raise InputError(
            f"'{text}' is not SECTION.KEY=VALUE with a key of the schema, for example: station.idcode=7 or "
            f"channel.1.name=VA; {hint}"
        )
    return path, _spelled(value.strip(), path)


def assign(text: str, path: Path, value: str | None) -> str:
    """The file's text with one setting changed, added, or (value None) taken out.

    Args:
        text: valid TOML.
        path: of the setting, as `parse_assignment` gives it.
        value: as TOML spells it.

    Raises:
        InputError: the setting stands where only a person can change it (in an inline table), or the file has no
            such channel.
    """
    places = key_places(text)
    place = places.get(path)
    if place is not None:
        return _take_out(text, place) if value is None else text[: place.value] + value + text[place.end :]
    if value is None:
        return text
    section = places.get(path[:-1])
    if section is not None:
        return _insert(text, section, path, value)
    if len(path) == 3:
        raise InputError(f"the file has no {key_name(path[:2])}: add the channel to the file first")
    gap = "" if not text or text.endswith("\n\n") else "\n" if text.endswith("\n") else "\n\n"
    return f"{text}{gap}[{path[0]}]\n{path[1]} = {value}\n"


def _path(key: str) -> Path | None:
    """The path of a dotted key of the schema, or None if there is no such key."""
    types_ = typing.get_type_hints(Config)
    match key.split("."):
        case ["channel", number, name] if number.isascii() and number.isdigit() and int(number) > 0:
            return ("channel", int(number) - 1, name) if name in _names(Channel) else None
        case [section, name] if section in types_ and section != "channel":
            return (section, name) if name in _names(types_[section]) else None
    return None


def _nearest(key: str) -> str:
    """The dotted key of the schema that was probably meant, or an empty text."""
    number = re.search(r"\.(\d+)\.", key)
    known = []
    for section, kind in typing.get_type_hints(Config).items():
        prefix = f"channel.{number[1] if number else 1}" if section == "channel" else section
        known += [f"{prefix}.{name}" for name in _names(Channel if section == "channel" else kind)]
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    by_name = [name for name in known if name.rpartition(".")[2] == key]
    return (by_name or near or [""])[0]


def _names(kind: type[Any]) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)}


def _spelled(value: str, path: Path) -> str | None:
    """A value from the command line as TOML: a text needs no quotes there, a list of one no brackets."""
    if not value:
        return None
    section = Channel if path[0] == "channel" else typing.get_type_hints(Config)[str(path[0])]
    kind = typing.get_type_hints(section)[str(path[-1])]
    if _is_toml(value) and (value[0] in "[\"'" or (item_type(kind) or plain_type(kind)) is not str):
        return value
    items = [item.strip() for item in value.split(",")] if item_type(kind) else [value]
    spelled = [item if _is_toml(item) and item[0] in "\"'" else toml_value(item) for item in items]
    return f"[{', '.join(spelled)}]" if item_type(kind) else spelled[0]


def _is_toml(value: str) -> bool:
    """Whether the text is one TOML value, and nothing of it is a comment or another key."""
    text = f"v = {value}"
    try:
        return list(tomllib.loads(text)) == ["v"] and key_places(text)[("v",)].end == len(text)
    except ValueError:
        return False


def _take_out(text: str, place: Place) -> str:
    end = text.find("\n", place.end)
    return text[: place.start] + ("" if end < 0 else text[end + 1 :])


def _insert(text: str, section: Place, path: Path, value: str) -> str:
    """Add a key right below its section's header."""
    if section.end != section.value:
        raise InputError(f"{key_name(path[:-1])} is not written as a [section] in the file: change it by hand")
    end = text.find("\n", section.value)
    head, tail = (text + "\n", "") if end < 0 else (text[: end + 1], text[end + 1 :])
    return f"{head}{path[-1]} = {value}\n{tail}"
