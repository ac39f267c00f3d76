"""The crystal against the PPS: a two-state Kalman filter of phase and frequency on the axis of scan numbers.

The filter keeps *local* time, ns whose whole seconds are PPS edges but have no name yet (naming.py gives it). Between
edges the line runs on and its variance grows by a random walk of frequency and by the drift that a crystal may have;
an edge pulls it back. The receiver's jitter is learned from the innovations, so that 30 ns and 1 us both come out
honest. Edges far from their prediction are rejected; several rejected ones that agree with each other restart the
clock. An edge that is only an interval between two samples goes to interval.py, because a filter that takes it for a
Gaussian gets stuck where every PPS falls at the same place between samples.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from enum import Enum

import numpy as np

from rpmu.timing.edge import Edge
from rpmu.timing.interval import IntervalClock
from rpmu.timing.settings import TimingSettings
from rpmu.timing.time_map import TimeMap

SECOND_NS = 1_000_000_000
PHASE_WALK_NS = 1.0  # white frequency noise of a bare crystal, ns per sqrt(s): Allan deviation 1e-9 at 1 s
FREQUENCY_WALK_PPB = 1.0  # ppb per sqrt(s); lets the filter follow 1 ppb/s with some 10 ns of lag
JITTER_FLOOR_NS = 5.0
JITTER_START_NS = 100.0
JITTER_WINDOW = 24
MEDIAN_OF_CHI2 = 0.4549  # of one degree of freedom
BIAS_WINDOW = 6
CANDIDATES = 12
START_EDGES = 3
START_TOLERANCE_NS = 5_000.0  # three edges lie on a line this well, whatever the receiver's jitter


class Verdict(Enum):
    """What became of an edge."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    COLLECTING = "collecting"
    STARTED = "started"
    RESTARTED = "restarted"


@dataclass(frozen=True)
class Outcome:
    """What the clock made of an edge.

    Attributes:
        verdict: what became of it.
        residual_ns: edge against prediction, ns; NaN where there was none.
        step_ns: how far the time at the edge moved by taking it in; NaN where there was no time before.
    """

    verdict: Verdict
    residual_ns: float = math.nan
    step_ns: float = math.nan


@dataclass(frozen=True)
class _Seen:
    """An edge kept for starting, with how well it is known."""

    scan: int
    fraction: float
    sigma_ns: float

    def minus(self, other: _Seen) -> float:
        """Scans from the other edge to this one."""
        return (self.scan - other.scan) + (self.fraction - other.fraction)


class ClockFilter:
    """Scan number to local time.

    Attributes:
        offset_ppb: how much longer than nominal a scan lasts, ppb (a slow crystal is positive).
        jitter_ns: scatter of the edges, as learned.
        accepted: edges accepted in a row.
    """

    def __init__(self, scan_rate_hz: float, settings: TimingSettings) -> None:
        """Start without any time, for a nominal scan rate."""
        self._nominal_ns = SECOND_NS / scan_rate_hz
        self._settings = settings
        self._candidates: deque[_Seen] = deque(maxlen=CANDIDATES)
        self._intervals = IntervalClock(self._nominal_ns, settings)
        self.running = False
        self.accepted = 0
        self._rejected_in_a_row = 0
        self._reset_noise()
        self._scan, self._local_ns, self._phase_ns = 0, 0, 0.0
        self.offset_ppb = 0.0
        self._covariance = np.zeros((2, 2))
        self._last_edge_scan = 0

    def _reset_noise(self) -> None:
        self.jitter_ns = JITTER_START_NS
        self._scatter: deque[float] = deque(maxlen=JITTER_WINDOW)
        self._pulls: deque[float] = deque(maxlen=BIAS_WINDOW)

    @property
    def ns_per_scan(self) -> float:
        """Length of a scan, ns."""
        return self._nominal_ns * (1.0 + self.offset_ppb * 1e-9)

    @property
    def offset_sigma_ppb(self) -> float:
        """Standard uncertainty of the frequency, ppb."""
        return math.sqrt(max(float(self._covariance[1, 1]), 0.0))

    def seconds_since_edge(self, scan: int) -> float:
        """Time from the last accepted edge to a scan, s."""
        return (scan - self._last_edge_scan) * self._nominal_ns * 1e-9

    def local_ns(self, scan: int) -> int:
        """Local time of a scan, ns."""
        return self._local_ns + round(self._phase_ns + (scan - self._scan) * self.ns_per_scan)

    def local_map(self, scan: int) -> TimeMap:
        """The line around a scan, with the standard uncertainty there."""
        return TimeMap(scan, self.local_ns(scan), self.ns_per_scan, self.sigma_ns(scan))

    def sigma_ns(self, scan: int) -> float:
        """Standard uncertainty of the local time of a scan, ns: filter, receiver, and drift since the last edge."""
        if not self.running:
            return math.inf
        elapsed = (scan - self._scan) * self._nominal_ns * 1e-9
        variance = float(self._predicted(elapsed)[0, 0])
        drift = 0.5 * self._settings.drift_ppb_per_s * max(self.seconds_since_edge(scan), 0.0) ** 2
        return math.sqrt(variance + drift**2 + self._settings.receiver_sigma_ns**2)

    def shift(self, scans: float, sigma_ns: float) -> None:
        """The sampling instants moved later by a part of a scan (or more), known to `sigma_ns`: the ADC restarted."""
        self._phase_ns += scans * self.ns_per_scan
        self._covariance[0, 0] += sigma_ns**2
        self._candidates.clear()
        self._intervals.clear()

    def edge(self, edge: Edge) -> Outcome:
        """Take in an edge at the start of a second."""
        seen = _Seen(edge.scan, edge.fraction, edge.sigma_scans * self._nominal_ns)
        half_width_ns = edge.half_width_scans * self._nominal_ns
        outcome = self._track(seen, half_width_ns) if self.running else self._start(seen)
        if outcome.verdict is not Verdict.COLLECTING and outcome.verdict is not Verdict.REJECTED:
            self._last_edge_scan = edge.scan
        return outcome

    # ---- start and restart ----

    def _start(self, seen: _Seen) -> Outcome:
        """Look for three edges, whole seconds apart on one line, among the latest ones."""
        line = self._line_through(seen)
        self._candidates.append(seen)
        if line is None:
            return Outcome(Verdict.COLLECTING)
        first, second = line
        before = self.local_ns(seen.scan) + seen.fraction * self.ns_per_scan if self.running else math.nan
        seconds = round(seen.minus(first) * self._nominal_ns / SECOND_NS)
        offset_ppb = (seconds * SECOND_NS / (seen.minus(first) * self._nominal_ns) - 1.0) * 1e9
        sigma = max(seen.sigma_ns, first.sigma_ns, second.sigma_ns, self.jitter_ns)
        self._scan, self._local_ns = seen.scan, SECOND_NS
        if self.running:  # keep counting the seconds that have names already
            self._local_ns = round(before / SECOND_NS) * SECOND_NS
        self.offset_ppb = offset_ppb
        self._phase_ns = -seen.fraction * self.ns_per_scan
        slope = sigma / seconds  # the phase at the last edge and the slope share that edge's error
        self._covariance = np.array([[sigma**2, sigma * slope], [sigma * slope, 2 * slope**2]])
        restarted, self.running = self.running, True
        self._reset_noise()
        self._intervals.clear()
        self._candidates.clear()
        self.accepted, self._rejected_in_a_row = START_EDGES, 0
        verdict = Verdict.RESTARTED if restarted else Verdict.STARTED
        return Outcome(verdict, math.nan, self._local_ns - before)

    def _line_through(self, last: _Seen) -> tuple[_Seen, _Seen] | None:
        """Two earlier edges that lie on one line with the last, at most a few seconds apart."""
        for first in self._candidates:
            spacing_ns = last.minus(first) * self._nominal_ns
            whole = round(spacing_ns / SECOND_NS)
            if not 2 <= whole <= CANDIDATES or not self._near(spacing_ns, whole):
                continue
            for middle in self._candidates:
                part = round(middle.minus(first) * self._nominal_ns / SECOND_NS)
                if not 0 < part < whole:
                    continue
                deviation = middle.minus(first) * self._nominal_ns - spacing_ns * part / whole
                limit = START_TOLERANCE_NS + 3 * (last.sigma_ns + first.sigma_ns + middle.sigma_ns)
                if abs(deviation) < limit:
                    return first, middle
        return None

    def _near(self, spacing_ns: float, seconds: int) -> bool:
        return abs(spacing_ns / (seconds * SECOND_NS) - 1.0) < self._settings.max_offset_ppm * 1e-6

    # ---- tracking ----

    def _predicted(self, elapsed: float) -> np.ndarray:
        """Covariance of (phase ns, frequency ppb) after some seconds."""
        t = abs(elapsed)
        step = np.array([[1.0, t], [0.0, 1.0]])
        q1, q2 = PHASE_WALK_NS**2, FREQUENCY_WALK_PPB**2
        walk = np.array([[q1 * t + q2 * t**3 / 3, q2 * t**2 / 2], [q2 * t**2 / 2, q2 * t]])
        return np.asarray(step @ self._covariance @ step.T + walk)

    def _track(self, seen: _Seen, half_width_ns: float) -> Outcome:
        """Gate the edge, then update the filter with it."""
        exact = self._local_ns + self._phase_ns + ((seen.scan - self._scan) + seen.fraction) * self.ns_per_scan
        residual = round(exact / SECOND_NS) * SECOND_NS - exact
        self._move_to(seen.scan)
        noise = seen.sigma_ns**2 + self.jitter_ns**2
        since = self.seconds_since_edge(seen.scan)
        drift = 0.5 * self._settings.drift_ppb_per_s * since**2
        self._covariance[0, 0] += drift**2
        self._covariance[1, 1] += (self._settings.drift_ppb_per_s * max(since - 1.5, 0.0)) ** 2
        spread = math.sqrt(float(self._covariance[0, 0]) + noise)
        self._learn_jitter(residual, spread, seen.sigma_ns)
        if abs(residual) > max(self._settings.gate_sigma * spread, self._settings.gate_ns) + half_width_ns:
            return self._reject(seen, residual)
        self.accepted += 1
        self._rejected_in_a_row = 0
        self._candidates.clear()
        step = self._update_interval(seen, residual, half_width_ns) if half_width_ns else self._update(residual, noise)
        return Outcome(Verdict.ACCEPTED, residual, step)

    def _move_to(self, scan: int) -> None:
        """Carry line and covariance to a scan, keeping the ns as whole number and remainder."""
        elapsed = (scan - self._scan) * self._nominal_ns * 1e-9
        exact = self._phase_ns + (scan - self._scan) * self.ns_per_scan
        whole = round(exact)
        self._covariance = self._predicted(elapsed)
        self._scan, self._local_ns, self._phase_ns = scan, self._local_ns + whole, exact - whole

    def _update(self, residual: float, noise: float) -> float:
        """The Kalman update; gives the step of the phase, ns."""
        self._follow_manoeuvre(residual, noise)
        p = self._covariance
        gain = p[:, 0] / (p[0, 0] + noise)
        self._phase_ns += float(gain[0]) * residual
        self.offset_ppb += float(gain[1]) * residual
        keep = np.eye(2) - np.outer(gain, [1.0, 0.0])
        self._covariance = keep @ p @ keep.T + np.outer(gain, gain) * noise
        return float(gain[0]) * residual

    def _update_interval(self, seen: _Seen, residual: float, half_width_ns: float) -> float:
        """Let the set of lines that fit all intervals set phase and frequency; gives the step of the phase, ns."""
        at_centre = self._phase_ns + seen.fraction * self.ns_per_scan + self._local_ns
        second = round(at_centre / SECOND_NS)
        found = self._intervals.add(seen.scan, seen.fraction, second, half_width_ns, self.offset_ppb)
        # The middle may lie anywhere in the strip: `residual` is what the filter's line says of the same edge.
        step = residual + found.phase_ns
        self._phase_ns += step
        self.offset_ppb = found.offset_ppb
        self._covariance = np.diag([found.half_width_ns**2 / 3, found.offset_half_width_ppb**2 / 3])
        return step

    def _learn_jitter(self, residual: float, spread: float, sigma_ns: float) -> None:
        """Scatter of the edges from the median of the normalised innovations, which outliers do not move."""
        noise = sigma_ns**2 + self.jitter_ns**2
        self._scatter.append(residual**2 * noise / spread**2)
        if len(self._scatter) >= 6:
            variance = float(np.median(self._scatter)) / MEDIAN_OF_CHI2 - sigma_ns**2
            self.jitter_ns = min(max(math.sqrt(max(variance, 0.0)), JITTER_FLOOR_NS), 1e4)

    def _follow_manoeuvre(self, residual: float, noise: float) -> None:
        """Innovations that keep one sign mean that the frequency moves faster than its walk: open the filter."""
        self._pulls.append(residual)
        if len(self._pulls) < BIAS_WINDOW:
            return
        mean = sum(self._pulls) / BIAS_WINDOW
        spread = math.sqrt((float(self._covariance[0, 0]) + noise) / BIAS_WINDOW)
        if abs(mean) > 3.0 * spread:
            self._covariance[1, 1] += mean**2
            self._pulls.clear()

    def _reject(self, seen: _Seen, residual: float) -> Outcome:
        """Count it; after enough of them that agree with each other, start over from those."""
        self._rejected_in_a_row += 1
        self.accepted = 0
        if self._rejected_in_a_row >= self._settings.restart_edges:
            outcome = self._start(seen)
            if outcome.verdict is Verdict.RESTARTED:
                return outcome
        else:
            self._candidates.append(seen)
        return Outcome(Verdict.REJECTED, residual)
