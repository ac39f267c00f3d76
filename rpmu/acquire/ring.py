"""Read the ring in the shared memory: samples and PPS events, each exactly once, every loss counted.

The reader keeps its place in samples, not in blocks: a sample is read as soon as the firmware counts it, while its
block is still open. The rules are those of pru/layout.h. The count is written after the sample, its check and the
header, so what is counted is whole and good; a copy is held against a second look at the count, because the writer may
have come round meanwhile, or have given the open block up.

Everything new comes out joined as one `SampleBlock`, cut wherever samples are missing, the ADC was restarted, or the
firmware marks substituted scans, so that downstream works on few, long arrays. What is missing follows from the scan
numbers, so a gap is known to the sample, however long the reader slept.

Nearly every poll finds that nothing of the kind has happened: same epoch, nothing substituted, and a newest block with
just the scan number that it must have if none is missing in between, since numbers never go back. Then one copy of just
the samples that are new is all (`_smooth`); everything else goes block by block and header by header (`_rough`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rpmu.acquire import layout
from rpmu.acquire.blocks import AcquisitionInfo, PpsEvent, SampleBlock
from rpmu.acquire.extend import HALF, LOW, WRAP, CounterClock, nearest
from rpmu.acquire.faults import fault_error
from rpmu.acquire.slots import RESTARTED, Slots, Words, copy_slots, gather_words
from rpmu.acquire.statistics import FIRMWARE_WORDS, ReaderCounts, RingStatistics
from rpmu.errors import HardwareError

__all__ = ["RingReader", "RingStatistics"]

SILENT_S = 0.5  # of waiting without a heartbeat, which beats every millisecond
RING_WORD = layout.RING_OFFSET // 4
HEADER_WORDS = layout.BLOCK_HEADER_BYTES // 4
EVENT_HEAD_WORDS = layout.EVENT_DATA // 4
EACH = layout.BLOCK_SAMPLES
STATUS_WORDS = layout.STATUS_BYTES // 4
SAMPLES_WORD, EPOCH_WORD = layout.STATUS_SAMPLES_WRITTEN // 4, layout.STATUS_EPOCH // 4
STATE_WORD, HEARTBEAT_WORD = layout.STATUS_STATE // 4, layout.STATUS_HEARTBEAT // 4
SCANS_WORD, CLIPPED_WORD = layout.STATUS_SCANS // 4, layout.STATUS_CLIPPED // 4
EVENTS_WORD, SUBSTITUTED_WORD = layout.STATUS_EVENTS_WRITTEN // 4, layout.STATUS_SUBSTITUTED // 4

UINT16 = np.dtype(np.uint16)

Header = list[int]  # the words of a block's header, in the order of pru/layout.h
Codes = NDArray[np.uint16]


class RingReader:
    """Reads what the firmware writes, from now on.

    Args:
        window: the link's shared RAM, 32-bit words.
        info: what `rpmu.acquire.sampler.start` returned.
        counter_at_start: the counter at scan 0, to within seconds, where it runs on from a run before (`counter_at`).

    Raises:
        HardwareError: the ring is not that of `info`.
    """

    def __init__(self, window: memoryview, info: AcquisitionInfo, counter_at_start: int | None = None) -> None:
        self._status = window[layout.STATUS_OFFSET // 4 :][:STATUS_WORDS]
        self._words = np.frombuffer(window, dtype=np.uint32)
        self._info = info
        self._clock = CounterClock(info.counter_ticks_per_scan, counter_at_start)
        self._scan_rate_hz = float(info.scan_rate_hz)
        self._scans_per_block = EACH * info.decimation
        self._ticks_per_block = round(self._scans_per_block * info.counter_ticks_per_scan)
        self._half_scan_ticks = round(info.counter_ticks_per_scan / 2)
        self._blocks = self._ring_slots()
        self._slots, self._words_each = self._blocks.shape
        # of each slot, what tells its block: SEQ, FIRST_SCAN, COUNTER, EPOCH
        self._headers = [window[start : start + 4] for start in self._slot_words()]
        self._places = self._sample_places()
        self._decimation, self._channels = info.decimation, info.channels
        self._events = self._event_slots()
        status = self._look()
        self._epoch = status[EPOCH_WORD]
        self._substituted = status[SUBSTITUTED_WORD]
        self._clipped = status[CLIPPED_WORD]
        # Number of the sample that should come next. The count of blocks tells what that of samples has lost by wraps.
        self._next = nearest(status[SAMPLES_WORD], EACH * status[layout.STATUS_BLOCKS_WRITTEN // 4])
        self._next_scan = status[SCANS_WORD]  # and its newest scan
        # The first words of the block that was read last: where it was not read to its end, they tell it from another.
        self._block: Header = self._headers[self._next // EACH % self._slots].tolist()
        self._calm = False  # that block is of this epoch, its place among the scans is known, and nothing in it is bad
        self._bad_block = -1  # the last with substituted scans
        self._heartbeat = status[HEARTBEAT_WORD]
        self._counts = ReaderCounts()

    def poll(self, waited_s: float = 0.0) -> list[SampleBlock | PpsEvent]:
        """Everything new: PPS events first, then samples, each in the order of time.

        Args:
            waited_s: that the caller asked to wait since the last poll. The firmware's silence is judged by the sum, so
                that neither a burst of polls nor a host that had no time for us passes for it.

        Raises:
            HardwareError: the firmware was restarted under the reader.
        """
        status = self._look()
        smooth = self._smooth(status)
        blocks = [smooth] if smooth is not None else self._poll_roughly(status)
        clipped = self._status[CLIPPED_WORD]  # as of now, since it is counted ahead of the samples
        if clipped != self._clipped and blocks:
            blocks = [replace(block, clipped_scans=(clipped - self._clipped) & LOW) for block in blocks]
            self._clipped = clipped
        events = self._poll_events() if status[EVENTS_WORD] != self._events.next & LOW else []
        heartbeat = status[HEARTBEAT_WORD]
        self._counts.heartbeat_age_s = self._counts.heartbeat_age_s + waited_s if heartbeat == self._heartbeat else 0.0
        self._heartbeat = heartbeat
        return [*events, *blocks]

    def newest_scan(self) -> int:
        """Number of the newest complete scan, as of now, extended like those of the samples."""
        return nearest(self._status[SCANS_WORD], self._next_scan)

    def wait_s(self, scan: int) -> float:
        """How long from now until this scan is complete, by the nominal scan rate, s; 0 if it is."""
        ahead = (scan - self._status[SCANS_WORD]) & LOW
        return ahead / self._scan_rate_hz if ahead < HALF else 0.0

    def counter_at(self, scan: int) -> int | None:
        """The counter, without its wraps, at a scan by its low 32 bits; None before the first block."""
        return self._clock.at(nearest(scan, self._next_scan))

    def trouble(self) -> HardwareError | None:
        """Why the firmware does not sample any more, or None if it does. Cheap enough to ask after every poll."""
        state = self._status[STATE_WORD]
        if state == layout.STATE_FAULT:
            return fault_error(self._status[layout.STATUS_FAULT // 4])
        if self._counts.heartbeat_age_s >= SILENT_S:
            return HardwareError("the PRU has stopped: its heartbeat does not move; load its firmware again")
        if state != layout.STATE_RUNNING:
            return HardwareError(f"the PRU firmware no longer samples (state {state}): start it again")
        return None

    def statistics(self) -> RingStatistics:
        """The counts so far, with the firmware's own as they are now."""
        status = self._look()
        counts = vars(self._counts) | {
            "torn_copies": self._counts.torn_copies + self._events.torn,
            "sequence_errors": self._counts.sequence_errors + self._events.misplaced,
            "counter_mismatches": self._clock.slips,
        }
        return RingStatistics(
            **counts,
            events_lost=self._events.lost,
            **{name: status[word] for name, word in FIRMWARE_WORDS.items()},
        )

    def _look(self) -> list[int]:
        """The words of the status. They are read one by one, from the first to the last, as aligned words."""
        return self._status.tolist()

    def _ring_slots(self) -> Words:
        count = self._status[layout.STATUS_RING_BLOCKS // 4]
        bytes_each = self._status[layout.STATUS_BLOCK_BYTES // 4]
        expected = layout.BLOCK_HEADER_BYTES + 2 * self._info.channels * EACH
        if bytes_each != expected or count < 2 or layout.RING_OFFSET + count * bytes_each > layout.SHARED_RAM_BYTES:
            raise HardwareError(
                f"the PRU firmware's ring has {count} slots of {bytes_each} bytes, but {self._info.channels} channels "
                f"need slots of {expected} bytes and at least two: load the image that rpmu ships"
            )
        words_each = bytes_each // 4
        return self._words[RING_WORD:][: count * words_each].reshape(count, words_each)

    def _slot_words(self) -> range:
        """Where each slot begins in the shared RAM, in words."""
        return range(RING_WORD, RING_WORD + self._slots * self._words_each, self._words_each)

    def _sample_places(self) -> NDArray[np.intp]:
        """Where the words that hold samples lie, slot by slot: twice round, so that what wraps is one slice as well."""
        within = np.arange(HEADER_WORDS, self._words_each)
        return np.tile(np.add.outer(self._slot_words(), within).reshape(-1), 2).astype(np.intp)

    def _event_slots(self) -> Slots:
        start, words_each = layout.EVENTS_OFFSET // 4, layout.EVENT_BYTES // 4
        return Slots(self._words, start, layout.EVENT_SLOTS, words_each, layout.STATUS_EVENTS_WRITTEN // 4)

    # ---- samples: how far ----

    def _poll_roughly(self, status: list[int]) -> list[SampleBlock]:
        while status[EPOCH_WORD] != self._epoch:
            # Were the epoch another than at the last look, the count could be from before the open block was given up.
            self._epoch, self._calm = status[EPOCH_WORD], False
            status = self._look()
        written = nearest(status[SAMPLES_WORD], self._next)
        if written < self._next:
            self._go_back(written)
        return self._rough(status, written) if written > self._next else []

    def _smooth(self, status: list[int]) -> SampleBlock | None:
        """Everything new, if it continues what was read before and is good; None if it has to be looked at closely.

        Args:
            status: whose count of samples is good for its epoch.
        """
        if not self._calm or status[EPOCH_WORD] != self._epoch or status[SUBSTITUTED_WORD] != self._substituted:
            return None
        begin, first_scan, slots = self._next, self._next_scan, self._slots
        count = (status[SAMPLES_WORD] - begin) & LOW
        block, inside = begin // EACH, begin % EACH
        later = (inside + count - 1) // EACH  # by so many blocks the newest is the later one
        if not count or later + 1 >= slots:
            return None
        # From the next sample to the first one of the newest block, and where that must be.
        apart = later * self._scans_per_block - inside * self._decimation
        newest, newest_scan = block + later, first_scan + apart
        number, scan, counter, epoch = header = self._headers[newest % slots].tolist()
        codes = self._copy(block % slots * EACH + inside, count)
        written = (self._status[SAMPLES_WORD] - begin) & LOW
        came_round = (inside + written) // EACH >= slots
        if came_round or not epoch == self._epoch == self._status[EPOCH_WORD]:
            return None
        if number != newest & LOW or scan != newest_scan & LOW:
            return None
        counter = self._clock.see(epoch, newest_scan, counter, apart)
        self._block = header
        self._next = begin + count
        self._next_scan = first_scan + count * self._decimation
        self._counts.samples += count
        return SampleBlock(first_scan, codes, epoch, counter)

    def _copy(self, begin: int, count: int) -> Codes:
        """Copy samples, uint16 [count, channels].

        Args:
            begin: place of the first among all that the ring has room for.
            count: how many; they may wrap.
        """
        channels = self._channels
        first = begin * channels  # code; two lie in one word
        places = self._places[first // 2 : (first + count * channels + 1) // 2]
        # One view instead of three: as uint16, without the half of a word before the first code, by channels.
        return np.ndarray((count, channels), UINT16, gather_words(self._words, places), first % 2 * 2)

    def _rough(self, status: list[int], written: int) -> list[SampleBlock]:
        """What is new, block by block.

        Args:
            status: the look that told how much there is.
            written: number after the last sample that is there.
        """
        slots = self._slots
        # the slot after the open block's is the oldest that is whole; what was in the open block's is lost
        first = max(self._next // EACH, written // EACH - slots + 1)
        copies = copy_slots(self._blocks, first, -(-written // EACH) - first)
        sure, again = written, self._look()
        if again[EPOCH_WORD] != self._epoch:  # the open block may have been given up and written anew under our hands
            sure = written - (written - 1) % EACH - 1
            self._counts.torn_copies += 1
        torn = min(max(0, nearest(again[SAMPLES_WORD], written) // EACH - slots + 1 - first), len(copies))
        self._counts.torn_copies += torn
        self._substituted, self._calm = status[SUBSTITUTED_WORD], False
        left = copies[torn:]
        return self._cut(first + torn, left, sure) if len(left) and sure > self._next else []

    def _go_back(self, written: int) -> None:
        """The open block was given up: what comes in its place is new, from its beginning.

        Raises:
            HardwareError: the count went back further than that, so the firmware was started again under the reader.
        """
        beginning = self._next - self._next % EACH
        if not beginning <= written:
            raise HardwareError(RESTARTED)
        self._next, self._block, self._calm = beginning, [], False

    # ---- samples: what ----

    def _cut(self, first: int, copies: Words, end: int) -> list[SampleBlock]:
        """Samples from the next one up to number `end`, joined where they continue each other.

        Args:
            first: number of the first block copied.
            copies: uint32 [n, words of a slot].
            end: number after the last sample that is there.
        """
        headers: list[Header] = copies[:, :HEADER_WORDS].tolist()
        codes = copies[:, HEADER_WORDS:].view(np.uint16).reshape(-1, self._info.channels)
        zero = first * EACH  # number of the first sample in `codes`
        continued = self._next > zero and headers[0][:4] == self._block
        begin = self._next if continued else zero
        blocks, row = [], 0
        while zero + row * EACH < end:
            last = self._end_of_run(headers, row)
            start, stop = max(begin, zero + row * EACH), min(zero + last * EACH, end)
            if headers[row][0] != (first + row) % WRAP:
                self._counts.sequence_errors += 1
            elif (block := self._joined(headers[row], start, codes[start - zero : stop - zero])) is not None:
                blocks.append(block)
            row = last
        self._next, self._block = end, headers[row - 1][:4]
        self._calm = bool(blocks) and blocks[-1].epoch == self._epoch and not blocks[-1].bad_scans
        return blocks

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

    def _joined(self, header: Header, start: int, codes: Codes) -> SampleBlock | None:
        """One `SampleBlock` from samples that continue each other.

        Args:
            header: of the block that the first of them lies in.
            start: number of the first.
            codes: uint16 [n, channels].

        Returns:
            None if they should have come earlier: then the header is not to be trusted.
        """
        _, scan, counter, epoch, _, _, bad_scans, _ = header
        within = start % EACH * self._info.decimation  # scans from the block's first sample
        passed = (start - self._next) * self._info.decimation
        placed = nearest(scan + within, self._next_scan + passed)
        counts = self._counts
        missing = placed - self._next_scan if counts.samples else passed
        if missing < 0:
            counts.sequence_errors += 1
            return None
        block_scan = placed - within
        counter = self._clock.see(epoch, block_scan, counter, -within)
        counts.samples += len(codes)
        if bad_scans and start // EACH != self._bad_block:
            self._bad_block = start // EACH
            counts.bad_blocks += 1
        self._next, self._next_scan = start + len(codes), placed + len(codes) * self._info.decimation
        return SampleBlock(
            first_scan=placed,
            codes=codes,
            epoch=epoch,
            counter=counter,
            lost_samples=self._account_gap(missing),
            bad_scans=bad_scans,
        )

    def _account_gap(self, missing: int) -> int:
        """Samples lost with so many scans. After a restart of the ADC, a part of a sample is a sample lost."""
        lost = -(-missing // self._info.decimation)
        self._counts.lost_samples += lost
        self._counts.gaps += lost > 0
        return lost

    # ---- PPS events ----

    def _poll_events(self) -> list[PpsEvent]:
        fresh = self._events.fresh()
        if fresh is None:
            return []
        first, copies = fresh
        # A field of a structured array would cost as much as all words before the samples as a list.
        heads, samples = copies[:, :EVENT_HEAD_WORDS].tolist(), copies[:, EVENT_HEAD_WORDS:].view(UINT16)
        events = [
            self._event(head, own)
            for number, (head, own) in enumerate(zip(heads, samples, strict=True), start=first)
            if not self._events.misplaces(number, head[0])
        ]
        self._counts.events += len(events)
        return events

    def _event(self, head: list[int], samples: NDArray[np.uint16]) -> PpsEvent:
        """One event.

        Args:
            head: its words before the samples, in the order of pru/layout.h.
            samples: the room for its samples, uint16 [EVENT_SAMPLES].
        """
        _, source, epoch, first_scan, counter_before, counter_after, count, crossing = head
        scan = nearest(first_scan, self._next_scan)
        return PpsEvent(
            source="pin" if source == layout.EVENT_SOURCE_PIN else "adc",
            epoch=epoch,
            first_scan=scan,
            samples=samples[:count],
            crossing=crossing,
            counter_before=self._clock.place(scan, counter_before),
            counter_after=self._clock.place(scan, counter_after),
        )
