"""The edge fit against simulated slopes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares

from rpmu.acquire.blocks import PpsEvent
from rpmu.timing.edge import NOISE_FLOOR, PLATEAU_SAMPLES, TAU_WALK, BadEdgeError, EdgeFitter

SCAN_NS = 1e9 / 60_000


def slope(position, tau, step=3754.0, base=3.0, noise=1.0, rng=None, first=1_000_000):
    """The event of an edge at `first + position`, about 16."""
    times = np.arange(80.0) - 16
    x = np.maximum(times - position, 0)
    rise = -np.expm1(-x / tau) if tau else (times >= position).astype(float)
    volts = base + step * rise + (noise * rng.standard_normal(80) if rng is not None else 0)
    codes = np.clip(np.rint(volts), 0, 4095).astype(np.uint16)
    crossing = int(np.argmax(codes >= 2000))
    start = crossing - 16
    return PpsEvent("adc", 1, first - 16 + start, codes[start : start + 48], 16, 0, 0)


def fitted(fitter, tau, count=200, seed=0, first=1_000_000, **shape):
    """Errors, sigmas (ns) and edges for edges at random places between the samples."""
    rng = np.random.default_rng(seed)
    errors, sigmas, edges = [], [], []
    for _ in range(count):
        position = 16 + rng.uniform()
        edge = fitter.fit(slope(position, tau, rng=rng, first=first, **shape))
        errors.append(((edge.scan - first) + edge.fraction - position) * SCAN_NS)
        sigmas.append(edge.sigma_scans * SCAN_NS)
        edges.append(edge)
    return np.array(errors), np.array(sigmas), edges


@pytest.mark.parametrize("factor", [1.0, 1.02, 0.98, 1.1, 0.9, 1.5, 0.6])
def test_bias_and_noise_with_any_time_constant(factor):
    fitter = EdgeFitter(0.99, 0.15)
    errors, sigmas, _ = fitted(fitter, 0.99 * factor)
    assert abs(errors[20:].mean()) < 5
    assert errors[20:].std() < 15
    assert np.abs(errors[:20]).max() < 100
    assert fitter.tau == pytest.approx(0.99 * factor, rel=0.005)
    assert 0.7 < errors.std() / np.sqrt(np.mean(sigmas**2)) < 1.3


def exact_first_fit(event, tau, tolerance):
    """Position, in samples, and its sigma: the same model and prior, minimised over all samples, no shortcut."""
    volts = event.samples.astype(float)
    times = np.arange(len(volts))
    before, after = volts[: event.crossing - 2], volts[-PLATEAU_SAMPLES:]
    noise = max(math.sqrt((before.var() + after.var()) / 2), NOISE_FLOOR)
    step = after.mean() - before.mean()
    tau_sigma, step_sigma = tau * math.hypot(tolerance, TAU_WALK), math.hypot(0.01 * step, noise)

    def away(state):
        t0, a_tau, a_step, base = state
        model = base + a_step * -np.expm1(-np.maximum(times - t0, 0.0) / a_tau)
        return np.concatenate([(volts - model) / noise, [(a_tau - tau) / tau_sigma, (a_step - step) / step_sigma]])

    scale = [1.0, 1.0, step, step]
    best = least_squares(
        away, [event.crossing - 0.7 * tau, tau, step, before.mean()], "3-point", x_scale=scale, xtol=1e-14
    )
    covariance = np.linalg.inv(best.jac.T @ best.jac)
    rms = math.sqrt(np.mean(best.fun[:-2] ** 2))
    return best.x[0], math.sqrt(covariance[0, 0]) * max(1.0, rms)


@pytest.mark.parametrize("factor", [1.0, 1.1, 0.7, 1.6])
@pytest.mark.parametrize("noise", [1.0, 5.0])
def test_the_shortcuts_of_the_fit_change_nothing(factor, noise):
    rng, away, ratios = np.random.default_rng(5), [], []
    for _ in range(60):
        event = slope(16 + rng.uniform(), 0.99 * factor, noise=noise, rng=rng)
        edge = EdgeFitter(0.99, 0.15).fit(event)
        exact, sigma = exact_first_fit(event, 0.99, 0.15)
        if abs(exact - round(exact)) > 5e-3:  # where edge and sample meet, the curve has a kink and the fit two minima
            away.append((edge.fraction - exact) * SCAN_NS)
            ratios.append(edge.sigma_scans / sigma)
    assert len(away) > 50
    assert np.sqrt(np.mean(np.square(away))) < 0.1
    assert np.abs(away).max() < 1.0
    assert np.abs(np.array(ratios) - 1).max() < 0.02


def test_noise_of_the_fit_grows_with_that_of_the_input():
    quiet, _, _ = fitted(EdgeFitter(0.99, 0.15), 0.99, noise=0.3)
    loud, sigmas, _ = fitted(EdgeFitter(0.99, 0.15), 0.99, noise=10.0)
    assert loud.std() > 5 * quiet.std()
    assert 0.6 < loud[20:].std() / np.sqrt(np.mean(sigmas[20:] ** 2)) < 1.6


def test_time_constant_is_followed():
    """Long steady, then a tenth in five minutes: what was learned must not be held too dear."""
    fitter, rng, errors = EdgeFitter(0.99, 0.15), np.random.default_rng(1), []
    for k in range(900):
        tau = 0.99 * (1 + 0.1 * max(k - 600, 0) / 300)
        position = 16 + rng.uniform()
        edge = fitter.fit(slope(position, tau, rng=rng))
        errors.append((edge.scan - 1_000_000 + edge.fraction - position) * SCAN_NS)
    assert fitter.tau == pytest.approx(tau, rel=0.002)
    assert abs(np.mean(errors[650:])) < 12
    assert edge.tau_sigma_scans < 0.005


def test_clipped_plateau_costs_little():
    errors, sigmas, _ = fitted(EdgeFitter(0.99, 0.15), 0.99, step=4400.0)
    assert abs(errors[20:].mean()) < 10
    assert errors[20:].std() < 30
    assert np.abs(errors / sigmas).max() < 5


@pytest.mark.parametrize("tau", [0.0, 0.03])
def test_without_rc_the_result_is_an_interval(tau):
    errors, sigmas, edges = fitted(EdgeFitter(0.99, 0.15), tau)
    interval = np.array([edge.half_width_scans for edge in edges])
    assert (interval == 0.5).mean() > 0.7
    assert np.abs(errors[interval > 0]).max() <= 0.5 * SCAN_NS + 1
    assert sigmas[interval > 0] == pytest.approx(SCAN_NS / math.sqrt(12))


@pytest.mark.parametrize("position", [16.05, 16.5, 16.95])
def test_a_spoiled_sample_on_the_slope_makes_it_an_interval_that_holds_the_edge(position):
    fitter = EdgeFitter(0.99, 0.15)
    fitted(fitter, 0.99, count=20)
    tau = fitter.tau
    event = slope(position, 0.99)
    event.samples[event.crossing + 2] -= 1000
    edge = fitter.fit(event)
    assert edge.half_width_scans == 0.5
    assert abs(edge.scan - 1_000_000 + edge.fraction - position) <= 0.5 + 0.02
    assert fitter.tau == tau, "nothing is learned from it"


def test_a_clipped_fast_edge_is_an_interval_too():
    errors, _, edges = fitted(EdgeFitter(0.99, 0.15), 0.0, step=5000.0)
    assert all(edge.half_width_scans == 0.5 for edge in edges)
    assert np.abs(errors).max() <= 0.5 * SCAN_NS + 1


def test_scan_numbers_of_years_keep_their_fractions():
    errors, _, _ = fitted(EdgeFitter(0.99, 0.15), 0.99, first=60_000 * 86_400 * 3650)
    assert errors[20:].std() < 15


def test_smaller_step_after_a_change_of_the_divider():
    fitter = EdgeFitter(0.99, 0.15)
    fitted(fitter, 0.99)
    errors, _, _ = fitted(fitter, 0.99, step=2500.0)
    assert np.abs(errors).max() < 100


def event_of(samples, crossing=16):
    return PpsEvent("adc", 1, 0, np.array(samples, dtype=np.uint16), crossing, 0, 0)


@pytest.mark.parametrize(
    ("samples", "crossing"),
    [
        ([0] * 48, 16),
        ([0] * 16 + [100] * 32, 16),
        ([0] * 16 + [3000] * 10 + [0] * 22, 16),  # a glitch, not a step
        (list(np.tile([0, 3000], 24)), 16),
        ([0] * 16 + [3000] * 8, 16),
        ([3000] * 48, 16),
        ([], 0),
        ([0, 3000], 1),
    ],
)
def test_what_is_no_step_is_refused(samples, crossing):
    with pytest.raises(BadEdgeError):
        EdgeFitter(0.99, 0.15).fit(event_of(samples, crossing))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, 4095), min_size=48, max_size=48), st.integers(0, 47))
def test_any_samples_give_an_edge_or_are_refused(samples, crossing):
    fitter = EdgeFitter(0.99, 0.15)
    try:
        edge = fitter.fit(event_of(samples, crossing))
    except BadEdgeError:
        return
    assert math.isfinite(edge.fraction)
    assert edge.sigma_scans > 0


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 300),
            st.integers(300, 4095),
            st.just(0.0) | st.floats(0.01, 3),
            st.floats(0, 50),
            st.integers(0, 2**31),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_a_run_of_strange_steps_never_breaks_the_fitter(shapes):
    fitter = EdgeFitter(0.99, 0.15)
    for base, step, tau, noise, seed in shapes:
        rng = np.random.default_rng(seed)
        try:
            edge = fitter.fit(slope(16 + rng.uniform(), tau, step, base, noise, rng))
        except BadEdgeError:
            continue
        assert math.isfinite(edge.fraction)
        assert abs(edge.scan + edge.fraction - 1_000_016) < 8
    errors, _, _ = fitted(fitter, 0.99, 30)
    assert np.abs(errors[15:]).max() < 300
