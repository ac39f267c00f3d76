"""One TCP connection of a PDC.

Commands come in through the codec's stream parser and go to the server; frames are written at once where that is
possible. What is not, the transport keeps, and that is the queue that `QueueRule` bounds. Every frame is written by
itself (TCP_NODELAY), so that old PDCs find one frame per segment as long as they keep up.
"""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING, cast

from rpmu.serve.commands import CommandReader
from rpmu.serve.limits import QueueRule
from rpmu.serve.statistics import Event

if TYPE_CHECKING:
    from rpmu.serve.server import PmuServer

SOCKET_BUFFER_BYTES = 65_536  # the kernel's share of a client's queue; its automatic size would hide minutes of data
KEEPALIVE = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 60_000))


class TcpClient(asyncio.Protocol):
    """Reads commands from one connection and writes frames to it.

    Attributes:
        data_port: UDP port of the client that gets the data; None sends them through this connection.
        host: IP address of the client.
        name: host and port, for the log.
    """

    def __init__(self, server: PmuServer, data_port: int | None = None) -> None:
        self._server = server
        self.data_port = data_port
        self._transport: asyncio.Transport | None = None
        self._queue: QueueRule | None = None
        self._may_queue = False  # the transport keeps something that it could not write yet
        self._descriptor: int | None = None  # of the socket, if what is written to it are the frames as they are
        self._reader: CommandReader | None = None
        self.host = ""
        self.name = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for admission; who is refused is closed at once, without a byte."""
        tcp = cast(asyncio.Transport, transport)
        peer = tcp.get_extra_info("peername")
        if peer is None:  # gone before we could ask who it was
            tcp.abort()
            return
        self.host, self.name = peer[0], f"{peer[0]}:{peer[1]}"
        if not self._server.admit(self):
            tcp.abort()
            return
        sock = tcp.get_extra_info("socket")
        _configure(sock)
        if sock is not None and tcp.get_extra_info("sslcontext") is None:
            self._descriptor = sock.fileno()
        limits = self._server.settings.limits
        now_s = self._server.now_s()
        self._transport = tcp
        self._queue = QueueRule(limits.max_queue_bytes, limits.max_stall_s, now_s)
        self._reader = CommandReader(limits, now_s)
        tcp.set_write_buffer_limits(high=0)  # so that we are told of the first byte that is kept, and of the last

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        del exc  # a reset is as good an end as any
        if self._transport is not None:
            self._transport = None
            self._server.departed(self)

    def data_received(self, data: bytes) -> None:
        """Carry out the commands in what just arrived."""
        if self._transport is not None and self._reader is not None:
            self._server.received(self, self._reader, data)

    def eof_received(self) -> bool:
        """The PDC will say nothing more: close, as every PDC does that ends."""
        return False

    def pause_writing(self) -> None:
        """The transport begins to keep what it cannot write."""
        self._may_queue = True
        if self._queue is not None:
            self._queue.begins(self._server.now_s())

    def resume_writing(self) -> None:
        """The transport has written all that it kept."""
        self._may_queue = False

    def send(self, data: bytes) -> bool:
        """Write one frame; False if the client was (or is now) given up."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        if self._may_queue and self._is_given_up(len(data), self._server.now_s()):
            return False
        if self._descriptor is not None and not self._may_queue:  # nothing is before it, and this costs a quarter
            data = data[_written_at_once(self._descriptor, data) :]
        if data:
            transport.write(data)
        return True

    def check(self, now_s: float) -> None:
        """Between frames: give up a client whose queue has been standing still."""
        self._is_given_up(0, now_s)

    def _is_given_up(self, new_bytes: int, now_s: float) -> bool:
        """Judge the queue before so many bytes are added."""
        if self._transport is None or self._queue is None:
            return True
        cause = self._queue.verdict(self._transport.get_write_buffer_size(), new_bytes, now_s)
        if cause is not None:
            self.drop(cause)
        return cause is not None

    def drop(self, cause: Event) -> None:
        """Reset the connection and count why."""
        transport, self._transport = self._transport, None
        if transport is not None:
            self._server.dropped(self, cause, transport.get_write_buffer_size())
            transport.abort()
            self._server.departed(self)

    def close(self) -> None:
        """End in good order: what is queued is still sent."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End at once."""
        if self._transport is not None:
            self._transport.abort()


def _written_at_once(descriptor: int, data: bytes) -> int:
    """How many bytes the socket took; if none, the transport is to find out what is wrong."""
    try:
        return os.write(descriptor, data)
    except OSError:
        return 0


def _configure(sock: socket.socket | None) -> None:
    """No delay, small buffers, and dead peers noticed within about a minute."""
    if sock is None:
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER_BYTES)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE:
        if hasattr(socket, name):  # not every system knows all of them
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
