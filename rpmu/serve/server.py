"""The PMU server: takes data frames, gives them to every PDC that asked for data.

    publish(frame) -> encode once -> Stream (announce changes, version) -> send() of every streaming client

Nothing here waits for a client: a frame is written, queued by the transport within a bound, or the client is dropped
and counted (`TcpClient`, `QueueRule`). Commands come back the other way:

    data_received -> CommandReader (CRC, resynchronisation) -> received -> _obey -> Stream.answer

Only its own IDCODE is answered and unknown codes are ignored (IEEE C37.118.2-2011, 6.6). Time is that of the data;
the event loop's monotonic clock serves the limits alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rpmu.c37118 import ConfigFrame, DataFrame, ProtocolError
from rpmu.serve.answers import Answers
from rpmu.serve.clients import Client, Sender
from rpmu.serve.commands import CommandReader, Order, read_order
from rpmu.serve.limits import Admission, HalfOpenFrames, TokenBucket
from rpmu.serve.listeners import Listeners
from rpmu.serve.settings import ServerSettings
from rpmu.serve.spontaneous import SpontaneousSender
from rpmu.serve.statistics import Event, ServerStatistics, Tally
from rpmu.serve.stream import ScheduledChange, Stream
from rpmu.serve.tcp import TcpClient
from rpmu.serve.udp import SocketAddress, UdpSocket, bind_udp, ignore_datagram
from rpmu.serve.udp_endpoint import UdpPath

log = logging.getLogger(__name__)

SWEEP_INTERVAL_S = 0.5
CLOSE_TIMEOUT_S = 2.0
RateHandler = Callable[[int], None]


class PmuServer:
    """Serves one stream to any number of PDCs.

    Args:
        configuration: the stream; CFG-1, CFG-2 and CFG-3 are made from it. `Answers` for a stream that is passed on
            without being understood (the splitter).
        header: text of the header frame.
        settings: where to listen, whom to serve, limits.
        rate_handler: called with a reporting rate that a PDC has chosen and the settings allow; it is expected to
            call `reconfigure`.
        news: what the header says besides its text, asked for anew whenever a client asks for the header.
    """

    def __init__(
        self,
        configuration: ConfigFrame | Answers,
        header: str = "",
        settings: ServerSettings | None = None,
        *,
        rate_handler: RateHandler | None = None,
        news: Callable[[], str] | None = None,
    ) -> None:
        self.settings = settings if settings is not None else ServerSettings()
        self._stream = Stream(configuration, header, self.settings.sync_version, self.settings.notice_s, news)
        self._rate_handler = rate_handler
        self._tally: Tally = Tally()
        self._frames_published = self._frames_sent = 0  # not in the tally: adding to that costs five times as much
        self._admission = Admission(self.settings.access, self.settings.limits)
        self._half_open: HalfOpenFrames[Client] = HalfOpenFrames(
            self.settings.limits.max_half_open_frames, self.settings.limits.max_half_open_s
        )
        self._clients: set[Client] = set()
        self._streaming: dict[Client, Sender] = {}  # who asked for data, and by what it gets them
        self._listeners = Listeners(self)
        self._data_sockets: dict[str, UdpSocket] = {}  # of tcp+udp, one per address family
        self._spontaneous: list[SpontaneousSender] = []
        self._sweeper: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    # --- life -------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            HardwareError: an address is in use or not this machine's.
            InputError: a TLS file or a destination is wrong.
        """
        self._loop = asyncio.get_running_loop()
        try:
            await self._listeners.listen(self.settings.endpoints, self.settings.tls)
            self._spontaneous = self._senders(self.settings)
        except BaseException:
            await self.stop()
            raise
        self._sweep()

    async def stop(self) -> None:
        """Stop listening, end every connection, close every socket. What is queued for a client is still sent."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        self._listeners.close()
        for client in tuple(self._clients):
            client.close()
        await self._until_clients_are_gone()
        for sock in self._sockets():
            self.retire(sock)
        self._data_sockets, self._spontaneous = {}, []

    async def adopt(self, settings: ServerSettings, header: str) -> None:
        """Go on with other settings; clients that they still allow stay connected.

        Args:
            settings: the new ones; limits of queues and commands hold for clients that come from now on.
            header: text of the header frame, from the next configuration on.

        Raises:
            HardwareError: a new address is in use or not this machine's; nothing has changed.
            InputError: a TLS file or a destination is wrong; likewise.
        """
        renewed = None if settings.spontaneous == self.settings.spontaneous else self._senders(settings)
        try:
            await self._listeners.listen(settings.endpoints, settings.tls)
        except BaseException:
            for sender in renewed or ():
                sender.close()
            raise
        if renewed is not None:
            for sender in self._spontaneous:
                self.retire(sender.socket)
            self._spontaneous = renewed
        self.settings = settings
        self._admission.adopt(settings.access, settings.limits)
        self._half_open.adopt(settings.limits.max_half_open_frames, settings.limits.max_half_open_s)
        self._stream.adopt(header, settings.sync_version, settings.notice_s)
        for client in [client for client in self._clients if not settings.access.allows(client.host)]:
            client.drop("dropped_access")

    def _senders(self, settings: ServerSettings) -> list[SpontaneousSender]:
        return [SpontaneousSender(target, self._stream) for target in settings.spontaneous]

    def _sockets(self) -> list[UdpSocket]:
        senders = [sender.socket for sender in self._spontaneous]
        return [*self._listeners.udp_sockets, *self._data_sockets.values(), *senders]

    def retire(self, sock: UdpSocket) -> None:
        """Close a UDP socket, and keep what it counted."""
        self._tally["datagrams_refused"] += sock.refused
        self._tally["datagrams_blocked"] += sock.blocked
        sock.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _until_clients_are_gone(self) -> None:
        for _ in range(round(CLOSE_TIMEOUT_S / 0.01)):
            if not self._clients:
                return
            await asyncio.sleep(0.01)
        for client in tuple(self._clients):
            client.abort()
        await asyncio.sleep(0)  # connection_lost is called from the loop

    @property
    def addresses(self) -> tuple[SocketAddress, ...]:
        """Where the server listens, TCP first: what to connect to when the settings said port 0."""
        return self._listeners.addresses

    # --- data -------------------------------------------------------------------------------------------------------

    def publish(self, frame: DataFrame | bytes) -> None:
        """Give one data frame to every client that wants data; returns at once.

        Args:
            frame: encoded here, once, if it is not bytes already.

        Raises:
            InputError: the frame does not fit its configuration.
        """
        data = self._stream.outgoing(frame if isinstance(frame, bytes) else frame.encode())
        self._frames_published += 1
        for sender in tuple(self._streaming.values()):  # a copy: a client that is dropped leaves the table
            if sender.send(data):
                self._frames_sent += 1
            else:
                self._tally["frames_failed"] += 1
        for target in self._spontaneous:
            target.send(data)

    def reconfigure(
        self, configuration: ConfigFrame, *, planned: bool = True, lead_s: int = 0, now_soc: int | None = None
    ) -> ScheduledChange:
        """Change what the stream consists of.

        Args:
            configuration: the new stream; CFGCNT of the PMUs that change is counted up here.
            planned: announce it by STAT bit 10 for `notice_s` seconds of data time, and only then let it hold: data
                frames have to be of the new kind from `effective_soc` on. False: it holds from the next frame on,
                and the bit is set for `notice_s` seconds after.
            lead_s: whole seconds until the source can deliver the new kind, however short the notice is.
            now_soc: second of now, where the last frame may be much older.

        Returns:
            The configuration with its CFGCNT, and when it begins to hold.

        Raises:
            InputError: it does not fit the frames; the old one stays.
        """
        return self._stream.change(configuration, planned, lead_s, now_soc)

    def replace_answers(self, answers: Answers) -> None:
        """For a stream that is passed on: other frames for those who ask."""
        self._stream.replace_answers(answers)

    @property
    def configuration(self) -> ConfigFrame | None:
        """What holds now; None for a stream that is passed on without being understood."""
        return self._stream.configuration

    @property
    def last_soc(self) -> int | None:
        """SOC of the last data frame; None before the first."""
        return self._stream.last_soc

    @property
    def statistics(self) -> ServerStatistics:
        """A snapshot of the counters."""
        tally = Tally(self._tally)
        tally["frames_published"], tally["frames_sent"] = self._frames_published, self._frames_sent
        tally["configuration_changes"] = self._stream.changes
        for sock in self._sockets():
            tally["datagrams_refused"] += sock.refused
            tally["datagrams_blocked"] += sock.blocked
        return ServerStatistics.of(tally, len(self._clients), len(self._streaming))

    # --- clients ----------------------------------------------------------------------------------------------------

    def now_s(self) -> float:
        """The monotonic clock of the limits."""
        assert self._loop is not None, "PmuServer.start() comes first"
        return self._loop.time()

    def count(self, event: Event, number: int = 1) -> None:
        """Count something that happened."""
        self._tally[event] += number

    def admit(self, client: Client) -> bool:
        """Take a newcomer in if it may, and if there is room."""
        refusal = self._admission.enter(client.host)
        if refusal is not None:
            self._tally[refusal] += 1
            log.warning("%s refused: %s", client.name, refusal)
            return False
        self._tally["connections_accepted"] += 1
        self._clients.add(client)
        log.info("%s connected", client.name)
        return True

    def departed(self, client: Client) -> None:
        """Forget a client that is gone."""
        if client not in self._clients:
            return
        self._clients.discard(client)
        self._streaming.pop(client, None)
        self._admission.leave(client.host)
        self._half_open.forget(client)
        self._tally["connections_closed"] += 1
        log.info("%s gone", client.name)

    def dropped(self, client: Client, cause: Event, queued_bytes: int) -> None:
        """Count a client that is given up."""
        self._tally[cause] += 1
        self._tally["bytes_discarded"] += queued_bytes
        log.warning("%s given up: %s, with %d bytes not sent", client.name, cause, queued_bytes)

    def _sweep(self) -> None:
        """Twice a second: the limits of time that no frame and no command brings up."""
        now_s = self.now_s()
        self._drop_half_open(now_s)
        for client in tuple(self._clients):
            client.check(now_s)
        assert self._loop is not None
        self._sweeper = self._loop.call_later(SWEEP_INTERVAL_S, self._sweep)

    def _drop_half_open(self, now_s: float) -> None:
        for overdue in self._half_open.overdue(now_s):
            overdue.drop("dropped_half_open")

    # --- commands ---------------------------------------------------------------------------------------------------

    def received(self, client: TcpClient, reader: CommandReader, data: bytes) -> None:
        """Bytes from a TCP client: obey the commands among them, keep its account of junk and unfinished frames."""
        now_s = self.now_s()
        good = False
        for frame in reader.feed(data):
            if isinstance(frame, ProtocolError):
                self._tally["frames_bad"] += 1
                continue
            good = True
            self._obey(client, self.read_order(frame, reader.allowance, now_s))
            if client not in self._clients:
                return
        self._half_open.note(client, reader.pending, good, now_s)
        if reader.junk_bytes > self.settings.limits.max_junk_bytes:
            client.drop("dropped_junk")
        self._drop_half_open(now_s)

    def read_order(self, frame: bytes, allowance: TokenBucket, now_s: float) -> Order:
        """What a frame with a right CRC asks for; counted here."""
        rates = self.settings.selectable_rates if self._rate_handler is not None else ()
        order = read_order(frame, self._stream, allowance, now_s, rates)
        self._tally[order.event] += 1
        return order

    def _obey(self, client: TcpClient, order: Order) -> None:
        if order.data is not None:
            self.stream_to(client, self._data_path(client) if order.data else None)
        for frame in order.answer:
            client.send(frame)
        self.choose_rate(order)

    def stream_to(self, client: Client, sender: Sender | None) -> None:
        """From now on give data to a client by `sender`, or by None no more."""
        if sender is None:
            self._streaming.pop(client, None)
        else:
            self._streaming[client] = sender

    def choose_rate(self, order: Order) -> None:
        """Hand on a reporting rate that a PDC has chosen."""
        if order.rate is not None and self._rate_handler is not None:
            self._rate_handler(order.rate)

    def _data_path(self, client: TcpClient) -> Sender:
        """By what a client gets its data: itself, or a UDP port beside it."""
        if client.data_port is None:
            return client
        any_host = "::" if ":" in client.host else "0.0.0.0"
        if any_host not in self._data_sockets:
            self._data_sockets[any_host] = UdpSocket(bind_udp(any_host, 0), ignore_datagram)
        return UdpPath(self._data_sockets[any_host], (client.host, client.data_port))
