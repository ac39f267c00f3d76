"""Server: 200 clients at 50 frames/s without a gap, and the same for pyPMU's server as far as it goes.

Server and clients run in processes of their own on the same machine; what counts is the frame counter of every client.
"""

from __future__ import annotations

import asyncio
import importlib.util
import multiprocessing
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

from rpmu.c37118 import CommandFrame, ConfigFrame, DataFrame, Decoder
from rpmu.serve import Address, Endpoint, PmuServer, ServerSettings
from rpmu.serve.grid import Grid
from rpmu.serve.simulator import Simulator, SimulatorSettings

CLIENTS = 200
RATE = 50
SECONDS = 10.0
CONNECT_S = 2.0
IDCODE = 1
PYPMU = Path(__file__).parents[1] / "tests" / "serve" / "pypmu_peer.py"
PYPMU_CLIENTS = 10  # of 50 and more, none gets a frame


def main() -> None:
    """Run our server, then pyPMU's where it can be imported."""
    connection, child = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_serve, args=(child,))
    process.start()
    try:
        port = connection.recv()
        for clients in (10, CLIENTS):
            connection.send("usage")
            before = connection.recv()
            report = asyncio.run(_measure(port, clients))
            connection.send("usage")
            _print("rpmu", clients, report, before, connection.recv())
    finally:
        connection.send("stop")
        process.join()
    _measure_pypmu()


def _measure_pypmu() -> None:
    """The same with pyPMU's server, as it is: it puts no stamp on the grid, so only frames are counted."""
    if importlib.util.find_spec("synchrophasor") is None:
        print("pyPMU: not installed (pip install synchrophasor==1.0.0a0)")
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(PYPMU), "server", str(port), str(IDCODE), str(RATE)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True) as peer:
        try:
            assert peer.stdout is not None
            while not peer.stdout.readline().startswith(b"READY"):
                pass
            counts = asyncio.run(_count(port, PYPMU_CLIENTS))
        finally:
            os.killpg(peer.pid, signal.SIGKILL)  # it has a process per client
    rates = [count / SECONDS for count in counts]
    print(
        f"pyPMU: {PYPMU_CLIENTS} clients x {RATE} frames/s, {SECONDS:g} s: median {median(rates):.1f} frames/s per "
        f"client, {sum(max(0, round(RATE * SECONDS) - count) for count in counts)} frames missing"
    )


async def _count(port: int, clients: int) -> list[int]:
    """Data frames per client in the measuring time."""
    loop = asyncio.get_running_loop()
    pairs = []
    for _ in range(clients):
        pairs.append(await loop.create_connection(_SlowStarter, "127.0.0.1", port))
    await asyncio.sleep(CONNECT_S)
    before = [len(client.ordinals) for _, client in pairs]
    await asyncio.sleep(SECONDS)
    counts = [len(client.ordinals) - start for (_, client), start in zip(pairs, before, strict=True)]
    for transport, _ in pairs:
        transport.close()
    return counts


def _print(name: str, clients: int, report: list[tuple[int, int]], before: list[float], after: list[float]) -> None:
    rates = [frames / SECONDS for frames, _ in report]
    gaps = sum(missing for _, missing in report)
    print(
        f"{name}: {clients} clients x {RATE} frames/s, {SECONDS:g} s: median {median(rates):.1f} frames/s per client, "
        f"{gaps} frames missing on the grid; CPU {(after[0] - before[0]) / SECONDS:.0%} of a core, "
        f"{after[1] / 1024:.0f} MiB"
    )


def _serve(connection: Connection) -> None:
    asyncio.run(_server(connection))


async def _server(connection: Connection) -> None:
    simulator = Simulator(SimulatorSettings(IDCODE, rate=RATE, phasors=4, analogs=3, digitals=1))
    server = PmuServer(simulator.config, settings=ServerSettings(endpoints=(Endpoint("tcp", Address("127.0.0.1", 0)),)))
    await server.start()
    producing = asyncio.create_task(simulator.run(server))
    connection.send(server.addresses[0][1])
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, connection.recv) == "usage":
        usage = resource.getrusage(resource.RUSAGE_SELF)
        connection.send([usage.ru_utime + usage.ru_stime, usage.ru_maxrss])
    producing.cancel()
    await server.stop()


class _Client(asyncio.Protocol):
    """Counts frames by their place on the grid."""

    def __init__(self) -> None:
        self.decoder = Decoder()
        self.ordinals: list[int] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(CommandFrame(IDCODE, 5).encode() + CommandFrame(IDCODE, 2).encode())

    def data_received(self, data: bytes) -> None:
        for event in self.decoder.feed(data):
            if isinstance(event, DataFrame):
                self.ordinals.append(_ordinal(event, event.config))

    def report(self, first: int, last: int) -> tuple[int, int]:
        """Frames and missing instants between two ordinals."""
        got = {ordinal for ordinal in self.ordinals if first <= ordinal < last}
        return len(got), last - first - len(got)


class _SlowStarter(_Client):
    """pyPMU answers one command per segment: wait for the configuration before asking for data."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(CommandFrame(IDCODE, 5, version=1).encode())

    def data_received(self, data: bytes) -> None:
        if IDCODE not in self.decoder.configs:
            super().data_received(data)
            self._transport.write(CommandFrame(IDCODE, 2, version=1).encode())
        else:
            super().data_received(data)


def _ordinal(frame: DataFrame, config: ConfigFrame) -> int:
    return Grid(config.data_rate).nearest(frame.stamp, config.time_base)


async def _measure(port: int, clients: int) -> list[tuple[int, int]]:
    loop = asyncio.get_running_loop()
    pairs = [await loop.create_connection(_Client, "127.0.0.1", port) for _ in range(clients)]
    await asyncio.sleep(CONNECT_S)
    first = Grid(RATE).at_or_after(time.time_ns())
    await asyncio.sleep(SECONDS + 1)
    for transport, _ in pairs:
        transport.close()
    return [client.report(first, first + round(SECONDS * RATE)) for _, client in pairs]


if __name__ == "__main__":
    main()
