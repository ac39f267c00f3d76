"""The reference model of the standard's annex (Annex C of C37.118.1, Annex D of 60255-118-1), as an oracle.

Fixed filters at 16 samples per cycle: a two-cycle triangle for P, a Hamming-windowed sinc for M, frequency and ROCOF
from differences of the angle one sample apart. They rely on the positive sequence to cancel the image, so with one
phase they fail. The annex samples in step with UTC; free-running samples are interpolated onto its grid here, by a
band-limiting kernel that is folded into the filter.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rpmu.estimate.classes import design_rate
from rpmu.estimate.kernel import Measurement, PlainKernel, lead_signal, undo_front_ends
from rpmu.estimate.settings import EstimatorSettings

Floats = NDArray[np.float64]
Complex = NDArray[np.complex128]

PER_CYCLE = 16
M_FILTERS = {  # nominal, rate: reference frequency in Hz and order
    (60, 10): (1.78, 968),
    (60, 12): (2.125, 816),
    (60, 15): (2.64, 662),
    (60, 20): (3.5, 502),
    (60, 30): (5.02, 306),
    (60, 60): (8.19, 164),
    (60, 120): (16.25, 70),
    (50, 10): (1.779, 806),
    (50, 25): (4.355, 338),
    (50, 50): (7.75, 142),
    (50, 100): (14.1, 66),
}
LOBES = 12  # of the interpolating sinc, on either side
KAISER_BETA = 9.0
CUT_OFF = 0.42  # of the annex's sample rate
FRACTIONS = 64  # steps of a sample for which taps are made; between them the taps are interpolated


def annex_window(settings: EstimatorSettings) -> Floats:
    """The annex's filter, float64 [odd], with unit sum."""
    if settings.performance_class == "P":
        n = 2 * (PER_CYCLE - 1)
        k = np.arange(-n // 2, n // 2 + 1)
        w = 1 - 2 * np.abs(k) / (n + 2)
    else:
        rate = design_rate(settings.nominal_hz, settings.reporting_rate)
        reference_hz, n = M_FILTERS[settings.nominal_hz, rate]
        k = np.arange(-n // 2, n // 2 + 1)
        w = np.sinc(2 * 2 * reference_hz * k / (PER_CYCLE * settings.nominal_hz)) * np.hamming(n + 1)
    return np.asarray(w / w.sum(), dtype=np.float64)


class AnnexKernel(PlainKernel):
    """Reference model of the annex, as `Kernel`."""

    def __init__(self, settings: EstimatorSettings) -> None:
        self._settings = settings
        self._window = annex_window(settings)
        # The annex's grid needs its own rate; where the samples are coarser, they limit the band instead.
        self._band_hz = min(CUT_OFF * PER_CYCLE * settings.nominal_hz, 0.42 * settings.sample_rate_hz)
        self._reach_s = LOBES / (2 * self._band_hz)
        span_s = (len(self._window) // 2 + 1) / (PER_CYCLE * settings.nominal_hz) + self._reach_s
        self.decimation, self.decimator = 1, np.ones(1)
        self.before = self.after = int(span_s * settings.sample_rate_hz) + 2
        self.delay_s = 0.0
        self._taps = lru_cache(maxsize=4)(self._make_taps)

    def measure_clean(self, windows: Floats, shift: Floats, rate_ratio: float) -> Measurement:
        """See `PlainKernel`."""
        f0, phases = self._settings.nominal_hz, self._settings.phases
        table = self._taps(round(rate_ratio, 8))
        place = (shift + 0.5) * FRACTIONS
        low = np.clip(place.astype(np.int64), 0, FRACTIONS - 1)
        share = (place - low)[:, None, None]
        out = np.empty((windows.shape[0], len(shift), 3), dtype=np.complex128)
        for i in range(len(shift)):
            taps = table[low[i]] * (1 - share[i]) + table[low[i] + 1] * share[i]
            out[:, i] = windows[:, i] @ taps
        step = 1 / (PER_CYCLE * f0)
        angle = np.unwrap(np.angle(lead_signal(out, phases)), axis=-1)
        frequency = f0 + (angle[:, 2] - angle[:, 0]) / (4 * np.pi * step)
        rocof = (angle[:, 2] + angle[:, 0] - 2 * angle[:, 1]) / (2 * np.pi * step**2)
        phasors = out[:, :, 1].T
        if self._settings.performance_class == "P":
            phasors = phasors / np.sin(np.pi * (f0 + 1.625 * (frequency - f0)) / (2 * f0))[:, None]
        return Measurement(undo_front_ends(phasors, frequency, self._settings), frequency, rocof)

    def _make_taps(self, rate_ratio: float) -> Complex:
        """Taps for the three grid points around the report, complex128 [FRACTIONS + 1, taps, 3]."""
        rate = self._settings.sample_rate_hz * rate_ratio
        n = np.arange(-self.before, self.after + 1)
        half = len(self._window) // 2
        grid_s = 1 / (PER_CYCLE * self._settings.nominal_hz)
        table = np.zeros((FRACTIONS + 1, len(n), 3), dtype=np.complex128)
        for fraction in range(FRACTIONS + 1):
            late = (fraction / FRACTIONS - 0.5) / rate
            for k in range(-half - 1, half + 2):
                at = k * grid_s + late
                first = max(0, int(np.ceil((at - self._reach_s) * rate)) + self.before)
                near = slice(first, int((at + self._reach_s) * rate) + self.before + 1)
                kernel = self._interpolator(n[near] / rate - at) / rate
                for i in (-1, 0, 1):  # grid points of the three angles; each turned back by its own place
                    if abs(k - i) <= half:
                        turned = np.exp(-2j * np.pi * k / PER_CYCLE)
                        table[fraction, near, i + 1] += self._window[k - i + half] * turned * kernel
        return np.asarray(np.sqrt(2) * table)

    def _interpolator(self, t: Floats) -> Floats:
        """Kaiser-windowed sinc of the band, per second of sampling."""
        shape = np.sqrt(np.maximum(1 - (t / self._reach_s) ** 2, 0))
        return np.asarray(
            2 * self._band_hz * np.sinc(2 * self._band_hz * t) * np.i0(KAISER_BETA * shape) / np.i0(KAISER_BETA)
        )
