"""How a bare crystal runs between two looks: phase, frequency, and a drift of frequency that comes and goes.

State: phase (ns), frequency offset (ppb, the same as ns/s), drift (ppb/s). The drift is what temperature does: it is of
the size `drift_ppb_per_s` and forgets itself over DRIFT_MEMORY_S (a first-order Gauss-Markov process). So the filter
follows a warming box without lag, and in holdover the variance grows as (drift t^2 / 2)^2 at first and as t^3 later,
without any second formula. Phase and frequency walk a little besides.

Over t seconds the state x moves to F x and its covariance P to F P F' + Q, where

        | 1  t  e |      g = M (1 - k), what a drift of 1 ppb/s makes of the frequency; M is DRIFT_MEMORY_S
    F = | 0  1  g |      e = M (t - g), and of the phase
        | 0  0  k |      k = exp(-t / M), what is left of it

All is written out in plain numbers: the clock asks several times a second, and matrices of 3 by 3 cost ten times more.
"""

from __future__ import annotations

import math
from typing import NamedTuple

PHASE_WALK_NS = 1.0  # per sqrt(s): white frequency noise, Allan deviation 1e-9 at 1 s
FREQUENCY_WALK_PPB = 0.3  # per sqrt(s)
DRIFT_MEMORY_S = 300.0
SHORT_S = 1.5  # against that: from one PPS edge to the next


class State(NamedTuple):
    """Phase, frequency and drift of the crystal."""

    phase_ns: float
    offset_ppb: float
    drift_ppb_per_s: float


class Covariance(NamedTuple):
    """Of phase (p), frequency offset (f) and drift (d), in the units of `State`."""

    pp: float
    pf: float
    pd: float
    ff: float
    fd: float
    dd: float

    def plus(self, other: Covariance) -> Covariance:
        """Of the sum of two independent errors."""
        pp, pf, pd, ff, fd, dd = other
        return Covariance(self.pp + pp, self.pf + pf, self.pd + pd, self.ff + ff, self.fd + fd, self.dd + dd)


def carry(state: State, seconds: float) -> State:
    """A state after some seconds, of either sign."""
    phase, frequency, drift = state
    to_phase, to_frequency, kept = _drift_terms(seconds)
    return State(phase + seconds * frequency + to_phase * drift, frequency + to_frequency * drift, kept * drift)


def spread(covariance: Covariance, seconds: float, drift_ppb_per_s: float) -> Covariance:
    """Covariance after some seconds, of either sign: carried along, and what the crystal walked."""
    return _carried(covariance, seconds).plus(_walked(abs(seconds), drift_ppb_per_s))


def phase_variance(covariance: Covariance, seconds: float, drift_ppb_per_s: float) -> float:
    """Variance of the phase after some seconds: the first part of `spread`."""
    pp, pf, pd, ff, fd, dd = covariance
    e, _, _ = _drift_terms(seconds)
    carried = pp + seconds * (2 * pf + seconds * ff) + e * (2 * pd + 2 * seconds * fd + e * dd)
    span = abs(seconds)
    return carried + (_walked_phase(span, drift_ppb_per_s) if span <= SHORT_S else _walked(span, drift_ppb_per_s).pp)


def _carried(covariance: Covariance, seconds: float) -> Covariance:
    """F P F' alone."""
    pp, pf, pd, ff, fd, dd = covariance
    e, g, k = _drift_terms(seconds)
    # F P first: its rows for phase and frequency, as far as they are needed.
    phase_p, phase_f, phase_d = pp + seconds * pf + e * pd, pf + seconds * ff + e * fd, pd + seconds * fd + e * dd
    frequency_f, frequency_d = ff + g * fd, fd + g * dd
    phase = phase_p + seconds * phase_f + e * phase_d
    return Covariance(
        phase, phase_f + g * phase_d, k * phase_d, frequency_f + g * frequency_d, k * frequency_d, k * k * dd
    )


def _walked(seconds: float, drift_ppb_per_s: float) -> Covariance:
    """Q, the process noise of a span."""
    if seconds > SHORT_S:  # of half the span: once carried along, once fresh
        half = _walked(seconds / 2, drift_ppb_per_s)
        return _carried(half, seconds / 2).plus(half)
    # Over so short a span the noise of the drift reaches phase and frequency by its first powers alone.
    h, walk = seconds, FREQUENCY_WALK_PPB**2
    h2, q = h * h, 2 * drift_ppb_per_s**2 / DRIFT_MEMORY_S
    phase = _walked_phase(seconds, drift_ppb_per_s)
    return Covariance(
        phase, q * h2 * h2 / 8 + walk * h2 / 2, q * h2 * h / 6, q * h2 * h / 3 + walk * h, q * h2 / 2, q * h
    )


def _walked_phase(seconds: float, drift_ppb_per_s: float) -> float:
    """The phase's part of Q over a short span."""
    h2 = seconds * seconds
    q = 2 * drift_ppb_per_s**2 / DRIFT_MEMORY_S
    return seconds * (q * h2 * h2 / 20 + FREQUENCY_WALK_PPB**2 * h2 / 3 + PHASE_WALK_NS**2)


def _drift_terms(seconds: float) -> tuple[float, float, float]:
    """e, g and k of the transition: what a drift does to phase and frequency, and what is left of it."""
    kept = math.exp(-seconds / DRIFT_MEMORY_S)
    to_frequency = DRIFT_MEMORY_S * (1.0 - kept)
    return DRIFT_MEMORY_S * (seconds - to_frequency), to_frequency, kept
