"""Edges that are only known to lie between two samples: all lines that pass through all of them.

Each interval allows a strip of (phase, frequency). The strips' intersection is all that is known, and its middle and
width are the answer. Where the PPS sweeps over the samples the intersection shrinks far below one sample period;
where it falls at the same place every second (a crystal within some parts in 1e9 of a multiple of one sample period
per second) it stays as wide as it is. A Gaussian filter would call that a small error, and be wrong.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from rpmu.timing.axis import AxisMove
from rpmu.timing.settings import TimingSettings
from rpmu.timing.start import SECOND_NS

MOST_EDGES = 100
GRID = 401
MARGIN_NS = 60.0  # the receiver's jitter may carry an edge across a sample
MARGIN_DECAY = 0.98
DRIFT_SIGMAS = 3.0  # strips are limits, not standard deviations: the drift may be this much larger than assumed
MOVE_SIGMAS = 3.0  # likewise: the place of an edge is not expected farther off
SETTLING_EDGES = 2
APPROACH = 0.2


@dataclass(frozen=True)
class IntervalFix:
    """What the intervals allow at the newest edge.

    Attributes:
        phase_ns: local time of the newest interval's centre, against its time.
        half_width_ns: how far from it the possible ones reach.
        offset_ppb: frequency offset.
        offset_half_width_ppb: how far from it the possible ones reach.
    """

    phase_ns: float
    half_width_ns: float
    offset_ppb: float
    offset_half_width_ppb: float


class IntervalClock:
    """Intersects the intervals of the latest edges."""

    def __init__(self, nominal_ns: float, settings: TimingSettings) -> None:
        """For a nominal scan length, ns."""
        self._nominal_ns = nominal_ns
        self._drift = settings.drift_ppb_per_s
        self._margin_ns = MARGIN_NS
        self._edges: deque[tuple[int, float, int, float]] = deque(maxlen=MOST_EDGES)

    def clear(self) -> None:
        """Forget all edges."""
        self._edges.clear()

    def shift(self, scans: float) -> None:
        """All edges lie later by so many scans than was known."""
        self._edges = deque(((s, f + scans, time, half) for s, f, time, half in self._edges), MOST_EDGES)

    def move(self, move: AxisMove) -> None:
        """The scans of a new run count; where that puts the edges is not known exactly, which widens them."""
        widen_ns = MOVE_SIGMAS * move.sigma_ns
        moved = ((*move.place(s, f), time, half + widen_ns) for s, f, time, half in self._edges)
        self._edges = deque(moved, MOST_EDGES)
        self._nominal_ns = SECOND_NS / move.rate_hz

    def add(self, scan: int, fraction: float, time_ns: int, half_width_ns: float) -> None:
        """Take in one more interval.

        Args:
            scan: whole number of the position of the interval's centre.
            fraction: and its fraction.
            time_ns: the time that was there, ns.
            half_width_ns: half of the interval.
        """
        self._edges.append((scan, fraction, time_ns, half_width_ns))

    def fix(self, phase_ns: float, offset_ppb: float) -> IntervalFix:
        """The best line, from the one in use towards the middle of all that is possible.

        Args:
            phase_ns: where the line in use passes the newest interval's centre, against its time.
            offset_ppb: its frequency offset.
        """
        self._margin_ns = max(MARGIN_NS, self._margin_ns * MARGIN_DECAY)
        while True:
            limits = self._intersect(offset_ppb)
            if limits is not None:
                break
            # Too much jitter or drift for the strips as wide as they are: widen them and drop the oldest.
            self._margin_ns *= 2.0
            self._edges.popleft()
        bottom, top, left, right = limits
        share = 1.0 if len(self._edges) < SETTLING_EDGES else APPROACH
        phase = _towards_middle(phase_ns, bottom, top, share)
        offset = _towards_middle(offset_ppb, left, right, share)
        return IntervalFix(phase, max(top - phase, phase - bottom), offset, max(right - offset, offset - left))

    def _intersect(self, offset_ppb: float) -> tuple[float, float, float, float] | None:
        """Range of phase and range of frequency of the possible lines, None if there are none."""
        last_scan, last_fraction, last_ns, _ = self._edges[-1]
        run_ns = np.array([(s - last_scan) + (f - last_fraction) for s, f, _, _ in self._edges]) * self._nominal_ns
        time_ns = np.array([float(time - last_ns) for _, _, time, _ in self._edges])
        seconds = run_ns * 1e-9
        half = np.array([width for _, _, _, width in self._edges])
        half = half + self._margin_ns + 0.5 * DRIFT_SIGMAS * self._drift * seconds**2
        middle, reach = offset_ppb, 1_000.0
        if len(self._edges) > 1:  # the steepest and the flattest line through the oldest and the newest strip
            middle = float((time_ns[0] - run_ns[0]) / seconds[0])
            reach = float((half[0] + half[-1]) / -seconds[0])
        slopes = middle + reach * np.linspace(-1.0, 1.0, GRID)
        centre = (time_ns - run_ns)[:, None] - slopes * seconds[:, None]  # of each strip, at the newest edge
        low, high = np.max(centre - half[:, None], axis=0), np.min(centre + half[:, None], axis=0)
        possible = low <= high
        if not possible.any():
            return None
        grid_step = 2 * reach / (GRID - 1)
        left, right = float(slopes[possible][0]) - grid_step, float(slopes[possible][-1]) + grid_step
        return float(low[possible].min()), float(high[possible].max()), left, right


def _towards_middle(value: float, low: float, high: float, share: float) -> float:
    """Into the range, and by a share of the way to its middle: no jump where none is needed."""
    return min(max(value + share * ((low + high) / 2 - value), low), high)
