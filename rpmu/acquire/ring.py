"""Read the ring in the shared memory: blocks of samples and PPS events, each exactly once, every loss counted.

`slots` copies what is new and whole; here it becomes values. What is missing between two blocks follows from their scan
numbers, so a gap is known to the sample, however long the reader slept.

Consecutive blocks come out joined as one `SampleBlock`, cut wherever samples are missing, the ADC was restarted, or
the firmware marks substituted scans, so that downstream works on few, long arrays. Headers (eight words for 64 samples)
are handled as plain integers, which is cheaper than numpy for the handful of blocks of one poll; samples never are.
"""

from __future__ import annotations

import numpy as np

from rpmu.acquire import layout
from rpmu.acquire.blocks import AcquisitionInfo, PpsEvent, SampleBlock
from rpmu.acquire.extend import CounterClock, nearest
from rpmu.acquire.faults import fault_error
from rpmu.acquire.slots import Slots, Words
from rpmu.acquire.statistics import FIRMWARE_WORDS, ReaderCounts, RingStatistics
from rpmu.errors import HardwareError

__all__ = ["RingReader", "RingStatistics"]

SILENT_S = 0.5  # of waiting without a heartbeat, which beats every millisecond
HEADER_WORDS = layout.BLOCK_HEADER_BYTES // 4


Header = list[int]  # the words of a block's header, in the order of pru/layout.h


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
        self._scan_rate_hz = float(info.scan_rate_hz)
        self._scans_per_block = layout.BLOCK_SAMPLES * info.decimation
        self._ticks_per_block = round(self._scans_per_block * info.counter_ticks_per_scan)
        self._half_scan_ticks = round(info.counter_ticks_per_scan / 2)
        self._blocks = self._ring_slots()
        self._events = self._event_slots()
        self._next_scan = self._status(layout.STATUS_SCANS)  # newest scan of the sample that should come next
        self._next_number = self._blocks.next  # the block that should hold it
        self._heartbeat = self._status(layout.STATUS_HEARTBEAT)
        self._counts = ReaderCounts()

    def poll(self, waited_s: float = 0.0) -> list[SampleBlock | PpsEvent]:
        """Everything new: PPS events first, then samples, each in the order of time.

        Args:
            waited_s: that the caller asked to wait since the last poll. The firmware's silence is judged by the sum, so
                that neither a burst of polls nor a host that had no time for us passes for it.

        Raises:
            HardwareError: the firmware was restarted under the reader.
        """
        blocks = self._poll_blocks()
        events = self._poll_events()
        heartbeat = self._status(layout.STATUS_HEARTBEAT)
        self._counts.heartbeat_age_s = self._counts.heartbeat_age_s + waited_s if heartbeat == self._heartbeat else 0.0
        self._heartbeat = heartbeat
        return [*events, *blocks]

    def newest_scan(self) -> int:
        """Number of the newest complete scan, as of now, extended like those of the blocks."""
        return nearest(self._status(layout.STATUS_SCANS), self._next_scan)

    def wait_s(self, scan: int) -> float:
        """How long from now until the block with this scan will be there, by the nominal scan rate, s; 0 if it is."""
        blocks = (scan - self._next_scan) // self._scans_per_block + 1
        last = self._next_scan + blocks * self._scans_per_block - self._info.decimation
        return max(0, last - self.newest_scan()) / self._scan_rate_hz

    def trouble(self) -> HardwareError | None:
        """Why the firmware does not sample any more, or None if it does. Cheap enough to ask after every poll."""
        state = self._status(layout.STATUS_STATE)
        if state == layout.STATE_FAULT:
            return fault_error(self._status(layout.STATUS_FAULT))
        if self._counts.heartbeat_age_s >= SILENT_S:
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
        headers: list[Header] = copies[:, :HEADER_WORDS].tolist()
        joined = []
        start = 0
        while start < len(headers):
            end = start + 1
            if not self._blocks.misplaces(first + start, headers[start][0]):
                end = self._end_of_run(headers, start)
                joined.append(self._joined(first + start, headers[start:end], copies[start:end]))
            start = end
        return joined

    def _end_of_run(self, headers: list[Header], start: int) -> int:
        """Index after the last block that plainly continues the one at `start` and can be joined to it.

        A wrap of a number also ends a run; it is rare, and cheaper than looking for it.
        """
        seq, scan, counter, epoch, _, _, bad_scans, _ = headers[start]
        end = start + 1
        while end < len(headers) and not bad_scans:
            after = counter + self._ticks_per_block
            seq, scan = seq + 1, scan + self._scans_per_block
            next_seq, next_scan, counter, next_epoch, _, _, bad_scans, _ = headers[end]
            late = abs(counter - after) > self._half_scan_ticks
            if next_seq != seq or next_scan != scan or next_epoch != epoch or bad_scans or late:
                break
            end += 1
        return end

    def _joined(self, number: int, headers: list[Header], copies: Words) -> SampleBlock:
        """One `SampleBlock` from blocks that continue each other, the first of which has this number."""
        _, scan, counter, epoch, _, _, bad_scans, _ = headers[0]
        scan, missing = self._place(number, scan, len(headers))
        counter = self._clock.extend(scan, counter)
        samples = copies[:, HEADER_WORDS:].view(np.uint16).reshape(-1, self._info.channels)
        counts = self._counts
        counts.counter_mismatches += self._clock.slipped(epoch, scan, counter)
        counts.samples += len(samples)
        counts.bad_blocks += bad_scans > 0
        return SampleBlock(
            first_scan=scan,
            codes=samples,
            epoch=epoch,
            counter=counter,
            lost_samples=self._account_gap(missing),
            bad_scans=bad_scans,
            lost_scans_total=headers[-1][7],
            adc_status=headers[-1][4],
            fifo_high_water=max(header[5] for header in headers),
        )

    def _place(self, number: int, scan: int, blocks: int) -> tuple[int, int]:
        """The scan number of a run of blocks without wraps, and the scans missing before it."""
        predicted = self._next_scan + (number - self._next_number) * self._scans_per_block
        placed = nearest(scan, predicted)
        missing = placed - self._next_scan if self._counts.blocks else 0
        self._next_scan, self._next_number = placed + blocks * self._scans_per_block, number + blocks
        self._counts.blocks += blocks
        return placed, missing

    def _account_gap(self, missing: int) -> int:
        """Samples lost with so many scans. After a restart of the ADC, a part of a sample is a sample lost."""
        lost = max(0, -(-missing // self._info.decimation))
        self._counts.lost_samples += lost
        self._counts.gaps += lost > 0
        return lost

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
