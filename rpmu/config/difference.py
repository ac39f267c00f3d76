"""What changed between two configurations, setting by setting."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from rpmu.config.locate import Path
from rpmu.config.problems import key_name, toml_value
from rpmu.config.schema import Config


@dataclass(frozen=True)
class Change:
    """One setting that differs; None where a side does not have it (a channel, or an optional setting)."""

    path: Path
    old: Any
    new: Any

    def __str__(self) -> str:
        old, new = ("nothing" if value is None else toml_value(value) for value in (self.old, self.new))
        return f"{key_name(self.path)}: {old} -> {new}"


def difference(old: Config, new: Config) -> list[Change]:
    """The effective settings that differ, in the order of the schema."""
    before, after = _settings(old), _settings(new)
    paths = [*before, *(path for path in after if path not in before)]
    return [Change(path, before.get(path), after.get(path)) for path in paths if before.get(path) != after.get(path)]


def _settings(config: Config) -> dict[Path, Any]:
    found: dict[Path, Any] = {}
    for section in dataclasses.fields(Config):
        if section.name == "channel":
            for number, channel in enumerate(config.channels):
                found |= {("channel", number, key): value for key, value in dataclasses.asdict(channel).items()}
        else:
            values = dataclasses.asdict(getattr(config, section.name))
            found |= {(section.name, key): value for key, value in values.items()}
    return found
