"""The GPS receiver's serial port: bytes in, bytes out, never waiting.

The daemon drains the port once per poll of the ring and hands the bytes on with the newest scan number, so the
kernel's buffer (4 kB, several seconds of NMEA) is all the buffering there is. What the bytes mean is timing's matter.
"""

from __future__ import annotations

import os
import select
from typing import Protocol

import serial

from rpmu.errors import HardwareError


class GpsPort(Protocol):
    """Where NMEA comes from and configuration goes to."""

    def read(self) -> bytes:
        """All bytes that have arrived since the last call; empty if none."""
        ...

    def write(self, data: bytes) -> None:
        """Send bytes to the receiver."""
        ...

    def set_baud_rate(self, baud_rate: int) -> None:
        """Change the speed of the line."""
        ...

    def close(self) -> None:
        """Give the port back."""
        ...


class SerialGpsPort:
    """A receiver on a serial device (a UART of the board, a USB adapter, or a pty).

    Args:
        device: path of the device, e.g. /dev/ttyO4.
        baud_rate: line speed; 9600 is the factory setting of nearly every receiver.

    Raises:
        HardwareError: the device does not exist, is in use or may not be opened.
    """

    def __init__(self, device: str, baud_rate: int = 9600) -> None:
        try:
            self._serial = serial.Serial(device, baud_rate, timeout=0, write_timeout=0, exclusive=True)
        except (serial.SerialException, ValueError) as error:
            raise HardwareError(
                f"GPS receiver: cannot open {device} ({error}); check [gps] device, and that nothing else "
                "(gpsd, a console) has it open"
            ) from error
        self._descriptor: int = self._serial.fileno()
        self._ready = select.poll()
        self._ready.register(self._descriptor, select.POLLIN)

    def read(self) -> bytes:
        """All bytes that have arrived since the last call; empty if none.

        Raises:
            HardwareError: the device went away.
        """
        # pyserial's own read would prepare timeouts and look twice: five times the cost.
        if not self._ready.poll(0):
            return b""
        try:
            data = os.read(self._descriptor, 4096)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise HardwareError(f"GPS receiver: {self._serial.port} went away ({error})") from error
        if not data:
            raise HardwareError(f"GPS receiver: {self._serial.port} went away (it is ready to read, but gives nothing)")
        return data

    def write(self, data: bytes) -> None:
        """Send bytes to the receiver; what the line cannot take at once is left to the driver's buffer."""
        try:
            self._serial.write(data)
        except serial.SerialException as error:
            raise HardwareError(f"GPS receiver: cannot write to {self._serial.port} ({error})") from error

    def set_baud_rate(self, baud_rate: int) -> None:
        """Change the speed of the line at once; what has not left yet leaves at the new one.

        Raises:
            HardwareError: the port cannot do it.
        """
        try:
            self._serial.baudrate = baud_rate
        except (serial.SerialException, OSError, ValueError) as error:
            raise HardwareError(f"GPS receiver: {self._serial.port} cannot do {baud_rate} baud ({error})") from error

    def close(self) -> None:
        """Give the port back."""
        self._serial.close()
