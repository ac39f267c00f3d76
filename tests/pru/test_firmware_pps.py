"""PPS events: the raw samples around an edge, the second input on a pin, and what must not become an event."""

from __future__ import annotations

import numpy as np
import pytest

from rpmu.acquire import layout
from rpmu.twin.pruss import AdcErrors, AdcEvent, BusTiming
from tests.pru.firmware_rig import PPS_AIN, SECOND, Rig, Setup

TAU = 3333.0
CONVERSION_TICKS = 13 * 200 / 3  # from the sampling instant to the word in the FIFO


def fitted_edge(event, ticks_per_scan: float) -> float:
    """Ticks from the crossing sample's sampling instant back to the edge, from the RC slope itself."""
    codes = event.samples.astype(float)
    plateau = codes[-8:].mean()
    slope = np.flatnonzero((codes > 0.1 * plateau) & (codes < 0.9 * plateau))
    return float(np.mean(-TAU * np.log(1 - codes[slope] / plateau) - (slope - event.crossing) * ticks_per_scan))


def test_event_holds_the_slope_where_the_edge_was():
    rig = Rig().start()
    start = rig.pruss.cycle
    seconds = [0.0100113 * k for k in range(1, 20)]
    rig.pulses(seconds, width_s=0.004)
    rig.read_for(0.2, 0.01)
    assert [event.seq for event in rig.events] == list(range(19))
    for event, second in zip(rig.events, seconds, strict=True):
        assert (event.source, event.epoch, event.count, event.crossing) == (layout.EVENT_SOURCE_ADC, 1, 48, 16)
        assert event.samples[16] >= 1000
        assert np.all(event.samples[:16] < 1000)
        edge = start + second * SECOND
        # The counter is late by the conversion and by one look at the FIFO (some 100 ticks); the emulator's cycle 0 is
        # the counter's 0 but for the boot instructions.
        late = event.before - CONVERSION_TICKS - fitted_edge(event, rig.setup.ticks_per_scan) - edge
        assert -60 < late < 130, late


def test_event_scan_numbers_are_those_of_the_samples():
    setup = Setup(1, decimation=1, shift=0, ain=(PPS_AIN, PPS_AIN))  # the PPS also goes through the sample path
    rig = Rig(setup).start()
    rig.pulses([0.02, 0.05], width_s=0.004, tau_cycles=0.0)
    rig.read_for(0.08, 0.005)
    scans, codes = rig.scan_numbers(), rig.samples()[:, 0]
    rises = scans[1:][(codes[1:] > 1000) & (codes[:-1] < 500)]
    assert len(rises) == len(rig.events) == 2
    for rise, event in zip(rises, rig.events, strict=True):
        # Both steps sample the same pin, 25 clocks apart: the PPS step may see the edge in the scan before.
        assert event.first_scan + event.crossing in (rise - 1, rise)
        assert event.first_scan + event.crossing == event.first_scan + int(np.argmax(event.samples >= 1000))


def test_hysteresis_and_bounce_make_one_event():
    rig = Rig().start()
    here = rig.pruss.cycle
    bounce = here + 0.01 * SECOND + np.arange(8) * 3 * 3333.0  # up and down every third scan
    rig.pruss.set_pulses(PPS_AIN, bounce, np.tile([1.65, 0.0], 4), 0.0)
    small = here + 0.03 * SECOND + np.arange(8) * 20 * 3333.0  # between the thresholds: 300 to 900 counts
    rig.pruss.set_pulses(PPS_AIN, small, np.tile([900 / 4096 * 1.8, 300 / 4096 * 1.8], 4), 0.0)
    rig.read_for(0.06)
    assert len(rig.events) == 1
    assert np.all(rig.events[0].samples[:16] < 500)  # the first rise counts, not the last
    assert rig.events[0].samples[16] >= 1000
    assert rig.status("EVENTS_DROPPED") == 0


def test_noise_at_the_threshold_does_not_repeat_the_edge():
    rig = Rig(adc=AdcErrors(noise_lsb_rms=60.0)).start()
    rig.pulses([0.02], width_s=0.02, tau_cycles=40_000.0)  # a slow edge: many samples near the threshold
    rig.read_for(0.06)
    assert len(rig.events) == 1


def test_old_events_are_overwritten_newest_stay():
    rig = Rig().start()
    rig.pulses([0.005 * k for k in range(1, 11)], width_s=0.002)
    rig.run(0.06)
    assert rig.status("EVENTS_WRITTEN") == 10
    rig.next_event = 6
    rig.read()
    assert [event.seq for event in rig.events] == [6, 7, 8, 9]


def test_a_level_that_is_high_from_the_start_is_no_edge():
    rig = Rig(seed=3)
    rig.pruss.set_pulses(PPS_AIN, [rig.pruss.cycle + 10.0, rig.pruss.cycle + 0.05 * SECOND], [1.65, 0.0], 0.0)
    rig.start().read_for(0.06)
    assert rig.status("EVENTS_WRITTEN") == 0


def test_event_that_a_restart_interrupts_is_dropped_and_counted():
    rig = Rig().start()
    rig.pulses([0.01, 0.03], width_s=0.005)
    rig.read_for(0.0102)  # some twelve scans after the edge
    rig.inject(AdcEvent.FORCE_OVERRUN)
    rig.read_for(0.04)
    assert rig.status("EVENTS_DROPPED") == 1
    assert len(rig.events) == 1
    assert rig.events[0].epoch == 2
    assert rig.events[0].samples[16] >= 1000


def test_event_with_a_substituted_scan_is_dropped():
    rig = Rig().start()
    rig.pulses([0.01, 0.03], width_s=0.005)
    rig.read_for(0.0102)
    rig.inject(AdcEvent.DROP_WORDS)
    rig.read_for(0.04)
    assert rig.status("TAG_SLIPS") == 1
    assert (rig.status("EVENTS_DROPPED"), len(rig.events)) == (1, 1)


# ---- the pin ----


@pytest.mark.parametrize("bit", [0, 7, 14, 16])
def test_pin_edges_lie_inside_their_interval(bit):
    rig = Rig(Setup(pin=bit)).start()
    offset = counter_offset(rig)
    edges = rig.pruss.cycle + (0.005 + 0.00301017 * np.arange(60)) * SECOND
    falls = edges + 0.001 * SECOND
    rig.pruss.set_pin_edges(0, bit, np.ravel(np.column_stack([edges, falls])), np.tile([1.0, 0.0], 60))
    rig.read_for(0.2, 0.005)
    assert len(rig.events) == 60
    widths = []
    for event, edge in zip(rig.events, edges, strict=True):
        assert (event.source, event.count) == (layout.EVENT_SOURCE_PIN, 0)
        assert event.before <= edge - offset <= event.after
        widths.append(event.after - event.before)
        newest = rig.blocks[0].first_scan + (event.before - rig.blocks[0].counter) / rig.setup.ticks_per_scan
        assert event.first_scan == pytest.approx(newest, abs=1.2)
    assert np.median(widths) == 2  # ticks: where nothing else is to be done
    assert 200 < max(widths) < 800  # ticks: while a scan is worked on


def test_pin_that_is_low_for_a_moment_only_is_seen_truly_or_not_at_all():
    rig = Rig(Setup(pin=14)).start()
    offset = counter_offset(rig)
    falls = rig.pruss.cycle + 10_000 + np.arange(1200) * 3_333.777  # rises 20 ticks later: about one look
    rises = falls + 20
    rig.pruss.set_pin_edges(0, 14, [rig.pruss.cycle + 5_000.0], [1.0])
    rig.pruss.set_pin_edges(0, 14, np.ravel(np.column_stack([falls, rises])), np.tile([0.0, 1.0], 1200))
    rig.read_for(0.024, 0.00002)
    seen = [event for event in rig.events if event.before + offset > falls[0] - 100]
    assert len(seen) > 300
    for event in seen:
        inside = (rises - offset >= event.before) & (rises - offset <= event.after)
        assert inside.sum() == 1


def counter_offset(rig: Rig) -> int:
    """Emulator cycle of the look at the pin at which the counter was 0: it is read by the instruction before."""
    return rig.pruss.cycle - rig.pruss.read_word(0x2E00C) + BusTiming().iep_read


@pytest.mark.parametrize("phase", np.arange(0, 1, 0.125))
@pytest.mark.parametrize("scans_off", [0, -3.53])  # a crystal exactly right, and one 58.8 ppm off
def test_pin_edge_that_is_due_is_waited_for(phase, scans_off):
    """Wherever it falls between two scans, while one is worked on or not: from the third second on it is seen sharp."""
    rig = Rig(Setup(pin=14)).start()
    offset = counter_offset(rig)
    period, early_or_late = rig.setup.ticks_per_scan, np.array([0, 0, 0, 0, 1900, 1900])
    edges = rig.pruss.cycle + 0.2 * SECOND + np.arange(6) * (SECOND + scans_off * period) + early_or_late
    edges += phase * period
    rig.pruss.set_pin_edges(0, 14, np.ravel(np.column_stack([edges, edges + 0.1 * SECOND])), np.tile([1.0, 0.0], 6))
    rig.read_for(5.4, 0.05)
    for event, edge in zip(rig.events, edges, strict=True):
        assert event.before <= edge - offset <= event.after
    assert [event.after - event.before for event in rig.events[2:]] == [2] * 4
    assert set(rig.gaps()) == {0}
    assert rig.status("RESTARTS") == 0
    assert 2 < rig.status("FIFO_HIGH_WATER") <= 8


@pytest.mark.parametrize("late", np.arange(-1, 4, 0.5))
def test_waiting_for_the_pin_does_not_look_like_a_lost_scan(late):
    """A scan that waited in the FIFO says nothing about the counter, not even the last one of a block."""
    rig = Rig(Setup(1, decimation=1, shift=0, pin=14)).start()
    offset = counter_offset(rig)
    rig.read_for(0.05, 0.002)
    block = rig.blocks[-1]
    ends = block.first_scan + layout.BLOCK_SAMPLES * 100 - 1
    edges = offset + block.counter + (ends + late - block.first_scan) * rig.setup.ticks_per_scan + np.arange(5) * SECOND
    rig.pruss.set_pin_edges(0, 14, np.ravel(np.column_stack([edges, edges + 0.1 * SECOND])), np.tile([1.0, 0.0], 5))
    rig.read_for(4.2, 0.005)
    assert len(rig.events) == 5
    assert (rig.status("RESTARTS"), rig.status("COUNT_SLIPS")) == (0, 0)
    assert set(rig.gaps()) == {0}


def test_pin_does_not_disturb_the_samples():
    rig = Rig(Setup(pin=14)).start()
    rig.pruss.set_pin_edges(0, 14, rig.pruss.cycle + np.arange(1, 401) * 50_000.5, np.tile([1.0, 0.0], 200))
    rig.read_for(0.15, 0.004)
    assert rig.status("EVENTS_WRITTEN") == 200
    assert set(rig.gaps()) == {0}
    assert rig.status("FIFO_HIGH_WATER") <= 3


def test_pin_that_is_not_asked_for_makes_no_event():
    rig = Rig().start()
    rig.pruss.set_pin_edges(0, 14, rig.pruss.cycle + np.arange(1, 11) * 50_000.5, np.tile([1.0, 0.0], 5))
    rig.read_for(0.02)
    assert rig.status("EVENTS_WRITTEN") == 0


def test_both_inputs_share_the_slots():
    rig = Rig(Setup(pin=14)).start()
    rig.pulses([0.01, 0.02], width_s=0.005)
    edges = rig.pruss.cycle + np.array([0.01, 0.015, 0.02, 0.025]) * SECOND
    rig.pruss.set_pin_edges(0, 14, edges, [1.0, 0.0, 1.0, 0.0])
    rig.read_for(0.04, 0.005)
    pin, adc = layout.EVENT_SOURCE_PIN, layout.EVENT_SOURCE_ADC
    assert [event.source for event in rig.events] == [pin, adc, pin, adc]
    assert [event.seq for event in rig.events] == [0, 1, 2, 3]


def test_no_event_reaches_back_behind_a_restart():
    rig = Rig().start()
    rig.pulses([k * 45 / 60_000 for k in range(1, 400)], width_s=20 / 60_000, tau_cycles=0.0)
    for k in range(12):  # twelve distances from restart to edge
        rig.read_for(0.016 + 0.00031 * k, 0.001)
        rig.inject(AdcEvent.FORCE_UNDERFLOW)
    rig.read_for(0.02, 0.001)
    assert rig.status("RESTARTS") == 12
    for epoch in range(1, 14):
        first_scan = min(block.first_scan for block in rig.blocks if block.epoch == epoch) - 3 * 5 + 1
        events = [event for event in rig.events if event.epoch == epoch]
        assert events
        assert min(event.first_scan for event in events) >= first_scan
