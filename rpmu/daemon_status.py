"""Everything that the daemon knows about itself at one moment, as values; `rpmu.status` puts it into words."""

from __future__ import annotations

from dataclasses import dataclass

from rpmu.acquire import AcquisitionInfo
from rpmu.acquire.ring import RingStatistics
from rpmu.adc_reference import ReferenceStatus
from rpmu.config import Station
from rpmu.input_level import InputStatus
from rpmu.serve.statistics import ServerStatistics
from rpmu.timing.receiver_setup import ReceiverStatus
from rpmu.timing.status import TimeStatus


@dataclass(frozen=True)
class StreamStatus:
    """What PDCs get.

    Attributes:
        name: of the station.
        idcode: of the stream.
        performance_class: P or M.
        reporting_rate_per_s: reports per second; -N for one in N seconds.
        cfgcnt: changes of the configuration, as the frames say.
        change_in_s: until an announced change holds, s; None if there is none.
    """

    name: str
    idcode: int
    performance_class: str
    reporting_rate_per_s: int
    cfgcnt: int
    change_in_s: float | None

    @classmethod
    def of(cls, station: Station, cfgcnt: int, change_in_s: float | None) -> StreamStatus:
        """With what the configuration says of the station."""
        return cls(
            station.name,
            station.idcode,
            station.performance_class,
            station.reporting_rate_per_s,
            cfgcnt,
            change_in_s,
        )


@dataclass(frozen=True)
class DaemonStatus:
    """Everything that the daemon knows about itself at one moment.

    Attributes:
        time: state of the clock.
        ring: what the ring delivered and lost.
        server: clients and frames.
        stream: what PDCs get.
        acquisition: what the firmware samples.
        input: level of the inputs.
        receiver: what is known of the GPS receiver as a partner; None without one.
        reports: measurements made.
        invalid_reports: of them, marked invalid.
        pru_restarts: times that the firmware failed and had to be loaded again; `time` counts from the last one, and
            `ring` from the last start of the sampling, for whatever reason ...
        lost_before_restart: ... and this is what was lost in the ring before it.
        reference: what the converter's reference channel says, if there is one.
        warmed_by_k: how much warmer than at its calibration the front end is, where a sensor is read.
        calibrated: a certificate that holds stands behind the numbers.
        calibration: which one, or why none, in words.
    """

    time: TimeStatus
    ring: RingStatistics
    server: ServerStatistics
    stream: StreamStatus
    acquisition: AcquisitionInfo
    input: InputStatus
    receiver: ReceiverStatus | None
    reports: int
    invalid_reports: int
    pru_restarts: int
    lost_before_restart: int = 0
    reference: ReferenceStatus | None = None
    warmed_by_k: float | None = None
    calibrated: bool = False
    calibration: str = ""

    @property
    def drops(self) -> int:
        """Samples, PPS events and frames that were lost anywhere, whoever lost them."""
        ring = self.ring.lost_samples + self.ring.events_lost + self.lost_before_restart
        return ring + self.server.frames_failed
