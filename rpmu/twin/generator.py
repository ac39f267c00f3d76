"""A bench generator as the outlet: a sine that goes through a list of points and begins again.

It is locked to UTC: the twin's first instant is a crest of every point's sine, so at whole Hz every second is one, as
`rpmu calibrate generator` assumes. All channels get the same signal, or a phase each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpmu.calibrate.plan import CHECK, LEVELS, OFFSETS_HZ
from rpmu.twin.laws import Floats
from rpmu.twin.signals import NS_PER_S, Grid, Truth

MOST_POINTS = 100
Points = tuple[tuple[float, float], ...]


def default_points(nominal_hz: float, nominal_v: float) -> Points:
    """Those that `rpmu calibrate generator` asks for, in its order: Hz and V."""
    frequencies = [(nominal_hz + offset, nominal_v) for offset in OFFSETS_HZ]
    levels = [(nominal_hz, level * nominal_v) for level in LEVELS]
    return (*frequencies, *levels, *((nominal_hz + offset, level * nominal_v) for offset, level in CHECK))


def points(text: str) -> Points:
    """Points as HZ:V;HZ:V;...

    Raises:
        ValueError: it is something else.
    """
    found = tuple((float(hz), float(volts)) for hz, volts in (part.split(":") for part in text.split(";")))
    if not 1 <= len(found) <= MOST_POINTS or any(not (1 <= hz <= 1000 and 0 <= v <= 1e6) for hz, v in found):
        raise ValueError(text)
    return found


@dataclass(frozen=True)
class Generator:
    """The source.

    Attributes:
        points: frequency and RMS volts of each, in turn.
        each_s: how long each lasts.
        nominal_hz: of the PMU that looks.
        phases: channels.
        start_ns: of the first point, and crest of every sine.
        angle_rad: instead of a crest.
        lag_rad: of each channel behind the one before it: 0, or a third of a turn for a generator of three phases.
    """

    points: Points
    each_s: float
    nominal_hz: int
    phases: int
    start_ns: int
    angle_rad: float = 0.0
    lag_rad: float = 0.0

    @property
    def notes(self) -> tuple[str, ...]:
        """See `MainsSource`."""
        return (f"generator: {len(self.points)} points of {self.each_s:g} s each, again and again",)

    def volts(self, grid: Grid) -> Floats:
        """See `MainsSource`."""
        t = (grid.start_ns - self.start_ns) / NS_PER_S + grid.dt_s
        hz, rms = self._now(t)
        angle = 2 * np.pi * hz * t + self.angle_rad
        return np.stack([np.sqrt(2) * rms * np.cos(angle - lag_rad) for lag_rad in self._lags_rad])

    def truth(self, utc_ns: NDArray[Any]) -> Truth | None:
        """See `MainsSource`."""
        t = (np.asarray(utc_ns, dtype=np.int64) - self.start_ns) / NS_PER_S
        hz, rms = self._now(t)
        phasors = rms * np.exp(1j * (2 * np.pi * (hz - self.nominal_hz) * t + self.angle_rad))
        return Truth(phasors[:, None] * np.exp(-1j * self._lags_rad), hz, np.zeros_like(t))

    @property
    def _lags_rad(self) -> Floats:
        return self.lag_rad * np.arange(self.phases, dtype=np.float64)

    def _now(self, t: Floats) -> tuple[Floats, Floats]:
        """Frequency and RMS volts at these seconds after the start."""
        index = np.floor(t / self.each_s).astype(np.int64) % len(self.points)
        table = np.array(self.points)
        return table[index, 0], table[index, 1]
