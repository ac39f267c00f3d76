"""Blocks of codes that wait to be looked at together.

For numpy a block of two hundred codes costs nearly as much as a second of them. So what need not be known with every
report (mid-scale, extremes, the converter's reference) is learned from half a second at once. Blocks wait as bytes:
joining those costs a quarter of what `np.concatenate` does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Gathered:
    """Codes of the blocks since they were last taken.

    Args:
        channels: codes in a sample.
        enough: so many samples are worth a look.
    """

    def __init__(self, channels: int, enough: int) -> None:
        self._channels, self._enough = channels, enough
        self._blocks: list[bytes] = []
        self._samples = 0

    def add(self, codes: NDArray[np.uint16]) -> bool:
        """Copy a block [n, channels]; returns whether there are enough of them now."""
        self._blocks.append(codes.tobytes())
        self._samples += len(codes)
        return self._samples >= self._enough

    def take(self) -> NDArray[np.uint16]:
        """All of them, uint16 [channels, n]; each channel in one row, along which numpy is several times as fast."""
        codes = np.frombuffer(b"".join(self._blocks), np.uint16).reshape(-1, self._channels)
        self._blocks.clear()
        self._samples = 0
        return np.ascontiguousarray(codes.T)
