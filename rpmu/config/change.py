"""Carry a change of the configuration through: switch, reload the daemon, examine it, await the confirmation, or undo.

    revision -> daemon takes it -> it is as well as before (`rpmu.health`) -> confirmed in time -> stays
         any of these fails -> the revision before, and the daemon takes that

The steps are here, without clock and without processes, which `Host` has; what is on the disk at each step, and what
happens when the power goes, is in `revisions`. A change without confirmation awaits one too, until the daemon has been
examined: what the power or a kill interrupts is undone like any other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Protocol

from rpmu.config.revisions import Revisions
from rpmu.health import HealthCheck, Vital

LOOK_S = 1.0
TAKE_S = 60.0  # patience with a daemon that reads a configuration, or starts
WELL_WITHIN_S = 60.0  # a new run of the acquisition takes the time some ten seconds to lock
GRACE_S = 10.0  # for the program that applied a change to undo it itself
LONGEST_EXAMINATION_S = 7200.0  # the longest notice to PDCs is an hour


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

    def status(self) -> Mapping[str, Any] | None:
        """Of the daemon; None if none answers."""


class Outcome(Enum):
    """How a change ended."""

    IN_FORCE = "in force"
    NOT_CONFIRMED = "undone: it was not confirmed in time"
    WITHDRAWN = "withdrawn by a rollback"
    RELOAD_FAILED = "undone: the daemon did not take it"
    UNHEALTHY = "undone: the daemon did worse with it"
    NO_WAY_BACK = "in force all the same: there is no revision before it to return to"


def carry_out(
    revisions: Revisions,
    content: bytes,
    confirm_within_s: float | None,
    host: Host,
    report: Callable[[str], None],
    well_within_s: float = WELL_WITHIN_S,
) -> Outcome:
    """Apply a configuration and stay with it until it is confirmed or undone.

    Args:
        revisions: where it goes.
        content: the checked file.
        confirm_within_s: time for the confirmation, None for none.
        host: the machine.
        report: gets one line about each step.
        well_within_s: patience with the daemon until it is as well as before.

    Raises:
        InputError: another change still awaits its confirmation.
    """
    revisions.settle(host.now_s(), host.boot())
    before = host.status()
    number = revisions.apply(content, host.now_s(), host.boot(), confirm_within_s or LONGEST_EXAMINATION_S)
    report(f"revision {number} is in force")
    change = _Change(revisions, number, host, report)
    try:
        complaint = take(content, before, host)
        if complaint:
            report(f"the daemon did not take revision {number}: {complaint}")
            return change.undo(Outcome.RELOAD_FAILED)
        ended = change.examine(before, well_within_s)
        if ended is not None:
            return ended
        if confirm_within_s is None or revisions.pending() is None:
            change.keep()
            return Outcome.IN_FORCE
        return change.await_confirmation()
    except KeyboardInterrupt:
        change.undo(Outcome.WITHDRAWN)
        raise


def take(content: bytes, before: Mapping[str, Any] | None, host: Host) -> str:
    """Let the daemon take the configuration in force, and wait until it says that it has.

    Args:
        content: the file in force.
        before: the daemon's status before; where none answered, none is waited for.
        host: the machine.

    Returns:
        Why it does not take it, or an empty text.
    """
    complaint = host.reload()
    if complaint is not None:
        return complaint
    tried = None if before is None else before.get("configuration")
    if tried is None:  # no daemon, or one whose version only knows a restart
        return ""
    wanted, began_s = hashlib.sha256(content).hexdigest(), host.now_s()
    while host.now_s() - began_s < TAKE_S:
        now = (host.status() or {}).get("configuration")
        if now is not None:
            if now["sha256"] == wanted and not now["refused"]:
                return ""
            if now["refused"] and now["loads"] != tried["loads"]:
                return str(now["refused"])
        host.sleep(LOOK_S / 4)
    return f"it does not say within {TAKE_S:g} s that it has read it"


class _Change:
    """A revision that has just come into force.

    Args:
        revisions: where it is.
        number: its own.
        host: the machine.
        report: gets one line about each step.
    """

    def __init__(self, revisions: Revisions, number: int, host: Host, report: Callable[[str], None]) -> None:
        self._revisions = revisions
        self._number = number
        self._host = host
        self._report = report
        self._had_a_way_back = revisions.pending() is not None

    def examine(self, before: Mapping[str, Any] | None, within_s: float) -> Outcome | None:
        """Watch the daemon until it is as well as before; None if it is, else how the change ended."""
        vital = _vital(before)
        check = HealthCheck(vital, self._host.now_s(), within_s)
        while (complaint := check.look(_vital(self._host.status()), self._host.now_s())) is None:
            ended = self._ended()
            if ended is not None:
                return ended
            self._host.sleep(LOOK_S)
        if complaint:
            self._report(f"the daemon does worse with revision {self._number}: {complaint}")
            return self.undo(Outcome.UNHEALTHY)
        if vital is not None:
            self._report("the daemon does as well as before")
        return None

    def await_confirmation(self) -> Outcome:
        """Wait until somebody confirms or withdraws the change, or time is up."""
        pending = self._revisions.pending()
        if pending is not None:
            left_s = max(0.0, pending.deadline_s - self._host.now_s())
            self._report(f"confirm it within {left_s:.0f} s, or it is undone: rpmu config confirm")
        while (ended := self._ended()) is None:
            self._host.sleep(LOOK_S)
        return ended

    def keep(self) -> None:
        """Confirm it, since nobody else has to."""
        if self._revisions.pending() is not None:
            self._revisions.confirm(self._host.now_s(), self._host.boot())

    def undo(self, outcome: Outcome) -> Outcome:
        """Return to the revision before, if there is one."""
        if self._revisions.pending() is None:
            return Outcome.NO_WAY_BACK
        before = self._host.status()
        restored = self._revisions.rollback()
        complaint = take(self._revisions.content(restored), before, self._host)
        but = f", but the daemon says: {complaint}" if complaint else ""
        self._report(f"revision {restored} is in force again{but}")
        return outcome

    def _ended(self) -> Outcome | None:
        """How the change ended, if it did: confirmed, withdrawn or overdue. Without a way back it awaits nothing."""
        pending = self._revisions.pending()
        if self._revisions.current() != self._number:
            return Outcome.WITHDRAWN
        if pending is None:
            return Outcome.IN_FORCE if self._had_a_way_back else None
        if pending.overdue(self._host.now_s(), self._host.boot()):
            return self.undo(Outcome.NOT_CONFIRMED)
        return None


def await_end(revisions: Revisions, host: Host) -> None:
    """Wait until no change awaits its confirmation, or one has been overdue for so long that nobody is left to undo it.

    Args:
        revisions: where it is.
        host: the machine.
    """
    while (pending := revisions.pending()) is not None:
        if pending.overdue(host.now_s() - GRACE_S, host.boot()):
            return
        host.sleep(LOOK_S)


def _vital(status: Mapping[str, Any] | None) -> Vital | None:
    try:
        return None if status is None else Vital.of(status)
    except KeyError:  # of a version that tells less
        return None
