"""The map between cycles and true time: exact, both ways, for long."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpmu.errors import InputError
from rpmu.twin.crystal import SEGMENT_CYCLES, Crystal, CrystalSettings

START_NS = 1_700_000_000_000_000_000


@pytest.mark.parametrize("ppm", [0.0, 58.8, -100.0])
def test_constant_offset_is_exact(ppm):
    crystal = Crystal(START_NS, CrystalSettings(ppm=ppm))
    for cycle in (0, 1, 12_345_678, 3600 * 200_000_000 + 7):
        ns, fraction = crystal.utc(cycle)
        exact = Fraction(5 * cycle) / (1 + Fraction(ppm) / 10**6)
        assert abs(ns - START_NS + Fraction(fraction) - exact) < Fraction(1, 10)  # below 0.1 ns after an hour


@settings(max_examples=100, deadline=None)
@given(st.integers(-SEGMENT_CYCLES, 400_000_000_000))
def test_there_and_back(cycle):
    crystal = WANDERING
    ns, fraction = crystal.utc(cycle)
    assert 0 <= fraction < 1
    assert crystal.cycle_at(ns, fraction) == pytest.approx(cycle, abs=0.002)


WANDERING = Crystal(
    START_NS,
    CrystalSettings(ppm=20, drift_ppb_per_s=0.05, temperature_ppb=100, temperature_period_s=300, walk_ppb_per_rts=1.0),
    seed=5,
)


def test_time_is_continuous_over_segments():
    for segment in (1, 2, 77):
        end = segment * SEGMENT_CYCLES
        (before, f0), (after, f1) = WANDERING.utc(end - 1), WANDERING.utc(end)
        assert after - before + f1 - f0 == pytest.approx(5.0, abs=0.002)


def test_drift_temperature_and_steps():
    crystal = Crystal(0, CrystalSettings(ppm=1, drift_ppb_per_s=2, temperature_ppb=10, temperature_period_s=40))
    crystal.add_step(5.0, 3.0)
    assert crystal.offset(0) == pytest.approx(1e-6)
    assert crystal.offset(49) == pytest.approx(1e-6 + 2e-9 * 4.9 + 10e-9 * np.sin(2 * np.pi * 4.9 / 40))
    assert crystal.offset(100) == pytest.approx(4e-6 + 20e-9 + 10e-9 * np.sin(2 * np.pi / 4))
    assert crystal.ns_per_cycle(100) == pytest.approx(5 / (1 + crystal.offset(100)), rel=1e-11)


def test_walk_spreads_with_the_root_of_time():
    ends = []
    for seed in range(60):
        crystal = Crystal(0, CrystalSettings(walk_ppb_per_rts=1.0), seed)
        ends.append((5 / crystal.ns_per_cycle(1000) - 1) * 1e9)  # after 100 s: 10 ppb
    assert np.std(ends) == pytest.approx(10, rel=0.35)


def test_same_seed_same_crystal():
    a, b = (Crystal(0, CrystalSettings(walk_ppb_per_rts=1.0), 9) for _ in range(2))
    assert a.cycle_at(10**10) == b.cycle_at(10**10)


def test_impossible_crystal():
    with pytest.raises(InputError, match="must lie within 1000 ppm"):
        CrystalSettings(ppm=float("nan"))
