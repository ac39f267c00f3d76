"""How far the ADC's range is used: extremes of every channel over about the last second, for status and doctor.

The extremes of each block are nearly free (the pipeline looks for clipping anyway); they are kept in two spans of half
a second, so that what is shown always covers at least half a second, hence many periods of the mains.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.uint16]


@dataclass(frozen=True)
class InputStatus:
    """What the inputs look like now.

    Attributes:
        lowest_counts: per channel, smallest 12-bit ADC count of the last half to whole second; empty before the first.
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
        sample_rate_hz: of the acquisition.
    """

    def __init__(self, counts_per_code: float, sample_rate_hz: float) -> None:
        self._counts_per_code = counts_per_code
        self._span = round(sample_rate_hz / 2)
        self._samples = 0
        self._now: tuple[Codes, Codes] | None = None
        self._before: tuple[Codes, Codes] | None = None

    def feed(self, lowest: Codes, highest: Codes, samples: int) -> None:
        """Take in the extremes of one block.

        Args:
            lowest: uint16 [channels], codes.
            highest: uint16 [channels], codes.
            samples: length of the block.
        """
        if self._now is None or self._samples >= self._span:
            self._before, self._now, self._samples = self._now, (lowest, highest), 0
        self._now = np.minimum(self._now[0], lowest), np.maximum(self._now[1], highest)
        self._samples += samples

    def status(self, clipped: bool) -> InputStatus:
        """The extremes in 12-bit counts, with what the pipeline knows besides."""
        spans = [span for span in (self._before, self._now) if span is not None]
        if not spans:
            return InputStatus((), (), clipped)
        lowest = np.min([low for low, _ in spans], axis=0) * self._counts_per_code
        highest = np.max([high for _, high in spans], axis=0) * self._counts_per_code
        return InputStatus(tuple(lowest.tolist()), tuple(highest.tolist()), clipped)
