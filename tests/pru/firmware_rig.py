"""The committed firmware on the emulated chip, with a reader that takes everything out of the ring.

Two analog voltages per default: a sine on each channel and the PPS on AIN7, so that a test only says what differs. The
rig reads shared memory straight from layout.h's offsets: it is an independent reader, not the daemon's.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from rpmu.acquire import layout
from rpmu.acquire.link import shipped_image
from rpmu.twin.pruss import AdcErrors, AdcEvent, BusTiming, Pruss

SECOND = 200_000_000  # PRU cycles
IEP_COUNT_ADDRESS = 0x2E00C
PPS_AIN = 7
SLOWEST_BUS = BusTiming(adc_read=60)  # the slowest documented latency of the L4_WKUP port
MASK = 0xFFFFFFFF


@dataclass(frozen=True)
class Setup:
    """Parameters as the firmware gets them. Defaults are those that ship, but for the PPS input."""

    channels: int = 1
    clkdiv: int = 7
    decimation: int = 5
    shift: int = 3
    high: int = 1000
    low: int = 500
    pin: int = layout.PPS_PIN_NONE
    measure_scans: int = 600
    watched: int = 0
    range: tuple[int, int] = (0, 4095)  # lowest and highest count of a watched channel that is not clipped
    ain: tuple[int, ...] | None = None
    delays: tuple[tuple[int, int], ...] | None = None  # (open, sample) per step

    @property
    def steps(self) -> list[tuple[int, int, int]]:
        """(analog input, open delay, sample delay) per step."""
        ain = self.ain or (*range(self.channels), PPS_AIN)
        delays = self.delays or ((2, 8),) * (self.channels + 1)
        return [(a, *d) for a, d in zip(ain, delays, strict=True)]

    @property
    def ticks_per_scan(self) -> float:
        """Counter ticks per scan if the sequencer spends nothing between scans."""
        clocks = sum(15 + open_delay + sample_delay for _, open_delay, sample_delay in self.steps)
        return clocks * (self.clkdiv + 1) * 25 / 3


@dataclass(frozen=True)
class Block:
    """One block as it lay in the ring."""

    seq: int
    first_scan: int
    counter: int
    epoch: int
    adc_status: int
    fifo_high_water: int
    bad_scans: int
    lost_scans: int
    samples: np.ndarray  # uint16 [64, channels]


@dataclass(frozen=True)
class Event:
    """One PPS event as it lay in its slot."""

    seq: int
    source: int
    epoch: int
    first_scan: int
    before: int
    after: int
    count: int
    crossing: int
    samples: np.ndarray  # uint16 [48]


@dataclass
class Rig:
    """The firmware booted on a fresh chip; `start` sends START."""

    setup: Setup = field(default_factory=Setup)
    bus: BusTiming = field(default_factory=BusTiming)
    adc: AdcErrors = field(default_factory=AdcErrors)
    seed: int = 1
    boot: bool = True
    image: bytes | None = None  # in place of the shipped one
    blocks: list[Block] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pruss = Pruss(bus=self.bus, adc=self.adc, seed=self.seed)
        rng = np.random.default_rng(self.seed)
        self.pruss.shared_ram[:] = memoryview(rng.integers(0, 2**32, layout.SHARED_RAM_BYTES // 4, np.uint32))
        self.pruss.dram0[:] = memoryview(rng.integers(0, 2**32, 2048, np.uint32))
        self.words = self.pruss.shared_ram
        self.words[layout.STATUS_MAGIC // 4] = 0
        self.pruss.load(0, self.image or shipped_image("bin").read_bytes())
        self.pruss.start(0)
        self.pruss.set_pulses(PPS_AIN, [0.0], [0.0], 3333.0)
        self.waves_until = 0
        self.next_block = self.next_event = 0
        if self.boot:
            self.run(0.0005)
            assert self.status("MAGIC") == layout.LAYOUT_MAGIC

    # ---- memory ----

    def status(self, name: str) -> int:
        return self.words[(layout.STATUS_OFFSET + getattr(layout, f"STATUS_{name}")) // 4]

    def param(self, name: str, value: int, index: int = 0) -> None:
        self.words[(layout.PARAMS_OFFSET + getattr(layout, f"PARAMS_{name}")) // 4 + index] = value

    def raw(self, offset: int, count: int) -> bytes:
        return self.words[offset // 4 : (offset + count) // 4].tobytes()

    # ---- commands ----

    def write_parameters(self, setup: Setup | None = None) -> None:
        self.setup = setup or self.setup
        s = self.setup
        pairs = {"CHANNELS": s.channels, "ADC_CLKDIV": s.clkdiv, "DECIMATION": s.decimation, "OUTPUT_SHIFT": s.shift}
        pairs |= {"PPS_HIGH": s.high, "PPS_LOW": s.low, "PPS_PIN": s.pin, "MEASURE_SCANS": s.measure_scans}
        pairs |= {"WATCHED": s.watched, "LOWEST": s.range[0], "HIGHEST": s.range[1]}
        for name, value in pairs.items():
            self.param(name, value)
        for index, (ain, open_delay, sample_delay) in enumerate(s.steps):
            self.param("AIN", ain, index)
            self.param("STEP_DELAY", open_delay | sample_delay << 24, index)

    def command(self, command: int, patience_s: float = 0.5) -> int:
        """Send it, wait for the acknowledgement, return the state."""
        seq = self.status("COMMAND_ACK") + 1 & MASK
        self.param("COMMAND", command)
        self.param("COMMAND_SEQ", seq)
        end = self.pruss.cycle + patience_s * SECOND
        while self.status("COMMAND_ACK") != seq:
            assert self.pruss.cycle < end, "no acknowledgement"
            self.run(0.0001)
        return self.status("STATE")

    def start(self, setup: Setup | None = None) -> Rig:
        self.write_parameters(setup)
        assert self.command(layout.COMMAND_START) == layout.STATE_RUNNING
        self.next_block = self.next_event = 0
        return self

    # ---- time ----

    def supply(self, until_cycle: int) -> None:
        """Sines on AIN0 to AIN6, as far as they are needed."""
        step = 2000.0
        if until_cycle + 20 * step < self.waves_until:
            return
        first = self.waves_until / step - (8 if self.waves_until == 0 else 0)
        last = until_cycle / step + 2000
        t = np.arange(int(first), int(last)) * step / SECOND
        for ain in range(7):
            volts = 0.9 + (0.4 + 0.05 * ain) * np.sin(2 * np.pi * 60.3 * t + ain)
            self.pruss.set_waveform(ain, int(first) * step, step, volts)
        self.waves_until = int(last) * int(step)

    def run(self, seconds: float) -> None:
        """Run without reading."""
        until = self.pruss.cycle + round(seconds * SECOND)
        self.supply(until)
        self.pruss.run_until(until)

    def read_for(self, seconds: float, every_s: float = 0.02) -> Rig:
        """Run and take everything out of the ring in time."""
        end = self.pruss.cycle + round(seconds * SECOND)
        while self.pruss.cycle < end:
            self.run(min(every_s, (end - self.pruss.cycle) / SECOND + 1e-8))
            self.read()
        return self

    def pulses(self, seconds: list[float], width_s: float = 0.1, tau_cycles: float = 3333.0, now: bool = True) -> None:
        """A PPS of 1.65 V with rising edges so many seconds from now (`now`) or from cycle 0."""
        base = self.pruss.cycle if now else 0
        edges = np.ravel([[base + s * SECOND, base + (s + width_s) * SECOND] for s in seconds])
        self.pruss.set_pulses(PPS_AIN, edges, np.tile([1.65, 0.0], len(seconds)), tau_cycles)

    def inject(self, event: AdcEvent, amount: int = 1) -> None:
        self.pruss.inject(event, amount)

    # ---- reader ----

    def read(self) -> None:
        slots, size = self.status("RING_BLOCKS"), self.status("BLOCK_BYTES")
        written = self.status("BLOCKS_WRITTEN")
        assert written - self.next_block < slots, "the test reads too slowly"
        while self.next_block < written:
            self.blocks.append(self._block(layout.RING_OFFSET + self.next_block % slots * size, size))
            self.next_block += 1
        while self.next_event < self.status("EVENTS_WRITTEN"):
            self.events.append(self._event(self.next_event % layout.EVENT_SLOTS))
            self.next_event += 1

    def _block(self, offset: int, size: int) -> Block:
        raw = self.raw(offset, size)
        header = np.frombuffer(raw[: layout.BLOCK_HEADER_BYTES], "<u4")
        samples = np.frombuffer(raw[layout.BLOCK_DATA :], "<u2").reshape(layout.BLOCK_SAMPLES, -1)
        return Block(*(int(v) for v in header), samples)

    def _event(self, slot: int) -> Event:
        raw = self.raw(layout.EVENTS_OFFSET + slot * layout.EVENT_BYTES, layout.EVENT_BYTES)
        header = np.frombuffer(raw[: layout.EVENT_DATA], "<u4")
        return Event(*(int(v) for v in header), np.frombuffer(raw[layout.EVENT_DATA :], "<u2"))

    # ---- what the blocks say ----

    def samples(self) -> np.ndarray:
        """All samples in order [n, channels]."""
        return np.concatenate([block.samples for block in self.blocks])

    def scan_numbers(self) -> np.ndarray:
        """Newest scan of each sample."""
        within = np.arange(layout.BLOCK_SAMPLES) * self.setup.decimation
        return np.concatenate([block.first_scan + within for block in self.blocks])

    def gaps(self) -> list[int]:
        """Scans missing between consecutive blocks."""
        span = layout.BLOCK_SAMPLES * self.setup.decimation
        return [b.first_scan - a.first_scan - span for a, b in zip(self.blocks, self.blocks[1:], strict=False)]

    def drift_scans(self, a: Block, b: Block) -> float:
        """How far the counter disagrees with the scan numbers of two blocks, in scans."""
        ticks = b.counter - a.counter & MASK
        return ticks / self.setup.ticks_per_scan - (b.first_scan - a.first_scan)
