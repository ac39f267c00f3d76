"""Filters that look further back than ahead: what they must not spoil, and what they are for."""

from dataclasses import replace

import numpy as np
import pytest

from rpmu.estimate import Estimator
from rpmu.estimate.bank_table import STREAM_RATES_HZ, load_table, table_path
from rpmu.estimate.classes import latency_limit_s
from rpmu.estimate.design import corner_rows
from rpmu.estimate.mask import ramp_corners
from rpmu.estimate.plan import Plan
from tests.conformance import signals
from tests.conformance.chain import CHAINS, THESIS_FRONT_END, Chain
from tests.conformance.limits import Task, steady_limits
from tests.conformance.runner import Setup, run_steady

TIGHT = [Task(60, "P", 120), Task(50, "P", 100)]
LATE_S = 0.001  # for waking and computing


@pytest.mark.parametrize("task", TIGHT, ids=lambda task: task.name)
def test_every_limit_is_met_behind_the_converter_and_the_100_hz_front_end(task):
    results = run_steady(Setup(task, CHAINS["100hz-adc"]), thin=True)
    assert {r.metric for r in results} == {"TVE", "FE", "RFE"}
    assert min(r.margin for r in results) > 1.2, "the aim at 120/s"


@pytest.mark.parametrize("task", [Task(60, "P", 60), Task(50, "P", 50)], ids=lambda task: task.name)
def test_every_limit_is_met_at_a_tenth_of_the_voltage(task):
    results = run_steady(Setup(task, CHAINS["adc-10"]), thin=True)
    assert {r.test for r in results} >= {"frequency", "harmonics", "AM", "PM", "ramp"}
    missed = [r for r in results if not r.passed]
    assert not missed, missed


@pytest.mark.parametrize(
    "task", [Task(60, "M", 60), Task(60, "M", 120), Task(50, "M", 100)], ids=lambda task: task.name
)
def test_phase_modulation_keeps_its_margin_of_ten(task):
    w = task.modulation_hz
    errors = Setup(task, CHAINS["ideal"]).errors(signals.modulated(task.nominal_hz, w, ka=0.1), (0.0, 2.0))
    for worst, limit in zip((errors.tve, errors.fe, errors.rfe), steady_limits(task, "PM"), strict=True):
        assert worst.max() < limit / 10


@pytest.mark.parametrize("factor", [0.95, 1.05])
@pytest.mark.parametrize("name", ["f0_hz", "q"])
def test_the_front_end_that_a_certificate_names_is_undone(name, factor):
    """Parts of 5 %, known exactly: no worse than nominal ones."""
    own = replace(THESIS_FRONT_END, **{name: factor * getattr(THESIS_FRONT_END, name)})
    setup = Setup(TIGHT[0], replace(CHAINS["100hz"], front_end=own))
    waves = {
        "frequency": signals.tone(60, 62.0),
        "PM": signals.modulated(60, 2.0, ka=0.1),
        "ramp": signals.ramp(60, 2.0, 1.0, 0.0),
    }
    for test, signal in waves.items():
        errors = setup.errors(signal, (0.2, 1.0))
        tve, fe, rfe = steady_limits(TIGHT[0], test)
        assert errors.tve.max() < tve / 10
        assert errors.fe.max() < fe / 10
        assert errors.rfe.max() < rfe / 10


@pytest.mark.parametrize("rate_hz", STREAM_RATES_HZ)
def test_p120_meets_every_steady_limit_on_every_stream_of_the_pru(rate_hz):
    results = run_steady(Setup(TIGHT[0], Chain(f"{rate_hz} Hz", sample_rate_hz=float(rate_hz))), thin=True)
    assert min(r.margin for r in results if r.test not in ("ramp", "harmonics")) > 9
    assert min(r.margin for r in results) > 5


@pytest.mark.parametrize(
    "task",
    [Task(60, "P", 60), Task(50, "P", 50), *TIGHT, Task(60, "M", 120), Task(50, "M", 100)],
    ids=lambda task: task.name,
)
@pytest.mark.parametrize("name", ["ideal", "100hz"])
def test_the_newest_sample_leaves_time_for_waking(task, name):
    estimator = Estimator(Setup(task, CHAINS[name]).settings())
    limit_s = latency_limit_s(task.performance_class, task.rate)
    assert estimator.group_delay_s < limit_s - LATE_S
    assert estimator.window_s > 2.2 * estimator.group_delay_s, "or it looks no further back than ahead"


def test_what_a_filter_says_of_a_ramp_that_has_just_begun_is_what_the_design_counts():
    """The row of the design against the samples themselves, at the nominal frequency."""
    plan = Plan(60, "P", 120, 12_000.0)
    table = load_table(table_path(60, "P", 120))
    age_s = 0.02
    left = float((corner_rows(np.array([age_s]), plan.reaches[2], plan.bank_rate_hz) @ table.taps[2])[0])
    t = np.arange(-table.before, table.after + 1) / plan.bank_rate_hz
    settled, begun = (
        table.taps @ np.exp(1j * np.pi * (t**2 - past)) for past in (0.0, np.minimum(t + age_s, 0.0) ** 2)
    )
    assert abs(left) > 1e-2
    assert (settled[2] / settled[0] - begun[2] / begun[0]).imag == pytest.approx(left, abs=1e-5)
    begins_s, tolerance = ramp_corners(plan, 2)
    used = np.abs(corner_rows(begins_s, plan.reaches[2], plan.bank_rate_hz) @ table.taps[2]) / tolerance
    assert used.max() < 1
