"""`PdcClient`: one PMU's stream, kept alive.

    link (sockets) -> Session (what the bytes mean, what to ask) -> queue -> frames(), or a callback

A background task opens the link, opens it again with growing pauses when it is lost or the stream stalls, and asks
again for what was not answered. Frames wait in a bounded queue; when the user is too slow, the oldest go and are
counted.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from types import TracebackType
from typing import Any, Self

from rpmu.c37118 import Command, CommandFrame, ConfigFrame, DataFrame, HeaderFrame
from rpmu.errors import PeerError
from rpmu.pdc.links import Link, LinkError, LinkSettings, open_link
from rpmu.pdc.session import RawConfig, RawData, RawHeader, Session, SessionCounts, SessionEvent, SessionSettings
from rpmu.serve.addresses import TCP_PORT, UDP_PORT
from rpmu.serve.commands import rate_request
from rpmu.serve.settings import Transport

log = logging.getLogger(__name__)

TICK_S = 0.25
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 30.0
QUEUE_FRAMES = 10_000


class NoAnswerError(PeerError):
    """The PMU did not send what it was asked for in time."""


@dataclass
class ClientStatistics(SessionCounts):
    """A snapshot of what a client has seen; see `SessionCounts` for the rest.

    Attributes:
        connected: the link is open now.
        links_opened: times that it was opened.
        links_lost: times that it ended by itself or stalled.
        links_failed: attempts to open it that failed.
        queue_dropped: data frames that the user did not fetch in time.
    """

    connected: bool = False
    links_opened: int = 0
    links_lost: int = 0
    links_failed: int = 0
    queue_dropped: int = 0


class PdcClient:
    """A PDC's connection to one PMU (or to the output stream of another PDC).

    async with PdcClient("192.0.2.7", 4712, idcode=1) as pdc:
        config = await pdc.configuration()
        async for frame in pdc.frames():
            print(frame.time_ns, frame.pmus[0].frequency_hz)

    Args:
        host: the PMU's name or address; for `spontaneous` our own address, or the multicast group.
        port: its TCP or UDP port; for `spontaneous` ours.
        idcode: IDCODE of the stream; frames of another are counted and left out.
        transport: `tcp`, `udp`, `tcp+udp` or `spontaneous`.
        config_type: 2 or 3: which configuration frame to ask for; a PMU without CFG-3 is asked for CFG-2 in the end.
        stall_s: a stream that is silent for so long is started anew.
        data_port: our UDP port for `tcp+udp`.
        local_host: our own address for UDP, where it matters.
        multicast_interface: where to join a multicast group: an IPv4 address, or an interface's name for IPv6.
        tls: context for TLS over TCP.
        server_hostname: name in the server's certificate, if not `host`.
        on_event: called with everything that arrives, in the event loop; then `frames()` has nothing to give.

    Raises:
        InputError: an argument is wrong.
    """

    def __init__(
        self,
        host: str,
        port: int = TCP_PORT,
        idcode: int = 1,
        transport: Transport = "tcp",
        *,
        config_type: int = 2,
        stall_s: float = 10.0,
        data_port: int = UDP_PORT,
        local_host: str | None = None,
        multicast_interface: str | None = None,
        tls: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
        on_event: Callable[[SessionEvent], None] | None = None,
    ) -> None:
        self._link_settings = LinkSettings(
            host, port, transport, data_port, local_host, multicast_interface, tls, server_hostname
        )
        self._session = Session(
            SessionSettings(idcode, commands=transport != "spontaneous", config_type=config_type, stall_s=stall_s)
        )
        self._on_event = on_event if on_event is not None else self._enqueue
        self._queue: deque[RawData] = deque()
        self._arrived = asyncio.Event()
        self._waiting: list[tuple[type, asyncio.Future[Any]]] = []
        self._statistics = ClientStatistics()
        self._link: Link | None = None
        self._lost: asyncio.Event = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.last_failure = ""

    def listen(self, on_event: Callable[[SessionEvent], None]) -> None:
        """Call this with everything that arrives, in the event loop; then `frames()` has nothing to give."""
        self._on_event = on_event

    # --- life -------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to connect; returns at once."""
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(lambda _: self._wake())

    async def stop(self) -> None:
        """Say "data off", close the link and end."""
        if self._link is not None:
            self._send(self._session.ask(Command.DATA_OFF))
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._close_link()
        self._wake()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    # --- what the user asks for -------------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """The link is open now."""
        return self._link is not None

    @property
    def config(self) -> ConfigFrame | None:
        """The newest CFG-2 or CFG-3, None before the first."""
        return self._session.config

    @property
    def statistics(self) -> ClientStatistics:
        """What has been seen so far."""
        own = asdict(self._statistics) | {"connected": self._link is not None}
        return ClientStatistics(**own | asdict(self._session.counts))

    async def configuration(self, timeout_s: float | None = 30.0) -> ConfigFrame:
        """The stream's configuration, as soon as it is there.

        Raises:
            NoAnswerError: it did not come in time; the sentence says what the link did.
        """
        if self._session.config is not None:
            return self._session.config
        event: RawConfig = await self._wait_for(RawConfig, timeout_s, "its configuration")
        return event.config

    async def header(self, timeout_s: float = 5.0) -> HeaderFrame:
        """The header, asked for now.

        Raises:
            NoAnswerError: many PMUs have none.
        """
        self._send(self._session.ask(Command.SEND_HEADER))
        event: RawHeader = await self._wait_for(RawHeader, timeout_s, "its header")
        return event.header

    def send_command(self, command: int, extended: bytes = b"") -> None:
        """Send any command; nothing happens without a link, or in a spontaneous stream."""
        self._send(self._session.ask(command, extended))

    def request_rate(self, rate: int) -> None:
        """Ask an rpmu server for another reporting rate (an extended frame; it may refuse silently)."""
        self.send_command(Command.EXTENDED, rate_request(rate))

    async def raw_frames(self) -> AsyncIterator[RawData]:
        """Data frames as bytes with their configuration, from now on, without end."""
        while True:
            while self._queue:
                yield self._queue.popleft()
            self._raise_if_ended()
            self._arrived.clear()
            await self._arrived.wait()

    async def frames(self) -> AsyncIterator[DataFrame]:
        """Data frames, from now on, without end: through lost connections and changed configurations."""
        async for data in self.raw_frames():
            yield data.decode()

    # --- the background task ----------------------------------------------------------------------------------------

    async def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            frames_before = self._session.counts.data_frames
            reason = await self._one_link()
            if self._session.counts.data_frames > frames_before:
                pause_s = FIRST_PAUSE_S
            self.last_failure = reason
            log.warning("%s; next attempt in %g s", reason, pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _one_link(self) -> str:
        """Open the link and keep it until it ends; returns why it did."""
        try:
            self._link = await open_link(self._link_settings, self._received, self._link_lost)
        except LinkError as error:
            self._statistics.links_failed += 1
            return str(error)
        self._statistics.links_opened += 1
        self._lost.clear()
        self._send(self._session.connected(_now_s()))
        reason = await self._until_lost()
        self._statistics.links_lost += 1
        self._close_link()
        return reason

    async def _until_lost(self) -> str:
        while not self._lost.is_set():
            now_s = _now_s()
            if self._session.stalled(now_s):
                return f"no data frame from {self._link_settings.host} for a while"
            self._handle(*self._session.tick(now_s))
            try:
                async with asyncio.timeout(TICK_S):
                    await self._lost.wait()
            except TimeoutError:
                pass  # time for the next tick
        return self.last_failure

    def _received(self, data: bytes, datagram: bool) -> None:
        self._handle(*self._session.received(data, _now_s(), datagram))

    def _handle(self, events: list[SessionEvent], commands: list[CommandFrame]) -> None:
        self._send(commands)
        for event in events:
            self._on_event(event)
            if self._waiting and not isinstance(event, RawData):
                self._answer(event)

    def _enqueue(self, event: SessionEvent) -> None:
        if not isinstance(event, RawData):
            return
        if len(self._queue) >= QUEUE_FRAMES:
            self._queue.popleft()
            self._statistics.queue_dropped += 1
        self._queue.append(event)
        self._arrived.set()

    def _link_lost(self, reason: str) -> None:
        self.last_failure = reason
        self._lost.set()

    def _send(self, commands: list[CommandFrame]) -> None:
        for command in commands:
            if self._link is not None:
                self._link.send(replace(command, soc=int(time.time())).encode())

    def _close_link(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def raise_if_failed(self) -> None:
        """Raise what has ended the client for good, such as a port of ours that is in use."""
        failure = self._failure()
        if failure is not None:
            raise failure

    # --- waiting ----------------------------------------------------------------------------------------------------

    async def _wait_for(self, kind: type, timeout_s: float | None, what: str) -> Any:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((kind, future))
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            where = f"{self._link_settings.host}:{self._link_settings.port}"
            why = f" ({self.last_failure})" if self.last_failure else ""
            raise NoAnswerError(f"{where} did not send {what} within {timeout_s:g} s{why}") from None
        finally:
            self._waiting = [entry for entry in self._waiting if entry[1] is not future]

    def _answer(self, event: SessionEvent) -> None:
        for kind, future in self._waiting:
            if isinstance(event, kind) and not future.done():
                future.set_result(event)

    def _wake(self) -> None:
        """The task has ended: nobody shall wait for it any more."""
        self._arrived.set()
        for _, future in self._waiting:
            if not future.done():
                failure = self._failure()
                if failure is not None:
                    future.set_exception(failure)
                else:
                    future.cancel()

    def _failure(self) -> BaseException | None:
        if self._task is None or not self._task.done() or self._task.cancelled():
            return None
        return self._task.exception()

    def _raise_if_ended(self) -> None:
        if self._task is None or self._task.done():
            raise self._failure() or asyncio.CancelledError


class BlockingPdcClient:
    """`PdcClient` for programs without asyncio: the same arguments, and the loop runs only inside the calls.

    with BlockingPdcClient("192.0.2.7", idcode=1) as pdc:
        for frame in pdc.frames():
            print(frame.time_ns)
    """

    def __init__(self, host: str, port: int = TCP_PORT, idcode: int = 1, **options: Any) -> None:
        self._runner = asyncio.Runner()
        self._make = partial(PdcClient, host, port, idcode, **options)
        self.client: PdcClient | None = None

    def __enter__(self) -> Self:
        self.client = self._make()
        self._runner.run(self.client.start())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.client is not None:
            self._runner.run(self.client.stop())
        self._runner.close()

    def configuration(self, timeout_s: float = 30.0) -> ConfigFrame:
        """See `PdcClient.configuration`."""
        assert self.client is not None, "use it in a with statement"
        return self._runner.run(self.client.configuration(timeout_s))

    def frames(self) -> Iterator[DataFrame]:
        """See `PdcClient.frames`."""
        assert self.client is not None, "use it in a with statement"
        frames = self.client.frames()

        async def next_frame() -> DataFrame:
            return await anext(frames)

        while True:
            yield self._runner.run(next_frame())


def _now_s() -> float:
    return time.monotonic()
