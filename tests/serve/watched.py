"""A server under attack, a healthy client beside it, and a look at what is left over afterwards."""

import asyncio
import contextlib
import gc
import tracemalloc
from pathlib import Path

from rpmu.c37118 import DataFrame, ProtocolError
from tests.serve.rig import RATE, Pdc, Producer, listening, make_config, number_of, running, until

MEMORY_MARGIN_BYTES = 512 * 1024


class Healthy:
    """A PDC that reads all the time and keeps only counters: the number of the last frame, and the gaps."""

    def __init__(self, pdc):
        self.pdc = pdc
        self.first = self.last = None
        self.received = 0
        self.gaps = []
        self.errors = 0
        self.task = asyncio.create_task(self._read())

    async def _read(self):
        while data := await self.pdc.reader.read(65536):
            for event in self.pdc.decoder.feed(data):
                self.errors += isinstance(event, ProtocolError)
                if isinstance(event, DataFrame):
                    self._take(number_of(event))

    def _take(self, number):
        if self.last is not None and number != self.last + 1:
            self.gaps.append((self.last, number))
        self.first = number if self.first is None else self.first
        self.last = number
        self.received += 1

    async def stop(self):
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task
        await self.pdc.close()


class Attack:
    """What a test gets: the server, and connections to it that are cleaned up."""

    def __init__(self, server, producer, healthy):
        self.server, self.producer, self.healthy = server, producer, healthy

    @property
    def statistics(self):
        return self.server.statistics

    @property
    def address(self):
        return self.server.addresses[0][:2]

    async def connect(self):
        return await Pdc.connect(self.server)

    async def go_on(self, frames=RATE):
        """Let the healthy client get some more frames."""
        goal = self.producer.number + frames
        await until(lambda: self.healthy.last is not None and self.healthy.last >= goal)


@contextlib.asynccontextmanager
async def under_attack(**settings):
    """Serve, watch, let the test attack; then everything must be as before."""
    config = make_config()
    async with running(config, listening(**settings)) as server, Producer(server, config) as producer:
        healthy = Healthy(await (await Pdc.connect(server)).start())
        attack = Attack(server, producer, healthy)
        await attack.go_on()
        before = _resources()
        tracemalloc.start()
        memory = tracemalloc.get_traced_memory()[0]
        try:
            yield attack
            await attack.go_on()
            assert healthy.gaps == []
            assert healthy.errors == 0
            assert healthy.received == healthy.last - healthy.first + 1
            await until(lambda: server.statistics.clients == 1)
            await until(lambda: _resources() == before)
            gc.collect()
            assert tracemalloc.get_traced_memory()[0] - memory < MEMORY_MARGIN_BYTES
        finally:
            tracemalloc.stop()
            await healthy.stop()


def _resources():
    """Open descriptors and tasks."""
    return len(list(Path("/proc/self/fd").iterdir())), len(asyncio.all_tasks())
