"""From what the ring and the GPS receiver deliver to measurements, without I/O: acquire -> timing -> estimate.

    SampleBlock -> TimeSource.feed_block     (scans pass)         -> Estimator.push(volts, index, map) -> Measurement
    PpsEvent    -> TimeSource.feed_event     (a second begins)
    NMEA bytes  -> TimeSource.feed_nmea      (which second it was)

A sample's instant is its newest scan minus the decimator's group delay; the map is that of the PPS channel, and each
channel's skew against it is a delay of its front end. Samples are numbered without holes: what the ring lost is
skipped, so a gap in the index is a gap in time. The estimator gets codes as they are, and front ends whose gain is
codes per volt: scaling a phasor is cheaper than scaling the hundreds of samples behind it.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpmu.acquire import PpsEvent, SampleBlock
from rpmu.acquire.blocks import ADC_BITS
from rpmu.acquire.settings import InputRange
from rpmu.adc_reference import AdcReference
from rpmu.estimate import Estimator, FrontEnd
from rpmu.estimate.offset import OffsetTracker
from rpmu.gathered import Gathered
from rpmu.input_level import InputLevel, InputStatus
from rpmu.measurement import Measurement
from rpmu.measurer import Measurer, mains_channels
from rpmu.mid_scale import MidScale
from rpmu.thermometer import TemperatureTerm
from rpmu.timing import TimeMap
from rpmu.timing.source import TimeSource
from rpmu.timing.status import TimeFacts, status_word
from rpmu.values import value

LevelResponse = Callable[[float], complex]

PRU_FAULT_S = 60.0  # so long the reports of a firmware say that the one before it had failed
LEARN_S = 0.5  # samples in such pieces tell the mid-scale, the converter's full scale and the extremes
CLIP_MARGIN_V = 0.02  # an input this near to what the amplifier can give is clipped,
RAIL_COUNTS = 4  # and so is one this near to an end of the ADC's range


@dataclass(frozen=True)
class Calibration:
    """What turns codes into volts at the mains.

    Attributes:
        front_ends: one per channel, skew not included.
        volts_per_count: volts at the ADC pin per 12-bit count.
        bias_v: mid-scale of each channel's front end at the ADC pin, or of all of them, where tracking it starts.
        valid: whether a certificate stands behind the numbers, rather than a nominal profile.
        expires_ns: UTC from which the certificate no longer holds, or None.
        test_mode: mark all data as not to be used: the numbers are nominal, or of an expired certificate.
        levels: what each channel does beyond its front end as its level changes; empty for nothing.
        site_angle_rad: what the place turns the angle by, taken off every phasor.
        reference_v: the last channel is not mains but this known voltage, by which the converter's full scale is
            measured and divided out; None for no such channel.
        temperature: what the front end does as it gets warmer, where a sensor is read.
        range_v: lowest and highest output of the amplifier at the ADC pin, which it may reach before the ADC does. The
            firmware is told at its start what to watch the inputs for, and keeps to that until the next.
        origin: which certificate or profile this is, in words.
        identity: the same for a program: "profile NAME", or "certificate" and the first digits of its hash.
    """

    front_ends: tuple[FrontEnd, ...]
    volts_per_count: float
    bias_v: float | tuple[float, ...] = 0.0
    valid: bool = False
    expires_ns: int | None = None
    test_mode: bool = False
    levels: tuple[LevelResponse, ...] = ()
    site_angle_rad: float = 0.0
    reference_v: float | None = None
    temperature: TemperatureTerm | None = None
    range_v: tuple[float, float] = (0.0, math.inf)
    origin: str = "nominal"
    identity: str = ""

    @property
    def corrects(self) -> bool:
        """Whether `corrected` has anything to take off."""
        return bool(self.levels or self.temperature is not None or self.site_angle_rad)

    def corrected(self, phasors: list[complex]) -> list[complex]:
        """Phasors of the channels, one each, with level tables, warmth and the site's angle taken off."""
        if self.levels:
            phasors = [phasor / level(abs(phasor)) for phasor, level in zip(phasors, self.levels, strict=True)]
        if self.temperature is not None:
            factors = self.temperature.factors()
            phasors = [phasor / factor for phasor, factor in zip(phasors, factors, strict=True)]
        if self.site_angle_rad:
            turn = cmath.exp(-1j * self.site_angle_rad)
            phasors = [phasor * turn for phasor in phasors]
        return phasors

    def mains_channels(self, channels: int) -> int:
        """How many channels of so many are mains: all, or all but the last if that is the converter's reference."""
        return channels - (self.reference_v is not None)

    def input_range(self, channels: int) -> InputRange:
        """What the mains among so many channels may read without being clipped."""
        low_v, high_v = self.range_v
        low = max(RAIL_COUNTS, (low_v + CLIP_MARGIN_V) / self.volts_per_count)
        high = min(2**ADC_BITS - 1 - RAIL_COUNTS, (high_v - CLIP_MARGIN_V) / self.volts_per_count)
        lowest = min(math.floor(low) + 1, 2**ADC_BITS - 1)
        return InputRange(lowest, max(lowest, math.ceil(high) - 1), self.mains_channels(channels))

    @property
    def warmed_by_k(self) -> float | None:
        """How much warmer than at its calibration the front end is; None if nobody knows."""
        return self.temperature.kelvin if self.temperature is not None else None

    def expired(self, time_ns: int) -> bool:
        """Whether the certificate no longer holds at this UTC."""
        return self.expires_ns is not None and time_ns >= self.expires_ns


@value
class Health:
    """Faults that go into the status word of the reports they touch, by the sample index until which they do."""

    clipped_until: int = -1
    gap_until: int = -1
    fault_until: int = -1


@dataclass
class _Successor:
    """A measurer that takes over at a UTC second, and its measurements that wait for the old one's last."""

    measurer: Measurer
    from_soc: int
    waiting: list[Measurement] = field(default_factory=list)


class Pipeline:
    """One run of the acquisition, from samples to measurements.

    Args:
        keeper: of time, new for this run or told to `resume` with it.
        measurer: made for what this run samples, and used for nothing yet.
    """

    def __init__(self, keeper: TimeSource, measurer: Measurer) -> None:
        self.time = keeper
        self._measurer = measurer
        info, calibration = measurer.info, measurer.calibration
        self.invalid_reports = 0
        self.reports = 0
        self.calibrated = calibration.valid
        self._info = info
        self._decimation = info.decimation
        self._channels = mains_channels(info, calibration)
        self._volts_per_count = calibration.volts_per_count
        codes_per_volt = 1 / (calibration.volts_per_count * info.counts_per_code)
        bias_codes = np.asarray(calibration.bias_v) * codes_per_volt
        self._offset = OffsetTracker(self._channels, float(info.sample_rate_hz), bias_codes)
        self.reference: AdcReference | None = None
        if calibration.reference_v is not None:
            self.reference = AdcReference(
                calibration.reference_v,
                calibration.volts_per_count * 2**ADC_BITS,
                info.counts_per_code,
                float(info.sample_rate_hz),
            )
        self._cic_delay_scans = float(info.cic_delay_scans)
        piece = round(LEARN_S * float(info.sample_rate_hz))
        self._level = InputLevel(info.counts_per_code, piece)
        self._gathered = Gathered(info.channels, piece)
        self._next_index: int | None = None
        self._origin = 0  # scan of the sample with index 0
        self._window = round(self.estimator.window_s * float(info.sample_rate_hz))
        self._health = Health()
        self._ill_until = -1  # one of those holds
        self._said: tuple[TimeFacts, bool, bool] | None = None  # clock, calibrated, reference divided out; all well
        self._word = 0  # says that
        self._mapped: TimeMap | None = None
        self._mapped_origin = 0
        self._map: TimeMap | None = None  # follows from those two
        self._successor: _Successor | None = None
        self._from_soc = 0  # after a successor took over, until it has given a report of this second

    def follows_a_fault(self) -> None:
        """The firmware had to be started again, and this is the first run after it."""
        self._note(fault_until=round(PRU_FAULT_S * float(self._info.sample_rate_hz)))

    def follows_a_run(self, before: Pipeline, channels: Sequence[int | None], last_ns: int | None) -> None:
        """The time goes on from a run before: what it and this one could not measure between them is a gap.

        Args:
            before: what measured in that run. Mid-scale and supply of the converter are what they were there.
            channels: for each channel here, which one there has the same input; None for none.
            last_ns: just after this instant the first report is due; None if none is due before there are samples.
        """
        self._offset.follow(
            before._offset, channels[: self._channels], before._info.counts_per_code / self._info.counts_per_code
        )
        if self.reference is not None and before.reference is not None and channels[-1] == before._info.channels - 1:
            self.reference.follow(before.reference)
        self._note(gap_until=self._window)
        if last_ns is not None:
            self.estimator.begin_at(last_ns + 1)

    def feed_nmea(self, data: bytes) -> None:
        """Bytes from the receiver, read after all samples so far were fed: their time of arrival is the newest scan."""
        self.time.feed_nmea(data, self._newest_scan)

    def feed(self, item: SampleBlock | PpsEvent) -> list[Measurement]:
        """One item of the ring, in the order the reader gives them; returns the measurements it completes."""
        if isinstance(item, PpsEvent):
            self.time.feed_event(item)
            return []
        self.time.feed_block(item)
        codes = item.codes if self.reference is None else item.codes[:, : self._channels]
        first = 0 if self._next_index is None else self._next_index + item.lost_samples
        self._next_index = first + len(codes)
        self._origin = item.first_scan - first * self._decimation
        if item.lost_samples or item.bad_scans or item.clipped_scans:
            self._take_note(item, self._next_index)
        measurements = self._estimate(self._samples(item, codes), first, self._sample_map(item, first))
        for measurement in measurements:
            self.reports += 1
            if not measurement.valid:
                self.invalid_reports += 1
        return measurements

    @property
    def _newest_scan(self) -> int:
        """Of the newest sample; 0 before the first."""
        return 0 if self._next_index is None else self._origin + (self._next_index - 1) * self._decimation

    @property
    def estimator(self) -> Estimator:
        """The one whose reports are given now."""
        return self._measurer.estimator

    @property
    def calibration(self) -> Calibration:
        """The one that holds now."""
        return self._measurer.calibration

    def wanted_scan(self) -> int | None:
        """The newest scan of the sample that completes the next report; None while the time is not known."""
        index = self._measurer.estimator.wanted_index
        return None if index is None else self._origin + index * self._decimation

    def change(self, measurer: Measurer | None, from_soc: int) -> None:
        """Measure in another way from a UTC second on; the time lock is kept and no report is missing.

        Args:
            measurer: made for this run, takes over; None to stay with the present one after all.
            from_soc: first second of its reports; it should lie `lead_s` ahead.
        """
        self._successor = None if measurer is None else _Successor(measurer, from_soc)

    def lead_s(self, measurer: Measurer) -> int:
        """Whole seconds that a new measurer needs from its first sample to the first report on a full second."""
        return math.ceil(measurer.estimator.window_s + self.estimator.group_delay_s)

    @property
    def now_soc(self) -> int | None:
        """SOC of the newest sample; None while the time is not known."""
        scans = self.time.map
        return None if scans is None else self.time.report_time(scans.utc_ns_at(self._newest_scan)).soc

    def _estimate(self, samples: NDArray[Any], first: int, sample_map: TimeMap | None) -> list[Measurement]:
        """Reports of the estimator, or of the one that takes over from it, in the order of time."""
        measurements = self._measurements(self._measurer, samples, first, sample_map)
        if self._from_soc and measurements:  # a slower successor took over before it came to its first second
            measurements = [measurement for measurement in measurements if measurement.time.soc >= self._from_soc]
            self._from_soc = 0 if measurements else self._from_soc
        successor = self._successor
        if successor is None:
            return measurements
        coming = self._measurements(successor.measurer, samples, first, sample_map)
        successor.waiting += [new for new in coming if new.time.soc >= successor.from_soc]
        old = [measurement for measurement in measurements if measurement.time.soc < successor.from_soc]
        if len(old) == len(measurements) and not self._is_past(successor.from_soc):
            return old  # the old one may have more to say, the faster new one waits
        self._measurer, self._from_soc, self._successor = successor.measurer, successor.from_soc, None
        self._window = round(self.estimator.window_s * float(self._info.sample_rate_hz))
        return old + successor.waiting

    def _is_past(self, soc: int) -> bool:
        """Whether the present estimator has nothing more to say about the time before a second."""
        now = self.now_soc
        return now is not None and now > soc + math.ceil(self.estimator.group_delay_s)

    def _samples(self, block: SampleBlock, codes: NDArray[np.uint16]) -> NDArray[Any]:
        """Codes [n, channels] of the mains as [channels, n]; NaN where scans had to be substituted."""
        if block.bad_scans:
            self._learn()
            self._level.feed(codes.T)
            self._offset.restart()
            return np.full(codes.T.shape, np.nan)
        if self._gathered.add(block.codes):
            self._learn()
        return codes.T

    def _learn(self) -> None:
        """Let those know that look at many samples at once what has come since they last did."""
        rows = self._gathered.take()
        if not rows.size:
            return
        mains = rows[: self._channels]
        self._level.feed(mains)
        self._offset.learn(mains)
        if self.reference is not None:
            self.reference.feed(rows[self._channels])

    def _true_scale(self, reference: AdcReference, measurer: Measurer) -> float:
        """Volts by the converter's reference over those by the measurer's own calibration."""
        return reference.factor * self._volts_per_count / measurer.calibration.volts_per_count

    def _sample_map(self, block: SampleBlock, first: int) -> TimeMap | None:
        """From the sample index to UTC of the instant that a sample stands for."""
        scans = self.time.map
        if scans is None:
            return None
        if scans is not self._mapped or self._origin != self._mapped_origin:  # neither moves with every block
            self._mapped, self._mapped_origin = scans, self._origin
            time0_ns = scans.utc_ns_at(block.first_scan - self._cic_delay_scans)
            self._map = TimeMap(first, time0_ns, scans.ns_per_index * self._decimation, scans.sigma_ns)
        return self._map

    def _take_note(self, block: SampleBlock, end: int) -> None:
        """Note clipping and gaps, which stay in the status word as long as a report's window can reach them.

        Args:
            block: which has some.
            end: index after its last sample.
        """
        if block.lost_samples or block.bad_scans:
            self._note(gap_until=end + self._window)
        if block.clipped_scans:  # some of it may still be in the decimator, which is as many samples long as its order
            self._note(clipped_until=end + self._window + self._info.cic_order)

    def _note(self, **until: int) -> None:
        """Note faults, by the field of `Health`."""
        self._health = replace(self._health, **until)
        self._ill_until = max(self._ill_until, *until.values())

    def _measurements(
        self, measurer: Measurer, samples: NDArray[Any], first: int, sample_map: TimeMap | None
    ) -> list[Measurement]:
        """What a measurer makes of the samples, with time and health."""
        measurer.estimator.offset = self._offset.offset
        reports = measurer.estimator.push_stream(samples, first, sample_map)
        if not reports:
            return []
        expired = measurer.calibration.expired(reports[-1].time_ns)
        calibrated = measurer.calibration.valid and not expired
        if measurer is self._measurer:
            self.calibrated = calibrated
        scale = 1.0 if self.reference is None else self._true_scale(self.reference, measurer)
        return measurer.measurements(reports, self.time, self._status_word(calibrated), scale, expired)

    @property
    def mid_scales(self) -> list[MidScale]:
        """Of each channel; empty until they are known."""
        counts = self._offset.offset[:, 0] * self._info.counts_per_code
        u_counts = self._offset.u_offset[:, 0] * self._info.counts_per_code
        if not np.isfinite(u_counts).all():
            return []
        return [MidScale(*pair) for pair in zip(counts.tolist(), u_counts.tolist(), strict=True)]

    @property
    def input(self) -> InputStatus:
        """What the inputs look like now."""
        self._learn()
        return self._level.status(self._clipped)

    @property
    def _clipped(self) -> bool:
        return (self._next_index or 0) <= self._health.clipped_until

    def _status_word(self, calibrated: bool) -> int:
        """The DIGITAL word, put together while something is wrong and when something in it changes."""
        index = self._next_index or 0
        said = self.time.facts, calibrated, self.reference is not None and self.reference.trusted
        ill = index <= self._ill_until
        if ill or said != self._said:
            self._said = None if ill else said
            self._word = status_word(
                said[0],
                calibrated=calibrated,
                input_clipped=index <= self._health.clipped_until,
                ring_gap=index <= self._health.gap_until,
                pru_fault=index <= self._health.fault_until,
                reference_divided=said[2],
            )
        return self._word
