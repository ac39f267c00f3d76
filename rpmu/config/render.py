"""A configuration as a TOML file with every setting, its meaning and its bounds: what `rpmu config show` prints.

Reading the text back gives the same configuration, so it can be the start of a file of one's own.
"""

from __future__ import annotations

import dataclasses
import textwrap
from typing import Any

from rpmu.config.problems import toml_value
from rpmu.config.rule import Rule, rule_of
from rpmu.config.schema import Channel, Config

WIDTH = 110


def render(config: Config, comments: bool = True) -> str:
    """The effective configuration as TOML.

    Args:
        config: any configuration.
        comments: with the meaning and the bounds of each setting.
    """
    parts = []
    for item in dataclasses.fields(Config):
        if item.name == "channel":
            parts += [_section("[[channel]]", channel, comments) for channel in config.channels]
        else:
            parts.append(_section(f"[{item.name}]", getattr(config, item.name), comments))
    return "\n".join(parts)


def _section(header: str, section: Any, comments: bool) -> str:
    lines = [header]
    if comments:
        lines[:0] = _comment(type(section).__doc__ or "")
    for item in dataclasses.fields(section):
        if comments:
            lines += _comment(_meaning(item, rule_of(item), with_default=not isinstance(section, Channel)))
        value = getattr(section, item.name)
        if value is not None:
            lines.append(f"{item.name} = {toml_value(value)}")
        elif comments:
            lines.append(f"# {item.name} = {toml_value(rule_of(item).example)}")
    return "\n".join(lines) + "\n"


def _meaning(item: dataclasses.Field[Any], rule: Rule, *, with_default: bool) -> str:
    allowed = rule.allowed()
    facts = [rule.doc.rstrip(".")]
    if allowed:
        facts.append(f"Allowed: {allowed}")
    if with_default and item.default is not None:
        facts.append(f"Default: {toml_value(item.default)}")
    return ". ".join(facts) + "."


def _comment(text: str) -> list[str]:
    return textwrap.wrap(" ".join(text.split()), WIDTH, initial_indent="# ", subsequent_indent="# ")
