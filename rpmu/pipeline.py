"""From what the ring and the GPS receiver deliver to measurements, without I/O: acquire -> timing -> estimate.

    SampleBlock -> TimeSource.feed_block     (scans pass)         -> Estimator.push(volts, index, map) -> Measurement
    PpsEvent    -> TimeSource.feed_event     (a second begins)
    NMEA bytes  -> TimeSource.feed_nmea      (which second it was)

A sample's instant is its newest scan minus the decimator's group delay; the map is that of the PPS channel, and each
channel's skew against it is a delay of its front end. Samples are numbered without holes: what the ring lost is
skipped, so a gap in the index is a gap in time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from rpmu.acquire import AcquisitionInfo, PpsEvent, SampleBlock
from rpmu.acquire.blocks import ADC_BITS
from rpmu.adc_reference import AdcReference
from rpmu.estimate import Estimator, FrontEnd
from rpmu.estimate.cic import CicResponse
from rpmu.estimate.offset import OffsetTracker
from rpmu.estimate.reports import Reports, symmetrical_components
from rpmu.estimate.settings import EstimatorSettings
from rpmu.input_level import InputLevel, InputStatus
from rpmu.measurement import Measurement
from rpmu.timing import TimeMap
from rpmu.timing.source import TimeSource
from rpmu.timing.status import TimeStatus, status_word

LevelResponse = Callable[[NDArray[np.float64]], NDArray[np.complex128]]

PPS_PRESENT_S = 1.5  # a second and a half without an edge is a PPS that is not there
RAIL_COUNTS = 4  # a sample this near to an end of the ADC's range was clipped


@dataclass(frozen=True)
class Calibration:
    """What turns codes into volts at the mains.

    Attributes:
        front_ends: one per channel, skew not included.
        volts_per_count: volts at the ADC pin per 12-bit count.
        bias_v: mid-scale of the front end at the ADC pin, where tracking it starts.
        valid: whether a certificate stands behind the numbers, rather than a nominal profile.
        expires_ns: UTC from which the certificate no longer holds, or None.
        test_mode: mark all data as not to be used: the numbers are nominal, or of an expired certificate.
        levels: what each channel does beyond its front end as its level changes; empty for nothing.
        site_angle_rad: what the place turns the angle by, taken off every phasor.
        reference_v: the last channel is not mains but this known voltage, by which the converter's full scale is
            measured and divided out; None for no such channel.
        origin: which certificate or profile this is, in words.
    """

    front_ends: tuple[FrontEnd, ...]
    volts_per_count: float
    bias_v: float = 0.0
    valid: bool = False
    expires_ns: int | None = None
    test_mode: bool = False
    levels: tuple[LevelResponse, ...] = ()
    site_angle_rad: float = 0.0
    reference_v: float | None = None
    origin: str = "nominal"

    def corrected(self, phasors: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """Phasors of the channels, complex128 [m, channels], with level tables and the site's angle taken off."""
        if self.levels:
            volts = np.nan_to_num(np.abs(phasors))  # of invalid reports, which stay NaN
            phasors = phasors / np.column_stack([level(volts[:, i]) for i, level in enumerate(self.levels)])
        return phasors * np.exp(-1j * self.site_angle_rad) if self.site_angle_rad else phasors

    def expired(self, time_ns: int) -> bool:
        """Whether the certificate no longer holds at this UTC."""
        return self.expires_ns is not None and time_ns >= self.expires_ns


@dataclass(frozen=True)
class Health:
    """Faults that go into the status word of the reports they touch, by the sample index until which they do."""

    clipped_until: int = -1
    gap_until: int = -1


class Measurer:
    """An estimator, and what becomes of its reports.

    Args:
        info: of the running firmware.
        settings: of the estimator; rates and front ends are taken from `info` and `calibration`.
        calibration: of the channels.
        positive_sequence: whether measurements of three phases carry V1 behind the channels.
        time_analogs: whether measurements carry sigma, crystal offset and satellites.
        base: the calibration whose `volts_per_count` the samples were made with; None if it is this one.
    """

    def __init__(
        self,
        info: AcquisitionInfo,
        settings: EstimatorSettings,
        calibration: Calibration,
        positive_sequence: bool = True,
        time_analogs: bool = False,
        base: Calibration | None = None,
    ) -> None:
        self.estimator = Estimator(estimator_settings(info, settings, calibration))
        self.calibration = calibration
        self._positive_sequence = positive_sequence
        self._time_analogs = time_analogs
        self._scale = 1.0
        if base is not None and base.reference_v is None:  # by a reference they are volts, whoever asks
            self._scale = calibration.volts_per_count / base.volts_per_count

    def push(self, volts: NDArray[np.float64], first: int, sample_map: TimeMap | None) -> Reports:
        """The reports that these samples complete; arguments as for `Estimator.push`."""
        return self.estimator.push(volts if self._scale == 1.0 else volts * self._scale, first, sample_map)

    def calibrated(self, time_ns: int) -> bool:
        """Whether a certificate stands behind the numbers at this UTC."""
        return self.calibration.valid and not self.calibration.expired(time_ns)

    def measurements(self, reports: Reports, time: TimeSource, word: int) -> list[Measurement]:
        """Measurements of reports, with what is known of their time, and the status word."""
        status = time.status
        expired = self.calibration.expired(int(reports.time_ns[-1]))
        analogs = (status.sigma_ns, status.ppm, float(status.satellites or 0)) if self._time_analogs else ()
        phasors = self.calibration.corrected(reports.phasors)
        if self._positive_sequence and reports.positive_sequence is not None:
            phasors = np.column_stack([phasors, symmetrical_components(phasors)[0]])
        return [
            Measurement(
                time_ns=time_ns,
                phasors=tuple(values),
                frequency_hz=frequency_hz,
                rocof_hz_per_s=rocof_hz_per_s,
                valid=valid,
                time=time.report_time(time_ns),
                status_word=word,
                analogs=analogs,
                test_mode=self.calibration.test_mode or expired,
            )
            for time_ns, values, frequency_hz, rocof_hz_per_s, valid in zip(
                reports.time_ns.tolist(),
                phasors.tolist(),
                reports.frequency_hz.tolist(),
                reports.rocof_hz_per_s.tolist(),
                reports.valid.tolist(),
                strict=True,
            )
        ]


@dataclass
class _Successor:
    """A measurer that takes over at a UTC second, and its measurements that wait for the old one's last."""

    measurer: Measurer
    from_soc: int
    waiting: list[Measurement] = field(default_factory=list)


class Pipeline:
    """One run of the acquisition, from samples to measurements.

    Args:
        info: of the running firmware.
        keeper: of time, new for this run.
        settings: of the estimator; rates and front ends are taken from `info` and `calibration`.
        calibration: of the channels.
        positive_sequence: whether measurements of three phases carry V1 behind the channels.
        time_analogs: whether measurements carry sigma, crystal offset and satellites.
    """

    def __init__(
        self,
        info: AcquisitionInfo,
        keeper: TimeSource,
        settings: EstimatorSettings,
        calibration: Calibration,
        positive_sequence: bool = True,
        time_analogs: bool = False,
    ) -> None:
        self.time = keeper
        self._measurer = Measurer(info, settings, calibration, positive_sequence, time_analogs)
        self.pru_fault = False
        self.invalid_reports = 0
        self.reports = 0
        self.calibrated = calibration.valid
        self._info = info
        self._calibration = calibration
        self._channels = mains_channels(info, calibration)
        self._offset = OffsetTracker(self._channels, float(info.sample_rate_hz), calibration.bias_v)
        self.reference: AdcReference | None = None
        if calibration.reference_v is not None:
            self.reference = AdcReference(
                calibration.reference_v,
                calibration.volts_per_count * 2**ADC_BITS,
                info.counts_per_code,
                float(info.sample_rate_hz),
            )
        self._volts_per_code = calibration.volts_per_count * info.counts_per_code
        full_scale = (2**ADC_BITS - 1) / info.counts_per_code
        margin = RAIL_COUNTS / info.counts_per_code
        self._lowest_code, self._highest_code = margin, full_scale - margin
        self._level = InputLevel(info.counts_per_code, float(info.sample_rate_hz))
        self._next_index: int | None = None
        self._newest_scan = 0
        self._window = round(self.estimator.window_s * float(info.sample_rate_hz))
        self._health = Health()
        self._successor: _Successor | None = None
        self._from_soc = 0

    def feed_nmea(self, data: bytes) -> None:
        """Bytes from the receiver, read after all samples so far were fed: their time of arrival is the newest scan."""
        self.time.feed_nmea(data, self._newest_scan)

    def feed(self, item: SampleBlock | PpsEvent) -> list[Measurement]:
        """One item of the ring, in the order the reader gives them; returns the measurements it completes."""
        if isinstance(item, PpsEvent):
            self.time.feed_event(item)
            return []
        self.time.feed_block(item)
        first = 0 if self._next_index is None else self._next_index + item.lost_samples
        self._next_index = first + len(item.codes)
        self._newest_scan = item.first_scan + (len(item.codes) - 1) * self._info.decimation
        self._watch(item, first)
        measurements = self._estimate(self._volts(item), first, self._sample_map(item, first))
        self.reports += len(measurements)
        self.invalid_reports += sum(not measurement.valid for measurement in measurements)
        return measurements

    @property
    def estimator(self) -> Estimator:
        """The one whose reports are given now."""
        return self._measurer.estimator

    @property
    def calibration(self) -> Calibration:
        """The one that holds now."""
        return self._measurer.calibration

    def measurer(
        self,
        settings: EstimatorSettings,
        calibration: Calibration,
        positive_sequence: bool = True,
        time_analogs: bool = False,
    ) -> Measurer:
        """Another way to measure the same samples, for `change`; designing its filters takes a while.

        Args:
            settings: of the estimator, as for `Pipeline`, as is the rest.
            calibration: of the channels.
            positive_sequence: whether measurements of three phases carry V1.
            time_analogs: whether measurements carry sigma, crystal offset and satellites.

        Raises:
            InputError: no such class or rate.
        """
        return Measurer(self._info, settings, calibration, positive_sequence, time_analogs, self._calibration)

    def change(self, measurer: Measurer | None, from_soc: int) -> None:
        """Measure in another way from a UTC second on; the time lock is kept and no report is missing.

        Args:
            measurer: takes over; None to stay with the present one after all.
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

    def _estimate(self, volts: NDArray[np.float64], first: int, sample_map: TimeMap | None) -> list[Measurement]:
        """Reports of the estimator, or of the one that takes over from it, in the order of time."""
        measurements = self._measurements(self._measurer, self._measurer.push(volts, first, sample_map))
        # a slower successor took over before it came to its first second
        measurements = [measurement for measurement in measurements if measurement.time.soc >= self._from_soc]
        successor = self._successor
        if successor is None:
            return measurements
        coming = self._measurements(successor.measurer, successor.measurer.push(volts, first, sample_map))
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

    def _volts(self, block: SampleBlock) -> NDArray[np.float64]:
        """Volts at the ADC pin about mid-scale, float64 [channels, n]; NaN where scans had to be substituted."""
        volts = np.multiply(block.codes.T[: self._channels], self._volts_per_code, dtype=np.float64)
        if block.bad_scans:
            volts[:] = np.nan
        volts = self._offset.remove(volts)
        if self.reference is not None:
            if not block.bad_scans:
                self.reference.feed(block.codes[:, self._channels])
            volts *= self.reference.factor
        return volts

    def _sample_map(self, block: SampleBlock, first: int) -> TimeMap | None:
        """From the sample index to UTC of the instant that a sample stands for."""
        scans = self.time.map
        if scans is None:
            return None
        centre = block.first_scan - float(self._info.cic_delay_scans)
        return TimeMap(first, scans.utc_ns_at(centre), scans.ns_per_index * self._info.decimation, scans.sigma_ns)

    def _watch(self, block: SampleBlock, first: int) -> None:
        """Note clipping and gaps, which stay in the status word as long as a report's window can reach them."""
        until = first + len(block.codes) + self._window
        if block.lost_samples or block.bad_scans:
            self._health = replace(self._health, gap_until=until)
        codes = block.codes[:, : self._channels]
        lowest, highest = codes.min(axis=0), codes.max(axis=0)
        self._level.feed(lowest, highest, len(block.codes))
        if lowest.min() <= self._lowest_code or highest.max() >= self._highest_code:
            self._health = replace(self._health, clipped_until=until)

    def _measurements(self, measurer: Measurer, reports: Reports) -> list[Measurement]:
        if not len(reports):
            return []
        calibrated = measurer.calibrated(int(reports.time_ns[-1]))
        if measurer is self._measurer:
            self.calibrated = calibrated
        return measurer.measurements(reports, self.time, self._status_word(self.time.status, calibrated))

    @property
    def input(self) -> InputStatus:
        """What the inputs look like now."""
        return self._level.status(self._clipped)

    @property
    def _clipped(self) -> bool:
        return (self._next_index or 0) <= self._health.clipped_until

    def _status_word(self, status: TimeStatus, calibrated: bool) -> int:
        index = self._next_index or 0
        return status_word(
            gps_fix=status.fix > 0,
            pps_present=status.seconds_since_pps < PPS_PRESENT_S,
            time_locked=status.locked,
            calibrated=calibrated,
            input_clipped=self._clipped,
            ring_gap=index <= self._health.gap_until,
            pru_fault=self.pru_fault,
            reference_divided=self.reference is not None and self.reference.status.trusted,
        )


def mains_channels(info: AcquisitionInfo, calibration: Calibration) -> int:
    """How many of the channels are mains: all, or all but the last if that is the converter's reference."""
    return info.channels - (calibration.reference_v is not None)


def estimator_settings(
    info: AcquisitionInfo, settings: EstimatorSettings, calibration: Calibration
) -> EstimatorSettings:
    """The estimator's settings with everything that the acquisition and the calibration decide filled in."""
    channels = mains_channels(info, calibration)
    skews_s = [float(info.skew_scans(channel) / info.scan_rate_hz) for channel in range(channels)]
    front_ends = tuple(
        replace(front_end, delay_s=front_end.delay_s + skew_s)
        for front_end, skew_s in zip(calibration.front_ends, skews_s, strict=True)
    )
    return replace(
        settings,
        n_channels=channels,
        sample_rate_hz=float(info.sample_rate_hz),
        front_end=front_ends,
        cic=CicResponse(info.cic_order, info.decimation, float(info.scan_rate_hz)),
    )
