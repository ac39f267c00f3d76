"""How the bytes of a PMU come and how commands go: the four transports of C37.118.2.

    tcp          both through one connection
    udp          both in datagrams, from and to one address
    tcp+udp      commands through a connection, data in datagrams to a port of ours
    spontaneous  datagrams to a port or a multicast group of ours, no commands

A link is open or it is not; making it anew is the client's business.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

from rpmu.errors import InputError, RpmuError
from rpmu.serve.addresses import UDP_PORT, parse_ip
from rpmu.serve.settings import TRANSPORTS, Transport
from rpmu.serve.udp import SocketAddress, UdpSocket, bind_udp, join_group, resolve

CONNECT_TIMEOUT_S = 10.0
OnData = Callable[[bytes, bool], None]  # bytes, and whether they are a datagram
OnLost = Callable[[str], None]


class LinkError(RpmuError):
    """The link could not be opened now; trying again later may help."""


@dataclass(frozen=True)
class LinkSettings:
    """Where a PMU is and how it is spoken to.

    Attributes:
        host: the PMU's; for `spontaneous`, our own address or a multicast group.
        port: the PMU's TCP or UDP port; for `spontaneous`, ours.
        transport: one of the four.
        data_port: for `tcp+udp`, our UDP port.
        local_host: our address for `tcp+udp`; None takes any.
        multicast_interface: where a group is joined: IPv4 address, or name for IPv6; None lets the route decide.
        tls: context for TLS over TCP; None for none.
        server_hostname: name that the server's certificate must have, if not `host`.
    """

    host: str
    port: int
    transport: Transport = "tcp"
    data_port: int = UDP_PORT
    local_host: str | None = None
    multicast_interface: str | None = None
    tls: ssl.SSLContext | None = None
    server_hostname: str | None = None

    def __post_init__(self) -> None:
        if self.transport not in TRANSPORTS:
            raise InputError(f"transport is '{self.transport}', but must be one of {', '.join(TRANSPORTS)}")
        if self.tls is not None and self.transport not in ("tcp", "tcp+udp"):
            raise InputError(f"TLS is for TCP, but the transport is '{self.transport}'; use tcp or tcp+udp")


class Link(Protocol):
    """An open link."""

    def send(self, data: bytes) -> None:
        """Send one command."""

    def close(self) -> None:
        """Close at once."""


async def open_link(settings: LinkSettings, on_data: OnData, on_lost: OnLost) -> Link:
    """Open a link.

    Args:
        settings: where and how.
        on_data: gets what arrives.
        on_lost: is told once, with the reason, when an open link ends by itself.

    Raises:
        LinkError: nobody answers there now.
        HardwareError: our own port is in use.
        InputError: the host or the group is unknown.
    """
    if settings.transport == "tcp":
        return await _open_tcp(settings, on_data, on_lost)
    if settings.transport == "udp":
        return _UdpLink(settings, on_data)
    if settings.transport == "spontaneous":
        return _SpontaneousLink(settings, on_data)
    return await _open_tcp_udp(settings, on_data, on_lost)


class _TcpLink(asyncio.Protocol):
    def __init__(self, on_data: OnData, on_lost: OnLost) -> None:
        self._on_data = on_data
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self.peer_host = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.peer_host = (transport.get_extra_info("peername") or ("",))[0]

    def data_received(self, data: bytes) -> None:
        if self._transport is not None:
            self._on_data(data, False)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._transport = None
            self._on_lost("the PMU closed the connection" if exc is None else str(exc))

    def send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()


async def _open_tcp(settings: LinkSettings, on_data: OnData, on_lost: OnLost) -> _TcpLink:
    loop = asyncio.get_running_loop()
    where = f"{settings.host}:{settings.port}"
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, link = await loop.create_connection(
                lambda: _TcpLink(on_data, on_lost),
                settings.host,
                settings.port,
                ssl=settings.tls,
                server_hostname=settings.server_hostname,
            )
    except TimeoutError:
        raise LinkError(f"{where} did not answer within {CONNECT_TIMEOUT_S:g} s") from None
    except OSError as error:  # ssl.SSLError is one
        raise LinkError(f"cannot connect to {where}: {_reason(error)}") from None
    return link


def _reason(error: OSError) -> str:
    """The text of asyncio repeats the address; TLS errors and failed look-ups have no errno of the system."""
    if isinstance(error, ssl.SSLError | socket.gaierror) or not error.errno:
        return str(error)
    return os.strerror(error.errno)


class _UdpLink:
    """Commands to the PMU's address; what comes from its host is taken (it may answer from another port)."""

    def __init__(self, settings: LinkSettings, on_data: OnData) -> None:
        family, self._peer = resolve(settings.host, settings.port)
        self._host = parse_ip(self._peer[0])
        self._on_data = on_data
        any_host = "::" if ":" in self._peer[0] else "0.0.0.0"
        del family
        self._socket = UdpSocket(bind_udp(settings.local_host or any_host, 0), self._received)

    def _received(self, data: bytes, address: SocketAddress) -> None:
        if parse_ip(address[0]) == self._host:
            self._on_data(data, True)

    def send(self, data: bytes) -> None:
        self._socket.send(data, self._peer)

    def close(self) -> None:
        self._socket.close()


class _SpontaneousLink:
    """Listens; has nobody to send commands to."""

    def __init__(self, settings: LinkSettings, on_data: OnData) -> None:
        sock = bind_udp(settings.host, settings.port, shared=True)
        join_group(sock, sock.getsockname()[0].partition("%")[0], settings.multicast_interface)
        self._socket = UdpSocket(sock, lambda data, _: on_data(data, True))

    def send(self, data: bytes) -> None:
        del data

    def close(self) -> None:
        self._socket.close()


class _TcpUdpLink:
    """Commands by TCP; data from the same host by UDP."""

    def __init__(self, tcp: _TcpLink, settings: LinkSettings, on_data: OnData) -> None:
        self._tcp = tcp
        self._host = parse_ip(tcp.peer_host)
        self._on_data = on_data
        any_host = "::" if ":" in tcp.peer_host else "0.0.0.0"
        self._socket = UdpSocket(bind_udp(settings.local_host or any_host, settings.data_port), self._received)

    def _received(self, data: bytes, address: SocketAddress) -> None:
        if parse_ip(address[0]) == self._host:
            self._on_data(data, True)

    def send(self, data: bytes) -> None:
        self._tcp.send(data)

    def close(self) -> None:
        self._tcp.close()
        self._socket.close()


async def _open_tcp_udp(settings: LinkSettings, on_data: OnData, on_lost: OnLost) -> _TcpUdpLink:
    tcp = await _open_tcp(settings, on_data, on_lost)
    try:
        return _TcpUdpLink(tcp, settings, on_data)
    except BaseException:
        tcp.close()
        raise
