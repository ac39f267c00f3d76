"""Recorded mains against an independent sine fit: frequency and magnitude, steady, through a sag and at an event."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rpmu.estimate import estimate_waveform
from rpmu.record.waveform import read_waveform
from tests.e2e.sine_fit import fit_sine

DATA = Path(__file__).parents[1] / "data" / "waveforms"
SHARED = Path(__file__).parents[3] / "shared" / "data" / "waveforms"
not_shipped = pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data/waveforms: no licence to ship it")


def against_fit(waveform, nominal_hz, performance_class, rate, window_s):
    """Reports and fits around the same instants: time, s, and (frequency, magnitude) of both."""
    w, rows = waveform, []
    r = estimate_waveform(w.samples, w.sample_rate_hz, 0, nominal_hz, performance_class, rate)
    for t, f, phasor in zip(r.time_ns / 1e9, r.frequency_hz, r.phasors[:, 0], strict=True):
        start, stop = round((t - window_s / 2) * w.sample_rate_hz), round((t + window_s / 2) * w.sample_rate_hz)
        if start >= 0 and stop < w.samples.shape[1]:
            fit = fit_sine(w.samples[0, start:stop], w.sample_rate_hz, nominal_hz)
            rows.append((t, f, abs(phasor), fit.frequency_hz, fit.rms))
    return np.array(rows).T


def rms(x):
    return float(np.sqrt(np.mean(np.square(x))))


@pytest.mark.parametrize(
    ("folder", "name", "nominal_hz", "case", "window_s", "frequency_hz", "share"),
    [
        (DATA, "enf_whu_100_first60s.npz", 50, ("M", 10), 1.0, 1e-3, 1e-3),
        pytest.param(SHARED, "opq_hawaii_8873_first48s.npz", 60, ("M", 60), 0.15, 4e-3, 1e-3, marks=not_shipped),
        pytest.param(SHARED, "openpmu_cpow_50hz_first31s.flac", 50, ("M", 50), 0.2, 3e-3, 1e-3, marks=not_shipped),
    ],
)
def test_steady_mains_agree_with_a_sine_fit(folder, name, nominal_hz, case, window_s, frequency_hz, share):
    w = read_waveform(folder / name).select([0])
    w = replace(w, samples=w.samples[:, : round(20 * w.sample_rate_hz)])
    _, f, magnitude, fit_f, fit_rms = against_fit(w, nominal_hz, *case, window_s)
    assert len(f) > 150
    assert rms(f - fit_f) < frequency_hz
    assert abs(np.mean(f - fit_f)) < frequency_hz / 5
    assert rms(magnitude / fit_rms - 1) < share


@not_shipped
def test_a_sag_is_followed_in_depth_and_length():
    w = read_waveform(SHARED / "opq_hawaii_9354_box1.npz")
    t, f, magnitude, _, _ = against_fit(w, 60, "P", 60, 1 / 30)
    before = np.median(magnitude[t < 0.3])
    low = magnitude < 0.9 * before
    cycles = np.count_nonzero(low) / 60 * 60
    assert 120 < before < 124.5
    assert 101 < magnitude.min() < 104
    assert 8 <= cycles <= 10  # nine cycles below 0.9, read off the wave itself
    assert 59.9 < np.median(f[t < 0.3]) < 60.1


@not_shipped
def test_a_generator_fault_recorded_as_comtrade():
    w = read_waveform(SHARED / "comtrade" / "generator_2.cfg", ["VA_GC1"])
    t, f, magnitude, fit_f, fit_rms = against_fit(w, 60, "P", 60, 0.05)
    calm = np.abs(np.gradient(magnitude) / magnitude) < 1e-3  # the fit knows no change within its window
    assert np.count_nonzero(calm) > 60
    assert rms((magnitude / fit_rms - 1)[calm]) < 2e-3
    assert rms((f - fit_f)[calm]) < 0.02
    assert magnitude.max() == pytest.approx(7590, rel=0.01)
    assert magnitude.min() == pytest.approx(5400, rel=0.02)  # at the record's end
    assert (np.diff(t) > 0).all()


def test_a_line_that_loses_a_phase_and_then_all_three():
    """A relay's record: 58.7 V per phase, then phase B opens, then the line is dead."""
    w = read_waveform(DATA / "wisp_3.cfg", ["F5-VA", "F6-VB", "F7-VC"])
    r = estimate_waveform(w.samples, w.sample_rate_hz, 0, 50, "P", 50, 3)
    magnitude = np.abs(r.phasors)
    positive, negative, zero = (np.abs(s) for s in (r.positive_sequence, r.negative_sequence, r.zero_sequence))
    healthy = magnitude.min(axis=1) > 58
    open_phase = (magnitude[:, 1] < 2) & (magnitude[:, 0] > 58.5) & (magnitude[:, 2] > 57)
    dead = magnitude.max(axis=1) < 0.5
    assert np.count_nonzero(healthy) > 15
    assert np.count_nonzero(open_phase) > 5
    assert np.count_nonzero(dead) > 15
    calm = np.flatnonzero(healthy)[:-2]  # the last windows already see the fault
    assert np.abs(r.frequency_hz[calm] - 50.014).max() < 0.01
    assert (negative[calm] < 0.01 * positive[calm]).all()
    assert np.abs(r.frequency_hz[open_phase] - 50).max() < 0.2
    np.testing.assert_allclose(positive[open_phase], 2 / 3 * 58.6, rtol=0.03)  # Fortescue: 2/3, 1/3, 1/3
    np.testing.assert_allclose(negative[open_phase], 1 / 3 * 58.6, rtol=0.08)
    np.testing.assert_allclose(zero[open_phase], 1 / 3 * 58.6, rtol=0.08)
