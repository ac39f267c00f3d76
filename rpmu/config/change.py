"""Carry a change of the configuration through: switch, reload the daemon, await the confirmation, or undo it.

The steps are here, without clock and without processes, which `Host` has; what is on the disk at each step, and what
happens when the power goes, is in `revisions`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Protocol

from rpmu.config.revisions import Revisions

LOOK_S = 1.0


class Host(Protocol):
    """What a change needs of the machine."""

    def now_s(self) -> float:
        """Seconds since boot, sleep included."""

    def boot(self) -> str:
        """Id of this boot."""

    def sleep(self, seconds: float) -> None:
        """Wait."""

    def reload(self) -> str | None:
        """Let the daemon take the configuration in force; returns what went wrong, if anything did."""


class Outcome(Enum):
    """How a change ended."""

    IN_FORCE = "in force"
    NOT_CONFIRMED = "undone: it was not confirmed in time"
    WITHDRAWN = "withdrawn by a rollback"
    RELOAD_FAILED = "undone: the daemon did not take it"


def carry_out(
    revisions: Revisions,
    content: bytes,
    confirm_within_s: float | None,
    host: Host,
    report: Callable[[str], None],
) -> Outcome:
    """Apply a configuration and stay with it until it is confirmed or undone.

    Args:
        revisions: where it goes.
        content: the checked file.
        confirm_within_s: time for the confirmation, None for none.
        host: the machine.
        report: gets one line about each step.

    Raises:
        InputError: another change still awaits its confirmation.
    """
    revisions.settle(host.now_s(), host.boot())
    number = revisions.apply(content, host.now_s(), host.boot(), confirm_within_s)
    report(f"revision {number} is in force")
    try:
        complaint = host.reload()
        if complaint is not None:
            report(f"the daemon did not take revision {number}: {complaint}")
            _undo(revisions, host, report)
            return Outcome.RELOAD_FAILED
        if revisions.pending() is None:
            return Outcome.IN_FORCE
        report(f"confirm it within {confirm_within_s:g} s, or it is undone: rpmu config confirm")
        return _await_confirmation(revisions, number, host, report)
    except KeyboardInterrupt:
        _undo(revisions, host, report)
        raise


def _await_confirmation(revisions: Revisions, number: int, host: Host, report: Callable[[str], None]) -> Outcome:
    while (pending := revisions.pending()) is not None and pending.revision == number:
        if pending.overdue(host.now_s(), host.boot()):
            _undo(revisions, host, report)
            return Outcome.NOT_CONFIRMED
        host.sleep(LOOK_S)
    return Outcome.IN_FORCE if revisions.current() == number else Outcome.WITHDRAWN


def _undo(revisions: Revisions, host: Host, report: Callable[[str], None]) -> None:
    pending = revisions.pending()
    if pending is None:
        report("there is nothing to return to: the configuration stays in force")
        return
    restored = revisions.rollback()
    complaint = host.reload()
    report(f"revision {restored} is in force again" + (f", but the daemon says: {complaint}" if complaint else ""))
