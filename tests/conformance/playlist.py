"""One outlet that plays test signal after test signal: what the twin's mains are made of in the conformance suite.

The signals are the suite's own. Each has its zero of time at a whole second of UTC, where the suite's formulas put it,
and holds from half a reach before its reports count to half a reach after; between two of them the wave jumps, and no
report whose window sees the jump is looked at.
"""

import math
from dataclasses import dataclass

import numpy as np

from rpmu.twin.signals import NS_PER_S, Grid, Truth
from tests.conformance.signals import SHIFTS, Signal


@dataclass(frozen=True)
class Entry:
    """One signal of the list.

    Attributes:
        signal: what is played.
        span_s: first and last instant whose reports count, from the signal's zero.
        from_ns: UTC from which it is played.
        zero_ns: UTC of its zero of time.
    """

    signal: Signal
    span_s: tuple[float, float]
    from_ns: int
    zero_ns: int

    @property
    def span_ns(self) -> tuple[int, int]:
        """First and last instant whose reports count, UTC ns."""
        begin_s, end_s = self.span_s
        return self.zero_ns + round(begin_s * 1e9), self.zero_ns + round(end_s * 1e9)


def lay_out(points: list[tuple[Signal, tuple[float, float]]], from_ns: int, reach_s: float) -> list[Entry]:
    """Signals with their spans, one after the other.

    Args:
        points: signal and span of each.
        from_ns: where the first may begin.
        reach_s: how far the window of a report reaches to either side of its instant, and what settles in it.
    """
    entries = []
    for signal, span_s in points:
        lead_s = reach_s - span_s[0]
        zero_ns = math.ceil((from_ns + lead_s * 1e9) / NS_PER_S) * NS_PER_S
        entries.append(Entry(signal, span_s, from_ns, zero_ns))
        from_ns = zero_ns + round((span_s[1] + reach_s) * 1e9)
    return entries


class Playlist:
    """`rpmu.twin.signals.MainsSource` that plays entries, and the first of them before its time.

    Args:
        entries: in the order of time.
        voltage_v: RMS volts of a nominal wave.
        phases: 1 or 3.
    """

    notes = ()

    def __init__(self, entries: list[Entry], voltage_v: float, phases: int = 1) -> None:
        self.entries = entries
        self.phases = phases
        self._voltage_v = voltage_v

    @property
    def end_ns(self) -> int:
        """UTC at which every report that counts has its instant behind it."""
        return self.entries[-1].span_ns[1]

    def _pieces(self, start_ns, dt_s):
        """Each entry that holds at some of these instants, where, and the instants in its own time, s."""
        begins = np.array([(entry.from_ns - start_ns) * 1e-9 for entry in self.entries[1:]])
        which = np.searchsorted(begins, dt_s, side="right")
        for i in np.unique(which):
            where = np.flatnonzero(which == i)
            yield self.entries[i], where, (start_ns - self.entries[i].zero_ns) * 1e-9 + dt_s[where]

    def volts(self, grid: Grid):
        """See `MainsSource`."""
        volts = np.empty((self.phases, grid.n))
        for entry, where, t in self._pieces(grid.start_ns, grid.dt_s):
            volts[:, where] = np.sqrt(2) * self._voltage_v * entry.signal.wave(t, self.phases)
        return volts

    def truth(self, utc_ns):
        """See `MainsSource`."""
        utc_ns = np.atleast_1d(np.asarray(utc_ns, dtype=np.int64))
        phasors = np.empty((len(utc_ns), self.phases), dtype=np.complex128)
        frequency, rocof = np.empty(len(utc_ns)), np.empty(len(utc_ns))
        start_ns = int(utc_ns[0])
        for entry, where, t in self._pieces(start_ns, (utc_ns - start_ns) * 1e-9):
            true = entry.signal.truth(t)
            phasors[where] = self._voltage_v * true.phasor[:, None] * np.exp(1j * SHIFTS[: self.phases])
            frequency[where], rocof[where] = true.frequency_hz, true.rocof_hz_per_s
        return Truth(phasors, frequency, rocof)
