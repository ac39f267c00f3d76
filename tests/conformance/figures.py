"""Latency, window and noise of every bank: what a limit does not say, but a user wants to know."""

import numpy as np

from rpmu.estimate import Estimator
from tests.conformance.campaign import TASKS
from tests.conformance.chain import CHAINS
from tests.conformance.limits import Task, latency_limit
from tests.conformance.runner import Result, Setup
from tests.conformance.signals import tone

NOISE_S = 20.0


def noise(task: Task) -> tuple[float, float]:
    """Standard deviation of frequency, Hz, and ROCOF, Hz/s, of a nominal wave behind the converter."""
    signal = tone(task.nominal_hz, task.nominal_hz)
    errors = Setup(task, CHAINS["adc"]).errors(signal, (0.0, max(NOISE_S, 100 / task.rate)))
    return float(np.sqrt(np.mean(errors.fe**2))), float(np.sqrt(np.mean(errors.rfe**2)))


def latency_and_noise(results: list[Result]) -> str:
    """A table for the report, with the latency that the run has measured."""
    measured = {
        (r.task, r.chain): r.worst for r in results if r.test == "latency" and r.estimator == "fir" and r.phases == 1
    }
    lines = [
        "## Latency and noise\n",
        "Window and group delay are what CFG-3 tells. Latency: age of a report by the newest sample when it is given.",
        "Noise: standard deviation at 120 V, 12 bits over +-160 V RMS, 0.5 LSB of converter noise at 60 kHz.\n",
        "| | window | group delay | latency | with 1 kHz / 100 Hz front end | limit | frequency noise | ROCOF noise |",
        "|" + " --- |" * 8,
    ]
    for task in TASKS:
        estimator = Estimator(Setup(task, CHAINS["ideal"]).settings())
        delays = [measured.get((task.name, CHAINS[name].name)) for name in ("ideal", "1khz", "100hz")]
        ideal, plain, thesis = ("–" if d is None else f"{1e3 * d:.1f}" for d in delays)
        fe, rfe = noise(task)
        lines.append(
            f"| {task.name} | {1e3 * estimator.window_s:.1f} ms | {1e3 * estimator.group_delay_s:.1f} ms | {ideal} ms "
            f"| {plain} / {thesis} ms | {1e3 * latency_limit(task):.1f} ms | {1e3 * fe:.3f} mHz | {rfe:.5f} Hz/s |"
        )
    return "\n".join(lines) + "\n"
