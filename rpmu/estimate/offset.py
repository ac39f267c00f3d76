"""The converter's mid-scale, tracked, to be taken off the samples of every window.

A single-supply front end puts the mains on half the ADC's range, twice the signal's RMS value. The filter bank is made
to reject the direct component that mains may have, not this one: untouched it would move the frequency by 2 mHz, and
at reporting rates that divide the nominal frequency always by the same 2 mHz. So a mean over whole seconds, which are
whole numbers of cycles at nominal frequency, is subtracted. Off nominal the mean of one second is wrong by up to 0.2 %
of the signal and would step by as much every second (measured: 1 mHz each time), so seconds are averaged further.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

PERIOD_S = 1.0
SECONDS = 16  # averaged: a step of one sixteenth is lost in the noise, and the bias of a front end moves in minutes


class OffsetTracker:
    """Mean of each channel over the last completed seconds.

    Args:
        channels: number of channels.
        sample_rate_hz: nominal sample rate.
        start: offset of each channel, or of all, to assume until the first second is complete.

    Attributes:
        offset: float64 [channels, 1], in the unit of the samples.
        u_offset: its expanded uncertainty (k = 2) by how much the seconds differ; infinite before the second one.
    """

    def __init__(self, channels: int, sample_rate_hz: float, start: ArrayLike = 0.0) -> None:
        self.offset: NDArray[np.float64] = np.broadcast_to(np.asarray(start, np.float64), channels)[:, None].copy()
        self.u_offset: NDArray[np.float64] = np.full((channels, 1), np.inf)
        # By channel, and plain numbers: once a second, fifteen numpy calls would be dear.
        self._variance = [0.0] * channels
        self._share = [1.0] * channels  # of the variance of one second that the average has: weights squared, summed
        self._seconds = [0] * channels  # that the average is of
        self._period = round(PERIOD_S * sample_rate_hz)
        self._sums: NDArray[np.int64] = np.zeros(channels, np.int64)  # of the second so far
        self._count = 0

    def learn(self, samples: NDArray[Any]) -> None:
        """Take in samples [channels, n], integers, none of them missing, and the mean of every second they complete."""
        self._count += samples.shape[1]
        beyond = self._count - self._period
        while beyond >= 0:
            end = samples.shape[1] - beyond
            self._average((self._sums + np.add.reduce(samples[:, :end], 1, np.int64)).tolist())
            self._sums, samples = np.zeros_like(self._sums), samples[:, end:]
            self._count, beyond = beyond, beyond - self._period
        self._sums = self._sums + np.add.reduce(samples, 1, np.int64)

    def _average(self, sums: list[int]) -> None:
        """Take in the sums of one more second; the first takes the place of what was assumed."""
        offset = []
        for channel, (total, before) in enumerate(zip(sums, self.offset[:, 0].tolist(), strict=True)):
            self._seconds[channel] = n = min(self._seconds[channel] + 1, SECONDS)
            away = total / self._period - before
            offset.append(before + away / n)
            # Of the first second alone, n = 1, there is no variance yet: it comes out as 0, and its share as 1.
            self._variance[channel] = variance = (1 - 1 / n) * (self._variance[channel] + away * away / n)
            self._share[channel] = share = (1 - 1 / n) ** 2 * self._share[channel] + 1 / n**2
            if n > 1:
                self.u_offset[channel] = 2 * math.sqrt(variance * share / (1 - share))
        self.offset = np.array(offset)[:, None]

    def follow(self, before: OffsetTracker, channels: Sequence[int | None], scale: float) -> None:
        """Go on from what another tracker has learned.

        Args:
            before: the other one.
            channels: for each channel here, which one there it is; None or beyond those there for none.
            scale: units here in a unit there.
        """
        for here, there in enumerate(channels):
            if there is not None and there < len(before.offset):
                self.offset[here] = before.offset[there] * scale
                self.u_offset[here] = before.u_offset[there] * scale
                self._variance[here] = before._variance[there] * scale**2
                self._share[here], self._seconds[here] = before._share[there], before._seconds[there]

    def restart(self) -> None:
        """Samples are missing: start the second over."""
        self._sums = np.zeros_like(self._sums)
        self._count = 0
