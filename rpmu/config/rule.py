"""What one setting may be, beside the setting: its meaning, its bounds, an example.

The schema's dataclasses carry a `Rule` in the metadata of each field. Reading, showing, the JSON Schema and the error
messages all come from it, so none of them can say something else.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

KEY = "rule"


@dataclass(frozen=True)
class Rule:
    """Meaning and bounds of one setting.

    Attributes:
        doc: one or two sentences for the person who edits the file.
        example: a value that is allowed.
        low: smallest number, or None.
        high: largest number, or None.
        choices: the allowed values; empty for no such limit.
        max_bytes: longest text, or None.
        check: further test of a value (of each item, for lists): returns what is allowed if the value is not.
    """

    doc: str
    example: Any
    low: float | None = None
    high: float | None = None
    choices: tuple[Any, ...] = ()
    max_bytes: int | None = None
    check: Callable[[Any], str | None] | None = None

    def allowed(self) -> str:
        """The bounds in words; empty where there are none."""
        if self.choices:
            return "one of " + ", ".join(_spelled(choice) for choice in self.choices)
        if self.low is not None and self.high is not None:
            return f"{_spelled(self.low)} to {_spelled(self.high)}"
        if self.low is not None:
            return f"{_spelled(self.low)} or more"
        if self.high is not None:
            return f"{_spelled(self.high)} or less"
        return f"1 to {self.max_bytes} ASCII characters" if self.max_bytes is not None else ""

    def complaint(self, value: Any) -> str | None:
        """What is allowed, if this value (of the right type) is not."""
        if self.choices and value not in self.choices:
            return self.allowed()
        if isinstance(value, (int, float)) and not self._in_range(value):
            return self.allowed()
        if self.max_bytes is not None and not self._plain_text(value):
            return self.allowed()
        return self.check(value) if self.check is not None else None

    def _in_range(self, value: float) -> bool:
        # Written so that NaN, which compares false with everything, is out of every range.
        above = self.low is None or value >= self.low
        below = self.high is None or value <= self.high
        return above and below and value == value

    def _plain_text(self, text: str) -> bool:
        return (
            text.isascii() and text.isprintable() and 1 <= len(text) <= (self.max_bytes or 0) and text == text.strip()
        )


def _spelled(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.10g}"
    return f'"{value}"' if isinstance(value, str) else str(value)


def setting(default: Any, doc: str, **bounds: Any) -> Any:
    """A field of a schema dataclass.

    Args:
        default: its value where the file does not say.
        doc: see `Rule`.
        bounds: further attributes of `Rule`; the example is the default unless given.
    """
    bounds.setdefault("example", default)
    return dataclasses.field(default=default, metadata={KEY: Rule(doc, **bounds)})


def rule_of(field: dataclasses.Field[Any]) -> Rule:
    """The rule of a schema field."""
    rule = field.metadata[KEY]
    assert isinstance(rule, Rule)
    return rule
