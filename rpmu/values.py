"""Values that are made for every block or report: immutable by agreement, which mypy keeps, not by a guard at run time.

A frozen dataclass passes every field through `object.__setattr__` when it is made. On the target that is some 1 400
instructions a field instead of 300, and the values of one report have about fifty fields: a fifth of all that a report
may cost (docs/estimator.md). What is made rarely stays `@dataclass(frozen=True)`.

Where one is made for every report, give it all fields, in their order: names cost some 500 instructions a field, and
leaving out those with a default 800 in all, because the interpreter then cannot go straight into `__init__`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value(cls: type[T]) -> type[T]:
    """A dataclass whose fields nobody changes; hashable and comparable like a frozen one."""
    return dataclass(unsafe_hash=True)(cls)
