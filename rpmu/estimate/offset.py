"""The converter's mid-scale, tracked and taken off before the estimator.

A single-supply front end puts the mains on half the ADC's range, twice the signal's RMS value. The filter bank is made
to reject the direct component that mains may have, not this one: untouched it would move the frequency by 2 mHz, and
at reporting rates that divide the nominal frequency always by the same 2 mHz. So a mean over whole seconds, which are
whole numbers of cycles at nominal frequency, is subtracted. Off nominal the mean of one second is wrong by up to 0.2 %
of the signal and would step by as much every second (measured: 1 mHz each time), so seconds are averaged further.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PERIOD_S = 1.0
SECONDS = 16  # averaged: a step of one sixteenth is lost in the noise, and the bias of a front end moves in minutes


class OffsetTracker:
    """Mean of each channel over the last completed seconds.

    Args:
        channels: number of channels.
        sample_rate_hz: nominal sample rate.
        start_v: offset to assume until the first second is complete.
    """

    def __init__(self, channels: int, sample_rate_hz: float, start_v: float = 0.0) -> None:
        self.offset_v: NDArray[np.float64] = np.full((channels, 1), start_v)
        self._period = round(PERIOD_S * sample_rate_hz)
        self._sum: NDArray[np.float64] = np.zeros((channels, 1))
        self._count = 0
        self._seconds = 0

    def remove(self, volts: NDArray[np.float64]) -> NDArray[np.float64]:
        """The samples without the offset.

        Args:
            volts: float64 [channels, n]; NaN where a sample is missing, which starts the second over.
        """
        self._learn(volts)
        return np.asarray(volts - self.offset_v)

    def _learn(self, volts: NDArray[np.float64]) -> None:
        start = 0
        while start < volts.shape[1]:
            piece = volts[:, start : start + self._period - self._count]
            start += piece.shape[1]
            self._sum += piece.sum(axis=1, keepdims=True)
            self._count += piece.shape[1]
            if np.isnan(self._sum).any():
                self._restart()
            elif self._count == self._period:
                self._seconds = min(self._seconds + 1, SECONDS)
                self.offset_v = self.offset_v + (self._sum / self._period - self.offset_v) / self._seconds
                self._restart()

    def _restart(self) -> None:
        self._sum = np.zeros_like(self._sum)
        self._count = 0
