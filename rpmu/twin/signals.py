"""What a mains source is: volts on a grid of true time, and the truth about them.

Time is UTC in integer ns plus a float offset that never spans more than seconds, so no phase ever loses digits.
Truth follows C37.118.1: phasor = RMS value times exp(j angle), angle 0 when the cosine at the nominal frequency peaks
at the UTC second; frequency and ROCOF are those of the fundamental at that instant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

NS_PER_S = 1_000_000_000


@dataclass(frozen=True)
class Grid:
    """Evenly spaced instants: start_ns + offset_ns + i * step_ns, i = 0 .. n - 1.

    Attributes:
        start_ns: UTC, integer ns since the Unix epoch.
        step_ns: spacing in true ns.
        n: number of instants.
        offset_ns: what the first instant lies after `start_ns`, ns; may be negative.
    """

    start_ns: int
    step_ns: float
    n: int
    offset_ns: float = 0.0

    @property
    def dt_s(self) -> NDArray[np.float64]:
        """Seconds of each instant after `start_ns`, float64 [n]."""
        return (self.offset_ns + self.step_ns * np.arange(self.n, dtype=np.float64)) * 1e-9

    def delayed(self, delay_s: float) -> Grid:
        """The grid of the instants at which a signal was that is now `delay_s` old."""
        return Grid(self.start_ns, self.step_ns, self.n, self.offset_ns - delay_s * 1e9)


@dataclass(frozen=True)
class Truth:
    """What a perfect PMU would report.

    Attributes:
        phasors: complex128 [m, phases], RMS volts, synchrophasor angle.
        frequency_hz: float64 [m].
        rocof_hz_per_s: float64 [m].
    """

    phasors: NDArray[np.complex128]
    frequency_hz: NDArray[np.float64]
    rocof_hz_per_s: NDArray[np.float64]


class MainsSource(Protocol):
    """The outlet."""

    @property
    def phases(self) -> int:
        """Number of phases, 1 or 3."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know about this source, one sentence each (how a recording was looped)."""

    def volts(self, grid: Grid) -> NDArray[np.float64]:
        """Volts, float64 [phases, n]; a pure function of the grid."""

    def truth(self, utc_ns: NDArray[Any]) -> Truth | None:
        """The truth at these instants (int64 [m], UTC ns), or None where nobody knows it (a recording)."""
