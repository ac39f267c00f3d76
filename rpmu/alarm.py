"""Waiting with a single turn of the event loop.

asyncio.sleep ends a wait in two turns: the timer fills a future in one, and the task that awaits the future goes on in
the next. A turn costs more than anything else that a report needs (docs/estimator.md), and there is a wait for each.
An `Alarm` speaks the protocol of asyncio's futures, so a task can await it, but lets the timer wake the task itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context
from typing import Any

Callback = Callable[["Alarm"], object]


class Alarm:
    """Awaited once, it ends after some seconds: a `rpmu.acquire.link.Pace`.

    Args:
        seconds: from the moment at which it is awaited.
    """

    _asyncio_future_blocking = False  # true says to a task: I am a future, and you are waiting for me

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._wake: tuple[Callback, Context | None] | None = None
        self._cancelled = False

    def __await__(self) -> Generator[Alarm, None, None]:
        """Wait."""
        self._asyncio_future_blocking = True
        yield self

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop that it belongs to."""
        return self._loop

    def add_done_callback(self, callback: Callback, *, context: Context | None = None) -> None:
        """Called by the task that awaits; now time runs."""
        loop = self._loop
        self._timer = loop.call_at(loop.time() + self._seconds, callback, self, context=context)
        self._wake = callback, context

    def cancel(self, msg: Any = None) -> bool:
        """Called by the task when it is cancelled: end at once."""
        del msg
        if self._timer is None or self._wake is None:
            return False
        self._timer.cancel()
        self._cancelled = True
        callback, context = self._wake
        self._loop.call_soon(callback, self, context=context)
        return True

    def result(self) -> None:
        """Called by the task when it wakes.

        Raises:
            CancelledError: it was cancelled.
        """
        if self._cancelled:
            raise asyncio.CancelledError
