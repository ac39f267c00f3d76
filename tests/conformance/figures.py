"""Latency, noise, and what front ends cost: what a limit does not say, but a user wants to know."""

from dataclasses import replace

import numpy as np

from rpmu.estimate import Estimator
from tests.conformance.campaign import BANKS, TASKS
from tests.conformance.chain import CHAINS
from tests.conformance.limits import Task, latency_limit
from tests.conformance.runner import Result, Setup, run_steady
from tests.conformance.signals import modulated, tone
from tests.conformance.steps import run_steps
from tests.conformance.twin import socket_latency_s

NOISE_S = 20.0
ENOUGH = 100.0  # margins beyond this are all the same
LOSS = 0.20  # of the margin that a front end may cost


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
        "To the socket: worst of twenty reports on the twin with the 1 kHz front end, from the report's instant to the",
        "moment at which its frame is handed to the sockets, in twin time. Computing and network are not in it.",
        "Noise: standard deviation at 120 V, 12 bits over +-160 V RMS, 0.5 LSB of converter noise at 60 kHz.\n",
        "| | window | group delay | latency | with 1 kHz / 100 Hz front end | to the socket | limit "
        "| frequency noise | ROCOF noise |",
        "|" + " --- |" * 9,
    ]
    for task in TASKS:
        estimator = Estimator(Setup(task, CHAINS["ideal"]).settings())
        delays = [measured.get((task.name, CHAINS[name].name)) for name in ("ideal", "1khz", "100hz")]
        ideal, plain, thesis = ("–" if d is None else f"{1e3 * d:.1f}" for d in delays)
        limit_s = latency_limit(task)
        sent = _bold_above(socket_latency_s(task), limit_s)
        fe, rfe = noise(task)
        lines.append(
            f"| {task.name} | {1e3 * estimator.window_s:.1f} ms | {1e3 * estimator.group_delay_s:.1f} ms | {ideal} ms "
            f"| {plain} / {thesis} ms | {sent} ms | {1e3 * limit_s:.1f} ms | {1e3 * fe:.3f} mHz | {rfe:.5f} Hz/s |"
        )
    return "\n".join(lines) + "\n"


def _bold_above(value_s: float, limit_s: float) -> str:
    text = f"{1e3 * value_s:.1f}"
    return text if value_s <= limit_s else f"**{text}**"


def loss(plain: Result, through: Result) -> float:
    """The share of a margin that is lost."""
    return 1 - min(through.margin, ENOUGH) / min(plain.margin, ENOUGH)


def losses(task: Task, name: str) -> list[tuple[Result, float]]:
    """What a front end, exactly known, takes of each margin: results through it, and the share that is lost."""
    plain, through = (_by_test(Setup(task, CHAINS[chain])) for chain in ("ideal", name))
    return [(r, loss(plain[key], r)) for key, r in through.items()]


def _by_test(setup: Setup) -> dict[tuple[str, str], Result]:
    return {(r.test, r.metric): r for r in [*run_steady(setup, thin=True), *run_steps(setup)]}


def front_end_losses(results: list[Result]) -> str:
    """A table for the report: the largest loss per bank and front end, and all that are too large."""
    margins = {(r.chain, r.task, r.test, r.metric): r for r in results if r.estimator == "fir" and r.phases == 1}
    lines = [
        "## What the front ends cost\n",
        "Largest share of a margin that is lost through a front end that is exactly known; margins above 100 count as",
        f"100. The aim is at most {100 * LOSS:.0f} % in every cell.\n",
        "| | 1 kHz front end | 100 Hz front end |",
        "| --- | --- | --- |",
    ]
    for task in BANKS:
        cells = []
        for name in ("1khz", "100hz"):
            through = [r for key, r in margins.items() if key[:2] == (CHAINS[name].name, task.name)]
            found = [
                (r, loss(margins[CHAINS["ideal"].name, task.name, r.test, r.metric], r))
                for r in through
                if r.test != "latency"  # what a front end delays is told in a table of its own
            ]
            worst, most = max(found, key=lambda pair: pair[1])
            over = [f"**{r.test} {r.metric} {100 * x:.0f} %, to {r.margin:.3g}**" for r, x in found if x > LOSS]
            cells.append("; ".join(over) or f"{100 * max(most, 0):.0f} % ({worst.test} {worst.metric})")
        lines.append(f"| {task.name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def wrong_by(task: Task, name: str, parameter: str, factor: float) -> float:
    """TVE, percent, that a front end adds whose corner or Q is not quite what the estimator was told."""
    chain = CHAINS[name]
    assert chain.front_end is not None
    told = replace(chain.front_end, **{parameter: factor * getattr(chain.front_end, parameter)})
    f0, reach, fm = task.nominal_hz, task.frequency_range_hz, task.modulation_hz
    waves = [tone(f0, f0 + d) for d in np.linspace(-reach, reach, 5)]
    waves += [modulated(f0, fm, kx=0.1), modulated(f0, fm, ka=0.1)]
    setups = [Setup(task, c) for c in (chain, replace(chain, told=told))]
    exact, wrong = (max(s.errors(w, (0.0, 0.5)).tve.max() for w in waves) for s in setups)
    return float(wrong - exact)


def component_errors() -> str:
    """A table for the report: what 0.1 and 1 % of corner or Q cost."""
    lines = [
        "## What a wrong front end costs\n",
        "TVE in percent on top, the worst over the frequency range and modulation at its upper edge, where the corner",
        "frequency or Q differs from what the estimator was told. The aim for 0.1 % is 0.15 %.\n",
        "| | f0 0.1 % | Q 0.1 % | f0 1 % | Q 1 % |",
        "|" + " --- |" * 5,
    ]
    for name in ("1khz", "100hz"):
        for task in (Task(60, "P", 60), Task(60, "M", 60), Task(50, "M", 50)):
            cells = []
            for percent in (0.1, 1.0):
                for parameter in ("f0_hz", "q"):
                    worst = max(wrong_by(task, name, parameter, 1 + s * percent / 100) for s in (-1, 1))
                    cells.append(f"{worst:.3f}")
            lines.append(f"| {CHAINS[name].name}, {task.name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
