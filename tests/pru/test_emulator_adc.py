"""TSC_ADC_SS: timing, FIFO, latch-up, modes. Times follow the TRM: 15 ADC clocks a step plus delays, 13 to convert."""

import math

import numpy as np
import pytest

from rpmu.twin.pruss import AdcErrors, AdcEvent, PruFault
from tests.pru.encode import halt, image
from tests.pru.machine import (
    ADC,
    ADCSTAT,
    CLOCK_GATE,
    CTRL,
    CTRL_RUN,
    CYCLES_PER_ADC_CLOCK,
    FIFO0COUNT,
    FIFO0DATA,
    IRQSTATUS,
    IRQSTATUS_RAW,
    OPEN_PORT,
    STEPENABLE,
    AdcBench,
    load_word,
)

OVERRUN, UNDERFLOW, THRESHOLD, END_OF_SEQUENCE = 8, 16, 4, 2


def bench(**options) -> AdcBench:
    result = AdcBench(**options)
    for ain in range(8):
        result.level(ain, 0.1 * ain)
    return result


def first_cycle_with(adc: AdcBench, words: int, start: int) -> int:
    """First PRU cycle at which FIFO0 holds so many words, by single cycles from `start`."""
    cycle = start
    while adc.read(FIFO0COUNT) < words:
        cycle += 1
        adc.pruss.run_until(cycle)
    return cycle


@pytest.mark.parametrize(("open_delay", "sample_delay"), [(0, 0), (10, 0), (2, 8)])
def test_first_word_is_ready_after_open_delay_sampling_and_13_clocks(open_delay, sample_delay):
    adc = bench(inputs=(0,), open_delay=open_delay, sample_delay=sample_delay)
    adc.begin()
    clocks = open_delay + 1 + sample_delay + 13
    assert first_cycle_with(adc, 1, 0) == math.ceil(clocks * CYCLES_PER_ADC_CLOCK)
    second = math.ceil((clocks + open_delay + sample_delay + 15) * CYCLES_PER_ADC_CLOCK)
    assert first_cycle_with(adc, 2, adc.pruss.cycle) == second


@pytest.mark.parametrize("extra", [0, 1, 2])
def test_scan_rate_is_exact_over_a_second(extra):
    adc = bench(adc=AdcErrors(extra_clocks_per_scan=extra))
    adc.begin()
    words = adc.collect(200_000_000, poll=80_000)
    ready = 24, 49  # clock of each step's word within its scan
    expected = sum((3_000_000 - clock) // (50 + extra) + 1 for clock in ready)
    assert len(words) == expected == adc.pruss.statistics().conversions
    assert (words >> 16 == np.arange(expected) % 2).all()


def test_tags_can_be_switched_off():
    adc = bench(inputs=(3, 4))
    adc.write(CTRL, CTRL_RUN & ~2)
    adc.write(STEPENABLE, adc.steps)
    assert (adc.collect(20_000) >> 16 == 0).all()


def test_revision_needs_the_module_clock():
    adc = bench()
    assert adc.read(0) == 0x47300001
    adc.pruss.write_word(CLOCK_GATE, 0)
    with pytest.raises(PruFault, match="0x44E004BC") as caught:
        adc.read(0)
    assert caught.value.kind == "clock_gated"


def test_step_registers_are_write_protected():
    adc = bench()
    before = adc.read(0x64)
    adc.write(CTRL, 0)
    adc.write(0x64, 0)
    assert adc.read(0x64) == before
    assert adc.pruss.statistics().protected_writes == 1


def test_fifo_holds_64_words_and_the_65th_latches_the_module():
    adc = bench()
    adc.begin()
    adc.pruss.run_until(64 * 1667 + 50)
    assert adc.read(FIFO0COUNT) == 64
    assert not adc.read(IRQSTATUS_RAW) & OVERRUN
    adc.pruss.run_until(66 * 1667)
    assert adc.read(IRQSTATUS_RAW) & OVERRUN
    assert len(adc.drain()) == 64
    adc.pruss.run_until(200 * 1667)
    assert adc.read(FIFO0COUNT) == 0, "no word enters a latched FIFO"
    assert adc.pruss.statistics().overruns == 1
    assert adc.pruss.statistics().words_dropped > 60


def recover(adc: AdcBench, wait: bool = True, clear: bool = True, disable: bool = True) -> int:
    """The TRM's way out of a latched FIFO, with steps left out on request; words in the next 100 us."""
    if disable:
        adc.write(CTRL, CTRL_RUN & ~1)
    if wait:
        adc.pruss.run_until(adc.pruss.cycle + 10_000)
        assert adc.read(ADCSTAT) & 0x3F == 16 or not disable
    if clear:
        adc.write(IRQSTATUS, OVERRUN | UNDERFLOW)
    adc.write(CTRL, CTRL_RUN)
    adc.drain()
    adc.pruss.run_until(adc.pruss.cycle + 20_000)
    return adc.read(FIFO0COUNT)


@pytest.mark.parametrize("event", [AdcEvent.FORCE_OVERRUN, AdcEvent.FORCE_UNDERFLOW])
def test_only_disable_idle_clear_enable_recovers(event):
    adc = bench()
    adc.begin()
    adc.pruss.run_until(50_000)
    adc.drain()
    adc.pruss.inject(event)
    assert recover(adc, disable=False) == 0
    adc.write(IRQSTATUS_RAW, OVERRUN)
    assert recover(adc, clear=False) == 0
    assert recover(adc, wait=False) == 0
    assert recover(adc) > 10


def test_clearing_another_flag_does_not_recover():
    adc = bench()
    adc.begin()
    adc.pruss.run_until(50_000)
    adc.pruss.inject(AdcEvent.FORCE_OVERRUN)
    adc.write(CTRL, CTRL_RUN & ~1)
    adc.pruss.run_until(60_000)
    adc.write(IRQSTATUS, THRESHOLD | END_OF_SEQUENCE | UNDERFLOW)
    assert recover(adc, disable=False, wait=False, clear=False) == 0


def test_without_its_clock_or_power_the_module_stands_still():
    adc = bench()
    adc.begin()
    adc.pruss.run_until(10_000)
    assert len(adc.drain()) == 6
    adc.pruss.write_word(CLOCK_GATE, 0)
    adc.pruss.run_until(100_000)
    adc.pruss.write_word(CLOCK_GATE, 2)
    assert adc.read(FIFO0COUNT) == 0
    assert list(adc.collect(10_000) >> 16)[:3] == [0, 1, 0], "a new scan"
    adc.write(CTRL, CTRL_RUN | 1 << 4)
    adc.collect(20_000)
    assert len(adc.collect(20_000)) == 0


def test_a_read_reaches_the_module_half_way_through_its_latency():
    """The word is ready at cycle 1600; a read of 41 cycles sees it if it was issued 20 cycles before or later."""
    for issued, seen in ((1579, 0), (1580, 1)):
        adc = bench(inputs=(0,))
        adc.pruss.load(0, image(*OPEN_PORT, *load_word("r1", ADC + FIFO0COUNT), halt()))
        adc.begin()
        setup = 3 + 1 + 2 + 2  # OPEN_PORT and the address
        adc.pruss.run_until(issued - setup)
        adc.pruss.start(0)
        adc.pruss.run_until(3000)
        assert adc.pruss.register(0, 1) == seen


def test_reading_an_empty_fifo_is_an_underflow():
    adc = bench()
    assert adc.read(FIFO0DATA) == 0
    assert adc.read(IRQSTATUS_RAW) & UNDERFLOW
    adc.begin()
    adc.pruss.run_until(20_000)
    assert adc.read(FIFO0COUNT) == 0
    assert adc.pruss.statistics().underflows == 1


def test_one_shot_clears_its_enable():
    adc = bench(mode=0)
    adc.begin()
    adc.pruss.run_until(20_000)
    assert adc.read(STEPENABLE) == 0
    assert adc.read(FIFO0COUNT) == 2
    assert adc.read(ADCSTAT) == 16


def test_the_sequencer_is_busy_one_clock_longer_than_the_conversion():
    adc = bench(inputs=(0,), mode=0)
    adc.begin()
    seen = []
    for cycle in (1599, 1601, 1666, 1668):
        adc.pruss.run_until(cycle)
        seen.append((adc.read(FIFO0COUNT), adc.read(ADCSTAT)))
    assert seen == [(0, 0x20), (1, 0x30), (1, 0x30), (1, 0x10)]


def test_disabling_finishes_the_running_conversion_then_idles():
    adc = bench(inputs=(0, 1, 2))
    adc.begin()
    adc.pruss.run_until(300)
    assert adc.read(ADCSTAT) == 0x20
    adc.write(CTRL, CTRL_RUN & ~1)
    adc.pruss.run_until(1500)
    assert adc.read(ADCSTAT) & 0x20
    adc.pruss.run_until(20_000)
    assert adc.read(ADCSTAT) == 16
    assert adc.read(FIFO0COUNT) == 1


def test_flags_threshold_and_end_of_sequence():
    adc = bench()
    adc.write(0xE8, 3)  # threshold 4
    adc.begin()
    adc.pruss.run_until(3 * 1667)
    assert adc.read(IRQSTATUS_RAW) == END_OF_SEQUENCE
    adc.pruss.run_until(4 * 1667)
    assert adc.read(IRQSTATUS_RAW) == END_OF_SEQUENCE | THRESHOLD
    adc.write(IRQSTATUS, THRESHOLD)
    assert adc.read(IRQSTATUS_RAW) == END_OF_SEQUENCE
    assert adc.read(IRQSTATUS) == 0, "nothing is enabled"
    adc.write(0x2C, END_OF_SEQUENCE)
    assert adc.read(IRQSTATUS) == END_OF_SEQUENCE


@pytest.mark.parametrize("extra_clock", [False, True])
@pytest.mark.parametrize("sample_delay", [0, 5])
def test_averaging_time_follows_the_chosen_formula(extra_clock, sample_delay):
    adc = bench(inputs=(0,), sample_delay=sample_delay, averaging=2, adc=AdcErrors(averaging_extra_clock=extra_clock))
    adc.begin()
    first = first_cycle_with(adc, 1, 0)
    second = first_cycle_with(adc, 2, first)
    clocks = 10 + 4 * (15 + sample_delay) if extra_clock else 10 + 1 + 4 * (14 + sample_delay)
    assert second - first == pytest.approx(clocks * CYCLES_PER_ADC_CLOCK, abs=1)
    assert adc.pruss.statistics().conversions == 8


@pytest.mark.parametrize("start", [1000, 1001, 1066])
def test_a_scan_begins_on_an_edge_of_the_adc_clock(start):
    adc = bench(inputs=(0,), open_delay=0)
    adc.pruss.run_until(start)
    adc.begin()
    edge = -(-start * 3 // 200)
    assert first_cycle_with(adc, 1, start) == -(-(edge + 14) * 200 // 3)


def test_dropped_and_duplicated_words_slip_the_tags():
    adc = bench()
    adc.begin()
    adc.pruss.run_until(100)
    adc.pruss.inject(AdcEvent.DROP_WORDS)
    assert list(adc.collect(10_000) >> 16)[:3] == [1, 0, 1]
    adc.pruss.inject(AdcEvent.DUPLICATE_WORDS)
    tags = list(adc.collect(20_000) >> 16)
    assert tags[0] == tags[1]


def test_a_stall_delays_and_loses_nothing():
    adc = bench()
    adc.begin()
    adc.pruss.run_until(100)
    adc.pruss.inject(AdcEvent.STALL, 1_000_000)
    adc.pruss.run_until(900_000)
    assert adc.read(FIFO0COUNT) == 0
    adc.pruss.run_until(1_000_000 + 2 * 1667)
    assert list(adc.drain() >> 16) == [0, 1]


@pytest.mark.parametrize(
    ("config", "what"), [(2, "hardware-triggered"), (1 | 1 << 25, "differential"), (1 | 9 << 19, "input")]
)
def test_what_is_not_modelled_faults(config, what):
    adc = bench()
    adc.write(0x64, config)
    with pytest.raises(PruFault, match=what) as caught:
        adc.begin()
    assert caught.value.kind == "not_modelled"


def test_unknown_register_faults():
    with pytest.raises(PruFault, match="0x44E0D104"):
        bench().pruss.read_word(ADC + 0x104)


def test_fifo1_is_separate():
    adc = bench(inputs=(1, 2))
    adc.write(0x6C, adc.read(0x6C) | 1 << 26)
    adc.begin()
    adc.pruss.run_until(20_000)
    assert set(adc.drain() >> 16) == {0}
    assert {adc.read(0x200) >> 16 for _ in range(adc.read(0xF0))} == {1}


def test_out_of_range_flag():
    adc = bench(inputs=(5,))
    adc.write(0x64, adc.read(0x64) | 1 << 27)
    adc.write(0x48, 0xFFF0000)
    adc.begin()
    adc.pruss.run_until(5_000)
    assert not adc.read(IRQSTATUS_RAW) & 0x100
    adc.write(0x48, 0xFF00000 | 0xF00)
    adc.pruss.run_until(10_000)
    assert adc.read(IRQSTATUS_RAW) & 0x100
