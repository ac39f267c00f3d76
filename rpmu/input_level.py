"""How far the ADC's range is used: extremes of every channel over about the last second, for status and doctor.

They are kept in two spans of at least half a second, so that what is shown always covers as much, hence many periods
of the mains.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Codes = list[int]  # one per channel


@dataclass(frozen=True)
class InputStatus:
    """What the inputs look like now.

    Attributes:
        lowest_counts: per channel, smallest 12-bit ADC count of the last second, give or take a half; empty at first.
        highest_counts: likewise the greatest.
        clipped: whether a report of now touches a sample at an end of the range.
    """

    lowest_counts: tuple[float, ...] = ()
    highest_counts: tuple[float, ...] = ()
    clipped: bool = False


class InputLevel:
    """Extremes of the channels.

    Args:
        counts_per_code: of the acquisition.
        span: samples of half a second.
    """

    def __init__(self, counts_per_code: float, span: int) -> None:
        self._counts_per_code = counts_per_code
        self._span = span
        self._samples = 0
        self._now: list[Codes] = []
        self._before: list[Codes] = []

    def feed(self, codes: NDArray[np.uint16]) -> None:
        """Take in further codes [channels, n], one or more of each."""
        if self._samples >= self._span:
            self._before, self._now, self._samples = self._now, [], 0
        self._samples += codes.shape[1]
        self._now += codes.min(axis=1).tolist(), codes.max(axis=1).tolist()

    def status(self, clipped: bool) -> InputStatus:
        """The extremes in 12-bit counts, with what the pipeline knows besides."""
        by_channel = list(zip(*self._before, *self._now, strict=True))
        return InputStatus(
            tuple([min(codes) * self._counts_per_code for codes in by_channel]),
            tuple([max(codes) * self._counts_per_code for codes in by_channel]),
            clipped,
        )
