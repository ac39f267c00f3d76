"""An event loop in which the daemon can wait without a turn of the loop, as long as nobody else has anything to do.

A turn of asyncio's loop (arm a timer, suspend the task, collect what is ready, wake the task) costs a tenth of all that
a report may cost (docs/estimator.md), and almost always the wait for the next sample is all that there was to do.
`QuietLoop.wait` then waits for the loop's selector (to epoll, an epoll is a descriptor like others) and goes on without
suspending its task. If the selector has something ready, the loop gets the rest of the wait, by an `Alarm`.

So nobody is kept waiting: work gets into a loop by a descriptor that is ready (signals and threads write to one too),
by `call_soon` or by a timer. The first ends the wait at the selector, the other two are noted here as they are asked
for.
"""

from __future__ import annotations

import asyncio
import select
import selectors
from collections.abc import Callable
from contextvars import Context
from heapq import heappop, heappush
from typing import TypeVarTuple

from rpmu.alarm import Alarm

Ts = TypeVarTuple("Ts")

SOON_S = 1e-6  # a timer may come early by the resolution of the clock, which is less


class QuietLoop(asyncio.SelectorEventLoop):
    """An event loop for one task that waits again and again, such as the daemon's; Linux only.

    Args:
        selector: that of the loop, or None for a new one.

    Attributes:
        readiness: tells whether the selector has something ready; `wait` waits by its `poll`.
    """

    def __init__(self, selector: selectors.EpollSelector | None = None) -> None:
        selector = selector if selector is not None else selectors.EpollSelector()
        self.readiness = select.epoll()
        self.readiness.register(selector.fileno(), select.EPOLLIN)
        self._quiet = False  # no callback waits for its turn
        self._timers_s: list[float] = []  # a heap: when timers end that may not have had their turn, cancelled or not
        super().__init__(selector)

    def close(self) -> None:
        """As every loop."""
        self.readiness.close()
        super().close()

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """As every loop; noted."""
        self._quiet = False
        return super().call_soon(callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As every loop; noted."""
        if when - self.time() < SOON_S:
            self._quiet = False
        else:
            heappush(self._timers_s, when)
        return super().call_at(when, callback, *args, context=context)

    async def wait(self, seconds: float) -> None:
        """Let time pass, and let others have their turn if they want one: a `rpmu.acquire.link.Pace`."""
        until_s, timers_s = self.time() + seconds, self._timers_s
        if self._quiet and not (timers_s and timers_s[0] <= until_s) and not self.readiness.poll(seconds, 1):
            return
        # What waits now is called before the alarm ends the wait; if it asks for more, this is false again.
        self._quiet = True
        await Alarm(until_s, super().call_at)
        while timers_s and timers_s[0] < until_s:
            heappop(timers_s)
