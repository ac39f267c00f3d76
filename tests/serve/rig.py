"""A server with a producer behind it, and a plain PDC that judges what it gets by the frame counters alone."""

import asyncio
import contextlib
from dataclasses import dataclass, field

from rpmu.c37118 import (
    CommandFrame,
    ConfigFrame,
    ConfigFrame2,
    DataFrame,
    Decoder,
    PhasorChannel,
    PmuConfig,
    PmuData,
    ProtocolError,
)
from rpmu.serve import Address, Endpoint, PmuServer, ServerSettings

IDCODE = 7
RATE = 50
FIRST_SOC = 1_700_000_000
TIMEOUT_S = 30  # of anything that should be there at once: the machine may be busy


def make_config(rate=RATE, phasors=1, **changes):
    pmu = PmuConfig("HOME", IDCODE, phasors=tuple(PhasorChannel(f"V{n}") for n in range(phasors)), **changes)
    return ConfigFrame2(idcode=IDCODE, pmus=(pmu,), data_rate=rate, soc=FIRST_SOC)


def make_frame(config, number):
    """Data frame `number` since FIRST_SOC; its phasors carry the number."""
    second, index = divmod(number, config.data_rate)
    pmus = [
        PmuData(
            (complex(number, 0),) * len(pmu.phasors), 50.0, 0.0, (0.0,) * len(pmu.analogs), (0,) * len(pmu.digitals)
        )
        for pmu in config.pmus
    ]
    return DataFrame.at(config, FIRST_SOC + second, index, pmus)


def number_of(frame):
    """Inverse of `make_frame`, from the time stamp."""
    second, index = frame.stamp.grid_index(frame.config.data_rate, frame.config.time_base)
    return (second - FIRST_SOC) * frame.config.data_rate + index


def listening(*transports, host="127.0.0.1", **settings):
    endpoints = tuple(Endpoint(transport, Address(host, 0)) for transport in transports or ("tcp",))
    return ServerSettings(endpoints=endpoints, **settings)


@contextlib.asynccontextmanager
async def running(config=None, settings=None, header="test PMU", **options):
    server = PmuServer(config or make_config(), header, settings or listening(), **options)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@dataclass
class Producer:
    """Publishes frames without a break in the background; the pace is a yield to the loop, or `interval_s`."""

    server: PmuServer
    config: ConfigFrame
    interval_s: float = 0.002
    number: int = 0
    _task: asyncio.Task | None = field(default=None, repr=False)

    async def __aenter__(self):
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *exc_info):
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run(self):
        while True:
            self.publish()
            await asyncio.sleep(self.interval_s)

    def publish(self, count=1):
        for _ in range(count):
            self.server.publish(make_frame(self.config, self.number))
            self.number += 1


class Pdc:
    """A well-behaved PDC, made of asyncio's streams and the codec."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.decoder = Decoder()
        self.frames = []
        self.errors = []

    @classmethod
    async def connect(cls, server, **options):
        host, port = server.addresses[0][:2]
        return cls(*await asyncio.wait_for(asyncio.open_connection(host, port, **options), TIMEOUT_S))

    async def start(self):
        """Get the configuration and ask for data."""
        await self.ask(5)
        self.send(2)
        return self

    def send(self, command, idcode=IDCODE, extended=b""):
        self.writer.write(CommandFrame(idcode, command, extended).encode())

    async def ask(self, command):
        self.send(command)
        return await self.read_until(lambda frame: not isinstance(frame, DataFrame))

    async def read_until(self, wanted):
        """Read until a frame is wanted; returns it. Everything read is kept in `frames`."""
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                data = await self.reader.read(65536)
                if not data:
                    raise EOFError
                events = self.decoder.feed(data)
                self.errors += [event for event in events if isinstance(event, ProtocolError)]
                frames = [event for event in events if not isinstance(event, ProtocolError)]
                self.frames += frames
                for frame in frames:
                    if wanted(frame):
                        return frame

    async def read_to(self, number):
        """Read until data frame `number` or a later one is there."""
        await self.read_until(lambda frame: isinstance(frame, DataFrame) and number_of(frame) >= number)

    @property
    def numbers(self):
        return [number_of(frame) for frame in self.frames if isinstance(frame, DataFrame)]

    def missing(self):
        """Numbers missing between the first and the last data frame."""
        numbers = self.numbers
        return sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers)) if numbers else ["everything"]

    async def close(self):
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


def run(scenario):
    """Run a test's coroutine, but not for ever."""
    asyncio.run(asyncio.wait_for(scenario, 2 * TIMEOUT_S))


async def until(condition):
    """Wait until something becomes true."""
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():  # noqa: ASYNC110 - what a condition looks at has no event
            await asyncio.sleep(0.005)
