"""Waiting with a single turn of the event loop.

asyncio.sleep ends a wait in two turns: the timer fills a future in one, and the task that awaits the future goes on in
the next. An `Alarm` speaks the protocol of asyncio's futures, so a task can await it, but lets the timer wake the task
itself: that saves a turn (docs/estimator.md), and what was to be called before it goes on has been called (`QuietLoop`
needs that).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context
from typing import Any

Callback = Callable[["Alarm"], object]
CallAt = Callable[..., asyncio.TimerHandle]


class Alarm:
    """Awaited once, it ends at a time.

    Args:
        at_s: by the clock of the running loop.
        call_at: of that loop.
    """

    _asyncio_future_blocking = False  # true says to a task: I am a future, and you are waiting for me

    def __init__(self, at_s: float, call_at: CallAt) -> None:
        self._at_s, self._call_at = at_s, call_at
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
        """Called by the task that awaits."""
        self._timer = self._call_at(self._at_s, callback, self, context=context)
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
