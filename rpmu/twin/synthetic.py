"""Mains made of a law of motion, harmonics, an interferer and noise.

v(t) = sqrt(2) * magnitude(t) * Re(sum over h of c_h z^h) + interferer + noise, with z = exp(j theta(t)) and
theta = 2 pi nominal_hz UTC + deviation(t). Powers of z make every harmonic from a single exponential, and the truth
is the law itself: no estimate enters it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpmu.twin.laws import TAU, Floats, Law, seconds_between
from rpmu.twin.signals import NS_PER_S, Grid, Truth

NOISE_BAND_HZ = 6000.0  # noise_v is the RMS value in the band that a 12 kHz stream can hold


@dataclass(frozen=True)
class Interferer:
    """A tone that is no harmonic: relative amplitude, frequency, and the instant at which its cosine peaks."""

    relative: float
    hz: Fraction
    start_ns: int

    def phase_rad(self, grid: Grid) -> Floats:
        """Its phase on the grid, rad."""
        anchored = (self.hz * seconds_between(self.start_ns, grid.start_ns)) % 1
        return TAU * (float(anchored) + float(self.hz) * grid.dt_s)


@dataclass(frozen=True)
class Synthetic:
    """A source whose truth is known.

    Attributes:
        law: magnitude and phase of the fundamental.
        nominal_hz: 50 or 60.
        phases: 1, or 3 of positive sequence (b lags a by 120 degrees).
        magnitude_v: reference of the interferer's amplitude.
        harmonics: order to (relative amplitude, angle in rad), relative to the fundamental.
        positive_harmonics: harmonics of phases b and c shifted by 120 degrees each, instead of by h * 120.
        interferer: a further tone, or None.
        noise_v: white noise, V RMS in 0 to 6 kHz, of its own in every phase.
        seed: of the noise.
        notes: see `MainsSource`.
    """

    law: Law
    nominal_hz: int
    phases: int = 1
    magnitude_v: float = 120.0
    harmonics: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    positive_harmonics: bool = False
    interferer: Interferer | None = None
    noise_v: float = 0.0
    seed: int = 0
    notes: tuple[str, ...] = ()

    def volts(self, grid: Grid) -> NDArray[np.float64]:
        """See `MainsSource`."""
        dt_s = grid.dt_s
        magnitude, theta = self.law.envelope(grid.start_ns, dt_s)
        theta += TAU * (self._nominal_cycles(grid.start_ns) + self.nominal_hz * dt_s)
        z = np.exp(1j * theta)
        volts = np.stack([np.polynomial.polynomial.polyval(z, c).real for c in self._coefficients()])
        volts *= np.sqrt(2.0) * magnitude
        self._add_interferer(volts, grid)
        self._add_noise(volts, grid)
        return volts

    def truth(self, utc_ns: NDArray[Any]) -> Truth:
        """See `MainsSource`."""
        utc_ns = np.atleast_1d(np.asarray(utc_ns, dtype=np.int64))
        start_ns = int(utc_ns[0])
        dt_s = (utc_ns - start_ns) * 1e-9
        magnitude, deviation = self.law.envelope(start_ns, dt_s)
        hz, hz_per_s = self.law.rates(start_ns, dt_s)
        shifts = np.exp(-1j * TAU / 3 * np.arange(self.phases))
        phasors = (magnitude * np.exp(1j * deviation))[:, None] * shifts
        return Truth(phasors, self.nominal_hz + hz, hz_per_s)

    def _nominal_cycles(self, start_ns: int) -> float:
        """Phase of the nominal frequency at an instant, cycles: 0 at every UTC second."""
        return (self.nominal_hz * (start_ns % NS_PER_S) % NS_PER_S) / NS_PER_S

    def _coefficients(self) -> list[NDArray[np.complex128]]:
        """Per phase, the complex factor of each power of z."""
        highest = max(self.harmonics, default=1)
        coefficients = []
        for phase in range(self.phases):
            c = np.zeros(highest + 1, dtype=np.complex128)
            c[1] = 1.0
            for order, (relative, angle) in self.harmonics.items():
                c[order] += relative * np.exp(1j * angle)
            turns = np.ones(highest + 1) if self.positive_harmonics else np.arange(highest + 1)
            coefficients.append(c * np.exp(-1j * TAU / 3 * phase * turns))
        return coefficients

    def _add_interferer(self, volts: Floats, grid: Grid) -> None:
        if self.interferer is None:
            return
        phase = self.interferer.phase_rad(grid)
        for index, row in enumerate(volts):
            row += np.sqrt(2.0) * self.magnitude_v * self.interferer.relative * np.cos(phase - TAU / 3 * index)

    def _add_noise(self, volts: Floats, grid: Grid) -> None:
        """White noise from a generator that is seeded by the instant: the same grid always has the same noise."""
        if not self.noise_v:
            return
        rng = np.random.default_rng([self.seed, grid.start_ns])
        nyquist_hz = 0.5e9 / grid.step_ns
        volts += self.noise_v * np.sqrt(nyquist_hz / NOISE_BAND_HZ) * rng.standard_normal(volts.shape)
