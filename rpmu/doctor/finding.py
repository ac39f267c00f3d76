"""What one check found: a level, the evidence, and the next step."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One line of the examination.

    Attributes:
        name: of the check.
        level: how bad it is.
        evidence: what was seen.
        next_step: what to do about it; empty if nothing.
    """

    name: str
    level: Level
    evidence: str
    next_step: str = ""

    def __str__(self) -> str:
        line = f"{self.level.value:<5} {self.name:<13} {self.evidence}"
        return line + (f"\n{'':<20}-> {self.next_step}" if self.next_step else "")


def ok(name: str, evidence: str) -> Finding:
    """All is well."""
    return Finding(name, Level.OK, evidence)


def warn(name: str, evidence: str, next_step: str) -> Finding:
    """It works, but somebody should look."""
    return Finding(name, Level.WARN, evidence, next_step)


def fail(name: str, evidence: str, next_step: str) -> Finding:
    """It cannot work like this."""
    return Finding(name, Level.FAIL, evidence, next_step)
