"""Finding the PPS among whatever edges there are: three of them, whole seconds apart, on one line.

Used to start the clock and, with edges that it rejected, to start it over. Any crystal within `max_offset_ppm` passes;
single spurious, double and late edges do not, because they would have to lie on a line with two others.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from rpmu.timing.settings import TimingSettings
from rpmu.values import value

SECOND_NS = 1_000_000_000
CANDIDATES = 12
LINE_TOLERANCE_NS = 5_000.0  # how well three edges lie on a line, whatever the receiver's jitter


@value
class Candidate:
    """An edge, in scans, with its standard uncertainty in ns."""

    scan: int
    fraction: float
    sigma_ns: float

    def minus(self, other: Candidate) -> float:
        """Scans from the other edge to this one."""
        return (self.scan - other.scan) + (self.fraction - other.fraction)


@dataclass(frozen=True)
class Line:
    """A line through edges.

    Attributes:
        seconds: whole seconds between its first and last edge.
        offset_ppb: frequency offset that makes them whole.
    """

    seconds: int
    offset_ppb: float


class StartFinder:
    """Remembers the latest edges and looks for a line through three of them."""

    def __init__(self, nominal_ns: float, settings: TimingSettings) -> None:
        """For a nominal scan length, ns."""
        self._nominal_ns = nominal_ns
        self._limit = settings.max_offset_ppm * 1e-6
        self._edges: deque[Candidate] = deque(maxlen=CANDIDATES)

    def clear(self) -> None:
        """Forget all edges."""
        self._edges.clear()

    def add(self, last: Candidate) -> Line | None:
        """Take in an edge; gives the line that ends in it, if there is one."""
        line = self._line_to(last)
        self._edges.append(last)
        return line

    def _line_to(self, last: Candidate) -> Line | None:
        for first in self._edges:
            spacing_ns = last.minus(first) * self._nominal_ns
            seconds = round(spacing_ns / SECOND_NS)
            if not 2 <= seconds <= CANDIDATES or abs(spacing_ns / (seconds * SECOND_NS) - 1.0) > self._limit:
                continue
            if any(self._between(first, middle, last, spacing_ns / seconds) for middle in self._edges):
                return Line(seconds, (seconds * SECOND_NS / spacing_ns - 1.0) * 1e9)
        return None

    def _between(self, first: Candidate, middle: Candidate, last: Candidate, second_ns: float) -> bool:
        """Whether an edge lies on the line through the other two, at a whole second of its own."""
        from_first_ns = middle.minus(first) * self._nominal_ns
        seconds = round(from_first_ns / second_ns)
        if seconds < 1 or middle.minus(last) * self._nominal_ns > -second_ns / 2:
            return False
        limit_ns = LINE_TOLERANCE_NS + 3 * (first.sigma_ns + middle.sigma_ns + last.sigma_ns)
        return abs(from_first_ns - seconds * second_ns) < limit_ns
