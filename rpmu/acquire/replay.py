"""A `PruLink` that plays a recording into the shared memory, where a PRU would write.

It answers the host's commands as the firmware does and publishes each recorded slot when its scan is due, so sampler
and ring reader cannot tell it from a board. The receiver's bytes come out of `gps`, a `GpsPort`, likewise. Time passes
in `pace`, at the speed that was asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rpmu.acquire import layout
from rpmu.acquire.extend import WRAP, nearest
from rpmu.acquire.link import ImageFormat
from rpmu.acquire.recording import KIND_BLOCK, KIND_NMEA, NMEA_HEADER_BYTES, Recording

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
        self._records: Iterator[tuple[int, bytes]] = iter(())
        self._next: tuple[int, bytes] | None = None
        self._played_until = 0.0  # scan number, without wraps
        self._written = {layout.STATUS_BLOCKS_WRITTEN: 0, layout.STATUS_EVENTS_WRITTEN: 0}
        self._started = False

    @property
    def finished(self) -> bool:
        """Whether all of the recording was played."""
        return self._status(layout.STATUS_STATE) == layout.STATE_RUNNING and self._next is None

    def load(self, image: Path | bytes) -> None:
        """A recording needs no firmware: what it would have written is already there."""

    def start(self) -> None:
        """Behave as firmware that has just initialised itself."""
        block_bytes = layout.BLOCK_HEADER_BYTES + 2 * self.info.channels * layout.BLOCK_SAMPLES
        major, minor = (int(number) for number in self.info.firmware_version.split("."))
        for offset, value in {
            layout.STATUS_LAYOUT_VERSION: layout.LAYOUT_VERSION,
            layout.STATUS_FIRMWARE_VERSION: major << 16 | minor,
            layout.STATUS_STATE: layout.STATE_IDLE,
            layout.STATUS_CIC_ORDER: self.info.cic_order,
            layout.STATUS_CIC_DELAY_HALF_SCANS: int(2 * self.info.cic_delay_scans),
            layout.STATUS_DECIMATION: self.info.decimation,
            layout.STATUS_BLOCK_BYTES: block_bytes,
            layout.STATUS_RING_BLOCKS: (layout.SHARED_RAM_BYTES - layout.RING_OFFSET) // block_bytes,
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
        self._obey()
        if self._status(layout.STATUS_STATE) == layout.STATE_RUNNING:
            self._played_until += seconds * float(self.info.scan_rate_hz)
            while self._next is not None and self._due(self._next) <= self._played_until:
                self._publish(*self._next)
                self._next = next(self._records, None)
            self._set_status(layout.STATUS_SCANS, int(self._played_until))

    def _status(self, offset: int) -> int:
        return int(self._window[(layout.STATUS_OFFSET + offset) // 4])

    def _set_status(self, offset: int, value: int) -> None:
        self._window[(layout.STATUS_OFFSET + offset) // 4] = value % WRAP

    def _obey(self) -> None:
        record = self._words[layout.PARAMS_OFFSET // 4 :][: layout.PARAMS_BYTES // 4].view(layout.PARAMS)[0]
        if int(record["command_seq"]) == self._status(layout.STATUS_COMMAND_ACK):
            return
        state, fault = layout.STATE_IDLE, layout.FAULT_NONE
        if int(record["command"]) == layout.COMMAND_START:
            state = layout.STATE_RUNNING if self._fits(record) else layout.STATE_FAULT
            fault = layout.FAULT_NONE if state == layout.STATE_RUNNING else layout.FAULT_PARAMS
            self._rewind()
        self._set_status(layout.STATUS_FAULT, fault)
        self._set_status(layout.STATUS_STATE, state)
        self._set_status(layout.STATUS_COMMAND_ACK, int(record["command_seq"]))

    def _fits(self, record: np.void) -> bool:
        """Whether the host wants what was recorded; a recording cannot be sampled otherwise."""
        info = self.info
        wanted = tuple(int(record[name]) for name in ("channels", "adc_clkdiv", "decimation", "output_shift"))
        return wanted == (info.channels, info.adc_clkdiv, info.decimation, info.output_shift)

    def _rewind(self) -> None:
        ticks = MEASURED_SCANS * self.info.counter_ticks_per_scan
        self._set_status(layout.STATUS_MEASURED_SCANS, MEASURED_SCANS)
        self._set_status(layout.STATUS_MEASURED_CYCLES, round(ticks))
        self._records = self._recording.records()
        self._next = next(self._records, None)
        if self._next is not None:
            first = max(0, self._last_scan(*self._next) - layout.BLOCK_SAMPLES * self.info.decimation)
            self._played_until = float(first)
            self._set_status(layout.STATUS_SCANS, first)

    def _last_scan(self, kind: int, slot: bytes) -> int:
        """Low 32 bits of the last scan that a record holds."""
        if kind == KIND_BLOCK:
            first = int.from_bytes(slot[layout.BLOCK_FIRST_SCAN :][:4], "little")
            return (first + (layout.BLOCK_SAMPLES - 1) * self.info.decimation) % WRAP
        if kind == KIND_NMEA:
            return int.from_bytes(slot[:4], "little")
        return (int.from_bytes(slot[layout.EVENT_FIRST_SCAN :][:4], "little") + layout.EVENT_SAMPLES) % WRAP

    def _due(self, record: tuple[int, bytes]) -> int:
        return nearest(self._last_scan(*record), int(self._played_until))

    def _publish(self, kind: int, slot: bytes) -> None:
        if kind == KIND_NMEA:
            self.gps.arrive(slot[NMEA_HEADER_BYTES:])
        elif kind == KIND_BLOCK:
            self._set_status(layout.STATUS_EPOCH, int.from_bytes(slot[layout.BLOCK_EPOCH :][:4], "little"))
            slots = self._status(layout.STATUS_RING_BLOCKS)
            self._put(slot, layout.RING_OFFSET, slots, layout.STATUS_BLOCKS_WRITTEN)
        else:
            self._put(slot, layout.EVENTS_OFFSET, layout.EVENT_SLOTS, layout.STATUS_EVENTS_WRITTEN)

    def _put(self, slot: bytes, start: int, slots: int, count: int) -> None:
        """Write a slot with the next number, then the count."""
        number = self._written[count]
        place = start + number % slots * len(slot)
        self._memory[place : place + len(slot)] = number.to_bytes(4, "little") + slot[4:]
        self._written[count] = (number + 1) % WRAP
        self._set_status(count, self._written[count])
