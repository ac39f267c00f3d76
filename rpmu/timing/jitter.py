"""The scatter of the PPS edges, learned from the edges themselves.

The third difference of four edges a second apart is free of phase, frequency and steady drift, whatever the clock
filter believes; of independent edges it has 1 + 9 + 9 + 1 = 20 times the variance of one. (Learning from the filter's
innovations instead would take a warming crystal for a bad receiver, trust the edges less, lag more, and so on.) The
mean square over some minutes is the answer, with what lies far outside the median cut: one bad edge spoils four
differences. A receiver that becomes worse is believed sooner, by the last half minute alone. While the window is short
the answer is made larger, because too small a scatter would be a lie.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections import deque
from itertools import islice

from rpmu.timing.start import SECOND_NS, Candidate

START_NS = 1_000.0  # until something is known
FLOOR_NS = 5.0
WINDOW = 160
RECENT = 30
FEWEST = 4
CUT = 9.0  # times the variance that the median gives: three standard deviations
CUT_LOSS = 0.994  # what the cut leaves of a Gaussian's variance
WORSE = 2.0  # times the variance of the whole window: more than chance makes of the recent part
CREDIBLE_NS = 20 * 5_000.0  # a larger third difference is not jitter
MEDIAN_OF_CHI2 = 0.4549  # of one degree of freedom
DIFFERENCE_VARIANCE = 20.0
SPACING = 1e-3  # relative: edges this near to whole seconds follow each other


class JitterEstimate:
    """Scatter of the edges.

    Attributes:
        sigma_ns: as learned, the noise of the edges' fit included.
        count: third differences since the start.
    """

    def __init__(self) -> None:
        self.sigma_ns = START_NS
        self.count = 0
        self._edges: deque[Candidate] = deque(maxlen=4)
        self._window: deque[float] = deque()  # squares of the third differences, as variances of one edge
        self._ordered: list[float] = []  # the same by size: to sort them anew with every edge would cost a frame

    def forget_edges(self) -> None:
        """Scans are counted anew: what comes makes no difference with edges before; what was learned stays."""
        self._edges.clear()

    def learn(self, edge: Candidate, nominal_ns: float) -> None:
        """Take in an edge, with the nominal length of a scan, ns."""
        self._edges.append(edge)
        first, *later = self._edges
        x = [other.minus(first) * nominal_ns for other in later]
        if len(x) < 3 or any(abs(x[i] / ((i + 1) * SECOND_NS) - 1) > SPACING for i in range(3)):
            return
        difference = x[2] - 3 * x[1] + 3 * x[0]
        if abs(difference) > CREDIBLE_NS:
            return
        self.count += 1
        self._take(difference**2 / DIFFERENCE_VARIANCE)
        count = len(self._window)
        if count < FEWEST:
            return
        recent = sorted(islice(reversed(self._window), RECENT))
        variance = max(_variance(self._ordered), _variance(recent) / WORSE)
        self.sigma_ns = max(math.sqrt(variance * (1.0 + 12.0 / count + 250.0 / count**2)), FLOOR_NS)

    def _take(self, square: float) -> None:
        self._window.append(square)
        insort(self._ordered, square)
        if len(self._window) > WINDOW:
            del self._ordered[bisect_left(self._ordered, self._window.popleft())]


def _variance(squares: list[float]) -> float:
    """Of one edge, from squares, in order, that have it as their mean, but for outliers."""
    middle = len(squares) // 2
    median = squares[middle] if len(squares) % 2 else (squares[middle - 1] + squares[middle]) / 2
    cut = CUT * median / MEDIAN_OF_CHI2
    below = bisect_right(squares, cut)
    return (sum(squares[:below]) + (len(squares) - below) * cut) / (len(squares) * CUT_LOSS)
