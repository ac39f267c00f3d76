"""A design task: class, rate, nominal frequency and sample rate, and the windows and decimator that follow.

A longer window is quieter and more selective, and later and slower: reporting latency and the step tests bound it.
Latency bounds the half after the report's instant alone, and the steps bound the whole: so where latency is short, the
filters for frequency and ROCOF look further back than ahead. The phasor's filter stays symmetric, because the delay of
a step is counted against it. The windows below were chosen so that every step margin stays above 1.2 and the rest goes
into noise. Where noise is the limit, in class M from 25/s on, the pass band is no better than the modulation tests ask
(mask.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.signal import firwin

from rpmu.estimate.classes import frequency_range_hz

Floats = NDArray[np.float64]

KAISER_DB = 115.0
KAISER_BETA = 11.71  # for 115 dB
M_WINDOWS_S = {10: 1.20, 12: 0.95, 15: 0.775, 20: 0.62, 25: 0.50, 30: 0.38, 50: 0.21, 60: 0.18, 100: 0.125, 120: 0.1035}
M_ROCOF_BEFORE_S = {
    50: 0.117,
    60: 0.1,
    100: 0.155,
    120: 0.13,
}  # of the third filter, where latency bounds its other half
# Cycles before and after the report's instant, of the three filters.
P_SLOW_CYCLES = ((1.15, 1.15), (1.75, 1.75), (2.1, 2.1))  # up to 30 reports/s
P_CYCLES = ((1.15, 1.15), (1.85, 1.6), (2.8, 1.6))  # at 50 and 60
P_TIGHT_CYCLES = ((0.87, 0.87), (2.0, 0.87), (2.8, 0.87))  # at 100 and 120: 14.5 ms at 60 Hz, of 16.7 for everything


@dataclass(frozen=True)
class Plan:
    """One design task.

    Attributes:
        nominal_hz: 50 or 60.
        performance_class: "P" or "M".
        rate: reporting rate, one of the standard's.
        sample_rate_hz: rate of the samples.
    """

    nominal_hz: int
    performance_class: str
    rate: int
    sample_rate_hz: float

    @property
    def is_p(self) -> bool:
        """P class."""
        return self.performance_class == "P"

    @property
    def is_tight(self) -> bool:
        """P class at 100 and 120 reports/s, where latency binds the window to under two cycles."""
        return self.is_p and self.rate >= 100

    @property
    def is_slow(self) -> bool:
        """M class up to 20 reports/s, where noise is no matter."""
        return not self.is_p and self.rate <= 15

    @property
    def range_hz(self) -> float:
        """Half range of the frequency test."""
        return frequency_range_hz(self.performance_class, self.rate)

    @property
    def decimation(self) -> int:
        """Samples per decimated sample: fast classes spend less of their window on the decimator."""
        if self.is_tight:
            target = 7000
        elif self.is_p:
            target = 2500
        else:
            target = 640 if self.rate <= 30 else 1300
        return max(1, int(self.sample_rate_hz // target))

    @property
    def bank_rate_hz(self) -> float:
        """Rate of the bank's input."""
        return self.sample_rate_hz / self.decimation

    @cached_property
    def decimator(self) -> Floats:
        """Taps of the decimator: flat to f0 + 12 Hz, and nothing folds into the band around f0."""
        if self.decimation == 1:
            return np.ones(1)
        transition = self.bank_rate_hz - 2 * (self.nominal_hz + 12)
        length = (KAISER_DB - 7.95) / (2.285 * 2 * np.pi * transition / self.sample_rate_hz) + 1
        taps = int(np.ceil(length)) | 1
        cutoff = self.bank_rate_hz / 2
        return np.asarray(firwin(taps, cutoff, window=("kaiser", KAISER_BETA), fs=self.sample_rate_hz))

    def decimator_gain(self, frequency_hz: Floats | float) -> Floats:
        """Magnitude of the decimator at a frequency, relative to the nominal one."""
        half = len(self.decimator) // 2
        n = np.arange(-half, half + 1) / self.sample_rate_hz

        def gain(f: Floats | float) -> Floats:
            return np.asarray(np.cos(2 * np.pi * np.multiply.outer(f, n)) @ self.decimator)

        return np.abs(gain(frequency_hz) / gain(float(self.nominal_hz)))

    @property
    def windows_s(self) -> tuple[tuple[float, float], ...]:
        """What the three filters see before and after the report's instant, s."""
        if self.is_tight:
            outside = (len(self.decimator) // 2 + self.decimation / 2) / self.sample_rate_hz
            return tuple(
                (before / self.nominal_hz - outside, after / self.nominal_hz - outside)
                for before, after in P_TIGHT_CYCLES
            )
        if self.is_p:
            cycles = P_SLOW_CYCLES if self.rate <= 30 else P_CYCLES
            return tuple((before / self.nominal_hz, after / self.nominal_hz) for before, after in cycles)
        half = M_WINDOWS_S[self.rate] / 2
        last = (0.945 if self.rate in (20, 25) else 1.0) * half  # their ROCOF is the slowest
        return (0.9 * half, 0.9 * half), (half, half), (M_ROCOF_BEFORE_S.get(self.rate, last), last)

    @property
    def reaches(self) -> tuple[tuple[int, int], ...]:
        """Taps before and after the centre, per filter."""
        fd = self.bank_rate_hz
        return tuple((int(before * fd), int(after * fd)) for before, after in self.windows_s)
