"""From what the ring and the GPS receiver deliver to measurements, without I/O: acquire -> timing -> estimate.

    SampleBlock -> TimeSource.feed_block     (scans pass)         -> Estimator.push(volts, index, map) -> Measurement
    PpsEvent    -> TimeSource.feed_event     (a second begins)
    NMEA bytes  -> TimeSource.feed_nmea      (which second it was)

A sample's instant is its newest scan minus the decimator's group delay; the map is that of the PPS channel, and each
channel's skew against it is a delay of its front end. Samples are numbered without holes: what the ring lost is
skipped, so a gap in the index is a gap in time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from rpmu.acquire import AcquisitionInfo, PpsEvent, SampleBlock
from rpmu.acquire.blocks import ADC_BITS
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


@dataclass
class _Successor:
    """An estimator that takes over at a UTC second, and its reports that wait for the old one's last."""

    estimator: Estimator
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
        self.estimator = Estimator(estimator_settings(info, settings, calibration))
        self.pru_fault = False
        self.invalid_reports = 0
        self.reports = 0
        self.calibrated = calibration.valid
        self._info = info
        self._calibration = calibration
        self._offset = OffsetTracker(info.channels, float(info.sample_rate_hz), calibration.bias_v)
        self._positive_sequence = positive_sequence
        self._time_analogs = time_analogs
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

    def change_estimator(self, settings: EstimatorSettings, from_soc: int) -> None:
        """Another class or reporting rate from a UTC second on; the time lock is kept and no report is missing.

        Args:
            settings: of the new estimator, as for `Pipeline`.
            from_soc: first second of its reports; it should lie a window's length ahead.

        Raises:
            InputError: no such class or rate.
        """
        estimator = Estimator(estimator_settings(self._info, settings, self._calibration))
        self._successor = _Successor(estimator, from_soc)

    def _estimate(self, volts: NDArray[np.float64], first: int, sample_map: TimeMap | None) -> list[Measurement]:
        """Reports of the estimator, or of the one that takes over from it, in the order of time."""
        measurements = self._measurements(self.estimator.push(volts, first, sample_map))
        # a slower successor took over before it came to its first second
        measurements = [measurement for measurement in measurements if measurement.time.soc >= self._from_soc]
        successor = self._successor
        if successor is None:
            return measurements
        coming = self._measurements(successor.estimator.push(volts, first, sample_map))
        successor.waiting += [new for new in coming if new.time.soc >= successor.from_soc]
        old = [measurement for measurement in measurements if measurement.time.soc < successor.from_soc]
        if len(old) == len(measurements):
            return old  # the old one may have more to say, the faster new one waits
        self.estimator, self._from_soc, self._successor = successor.estimator, successor.from_soc, None
        return old + successor.waiting

    def _volts(self, block: SampleBlock) -> NDArray[np.float64]:
        """Volts at the ADC pin about mid-scale, float64 [channels, n]; NaN where scans had to be substituted."""
        volts = np.multiply(block.codes.T, self._volts_per_code, dtype=np.float64)
        if block.bad_scans:
            volts[:] = np.nan
        return self._offset.remove(volts)

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
        lowest, highest = block.codes.min(axis=0), block.codes.max(axis=0)
        self._level.feed(lowest, highest, len(block.codes))
        if lowest.min() <= self._lowest_code or highest.max() >= self._highest_code:
            self._health = replace(self._health, clipped_until=until)

    def _measurements(self, reports: Reports) -> list[Measurement]:
        if not len(reports):
            return []
        status = self.time.status
        expired = self._calibration.expired(int(reports.time_ns[-1]))
        self.calibrated = self._calibration.valid and not expired
        word = self._status_word(status)
        analogs = (status.sigma_ns, status.ppm, float(status.satellites or 0)) if self._time_analogs else ()
        phasors = self._calibration.corrected(reports.phasors)
        if self._positive_sequence and reports.positive_sequence is not None:
            phasors = np.column_stack([phasors, symmetrical_components(phasors)[0]])
        return [
            Measurement(
                time_ns=time_ns,
                phasors=tuple(values),
                frequency_hz=frequency_hz,
                rocof_hz_per_s=rocof_hz_per_s,
                valid=valid,
                time=self.time.report_time(time_ns),
                status_word=word,
                analogs=analogs,
                test_mode=self._calibration.test_mode or expired,
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

    @property
    def input(self) -> InputStatus:
        """What the inputs look like now."""
        return self._level.status(self._clipped)

    @property
    def _clipped(self) -> bool:
        return (self._next_index or 0) <= self._health.clipped_until

    def _status_word(self, status: TimeStatus) -> int:
        index = self._next_index or 0
        return status_word(
            gps_fix=status.fix > 0,
            pps_present=status.seconds_since_pps < PPS_PRESENT_S,
            time_locked=status.locked,
            calibrated=self.calibrated,
            input_clipped=self._clipped,
            ring_gap=index <= self._health.gap_until,
            pru_fault=self.pru_fault,
        )


def estimator_settings(
    info: AcquisitionInfo, settings: EstimatorSettings, calibration: Calibration
) -> EstimatorSettings:
    """The estimator's settings with everything that the acquisition and the calibration decide filled in."""
    skews_s = [float(info.skew_scans(channel) / info.scan_rate_hz) for channel in range(info.channels)]
    front_ends = tuple(
        replace(front_end, delay_s=front_end.delay_s + skew_s)
        for front_end, skew_s in zip(calibration.front_ends, skews_s, strict=True)
    )
    return replace(
        settings,
        n_channels=info.channels,
        sample_rate_hz=float(info.sample_rate_hz),
        front_end=front_ends,
        cic=CicResponse(info.cic_order, info.decimation, float(info.scan_rate_hz)),
    )
