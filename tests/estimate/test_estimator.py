from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpmu.errors import InputError
from rpmu.estimate import Estimator, EstimatorSettings, FrontEnd, estimate_waveform
from rpmu.estimate.reports import join_reports
from rpmu.timing.time_map import TimeMap
from tests.estimate.waves import RATE_HZ, RMS_V, START_NS, synchrophasor, tone


@pytest.mark.parametrize("nominal_hz", [50, 60])
@pytest.mark.parametrize(("performance_class", "rate"), [("P", 10), ("P", 50), ("M", 10), ("M", 50), ("M", 100)])
@pytest.mark.parametrize("phases", [1, 3])
def test_a_steady_tone_is_read_off_nominal(nominal_hz, performance_class, rate, phases):
    if nominal_hz == 60:
        rate = {10: 10, 50: 60, 100: 120}[rate]
    f = nominal_hz + 1.7
    x = tone(f, 3.0, phases=phases)
    r = estimate_waveform(x, RATE_HZ, START_NS, nominal_hz, performance_class, rate, phases)
    assert len(r) > rate
    assert r.valid.all()
    expected = synchrophasor(r.time_ns, f, nominal_hz)
    np.testing.assert_allclose(r.phasors[:, 0], expected, rtol=3e-5)
    np.testing.assert_allclose(r.frequency_hz, f, atol=2e-5)
    np.testing.assert_allclose(r.rocof_hz_per_s, 0, atol=2e-3)
    if phases == 3:
        np.testing.assert_allclose(r.positive_sequence, expected, rtol=3e-5)
        assert np.abs(r.negative_sequence).max() < 1e-4 * RMS_V
        assert np.abs(r.zero_sequence).max() < 1e-4 * RMS_V


@pytest.mark.parametrize(
    "front_end", [FrontEnd(0.0524, 1073.0, 0.723), FrontEnd(1.0, 100.0, 1.0, 12e-6), FrontEnd(-2.0, delay_s=-3e-6)]
)
@pytest.mark.parametrize(("performance_class", "rate"), [("P", 60), ("P", 120), ("M", 60)])
def test_the_front_end_is_undone(front_end, performance_class, rate):
    f = 61.3
    x = tone(f, 1.5, front_end=front_end)
    r = estimate_waveform(x, RATE_HZ, START_NS, 60, performance_class, rate, front_end=front_end)
    np.testing.assert_allclose(r.phasors[:, 0], synchrophasor(r.time_ns, f, 60), rtol=1e-5)
    np.testing.assert_allclose(r.frequency_hz, f, atol=5e-6 if rate == 120 else 1e-6)  # the image, after three steps


def test_each_channel_has_its_own_front_end_and_skew():
    f = 59.2
    ends = [FrontEnd(0.05, 1073.0, 0.723, 2e-6), FrontEnd(0.06, 1000.0, 0.7, -6e-6), FrontEnd(0.04, 100.0, 1.0)]
    alone = [
        tone(f, 1.5, angle=0.3 + s, front_end=e) for e, s in zip(ends, np.array([0, -2, 2]) * np.pi / 3, strict=True)
    ]
    r = estimate_waveform(np.vstack(alone), RATE_HZ, START_NS, 60, "M", 60, 3, front_end=ends)
    np.testing.assert_allclose(r.positive_sequence, synchrophasor(r.time_ns, f, 60), rtol=2e-5)
    np.testing.assert_allclose(r.frequency_hz, f, atol=1e-6)


@pytest.mark.parametrize("rate", [-2, 1, 5, 7, 10, 12, 15, 20, 30, 60, 120])
def test_reports_lie_on_the_grid_of_the_utc_second(rate):
    r = estimate_waveform(tone(60.0, 9.0), RATE_HZ, START_NS, 60, "P", rate)
    numerator, denominator = max(1, -rate), max(1, rate)
    k = np.rint(r.time_ns / 1e9 * denominator / numerator).astype(np.int64)
    assert np.abs(r.time_ns * denominator - k * numerator * 10**9).max() <= denominator // 2
    assert (np.diff(k) == 1).all()
    np.testing.assert_allclose(np.angle(r.phasors[:, 0]), 0.3, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_split_of_the_input_gives_the_same_reports(data):
    performance_class, rate = data.draw(st.sampled_from([("P", 60), ("P", 120), ("M", 60)]))
    x = tone(60.4, 0.6)
    cuts = sorted(data.draw(st.lists(st.integers(0, x.shape[1]), max_size=12)))
    first = data.draw(st.integers(0, 10**12))
    time_map = TimeMap(first, START_NS, 1e9 / RATE_HZ)
    whole = Estimator(EstimatorSettings(60, performance_class, rate)).push(x, first, time_map)
    estimator = Estimator(EstimatorSettings(60, performance_class, rate))
    bounds = [0, *cuts, x.shape[1]]
    split = join_reports([estimator.push(x[:, a:b], first + a, time_map) for a, b in pairwise(bounds)])
    np.testing.assert_array_equal(split.time_ns, whole.time_ns)
    np.testing.assert_allclose(split.phasors, whole.phasors, rtol=1e-12)
    np.testing.assert_allclose(split.frequency_hz, whole.frequency_hz, rtol=1e-12)
    np.testing.assert_allclose(split.rocof_hz_per_s, whole.rocof_hz_per_s, atol=1e-8)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"nominal_hz": 55}, "55"),
        ({"performance_class": "Q"}, "'Q'"),
        ({"reporting_rate": 0}, "reporting rate 0"),
        ({"reporting_rate": 240}, "240"),
        ({"phases": 3}, "3 phases and 1 channels"),
        ({"sample_rate_hz": 400.0}, "400"),
        ({"estimator": "best"}, "'best'"),
        ({"front_end": [FrontEnd(), FrontEnd()]}, "2 front ends"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_sentence(changed, sentence):
    with pytest.raises(InputError, match=sentence):
        Estimator(EstimatorSettings(**{"nominal_hz": 60, **changed}))


@pytest.mark.parametrize(
    ("phases", "performance_class", "rate"), [(1, "P", 60), (1, "M", 10), (3, "M", 60), (3, "P", 120)]
)
def test_a_stream_gives_one_by_one_what_a_recording_gives_as_arrays(phases, performance_class, rate):
    settings = EstimatorSettings(
        60, performance_class, rate, phases, phases, front_end=FrontEnd(gain=0.05, f0_hz=100.0, q=1.0)
    )
    turns = 60.4 * np.arange(30_000) / RATE_HZ - np.arange(phases)[:, None] / 3
    noise = np.random.default_rng(3).integers(0, 200, (phases, 30_000))
    codes = (30_000 + 20_000 * np.cos(2 * np.pi * turns) + noise).astype(np.uint16)
    time_map = TimeMap(0, START_NS, 1e9 / RATE_HZ * (1 + 30e-6))
    arrays, stream = Estimator(settings), Estimator(settings)
    arrays.offset = stream.offset = np.full((phases, 1), 30_000.0)
    whole = arrays.push(codes, 0, time_map)
    reports = [
        report for i in range(0, 30_000, 128) for report in stream.push_stream(codes[:, i : i + 128], i, time_map)
    ]
    assert len(reports) == len(whole) > 5
    assert [report.time_ns for report in reports] == whole.time_ns.tolist()
    assert all(report.valid for report in reports)
    np.testing.assert_allclose([report.phasors for report in reports], whole.phasors, rtol=1e-7)
    np.testing.assert_allclose([report.frequency_hz for report in reports], whole.frequency_hz, rtol=1e-9)
    np.testing.assert_allclose([report.rocof_hz_per_s for report in reports], whole.rocof_hz_per_s, atol=1e-5)


def test_a_hole_in_a_stream_gives_invalid_reports_one_by_one():
    settings = EstimatorSettings(60, "P", 60)
    x = np.sqrt(2) * 120 * np.cos(2 * np.pi * 60 * np.arange(24_000) / RATE_HZ)[None]
    time_map = TimeMap(0, START_NS, 1e9 / RATE_HZ)
    estimator = Estimator(settings)
    before = estimator.push_stream(x[:, :6_000], 0, time_map)
    after = estimator.push_stream(x[:, 12_000:], 12_000, time_map)
    times = [report.time_ns for report in [*before, *after]]
    assert {round((b - a) * 60 / 1e9) for a, b in pairwise(times)} == {1}
    missing = [report for report in after if not report.valid]
    assert len(missing) >= 30
    assert all(np.isnan([*report.phasors, report.frequency_hz, report.rocof_hz_per_s]).all() for report in missing)
    assert after[-1].valid
    np.testing.assert_allclose(np.abs(after[-1].phasors), 120, rtol=1e-5)


@pytest.mark.parametrize("case", [("P", 60), ("M", 60), ("M", 10), ("P", 120)])
@pytest.mark.parametrize("frequency_hz", [60.003, 58.6])
@pytest.mark.parametrize("lags", [(0, 2, 1), (0, 0, 0)], ids=["in the wrong order", "all the same"])
def test_phases_without_a_positive_sequence_are_measured_by_the_strongest(case, lags, frequency_hz):
    """Theirs is noise, and a frequency from it any number."""
    t, rng = np.arange(int(3 * RATE_HZ)) / RATE_HZ, np.random.default_rng(0)
    size = RMS_V * np.array([1.0, 1.01, 0.99])
    turned = [np.cos(2 * np.pi * (frequency_hz * t - lag / 3)) for lag in lags]
    x = np.sqrt(2) * size[:, None] * np.array(turned) + rng.normal(0, 0.05, (3, len(t)))
    whole = estimate_waveform(x, RATE_HZ, START_NS, 60, *case, phases=3)
    assert whole.valid.all()
    assert np.abs(whole.frequency_hz - frequency_hz).max() < 0.01
    assert np.abs(np.abs(whole.phasors) / size - 1).max() < 0.002
    chosen = EstimatorSettings(
        nominal_hz=60, performance_class=case[0], reporting_rate=case[1], phases=3, n_channels=3, sample_rate_hz=RATE_HZ
    )
    stream = Estimator(chosen).push_stream(x, 0, TimeMap(0, START_NS, 1e9 / RATE_HZ))
    found = {report.time_ns: report for report in stream}
    one_by_one = [found[time_ns] for time_ns in whole.time_ns.tolist()]
    assert [report.frequency_hz for report in one_by_one] == pytest.approx(whole.frequency_hz, abs=1e-6)
    assert [report.rocof_hz_per_s for report in one_by_one] == pytest.approx(whole.rocof_hz_per_s, abs=1e-4)


@pytest.mark.parametrize("case", [("P", 60), ("M", 60), ("M", 10), ("P", 120)])
@pytest.mark.parametrize("phases", [1, 3])
def test_noise_alone_gives_small_numbers_or_none(case, phases):
    x = np.random.default_rng(1).normal(0, 0.05, (phases, int(3 * RATE_HZ)))
    chosen = EstimatorSettings(
        nominal_hz=60,
        performance_class=case[0],
        reporting_rate=case[1],
        phases=phases,
        n_channels=phases,
        sample_rate_hz=RATE_HZ,
    )
    stream = Estimator(chosen).push_stream(x, 0, TimeMap(0, START_NS, 1e9 / RATE_HZ))
    assert len(stream) > 15
    assert max((abs(p) for report in stream if report.valid for p in report.phasors), default=0.0) < 1.0
