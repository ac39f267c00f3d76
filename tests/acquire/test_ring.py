"""The ring reader against a writer that may be anywhere: nothing wrong, nothing twice, every loss counted."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpmu.acquire import PpsEvent, SampleBlock, layout
from rpmu.acquire.extend import CounterClock
from rpmu.acquire.ring import RingReader
from rpmu.errors import HardwareError
from tests.acquire.fake_pru import FakePru
from tests.acquire.judge import Judge, reader_of

TICKS_PER_SCAN = Fraction(10_000, 3)  # at 60 kHz
BLOCK_SCANS = layout.BLOCK_SAMPLES * 5


def test_quiet_reading_delivers_everything_joined():
    pru = FakePru()
    judge = Judge(pru, reader_of(pru))
    pru.write_blocks(8)
    pru.write_event(scan=100)
    items = judge.poll()
    assert [type(item) for item in items] == [PpsEvent, SampleBlock]
    assert items[1].codes.shape == (8 * layout.BLOCK_SAMPLES, 1)
    counts = judge.settle()
    assert (counts.samples, counts.lost_samples, counts.gaps, counts.torn_copies) == (8 * 64, 0, 0, 0)


@pytest.mark.parametrize("channels", [1, 3, 6])
def test_samples_come_while_their_block_is_open(channels):
    pru = FakePru(channels=channels)
    judge = Judge(pru, reader_of(pru))
    for count in [1, 1, 30, 31, 1, 2, 200, 64, 63, 65, 127, 5]:
        pru.write_samples(count)
        (block,) = judge.poll()
        assert len(block.codes) == count
        assert judge.poll() == []
    assert judge.settle().lost_samples == 0


def test_a_reader_that_starts_within_a_block_reads_from_there_on():
    pru = FakePru()
    pru.write_samples(100)
    judge = Judge(pru, reader_of(pru))
    pru.write_samples(50)
    (block,) = judge.poll()
    assert (block.first_scan, len(block.codes), block.lost_samples) == (500, 50, 0)
    judge.settle()


@pytest.mark.parametrize("read", [0, 1, 40, 63])
@pytest.mark.parametrize("afterwards", [0, 1, 39, 40, 41, 64, 100])
def test_an_open_block_that_is_given_up_is_read_anew(read, afterwards):
    pru = FakePru()
    judge = Judge(pru, reader_of(pru))
    pru.write_samples(64 + read)
    judge.poll()
    pru.restart_adc(scans_lost=30)
    judge.poll()
    pru.write_samples(afterwards)
    judge.poll()
    pru.write_samples(3)
    items = judge.poll()
    assert [item.epoch for item in items] == [2]
    assert judge.settle().lost_samples == 6
    assert judge.samples == 64 + read + afterwards + 3


def test_a_block_given_up_between_two_polls_is_told_by_its_header():
    pru = FakePru()
    judge = Judge(pru, reader_of(pru))
    pru.write_samples(10)
    judge.poll()
    pru.restart_adc(scans_lost=30)
    pru.write_samples(10)  # as many as before: the count alone tells nothing
    judge.poll()
    pru.write_samples(1)
    (block,) = judge.poll()
    assert (block.epoch, len(block.codes), block.lost_samples) == (2, 11, 6)
    judge.settle()


def test_what_was_written_before_the_reader_is_not_delivered():
    pru = FakePru()
    pru.write_blocks(5)
    judge = Judge(pru, reader_of(pru))
    pru.write_blocks(2)
    judge.poll()
    assert judge.settle().samples == 2 * layout.BLOCK_SAMPLES


@pytest.mark.parametrize("channels", [1, 3, 6])
def test_stalled_reader_keeps_what_the_ring_holds_and_counts_the_rest(channels):
    pru = FakePru(channels=channels)
    judge = Judge(pru, reader_of(pru))
    pru.write_blocks(4)
    judge.poll()
    stall = 94  # blocks in 500 ms at 187.5 a second
    pru.write_blocks(stall)
    judge.poll()
    kept = min(stall, pru.ring_blocks - 1)
    counts = judge.settle()
    assert counts.samples == (4 + kept) * layout.BLOCK_SAMPLES
    assert counts.lost_samples == (stall - kept) * layout.BLOCK_SAMPLES
    assert counts.gaps == (1 if stall > kept else 0)


def test_one_channel_survives_350_ms():
    pru = FakePru()
    judge = Judge(pru, reader_of(pru))
    pru.write_blocks(65)  # 347 ms
    judge.poll()
    assert judge.settle().lost_samples == 0


@pytest.mark.parametrize("asleep_blocks", [0, 200, 25_000])  # 0; one second; more than two wraps of the counter
def test_wraps_of_every_number(asleep_blocks):
    pru = FakePru(block=2**32 - 3, scan=2**32 - 1000, counter=2**32 - 100_000, event=2**32 - 1)
    judge = Judge(pru, reader_of(pru))
    pru.write_blocks(2)
    judge.poll()
    pru.block += asleep_blocks
    pru.scan += asleep_blocks * BLOCK_SCANS
    pru.write_blocks(pru.ring_blocks)  # one more than can be read
    judge.poll()
    for _ in range(30):
        pru.write_event(scan=pru.scan - 40)
        pru.write_blocks(3)
        judge.poll()
    pru.write_blocks(1)
    items = judge.poll()
    assert items[-1].first_scan == pru.scan - BLOCK_SCANS > 2**32
    counts = judge.settle()
    assert counts.lost_samples == (asleep_blocks + 1) * layout.BLOCK_SAMPLES
    assert counts.events == 30


def test_a_sleep_of_a_day_and_a_half_is_counted_to_the_sample():
    pru = FakePru()
    judge = Judge(pru, reader_of(pru))
    pru.write_blocks(2)
    judge.poll()
    asleep = 187 * 86400 * 3 // 2  # scan numbers wrapped once
    pru.block += asleep
    pru.scan += asleep * BLOCK_SCANS
    pru.write_blocks(pru.ring_blocks)
    judge.poll()
    assert judge.settle().lost_samples == (asleep + 1) * layout.BLOCK_SAMPLES


def test_adc_restart_starts_a_new_block_and_its_gap_is_known():
    pru = FakePru()
    judge = Judge(pru, reader_of(pru))
    pru.write_blocks(2)
    pru.restart_adc(scans_lost=1003)
    pru.write_blocks(2)
    first, second = judge.poll()
    assert (first.epoch, second.epoch) == (1, 2)
    assert second.lost_samples == 201  # 1003 scans: 200 samples and a part of one
    counts = judge.settle()
    assert (counts.restarts, counts.lost_scans, counts.gaps, counts.epoch) == (1, 1003, 1, 2)


def test_a_restart_without_a_gap_still_cuts():
    pru = FakePru()
    judge = Judge(pru, reader_of(pru))
    pru.write_blocks(1)
    pru.restart_adc(scans_lost=0)
    pru.write_blocks(1)
    assert [block.epoch for block in judge.poll()] == [1, 2]


def test_substituted_scans_are_not_joined_with_good_ones():
    pru = FakePru()
    judge = Judge(pru, reader_of(pru))
    pru.write_blocks(2)
    pru.bad_scans = 3
    pru.write_blocks(3)
    assert [(block.bad_scans, len(block.codes) // 64) for block in judge.poll()] == [(0, 2), (3, 1), (0, 2)]
    assert judge.settle().bad_blocks == 1


def test_clipped_scans_come_with_the_next_samples():
    pru = FakePru()
    pru.set_status(layout.STATUS_CLIPPED, 2**32 - 2)
    reader = reader_of(pru)
    pru.write_samples(10)
    assert [block.clipped_scans for block in reader.poll()] == [0]
    pru.set_status(layout.STATUS_CLIPPED, 1)
    assert reader.poll() == []
    pru.write_samples(10)
    assert [block.clipped_scans for block in reader.poll()] == [3]
    pru.write_samples(100)
    assert [block.clipped_scans for block in reader.poll()] == [0]
    pru.restart_adc(scans_lost=50)
    pru.write_samples(100)
    pru.bad_scans = 1
    pru.write_samples(100)
    pru.set_status(layout.STATUS_CLIPPED, 6)
    blocks = reader.poll()
    assert len(blocks) > 1
    assert {block.clipped_scans for block in blocks} == {5}, "nobody knows which of them"
    assert reader.statistics().clipped_scans == 6


def test_a_clipped_scan_is_not_missed_by_a_look_from_before_its_samples(monkeypatch):
    pru = FakePru()
    reader = reader_of(pru)
    pru.write_samples(10)
    reader.poll()
    pru.write_samples(10)
    look = reader._look

    def stale_look():
        status = look()
        pru.set_status(layout.STATUS_CLIPPED, 1)
        return status

    monkeypatch.setattr(reader, "_look", stale_look)
    assert [block.clipped_scans for block in reader.poll()] == [1]


def test_samples_before_a_substituted_scan_of_their_block_stay_good():
    pru = FakePru()
    judge = Judge(pru, reader_of(pru))
    pru.write_samples(20)
    good = judge.poll()
    pru.bad_scans = 1
    pru.write_samples(1)
    bad = judge.poll()
    pru.write_samples(20)
    bad += judge.poll()
    pru.write_blocks(2)
    assert [block.bad_scans for block in good + bad + judge.poll()] == [0, 1, 1, 1, 0]
    assert judge.settle().bad_blocks == 1


def test_pin_events_carry_an_interval_and_no_samples():
    pru = FakePru(counter=2**32 - 50)
    reader = reader_of(pru)
    pru.write_blocks(1)
    pru.write_event(scan=310, pin=True)
    event = reader.poll()[0]
    assert (event.source, event.samples.size, event.first_scan) == ("pin", 0, 310)
    assert event.counter_after - event.counter_before == 2
    assert event.counter_before == pru.counter_at(310) > 2**32


def test_events_overwritten_unread_are_counted():
    pru = FakePru()
    judge = Judge(pru, reader_of(pru))
    for second in range(7):
        pru.write_event(scan=second * 60_000)
    assert [event.first_scan for event in judge.poll()] == [240_000, 300_000, 360_000]
    assert judge.settle().events_lost == 4


def test_counter_slip_is_counted_once():
    pru = FakePru()
    reader = reader_of(pru)
    pru.write_blocks(5)
    reader.poll()
    pru.first_counter += round(0.6 * pru.ticks_per_scan)
    pru.write_blocks(5)
    reader.poll()
    assert reader.statistics().counter_mismatches == 1
    pru.first_counter -= round(0.4 * pru.ticks_per_scan)
    pru.write_blocks(5)
    reader.poll()
    assert reader.statistics().counter_mismatches == 1, "late reading by less than half a scan is no slip"


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(
        st.tuples(
            st.one_of(st.integers(0, 1000), st.sampled_from([1_200_000, 1_300_000, 10_000_000])),  # scans on
            st.one_of(st.integers(-20, 200), st.integers(-4000, 4000), st.integers(0, 2**32)),  # ticks late
            st.sampled_from([1, 1, 1, 2]),  # epoch
        ),
        max_size=20,
    ),
)
def test_the_short_way_to_extend_a_counter_is_right(start, steps):
    short, long = CounterClock(TICKS_PER_SCAN), CounterClock(TICKS_PER_SCAN)
    scan = 0
    for scans_on, late, epoch in steps:
        scan += scans_on
        counter = (start + round(scan * TICKS_PER_SCAN) + late) % 2**32
        assert short.see(epoch, scan, counter) == long._see_anything(epoch, scan, counter)
        assert vars(short) == vars(long)


@pytest.mark.parametrize("scans", [0.6, -0.6])
def test_a_slip_between_blocks_of_one_poll_is_seen(scans):
    pru = FakePru()
    reader = reader_of(pru)
    pru.write_blocks(2)
    pru.first_counter += round(scans * pru.ticks_per_scan)
    pru.write_blocks(3)
    assert [len(block.codes) // 64 for block in reader.poll()] == [2, 3]
    assert reader.statistics().counter_mismatches == 1


@pytest.mark.parametrize("polls_before", [0, 2])
def test_scan_numbers_that_jump_while_the_counter_does_not(polls_before):
    pru = FakePru()
    reader = reader_of(pru)
    for _ in range(polls_before):
        pru.write_blocks(2)
        reader.poll()
    pru.write_blocks(2)
    pru.scan += 5
    pru.first_scan += 5
    pru.write_blocks(2)
    assert [block.lost_samples for block in reader.poll()] == [0, 1]
    assert reader.statistics().counter_mismatches == 1


def test_a_newest_block_of_another_number_is_looked_at_closely():
    pru = FakePru()
    judge = Judge(pru, reader_of(pru))
    for _ in range(2):
        pru.write_blocks(2)
        judge.poll()
    pru.write_samples(64 + 10)
    pru.words[pru._slot] = 77
    (block,) = judge.poll()
    assert len(block.codes) == 64
    assert judge.reader.statistics().sequence_errors == 1


def test_a_slot_with_another_block_is_lost_and_counted():
    pru = FakePru()
    reader = reader_of(pru)
    pru.write_blocks(3)
    pru.words[layout.RING_OFFSET // 4 + pru.block_words] = 77  # the second block's number
    _, second = reader.poll()
    assert second.lost_samples == layout.BLOCK_SAMPLES
    counts = reader.statistics()
    assert (counts.samples, counts.lost_samples, counts.sequence_errors) == (128, 64, 1)


def test_heartbeat_age():
    pru = FakePru()
    reader = reader_of(pru)
    for _ in range(3):
        reader.poll(0.125)
    assert reader.statistics().heartbeat_age_s == 0.375
    pru.beat()
    reader.poll(0.125)
    assert reader.statistics().heartbeat_age_s == 0.0


def test_trouble_is_named_while_it_lasts():
    pru = FakePru()
    pru.set_status(layout.STATUS_STATE, layout.STATE_RUNNING)
    reader = reader_of(pru)
    assert reader.trouble() is None
    for _ in range(100):
        reader.poll(0.001)
    assert reader.trouble() is None, "many polls are no long time"
    for _ in range(5):
        reader.poll(0.1)
    assert "heartbeat" in str(reader.trouble())
    pru.beat()
    reader.poll()
    assert reader.trouble() is None
    pru.set_status(layout.STATUS_STATE, layout.STATE_IDLE)
    assert "no longer samples" in str(reader.trouble())
    pru.set_status(layout.STATUS_FAULT, layout.FAULT_ADC_SILENT)
    pru.set_status(layout.STATUS_STATE, layout.STATE_FAULT)
    assert "no conversions" in str(reader.trouble())


def test_header_fields_are_in_the_order_that_the_reader_unpacks():
    names = ("seq", "first_scan", "counter", "epoch", "adc_status", "fifo_high_water", "bad_scans", "lost_scans")
    assert layout.BLOCK_HEADER.names == names
    assert [layout.BLOCK_HEADER.fields[name][1] for name in names] == list(range(0, 32, 4))
    *names, data = layout.EVENT.names
    assert names[:4] == ["seq", "source", "epoch", "first_scan"]
    assert names[4:] == ["counter_before", "counter_after", "sample_count", "crossing"]
    assert [layout.EVENT.fields[name][1] for name in (*names, data)] == list(range(0, 36, 4))
    assert layout.EVENT.itemsize == layout.EVENT_DATA + 2 * layout.EVENT_SAMPLES


def test_firmware_reloaded_under_the_reader():
    pru = FakePru(block=1000)
    reader = reader_of(pru)
    pru.set_status(layout.STATUS_SAMPLES_WRITTEN, 2)
    with pytest.raises(HardwareError, match="restarted while it was being read"):
        reader.poll()


def test_ring_of_another_firmware_is_refused():
    pru = FakePru(channels=2)
    with pytest.raises(HardwareError, match="1 channels need slots of 160 bytes"):
        RingReader(pru.window, FakePru().info)


def test_firmware_counts_appear_in_the_statistics():
    pru = FakePru()
    names = (
        "overruns",
        "underflows",
        "tag_slips",
        "stalls",
        "fifo_high_water",
        "max_work_cycles",
        "fault",
        "state",
        "count_slips",
    )
    for value, name in enumerate(names, start=11):
        pru.set_status(getattr(layout, f"STATUS_{name.upper()}"), value)
    counts = reader_of(pru).statistics()
    assert [getattr(counts, name) for name in names] == list(range(11, 11 + len(names)))
