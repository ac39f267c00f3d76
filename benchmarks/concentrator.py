"""Concentrator: 300 PMUs at 50 frames/s to one stream: delay of the alignment, losses, memory.

The PMUs (one process, 300 servers on 300 ports) share the machine's cores with the concentrator, so the delay is an
upper bound. The delay of a slot is the time from the arrival of its first frame to the combined frame being sent.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import resource
import struct
import time
from multiprocessing.connection import Connection

from rpmu.c37118 import Stamp
from rpmu.pdc.concentrator import Concentrator, ConcentratorSettings, ConcentratorStatistics, SourceSettings
from rpmu.serve import Address, Endpoint, PmuServer, ServerSettings
from rpmu.serve.answers import with_time
from rpmu.serve.grid import Grid
from rpmu.serve.pacing import Pacer
from rpmu.serve.simulator import Simulator, SimulatorSettings

PMUS = 300
RATE = 50
SECONDS = 20.0
WARM_UP_S = 3.0
OUTPUT_IDCODE = 60_000


def main() -> None:
    """Start the PMUs, concentrate them, print delay and losses."""
    connection, child = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_run_pmus, args=(child,))
    process.start()
    try:
        asyncio.run(_concentrate(connection.recv()))
    finally:
        connection.send("stop")
        process.join()


def _run_pmus(connection: Connection) -> None:
    asyncio.run(_pmus(connection))


async def _pmus(connection: Connection) -> None:
    settings = ServerSettings(endpoints=(Endpoint("tcp", Address("127.0.0.1", 0)),))
    simulators = [Simulator(SimulatorSettings(number + 1, rate=RATE)) for number in range(PMUS)]
    servers = [PmuServer(simulator.config, settings=settings) for simulator in simulators]
    for server in servers:
        await server.start()
    frames = [simulator.frame(0).encode() for simulator in simulators]
    publishing = asyncio.create_task(_publish(servers, frames))
    connection.send([server.addresses[0][1] for server in servers])
    await asyncio.get_running_loop().run_in_executor(None, connection.recv)
    publishing.cancel()
    for server in servers:
        await server.stop()


async def _publish(servers: list[PmuServer], frames: list[bytes]) -> None:
    """One frame per server and instant: only the stamp changes, so that making the load costs little."""
    grid = Grid(RATE)
    pacer = Pacer(grid, time.time_ns())
    while True:
        wait_ns = pacer.wait_ns(time.time_ns())
        if wait_ns > 0:
            await asyncio.sleep(wait_ns / 1e9)
            continue
        second, index = grid.instant(pacer.advance())
        stamp = struct.pack(">II", *Stamp.at(second, index, RATE))
        for server, frame in zip(servers, frames, strict=True):
            server.publish(with_time(frame, stamp))
        await asyncio.sleep(0)


class _Watched(Concentrator):
    """Keeps how long each slot was open."""

    def __init__(self, sources: list[SourceSettings], settings: ConcentratorSettings, server: ServerSettings) -> None:
        super().__init__(sources, settings, server)
        self.delays_ms: list[float] = []

    def slot_sent(self, opened_ns: int, now_ns: int) -> None:
        self.delays_ms.append((now_ns - opened_ns) / 1e6)


async def _concentrate(ports: list[int]) -> None:
    sources = [SourceSettings("127.0.0.1", port, number + 1) for number, port in enumerate(ports)]
    server = ServerSettings(endpoints=(Endpoint("tcp", Address("127.0.0.1", 0)),))
    concentrator = _Watched(sources, ConcentratorSettings(OUTPUT_IDCODE, RATE, wait_s=1.0, start_wait_s=60), server)
    await concentrator.start()
    await asyncio.sleep(WARM_UP_S)
    before, memory = concentrator.statistics, _rss_mib()
    concentrator.delays_ms.clear()
    start_s = time.monotonic()
    await asyncio.sleep(SECONDS)
    after, elapsed_s = concentrator.statistics, time.monotonic() - start_s
    delays = sorted(concentrator.delays_ms)
    frames, late, missing = (_grown(before, after, name) for name in ("aligned", "late", "missing"))
    print(
        f"rpmu: {PMUS} PMUs x {RATE} frames/s: {frames / elapsed_s:.0f} frames/s aligned; alignment delay "
        f"p50 {delays[len(delays) // 2]:.1f} ms, p99 {delays[len(delays) * 99 // 100]:.1f} ms, "
        f"worst {delays[-1]:.1f} ms; {late} late, {missing} missing; "
        f"peak memory {memory:.0f} MiB before, {_rss_mib():.0f} MiB after"
    )
    await concentrator.stop()


def _grown(before: ConcentratorStatistics, after: ConcentratorStatistics, counter: str) -> int:
    """By how much a counter of all sources together has grown."""
    first, last = (sum(getattr(one.alignment, counter) for one in some.sources) for some in (before, after))
    return int(last - first)


def _rss_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
