"""Report instants as integers: which number an instant has, and whether one rate's instants are among another's."""

from __future__ import annotations

from dataclasses import dataclass

from rpmu.c37118 import Stamp
from rpmu.errors import InputError

NS_PER_S = 1_000_000_000


@dataclass(frozen=True)
class Grid:
    """The report instants of a reporting rate, numbered from the epoch.

    Attributes:
        rate: DATA_RATE: frames per second, or negated seconds per frame.
    """

    rate: int

    def __post_init__(self) -> None:
        if self.rate == 0:
            raise InputError("reporting rate is 0, but must be frames per second, or negated seconds per frame")

    def ordinal(self, second: int, index: int) -> int:
        """Number of the instant (second, index)."""
        return second * self.rate + index if self.rate > 0 else second // -self.rate

    def instant(self, ordinal: int) -> tuple[int, int]:
        """(second, index) of an instant."""
        return divmod(ordinal, self.rate) if self.rate > 0 else (ordinal * -self.rate, 0)

    def time_ns(self, ordinal: int) -> int:
        """UTC of an instant, ns since the epoch, rounded down."""
        return ordinal * NS_PER_S // self.rate if self.rate > 0 else ordinal * -self.rate * NS_PER_S

    def at_or_after(self, time_ns: int) -> int:
        """Number of the first instant that is not before a time (UTC ns)."""
        numerator, denominator = (self.rate, NS_PER_S) if self.rate > 0 else (1, -self.rate * NS_PER_S)
        return -(-time_ns * numerator // denominator)

    def nearest(self, stamp: Stamp, time_base: int) -> int:
        """Number of the instant nearest to a stamp."""
        return self.ordinal(*stamp.grid_index(self.rate, time_base))

    def exact(self, stamp: Stamp, time_base: int) -> int | None:
        """Number of the instant that a stamp means, or None if it lies more than one count off every instant."""
        second, index = stamp.grid_index(self.rate, time_base)
        meant = Stamp.at(second, index, self.rate, time_base)
        off = (stamp.soc - meant.soc) * time_base + stamp.fracsec - meant.fracsec
        return self.ordinal(second, index) if abs(off) <= 1 else None

    def decimation_to(self, slower: Grid) -> int | None:
        """How many of these instants make one of `slower`, or None if its instants are not all among these."""
        periods = [(1, grid.rate) if grid.rate > 0 else (-grid.rate, 1) for grid in (self, slower)]
        (own_s, own_n), (slow_s, slow_n) = periods
        factor, rest = divmod(slow_s * own_n, own_s * slow_n)
        return factor if rest == 0 and factor > 0 else None
