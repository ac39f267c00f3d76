"""Test signals as functions of time, with the reference synchrophasor, frequency and ROCOF (60255-118-1, clause 6).

Time is in seconds from a whole second of UTC. Voltages are relative to the nominal one; phases B and C lie 120 degrees
behind and ahead.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

SHIFTS = np.array([0.0, -2 * np.pi / 3, 2 * np.pi / 3])


@dataclass(frozen=True)
class Truth:
    """Reference values, arrays over time; `phasor` is relative to the nominal RMS value, of phase A."""

    phasor: np.ndarray
    frequency_hz: np.ndarray
    rocof_hz_per_s: np.ndarray


@dataclass(frozen=True)
class Signal:
    """A test signal.

    Attributes:
        wave: (t, number of phases) -> [phases, n], peak 1 for nominal magnitude.
        truth: t -> Truth.
    """

    wave: Callable[[np.ndarray, int], np.ndarray]
    truth: Callable[[np.ndarray], Truth]


def _three(angle, phases, magnitude=1.0):
    return magnitude * np.cos(angle + SHIFTS[:phases, None])


def tone(nominal_hz, frequency_hz, magnitude=1.0, angle=0.0):
    def truth(t):
        phasor = magnitude * np.exp(1j * (2 * np.pi * (frequency_hz - nominal_hz) * t + angle))
        return Truth(phasor, np.full_like(t, frequency_hz), np.zeros_like(t))

    return Signal(lambda t, n: _three(2 * np.pi * frequency_hz * t + angle, n, magnitude), truth)


def with_second_tone(base, frequency_hz, magnitude, phase_step=1, angle=0.4):
    """`base` and a second tone, whose phases lie `phase_step` times 120 degrees apart."""

    def wave(t, n):
        shifts = phase_step * SHIFTS[:n, None]
        return base.wave(t, n) + magnitude * np.cos(2 * np.pi * frequency_hz * t + angle + shifts)

    return Signal(wave, base.truth)


def modulated(nominal_hz, modulation_hz, kx=0.0, ka=0.0):
    w = 2 * np.pi * modulation_hz

    def phase(t):
        return ka * np.cos(w * t - np.pi)

    def wave(t, n):
        return _three(2 * np.pi * nominal_hz * t + phase(t), n, 1 + kx * np.cos(w * t))

    def truth(t):
        phasor = (1 + kx * np.cos(w * t)) * np.exp(1j * phase(t))
        frequency = nominal_hz - ka * modulation_hz * np.sin(w * t - np.pi)
        return Truth(phasor, frequency, -2 * np.pi * ka * modulation_hz**2 * np.cos(w * t - np.pi))

    return Signal(wave, truth)


def ramp(nominal_hz, half_range_hz, rate_hz_per_s, begin):
    """Constant at one end of the range until `begin`, then a ramp to the other end, then constant."""
    first = nominal_hz - np.sign(rate_hz_per_s) * half_range_hz
    length = 2 * half_range_hz / abs(rate_hz_per_s)

    def phase(t):  # integral of f - nominal, turns
        u = np.clip(t - begin, 0, length)
        late = np.maximum(t - begin - length, 0)
        start = (first - nominal_hz) * np.minimum(t, begin + length)
        return start + rate_hz_per_s * u**2 / 2 - late * (first - nominal_hz)

    def truth(t):
        inside = (t > begin) & (t < begin + length)
        frequency = first + rate_hz_per_s * np.clip(t - begin, 0, length)
        return Truth(np.exp(2j * np.pi * phase(t)), frequency, np.where(inside, rate_hz_per_s, 0.0))

    return Signal(lambda t, n: _three(2 * np.pi * (nominal_hz * t + phase(t)), n), truth)


def step(nominal_hz, at, kx=0.0, ka=0.0):
    def truth(t):
        after = t >= at
        return Truth((1 + kx * after) * np.exp(1j * ka * after), np.full_like(t, nominal_hz), np.zeros_like(t))

    def wave(t, n):
        after = t >= at
        return _three(2 * np.pi * nominal_hz * t + ka * after, n, 1 + kx * after)

    return Signal(wave, truth)
