"""Gaps, bad samples, unknown time and resynchronisation: an affected report is invalid or not given, never wrong."""

from dataclasses import replace

import numpy as np
import pytest

from rpmu.estimate import Estimator, EstimatorSettings
from rpmu.estimate.reports import join_reports
from rpmu.timing.time_map import TimeMap
from tests.estimate.waves import RATE_HZ, START_NS, synchrophasor, tone

FREQUENCY_HZ = 60.4
BLOCK = 240
MAP = TimeMap(0, START_NS, 1e9 / RATE_HZ)
SETTINGS = [EstimatorSettings(60, "P", 60), EstimatorSettings(60, "P", 120), EstimatorSettings(60, "M", 60)]


def run(settings, samples, skip=lambda i: False, time_map=lambda i: MAP):
    estimator = Estimator(settings)
    parts = [
        estimator.push(samples[:, i : i + BLOCK], i, time_map(i))
        for i in range(0, samples.shape[1], BLOCK)
        if not skip(i)
    ]
    return estimator, join_reports(parts)


def assert_valid_ones_are_right(reports):
    good = reports.valid
    expected = synchrophasor(reports.time_ns[good], FREQUENCY_HZ, 60)
    np.testing.assert_allclose(reports.phasors[good, 0], expected, rtol=1e-5)
    np.testing.assert_allclose(reports.frequency_hz[good], FREQUENCY_HZ, atol=1e-5)
    assert np.isnan(reports.phasors[~good]).all()
    assert np.isnan(reports.frequency_hz[~good]).all()
    assert np.isnan(reports.rocof_hz_per_s[~good]).all()


def invalid_s(reports, rate):
    return np.count_nonzero(~reports.valid) / rate


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("missing", [1, BLOCK, 20 * BLOCK])
def test_a_gap_spoils_just_the_windows_that_touch_it(settings, missing):
    x = tone(FREQUENCY_HZ, 2.0)
    estimator = Estimator(settings)
    cut = 12_000
    before = estimator.push(x[:, :cut], 0, MAP)
    after = estimator.push(x[:, cut + missing :], cut + missing, MAP)
    reports = join_reports([before, after])
    assert_valid_ones_are_right(reports)
    assert (np.diff(reports.time_ns) < 1.01e9 / settings.reporting_rate).all()
    spoiled = invalid_s(reports, settings.reporting_rate)
    expected = estimator.window_s + missing / RATE_HZ
    assert abs(spoiled - expected) < 2.5 / settings.reporting_rate + 0.004


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_bad_sample_spoils_just_the_windows_that_touch_it(settings):
    x = tone(FREQUENCY_HZ, 2.0)
    x[0, 12_345] = np.nan
    estimator, reports = run(settings, x)
    assert_valid_ones_are_right(reports)
    assert abs(invalid_s(reports, settings.reporting_rate) - estimator.window_s) < 1.5 / settings.reporting_rate + 0.004


def test_no_report_is_given_while_the_time_is_unknown():
    x = tone(FREQUENCY_HZ, 2.0)
    unknown = replace(MAP, sigma_ns=float("inf"))
    estimator = Estimator(SETTINGS[0])
    for i in range(0, 12_000, BLOCK):
        assert not len(estimator.push(x[:, i : i + BLOCK], i, unknown if i % 480 else None))
    later = estimator.push(x[:, 12_000:], 12_000, MAP)
    assert len(later) > 50
    assert later.valid.all()
    assert_valid_ones_are_right(later)


@pytest.mark.parametrize("step_ns", [-40_000, 40_000, 3_000_000_000, -3_000_000_000])
@pytest.mark.parametrize("settings", SETTINGS)
def test_after_a_step_of_the_time_no_window_mixes_old_and_new(settings, step_ns):
    """The sequencer restarts and sampling moves: old samples lie on the old map, new ones on the new map."""
    cut = 50 * BLOCK
    moved = replace(MAP, time0_ns=MAP.time0_ns + step_ns)
    x = tone(FREQUENCY_HZ, 3.0)
    shift = 2 * np.pi * FREQUENCY_HZ * step_ns / 1e9
    x[:, cut:] = tone(FREQUENCY_HZ, 3.0, angle=0.3 + shift)[:, cut:]
    _, reports = run(settings, x, time_map=lambda i: MAP if i < cut else moved)
    assert_valid_ones_are_right(reports)
    assert (~reports.valid).any()
    assert np.count_nonzero(reports.valid) > 1.5 * settings.reporting_rate


@pytest.mark.parametrize("step_ns", [3_000_000_000, -3_000_000_000, -2_600_000_000])
@pytest.mark.parametrize("settings", SETTINGS)
def test_after_a_step_of_the_time_no_instant_is_reported_again(settings, step_ns):
    """In blocks as the daemon polls: each ends with the sample that completes a report."""
    x, later = tone(FREQUENCY_HZ, 2.0), replace(MAP, time0_ns=MAP.time0_ns + step_ns)
    estimator, instants_ns, index = Estimator(settings), [], 0
    while index < x.shape[1]:
        stepped = index > x.shape[1] // 2
        wanted = estimator.wanted_index
        end = index + BLOCK if wanted is None else max(wanted, index) + 1
        reports = estimator.push(x[:, index:end], index, later if stepped else MAP)
        instants_ns += (reports.time_ns - step_ns * stepped).tolist()
        index = end
    period_ns = 1e9 / settings.reporting_rate
    apart_ns = np.diff(instants_ns)
    assert apart_ns.min() > 0.3 * period_ns
    assert apart_ns.max() < 1.7 * period_ns


def test_a_small_correction_of_the_time_spoils_nothing():
    x = tone(FREQUENCY_HZ, 2.0)
    _, reports = run(SETTINGS[0], x, time_map=lambda i: replace(MAP, time0_ns=MAP.time0_ns + i // BLOCK % 3 * 5))
    assert reports.valid.all()
    assert_valid_ones_are_right(reports)


def test_a_long_silence_does_not_flood_the_reader_with_invalid_reports():
    x = tone(FREQUENCY_HZ, 1.0)
    estimator = Estimator(SETTINGS[0])
    estimator.push(x, 0, MAP)
    hours = 4 * 3600 * 12_000
    reports = estimator.push(x, hours, MAP)
    assert np.count_nonzero(~reports.valid) <= 10 * 60 + 5
    assert reports.valid[-10:].all()


def test_a_step_back_of_the_index_starts_over():
    x = tone(FREQUENCY_HZ, 1.0)
    estimator = Estimator(SETTINGS[0])
    estimator.push(x, 10**6, MAP.anchored_at(0))
    reports = estimator.push(x, 0, replace(MAP, time0_ns=START_NS))
    assert_valid_ones_are_right(reports)


def test_a_dead_channel_is_zero_volts_without_a_frequency():
    reports = Estimator(SETTINGS[0]).push(np.zeros((1, 6000)), 0, MAP)
    assert len(reports) > 10
    assert reports.valid.all()
    assert (reports.phasors == 0).all()
    assert np.isnan(reports.frequency_hz).all()
