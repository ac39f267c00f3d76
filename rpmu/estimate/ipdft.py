"""Enhanced interpolated DFT: three cycles, Hann window, three bins, the negative image removed by iteration.

The ratio of the two largest bins gives the frequency, the largest one magnitude and angle (Paolone and Romano,
"DFT-based synchrophasor estimation algorithms and their integration in advanced PMUs", 2016). The spectral leakage
of the image is computed from the estimate and taken off, a few times. ROCOF is the difference of two frequencies.
Meant for P class: nothing here suppresses an out-of-band interferer.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rpmu.estimate.kernel import Measurement, PlainKernel, undo_front_ends
from rpmu.estimate.settings import EstimatorSettings

Floats = NDArray[np.float64]
Complex = NDArray[np.complex128]

CYCLES = 3
STEPS = 4
BINS = np.array([CYCLES - 1, CYCLES, CYCLES + 1])


class IpdftKernel(PlainKernel):
    """Enhanced interpolated DFT, as `Kernel`."""

    def __init__(self, settings: EstimatorSettings) -> None:
        self._settings = settings
        self._rate_hz = settings.sample_rate_hz
        self._length = round(CYCLES * self._rate_hz / settings.nominal_hz)
        self._apart = max(1, round(self._rate_hz / settings.nominal_hz / 4))  # half of the distance for ROCOF, samples
        half = self._length // 2 + self._apart + 1
        self.decimation, self.decimator = 1, np.ones(1)
        self.before = self.after = half
        self.delay_s = 0.0
        n = np.arange(self._length)
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * n / self._length)
        turns = np.multiply.outer(n, BINS) / self._length
        self._matrix = hann[:, None] * np.exp(-2j * np.pi * turns) * (2 / hann.sum())

    def measure_clean(self, windows: Floats, shift: Floats, rate_ratio: float) -> Measurement:
        """See `PlainKernel`."""
        first = self.before - self._length // 2
        at = [
            self._estimate(windows[..., first + o : first + o + self._length]) for o in (-self._apart, 0, self._apart)
        ]
        step = self._rate_hz / self._length
        deviation, amplitude, angle = at[1]
        cycles = (self._length // 2 + shift) / self._length  # from the window's start to the report, in windows
        phasors = amplitude / np.sqrt(2) * np.exp(1j * (angle + 2 * np.pi * (CYCLES + deviation) * cycles))
        lead = slice(0, self._settings.phases)
        early, now, late = ((CYCLES + a[0][lead].mean(axis=0)) * step * rate_ratio for a in at)
        rocof = (late - early) / (2 * self._apart / self._rate_hz) * rate_ratio
        return Measurement(undo_front_ends(phasors.T, now, self._settings), now, rocof)

    def _estimate(self, x: Floats) -> tuple[Floats, Floats, Floats]:
        """Deviation from the middle bin, peak amplitude and angle at the window's start, each [n_channels, m]."""
        spectrum = x @ self._matrix
        clean = spectrum
        for step in range(STEPS):
            deviation, wave = self._interpolate(clean)
            if step < STEPS - 1:
                place = BINS + (CYCLES + deviation)[..., None]
                clean = spectrum - np.conj(wave)[..., None] * self._hann_at(place)
        return deviation, np.abs(wave), np.angle(wave)

    def _interpolate(self, bins: Complex) -> tuple[Floats, Complex]:
        low, mid, high = (np.abs(bins[..., i]) for i in range(3))
        upper = high >= low
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(upper, high, low) / mid
            deviation = np.where(upper, 1, -1) * (2 * ratio - 1) / (ratio + 1)
        return deviation, np.asarray(bins[..., 1] / self._hann_at(-deviation))

    def _hann_at(self, place: Floats) -> Complex:
        """Transform of the window at a distance in bins, 1 at zero."""
        return np.asarray(
            self._dirichlet(place) - 0.5 * self._dirichlet(place - 1) - 0.5 * self._dirichlet(place + 1),
            dtype=np.complex128,
        )

    def _dirichlet(self, place: Floats) -> Complex:
        n = self._length
        with np.errstate(divide="ignore", invalid="ignore"):
            sines = np.sin(np.pi * place) / (n * np.sin(np.pi * place / n))
        value = np.where(np.abs(place) < 1e-9, 1.0, sines)
        return np.asarray(value * np.exp(-1j * np.pi * place * (n - 1) / n))
