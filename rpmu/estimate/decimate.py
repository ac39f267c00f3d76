"""The history that windows are cut from: the newest samples of a stream, behind a low-pass and decimator if need be.

Decimated sample m has its centre tap on input sample m * factor, whatever the blocks look like: the grid hangs on the
sample index, so any split of the input gives the same samples. Each is one dot product of the taps with the samples
around its centre, and none is made before a window asks for it: then all that have come due are one call, on a view in
which each row begins `factor` samples after the row before it. Missing samples are NaN, and NaN spreads to exactly
those decimated samples whose taps touch them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SPACE = 4  # so many times the samples that must be kept, so that they are moved to the front rarely


class Strip:
    """The newest samples of a stream, contiguous: the history itself where nothing is decimated.

    Args:
        n_channels: number of channels.
        keep: so many samples are kept when others come; None for all from `first` on, which whoever reads moves on.
        first: index of the first sample to come.
        space: columns to begin with.

    Attributes:
        data: float64 [n_channels, columns], of one channel [columns], since numpy cuts and fills one axis for less;
            sample i lies in column i - base.
        base: index of the sample in column 0.
        first: index of the oldest sample that there is.
        end: index one past the newest.
        moves: how often the samples were moved.
    """

    def __init__(self, n_channels: int, keep: int | None, first: int, space: int) -> None:
        self._keep = keep
        self._alone = n_channels == 1
        self._channels = () if self._alone else (n_channels,)  # of a shape
        self.data: Floats = np.empty((*self._channels, space))
        self._space = space
        self.base = self.first = self.end = first
        self.moves = 0

    def append(self, samples: NDArray[Any]) -> None:
        """Take samples [n_channels, n]."""
        n = samples.shape[1]
        column = self.extend(n)
        if self._alone:
            self.data[column : column + n] = samples
        else:
            self.data[:, column : column + n] = samples

    def extend(self, n: int) -> int:
        """Make room for n more samples and count them in; returns the column where they begin."""
        end = self.end
        if self._keep is not None and end - self._keep > self.first:
            self.first = end - self._keep
        if end - self.base + n > self._space:
            self._move(n)
        self.end = end + n
        return end - self.base

    def _move(self, n: int) -> None:
        """Move the samples to the front, and into a longer strip if n more do not fit."""
        old = self.data[..., self.first - self.base : self.end - self.base].copy()
        used = self.end - self.first
        if used + n > self._space:
            self._space = 2 * (used + n)
            self.data = np.empty((*self._channels, self._space))
        self.data[..., :used] = old
        self.base = self.first
        self.moves += 1

    def forget(self) -> None:
        """Turn every sample into a missing one."""
        self.data[..., : self.end - self.base] = np.nan

    def window(self, start: int, length: int) -> Floats:
        """Samples [n_channels, length], of one channel [length], from an index on, not copied."""
        at = start - self.base
        return self.data[at : at + length] if self._alone else self.data[:, at : at + length]

    def windows(self, starts: list[int], length: int) -> Floats:
        """Samples [n_channels, m, length] from each index of `starts`."""
        at = np.array(starts) - self.base
        windows = self.data[..., at[:, None] + np.arange(length)]
        return windows[None] if self._alone else windows


class Decimated:
    """As `Strip`, of what a low-pass and decimator make of the samples; indices are those of the decimated samples.

    Args:
        taps: of the low-pass, odd in number and symmetric.
        factor: samples per decimated sample.
        n_channels: number of channels.
        keep: as for `Strip`.
        first_index: of the first sample that will come.
    """

    def __init__(self, taps: Floats, factor: int, n_channels: int, keep: int, first_index: int) -> None:
        self._taps, self._factor, self._keep = taps, factor, keep
        self._half = half = len(taps) // 2
        first = -((-first_index - half) // factor)  # the first one all of whose samples will come
        self.first, self.end = first, first
        self._space = SPACE * len(taps) + factor * keep
        self._raw = Strip(n_channels, None, first_index, self._space)
        self._made = Strip(n_channels, None, first, SPACE * keep)
        self._lowest = first * factor - half  # first sample under the taps of the next one to be made
        self._alone = n_channels == 1
        self._rows, self._column = self._views()
        self._moves = 0

    def append(self, samples: NDArray[Any]) -> None:
        """Take samples [n_channels, n]."""
        oldest = self.end - self._keep
        if oldest > self.first:
            self.first = oldest
        raw = self._raw
        if raw.end - raw.base + samples.shape[1] > self._space:
            self._decimate()
        raw.append(samples)
        self.end = (raw.end - 1 - self._half) // self._factor + 1

    def forget(self) -> None:
        """Turn every sample so far, and what was made of them, into a missing one."""
        self._decimate()
        self._raw.forget()
        self._made.forget()

    def window(self, start: int, length: int) -> Floats:
        """As `Strip.window`."""
        if start + length > self._made.end:
            self._decimate()
        return self._made.window(start, length)

    def windows(self, starts: list[int], length: int) -> Floats:
        """As `Strip.windows`."""
        self._decimate()
        return self._made.windows(starts, length)

    def _decimate(self) -> None:
        """Make every decimated sample that the samples are enough for."""
        raw, made = self._raw, self._made
        n = self.end - made.end
        if n <= 0:
            return
        made.first = min(self.first, made.end)
        at, row = made.extend(n), (self._lowest - raw.base) // self._factor
        if raw.moves + made.moves != self._moves:
            self._rows, self._column = self._views()
            self._moves = raw.moves + made.moves
        if self._alone:
            self._rows[row : row + n].dot(self._taps, self._column[at : at + n])  # begins sooner than `matmul`
        else:
            np.matmul(self._rows[:, row : row + n], self._taps, self._column[:, at : at + n])
        self._lowest += n * self._factor
        raw.first = self._lowest

    def _views(self) -> tuple[Floats, Floats]:
        """What goes into a product and where its result goes, for all that the strips have room for; nothing is copied.

        Returns:
            The samples under the taps of every output, [n_channels, m, 1, taps] (of one channel [m, 1, taps]): as
            as_strided does, each row begins `factor` samples after the row before it. The axis of length 1 makes each
            output a dot product of its own, which costs a third less than numpy's loop over a matrix.
            The outputs, [n_channels, columns, 1] (of one channel [columns, 1]).
        """
        data, factor, n = self._raw.data, self._factor, len(self._taps)
        *channels, sample = data.strides
        begin = (self._lowest - self._raw.base) % factor
        rows = (data.shape[-1] - begin - n) // factor + 1
        shape, strides = (*data.shape[:-1], rows, 1, n), (*channels, factor * sample, sample, sample)
        return np.ndarray(shape, np.float64, data, begin * sample, strides), self._made.data[..., None]


def history(taps: Floats, factor: int, n_channels: int, keep: int, first_index: int) -> Strip | Decimated:
    """What keeps the samples that windows are cut from; arguments as for `Decimated`."""
    if factor == 1:
        return Strip(n_channels, keep, first_index, SPACE * keep)
    return Decimated(taps, factor, n_channels, keep, first_index)
