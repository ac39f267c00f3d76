"""From the firmware's 32 bits to 64: block numbers, scan numbers and the counter without their wraps.

The counter wraps every 21.47 s, scan numbers every 19.9 h, block numbers every 265 days, and a reader may have slept
through a wrap. Each value is therefore placed nearest to a prediction: blocks predict scans, scans predict the
counter. Only a shift of half a wrap against the prediction could fool that, which for the counter takes an ADC that
stood still for 10.7 s.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

WRAP = 1 << 32
HALF = 1 << 31


def nearest(value: int, predicted: int) -> int:
    """The number nearest to `predicted` whose low 32 bits are `value`."""
    return predicted + (value - predicted + HALF) % WRAP - HALF


def nearest_each(values: NDArray[np.uint32], predicted: NDArray[np.int64]) -> NDArray[np.int64]:
    """`nearest` for arrays of the same shape."""
    difference = (values.astype(np.int64) - predicted + HALF) & (WRAP - 1)
    return predicted + difference - HALF


class CounterClock:
    """Extends counter values along their scans, and checks that both advance as one crystal makes them.

    Args:
        ticks_per_scan: exact counter ticks per scan.
    """

    def __init__(self, ticks_per_scan: Fraction) -> None:
        self._ticks, self._scans = ticks_per_scan.numerator, ticks_per_scan.denominator
        self._latest: tuple[int, int] | None = None
        self._reference: tuple[int, int] = (0, 0)
        self._epoch: int | None = None

    def extend(self, scans: NDArray[np.int64], counters: NDArray[np.uint32]) -> NDArray[np.int64]:
        """64-bit counter values.

        Args:
            scans: int64 [n] scan numbers, rising, n > 0.
            counters: uint32 [n] the counter at each.
        """
        if self._latest is None:
            self._latest = int(scans[0]), int(counters[0])
        extended = nearest_each(counters, self._predict(self._latest, scans))
        self._latest = int(scans[-1]), int(extended[-1])
        return extended

    def extend_one(self, scan: int, counter: int) -> int:
        """The same for one value, which may lie before earlier ones and does not move what later ones follow from."""
        if self._latest is None:
            self._latest = scan, counter
        return nearest(counter, int(self._predict(self._latest, np.array([scan]))[0]))

    def mismatches(self, epoch: int, scans: NDArray[np.int64], counters: NDArray[np.int64]) -> int:
        """How often the counter slipped against the scans by more than half a scan.

        Args:
            epoch: of all these scans; a new one may lie anywhere against the old one, so it starts afresh.
            scans: int64 [n] scan numbers, rising, n > 0.
            counters: int64 [n] the 64-bit counter at each.
        """
        if epoch != self._epoch:
            self._epoch, self._reference = epoch, (int(scans[0]), int(counters[0]))
        count, start = 0, 0
        while start < len(scans):
            scan, counter = self._reference
            residual = (counters[start:] - counter) * self._scans - (scans[start:] - scan) * self._ticks
            slipped = np.flatnonzero(2 * np.abs(residual) > self._ticks)
            if not slipped.size:
                break
            count += 1
            start += int(slipped[0])
            self._reference = int(scans[start]), int(counters[start])
        return count

    def _predict(self, from_: tuple[int, int], scans: NDArray[Any]) -> NDArray[np.int64]:
        scan, counter = from_
        return np.asarray(counter + (scans - scan) * self._ticks // self._scans, dtype=np.int64)
