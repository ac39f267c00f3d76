"""Our instruction encoder against the GNU assembler (where it is built), and the decoder on PASM's two variants."""

import os
import struct
import subprocess
from pathlib import Path

import pytest

from rpmu.twin.pruss import PruFault, Pruss
from tests.pru import encode as pru
from tests.pru.machine import run


def toolchain() -> Path | None:
    """The folder that scripts/build-pru-toolchain fills."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rpmu" / "pru-elf"
    folder = Path(os.environ.get("RPMU_PRU_TOOLCHAIN") or cache) / "bin"
    return folder if (folder / "pru-elf-as").exists() else None


CASES = [
    *((f"{name} r1, r2.b1, r3.w2", pru.alu(name, "r1", "r2.b1", "r3.w2")) for name in pru.ALU if name != "not"),
    *((f"{name} r29.w1, r30, 255", pru.alu(name, "r29.w1", "r30", 255)) for name in pru.ALU if name != "not"),
    ("not r4.b3, r5.b2", pru.alu("not", "r4.b3", "r5.b2")),
    ("mov r4.w0, r31.w2", pru.mov("r4.w0", "r31.w2")),
    ("ldi r7.w2, 0xBEEF", pru.ldi("r7.w2", 0xBEEF)),
    ("lmbd r1.b0, r2, 1", pru.lmbd("r1.b0", "r2", 1)),
    ("lmbd r1, r2.w0, r3.b3", pru.lmbd("r1", "r2.w0", "r3.b3")),
    ("jmp r3.w2", pru.jmp("r3.w2")),
    ("jal r3.w2, r5.w0", pru.jal("r3.w2", "r5.w0")),
    ("ret", pru.jmp("r3.w2")),
    ("halt", pru.halt()),
    ("slp 1", pru.slp(1)),
    ("slp 0", pru.slp(0)),
    *((f"{name} . + 12, r1.b1, 77", pru.branch(name, 3, "r1.b1", 77)) for name in pru.BRANCHES if name != "qba"),
    *((f"{name} . - 12, r1, r2.w1", pru.branch(name, -3, "r1", "r2.w1")) for name in pru.BRANCHES if name != "qba"),
    ("qbbs . - 2000, r31, 14", pru.bit_branch("qbbs", -500, "r31", 14)),
    ("qbbc . + 2000, r9.w0, r1.b0", pru.bit_branch("qbbc", 500, "r9.w0", "r1.b0")),
    ("wbs r31, 30", pru.bit_branch("qbbc", 0, "r31", 30)),
    ("wbc r31, 30", pru.bit_branch("qbbs", 0, "r31", 30)),
    ("lbbo &r5, r6, 0, 4", pru.memory("lbbo", "r5", "r6", 0, 4)),
    ("sbbo &r5.b3, r6, r7.w1, 124", pru.memory("sbbo", "r5.b3", "r6", "r7.w1", 124)),
    ("lbbo &r5.b1, r6, 255, r0.b2", pru.memory("lbbo", "r5.b1", "r6", 255, "b2")),
    ("lbco &r2, 26, 12, 64", pru.memory("lbco", "r2", 26, 12, 64)),
    ("sbco &r2.b2, 31, r8.b0, r0.b3", pru.memory("sbco", "r2.b2", 31, "r8.b0", "b3")),
    *(
        (f"{name} 10, &r5.b1, 7", pru.xfr(name, 10, "r5.b1", 7))
        for name in ("xin", "xout", "xchg", "sxin", "sxout", "sxchg")
    ),
    ("xin 14, &r0, r0.b1", pru.xfr("xin", 14, "r0", "b1")),
    ("zero &r3, 12", pru.xfr("xin", 255, "r3", 12)),
    ("fill &r3.b2, 124", pru.xfr("xin", 254, "r3.b2", 124)),
    ("loop . + 20, 255", pru.loop(5, 255)),
    ("iloop . + 20, r7.w0", pru.loop(5, "r7.w0", interruptible=True)),
]


def test_encoder_agrees_with_the_gnu_assembler(tmp_path):
    folder = toolchain()
    if folder is None:
        pytest.skip(
            "the PRU assembler is not built: `make firmware` (Debian package binutils-source, two minutes once)"
        )
    source, obj, elf, code = (tmp_path / name for name in ("all.s", "all.o", "all.elf", "all.bin"))
    pad = [" nop"] * 520  # room for the long branches
    source.write_text("\n".join([*pad, *(f" {text}" for text, _ in CASES), *pad, ""]))
    subprocess.run([folder / "pru-elf-as", "-mno-link-relax", "-o", obj, source], check=True)
    subprocess.run(
        [folder / "pru-elf-ld", "--no-relax", "-Ttext=0x20000000", "-e0x20000000", "-o", elf, obj], check=True
    )
    subprocess.run([folder / "pru-elf-objcopy", "-O", "binary", "-j", ".text", elf, code], check=True)
    words = struct.unpack(f"<{code.stat().st_size // 4}I", code.read_bytes())[520:-520]
    assert len(words) == len(CASES)
    for (text, expected), word in zip(CASES, words, strict=True):
        assert f"{word:08X}" == f"{expected:08X}", text


def test_every_accepted_instruction_is_decoded():
    """None of the assembler's instructions is unknown to the core (what it does is shown elsewhere)."""
    unknown = []
    for text, word in CASES:
        pruss = Pruss()
        pruss.load(0, pru.image(pru.ldi("r1", 0), word))
        pruss.start(0)
        try:
            pruss.run_until(3)
        except PruFault as fault:
            if "is not an instruction" in str(fault):
                unknown.append(text)
    assert unknown == []


def test_both_encodings_of_qba_and_byte_mov_run():
    assert run(0x78000002, pru.ldi("r1", 1), pru.halt()).register(0, 1) == 0
    assert run(0x79000002, pru.ldi("r1", 1), pru.halt()).register(0, 1) == 0
    for word in (pru.alu("or", "r1.b0", "r2.b0", 0), pru.alu("and", "r1.b0", "r2.b0", "r2.b0")):
        assert run(pru.ldi("r2", 0x5A), word, pru.halt()).register(0, 1) == 0x5A


@pytest.mark.parametrize("word", [0x28000000, 0x2C000000, 0x3C000000, 0xC0000000, 0xA0000000, 0x2E000000])
def test_instructions_of_other_cores_fault(word):
    """SCAN, MVIx, RFI and holes in the encoding."""
    with pytest.raises(PruFault, match=f"0x{word:08X} is not an instruction"):
        run(word)
