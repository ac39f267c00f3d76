"""The bound on the noise of a ROCOF filter: it is one, it is reached, and ours are near it."""

import numpy as np
import pytest

from rpmu.estimate.mask import build_mask
from rpmu.estimate.plan import Plan
from tests.conformance.bounds import bounds, least_gain, rocof_noise
from tests.conformance.chain import CHAINS
from tests.conformance.limits import Task
from tests.conformance.runner import Setup
from tests.conformance.signals import tone

CASES = [Task(60, "P", 60), Task(60, "P", 120), Task(60, "M", 60), Task(60, "M", 120)]


@pytest.mark.parametrize("task", CASES, ids=lambda task: task.name)
def test_our_filters_are_within_a_third_of_the_quietest(task):
    ours, least, _ = bounds(task)
    assert least[0] <= ours < 1.34 * least[0]
    assert least == sorted(least, reverse=True), "a looser pass band never costs noise"


def test_the_quietest_filter_lies_within_the_mask():
    plan = Plan(60, "M", 60, 12_000.0)
    gain, used = least_gain(plan, build_mask(plan))
    assert used == pytest.approx(1, abs=1e-6)
    assert gain > 0


def test_the_formula_is_what_the_estimator_does():
    task = Task(60, "M", 60)
    ours, _, _ = bounds(task)
    errors = Setup(task, CHAINS["adc-10"]).errors(tone(60, 60), (0.0, 20.0))
    assert np.sqrt(np.mean(errors.rfe**2)) == pytest.approx(ours, rel=0.15)
    assert rocof_noise(2.0, 1000.0, 12.0) == pytest.approx(2 * rocof_noise(1.0, 1000.0, 12.0))
