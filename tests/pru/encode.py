"""A PRU assembler in a few functions: one call, one instruction word.

Registers are written as in assembler source ("r5", "r5.b1", "r5.w2"); immediates are integers. Branch distances are in
words from the instruction itself. Checked against the GNU assembler in test_emulator_encoding.py.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

ALU = ("add", "adc", "sub", "suc", "lsl", "lsr", "rsb", "rsc", "and", "or", "xor", "not", "min", "max", "clr", "set")
BRANCHES = {"qblt": 1, "qbeq": 2, "qble": 3, "qbgt": 4, "qbne": 5, "qbge": 6, "qba": 7}
SELECTORS = {"b0": 0, "b1": 1, "b2": 2, "b3": 3, "w0": 4, "w1": 5, "w2": 6, "": 7}
XFR = {"xin": 1, "xout": 2, "xchg": 3}
IMMEDIATE = 1 << 24
Operand = str | int


def register(name: str) -> int:
    """Selector and number of a register operand, 8 bits."""
    number, _, part = name.lower().lstrip("r").partition(".")
    return SELECTORS[part] << 5 | int(number)


def _second(operand: Operand, bits: int = 8) -> int:
    if isinstance(operand, str):
        return register(operand) << 16
    if not 0 <= operand < 1 << bits:
        raise ValueError(f"immediate {operand} does not fit {bits} bits")
    return IMMEDIATE | operand << (16 if bits == 8 else 8)


def alu(name: str, rd: str, rs1: str, op2: Operand = 0) -> int:
    """ADD to SET; NOT has no second operand."""
    return ALU.index(name) << 25 | _second(op2) | register(rs1) << 8 | register(rd)


def mov(rd: str, rs: str) -> int:
    return alu("or", rd, rs, 0)


def ldi(rd: str, value: int) -> int:
    return 1 << 29 | 2 << 25 | value << 8 | register(rd)


def ldi32(rd: str, value: int) -> list[int]:
    return [ldi(f"{rd}.w2", value >> 16), ldi(f"{rd}.w0", value & 0xFFFF)]


def lmbd(rd: str, rs1: str, op2: Operand) -> int:
    return 1 << 29 | 3 << 25 | _second(op2) | register(rs1) << 8 | register(rd)


def jmp(target: Operand) -> int:
    return 1 << 29 | _second(target, 16)


def jal(rd: str, target: Operand) -> int:
    return 1 << 29 | 1 << 25 | _second(target, 16) | register(rd)


def halt() -> int:
    return 1 << 29 | 5 << 25


def slp(wake_on_event: int) -> int:
    return 1 << 29 | 15 << 25 | wake_on_event << 23


def loop(words: int, count: Operand, interruptible: bool = False) -> int:
    """Repeat the next `words` - 1 instructions (the end label is `words` ahead)."""
    second = _second(count - 1) if isinstance(count, int) else _second(count)
    return 1 << 29 | 8 << 25 | second | interruptible << 15 | words


def _distance(words: int) -> int:
    return (words >> 8 & 3) << 25 | words & 0xFF


def branch(name: str, words: int, rs1: str = "r0", op2: Operand = 0) -> int:
    """QBxx: compares `op2` with `rs1` (QBLT: branch if op2 < rs1)."""
    return 1 << 30 | BRANCHES[name] << 27 | _second(op2) | register(rs1) << 8 | _distance(words)


def qba(words: int) -> int:
    return branch("qba", words)


def bit_branch(name: str, words: int, rs1: str, bit: Operand) -> int:
    """QBBS and QBBC."""
    return 6 << 29 | {"qbbs": 2, "qbbc": 1}[name] << 27 | _second(bit) | register(rs1) << 8 | _distance(words)


def _length(length: Operand) -> int:
    """1 to 124, or "b0" to "b3" for the byte of R0 that holds the count."""
    return 124 + int(length[1]) if isinstance(length, str) else length - 1


def _first_byte(name: str) -> int:
    number, _, part = name.partition(".")
    return int(part[1] if part else 0) << 5 | int(number[1:])


def memory(name: str, rd: str, base: Operand, offset: Operand, length: Operand) -> int:
    """LBBO and SBBO with a base register, LBCO and SBCO with a constant table entry."""
    family = 7 if name.endswith("bbo") else 4
    entry = int(base[1:]) if isinstance(base, str) else base
    count = _length(length)
    split = (count >> 4) << 25 | (count >> 1 & 7) << 13 | (count & 1) << 7
    return family << 29 | (name[0] == "l") << 28 | split | _second(offset) | entry << 8 | _first_byte(rd)


def xfr(name: str, device: int, rd: str, length: Operand) -> int:
    """XIN, XOUT, XCHG, and SXIN, SXOUT, SXCHG."""
    shifted = name.startswith("s")
    word = 1 << 29 | 7 << 25 | XFR[name.lstrip("s")] << 23
    return word | device << 15 | shifted << 14 | _length(length) << 7 | _first_byte(rd)


def image(*words: int | Iterable[int]) -> bytes:
    """Words and lists of words as the bytes of an image."""
    flat: list[int] = []
    for item in words:
        flat.extend([item] if isinstance(item, int) else item)
    return struct.pack(f"<{len(flat)}I", *flat)
