"""P class at 100 and 120 reports/s behind the 100 Hz front end: a ROCOF filter of its own makes it pass the noise."""

from dataclasses import replace

import numpy as np
import pytest

from rpmu.estimate import bank
from rpmu.estimate.alternatives import build_kernel
from tests.conformance import signals
from tests.conformance.chain import CHAINS, THESIS_FRONT_END
from tests.conformance.limits import Task, steady_limits
from tests.conformance.runner import Setup, run_steady

TASKS = [Task(60, "P", 120), Task(50, "P", 100)]


@pytest.fixture(autouse=True)
def _fresh_kernels():
    build_kernel.cache_clear()
    yield
    build_kernel.cache_clear()


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_every_limit_is_met_behind_the_converter(task):
    results = run_steady(Setup(task, CHAINS["100hz-adc"]), thin=True)
    assert {r.metric for r in results} == {"TVE", "FE", "RFE"}
    assert min(r.margin for r in results) > 1.2, "the aim at 120/s"


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_the_equaliser_and_the_filter_one_after_the_other_are_twice_as_noisy(monkeypatch, task):
    def noise():
        build_kernel.cache_clear()
        errors = Setup(task, CHAINS["100hz-adc"]).errors(signals.tone(task.nominal_hz, task.nominal_hz), (0.0, 4.0))
        return np.sqrt(np.mean(errors.rfe**2))

    tailored = noise()
    monkeypatch.setattr(bank, "TAILORED_FROM_RATE", 999)
    assert noise() > 1.8 * tailored


@pytest.mark.parametrize("factor", [0.95, 1.05])
@pytest.mark.parametrize("name", ["f0_hz", "q"])
def test_it_is_made_for_the_front_end_that_a_certificate_names(name, factor):
    """Parts of 5 %, known exactly: no worse than nominal ones."""
    own = replace(THESIS_FRONT_END, **{name: factor * getattr(THESIS_FRONT_END, name)})
    setup = Setup(TASKS[0], replace(CHAINS["100hz"], front_end=own))
    waves = {
        "frequency": signals.tone(60, 62.0),
        "PM": signals.modulated(60, 2.0, ka=0.1),
        "ramp": signals.ramp(60, 2.0, 1.0, 0.0),
    }
    for test, signal in waves.items():
        errors = setup.errors(signal, (0.2, 1.0))
        tve, fe, rfe = steady_limits(TASKS[0], test)
        assert errors.tve.max() < tve / 10
        assert errors.fe.max() < fe / 10
        assert errors.rfe.max() < rfe / 10
