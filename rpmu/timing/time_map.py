"""The map from sample index to UTC: the one thing the rest of the pipeline knows of time.

A crystal is a straight line over seconds: UTC = time0 + (index - index0) * ns_per_index. The line is anchored near
the samples it is used for, so the float product never spans more than seconds and an integer nanosecond survives.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpmu.values import value


@value
class TimeMap:
    """A straight line from index (of scans, or of samples) to UTC.

    Attributes:
        index0: index of the anchor.
        time0_ns: UTC of the anchor, integer ns since the Unix epoch.
        ns_per_index: ns from one index to the next.
        sigma_ns: standard uncertainty of the times, ns; infinite where nothing is known.
    """

    index0: int
    time0_ns: int
    ns_per_index: float
    sigma_ns: float = 0.0

    @property
    def rate_hz(self) -> float:
        """Indices per true second."""
        return 1e9 / self.ns_per_index

    def utc_ns(self, index: NDArray[Any]) -> NDArray[np.int64]:
        """UTC, int64 ns, of each index (any integer or float array)."""
        offset = np.rint((np.asarray(index) - self.index0) * self.ns_per_index)
        return self.time0_ns + offset.astype(np.int64)

    def utc_ns_at(self, index: float) -> int:
        """UTC, ns, of one index, which may be fractional."""
        return self.time0_ns + round((index - self.index0) * self.ns_per_index)

    def index_at(self, utc_ns: int) -> float:
        """Fractional index at a UTC instant."""
        return self.index0 + (utc_ns - self.time0_ns) / self.ns_per_index

    def anchored_at(self, index: int) -> TimeMap:
        """The same line with its anchor moved to `index`."""
        return replace(self, index0=index, time0_ns=self.utc_ns_at(index))

    def decimated(self, factor: int, first_index: int, delay: float = 0.0) -> TimeMap:
        """The map of a stream that keeps one index in `factor`.

        Args:
            factor: old indices per new one.
            first_index: old index of the new index 0.
            delay: what the new samples lag behind their old index, in old indices (a filter's group delay).
        """
        return TimeMap(0, self.utc_ns_at(first_index - delay), self.ns_per_index * factor, self.sigma_ns)
