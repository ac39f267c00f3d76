"""From evidence to codes: state, steps of the time and the time without lock, for every kind of time source alike."""

from __future__ import annotations

import math
from dataclasses import replace

from rpmu.timing.axis import AxisMove
from rpmu.timing.codes import message_time_quality, pmu_time_quality, unlocked_time
from rpmu.timing.settings import TimingSettings
from rpmu.timing.states import Evidence, LockMachine, LockState
from rpmu.timing.status import TimeCodes

BOUND_SIGMAS = 3.0  # the error is not expected beyond this many standard uncertainties


class Quality:
    """Keeps the state and the codes.

    Attributes:
        bound_ns: what the time error is not expected to exceed; infinite if unknown.
        codes: for a report now; the same object until they change.
        resyncs: corrections of the time that were flagged.
        last_step_ns: the last of them.
    """

    def __init__(self, settings: TimingSettings, scan_rate_hz: float) -> None:
        self._machine = LockMachine(settings)
        self._limit_ns = settings.resync_limit_ns
        self._probation_s = settings.probation_s
        self._rate_hz = scan_rate_hz
        self._step_scan: int | None = None
        self._locked_scan: int | None = None
        self._moved_scan: int | None = None
        self._moved_ns = 0.0
        self.resyncs = 0
        self.last_step_ns = 0.0
        self.bound_ns = math.inf
        self.codes = self._codes_after(math.inf)

    @property
    def state(self) -> LockState:
        """State now."""
        return self._machine.state

    @property
    def reason(self) -> str:
        """Why, in words."""
        return self._machine.reason

    def stepped(self, step_ns: float, scan: int) -> None:
        """The time was corrected: flag that above the limit, and doubt the time if the bound had not foreseen it."""
        if not abs(step_ns) > self._limit_ns:
            return
        self.resyncs += 1
        self.last_step_ns = step_ns
        if abs(step_ns) > self.bound_ns or math.isinf(self.bound_ns):
            self._step_scan = scan

    def pps_moved(self, step_ns: float, scan: int) -> None:
        """The PPS moved and the clock followed it: for a while either place may have been the right one."""
        self._moved_ns, self._moved_scan = abs(step_ns), scan

    def seconds_since_step(self, scan: int) -> float:
        """Since the last flagged correction, s; infinite before any."""
        return self._since(self._step_scan, scan)

    def seconds_since_lock(self, scan: int) -> float:
        """Since the last edge with which the state was locked, s; infinite before."""
        return self._since(self._locked_scan, scan)

    def look(self, evidence: Evidence, scan: int) -> None:
        """Let state and codes follow from the evidence at a scan."""
        if self._since(self._moved_scan, scan) < self._probation_s:
            reason = evidence.no_voucher or f"the PPS moved by {self._moved_ns:.0f} ns and is being watched"
            evidence = replace(evidence, bound_ns=evidence.bound_ns + self._moved_ns, no_voucher=reason)
        self.bound_ns = math.inf if evidence.doubt or not evidence.running else evidence.bound_ns
        self._machine.look(evidence)
        if self.state is LockState.LOCKED:
            self._locked_scan = scan - round(evidence.seconds_since_edge * self._rate_hz)
        codes = self._codes_after(self.seconds_since_lock(scan))
        if codes != self.codes:
            self.codes = codes

    def move(self, move: AxisMove) -> None:
        """The scans of a new run count."""
        self._rate_hz = move.rate_hz
        self._step_scan = None if self._step_scan is None else move.nearest(self._step_scan)
        self._locked_scan = None if self._locked_scan is None else move.nearest(self._locked_scan)
        self._moved_scan = None if self._moved_scan is None else move.nearest(self._moved_scan)

    def _since(self, then: int | None, scan: int) -> float:
        return math.inf if then is None else (scan - then) / self._rate_hz

    def _codes_after(self, unlocked_s: float) -> TimeCodes:
        """Codes now, so long after the last edge in lock."""
        locked = self.state is LockState.LOCKED
        msg_tq = message_time_quality(locked, self.bound_ns)
        return TimeCodes(msg_tq, pmu_time_quality(self.bound_ns), unlocked_time(unlocked_s), locked)
