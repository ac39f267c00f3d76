"""The converter's own full scale, from a known voltage on one of its inputs.

The ADC measures against VDD_ADC, an ordinary 1.8 V supply that is off by a percent and moves with load and
temperature; a gain error of the same size follows. A reference of a few ppm per kelvin on a further input is converted
in every scan like a channel: full scale = reference * 4096 / counts. The front end's mid-scale is a share of VDD_ADC,
so in counts it stays where it is; only what comes from outside is scaled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rpmu.acquire.blocks import ADC_BITS

PERIOD_S = 1.0
PERIODS = 2  # averaged: one second of it scatters by a millionth, and VDD_ADC moves in minutes
LEAST_COUNTS = 0.5  # what a dead input reads as
PLAUSIBLE = 0.05  # a full scale further off than this is a loose wire, not a supply


@dataclass(frozen=True)
class ReferenceStatus:
    """What the reference channel says.

    Attributes:
        reference_v: the known voltage.
        full_scale_v: of the converter, measured; NaN before the first second.
        off_percent: of its assumed value.
        trusted: whether it is believed, and divided out.
    """

    reference_v: float
    full_scale_v: float
    off_percent: float
    trusted: bool


class AdcReference:
    """Full scale of the converter over the last seconds.

    Args:
        reference_v: the known voltage.
        assumed_v: full scale that everybody else reckons with.
        counts_per_code: of the acquisition.
        sample_rate_hz: of the acquisition.
    """

    def __init__(self, reference_v: float, assumed_v: float, counts_per_code: float, sample_rate_hz: float) -> None:
        self.factor = 1.0
        self._reference_v, self._assumed_v = reference_v, assumed_v
        self._counts_per_code = counts_per_code
        self._period = round(PERIOD_S * sample_rate_hz)
        self._sum = self._count = self._periods = 0
        self._seen = math.nan

    def feed(self, codes: NDArray[np.uint16]) -> None:
        """Further samples of the reference channel, uint16 [n]; the fewer calls the better."""
        self._sum += int(codes.sum(dtype=np.int64))
        self._count += len(codes)
        if self._count < self._period:
            return
        counts = max(self._sum / self._count * self._counts_per_code, LEAST_COUNTS)
        self._sum = self._count = 0
        self._seen = self._reference_v * 2**ADC_BITS / counts / self._assumed_v
        if not self.trusted:
            return
        self._periods = min(self._periods + 1, PERIODS)
        self.factor += (self._seen - self.factor) / self._periods

    def follow(self, before: AdcReference) -> None:
        """Go on from what was seen on the same input, however it was sampled and whatever was reckoned with."""
        scale = before._assumed_v / self._assumed_v * self._reference_v / before._reference_v
        self.factor, self._seen = before.factor * scale if before._periods else 1.0, before._seen * scale
        self._periods = before._periods

    @property
    def trusted(self) -> bool:
        """Whether it is believed, and divided out."""
        return abs(self._seen - 1.0) <= PLAUSIBLE

    @property
    def status(self) -> ReferenceStatus:
        """What it says now."""
        return ReferenceStatus(
            self._reference_v, self._assumed_v * self._seen, 100.0 * (self._seen - 1.0), bool(self.trusted)
        )
