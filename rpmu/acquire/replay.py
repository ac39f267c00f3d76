"""A `PruLink` that plays a recording into the shared memory, where a PRU would write.

It answers the host's commands as the firmware does and publishes every recorded sample and event when its scan is due,
so sampler and ring reader cannot tell it from a board. Where samples are missing in the recording, the open block is
begun anew, as the firmware does when it gives one up. The receiver's bytes come out of `gps`, a `GpsPort`, likewise.
Time passes in `pace`, at the speed that was asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rpmu.acquire import layout
from rpmu.acquire.blocks import AcquisitionInfo
from rpmu.acquire.extend import WRAP, CounterClock, nearest
from rpmu.acquire.link import ImageFormat
from rpmu.acquire.recording import KIND_NMEA, KIND_SAMPLES, NMEA_HEADER_BYTES, SAMPLES_HEADER, Recording

MEASURED_SCANS = 3000


class ReplayGps:
    """The receiver of a recording; a `GpsPort`."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def arrive(self, data: bytes) -> None:
        """Bytes are due."""
        self._waiting += data

    def read(self) -> bytes:
        """All bytes that have arrived since the last call; empty if none."""
        data = bytes(self._waiting)
        self._waiting.clear()
        return data

    def write(self, data: bytes) -> None:
        """Nobody is there to configure."""

    def set_baud_rate(self, baud_rate: int) -> None:
        """The bytes are those of the recording, whatever the speed."""

    def close(self) -> None:
        """Nothing is open."""


class ReplayLink:
    """Plays one recording.

    Args:
        path: the recording.
        speed: seconds of the recording per second, or None for as fast as the reader goes.

    Raises:
        InputError: the file cannot be read or is no recording.

    Attributes:
        settings: the sampler settings that the recording was made with, the only ones it can be started with.
        info: what the firmware measured then.
        gps: the receiver's bytes as they come due.
    """

    image_format: ImageFormat = "bin"

    def __init__(self, path: Path, speed: float | None = 1.0) -> None:
        self._recording = Recording(path)
        self.settings = self._recording.settings
        self.info = self._recording.info
        self.gps = ReplayGps()
        self._speed = speed
        self._memory = bytearray(layout.SHARED_RAM_BYTES)
        self._window = memoryview(self._memory).cast("I")
        self._words = np.frombuffer(self._window, np.uint32)
        self._records: Iterator[tuple[int, bytes]] = iter(())  # of events and of the receiver
        self._next: tuple[int, bytes] | None = None
        self._ring = _Ring(self._words, self.info)
        self._samples: Iterator[_Samples] = iter(())
        self._piece: _Samples | None = None  # the one being played
        self._played_until = 0.0  # scan number, without wraps
        self._events = 0
        self._started = False

    @property
    def finished(self) -> bool:
        """Whether all of the recording was played."""
        running = self._status(layout.STATUS_STATE) == layout.STATE_RUNNING
        return running and self._next is None and self._piece is None

    def load(self, image: Path | bytes) -> None:
        """A recording needs no firmware: what it would have written is already there."""

    def start(self) -> None:
        """Behave as firmware that has just initialised itself."""
        major, minor = (int(number) for number in self.info.firmware_version.split("."))
        for offset, value in {
            layout.STATUS_LAYOUT_VERSION: layout.LAYOUT_VERSION,
            layout.STATUS_FIRMWARE_VERSION: major << 16 | minor,
            layout.STATUS_STATE: layout.STATE_IDLE,
            layout.STATUS_CIC_ORDER: self.info.cic_order,
            layout.STATUS_CIC_DELAY_HALF_SCANS: int(2 * self.info.cic_delay_scans),
            layout.STATUS_DECIMATION: self.info.decimation,
            layout.STATUS_BLOCK_BYTES: 4 * self._ring.words_each,
            layout.STATUS_RING_BLOCKS: self._ring.slots,
            layout.STATUS_MAGIC: layout.LAYOUT_MAGIC,
        }.items():
            self._set_status(offset, value)
        self._started = True

    def stop(self) -> None:
        """Play no further."""
        self._started = False

    def window(self) -> memoryview:
        """The memory that a PRU would write."""
        return self._window

    def close(self) -> None:
        """Play no further."""
        self.stop()

    async def pace(self, seconds: float) -> None:
        """Let `seconds` of the recording pass."""
        self.advance(seconds)
        await asyncio.sleep(seconds / self._speed if self._speed else 0)

    def advance(self, seconds: float) -> None:
        """Do what the firmware would have done in `seconds`."""
        if not self._started:
            return
        self._set_status(layout.STATUS_HEARTBEAT, self._status(layout.STATUS_HEARTBEAT) + 1)
        if self._obey():
            return  # that took the time, so that the host has its reader by the first sample
        if self._status(layout.STATUS_STATE) == layout.STATE_RUNNING:
            self._played_until += seconds * float(self.info.scan_rate_hz)
            until = int(self._played_until)
            while self._next is not None and self._due(*self._next) <= until:
                self._publish(*self._next)
                self._next = next(self._records, None)
            while self._piece is not None and self._piece.play(self._ring, until):
                self._piece = next(self._samples, None)
            self._set_status(layout.STATUS_SCANS, until)

    def _status(self, offset: int) -> int:
        return int(self._window[(layout.STATUS_OFFSET + offset) // 4])

    def _set_status(self, offset: int, value: int) -> None:
        self._window[(layout.STATUS_OFFSET + offset) // 4] = value % WRAP

    def _obey(self) -> bool:
        """Carry out a new command; False if there is none."""
        record = self._words[layout.PARAMS_OFFSET // 4 :][: layout.PARAMS_BYTES // 4].view(layout.PARAMS)[0]
        if int(record["command_seq"]) == self._status(layout.STATUS_COMMAND_ACK):
            return False
        state, fault = layout.STATE_IDLE, layout.FAULT_NONE
        if int(record["command"]) == layout.COMMAND_START:
            state = layout.STATE_RUNNING if self._fits(record) else layout.STATE_FAULT
            fault = layout.FAULT_NONE if state == layout.STATE_RUNNING else layout.FAULT_PARAMS
            self._rewind()
        self._set_status(layout.STATUS_FAULT, fault)
        self._set_status(layout.STATUS_STATE, state)
        self._set_status(layout.STATUS_COMMAND_ACK, int(record["command_seq"]))
        return True

    def _fits(self, record: np.void) -> bool:
        """Whether the host wants what was recorded; a recording cannot be sampled otherwise."""
        info = self.info
        wanted = tuple(int(record[name]) for name in ("channels", "adc_clkdiv", "decimation", "output_shift"))
        return wanted == (info.channels, info.adc_clkdiv, info.decimation, info.output_shift)

    def _rewind(self) -> None:
        ticks = MEASURED_SCANS * self.info.counter_ticks_per_scan
        self._set_status(layout.STATUS_MEASURED_SCANS, MEASURED_SCANS)
        self._set_status(layout.STATUS_MEASURED_CYCLES, round(ticks))
        self._samples = (
            _Samples(content, self.info) for kind, content in self._recording.records() if kind == KIND_SAMPLES
        )
        self._records = (record for record in self._recording.records() if record[0] != KIND_SAMPLES)
        self._piece, self._next = next(self._samples, None), next(self._records, None)
        self._events = 0
        self._set_status(layout.STATUS_EVENTS_WRITTEN, 0)
        self._ring.begin()
        if self._piece is not None:
            self._played_until = float(max(0, self._piece.first_scan - 1))
            self._set_status(layout.STATUS_SCANS, int(self._played_until))

    def _due(self, kind: int, content: bytes) -> int:
        """Scan with which a record of the receiver or an event comes."""
        if kind == KIND_NMEA:
            last = int.from_bytes(content[:4], "little")
        else:
            last = int.from_bytes(content[layout.EVENT_FIRST_SCAN :][:4], "little") + layout.EVENT_SAMPLES
        return nearest(last % WRAP, int(self._played_until))

    def _publish(self, kind: int, content: bytes) -> None:
        if kind == KIND_NMEA:
            self.gps.arrive(content[NMEA_HEADER_BYTES:])
            return
        place = layout.EVENTS_OFFSET + self._events % layout.EVENT_SLOTS * layout.EVENT_BYTES
        self._memory[place : place + layout.EVENT_BYTES] = self._events.to_bytes(4, "little") + content[4:]
        self._events = (self._events + 1) % WRAP
        self._set_status(layout.STATUS_EVENTS_WRITTEN, self._events)


class _Ring:
    """The firmware's part in the ring.

    Args:
        words: the shared RAM.
        info: of the recording.
    """

    def __init__(self, words: NDArray[np.uint32], info: AcquisitionInfo) -> None:
        self._words = words
        self._info = info
        self.words_each = (layout.BLOCK_HEADER_BYTES + 2 * info.channels * layout.BLOCK_SAMPLES) // 4
        self.slots = (layout.SHARED_RAM_BYTES - layout.RING_OFFSET) // (4 * self.words_each)
        self.begin()

    def begin(self) -> None:
        """Start from the first slot."""
        self._block = self._inside = 0  # number of the open block, and samples in it
        self._after = -1, -1  # scan and epoch of a sample that would continue it
        self._words[layout.STATUS_BLOCKS_WRITTEN // 4] = self._words[layout.STATUS_SAMPLES_WRITTEN // 4] = 0

    def announce(self, bad_scans: int, clipped_scans: int) -> None:
        """Count scans that were substituted or clipped, ahead of the samples that they touch."""
        self._words[layout.STATUS_SUBSTITUTED // 4] += np.uint32(bad_scans)
        self._words[layout.STATUS_CLIPPED // 4] += np.uint32(clipped_scans)

    def add(self, scan: int, counter: int, epoch: int, bad_scans: int, codes: NDArray[np.uint16]) -> int:
        """Put samples into the open block, as many as it takes; returns how many."""
        if (scan, epoch) != self._after:
            self._inside = 0
        slot = self._words[layout.RING_OFFSET // 4 + self._block % self.slots * self.words_each :][: self.words_each]
        if not self._inside:
            slot[:4] = self._block % WRAP, scan % WRAP, counter % WRAP, epoch
        slot[layout.BLOCK_BAD_SCANS // 4] = bad_scans
        room = slot[layout.BLOCK_HEADER_BYTES // 4 :].view(np.uint16).reshape(-1, self._info.channels)
        count = min(len(codes), layout.BLOCK_SAMPLES - self._inside)
        room[self._inside : self._inside + count] = codes[:count]
        self._inside += count
        self._after = scan + count * self._info.decimation, epoch
        if self._inside == layout.BLOCK_SAMPLES:
            self._block, self._inside = self._block + 1, 0
        self._words[layout.STATUS_EPOCH // 4] = epoch
        self._words[layout.STATUS_BLOCKS_WRITTEN // 4] = self._block % WRAP
        self._words[layout.STATUS_SAMPLES_WRITTEN // 4] = (self._block * layout.BLOCK_SAMPLES + self._inside) % WRAP
        return count


class _Samples:
    """Samples of one record, played bit by bit.

    Args:
        content: of the record.
        info: of the recording.
    """

    def __init__(self, content: bytes, info: AcquisitionInfo) -> None:
        size = SAMPLES_HEADER.itemsize
        words = np.frombuffer(content[:size], SAMPLES_HEADER)[0]
        self.first_scan, self._counter, self._epoch, self._bad_scans, self._clipped_scans, _ = map(int, words)
        self._codes = np.frombuffer(content[size:], "<u2").reshape(-1, info.channels)
        self._clock, self._decimation = CounterClock(info.counter_ticks_per_scan), info.decimation
        self._played = 0

    def play(self, ring: _Ring, until: int) -> bool:
        """Publish what is due by a scan; True if that was the rest."""
        first = nearest(self.first_scan, until)
        if not self._played:
            ring.announce(self._bad_scans, self._clipped_scans)
        due = min((until - first) // self._decimation + 1, len(self._codes))
        if self._clipped_scans and 0 < self._played < due:
            ring.announce(0, 1)  # which samples they touched is not known: these may be among them
        while self._played < due:
            within = self._played * self._decimation
            counter = self._clock.before(self._counter, -within)
            codes = self._codes[self._played : due]
            self._played += ring.add(first + within, counter, self._epoch, self._bad_scans, codes)
        return self._played == len(self._codes)
