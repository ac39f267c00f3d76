"""Start-up, commands, parameters, heartbeat: what the mailbox promises, in every state."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from rpmu.acquire import layout
from rpmu.acquire.link import shipped_image
from rpmu.twin.pruss import AdcEvent, PruFault
from tests.pru.firmware_rig import IEP_COUNT_ADDRESS, SECOND, Rig, Setup

ADC_CTRL, ADC_STEPENABLE, ADC_CLOCK_GATE = 0x44E0D040, 0x44E0D054, 0x44E004BC


def test_boot_needs_nothing_from_memory_and_reports_itself():
    rig = Rig(seed=5)  # RAM and mailbox full of random words
    assert rig.status("STATE") == layout.STATE_IDLE
    assert rig.status("LAYOUT_VERSION") == layout.LAYOUT_VERSION
    assert rig.status("FIRMWARE_VERSION") >> 16 >= 1
    names = ("FAULT", "BLOCKS_WRITTEN", "EVENTS_WRITTEN", "EPOCH", "RESTARTS", "LOST_SCANS", "ADC_REVISION")
    assert {rig.status(name) for name in names} == {0}
    sequence = rig.words[(layout.PARAMS_OFFSET + layout.PARAMS_COMMAND_SEQ) // 4]
    assert rig.status("COMMAND_ACK") == sequence  # what lay in the mailbox is not obeyed


def test_boot_and_stop_leave_the_closed_port_alone():
    rig = Rig()
    assert rig.command(layout.COMMAND_STOP) == layout.STATE_IDLE  # an access to the ADC would be a PruFault
    with pytest.raises(PruFault):
        rig.pruss.read_word(ADC_CTRL)  # its clock is still off


def test_nothing_that_a_predecessor_left_matters():
    rig = Rig(boot=False)
    rng = np.random.default_rng(2)
    for register in range(30):
        rig.pruss.set_register(0, register, int(rng.integers(0, 2**32)))
    rig.pruss.write_word(0x22020, 3)  # CTBIR0, CTBIR1: constants 24 to 27 elsewhere
    rig.pruss.write_word(0x22024, 5)
    rig.pruss.write_word(0x2E000, 0x551)  # the counter adds 5 ...
    rig.pruss.write_word(0x2E048, 100_000)  # ... and compare 0 resets it
    rig.pruss.write_word(0x2E040, 3)
    rig.pruss.write_word(ADC_CLOCK_GATE, 2)
    rig.pruss.write_word(0x44E0D02C, 0x7FF)  # interrupts, DMA, one step of another owner, words in the FIFO
    rig.pruss.write_word(0x44E0D038, 3)
    rig.pruss.write_word(ADC_CTRL, 7)
    rig.pruss.write_word(ADC_STEPENABLE, 1 << 3)
    rig.run(0.0005)
    rig.start().read_for(0.05)
    assert set(rig.gaps()) == {0}
    assert rig.blocks[0].first_scan == 15
    assert all(abs(rig.drift_scans(rig.blocks[0], block)) < 0.05 for block in rig.blocks)
    assert np.ptp(rig.samples()) > 20_000  # the sine on AIN0, 900 of 4096 counts either way
    counters = ("RESTARTS", "EVENTS_DROPPED", "EVENTS_WRITTEN", "TAG_SLIPS", "LOST_SCANS")
    assert {rig.status(name) for name in counters} == {0}
    assert rig.pruss.read_word(0x44E0D02C) == rig.pruss.read_word(0x44E0D038) == 0


def test_magic_is_written_last():
    rig = Rig(boot=False)
    while rig.status("MAGIC") != layout.LAYOUT_MAGIC:
        assert rig.status("MAGIC") == 0
        rig.pruss.run_until(rig.pruss.cycle + 1)
    assert rig.status("STATE") == layout.STATE_IDLE
    assert rig.status("LAYOUT_VERSION") == layout.LAYOUT_VERSION


GOOD = Setup()
OUT_OF_RANGE = {
    "no channel": {"CHANNELS": 0},
    "seven channels": {"CHANNELS": 7},
    "channels wrap a byte": {"CHANNELS": 0x101},
    "ADC clock above 3 MHz": {"ADC_CLKDIV": 6},
    "divider of 17 bits": {"ADC_CLKDIV": 0x10007},
    "no decimation": {"DECIMATION": 0},
    "decimation 17": {"DECIMATION": 17},
    "output of 17 bits": {"OUTPUT_SHIFT": 2},
    "shift 32": {"OUTPUT_SHIFT": 32},
    "threshold above full scale": {"PPS_HIGH": 4096},
    "no hysteresis": {"PPS_LOW": 1000},
    "pin 17": {"PPS_PIN": 17},
    "measures too short": {"MEASURE_SCANS": 511},
    "measures too long": {"MEASURE_SCANS": 60_001},
    "watches a channel that is not there": {"WATCHED": 2},
    "watches 256 channels": {"WATCHED": 0x100},
    "range beyond full scale": {"HIGHEST": 4096},
    "range upside down": {"LOWEST": 2000, "HIGHEST": 1999},
    "no such input": {"AIN": 8},
    "reserved delay bits": {"STEP_DELAY": 1 << 18},
}


@pytest.mark.parametrize("bad", OUT_OF_RANGE.values(), ids=OUT_OF_RANGE)
def test_parameters_out_of_range_are_refused_and_the_next_start_works(bad):
    rig = Rig()
    rig.write_parameters(GOOD)
    for name, value in bad.items():
        rig.param(name, value, 1 if name in ("AIN", "STEP_DELAY") else 0)
    assert rig.command(layout.COMMAND_START) == layout.STATE_FAULT
    assert rig.status("FAULT") == layout.FAULT_PARAMS
    rig.start(GOOD).read_for(0.02)
    assert rig.status("FAULT") == layout.FAULT_NONE
    assert len(rig.blocks) >= 2


def test_limits_themselves_are_accepted():
    rig = Rig()
    setup = Setup(6, clkdiv=7, decimation=16, shift=8, high=4095, low=0, pin=16, measure_scans=512)
    rig.start(dataclasses.replace(setup, delays=((0, 0),) * 7)).read_for(0.3)
    assert set(rig.gaps()) == {0}
    assert rig.status("RESTARTS") == 0


def test_unused_steps_are_not_looked_at():
    rig = Rig()
    rig.write_parameters(GOOD)
    rig.param("AIN", 99, 2)
    assert rig.command(layout.COMMAND_START) == layout.STATE_RUNNING


def test_unknown_command_is_a_fault_that_stops_the_adc():
    rig = Rig().start()
    assert rig.command(7) == layout.STATE_FAULT
    assert rig.status("FAULT") == layout.FAULT_PARAMS
    assert rig.pruss.read_word(ADC_STEPENABLE) == 0


def test_adc_is_programmed_as_asked():
    setup = Setup(2, clkdiv=9, ain=(3, 5, 7), delays=((2, 8), (3, 4), (100, 255)))
    rig = Rig().start(setup)
    assert rig.pruss.read_word(0x44E0D04C) == 9
    for step, (ain, open_delay, sample_delay) in enumerate(setup.steps):
        config = rig.pruss.read_word(0x44E0D064 + 8 * step)
        assert config == 1 | 8 << 15 | ain << 19  # continuous, against VREFN, FIFO0, no averaging
        assert rig.pruss.read_word(0x44E0D068 + 8 * step) == open_delay | sample_delay << 24
    assert rig.pruss.read_word(ADC_STEPENABLE) == 0b1110
    assert rig.pruss.read_word(ADC_CTRL) & 7 == 0b011  # on, tagged, steps protected again
    assert rig.pruss.statistics().protected_writes == 0
    assert rig.pruss.read_word(0x44E0D010) == 4  # no idle
    assert rig.status("ADC_REVISION") == 0x47300001


def test_stop_leaves_the_sequencer_idle_and_start_begins_anew():
    rig = Rig().start().read_for(0.05)
    assert rig.command(layout.COMMAND_STOP) == layout.STATE_IDLE
    conversions = rig.pruss.statistics().conversions
    written = rig.status("BLOCKS_WRITTEN")
    rig.run(0.01)
    assert rig.pruss.statistics().conversions == conversions
    assert rig.status("BLOCKS_WRITTEN") == written
    rig.blocks.clear()
    rig.start().read_for(0.05)
    assert rig.blocks[0].seq == 0
    assert rig.blocks[0].first_scan == 15
    assert rig.blocks[0].epoch == 2
    assert rig.status("LOST_SCANS") == 0


def test_start_while_running_takes_new_parameters():
    rig = Rig().start().read_for(0.05)
    rig.blocks.clear()
    rig.start(Setup(3, decimation=4, shift=2)).read_for(0.05)
    assert rig.samples().shape[1] == 3
    assert set(rig.gaps()) == {0}
    assert {block.epoch for block in rig.blocks} == {2}
    assert rig.status("STATE") == layout.STATE_RUNNING


def test_command_during_the_measurement_is_obeyed_at_once():
    rig = Rig()
    rig.write_parameters(Setup(measure_scans=60_000))
    rig.param("COMMAND", layout.COMMAND_START)
    rig.param("COMMAND_SEQ", rig.status("COMMAND_ACK") + 1)
    rig.run(0.01)
    assert rig.status("STATE") == layout.STATE_MEASURING
    rig.param("COMMAND", layout.COMMAND_STOP)
    rig.param("COMMAND_SEQ", rig.status("COMMAND_ACK") + 2)
    rig.run(0.001)
    assert rig.status("STATE") == layout.STATE_IDLE


def test_heart_beats_every_millisecond_in_every_state():
    rig = Rig()

    def beats(milliseconds: int) -> None:
        for _ in range(milliseconds):
            before = rig.status("HEARTBEAT")
            rig.run(0.001)
            assert rig.status("HEARTBEAT") != before, rig.status("STATE")

    beats(5)
    rig.write_parameters(Setup(measure_scans=600))
    rig.param("COMMAND", layout.COMMAND_START)
    rig.param("COMMAND_SEQ", rig.status("COMMAND_ACK") + 1)
    beats(15)
    assert rig.status("STATE") == layout.STATE_RUNNING
    beats(10)
    rig.inject(AdcEvent.STALL, SECOND)
    beats(20)
    assert rig.status("STATE") == layout.STATE_FAULT
    beats(5)


def test_slow_scans_still_beat_and_stop():
    slow = Setup(clkdiv=7, delays=((200, 0), (700, 50)), measure_scans=512)  # 980 ADC clocks: 3.06 kHz
    rig = Rig()
    rig.write_parameters(slow)
    assert rig.command(layout.COMMAND_START, patience_s=0.3) == layout.STATE_RUNNING
    assert rig.status("MEASURED_CYCLES") / 512 == pytest.approx(980 * 200 / 3, abs=1)
    for _ in range(10):
        before = rig.status("HEARTBEAT")
        rig.run(0.001)
        assert rig.status("HEARTBEAT") != before
    assert rig.command(layout.COMMAND_STOP) == layout.STATE_IDLE


def test_scans_slower_than_the_limit_are_a_fault():
    rig = Rig()
    rig.write_parameters(Setup(delays=((200, 0), (900, 50))))
    assert rig.command(layout.COMMAND_START, patience_s=0.2) == layout.STATE_FAULT
    assert rig.status("FAULT") == layout.FAULT_ADC_SILENT


def test_adc_whose_clock_does_not_come_is_absent():
    rig = Rig()
    rig.write_parameters(GOOD)
    rig.param("COMMAND", layout.COMMAND_START)
    rig.param("COMMAND_SEQ", rig.status("COMMAND_ACK") + 1)
    while rig.pruss.read_word(ADC_CLOCK_GATE) != 2:
        rig.pruss.run_until(rig.pruss.cycle + 1)
    rig.pruss.write_word(ADC_CLOCK_GATE, 0)  # between the firmware's write and its first look
    heartbeat = rig.status("HEARTBEAT")
    rig.run(0.0005)
    assert rig.status("STATE") == layout.STATE_MEASURING
    assert rig.status("HEARTBEAT") > heartbeat
    rig.run(0.001)
    assert (rig.status("STATE"), rig.status("FAULT")) == (layout.STATE_FAULT, layout.FAULT_ADC_ABSENT)
    rig.start().read_for(0.02)
    assert len(rig.blocks) >= 2


def test_module_with_another_revision_is_refused_and_shown():
    image = np.frombuffer(shipped_image("bin").read_bytes(), "<u4").copy()
    expects = np.flatnonzero(image & 0xFFFFFF00 == 0x24473000)  # ldi, 0x4730: the only place that names the revision
    assert len(expects) == 1
    image[expects] += 0x100
    rig = Rig(image=image.tobytes())
    rig.write_parameters(GOOD)
    assert rig.command(layout.COMMAND_START) == layout.STATE_FAULT
    assert rig.status("FAULT") == layout.FAULT_ADC_ABSENT
    assert rig.status("ADC_REVISION") == 0x47300001


def test_sequencer_that_someone_else_drives_is_a_fault_not_a_hang():
    rig = Rig()
    rig.write_parameters(Setup())
    rig.param("COMMAND", layout.COMMAND_START)
    rig.param("COMMAND_SEQ", rig.status("COMMAND_ACK") + 1)
    for _ in range(4000):  # someone else keeps the sequencer busy: its steps are on again whenever we look
        if rig.status("STATE") == layout.STATE_FAULT:
            break
        rig.run(0.00001)
        if rig.status("ADC_REVISION"):
            rig.pruss.write_word(ADC_STEPENABLE, 0x1FFFE)
            rig.pruss.write_word(ADC_CTRL, 7)
    assert rig.status("STATE") == layout.STATE_FAULT
    assert rig.status("FAULT") in (layout.FAULT_ADC_BUSY, layout.FAULT_ADC_SILENT)
    assert rig.start().status("STATE") == layout.STATE_RUNNING


def test_counter_wraps_unnoticed():
    rig = Rig()
    rig.pruss.write_word(IEP_COUNT_ADDRESS, 2**32 - SECOND // 10)
    rig.start().read_for(0.3)
    counters = [block.counter for block in rig.blocks]
    assert any(b < a for a, b in itertools.pairwise(counters))  # it did wrap
    assert set(rig.gaps()) == {0}
    assert all(abs(rig.drift_scans(rig.blocks[0], block)) < 0.05 for block in rig.blocks)
    assert rig.status("RESTARTS") == rig.status("LOST_SCANS") == 0
