"""PDCs that send their commands by UDP.

A request is answered to where it came from and leaves nothing behind; only "data on" makes a client, which lasts
until "data off", or until its host says that nobody listens there any more. Answers to strangers are paid from one
allowance of the endpoint, so that forged requests cannot make it a loud speaker.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from rpmu.c37118 import Framer, ProtocolError
from rpmu.serve.limits import TokenBucket
from rpmu.serve.statistics import Event
from rpmu.serve.udp import SocketAddress, UdpSocket

if TYPE_CHECKING:
    from rpmu.serve.server import PmuServer


class UdpPath:
    """Sends frames to one address, one per datagram."""

    def __init__(self, sock: UdpSocket, address: SocketAddress) -> None:
        self._socket = sock
        self._address = address

    def send(self, data: bytes) -> bool:
        """Send now or not at all."""
        return self._socket.send(data, self._address)


class UdpClient(UdpPath):
    """A PDC that has asked for data by UDP."""

    def __init__(self, endpoint: UdpEndpoint, server: PmuServer, address: SocketAddress) -> None:
        super().__init__(endpoint.socket, address)
        self._endpoint = endpoint
        self._server = server
        self.host = str(address[0])
        self.name = f"{address[0]}:{address[1]}/udp"

    def check(self, now_s: float) -> None:
        """Nothing to look after: there is no queue and no unfinished frame."""

    def drop(self, cause: Event) -> None:
        """Count why, and forget the client."""
        self._server.dropped(self, cause, 0)
        self.close()

    def close(self) -> None:
        """Forget the client."""
        self._endpoint.forget(self._address)
        self._server.departed(self)

    abort = close


class UdpEndpoint:
    """One bound socket and the clients behind it."""

    def __init__(self, server: PmuServer, bound: socket.socket) -> None:
        self._server = server
        self._clients: dict[SocketAddress, UdpClient] = {}
        limits = server.settings.limits
        self._max_bytes = limits.max_command_bytes
        self._allowance = TokenBucket(limits.command_burst, limits.commands_per_s, server.now_s())
        self.socket = UdpSocket(bound, self._datagram, self._unreachable)

    @property
    def clients(self) -> list[UdpClient]:
        """Who gets data here."""
        return list(self._clients.values())

    def forget(self, address: SocketAddress) -> None:
        """This address is no client any more."""
        self._clients.pop(address, None)

    def _datagram(self, data: bytes, address: SocketAddress) -> None:
        if not self._server.settings.access.allows(address[0]):
            self._server.count("refused_access")
            return
        self.socket.heard_from(address)
        for frame in Framer(self._max_bytes).feed_datagram(data):
            if isinstance(frame, ProtocolError):
                self._server.count("frames_bad")
            else:
                self._obey(frame, address)

    def _obey(self, frame: bytes, address: SocketAddress) -> None:
        order = self._server.read_order(frame, self._allowance, self._server.now_s())
        if order.data is not None:
            self._switch_data(address, order.data)
        for answer in order.answer:
            self.socket.send(answer, address)
        self._server.choose_rate(order)

    def _switch_data(self, address: SocketAddress, on: bool) -> None:
        client = self._clients.get(address)
        if not on and client is not None:
            client.close()
        elif on and client is None:
            client = UdpClient(self, self._server, address)
            if self._server.admit(client):
                self._clients[address] = client
                self._server.stream_to(client, client)

    def _unreachable(self, address: SocketAddress) -> None:
        client = self._clients.get(address)
        if client is not None:
            client.drop("dropped_unreachable")
