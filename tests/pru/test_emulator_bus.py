"""The memory map: who sees what, what an access costs, and what a wrong one says."""

import pytest

from rpmu.errors import InputError
from rpmu.twin.pruss import BusTiming, PruFault, Pruss
from tests.pru.encode import alu, halt, image, jmp, ldi, ldi32, memory, qba
from tests.pru.machine import ADC, CLOCK_GATE, OPEN_PORT, load_word, run, store_word

CYCLE = 0x2200C


def cost(access: int, *setup: int, bus: BusTiming | None = None, core: int = 0) -> int:
    """Cycles of one instruction, by the difference of two programs."""

    def cycles(program) -> int:
        pruss = Pruss(bus)
        pruss.write_word(CLOCK_GATE, 2)
        pruss.write_word(ADC + 0x40, 4)
        pruss.load(core, image(*program))
        pruss.write_word(0x22000 + 0x2000 * core, 8)  # CTRL: counter on, core off
        pruss.start(core)
        pruss.run_until(10_000)
        return pruss.read_word(CYCLE + 0x2000 * core)

    return cycles([*OPEN_PORT, *setup, access, halt()]) - cycles([*OPEN_PORT, *setup, halt()])


# address, bytes, cycles of LBBO, cycles of SBBO: TI's table of read latencies, BusTiming for the rest
COSTS = [
    (0x0, 4, 3, 2),
    (0x0, 1, 3, 2),
    (0x0, 16, 6, 5),
    (0x2, 4, 4, 3),  # two words
    (0x2000, 4, 3, 2),
    (0x10000, 8, 4, 3),
    (0x12FFC, 4, 3, 2),
    (0x20200, 4, 3, 2),  # INTC
    (0x26004, 4, 3, None),  # CFG
    (0x22020, 4, 4, 2),  # CTRL
    (0x24008, 4, 4, 2),
    (0x2E048, 4, 12, 2),  # IEP
    (0x30008, 4, 4, 2),  # eCAP
    (0x30008, 8, 8, 3),
    (ADC + 0x48, 4, 41, 2),
    (ADC + 0x64, 8, 82, 3),
    (CLOCK_GATE, 4, 88, None),
    (0x4A310000, 4, 36, 2),  # shared RAM from outside
    (0x9E000000, 4, 43, 2),
    (0x9E000000, 16, 46, 5),
]


@pytest.mark.parametrize(("address", "length", "read", "write"), COSTS)
def test_cost_of_an_access(address, length, read, write):
    base = ldi32("r1", address)
    assert cost(memory("lbbo", "r2", "r1", 0, length), *base) == read
    if write is not None:
        assert cost(memory("sbbo", "r2", "r1", 0, length), *base, ldi("r2", 0), ldi("r3", 0)) == write


def test_everything_else_costs_one_cycle():
    for word in (alu("add", "r1", "r1", 1), ldi("r1", 5), qba(1), 0x2EFF8181):
        assert cost(word) == 1


def test_jitter_is_uniform_in_its_range_and_seeded():
    def costs(seed: int) -> list[int]:
        pruss = Pruss(BusTiming(external_jitter=19), seed=seed)
        pruss.write_word(CLOCK_GATE, 2)
        program = [*OPEN_PORT, *ldi32("r1", ADC), memory("lbbo", "r2", "r1", 0, 4), qba(-1)]
        pruss.load(0, image(*program))
        probe = pruss.add_probe(0, len(program) - 2)
        pruss.start(0)
        seen = []
        for _ in range(2000):
            pruss.reset_probes()
            start = pruss.cycle
            while pruss.probe(0, probe).visits < 2:
                start += 1
                pruss.run_until(start)
            seen.append(pruss.probe(0, probe).max_gap_cycles - 1)
        return seen

    first = costs(1)
    assert (min(first), max(first)) == (41, 60)
    assert abs(sum(first) / len(first) - 50.5) < 0.5  # 4 sigma of the mean of 2000 uniform numbers
    assert first == costs(1)
    assert first != costs(2)


def test_each_core_sees_its_own_data_ram_at_zero():
    pruss = Pruss()
    for core in (0, 1):
        run(
            ldi("r1", 0x1100 + core),
            ldi("r0", 0),
            store_word("r1", 0x10),
            store_word("r1", 0x2014),
            halt(),
            core=core,
            pruss=pruss,
        )
    assert (pruss.dram0[4], pruss.dram0[5]) == (0x1100, 0x1101)
    assert (pruss.dram1[4], pruss.dram1[5]) == (0x1101, 0x1100)


def test_shared_ram_and_ddr_are_the_hosts_memory_too():
    pruss = Pruss(ddr_base=0x9F000000, ddr_bytes=4096)
    pruss.shared_ram[3] = 0xDEADBEEF
    pruss.ddr[1] = 77
    run(
        OPEN_PORT,
        load_word("r1", 0x1000C),
        store_word("r1", 0x9F000FFC),
        load_word("r2", 0x9F000004),
        halt(),
        pruss=pruss,
    )
    assert pruss.ddr[1023] == 0xDEADBEEF
    assert pruss.register(0, 2) == 77
    assert pruss.read_word(0x1000C) == 0xDEADBEEF
    pruss.write_word(0x10010, 5)
    assert pruss.shared_ram[4] == 5


def test_the_pruss_is_visible_at_its_global_address():
    pruss = run(OPEN_PORT, ldi("r1", 9), store_word("r1", 0x4A310020), load_word("r2", 0x4A322000), halt())
    assert pruss.shared_ram[8] == 9
    assert pruss.register(0, 2) & 0x8002 == 0x8002


FAULTS = [
    ("nothing mapped", load_word("r1", 0x4000), "address", 0x4000, "read of 4 bytes at 0x00004000: nothing is mapped"),
    ("shared RAM's end", store_word("r1", 0x12FFE), "address", 0x12FFE, "runs past the end"),
    ("data RAM's end", load_word("r1", 0x3FFF), "address", 0x3FFF, "runs past the end"),
    ("UART", load_word("r1", 0x28000), "address", 0x28000, "nothing is mapped"),
    ("own program", load_word("r1", 0x34000), "address", 0x34000, "nothing is mapped"),
    ("far away", load_word("r1", 0x48000000), "address", 0x48000000, "nothing is mapped"),
    ("past the DDR window", load_word("r1", 0x9E040000), "address", 0x9E040000, "nothing is mapped"),
    ("CFG hole", load_word("r1", 0x26020), "address", 0x26020, "CFG has no such register at offset 0x20"),
    ("IEP capture of later chips", load_word("r1", 0x2E010), "address", 0x2E010, "IEP has no such register"),
    ("part of an INTC register", store_word("r1", 0x20010, 1), "address", 0, "whole 32-bit words"),
    ("other CM_WKUP clock", load_word("r1", 0x44E00400), "address", 0x44E00400, "CM_WKUP has no such register"),
    ("gated ADC", load_word("r1", ADC), "clock_gated", ADC, "0x44E004BC"),
    ("past R31", [ldi("r1", 0), memory("lbbo", "r30", "r1", 0, 9)], "instruction", 0, "past R31"),
]


@pytest.mark.parametrize(
    ("words", "kind", "address", "text"), [case[1:] for case in FAULTS], ids=[c[0] for c in FAULTS]
)
def test_a_wrong_access_names_core_pc_address_and_reason(words, kind, address, text):
    program = [*OPEN_PORT, *words]
    with pytest.raises(PruFault) as caught:
        run(program, halt())
    fault = caught.value
    assert (fault.kind, fault.core, fault.pc, fault.address) == (kind, 0, len(program) - 1, address)
    assert text in str(fault)
    assert f"PRU0 at PC {fault.pc}" in str(fault)


@pytest.mark.parametrize("address", [ADC, CLOCK_GATE, 0x9E000000, 0x4A300000, 0x48000000])
@pytest.mark.parametrize("access", [load_word, store_word])
def test_nothing_outside_is_reachable_while_the_ocp_port_is_closed(address, access):
    with pytest.raises(PruFault, match=r"STANDBY_INIT") as caught:
        run(access("r1", address), halt())
    assert caught.value.kind == "port_closed"


def test_a_fault_is_final():
    pruss = Pruss()
    with pytest.raises(PruFault):
        run(load_word("r1", 0x4000), pruss=pruss)
    with pytest.raises(PruFault, match="0x00004000"):
        pruss.run_until(1_000_000)


def test_execution_outside_the_image_faults():
    for program, text in (
        (ldi("r1", 1), "never loaded"),
        (jmp(0x1000), "left the instruction memory"),
        (0xA0000000, "0xA0000000"),
    ):
        with pytest.raises(PruFault, match=text):
            run(program)


def test_host_access_to_nothing_does_not_end_the_run():
    pruss = Pruss()
    with pytest.raises(PruFault, match=r"host access.*0x00004000"):
        pruss.read_word(0x4000)
    with pytest.raises(PruFault, match="nothing is mapped"):
        pruss.write_word(0x10002, 1)
    run(halt(), pruss=pruss)


def test_the_host_reads_and_writes_program_memory_of_a_stopped_core():
    pruss = Pruss()
    pruss.write_word(0x38000, ldi("r1", 42))
    pruss.write_word(0x38004, halt())
    assert pruss.read_word(0x38000) == ldi("r1", 42)
    pruss.start(1)
    with pytest.raises(PruFault, match="running core"):
        pruss.read_word(0x38000)
    pruss.run_until(100)
    assert pruss.register(1, 1) == 42


def test_bad_images_and_cores_are_refused():
    pruss = Pruss()
    for bad, text in ((b"\0" * 3, "whole 32-bit words"), (b"\0" * 8196, "8196")):
        with pytest.raises(InputError, match=text):
            pruss.load(0, bad)
    with pytest.raises(InputError, match="no PRU2"):
        pruss.load(2, b"")
    pruss.load(0, image(qba(0)))
    pruss.start(0)
    with pytest.raises(InputError, match="stop it"):
        pruss.load(0, image(halt()))
    pruss.stop(0)
    pruss.load(0, image(halt()))
