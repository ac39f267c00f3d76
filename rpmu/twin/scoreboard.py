"""The twin keeps the score: what the daemon measured against what the outlet really did, second by second.

Measurements arrive one by one; each begun UTC second closes the one before and gives a `Score`. The numbers shown are
those of the last report of the second, the errors the worst of all its valid reports.
"""

from __future__ import annotations

import cmath
from collections.abc import Callable
from dataclasses import dataclass
from math import degrees, nan

import numpy as np

from rpmu.measurement import Measurement
from rpmu.twin.signals import NS_PER_S, Truth

TruthAt = Callable[[int], Truth | None]


@dataclass(frozen=True)
class Score:
    """One second.

    Attributes:
        second: UTC second since the Unix epoch.
        reports: reports in it.
        invalid: of them, marked invalid.
        frequency_hz: of the last valid report; NaN without one, as are those that follow.
        rocof_hz_per_s: likewise.
        voltage_v: likewise, RMS of the first phasor.
        angle_deg: likewise, its synchrophasor angle.
        tve_percent: worst total vector error of all phasors; NaN where nobody knows the truth.
        frequency_error_hz: worst, absolute.
        rocof_error_hz_per_s: worst, absolute.
    """

    second: int
    reports: int
    invalid: int
    frequency_hz: float
    rocof_hz_per_s: float
    voltage_v: float
    angle_deg: float
    tve_percent: float
    frequency_error_hz: float
    rocof_error_hz_per_s: float


class Scoreboard:
    """Collects measurements and closes seconds.

    Args:
        truth: what the outlet really did at a UTC instant.
    """

    def __init__(self, truth: TruthAt) -> None:
        self._truth = truth
        self._second: int | None = None
        self._reports: list[Measurement] = []
        self._closed: list[Score] = []

    def add(self, measurement: Measurement) -> None:
        """Take a measurement; they come in the order of time."""
        second = measurement.time_ns // NS_PER_S
        if self._second is not None and second != self._second:
            self._closed.append(self._score())
            self._reports = []
        self._second = second
        self._reports.append(measurement)

    def take(self) -> list[Score]:
        """The seconds closed since the last call."""
        closed, self._closed = self._closed, []
        return closed

    def _score(self) -> Score:
        valid = [report for report in self._reports if report.valid]
        errors = np.array([self._errors(report) for report in valid]).reshape(-1, 3)
        worst = errors.max(axis=0).tolist() if len(errors) else [nan] * 3
        last = valid[-1] if valid else None
        return Score(
            second=self._second or 0,
            reports=len(self._reports),
            invalid=len(self._reports) - len(valid),
            frequency_hz=last.frequency_hz if last else nan,
            rocof_hz_per_s=last.rocof_hz_per_s if last else nan,
            voltage_v=abs(last.phasors[0]) if last else nan,
            angle_deg=degrees(cmath.phase(last.phasors[0])) if last else nan,
            tve_percent=worst[0],
            frequency_error_hz=worst[1],
            rocof_error_hz_per_s=worst[2],
        )

    def _errors(self, report: Measurement) -> tuple[float, float, float]:
        """TVE in percent, frequency error, ROCOF error; NaN where nobody knows the truth."""
        truth = self._truth(report.time_ns)
        if truth is None:
            return nan, nan, nan
        true = truth.phasors[0]
        measured = np.array(report.phasors[: len(true)])
        tve = 100 * np.max(np.abs(measured - true) / np.abs(true))
        fe = abs(report.frequency_hz - truth.frequency_hz[0])
        return float(tve), float(fe), float(abs(report.rocof_hz_per_s - truth.rocof_hz_per_s[0]))
