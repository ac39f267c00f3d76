"""Time from the host clock, for places without GPS reception: `time_source = "system"`.

This module reads no clock. The daemon looks at the host clock, at the newest scan number, and at the host clock
again; the scan was sampled somewhere between the two readings (and at most one scan earlier), which is an interval
like that of a PPS between two samples, and interval.py makes the best line of many. How well the host clock itself
keeps UTC is what chronyd says (chrony.py); codes follow the sum. At the usual milliseconds of NTP that is honest and
poor: never locked, because 1 ms is 38 % TVE at 60 Hz. With PTP it can be as good as a GPS.
"""

from __future__ import annotations

import math
from dataclasses import replace

from rpmu.acquire.blocks import AcquisitionInfo, PpsEvent, SampleBlock
from rpmu.timing.axis import AxisMove
from rpmu.timing.bridge import Shift
from rpmu.timing.carried import CarriedTime
from rpmu.timing.chrony import ChronyTracking
from rpmu.timing.interval import DRIFT_SIGMAS, MOVE_SIGMAS, IntervalClock
from rpmu.timing.leap import DAY_S, LeapSchedule, LeapSecond
from rpmu.timing.quality import BOUND_SIGMAS, Quality
from rpmu.timing.settings import TimingSettings
from rpmu.timing.start import SECOND_NS
from rpmu.timing.states import SETTLED_EDGES, Evidence, LockState
from rpmu.timing.status import ReportTime, TimeCounters, TimeFacts, TimeStatus
from rpmu.timing.time_map import TimeMap

STALE_S = 120.0  # chronyd is asked about once a minute
LEAP_MARGIN_S = 3


class SystemTimeKeeper(CarriedTime):
    """Time from readings of the host clock, for one run of the acquisition or, with `resume`, several."""

    def __init__(
        self, info: AcquisitionInfo, settings: TimingSettings | None = None, leaps: LeapSchedule | None = None
    ) -> None:
        """Start cold; arguments as for `TimeKeeper`."""
        super().__init__(info, leaps)
        self._settings = settings or TimingSettings()
        self._rate_hz = float(info.scan_rate_hz)
        self._nominal_ns = SECOND_NS / self._rate_hz
        self._quality = Quality(self._settings, self._rate_hz)
        self._intervals = IntervalClock(self._nominal_ns, self._settings)
        self._readings = 0
        self._line: TimeMap | None = None
        self._offset_ppb, self._half_width_ns, self._offset_half_width_ppb = 0.0, math.inf, math.inf
        self._tracking: ChronyTracking | None = None
        self._tracking_scan = 0
        self._carried = 0

    def feed_tracking(self, tracking: ChronyTracking, at_scan: int) -> None:
        """Take in what chronyd says, with the newest scan number then."""
        if self._next_run is not None:
            return  # the scan has no place yet
        self._scan = max(self._scan, at_scan)
        self._tracking, self._tracking_scan = tracking, at_scan
        if tracking.leap_step and self._line:
            second = self._line.utc_ns_at(at_scan) // SECOND_NS
            self._leaps.add(LeapSecond((second // DAY_S + 1) * DAY_S, tracking.leap_step))
        self._look()

    def feed_reading(self, before_ns: int, scan: int, after_ns: int) -> None:
        """Take in one look at the host clock, about once a second.

        Args:
            before_ns: UTC of the host clock, ns, before the scan number was read.
            scan: newest complete scan.
            after_ns: UTC of the host clock after it was read.
        """
        if self._next_run is not None:
            return  # the scan has no place yet
        self._scan = max(self._scan, scan)
        second = before_ns // SECOND_NS
        if self._line is None:
            self._leaps.origin = second - 1
        if any(abs(second - leap.midnight) <= LEAP_MARGIN_S for leap in self._leaps.leaps):
            return  # a host clock repeats, skips or smears here; the crystal carries on
        passed_ns = (self._leaps.continuous(second) - second) * SECOND_NS
        # The scan was sampled up to one scan before it was the newest complete one.
        self._take(scan, before_ns + passed_ns - round(self._nominal_ns), after_ns + passed_ns)
        self._look()

    def _take(self, scan: int, earliest_ns: int, latest_ns: int) -> None:
        """Move the line into the set of those that pass through all readings."""
        middle_ns, half_width_ns = (earliest_ns + latest_ns) // 2, (latest_ns - earliest_ns) / 2
        self._intervals.add(scan, 0.0, middle_ns, half_width_ns)
        believed = self._line or TimeMap(scan, middle_ns, self._nominal_ns)
        phase_ns = float(believed.utc_ns_at(scan) - middle_ns)
        fix = self._intervals.fix(phase_ns, (believed.ns_per_index / self._nominal_ns - 1) * 1e9)
        if self._line is not None:
            self._quality.stepped(fix.phase_ns - phase_ns, scan)
        self._offset_ppb, self._offset_half_width_ppb = fix.offset_ppb, fix.offset_half_width_ppb
        self._half_width_ns = fix.half_width_ns
        self._line = TimeMap(scan, middle_ns + round(fix.phase_ns), self._nominal_ns * (1 + fix.offset_ppb * 1e-9))
        self._readings += 1

    def feed_block(self, block: SampleBlock) -> None:
        """Take in that scans have passed, and whether the ADC was restarted."""
        self._see(block.epoch, block.first_scan, block.counter)
        self._scan = max(self._scan, block.first_scan)
        self._look()

    def _shift(self, shift: Shift) -> None:
        """What is learned of a shift later is far below what a reading of the host clock can show."""
        if not shift.again and self._line is not None:
            moved_ns = round(shift.scans * self._line.ns_per_index)
            self._line = replace(self._line, time0_ns=self._line.time0_ns + moved_ns)
            self._intervals.clear()

    def _move(self, move: AxisMove) -> None:
        """All that is remembered by scans moves to the new axis."""
        self._carried += 1
        self._rate_hz, self._nominal_ns, self._scan = move.rate_hz, SECOND_NS / move.rate_hz, move.scan
        if self._line is not None:
            scan, fraction = move.place(self._line.index0)
            ns_per_scan = self._nominal_ns * (1 + self._offset_ppb * 1e-9)
            self._line = TimeMap(scan, self._line.time0_ns - round(fraction * ns_per_scan), ns_per_scan)
            self._half_width_ns += MOVE_SIGMAS * move.sigma_ns
        self._intervals.move(move)
        self._quality.move(move)
        self._tracking_scan = move.nearest(self._tracking_scan)

    def feed_nmea(self, data: bytes, at_scan: int) -> None:
        """Nothing: this source needs no receiver."""

    def feed_event(self, event: PpsEvent) -> None:
        """Nothing: this source needs no PPS."""

    @property
    def map(self) -> TimeMap | None:
        """Scan number to UTC; None before the second reading."""
        if self._line is None or self._readings < 2:
            return None
        return replace(self._line, sigma_ns=self._bound_ns() / BOUND_SIGMAS)

    @property
    def status(self) -> TimeStatus:
        """State, quality and counters now."""
        return TimeStatus(
            state=self._quality.state,
            reason=self._quality.reason,
            codes=self._quality.codes,
            counters=TimeCounters(
                edges=self._readings,
                resyncs=self._quality.resyncs,
                epochs=self._bridge.epochs,
                carried=self._carried,
            ),
            sigma_ns=self._bound_ns() / BOUND_SIGMAS,
            bound_ns=self._quality.bound_ns,
            ppm=-self._offset_ppb * 1e-3,
            seconds_since_lock=self._quality.seconds_since_lock(self._scan),
            last_step_ns=self._quality.last_step_ns,
            leap=self._leaps.word(self._line.utc_ns_at(self._scan) // SECOND_NS) if self._line else "none",
        )

    @property
    def facts(self) -> TimeFacts:
        """What of the status a report says: this source knows neither fix nor PPS."""
        return TimeFacts(gps_fix=False, pps_present=False, locked=self._quality.state is LockState.LOCKED)

    def report_time(self, utc_ns: int) -> ReportTime:
        """Everything about time for the frame of a report at an instant on the map's scale."""
        leap = self._leaps.state(utc_ns // SECOND_NS)
        return ReportTime(leap.soc, leap.bits, self._quality.codes)

    def _seconds_since(self, scan: int) -> float:
        return (self._scan - scan) / self._rate_hz

    def _bound_ns(self) -> float:
        """The readings' interval, what frequency and drift may have made of it since, and what chronyd admits."""
        if self._line is None or self._tracking is None:
            return math.inf
        since = self._seconds_since(self._line.index0)
        since_ns = self._offset_half_width_ppb * since + 0.5 * DRIFT_SIGMAS * self._settings.drift_ppb_per_s * since**2
        return self._half_width_ns + since_ns + self._tracking.bound_ns

    def _no_voucher(self) -> str:
        if self._tracking is None:
            return "chronyd has not yet said how well the host clock keeps UTC"
        if self._seconds_since(self._tracking_scan) > STALE_S:
            return f"chronyd is silent for {math.floor(self._seconds_since(self._tracking_scan))} s"
        return "" if self._tracking.synchronised else "chronyd is not synchronised"

    def _look(self) -> None:
        """Let state and codes follow from all that is known."""
        running = self._line is not None and self._readings >= 2
        evidence = Evidence(
            edges=self._readings,
            running=running,
            accepted=min(self._readings, SETTLED_EDGES),
            seconds_since_edge=self._seconds_since(self._line.index0) if self._line else math.inf,
            bound_ns=self._bound_ns(),
            doubt="",
            no_voucher=self._no_voucher(),
            seconds_since_step=self._quality.seconds_since_step(self._scan),
        )
        self._quality.look(evidence, self._scan)
