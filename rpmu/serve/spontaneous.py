"""Spontaneous UDP: data to a fixed destination, unicast or multicast, and the configuration at regular intervals.

The receiver cannot ask, so CFG-2 goes out before the first data frame, whenever it changes, and once per interval of
the data's own time.
"""

from __future__ import annotations

from rpmu.c37118 import Command
from rpmu.serve.settings import SpontaneousTarget
from rpmu.serve.stream import Stream, soc_of
from rpmu.serve.udp import UdpSocket, ignore_datagram, open_target


class SpontaneousSender:
    """Sends one stream to one destination.

    Raises:
        InputError: the destination is unknown.
    """

    def __init__(self, target: SpontaneousTarget, stream: Stream) -> None:
        sock, self._address = open_target(target)
        self.socket = UdpSocket(sock, ignore_datagram)
        self._interval_s = target.configuration_interval_s
        self._stream = stream
        self._sent_for: tuple[int, int] | None = None  # interval number and number of the configuration

    def send(self, data: bytes) -> bool:
        """One data frame that has been through the stream, with the configuration before it when that is due."""
        due = (soc_of(data) // self._interval_s, self._stream.changes)
        if due != self._sent_for:
            self._sent_for = due
            for frame in self._stream.answer(Command.SEND_CONFIG_2) or ():
                self.socket.send(frame, self._address)
        return self.socket.send(data, self._address)

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()
