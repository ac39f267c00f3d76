"""The GPS receiver at its serial port: bytes for the clock, and the dialogue that keeps them coming.

`ReceiverSetup` decides what to say and at which speed; this carries it out and tells the log.
"""

from __future__ import annotations

import logging

from rpmu.acquire.gps_port import GpsPort
from rpmu.config import Gps
from rpmu.timing.receiver_setup import ReceiverSetup, ReceiverStatus

log = logging.getLogger(__name__)

# Between two looks at the port. A sentence is placed by the second, and the kernel keeps a third of a second at the
# highest speed; the time that stands still between two looks must be short beside the tenth that naming.py allows.
LOOK_S = 0.05


class ReceiverLine:
    """A port, and what is said over it.

    Args:
        port: open, at the speed of the settings.
        settings: of the receiver.
    """

    def __init__(self, port: GpsPort, settings: Gps) -> None:
        self._port = port
        self._setup = ReceiverSetup(settings.baud_rate, settings.configure)
        self._passed_s = 0.0  # since the last look

    @property
    def status(self) -> ReceiverStatus:
        """What is known of the receiver as a partner."""
        return self._setup.status

    def read(self, passed_s: float) -> bytes:
        """All bytes that have arrived since the last look at the port; empty if none, or if that was just now.

        Args:
            passed_s: time since the last call.

        Raises:
            HardwareError: the port went away.
        """
        self._passed_s += passed_s
        if self._passed_s < LOOK_S:
            return b""
        passed_s, self._passed_s = self._passed_s, 0.0
        data = self._port.read()
        order = self._setup.step(data, passed_s)
        for message in order.messages:
            self._port.write(message)
        if order.baud_rate is not None:
            self._port.set_baud_rate(order.baud_rate)
        if order.note:
            log.info("%s", order.note)
        return data

    def close(self) -> None:
        """Give the port back."""
        self._port.close()
