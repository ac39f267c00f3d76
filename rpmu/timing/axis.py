"""From one run of the acquisition to the next: the same instants lie at other scan numbers, of another length.

A START numbers scans anew, but the PRU's counter runs on (bridge.py), so that each instant on the old axis has its
place on the new one. Whatever is remembered by scan number or by seconds of scans moves there by one `AxisMove`.
"""

from __future__ import annotations

import math

from rpmu.values import value


@value
class AxisMove:
    """Where the scans of one run lie among those of the run before.

    Attributes:
        scan: a scan of the new axis.
        before: where the same instant lies on the old axis, whole number of scans ...
        fraction: ... and the rest of it.
        before_hz: nominal scan rate of the old axis.
        rate_hz: and of the new one.
        sigma_ns: standard uncertainty of all that.
    """

    scan: int
    before: int
    fraction: float
    before_hz: float
    rate_hz: float
    sigma_ns: float

    @property
    def seconds(self) -> float:
        """What an instant's nominal time, scan / rate, is on the new axis more than on the old one."""
        return self.scan / self.rate_hz - (self.before + self.fraction) / self.before_hz

    def place(self, before: int, fraction: float = 0.0) -> tuple[int, float]:
        """Where a position of the old axis lies: whole number of scans, and the rest, from 0 to 1."""
        moved = ((before - self.before) + (fraction - self.fraction)) * (self.rate_hz / self.before_hz)
        whole = math.floor(moved)
        return self.scan + whole, moved - whole

    def nearest(self, before: int) -> int:
        """The scan nearest to one of the old axis."""
        scan, fraction = self.place(before)
        return scan + round(fraction)
