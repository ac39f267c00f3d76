"""Read the ring in the shared memory: blocks of samples and PPS events, each exactly once, every loss counted.

`slots` copies what is new and whole; here it becomes values. What is missing between two blocks follows from their scan
numbers, so a gap is known to the sample, however long the reader slept.

Consecutive blocks come out joined as one `SampleBlock`, cut wherever samples are missing, the ADC was restarted, or
the firmware marks substituted scans, so that downstream works on few, long arrays. Headers (eight words for 64 samples)
are handled as plain integers, which is cheaper than numpy for the handful of blocks of one poll; samples never are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rpmu.acquire import layout
from rpmu.acquire.blocks import AcquisitionInfo, PpsEvent, SampleBlock
from rpmu.acquire.extend import CounterClock, nearest
from rpmu.acquire.faults import fault_error
from rpmu.acquire.slots import Slots, Words
from rpmu.acquire.statistics import FIRMWARE_WORDS, ReaderCounts, RingStatistics
from rpmu.errors import HardwareError

__all__ = ["RingReader", "RingStatistics"]

SILENT_POLLS = 25  # without a heartbeat, which beats every millisecond; a quarter of a second at a poll every 10 ms
HEADER_WORDS = layout.BLOCK_HEADER_BYTES // 4


@dataclass(slots=True)
class _Run:
    """Consecutive blocks on their way to one `SampleBlock`: rows `start` to `end` of the copies."""

    start: int
    end: int
    first_scan: int
    counter: int
    epoch: int
    lost_samples: int
    bad_scans: int
    lost_scans_total: int = 0
    adc_status: int = 0
    fifo_high_water: int = 0


class RingReader:
    """Reads what the firmware writes, from now on.

    Args:
        window: the link's shared RAM, 32-bit words.
        info: what `rpmu.acquire.sampler.start` returned.

    Raises:
        HardwareError: the ring is not that of `info`.
    """

    def __init__(self, window: memoryview, info: AcquisitionInfo) -> None:
        self._words = np.frombuffer(window, dtype=np.uint32)
        self._info = info
        self._clock = CounterClock(info.counter_ticks_per_scan)
        self._scans_per_block = layout.BLOCK_SAMPLES * info.decimation
        self._blocks = self._ring_slots()
        self._events = self._event_slots()
        self._next_scan = self._status(layout.STATUS_SCANS)  # newest scan of the sample that should come next
        self._next_number = self._blocks.next  # the block that should hold it
        self._heartbeat = self._status(layout.STATUS_HEARTBEAT)
        self._counts = ReaderCounts()

    def poll(self) -> list[SampleBlock | PpsEvent]:
        """Everything new: PPS events first, then samples, each in the order of time.

        Raises:
            HardwareError: the firmware was restarted under the reader.
        """
        blocks = self._poll_blocks()
        events = self._poll_events()
        heartbeat = self._status(layout.STATUS_HEARTBEAT)
        self._counts.heartbeat_age_polls = self._counts.heartbeat_age_polls + 1 if heartbeat == self._heartbeat else 0
        self._heartbeat = heartbeat
        return [*events, *blocks]

    def newest_scan(self) -> int:
        """Number of the newest complete scan, as of now, extended like those of the blocks."""
        return nearest(self._status(layout.STATUS_SCANS), self._next_scan)

    def trouble(self) -> HardwareError | None:
        """Why the firmware does not sample any more, or None if it does. Cheap enough to ask after every poll."""
        state = self._status(layout.STATUS_STATE)
        if state == layout.STATE_FAULT:
            return fault_error(self._status(layout.STATUS_FAULT))
        if self._counts.heartbeat_age_polls >= SILENT_POLLS:
            return HardwareError("the PRU has stopped: its heartbeat does not move; load its firmware again")
        if state != layout.STATE_RUNNING:
            return HardwareError(f"the PRU firmware no longer samples (state {state}): start it again")
        return None

    def statistics(self) -> RingStatistics:
        """The counts so far, with the firmware's own as they are now."""
        # tolist reads item by item, so each is one aligned word (see slots.copy_words).
        status = self._words[layout.STATUS_OFFSET // 4 :][: layout.STATUS_BYTES // 4].tolist()
        return RingStatistics(
            **vars(self._counts),
            blocks_lost=self._blocks.lost,
            torn_copies=self._blocks.torn + self._events.torn,
            sequence_errors=self._blocks.misplaced + self._events.misplaced,
            events_lost=self._events.lost,
            **{name: status[word] for name, word in FIRMWARE_WORDS.items()},
        )

    def _status(self, offset: int) -> int:
        return int(self._words.item((layout.STATUS_OFFSET + offset) // 4))

    def _ring_slots(self) -> Slots:
        count = self._status(layout.STATUS_RING_BLOCKS)
        bytes_each = self._status(layout.STATUS_BLOCK_BYTES)
        expected = layout.BLOCK_HEADER_BYTES + 2 * self._info.channels * layout.BLOCK_SAMPLES
        if bytes_each != expected or count < 2 or layout.RING_OFFSET + count * bytes_each > layout.SHARED_RAM_BYTES:
            raise HardwareError(
                f"the PRU firmware's ring has {count} slots of {bytes_each} bytes, but {self._info.channels} channels "
                f"need slots of {expected} bytes and at least two: load the image that rpmu ships"
            )
        return Slots(self._words, layout.RING_OFFSET // 4, count, bytes_each // 4, layout.STATUS_BLOCKS_WRITTEN // 4)

    def _event_slots(self) -> Slots:
        start, words_each = layout.EVENTS_OFFSET // 4, layout.EVENT_BYTES // 4
        return Slots(self._words, start, layout.EVENT_SLOTS, words_each, layout.STATUS_EVENTS_WRITTEN // 4)

    # ---- samples ----

    def _poll_blocks(self) -> list[SampleBlock]:
        fresh = self._blocks.fresh()
        if fresh is None:
            return []
        first, copies = fresh
        return [self._joined(run, copies) for run in self._runs(first, copies)]

    def _runs(self, first: int, copies: Words) -> Iterator[_Run]:
        """Rows of `copies` (from block number `first`) that belong together."""
        run = None
        for index, header in enumerate(copies[:, :HEADER_WORDS].tolist()):
            seq, scan, counter, epoch, adc_status, high_water, bad_scans, lost_scans = header
            if self._blocks.misplaces(first + index, seq):
                continue
            scan, missing = self._place(first + index, scan)
            counter = self._clock.extend(scan, counter)
            self._counts.counter_mismatches += self._clock.slipped(epoch, scan, counter)
            if run is None or missing or epoch != run.epoch or bad_scans or run.bad_scans:
                if run is not None:
                    yield run
                run = _Run(index, index, scan, counter, epoch, self._account_gap(missing), bad_scans)
            run.end = index + 1
            run.lost_scans_total, run.adc_status = lost_scans, adc_status
            run.fifo_high_water = max(run.fifo_high_water, high_water)
        if run is not None:
            yield run

    def _place(self, number: int, scan: int) -> tuple[int, int]:
        """A block's scan number without wraps, and the scans missing before it."""
        predicted = self._next_scan + (number - self._next_number) * self._scans_per_block
        placed = nearest(scan, predicted)
        missing = placed - self._next_scan if self._counts.blocks else 0
        self._next_scan, self._next_number = placed + self._scans_per_block, number + 1
        self._counts.blocks += 1
        return placed, missing

    def _account_gap(self, missing: int) -> int:
        """Samples lost with so many scans. After a restart of the ADC, a part of a sample is a sample lost."""
        lost = max(0, -(-missing // self._info.decimation))
        self._counts.lost_samples += lost
        self._counts.gaps += lost > 0
        return lost

    def _joined(self, run: _Run, copies: Words) -> SampleBlock:
        samples = copies[run.start : run.end, HEADER_WORDS:].view(np.uint16).reshape(-1, self._info.channels)
        self._counts.samples += len(samples)
        self._counts.bad_blocks += run.bad_scans > 0
        return SampleBlock(
            first_scan=run.first_scan,
            codes=samples,
            epoch=run.epoch,
            counter=run.counter,
            lost_samples=run.lost_samples,
            bad_scans=run.bad_scans,
            lost_scans_total=run.lost_scans_total,
            adc_status=run.adc_status,
            fifo_high_water=run.fifo_high_water,
        )

    # ---- PPS events ----

    def _poll_events(self) -> list[PpsEvent]:
        fresh = self._events.fresh()
        if fresh is None:
            return []
        first, copies = fresh
        records = copies.view(layout.EVENT)[:, 0]
        events = [
            self._event(record)
            for number, record in enumerate(records, start=first)
            if not self._events.misplaces(number, int(record["seq"]))
        ]
        self._counts.events += len(events)
        return events

    def _event(self, record: np.void) -> PpsEvent:
        scan = nearest(int(record["first_scan"]), self._next_scan)
        return PpsEvent(
            source="pin" if int(record["source"]) == layout.EVENT_SOURCE_PIN else "adc",
            epoch=int(record["epoch"]),
            first_scan=scan,
            samples=record["data"][: int(record["sample_count"])].astype(np.uint16),
            crossing=int(record["crossing"]),
            counter_before=self._clock.place(scan, int(record["counter_before"])),
            counter_after=self._clock.place(scan, int(record["counter_after"])),
        )
