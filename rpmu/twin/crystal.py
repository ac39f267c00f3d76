"""The board's 24 MHz crystal: the map between PRU cycles and true time.

Everything on the board counts this crystal (the PRU multiplies it, the ADC divides it), so cycles are the only time
the firmware knows, and the crystal's error is the only one. It is constant over segments of 0.1 s: offset, linear
drift, a slow sinusoid (temperature) and a random walk, plus steps on command. Segment ends are kept in integer
picoseconds, so nothing accumulates; within a segment the map is a straight line.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from rpmu.errors import InputError

NS_PER_CYCLE = 5
SEGMENT_CYCLES = 20_000_000  # 0.1 s
SEGMENT_S = 0.1
PS_PER_NS = 1000
MAX_PPM = 1000  # ten times the worst crystal sold


@dataclass(frozen=True)
class CrystalSettings:
    """How wrong the crystal is. Positive ppm: it runs fast, more cycles in a second.

    Attributes:
        ppm: offset.
        drift_ppb_per_s: linear drift (ageing, warming up).
        temperature_ppb: amplitude of a slow sinusoid.
        temperature_period_s: its period (an air conditioner, a day).
        walk_ppb_per_rts: random walk, standard deviation after one second.
    """

    ppm: float = 0.0
    drift_ppb_per_s: float = 0.0
    temperature_ppb: float = 0.0
    temperature_period_s: float = 900.0
    walk_ppb_per_rts: float = 0.0

    def __post_init__(self) -> None:
        if not abs(self.ppm) <= MAX_PPM:
            raise InputError(f"the crystal's offset is {self.ppm:g} ppm, but must lie within {MAX_PPM} ppm of nominal")


class Crystal:
    """PRU cycles to true time and back.

    Args:
        start_ns: UTC of cycle 0.
        settings: its errors.
        seed: of the random walk.
    """

    def __init__(self, start_ns: int, settings: CrystalSettings | None = None, seed: int = 0) -> None:
        self.start_ns = start_ns
        self._settings = settings or CrystalSettings()
        self._rng = np.random.default_rng([seed, 0xC7])
        self._walk = 0.0
        self._carry_ps = 0.0  # what rounding has left over, so that a constant offset stays exactly that
        self._ends_ps = array("q", [0])  # true time of each segment's start, ps since cycle 0
        self._steps: list[tuple[float, float]] = []  # (seconds since cycle 0, relative change)

    def add_step(self, at_s: float, ppm: float) -> None:
        """Let the frequency jump by `ppm` at the first segment that starts at or after `at_s` since cycle 0."""
        self._steps.append((at_s, ppm * 1e-6))

    def offset(self, segment: int) -> float:
        """Relative frequency error in a segment, without the random walk."""
        s, t = self._settings, segment * SEGMENT_S
        slow = s.temperature_ppb * 1e-9 * np.sin(2.0 * np.pi * t / s.temperature_period_s)
        steps = sum(change for at_s, change in self._steps if t >= at_s)
        return float(s.ppm * 1e-6 + s.drift_ppb_per_s * 1e-9 * t + slow + steps)

    def _extend(self, segments: int) -> None:
        """Have at least this many segments."""
        while len(self._ends_ps) <= segments:
            relative = self.offset(len(self._ends_ps) - 1) + self._walk
            nominal_ps = SEGMENT_CYCLES * NS_PER_CYCLE * PS_PER_NS
            # the difference to nominal is small, so float64 holds it to far below a picosecond
            extra_ps = self._carry_ps - nominal_ps * relative / (1.0 + relative)
            self._carry_ps = extra_ps - round(extra_ps)
            self._ends_ps.append(self._ends_ps[-1] + nominal_ps + round(extra_ps))
            if self._settings.walk_ppb_per_rts:
                self._walk += self._settings.walk_ppb_per_rts * 1e-9 * SEGMENT_S**0.5 * self._rng.standard_normal()

    def ns_per_cycle(self, segment: int) -> float:
        """True length of a cycle in a segment, ns."""
        self._extend(segment + 1)
        return (self._ends_ps[segment + 1] - self._ends_ps[segment]) / (SEGMENT_CYCLES * PS_PER_NS)

    def utc(self, cycle: float) -> tuple[int, float]:
        """True time of a cycle: UTC in integer ns, and the fraction of a ns from there (0 to 1)."""
        segment, within = divmod(cycle, SEGMENT_CYCLES)
        index = max(0, int(segment))
        within += (segment - index) * SEGMENT_CYCLES  # before cycle 0 the first segment goes on backwards
        whole, start_ps = divmod(self._ps(index), PS_PER_NS)
        ns = start_ps / PS_PER_NS + float(within) * self.ns_per_cycle(index)
        floor = int(np.floor(ns))
        return self.start_ns + whole + floor, ns - floor

    def _ps(self, segment: int) -> int:
        self._extend(segment)
        return self._ends_ps[segment]

    def cycle_at(self, utc_ns: int, fraction_ns: float = 0.0) -> float:
        """The cycle, with its fraction, at a true time."""
        ps = (utc_ns - self.start_ns) * PS_PER_NS
        while self._ends_ps[-1] <= ps:
            self._extend(len(self._ends_ps))
        index = max(0, bisect_right(self._ends_ps, ps) - 1)
        within_ns = (ps - self._ends_ps[index]) / PS_PER_NS + fraction_ns
        return index * SEGMENT_CYCLES + within_ns / self.ns_per_cycle(index)
