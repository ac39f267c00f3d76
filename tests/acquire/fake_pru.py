"""A PRU in Python: keeps the rules of pru/layout.h on a piece of memory, word by word, so that tests can stop anywhere.

It knows nothing of the reader. Every sample's code is a hash of its scan number and channel, so a wrong, torn or
repeated sample cannot pass for the right one.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from rpmu.acquire import layout
from rpmu.acquire.blocks import COUNTER_HZ, AcquisitionInfo

MASK = 0xFFFFFFFF
HEADER_WORDS = layout.BLOCK_HEADER_BYTES // 4


def code_of(scan, channel):
    """The 16-bit code of a channel in the sample whose newest scan is `scan` (int or int64 array)."""
    return ((np.asarray(scan, np.int64) * 40503 + np.asarray(channel, np.int64) * 7919) >> 3) & 0xFFFF


def pps_samples(scan):
    """Raw PPS samples from `scan` on."""
    return (np.arange(scan, scan + layout.EVENT_SAMPLES, dtype=np.int64) * 31) & 0xFFF


class FakePru:
    """The writer. Scan numbers, counter and block numbers are whole integers here and cut to 32 bits in memory."""

    def __init__(
        self,
        channels=1,
        decimation=5,
        scan_adc_clocks=50,
        block=0,
        scan=0,
        counter=0,
        event=0,
        ring_blocks=None,
        memory=None,
    ):
        self.memory = bytearray(layout.SHARED_RAM_BYTES) if memory is None else memory
        self.window = memoryview(self.memory).cast("I")
        self.words = np.frombuffer(self.window, np.uint32)
        self.info = AcquisitionInfo(
            channels=channels,
            adc_clkdiv=7,
            scan_adc_clocks=scan_adc_clocks,
            decimation=decimation,
            cic_order=layout.CIC_ORDER,
            output_shift=3,
            skew_adc_clocks=(25,) * channels,
            firmware_version="1.0",
        )
        self.ticks_per_scan = Fraction(COUNTER_HZ * 8 * scan_adc_clocks, 24_000_000)
        self.block_words = (layout.BLOCK_HEADER_BYTES + 2 * channels * layout.BLOCK_SAMPLES) // 4
        most = (layout.SHARED_RAM_BYTES - layout.RING_OFFSET) // (4 * self.block_words)
        self.ring_blocks = ring_blocks or most
        self.block, self.scan, self.first_counter, self.event = block, scan, counter, event
        self.first_scan = scan
        self.inside = 0  # samples in the open block, `scan` being the newest scan of the first of them
        self.epoch = 1
        self.lost_scans = 0
        self.bad_scans = self.substituted = 0
        self.adc_status = 0x402
        self.heartbeat = 0
        self._publish_constants()

    def _publish_constants(self):
        for offset, value in {
            layout.STATUS_MAGIC: layout.LAYOUT_MAGIC,
            layout.STATUS_LAYOUT_VERSION: layout.LAYOUT_VERSION,
            layout.STATUS_FIRMWARE_VERSION: 1 << 16,
            layout.STATUS_STATE: layout.STATE_IDLE,
            layout.STATUS_CIC_ORDER: self.info.cic_order,
            layout.STATUS_CIC_DELAY_HALF_SCANS: self.info.cic_order * (self.info.decimation - 1),
            layout.STATUS_DECIMATION: self.info.decimation,
            layout.STATUS_BLOCK_BYTES: 4 * self.block_words,
            layout.STATUS_RING_BLOCKS: self.ring_blocks,
            layout.STATUS_BLOCKS_WRITTEN: self.block,
            layout.STATUS_SAMPLES_WRITTEN: self.block * layout.BLOCK_SAMPLES,
            layout.STATUS_EVENTS_WRITTEN: self.event,
            layout.STATUS_EPOCH: self.epoch,
            layout.STATUS_SCANS: self.scan,
        }.items():
            self.set_status(offset, value)

    def set_status(self, offset, value):
        self.window[(layout.STATUS_OFFSET + offset) // 4] = value & MASK

    def counter_at(self, scan):
        return self.first_counter + round((scan - self.first_scan) * self.ticks_per_scan) + 17

    def beat(self):
        self.heartbeat += 1
        self.set_status(layout.STATUS_HEARTBEAT, self.heartbeat)

    def restart_adc(self, scans_lost):
        """What the firmware does after an overrun: the open block is given up, a new epoch, `scans_lost` later."""
        for _ in self.restart_steps(scans_lost):
            pass

    def restart_steps(self, scans_lost) -> Iterator[None]:
        """The same in the firmware's order, pausing between the words."""
        self.set_status(layout.STATUS_SAMPLES_WRITTEN, self.block * layout.BLOCK_SAMPLES)
        yield
        self.epoch += 1
        given_up = self.inside * self.info.decimation
        self.scan += given_up + scans_lost
        self.inside = 0
        self.lost_scans += given_up + scans_lost
        self.set_status(layout.STATUS_EPOCH, self.epoch)
        yield
        self.set_status(layout.STATUS_RESTARTS, self.epoch - 1)
        self.set_status(layout.STATUS_LOST_SCANS, self.lost_scans)
        self.words[self._slot + HEADER_WORDS] = 0xDEADBEEF  # what comes while the decimator fills is overwritten
        yield

    def write_blocks(self, count=1):
        """Fill the open block, and so many less one after it."""
        self.write_samples(count * layout.BLOCK_SAMPLES - self.inside)

    def write_samples(self, count):
        """So many samples, at any place in a block."""
        for _ in range(count):
            for _ in self.write_sample_steps():
                pass

    @property
    def _slot(self):
        return (layout.RING_OFFSET // 4) + (self.block % self.ring_blocks) * self.block_words

    def write_sample_steps(self) -> Iterator[None]:
        """Write one sample in the firmware's order (samples.S), pausing between the words."""
        slot, channels = self._slot, self.info.channels
        scan = self.scan + self.inside * self.info.decimation
        codes = self.words[slot + HEADER_WORDS : slot + self.block_words].view(np.uint16)
        codes[self.inside * channels : (self.inside + 1) * channels] = code_of(scan, np.arange(channels))
        yield
        if not self.inside:
            header = (self.block & MASK, self.scan & MASK, self.counter_at(self.scan) & MASK, self.epoch)
            self.words[slot : slot + 4] = header
            yield
        self.set_status(layout.STATUS_SUBSTITUTED, self.substituted + self.bad_scans)
        self.words[slot + layout.BLOCK_BAD_SCANS // 4] = self.bad_scans
        self.set_status(layout.STATUS_SCANS, scan)
        yield
        self.inside += 1
        if self.inside == layout.BLOCK_SAMPLES:
            self._close_block(slot)
            yield
        self.set_status(layout.STATUS_SAMPLES_WRITTEN, self.block * layout.BLOCK_SAMPLES + self.inside)
        self.set_status(layout.STATUS_BLOCKS_WRITTEN, self.block)
        yield

    def _close_block(self, slot):
        self.words[slot + layout.BLOCK_ADC_STATUS // 4] = self.adc_status
        self.words[slot + layout.BLOCK_FIFO_HIGH_WATER // 4] = 4 + self.block % 3
        self.words[slot + layout.BLOCK_LOST_SCANS // 4] = self.lost_scans
        self.block += 1
        self.scan += layout.BLOCK_SAMPLES * self.info.decimation
        self.substituted += self.bad_scans
        self.inside = self.bad_scans = 0
        self.beat()

    def write_event(self, scan=None, pin=False):
        for _ in self.write_event_steps(scan, pin):
            pass

    def write_event_steps(self, scan=None, pin=False, words_per_step=8) -> Iterator[None]:
        scan = self.scan if scan is None else scan
        record = np.zeros(1, layout.EVENT)
        record["seq"] = self.event & MASK
        record["source"] = layout.EVENT_SOURCE_PIN if pin else layout.EVENT_SOURCE_ADC
        record["epoch"] = self.epoch
        record["first_scan"] = scan & MASK
        record["counter_before"] = self.counter_at(scan) & MASK
        record["counter_after"] = (self.counter_at(scan) + (2 if pin else 0)) & MASK
        if not pin:
            record["sample_count"] = layout.EVENT_SAMPLES
            record["crossing"] = layout.EVENT_SAMPLES_BEFORE
            record["data"] = pps_samples(scan)
        content = record.view(np.uint32)
        slot = layout.EVENTS_OFFSET // 4 + (self.event % layout.EVENT_SLOTS) * layout.EVENT_BYTES // 4
        for start in range(0, len(content), words_per_step):
            self.words[slot + start : slot + start + words_per_step] = content[start : start + words_per_step]
            yield
        self.event += 1
        self.set_status(layout.STATUS_EVENTS_WRITTEN, self.event)
        yield


class FakeLink:
    """A `PruLink` over a `FakePru` that answers commands whenever somebody waits."""

    image_format = "bin"

    def __init__(
        self, fault=layout.FAULT_NONE, measured_adc_clocks=50.0, version=layout.LAYOUT_VERSION, alive=True, pru=None
    ):
        self.pru = FakePru() if pru is None else pru
        self.fault = fault
        self.measured_adc_clocks = measured_adc_clocks
        self.version = version
        self.alive = alive
        self.started = False
        self.image: Path | bytes | None = None
        self.waited_s = 0.0
        self.parameters = None
        if not alive:
            self.pru.set_status(layout.STATUS_MAGIC, 0)

    def load(self, image):
        self.image = image

    def start(self):
        self.started = True
        if self.alive:
            self.pru.set_status(layout.STATUS_MAGIC, layout.LAYOUT_MAGIC)

    def stop(self):
        self.started = False

    def close(self):
        self.stop()

    def window(self):
        return self.pru.window

    async def pace(self, seconds):
        self.waited_s += seconds
        if not self.alive:
            return
        self.pru.set_status(layout.STATUS_LAYOUT_VERSION, self.version)
        self.pru.beat()
        record = self.pru.words[layout.PARAMS_OFFSET // 4 :][: layout.PARAMS_BYTES // 4].view(layout.PARAMS)[0]
        acknowledged = int(self.pru.window[layout.STATUS_COMMAND_ACK // 4])
        if int(record["command_seq"]) != acknowledged:
            self._obey(record.copy())

    def _obey(self, record):
        state = layout.STATE_IDLE
        if record["command"] == layout.COMMAND_START:
            self.parameters = record
            state = layout.STATE_FAULT if self.fault else layout.STATE_RUNNING
            scans = int(record["measure_scans"])
            ticks = round(scans * self.measured_adc_clocks * (int(record["adc_clkdiv"]) + 1) * 25 / 3)
            self.pru.set_status(layout.STATUS_MEASURED_SCANS, scans)
            self.pru.set_status(layout.STATUS_MEASURED_CYCLES, ticks)
        self.pru.set_status(layout.STATUS_FAULT, self.fault)
        self.pru.set_status(layout.STATUS_STATE, state)
        self.pru.set_status(layout.STATUS_COMMAND_ACK, int(record["command_seq"]))
