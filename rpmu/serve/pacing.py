"""When frame k is due: absolute deadlines from the integer frame counter, so that no error adds up.

Sleeping for a period after each frame makes every frame late by the time the work took, for ever; here frame k of
rate r is due at k/r seconds of UTC, whenever the one before was sent. A sender that was stopped for long (a suspended
machine) does not send all that was missed in one burst, but goes on with the present and counts what it left out.
"""

from __future__ import annotations

from rpmu.serve.grid import Grid

NS_PER_S = 1_000_000_000


class Pacer:
    """Counts frames along a grid. Times are UTC ns, given by the caller.

    Args:
        grid: the report instants.
        now_ns: the first frame is that of the next instant.
        max_lag_ns: farther behind than that, frames are left out.

    Attributes:
        ordinal: number of the frame that is next.
        skipped: frames left out.
    """

    def __init__(self, grid: Grid, now_ns: int, max_lag_ns: int = NS_PER_S) -> None:
        self._grid = grid
        self._max_lag_ns = max_lag_ns
        self.ordinal = grid.at_or_after(now_ns)
        self.skipped = 0

    def wait_ns(self, now_ns: int) -> int:
        """How long to wait for the next frame; 0 or less when it is due."""
        wait_ns = self._grid.time_ns(self.ordinal) - now_ns
        if wait_ns < -self._max_lag_ns:
            present = self._grid.at_or_after(now_ns)
            self.skipped += present - self.ordinal
            self.ordinal = present
            wait_ns = self._grid.time_ns(present) - now_ns
        return wait_ns

    def change_grid(self, grid: Grid, at_ns: int) -> None:
        """Go on along another grid, from the first instant that is not before a time."""
        self._grid = grid
        self.ordinal = grid.at_or_after(at_ns)

    def advance(self) -> int:
        """The number of the frame to be sent now; the next one is next."""
        ordinal = self.ordinal
        self.ordinal += 1
        return ordinal
