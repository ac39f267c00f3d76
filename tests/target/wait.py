"""Waiting in these tests: for something to be seen, generously, and never for a fixed time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PATIENCE_S = 900.0  # an emulated machine on a busy one may be a hundred times slower than a board
LOOK_S = 0.5  # between two looks at what costs nothing ...
ASK_S = 5.0  # ... and at the guest, whose processor has better things to do


class GuestError(AssertionError):
    """The guest did not do what it should."""


def until(what: str, look: Callable[[], T | None], patience_s: float = PATIENCE_S, pause_s: float = ASK_S) -> T:
    """Look again and again until there is something to see."""
    deadline = time.monotonic() + patience_s
    while True:
        seen = look()
        if seen is not None and seen is not False:
            return seen
        if time.monotonic() > deadline:
            raise GuestError(f"waited {patience_s:g} s for {what}")
        time.sleep(pause_s)
