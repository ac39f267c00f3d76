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
        tracker.learn(codes[start : start + split].T)


def test_each_channel_starts_where_it_is_told():
    tracker = OffsetTracker(2, RATE, (100.0, 200.0))
    assert tracker.offset[:, 0].tolist() == [100.0, 200.0]
    assert np.isinf(tracker.u_offset).all()
    assert OffsetTracker(2, RATE, 50.0).offset[:, 0].tolist() == [50.0, 50.0]


@pytest.mark.parametrize("split", [1, 7, 37, 100, 350])
def test_any_split_of_the_samples_gives_the_same_mean(split):
    whole, parts = OffsetTracker(2, RATE), OffsetTracker(2, RATE)
    codes = np.random.default_rng(1).integers(0, 1 << 16, (5 * RATE, 2)).astype(np.uint16)
    whole.learn(codes.T)
    for start in range(0, len(codes), split):
        parts.learn(codes[start : start + split].T)
    np.testing.assert_allclose(parts.offset, whole.offset, rtol=1e-15)
    assert whole.offset[:, 0] == pytest.approx(codes.mean(axis=0))


def test_a_second_with_missing_samples_does_not_count():
    tracker = OffsetTracker(1, RATE, 5.0)
    for _ in range(9):
        tracker.learn(np.full((1, 30), 7, np.uint16))
        tracker.learn(np.full((1, 60), 7, np.uint16))
        tracker.restart()
    assert tracker.offset[0, 0] == 5.0


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


def test_another_run_goes_on_with_the_channels_that_it_has():
    rng = np.random.default_rng(2)
    before = OffsetTracker(2, RATE)
    feed(before, rng.standard_normal(9) + 1000.0, rng)
    after = OffsetTracker(3, 2 * RATE, 7.0)
    after.follow(before, (1, None, 5), 0.5)
    assert after.offset[:, 0].tolist() == [before.offset[1, 0] / 2, 7.0, 7.0]
    assert after.u_offset[:, 0].tolist() == [before.u_offset[1, 0] / 2, np.inf, np.inf]
    after.learn(np.full((3, 2 * RATE), 100, np.uint16))
    assert after.offset[0, 0] == pytest.approx(0.9 * before.offset[1, 0] / 2 + 0.1 * 100), "the tenth second of ten"
    assert after.offset[1:, 0].tolist() == [100.0, 100.0], "the first of all"
    assert np.isfinite(after.u_offset[0, 0])
    assert np.isinf(after.u_offset[1:, 0]).all()
