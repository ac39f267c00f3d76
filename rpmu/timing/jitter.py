"""The scatter of the PPS edges beyond what their fit explains, learned from the filter's innovations.

An innovation z has the variance P + R (prediction and measurement), so z^2 R / (P + R) is an estimate of R. Their
mean over a window, the largest tenth left out, is robust against the odd bad edge and follows a receiver that is
30 ns or 1 us; while the window is short the answer is made larger, because too small a scatter would be a lie.
"""

from __future__ import annotations

import math
from collections import deque

START_NS = 500.0  # until something is known
FLOOR_NS = 5.0
WINDOW = 40
FEWEST = 4
CREDIBLE_NS = 5_000.0  # an edge further off is not jitter
TRIMMED_MEAN = 0.623  # of the smaller nine tenths of chi-square of one degree of freedom


class JitterEstimate:
    """Scatter of the edges.

    Attributes:
        sigma_ns: as learned.
        count: edges since the start.
    """

    def __init__(self) -> None:
        self.sigma_ns = START_NS
        self.count = 0
        self._window: deque[float] = deque(maxlen=WINDOW)

    def learn(self, innovation_ns: float, predicted_variance: float, fit_variance: float) -> None:
        """Take in an innovation, with the variances (ns^2) of the prediction and of the edge's fit."""
        if abs(innovation_ns) > CREDIBLE_NS:
            return
        self.count += 1
        noise = fit_variance + self.sigma_ns**2
        self._window.append(max(innovation_ns**2 * noise / (predicted_variance + noise) - fit_variance, 0.0))
        count = len(self._window)
        if count < FEWEST:
            return
        kept = sorted(self._window)[: count - count // 10]
        mean = sum(kept) / len(kept) / (TRIMMED_MEAN if count >= 10 else 1.0)
        self.sigma_ns = max(math.sqrt(mean * (1.0 + 4.0 / count)), FLOOR_NS)
