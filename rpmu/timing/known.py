"""A time that is known beforehand: the twin's truth in tests, behind the interface of the real sources."""

from __future__ import annotations

from rpmu.acquire.blocks import AcquisitionInfo, PpsEvent, SampleBlock
from rpmu.timing.codes import MSG_TQ_LOCKED, pmu_time_quality
from rpmu.timing.leap import LeapSchedule
from rpmu.timing.quality import BOUND_SIGMAS
from rpmu.timing.start import SECOND_NS
from rpmu.timing.states import LockState
from rpmu.timing.status import ReportTime, TimeCodes, TimeCounters, TimeFacts, TimeStatus
from rpmu.timing.time_map import TimeMap


class KnownTime:
    """A given map, locked from the first moment.

    Attributes:
        map: scan number to UTC; may be replaced at any time.
    """

    def __init__(self, time_map: TimeMap, leaps: LeapSchedule | None = None) -> None:
        self.map: TimeMap | None = time_map
        self._leaps = leaps or LeapSchedule()
        self._bound_ns = BOUND_SIGMAS * time_map.sigma_ns
        self._codes = TimeCodes(MSG_TQ_LOCKED, pmu_time_quality(self._bound_ns), 0, True)

    @property
    def status(self) -> TimeStatus:
        """Always locked."""
        return TimeStatus(
            state=LockState.LOCKED,
            reason="the time is given",
            codes=self._codes,
            counters=TimeCounters(),
            sigma_ns=self._bound_ns / BOUND_SIGMAS,
            bound_ns=self._bound_ns,
            ppm=0.0,
            seconds_since_lock=0.0,
            last_step_ns=0.0,
            leap="none",
        )

    def learn_leaps(self, leaps: LeapSchedule) -> None:
        """The list was given with the time."""

    def resume(self, _info: AcquisitionInfo) -> bool:
        """It was given for one run."""
        return False

    @property
    def facts(self) -> TimeFacts:
        """Always locked, without a receiver."""
        return TimeFacts(gps_fix=False, pps_present=False, locked=True)

    def feed_block(self, block: SampleBlock) -> None:
        """Nothing to learn."""

    def feed_nmea(self, data: bytes, at_scan: int) -> None:
        """Nothing to learn."""

    def feed_event(self, event: PpsEvent) -> None:
        """Nothing to learn."""

    def report_time(self, utc_ns: int) -> ReportTime:
        """SOC and leap bits of the instant, and the codes of the given sigma."""
        leap = self._leaps.state(utc_ns // SECOND_NS)
        return ReportTime(leap.soc, leap.bits, self._codes)
