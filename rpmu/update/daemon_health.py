"""The daemon of this machine before and after an update, by the common rule of `rpmu.health`."""

from __future__ import annotations

from pathlib import Path

from rpmu.config.host import LocalHost
from rpmu.health import Vital, await_health, vital_of
from rpmu.serve.status_socket import BOARD_SOCKET
from rpmu.timing.states import LockState


class DaemonHealth:
    """See `rpmu.update.worker.Health`.

    Args:
        within_s: patience with a new version.
        socket: of the daemon's status.
    """

    def __init__(self, within_s: float, socket: Path = BOARD_SOCKET) -> None:
        self._within_s = within_s
        self._socket = socket
        self._before: Vital | None = None

    def note(self) -> str:
        """Remember; a board that lives on its holdover would lose the time by a restart."""
        self._before = vital_of(self._socket)
        if self._before is not None and self._before.state == LockState.HOLDOVER.value:
            return "the time is in holdover, and a restart would lose it: wait until it is locked again"
        return ""

    def complaint(self) -> str:
        """Wait and compare."""
        return await_health(self._before, lambda: vital_of(self._socket), LocalHost(""), self._within_s)
