"""Commands that run for long: until they are told to stop, or until their work is done though nobody listens any more.

The first kind ends by Ctrl-C, SIGTERM or `--for S` seconds, and then with 0: the command gets an event to watch;
whatever it started it stops itself, so nothing is left running.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable

from rpmu.errors import InputError

Main = Callable[[asyncio.Event], Awaitable[int]]


def add_for_option(parser: argparse.ArgumentParser) -> None:
    """Add `--for S`."""
    parser.add_argument("--for", dest="for_s", type=float, metavar="S", help="end by itself after S seconds, with 0")


def run_until_told(
    main: Main, for_s: float | None = None, loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None
) -> int:
    """Run `main(stop)` in an event loop and set `stop` on SIGINT, SIGTERM or after `for_s` seconds.

    Args:
        main: returns the exit code, soon after `stop` is set.
        for_s: wall-clock seconds, or None for no limit.
        loop_factory: makes the event loop; None for asyncio's own.

    Raises:
        InputError: `for_s` is not positive.
    """
    check_for(for_s)
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(_watched(main, for_s))


def check_for(for_s: float | None) -> None:
    """Refuse a length of time that is none.

    Raises:
        InputError: it is not positive.
    """
    if for_s is not None and not for_s > 0:
        raise InputError(f"--for is {for_s:g}, but must be a positive number of seconds, such as --for 20")


def on_hangup(reload: Callable[[], None], stop: asyncio.Event) -> None:
    """Let SIGHUP ask for a new configuration; where it says that the terminal is gone, it ends the program as ever.

    Args:
        reload: called in the event loop.
        stop: set if the terminal that the program was started in is gone.
    """
    in_terminal = _has_terminal()

    def heard() -> None:
        if in_terminal and not _has_terminal():
            stop.set()
        else:
            reload()

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, heard)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


async def _watched(main: Main, for_s: float | None) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if for_s is not None:
        loop.call_later(for_s, stop.set)
    return await main(stop)


def tell(line: str) -> None:
    """Print a step of a change to whoever still listens; if the connection is gone, the change goes on all the same."""
    try:
        print(line, flush=True)
    except OSError:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123  until the process ends
