"""Runs test points through a chain and an estimator and keeps the worst of every test."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np

from rpmu.estimate import Estimator, EstimatorSettings
from rpmu.estimate.reports import Reports
from rpmu.timing.time_map import TimeMap
from tests.conformance.cases import Case, build_cases
from tests.conformance.chain import NOMINAL_V, SECOND, Chain
from tests.conformance.limits import OFF, Task, steady_limits
from tests.conformance.signals import SHIFTS, Signal

SPARE_S = 0.01  # of samples on either side of the first and the last window
METRICS = ("TVE", "FE", "RFE")
UNITS = {"TVE": "%", "FE": "Hz", "RFE": "Hz/s"}


@dataclass(frozen=True)
class Result:
    """Worst value of one metric of one test, and where it was.

    Attributes:
        chain, estimator, task, phases, test, metric: what was run.
        worst, limit: in the metric's unit.
        point: the test point of the worst value.
    """

    chain: str
    estimator: str
    task: str
    phases: int
    test: str
    metric: str
    worst: float
    limit: float
    point: str

    @property
    def margin(self) -> float:
        """limit / worst; below 1 is a miss."""
        return self.limit / self.worst if self.worst > 0 else OFF

    @property
    def passed(self) -> bool:
        return bool(self.worst <= self.limit)

    def as_json(self) -> dict:
        return {**asdict(self), "margin": round(min(self.margin, 1e12), 6), "passed": self.passed}


@dataclass(frozen=True)
class Errors:
    """Reports against the truth, arrays over the reports: instants in s, TVE in percent, FE in Hz, RFE in Hz/s."""

    t: np.ndarray
    tve: np.ndarray
    fe: np.ndarray
    rfe: np.ndarray
    phasor: np.ndarray  # of the first channel, relative to the nominal one


def judge(signal: Signal, t, phasors, phases: int, frequency_hz, rocof_hz_per_s) -> Errors:
    """Reports against the truth of a signal.

    Args:
        signal: what was fed in.
        t: instants, s from the signal's zero.
        phasors: relative to the nominal one, one column per phase and one more for the positive sequence, if there is.
        phases: 1 or 3.
        frequency_hz: as reported.
        rocof_hz_per_s: as reported.
    """
    truth = signal.truth(t)
    expected = truth.phasor[:, None] * np.exp(1j * SHIFTS[:phases])
    if phasors.shape[1] > phases:
        expected = np.column_stack([expected, truth.phasor])
    tve = np.abs(phasors - expected) / np.abs(expected)
    fe, rfe = np.abs(frequency_hz - truth.frequency_hz), np.abs(rocof_hz_per_s - truth.rocof_hz_per_s)
    return Errors(t, 100 * tve.max(axis=1), fe, rfe, phasors[:, 0])


@dataclass(frozen=True)
class Setup:
    """One estimator behind one chain, for one task."""

    task: Task
    chain: Chain
    phases: int = 1
    estimator: str = "fir"

    def settings(self) -> EstimatorSettings:
        told = self.chain.told or self.chain.front_end
        return EstimatorSettings(
            nominal_hz=self.task.nominal_hz,
            performance_class=self.task.performance_class,
            reporting_rate=self.task.rate,
            phases=self.phases,
            n_channels=self.phases,
            sample_rate_hz=self.chain.sample_rate_hz,
            estimator=self.estimator,
            front_end=told,
            cic=self.chain.cic,
        )

    def run(self, signal: Signal, span_s: tuple[float, float], seed: int = 0) -> tuple[Reports, np.ndarray]:
        """Reports whose instants lie in the span, and those instants, s."""
        estimator = Estimator(self.settings())
        begin_s = span_s[0] - (estimator.window_s - estimator.group_delay_s) - SPARE_S
        end_s = span_s[1] + estimator.group_delay_s + SPARE_S
        samples, first_ns = self.chain.sample(signal, self.phases, begin_s, end_s, seed)
        reports = estimator.push(samples, 0, TimeMap(0, first_ns, 1e9 / self.chain.true_rate_hz))
        t = (reports.time_ns - SECOND * 10**9) / 1e9
        inside = (t >= span_s[0] - 1e-9) & (t <= span_s[1] + 1e-9)
        return _select(reports, inside), t[inside]

    def errors(self, signal: Signal, span_s: tuple[float, float], seed: int = 0) -> Errors:
        """Errors of the reports whose instants lie in the span."""
        reports, t = self.run(signal, span_s, seed)
        if len(t) < 2 or not reports.valid.all():
            raise AssertionError(f"{self}: {len(t)} reports, {np.count_nonzero(~reports.valid)} of them invalid")
        phasors = reports.phasors
        if reports.positive_sequence is not None:
            phasors = np.column_stack([phasors, reports.positive_sequence])
        nominal = NOMINAL_V * self.chain.magnitude
        return judge(signal, t, phasors / nominal, self.phases, reports.frequency_hz, reports.rocof_hz_per_s)


def _select(reports: Reports, inside: np.ndarray) -> Reports:
    return Reports(**{name: None if v is None else v[inside] for name, v in vars(reports).items()})


def run_steady(setup: Setup, *, thin: bool, longer: float = 1.0) -> list[Result]:
    """All tests but the steps.

    Args:
        setup: what to run.
        thin: fewer test points.
        longer: factor on the length of every point; noise needs time to show its worst.
    """
    cases = build_cases(setup.task, setup.phases, thin=thin, highest_hz=setup.chain.sample_rate_hz / 2)
    return worst_steady(
        setup,
        (
            (case, _errors_of(setup, case, longer, seed))
            for seed, case in enumerate(cases)
            if case.test != "magnitude" or setup.chain.magnitude == 1.0  # else the chain has its own magnitude
        ),
    )


def worst_steady(setup: Setup, measured: Iterable[tuple[Case, Errors]]) -> list[Result]:
    """The worst value of every metric of every test that has a limit."""
    worst: dict[tuple[str, str], tuple[float, str]] = {}
    for case, errors in measured:
        for metric, values in zip(METRICS, (errors.tve, errors.fe, errors.rfe), strict=True):
            key, value = (case.test, metric), float(values.max())
            if key not in worst or value > worst[key][0]:
                worst[key] = value, case.point
    results = []
    for (test, metric), (value, point) in worst.items():
        limit = steady_limits(setup.task, test)[METRICS.index(metric)]
        if limit != OFF:
            results.append(make_result(setup, test, metric, value, limit, point))
    return results


def _errors_of(setup: Setup, case: Case, longer: float, seed: int) -> Errors:
    begin, end = case.span_s
    span = case.span_s if case.test == "ramp" else (begin, begin + (end - begin) * longer)
    return setup.errors(case.signal, span, seed)


def make_result(setup: Setup, test: str, metric: str, worst: float, limit: float, point: str) -> Result:
    """A result that carries what was run."""
    return Result(
        setup.chain.name,
        setup.estimator,
        setup.task.name,
        setup.phases,
        test,
        metric,
        float(worst),
        float(limit),
        point,
    )
