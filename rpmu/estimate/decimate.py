"""The streaming low-pass and decimator before the bank, and the history that the windows are cut from.

Decimated sample m has its centre tap on input sample m * factor, whatever the blocks look like: the grid hangs on the
sample index, so any split of the input gives the same samples. Each output is one dot product of the taps with the
samples around its centre. All outputs of a push are one call: a view in which each row begins `factor` samples after
the row before it, times the taps. Missing samples are NaN, and NaN spreads to exactly those outputs whose window
touches them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SPACE = 4  # so many times the samples that must be kept, so that they are moved to the front rarely


class Strip:
    """The newest samples of a stream, contiguous, with the index of the first.

    Attributes:
        data: float64 [n_channels, space]; the samples lie in columns `start` to `start + end - first`.
        start: column of the oldest sample kept.
        first: index of the oldest sample kept.
        end: index one past the newest.
    """

    def __init__(self, n_channels: int, keep: int, first: int) -> None:
        self._keep = keep
        self.data: Floats = np.empty((n_channels, SPACE * keep))
        self.start = 0
        self.first = self.end = first

    def extend(self, n: int) -> int:
        """Make room for n more samples and count them in; returns the column where they belong."""
        used = self.end - self.first
        if self.start + used + n > self.data.shape[1]:
            old = self.data[:, self.start : self.start + used].copy()
            if used + n > self.data.shape[1]:
                self.data = np.empty((len(old), 2 * (used + n)))
            self.data[:, :used] = old
            self.start = 0
        self.end += n
        return self.start + used

    def append(self, samples: Floats) -> None:
        """Add samples [n_channels, m]."""
        n = samples.shape[1]
        column = self.extend(n)
        self.data[:, column : column + n] = samples

    def drop_before(self, index: int) -> None:
        """Forget the samples before an index."""
        if index > self.first:
            self.start += index - self.first
            self.first = index

    def trim(self) -> None:
        """Forget all but the newest `keep` samples."""
        self.drop_before(self.end - self._keep)

    def forget(self) -> None:
        """Turn every sample kept into a missing one."""
        self.data[:, self.start : self.start + self.end - self.first] = np.nan

    def window(self, start: int, length: int) -> Floats:
        """Samples [n_channels, length] from an index on, not copied."""
        at = self.start - self.first + start
        return self.data[:, at : at + length]

    def windows(self, starts: list[int], length: int) -> Floats:
        """Samples [n_channels, m, length] from each index of `starts`."""
        at = np.array(starts) + (self.start - self.first)
        return np.asarray(self.data[:, at[:, None] + np.arange(length)])


class Decimator:
    """FIR decimator of [n_channels, n] samples into a strip; a plain copy for factor 1.

    Args:
        taps: odd in number and symmetric.
        factor: samples per decimated sample.
        n_channels: number of channels.
        first_index: of the first sample that `push` will get.
        keep: decimated samples that must stay in the strip.

    Attributes:
        output: the decimated samples.
    """

    def __init__(self, taps: Floats, factor: int, n_channels: int, first_index: int, keep: int) -> None:
        self._taps, self._factor = taps, factor
        self._waiting = Strip(n_channels, len(taps) + factor, first_index)
        self._half = len(taps) // 2
        first_output = -((-first_index - self._half) // factor)  # the first one all of whose samples will come
        self.output = Strip(n_channels, keep, first_output)

    def push(self, samples: Floats) -> None:
        """Take samples and append what they complete to the output."""
        if self._factor == 1:
            self.output.append(samples)
            return
        waiting, output, factor = self._waiting, self.output, self._factor
        waiting.append(samples)
        lowest = output.end * factor - self._half  # index of the next output's first sample
        n = (waiting.end - lowest - len(self._taps)) // factor + 1
        if n <= 0:
            return
        # As as_strided does, at a tenth of its cost: rows[i, m] are the samples under the taps of output m.
        channel, sample = waiting.data.strides
        offset = (waiting.start + lowest - waiting.first) * sample
        shape, strides = (len(waiting.data), n, len(self._taps)), (channel, factor * sample, sample)
        rows: Floats = np.ndarray(shape, np.float64, waiting.data, offset, strides)
        column = output.extend(n)
        np.matmul(rows, self._taps, out=output.data[:, column : column + n])
        waiting.drop_before(lowest + n * factor)

    def forget(self) -> None:
        """Turn every sample that waits inside, and every one in the output, into a missing one."""
        self._waiting.forget()
        self.output.forget()
