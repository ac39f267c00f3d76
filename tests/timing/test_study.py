"""A minute of every case of the study: the limits of the locked clock, through either input, on any crystal."""

from __future__ import annotations

import pytest

from tests.timing.study import CASES, measure, misses


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.pps_input}, {case.crystal}")
def test_locked_clock_is_good_and_knows_how_good(case):
    assert not misses(case, measure(case, 60.0))
