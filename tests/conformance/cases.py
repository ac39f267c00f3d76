"""The test points of every test, dense or thinned."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tests.conformance.limits import Task
from tests.conformance.signals import Signal, modulated, ramp, tone, with_second_tone

STEADY_TESTS = ("frequency", "magnitude", "phase", "harmonics", "out of band", "AM", "PM", "ramp")


@dataclass(frozen=True)
class Case:
    """One test point.

    Attributes:
        test: name of the test.
        point: the point, for the report.
        signal: what is fed in.
        span_s: first and last instant whose reports count.
    """

    test: str
    point: str
    signal: Signal
    span_s: tuple[float, float]


def _points(low, high, step, thin):
    """Every `step` from low to high, both included; thinned to about nine."""
    n = max(2, round((high - low) / step) + 1)
    return np.linspace(low, high, min(n, 9) if thin else n)


def _interferers(task, thin):
    """Every Hz, or the doubling ladder away from the band's edges; from 10 Hz to 2 f0 with the edges included."""
    f0, half = task.nominal_hz, task.rate / 2
    away = 0.1 * 2.0 ** np.arange(12) if thin else np.arange(1.0, 2 * f0)
    below, above = f0 - half - np.append(0, away), f0 + half + np.append(0, away)
    points = np.concatenate([below[below >= 10], above[above <= 2 * f0], [10.0, 2.0 * f0]])
    return np.unique(points[np.abs(points - f0) >= half - 1e-9])


def _frequency(task, thin):
    r = task.frequency_range_hz
    for f in _points(task.nominal_hz - r, task.nominal_hz + r, 0.1, thin):
        yield f"{f:.2f} Hz", tone(task.nominal_hz, f)


def _magnitude(task, thin):
    for m in _points(0.8 if task.is_p else 0.1, 1.2, 0.1, thin):
        yield f"{100 * m:.0f} %", tone(task.nominal_hz, task.nominal_hz, m)


def _phase(task, thin):
    for degrees in _points(-180, 180, 10, thin):
        yield f"{degrees:.0f} degrees", tone(task.nominal_hz, task.nominal_hz, angle=np.radians(degrees))


def _harmonics(task, thin, phases, highest_hz):
    level = 0.01 if task.is_p else 0.1
    orders = (2, 3, 4, 5, 7, 11, 16, 24, 35, 50) if thin else range(2, 51)
    base = tone(task.nominal_hz, task.nominal_hz)
    for h in orders:
        if h * task.nominal_hz < highest_hz:
            for sets in (1, h) if phases == 3 else (1,):
                yield (
                    f"h{h}{' all positive' * (phases == 3 and sets == 1)}",
                    with_second_tone(base, h * task.nominal_hz, level, sets),
                )


def _out_of_band(task, thin, highest_hz):
    if task.is_p:
        return
    off = min(0.05 * task.rate, 5.0)
    for f in (task.nominal_hz, task.nominal_hz - off, task.nominal_hz + off):
        for fi in _interferers(task, thin):
            if fi < highest_hz:
                yield f"{fi:.1f} Hz with {f:.2f} Hz", with_second_tone(tone(task.nominal_hz, f), fi, 0.1)


def _modulation(task, thin, **depth):
    for fm in _points(0.1, task.modulation_hz, 0.1, thin):
        yield f"{fm:.2f} Hz", modulated(task.nominal_hz, fm, **depth)


def build_cases(task: Task, phases: int, *, thin: bool, highest_hz: float = np.inf) -> Iterator[Case]:
    """Every steady-state and dynamic test point but the steps.

    Args:
        task: class, rate and nominal frequency.
        phases: 1 or 3.
        thin: about nine points per test instead of the standard's spacing.
        highest_hz: leave out harmonics and interferers at and above this (half of the sample rate).
    """
    sets = {
        "frequency": _frequency(task, thin),
        "magnitude": _magnitude(task, thin),
        "phase": _phase(task, thin),
        "harmonics": _harmonics(task, thin, phases, highest_hz),
        "out of band": _out_of_band(task, thin, highest_hz),
        "AM": _modulation(task, thin, kx=0.1),
        "PM": _modulation(task, thin, ka=0.1),
    }
    for test, points in sets.items():
        # A second of reports, at least twelve of them, and where a modulation is slow a good part of its period.
        length = max(1.0, 12 / task.rate) * (2 if test in ("AM", "PM") else 1)
        for point, signal in points:
            yield Case(test, point, signal, (0.0, length))
    yield from _ramps(task)


def _ramps(task):
    reach = task.frequency_range_hz if task.is_p else task.modulation_hz
    edge = (2 if task.is_p else 7) / task.rate
    for slope in (-1.0, 1.0):
        span = (edge, 2 * reach - edge)
        yield Case("ramp", f"{slope:+.0f} Hz/s", ramp(task.nominal_hz, reach, slope, 0.0), span)
