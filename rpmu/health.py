"""Whether the daemon does its work after a change as it did before: one rule for configurations and for updates.

A change is healthy if the daemon answers, its output flows and its time is not worse than it was. Output is frames
where there was a time to stamp them with, samples where there was none. All of it must hold for a while, because a
daemon that dies again and again looks well in between. Where no daemon answered before, none can be asked for after.

`HealthCheck` is the rule, without clock; `await_health` asks it again and again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from rpmu.timing.states import LockState

LOOK_S = 1.0
STEADY_S = 10.0  # a fresh daemon that dies in the same place does so within seconds
KEPT = {LockState.LOCKED.value: 2, LockState.HOLDOVER.value: 1}  # how good the time is; every other state is 0


@dataclass(frozen=True)
class Vital:
    """What of a status tells whether the work is done.

    Attributes:
        state: of the time.
        frames: published since the daemon started.
        samples: taken since the PRU started.
    """

    state: str
    frames: int
    samples: int

    @classmethod
    def of(cls, status: Mapping[str, Any]) -> Vital:
        """From the status as the daemon's socket gives it.

        Raises:
            KeyError: it is no such status.
        """
        return cls(status["time"]["state"], status["server"]["frames_published"], status["ring"]["samples"])

    @property
    def time_rank(self) -> int:
        """0 for no time, 1 for holdover, 2 for lock."""
        return KEPT.get(self.state, 0)


class HealthCheck:
    """Compares what is seen after a change with what was before.

    Args:
        before: the daemon just before; None if none answered.
    """

    def __init__(self, before: Vital | None) -> None:
        self._before = before
        self._last: Vital | None = None

    def look(self, now: Vital | None) -> str:
        """What is missing at this moment; empty if nothing is.

        Args:
            now: the daemon; None if none answers.
        """
        last, self._last = self._last, now
        if self._before is None:
            return ""
        if now is None:
            return "the daemon does not answer"
        if now.time_rank < self._before.time_rank:
            return f"the time is {now.state}, and was {self._before.state}"
        if last is None:
            return "it was seen only once"
        if self._before.time_rank and now.frames <= last.frames:
            return "no frames flow"
        if not self._before.time_rank and now.samples <= last.samples:
            return "no samples flow"
        return ""


class Clock(Protocol):
    """What waiting needs of the machine."""

    def now_s(self) -> float:
        """Seconds on a clock that does not jump."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


def await_health(
    before: Vital | None,
    look: Callable[[], Vital | None],
    clock: Clock,
    within_s: float,
    steady_s: float = STEADY_S,
) -> str:
    """Wait until the daemon has been well for a while.

    Args:
        before: the daemon just before the change; None if none answered.
        look: sees it now.
        clock: of the machine.
        within_s: patience.
        steady_s: how long it must be well without a break.

    Returns:
        What was missing last, or an empty text: it is well.
    """
    check = HealthCheck(before)
    begin_s = well_since_s = clock.now_s()
    while True:
        complaint, now_s = check.look(look()), clock.now_s()
        if complaint:
            well_since_s = now_s
        elif before is None or now_s - well_since_s >= steady_s:
            return ""
        if now_s - begin_s >= within_s:
            return complaint or f"it was not well for {steady_s:g} s on end"
        clock.sleep(LOOK_S)
