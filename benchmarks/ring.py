"""Cost of a poll of the ring against a plain copy of the same bytes: what the rules and the counting add."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from rpmu.acquire import AcquisitionInfo, RingReader, layout

BLOCKS = 7  # in a poll of 40 ms
POLLS = 2000


def _writer() -> tuple[memoryview, AcquisitionInfo, Callable[[], None]]:
    """A window with a ring of one channel, and what publishes the next `BLOCKS` blocks in it."""
    window = memoryview(bytearray(layout.SHARED_RAM_BYTES)).cast("I")
    info = AcquisitionInfo(1, 7, 50, 5, layout.CIC_ORDER, 3, (25,), "1.0")
    words = (layout.BLOCK_HEADER_BYTES + 2 * layout.BLOCK_SAMPLES) // 4
    slots = (layout.SHARED_RAM_BYTES - layout.RING_OFFSET) // (4 * words)
    window[layout.STATUS_BLOCK_BYTES // 4], window[layout.STATUS_RING_BLOCKS // 4] = 4 * words, slots
    ticks = info.counter_ticks_per_scan
    number = 0

    def write() -> None:
        """The next blocks, as the firmware writes them."""
        nonlocal number
        for _ in range(BLOCKS):
            scan = number * layout.BLOCK_SAMPLES * info.decimation
            slot = layout.RING_OFFSET // 4 + number % slots * words
            header = (number, scan % 2**32, scan * ticks.numerator // ticks.denominator % 2**32, 1)
            for index, word in enumerate(header):
                window[slot + index] = word
            number += 1
        window[layout.STATUS_BLOCKS_WRITTEN // 4] = number

    return window, info, write


def _median_us(action: Callable[[], object], before: Callable[[], None]) -> float:
    times = []
    for _ in range(POLLS):
        before()
        start = time.perf_counter_ns()
        action()
        times.append(time.perf_counter_ns() - start)
    return sorted(times)[POLLS // 2] / 1000


def main() -> None:
    """Print the medians and their ratio."""
    window, info, write = _writer()
    reader = RingReader(window, info)
    source = np.frombuffer(window, np.uint32)[layout.RING_OFFSET // 4 :][: BLOCKS * 40]
    copy = _median_us(source.copy, lambda: None)
    poll = _median_us(reader.poll, write)
    idle = _median_us(reader.poll, lambda: None)
    lost = reader.statistics().lost_samples
    samples = BLOCKS * layout.BLOCK_SAMPLES
    print(f"poll of {BLOCKS} blocks ({samples} samples): {poll:.1f} us, {poll / copy:.0f} plain copies")
    print(f"poll of nothing: {idle:.2f} us; lost samples: {lost}")
