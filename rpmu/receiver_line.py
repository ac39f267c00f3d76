"""The GPS receiver at its serial port: bytes for the clock, and the dialogue that keeps them coming.

`ReceiverSetup` decides what to say and at which speed; this carries it out and tells the log.
"""

from __future__ import annotations

import logging

from rpmu.acquire.gps_port import GpsPort
from rpmu.config import Gps
from rpmu.timing.receiver_setup import ReceiverSetup, ReceiverStatus

log = logging.getLogger(__name__)


class ReceiverLine:
    """A port, and what is said over it.

    Args:
        port: open, at the speed of the settings.
        settings: of the receiver.
    """

    def __init__(self, port: GpsPort, settings: Gps) -> None:
        self._port = port
        self._setup = ReceiverSetup(settings.baud_rate, settings.configure)

    @property
    def status(self) -> ReceiverStatus:
        """What is known of the receiver as a partner."""
        return self._setup.status

    def read(self, passed_s: float) -> bytes:
        """All bytes that have arrived since the last call, which was `passed_s` ago; empty if none.

        Raises:
            HardwareError: the port went away.
        """
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
