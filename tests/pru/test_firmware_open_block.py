"""A sample that is counted is good, while its block is still open: nothing that the firmware takes back was counted."""

from __future__ import annotations

import numpy as np
import pytest

from rpmu.acquire import layout
from rpmu.twin.pruss import AdcErrors, AdcEvent
from tests.pru.firmware_rig import Rig, Setup
from tests.pru.test_firmware_recovery import hold_core

LOOK_S = 0.00002  # a quarter of a sample
NOISY = AdcErrors(noise_lsb_rms=40.0)  # of the same seed, so that every sample can be told from every other
FAULTS = {
    "a word lost": lambda rig: rig.inject(AdcEvent.DROP_WORDS, 1),
    "a word doubled": lambda rig: rig.inject(AdcEvent.DUPLICATE_WORDS, 1),
    "a scan lost whole": lambda rig: rig.inject(AdcEvent.DROP_WORDS, 2),
    "three scans lost whole": lambda rig: rig.inject(AdcEvent.DROP_WORDS, 6),
    "overrun": lambda rig: rig.inject(AdcEvent.FORCE_OVERRUN),
    "underflow": lambda rig: rig.inject(AdcEvent.FORCE_UNDERFLOW),
    "a pause of less than a scan": lambda rig: rig.inject(AdcEvent.STALL, round(0.4 * 3333)),
    "core held, and a scan lost": lambda rig: (rig.inject(AdcEvent.DROP_WORDS, 2), hold_core(rig, 3 * 3333)),
}


class OpenReader:
    """Takes every sample as soon as it is counted.

    Attributes:
        good: code by scan of the samples of the first epoch that nothing spoke against when they were counted.
        taken: how many were counted, of all epochs.
    """

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.good: dict[int, int] = {}
        self.taken = 0
        self._next = rig.status("SAMPLES_WRITTEN")

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / LOOK_S)):
            self.rig.run(LOOK_S)
            self.look()

    def look(self) -> None:
        written = self.rig.status("SAMPLES_WRITTEN")
        if written < self._next:
            assert self.rig.status("RESTARTS"), "the count goes back with a restart only"
            self._next -= self._next % layout.BLOCK_SAMPLES
        while self._next < written:
            self._take(*divmod(self._next, layout.BLOCK_SAMPLES))
            self._next += 1

    def _take(self, number: int, inside: int) -> None:
        size = self.rig.status("BLOCK_BYTES")
        block = self.rig._block(layout.RING_OFFSET + number % self.rig.status("RING_BLOCKS") * size, size)
        assert block.seq == number
        self.taken += 1
        if block.epoch == 1 and not block.bad_scans:
            scan = block.first_scan + inside * self.rig.setup.decimation
            assert scan not in self.good
            self.good[scan] = int(block.samples[inside, 0])


@pytest.fixture(scope="module")
def truth() -> dict[int, int]:
    """Code by scan without any fault, of blocks that were closed."""
    rig = Rig(adc=NOISY).start(Setup(measure_scans=3000)).read_for(0.07)
    scans = rig.scan_numbers().tolist()
    return dict(zip(scans, rig.samples()[:, 0].tolist(), strict=True))


def test_every_sample_is_counted_as_soon_as_it_is_there(truth):
    reader = OpenReader(Rig(adc=NOISY).start(Setup(measure_scans=3000)))
    for _ in range(500):
        reader.rig.run(LOOK_S)
        reader.look()
        newest = reader.rig.status("SCANS")
        assert not reader.good or newest - max(reader.good) <= 5
    assert len(reader.good) == reader.taken > 100
    assert all(truth[scan] == code for scan, code in reader.good.items())


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_counted_that_is_taken_back(truth, fault):
    for place in range(7):  # scans, so every place within a sample, and several within a block
        reader = OpenReader(Rig(adc=NOISY).start(Setup(measure_scans=3000)))
        reader.run(0.012 + place / 60_000)
        FAULTS[fault](reader.rig)
        reader.run(0.02)
        wrong = [scan for scan, code in reader.good.items() if scan in truth and truth[scan] != code]
        assert wrong == []
        assert reader.taken > 0.03 * 12_000 - 2 * layout.BLOCK_SAMPLES


def test_the_header_of_an_open_block_says_what_is_known_of_it():
    rig = Rig().start(Setup(measure_scans=3000)).read_for(0.02)
    while rig.status("SAMPLES_WRITTEN") % layout.BLOCK_SAMPLES != 5:
        rig.run(LOOK_S)
    number = rig.status("BLOCKS_WRITTEN")
    size = rig.status("BLOCK_BYTES")
    place = layout.RING_OFFSET + number % rig.status("RING_BLOCKS") * size
    open_block = rig._block(place, size)
    assert open_block.bad_scans == 0
    rig.inject(AdcEvent.DROP_WORDS, 1)
    rig.run(0.0003)
    assert rig._block(place, size).bad_scans == 1
    rig.read_for(0.01)
    closed = next(block for block in rig.blocks if block.seq == number)
    assert (closed.first_scan, closed.counter, closed.epoch, closed.bad_scans) == (
        open_block.first_scan,
        open_block.counter,
        open_block.epoch,
        1,
    )
    assert np.array_equal(closed.samples[:5], open_block.samples[:5])
