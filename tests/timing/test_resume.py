"""The acquisition starts anew while the clock runs: the counter carries it over, and every claim stays true."""

from __future__ import annotations

import numpy as np
import pytest

from rpmu.acquire.blocks import AcquisitionInfo
from rpmu.timing import LeapSchedule, LockState, TimeKeeper, TimingSettings
from rpmu.timing.leap import DAY_S, LeapSecond
from tests.timing.simulator import INFO, START, World, changed, dishonest, run

LOCKED_S = 12


def runs(*begins):
    """New runs at so many seconds, with pauses, s, and scans of so many ADC clocks."""
    at = {int(begin): (begin % 1, pause, clocks) for begin, pause, clocks in begins}
    return at.get


def normal(record):
    """Error over sigma of every look."""
    return record.error_ns / record.sigma_ns


def assert_honest(record, most_sigmas=4.0):
    assert len(dishonest(record)) == 0
    assert np.nanmax(np.abs(normal(record))) < most_sigmas


@pytest.mark.parametrize("clocks", [50, 80, 100, 200])
@pytest.mark.parametrize("ppm", [58.8, -20.0])
def test_the_lock_is_kept_and_the_time_is_as_right_as_before(clocks, ppm):
    world = World(60, ppm=lambda _: ppm, new_run=runs((20.3, 0.11, clocks), (40.7, 0.06, 50)))
    record = run(world, looks=20)
    later = record.t > LOCKED_S
    assert all(state is LockState.LOCKED for state, after in zip(record.state, later, strict=True) if after)
    assert_honest(record)
    assert np.abs(record.error_ns[later]).max() < 250
    settled = record.between(30, 40) | record.between(50, 60)
    assert np.sqrt(np.mean(record.error_ns[settled] ** 2)) < 30
    counters = record.keeper.status.counters
    assert (counters.carried, counters.resyncs, counters.rejected, counters.bad) == (2, 0, 0, 0)
    assert counters.nmea_good["RMC"] == 60, "also those that came before the new run's first scan"
    assert record.unlocked_time[later].max() == 0
    assert abs(record.keeper.status.ppm - ppm) < 0.1


@pytest.mark.parametrize("begin", [19.85, 19.9, 19.95, 19.999, 20.0, 20.001])
def test_a_pause_around_an_edge_costs_that_edge_and_nothing_else(begin):
    record = run(World(40, new_run=runs((begin, 0.12, 80))), looks=20)
    assert_honest(record)
    assert all(state is LockState.LOCKED for state, t in zip(record.state, record.t, strict=True) if t > LOCKED_S)
    counters = record.keeper.status.counters
    assert counters.missing == (begin <= 20.0005 < begin + 0.12)
    assert counters.rejected == counters.bad == 0


def test_many_new_runs_without_a_pps_neither_drift_nor_lie():
    """The errors of thirty hand-overs add up like chance, and sigma says so."""
    ends, claims, plain = [], [], []
    for seed in range(12):
        world = World(100, pps=lambda k: k < 30, seed=seed)
        begins = [(30.3 + 2 * i, 0.1, (50, 80, 100)[i % 3]) for i in range(30)]
        record = run(changed(world, new_run=runs(*begins)), looks=8)
        without = run(world, looks=8)
        assert_honest(record)
        ends.append(record.error_ns[-1] - without.error_ns[-1])
        claims.append(record.sigma_ns[-1])
        plain.append(without.sigma_ns[-1])
        assert record.state[-1] == without.state[-1] == LockState.HOLDOVER
    spread = np.std(ends)
    assert abs(np.mean(ends)) < 4 * spread / np.sqrt(len(ends)) + 60, "2 ns a run at most, of one sign"
    added = np.sqrt(np.mean(np.square(claims)) - np.mean(np.square(plain)))
    assert spread < added < 40 * np.sqrt(30), "16 readings leave a quarter of their spread open"


def test_new_runs_every_other_second_leave_the_lock_alone():
    begins = [(20.3 + 2 * i, 0.1, (80, 50)[i % 2]) for i in range(30)]
    record = run(World(90, new_run=runs(*begins)), looks=8)
    assert_honest(record)
    assert all(state is LockState.LOCKED for state, t in zip(record.state, record.t, strict=True) if t > LOCKED_S)
    assert np.sqrt(np.mean(record.error_ns[record.t > 20] ** 2)) < 80
    assert record.keeper.status.counters.carried == 30


SILENCES = {
    "no pulse": {"pps": lambda k: not 25 <= k < 50},
    "no sentence": {"nmea": lambda k: not 25 <= k < 50},
    "no fix": {"fix": lambda k: not 25 <= k < 50},
}


@pytest.mark.parametrize("name", SILENCES)
def test_in_holdover_it_goes_on_as_without_a_new_run(name):
    world = World(70, **SILENCES[name])
    record = run(changed(world, new_run=runs((40.3, 0.1, 80))), looks=4)
    without = run(world, looks=4)
    assert_honest(record)
    assert LockState.HOLDOVER in record.state
    seen = {t: said for t, *said in zip(record.t, record.state, record.unlocked_time, strict=True)}
    for t, *said in zip(without.t, without.state, without.unlocked_time, strict=True):
        assert seen.get(t, said) == said
    after = record.t > 41
    assert np.all(record.sigma_ns[after] < 1.5 * without.sigma_ns[-after.sum() :] + 100)


def test_a_receiver_that_started_cold_is_trusted_no_sooner_and_no_later():
    world = World(800, dated=lambda _: False, fix=lambda k: k > 5)
    record = run(changed(world, new_run=runs((300.3, 0.1, 200), (500.4, 0.1, 50))), looks=2)
    without = run(world, looks=2)
    assert record.first_lock() == pytest.approx(without.first_lock(), abs=1.0)
    assert record.first_lock() > 700


def test_a_pps_between_two_samples_stays_as_narrow_as_it_was():
    """Without an RC an edge is an interval; those before the new run still bound the line."""
    world = World(140, tau_scans=lambda _: 0.0, ppm=lambda _: 31.37)
    record = run(changed(world, new_run=runs((120.3, 0.1, 80))), looks=10)
    assert_honest(record)
    before, after = record.sigma_ns[record.between(115, 120)].max(), record.sigma_ns[record.between(120.5, 140)].max()
    assert after < 1.5 * before + 150


def test_the_pin_goes_on_too():
    world = World(60, pin_ticks=4.0, new_run=runs((30.3, 0.1, 80)))
    record = run(world, TimingSettings(pps_input="pin"), looks=10)
    assert_honest(record)
    assert all(state is LockState.LOCKED for state, t in zip(record.state, record.t, strict=True) if t > LOCKED_S)


def test_leap_seconds_that_are_known_and_counted_stay_so():
    midnight = (START // DAY_S + 1) * DAY_S
    start = midnight - 20

    def utc(k):
        return (start + k, 0) if k < 20 else (midnight, 1) if k == 20 else (start + k - 1, 0)

    leaps = LeapSchedule((LeapSecond(midnight, 1),), expires=midnight + 100 * DAY_S)
    world = World(60, start=start, leap_utc=utc, new_run=runs((15.3, 0.1, 80), (20.4, 0.1, 50), (30.3, 0.1, 80)))
    record = run(world, leaps=leaps, looks=4)
    assert not record.soc_error[record.t > LOCKED_S].any()
    assert all(state is LockState.LOCKED for state, t in zip(record.state, record.t, strict=True) if t > LOCKED_S)


@pytest.mark.parametrize("seed", range(12))
def test_whatever_the_moment_and_the_scans(seed):
    rng = np.random.default_rng(seed)
    begins, at = [], 14.0
    while at < 55:
        begins.append((at, rng.uniform(0.02, 1.4), int(rng.choice([40, 50, 80, 100, 125, 200]))))
        at += rng.uniform(2.5, 12)
    dead, mute, ppm = rng.uniform(15, 50), rng.uniform(0, 60), rng.uniform(-90, 90)
    world = World(
        70,
        seed=seed,
        ppm=lambda k: ppm + 0.0003 * k,
        jitter_ns=rng.uniform(5, 150),
        first_scan=rng.uniform(1, 1e5),
        pps=lambda k: not dead <= k < dead + 6,
        nmea=lambda k: not mute <= k < mute + 5,
        new_run=runs(*begins),
    )
    record = run(world, looks=10)
    assert len(dishonest(record)) == 0
    assert record.keeper.status.counters.carried == len(begins)
    assert record.keeper.status.counters.resyncs == 0


def test_without_any_scan_there_is_nothing_to_go_on_with():
    assert not TimeKeeper(INFO).resume(AcquisitionInfo(3, 7, 100, 5, 3, 0, (75, 50, 25), "1.0"))
