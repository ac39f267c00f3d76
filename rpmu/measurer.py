"""One way to measure: an estimator set up for the acquisition and the calibration, and what becomes of its reports.

The pipeline has one, and during a change of the configuration a second one that takes over from it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rpmu.acquire import AcquisitionInfo
from rpmu.estimate import Estimator
from rpmu.estimate.cic import CicResponse
from rpmu.estimate.reports import Report, positive_sequence_of
from rpmu.estimate.settings import EstimatorSettings
from rpmu.measurement import Measurement
from rpmu.timing.source import TimeSource
from rpmu.timing.status import TimeStatus

if TYPE_CHECKING:
    from rpmu.pipeline import Calibration


class Measurer:
    """An estimator, and what becomes of its reports.

    Args:
        info: of the running firmware.
        settings: of the estimator; rates and front ends are taken from `info` and `calibration`.
        calibration: of the channels.
        positive_sequence: whether measurements of three phases carry V1 behind the channels.
        time_analogs: whether measurements carry sigma, crystal offset and satellites.
    """

    def __init__(
        self,
        info: AcquisitionInfo,
        settings: EstimatorSettings,
        calibration: Calibration,
        positive_sequence: bool = True,
        time_analogs: bool = False,
    ) -> None:
        self.info = info
        self.estimator = Estimator(estimator_settings(info, settings, calibration))
        self.calibration = calibration
        self._with_positive_sequence = positive_sequence and settings.phases == 3
        self._time_analogs = time_analogs
        self._corrects = calibration.corrects

    def measurements(
        self, reports: list[Report], time: TimeSource, word: int, scale: float, expired: bool
    ) -> list[Measurement]:
        """Measurements of reports times a scale, with what is known of their time, and the status word.

        Args:
            reports: one at least.
            time: knows their time.
            word: the status word.
            scale: true volts per volt of the calibration.
            expired: whether that holds no more.
        """
        test_mode = self.calibration.test_mode or expired
        analogs = self._analogs(time.status) if self._time_analogs else ()
        return [
            # In the order of the fields, all of them: by name it would be more than twice as dear.
            Measurement(
                report.time_ns,
                self._phasors(report, scale),
                report.frequency_hz,
                report.rocof_hz_per_s,
                report.valid,
                time.report_time(report.time_ns),
                word,
                analogs,
                test_mode,
            )
            for report in reports
        ]

    def _analogs(self, status: TimeStatus) -> tuple[float, ...]:
        return status.sigma_ns, status.ppm, float(status.satellites or 0)

    def _phasors(self, report: Report, scale: float) -> tuple[complex, ...]:
        """Corrected phasors of the channels, and behind them the positive sequence."""
        phasors = report.phasors if scale == 1.0 else [scale * phasor for phasor in report.phasors]
        if self._corrects:
            phasors = self.calibration.corrected(phasors)
        if self._with_positive_sequence:
            phasors = [*phasors, positive_sequence_of(phasors)]
        return tuple(phasors)


def mains_channels(info: AcquisitionInfo, calibration: Calibration) -> int:
    """How many of the channels are mains."""
    return calibration.mains_channels(info.channels)


def estimator_settings(
    info: AcquisitionInfo, settings: EstimatorSettings, calibration: Calibration
) -> EstimatorSettings:
    """The estimator's settings with everything that the acquisition and the calibration decide filled in."""
    channels = mains_channels(info, calibration)
    codes_per_volt = 1 / (calibration.volts_per_count * info.counts_per_code)
    skews_s = [float(info.skew_scans(channel) / info.scan_rate_hz) for channel in range(channels)]
    front_ends = tuple(
        replace(front_end, gain=front_end.gain * codes_per_volt, delay_s=front_end.delay_s + skew_s)
        for front_end, skew_s in zip(calibration.front_ends, skews_s, strict=True)
    )
    return replace(
        settings,
        n_channels=channels,
        sample_rate_hz=float(info.sample_rate_hz),
        front_end=front_ends,
        cic=CicResponse(info.cic_order, info.decimation, float(info.scan_rate_hz)),
    )
