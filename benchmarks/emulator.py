"""Speed of the PRU emulator: instructions per second against the GNU simulator, the shipped firmware against real time.

The loop of the first line is arithmetic and a branch, the best case of both. The firmware mostly polls the ADC, and an
emulated poll costs more than an emulated addition, so its figure is the one that matters: twin seconds per second,
with the wave computed beforehand and delivered in blocks of 20 ms as the twin does.
"""

from __future__ import annotations

import asyncio
import struct
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from rpmu.acquire import SamplerSettings
from rpmu.acquire.sampler import bring_up
from rpmu.twin.link import TwinLink
from rpmu.twin.pruss import AdcErrors, BusTiming, Pruss
from tests.pru import encode, gnu_sim

SECOND = 200_000_000  # PRU cycles
BLOCK = SECOND // 50
POINTS_PER_BLOCK = 480
TWIN_SECONDS = 10


def _loop(rounds: int) -> list[int]:
    """`rounds` (16 bit) times 65536 times four instructions."""
    body = [
        encode.alu("add", "r1", "r1", 3),
        encode.alu("xor", "r4.b1", "r1.w0", "r2.b2"),
        encode.alu("sub", "r2", "r2", 1),
    ]
    inner = [encode.ldi("r2", 0xFFFF), *body, encode.branch("qbne", -3, "r2", 0)]
    outer = [encode.alu("sub", "r5", "r5", 1), encode.branch("qbne", -len(inner) - 1, "r5", 0)]
    return [encode.ldi("r5", rounds), *inner, *outer]


def _emulator_mips() -> float:
    words = _loop(1000)
    pruss = Pruss()
    pruss.load(0, struct.pack(f"<{len(words) + 1}I", *words, encode.halt()))
    pruss.start(0)
    begin = time.perf_counter()
    pruss.run_until(2 * SECOND)
    return pruss.statistics().instructions[0] / (time.perf_counter() - begin) / 1e6


def _simulator_mips(simulator: Path) -> float:
    rounds = 300
    words = [*_loop(rounds), *encode.ldi32("r1", gnu_sim.SYS_EXIT), *encode.ldi32("r14", 0), encode.halt()]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "loop.elf"
        file.write_bytes(gnu_sim.elf(words))
        begin = time.perf_counter()
        subprocess.run([str(simulator), f"--memory-region=0x{gnu_sim.CODE_BASE:X},0x40000", str(file)], check=True)
        return rounds * 65535 * 4 / (time.perf_counter() - begin) / 1e6


def _feed(pruss: Pruss, block: int) -> None:
    """20 ms of mains, ahead of the block that needs them."""
    step = BLOCK / POINTS_PER_BLOCK
    points = np.arange(block * POINTS_PER_BLOCK, (block + 1) * POINTS_PER_BLOCK) - 8
    pruss.set_waveform(0, points[0] * step, step, 0.9 + 0.8 * np.cos(2 * np.pi * 60 / SECOND * step * points))


def _firmware(bus: BusTiming) -> tuple[float, float, float]:
    """Twin seconds per second, MIPS, and the longest time between two looks at the FIFO as a share of a scan."""
    pruss = Pruss(bus, AdcErrors(noise_lsb_rms=0.7))
    edges = np.arange(1, 2 * TWIN_SECONDS) * (SECOND / 2) * 1.0000588
    pruss.set_pulses(1, edges, np.arange(len(edges)) % 2 * -1.65 + 1.65, 3300.0)
    fed = 0

    def run_until(cycle: int) -> None:
        nonlocal fed
        while pruss.cycle < cycle:
            while fed * BLOCK < min(pruss.cycle + BLOCK, cycle) + BLOCK:
                _feed(pruss, fed)
                fed += 1
            pruss.run_until(min(pruss.cycle + BLOCK, cycle))

    async def pace(seconds: float) -> None:
        run_until(pruss.cycle + round(seconds * SECOND))

    info = asyncio.run(bring_up(TwinLink(pruss), SamplerSettings(), pace))
    pruss.reset_probes()
    before, begin = pruss.statistics(), time.perf_counter()
    run_until(pruss.cycle + (TWIN_SECONDS - 1) * SECOND)
    elapsed, after = time.perf_counter() - begin, pruss.statistics()
    mips = (after.instructions[0] - before.instructions[0]) / elapsed / 1e6
    work = after.count_reads.max_gap_cycles / float(info.counter_ticks_per_scan)
    assert after.overruns == after.underflows == after.words_dropped == 0
    return (TWIN_SECONDS - 1) / elapsed, mips, work


def main() -> None:
    """Print the figures."""
    ours, simulator = _emulator_mips(), gnu_sim.simulator()
    if simulator is None:
        print(f"arithmetic loop: {ours:.0f} MIPS (GNU simulator not built: make oracle)")
    else:
        theirs = _simulator_mips(simulator)
        print(f"arithmetic loop: {ours:.0f} MIPS, GNU simulator {theirs:.0f} MIPS, ratio {ours / theirs:.1f}")
    for name, bus in (("best-case bus", BusTiming()), ("L4 reads of 41 to 60 cycles", BusTiming(external_jitter=19))):
        ratio, mips, work = _firmware(bus)
        print(
            f"shipped firmware, {name}: {ratio:.1f} times real time, {mips:.0f} MIPS, longest work {work:.1%} of a scan"
        )
