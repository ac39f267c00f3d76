"""The machine that a configuration is applied on: its clock, its boot, its daemon."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rpmu.errors import HardwareError
from rpmu.serve.status_socket import read_status

RELOAD_COMMAND = "systemctl reload-or-restart rpmu.service"
RELOAD_S = 60.0
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class LocalHost:
    """This machine.

    Args:
        reload_command: makes the daemon take the configuration; empty for none.
        socket: of the daemon's status; None for no daemon to look at.
    """

    def __init__(self, reload_command: str = RELOAD_COMMAND, socket: Path | None = None) -> None:
        self._command = shlex.split(reload_command)
        self._socket = socket

    def status(self) -> Mapping[str, Any] | None:
        """Of the daemon; None if none answers, or there is none to look at."""
        if self._socket is None:
            return None
        try:
            return read_status(self._socket)
        except HardwareError:
            return None

    def now_s(self) -> float:
        """Seconds since boot; a board's date may jump when GPS or the network sets it, this does not."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def boot(self) -> str:
        """The kernel's id of this boot."""
        return BOOT_ID.read_text().strip()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def reload(self) -> str | None:
        """Run the command; returns the last line of its complaint if it fails."""
        if not self._command:
            return None
        try:
            done = subprocess.run(self._command, capture_output=True, text=True, timeout=RELOAD_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"`{shlex.join(self._command)}`: {error}"
        if done.returncode == 0:
            return None
        said = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
        return f"`{shlex.join(self._command)}`: {said}"
