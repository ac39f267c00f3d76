"""Recordings: resampled band-limited, looped without a jump, silent after their end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rpmu.twin.recording import REACH, RecordedMains, close_loop, interpolate, unskewed
from rpmu.twin.signals import Grid
from rpmu.twin.sources import Setting, parse_source

START_NS = 1_700_000_000 * 10**9
DATA = Path(__file__).parents[1] / "data" / "waveforms"
SHARED = Path(__file__).parents[3] / "shared" / "data" / "waveforms"


@pytest.mark.parametrize("relative_hz", [0.005, 0.1, 0.3, 0.42])
def test_interpolation_is_band_limited(relative_hz):
    """A tone up to 0.42 of the sampling rate comes out at any instant, 70 dB above every artefact."""
    k = np.arange(400)
    position = np.linspace(REACH, 400 - REACH, 5001)
    out = interpolate(np.cos(2 * np.pi * relative_hz * k + 0.3), position)
    np.testing.assert_allclose(out, np.cos(2 * np.pi * relative_hz * position + 0.3), atol=3e-4)


def record(tmp_path, hz=59.97, seconds=3.0, rate=12_000, **more):
    t = np.arange(round(seconds * rate)) / rate
    samples = 170 * np.cos(2 * np.pi * hz * t + 1) + 5 * np.cos(2 * np.pi * 7 * hz * t)
    np.savez(tmp_path / "r.npz", samples=samples, sample_rate_hz=rate)
    return parse_source(
        f"file:{tmp_path / 'r.npz'},{','.join(f'{k}={v}' for k, v in more.items())}".rstrip(","),
        Setting(start_ns=START_NS),
    )


def test_plays_at_its_own_rate_onto_any_grid(tmp_path):
    s = record(tmp_path)
    grid = Grid(START_NS + 1_234_567_891, 5000.3, 20_000)
    t = 1.234567891 + grid.dt_s
    expected = 170 * np.cos(2 * np.pi * 59.97 * t + 1) + 5 * np.cos(2 * np.pi * 7 * 59.97 * t)
    np.testing.assert_allclose(s.volts(grid)[0], expected, atol=0.01)
    assert s.truth(np.array([START_NS])) is None


def test_dead_before_and_after(tmp_path):
    s = record(tmp_path, seconds=1.0)
    assert not s.volts(Grid(START_NS - 10**9, 5000.0, 1000)).any()
    assert not s.volts(Grid(START_NS + 2 * 10**9, 5000.0, 1000)).any()
    across = s.volts(Grid(START_NS + 990_000_000, 5000.0, 4000))[0]
    assert across[:1900].any()
    assert not across[2000:].any()
    assert any("plays once" in note for note in s.notes)


def test_loop_has_no_jump(tmp_path):
    """Through five seams the fundamental is one sinusoid: same frequency, same phase, no transient."""
    s = record(tmp_path, seconds=1.0, loop="true")
    grid = Grid(START_NS + 10**9, 100_000.0, 50_000)
    volts = s.volts(grid)[0]
    angle = 2 * np.pi * 59.97 * grid.dt_s
    basis = np.stack([f(h * angle) for h in (1, 7) for f in (np.cos, np.sin)], 1)
    fit = basis @ np.linalg.lstsq(basis, volts, rcond=None)[0]
    assert np.abs(volts - fit).max() < 0.4  # of 170: the loop is a few 1e-4 of a sample long or short
    assert any("closed at equal phase" in note for note in s.notes)


def test_loop_is_periodic_for_days(tmp_path):
    s = record(tmp_path, seconds=1.0, loop="true")
    assert isinstance(s, RecordedMains)
    period_ns = s.samples.shape[1] / s.rate_hz * 1e9
    first = s.volts(Grid(START_NS, 5000.0, 1000))
    later = s.volts(Grid(START_NS + round(200_000 * period_ns), 5000.0, 1000))
    np.testing.assert_allclose(first, later, atol=0.5)  # rounding the period to 1 ns moves by 60 Hz * 0.5 ns at most


def test_channels_sampled_late_are_moved_back():
    t = np.arange(400) / 1000
    samples = np.stack([np.cos(2 * np.pi * 50 * t), np.cos(2 * np.pi * 50 * (t + 0.0003))])
    moved = unskewed(samples, (0.0, 0.0003), 1000.0)
    np.testing.assert_allclose(moved[1, 60:-60], samples[0, 60:-60], atol=1e-3)
    assert unskewed(samples, (0.0, 0.0), 1000.0) is samples


def test_one_cycle_repeats_as_it_is():
    cycle = np.cos(2 * np.pi * np.arange(500) / 500)[None]
    loop, rate, note = close_loop(cycle, 30_000.0, 60)
    np.testing.assert_array_equal(loop, cycle)
    assert rate == 30_000.0
    assert "too short" in note


def test_scaling_to_a_voltage(tmp_path):
    volts = record(tmp_path, voltage_v=230).volts(Grid(START_NS + 10**9, 5000.0, 200_000))
    assert np.sqrt(np.mean(volts**2)) == pytest.approx(230, rel=1e-3)


def test_three_phases_from_a_relay_record():
    spec = f"file:{DATA / 'wisp_3.cfg'},phases=3,channel=F5-VA;F6-VB;F7-VC"
    s = parse_source(spec, Setting(nominal_hz=50, start_ns=START_NS))
    volts = s.volts(Grid(START_NS + 200_000_000, 5000.0, 8000))
    assert volts.shape == (3, 8000)
    assert np.sqrt(np.mean(volts**2, axis=1)) == pytest.approx(58.7, rel=0.01)
    assert np.abs(volts.sum(axis=0)).max() < 1.0  # balanced before the fault


def sine_fit_hz(volts, step_s, near_hz):
    """Frequency and RMS by a search for the sinusoid that leaves the least, independent of any estimator of ours."""
    t = np.arange(len(volts)) * step_s

    def fit(hz):
        basis = np.stack([np.cos(2 * np.pi * hz * t), np.sin(2 * np.pi * hz * t), np.ones_like(t)], 1)
        c, left, *_ = np.linalg.lstsq(basis, volts, rcond=None)
        return float(left[0]), float(np.hypot(c[0], c[1]) / np.sqrt(2))

    low, high = near_hz - 0.2, near_hz + 0.2
    for _ in range(30):
        third = (high - low) / 3
        low, high = (low, high - third) if fit(low + third)[0] < fit(high - third)[0] else (low + third, high)
    return (low + high) / 2, fit((low + high) / 2)[1]


@pytest.mark.parametrize(
    ("path", "nominal_hz"),
    [
        (DATA / "enf_whu_100_first60s.npz", 50),
        (SHARED / "opq_hawaii_8873_first48s.npz", 60),
        (SHARED / "openpmu_cpow_50hz_first31s.flac", 50),
    ],
    ids=["wuhan", "hawaii", "belfast"],
)
def test_real_recordings_keep_frequency_and_voltage(path, nominal_hz):
    if not path.is_file():
        pytest.skip(f"needs {path.name} in ../shared/data/waveforms, which has no licence to be shipped")
    s = parse_source(f"file:{path},loop=true", Setting(nominal_hz=nominal_hz, start_ns=START_NS))
    rate = s.rate_hz
    raw = s.samples[0][round(2 * rate) : round(3 * rate)]
    played = s.volts(Grid(START_NS + 2 * 10**9, 1e9 / 10_000, 10_000))[0]
    hz_raw, rms_raw = sine_fit_hz(raw, 1 / rate, nominal_hz)
    hz, rms = sine_fit_hz(played, 1e-4, nominal_hz)
    assert hz == pytest.approx(hz_raw, abs=5e-4)
    assert rms == pytest.approx(rms_raw, rel=5e-4)
