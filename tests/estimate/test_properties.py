"""What must hold for any input: time shift, scaling, rotation, independence of channels, odd rates, known errors."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpmu.estimate import FrontEnd, estimate_waveform
from rpmu.estimate.classes import ReportClock
from tests.conformance import signals
from tests.conformance.chain import CHAINS, THESIS_FRONT_END
from tests.conformance.limits import Task
from tests.conformance.runner import Setup
from tests.estimate.waves import RATE_HZ, START_NS, synchrophasor, tone

CASES = st.sampled_from([("P", 60), ("P", 120), ("P", 12), ("M", 60), ("M", 120)])


def messy(seed, duration_s=0.6, angle=0.0):
    """A modulated, distorted, noisy wave."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(duration_s * RATE_HZ)) / RATE_HZ
    swing = 2 * np.pi * (60 + rng.uniform(-1, 1)) * t + 0.1 * np.sin(2 * np.pi * rng.uniform(0.5, 4) * t)
    x = (1 + 0.1 * np.cos(2 * np.pi * rng.uniform(0.5, 4) * t)) * np.cos(swing + angle)
    return x + 0.03 * np.cos(3 * swing) + rng.normal(0, 0.002, len(t))


def run(x, case, start_ns=START_NS, **options):
    return estimate_waveform(x, RATE_HZ, start_ns, 60, *case, **options)


@settings(max_examples=20, deadline=None)
@given(CASES, st.integers(0, 99), st.integers(-(10**9), 10**9))
def test_a_shift_by_whole_seconds_changes_nothing_else(case, seed, seconds):
    x = messy(seed)
    here, there = run(x, case), run(x, case, START_NS + seconds * 10**9)
    np.testing.assert_array_equal(there.time_ns - here.time_ns, seconds * 10**9)
    np.testing.assert_allclose(there.phasors, here.phasors, rtol=1e-12)
    np.testing.assert_allclose(there.frequency_hz, here.frequency_hz, rtol=1e-12)


@settings(max_examples=20, deadline=None)
@given(CASES, st.integers(0, 99), st.floats(1e-6, 1e6), st.booleans())
def test_scaling_scales_the_phasor_alone(case, seed, factor, negative):
    x = messy(seed)
    factor = -factor if negative else factor
    one, many = run(x, case), run(factor * x, case)
    np.testing.assert_allclose(many.phasors, factor * one.phasors, rtol=1e-9)
    np.testing.assert_allclose(many.frequency_hz, one.frequency_hz, rtol=1e-12)
    np.testing.assert_allclose(many.rocof_hz_per_s, one.rocof_hz_per_s, atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(CASES, st.floats(-np.pi, np.pi), st.floats(58.2, 61.8))
def test_a_turned_wave_turns_the_phasor(case, angle, frequency_hz):
    r = run(tone(frequency_hz, 0.6, angle=angle), case)
    np.testing.assert_allclose(r.phasors[:, 0], synchrophasor(r.time_ns, frequency_hz, 60, angle), rtol=2e-5)


@settings(max_examples=10, deadline=None)
@given(CASES, st.lists(st.integers(0, 99), min_size=2, max_size=4))
def test_channels_do_not_see_each_other(case, seeds):
    together = run(np.stack([messy(s) for s in seeds]), case)
    for i, seed in enumerate(seeds):
        np.testing.assert_allclose(together.phasors[:, i], run(messy(seed), case).phasors[:, 0], rtol=1e-10)
    np.testing.assert_allclose(together.frequency_hz, run(messy(seeds[0]), case).frequency_hz, rtol=1e-12)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([-60, -7, -1, 1, 7, 10, 12, 25, 60, 100, 120]), st.integers(0, 2 * 10**18), st.integers(0, 500))
def test_report_instants_are_exact(rate, time_ns, further):
    clock = ReportClock(rate)
    k = clock.after(time_ns) + further
    exact = k * clock.numerator * 10**9  # times the denominator
    assert (k - further) * clock.numerator * 10**9 >= time_ns * clock.denominator
    assert (k - further - 1) * clock.numerator * 10**9 < time_ns * clock.denominator
    assert abs(clock.time_ns(k) * clock.denominator - exact) * 2 <= clock.denominator
    assert clock.offset_ns(k, time_ns) == pytest.approx((exact - time_ns * clock.denominator) / clock.denominator)
    assert clock.turns(k, 60) == (60 * k * clock.numerator) % clock.denominator / clock.denominator


@pytest.mark.parametrize("rate_hz", [480.0, 1187.9, 5760.0, 12_800.0, 44_100.0, 100_000.0])
@pytest.mark.parametrize(("performance_class", "rate"), [("P", 60), ("M", 60)])
def test_any_sample_rate_is_designed_for(rate_hz, performance_class, rate):
    f = 60.7
    x = tone(f, 0.5, rate_hz=rate_hz)
    r = estimate_waveform(x, rate_hz, START_NS, 60, performance_class, rate)
    np.testing.assert_allclose(r.phasors[:, 0], synchrophasor(r.time_ns, f, 60), rtol=1e-4)
    np.testing.assert_allclose(r.frequency_hz, f, atol=1e-4)


@pytest.mark.parametrize("ppm", [-100.0, -30.0, 30.0, 100.0])
@pytest.mark.parametrize("task", [Task(60, "P", 120), Task(60, "M", 60)], ids=lambda task: task.name)
def test_a_crystal_that_is_off_changes_nothing(ppm, task):
    chain = replace(CHAINS["100hz"], off_ppm=ppm)
    for signal in (signals.tone(60, 61.9), signals.modulated(60, 1.7, ka=0.1)):
        e = Setup(task, chain).errors(signal, (0.0, 0.5))
        assert e.tve.max() < 0.05
        assert e.fe.max() < 1e-2


@pytest.mark.parametrize("wrong", [("f0_hz", 1.001), ("f0_hz", 0.999), ("q", 1.001), ("q", 0.999)])
@pytest.mark.parametrize("task", [Task(60, "P", 60), Task(60, "M", 60)], ids=lambda task: task.name)
def test_a_front_end_known_to_a_thousandth_costs_little(wrong, task):
    """0.1 % of f0 or Q may cost 0.15 % of TVE, on and off nominal frequency."""
    name, factor = wrong
    told = replace(THESIS_FRONT_END, **{name: factor * getattr(THESIS_FRONT_END, name)})
    chain = replace(CHAINS["100hz"], told=told)
    waves = [signals.tone(60, f) for f in (58.0, 60.0, 62.0)]
    waves += [signals.modulated(60, 2.0, kx=0.1), signals.modulated(60, 2.0, ka=0.1)]
    for signal in waves:
        extra = Setup(task, chain).errors(signal, (0.0, 0.5)).tve.max()
        exact = Setup(task, CHAINS["100hz"]).errors(signal, (0.0, 0.5)).tve.max()
        assert 0.01 < extra < exact + 0.15


def test_a_front_end_without_low_pass_is_a_gain_and_a_delay():
    end = FrontEnd(gain=3.0, delay_s=40e-6)
    r = run(tone(60.5, 0.6, front_end=end), ("P", 60), front_end=end)
    np.testing.assert_allclose(r.phasors[:, 0], synchrophasor(r.time_ns, 60.5, 60), rtol=1e-5)


def test_the_droop_of_the_decimator_is_undone():
    """A third-order CIC by 5 takes 0.012 % at 60 Hz: too little for a limit to see, too much to leave."""
    e = Setup(Task(60, "M", 60), CHAINS["1khz"]).errors(signals.tone(60, 60.5), (0.0, 0.5))
    assert e.tve.max() < 0.001
