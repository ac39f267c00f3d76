"""The daemon: the one place where the rooms are wired to each other, to the hardware and to the network.

    every poll:  ring     -> Pipeline.feed -> measurements -> data frames -> PmuServer
                GPS port -> Pipeline.feed_nmea

It reads no clock: how long to wait is the pace's matter (asyncio.sleep on a board; the twin moves its simulation on),
and what time it is follows from PPS and NMEA. Losses are counted where they happen and shown in `status`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from rpmu import rooms
from rpmu.acquire import AcquisitionInfo
from rpmu.acquire.gps_port import GpsPort
from rpmu.acquire.link import Pace, PruLink
from rpmu.acquire.recording import Recorder
from rpmu.acquire.ring import RingReader, RingStatistics
from rpmu.acquire.sampler import bring_up
from rpmu.c37118 import ConfigFrame
from rpmu.config import Config
from rpmu.errors import HardwareError, InputError
from rpmu.host_time import HostTime
from rpmu.input_level import InputStatus
from rpmu.measurement import Measurement
from rpmu.pipeline import Calibration, Pipeline
from rpmu.serve import PmuServer, contents
from rpmu.serve.statistics import ServerStatistics
from rpmu.timing.keeper import TimeKeeper
from rpmu.timing.receiver import pmtk_setup, ubx_setup
from rpmu.timing.source import TimeSource
from rpmu.timing.status import TimeStatus
from rpmu.timing.system import SystemTimeKeeper

log = logging.getLogger(__name__)


Observer = Callable[[Measurement], None]


@dataclass(frozen=True)
class DaemonStatus:
    """Everything that the daemon knows about itself at one moment.

    Attributes:
        time: state of the clock.
        ring: what the ring delivered and lost.
        server: clients and frames.
        acquisition: what the firmware samples.
        input: level of the inputs.
        reports: measurements made.
        invalid_reports: of them, marked invalid.
        pru_restarts: times the firmware had to be started again; `time` and `ring` count from the last one ...
        lost_before_restart: ... and this is what was lost in the ring before it.
        calibrated: a certificate that holds stands behind the numbers.
        calibration: which one, or why none, in words.
    """

    time: TimeStatus
    ring: RingStatistics
    server: ServerStatistics
    acquisition: AcquisitionInfo
    input: InputStatus
    reports: int
    invalid_reports: int
    pru_restarts: int
    lost_before_restart: int = 0
    calibrated: bool = False
    calibration: str = ""

    @property
    def drops(self) -> int:
        """Samples, PPS events and frames that were lost anywhere, whoever lost them."""
        ring = self.ring.lost_samples + self.ring.events_lost + self.lost_before_restart
        return ring + self.server.frames_failed


@dataclass(frozen=True)
class _Run:
    """One run of the acquisition, from START to the next."""

    info: AcquisitionInfo
    reader: RingReader
    pipeline: Pipeline
    host_time: HostTime | None


@dataclass(frozen=True)
class _Pending:
    """A change that is announced: until its first second everything goes on as it was, restarts of the PRU included."""

    config: Config
    stream: ConfigFrame
    from_soc: int


@dataclass(frozen=True)
class _Earlier:
    """Totals of the runs before the current one: a restart must not hide what was lost."""

    reports: int = 0
    invalid_reports: int = 0
    lost: int = 0

    def plus(self, run: _Run) -> _Earlier:
        ring = run.reader.statistics()
        return _Earlier(
            self.reports + run.pipeline.reports,
            self.invalid_reports + run.pipeline.invalid_reports,
            self.lost + ring.lost_samples + ring.events_lost,
        )


class Daemon:
    """A PMU: ring and receiver in, C37.118.2 out.

    Args:
        config: of the PMU.
        calibration: of its channels.
        link: to the PRU.
        gps: port of the receiver, or None to do without (then the second has no name and nothing is sent).
        pace: waits.
        observer: called with every measurement, valid or not.
        recorder: keeps all that comes in, for a later replay.
    """

    def __init__(
        self,
        config: Config,
        calibration: Calibration,
        link: PruLink,
        gps: GpsPort | None,
        pace: Pace,
        observer: Observer | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self._config = config
        self._calibration = calibration
        self._link = link
        self._gps = gps
        self._pace = pace
        self._observer = observer
        self._recorder = recorder
        self._restarts = 0
        self._earlier = _Earlier()
        self._current: _Run | None = None
        self.stream: ConfigFrame = self._stream_of(config)
        self._pending: _Pending | None = None
        self.server = PmuServer(
            self.stream, rooms.header_text(config), rooms.server_settings(config), rate_handler=self.change_rate
        )

    def _stream_of(self, config: Config) -> ConfigFrame:
        return contents.stream_configuration(config, *rooms.window_and_delay_s(config, self._calibration))

    async def start(self) -> None:
        """Listen, bring up the PRU and begin to measure.

        Raises:
            HardwareError: the PRU or its firmware does not answer, or a port is in use.
            InputError: the configuration asks for what cannot be done.
        """
        await self.server.start()
        try:
            await self._begin()
            self._configure_receiver()
        except BaseException:
            await self.stop()
            raise

    async def _begin(self) -> None:
        """One run of the acquisition, from START."""
        config, settings = self._config, self._config.sampler_settings()
        info = await bring_up(self._link, settings, self._pace)
        if self._recorder is not None:
            self._recorder.begin(settings, info)
        log.info("sampling %d channels at %.3f Hz", info.channels, float(info.sample_rate_hz))
        reader = RingReader(self._link.window(), info)
        keeper, host_time = self._time_source(info, reader)
        pipeline = Pipeline(
            info,
            keeper,
            rooms.estimator_settings(config),
            self._calibration,
            contents.has_positive_sequence(config),
            config.server.status_analogs,
        )
        self._prepare(pipeline)
        self._current = _Run(info, reader, pipeline, host_time)

    def _time_source(self, info: AcquisitionInfo, reader: RingReader) -> tuple[TimeSource, HostTime | None]:
        """A fresh source of time, and what feeds it if that is the host's clock."""
        settings, leaps = rooms.timing_settings(self._config), rooms.leap_schedule(self._config)
        if self._config.time.source == "gps":
            return TimeKeeper(info, settings, leaps), None
        keeper = SystemTimeKeeper(info, settings, leaps)
        return keeper, HostTime(keeper, reader.newest_scan, float(info.scan_rate_hz))

    def _configure_receiver(self) -> None:
        """Ask for the sentences that are read; a receiver that does not understand goes on as it is."""
        if self._gps is not None and self._config.gps.configure:
            for message in (*pmtk_setup(), *ubx_setup()):
                self._gps.write(message)

    @property
    def _run(self) -> _Run:
        assert self._current is not None, "start() comes first"
        return self._current

    @property
    def info(self) -> AcquisitionInfo:
        """What the firmware samples; known once started."""
        return self._run.info

    async def stop(self) -> None:
        """Stop sampling, end every connection, give the hardware back."""
        await self.server.stop()
        if self._current is not None and self._current.host_time is not None:
            await self._current.host_time.stop()
        self._link.stop()
        self._link.close()
        if self._gps is not None:
            self._gps.close()
        if self._recorder is not None:
            self._recorder.close()

    async def step(self) -> None:
        """Wait for one poll interval, then handle all that has come in meanwhile.

        Raises:
            HardwareError: the receiver's port went away, or the PRU cannot be started again.
        """
        reader, pipeline, host_time = self._run.reader, self._run.pipeline, self._run.host_time
        await self._pace(self._config.sampling.poll_interval_s)
        items = reader.poll()
        nmea = self._gps.read() if self._gps is not None else b""
        if self._recorder is not None:
            self._recorder.write(items)
            self._recorder.write_nmea(nmea, reader.newest_scan())
        for item in items:
            for measurement in pipeline.feed(item):
                self._send(measurement)
        if nmea:
            pipeline.feed_nmea(nmea)
        if host_time is not None:
            host_time.step()
        trouble = reader.trouble()
        if trouble is not None:
            await self._revive(trouble)

    async def _revive(self, trouble: HardwareError) -> None:
        """Start the firmware again; the time has to be found anew."""
        log.error("%s; starting it again", trouble)
        self._restarts += 1
        self._earlier = self._earlier.plus(self._run)
        await self._begin()

    def change_rate(self, rate: int) -> None:
        """Another reporting rate, announced in the stream as the standard says; the time lock is kept.

        Args:
            rate: reports per second; one that the nominal frequency does not allow is refused with a line in the log.
        """
        config = replace(self._config, station=replace(self._config.station, reporting_rate_per_s=rate))
        try:
            rooms.estimator_settings(config)
            change = self.server.reconfigure(self._stream_of(config))
        except InputError as error:
            log.warning("reporting rate %d refused: %s", rate, error)
            return
        self._pending = _Pending(config, change.configuration, change.effective_soc or 0)
        if self._current is not None:
            self._prepare(self._current.pipeline)

    def _prepare(self, pipeline: Pipeline) -> None:
        """Let the estimator of a change that is announced run beside the present one, until its first second."""
        if self._pending is not None:
            pipeline.change_estimator(rooms.estimator_settings(self._pending.config), self._pending.from_soc)

    def _send(self, measurement: Measurement) -> None:
        due = self._pending
        if due is not None and measurement.time.soc >= due.from_soc:
            self._config, self.stream, self._pending = due.config, due.stream, None
        self.server.publish(contents.data_frame(self.stream, measurement))
        if self._observer is not None:
            self._observer(measurement)

    @property
    def status(self) -> DaemonStatus:
        """The state of everything, now."""
        reader, pipeline = self._run.reader, self._run.pipeline
        return DaemonStatus(
            time=pipeline.time.status,
            ring=reader.statistics(),
            server=self.server.statistics,
            acquisition=self._run.info,
            input=pipeline.input,
            reports=self._earlier.reports + pipeline.reports,
            invalid_reports=self._earlier.invalid_reports + pipeline.invalid_reports,
            lost_before_restart=self._earlier.lost,
            pru_restarts=self._restarts,
            calibrated=pipeline.calibrated,
            calibration=self._calibration.origin,
        )
