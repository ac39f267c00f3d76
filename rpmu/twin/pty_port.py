"""A pseudo-terminal as the receiver's serial line: the daemon opens it as it opens a UART.

The terminal is raw, so that nothing is echoed or translated. A pty has no speed of its own, but it remembers the one
that the host has set, so that the twin can let bytes of another speed arrive as a UART would read them. Its reader has
a buffer of 4 kB; when nobody reads, further bytes are lost and counted, as on a UART. The kernel hands bytes over in
its own time, so `write` waits until they have arrived on the other side: a simulation must not depend on the scheduler.
Only a reader that stands still meanwhile can be waited for in this way: one in another process may already have taken
what the twin still looks for.
"""

from __future__ import annotations

import fcntl
import os
import struct
import termios
import time
import tty

ARRIVAL_S = 2.0  # patience with the kernel of a busy machine: it is simulated time that waits
SPEEDS = (4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600)
DEFAULT_SPEED = 38_400  # of a new terminal
BUFFER_BYTES = 4000  # of the line discipline's 4096


class PtyPort:
    """The receiver's end of a serial line.

    Args:
        has_speed: whether bytes are misread at another speed than the receiver's.
        in_step: whether its reader stands still while the simulation moves.

    Attributes:
        device: what the daemon opens.
        lost_bytes: bytes that nobody took.
    """

    def __init__(self, has_speed: bool = True, in_step: bool = True) -> None:
        self._has_speed = has_speed
        self._in_step = in_step
        self._master, self._slave = os.openpty()  # the slave stays open, so that the line survives a daemon's restart
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.device = os.ttyname(self._slave)
        self.lost_bytes = 0

    @property
    def host_baud_rate(self) -> int | None:
        """The speed that the host has set; None on a line that has none."""
        if not self._has_speed:
            return None
        code = termios.tcgetattr(self._slave)[5]
        return next((rate for rate in SPEEDS if getattr(termios, f"B{rate}") == code), DEFAULT_SPEED)

    def write(self, data: bytes) -> None:
        """Send bytes to the host; what its buffer cannot take is lost."""
        if not data:
            return
        before = self._waiting()
        try:
            sent = os.write(self._master, data[: max(0, BUFFER_BYTES - before)])
        except BlockingIOError:
            sent = 0
        self.lost_bytes += len(data) - sent
        deadline = time.monotonic() + ARRIVAL_S
        while self._in_step and self._waiting() < before + sent and time.monotonic() < deadline:
            time.sleep(20e-6)

    def _waiting(self) -> int:
        """Bytes that lie ready for the host."""
        return int(struct.unpack("i", fcntl.ioctl(self._slave, termios.FIONREAD, b"\0\0\0\0"))[0])

    def read(self) -> bytes:
        """What the host has sent."""
        try:
            return os.read(self._master, 4096)
        except (BlockingIOError, OSError):  # nothing there
            return b""

    def close(self) -> None:
        """Give the line back."""
        for descriptor in (self._master, self._slave):
            os.close(descriptor)
