"""Random PRU programs that end, for comparing two implementations of the instruction set.

A program initialises its registers, runs random pieces (ALU, branches forward and backward, LOOP, calls, loads and
stores, scratchpad, multiplier), then saves registers and carry to the start of DRAM0 and halts. It touches only memory
that the emulator and the GNU simulator both have: DRAM0, DRAM1, shared RAM and a window at 0x80000000.

Kept apart, so that every program ends and stays in bounds: R0 byte counts, R20 base address, R21 and R22 loop counters,
R23 return address, R24 offsets, R25 to R29 multiplier. R30 and R31 are inputs and outputs, which the simulator lacks.
"""

from __future__ import annotations

import random

from tests.pru import encode as pru

REGISTERS_AT, CARRY_AT, SAVED_REGISTERS = 0, 120, 30
WINDOWS = ((0x0, 0x800), (0x2000, 0x600), (0x10000, 0x600), (0x80000000, 0x600))  # address, bytes
FREE = range(1, 20)  # registers that a program may use as it likes
PARTS = ("", "", "", ".w0", ".w1", ".w2", ".b0", ".b1", ".b2", ".b3")
TWO_OPERANDS = tuple(name for name in pru.ALU if name != "not")
COMPARISONS = tuple(pru.BRANCHES)
BASES = {24: 0x0, 25: 0x2000, 28: 0x0, 31: 0x80000000}  # constant table entries as they are after reset


class Generator:
    """One program per instance; the seed is the whole difference."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.words: list[int] = []
        self.calls: list[int] = []  # where a JAL to a subroutine waits for its address

    # ---- operands ----

    def register(self) -> str:
        return f"r{self.random.choice(FREE)}{self.random.choice(PARTS)}"

    def source(self) -> str:
        return f"r{self.random.choice([*FREE, 26, 27, 28, 29])}{self.random.choice(PARTS)}"

    def second(self) -> pru.Operand:
        return self.source() if self.random.random() < 0.6 else self.random.randrange(256)

    def plain(self) -> int:
        """One instruction without control flow."""
        kind = self.random.random()
        if kind < 0.75:
            return pru.alu(self.random.choice(TWO_OPERANDS), self.register(), self.source(), self.second())
        if kind < 0.80:
            return pru.alu("not", self.register(), self.source())
        if kind < 0.90:
            return pru.lmbd(self.register(), self.source(), self.second())
        if kind < 0.97:
            return pru.ldi(self.register(), self.random.randrange(1 << 16))
        return pru.alu("and", self.register(), self.source(), self.second()) | self.random.randrange(4) << 21

    def straight(self, most: int = 6) -> list[int]:
        return [self.plain() for _ in range(self.random.randint(1, most))]

    # ---- pieces ----

    def forward(self) -> list[int]:
        """A branch over a few instructions, taken or not."""
        body = self.straight(4)
        if self.random.random() < 0.5:
            return [pru.branch(self.random.choice(COMPARISONS), len(body) + 1, self.source(), self.second()), *body]
        name = self.random.choice(("qbbs", "qbbc"))
        bit = self.source() if self.random.random() < 0.4 else self.random.randrange(32)
        return [pru.bit_branch(name, len(body) + 1, self.source(), bit), *body]

    def inner(self) -> list[int]:
        """What may stand inside a loop."""
        piece = self.random.choice(
            (self.straight, self.straight, self.forward, self.load_store, self.multiply, self.xfr)
        )
        return piece()

    def backward(self, counter: str = "r21") -> list[int]:
        """A loop by a backward branch, sometimes around a second one."""
        body = [word for _ in range(self.random.randint(1, 3)) for word in self.inner()]
        if counter == "r21" and self.random.random() < 0.4:
            body += self.backward("r22")
        closing = self.random.choice(("qbne", "qblt"))  # counter != 0, 0 < counter
        head = pru.ldi(counter, self.random.randint(1, 5))
        return [head, *body, pru.alu("sub", counter, counter, 1), pru.branch(closing, -len(body) - 1, counter, 0)]

    def hardware_loop(self) -> list[int]:
        body = [word for _ in range(self.random.randint(1, 3)) for word in self.inner()]
        if self.random.random() < 0.3:  # a branch to the end of the body
            body = [pru.branch(self.random.choice(COMPARISONS), len(body) + 1, self.source(), self.second()), *body]
        interruptible = self.random.random() < 0.3
        count = self.random.randint(1, 6)
        if self.random.random() < 0.5:
            return [pru.loop(len(body) + 1, count, interruptible), *body]
        return [pru.ldi("r22.w0", count), pru.loop(len(body) + 1, "r22.w0", interruptible), *body]

    def load_store(self) -> list[int]:
        """LBBO, SBBO, LBCO or SBCO of 1 to 64 bytes, aligned or not, count in the word or in R0."""
        load = self.random.random() < 0.5
        first = self.random.choice(FREE if load else range(26))
        first_byte = self.random.randrange(4)
        room = (20 if load else 30) * 4 - first * 4 - first_byte
        length = self.random.randint(1, min(room, 64))
        words = [pru.ldi("r24.w0", self.random.randint(0x80, 0x300))]
        offset: pru.Operand = "r24.w0" if self.random.random() < 0.6 else self.random.randint(0x80, 0xFF)
        count: pru.Operand = length
        if self.random.random() < 0.3:
            byte = self.random.randrange(4)
            words.append(pru.ldi(f"r0.b{byte}", length))
            count = f"b{byte}"
        register = f"r{first}.b{first_byte}"
        if self.random.random() < 0.5:
            entry = self.random.choice(list(BASES))
            return [*words, pru.memory("lbco" if load else "sbco", register, entry, offset, count)]
        words += pru.ldi32("r20", self.random.choice(WINDOWS)[0] + self.random.randrange(0x100))
        return [*words, pru.memory("lbbo" if load else "sbbo", register, "r20", offset, count)]

    def xfr(self) -> list[int]:
        name = self.random.choice(("xin", "xout", "xchg", "zero", "fill"))
        first, first_byte = self.random.choice(FREE), self.random.randrange(4)
        length = self.random.randint(1, min(80 - first * 4 - first_byte, 60))
        register = f"r{first}.b{first_byte}"
        if name in ("zero", "fill"):
            return [pru.xfr("xin", 255 if name == "zero" else 254, register, length)]
        return [pru.xfr(name, self.random.randint(10, 12), register, length)]

    def multiply(self) -> list[int]:
        """Multiplier in either mode. Operands of 28 bits: the sum must not overflow 64 bits, where the two differ."""
        operands = [pru.alu("lsr", f"r{n}", f"r{self.random.choice(FREE)}", 4) for n in (28, 29)]
        mode = self.random.choice((0, 0, 1, 1, 1, 3))
        switch = [pru.ldi("r25", mode), pru.xfr("xout", 0, "r25", self.random.choice((1, 4)))]
        pieces = [operands, switch] if self.random.random() < 0.7 else [operands]
        gap = self.straight(2) if self.random.random() < 0.6 else []
        read = pru.xfr("xin", 0, self.random.choice(("r26", "r26", "r25")), self.random.choice((4, 8)))
        return [word for piece in pieces for word in piece] + gap + [read]

    def call(self) -> list[int]:
        """A call, by immediate or through a register; the address is filled in when the subroutine is placed."""
        self.calls.append(len(self.words))
        return [pru.ldi("r24.w0", 0), pru.jal("r23.w2", self.random.choice((0, "r24.w0")))]

    # ---- the program ----

    def prologue(self) -> list[int]:
        return [word for n in range(30) if n != 25 for word in pru.ldi32(f"r{n}", self.random.getrandbits(32))]

    def epilogue(self) -> list[int]:
        save = pru.memory("sbco", "r0", 24, REGISTERS_AT, SAVED_REGISTERS * 4)
        carry = [pru.ldi("r0", 0), pru.alu("adc", "r0", "r0", 0), pru.memory("sbco", "r0", 24, CARRY_AT, 4)]
        return [save, *carry, pru.halt()]

    def subroutines(self) -> None:
        """Place one subroutine per call and resolve the call."""
        for site in self.calls:
            target = len(self.words)
            self.words[site] = pru.ldi("r24.w0", target)
            if self.words[site + 1] & pru.IMMEDIATE:
                self.words[site + 1] = pru.jal("r23.w2", target)
            self.words += [*self.inner(), pru.jmp("r23.w2")]

    def program(self) -> list[int]:
        """The words, epilogue included."""
        self.words = [*self.prologue()]
        pieces = (
            self.straight,
            self.forward,
            self.backward,
            self.hardware_loop,
            self.load_store,
            self.xfr,
            self.multiply,
        )
        for _ in range(self.random.randint(5, 12)):
            piece = self.random.choice((*pieces, self.call))
            self.words += piece()
        jump = len(self.words)
        self.words.append(0)
        self.subroutines()
        self.words[jump] = pru.jmp(len(self.words))
        return self.words + self.epilogue()


def program(seed: int) -> list[int]:
    """The random program of this seed."""
    return Generator(seed).program()
