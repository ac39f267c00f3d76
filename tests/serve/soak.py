"""Soak: server, splitter and concentrator for half an hour under random churn (`make soak`; not part of `make test`).

Three simulated PMUs at 50 frames/s; a splitter behind the first; a concentrator over the splitter and the other two.
A healthy client watches each of the three outputs by its frame counters, while other clients come and go at random:
some read, some never do, some reset, flood, send junk or leave frames half open. Ends with 1 if a healthy client
missed a frame, or if descriptors, tasks or memory have grown. A line a minute tells how it goes.
"""

import argparse
import asyncio
import contextlib
import gc
import logging
import random
import socket
import struct
import sys
import time
from pathlib import Path

from rpmu.c37118 import CommandFrame
from rpmu.pdc import Concentrator, ConcentratorSettings, PdcClient, SourceSettings, Splitter
from rpmu.pdc.session import RawData
from rpmu.serve import Address, Endpoint, Limits, PmuServer, ServerSettings
from rpmu.serve.simulator import Simulator, SimulatorSettings

RATE = 50
CHURNERS = 20
OUTPUT = 100
PAGE_MIB = 4096 / 1048576
GROWTH_MIB = 4.0  # allowed between the end of the first tenth and the end: allocator noise, measured well below 1


def listening():
    limits = Limits(max_queue_bytes=65_536, max_stall_s=5, max_half_open_s=3)
    return ServerSettings(endpoints=(Endpoint("tcp", Address("127.0.0.1", 0)),), limits=limits)


def resources():
    """Open descriptors, tasks, resident MiB."""
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_MIB
    return len(list(Path("/proc/self/fd").iterdir())), len(asyncio.all_tasks()), resident


class Watcher:
    """A healthy client: counts, and keeps nothing."""

    def __init__(self, name, address, idcode):
        self.name = name
        self.absent = 0
        self.client = PdcClient(*address, idcode, on_event=self._on_event)

    def _on_event(self, event):
        if isinstance(event, RawData):
            self.absent += any(pmu.stat.data_error for pmu in event.decode().pmus)

    def __str__(self):
        seen = self.client.statistics
        return f"{self.name} {seen.data_frames} frames, {seen.missing_frames} missing, {self.absent} with absent data"


async def churn(addresses, chance):
    """One bad or busy client after the other."""
    while True:
        address, idcode = chance.choice(addresses)
        with contextlib.suppress(OSError, EOFError):
            await chance.choice((read, never_read, reset, junk, half_open, flood, idle))(address, idcode, chance)


@contextlib.asynccontextmanager
async def connected(address):
    reader, writer = await asyncio.open_connection(*address)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


def command(idcode, code):
    return CommandFrame(idcode, code).encode()


async def read(address, idcode, chance):
    async with connected(address) as (reader, writer):
        writer.write(command(idcode, 5) + command(idcode, 2))
        for _ in range(chance.randrange(200)):
            await reader.read(65536)


async def never_read(address, idcode, chance):
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await loop.sock_connect(sock, address)
        await loop.sock_sendall(sock, command(idcode, 2) + command(idcode, 5) * 256)
        await asyncio.sleep(chance.uniform(0, 20))


async def reset(address, idcode, chance):
    with socket.create_connection(address) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.sendall(command(idcode, 2) + command(idcode, 5)[: chance.randrange(18)])
        await asyncio.sleep(chance.uniform(0, 2))


async def junk(address, idcode, chance):
    async with connected(address) as (_, writer):
        for _ in range(20):
            writer.write(chance.randbytes(8192))
            await writer.drain()
            await asyncio.sleep(0.01)


async def half_open(address, idcode, chance):
    async with connected(address) as (reader, writer):
        writer.write(b"\xaa\x42\x04\x00" + chance.randbytes(100))
        await asyncio.wait_for(reader.read(), 30)


async def flood(address, idcode, chance):
    async with connected(address) as (_, writer):
        writer.write(command(idcode, chance.randrange(10)) * chance.randrange(2000))
        await asyncio.sleep(chance.uniform(0, 1))


async def idle(address, idcode, chance):
    async with connected(address):
        await asyncio.sleep(chance.uniform(0, 20))


async def soak(seconds, seed):
    """Run it; returns the exit code."""
    simulators = [Simulator(SimulatorSettings(n + 1, rate=RATE, phasors=n + 1, wander=True)) for n in range(3)]
    pmus = [PmuServer(simulator.config, settings=listening()) for simulator in simulators]
    for pmu in pmus:
        await pmu.start()
    producing = [asyncio.create_task(simulator.run(pmu)) for simulator, pmu in zip(simulators, pmus, strict=True)]
    splitter = Splitter(PdcClient(*pmus[0].addresses[0], 1), 1, listening())
    await splitter.start()
    inputs = [(splitter.server, 1), (pmus[1], 2), (pmus[2], 3)]
    concentrator = Concentrator(
        [SourceSettings(*server.addresses[0], idcode) for server, idcode in inputs],
        ConcentratorSettings(OUTPUT, RATE, wait_s=2.0),
        listening(),
    )
    await concentrator.start()
    outputs = [("server", pmus[1], 2), ("splitter", splitter.server, 1), ("concentrator", concentrator.server, OUTPUT)]
    watchers = [Watcher(name, server.addresses[0], idcode) for name, server, idcode in outputs]
    for watcher in watchers:
        await watcher.client.start()
    await asyncio.sleep(2)
    quiet = resources()
    chance = random.Random(seed)
    addresses = [(server.addresses[0], idcode) for _, server, idcode in outputs]
    churning = [asyncio.create_task(churn(addresses, random.Random(chance.random()))) for _ in range(CHURNERS)]
    reference_mib = await watch(seconds, watchers)
    for task in churning:
        task.cancel()
    await asyncio.wait(churning)
    code = await judge(watchers, simulators, quiet, reference_mib)
    for name, server, _ in outputs:
        counts = {key: value for key, value in vars(server.statistics).items() if value}
        print(f"{name}: {counts}")
    await stop_all(watchers, concentrator, splitter, producing, pmus)
    return code


async def watch(seconds, watchers):
    """A line a minute; returns the memory at the end of the first tenth."""
    start_s, reference_mib, said = time.monotonic(), None, 0
    while (passed_s := time.monotonic() - start_s) < seconds:
        await asyncio.sleep(1)
        if reference_mib is None and passed_s >= seconds / 10:
            gc.collect()
            reference_mib = resources()[2]
        if passed_s >= said * 60:
            said += 1
            descriptors, tasks, resident = resources()
            state = "; ".join(map(str, watchers))
            print(
                f"{passed_s:6.0f} s: {state}; {descriptors} descriptors, {tasks} tasks, {resident:.1f} MiB", flush=True
            )
    return reference_mib


async def judge(watchers, simulators, quiet, reference_mib):
    """What was lost, and what is left over once the churn has ended."""
    for _ in range(100):
        await asyncio.sleep(0.2)
        if resources()[:2] == quiet[:2]:
            break
    gc.collect()
    end = resources()
    skipped = sum(simulator.pacer.skipped for simulator in simulators)
    lost = sum(watcher.client.statistics.missing_frames + watcher.absent for watcher in watchers)
    links = sum(watcher.client.statistics.links_opened for watcher in watchers)
    print("; ".join(map(str, watchers)))
    print(f"frames that the simulators left out because the machine stood still: {skipped}")
    print(f"descriptors and tasks before {quiet[:2]}, after {end[:2]}")
    print(f"memory {reference_mib:.1f} MiB after a tenth of the time, {end[2]:.1f} MiB at the end")
    good = lost <= 2 * skipped and links == len(watchers)
    good = good and end[:2] == quiet[:2] and end[2] - reference_mib < GROWTH_MIB
    print("soak passed" if good else "SOAK FAILED")
    return 0 if good else 1


async def stop_all(watchers, concentrator, splitter, producing, pmus):
    for watcher in watchers:
        await watcher.client.stop()
    await concentrator.stop()
    await splitter.stop()
    for task in producing:
        task.cancel()
    for pmu in pmus:
        await pmu.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--for", dest="seconds", type=float, default=1800, metavar="S")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)  # every client that is given up is a warning, and that is the point here
    sys.exit(asyncio.run(soak(arguments.seconds, arguments.seed)))
