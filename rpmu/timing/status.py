"""What the timing room says about itself: one frozen status, the codes of a report, and the status word.

The status word is a DIGITAL word of the data frame with one named bit per fact, as the thesis asks, so that a PDC
that knows nothing of us can plot "GPS fix" beside the phasor; the analog values are optional companions.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import field
from functools import cached_property

from rpmu.timing.codes import MSG_TQ_WORDS, PMU_TQ_WORDS, UNLOCKED_TIME_WORDS
from rpmu.timing.states import LockState
from rpmu.values import value

# Bit 0 first, as the channel names of a digital word are listed in the configuration frames (16 of at most 16 bytes).
STATUS_BIT_NAMES = (
    "GPS FIX",
    "PPS PRESENT",
    "TIME LOCKED",
    "CALIBRATED",
    "INPUT CLIPPED",
    "RING GAP",
    "PRU FAULT",
    "VREF DIVIDED OUT",
    *("",) * 8,
)
STATUS_NORMAL_MASK = 0  # all bits normally read ...
STATUS_VALID_MASK = 0x00FF  # ... and the first eight are in use
PPS_PRESENT_S = 1.5  # a second and a half without an edge is a PPS that is not there
STATUS_ANALOG_NAMES = ("TIME SIGMA NS", "CRYSTAL PPM", "SATELLITES")


def rms(values: Collection[float]) -> float:
    """Root mean square; NaN of nothing."""
    return math.sqrt(sum(value * value for value in values) / len(values)) if values else math.nan


@value
class TimeCounters:
    """What was seen and what was dropped, since the start.

    Attributes:
        edges: PPS events, of both inputs.
        accepted: edges the clock took in.
        rejected: edges too far from their prediction, double and spurious ones included.
        bad: events that were no edge.
        unvouched: edges left aside because the receiver did not vouch for them.
        missing: seconds without an accepted edge while the clock ran.
        double: rejected edges in a second that had a good one already.
        resyncs: corrections of the time above the limit, whole seconds included.
        epochs: restarts of the ADC bridged by the counter.
        carried: new runs of the acquisition to which the counter carried the clock.
        nmea_good: sentences by kind.
        nmea_bad: discarded sentences by reason.
    """

    edges: int = 0
    accepted: int = 0
    rejected: int = 0
    bad: int = 0
    unvouched: int = 0
    missing: int = 0
    double: int = 0
    resyncs: int = 0
    epochs: int = 0
    carried: int = 0
    nmea_good: Mapping[str, int] = field(default_factory=dict)
    nmea_bad: Mapping[str, int] = field(default_factory=dict)


@value
class TimeCodes:
    """The codes of STAT and TIME_QUALITY that belong to time.

    Attributes:
        msg_tq: MSG_TQ, bits 3-0 of TIME_QUALITY (`codes.message_time_quality`).
        pmu_tq: PMU_TQ, bits 8-6 of STAT (`codes.pmu_time_quality`).
        unlocked_time: bits 5-4 of STAT (`codes.unlocked_time`).
        in_sync: STAT bit 13 is the opposite of this.
    """

    msg_tq: int
    pmu_tq: int
    unlocked_time: int
    in_sync: bool

    @property
    def stat_bits(self) -> int:
        """Bits 13 and 8-4 of STAT, in place."""
        return (not self.in_sync) << 13 | self.pmu_tq << 6 | self.unlocked_time << 4

    @property
    def words(self) -> str:
        """The codes in words."""
        return (
            f"MSG_TQ {self.msg_tq:X}: {MSG_TQ_WORDS[self.msg_tq]}; PMU_TQ {self.pmu_tq}: {PMU_TQ_WORDS[self.pmu_tq]}; "
            f"{'in sync' if self.in_sync else 'not in sync'}, {UNLOCKED_TIME_WORDS[self.unlocked_time]}"
        )


@value
class ReportTime:
    """Everything about time in the frame of one report.

    Attributes:
        soc: second of century for the frame, leap seconds applied.
        leap_bits: bits 6-4 of the TIME_QUALITY byte.
        codes: the quality codes.
    """

    soc: int
    leap_bits: int
    codes: TimeCodes

    @cached_property
    def time_quality(self) -> int:
        """The whole TIME_QUALITY byte."""
        return self.leap_bits | self.codes.msg_tq

    @property
    def msg_tq(self) -> int:
        """MSG_TQ, bits 3-0 of TIME_QUALITY."""
        return self.codes.msg_tq

    @cached_property
    def stat_bits(self) -> int:
        """Bits 13 and 8-4 of STAT, in place."""
        return self.codes.stat_bits


@value
class TimeFacts:
    """What of the state of the clock goes into the status word of a report.

    Attributes:
        gps_fix: the receiver has a fix.
        pps_present: edges come.
        locked: the time is in sync with UTC.
    """

    gps_fix: bool
    pps_present: bool
    locked: bool


def status_word(
    time: TimeFacts,
    *,
    calibrated: bool = False,
    input_clipped: bool = False,
    ring_gap: bool = False,
    pru_fault: bool = False,
    reference_divided: bool = False,
) -> int:
    """The DIGITAL word; bit i is called STATUS_BIT_NAMES[i]."""
    known = (time.gps_fix, time.pps_present, time.locked)
    bits = (*known, calibrated, input_clipped, ring_gap, pru_fault, reference_divided)
    return sum([1 << i for i, bit in enumerate(bits) if bit])


@value
class TimeStatus:
    """The state of the clock at one moment.

    Attributes:
        state: cold, acquiring, locked, holdover or unlocked.
        reason: why, in words.
        codes: what a report carries now.
        counters: what was seen and dropped.
        sigma_ns: standard uncertainty of the time, ns; infinite where nothing is known.
        bound_ns: what the error is not expected to exceed, ns; the codes follow it.
        ppm: frequency of the crystal against nominal, ppm; positive is fast.
        seconds_since_lock: since the last edge with which the state was locked, s; infinite before.
        last_step_ns: size of the last correction above the limit, ns.
        leap: "none"; "pending" or "occurred" with "add" or "delete"; or that the leap-second file has expired.
        seconds_since_pps: since the last accepted edge, s; infinite before the first.
        residual_last_ns: last accepted edge against its prediction, ns; NaN before the first.
        residual_rms_ns: RMS of the last 60 of them.
        other_input_ns: last edge of the second PPS input against the clock, ns; NaN if there is none.
        pps_tau_us: time constant of the PPS slope as learned, us; 0 if not seen.
        pps_jitter_ns: scatter of the edges as learned.
        fix: 0 none, 1 autonomous, 2 differential.
        dimensions: of the fix: 1 none, 2 or 3; 0 if the receiver does not say.
        satellites: used; None if the receiver does not say.
        hdop: horizontal dilution of precision; None if the receiver does not say.
        rollovers: week rollovers taken off the receiver's date.
    """

    state: LockState
    reason: str
    codes: TimeCodes
    counters: TimeCounters
    sigma_ns: float
    bound_ns: float
    ppm: float
    seconds_since_lock: float
    last_step_ns: float
    leap: str
    seconds_since_pps: float = math.inf
    residual_last_ns: float = math.nan
    residual_rms_ns: float = math.nan
    other_input_ns: float = math.nan
    pps_tau_us: float = 0.0
    pps_jitter_ns: float = math.nan
    fix: int = 0
    dimensions: int = 0
    satellites: int | None = None
    hdop: float | None = None
    rollovers: int = 0

    @property
    def locked(self) -> bool:
        """Whether the time is in sync with UTC."""
        return self.state is LockState.LOCKED
