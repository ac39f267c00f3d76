"""How a run of the acquisition begins, what the daemon holds for it, and for a change that is on its way.

    begin:  load the firmware, start it                    -> time is to be found
    go_on:  start the running firmware with other settings -> its counter ran on, and with it goes the time

The second loses the samples of the pause and keeps the lock; what does not allow it is told by an error, and nothing
is changed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from rpmu import rooms
from rpmu.acquire import AcquisitionInfo
from rpmu.acquire.link import Pace, PruLink
from rpmu.acquire.recording import Recorder
from rpmu.acquire.ring import RingReader
from rpmu.acquire.sampler import bring_up, start_over
from rpmu.acquire.settings import SamplerSettings
from rpmu.c37118 import ConfigFrame
from rpmu.config import Config
from rpmu.errors import HardwareError
from rpmu.host_time import HostTime
from rpmu.measurer import Measurer
from rpmu.pipeline import Calibration, Pipeline
from rpmu.serve import contents
from rpmu.timing.keeper import TimeKeeper
from rpmu.timing.source import TimeSource
from rpmu.timing.system import SystemTimeKeeper

log = logging.getLogger(__name__)

LONGEST_PAUSE_S = 5.0  # which nobody knows the length of; the counter comes round in 21 s


@dataclass(frozen=True)
class Run:
    """One run of the acquisition, from START to the next; `config` is the one that it began with."""

    settings: SamplerSettings
    config: Config
    info: AcquisitionInfo
    reader: RingReader
    pipeline: Pipeline
    host_time: HostTime | None

    def channels_of(self, before: Run) -> list[int | None]:
        """For each channel the number of the one that had the same input in another run; None for none."""
        inputs = before.settings.ain
        return [inputs.index(ain) if ain in inputs else None for ain in self.settings.ain]


@dataclass(frozen=True)
class Pending:
    """A change that is on its way: until its first second everything goes on as it was, restarts of the PRU included.

    Attributes:
        config: of the PMU.
        calibration: of its channels.
        stream: its configuration frame.
        from_soc: its first second; 0 for as soon as possible.
        measurer: for it, if it needs a new run of the acquisition; made for what that run should sample.
        due_ns: the begin of its first second, once that has come: then a new run may begin.
    """

    config: Config
    calibration: Calibration
    stream: ConfigFrame
    from_soc: int
    measurer: Measurer | None
    due_ns: int | None = None

    @property
    def restarts(self) -> bool:
        """Whether it needs a new run of the acquisition."""
        return self.measurer is not None


@dataclass(frozen=True)
class Earlier:
    """Totals of the runs before the current one: a restart must not hide what was lost."""

    reports: int = 0
    invalid_reports: int = 0
    lost: int = 0

    def plus(self, run: Run) -> Earlier:
        """These totals with those of one more run."""
        ring = run.reader.statistics()
        return Earlier(
            self.reports + run.pipeline.reports,
            self.invalid_reports + run.pipeline.invalid_reports,
            self.lost + ring.lost_samples + ring.events_lost,
        )


class Acquisition:
    """Begins runs of the acquisition.

    Args:
        link: to the PRU.
        pace: waits.
        recorder: is told of every run.
    """

    def __init__(self, link: PruLink, pace: Pace, recorder: Recorder | None) -> None:
        self._link = link
        self._pace = pace
        self._recorder = recorder

    async def begin(self, config: Config, calibration: Calibration) -> Run:
        """Load the firmware and start it; the time is not known.

        Raises:
            HardwareError: the PRU or its firmware does not answer.
        """
        settings = config.sampler_settings()
        info = await bring_up(self._link, settings, self._pace, calibration.input_range(settings.channels))
        reader = RingReader(self._link.window(), info)
        keeper = _keeper(config, info)
        pipeline = Pipeline(keeper, measurer_of(info, config, calibration))
        return self._run(config, settings, info, reader, pipeline)

    async def go_on(self, before: Run, config: Config, measurer: Measurer, last_look: Callable[[], None]) -> Run:
        """Start the firmware that runs anew, with other settings, and carry the time over.

        Args:
            before: the run that ends. Its source of time goes on.
            config: of the new one, with the same settings of time.
            measurer: for the new one, made for what it should sample.
            last_look: called just before the end of the old one.

        Raises:
            HardwareError: the firmware does not answer, or the counter may have come round. Neither run is of use.
        """
        settings = config.sampler_settings()
        inputs = measurer.calibration.input_range(settings.channels)
        info, hand_over = await start_over(self._link, settings, self._pace, last_look, inputs)
        counter = before.reader.counter_at(hand_over.last_scan)
        if counter is None or hand_over.at_most_s > LONGEST_PAUSE_S or not before.pipeline.time.resume(info):
            raise HardwareError("nothing tells how long the PRU did not sample")
        reader = RingReader(self._link.window(), info, counter + hand_over.lead_ticks)
        if measurer.info != info:  # the firmware found scans of another length than the settings say
            measurer = measurer_of(info, config, measurer.calibration)
        return self._run(config, settings, info, reader, Pipeline(before.pipeline.time, measurer))

    def _run(
        self, config: Config, settings: SamplerSettings, info: AcquisitionInfo, reader: RingReader, pipeline: Pipeline
    ) -> Run:
        if self._recorder is not None:
            self._recorder.begin(settings, info)
        log.info("sampling %d channels at %.3f Hz", info.channels, float(info.sample_rate_hz))
        host_time = None
        if isinstance(pipeline.time, SystemTimeKeeper):
            host_time = HostTime(pipeline.time, reader.newest_scan, float(info.scan_rate_hz))
        return Run(settings, config, info, reader, pipeline, host_time)


def measurer_of(info: AcquisitionInfo, config: Config, calibration: Calibration) -> Measurer:
    """What a configuration measures with; designing its filters takes a while.

    Raises:
        InputError: no such class or rate.
    """
    settings, sequence = rooms.estimator_settings(config), contents.has_positive_sequence(config)
    return Measurer(info, settings, calibration, sequence, config.server.status_analogs)


def _keeper(config: Config, info: AcquisitionInfo) -> TimeSource:
    """A fresh source of time."""
    settings, leaps = rooms.timing_settings(config), rooms.leap_schedule(config)
    kind = TimeKeeper if config.time.source == "gps" else SystemTimeKeeper
    return kind(info, settings, leaps)
