"""What the estimator gives: reports, one by one for a stream, as arrays over the report instants for a recording."""

from __future__ import annotations

import cmath
from collections.abc import Sequence
from dataclasses import fields
from math import nan, pi
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpmu.values import value

Complex = NDArray[np.complex128]
Floats = NDArray[np.float64]


@value
class Report:
    """One synchrophasor report, in Python numbers; fields as in `Reports`, of which it is one row.

    Attributes:
        time_ns: UTC of the report, ns since the Unix epoch.
        phasors: RMS at the mains and synchrophasor angle per channel.
        frequency_hz: frequency.
        rocof_hz_per_s: rate of change of frequency.
        valid: where False every number of the report is NaN.
    """

    time_ns: int
    phasors: list[complex]
    frequency_hz: float
    rocof_hz_per_s: float
    valid: bool


@value
class Reports:
    """Synchrophasor reports at m instants.

    Attributes:
        time_ns: int64 [m], UTC of the report, ns since the Unix epoch.
        phasors: complex128 [m, n_channels], RMS at the mains, angle 0 when the cosine peaks at the report instant.
        positive_sequence: complex128 [m]; None for one phase.
        negative_sequence: complex128 [m]; None for one phase.
        zero_sequence: complex128 [m]; None for one phase.
        frequency_hz: float64 [m], of the positive sequence, for one phase of the first channel; NaN where that is zero.
        rocof_hz_per_s: float64 [m], likewise.
        valid: bool [m]; where False every number of the report is NaN.
    """

    time_ns: NDArray[np.int64]
    phasors: Complex
    positive_sequence: Complex | None
    negative_sequence: Complex | None
    zero_sequence: Complex | None
    frequency_hz: Floats
    rocof_hz_per_s: Floats
    valid: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.time_ns)


def invalid_report(time_ns: int, n_channels: int) -> Report:
    """A report whose samples are missing."""
    return Report(time_ns, [complex(nan, nan)] * n_channels, nan, nan, False)


def build_report(time_ns: int, phasors: list[complex], frequency: float, rocof: float, phases: int) -> Report:
    """Put one report together; frequency is NaN where the channels that it is read from are dead."""
    if 0 in phasors and not any(phasors[:phases]):
        frequency = rocof = nan
    return Report(time_ns, phasors, frequency, rocof, True)


def build_reports(
    time_ns: NDArray[np.int64], phasors: Complex, frequency: Floats, rocof: Floats, phases: int
) -> Reports:
    """The same for arrays of reports, with the sequence components of the first three channels.

    Args:
        time_ns: int64 [m].
        phasors: complex128 [m, n_channels].
        frequency: float64 [m], Hz.
        rocof: float64 [m], Hz/s.
        phases: 1 or 3.
    """
    whole = np.abs(phasors).min(axis=1, initial=np.inf)  # NaN where one is missing, 0 where one is dead
    valid: NDArray[np.bool_] = np.asarray(whole == whole)
    if not (whole > 0).all():
        dead = (phasors[:, :phases] == 0).all(axis=1)
        lost = ~valid | dead
        frequency, rocof = np.where(lost, np.nan, frequency), np.where(lost, np.nan, rocof)
        phasors = np.where(valid[:, None], phasors, np.nan)
    positive, negative, zero = symmetrical_components(phasors) if phases == 3 else (None, None, None)
    return Reports(time_ns, phasors, positive, negative, zero, frequency, rocof, valid)


ALPHA = cmath.exp(2j * pi / 3)


def positive_sequence_of(phasors: Sequence[complex]) -> complex:
    """Positive sequence of the first three phasors of one report."""
    a, b, c = phasors[:3]
    return (a + ALPHA * b + ALPHA**2 * c) / 3


def symmetrical_components(phasors: Complex) -> tuple[Complex, Complex, Complex]:
    """Positive, negative and zero sequence (Fortescue) of the first three columns, each complex128 [m]."""
    a, b, c = phasors[:, 0], phasors[:, 1], phasors[:, 2]
    return (a + ALPHA * b + ALPHA**2 * c) / 3, (a + ALPHA**2 * b + ALPHA * c) / 3, (a + b + c) / 3


def join_reports(parts: Sequence[Reports]) -> Reports:
    """One `Reports` from several of the same kind, in their order."""
    columns: dict[str, Any] = {}
    for field in fields(Reports):
        values = [getattr(part, field.name) for part in parts]
        columns[field.name] = None if values[0] is None else np.concatenate(values)
    return Reports(**columns)
