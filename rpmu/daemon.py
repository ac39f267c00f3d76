"""The daemon: the one place where the rooms are wired to each other, to the hardware and to the network.

    every poll:  ring     -> Pipeline.feed -> measurements -> data frames -> PmuServer
                GPS port -> Pipeline.feed_nmea

A poll comes when the sample that completes the next report is due in the ring: then no report waits for a poll, and
hardly a poll finds nothing to report. While nothing is to be reported, it comes at a fixed interval. The daemon reads
no clock: waiting is the pace's matter (`QuietLoop.wait` on a board; the twin moves its simulation on), and what time it
is follows from PPS and NMEA. Losses are counted where they happen and shown in `status`.

`reload` takes another configuration while it runs. What PDCs see is announced to them first; until its second has come
everything goes on as it was. Then another estimator, which ran beside the first to fill its window, takes over: ring,
PRU and time go on. What the PRU is told at its start begins a new run of the acquisition, to which the PRU's counter
carries the time; only what the clock is told at its start, and a PRU that fails, begin with a time to be found.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import replace

from rpmu import mid_scale, rooms
from rpmu.acquire import AcquisitionInfo, PpsEvent, SampleBlock, sampler
from rpmu.acquire.gps_port import GpsPort
from rpmu.acquire.link import Pace, PruLink
from rpmu.acquire.recording import Recorder
from rpmu.c37118 import ConfigFrame
from rpmu.change_count import ChangeCount
from rpmu.config import Config
from rpmu.daemon_run import Acquisition, Earlier, Pending, Run, measurer_of
from rpmu.daemon_status import DaemonStatus, StreamStatus
from rpmu.errors import HardwareError, InputError
from rpmu.leap_file import LeapFile
from rpmu.measurement import Measurement
from rpmu.measurer import Measurer
from rpmu.pipeline import Calibration, Pipeline
from rpmu.receiver_line import ReceiverLine
from rpmu.serve import PmuServer, contents

log = logging.getLogger(__name__)

SAMPLE_LATE_S = 0.00003  # what the PRU may need to count a sample after its newest scan, and the crystal may be off
SHORTEST_WAIT_S = 0.001
NS_PER_S = 1_000_000_000

Observer = Callable[[Measurement], None]
OpenGps = Callable[[Config], GpsPort | None]

STILL_S = 3  # without a frame beyond the usual, after which there is nobody to announce a change to


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
        open_gps: opens the receiver's port anew when its settings change; None if there is none to open.
        changes: CFGCNT from one start to the next; None to begin at 0.
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
        open_gps: OpenGps | None = None,
        changes: ChangeCount | None = None,
    ) -> None:
        self._config = config
        self._calibration = calibration
        self._link = link
        self._acquisition = Acquisition(link, pace, recorder)
        self._gps = _line(gps, config)
        self._pace = pace
        self._observer = observer
        self._recorder = recorder
        self._open_gps = open_gps
        self._receiver_of = config  # whose receiver is open
        self._poll_interval_s = config.sampling.poll_interval_s
        self._restarts = 0
        self._earlier = Earlier()
        self._leap_file = LeapFile(config, lambda leaps: self._run.pipeline.time.learn_leaps(leaps))
        self._current: Run | None = None
        self._last_ns: int | None = None  # UTC of the last measurement that was sent
        self._changes = changes
        stream: ConfigFrame = rooms.stream(config, calibration)
        self._encoder = contents.Encoder(stream if changes is None else changes.resumed(stream))
        self._pending: Pending | None = None
        self.server = PmuServer(
            self.stream,
            rooms.header_text(config),
            rooms.server_settings(config),
            rate_handler=self.change_rate,
            news=self._news,
        )

    async def start(self) -> None:
        """Listen, bring up the PRU and begin to measure.

        Raises:
            HardwareError: the PRU or its firmware does not answer, or a port is in use.
            InputError: the configuration asks for what cannot be done.
        """
        await self.server.start()
        try:
            self._current = await self._acquisition.begin(self._config, self._calibration)
        except BaseException:
            await self.stop()
            raise

    @property
    def _run(self) -> Run:
        assert self._current is not None, "start() comes first"
        return self._current

    @property
    def stream(self) -> ConfigFrame:
        """The configuration of the frames that are sent."""
        return self._encoder.stream

    @property
    def info(self) -> AcquisitionInfo:
        """What the firmware samples; known once started."""
        return self._run.info

    async def stop(self) -> None:
        """Stop sampling, end every connection, give the hardware back."""
        await self.server.stop()
        await self._stop_host_time()
        await self._leap_file.stop()
        self._link.stop()
        self._link.close()
        if self._gps is not None:
            self._gps.close()
        if self._recorder is not None:
            self._recorder.close()

    def _wait_s(self, run: Run) -> float:
        """Until the next report can be made, or an even part of that: at most the poll interval."""
        longest_s = self._poll_interval_s
        scan = run.pipeline.wanted_scan()
        if scan is None:
            return longest_s
        wait_s = run.reader.wait_s(scan) + SAMPLE_LATE_S
        if SHORTEST_WAIT_S <= wait_s <= longest_s:
            return wait_s
        wait_s = max(SHORTEST_WAIT_S, wait_s)
        return wait_s / math.ceil(wait_s / longest_s)

    async def step(self) -> None:
        """Wait until the next report is due, then handle all that has come in meanwhile.

        Raises:
            HardwareError: the receiver's port went away, or the PRU cannot be started again.
        """
        run = self._current
        assert run is not None, "start() comes first"
        reader, pipeline, host_time = run.reader, run.pipeline, run.host_time
        wait_s = self._wait_s(run)
        await self._pace(wait_s)
        items = reader.poll(wait_s)
        nmea = self._gps.read(wait_s) if self._gps is not None else b""
        if self._recorder is not None:
            self._recorder.write(items)
            self._recorder.write_nmea(nmea, reader.newest_scan())
        self._measure(pipeline, items)
        if nmea:
            pipeline.feed_nmea(nmea)
        if host_time is not None:
            host_time.step()
        self._leap_file.step(wait_s)
        trouble = reader.trouble()
        if trouble is not None:
            await self._revive(trouble)
        elif (due := self._pending) is not None and due.measurer is not None and self._is_due(due):
            await self._restart(due, due.measurer)

    def _is_due(self, due: Pending) -> bool:
        """Whether its second has come, or there is nobody to wait for it."""
        return due.due_ns is not None or not due.from_soc or not self._frames_flow

    def _measure(self, pipeline: Pipeline, items: Iterable[SampleBlock | PpsEvent]) -> None:
        """Make measurements of what the ring gave, and send them."""
        for item in items:
            for measurement in pipeline.feed(item):
                self._send(measurement)

    async def _revive(self, trouble: HardwareError) -> None:
        """Start the firmware again; the time has to be found anew."""
        log.error("%s; starting it again", trouble)
        self._restarts += 1
        await self._stop_host_time()
        self._earlier = self._earlier.plus(self._run)
        self._current = await self._acquisition.begin(self._config, self._calibration)
        self._run.pipeline.follows_a_fault()
        due = self._pending
        if due is not None and not due.restarts:
            self._run.pipeline.change(measurer_of(self._run.info, due.config, due.calibration), due.from_soc)

    async def _stop_host_time(self) -> None:
        if self._current is not None and self._current.host_time is not None:
            await self._current.host_time.stop()

    # ---- another configuration ----

    async def reload(self, config: Config, calibration: Calibration) -> None:
        """Go on with another configuration; `rpmu.config.effects` tells what that does to whom.

        Args:
            config: of the PMU, checked.
            calibration: of its channels.

        Raises:
            InputError: it asks for what cannot be done; the present one goes on, as with every error here.
            HardwareError: an address or the receiver's port cannot be had.
        """
        rooms.check_time(config)
        # In threads, since both design filters and the ring must not wait.
        stream = await asyncio.to_thread(rooms.stream, config, calibration)
        measurer, restarts = await self._measurer(config, calibration)
        before = self._receiver_of
        self._use_receiver(config)
        try:
            await self.server.adopt(rooms.server_settings(config), rooms.header_text(config))
        except (InputError, HardwareError):
            self._use_receiver(before)
            raise
        self._poll_interval_s = config.sampling.poll_interval_s
        self._leap_file.use(config)
        self._schedule(config, calibration, stream, measurer, restarts)

    def change_rate(self, rate: int) -> None:
        """Another reporting rate, announced in the stream as the standard says; the time lock is kept.

        Args:
            rate: reports per second; one that the nominal frequency does not allow is refused with a line in the log.
        """
        config = replace(self._config, station=replace(self._config.station, reporting_rate_per_s=rate))
        try:
            measurer = measurer_of(self._run.info, config, self._calibration)
            self._schedule(config, self._calibration, rooms.stream(config, self._calibration), measurer, False)
        except InputError as error:
            log.warning("reporting rate %d refused: %s", rate, error)

    def _schedule(
        self, config: Config, calibration: Calibration, stream: ConfigFrame, measurer: Measurer, restarts: bool
    ) -> None:
        """Announce a change if PDCs see it, and let it hold from a second on.

        Args:
            config: of the PMU.
            calibration: of its channels.
            stream: its configuration frame.
            measurer: for the present run of the acquisition, or for the new one ...
            restarts: ... that it needs.
        """
        pipeline, present = self._run.pipeline, self.stream.pmus[0].cfgcnt
        stream = replace(stream, pmus=(replace(stream.pmus[0], cfgcnt=present),))
        lead_s = 0 if restarts else pipeline.lead_s(measurer)
        flows, now_soc = self._frames_flow, pipeline.now_soc
        change = self.server.reconfigure(stream, planned=flows, lead_s=lead_s, now_soc=now_soc)
        seen = change.configuration != self.stream
        if not seen and not restarts and calibration == self._calibration:
            self._config, self._pending = config, None
            pipeline.change(None, 0)
            return
        unseen_soc = now_soc + 1 + lead_s if flows and now_soc is not None and not restarts else 0
        from_soc = (change.effective_soc or 0) if seen else unseen_soc
        run_measurer = measurer if restarts else None
        self._pending = Pending(config, calibration, change.configuration, from_soc, run_measurer)
        pipeline.change(None if restarts else measurer, from_soc)

    async def _measurer(self, config: Config, calibration: Calibration) -> tuple[Measurer, bool]:
        """What a configuration measures with, and whether it needs a new run of the acquisition for that."""
        while True:
            run = self._run
            restarts = not _same_time(run.config, config) or run.settings != config.sampler_settings()
            restarts = restarts or run.pipeline.calibration.reference_v != calibration.reference_v
            info = sampler.expected(config.sampler_settings(), run.info) if restarts else run.info
            measurer = await asyncio.to_thread(measurer_of, info, config, calibration)
            if run is self._run:  # and was not started again meanwhile
                return measurer, restarts

    def _use_receiver(self, config: Config) -> None:
        """Open the receiver's port anew if its settings are other ones; the clock runs on meanwhile."""
        before = self._receiver_of
        open_gps = self._open_gps
        if open_gps is None or (before.gps, before.time.source) == (config.gps, config.time.source):
            return
        if self._gps is not None:
            self._gps.close()  # first: only one may have the port open
        try:
            self._gps = _line(open_gps(config), config)
        except HardwareError:
            self._gps = _line(open_gps(before), before)
            raise
        self._receiver_of = config

    @property
    def _frames_flow(self) -> bool:
        """Whether there is somebody to announce a change to: frames have gone out lately."""
        now, last = self._run.pipeline.now_soc, self.server.last_soc
        period_s = max(1, -self.stream.data_rate)
        return now is not None and last is not None and now - last <= 2 * period_s + STILL_S

    async def _restart(self, due: Pending, measurer: Measurer) -> None:
        """A new run of the acquisition for a configuration that needs one."""
        log.info("the acquisition starts anew for another configuration")
        before, flows = self._run, self._frames_flow
        await self._stop_host_time()
        if _same_time(self._config, due.config):
            try:
                run = await self._acquisition.go_on(before, due.config, measurer, lambda: self._measure_last(due))
            except HardwareError as error:
                log.warning("the time has to be found anew: %s", error)
            else:
                self._earlier, self._current = self._earlier.plus(before), run
                last_ns = max(self._last_ns or 0, (due.due_ns or 0) - 1) if flows else None
                run.pipeline.follows_a_run(before.pipeline, run.channels_of(before), last_ns)
                return
        self._take_over(due)
        self._earlier = self._earlier.plus(before)
        self._current = await self._acquisition.begin(due.config, due.calibration)

    def _measure_last(self, due: Pending) -> None:
        """What the run that ends has still in the ring."""
        self._measure(self._run.pipeline, self._run.reader.poll())
        self._take_over(due)

    @property
    def _change_in_s(self) -> float | None:
        due, now = self._pending, self._run.pipeline.now_soc
        if due is None or not due.from_soc:
            return None
        return 0.0 if now is None else float(max(0, due.from_soc - now))

    def _take_over(self, due: Pending) -> None:
        self._config, self._calibration, self._pending = due.config, due.calibration, None
        self._encoder = contents.Encoder(due.stream)
        if self._changes is not None:
            self._changes.keep(self.stream)

    def _send(self, measurement: Measurement) -> None:
        due = self._pending
        if due is not None and measurement.time.soc >= due.from_soc:
            if not due.restarts:
                self._take_over(due)
            elif due.stream != self.stream:  # the restart comes next; of this second nothing is sent
                second_ns = measurement.time_ns - measurement.time_ns % NS_PER_S
                due_ns = second_ns - (measurement.time.soc - due.from_soc) * NS_PER_S if due.from_soc else None
                self._pending = replace(due, due_ns=due_ns)
                return
        self._last_ns = measurement.time_ns
        self.server.publish(self._encoder.encode(measurement))
        if self._observer is not None:
            self._observer(measurement)

    def _news(self) -> str:
        """What the header says besides its text: for a calibration, what is divided out, and the mid-scales."""
        names = [channel.name for channel in self._config.channels]
        rests = self._current.pipeline.mid_scales if self._current is not None else []
        return f"; runs with {self._calibration.identity}" + mid_scale.as_text(dict(zip(names, rests, strict=False)))

    @property
    def status(self) -> DaemonStatus:
        """The state of everything, now."""
        reader, pipeline = self._run.reader, self._run.pipeline
        return DaemonStatus(
            time=pipeline.time.status,
            ring=reader.statistics(),
            server=self.server.statistics,
            stream=StreamStatus.of(self._config.station, self.stream.pmus[0].cfgcnt, self._change_in_s),
            acquisition=self._run.info,
            input=pipeline.input,
            receiver=self._gps.status if self._gps is not None else None,
            reports=self._earlier.reports + pipeline.reports,
            invalid_reports=self._earlier.invalid_reports + pipeline.invalid_reports,
            lost_before_restart=self._earlier.lost,
            pru_restarts=self._restarts,
            reference=pipeline.reference.status if pipeline.reference is not None else None,
            warmed_by_k=pipeline.calibration.warmed_by_k,
            calibrated=pipeline.calibrated,
            calibration=self._calibration.origin,
        )


def _line(port: GpsPort | None, config: Config) -> ReceiverLine | None:
    return None if port is None else ReceiverLine(port, config.gps)


def _same_time(before: Config, after: Config) -> bool:
    """Whether the time of one configuration is that of the other, so that it can go on."""
    same_source = before.time.source == after.time.source
    return same_source and rooms.timing_settings(before) == rooms.timing_settings(after)
