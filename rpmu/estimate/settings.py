"""What an estimator is told before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rpmu.errors import InputError
from rpmu.estimate.bank_table import STREAM_RATE_HZ
from rpmu.estimate.cic import CicResponse
from rpmu.estimate.classes import check_class, design_rate
from rpmu.estimate.front_end import FrontEnd

LEAST_SAMPLES_PER_CYCLE = 8
LARGEST_SAMPLE_RATE_HZ = 100_000.0


@dataclass(frozen=True)
class EstimatorSettings:
    """Everything that does not change while an estimator runs.

    Attributes:
        nominal_hz: 50 or 60.
        performance_class: "P" or "M".
        reporting_rate: reports per second; negative: seconds per report.
        phases: 1, or 3 (channels in groups of three are phases A, B, C; frequency is that of the positive sequence).
        n_channels: channels per sample.
        sample_rate_hz: nominal sample rate; the time map gives the true one.
        estimator: "fir" or a name from `rpmu.estimate.alternatives`.
        front_end: what all channels, or each, passed before they were sampled; None for nothing.
        cic: droop of the decimator before the estimator; None for nothing. Its delay belongs to the time map.
        time_step_limit_ns: a time map that moves the newest sample by more than this is a resynchronisation.
    """

    nominal_hz: int = 60
    performance_class: str = "M"
    reporting_rate: int = 60
    phases: int = 1
    n_channels: int = 1
    sample_rate_hz: float = float(STREAM_RATE_HZ)
    estimator: str = "fir"
    front_end: FrontEnd | Sequence[FrontEnd] | None = None
    cic: CicResponse | None = None
    time_step_limit_ns: int = 5_000

    def __post_init__(self) -> None:
        if self.front_end is not None and not isinstance(self.front_end, FrontEnd):
            object.__setattr__(self, "front_end", tuple(self.front_end))  # hashable, and not to be changed behind us
        check_class(self.nominal_hz, self.performance_class)
        design_rate(self.nominal_hz, self.reporting_rate)
        least = LEAST_SAMPLES_PER_CYCLE * self.nominal_hz
        if not least <= self.sample_rate_hz <= LARGEST_SAMPLE_RATE_HZ:
            raise InputError(
                f"sample rate {self.sample_rate_hz:g} Hz: allowed are {least} Hz ({LEAST_SAMPLES_PER_CYCLE} per "
                f"cycle) to {LARGEST_SAMPLE_RATE_HZ:g} Hz; resample the recording first"
            )
        if self.phases not in (1, 3) or self.n_channels < self.phases:
            raise InputError(
                f"{self.phases} phases and {self.n_channels} channels: allowed are 1 phase, or 3 phases and at least "
                "3 channels"
            )
        if len(self.front_ends) != self.n_channels:
            raise InputError(
                f"{len(self.front_ends)} front ends for {self.n_channels} channels: give one for all or one each"
            )

    @property
    def front_ends(self) -> tuple[FrontEnd, ...]:
        """One front end per channel."""
        if self.front_end is None:
            return (FrontEnd(),) * self.n_channels
        if isinstance(self.front_end, FrontEnd):
            return (self.front_end,) * self.n_channels
        return tuple(self.front_end)

    @property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """Channels that share one frequency: threes for three phases, what is left over and one phase alone."""
        whole = self.n_channels // 3 if self.phases == 3 else 0
        threes = tuple((3 * i, 3 * i + 1, 3 * i + 2) for i in range(whole))
        return threes + tuple((i,) for i in range(3 * whole, self.n_channels))
