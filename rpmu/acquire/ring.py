"""Read the ring in the shared memory: blocks of samples and PPS events, each exactly once, every loss counted.

The firmware never waits for the reader, so the reader copies first and then looks again how far the writer has come:
what it may have overwritten meanwhile is thrown away and counted (pru/layout.h gives the rule). Block n lies in slot n
modulo the number of slots. What is missing between two blocks follows from their scan numbers, so a gap is known to
the sample, however long the reader slept.

Consecutive blocks come out joined as one `SampleBlock`, cut wherever samples are missing, the ADC was restarted, or
the firmware marks substituted scans, so that downstream works on few, long arrays.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from rpmu.acquire import layout
from rpmu.acquire.blocks import AcquisitionInfo, PpsEvent, SampleBlock
from rpmu.acquire.extend import HALF, WRAP, CounterClock, nearest, nearest_each
from rpmu.errors import HardwareError

Words = NDArray[np.uint32]

_ZERO = np.uint32(0)


def copy_words(source: Words, target: Words) -> None:
    """Copy words out of device memory, reading each as one aligned 32-bit word.

    A plain array copy may become memcpy, which is free to read bytes or to straddle words; device memory on ARM does
    not stand that. A calculation on typed items cannot become memcpy.
    """
    np.bitwise_or(source, _ZERO, out=target)


@dataclass(frozen=True)
class RingStatistics:
    """What happened so far. All numbers count up from the reader's start unless said otherwise.

    Attributes:
        blocks: blocks of the ring delivered.
        samples: samples delivered (per channel).
        blocks_lost: blocks that were overwritten before they were read, or were not what their slot should hold.
        lost_samples: samples missing between delivered blocks, whoever lost them.
        gaps: places where samples are missing.
        torn_copies: copies thrown away because the writer had come round meanwhile.
        sequence_errors: slots that held another block or event than the rules say.
        events: PPS events delivered.
        events_lost: PPS events overwritten before they were read.
        counter_mismatches: slips of the counter against the scan number by more than half a scan.
        bad_blocks: delivered blocks that hold scans which the firmware had to substitute.
        heartbeat_age_polls: polls since the firmware's heartbeat last moved; 0 means it is alive.
        state: the firmware's state (layout.STATE_*), as of now.
        fault: its fault (layout.FAULT_*), as of now.
        epoch: starts of the ADC sequencer since the firmware was loaded.
        overruns: FIFO overruns, by the firmware's count since START, as are those that follow.
        underflows: FIFO underflows.
        tag_slips: times that a word was not of the expected step.
        stalls: restarts because the ADC delivered nothing.
        restarts: restarts of the sequencer, whatever the cause.
        lost_scans: scans that are in no block, plus the substituted ones.
        fifo_high_water: most words ever found in the FIFO, of 64.
        max_work_cycles: longest time from a look at the FIFO that found a scan to the next look, counter ticks (5 ns).
        events_dropped: PPS events given up because a restart or a substituted scan hit them.
        count_slips: restarts because a block's scans did not agree with the counter.
    """

    blocks: int = 0
    samples: int = 0
    blocks_lost: int = 0
    lost_samples: int = 0
    gaps: int = 0
    torn_copies: int = 0
    sequence_errors: int = 0
    events: int = 0
    events_lost: int = 0
    counter_mismatches: int = 0
    bad_blocks: int = 0
    heartbeat_age_polls: int = 0
    state: int = 0
    fault: int = 0
    epoch: int = 0
    overruns: int = 0
    underflows: int = 0
    tag_slips: int = 0
    stalls: int = 0
    restarts: int = 0
    lost_scans: int = 0
    fifo_high_water: int = 0
    max_work_cycles: int = 0
    events_dropped: int = 0
    count_slips: int = 0


FIRMWARE_COUNTS = (
    "state",
    "fault",
    "epoch",
    "overruns",
    "underflows",
    "tag_slips",
    "stalls",
    "restarts",
    "lost_scans",
    "fifo_high_water",
    "max_work_cycles",
    "events_dropped",
    "count_slips",
)


@dataclass
class _Slots:
    """A row of slots that the firmware fills in a circle, and how far it has been read.

    Attributes:
        words: the slots, uint32 [slots, words per slot], live.
        sequence_word: index in a slot of its number's low 32 bits.
        next: number of the first block or event not yet looked at, from the firmware's start.
    """

    words: Words
    sequence_word: int
    next: int
    lost: int = 0
    torn: int = 0
    sequence_errors: int = 0
    _safe: int = field(init=False)

    def __post_init__(self) -> None:
        self._safe = len(self.words) - 1  # the slot after the newest may be in the writer's hands

    def written(self, count: int) -> int:
        """The writer's 32-bit count as a number that does not wrap.

        Raises:
            HardwareError: the count went back, so the firmware was started again under the reader.
        """
        ahead = (count - self.next) % WRAP
        if ahead >= HALF:
            raise HardwareError("the PRU firmware was restarted while it was being read: restart the acquisition")
        return self.next + ahead

    def copy(self, head: int) -> tuple[int, Words]:
        """Copy everything new below `head`; returns the number of the first and the copies [n, words per slot]."""
        first = max(self.next, head - self._safe)
        copies = np.empty((head - first, self.words.shape[1]), np.uint32)
        start = first % len(self.words)
        before_end = min(len(copies), len(self.words) - start)
        copy_words(self.words[start : start + before_end], copies[:before_end])
        if before_end < len(copies):
            copy_words(self.words[: len(copies) - before_end], copies[before_end:])
        return first, copies

    def accept(self, first: int, copies: Words, head: int) -> tuple[NDArray[np.int64], Words]:
        """Keep the copies that are certainly whole, given where the writer stood after copying; count the others."""
        torn = min(max(0, head - self._safe - first), len(copies))
        numbers = np.arange(first + torn, first + len(copies), dtype=np.int64)
        whole = copies[torn:]
        right = whole[:, self.sequence_word] == (numbers & (WRAP - 1))
        wrong = len(numbers) - int(np.count_nonzero(right))
        if wrong:
            numbers, whole = numbers[right], whole[right]
        self.torn += torn
        self.sequence_errors += wrong
        self.lost += first + len(copies) - self.next - len(numbers)
        self.next = first + len(copies)
        return numbers, whole


class RingReader:
    """Reads what the firmware writes, from now on.

    Args:
        window: the link's shared RAM, 32-bit words.
        info: what `rpmu.acquire.sampler.start` returned.
    """

    def __init__(self, window: memoryview, info: AcquisitionInfo) -> None:
        self._words = np.frombuffer(window, dtype=np.uint32)
        self._info = info
        self._clock = CounterClock(info.counter_ticks_per_scan)
        self._blocks = self._slots_of_ring()
        self._events = self._slots_of_events()
        self._next_scan = self._status(layout.STATUS_SCANS)  # newest scan of the sample that should come next
        self._next_number = self._blocks.next  # the block that should hold it
        self._heartbeat = self._status(layout.STATUS_HEARTBEAT)
        self._counts = RingStatistics()

    def poll(self) -> list[SampleBlock | PpsEvent]:
        """Everything new: PPS events first, then samples, each in the order of time.

        Raises:
            HardwareError: the firmware was restarted under the reader.
        """
        blocks = self._poll_blocks()
        events = self._poll_events()
        heartbeat = self._status(layout.STATUS_HEARTBEAT)
        age = self._counts.heartbeat_age_polls + 1 if heartbeat == self._heartbeat else 0
        self._heartbeat = heartbeat
        self._counts = replace(self._counts, heartbeat_age_polls=age)
        return [*events, *blocks]

    def statistics(self) -> RingStatistics:
        """The counts so far, with the firmware's own as they are now."""
        status = np.empty(layout.STATUS_BYTES // 4, np.uint32)
        copy_words(self._words[: layout.STATUS_BYTES // 4], status)
        record = status.view(layout.STATUS)[0]
        return replace(
            self._counts,
            blocks_lost=self._blocks.lost,
            torn_copies=self._blocks.torn + self._events.torn,
            sequence_errors=self._blocks.sequence_errors + self._events.sequence_errors,
            events_lost=self._events.lost,
            **{name: int(record[name]) for name in FIRMWARE_COUNTS},
        )

    def _status(self, offset: int) -> int:
        return int(self._words.item((layout.STATUS_OFFSET + offset) // 4))

    def _slots_of_ring(self) -> _Slots:
        count = self._status(layout.STATUS_RING_BLOCKS)
        bytes_each = self._status(layout.STATUS_BLOCK_BYTES)
        expected = layout.BLOCK_HEADER_BYTES + 2 * self._info.channels * layout.BLOCK_SAMPLES
        if bytes_each != expected or count < 2 or layout.RING_OFFSET + count * bytes_each > layout.SHARED_RAM_BYTES:
            raise HardwareError(
                f"the PRU firmware's ring has {count} slots of {bytes_each} bytes, but {self._info.channels} channels "
                f"need slots of {expected} bytes and at least two: load the image that rpmu ships"
            )
        words = self._words[layout.RING_OFFSET // 4 :][: count * bytes_each // 4].reshape(count, -1)
        return _Slots(words, layout.BLOCK_SEQ // 4, self._status(layout.STATUS_BLOCKS_WRITTEN))

    def _slots_of_events(self) -> _Slots:
        words = self._words[layout.EVENTS_OFFSET // 4 :][: layout.EVENT_SLOTS * layout.EVENT_BYTES // 4]
        slots = words.reshape(layout.EVENT_SLOTS, -1)
        return _Slots(slots, layout.EVENT_SEQ // 4, self._status(layout.STATUS_EVENTS_WRITTEN))

    def _fresh(self, slots: _Slots, count_offset: int) -> tuple[NDArray[np.int64], Words]:
        head = slots.written(self._status(count_offset))
        first, copies = slots.copy(head)
        return slots.accept(first, copies, slots.written(self._status(count_offset)))

    def _poll_blocks(self) -> list[SampleBlock]:
        numbers, copies = self._fresh(self._blocks, layout.STATUS_BLOCKS_WRITTEN)
        if not len(numbers):
            return []
        scans = self._extend_scans(numbers, copies[:, layout.BLOCK_FIRST_SCAN // 4])
        counters = self._clock.extend(scans, copies[:, layout.BLOCK_COUNTER // 4])
        ends = [*(np.flatnonzero(self._cuts(copies, scans)) + 1).tolist(), len(scans)]
        starts = [0, *ends[:-1]]
        return [
            self._joined(copies[start:end], scans[start:end], counters[start:end])
            for start, end in zip(starts, ends, strict=True)
        ]

    def _extend_scans(self, numbers: NDArray[np.int64], scans: Words) -> NDArray[np.int64]:
        predicted = self._next_scan + (numbers - self._next_number) * self._scans_per_block
        extended = nearest_each(scans, predicted)
        self._next_number = int(numbers[-1]) + 1
        return extended

    @property
    def _scans_per_block(self) -> int:
        return layout.BLOCK_SAMPLES * self._info.decimation

    def _cuts(self, copies: Words, scans: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Between which neighbours a `SampleBlock` must end, bool [n - 1]."""
        epoch = copies[:, layout.BLOCK_EPOCH // 4]
        bad = copies[:, layout.BLOCK_BAD_SCANS // 4] != 0
        apart = np.diff(scans) != self._scans_per_block
        return np.asarray(apart | (epoch[1:] != epoch[:-1]) | bad[1:] | bad[:-1], dtype=np.bool_)

    def _joined(self, copies: Words, scans: NDArray[np.int64], counters: NDArray[np.int64]) -> SampleBlock:
        headers = copies[:, : layout.BLOCK_HEADER_BYTES // 4]
        last = headers[-1].view(layout.BLOCK_HEADER)[0]
        epoch, bad_scans = int(last["epoch"]), int(headers[:, layout.BLOCK_BAD_SCANS // 4].sum())
        codes = copies[:, layout.BLOCK_DATA // 4 :].view(np.uint16).reshape(-1, self._info.channels)
        lost = self._account(scans, len(codes), bad_scans, self._clock.mismatches(epoch, scans, counters))
        return SampleBlock(
            first_scan=int(scans[0]),
            codes=codes,
            epoch=epoch,
            counter=int(counters[0]),
            lost_samples=lost,
            bad_scans=bad_scans,
            lost_scans_total=int(last["lost_scans"]),
            adc_status=int(last["adc_status"]),
            fifo_high_water=int(headers[:, layout.BLOCK_FIFO_HIGH_WATER // 4].max()),
        )

    def _account(self, scans: NDArray[np.int64], samples: int, bad_scans: int, mismatches: int) -> int:
        """Count a delivered run of blocks; returns the samples missing before it."""
        # After a restart of the ADC the gap need not be whole samples: a part of one is a sample lost.
        missing = -((self._next_scan - int(scans[0])) // self._info.decimation)
        lost = max(0, missing) if self._counts.blocks else 0
        self._next_scan = int(scans[-1]) + self._scans_per_block
        counts = self._counts
        self._counts = replace(
            counts,
            blocks=counts.blocks + len(scans),
            samples=counts.samples + samples,
            lost_samples=counts.lost_samples + lost,
            gaps=counts.gaps + (lost > 0),
            counter_mismatches=counts.counter_mismatches + mismatches,
            bad_blocks=counts.bad_blocks + (bad_scans > 0),
        )
        return lost

    def _poll_events(self) -> list[PpsEvent]:
        _, copies = self._fresh(self._events, layout.STATUS_EVENTS_WRITTEN)
        if not len(copies):
            return []
        events = [self._event(record) for record in copies.view(layout.EVENT)[:, 0]]
        self._counts = replace(self._counts, events=self._counts.events + len(events))
        return events

    def _event(self, record: np.void) -> PpsEvent:
        scan = nearest(int(record["first_scan"]), self._next_scan)
        return PpsEvent(
            source="pin" if int(record["source"]) == layout.EVENT_SOURCE_PIN else "adc",
            epoch=int(record["epoch"]),
            first_scan=scan,
            samples=record["data"][: int(record["sample_count"])].astype(np.uint16),
            crossing=int(record["crossing"]),
            counter_before=self._clock.extend_one(scan, int(record["counter_before"])),
            counter_after=self._clock.extend_one(scan, int(record["counter_after"])),
        )
