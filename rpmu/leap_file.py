"""The list of leap seconds is read again while the daemon runs: tzdata is renewed weeks before a leap second comes.

Time is that of the daemon's waiting; nothing here reads a clock.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable

from rpmu import rooms
from rpmu.config import Config
from rpmu.errors import InputError
from rpmu.timing.leap import LeapSchedule

log = logging.getLogger(__name__)

EVERY_S = 3600.0  # a file of a few kilobytes; lists are announced half a year before


class LeapFile:
    """Reads the list once an hour, and whenever the configuration was read.

    Args:
        config: which file.
        learn: takes what it says.
    """

    def __init__(self, config: Config, learn: Callable[[LeapSchedule], None]) -> None:
        self._config = config
        self._learn = learn
        self._waited_s = 0.0
        self._reading: asyncio.Task[None] | None = None

    def use(self, config: Config) -> None:
        """Another configuration holds; read the file that it names, also if it is the same."""
        self._config, self._waited_s = config, math.inf

    def step(self, waited_s: float) -> None:
        """So much time has passed since the last step: read the file if it is due."""
        self._waited_s += waited_s
        if self._waited_s >= EVERY_S and (self._reading is None or self._reading.done()):
            self._waited_s = 0.0
            self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            schedule = await asyncio.to_thread(rooms.leap_schedule, self._config)
        except InputError as error:
            log.warning("%s; going on with the list that was read before", error)
        else:
            self._learn(schedule)

    async def stop(self) -> None:
        """End a reading that is under way."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
