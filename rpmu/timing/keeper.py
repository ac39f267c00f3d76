"""The timekeeper: PPS events and NMEA bytes in, a TimeMap and honest codes out. This file only wires the others.

    PpsEvent -> EdgeFitter (or the counter, for a pin) -> ClockFilter: local time, whole seconds without a name
    NMEA     -> NmeaStream -> ReceiverState: is the PPS vouched for?
                           -> SecondNamer: the name of the local second
    all      -> LockMachine -> codes; LeapSchedule -> SOC and leap bits

Everything is in scan numbers; no clock of the host is read. The map's UTC is the continuous scale of leap.py: it runs
straight through a leap second, which only `report_time` shows.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace

from rpmu.acquire.blocks import AcquisitionInfo, PpsEvent, SampleBlock
from rpmu.timing.bridge import CounterBridge
from rpmu.timing.clock import SECOND_NS, ClockFilter, Outcome, Verdict
from rpmu.timing.codes import message_time_quality, pmu_time_quality, unlocked_time
from rpmu.timing.edge import BadEdgeError, Edge, EdgeFitter
from rpmu.timing.leap import LeapSchedule
from rpmu.timing.naming import SecondNamer, Trust
from rpmu.timing.nmea import NmeaStream, Sentence
from rpmu.timing.receiver_state import ReceiverState, shows_no_date
from rpmu.timing.settings import TimingSettings
from rpmu.timing.states import Evidence, LockMachine, LockState
from rpmu.timing.status import ReportTime, TimeCodes, TimeCounters, TimeStatus
from rpmu.timing.time_map import TimeMap

BOUND_SIGMAS = 3.0
RESIDUALS = 60


class TimeKeeper:
    """Time for one run of the acquisition (from START to the next)."""

    def __init__(
        self, info: AcquisitionInfo, settings: TimingSettings | None = None, leaps: LeapSchedule | None = None
    ) -> None:
        """Start cold.

        Args:
            info: of the running firmware.
            settings: limits and constants; the defaults if not given.
            leaps: known leap seconds (`leap.parse_leap_file`); none if not given.
        """
        settings = settings or TimingSettings()
        self._settings = settings
        self._rate_hz = float(info.scan_rate_hz)
        self._fitter = EdgeFitter(settings.pps_tau_s * self._rate_hz, settings.pps_tau_tolerance)
        self._bridge = CounterBridge(info)
        self._clock = ClockFilter(self._rate_hz, settings)
        self._nmea = NmeaStream(settings.not_before)
        self._receiver = ReceiverState()
        self._namer = SecondNamer(settings, leaps or LeapSchedule())
        self._machine = LockMachine(settings)
        self._residuals: deque[float] = deque(maxlen=RESIDUALS)
        self._scan = 0
        self._counters = TimeCounters()
        self._step_scan: int | None = None
        self._last_step_ns = 0.0
        self._locked_scan: int | None = None

    # ---- what comes in ----

    def feed_block(self, block: SampleBlock) -> None:
        """Take in that scans have passed, and whether the ADC was restarted."""
        self._see(block.epoch, block.first_scan, block.counter)
        self._advance(block.first_scan)

    def feed_nmea(self, data: bytes, at_scan: int) -> None:
        """Take in bytes from the receiver, in any pieces.

        Args:
            data: raw bytes of the serial port.
            at_scan: newest scan number when they were read.
        """
        self._advance(at_scan)
        for sentence in self._nmea.feed(data, at_scan):
            self._take_sentence(sentence)
        self._look()

    def feed_event(self, event: PpsEvent) -> None:
        """Take in a PPS edge."""
        self._counters = replace(self._counters, edges=self._counters.edges + 1)
        if event.source == "adc":
            self._see(event.epoch, event.first_scan + event.crossing, event.counter_before)
        self._advance(event.first_scan + event.samples.size)
        silent = self._receiver.no_voucher(self._now_s, self._settings.nmea_timeout_s)
        if silent and self._receiver.heard_s > -math.inf:
            self._count("unvouched")
        else:
            try:
                self._take_edge(self._place(event))
            except BadEdgeError:
                self._count("bad")
        self._look()

    # ---- what comes out ----

    @property
    def map(self) -> TimeMap | None:
        """Scan number to UTC of the PPS channel's sampling instant; None until both rate and second are known."""
        if not self._clock.running or self._namer.name is None:
            return None
        local = self._clock.local_map(self._scan)
        offset = self._namer.name * SECOND_NS + round(self._settings.pps_delay_ns)
        return replace(local, time0_ns=local.time0_ns + offset)

    @property
    def status(self) -> TimeStatus:
        """State, quality and counters now."""
        residuals = list(self._residuals)
        sigma = self._clock.sigma_ns(self._scan)
        return TimeStatus(
            state=self._machine.state,
            reason=self._machine.reason,
            codes=self._codes(),
            residual_last_ns=residuals[-1] if residuals else math.nan,
            residual_rms_ns=math.sqrt(sum(r * r for r in residuals) / len(residuals)) if residuals else math.nan,
            sigma_ns=sigma,
            bound_ns=self._bound_ns(),
            ppm=-self._clock.offset_ppb * 1e-3,
            seconds_since_pps=self._clock.seconds_since_edge(self._scan) if self._clock.running else math.inf,
            seconds_since_lock=self._seconds_since(self._locked_scan),
            fix=self._receiver.fix,
            dimensions=self._receiver.dimensions,
            satellites=self._receiver.satellites,
            hdop=self._receiver.hdop,
            leap=self._leap_word(),
            pps_tau_us=self._fitter.tau / self._rate_hz * 1e6 if self._fitter.step else 0.0,
            pps_jitter_ns=self._clock.jitter_ns,
            last_step_ns=self._last_step_ns,
            rollovers=self._namer.rollovers,
            counters=self._all_counters(),
        )

    def report_time(self, utc_ns: int) -> ReportTime:
        """Everything about time for the frame of a report.

        Args:
            utc_ns: its instant on the map's scale, ns.
        """
        leap = self._namer.leaps.state(utc_ns // SECOND_NS)
        return ReportTime(leap.soc, leap.bits, self._codes())

    # ---- inside ----

    @property
    def _now_s(self) -> float:
        return self._scan / self._rate_hz

    def _seconds_since(self, scan: int | None) -> float:
        return math.inf if scan is None else (self._scan - scan) / self._rate_hz

    def _count(self, name: str, by: int = 1) -> None:
        self._counters = replace(self._counters, **{name: getattr(self._counters, name) + by})

    def _advance(self, scan: int) -> None:
        self._scan = max(self._scan, scan)
        self._look()

    def _see(self, epoch: int, scan: int, counter: int) -> None:
        """Carry the clock across a restart of the ADC."""
        moved, sigma_ns = self._bridge.see(epoch, scan, counter)
        if sigma_ns:
            self._clock.shift(moved, sigma_ns)
            self._count("epochs")

    def _place(self, event: PpsEvent) -> Edge:
        if event.source == "pin":
            if self._bridge.epoch != event.epoch:
                raise BadEdgeError("an edge at the pin before any scan of its epoch: it has no place among the scans")
            return self._bridge.pin_edge(event, self._settings.pin_latency_ns)
        return self._fitter.fit(event)

    def _take_edge(self, edge: Edge) -> None:
        since = self._clock.seconds_since_edge(edge.scan) if self._clock.running else 0.0
        outcome = self._clock.edge(edge)
        if outcome.verdict is Verdict.REJECTED:
            self._count("rejected")
            self._count("double", since < 0.9)
        elif outcome.verdict is Verdict.ACCEPTED:
            self._count("accepted")
            self._count("missing", max(round(since) - 1, 0))
            self._residuals.append(outcome.residual_ns)
        self._note_step(outcome)

    def _note_step(self, outcome: Outcome) -> None:
        """Flag a correction of the time above the limit."""
        if outcome.verdict is Verdict.RESTARTED:
            self._namer.restart()
        if abs(outcome.step_ns) > self._settings.resync_limit_ns and self._namer.name is not None:
            self._flag_step(outcome.step_ns)

    def _flag_step(self, step_ns: float) -> None:
        self._count("resyncs")
        self._step_scan, self._last_step_ns = self._scan, step_ns

    def _take_sentence(self, sentence: Sentence) -> None:
        self._receiver.take(sentence, self._now_s)
        if shows_no_date(sentence):
            self._namer.saw_no_date()
        vouched = sentence.valid if sentence.valid is not None else bool(self._receiver.fix)
        if sentence.time is None or not vouched or not self._clock.running:
            return
        before = self._namer.name
        self._namer.hear(sentence.time, self._clock.local_ns(sentence.scan), self._now_s)
        if before is not None and self._namer.name is not None and self._namer.name != before:
            self._flag_step(float(self._namer.name - before) * SECOND_NS)

    def _bound_ns(self) -> float:
        """What the time error is not expected to exceed; infinite while the whole seconds are in doubt."""
        if self._namer.trust is not Trust.TRUSTED:
            return math.inf
        return BOUND_SIGMAS * self._clock.sigma_ns(self._scan)

    def _look(self) -> None:
        """Let the state follow from all that is known."""
        trust = self._namer.trust
        evidence = Evidence(
            edges=self._counters.edges,
            running=self._clock.running,
            accepted=self._clock.accepted,
            seconds_since_edge=self._clock.seconds_since_edge(self._scan) if self._clock.running else math.inf,
            bound_ns=self._bound_ns(),
            doubt="" if trust is Trust.TRUSTED else trust.value,
            no_voucher=self._receiver.no_voucher(self._now_s, self._settings.nmea_timeout_s),
            seconds_since_step=self._seconds_since(self._step_scan),
        )
        self._machine.look(evidence)
        if self._machine.state is LockState.LOCKED:
            self._locked_scan = self._scan

    def _codes(self) -> TimeCodes:
        locked = self._machine.state is LockState.LOCKED
        bound = self._bound_ns()
        since = 0.0 if locked else self._seconds_since(self._locked_scan)
        return TimeCodes(message_time_quality(locked, bound), pmu_time_quality(bound), unlocked_time(since), locked)

    def _leap_word(self) -> str:
        if not self._clock.running or self._namer.name is None:
            return "none"
        state = self._namer.leaps.state(self._clock.local_ns(self._scan) // SECOND_NS + self._namer.name)
        direction = "delete" if state.delete else "add"
        return f"pending {direction}" if state.pending else f"occurred {direction}" if state.occurred else "none"

    def _all_counters(self) -> TimeCounters:
        return replace(self._counters, nmea_good=dict(self._nmea.good), nmea_bad=dict(self._nmea.bad))
