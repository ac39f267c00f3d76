"""What random programs against the GNU simulator cannot show: inputs, outputs, sleeping, halting, two cores, XFR."""

import pytest

from rpmu.errors import InputError
from rpmu.twin.pruss import PruFault, Pruss
from tests.pru.encode import (
    alu,
    bit_branch,
    branch,
    halt,
    image,
    jal,
    jmp,
    ldi,
    ldi32,
    loop,
    memory,
    mov,
    qba,
    slp,
    xfr,
)
from tests.pru.machine import run


def test_loop_with_zero_in_a_register_skips_the_body():
    pruss = run(ldi("r1", 0), ldi("r2", 5), loop(3, "r1"), ldi("r2", 6), ldi("r2", 7), halt())
    assert pruss.register(0, 2) == 5


def test_loop_costs_one_cycle_and_its_return_nothing():
    pruss = Pruss()
    pruss.load(0, image(loop(3, 100), alu("add", "r1", "r1", 1), alu("add", "r2", "r2", 2), halt()))
    pruss.write_word(0x22000, 8)
    pruss.start(0)
    pruss.run_until(1000)
    assert pruss.read_word(0x2200C) == 1 + 200 + 1
    assert (pruss.register(0, 1), pruss.register(0, 2)) == (100, 200)


def test_halt_stays_at_its_place_and_clears_enable():
    pruss = run(ldi("r1", 1), halt(), ldi("r1", 2))
    assert pruss.register(0, "pc") == 1
    assert pruss.register(0, 1) == 1
    assert pruss.read_word(0x22000) & 0x8002 == 0


def test_start_elsewhere_and_stop_in_a_loop():
    pruss = Pruss()
    pruss.load(0, image(halt(), alu("add", "r1", "r1", 1), qba(-1)))
    pruss.start(0, entry_word=1)
    pruss.run_until(1000)
    pruss.stop(0)
    pruss.run_until(2000)
    assert pruss.register(0, 1) == 500
    assert not pruss.running(0)


def test_a_new_start_forgets_the_loop_it_was_stopped_in():
    pruss = Pruss()
    pruss.load(0, image(loop(3, 200), alu("add", "r1", "r1", 1), alu("add", "r2", "r2", 1), ldi("r3", 1), halt()))
    pruss.start(0)
    pruss.run_until(50)
    pruss.stop(0)
    before = pruss.register(0, 2)
    pruss.start(0, entry_word=2)
    pruss.run_until(60)
    assert (pruss.register(0, 2), pruss.register(0, 3)) == (before + 1, 1)


def test_time_passes_with_both_cores_stopped():
    pruss = Pruss()
    pruss.run_until(12345)
    assert pruss.cycle == 12345
    pruss.run_until(100)
    assert pruss.cycle == 12345


def test_registers_and_times_that_do_not_exist_are_refused():
    pruss = Pruss()
    for name in (-1, 34, "sp"):
        with pytest.raises(InputError, match="no register"):
            pruss.register(0, name)
    with pytest.raises(InputError, match="time starts at 0"):
        pruss.run_until(-1)


def test_memory_outlives_the_machine():
    ram = Pruss().shared_ram
    ram[0] = 5
    assert ram[0] == 5
    assert (ram.format, len(ram)) == ("I", 3072)


def test_both_cores_advance_together():
    """PRU1 sees each value of PRU0's counter in shared RAM within a few cycles of its writing."""
    pruss = Pruss()
    count = [*ldi32("r2", 0x10000), alu("add", "r1", "r1", 1), memory("sbbo", "r1", "r2", 0, 4), qba(-2)]
    watch = [
        *ldi32("r2", 0x10000),
        memory("lbbo", "r1", "r2", 0, 4),
        alu("sub", "r3", "r1", "r4"),
        alu("max", "r5", "r5", "r3"),
        mov("r4", "r1"),
        qba(-4),
    ]
    pruss.load(0, image(*count))
    pruss.load(1, image(*watch))
    pruss.start(0)
    pruss.start(1)
    pruss.run_until(100_000)
    assert pruss.register(0, 1) > 20_000
    assert pruss.register(1, 5) == 2, "4 cycles a count against 7 a look"
    assert pruss.register(1, 1) >= pruss.register(0, 1) - 3


def test_a_core_can_start_the_other():
    pruss = Pruss()
    pruss.load(1, image(ldi("r7", 77), halt()))
    run(ldi("r1", 2), *ldi32("r2", 0x24000), memory("sbbo", "r1", "r2", 0, 4), halt(), pruss=pruss)
    assert pruss.register(1, 7) == 77


def test_r31_input_is_seen_from_the_edge_on():
    pruss = Pruss()
    pruss.set_pin_edges(0, 14, [500.5, 800], [1, 0])
    pruss.set_pin_edges(0, 14, [900.0], [1])
    program = [bit_branch("qbbc", 0, "r31", 14), jal("r1", 2), bit_branch("qbbs", 0, "r31", 14), ldi("r2", 1), qba(0)]
    pruss.load(0, image(*program))
    pruss.start(0)
    pruss.run_until(500)
    assert pruss.register(0, 1) == 0
    pruss.run_until(505)
    assert pruss.register(0, 1) == 2
    pruss.run_until(800)
    assert pruss.register(0, 2) == 0
    pruss.run_until(803)
    assert pruss.register(0, 2) == 1
    assert pruss.register(0, 30) == 0


def test_r31_bits_are_separate_and_per_core():
    pruss = Pruss()
    pruss.set_pin_edges(0, 0, [10.0], [1])
    pruss.set_pin_edges(0, 16, [20.0], [1])
    pruss.set_pin_edges(1, 3, [5.0], [1])
    pruss.run_until(100)
    for core in (0, 1):
        run(mov("r1", "r31"), mov("r2.w0", "r31.w2"), halt(), core=core, pruss=pruss)
    assert (pruss.register(0, 1), pruss.register(0, 2)) == (0x10001, 1)
    assert pruss.register(1, 1) == 8


def test_pin_edges_must_be_ordered_and_in_the_future():
    pruss = Pruss()
    pruss.run_until(1000)
    for edges in ([500.0], [2000.0, 1500.0]):
        with pytest.raises(InputError, match="rise in time"):
            pruss.set_pin_edges(0, 1, edges, [1] * len(edges))
    with pytest.raises(InputError, match="no input pin"):
        pruss.set_pin_edges(0, 30, [2000.0], [1])


@pytest.mark.parametrize("write", [ldi("r31", 35), ldi("r31.b0", 35), mov("r31.b0", "r1.b0")])
def test_writing_r31_raises_a_system_event(write):
    pruss = run(ldi("r1", 35), write, halt())
    assert pruss.read_word(0x20200) == 1 << 19


@pytest.mark.parametrize("vector", range(16))
def test_the_vector_written_to_r31_chooses_the_event(vector):
    assert run(ldi("r31.b0", 32 + vector), halt()).read_word(0x20200) == 1 << (16 + vector)


@pytest.mark.parametrize("write", [ldi("r31", 3), ldi("r31.b1", 35)])
def test_r31_without_the_strobe_raises_nothing(write):
    assert run(write, halt()).read_word(0x20200) == 0


def test_r30_is_a_register_with_outputs():
    assert run(ldi("r30", 0x1234), alu("set", "r30", "r30", 15), halt()).register(0, 30) == 0x9234


def test_sleep_without_wake_up_lasts_for_ever():
    pruss = Pruss()
    pruss.set_pin_edges(0, 1, [100.0], [1])
    pruss.write_word(0x22008, 2)
    pruss.load(0, image(slp(0), halt()))
    pruss.start(0)
    pruss.run_until(10_000)
    assert pruss.running(0)
    assert pruss.read_word(0x22000) & 4


def test_sleep_wakes_on_an_enabled_status_bit():
    pruss = Pruss()
    pruss.set_pin_edges(0, 1, [100.0], [1])
    pruss.set_pin_edges(0, 2, [300.0], [1])
    pruss.write_word(0x22008, 4)
    pruss.load(0, image(slp(1), ldi("r1", 1), qba(0)))
    pruss.start(0)
    pruss.run_until(299)
    assert pruss.register(0, 1) == 0
    pruss.run_until(303)
    assert pruss.register(0, 1) == 1


def test_scratchpad_is_shared_between_the_cores():
    pruss = run(ldi("r5", 0xAB), xfr("xout", 11, "r5", 4), halt())
    run(xfr("xin", 11, "r5", 4), xfr("xin", 10, "r6", 4), halt(), core=1, pruss=pruss)
    assert (pruss.register(1, 5), pruss.register(1, 6)) == (0xAB, 0)


@pytest.mark.parametrize("how", ["sxin", "spp"])
def test_shifted_transfer_moves_registers(how):
    """XOUT R5 with R0 = 3 lands in the bank's R8; both ways of asking for it."""
    pruss = Pruss()
    if how == "spp":
        pruss.write_word(0x26034, 2)
    names = ("xout", "xin") if how == "spp" else ("sxout", "xin")
    program = [
        ldi("r0", 3),
        ldi("r5", 99),
        xfr(names[0], 10, "r5", 4),
        ldi("r0", 0),
        xfr(names[1], 10, "r8", 4),
        halt(),
    ]
    assert run(program, pruss=pruss).register(0, 8) == 99


def test_direct_connection_waits_for_the_peer():
    pruss = Pruss()
    pruss.load(1, image(xfr("xin", 14, "r3", 4), halt()))
    pruss.start(1)
    pruss.run_until(200)
    assert pruss.running(1)
    run(ldi("r3", 55), xfr("xout", 14, "r3", 4), halt(), pruss=pruss)
    assert not pruss.running(1)
    assert pruss.register(1, 3) == 55


def test_direct_connection_delivers_every_register_file_once_and_in_order():
    pruss = Pruss()
    pruss.load(1, image(*[word for n in (3, 4, 5) for word in (xfr("xin", 14, "r9", 4), mov(f"r{n}", "r9"))], halt()))
    pruss.load(0, image(*[word for n in (1, 2, 3) for word in (ldi("r9", n), xfr("xout", 14, "r9", 4))], halt()))
    for core in (1, 0):
        pruss.start(core)
    pruss.run_until(1000)
    assert [pruss.running(0), pruss.running(1)] == [False, False]
    assert [pruss.register(1, n) for n in (3, 4, 5)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("word", "text"),
    [
        (xfr("xin", 13, "r1", 4), "no XFR device 13"),
        (xfr("xin", 0, "r24", 4), "multiplier"),
        (xfr("xin", 10, "r31", 8), "past R31"),
    ],
)
def test_bad_transfers_fault(word, text):
    with pytest.raises(PruFault, match=text):
        run(word, halt())


def test_accumulator_overflow_sets_the_carry_until_written():
    square = [*ldi32("r28", 0xFFFFFFFF), *ldi32("r29", 0xFFFFFFFF), ldi("r25", 1)]
    twice = [xfr("xout", 0, "r25", 1), xfr("xout", 0, "r25", 1), xfr("xin", 0, "r25", 12)]
    pruss = run(square, twice, halt())
    total = 2 * 0xFFFFFFFF**2
    assert pruss.register(0, 25) == 3
    assert pruss.register(0, 26) | pruss.register(0, 27) << 32 == total % 2**64


@pytest.mark.parametrize("count", ["b0", "b3"])
def test_a_count_of_zero_bytes_transfers_nothing(count):
    pruss = run(ldi("r0", 0), *ldi32("r0", 0), ldi("r1", 7), memory("sbbo", "r1", "r0", 0, count), halt())
    assert pruss.dram0[0] == 0


def test_loading_r31_raises_an_event_and_storing_it_shows_the_pins():
    pruss = Pruss()
    pruss.dram0[0] = 0x20 | 5
    pruss.set_pin_edges(0, 7, [0.0], [1])
    run(ldi("r1", 0), memory("lbbo", "r31", "r1", 0, 4), memory("sbbo", "r31", "r1", 8, 4), halt(), pruss=pruss)
    assert pruss.read_word(0x20200) == 1 << 21
    assert pruss.dram0[2] == 1 << 7


def test_registers_of_a_stopped_core_are_visible_to_a_debugger():
    pruss = run(ldi("r9", 0x99), halt())
    assert pruss.read_word(0x22400 + 9 * 4) == 0x99
    pruss.write_word(0x22400 + 9 * 4, 0x77)
    assert pruss.register(0, 9) == 0x77
    assert pruss.read_word(0x22480 + 4 * 26) == 0x2E000
    pruss.load(0, image(qba(0)))
    pruss.start(0)
    with pytest.raises(PruFault, match="running core"):
        pruss.read_word(0x22424)


def test_probes_measure_the_distance_between_visits():
    pruss = Pruss()
    body = [alu("add", "r1", "r1", 1), branch("qbne", 2, "r1", 5), loop(2, 100), alu("add", "r2", "r2", 1), qba(-4)]
    pruss.load(0, image(*body))
    probe = pruss.add_probe(0, 0)
    pruss.start(0)
    pruss.run_until(1000)
    result = pruss.probe(0, probe)
    # five rounds of add, qbne, (loop body once) and qba; the fifth runs the LOOP
    assert result.max_gap_cycles == 1 + 1 + 1 + 100 + 1
    assert result.max_gap_pc == 0
    assert result.visits > 200
    pruss.reset_probes()
    assert pruss.probe(0, probe).visits == 0
    with pytest.raises(InputError, match="no probe 1"):
        pruss.probe(0, 1)


def test_jump_through_a_register_and_back():
    pruss = run(ldi("r9", 4), jal("r3.w2", "r9"), ldi("r1", 1), halt(), ldi("r2", 2), jmp("r3.w2"))
    assert (pruss.register(0, 1), pruss.register(0, 2), pruss.register(0, 3)) == (1, 2, 2 << 16)
