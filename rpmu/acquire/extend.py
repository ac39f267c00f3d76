"""From the firmware's 32 bits to whole numbers: scan numbers and the counter without their wraps.

The counter wraps every 21.47 s and scan numbers every 19.9 h, and a reader may have slept through a wrap. Each value is
therefore placed nearest to a prediction: blocks predict scans, scans predict the counter. Only a shift of half a wrap
against the prediction could fool that, which for the counter takes an ADC that stood still for 10.7 s.
"""

from __future__ import annotations

from fractions import Fraction

WRAP = 1 << 32
HALF = 1 << 31
LOW = WRAP - 1  # mask of the low 32 bits: as modulo WRAP, at half the cost


def nearest(value: int, predicted: int) -> int:
    """The number nearest to `predicted` whose low 32 bits are `value`."""
    return predicted + (value - predicted + HALF) % WRAP - HALF


class CounterClock:
    """Extends counter values along their scans, and checks that both advance as one crystal makes them.

    Args:
        ticks_per_scan: exact counter ticks per scan.
        at_start: the counter at scan 0, to within seconds, if it is to run on from a time before; without, it begins
            with the first value as it is.

    Attributes:
        slips: of the counter against the scans by more than half a scan; then it counts anew from there.
    """

    def __init__(self, ticks_per_scan: Fraction, at_start: int | None = None) -> None:
        self._ticks, self._scans = ticks_per_scan.numerator, ticks_per_scan.denominator
        # scan and extended counter
        self._latest: tuple[int, int] | None = None if at_start is None else (0, at_start)
        self._epoch: int | None = None
        self._ahead = 0  # of the scans since the reference, in parts of a tick: so they stay whole numbers
        self.slips = 0

    def see(self, epoch: int, scan: int, counter: int, scans_before: int = 0) -> int:
        """The counter at a scan, given its low 32 bits; scans come in rising order.

        Args:
            epoch: of the scan; a new one may lie anywhere against the old one, so there it counts anew.
            scan: its number.
            counter: the low 32 bits.
            scans_before: give the counter `before` the scan by so many.
        """
        if self._latest is not None and epoch == self._epoch:
            latest_scan, latest = self._latest
            passed = (counter - latest) & LOW
            ahead = self._ahead + passed * self._scans - (scan - latest_scan) * self._ticks
            if -self._ticks <= 2 * ahead <= self._ticks:  # so near to the scans that it cannot be off by a wrap
                self._ahead, self._latest = ahead, (scan, latest + passed)
                return latest + passed - scans_before * self._ticks // self._scans
        return self.before(self._see_anything(epoch, scan, counter), scans_before)

    def _see_anything(self, epoch: int, scan: int, counter: int) -> int:
        """The same for any value: the first one, of a new epoch, slipped, or late against the one before."""
        latest_scan, latest = self._latest or (scan, counter)
        passed_scans = scan - latest_scan
        expected = passed_scans * self._ticks // self._scans
        passed = expected + (counter - latest - expected + HALF) % WRAP - HALF
        self._ahead += passed * self._scans - passed_scans * self._ticks
        if epoch != self._epoch or 2 * abs(self._ahead) > self._ticks:
            self.slips += epoch == self._epoch
            self._epoch, self._ahead = epoch, 0
        self._latest = scan, latest + passed
        return latest + passed

    def place(self, scan: int, counter: int) -> int:
        """The same for a scan that may lie before earlier ones; later ones do not follow from it."""
        predicted = self.at(scan)
        if predicted is None:
            self._latest, predicted = (scan, counter), counter
        return nearest(counter, predicted)

    def at(self, scan: int) -> int | None:
        """What the counter shows at a scan, by the latest values; None before any."""
        if self._latest is None:
            return None
        latest_scan, latest = self._latest
        return latest + (scan - latest_scan) * self._ticks // self._scans

    def before(self, counter: int, scans: int) -> int:
        """The counter so many scans before another reading: exact, or late by less than a tick, as readings are."""
        return counter - scans * self._ticks // self._scans
