"""SOC and FRACSEC: UTC as whole seconds and integer counts of 1/TIME_BASE.

All arithmetic is on integers, rounded to the nearest count, so that a stamp made from (second, index, rate) and the
index found again in a stamp agree for every rate and every TIME_BASE above twice the rate. Real PMUs at 30 frames/s
with TIME_BASE 1 000 000 send 33333, 66667, 100000: that is this rounding.
"""

from __future__ import annotations

from typing import NamedTuple

from rpmu.errors import InputError

NS_PER_S = 1_000_000_000
DEFAULT_TIME_BASE = 1_000_000


def _nearest(numerator: int, denominator: int) -> int:
    """Nearest integer to numerator / denominator, halves upward; both not negative."""
    return (2 * numerator + denominator) // (2 * denominator)


def on_grid(second: int, index: int, rate: int, time_base: int) -> tuple[int, int]:
    """SOC and FRACSEC of report number `index` in a UTC second; see `Stamp.at`."""
    if 0 <= index < rate:
        fracsec = _nearest(index * time_base, rate)
        return (second, fracsec) if fracsec < time_base else (second + 1, fracsec - time_base)
    if index == 0 and rate < 0:
        return second, 0
    raise InputError(f"frame index is {index}, but must lie in 0 to {max(rate, 1) - 1} at DATA_RATE {rate}")


class Stamp(NamedTuple):
    """A time as it stands in a frame.

    Attributes:
        soc: seconds since the Unix epoch, UTC.
        fracsec: counts of 1/TIME_BASE within the second.
    """

    soc: int
    fracsec: int

    @classmethod
    def at(cls, second: int, index: int, rate: int, time_base: int = DEFAULT_TIME_BASE) -> Stamp:
        """The stamp of report number `index` in a UTC second.

        Args:
            second: UTC second since the epoch.
            index: 0 to rate - 1; 0 when `rate` is negative.
            rate: DATA_RATE: frames per second, or negated seconds per frame.
            time_base: TIME_BASE of the stream.

        Raises:
            InputError: `index` is not one of the rate's.
        """
        return cls(*on_grid(second, index, rate, time_base))

    @classmethod
    def from_ns(cls, time_ns: int, time_base: int = DEFAULT_TIME_BASE) -> Stamp:
        """The stamp nearest to a UTC time in ns since the epoch."""
        second, rest_ns = divmod(time_ns, NS_PER_S)
        carry, fracsec = divmod(_nearest(rest_ns * time_base, NS_PER_S), time_base)
        return cls(second + carry, fracsec)

    def time_ns(self, time_base: int) -> int:
        """UTC, ns since the epoch, nearest integer."""
        return self.soc * NS_PER_S + _nearest(self.fracsec * NS_PER_S, time_base)

    def grid_index(self, rate: int, time_base: int) -> tuple[int, int]:
        """(second, index) of the report instant nearest to this stamp, the inverse of `at`.

        At a negative rate the second is the nearest multiple of the period and the index 0.
        """
        if rate < 0:
            return _nearest(self.soc * time_base + self.fracsec, -rate * time_base) * -rate, 0
        carry, index = divmod(_nearest(self.fracsec * rate, time_base), rate)
        return self.soc + carry, index
