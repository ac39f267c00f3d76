"""What the sources of time have in common that live through several runs of the acquisition.

Each run numbers its scans anew, and so does each restart of the ADC move them; the counter runs on (bridge.py). This
watches for both and has the source move along. It also keeps the leap seconds, which belong to no run.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from rpmu.acquire.blocks import AcquisitionInfo
from rpmu.timing.axis import AxisMove
from rpmu.timing.bridge import CounterBridge, Shift
from rpmu.timing.leap import LeapSchedule
from rpmu.timing.start import SECOND_NS
from rpmu.timing.time_map import TimeMap


class CarriedTime(ABC):
    """A source of time that goes on where the scans do not."""

    def __init__(self, info: AcquisitionInfo, leaps: LeapSchedule | None) -> None:
        """For a first run, with the leap seconds that are known."""
        self._bridge = CounterBridge(info)
        self._leaps = leaps or LeapSchedule()
        self._scan = 0  # the newest that is known of
        self._next_run: AcquisitionInfo | None = None  # announced, but no scan of it was seen yet

    def resume(self, info: AcquisitionInfo) -> bool:
        """The acquisition was started anew, on a counter that ran on: with its first scan, all that is known goes on.

        Args:
            info: of the new run.

        Returns:
            False if there is nothing to go on with, because no scan was seen.
        """
        if self._bridge.epoch is None:
            return False
        self._next_run = info
        return True

    def learn_leaps(self, leaps: LeapSchedule) -> None:
        """Take in a list of leap seconds that is newer than the one before."""
        second = self.map.utc_ns_at(self._scan) // SECOND_NS if self.map else 0
        self._leaps.learn(leaps, self._leaps.state(second).soc)
        self._look()

    def _see(self, epoch: int, scan: int, counter: int) -> None:
        """Take in when a scan was read: across a restart of the ADC, or to the scans of a new run, all moves along."""
        if self._next_run is not None:
            self._bridge, move = self._bridge.next_run(self._next_run, epoch, scan, counter)
            self._next_run = None
            self._move(move)
        elif (shift := self._bridge.see(epoch, scan, counter)) is not None:
            self._shift(shift)

    @property
    @abstractmethod
    def map(self) -> TimeMap | None:
        """Scan number to UTC; None until known."""

    @abstractmethod
    def _move(self, move: AxisMove) -> None:
        """All that is remembered by scans moves to the new axis."""

    @abstractmethod
    def _shift(self, shift: Shift) -> None:
        """The sampling instants moved against the scan numbers."""

    @abstractmethod
    def _look(self) -> None:
        """Let state and codes follow from all that is known."""
