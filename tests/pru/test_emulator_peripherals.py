"""CTRL counters and pointers, IEP, INTC, eCAP and CFG."""

import pytest

from rpmu.twin.pruss import ECAP_PIN, BusTiming, PruFault, Pruss
from tests.pru.encode import alu, bit_branch, halt, image, ldi, ldi32, memory, mov, qba
from tests.pru.machine import ADC, CLOCK_GATE, CTRL_RUN, OPEN_PORT, AdcBench, load_word, run, store_word

CTRL0, CYCLE, STALL = 0x22000, 0x2200C, 0x22010
IEP, IEP_COUNT, CMP_CONFIG, CMP_STATUS, CMP0 = 0x2E000, 0x2E00C, 0x2E040, 0x2E044, 0x2E048
INTC, ECAP = 0x20000, 0x30000


def counting_core() -> Pruss:
    pruss = Pruss()
    pruss.load(0, image(qba(0)))
    pruss.write_word(CTRL0, 8)
    pruss.start(0)
    return pruss


def test_cycle_counts_only_while_enabled_and_running():
    pruss = counting_core()
    pruss.run_until(1000)
    assert pruss.read_word(CYCLE) == 1000
    pruss.stop(0)
    pruss.run_until(2000)
    assert pruss.read_word(CYCLE) == 1000
    pruss.start(0)
    pruss.write_word(CTRL0, 2)  # run, counter off
    pruss.run_until(3000)
    assert pruss.read_word(CYCLE) == 1000


def test_cycle_is_cleared_only_while_it_stands():
    pruss = counting_core()
    pruss.run_until(1000)
    pruss.write_word(CYCLE, 0)
    assert pruss.read_word(CYCLE) == 1000
    pruss.stop(0)
    pruss.write_word(CYCLE, 12345)
    assert pruss.read_word(CYCLE) == 0


def test_cycle_and_stall_stop_at_their_top():
    pruss = Pruss(BusTiming(ddr_read=1_000_000))  # few instructions make many cycles
    program = [*OPEN_PORT, *ldi32("r1", 0x9E000000), memory("lbbo", "r2", "r1", 0, 4), qba(-1)]
    pruss.load(0, image(*program))
    pruss.write_word(CTRL0, 8)
    pruss.start(0)
    pruss.run_until(2**32 - 2_000_000)
    assert 2**32 - 2_000_000 == pruss.read_word(CYCLE) >= pruss.read_word(STALL) > 2**32 - 3_000_000
    pruss.run_until(2**32 + 10_000_000)
    assert pruss.read_word(CYCLE) == pruss.read_word(STALL) == 2**32 - 1


def test_stall_counts_the_waiting():
    pruss = Pruss()
    pruss.write_word(CTRL0, 8)
    run(ldi("r1", 0), memory("lbbo", "r2", "r1", 0, 4), memory("lbbo", "r2", "r1", 0, 16), halt(), pruss=pruss)
    assert pruss.read_word(STALL) == 2 + 5
    assert pruss.statistics().stall_cycles == (7, 0)


def test_soft_reset_sets_the_program_counter():
    pruss = counting_core()
    pruss.run_until(100)
    pruss.write_word(CTRL0, 7 << 16)
    assert pruss.register(0, "pc") == 7
    assert not pruss.running(0)
    assert pruss.read_word(CTRL0) & 1


def test_constant_table_pointers():
    pruss = Pruss()
    pruss.shared_ram[4] = 0xCAFE
    pruss.write_word(0x22028, 0x0100)  # C28 = shared RAM
    pruss.write_word(0x22020, 0x00010002)  # C24 = 0x200, C25 = 0x2100
    run(
        memory("lbco", "r1", 28, 16, 4),
        memory("sbco", "r1", 24, 0, 4),
        memory("sbco", "r1", 25, 0, 4),
        halt(),
        pruss=pruss,
    )
    assert pruss.register(0, 1) == 0xCAFE
    assert pruss.dram0[0x80] == pruss.dram1[0x40] == 0xCAFE


def test_constant_table_reaches_cfg_and_iep():
    pruss = run(memory("lbco", "r1", 4, 4, 4), memory("lbco", "r2", 26, 0, 4), memory("lbco", "r3", 0, 0, 4), halt())
    assert [pruss.register(0, n) for n in (1, 2, 3)] == [0x1A, 0x550, 0x4E82A900]


def test_unsupported_settings_fault():
    for address, value in ((0x26008, 1), (0x26028, 1), (CTRL0, 0x102), (ECAP + 0x28, 0x200)):
        with pytest.raises(PruFault, match="not modelled") as caught:
            Pruss().write_word(address, value)
        assert caught.value.kind == "not_modelled"


# ---- IEP ----


def test_iep_counts_every_cycle_and_wraps():
    pruss = Pruss()
    pruss.write_word(IEP, 0x11)
    pruss.run_until(1000)
    assert pruss.read_word(IEP_COUNT) == 1000
    pruss.run_until(2**32 - 1)
    assert pruss.read_word(IEP + 4) == 0
    pruss.run_until(2**32 + 5)
    assert pruss.read_word(IEP_COUNT) == 5
    assert pruss.read_word(IEP + 4) == 1
    pruss.write_word(IEP + 4, 1)
    assert pruss.read_word(IEP + 4) == 0


def test_iep_increment_stop_and_preset():
    pruss = Pruss()
    pruss.write_word(IEP, 0x51)
    pruss.run_until(100)
    assert pruss.read_word(IEP_COUNT) == 500
    pruss.write_word(IEP, 0x10)
    pruss.run_until(200)
    assert pruss.read_word(IEP_COUNT) == 500
    pruss.write_word(IEP_COUNT, 7)
    assert pruss.read_word(IEP_COUNT) == 7


def test_iep_compare_hits_and_raises_event_7():
    pruss = Pruss()
    pruss.write_word(CMP0 + 4, 500)
    pruss.write_word(CMP_CONFIG, 1 << 2)
    pruss.write_word(IEP, 0x11)
    pruss.run_until(499)
    assert pruss.read_word(CMP_STATUS) == 0
    pruss.run_until(500)
    assert pruss.read_word(CMP_STATUS) == 2
    assert pruss.read_word(INTC + 0x200) == 1 << 7
    pruss.write_word(CMP_STATUS, 2)
    pruss.run_until(10_000)
    assert pruss.read_word(CMP_STATUS) == 0


def test_iep_compare_0_resets_the_count():
    pruss = Pruss()
    pruss.write_word(CMP0, 99)
    pruss.write_word(CMP_CONFIG, 3)
    pruss.write_word(IEP, 0x11)
    pruss.run_until(99)
    assert pruss.read_word(IEP_COUNT) == 99
    pruss.run_until(100)
    assert pruss.read_word(IEP_COUNT) == 0
    pruss.run_until(12_345)
    assert pruss.read_word(IEP_COUNT) == 45


def test_firmware_reads_the_iep_at_its_own_time():
    """Two reads around a fixed piece of code are its length apart."""
    first, second = load_word("r1", IEP_COUNT), load_word("r2", IEP_COUNT)
    pruss = run(ldi("r3", 0x11), store_word("r3", IEP), first, *[alu("add", "r4", "r4", 1)] * 50, second, halt())
    assert pruss.register(0, 2) - pruss.register(0, 1) == 12 + 50 + 2


# ---- INTC ----


def map_event(pruss: Pruss, event: int, channel: int, host: int) -> None:
    address = INTC + 0x400 + event // 4 * 4
    shift = event % 4 * 8
    pruss.write_word(address, pruss.read_word(address) & ~(0xFF << shift) | channel << shift)
    hosts = INTC + 0x800 + channel // 4 * 4
    pruss.write_word(hosts, pruss.read_word(hosts) | host << channel % 4 * 8)
    pruss.write_word(INTC + 0x28, event)
    pruss.write_word(INTC + 0x34, host)
    pruss.write_word(INTC + 0x10, 1)


@pytest.mark.parametrize("host", [0, 1])
def test_an_event_shows_in_r31_and_is_cleared(host):
    pruss = Pruss()
    map_event(pruss, 21, 3, host)
    clear = [ldi("r1", 21), *store_word("r1", INTC + 0x24)]
    run(ldi("r31", 32 + 5), mov("r2", "r31"), clear, mov("r3", "r31"), halt(), pruss=pruss)
    assert pruss.register(0, 2) == 1 << (30 + host)
    assert pruss.register(0, 3) == 0


def test_an_event_needs_every_enable():
    for address, value in ((0x2C, 21), (0x38, 0), (0x10, 0)):
        pruss = Pruss()
        map_event(pruss, 21, 0, 0)
        pruss.write_word(INTC + address, value)
        run(ldi("r31", 32 + 5), mov("r2", "r31"), halt(), pruss=pruss)
        assert pruss.register(0, 2) == 0


def test_events_can_be_set_read_and_cleared_by_word():
    pruss = Pruss()
    pruss.write_word(INTC + 0x204, 0x00200001)
    pruss.write_word(INTC + 0x304, 0x00200000)
    assert pruss.read_word(INTC + 0x204) == 0x00200001
    assert pruss.read_word(INTC + 0x284) == 0x00200000
    pruss.write_word(INTC + 0x284, 0xFFFFFFFF)
    assert pruss.read_word(INTC + 0x204) == 0


def test_adc_interrupt_reaches_a_waiting_core_as_event_53():
    adc = AdcBench()
    adc.level(0, 1.0)
    adc.level(1, 1.0)
    pruss = adc.pruss
    map_event(pruss, 53, 0, 0)
    adc.write(0xE8, 9)
    adc.write(0x2C, 4)  # FIFO0 threshold of 10 words
    pruss.load(0, image(bit_branch("qbbc", 0, "r31", 30), halt()))
    pruss.start(0)
    adc.begin()
    ready = (4 * 50 + 49) * 200 / 3  # the tenth word
    pruss.run_until(int(ready) - 2)
    assert pruss.running(0)
    pruss.run_until(int(ready) + 4)
    assert not pruss.running(0)


# ---- eCAP ----


def test_ecap_takes_the_counter_at_edges():
    pruss = Pruss()
    pruss.set_pin_edges(ECAP_PIN, 0, [1000.0, 1500.25, 3000.0, 4000.0, 5000.0, 6000.0], [1, 0, 1, 0, 1, 0])
    pruss.write_word(ECAP + 0x28, 1 << 8 | 1 << 2 | (3 << 1 | 1 << 4) << 16)  # captures 1, 3, 4 rising, 2 falling
    pruss.run_until(10_000)
    assert [pruss.read_word(ECAP + 8 + 4 * k) for k in range(4)] == [1000, 1501, 3000, 5000]
    assert pruss.read_word(ECAP + 0x2C) >> 16 == 0b11110
    assert pruss.read_word(ECAP) == 10_000


def test_ecap_wraps_to_capture_1_after_the_last_one_asked_for():
    pruss = Pruss()
    pruss.set_pin_edges(ECAP_PIN, 0, [100.0, 200.0, 300.0], [1, 0, 1])
    pruss.write_word(ECAP + 0x28, 1 << 8 | 1 << 2 | (1 << 1 | 1 << 4) << 16)  # two captures: rising, falling
    pruss.run_until(1000)
    assert [pruss.read_word(ECAP + 8 + 4 * k) for k in range(4)] == [300, 200, 0, 0]


def test_ecap_resets_the_counter_after_a_capture():
    pruss = Pruss()
    pruss.set_pin_edges(ECAP_PIN, 0, [100.0, 150.0, 400.0], [1, 0, 1])
    pruss.write_word(ECAP + 0x28, 1 << 8 | 2 | 2 << 2 | (1 << 1 | 1 << 4) << 16)  # both rising, both reset
    pruss.run_until(1000)
    assert [pruss.read_word(ECAP + 8), pruss.read_word(ECAP + 12), pruss.read_word(ECAP)] == [100, 300, 600]


def test_ecap_one_shot_stops_after_its_last_capture():
    pruss = Pruss()
    pruss.set_pin_edges(ECAP_PIN, 0, [100.0, 200.0, 300.0, 400.0], [1, 0, 1, 0])
    pruss.write_word(ECAP + 0x28, 1 << 8 | (1 | 1 << 3 | 1 << 4) << 16)
    pruss.run_until(1000)
    assert pruss.read_word(ECAP + 8) == 100
    pruss.set_pin_edges(ECAP_PIN, 0, [1100.0, 1200.0], [1, 0])
    pruss.write_word(ECAP + 0x28, 1 << 8 | (1 | 1 << 3 | 1 << 4) << 16)  # armed again
    pruss.run_until(2000)
    assert pruss.read_word(ECAP + 8) == 1100


def test_ecap_interrupt_is_event_15():
    pruss = Pruss()
    pruss.set_pin_edges(ECAP_PIN, 0, [100.0], [1])
    pruss.write_word(ECAP + 0x2C, 2)
    pruss.write_word(ECAP + 0x28, 1 << 8 | 1 << 20)
    pruss.run_until(200)
    assert pruss.read_word(INTC + 0x200) == 1 << 15


def test_ecap_control_registers_are_16_bits_wide():
    program = [
        ldi("r1", 0x10),
        *ldi32("r2", ECAP),
        memory("sbbo", "r1", "r2", 0x2A, 2),
        memory("lbbo", "r3.b0", "r2", 0x2A, 2),
    ]
    pruss = run(program, halt())
    assert pruss.register(0, 3) == 0x10
    with pytest.raises(PruFault, match="eCAP has no such register"):
        run(*ldi32("r2", ECAP), memory("lbbo", "r3", "r2", 8, 1), halt())


def test_clock_gate_reports_itself():
    pruss = Pruss()
    assert pruss.read_word(CLOCK_GATE) == 0x30000
    pruss.write_word(CLOCK_GATE, 2)
    assert pruss.read_word(CLOCK_GATE) == 2
    pruss.write_word(ADC + 0x40, CTRL_RUN)
    assert pruss.read_word(ADC + 0x40) == CTRL_RUN
