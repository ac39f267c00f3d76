"""The level of the inputs: right for known blocks, and forgetful."""

from __future__ import annotations

import numpy as np
import pytest

from rpmu.input_level import InputLevel, InputStatus
from tests.e2e.rig import run_chain

SPAN = 500


def fed(*blocks):
    level = InputLevel(0.5, SPAN)
    for low, high, samples in blocks:
        level.feed(np.array([low, high] * (samples // 2), np.uint16).T)
    return level.status(clipped=False)


def test_nothing_before_the_first_block():
    assert fed() == InputStatus((), (), False)


def test_extremes_of_every_channel_in_counts():
    status = fed(([100, 7], [300, 9], 64), ([120, 2], [310, 8], 64))
    assert status.lowest_counts == (50.0, 1.0)
    assert status.highest_counts == (155.0, 4.5)


def test_an_old_peak_is_forgotten_within_a_second_or_so_but_not_before_half_of_one():
    peak, calm = ([0], [8000], 100), ([900], [1100], 100)
    assert fed(peak, *[calm] * 5).highest_counts == (4000.0,)
    assert fed(peak, *[calm] * 11).highest_counts == (550.0,)


def test_the_daemon_shows_the_swing_of_the_mains():
    level = run_chain(2, source="nominal").status.input
    (low,), (high,) = level.lowest_counts, level.highest_counts
    assert 0 < low < 1500
    assert 2500 < high < 4095
    assert (low + high) / 2 == pytest.approx(2048, abs=150)
    assert not level.clipped
