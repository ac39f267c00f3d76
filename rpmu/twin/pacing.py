"""The twin's clockwork: simulated time against the wall clock.

The daemon waits by `await pace(seconds)`. On the twin that lets the simulation run on by so much, in a thread (the
emulator releases the interpreter lock), and in real time then sleeps until the wall clock has come to the same point.
Deadlines are absolute, so errors do not add up; a machine that is too slow lags behind, says by how much, and skips
nothing.

Where the twin is the hardware of an emulated machine, that machine's clock takes the place of the wall clock: a page of
memory in which it keeps writing its time. Both wait for each other then. A daemon there could not follow a simulation
that catches up faster than its own clock goes, so what the twin lags behind is given up: its time goes slower instead.
"""

from __future__ import annotations

import asyncio
import math
import mmap
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rpmu.errors import HardwareError, InputError
from rpmu.twin.signals import NS_PER_S
from rpmu.twin.world import Twin

MAX_SPEED = math.inf
LOOK_S = 0.002  # between two looks at a clock that another machine moves
MOST_LAG_S = 0.05  # behind such a clock; more is given up
CATCH_SECOND_S = 1.5  # a start this near ahead of the host's clock is waited for, so that stamps are the host's time


def parse_speed(text: str) -> float:
    """Speed relative to real time: a positive number, or "max".

    Raises:
        InputError: it is neither.
    """
    if text == "max":
        return MAX_SPEED
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < math.inf:
        raise InputError(f"the speed is {text!r}, but must be a positive number (1 is real time) or max")
    return speed


class MachineClock:
    """The time of an emulated machine, as it writes it: milliseconds in the first 32-bit word of a page.

    Args:
        page: file that is the machine's memory; made here, at 0.

    Raises:
        HardwareError: it cannot be made.
    """

    def __init__(self, page: Path) -> None:
        try:
            with page.open("wb+") as file:
                file.truncate(mmap.PAGESIZE)
                self._words = memoryview(mmap.mmap(file.fileno(), mmap.PAGESIZE)).cast("I")
        except OSError as error:
            raise HardwareError(f"cannot make the clock's page {page}: {error.strerror}") from error

    def now_s(self) -> float:
        """Seconds since that machine's start; 0 until it tells them."""
        return self._words[0] * 1e-3


class Pacer:
    """Runs a twin at a speed.

    Args:
        twin: the simulation; nobody else may advance it.
        speed: simulated seconds per second; `MAX_SPEED` for as fast as the machine can.
        clock: the time of a machine that the twin goes with; None for the wall clock.

    Attributes:
        lag_s: how far the simulation was behind the wall clock after the last step; 0 at `MAX_SPEED`.
        worst_lag_s: the most it has been.
    """

    def __init__(self, twin: Twin, speed: float = 1.0, clock: MachineClock | None = None) -> None:
        self.twin = twin
        self.speed = speed
        self._clock = clock
        self._now_s: Callable[[], float] = time.monotonic if clock is None else clock.now_s
        self.lag_s = 0.0
        self.worst_lag_s = 0.0
        self._executor = ThreadPoolExecutor(1, "twin")
        self._begin_s: float | None = None
        self._begin_elapsed_s = 0.0

    async def pace(self, seconds: float) -> None:
        """Let so much simulated time pass; a fault `reader_stalled` that begins in it makes it longer.

        Raises:
            PruFault: the firmware did what would hang the chip.
        """
        if self._begin_s is None:
            self._begin()
        now_s = self.twin.elapsed_s
        seconds += sum(f.duration_s for f in self.twin.faults.between(now_s, now_s + seconds, "reader_stalled"))
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._executor, self.twin.advance, seconds)
        await self._keep_time()

    def _begin(self) -> None:
        """Tie the two time scales together."""
        ahead_s = (self.twin.now_ns - time.time_ns()) / NS_PER_S
        self._begin_s = self._now_s() + (ahead_s if 0 < ahead_s < CATCH_SECOND_S else 0.0)
        self._begin_elapsed_s = self.twin.elapsed_s

    async def _keep_time(self) -> None:
        if self.speed == MAX_SPEED or self._begin_s is None:
            await asyncio.sleep(0)  # others want to run, too
            return
        deadline_s = self._begin_s + (self.twin.elapsed_s - self._begin_elapsed_s) / self.speed
        self.lag_s = max(0.0, self._now_s() - deadline_s)
        self.worst_lag_s = max(self.worst_lag_s, self.lag_s)
        if self._clock is None:
            await asyncio.sleep(max(0.0, deadline_s - self._now_s()))
            return
        self._begin_s += max(0.0, self.lag_s - MOST_LAG_S)
        while self._now_s() < deadline_s:  # noqa: ASYNC110  another machine writes it, which sets no event
            await asyncio.sleep(LOOK_S)

    def close(self) -> None:
        """Wait for the step that runs, and end the thread."""
        self._executor.shutdown(wait=True)


def next_whole_second_ns() -> int:
    """The next whole second of the host's clock, UTC ns: where a twin starts that is not told."""
    return (time.time_ns() // NS_PER_S + 1) * NS_PER_S
