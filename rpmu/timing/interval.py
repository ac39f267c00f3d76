"""Edges that are only known to lie between two samples: all lines that pass through all of them.

Each interval allows a strip of (phase, frequency). The strips' intersection is all that is known, and its middle and
half width are the answer. Where the PPS sweeps over the samples the intersection shrinks far below one sample period;
where it falls at the same place every second (a crystal within some parts in 1e9 of a multiple of one sample period
per second) it stays as wide as it is. A Gaussian filter would call that a small error, and be wrong.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from rpmu.timing.settings import TimingSettings

MOST_EDGES = 100
GRID = 401
MARGIN_NS = 60.0  # the receiver's jitter may carry an edge across a sample


@dataclass(frozen=True)
class IntervalFix:
    """What the intervals allow at the newest edge.

    Attributes:
        phase_ns: middle of the possible local times of the newest interval's centre, against its second.
        half_width_ns: half their range.
        offset_ppb: middle of the possible frequency offsets.
        offset_half_width_ppb: half their range.
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
        self._edges: deque[tuple[int, float, int, float]] = deque(maxlen=MOST_EDGES)

    def clear(self) -> None:
        """Forget all edges."""
        self._edges.clear()

    def add(self, scan: int, fraction: float, second: int, half_width_ns: float, offset_ppb: float) -> IntervalFix:
        """Take in one more interval.

        Args:
            scan: whole number of the position of the interval's centre.
            fraction: and its fraction.
            second: the local second of the edge.
            half_width_ns: half of the interval.
            offset_ppb: the frequency offset believed so far, the middle of the search for the first edges.
        """
        self._edges.append((scan, fraction, second, half_width_ns))
        while True:
            fix = self._intersect(offset_ppb)
            if fix is not None:
                return fix
            self._edges.popleft()  # the crystal drifted more than assumed: the oldest strip no longer holds

    def _intersect(self, offset_ppb: float) -> IntervalFix | None:
        """Middle and half width of the intersection, None if it is empty."""
        last_scan, last_fraction, last_second, _ = self._edges[-1]
        run_ns = np.array([(s - last_scan) + (f - last_fraction) for s, f, _, _ in self._edges]) * self._nominal_ns
        second_ns = np.array([(second - last_second) * 1e9 for _, _, second, _ in self._edges])
        seconds = run_ns * 1e-9
        half = np.array([width for _, _, _, width in self._edges])
        half = half + MARGIN_NS + 0.5 * self._drift * seconds**2
        middle, reach = offset_ppb, 1_000.0
        if len(self._edges) > 1:  # the steepest and the flattest line through the oldest and the newest strip
            middle = float((second_ns[0] - run_ns[0]) / seconds[0])
            reach = float((half[0] + half[-1]) / -seconds[0])
        slopes = middle + reach * np.linspace(-1.0, 1.0, GRID)
        centre = (second_ns - run_ns)[:, None] - slopes * seconds[:, None]  # of each strip, at the newest edge
        low, high = np.max(centre - half[:, None], axis=0), np.min(centre + half[:, None], axis=0)
        possible = low <= high
        if not possible.any():
            return None
        bottom, top = float(low[possible].min()), float(high[possible].max())
        left, right = float(slopes[possible][0]), float(slopes[possible][-1])
        grid_step = reach * 2 / (GRID - 1)
        return IntervalFix((bottom + top) / 2, (top - bottom) / 2, (left + right) / 2, (right - left) / 2 + grid_step)
