"""How far the ADC's range is used: extremes of every channel over about the last second, for status and doctor.

They are kept in two spans of half a second, so that what is shown always covers at least half a second, hence many
periods of the mains. Clipping must be known with every block, but not in which channel: extremes of all channels
together are three times cheaper than those of three, which are taken of many blocks at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Codes = list[int]  # one per channel
BLOCKS = 16  # looked at together


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
        self._now: list[Codes] = []
        self._before: list[Codes] = []
        self._waiting: list[NDArray[np.uint16]] = []  # blocks of this span, not yet looked at

    def feed(self, codes: NDArray[np.uint16]) -> tuple[int, int]:
        """Take in one block of codes [n, channels], which must stay as they are.

        Returns:
            The smallest and the largest code, of whichever channel.
        """
        # By argmin and argmax: a minimum is set up as a general reduction, at three times the cost.
        lowest, highest = codes.item(codes.argmin()), codes.item(codes.argmax())
        if self._samples >= self._span:
            self._look()
            self._before, self._now, self._samples = self._now, [], 0
        self._samples += len(codes)
        if codes.shape[1] == 1:
            self._now += [lowest], [highest]
        else:
            self._waiting.append(codes)
            if len(self._waiting) >= BLOCKS:
                self._look()
        return lowest, highest

    def _look(self) -> None:
        """Take the extremes of every channel of what waits."""
        if self._waiting:
            rows = np.concatenate(self._waiting).T.copy()  # along rows numpy is several times as fast
            self._now += rows.min(axis=1).tolist(), rows.max(axis=1).tolist()
            self._waiting.clear()

    def status(self, clipped: bool) -> InputStatus:
        """The extremes in 12-bit counts, with what the pipeline knows besides."""
        self._look()
        by_channel = list(zip(*self._before, *self._now, strict=True))
        return InputStatus(
            tuple([min(codes) * self._counts_per_code for codes in by_channel]),
            tuple([max(codes) * self._counts_per_code for codes in by_channel]),
            clipped,
        )
