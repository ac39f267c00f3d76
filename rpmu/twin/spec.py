"""The words of `--source`: a name, then comma-separated key=value.

    nominal,frequency_hz=59.9,voltage_v=118,harmonics=3:2.0;5:1.5
    grid,voltage_v=121
    test:phase-step,step_deg=10,at_s=5
    file:recording.wav,loop=true,scale=200

Numbers become exact fractions, so 59.9 is 599/10 and stays so for as long as the twin runs. A wrong word is answered
with the nearest right one and the list of what is allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction
from typing import Any

from rpmu.errors import InputError

Harmonics = dict[int, tuple[float, float]]  # order -> (relative amplitude, angle in rad)


@dataclass(frozen=True)
class Key:
    """One key of a source: how its text becomes a value, its default, its bounds and what it means."""

    parse: Callable[[str], Any]
    default: Any
    meaning: str
    low: float | None = None
    high: float | None = None
    allowed: tuple[Any, ...] | None = None

    def value(self, what: str, text: str) -> Any:
        """The value of `text`.

        Raises:
            InputError: `text` is not one, or out of bounds.
        """
        try:
            value = self.parse(text)
        except (ValueError, ZeroDivisionError, OverflowError) as error:
            raise InputError(f"{what} is {text!r}, which is not {self.meaning}") from error
        if self.allowed is not None and value not in self.allowed:
            raise InputError(f"{what} is {text!r}; allowed are {', '.join(str(a) for a in self.allowed)}")
        if (self.low is not None and value < self.low) or (self.high is not None and value > self.high):
            raise InputError(f"{what} is {text}, but must be {_bounds(self.low, self.high)}")
        return value


def _bounds(low: float | None, high: float | None) -> str:
    if low is None:
        return f"at most {high:g}"
    return f"at least {low:g}" if high is None else f"from {low:g} to {high:g}"


def exact(text: str) -> Fraction:
    """A decimal number as a fraction: "59.9" is 599/10."""
    value = Fraction(text)
    if abs(value) > 10**12 or value.denominator > 10**15:
        raise ValueError(text)
    return value


def truth_value(text: str) -> bool:
    """True or false, as people write it."""
    words = {"true": True, "yes": True, "1": True, "on": True, "false": False, "no": False, "0": False, "off": False}
    if text.lower() not in words:
        raise ValueError(text)
    return words[text.lower()]


def harmonics(text: str) -> Harmonics:
    """Harmonics as order:percent or order:percent:angle_deg, separated by semicolons; "none" for none."""
    result: Harmonics = {}
    if text == "none":
        return result
    for part in text.split(";"):
        order, percent, *angle = part.split(":")
        if not 2 <= int(order) <= 100 or len(angle) > 1 or not 0 <= float(percent) <= 100:
            raise ValueError(part)
        result[int(order)] = (float(percent) / 100.0, float(angle[0] if angle else 0) * 3.141592653589793 / 180.0)
    return result


def words(text: str) -> tuple[str, ...]:
    """Names separated by semicolons."""
    return tuple(part.strip() for part in text.split(";") if part.strip())


def number(default: Any, meaning: str, low: float | None = None, high: float | None = None) -> Key:
    """A key that takes an exact number."""
    return Key(exact, None if default is None else Fraction(str(default)), meaning, low, high)


def split(spec: str) -> tuple[str, str, dict[str, str]]:
    """Name, argument after the colon, and the raw keys of a source or a fault list entry.

    Raises:
        InputError: empty, a part without `=`, or a key twice.
    """
    head, *parts = (part.strip() for part in spec.split(","))
    name, _, argument = head.partition(":")
    if not name:
        raise InputError(f"the source {spec!r} has no name; it begins with one, such as nominal or grid")
    keys: dict[str, str] = {}
    for part in parts:
        key, equals, value = part.partition("=")
        if not equals:
            raise InputError(f"source {spec!r}: {part!r} is not key=value")
        if key.strip() in keys:
            raise InputError(f"source {spec!r}: {key.strip()} is given twice")
        keys[key.strip()] = value.strip()
    return name, argument, keys


def choose(what: str, word: str, allowed: Mapping[str, Any]) -> str:
    """`word`, if it is one of `allowed`.

    Raises:
        InputError: it is not; names the nearest and all that are.
    """
    if word in allowed:
        return word
    near = get_close_matches(word, list(allowed), 1, 0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise InputError(f"{what} {word!r} does not exist{hint} (allowed: {', '.join(allowed)})")


def values(what: str, raw: Mapping[str, str], keys: Mapping[str, Key]) -> dict[str, Any]:
    """All keys of a source with their values, defaults included.

    Raises:
        InputError: an unknown key or a value that is not allowed.
    """
    result = {name: key.default for name, key in keys.items()}
    for name, text in raw.items():
        choose(f"{what}: the key", name, keys)
        result[name] = keys[name].value(f"{what}: {name}", text)
    return result
