"""Several streams as one: the combined configuration, and combined data frames from the bytes of the single ones.

A PMU's block is copied as it came, so nothing is lost or rounded on the way, whatever its format. Where a frame is
missing, the source's PMUs get STAT "absent" and values that say "missing" (NaN, or 0x8000 among integers). The time
quality of the whole is the worst of its parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import nan
from typing import NamedTuple

from rpmu.c37118 import ConfigFrame, ConfigFrame2, DataError, DataFrame, PmuConfig, PmuData, Stamp, Stat, TimeQuality
from rpmu.c37118.envelope import close_envelope
from rpmu.c37118.fields import CLOCK_FAULT, FrameType
from rpmu.errors import InputError
from rpmu.pdc.leap import BITS, LeapSeconds
from rpmu.serve.grid import Grid

HEAD_SIZE, CHK_SIZE = 14, 2
RESELECTED = 1 << 3  # PHSCALE: down-sampled by reselection
ABSENT = Stat.of(data_error=DataError.TEST_OR_ABSENT, in_sync=False, pmu_tq=7)
MAX_DATA_FRAME = 65_535


class Part(NamedTuple):
    """What one source contributes to a slot: the blocks of its PMUs, and its time quality byte."""

    body: bytes
    time_quality: int


def part_of(raw: bytes) -> Part:
    """The part that a data frame is."""
    return Part(raw[HEAD_SIZE:-CHK_SIZE], raw[10])


class Combiner:
    """Makes the output stream of a concentrator.

    Args:
        idcode: of the output stream.
        rate: of the output stream.
        sources: the configuration of each source, in the order of the output; None for one that is not known (yet).
        time_base: of the output stream.
        soc: time of the configuration frame.
        leaps: the scale of the slots' seconds; None for SOC itself.

    Attributes:
        config: the combined configuration.
        factors: per source, one in how many of its frames is used; 0 for a source that takes no part.

    Raises:
        InputError: the output would be longer than a frame can be, or no source takes part.
    """

    def __init__(
        self,
        idcode: int,
        rate: int,
        sources: Sequence[ConfigFrame | None],
        time_base: int = 1_000_000,
        soc: int = 0,
        leaps: LeapSeconds | None = None,
    ) -> None:
        self.factors = tuple(_factor(config, rate) for config in sources)
        taking_part = [config for config, factor in zip(sources, self.factors, strict=True) if config and factor]
        if not taking_part:
            raise InputError(f"no source has a configuration that fits {rate} frames/s; there is nothing to combine")
        pmus = [
            pmu if factor == 1 else _reselected(pmu)
            for config, factor in zip(sources, self.factors, strict=True)
            if config and factor
            for pmu in config.pmus
        ]
        self.config = ConfigFrame2(idcode, tuple(pmus), rate, time_base, soc)
        self._grid = Grid(rate)
        self._leaps = leaps if leaps is not None and rate > 0 else LeapSeconds()
        self._absent = tuple(
            absent_body(config) if config and factor else b""
            for config, factor in zip(sources, self.factors, strict=True)
        )
        size = HEAD_SIZE + CHK_SIZE + sum(map(len, self._absent))
        if size > MAX_DATA_FRAME:
            raise InputError(
                f"the combined data frame would have {size} bytes, but {MAX_DATA_FRAME} are the most; "
                "use several concentrators"
            )

    def frame(self, ordinal: int, parts: Sequence[Part | None]) -> bytes:
        """The combined data frame of an instant.

        Args:
            ordinal: number of the instant on the output's grid.
            parts: what each source delivered; one of a size that does not fit its configuration counts as missing.
        """
        bodies = []
        quality, leap = -1, 0
        for part, absent in zip(parts, self._absent, strict=True):
            if part is None or len(part.body) != len(absent):
                bodies.append(absent)
                continue
            bodies.append(part.body)
            quality = max(quality, part.time_quality & 15)
            leap |= part.time_quality & BITS
        second, index = self._grid.instant(ordinal)
        second, known = self._leaps.utc(second)
        leap = known or leap
        stamp = Stamp.at(second, index, self.config.data_rate, self.config.time_base)
        code = CLOCK_FAULT if quality < 0 else quality
        return close_envelope(
            FrameType.DATA, 2, self.config.idcode, stamp.soc, stamp.fracsec, TimeQuality(leap | code), b"".join(bodies)
        )


def _factor(config: ConfigFrame | None, rate: int) -> int:
    return 0 if config is None else Grid(config.data_rate).decimation_to(Grid(rate)) or 0


def _reselected(pmu: PmuConfig) -> PmuConfig:
    """The PMU with its phasors marked as picked out of more (CFG-3 tells it)."""
    phasors = (replace(channel, modifications=channel.modifications | RESELECTED) for channel in pmu.phasors)
    return replace(pmu, phasors=tuple(phasors))


def absent_body(config: ConfigFrame) -> bytes:
    """The blocks of a source's PMUs for an instant at which it sent nothing."""
    blocks = [
        PmuData(
            (complex(nan, nan),) * len(pmu.phasors),
            nan,
            nan,
            (nan,) * len(pmu.analogs),
            (0,) * len(pmu.digitals),
            ABSENT,
        )
        for pmu in config.pmus
    ]
    return DataFrame.build(config, 0, 0, blocks).encode()[HEAD_SIZE:-CHK_SIZE]
