"""Many curves of one variable looked up at one place at once, in a table of short pieces.

A polynomial of degree ten is a loop of ten steps in Python, and one report needs a dozen of them: together a tenth of
what the report may cost on the target. Over 512 pieces a parabola is off by less than 1e-8 of what the curve does over
the whole range, and a chord by 2e-5, which is nothing for a small correction.

A table is made of columns, one number per piece. `parabolas` and `chords` give the columns for u, from -1 to 1 over the
piece; `middles` just the value in the middle. Before and after the range lies one piece each in which a curve stays
what it is at the end of the range.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

PIECES = 512
MIDDLE = 0.5 * PIECES + 1  # of the table
Number = Any  # float or complex, or an array of them: the same operators
Column = NDArray[Any]  # [PIECES + 2]


def nodes(reach: float) -> NDArray[np.float64]:
    """Where curves over [-reach, reach] must be known: ends and middles of the pieces, in turn."""
    return np.linspace(-reach, reach, 2 * PIECES + 1)


def parabolas(y: NDArray[Any]) -> list[Column]:
    """Columns c, b, a of c + b u + a u^2, from values at the nodes."""
    low, middle, high = y[:-1:2], y[1::2], y[2::2]
    return [middles(y), np.pad((high - low) / 2, 1), np.pad((high + low) / 2 - middle, 1)]


def chords(y: NDArray[Any]) -> list[Column]:
    """Columns c, b of c + b u, from values at the nodes."""
    low, high = y[:-1:2], y[2::2]
    return [np.concatenate([y[:1], (low + high) / 2, y[-1:]]), np.pad((high - low) / 2, 1)]


def middles(y: NDArray[Any]) -> Column:
    """Column of the values in the middle, from values at the nodes."""
    return np.concatenate([y[:1], y[1::2], y[-1:]])


class Pieces:
    """A table over [-reach, reach].

    Attributes:
        per_unit: what u changes by per unit of the variable.
    """

    def __init__(self, columns: Sequence[Column], reach: float) -> None:
        self.per_unit = PIECES / reach
        self._scale = 0.5 * self.per_unit
        self._columns = columns
        self._rows: list[tuple[complex, ...]] = list(zip(*(column.tolist() for column in columns), strict=True))

    def at(self, x: float) -> tuple[float, tuple[complex, ...]]:
        """Where x lies in its piece, and the row of the table for that piece."""
        place = x * self._scale + MIDDLE
        piece = int(place) if 1 <= place < PIECES + 1 else (PIECES + 1 if place > 1 else 0)
        return 2 * (place - piece) - 1, self._rows[piece]

    def at_all(self, x: NDArray[np.float64]) -> tuple[NDArray[np.float64], list[Column]]:
        """The same for float64 [m]; NaN gives NaN."""
        place = x * self._scale + MIDDLE
        piece = np.clip(np.nan_to_num(place), 0, PIECES + 1).astype(np.int64)
        return 2 * (place - piece) - 1, [column[piece] for column in self._columns]
