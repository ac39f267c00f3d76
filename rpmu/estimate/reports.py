"""What the estimator gives: reports, as arrays over the report instants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Complex = NDArray[np.complex128]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Reports:
    """Synchrophasor reports at m instants.

    Attributes:
        time_ns: int64 [m], UTC of the report, ns since the Unix epoch.
        phasors: complex128 [m, n_channels], RMS at the mains, angle 0 when the cosine peaks at the report instant.
        positive_sequence: complex128 [m]; None for one phase.
        negative_sequence: complex128 [m]; None for one phase.
        zero_sequence: complex128 [m]; None for one phase.
        frequency_hz: float64 [m], of the positive sequence, for one phase of the first channel.
        rocof_hz_per_s: float64 [m].
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


def build_reports(time_ns: NDArray[np.int64], phasors: Complex, frequency: Floats, rocof: Floats, phases: int) -> Reports:
    """Put reports together: sequence components from the first three channels, and validity from the numbers.

    Args:
        time_ns: int64 [m].
        phasors: complex128 [m, n_channels].
        frequency: float64 [m], Hz.
        rocof: float64 [m], Hz/s.
        phases: 1 or 3.
    """
    valid = np.isfinite(phasors).all(axis=1)
    if not valid.all():
        phasors = np.where(valid[:, None], phasors, np.nan)
        frequency, rocof = np.where(valid, frequency, np.nan), np.where(valid, rocof, np.nan)
    sequences = symmetrical_components(phasors) if phases == 3 else (None, None, None)
    return Reports(time_ns, phasors, *sequences, frequency, rocof, valid)


def symmetrical_components(phasors: Complex) -> tuple[Complex, Complex, Complex]:
    """Positive, negative and zero sequence (Fortescue) of the first three columns, each complex128 [m]."""
    a, b, c = phasors[:, 0], phasors[:, 1], phasors[:, 2]
    alpha = np.exp(2j * np.pi / 3)
    return (a + alpha * b + alpha**2 * c) / 3, (a + alpha**2 * b + alpha * c) / 3, (a + b + c) / 3


def join_reports(parts: Sequence[Reports]) -> Reports:
    """One `Reports` from several of the same kind, in their order."""
    columns = []
    for field in fields(Reports):
        values = [getattr(part, field.name) for part in parts]
        columns.append(None if values[0] is None else np.concatenate(values))
    return Reports(*columns)
