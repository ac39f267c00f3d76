"""UDP: commands and data in datagrams, and data to destinations that never asked.

The socket is used directly, not through asyncio's datagram transport: that one queues without bound when the socket's
buffer is full, and does not say which peer an error belongs to. Here a datagram that cannot be sent at once is
dropped and counted, as UDP is. Linux reports on its error queue which peer's host answered "port unreachable"; a
client of whom that is said several times is gone, and is taken off the list.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import struct
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

from rpmu.errors import HardwareError, InputError
from rpmu.serve.settings import SpontaneousTarget

SocketAddress = tuple[Any, ...]  # as the socket module has it: two fields for IPv4, four for IPv6

MAX_DATAGRAM_BYTES = 65_535
DATAGRAMS_PER_WAKEUP = 64  # then the others have their turn
REFUSALS_TO_FORGET = 3
IP_RECVERR, IPV6_RECVERR = 11, 25  # Linux; the socket module has no names for them
MSG_ERRQUEUE = getattr(socket, "MSG_ERRQUEUE", 0)
SEND_BUFFER_BYTES = 1 << 20  # a burst to some hundred destinations


def ignore_datagram(data: bytes, address: SocketAddress) -> None:
    """For a socket that only sends: whoever answers is not heard."""


def ignore_address(address: SocketAddress) -> None:
    """For a socket that does not care who is gone."""


class UdpSocket:
    """A bound UDP socket in the event loop.

    Args:
        sock: bound and ready to use.
        on_datagram: called with (data, address).
        on_gone: called with the address of a peer whose host refuses our datagrams.
    """

    def __init__(
        self,
        sock: socket.socket,
        on_datagram: Callable[[bytes, SocketAddress], None],
        on_gone: Callable[[SocketAddress], None] = ignore_address,
    ) -> None:
        self.sock = sock
        self.refused = 0
        self.blocked = 0
        self._on_datagram = on_datagram
        self._on_gone = on_gone
        self._refusals: Counter[SocketAddress] = Counter()
        sock.setblocking(False)
        if sys.platform == "linux":
            if sock.family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
            else:
                sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        asyncio.get_running_loop().add_reader(sock, self._readable)

    @property
    def address(self) -> SocketAddress:
        """Where it is bound."""
        address: SocketAddress = self.sock.getsockname()
        return address

    def send(self, data: bytes, address: SocketAddress) -> bool:
        """Send one datagram now or not at all."""
        for _ in range(REFUSALS_TO_FORGET):  # an error that is reported here may be another peer's: try again
            try:
                self.sock.sendto(data, address)
            except BlockingIOError:
                self.blocked += 1
                return False
            except OSError:
                self._read_errors()
            else:
                return True
        self.refused += 1
        return False

    def heard_from(self, address: SocketAddress) -> None:
        """A peer has shown that it is there."""
        self._refusals.pop(address, None)

    def close(self) -> None:
        """Leave the event loop and close."""
        if self.sock.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self.sock)
            self.sock.close()

    def _readable(self) -> None:
        for _ in range(DATAGRAMS_PER_WAKEUP):
            try:
                data, address = self.sock.recvfrom(MAX_DATAGRAM_BYTES)
            except BlockingIOError:
                return
            except OSError:
                self._read_errors()
                continue
            self._on_datagram(data, address)
            if self.sock.fileno() < 0:
                return

    def _read_errors(self) -> None:
        """Empty the error queue: each entry names the peer that our datagram could not reach."""
        while MSG_ERRQUEUE:
            try:
                _, _, _, address = self.sock.recvmsg(0, 0, MSG_ERRQUEUE)
            except OSError:
                return
            self.refused += 1
            self._refusals[address] += 1
            if self._refusals[address] >= REFUSALS_TO_FORGET:
                del self._refusals[address]
                self._on_gone(address)


def resolve(host: str, port: int) -> tuple[socket.AddressFamily, SocketAddress]:
    """Family and socket address of a host.

    Raises:
        InputError: there is no such host.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except socket.gaierror as error:
        raise InputError(f"host '{host}' cannot be resolved: {error.strerror}") from None
    return found[0][0], found[0][4]


def bind_udp(host: str, port: int, shared: bool = False) -> socket.socket:
    """A UDP socket bound to an address.

    Args:
        host: address or name.
        port: 0 takes a free one.
        shared: others may bind it too (receivers of multicast on one host).

    Raises:
        HardwareError: the address is in use, or is none of this machine's.
    """
    family, address = resolve(host, port)
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SEND_BUFFER_BYTES)
        sock.bind(address)
    except OSError as error:
        sock.close()
        raise HardwareError(
            f"cannot use UDP {host}:{port}: {error.strerror}; stop the program that has it, or choose another port"
        ) from None
    return sock


def open_target(target: SpontaneousTarget) -> tuple[socket.socket, SocketAddress]:
    """A socket for sending to a destination, and the destination's address.

    Raises:
        InputError: unknown host or interface.
    """
    family, address = resolve(*target.address)
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        if ipaddress.ip_address(address[0].partition("%")[0]).is_multicast:
            _configure_multicast(sock, family, target)
        sock.bind(("", 0))
    except OSError as error:
        sock.close()
        raise InputError(
            f"cannot send to {target.address} by interface {target.multicast_interface}: {error.strerror}"
        ) from None
    return sock, address


def _configure_multicast(sock: socket.socket, family: int, target: SpontaneousTarget) -> None:
    interface = target.multicast_interface
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, target.multicast_ttl)
        if interface is not None:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex(interface))
        return
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, target.multicast_ttl)
    if interface is not None:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(interface))


def join_group(sock: socket.socket, group: str, interface: str | None = None) -> None:
    """Receive what is sent to a multicast group; no effect for an address that is none.

    Args:
        sock: a bound UDP socket of the same family.
        group: the address.
        interface: IPv4 address of the interface, or its name for IPv6; None lets the route decide.

    Raises:
        InputError: the group cannot be joined there.
    """
    address = ipaddress.ip_address(group)
    if not address.is_multicast:
        return
    try:
        if address.version == 6:
            index = socket.if_nametoindex(interface) if interface is not None else 0
            option = address.packed + struct.pack("@I", index)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, option)
        else:
            option = address.packed + socket.inet_aton(interface or "0.0.0.0")
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, option)
    except OSError as error:
        with contextlib.suppress(OSError):
            sock.close()
        raise InputError(f"cannot join the multicast group {group} on {interface}: {error.strerror}") from None
