"""How far the ADC's range is used: extremes of every channel over about the last second, for status and doctor.

The extremes of each block are nearly free (the pipeline looks for clipping anyway); they are kept in two spans of half
a second, so that what is shown always covers at least half a second, hence many periods of the mains.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Codes = list[int]  # one per channel


def extremes(codes: NDArray[np.uint16]) -> tuple[Codes, Codes]:
    """Smallest and largest code of each channel of [n, channels] codes.

    By argmin and argmax: a minimum along an axis is set up as a general reduction, at three times the cost. For the
    same reason a single channel is not cut out first.
    """
    columns = [codes] if codes.shape[1] == 1 else [codes[:, channel] for channel in range(codes.shape[1])]
    return [c.item(c.argmin()) for c in columns], [c.item(c.argmax()) for c in columns]


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
        self._now: tuple[list[Codes], list[Codes]] = [], []
        self._before: tuple[list[Codes], list[Codes]] = [], []

    def feed(self, lowest: Codes, highest: Codes, samples: int) -> None:
        """Take in the extremes of one block.

        Args:
            lowest: smallest code of each channel.
            highest: largest code of each channel.
            samples: length of the block.
        """
        if self._samples >= self._span:
            self._before, self._now, self._samples = self._now, ([], []), 0
        self._now[0].append(lowest)
        self._now[1].append(highest)
        self._samples += samples

    def status(self, clipped: bool) -> InputStatus:
        """The extremes in 12-bit counts, with what the pipeline knows besides."""
        lowest, highest = self._before[0] + self._now[0], self._before[1] + self._now[1]
        return InputStatus(
            tuple([min(codes) * self._counts_per_code for codes in zip(*lowest, strict=True)]),
            tuple([max(codes) * self._counts_per_code for codes in zip(*highest, strict=True)]),
            clipped,
        )
