"""The parts of a report: history and decimator, one product or two, curves in pieces, the offset that stays."""

import numpy as np
import pytest

from rpmu.estimate import Estimator, EstimatorSettings, fir
from rpmu.estimate.alternatives import build_kernel
from rpmu.estimate.decimate import history
from rpmu.estimate.pieces import Pieces, chords, middles, nodes, parabolas
from rpmu.timing.time_map import TimeMap
from tests.estimate.waves import RATE_HZ, RMS_V, START_NS, tone

MAP = TimeMap(0, START_NS, 1e9 / RATE_HZ)


@pytest.fixture(autouse=True)
def _fresh_kernels():
    build_kernel.cache_clear()
    yield
    build_kernel.cache_clear()


@pytest.mark.parametrize("factor", [1, 4, 9])
@pytest.mark.parametrize("block", [1, 50, 333, 5000])
def test_a_window_of_the_history_is_what_a_convolution_gives(factor, block):
    rng = np.random.default_rng(factor)
    taps = np.array([1.0]) if factor == 1 else rng.standard_normal(4 * factor + 1)
    x, first, keep = rng.standard_normal((2, 5000)), 12_345, 100
    strip = history(taps, factor, 2, keep, first)
    wanted = np.stack([np.convolve(row, taps[::-1], "valid") for row in x])  # [i] has its centre on i + half
    for i in range(0, x.shape[1], block):
        strip.append(x[:, i : i + block])
        start = strip.end - 80
        if start < strip.first:
            continue
        columns = (start + np.arange(80)) * factor - first - len(taps) // 2
        np.testing.assert_allclose(strip.window(start, 80), wanted[:, columns], atol=1e-12)
        np.testing.assert_array_equal(strip.windows([start], 80)[:, 0], strip.window(start, 80))
    half = len(taps) // 2
    assert (strip.end - 1) * factor + half < first + 5000 <= strip.end * factor + half
    assert strip.first <= strip.end - keep


def reports(settings, offset=0.0):
    estimator = Estimator(settings)
    estimator.offset = np.full((settings.n_channels, 1), offset)
    x = tone(61.3, 0.5, phases=settings.phases) + offset
    return estimator, [r for i in range(0, x.shape[1], 200) for r in estimator.push_stream(x[:, i : i + 200], i, MAP)]


@pytest.mark.parametrize("phases", [1, 3])
def test_low_pass_and_bank_as_one_filter_read_the_same_as_one_after_the_other(monkeypatch, phases):
    settings = EstimatorSettings(60, "P", 60, phases, phases)
    one, together = reports(settings)
    build_kernel.cache_clear()
    monkeypatch.setattr(fir, "CALL_MACS", -1_000_000)
    two, apart = reports(settings)
    assert (one._kernel.decimation, two._kernel.decimation) == (1, 4)
    assert len(together) == len(apart) > 20
    for a, b in zip(together, apart, strict=True):
        np.testing.assert_allclose(a.phasors, b.phasors, rtol=1e-6)
        assert a.frequency_hz == pytest.approx(b.frequency_hz, abs=1e-5)
        assert a.rocof_hz_per_s == pytest.approx(b.rocof_hz_per_s, abs=2e-3)


@pytest.mark.parametrize(("performance_class", "phases"), [("P", 1), ("P", 3), ("M", 1), ("M", 3)])
def test_an_offset_that_is_known_changes_nothing(performance_class, phases):
    settings = EstimatorSettings(60, performance_class, 60, phases, phases)
    _, clean = reports(settings)
    _, raised = reports(settings, 3000.0)
    for a, b in zip(clean, raised, strict=True):
        np.testing.assert_allclose(a.phasors, b.phasors, rtol=1e-9)
        assert a.rocof_hz_per_s == pytest.approx(b.rocof_hz_per_s, abs=1e-6)


def test_a_dead_channel_that_stands_at_its_offset_is_zero_volts_without_a_frequency():
    estimator = Estimator(EstimatorSettings(60, "P", 60))
    estimator.offset = np.full((1, 1), 30_001.0)
    codes = np.full((1, 6000), 30_001, np.uint16)
    arrays = estimator.push(codes, 0, MAP)
    stream = Estimator(EstimatorSettings(60, "P", 60))
    stream.offset = estimator.offset
    for report in stream.push_stream(codes, 0, MAP):
        assert report.valid
        assert report.phasors == [0]
        assert np.isnan([report.frequency_hz, report.rocof_hz_per_s]).all()
    assert (arrays.phasors == 0).all()
    assert np.isnan(arrays.frequency_hz).all()


def test_curves_in_pieces_are_the_curves_and_stay_at_their_ends():
    reach = 3.0
    places = nodes(reach)
    bent, line = np.exp(1j * places) * (1 + places**3), np.cos(places)
    table = Pieces([*parabolas(bent), *chords(line), middles(places)], reach)
    x = np.random.default_rng(0).uniform(-reach, reach, 500)
    u, (c, b, a, v0, v1, middle) = table.at_all(x)
    np.testing.assert_allclose(c + u * (b + u * a), np.exp(1j * x) * (1 + x**3), atol=1e-6)
    np.testing.assert_allclose(v0 + v1 * u, np.cos(x), atol=2e-5)
    assert np.abs(middle - x).max() <= 1.001 / table.per_unit
    for value, *rest in zip(x.tolist(), u, c, b, a, v0, v1, middle, strict=True):
        one, row = table.at(value)
        np.testing.assert_array_equal([one, *row], rest)
    for beyond, end in ((-1e9, 0), (-3.1, 0), (3.1, -1), (float("inf"), -1)):
        _, (c, b, a, v0, v1, _) = table.at(beyond)
        assert (c, b, a, v0, v1) == (bent[end], 0, 0, line[end], 0)


@pytest.mark.parametrize("dead", [0, 1])
def test_a_dead_channel_beside_another_is_zero_volts_for_itself(dead):
    settings = EstimatorSettings(60, "M", 60, 1, 2)
    x = np.concatenate([tone(60.2, 0.5), tone(60.2, 0.5)])
    x[dead] = 0
    given = Estimator(settings).push_stream(x, 0, MAP)
    assert len(given) > 10
    for report in given:
        assert report.phasors[dead] == 0
        assert abs(report.phasors[1 - dead]) == pytest.approx(RMS_V, rel=1e-4)
        assert np.isnan(report.frequency_hz) if dead == 0 else report.frequency_hz == pytest.approx(60.2, abs=1e-3)
