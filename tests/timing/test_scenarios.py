"""Numbered scenarios: a simulated crystal, PPS and receiver, judged by limits on error, sigma, state and codes.

Every scenario, whatever it limits besides, must pass the one assertion that matters: at no look is the time error
outside what the codes claim.
"""

from __future__ import annotations

import numpy as np

from rpmu.timing import LockState
from tests.timing.simulator import Record, World, dishonest, run


def judged(world: World, **options) -> Record:
    record = run(world, **options)
    lies = dishonest(record)
    assert lies.size == 0, [
        (record.t[i], record.error_ns[i], record.msg_tq[i], record.pmu_tq[i], record.reasons[i]) for i in lies[:5]
    ]
    return record


def rms(values) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def test_101_calm_lock():
    record = judged(World(seconds=300))
    assert record.first_lock() < 10
    assert rms(record.lock_errors()) < 50
    assert np.abs(record.lock_errors()).max() < 200
    assert record.keeper.status.counters.accepted >= 295
    assert abs(record.keeper.status.ppm - 58.8) < 0.02


def test_301_one_pps_missing_stays_locked():
    record = judged(World(seconds=60, pps=lambda k: k != 30))
    assert record.in_sync[record.between(10, 60)].all()
    assert record.keeper.status.counters.missing == 1


def test_303_pps_missing_for_100_s():
    record = judged(World(seconds=200, pps=lambda k: not 30 <= k < 130))
    assert all(state is LockState.HOLDOVER for state, t in zip(record.state, record.t, strict=True) if 33 < t < 129)
    assert record.in_sync[record.between(133, 200)].all()


def test_501_adc_restart_moves_the_sampling_instants():
    record = judged(World(seconds=100, restart_ticks=lambda k: 1234.5 if k == 50 else 0))
    assert record.keeper.status.counters.epochs == 1
    assert np.abs(record.lock_errors()).max() < 500
