"""The lock state machine: one look at the clock, the receiver and the name of the second gives state and reason.

    cold ──edges──> acquiring ──rate and name known──> locked ──no edge──> holdover ──bound too large──> unlocked
                        ^                                ^                    |                              |
                        └──────── edges return ──────────┴────────────────────┴──────────────────────────────┘

Only `locked` is "in sync" on the wire. Everything that makes the time doubtful leads out of it at once, and back in
only when the doubt has ended and the clock has settled.
"""

from __future__ import annotations

import math
from enum import Enum

from rpmu.timing.settings import TimingSettings
from rpmu.values import value

SETTLED_EDGES = 4  # accepted in a row before the clock is called locked


class LockState(Enum):
    """How the clock stands to UTC."""

    COLD = "cold"
    ACQUIRING = "acquiring"
    LOCKED = "locked"
    HOLDOVER = "holdover"
    UNLOCKED = "unlocked"


@value
class Evidence:
    """What the state follows from.

    Attributes:
        edges: PPS edges seen so far, good or not.
        running: the clock has a line.
        accepted: edges accepted in a row.
        seconds_since_edge: since the last accepted edge, s.
        bound_ns: of the time error, phase only.
        doubt: why the whole seconds are not trusted; empty if they are.
        no_voucher: why the receiver does not vouch for its PPS; empty if it does.
        seconds_since_step: since the last flagged correction of the time, s.
    """

    edges: int
    running: bool
    accepted: int
    seconds_since_edge: float
    bound_ns: float
    doubt: str
    no_voucher: str
    seconds_since_step: float


class LockMachine:
    """Holds the state and why.

    Attributes:
        state: now.
        reason: why, in words.
    """

    def __init__(self, settings: TimingSettings) -> None:
        self._settings = settings
        self.state = LockState.COLD
        self.reason = "no PPS edge yet"
        self._was_locked = False

    def look(self, evidence: Evidence) -> None:
        """Move to the state that the evidence demands."""
        self.state, self.reason = self._next(evidence)
        self._was_locked = self._was_locked or self.state is LockState.LOCKED

    def _next(self, e: Evidence) -> tuple[LockState, str]:
        if not e.running:
            if not e.edges:
                return LockState.COLD, e.no_voucher or "no PPS edge yet"
            return LockState.ACQUIRING, e.no_voucher or "looking for three PPS edges on one line"
        if e.doubt:
            return (LockState.UNLOCKED if self._was_locked else LockState.ACQUIRING), e.doubt
        missing = self._missing(e)
        if not missing:
            return LockState.LOCKED, "PPS and NMEA agree with the clock"
        if not self._was_locked:
            return LockState.ACQUIRING, missing
        if e.bound_ns <= self._settings.holdover_limit_ns:
            return LockState.HOLDOVER, missing
        return LockState.UNLOCKED, missing

    def _missing(self, e: Evidence) -> str:
        """What is missing for lock; empty if nothing."""
        if e.no_voucher:
            return e.no_voucher
        if e.seconds_since_edge > self._settings.holdover_after_s:
            return f"no usable PPS edge for {math.floor(e.seconds_since_edge)} s"
        if e.seconds_since_step < self._settings.settle_s:
            return "settling after a correction of the time"
        if self.state is not LockState.LOCKED and e.accepted < SETTLED_EDGES:
            return f"{e.accepted} of {SETTLED_EDGES} PPS edges in a row"
        if e.bound_ns > self._settings.lock_limit_ns:
            return "the error bound is still too large"
        return ""
