"""Dataclasses as TOML tables, both ways: a table's keys, types and bounds are those of its dataclass.

Reading refuses what is unknown, missing, of another type or out of bounds, with the place in the sentence. Writing
gives the same text for the same values whatever the file looked like before, so that text can be hashed. A field that
is None is left out.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from difflib import get_close_matches
from typing import Any, TypeVar, get_args, get_type_hints

from rpmu.config.problems import toml_value
from rpmu.errors import InputError

T = TypeVar("T")
_WORDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", date: "a date, 2027-03-01"}


def bounded(low: float, high: float, default: Any = dataclasses.MISSING, *, later: bool = False) -> Any:
    """A number (or each of a list) from `low` to `high`; without a default the key must be there.

    `later`: the key was added to a schema of which files exist. It is left out where it has its default, so that the
    hash of those files stays what it was.
    """
    return dataclasses.field(default=default, metadata={"low": low, "high": high, "later": later})


def chosen(*words: str, default: Any = dataclasses.MISSING) -> Any:
    """A text (or number) that is one of these."""
    return dataclasses.field(default=default, metadata={"words": words})


def refuse_unknown(where: str, content: Mapping[str, Any], allowed: Sequence[str]) -> None:
    """Refuse a table that has another key than these.

    Raises:
        InputError: it does, and the sentence names the nearest one.
    """
    for key in content:
        if key not in allowed:
            near = get_close_matches(key, allowed, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise InputError(f"{where} has no key {key!r}{hint} (allowed: {', '.join(sorted(allowed))})")


def read_table(kind: type[T], content: Any, where: str) -> T:
    """A table as an instance of its dataclass.

    Args:
        kind: dataclass of str, int, float, bool, date, tuples of them, and `| None` with the default None.
        content: what tomllib read.
        where: the file and the table, for the sentence.

    Raises:
        InputError: the table is not what the dataclass says.
    """
    if not isinstance(content, Mapping):
        raise InputError(f"{where} must be a table")
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]  # any dataclass; there is no type to say so
    refuse_unknown(where, content, [field.name for field in fields])
    hints = get_type_hints(kind)
    values = {}
    for field in fields:
        if field.name in content:
            values[field.name] = _value(field, hints[field.name], content[field.name], f"{where} {field.name}")
        elif field.default is dataclasses.MISSING:
            raise InputError(f"{where} lacks the key {field.name}")
    return kind(**values)


def _value(field: dataclasses.Field[Any], hint: Any, value: Any, where: str) -> Any:
    kinds = get_args(hint)
    if hint is tuple or (kinds and kinds[-1] is Ellipsis):
        if not isinstance(value, list):
            raise InputError(f"{where} is {value!r}, but must be a list")
        return tuple(_single(field, kinds[0], item, where) for item in value)
    return _single(field, kinds[0] if kinds else hint, value, where)


def _single(field: dataclasses.Field[Any], kind: type, value: Any, where: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or isinstance(value, bool) is not (kind is bool) or isinstance(value, datetime):
        raise InputError(f"{where} is {value!r}, but must be {_WORDS[kind]}")
    words = field.metadata.get("words")
    if words and value not in words:
        raise InputError(f"{where} is {value!r}, but must be one of {', '.join(map(repr, words))}")
    low, high = field.metadata.get("low", -math.inf), field.metadata.get("high", math.inf)
    if isinstance(value, int | float) and not low <= value <= high:
        raise InputError(f"{where} is {value:g}, but must lie from {low:g} to {high:g}")
    return value


def render_table(header: str, table: Any) -> str:
    """A dataclass as a TOML table under `header`, such as `[device]` or `[[channel]]`."""
    lines, hints = [header], get_type_hints(type(table))
    for field in dataclasses.fields(table):
        value = getattr(table, field.name)
        if value is not None and not (field.metadata.get("later") and value == field.default):
            lines.append(f"{field.name} = {toml_value(_as_read(hints[field.name], value))}")
    return "\n".join(lines) + "\n"


def _as_read(hint: Any, value: Any) -> Any:
    """The value as it will be read: 60 in a field of floats is 60.0, or the text would have another hash."""
    if float not in (hint, *get_args(hint)):
        return value
    return tuple(map(float, value)) if isinstance(value, tuple) else float(value)
