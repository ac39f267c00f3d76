"""The host's clock as a source of time, for places without GPS reception: the only place that reads it.

About once a second the clock is read before and after a look at the newest scan number; chronyd is asked about once in
half a minute how far the clock may be off. What follows from that is `rpmu.timing.system`'s matter.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from rpmu.errors import InputError
from rpmu.timing.chrony import ChronyTracking, parse_tracking
from rpmu.timing.system import SystemTimeKeeper

log = logging.getLogger(__name__)

CHRONYC = ("chronyc", "-c", "tracking")
CHRONYC_TIMEOUT_S = 5.0
LOOK_S = 1.0
ASK_S = 30.0


class HostTime:
    """Feeds a `SystemTimeKeeper` from the host.

    Args:
        keeper: the source of time to feed.
        newest_scan: gives the number of the newest complete scan, now.
        scan_rate_hz: nominal, to know when it is time to look again.
    """

    def __init__(self, keeper: SystemTimeKeeper, newest_scan: Callable[[], int], scan_rate_hz: float) -> None:
        self._keeper = keeper
        self._newest_scan = newest_scan
        self._look_scans = round(LOOK_S * scan_rate_hz)
        self._ask_scans = round(ASK_S * scan_rate_hz)
        self._looked = self._asked = -self._ask_scans
        self._question: asyncio.Task[None] | None = None

    def step(self) -> None:
        """Look at the clock, and ask chronyd, if it is time to."""
        scan = self._newest_scan()
        if scan - self._looked >= self._look_scans:
            self._looked = scan
            before_ns = time.time_ns()
            scan = self._newest_scan()
            self._keeper.feed_reading(before_ns, scan, time.time_ns())
        if scan - self._asked >= self._ask_scans and (self._question is None or self._question.done()):
            self._asked = scan
            self._question = asyncio.create_task(self._ask())

    async def _ask(self) -> None:
        tracking = await ask_chrony()
        if tracking is not None:
            self._keeper.feed_tracking(tracking, self._newest_scan())

    async def stop(self) -> None:
        """End a question that is under way."""
        if self._question is not None:
            self._question.cancel()
            await asyncio.gather(self._question, return_exceptions=True)


async def ask_chrony(command: tuple[str, ...] = CHRONYC) -> ChronyTracking | None:
    """What chronyd says about the host's clock; None, with a line in the log, if it does not say anything."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
    except OSError as error:
        log.warning("cannot ask chronyd how well the host's clock keeps UTC (%s): install chrony", error)
        return None
    try:
        async with asyncio.timeout(CHRONYC_TIMEOUT_S):
            printed, _ = await process.communicate()
        return parse_tracking(printed.decode("utf-8", "replace"))
    except TimeoutError:
        log.warning("chronyd gave no usable answer: time-out after %g s", CHRONYC_TIMEOUT_S)
        return None
    except InputError as error:
        log.warning("chronyd gave no usable answer: %s", error)
        return None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
