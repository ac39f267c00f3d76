"""The crystal against the PPS: a Kalman filter of phase, frequency and drift on the axis of scan numbers.

The filter keeps *local* time, ns whose whole seconds are PPS edges but have no name yet (naming.py gives it). Between
edges the line runs on and its variance grows as crystal.py says; an edge pulls it back. The scatter of the
edges is learned (jitter.py), so that 30 ns and 1 us both come out honest. Edges far from their prediction are
rejected; several rejected ones that agree with each other restart the clock. Edges that are only an interval between
two samples go to interval.py, because a filter that takes them for Gaussian gets stuck where every PPS falls at the
same place between samples; a single one among sharp edges moves the line no farther than into it.
"""

from __future__ import annotations

import math
from collections import deque
from enum import Enum
from statistics import fmean

from rpmu.timing.axis import AxisMove
from rpmu.timing.bridge import Shift
from rpmu.timing.crystal import Covariance, State, carry, phase_variance, spread
from rpmu.timing.edge import Edge
from rpmu.timing.interval import IntervalClock
from rpmu.timing.jitter import START_NS as JITTER_START_NS
from rpmu.timing.jitter import JitterEstimate
from rpmu.timing.settings import TimingSettings
from rpmu.timing.start import LINE_TOLERANCE_NS, SECOND_NS, Candidate, Line, StartFinder
from rpmu.timing.time_map import TimeMap
from rpmu.values import value

EXTRA_S = 0.9  # an edge sooner than this after a good one is one too many
SUSPICIOUS_NS = 1e6  # a rejected edge nearer than this is the PPS, somehow wrong, or we are
BIAS_WINDOW = 6
BIAS_SIGMAS = 4.0
DOUBT_LEFT = 0.6  # by every further edge that is where it should be
LAG_WINDOW = 30
DRIFT_EDGES = 100  # over which it is learned that the frequency drifts faster than assumed
SHARP_MEMORY = 20  # intervals in a row after which sharp edges are forgotten


class Verdict(Enum):
    """What became of an edge."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    COLLECTING = "collecting"
    STARTED = "started"
    RESTARTED = "restarted"


@value
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


class ClockFilter:
    """Scan number to local time.

    Attributes:
        running: whether there is a line yet.
        accepted: edges accepted in a row.
        jitter: scatter of the edges.
    """

    def __init__(self, scan_rate_hz: float, settings: TimingSettings) -> None:
        """Start without any time, for a nominal scan rate."""
        self._nominal_ns = SECOND_NS / scan_rate_hz
        self._settings = settings
        self._finder = StartFinder(self._nominal_ns, settings)
        self._intervals = IntervalClock(self._nominal_ns, settings)
        self.running = False
        self.accepted = 0
        self._rejected_in_a_row = 0
        self._forget_noise()
        # The line: local time of scan `_scan` is `_local_ns` (whole) plus the phase.
        self._scan, self._local_ns = 0, 0
        self._state = State(0.0, 0.0, 0.0)
        self._covariance = Covariance(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        self._shift_ns = 0.0  # what is not known of the last shift of the sampling instants, until an edge has come
        self._edge_scan = 0
        self._suspicion_ns, self._suspicion_scan = 0.0, 0  # an edge was rejected where one was due
        self._doubt_ns = 0.0  # the line followed two edges that may have been wrong themselves

    def _forget_noise(self) -> None:
        self.jitter = JitterEstimate()
        self._drift_square = 0.0  # mean of the drift's square as estimated, (ppb/s)^2
        self._drift_ppb_per_s = self._settings.drift_ppb_per_s
        self._lag_ns = 0.0
        self._sharp = 0  # sharp edges that still say more than an interval does
        self._pulls: deque[float] = deque(maxlen=BIAS_WINDOW)
        self._innovations: deque[float] = deque(maxlen=LAG_WINDOW)

    # ---- what it says ----

    @property
    def offset_ppb(self) -> float:
        """How much longer than nominal a scan lasts, ppb (a slow crystal is positive), at the last edge."""
        return self._state.offset_ppb

    def seconds_since_edge(self, scan: int) -> float:
        """Time from the last accepted edge to a scan, s."""
        return (scan - self._edge_scan) * self._nominal_ns * 1e-9

    def local_ns(self, scan: int) -> int:
        """Local time of a scan, ns."""
        return self._local_ns + round(self._since_anchor_ns(scan, 0.0))

    def deviation_ns(self, edge: Edge) -> float:
        """How far an edge lies from the whole second nearest to it, ns; positive is late."""
        exact_ns = self._since_anchor_ns(edge.scan, edge.fraction)
        return exact_ns - (round((self._local_ns + exact_ns) / SECOND_NS) * SECOND_NS - self._local_ns)

    def local_map(self, scan: int, receiver_sigma_ns: float) -> TimeMap:
        """The line around a scan, with the standard uncertainty there."""
        nominal_ns = (scan - self._scan) * self._nominal_ns
        state = carry(self._state, nominal_ns * 1e-9)
        ns_per_scan = self._nominal_ns * (1.0 + state.offset_ppb * 1e-9)
        local_ns = self._local_ns + round(nominal_ns + state.phase_ns)
        return TimeMap(scan, local_ns, ns_per_scan, self._sigma_ns(scan, nominal_ns * 1e-9, receiver_sigma_ns))

    def _sigma_ns(self, scan: int, seconds: float, receiver_sigma_ns: float) -> float:
        """Standard uncertainty of the local time of a scan, so long after the anchor: the filter's, the receiver's."""
        if not self.running:
            return math.inf
        lag_ns = self._lag_ns * (1.0 + self.seconds_since_edge(scan) / LAG_WINDOW)
        variance = phase_variance(self._covariance, seconds, self._drift_ppb_per_s)
        variance += self._shift_ns**2 + receiver_sigma_ns**2 + lag_ns**2 + self._doubt_ns**2
        if self._suspicion_ns:  # as if the rejected edge were right, and the frequency had changed
            elapsed = (scan - self._suspicion_scan) * self._nominal_ns * 1e-9
            variance += (self._suspicion_ns * (1.0 + elapsed) / 2) ** 2
        return math.sqrt(variance)

    def _since_anchor_ns(self, scan: int, fraction: float) -> float:
        """Local time of a position, ns after `_local_ns`. Nominal time goes apart: it is exact, and large."""
        nominal_ns = ((scan - self._scan) + fraction) * self._nominal_ns
        return nominal_ns + carry(self._state, nominal_ns * 1e-9).phase_ns

    def _add_phase(self, phase_ns: float) -> None:
        self._state = self._state._replace(phase_ns=self._state.phase_ns + phase_ns)

    def _doubt_phase(self, sigma_ns: float) -> None:
        self._covariance = self._covariance._replace(pp=self._covariance.pp + sigma_ns**2)

    # ---- what it is told ----

    def shift(self, shift: Shift) -> None:
        """The sampling instants moved: the ADC restarted, or it is known better by how much."""
        if not shift.again:
            self._doubt_phase(self._shift_ns)
            self._finder.clear()
            self._intervals.clear()
        elif not self._shift_ns:
            return  # an edge has come since, and says more
        self._add_phase(shift.scans * self._nominal_ns * (1.0 + self.offset_ppb * 1e-9))
        self._intervals.shift(-shift.scans)
        self._shift_ns = shift.sigma_ns

    def move(self, move: AxisMove) -> None:
        """Go on along the scans of a new run of the acquisition."""
        self._move_to(move.before)
        self._add_phase(move.fraction * self._nominal_ns * (1.0 + self.offset_ppb * 1e-9))
        self._scan = move.scan
        self._nominal_ns = SECOND_NS / move.rate_hz
        self._edge_scan = move.nearest(self._edge_scan)
        self._suspicion_scan = move.nearest(self._suspicion_scan)
        self._finder = StartFinder(self._nominal_ns, self._settings)
        self._intervals.move(move)
        self.jitter.forget_edges()
        self._shift_ns = move.sigma_ns

    def edge(self, edge: Edge) -> Outcome:
        """Take in an edge at the start of a second."""
        seen = Candidate(edge.scan, edge.fraction, edge.sigma_scans * self._nominal_ns)
        if not self.running:
            line = self._finder.add(seen)
            outcome = self._start(seen, line) if line else Outcome(Verdict.COLLECTING)
        else:
            outcome = self._track(seen, edge.half_width_scans * self._nominal_ns)
        if outcome.verdict not in (Verdict.COLLECTING, Verdict.REJECTED):
            self._edge_scan = edge.scan
        return outcome

    def _start(self, seen: Candidate, line: Line) -> Outcome:
        """Put the line through the edges found; whole local seconds count on if there was a line before."""
        before_ns, second_ns = math.nan, SECOND_NS
        if self.running:
            since_anchor_ns = self._since_anchor_ns(seen.scan, seen.fraction)
            second_ns = round((self._local_ns + since_anchor_ns) / SECOND_NS) * SECOND_NS
            before_ns = since_anchor_ns - (second_ns - self._local_ns)
        verdict = Verdict.RESTARTED if self.running else Verdict.STARTED
        sigma = max(seen.sigma_ns, JITTER_START_NS)
        slope = sigma / line.seconds
        self._scan, self._local_ns = seen.scan, second_ns
        self._state = State(-seen.fraction * self._nominal_ns * (1 + line.offset_ppb * 1e-9), line.offset_ppb, 0.0)
        # Phase at the last edge and slope share that edge's error.
        drift = self._settings.drift_ppb_per_s
        self._covariance = Covariance(sigma**2, sigma * slope, 0.0, 2 * slope**2, 0.0, drift**2)
        self._shift_ns = 0.0
        self._forget_noise()
        self._intervals.clear()
        self._finder.clear()
        self.running, self.accepted, self._rejected_in_a_row = True, 3, 0
        self._suspicion_ns = self._doubt_ns = 0.0
        return Outcome(verdict, math.nan, -before_ns)

    def _track(self, seen: Candidate, half_width_ns: float) -> Outcome:
        """Gate the edge, then let it move the line."""
        self._move_to(seen.scan)
        at_edge_ns = self._since_anchor_ns(seen.scan, seen.fraction)
        second = round((self._local_ns + at_edge_ns) / SECOND_NS)
        residual = (second * SECOND_NS - self._local_ns) - at_edge_ns
        if not half_width_ns and abs(residual) < LINE_TOLERANCE_NS:
            self.jitter.learn(seen, self._nominal_ns)
        # An interval's width is a limit and not noise: counted as both, an edge of nonsense would pass.
        noise = (self.jitter.sigma_ns if half_width_ns else max(seen.sigma_ns, self.jitter.sigma_ns)) ** 2
        if not (self._passes(residual, noise, half_width_ns) or self._is_manoeuvre(residual, noise)):
            return self._reject(seen, residual)
        self._suspicion_ns, self._doubt_ns = 0.0, self._doubt_ns * DOUBT_LEFT
        missed = self.seconds_since_edge(seen.scan) > self._settings.holdover_after_s
        self.accepted = 1 if missed else self.accepted + 1
        if missed:
            self._innovations.clear()  # the first is the error of the holdover, not a lag
        self._rejected_in_a_row = 0
        self._finder.clear()
        if half_width_ns:
            return self._take_interval(seen, second, residual, half_width_ns)
        self._sharp = min(self._sharp + 1, SHARP_MEMORY)
        self._intervals.clear()
        return Outcome(Verdict.ACCEPTED, residual, self._follow(residual, noise))

    def _passes(self, residual: float, noise: float, half_width_ns: float) -> bool:
        """Whether an edge is as near to its prediction as it should be."""
        sigma = math.sqrt(self._covariance.pp + noise)
        return abs(residual) <= max(self._settings.gate_sigma * sigma, self._settings.gate_ns) + half_width_ns

    def _is_manoeuvre(self, residual: float, noise: float) -> bool:
        """Whether this edge and the last, rejected one show a step of the frequency; then open the filter for it."""
        if not self._suspicion_ns or max(self._suspicion_ns, abs(residual)) > LINE_TOLERANCE_NS:
            return False
        # A step f, somewhere in the second before the rejected edge: now f of frequency and up to 2 f of phase.
        step = self._suspicion_ns**2
        opened = self._covariance.plus(Covariance(5.0 * step, 2.0 * step, 0.0, step, 0.0, 0.0))
        if abs(residual) > self._settings.gate_sigma * math.sqrt(opened.pp + noise):
            return False
        self._covariance = opened
        self._doubt_ns = max(self._suspicion_ns, abs(residual)) / DOUBT_LEFT
        return True

    def _move_to(self, scan: int) -> None:
        """Carry line and covariance to a scan, keeping the ns as whole number and remainder."""
        nominal_ns = (scan - self._scan) * self._nominal_ns
        seconds = nominal_ns * 1e-9
        state = carry(self._state, seconds)
        since_ns = nominal_ns + state.phase_ns
        whole = round(since_ns)
        self._state = State(since_ns - whole, state.offset_ppb, state.drift_ppb_per_s)
        self._covariance = spread(self._covariance, seconds, self._drift_ppb_per_s)
        self._doubt_phase(self._shift_ns)
        self._shift_ns = 0.0
        self._scan, self._local_ns = scan, self._local_ns + whole

    def _follow(self, residual: float, noise: float) -> float:
        """The Kalman update; gives the step of the phase, ns."""
        self._notice_manoeuvre(residual, noise)
        pp, pf, pd, ff, fd, dd = self._covariance
        gain_p, gain_f, gain_d = pp / (pp + noise), pf / (pp + noise), pd / (pp + noise)
        phase, offset, drift = self._state
        self._state = State(phase + gain_p * residual, offset + gain_f * residual, drift + gain_d * residual)
        # Of the phase what is left is gain times noise: a difference of large numbers might end below zero.
        self._covariance = Covariance(
            gain_p * noise, gain_f * noise, gain_d * noise, ff - gain_f * pf, fd - gain_f * pd, dd - gain_d * pd
        )
        self._learn_drift(residual)
        return gain_p * residual

    def _learn_drift(self, residual: float) -> None:
        """How fast the frequency drifts, if faster than assumed, and by how much the line lags behind.

        The lag is what of the edges' mean distance from the line is more than chance.
        """
        self._drift_square += (self._state.drift_ppb_per_s**2 - self._drift_square) / DRIFT_EDGES
        self._drift_ppb_per_s = max(self._settings.drift_ppb_per_s, math.sqrt(self._drift_square))
        if self.accepted > 1:
            self._innovations.append(residual)
        if len(self._innovations) < LAG_WINDOW:
            self._lag_ns = 0.0
        else:
            square = fmean(self._innovations) ** 2 - 2.0 * self.jitter.sigma_ns**2 / LAG_WINDOW
            self._lag_ns = math.sqrt(max(square, 0.0))

    def _take_interval(self, seen: Candidate, second: int, residual: float, half_width_ns: float) -> Outcome:
        """An edge anywhere within +- `half_width_ns`: by all such edges, or into this one from where sharp ones led."""
        self._intervals.add(seen.scan, seen.fraction, second * SECOND_NS, half_width_ns)
        if not self._sharp:
            return Outcome(Verdict.ACCEPTED, residual, self._follow_intervals(residual))
        self._sharp -= 1
        beyond = math.copysign(max(abs(residual) - half_width_ns, 0.0), residual)
        step = self._follow(beyond, self.jitter.sigma_ns**2) if beyond else 0.0
        return Outcome(Verdict.ACCEPTED, beyond, step)

    def _follow_intervals(self, residual: float) -> float:
        """Move the line into the set of those that fit all intervals; gives the step of the phase, ns."""
        fix = self._intervals.fix(-residual, self.offset_ppb)
        step = fix.phase_ns + residual  # the line passed the interval's centre at -residual
        self._state = State(self._state.phase_ns + step, fix.offset_ppb, 0.0)
        phase, frequency = fix.half_width_ns**2 / 3, fix.offset_half_width_ppb**2 / 3
        self._covariance = Covariance(phase, 0.0, 0.0, frequency, 0.0, self._settings.drift_ppb_per_s**2)
        return step

    def _notice_manoeuvre(self, residual: float, noise: float) -> None:
        """Innovations that keep one sign mean that the frequency moves faster than modelled: open the filter."""
        self._pulls.append(residual)
        mean = sum(self._pulls) / BIAS_WINDOW
        sigma = math.sqrt((self._covariance.pp + noise) / BIAS_WINDOW)
        if len(self._pulls) == BIAS_WINDOW and abs(mean) > BIAS_SIGMAS * sigma:
            drift = mean / BIAS_WINDOW
            self._covariance = self._covariance.plus(Covariance(0.0, 0.0, 0.0, mean**2, 0.0, drift**2))
            self._pulls.clear()

    def _reject(self, seen: Candidate, residual: float) -> Outcome:
        """Count it; after enough of them, start over from those that agree with each other."""
        self._rejected_in_a_row += 1
        if self.seconds_since_edge(seen.scan) > EXTRA_S and abs(residual) < SUSPICIOUS_NS:
            self.accepted = 0
            self._suspicion_ns, self._suspicion_scan = abs(residual), seen.scan
        line = self._finder.add(seen)
        if line and self._rejected_in_a_row >= self._settings.restart_edges:
            return self._start(seen, line)
        return Outcome(Verdict.REJECTED, residual)
