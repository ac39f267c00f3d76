"""Step tests by equivalent time, and latency as delivered.

One step gives one point per report. The step is repeated at shifted instants and the points are interleaved by their
distance to the step, which gives the response on a fine grid.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from rpmu.estimate import Estimator
from rpmu.timing.time_map import TimeMap
from tests.conformance.chain import SECOND
from tests.conformance.limits import Task, latency_limit, step_limits, step_thresholds
from tests.conformance.runner import Errors, Result, Setup, make_result
from tests.conformance.signals import Signal, step, tone

STEPS = {
    "magnitude +10 %": {"kx": 0.1},
    "magnitude -10 %": {"kx": -0.1},
    "phase +10 degrees": {"ka": np.pi / 18},
    "phase -10 degrees": {"ka": -np.pi / 18},
}
OFFSETS = 20
FINEST_S = 0.001  # between two shifted steps, for rates whose reports lie far apart
# The response passes one half in a ripple of twice the nominal frequency, and its first passage can only be told where
# points lie close. It is within 1 / (4 pi f0) of the step, give or take what the filter adds.
HALF_WAY_S, HALF_WAY_STEP_S = 3e-3, 1e-4


@dataclass(frozen=True)
class StepPoint:
    """One step at one instant between two reports.

    Attributes:
        name: in `STEPS`.
        at_s: instant of the step.
        signal: what is fed in.
        span_s: first and last instant whose reports count.
        seed: of the noise.
        close: looks at half of the step only; response times, which noise lengthens with every report, leave it out.
    """

    name: str
    at_s: float
    signal: Signal
    span_s: tuple[float, float]
    seed: int
    close: bool = False


def run_steps(setup: Setup, *, offsets: int = OFFSETS) -> list[Result]:
    """Response times, delay and overshoot, the worst over all steps."""
    points = step_points(setup.task, offsets) + half_way_points(setup.task)
    return worst_steps(setup, ((p, setup.errors(p.signal, p.span_s, seed=p.seed)) for p in points))


def step_points(task: Task, offsets: int, names: Iterable[str] = STEPS) -> list[StepPoint]:
    """Every step at so many instants between two reports, or more where reports of class P lie far apart."""
    interval = 1 / task.rate
    reach = max(step_limits(task).values()) + 2 * interval
    offsets = max(offsets, round(interval / FINEST_S)) if task.is_p else offsets
    points = []
    for name in names:
        for i in range(offsets):
            at = (i + 0.37) * interval / offsets  # off the grid of reports
            points.append(StepPoint(name, at, step(task.nominal_hz, at, **STEPS[name]), (at - reach, at + reach), i))
    return points


def half_way_points(task: Task, names: Iterable[str] = STEPS) -> list[StepPoint]:
    """Every step at instants so that the report at zero sees it close before or after."""
    count = round(HALF_WAY_S / HALF_WAY_STEP_S)
    reach = 1.5 / task.rate
    points = []
    for name in names:
        for i in range(-count, count + 1):
            at = (i + 0.37) * HALF_WAY_STEP_S
            signal, span_s = step(task.nominal_hz, at, **STEPS[name]), (at - reach, at + reach)
            points.append(StepPoint(name, at, signal, span_s, i + count, close=True))
    return points


def worst_steps(setup: Setup, measured: Iterable[tuple[StepPoint, Errors]]) -> list[Result]:
    """From the reports around every step to the worst response times, delay and overshoot."""
    columns: dict[str, list[np.ndarray]] = defaultdict(list)
    for p, e in measured:
        close = np.full(len(e.t), float(p.close))
        columns[p.name].append(
            np.stack([e.t - p.at_s, e.tve, e.fe, e.rfe, np.abs(e.phasor), np.angle(e.phasor), close])
        )
    worst: dict[str, tuple[float, str]] = {}
    for name, parts in columns.items():
        curve = np.concatenate(parts, axis=1)
        curve = curve[:, np.argsort(curve[0])]
        for metric, value in _figures(curve, STEPS[name], step_thresholds(setup.task)).items():
            if metric not in worst or value > worst[metric][0]:
                worst[metric] = value, name
    limits = step_limits(setup.task)
    return [make_result(setup, "step", metric, value, limits[metric], at) for metric, (value, at) in worst.items()]


def _figures(curve, depth, thresholds):
    t, *errors = curve[:4, curve[6] == 0]
    figures = {}
    for name, values, threshold in zip(("TVE time", "FE time", "RFE time"), errors, thresholds, strict=True):
        outside = np.flatnonzero(values > threshold)
        last = min(outside[-1] + 1, len(t) - 1) if len(outside) else 0
        figures[name] = float(t[last] - t[max(outside[0] - 1, 0)]) if len(outside) else 0.0
    size = depth.get("kx", depth.get("ka"))
    response = ((curve[4] - 1) if "kx" in depth else curve[5]) / size  # 0 before, 1 after
    figures["delay"] = _half_way(curve[0], response)
    figures["overshoot"] = float(max(response.max() - 1, -response.min(), 0.0))
    return figures


def _half_way(t, response):
    """Distance from the step to where the response first passes one half; 1e9 if it never does."""
    passes = np.flatnonzero((response[:-1] < 0.5) & (response[1:] >= 0.5))
    if not len(passes):
        return 1e9
    i = passes[0]
    return float(abs(t[i] + (0.5 - response[i]) * (t[i + 1] - t[i]) / (response[i + 1] - response[i])))


def run_latency(setup: Setup) -> list[Result]:
    """Latency as delivered: samples are pushed one by one, and a report's age is that of the newest sample."""
    estimator = Estimator(setup.settings())
    rate = setup.chain.true_rate_hz
    length = estimator.window_s + 3 / setup.task.rate
    samples, first_ns = setup.chain.sample(
        tone(setup.task.nominal_hz, setup.task.nominal_hz), setup.phases, 0.0, length
    )
    time_map = TimeMap(0, first_ns, 1e9 / rate)
    bulk = int(estimator.window_s * rate * 0.9)
    estimator.push(samples[:, :bulk], 0, time_map)
    late = []
    for i in range(bulk, samples.shape[1]):
        reports = estimator.push(samples[:, i : i + 1], i, time_map)
        late += [(time_map.utc_ns_at(i) - t) / 1e9 for t in reports.time_ns.tolist()]
    assert late, f"no report within {length} s after {SECOND}"
    return [make_result(setup, "latency", "latency", max(late), latency_limit(setup.task), "as delivered")]
