"""How a bare crystal runs between two looks: phase, frequency, and a drift of frequency that comes and goes.

State: phase (ns), frequency offset (ppb, the same as ns/s), drift (ppb/s). The drift is what temperature does: it is of
the size `drift_ppb_per_s` and forgets itself over DRIFT_MEMORY_S (a first-order Gauss-Markov process). So the filter
follows a warming box without lag, and in holdover the variance grows as (drift t^2 / 2)^2 at first and as t^3 later,
without any second formula. Phase and frequency walk a little besides.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

PHASE_WALK_NS = 1.0  # per sqrt(s): white frequency noise, Allan deviation 1e-9 at 1 s
FREQUENCY_WALK_PPB = 0.3  # per sqrt(s)
DRIFT_MEMORY_S = 300.0
FloatArray = NDArray[np.float64]


def transition(seconds: float, drift_ppb_per_s: float) -> tuple[FloatArray, FloatArray]:
    """Transition [3, 3] and process noise [3, 3] over some seconds (of either sign; noise is that of the span)."""
    span = abs(seconds)
    doublings = max(0, math.ceil(math.log2(span))) if span > 1.0 else 0
    h = span / 2**doublings
    step = _drift_terms(h)
    # Over at most a second the noise of the drift reaches phase and frequency by its first powers alone.
    q = 2 * drift_ppb_per_s**2 / DRIFT_MEMORY_S
    noise = q * np.array(
        [[h**5 / 20, h**4 / 8, h**3 / 6], [h**4 / 8, h**3 / 3, h**2 / 2], [h**3 / 6, h**2 / 2, h]]
    ) + FREQUENCY_WALK_PPB**2 * np.array([[h**3 / 3, h**2 / 2, 0.0], [h**2 / 2, h, 0.0], [0.0, 0.0, 0.0]])
    noise[0, 0] += PHASE_WALK_NS**2 * h
    for _ in range(doublings):  # noise of twice the span: once carried along, once fresh
        noise = step @ noise @ step.T + noise
        step = step @ step
    return (step if seconds >= 0 else _drift_terms(seconds)), noise


def carry(state: FloatArray, seconds: float) -> tuple[float, float]:
    """Phase and frequency of a state after some seconds, as `transition` moves it, without a matrix.

    The clock asks for this several times at every look, and a 3 by 3 matrix costs more to make than to reckon without.
    """
    phase, frequency, drift = state.tolist()
    to_frequency = DRIFT_MEMORY_S * (1.0 - math.exp(-seconds / DRIFT_MEMORY_S))
    to_phase = DRIFT_MEMORY_S * (seconds - to_frequency)
    return phase + seconds * frequency + to_phase * drift, frequency + to_frequency * drift


def phase_variance(covariance: FloatArray, seconds: float, drift_ppb_per_s: float) -> float:
    """Variance of the phase after some seconds: the first element of what `transition` makes of a covariance."""
    if abs(seconds) > 1.0:
        step, noise = transition(seconds, drift_ppb_per_s)
        return float(step[0] @ covariance @ step[0] + noise[0, 0])
    (pp, pf, pd), (_, ff, fd), (_, _, dd) = covariance.tolist()
    t, h = seconds, abs(seconds)
    d = DRIFT_MEMORY_S * (t - DRIFT_MEMORY_S * (1.0 - math.exp(-t / DRIFT_MEMORY_S)))
    carried: float = pp + t * (2 * pf + t * ff) + d * (2 * pd + 2 * t * fd + d * dd)
    walked = 2 * drift_ppb_per_s**2 / DRIFT_MEMORY_S * h**5 / 20 + FREQUENCY_WALK_PPB**2 * h**3 / 3
    return carried + walked + PHASE_WALK_NS**2 * h


def _drift_terms(t: float) -> FloatArray:
    """The transition alone: what a decaying drift does to frequency and phase."""
    kept = math.exp(-t / DRIFT_MEMORY_S)
    to_frequency = DRIFT_MEMORY_S * (1.0 - kept)
    return np.array([[1.0, t, DRIFT_MEMORY_S * (t - to_frequency)], [0.0, 1.0, to_frequency], [0.0, 0.0, kept]])
