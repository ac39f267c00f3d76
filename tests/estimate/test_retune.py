"""ROCOF away from the nominal frequency: right under ramps, as quiet as at nominal, and without the mirror image."""

from dataclasses import replace

import numpy as np
import pytest

from rpmu.estimate import Estimator, retune
from rpmu.estimate.alternatives import build_kernel
from rpmu.timing.time_map import TimeMap
from tests.conformance import signals
from tests.conformance.chain import CHAINS
from tests.conformance.limits import Task
from tests.conformance.runner import Setup

TASKS = [Task(60, "M", 30), Task(60, "M", 60), Task(60, "M", 120), Task(50, "M", 25)]


@pytest.fixture(autouse=True)
def _fresh_kernels():
    build_kernel.cache_clear()
    yield
    build_kernel.cache_clear()


def noise(task, deviation_hz):
    """RMS error of ROCOF at 10 % magnitude behind the converter."""
    signal = signals.tone(task.nominal_hz, task.nominal_hz + deviation_hz)
    return np.sqrt(np.mean(Setup(task, CHAINS["adc-10"]).errors(signal, (0.0, 400 / task.rate)).rfe ** 2))


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_noise_at_the_edge_of_the_range_is_that_at_nominal(monkeypatch, task):
    here, edge = noise(task, 0.0), noise(task, task.frequency_range_hz)
    assert edge < 1.25 * here
    build_kernel.cache_clear()
    monkeypatch.setattr(retune, "RETUNE_HZ", 99.0)
    assert noise(task, task.frequency_range_hz) > 1.8 * edge, "which the filters at the nominal frequency do not reach"


@pytest.mark.parametrize("chain", ["ideal", "1khz", "100hz"])
@pytest.mark.parametrize("phases", [1, 3])
def test_a_ramp_is_read_right_through_any_front_end(chain, phases):
    setup = Setup(Task(60, "M", 60), CHAINS[chain], phases)
    errors = setup.errors(signals.ramp(60, 5.0, 1.0, 0.0), (0.2, 9.8))
    assert errors.rfe.max() < 0.02


@pytest.mark.parametrize("angle", np.linspace(0, np.pi, 5))
@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_the_image_of_a_single_phase_is_rejected(task, angle):
    signal = signals.tone(task.nominal_hz, task.nominal_hz + task.frequency_range_hz, angle=angle)
    assert Setup(task, replace(CHAINS["ideal"], off_ppm=80.0)).errors(signal, (0.0, 0.5)).rfe.max() < 0.01


def test_one_report_at_a_time_reads_the_same_as_many():
    """Python numbers and arrays take different ways."""
    setup = Setup(Task(60, "M", 60), CHAINS["1khz"], 3)
    signal = signals.ramp(60, 2.0, 1.0, 0.0)  # through the frequency at which the filter begins to be turned
    samples, first_ns = setup.chain.sample(signal, 3, 0.0, 3.0)
    time_map = TimeMap(0, first_ns, 1e9 / setup.chain.true_rate_hz)
    many = Estimator(setup.settings()).push(samples, 0, time_map)
    estimator = Estimator(setup.settings())
    few = [estimator.push(samples[:, i : i + 100], i, time_map) for i in range(0, samples.shape[1], 100)]
    np.testing.assert_allclose(np.concatenate([r.rocof_hz_per_s for r in few]), many.rocof_hz_per_s, atol=1e-9)
    np.testing.assert_allclose(np.concatenate([r.frequency_hz for r in few]), many.frequency_hz, atol=1e-9)
