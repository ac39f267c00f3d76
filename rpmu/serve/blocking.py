"""`PmuServer` for programs without asyncio: the loop runs in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from rpmu.c37118 import ConfigFrame, DataFrame
from rpmu.serve.addresses import parse_address
from rpmu.serve.grid import Grid
from rpmu.serve.pacing import NS_PER_S, Pacer
from rpmu.serve.server import PmuServer
from rpmu.serve.settings import Endpoint, ServerSettings
from rpmu.serve.statistics import ServerStatistics
from rpmu.serve.udp import SocketAddress


class BlockingPmuServer:
    """A PMU in a few lines.

    with BlockingPmuServer(config, "Hi!", "127.0.0.1:4712") as pmu:
        for second, index in pmu.instants():
            pmu.publish(DataFrame.at(config, second, index, [PmuData((120 + 0j,), 60.0, 0.0)]))

    Args:
        configuration: the stream.
        header: text of the header frame.
        listen: where to serve by TCP; `settings` instead says everything.
        settings: where to listen, whom to serve, limits.
    """

    def __init__(
        self,
        configuration: ConfigFrame,
        header: str = "",
        listen: str = "127.0.0.1:4712",
        settings: ServerSettings | None = None,
    ) -> None:
        self._rate = configuration.data_rate
        self._server = PmuServer(
            configuration, header, settings or ServerSettings(endpoints=(Endpoint("tcp", parse_address(listen)),))
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        """Begin to listen.

        Raises:
            HardwareError: the address is in use.
        """
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._server.start(), self._loop).result()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._server.stop(), self._loop).result()
        self._end()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def publish(self, frame: DataFrame | bytes) -> None:
        """Give one data frame to every client that wants data; returns at once."""
        data = frame if isinstance(frame, bytes) else frame.encode()  # here, where a mistake has its traceback
        self._loop.call_soon_threadsafe(self._server.publish, data)

    def instants(self) -> Iterator[tuple[int, int]]:
        """(second, index) of every report instant from now on, each as soon as its time of UTC has come."""
        grid = Grid(self._rate)
        pacer = Pacer(grid, time.time_ns())
        while True:
            while (wait_ns := pacer.wait_ns(time.time_ns())) > 0:
                time.sleep(wait_ns / NS_PER_S)
            yield grid.instant(pacer.advance())

    @property
    def addresses(self) -> tuple[SocketAddress, ...]:
        """Where it listens."""
        return self._server.addresses

    @property
    def statistics(self) -> ServerStatistics:
        """A snapshot of the server's counters."""
        return self._server.statistics
