"""The sockets that a server listens on, and their change while it runs.

A socket whose endpoint stays is left alone, with its clients. One that goes is closed before a new one is opened,
since both may want the same port; if a new one cannot be opened, the old ones are opened again. The TLS files are read
again at every change: who comes after it meets the renewed certificate, on the same socket.
"""

from __future__ import annotations

import asyncio
import errno
import os
import ssl
from collections import defaultdict
from typing import TYPE_CHECKING
from weakref import WeakSet

from rpmu.errors import HardwareError, InputError
from rpmu.serve.addresses import Address
from rpmu.serve.settings import Endpoint, TlsSettings
from rpmu.serve.tcp import TcpClient
from rpmu.serve.udp import SocketAddress, UdpSocket, bind_udp
from rpmu.serve.udp_endpoint import UdpEndpoint

if TYPE_CHECKING:
    from rpmu.serve.server import PmuServer

BACKLOG = 512  # connections that wait to be accepted: a substation's PDCs all come back at the same time
Place = tuple[Endpoint, TlsSettings | None]


class Listeners:
    """What is open.

    Args:
        server: gets the clients.
    """

    def __init__(self, server: PmuServer) -> None:
        self._server = server
        self._tcp: dict[Place, asyncio.Server] = {}
        self._udp: dict[Place, UdpEndpoint] = {}
        self._tls: ssl.SSLContext | None = None  # of the next handshake
        self._came_in: defaultdict[Place, WeakSet[TcpClient]] = defaultdict(WeakSet)

    async def listen(self, endpoints: tuple[Endpoint, ...], tls: TlsSettings | None) -> None:
        """Listen at these endpoints and at no other; clients of one that goes are closed.

        Raises:
            HardwareError: an address is in use or not this machine's; what was open before is open again.
            InputError: a TLS file is wrong; likewise.
        """
        wanted = [(endpoint, None if endpoint.transport == "udp" else tls) for endpoint in endpoints]
        before = [*self._tcp, *self._udp]
        new = [place for place in wanted if place not in before]
        present = self._tls
        if tls is not None:
            self._tls = tls.server_context()  # a wrong file is found while everything is still open
        gone = [place for place in before if place not in wanted]
        clients = [client for place in gone for client in self._close(place)]
        try:
            for place in new:
                await self._open(place)
        except (HardwareError, InputError):
            self._tls = present
            for place in new:
                self._close(place)
            for place in gone:
                await self._open(place)
            raise
        for client in clients:
            client.close()

    def close(self) -> None:
        """Listen no more; the clients stay."""
        for place in (*self._tcp, *self._udp):
            self._close(place)

    @property
    def addresses(self) -> tuple[SocketAddress, ...]:
        """Where it listens, TCP first."""
        tcp = [sock.getsockname() for server in self._tcp.values() for sock in server.sockets]
        return (*tcp, *(endpoint.socket.address for endpoint in self._udp.values()))

    @property
    def udp_sockets(self) -> list[UdpSocket]:
        """Those of the UDP endpoints."""
        return [endpoint.socket for endpoint in self._udp.values()]

    async def _open(self, place: Place) -> None:
        endpoint, tls = place
        host, port = endpoint.address
        if endpoint.transport == "udp":
            self._udp[place] = UdpEndpoint(self._server, bind_udp(host, port))
            return
        data_port = endpoint.data_port if endpoint.transport == "tcp+udp" else None
        context = None if tls is None else self._door(tls)
        loop = asyncio.get_running_loop()
        try:
            self._tcp[place] = await loop.create_server(
                lambda: self._newcomer(place, data_port), host, port, ssl=context, backlog=BACKLOG, reuse_address=True
            )
        except OSError as error:
            raise _cannot_listen(endpoint.address, error) from None

    def _door(self, tls: TlsSettings) -> ssl.SSLContext:
        """A socket's own context, which hands every handshake to the newest one; nobody comes back by a ticket."""
        context = tls.server_context()
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0

        def hand_over(connection: ssl.SSLObject, _name: str | None, _door: ssl.SSLContext) -> None:
            if self._tls is not None:
                connection.context = self._tls

        context.sni_callback = hand_over
        return context

    def _newcomer(self, place: Place, data_port: int | None) -> TcpClient:
        client = TcpClient(self._server, data_port)
        self._came_in[place].add(client)
        return client

    def _close(self, place: Place) -> list[TcpClient]:
        """Close one; returns the clients that came in by TCP, which stay connected."""
        if (server := self._tcp.pop(place, None)) is not None:
            server.close()
        if (endpoint := self._udp.pop(place, None)) is not None:
            for client in endpoint.clients:
                client.close()
            self._server.retire(endpoint.socket)
        return list(self._came_in.pop(place, ()))


def _cannot_listen(address: Address, error: OSError) -> HardwareError:
    reason = "another program listens there" if error.errno == errno.EADDRINUSE else os.strerror(error.errno or 0)
    return HardwareError(
        f"cannot listen on {address}: {reason}; stop that program, or choose another address (--listen HOST:PORT)"
    )
