"""What the rest of the pipeline knows of a source of time, whichever it is."""

from __future__ import annotations

from typing import Protocol

from rpmu.acquire.blocks import AcquisitionInfo, PpsEvent, SampleBlock
from rpmu.timing.leap import LeapSchedule
from rpmu.timing.status import ReportTime, TimeFacts, TimeStatus
from rpmu.timing.time_map import TimeMap


class TimeSource(Protocol):
    """Scan number to UTC, and how good that is: `TimeKeeper`, `SystemTimeKeeper` and `KnownTime` are such sources."""

    @property
    def map(self) -> TimeMap | None:
        """Scan number to UTC of the PPS channel's sampling instant; None until known."""
        ...

    @property
    def status(self) -> TimeStatus:
        """State, quality and counters now."""
        ...

    def resume(self, info: AcquisitionInfo) -> bool:
        """The acquisition was started anew on a counter that ran on; False if that is of no use to go on."""
        ...

    def learn_leaps(self, leaps: LeapSchedule) -> None:
        """Take in a newer list of leap seconds."""
        ...

    @property
    def facts(self) -> TimeFacts:
        """What of the status a report says; asked for with every report."""
        ...

    def feed_block(self, block: SampleBlock) -> None:
        """Scans have passed."""
        ...

    def feed_nmea(self, data: bytes, at_scan: int) -> None:
        """Bytes from a GPS receiver; ignored by sources that need none."""
        ...

    def feed_event(self, event: PpsEvent) -> None:
        """A PPS edge; ignored by sources that need none."""
        ...

    def report_time(self, utc_ns: int) -> ReportTime:
        """Everything about time for the frame of a report at an instant on the map's scale."""
        ...
