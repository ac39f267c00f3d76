"""Many curves over [-1, 1] read at one place at once, as parabolas over short pieces.

A polynomial of degree ten is a loop of ten steps in Python, and one report needs a dozen of them: together a tenth of
what the report may cost on the target. In pieces short enough, a parabola is as good as the polynomial: its error is
the third derivative times the cube of the half piece over six, which at 512 pieces is 1e-9 of what the curve does over
the whole range.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.polynomial import polynomial

PIECES = 512


class Pieces:
    """Curves as parabolas.

    Args:
        curves: polynomials, coefficients of the lowest power first.
    """

    def __init__(self, curves: Sequence[Sequence[complex]]) -> None:
        half = 1 / PIECES
        middles = half * (2 * np.arange(PIECES) + 1) - 1
        columns = []
        for curve in curves:
            derivatives = [polynomial.polyval(middles, polynomial.polyder(curve, k)) for k in range(3)]
            columns.append([derivatives[0], derivatives[1] * half, derivatives[2] * half**2 / 2])
        self._pieces: list[list[tuple[complex, complex, complex]]] = [
            [tuple(curve) for curve in piece] for piece in np.array(columns).transpose(2, 0, 1).tolist()
        ]

    def at(self, x: float) -> list[complex]:
        """The value of each curve at x, which lies within [-1, 1]."""
        place = (x + 1) * (PIECES / 2)
        piece = min(int(place), PIECES - 1)
        u = 2 * (place - piece) - 1  # from -1 to 1 over the piece
        return [c + u * (b + u * a) for c, b, a in self._pieces[piece]]
