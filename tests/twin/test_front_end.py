"""The analogue chain against its analytic response."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import linalg, signal

from rpmu.calibrate import load_profile
from rpmu.calibrate.profile import profile_names
from rpmu.twin.front_end import UNHOLD, AnalogChain, HeldFilter, exponential, held

STEP_S = 5e-6
QUIET = {"noise_v_per_rthz": 0.0}


def quiet(name):
    return replace(load_profile(name), **QUIET)


def phasor(y, hz):
    t = np.arange(len(y)) * STEP_S
    return complex(2 * np.mean((y - y.mean()) * np.exp(-2j * np.pi * hz * t)))


@pytest.mark.parametrize("name", profile_names())
@pytest.mark.parametrize("hz", [50.0, 60.0, 180.0, 900.0, 3000.0])
def test_tone_against_the_formula(name, hz):
    profile = quiet(name)
    s = 2j * np.pi * hz
    w0, w1 = 2 * np.pi * profile.f0_hz, 2 * np.pi * profile.rc_pole_hz
    expected = profile.gain * w0**2 / (s**2 + s * w0 / profile.q + w0**2) / (1 + s / w1)
    n = round(0.5 / STEP_S)
    settle = round(0.3 / STEP_S)
    x = np.cos(2 * np.pi * hz * np.arange(-settle, n) * STEP_S)
    y = AnalogChain(profile).run(x[None], STEP_S)[0, settle:]
    got = phasor(y, hz)
    hold = (2 * np.pi * hz * STEP_S) ** 2 / 12  # what a straight line between samples costs
    assert abs(got / expected - 1) < 1e-6 + 1.2 * hold * (2 if np.isfinite(profile.rc_pole_hz) else 1)
    assert y.mean() == pytest.approx(profile.bias_v, abs=1e-6)


@pytest.mark.parametrize("name", profile_names())
def test_front_end_of_the_estimator_is_the_same_chain(name):
    """One low-pass and a delay stand for low-pass, RC pole and delay within 1e-5 about the nominal frequency."""
    profile = load_profile(name)
    f = np.linspace(profile.nominal_frequency_hz - 5, profile.nominal_frequency_hz + 5, 41)
    s = 2j * np.pi * f
    w0 = 2 * np.pi * profile.f0_hz
    chain = profile.gain * w0**2 / (s**2 + s * w0 / profile.q + w0**2) / (1 + 1j * f / profile.rc_pole_hz)
    chain *= np.exp(-s * profile.delay_s)
    np.testing.assert_allclose(profile.front_end.response(f) / chain, 1.0, atol=5e-6)


def test_step_response_is_the_exponential_of_the_system():
    """A ramped step through the 100 Hz, Q 1 filter, against its closed form, with a change of the step in between."""
    profile = replace(quiet("thesis-100hz"), f0_hz=100.0, q=1.0, rc_pole_hz=np.inf)
    chain = AnalogChain(profile)
    n = 4000
    x = np.ones((1, 2 * n))
    x[0, 0] = 0.0
    y = np.concatenate([chain.run(x[:, :n], STEP_S), chain.run(x[:, n:], STEP_S * (1 + 1e-9))], axis=1)[0]
    t = (np.arange(2 * n) - 0.5) * STEP_S  # the line from 0 to 1 over one step acts like a step in its middle
    w0, zeta = 2 * np.pi * 100.0, 0.5
    wd = w0 * np.sqrt(1 - zeta**2)
    exact = 1 - np.exp(-zeta * w0 * t) * (np.cos(wd * t) + zeta / np.sqrt(1 - zeta**2) * np.sin(wd * t))
    np.testing.assert_allclose((y[5:] - profile.bias_v) / profile.gain, exact[5:], atol=2e-6)


def test_overload_meets_the_rails():
    profile = quiet("reference-a-120v")
    chain = AnalogChain(profile)
    t = np.arange(40_000) * STEP_S
    y = chain.run(240 * np.sqrt(2) * np.cos(2 * np.pi * 60 * t)[None], STEP_S)[0]
    assert y.max() == pytest.approx(profile.amplifier_high_v, abs=1e-6)
    assert y[20_000:].min() == pytest.approx(profile.amplifier_low_v, abs=1e-6)
    assert chain.clipped > 0


def test_full_scale_of_the_reference_design_is_160_volts():
    profile = quiet("reference-a-120v")
    wave = np.sqrt(2) * np.sin(2 * np.pi * 60 * np.arange(40_000) * STEP_S)[None]
    for volts, clips in ((160.0, False), (170.0, True)):
        chain = AnalogChain(profile)
        chain.run(volts * wave, STEP_S)
        assert (chain.clipped > 0) == clips


def test_noise_density():
    profile = load_profile("thesis-100hz")
    y = AnalogChain(replace(profile, noise_v_per_rthz=1e-6, rc_pole_hz=np.inf)).run(np.zeros((1, 200_000)), STEP_S)[0]
    assert y.std() == pytest.approx(1e-6 * np.sqrt(100_000), rel=0.02)


@pytest.mark.parametrize("name", profile_names())
@pytest.mark.parametrize("step_s", [4.9e-6, STEP_S, 1e-4])
def test_the_recursion_is_scipys(name, step_s):
    """Coefficients and output, with the state carried over two calls, against cont2discrete and lfilter."""
    profile = load_profile(name)
    w0 = 2 * np.pi * profile.f0_hz
    system = ([profile.gain * w0 * w0], [1.0, w0 / profile.q, w0 * w0])
    b, a, _ = signal.cont2discrete(system, step_s, method="foh")
    ours_b, ours_a = held(*map(np.asarray, system), step_s)
    np.testing.assert_allclose(ours_a, a, rtol=1e-10)
    np.testing.assert_allclose(ours_b, np.ravel(b), rtol=1e-7, atol=1e-14)
    x = np.random.default_rng(1).standard_normal((2, 1000))
    chain = HeldFilter(*system, channels=2)
    got = np.concatenate([chain.run(x[:, :300], step_s), chain.run(x[:, 300:], step_s)], axis=-1)
    expected = signal.lfilter(np.convolve(np.ravel(b), UNHOLD), np.ravel(a), x, axis=-1)
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-9 * profile.gain)


@pytest.mark.parametrize("size", [1e-9, 0.03, 1.0, 7.0])
def test_exponential(size):
    matrix = size * np.random.default_rng(2).standard_normal((4, 4))
    np.testing.assert_allclose(exponential(matrix), linalg.expm(matrix), rtol=1e-9, atol=1e-12)
