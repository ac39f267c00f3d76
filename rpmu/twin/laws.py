"""Laws of motion of the fundamental: magnitude and phase over time, with exact derivatives.

Each law gives the deviation of the phase from nominal_hz * UTC. Seconds since the epoch times a frequency would
need more digits than float64 has, so every law is re-anchored at the start of each evaluation in exact fractions, and
floats carry only the few seconds from there. Signals of the standard's tests: C37.118.1a-2014, IEC/IEEE 60255-118-1.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rpmu.twin.signals import NS_PER_S

Floats = NDArray[np.float64]
TAU = 2.0 * np.pi


class Law(Protocol):
    """Magnitude, phase and its derivatives at start_ns + dt_s."""

    def envelope(self, start_ns: int, dt_s: Floats) -> tuple[Floats, Floats]:
        """RMS volts and phase deviation from the nominal frequency, rad; float64 [n] each."""

    def rates(self, start_ns: int, dt_s: Floats) -> tuple[Floats, Floats]:
        """Frequency deviation, Hz, and ROCOF, Hz/s; float64 [n] each."""


def seconds_between(start_ns: int, end_ns: int) -> Fraction:
    """Exact seconds from one instant to another."""
    return Fraction(end_ns - start_ns, NS_PER_S)


@dataclass(frozen=True)
class Piece:
    """A stretch of constant ROCOF: cycles, Hz and Hz/s at its start."""

    start_ns: int
    cycles: Fraction
    hz: Fraction
    hz_per_s: Fraction

    def at(self, instant_ns: int) -> Piece:
        """The same parabola, anchored at another instant; whole cycles dropped."""
        t = seconds_between(self.start_ns, instant_ns)
        cycles = self.cycles + self.hz * t + self.hz_per_s * t * t / 2
        return Piece(instant_ns, cycles % 1, self.hz + self.hz_per_s * t, self.hz_per_s)


@dataclass(frozen=True)
class PiecewiseLaw:
    """Constant magnitude; frequency a chain of straight lines (steady state, ramp).

    The first piece has no beginning, the last no end.
    """

    magnitude_v: float
    pieces: tuple[Piece, ...]

    @classmethod
    def ramps(
        cls, magnitude_v: float, start_ns: int, cycles: Fraction, hz: Fraction, ramps: list[tuple[Fraction, Fraction]]
    ) -> PiecewiseLaw:
        """A chain of (ROCOF in Hz/s, duration in s), the last of them without end; phase and frequency continuous."""
        pieces = []
        for hz_per_s, duration_s in ramps:
            piece = Piece(start_ns, cycles, hz, hz_per_s)
            pieces.append(piece)
            start_ns += round(duration_s * NS_PER_S)
            following = piece.at(start_ns)
            cycles, hz = following.cycles, following.hz
        return cls(magnitude_v, tuple(pieces))

    def envelope(self, start_ns: int, dt_s: Floats) -> tuple[Floats, Floats]:
        """See `Law`."""
        cycles = np.empty_like(dt_s)
        for piece, where in self._parts(start_ns, dt_s):
            dt = dt_s[where]
            cycles[where] = float(piece.cycles) + dt * (float(piece.hz) + dt * float(piece.hz_per_s / 2))
        return np.full_like(dt_s, self.magnitude_v), TAU * cycles

    def rates(self, start_ns: int, dt_s: Floats) -> tuple[Floats, Floats]:
        """See `Law`."""
        hz, hz_per_s = np.empty_like(dt_s), np.empty_like(dt_s)
        for piece, where in self._parts(start_ns, dt_s):
            hz[where] = float(piece.hz) + dt_s[where] * float(piece.hz_per_s)
            hz_per_s[where] = float(piece.hz_per_s)
        return hz, hz_per_s

    def _parts(self, start_ns: int, dt_s: Floats) -> list[tuple[Piece, NDArray[np.intp] | slice]]:
        """The pieces that hold for these instants, anchored at `start_ns`, and where they hold."""
        starts = np.array([float(seconds_between(start_ns, piece.start_ns)) for piece in self.pieces[1:]])
        which = np.searchsorted(starts, dt_s, side="right")
        if which.min() == which.max():
            return [(self.pieces[which[0]].at(start_ns), slice(None))]
        return [(self.pieces[i].at(start_ns), np.flatnonzero(which == i)) for i in np.unique(which)]


@dataclass(frozen=True)
class ModulatedLaw:
    """Sinusoidal amplitude and phase modulation.

    magnitude * (1 + kx cos(2 pi fm t)) and angle + ka cos(2 pi fm t - pi), with t from `start_ns`.
    """

    magnitude_v: float
    angle_rad: float
    start_ns: int
    modulation_hz: Fraction
    kx: float
    ka_rad: float

    def _angle(self, start_ns: int, dt_s: Floats) -> Floats:
        anchored = (self.modulation_hz * seconds_between(self.start_ns, start_ns)) % 1
        return TAU * (float(anchored) + float(self.modulation_hz) * dt_s)

    def envelope(self, start_ns: int, dt_s: Floats) -> tuple[Floats, Floats]:
        """See `Law`."""
        cosine = np.cos(self._angle(start_ns, dt_s))
        return self.magnitude_v * (1.0 + self.kx * cosine), self.angle_rad - self.ka_rad * cosine

    def rates(self, start_ns: int, dt_s: Floats) -> tuple[Floats, Floats]:
        """See `Law`."""
        angle, fm = self._angle(start_ns, dt_s), float(self.modulation_hz)
        return self.ka_rad * fm * np.sin(angle), TAU * self.ka_rad * fm * fm * np.cos(angle)


@dataclass(frozen=True)
class StepLaw:
    """A step of magnitude, or of phase, at nominal frequency; on and off again every `every_ns` if that is not 0."""

    magnitude_v: float
    angle_rad: float
    at_ns: int
    every_ns: int
    kx: float
    ka_rad: float

    def _on(self, start_ns: int, dt_s: Floats) -> Floats:
        after_s = dt_s - float(seconds_between(start_ns, self.at_ns))
        if not self.every_ns:
            return (after_s >= 0).astype(np.float64)
        count = np.floor(after_s / (self.every_ns * 1e-9))
        return np.asarray((after_s >= 0) & (count % 2 == 0), dtype=np.float64)

    def envelope(self, start_ns: int, dt_s: Floats) -> tuple[Floats, Floats]:
        """See `Law`."""
        on = self._on(start_ns, dt_s)
        return self.magnitude_v * (1.0 + self.kx * on), self.angle_rad + self.ka_rad * on

    def rates(self, start_ns: int, dt_s: Floats) -> tuple[Floats, Floats]:  # noqa: ARG002 (the same at any instant)
        """See `Law`; both are 0 except at the step itself, where they do not exist."""
        return np.zeros_like(dt_s), np.zeros_like(dt_s)


@dataclass(frozen=True)
class Lines:
    """A smooth random function of time: a sum of sinusoids of fixed random phase.

    So its integral and its derivative are exact, and any instant can be asked for in any order.

    Attributes:
        start_ns: zero of time.
        hz: float64 [k], frequencies of the lines.
        amplitude: float64 [k].
        angle_rad: float64 [k].
    """

    start_ns: int
    hz: Floats
    amplitude: Floats
    angle_rad: Floats

    @classmethod
    def random(
        cls, rng: np.random.Generator, start_ns: int, deviation: float, corner_hz: float, exponent: float
    ) -> Lines:
        """Lines of power density 1 / (1 + (f / corner_hz) ** exponent), scaled to this standard deviation."""
        edges = np.geomspace(5e-4, 2.0, 49)
        hz = edges[:-1] + np.diff(edges) * rng.uniform(0.2, 0.8, len(edges) - 1)  # irregular: it never repeats
        power = np.diff(edges) / (1.0 + (hz / corner_hz) ** exponent)
        amplitude = deviation * np.sqrt(2.0 * power / power.sum())
        return cls(start_ns, hz, amplitude, rng.uniform(0.0, TAU, len(hz)))

    def __call__(self, start_ns: int, dt_s: Floats, derivative: int = 0) -> Floats:
        """The function (0), its derivative (1) or its integral from the zero of time (-1) at start_ns + dt_s."""
        seconds = float(seconds_between(self.start_ns, start_ns)) + dt_s
        angle = TAU * np.outer(seconds, self.hz) + self.angle_rad
        omega = TAU * self.hz
        if derivative == 1:
            return np.asarray(-np.sin(angle) @ (self.amplitude * omega))
        if derivative == -1:
            return np.asarray((np.sin(angle) - np.sin(self.angle_rad)) @ (self.amplitude / omega))
        return np.asarray(np.cos(angle) @ self.amplitude)


def cubic(knots: Floats, values: Floats, slopes: Floats, at: Floats) -> Floats:
    """The cubics through values and slopes at evenly spaced knots (Hermite), float64 [n], at the instants `at`."""
    step = knots[1] - knots[0]
    position = (at - knots[0]) / step
    left = np.clip(position.astype(np.intp), 0, len(knots) - 2)
    u = position - left
    low, high = values[left], values[left + 1]
    rise, entry, leave = high - low, slopes[left] * step, slopes[left + 1] * step
    return np.asarray(low + u * (entry + u * (3.0 * rise - 2.0 * entry - leave + u * (entry + leave - 2.0 * rise))))


@dataclass(frozen=True)
class WanderLaw:
    """A grid's frequency and voltage as they wander about their means.

    Attributes:
        magnitude_v: mean RMS.
        base: the constant part of angle and frequency.
        frequency: deviation of the frequency, Hz.
        magnitude: relative deviation of the magnitude.
    """

    magnitude_v: float
    base: PiecewiseLaw
    frequency: Lines
    magnitude: Lines
    knot_s: float = 0.005

    def _smooth(self, lines: Lines, order: int, start_ns: int, dt_s: Floats) -> Floats:
        """`lines` at many instants, by cubics through exact values and slopes 5 ms apart.

        The fastest line has 2 Hz, so a cubic over 5 ms is wrong by less than 1e-7 of its amplitude: the signal and the
        truth agree far below anything a PMU sees, at a hundredth of the cost.
        """
        if len(dt_s) < 64:
            return lines(start_ns, dt_s, order)
        low, high = float(dt_s.min()), float(dt_s.max())
        knots = np.linspace(low, high, 2 + int((high - low) / self.knot_s))
        values, slopes = lines(start_ns, knots, order), lines(start_ns, knots, order + 1)
        return cubic(knots, values, slopes, dt_s)

    def envelope(self, start_ns: int, dt_s: Floats) -> tuple[Floats, Floats]:
        """See `Law`."""
        _, deviation = self.base.envelope(start_ns, dt_s)
        deviation += TAU * self._smooth(self.frequency, -1, start_ns, dt_s)
        return self.magnitude_v * (1.0 + self._smooth(self.magnitude, 0, start_ns, dt_s)), deviation

    def rates(self, start_ns: int, dt_s: Floats) -> tuple[Floats, Floats]:
        """See `Law`."""
        hz, hz_per_s = self.base.rates(start_ns, dt_s)
        return hz + self._smooth(self.frequency, 0, start_ns, dt_s), hz_per_s + self.frequency(start_ns, dt_s, 1)
