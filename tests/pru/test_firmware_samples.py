"""Samples: the decimator against an integer model, numbering, blocks, the ring."""

from __future__ import annotations

import numpy as np
import pytest

from rpmu.acquire import layout
from rpmu.twin.pruss import AdcErrors
from tests.pru.firmware_rig import Rig, Setup

NOISY = AdcErrors(noise_lsb_rms=40.0)  # the same seed gives the same raw codes, whatever the firmware does with them
WIDE = {1: (2, 8), 2: (2, 8), 3: (3, 4), 4: (2, 8), 5: (2, 8), 6: (2, 0)}  # (open, sample) delays per channel count


def raw_codes(channels: int, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """(scan number, raw code) as the firmware passes them on without decimation."""
    setup = Setup(channels, decimation=1, shift=0, delays=(WIDE[channels],) * (channels + 1))
    rig = Rig(setup, adc=NOISY).start().read_for(seconds, 0.005)
    return rig.scan_numbers(), rig.samples().astype(np.int64)


def cic(raw: np.ndarray, decimation: int, shift: int) -> np.ndarray:
    """Third-order CIC of raw [n, channels] as a plain convolution, before decimation; row i ends at raw row i."""
    box = np.ones(decimation, np.int64)
    window = np.convolve(np.convolve(box, box), box)
    full = np.stack([np.convolve(column, window)[: len(column)] for column in raw.T], axis=1)
    return (full + (1 << shift >> 1)) >> shift


@pytest.mark.parametrize(
    ("channels", "decimation", "shift"),
    [(1, 5, 3), (1, 2, 0), (1, 16, 8), (1, 3, 1), (2, 5, 3), (3, 5, 3), (4, 7, 5), (5, 10, 6), (6, 16, 8), (6, 1, 0)],
)
def test_decimator_is_exact_to_the_last_bit(channels, decimation, shift):
    scans, raw = raw_codes(channels, 0.12)
    setup = Setup(channels, decimation=decimation, shift=shift, delays=(WIDE[channels],) * (channels + 1))
    rig = Rig(setup, adc=NOISY).start().read_for(0.12, 0.005)
    assert scans[0] == 3  # two outputs of the decimator are thrown away, whatever it is filled with
    assert rig.blocks[0].first_scan == 3 * decimation
    assert set(rig.gaps()) == {0}
    expected = cic(raw, decimation, shift)
    newest = rig.scan_numbers()
    known = newest <= scans[-1]
    assert known.sum() >= 2 * layout.BLOCK_SAMPLES
    assert np.array_equal(rig.samples()[known], expected[newest[known] - scans[0]])
    assert rig.status("LOST_SCANS") == 0


def test_full_scale_fits_sixteen_bits():
    rig = Rig(adc=AdcErrors(offset_lsb=8000.0)).start().read_for(0.02)
    assert np.all(rig.samples() == (4095 * 125 + 4) >> 3)


def test_status_describes_the_stream():
    rig = Rig(Setup(channels=2, decimation=4, shift=2)).start()
    assert rig.status("CIC_ORDER") == 3
    assert rig.status("CIC_DELAY_HALF_SCANS") == 9
    assert rig.status("DECIMATION") == 4
    assert rig.status("BLOCK_BYTES") == 32 + 2 * 2 * 64
    assert rig.status("RING_BLOCKS") == (layout.SHARED_RAM_BYTES - layout.RING_OFFSET) // rig.status("BLOCK_BYTES")
    assert rig.status("LAYOUT_VERSION") == layout.LAYOUT_VERSION
    rig.read_for(0.05)
    in_open_block = rig.status("SAMPLES_WRITTEN") - 64 * rig.status("BLOCKS_WRITTEN")
    assert 0 <= in_open_block < 64
    assert rig.status("SCANS") == pytest.approx(0.05 * 40_000, abs=10)  # three steps of 25 clocks


@pytest.mark.parametrize("extra", [0, 1, 2])
def test_scan_length_is_measured_not_assumed(extra):
    rig = Rig(Setup(measure_scans=3000), adc=AdcErrors(extra_clocks_per_scan=extra)).start()
    ticks = rig.status("MEASURED_CYCLES") / rig.status("MEASURED_SCANS")
    assert rig.status("MEASURED_SCANS") == 3000
    assert ticks == pytest.approx((50 + extra) * 200 / 3, abs=0.05)
    rig.read_for(0.5)
    assert set(rig.gaps()) == {0}
    assert rig.status("RESTARTS") == 0


def test_blocks_follow_each_other_and_their_counter_follows_the_scans():
    rig = Rig().start().read_for(1.0)
    assert [block.seq for block in rig.blocks] == list(range(len(rig.blocks)))
    assert set(rig.gaps()) == {0}
    assert {block.epoch for block in rig.blocks} == {1}
    assert {block.lost_scans for block in rig.blocks} == {0}
    late = [rig.drift_scans(rig.blocks[0], block) * rig.setup.ticks_per_scan for block in rig.blocks]
    assert max(late) - min(late) < 120  # ticks: one look at the FIFO and what is around it
    # The counter is taken after the word of the last step was in the FIFO, never before.
    assert rig.pruss.statistics().fifo_high_water <= rig.setup.channels + 2


def test_reader_is_never_waited_for():
    rig = Rig().start()
    rig.run(2.0)
    written = rig.status("BLOCKS_WRITTEN")
    assert written == pytest.approx(2.0 * 12_000 / 64, abs=2)
    assert written > 4 * rig.status("RING_BLOCKS")
    assert rig.status("LOST_SCANS") == 0
    rig.next_block = written - rig.status("RING_BLOCKS") + 1  # what a late reader still finds is whole
    rig.read()
    assert [block.seq for block in rig.blocks] == list(range(written - rig.status("RING_BLOCKS") + 1, written))
    assert set(rig.gaps()) == {0}


def test_ring_overwrites_oldest_first_in_every_geometry():
    for channels in (1, 6):
        rig = Rig(Setup(channels, delays=(WIDE[channels],) * (channels + 1))).start()
        size, slots = rig.status("BLOCK_BYTES"), rig.status("RING_BLOCKS")
        rig.run(1.0)
        written = rig.status("BLOCKS_WRITTEN")
        for slot in range(slots):
            if slot == written % slots:
                continue
            seq = int(np.frombuffer(rig.raw(layout.RING_OFFSET + slot * size, 4), "<u4")[0])
            assert written - slots < seq < written
            assert seq % slots == slot
