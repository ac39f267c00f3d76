"""What the committed firmware costs, in PRU cycles, measured in the emulator at the slowest documented bus.

The worst case is provoked, not waited for: a PPS event is made to fall due in the very scan that completes a block, for
every number of channels. Busy is the time from the look at the FIFO that finds a scan to the next look, that look
included; everything else is waiting. `make firmware` prints it; a test holds it under a quarter of a scan.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rpmu.acquire import layout
from rpmu.acquire.settings import SamplerSettings
from rpmu.twin.pruss import BusTiming
from tests.pru.firmware_rig import IEP_COUNT_ADDRESS, PPS_AIN, SLOWEST_BUS, Rig, Setup

BLOCKS = 24
AFTER_CROSSING = layout.EVENT_SAMPLES - layout.EVENT_SAMPLES_BEFORE - 1  # scans from the edge to the event


@dataclass(frozen=True)
class Cost:
    """Cycles of one set-up: a scan's length, the longest time that a scan kept the core busy, the mean.

    The firmware's own figure (STATUS_MAX_WORK_CYCLES) leaves the look itself and the way to it out.
    """

    setup: Setup
    scan_cycles: float
    worst_cycles: int
    mean_cycles: float
    reported_cycles: int

    @property
    def worst_share(self) -> float:
        """Of a scan."""
        return self.worst_cycles / self.scan_cycles


def shipped_setup(channels: int, pin: int = layout.PPS_PIN_NONE) -> Setup:
    """The daemon's choice of delays for so many channels."""
    settings = SamplerSettings.for_inputs(tuple(range(channels)), pps_ain=6)
    delays = zip(settings.open_delay_adc_clocks, settings.sample_delay_adc_clocks, strict=True)
    return Setup(channels, delays=tuple(delays), pin=pin, watched=channels)


def measure(setup: Setup, bus: BusTiming = SLOWEST_BUS) -> Cost:
    """Run `BLOCKS` blocks with an event due at the end of each, give or take a few scans."""
    rig = Rig(setup, bus=bus).start()
    rig.read_for(0.06)
    counter_zero = rig.pruss.cycle - rig.pruss.read_word(IEP_COUNT_ADDRESS)
    block = rig.blocks[-1]
    span = layout.BLOCK_SAMPLES * setup.decimation
    ends = block.first_scan + span - setup.decimation + span * np.arange(2, BLOCKS)
    crossings = ends - AFTER_CROSSING + np.arange(len(ends)) % 3 - 1
    # Half a scan ahead of the crossing scan's word; low again well before the next.
    cycles = counter_zero + block.counter + (crossings - block.first_scan - 0.5) * setup.ticks_per_scan
    edges = np.column_stack([cycles, cycles + 40 * setup.ticks_per_scan])
    rig.pruss.set_pulses(PPS_AIN, edges.ravel(), np.tile([1.65, 0.0], len(edges)), 0.0)
    rig.pruss.reset_probes()
    begin = rig.pruss.cycle
    rig.run(BLOCKS * span * setup.ticks_per_scan / 200e6)
    assert rig.status("EVENTS_WRITTEN") == len(ends)
    looks = rig.pruss.statistics().count_reads
    worst, reported = looks.max_gap_cycles, rig.status("MAX_WORK_CYCLES")
    if setup.pin != layout.PPS_PIN_NONE:  # between two looks it waits for the pin: not busy
        plain = measure(replace(setup, pin=layout.PPS_PIN_NONE), bus)
        return replace(plain, setup=setup, worst_cycles=reported + plain.worst_cycles - plain.reported_cycles)
    idle = looks.visits * (bus.adc_read + 3) / (rig.pruss.cycle - begin)  # the load, the comparison, the loop
    return Cost(setup, setup.ticks_per_scan, worst, (1 - idle) * setup.ticks_per_scan, reported)


def main() -> None:
    """Print one line per number of channels."""
    print(f"worst case at {SLOWEST_BUS.adc_read} cycles per ADC read, PPS event and end of block in one scan:")
    for channels in range(1, layout.MAX_CHANNELS + 1):
        cost = measure(shipped_setup(channels))
        rate_khz = 200e3 / cost.scan_cycles
        print(
            f"  {channels} channel{'s' if channels > 1 else ' '} + PPS, {rate_khz:5.1f} kHz scans of "
            f"{cost.scan_cycles:7.1f} cycles: busy {cost.worst_cycles:4d} at most ({cost.worst_share:5.1%}), "
            f"{cost.mean_cycles:5.1f} on average ({cost.mean_cycles / cost.scan_cycles:5.1%})"
        )
    cost = measure(shipped_setup(1, pin=14))
    print(f"  1 channel  + PPS + pin: busy {cost.worst_cycles} at most ({cost.worst_share:.1%})")


if __name__ == "__main__":
    main()
