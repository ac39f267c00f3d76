"""The timekeeper: PPS events and NMEA bytes in, a TimeMap and honest codes out. This file only wires the others.

    PpsEvent -> EdgeFitter (or the counter, for a pin) -> ClockFilter: local time, whole seconds without a name
    NMEA     -> NmeaStream -> ReceiverState: is the PPS vouched for?
                           -> SecondNamer: the name of the local second
    all      -> Quality: state and codes; LeapSchedule: SOC and leap bits

Everything is in scan numbers; no clock of the host is read. The map's UTC is the continuous scale of leap.py: it runs
straight through a leap second, which only `report_time` shows.
"""

from __future__ import annotations

import math
from collections import Counter, deque

from rpmu.acquire.blocks import AcquisitionInfo, PpsEvent, SampleBlock
from rpmu.timing.axis import AxisMove
from rpmu.timing.bridge import Shift
from rpmu.timing.carried import CarriedTime
from rpmu.timing.clock import ClockFilter, Outcome, Verdict
from rpmu.timing.edge import BadEdgeError, Edge, EdgeFitter
from rpmu.timing.leap import LeapSchedule
from rpmu.timing.naming import SecondNamer, Trust
from rpmu.timing.nmea import NmeaStream, Sentence
from rpmu.timing.quality import BOUND_SIGMAS, Quality
from rpmu.timing.receiver_state import ReceiverState, shows_no_date
from rpmu.timing.settings import TimingSettings
from rpmu.timing.start import SECOND_NS
from rpmu.timing.states import Evidence, LockState
from rpmu.timing.status import PPS_PRESENT_S, ReportTime, TimeCounters, TimeFacts, TimeStatus, rms
from rpmu.timing.time_map import TimeMap

RESIDUALS = 60
STAND_IN_S = 1.5  # the second PPS input takes over after one missing edge of the first
LOOKS_PER_S = 5  # map, state and codes follow what comes in at once, and the mere passing of time this often


class TimeKeeper(CarriedTime):
    """Time from a GPS receiver, for one run of the acquisition (from START to the next) or, with `resume`, several."""

    def __init__(
        self, info: AcquisitionInfo, settings: TimingSettings | None = None, leaps: LeapSchedule | None = None
    ) -> None:
        """Start cold.

        Args:
            info: of the running firmware.
            settings: limits and constants; the defaults if not given.
            leaps: known leap seconds (`leap.parse_leap_file`); none if not given.
        """
        super().__init__(info, leaps)
        settings = settings or TimingSettings()
        self._settings = settings
        self._rate_hz = float(info.scan_rate_hz)
        self._look_scans = self._rate_hz / LOOKS_PER_S
        self._fitter = EdgeFitter(settings.pps_tau_s * self._rate_hz, settings.pps_tau_tolerance)
        self._clock = ClockFilter(self._rate_hz, settings)
        self._nmea = NmeaStream(settings.not_before)
        self._receiver = ReceiverState()
        self._namer = SecondNamer(settings, self._leaps)
        self._quality = Quality(settings, self._rate_hz)
        self._residuals: deque[float] = deque(maxlen=RESIDUALS)
        self._counts: Counter[str] = Counter()  # fields of TimeCounters
        self._delay_ns = round(settings.pps_delay_ns)
        self._chosen_input_s: float | None = None  # when the chosen PPS input, or at first any, gave an edge
        self._other_input_ns = math.nan
        self._looked_scan = 0
        self._held_nmea = b""
        self._heard: tuple[object, ...] = ()  # of the receiver, as far as anything follows from it
        self._map: TimeMap | None = None
        self._status: TimeStatus | None = None
        self._facts = TimeFacts(gps_fix=False, pps_present=False, locked=False)
        self._stamp: ReportTime | None = None  # of the last report: most have their second's,
        self._stamp_ns = 0  # which begins here;
        self._stamped_by: tuple[object, ...] = ()  # and what it follows from

    # ---- what comes in ----

    def feed_block(self, block: SampleBlock) -> None:
        """Take in that scans have passed, and whether the ADC was restarted."""
        scan = block.first_scan
        self._see(block.epoch, scan, block.counter)
        if scan > self._scan:
            self._scan = scan
        if self._scan - self._looked_scan > self._look_scans:
            self._look()

    def feed_nmea(self, data: bytes, at_scan: int) -> None:
        """Take in bytes from the receiver, in any pieces.

        Args:
            data: raw bytes of the serial port.
            at_scan: newest scan number when they were read.
        """
        if self._next_run is not None:
            self._held_nmea += data  # until the scans of the new run have their place
            return
        self._advance(at_scan)
        sentences = self._nmea.feed(data, at_scan)
        if not sentences:
            return
        self._status = None
        for sentence in sentences:
            self._take_sentence(sentence)
        heard = self._heard_now()
        if heard != self._heard:
            self._heard = heard
            self._look()

    def feed_event(self, event: PpsEvent) -> None:
        """Take in a PPS edge."""
        self._count("edges")
        if event.source == "adc":
            self._see(event.epoch, event.first_scan + event.crossing, event.counter_before)
        if self._next_run is not None:
            self._count("bad")  # it came at the pin before any scan of its run, and has no place
            return
        self._advance(event.first_scan + event.samples.size)
        if self._receiver.heard_s > -math.inf and self._no_voucher():
            self._count("unvouched")
        else:
            self._take_event(event)
        self._look()

    # ---- what comes out ----

    @property
    def map(self) -> TimeMap | None:
        """Scan number to UTC of the PPS channel's sampling instant; None until both rate and second are known."""
        return self._map

    @property
    def status(self) -> TimeStatus:
        """State, quality and counters at the last look."""
        if self._status is None:
            self._status = self._describe()
        return self._status

    @property
    def facts(self) -> TimeFacts:
        """What of the status a report says."""
        return self._facts

    def _describe(self) -> TimeStatus:
        receiver = self._receiver
        return TimeStatus(
            state=self._quality.state,
            reason=self._quality.reason,
            codes=self._quality.codes,
            residual_last_ns=self._residuals[-1] if self._residuals else math.nan,
            residual_rms_ns=rms(self._residuals),
            sigma_ns=self._map.sigma_ns if self._map else math.inf,
            bound_ns=self._quality.bound_ns,
            ppm=-self._clock.offset_ppb * 1e-3,
            seconds_since_pps=self._since_edge_s(),
            seconds_since_lock=self._quality.seconds_since_lock(self._scan),
            fix=self._fix,
            dimensions=receiver.dimensions,
            satellites=receiver.satellites,
            hdop=receiver.hdop,
            leap=self._leap_word(),
            pps_tau_us=self._fitter.tau / self._rate_hz * 1e6 if self._fitter.step else 0.0,
            pps_jitter_ns=self._clock.jitter.sigma_ns,
            last_step_ns=self._quality.last_step_ns,
            other_input_ns=self._other_input_ns,
            rollovers=self._namer.rollovers,
            counters=TimeCounters(
                **self._counts,
                resyncs=self._quality.resyncs,
                epochs=self._bridge.epochs,
                nmea_good=dict(self._nmea.good),
                nmea_bad=dict(self._nmea.bad),
            ),
        )

    def report_time(self, utc_ns: int) -> ReportTime:
        """Everything about time for the frame of a report.

        Args:
            utc_ns: its instant on the map's scale, ns.
        """
        stamp = self._stamp
        if stamp is None or not 0 <= utc_ns - self._stamp_ns < SECOND_NS:
            second = utc_ns // SECOND_NS
            leap = self._leaps.state(second)
            self._stamp = stamp = ReportTime(leap.soc, leap.bits, self._quality.codes)
            self._stamp_ns = second * SECOND_NS
        return stamp

    # ---- inside ----

    @property
    def _fix(self) -> int:
        """Of a receiver that still speaks."""
        silent = self._receiver.silent(self._now_s, self._settings.nmea_timeout_s)
        return 0 if silent else self._receiver.fix

    @property
    def _now_s(self) -> float:
        return self._scan / self._rate_hz

    def _count(self, name: str, by: int = 1) -> None:
        self._counts[name] += by

    def _advance(self, scan: int) -> None:
        self._scan = max(self._scan, scan)

    def _shift(self, shift: Shift) -> None:
        self._clock.shift(shift)
        self._look()

    def _move(self, move: AxisMove) -> None:
        """All that is remembered by scans or by their seconds moves to the new axis."""
        self._count("carried")
        self._rate_hz, self._scan = move.rate_hz, move.scan
        self._look_scans = self._rate_hz / LOOKS_PER_S
        self._clock.move(move)
        self._fitter.rescale(move.rate_hz / move.before_hz)
        self._quality.move(move)
        self._nmea.move(move)
        self._namer.shift(move.seconds)
        self._receiver.heard_s += move.seconds
        if self._chosen_input_s is not None:
            self._chosen_input_s += move.seconds
        held, self._held_nmea = self._held_nmea, b""
        self._look()
        self.feed_nmea(held, move.scan)

    def _no_voucher(self) -> str:
        return self._receiver.no_voucher(self._now_s, self._settings.nmea_timeout_s)

    def _place(self, event: PpsEvent) -> Edge:
        if event.source == "pin":
            return self._bridge.pin_edge(event, self._settings.pin_latency_ns)
        return self._fitter.fit(event)

    def _take_event(self, event: PpsEvent) -> None:
        """Let the edge of the chosen input move the clock; that of the other one only if the first is not there."""
        chosen = event.source == self._settings.pps_input
        if chosen or self._chosen_input_s is None:
            self._chosen_input_s = self._now_s
        try:
            edge = self._place(event)
        except BadEdgeError:
            self._count("bad")
            return
        if not chosen and self._clock.running:
            self._other_input_ns = self._clock.deviation_ns(edge)
        if chosen or self._now_s - self._chosen_input_s > STAND_IN_S:
            self._take_edge(edge)

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
        """Flag a correction of the time above the limit; before there was a name there was no time to correct."""
        if outcome.verdict is Verdict.RESTARTED:
            self._namer.restart()
            self._quality.pps_moved(outcome.step_ns, self._scan)
        if self._namer.name is not None:
            self._quality.stepped(outcome.step_ns, self._scan)

    def _take_sentence(self, sentence: Sentence) -> None:
        self._receiver.take(sentence, self._now_s)
        if shows_no_date(sentence):
            self._namer.saw_no_date()
        if sentence.leaps_known is not None:
            self._namer.leaps_known(sentence.leaps_known, self._now_s)
        vouched = sentence.valid if sentence.valid is not None else bool(self._receiver.fix)
        if sentence.time is None or not vouched or not self._clock.running:
            return
        correction_s = self._namer.hear(sentence.time, self._clock.local_ns(sentence.scan), self._now_s)
        self._quality.stepped(float(correction_s * SECOND_NS), self._scan)

    def _heard_now(self) -> tuple[object, ...]:
        """All that sentences can change of what map, state and codes follow from; most of them change nothing."""
        receiver, namer = self._receiver, self._namer
        sigma_ns = receiver.pps_sigma_ns(self._settings.receiver_sigma_ns)
        steps, leaps = self._quality.resyncs, self._leaps.leaps
        return receiver.fix, sigma_ns, self._no_voucher(), namer.name, namer.trust, steps, leaps

    def _since_edge_s(self) -> float:
        return self._clock.seconds_since_edge(self._scan) if self._clock.running else math.inf

    def _look(self) -> None:
        """Let map, state and codes follow from all that is known."""
        self._looked_scan, self._status = self._scan, None
        running = self._clock.running
        line = self._clock.local_map(self._scan, self._receiver.pps_sigma_ns(self._settings.receiver_sigma_ns))
        trust = self._namer.trust_at(line.time0_ns) if running else self._namer.trust
        evidence = Evidence(
            edges=self._counts["edges"],
            running=running,
            accepted=self._clock.accepted,
            seconds_since_edge=self._since_edge_s(),
            bound_ns=BOUND_SIGMAS * line.sigma_ns,
            doubt="" if trust is Trust.TRUSTED else trust.value,
            no_voucher=self._no_voucher(),
            seconds_since_step=self._quality.seconds_since_step(self._scan),
        )
        self._quality.look(evidence, self._scan)
        stamped_by = self._quality.codes, self._leaps.leaps, self._leaps.origin
        if stamped_by != self._stamped_by:
            self._stamp, self._stamped_by = None, stamped_by
        locked = self._quality.state is LockState.LOCKED
        facts = TimeFacts(self._fix > 0, evidence.seconds_since_edge < PPS_PRESENT_S, locked)
        if facts != self._facts:  # what follows is put together anew only for a new object
            self._facts = facts
        if running and self._namer.name is not None:
            time0_ns = line.time0_ns + self._namer.name * SECOND_NS + self._delay_ns
            self._map = TimeMap(line.index0, time0_ns, line.ns_per_index, line.sigma_ns)

    def _leap_word(self) -> str:
        return self._leaps.word(self._map.utc_ns_at(self._scan) // SECOND_NS) if self._map else "none"
