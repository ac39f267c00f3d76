"""The streaming low-pass and decimator before the bank, and the history that the windows are cut from.

Decimated sample m has its centre tap on input sample m * factor, whatever the blocks look like: the grid hangs on the
sample index, so any split of the input gives the same samples. Blocks of `factor` samples are multiplied once by all
phases of the filter; an output is a sum along a diagonal of that product. Missing samples are NaN, and NaN spreads to
exactly those outputs whose window touches them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Decimator:
    """Polyphase FIR decimator over [n_channels, n] samples; a plain pass-through for factor 1.

    Attributes:
        next_output: index of the next decimated sample that `push` gives.
    """

    def __init__(self, taps: Floats, factor: int, n_channels: int, first_index: int) -> None:
        half = len(taps) // 2
        self._factor = factor
        self._lowest = -half // factor  # block of the earliest tap, relative to the centre's
        last = half // factor
        padded = np.zeros((last - self._lowest + 1) * factor)
        start = -half - self._lowest * factor
        padded[start : start + len(taps)] = taps
        self._phases = np.ascontiguousarray(padded.reshape(-1, factor).T)  # [factor, blocks]
        block, rest = divmod(first_index, factor)
        self._left = np.full((n_channels, rest), np.nan)
        self._products = np.empty((n_channels, 0, self._phases.shape[1]))
        self.next_output = block - self._lowest

    def forget(self) -> None:
        """Turn every sample that waits inside into a missing one."""
        self._left[:] = np.nan
        self._products[:] = np.nan

    def push(self, samples: Floats) -> Floats:
        """Decimated samples [n_channels, m] that `samples` complete."""
        if self._factor == 1:
            self.next_output += samples.shape[1]
            return samples
        x = np.concatenate([self._left, samples], axis=1) if self._left.shape[1] else samples
        n_blocks = x.shape[1] // self._factor
        self._left = x[:, n_blocks * self._factor :].copy()
        blocks = np.ascontiguousarray(x[:, : n_blocks * self._factor]).reshape(len(x), n_blocks, self._factor)
        products = np.concatenate([self._products, blocks @ self._phases], axis=1)
        n_taps = self._phases.shape[1]
        n_out = max(0, products.shape[1] - n_taps + 1)
        s0, s1, s2 = products.strides
        # As as_strided does, at a tenth of its cost: [i, m, k] is products[i, m + k, k].
        shape, strides = (len(x), n_out, n_taps), (s0, s1, s1 + s2)
        diagonal: Floats = np.ndarray(shape, np.float64, products, 0, strides)
        self._products = products[:, n_out:].copy()
        self.next_output += n_out
        return np.asarray(diagonal.sum(axis=-1))


class History:
    """The newest decimated samples, contiguous, with the index of the first.

    Attributes:
        first: index of the oldest sample kept.
        end: index one past the newest.
    """

    def __init__(self, n_channels: int, length: int, first: int) -> None:
        self._keep = length
        self._data = np.empty((n_channels, 4 * length))
        self._start = 0
        self.first = self.end = first

    def append(self, samples: Floats) -> None:
        """Add samples [n_channels, m], dropping the oldest beyond the length."""
        n, used = samples.shape[1], self.end - self.first
        if self._start + used + n > self._data.shape[1]:
            old = self._data[:, self._start : self._start + used].copy()
            if used + n > self._data.shape[1]:
                self._data = np.empty((len(old), 2 * (used + n)))
            self._data[:, :used] = old
            self._start = 0
        self._data[:, self._start + used : self._start + used + n] = samples
        self.end += n

    def trim(self) -> None:
        """Forget all but the newest `length` samples."""
        surplus = self.end - self.first - self._keep
        if surplus > 0:
            self._start += surplus
            self.first += surplus

    def forget(self) -> None:
        """Turn every sample kept into a missing one."""
        self._data[:, self._start : self._start + self.end - self.first] = np.nan

    def windows(self, starts: list[int], length: int) -> Floats:
        """Samples [n_channels, m, length] from each index of `starts`."""
        origin = self._start - self.first
        if len(starts) == 1:
            at = origin + starts[0]
            return self._data[:, None, at : at + length]
        return np.asarray(self._data[:, (origin + np.array(starts))[:, None] + np.arange(length)])
