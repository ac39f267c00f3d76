"""What the daemon holds for one run of the acquisition, of the runs before it, and of a change that is on its way."""

from __future__ import annotations

from dataclasses import dataclass

from rpmu.acquire import AcquisitionInfo
from rpmu.acquire.ring import RingReader
from rpmu.acquire.settings import SamplerSettings
from rpmu.c37118 import ConfigFrame
from rpmu.config import Config, Time
from rpmu.host_time import HostTime
from rpmu.pipeline import Calibration, Pipeline


@dataclass(frozen=True)
class Run:
    """One run of the acquisition, from START to the next."""

    settings: SamplerSettings
    time: Time
    info: AcquisitionInfo
    reader: RingReader
    pipeline: Pipeline
    host_time: HostTime | None


@dataclass(frozen=True)
class Pending:
    """A change that is on its way: until its first second everything goes on as it was, restarts of the PRU included.

    Attributes:
        config: of the PMU.
        calibration: of its channels.
        stream: its configuration frame.
        from_soc: its first second; 0 for as soon as possible.
        restarts: whether it needs a new run of the acquisition.
    """

    config: Config
    calibration: Calibration
    stream: ConfigFrame
    from_soc: int
    restarts: bool


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
