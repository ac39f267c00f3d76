"""Holds what the ring reader gives against what the writer must have written, sample by sample."""

from __future__ import annotations

import numpy as np

from rpmu.acquire import SampleBlock
from rpmu.acquire.ring import RingReader
from tests.acquire.fake_pru import code_of, pps_samples


class Judge:
    """Takes what the reader gives and compares it with what the writer must have written."""

    def __init__(self, pru, reader):
        self.pru, self.reader = pru, reader
        self.next_scan = pru.scan + pru.inside * pru.info.decimation
        self.counter_base = None
        self.samples = self.lost = self.events = 0
        self.first_event = pru.event

    def poll(self):
        items = self.reader.poll()
        for item in items:
            if isinstance(item, SampleBlock):
                self.judge_block(item)
            else:
                self.judge_event(item)
        return items

    def judge_block(self, block):
        info = self.pru.info
        scans = block.first_scan + np.arange(len(block.codes))[:, None] * info.decimation
        assert len(block.codes)
        assert np.array_equal(block.codes, code_of(scans, np.arange(info.channels)[None, :]))
        assert block.first_scan >= self.next_scan, "a sample came twice"
        gap = block.first_scan - self.next_scan
        unseen = not self.samples and self.pru.epoch > 1  # a restart before the first sample: nobody knows its length
        assert block.lost_samples == -(-gap // info.decimation) or unseen
        self.judge_counter(block.counter, block.first_scan)
        self.next_scan = block.first_scan + len(block.codes) * info.decimation
        self.samples += len(block.codes)
        self.lost += block.lost_samples

    def judge_event(self, event):
        self.events += 1
        if event.source == "adc":
            assert np.array_equal(event.samples, pps_samples(event.first_scan))
            self.judge_counter(event.counter_before, event.first_scan)

    def judge_counter(self, counter, scan):
        """The first counter seen may be whole wraps low; from there on every one is right, or late by one tick."""
        missing = self.pru.counter_at(scan) - counter
        self.counter_base = round(missing / 2**32) if self.counter_base is None else self.counter_base
        assert abs(missing - self.counter_base * 2**32) <= 1

    def settle(self):
        """With the writer quiet, what was written was delivered or counted as lost."""
        self.poll()
        counts = self.reader.statistics()
        assert counts.samples == self.samples
        assert counts.lost_samples == self.lost
        assert counts.events == self.events
        if self.pru.inside:
            assert self.next_scan == self.pru.scan + self.pru.inside * self.pru.info.decimation, "the newest is read"
        assert counts.events + counts.events_lost == self.pru.event - self.first_event
        assert counts.counter_mismatches == 0
        assert counts.sequence_errors == 0
        return counts


def reader_of(pru):
    return RingReader(pru.window, pru.info)
