"""Time from the host clock: what chronyd says, and codes that follow it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from rpmu.acquire.blocks import SampleBlock
from rpmu.errors import InputError
from rpmu.timing import (
    KnownTime,
    LeapSchedule,
    LeapSecond,
    LockState,
    SystemTimeKeeper,
    TimeKeeper,
    TimeMap,
    TimeSource,
    TimingSettings,
    parse_tracking,
)
from tests.timing.simulator import INFO, NO_CODES, RATE, START

# Made by hand in the format of `chronyc -c tracking`.
NTP = "C0A80001,ntp.example,3,1780315200.12,-0.000012345,0.000001,0.00002,-12.345,0.001,0.05,0.012,0.0015,64.2,Normal"
PTP = "50485030,PHC0,1,1780315200.5,0.00000012,0.00000002,0.00000005,8.1,0.0001,0.01,0.000000001,0.0000012,1.0,Normal"


def test_bound_is_offset_plus_dispersion_plus_half_the_delay():
    tracking = parse_tracking(NTP + "\n")
    assert tracking.synchronised
    assert tracking.reference == "ntp.example"
    assert tracking.bound_ns == pytest.approx(12_345 + 1_500_000 + 6_000_000)
    assert parse_tracking(NTP.replace("Normal", "Insert second")).leap_step == 1
    assert parse_tracking(NTP.replace("Normal", "Delete second")).leap_step == -1


@pytest.mark.parametrize("text", [NTP.replace("Normal", "Not synchronised"), NTP.replace(",3,", ",0,")])
def test_unsynchronised_is_no_bound(text):
    assert parse_tracking(text).bound_ns == math.inf


@pytest.mark.parametrize("text", ["", "506 Cannot talk to daemon", NTP + ",more", NTP.replace("0.012,", "x,")])
def test_other_text_is_refused(text):
    with pytest.raises(InputError, match="chrony"):
        parse_tracking(text)


def run(
    text,
    seconds=120,
    ppm=58.8,
    host_error_ns=0.0,
    reading_ns=20_000,
    tracked=lambda k: True,
    read=lambda k: True,
    seed=1,
    restart=None,
):
    keeper = SystemTimeKeeper(INFO)
    rng = np.random.default_rng(seed)
    rows = []
    for k in range(seconds):
        for part in range(4):
            t = k + part / 4 + 0.1
            position = 1000.3 + t * RATE * (1 + ppm * 1e-6)
            moved = 4_000 if restart is not None and t > restart else 0  # scans that were lost by a restart of the ADC
            scan = int(position) - moved
            keeper.feed_block(SampleBlock(scan, NO_CODES, 1 + bool(moved), int((scan + moved) * 10_000 / 3)))
            true_ns = START * 10**9 + round((scan + moved - 1000.3) / (RATE * (1 + ppm * 1e-6)) * 1e9)
            if keeper.map is not None:
                rows.append((t, keeper.map.utc_ns_at(scan) - true_ns, keeper.status.bound_ns, keeper.status.state))
        now_ns = START * 10**9 + round(t * 1e9) + round(host_error_ns)
        before = now_ns - round(rng.uniform(0, reading_ns))
        after = now_ns + round(rng.uniform(0, reading_ns))
        if read(k):
            keeper.feed_reading(before, scan, after)
        if tracked(k):
            keeper.feed_tracking(parse_tracking(text), scan)
    return keeper, rows


def test_ntp_is_usable_but_never_called_locked():
    keeper, rows = run(NTP, host_error_ns=2e6)
    assert keeper.status.state in (LockState.ACQUIRING, LockState.UNLOCKED)
    assert keeper.status.codes.msg_tq == 8  # within 10 ms
    assert keeper.status.codes.pmu_tq == 6
    assert all(abs(error) <= bound for _, error, bound, _ in rows[8:])
    assert abs(keeper.status.ppm - 58.8) < 0.5


def test_ptp_locks_with_the_bound_that_chrony_gives():
    keeper, rows = run(PTP, host_error_ns=500.0, reading_ns=2_000)
    assert keeper.status.state is LockState.LOCKED
    assert max(abs(error) for t, error, _, _ in rows if t > 30) < 12_000
    assert all(abs(error) <= bound for t, error, bound, _ in rows if t > 10)
    assert keeper.report_time(START * 10**9).codes.in_sync


def test_chronyd_that_falls_silent_is_not_trusted_for_ever():
    keeper, _ = run(PTP, seconds=200, reading_ns=2_000, tracked=lambda k: k < 20)
    assert keeper.status.state is LockState.HOLDOVER
    assert "silent" in keeper.status.reason


@pytest.mark.parametrize("last", [3, 10, 60])
def test_readings_that_stop_leave_a_bound_that_grows(last):
    """After a few readings the frequency is known to no better than their width over the time between them."""
    for seed in range(20):
        _, rows = run(PTP, seconds=last + 60, read=lambda k: k < last, seed=seed)
        assert all(abs(error) <= bound for t, error, bound, state in rows if t > last)


def test_a_restart_of_the_adc_is_bridged():
    _, rows = run(PTP, reading_ns=2_000, restart=60)
    assert max(abs(error) for t, error, _, _ in rows if t > 20) < 12_000


def test_readings_about_a_leap_second_are_left_out():
    """A host clock repeats 23:59:59: the line runs on, and SOC shows the leap second."""
    midnight = 1_782_864_000
    keeper = SystemTimeKeeper(INFO, leaps=LeapSchedule((LeapSecond(midnight, 1),)))
    for k in range(60):
        true_ns = (midnight - 30 + k) * 10**9
        host_ns = true_ns - (10**9 if k > 30 else 0)
        keeper.feed_reading(host_ns, round(k * RATE), host_ns + 10_000)
        keeper.feed_tracking(parse_tracking(PTP), round(k * RATE))
        assert k < 2 or abs(keeper.map.utc_ns_at(round(k * RATE)) - true_ns) < 20_000
    assert keeper.status.counters.resyncs == 0
    assert keeper.report_time(true_ns).soc == host_ns // 10**9


def test_without_chronyd_nothing_is_claimed():
    keeper, _ = run(PTP, tracked=lambda k: False)
    assert not keeper.status.locked
    assert keeper.status.codes.msg_tq == 0xF


def test_all_sources_have_one_interface():
    sources: list[TimeSource] = [
        TimeKeeper(INFO),
        SystemTimeKeeper(INFO, TimingSettings()),
        KnownTime(TimeMap(0, 0, 1e9)),
    ]
    for source in sources:
        source.feed_nmea(b"", 0)
        source.feed_block(SampleBlock(1000, NO_CODES, 1, 0))
        assert source.status.reason
        assert source.report_time(START * 10**9).soc == START
    assert [source.map is None for source in sources] == [True, True, False]


def test_a_new_run_of_the_acquisition_goes_on_with_the_hosts_time():
    """Scans of 80 ADC clocks instead of 50; a reading before the new run's first scan has a place does not count."""
    after = replace(INFO, scan_adc_clocks=80)
    keeper, rows = SystemTimeKeeper(INFO), []
    keeper.feed_tracking(parse_tracking(PTP), 0)
    assert not SystemTimeKeeper(INFO).resume(after)
    for k in range(120):
        info, epoch, origin_s = (INFO, 1, 0.0) if k < 60 else (after, 2, 59.7)
        if k == 60:
            assert keeper.resume(after)
            keeper.feed_reading(START * 10**9, 0, START * 10**9 + 20_000)
        ticks = info.counter_ticks_per_scan
        true_hz = float(info.scan_rate_hz) * (1 + 58.8e-6)
        scan = int((k + 0.1 - origin_s) * true_hz)
        true_ns = START * 10**9 + round((origin_s + scan / true_hz) * 1e9)
        counter = round(origin_s * 200e6 * (1 + 58.8e-6)) + int(scan * ticks)
        keeper.feed_block(SampleBlock(scan, NO_CODES, epoch, counter))
        read_ns = START * 10**9 + round((k + 0.1) * 1e9)
        keeper.feed_reading(read_ns - 10_000, scan, read_ns + 10_000)
        if keeper.map is not None:
            rows.append((k, keeper.map.utc_ns_at(scan) - true_ns, keeper.status.bound_ns, keeper.status.state))
    k, error, bound, states = zip(*rows, strict=True)
    assert len(k) == 119, "a map at every look from the second reading on"
    assert np.all(np.abs(error) < np.array(bound))
    first = states.index(LockState.LOCKED)
    assert first < 50
    assert set(states[first:]) == {LockState.LOCKED}
    assert np.array(bound)[62:].max() < 1.2 * np.array(bound)[40:58].max() + 500
    assert keeper.status.counters.carried == 1
    assert keeper.status.ppm == pytest.approx(58.8, abs=0.3)
