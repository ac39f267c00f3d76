"""The crystal's model, written out in plain numbers, against the matrices it stands for."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad_vec
from scipy.linalg import expm

from rpmu.timing.crystal import (
    DRIFT_MEMORY_S,
    FREQUENCY_WALK_PPB,
    PHASE_WALK_NS,
    Covariance,
    State,
    carry,
    phase_variance,
    spread,
)

MOTION = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, -1.0 / DRIFT_MEMORY_S]])
NOTHING = Covariance(*[0.0] * 6)
SPANS_S = [0.2, 1.0, 1.00002, 1.5, 1.6, 7.0, 300.0, 5000.0]


def matrix(covariance):
    pp, pf, pd, ff, fd, dd = covariance
    return np.array([[pp, pf, pd], [pf, ff, fd], [pd, fd, dd]])


def some_covariance():
    half = np.random.default_rng(2).standard_normal((3, 3)) * [[30.0], [2.0], [0.5]]
    whole = half @ half.T
    return whole, Covariance(*whole[np.triu_indices(3)])


@pytest.mark.parametrize("seconds", [-3.0, -0.5, 0.0, *SPANS_S])
def test_a_state_moves_as_the_differential_equation_says(seconds):
    state = State(123.0, -45.0, 0.6)
    assert carry(state, seconds) == pytest.approx(expm(MOTION * seconds) @ state, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("seconds", SPANS_S)
def test_the_noise_of_a_span_is_the_integral_over_it(seconds):
    drift = 1.3
    power = np.diag([PHASE_WALK_NS**2, FREQUENCY_WALK_PPB**2, 2 * drift**2 / DRIFT_MEMORY_S])

    def at(time):
        step = expm(MOTION * time)
        return step @ power @ step.T

    exact, _ = quad_vec(at, 0.0, seconds, epsrel=1e-10)
    assert matrix(spread(NOTHING, seconds, drift)) == pytest.approx(exact, rel=0.01)


@pytest.mark.parametrize("seconds", [-0.7, 0.0, *SPANS_S])
def test_a_covariance_is_carried_along(seconds):
    whole, covariance = some_covariance()
    step = expm(MOTION * seconds)
    moved = spread(covariance, seconds, 1.0)
    expected = step @ whole @ step.T + matrix(spread(NOTHING, seconds, 1.0))
    assert matrix(moved) == pytest.approx(expected, rel=1e-7, abs=1e-7)
    assert phase_variance(covariance, seconds, 1.0) == pytest.approx(moved.pp, rel=1e-12)
