"""The scatter of the edges against its definition."""

from __future__ import annotations

import math
from statistics import fmean, median

import numpy as np
import pytest

from rpmu.timing.jitter import CUT, CUT_LOSS, MEDIAN_OF_CHI2, RECENT, WINDOW, WORSE, JitterEstimate
from rpmu.timing.start import Candidate

SCAN_NS = 1e9 / 60_000


def variance(squares):
    cut = CUT * median(squares) / MEDIAN_OF_CHI2
    return fmean(min(square, cut) for square in squares) / CUT_LOSS


@pytest.mark.parametrize("count", [20, 21, 100, 400])
def test_it_is_the_cut_mean_square_of_the_latest_third_differences(count):
    rng, jitter = np.random.default_rng(3), JitterEstimate()
    errors = rng.normal(0.0, 30.0, count) * np.where(rng.uniform(size=count) < 0.03, 50.0, 1.0)
    for second, error in enumerate(errors):
        jitter.learn(Candidate(60_000 * second, error / SCAN_NS, 5.0), SCAN_NS)
    squares = (np.diff(errors, 3) ** 2 / 20).tolist()[-WINDOW:]
    n = len(squares)
    best = max(variance(squares), variance(squares[-RECENT:]) / WORSE)
    assert jitter.sigma_ns == pytest.approx(math.sqrt(best * (1 + 12 / n + 250 / n**2)), rel=1e-6)
    assert jitter.count == count - 3
