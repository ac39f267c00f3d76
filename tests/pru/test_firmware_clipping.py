"""Scans in which an input has left its range are counted, each once, ahead of any sample that they touch."""

from __future__ import annotations

import numpy as np
import pytest

from tests.pru.firmware_rig import Rig, Setup
from tests.pru.test_firmware_samples import NOISY, raw_codes

LOOKS_S = (0.00002, 0.0000001)  # a quarter of a sample; 20 instructions
DELAYS = ((2, 8), (2, 8))  # as raw_codes has them for one channel


def outside(raw, lowest, highest):
    return (raw < lowest) | (raw > highest)


def clipped_after(seconds, setup):
    rig = Rig().start(setup)
    rig.run(seconds)
    return rig.status("CLIPPED")


@pytest.mark.parametrize("look_s", LOOKS_S)
def test_every_scan_outside_counts_and_is_counted_ahead_of_its_samples(look_s):
    """Noise takes single scans over the limits; every look finds all of those counted that the counted samples hold."""
    scans, raw = raw_codes(1, 0.12)
    lowest, highest = (int(value) for value in np.percentile(raw, (2, 98)))
    counted_by = np.cumsum(outside(raw[:, 0], lowest, highest))  # up to scan scans[0] + i
    rig = Rig(Setup(delays=DELAYS, watched=1, range=(lowest, highest)), adc=NOISY).start()
    looks = []
    for _ in range(5000 if look_s == LOOKS_S[0] else 100_000):
        rig.run(look_s)
        samples, newest, clipped = (rig.status(name) for name in ("SAMPLES_WRITTEN", "SCANS", "CLIPPED"))
        looks.append((rig.setup.decimation * (samples + 2), newest, clipped))  # the first sample has scan 15
    sampled, newest, clipped = np.array([look for look in looks if look[0] > scans[0]]).T
    before = int(clipped[0]) - int(counted_by[newest[0] - scans[0]])
    assert (clipped - before >= counted_by[sampled - scans[0]]).all()
    assert (clipped - before <= counted_by[newest - scans[0]]).all()
    assert clipped[-1] - clipped[0] > 10
    single = np.diff(np.flatnonzero(outside(raw[:, 0], lowest, highest))) > 1
    assert single.mean() > 0.2, "among them are single ones"


def test_either_end_is_watched():
    """AIN0 swings from 1138 to 2958."""
    assert clipped_after(0.05, Setup(watched=1, range=(1100, 3000))) == 0
    low, high = (clipped_after(0.05, Setup(watched=1, range=limits)) for limits in ((1300, 4095), (0, 2800)))
    both = clipped_after(0.05, Setup(watched=1, range=(1300, 2800)))
    assert low > 100
    assert high > 100
    assert abs(low + high - both) <= 2, "runs begin at slightly other phases"
    assert clipped_after(0.05, Setup(watched=1, range=(4095, 4095))) > 2900, "all of them"


def test_only_the_first_channels_are_watched():
    """Of the sines on AIN0 to AIN2 the last is the largest: 910, 1024 and 1138 counts."""
    limits = 2048 - 1080, 2048 + 1080
    assert [clipped_after(0.05, Setup(3, watched=watched, range=limits)) > 0 for watched in (0, 1, 2, 3)] == [
        False,
        False,
        False,
        True,
    ]


def test_a_scan_with_two_channels_outside_counts_once():
    rig = Rig().start(Setup(3, watched=3, range=(4095, 4095)))
    rig.run(0.05)
    assert rig.status("CLIPPED") == rig.status("SCANS")


def test_a_start_begins_to_count_anew():
    rig = Rig().start(Setup(watched=1, range=(4095, 4095)))
    rig.run(0.01)
    assert rig.status("CLIPPED") > 500
    rig.start(Setup(watched=1, range=(0, 4095))).run(0.01)
    assert rig.status("CLIPPED") == 0
