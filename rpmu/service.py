"""What the daemon tells systemd: that it is ready, that it is alive, and how it is.

The protocol is a datagram of lines to the socket named in NOTIFY_SOCKET (sd_notify(3)); without it nothing is sent. The
watchdog is fed only while the PMU does its work: while frames flow, or, as long as there is no time to stamp them
with, while samples do. A daemon that is alive but does not measure is restarted.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

from rpmu.daemon_status import DaemonStatus
from rpmu.timing.states import LockState


class Notifier:
    """The connection to the service manager.

    Args:
        environment: of the process; NOTIFY_SOCKET and WATCHDOG_USEC are looked up in it.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        env = os.environ if environment is None else environment
        self._address = env.get("NOTIFY_SOCKET", "")
        self.watchdog_s = int(env.get("WATCHDOG_USEC", "0") or 0) / 1e6

    def tell(self, *lines: str) -> None:
        """Send lines such as READY=1; the service manager's absence is nobody's problem."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
            try:
                sender.sendto("\n".join(lines).encode(), address)
            except OSError:
                pass  # the manager restarts us when it hears nothing, which is then right


class Heartbeat:
    """Decides when the watchdog has deserved to be fed.

    Args:
        notifier: where to tell it.
    """

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._seen = (-1, -1)

    def beat(self, status: DaemonStatus) -> bool:
        """Look at the daemon, about every quarter of the watchdog's time; True if it was fed.

        Args:
            status: of the daemon, now.
        """
        frames, samples = status.server.frames_published, status.ring.samples
        without_time = status.time.state in (LockState.COLD, LockState.ACQUIRING)
        alive = frames != self._seen[0] or (without_time and samples != self._seen[1])
        self._seen = (frames, samples)
        words = f"STATUS={status.time.state.value}: {status.time.reason}; {frames} frames, {status.drops} drops"
        self._notifier.tell(*(["WATCHDOG=1"] if alive else []), words)
        return alive
