"""The quick part of the conformance suite, and proof that the suite can fail."""

import numpy as np
import pytest

from rpmu.estimate import alternatives
from rpmu.estimate.fir import FirKernel
from rpmu.estimate.kernel import Measurement
from tests.conformance.campaign import quick_jobs, run_job
from tests.conformance.chain import CHAINS
from tests.conformance.limits import Task, steady_limits, step_limits
from tests.conformance.report import render
from tests.conformance.runner import Setup, run_steady
from tests.conformance.steps import run_latency, run_steps


@pytest.mark.parametrize(
    "job", quick_jobs(), ids=lambda job: f"{job.setup.task.name}, {job.setup.phases}, {job.setup.chain.name}"
)
def test_every_limit_is_met(job):
    results = run_job(job)
    assert {r.test for r in results} >= {"frequency", "harmonics", "AM", "PM", "ramp"}
    missed = [r for r in results if not r.passed]
    assert not missed, missed


@pytest.mark.parametrize(
    ("name", "reading"),
    [
        ("gain", lambda m: Measurement(m.phasors * 1.011, m.frequency_hz, m.rocof_hz_per_s)),
        ("angle", lambda m: Measurement(m.phasors * np.exp(0.0101j), m.frequency_hz, m.rocof_hz_per_s)),
        ("frequency", lambda m: Measurement(m.phasors, m.frequency_hz + 0.0051, m.rocof_hz_per_s)),
        ("rocof", lambda m: Measurement(m.phasors, m.frequency_hz, m.rocof_hz_per_s + 0.11)),
    ],
)
def test_a_wrong_estimator_fails_every_steady_test_that_should_see_it(monkeypatch, name, reading):
    class Wrong(FirKernel):
        def measure(self, *windows):
            return reading(super().measure(*windows))

    monkeypatch.setitem(alternatives.ESTIMATORS, f"wrong {name}", Wrong)
    results = run_steady(Setup(Task(60, "M", 60), CHAINS["ideal"], estimator=f"wrong {name}"), thin=True)
    metric = {"gain": "TVE", "angle": "TVE", "frequency": "FE", "rocof": "RFE"}[name]
    seen = {r.test for r in results if r.metric == metric and not r.passed}
    assert seen >= {"frequency", "magnitude", "phase"}
    assert all(r.passed for r in results if r.metric != metric)


def test_a_late_estimator_fails_steps_and_latency(monkeypatch):
    class Late(FirKernel):
        def __init__(self, settings):
            super().__init__(settings)
            self.delay_s += 2 / 60  # waits two cycles and reports the past

    monkeypatch.setitem(alternatives.ESTIMATORS, "late", Late)
    setup = Setup(Task(60, "M", 60), CHAINS["ideal"], estimator="late")
    assert not run_latency(setup)[0].passed
    missed = {r.metric for r in run_steps(setup, offsets=4) if not r.passed}
    assert "delay" in missed


def test_limits_are_those_of_the_worked_examples():
    p60, m60, m10 = Task(60, "P", 60), Task(60, "M", 60), Task(60, "M", 10)
    assert steady_limits(p60, "PM") == pytest.approx((3, 0.06, 2.2619), rel=1e-4)
    assert steady_limits(m60, "PM") == pytest.approx((3, 0.30, 14.137), rel=1e-4)
    assert steady_limits(m10, "AM") == pytest.approx((3, 0.12, 2.2619), rel=1e-4)
    assert step_limits(p60)["TVE time"] == pytest.approx(2 / 60)
    assert step_limits(Task(50, "M", 10))["FE time"] == pytest.approx(1.4)


def test_the_report_names_every_miss():
    results = run_latency(Setup(Task(60, "P", 60), CHAINS["ideal"]))
    late = [type(r)(**{**vars(r), "limit": 0.001}) for r in results]
    text = render(results + late, "2030-01-01", "abc", "test")
    assert "1 of 2 limits met" in text
    assert "| latency, latency | 0.0" in text
