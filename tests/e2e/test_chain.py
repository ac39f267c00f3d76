"""The committed image, end to end: what a PDC receives against what the outlet did."""

from __future__ import annotations

import numpy as np
import pytest

from rpmu.acquire.layout import BLOCK_SAMPLES
from rpmu.twin.crystal import CrystalSettings
from rpmu.twin.faults import parse_faults
from tests.e2e.rig import NS_PER_S, START_NS, configuration, run_chain

CRYSTAL = CrystalSettings(ppm=58.8, walk_ppb_per_rts=0.1)  # a real board's offset (docs/accuracy.md)


def errors(outcome):
    """TVE in percent, time error in us, frequency error in mHz of every good frame."""
    truth = outcome.twin.truth(outcome.time_ns)
    ratio = outcome.phasors / truth.phasors
    time_us = np.angle(ratio[:, 0]) / (2 * np.pi * truth.frequency_hz) * 1e6
    return 100 * np.abs(ratio - 1).max(axis=1), time_us, 1e3 * (outcome.frequency_hz - truth.frequency_hz)


def assert_on_grid(outcome, rate):
    """Every stamp on k/rate, none missing, none twice."""
    base = outcome.frames[0].config.time_base
    ticks = [f.soc * rate + round(f.fracsec * rate / base) for f in outcome.frames]
    assert ticks == list(range(ticks[0], ticks[0] + len(ticks)))
    for frame, tick in zip(outcome.frames, ticks, strict=True):
        assert frame.fracsec == round((tick % rate) * base / rate)


def assert_grid_with_one_hole(outcome, rate):
    """As above, but for one hole."""
    base = outcome.frames[0].config.time_base
    ticks = [f.soc * rate + round(f.fracsec * rate / base) for f in outcome.frames]
    steps = np.diff(ticks)
    assert (steps >= 1).all()
    assert np.count_nonzero(steps > 1) == 1


@pytest.mark.slow
@pytest.mark.parametrize("frequency_hz", ["59.9", "60", "60.1"])
def test_a_pdc_receives_what_the_outlet_did(frequency_hz):
    outcome = run_chain(26, source=f"nominal,frequency_hz={frequency_hz}", crystal=CRYSTAL)
    tve, time_us, fe_mhz = errors(outcome)
    assert len(outcome.good) > 20 * 60 - 60
    assert outcome.time_ns[0] - START_NS < 10 * NS_PER_S, "locked within ten seconds"
    assert tve.max() <= 0.1
    assert np.abs(time_us).max() < 1.0
    assert np.abs(fe_mhz).max() < 1.0
    assert outcome.status.drops == 0
    assert outcome.status.ring.samples >= 25 * 12_000
    assert_on_grid(outcome, 60)
    assert abs(outcome.status.time.ppm - 58.8) < 0.02


def test_p_class_at_50_hz():
    config = configuration(nominal_frequency_hz=50, performance_class="P", reporting_rate_per_s=50)
    outcome = run_chain(10, config, source="nominal,voltage_v=230,frequency_hz=50.05", crystal=CRYSTAL)
    tve, time_us, fe_mhz = errors(outcome)
    assert tve.max() <= 0.1
    assert np.abs(time_us).max() < 1.0
    assert np.abs(fe_mhz).max() < 5.0, "the limit of the standard: P class lets more noise through"
    assert_on_grid(outcome, 50)


def test_three_phases_and_their_positive_sequence():
    config = configuration(phases=3)
    outcome = run_chain(9, config, source="nominal,frequency_hz=59.95", crystal=CRYSTAL)
    assert outcome.phasors.shape[1] == 4
    truth = outcome.twin.truth(outcome.time_ns)
    measured = outcome.phasors[:, :3]
    assert 100 * np.abs(measured / truth.phasors - 1).max() <= 0.1
    assert np.abs(outcome.phasors[:, 3] / truth.phasors[:, 0] - 1).max() < 1e-3
    assert outcome.status.drops == 0


def test_a_stalled_reader_loses_what_the_ring_cannot_hold_and_no_more():
    faults = tuple(parse_faults("reader_stalled@8+0.5"))
    outcome = run_chain(11, source="nominal", crystal=CRYSTAL, faults=faults)
    ring = outcome.status.ring
    held = (0x3000 - 0x380) // (32 + 2 * BLOCK_SAMPLES) * BLOCK_SAMPLES
    stalled = 0.51 * 12_000
    assert ring.gaps == 1
    assert stalled - held <= ring.lost_samples <= stalled - held + 3 * BLOCK_SAMPLES
    assert_on_grid(outcome, 60)
    invalid = [f for f in outcome.frames if f.pmus[0].stat.data_error]
    assert invalid, "reports whose window has a hole are marked"
    assert all(np.isnan(f.pmus[0].frequency_hz) for f in invalid)
    tve, time_us, _ = errors(outcome)
    assert tve.max() <= 0.1, "and those that are not marked are right"
    assert np.abs(time_us).max() < 1.0


@pytest.mark.parametrize(("fault", "counter"), [("adc_overrun@8.3", "overruns"), ("tag_slip@8.3=1", "tag_slips")])
def test_faults_of_the_adc_are_counted_survived_and_marked(fault, counter):
    outcome = run_chain(12, source="nominal", crystal=CRYSTAL, faults=tuple(parse_faults(fault)))
    ring = outcome.status.ring
    assert getattr(ring, counter) == 1
    assert ring.lost_scans > 0
    assert_on_grid(outcome, 60)
    tve, time_us, _ = errors(outcome)
    assert tve.max() <= 0.1
    assert np.abs(time_us).max() < 1.0
    after = outcome.time_ns > START_NS + 9 * NS_PER_S
    assert np.count_nonzero(after) > 100, "good reports go on"


def test_a_converter_that_hangs_is_started_again():
    outcome = run_chain(16, source="nominal", crystal=CRYSTAL, faults=tuple(parse_faults("adc_stall@7.3=5")))
    assert outcome.status.pru_restarts == 1
    assert_grid_with_one_hole(outcome, 60)
    tve, time_us, _ = errors(outcome)
    assert tve.max() <= 0.1
    assert np.abs(time_us).max() < 1.0
    assert outcome.good[-1].time_ns > START_NS + 15 * NS_PER_S


def test_without_pps_the_stream_says_so():
    faults = tuple(parse_faults("gps_loss@7+30"))
    outcome = run_chain(26, source="nominal", crystal=CRYSTAL, faults=faults)
    late = [f for f in outcome.frames if f.time_ns > START_NS + 24 * NS_PER_S]
    assert late
    assert all(not f.pmus[0].stat.in_sync for f in late)
    assert all(f.time_quality.code not in (0, 15) for f in late)
    assert all(f.pmus[0].stat.unlocked_time == 1 for f in late)
    truth = outcome.twin.truth(np.array([f.time_ns for f in late]))
    bound_s = late[-1].time_quality.error_bound_s
    error_s = np.abs(np.angle([f.pmus[0].phasors[0] for f in late] / truth.phasors[:, 0])) / (2 * np.pi * 60)
    assert error_s.max() < bound_s


def test_the_same_seed_gives_the_same_stream():
    first = run_chain(6, source="grid", crystal=CRYSTAL, seed=5)
    second = run_chain(6, source="grid", crystal=CRYSTAL, seed=5)
    assert [f.encode() for f in first.frames] == [f.encode() for f in second.frames]
    assert first.frames


def test_cfg3_tells_class_window_and_delay():
    config = configuration(performance_class="P")
    outcome = run_chain(5, config, source="nominal")
    pmu = outcome.daemon.stream.pmus[0]
    assert pmu.service_class == "P"
    assert 40_000 < pmu.window_us < 80_000
    assert 20_000 < pmu.group_delay_us < 33_333, "within the latency that P class allows at 60/s"
