"""The emulator's instruction set against the GNU simulator: frozen random programs always, fresh ones if built."""

import base64
import json
import random
import struct
import zlib

import pytest

from rpmu.twin.pruss import Pruss
from tests.pru import gnu_sim, random_programs
from tests.pru.freeze_vectors import VECTORS
from tests.pru.machine import run

FRESH_PROGRAMS = 400


def windows_after(words: list[int]) -> list[bytes]:
    """Memory windows after our emulator has run the program."""
    pruss = Pruss(ddr_base=0x80000000, ddr_bytes=0x10000)
    pruss.write_word(0x26004, 0x0A)  # open the OCP port for the window at 0x80000000
    run(words, pruss=pruss, cycles=2_000_000)
    memories = {0x0: pruss.dram0, 0x2000: pruss.dram1, 0x10000: pruss.shared_ram, 0x80000000: pruss.ddr}
    return [bytes(memories[address].cast("B")[:size]) for address, size in random_programs.WINDOWS]


def test_frozen_programs_end_as_in_the_gnu_simulator():
    vectors = json.loads(VECTORS.read_text())
    assert len(vectors) == 150
    for vector in vectors:
        code = base64.b64decode(vector["words"])
        windows = windows_after(list(struct.unpack(f"<{len(code) // 4}I", code)))
        expected = base64.b64decode(vector["registers_and_carry"])
        assert struct.unpack("<31I", windows[0][:124]) == struct.unpack("<31I", expected), f"seed {vector['seed']}"
        assert [zlib.crc32(window) for window in windows] == vector["memory_crc32"], f"seed {vector['seed']}"


def operations(words: list[int]) -> set[tuple[int, int]]:
    """Family and operation bits of each word."""
    kinds = set()
    for word in words:
        family = word >> 29
        if family in (0, 1):
            kinds.add((family, word >> 25 & 15))
        elif family in (2, 3, 6):
            kinds.add((2 if family < 6 else 6, word >> 27 & (7 if family < 6 else 3)))
        else:
            kinds.add((family, word >> 28 & 1))
    return kinds


def test_frozen_programs_cover_the_instruction_set():
    seen = set()
    for vector in json.loads(VECTORS.read_text()):
        code = base64.b64decode(vector["words"])
        seen |= operations(list(struct.unpack(f"<{len(code) // 4}I", code)))
    wanted = {(0, operation) for operation in range(16)}
    wanted |= {(1, operation) for operation in (0, 1, 2, 3, 5, 7, 8)}  # JMP, JAL, LDI, LMBD, HALT, XFR, LOOP
    wanted |= {(2, condition) for condition in range(1, 8)} | {(6, 1), (6, 2)}
    wanted |= {(4, 0), (4, 1), (7, 0), (7, 1)}
    assert wanted <= seen


def test_fresh_programs_agree_with_the_oracle(tmp_path):
    simulator = gnu_sim.simulator()
    if simulator is None:
        pytest.skip("the GNU PRU simulator is not built: `make oracle` (Debian package gdb-source, 2.5 minutes once)")
    seeds = random.SystemRandom().sample(range(1 << 32), FRESH_PROGRAMS)
    for seed in seeds:
        words = random_programs.program(seed)
        assert windows_after(words) == gnu_sim.run(simulator, words, tmp_path), f"seed {seed}"
