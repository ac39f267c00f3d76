"""The schema as JSON Schema (draft 2020-12), for editors and for programs that write configurations."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any

from rpmu.config.reader import item_type, plain_type
from rpmu.config.rule import Rule, rule_of
from rpmu.config.schema import Config

TYPE_NAMES = {int: "integer", float: "number", bool: "boolean", str: "string"}


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the configuration file's content."""
    sections: dict[str, Any] = {}
    for name, kind in typing.get_type_hints(Config).items():
        cls = item_type(kind)
        sections[name] = {"type": "array", "items": _section(cls)} if cls else _section(kind)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "rpmu configuration",
        "type": "object",
        "additionalProperties": False,
        "properties": sections,
    }


def _section(cls: type[Any]) -> dict[str, Any]:
    types_ = typing.get_type_hints(cls)
    return {
        "type": "object",
        "description": " ".join((cls.__doc__ or "").split()),
        "additionalProperties": False,
        "properties": {item.name: _setting(item, types_[item.name]) for item in dataclasses.fields(cls)},
    }


def _setting(item: dataclasses.Field[Any], kind: Any) -> dict[str, Any]:
    rule = rule_of(item)
    single = {"type": TYPE_NAMES[item_type(kind) or plain_type(kind)], **_bounds(rule)}
    whole = {"type": "array", "items": single} if item_type(kind) else single
    schema = {"description": rule.doc, **whole, "examples": [rule.example]}
    if item.default is not None:
        schema["default"] = item.default
    return schema


def _bounds(rule: Rule) -> dict[str, Any]:
    bounds = {"minimum": rule.low, "maximum": rule.high, "maxLength": rule.max_bytes}
    found: dict[str, Any] = {name: bound for name, bound in bounds.items() if bound is not None}
    if rule.max_bytes is not None:
        found["minLength"] = 1
    if rule.choices:
        found["enum"] = list(rule.choices)
    return found
