"""The whole product in one process: outlet, firmware in the emulator, daemon, TCP, PDC client. As fast as it goes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpmu import rooms
from rpmu.acquire.gps_port import SerialGpsPort
from rpmu.acquire.recording import Recorder
from rpmu.c37118 import DataFrame
from rpmu.calibrate.profile import load_profile
from rpmu.config import Config, default
from rpmu.daemon import Daemon
from rpmu.daemon_status import DaemonStatus
from rpmu.measurement import Measurement
from rpmu.pdc import PdcClient
from rpmu.twin.pacing import MAX_SPEED, Pacer
from rpmu.twin.pty_port import PtyPort
from rpmu.twin.signals import MainsSource
from rpmu.twin.world import Twin, TwinSettings

START_NS = 1_795_000_000 * 10**9
NS_PER_S = 1_000_000_000
Watch = Callable[[Twin, Daemon], None]


@dataclass
class Outcome:
    """What a run left behind.

    Attributes:
        twin: the twin, for its truth.
        frames: data frames as the PDC client got them.
        measurements: what the daemon measured.
        status: of the daemon at the end.
        daemon: itself, stopped.
        sent_ns: instants, in the twin's time, at which each measurement's frame was handed to the sockets.
    """

    twin: Twin
    frames: list[DataFrame]
    measurements: list[Measurement]
    status: DaemonStatus
    daemon: Daemon
    sent_ns: list[int]

    @property
    def good(self) -> list[DataFrame]:
        """Frames in sync and without data error."""
        return [f for f in self.frames if f.pmus[0].stat.in_sync and not f.pmus[0].stat.data_error]

    @property
    def time_ns(self) -> NDArray[np.int64]:
        """Report instants of the good frames: on the grid exactly, where the stamp is rounded to its TIME_BASE."""
        rate, base = self.frames[0].config.data_rate, self.frames[0].config.time_base
        grid = [f.stamp.grid_index(rate, base) for f in self.good]
        return np.array([s * NS_PER_S + round(i * NS_PER_S / max(rate, 1)) for s, i in grid])

    @property
    def phasors(self) -> NDArray[np.complex128]:
        """complex128 [m, phasors] of the good frames."""
        return np.array([f.pmus[0].phasors for f in self.good])

    @property
    def frequency_hz(self) -> NDArray[np.float64]:
        """Frequency of the good frames."""
        return np.array([f.pmus[0].frequency_hz for f in self.good])


def configuration(**station: Any) -> Config:
    """The default configuration on a free port, with other station settings."""
    config = default()
    return replace(
        config,
        station=replace(config.station, **station),
        server=replace(config.server, listen=("127.0.0.1:0",)),
    )


def settings_of(config: Config, **others: Any) -> TwinSettings:
    """A twin wired as a configuration says, with other settings where they are given."""
    chosen = {
        "start_ns": START_NS,
        "profile": load_profile(rooms.profile_name(config)),
        "nominal_hz": config.station.nominal_frequency_hz,
        "phases": config.station.phases,
        "mains_ain": tuple(channel.ain for channel in config.channels),
        "reference_ain": config.sampling.reference_ain,
    }
    return TwinSettings(**(chosen | others))


def run_chain(
    seconds: float,
    config: Config | None = None,
    recorder: Recorder | None = None,
    mains: MainsSource | None = None,
    watch: Watch | None = None,
    changes: Mapping[float, Config] | None = None,
    **twin_settings: Any,
) -> Outcome:
    """Run the twin for so many simulated seconds with a PDC client connected over TCP.

    `watch` sees every step; `changes` are configurations to be taken over at so many seconds.
    """
    config = config or configuration()
    settings = settings_of(config, **twin_settings)
    return asyncio.run(_run(seconds, config, settings, recorder, mains, watch, dict(changes or {})))


async def _run(
    seconds: float,
    config: Config,
    settings: TwinSettings,
    recorder: Recorder | None,
    mains: MainsSource | None,
    watch: Watch | None,
    changes: dict[float, Config],
) -> Outcome:
    line = PtyPort()
    twin = Twin(settings, line, mains)
    pacer = Pacer(twin, MAX_SPEED)
    measurements: list[Measurement] = []
    sent_ns: list[int] = []

    def observe(measurement: Measurement) -> None:
        measurements.append(measurement)
        sent_ns.append(twin.now_ns)

    gps, calibration = SerialGpsPort(line.device, config.gps.baud_rate), rooms.calibration(config)
    daemon = Daemon(config, calibration, twin.link(), gps, pacer.pace, observe, recorder)
    await daemon.start()
    host, port = daemon.server.addresses[0][:2]
    frames: list[DataFrame] = []
    try:
        # no limit in wall-clock time to what is said in simulated time
        async with PdcClient(host, port, config.station.idcode, stall_s=600.0) as client:
            await client.configuration()

            async def collect() -> None:
                async for frame in client.frames():
                    frames.append(frame)

            collector = asyncio.create_task(collect())
            while twin.elapsed_s < seconds:
                await daemon.step()
                for at_s in [at_s for at_s in changes if twin.elapsed_s >= at_s]:
                    changed = changes.pop(at_s)
                    await daemon.reload(changed, rooms.calibration(changed))
                if watch is not None:
                    watch(twin, daemon)
            for _ in range(200):
                if len(frames) >= len(measurements):
                    break
                await asyncio.sleep(0.01)
            collector.cancel()
        status = daemon.status
    finally:
        await daemon.stop()
        pacer.close()
        twin.close()
    return Outcome(twin, frames, measurements, status, daemon, sent_ns)
