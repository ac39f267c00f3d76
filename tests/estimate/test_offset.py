"""The tracked mid-scale and what it says of its own uncertainty."""

from __future__ import annotations

import numpy as np
import pytest

from rpmu.estimate.offset import OffsetTracker

RATE = 100


def feed(tracker, means, rng, noise=0.0, split=37):
    samples = np.concatenate([m + noise * rng.standard_normal((RATE, 2)) for m in means])
    codes = np.rint(64 * samples).astype(np.int64)
    for start in range(0, len(codes), split):
        tracker.learn(codes[start : start + split])


def test_each_channel_starts_where_it_is_told():
    tracker = OffsetTracker(2, RATE, (100.0, 200.0))
    assert tracker.offset[:, 0].tolist() == [100.0, 200.0]
    assert np.isinf(tracker.u_offset).all()
    assert OffsetTracker(2, RATE, 50.0).offset[:, 0].tolist() == [50.0, 50.0]


def test_one_second_does_not_say_how_good_it_is():
    tracker = OffsetTracker(2, RATE)
    feed(tracker, [1000.0], np.random.default_rng(0))
    assert tracker.offset[:, 0] == pytest.approx(64_000.0)
    assert np.isinf(tracker.u_offset).all()


@pytest.mark.parametrize("seconds", [3, 16, 60])
def test_the_stated_uncertainty_is_true(seconds):
    """Seconds that differ by noise: the mean lies within k = 2 in about 95 of 100 cases (Student's t for the few)."""
    rng, within = np.random.default_rng(seconds), []
    for _ in range(200):
        tracker = OffsetTracker(2, RATE)
        feed(tracker, 1000.0 + rng.standard_normal(seconds), rng, split=RATE)
        within.append(abs(tracker.offset[0, 0] / 64 - 1000.0) <= tracker.u_offset[0, 0] / 64)
    assert (0.75 if seconds == 3 else 0.90) <= np.mean(within) <= 0.99
