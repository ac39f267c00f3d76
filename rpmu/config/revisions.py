"""Numbered revisions of the configuration, one of them in force, and a change that undoes itself unless confirmed.

    revisions/000007.toml   every configuration that was ever applied, complete and unchanged
    current                 a link to the one in force; switched by renaming, so there always is one
    pending.json            a change that awaits its confirmation: revision, previous one, deadline

A change can lock out the person who made it. So `apply` notes in `pending.json` what to return to before it switches
the link, and `settle` returns to it when the deadline has passed, or when the machine was started again meanwhile:
boards without a battery do not know how long they were off. Each step is on the disk before the next begins, so a
power cut at any moment leaves either the old configuration or the new one with its way back. Time and the boot's id
come in as arguments.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass

from rpmu.config.disk import TEMPORARY, Disk, put, settle_name
from rpmu.errors import InputError

FOLDER = "revisions"
CURRENT = "current"
PENDING = "pending.json"
KEEP = 50
FILE_NAME = re.compile(r"(\d{6,})\.toml")


@dataclass(frozen=True)
class Pending:
    """A change that awaits its confirmation.

    Attributes:
        revision: in force for the time being.
        previous: what to return to.
        deadline_s: when, on the clock of the caller (seconds since boot).
        boot: id of the boot whose clock that is.
    """

    revision: int
    previous: int
    deadline_s: float
    boot: str

    def overdue(self, now_s: float, boot: str) -> bool:
        """Whether nobody can confirm it any more."""
        return boot != self.boot or now_s >= self.deadline_s


class Revisions:
    """The revisions in one folder.

    Args:
        disk: the folder.
    """

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    # ---- what there is ----

    def numbers(self) -> list[int]:
        """All revisions, rising."""
        matches = (FILE_NAME.fullmatch(name) for name in self._disk.names(FOLDER))
        return sorted(int(match.group(1)) for match in matches if match)

    def current(self) -> int | None:
        """The revision in force, None before the first."""
        target = self._disk.target(CURRENT)
        match = FILE_NAME.fullmatch(target.rpartition("/")[2]) if target else None
        return int(match.group(1)) if match else None

    def content(self, number: int) -> bytes:
        """A revision's file.

        Raises:
            InputError: there is no such revision.
        """
        content = self._disk.read(_file(number))
        if content is None:
            known = ", ".join(map(str, self.numbers())) or "none"
            raise InputError(f"there is no revision {number} of the configuration; there are: {known}")
        return content

    def pending(self) -> Pending | None:
        """The change that awaits its confirmation, if there is one."""
        content = self._disk.read(PENDING)
        if content is None:
            return None
        try:
            return Pending(**json.loads(content))
        except (ValueError, TypeError) as error:
            raise InputError(
                f"{PENDING} in the folder of configuration revisions is damaged ({error}): remove it, and apply the "
                "configuration that shall be in force"
            ) from error

    # ---- what can be done ----

    def apply(self, content: bytes, now_s: float, boot: str, confirm_within_s: float | None) -> int:
        """Put a configuration into force.

        Args:
            content: its file; checked by the caller.
            now_s: seconds since boot.
            boot: id of this boot.
            confirm_within_s: time for the confirmation; None (or no configuration to return to) asks for none.

        Returns:
            Its revision.

        Raises:
            InputError: another change still awaits its confirmation.
        """
        pending = self.pending()
        if pending is not None:
            raise InputError(
                f"revision {pending.revision} still awaits its confirmation: `rpmu config confirm` it, or "
                "`rpmu config rollback` first"
            )
        previous = self.current()
        number = max(self.numbers(), default=0) + 1
        put(self._disk, _file(number), content)
        if confirm_within_s is not None and previous is not None:
            note = Pending(number, previous, now_s + confirm_within_s, boot)
            put(self._disk, PENDING, json.dumps(asdict(note)).encode())
        self._switch(number)
        self._prune()
        return number

    def confirm(self, now_s: float, boot: str) -> int:
        """Keep the change for good.

        Returns:
            Its revision.

        Raises:
            InputError: nothing awaits confirmation, it is too late, or the change was never carried out.
        """
        pending = self.pending()
        if pending is None:
            raise InputError("no change of the configuration awaits its confirmation")
        if pending.overdue(now_s, boot):
            self._return_from(pending)
            raise InputError(
                f"it is too late to confirm revision {pending.revision}: revision {pending.previous} is in force again"
            )
        self._forget_pending()
        if self.current() != pending.revision:  # the power went, or apply was killed, before the switch
            raise InputError(f"revision {pending.revision} was never put into force: apply it again")
        return pending.revision

    def rollback(self, to: int | None = None) -> int:
        """Return to an earlier revision at once.

        Args:
            to: which; None for the one before the pending change, or before the current one.

        Returns:
            The revision now in force.

        Raises:
            InputError: there is none.
        """
        pending, current = self.pending(), self.current()
        if to is None:
            earlier = [number for number in self.numbers() if current is not None and number < current]
            to = pending.previous if pending is not None else max(earlier, default=None)
        if to is None:
            raise InputError("there is no earlier revision of the configuration to return to")
        self.content(to)
        self._switch(to)
        self._forget_pending()
        return to

    def settle(self, now_s: float, boot: str) -> int | None:
        """Undo a change whose time is over, and tidy up what a power cut left.

        Returns:
            The revision that is in force again, or None if nothing had to be undone.
        """
        for folder, prefix in ((FOLDER, FOLDER + "/"), ("", "")):
            for name in self._disk.names(folder):
                if name.endswith(TEMPORARY):
                    self._disk.remove(prefix + name)
        pending = self.pending()
        if pending is None or not pending.overdue(now_s, boot):
            return None
        undone = self.current() == pending.revision
        self._return_from(pending)
        return pending.previous if undone else None

    # ---- how ----

    def _return_from(self, pending: Pending) -> None:
        if self.current() == pending.revision:
            self._switch(pending.previous)
        self._forget_pending()

    def _switch(self, number: int) -> None:
        self._disk.link(CURRENT + TEMPORARY, _file(number))
        settle_name(self._disk, CURRENT)

    def _forget_pending(self) -> None:
        self._disk.remove(PENDING)
        self._disk.sync_folder("")

    def _prune(self) -> None:
        """Remove all but the newest revisions; never the one in force or the one to return to."""
        pending = self.pending()
        needed = {self.current(), pending.previous if pending else None, *self.numbers()[-KEEP:]}
        for number in self.numbers():
            if number not in needed:
                self._disk.remove(_file(number))


def _file(number: int) -> str:
    return f"{FOLDER}/{number:06}.toml"
