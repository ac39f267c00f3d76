"""Small set-ups for the emulator tests: run a program to its HALT, or drive the ADC from the host's side."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from rpmu.twin.pruss import AdcErrors, BusTiming, Pruss
from tests.pru.encode import Operand, alu, image, ldi32, memory

ADC = 0x44E0D000
CLOCK_GATE = 0x44E004BC
IRQSTATUS_RAW, IRQSTATUS, CTRL, ADCSTAT, CLKDIV, STEPENABLE = 0x24, 0x28, 0x40, 0x44, 0x4C, 0x54
FIFO0COUNT, FIFO0DATA = 0xE4, 0x100
CTRL_RUN = 7  # enable, tag, steps writable
CYCLES_PER_ADC_CLOCK = 200 / 3  # at CLKDIV 7
OPEN_PORT = [memory("lbco", "r29", 4, 4, 4), alu("clr", "r29", "r29", 4), memory("sbco", "r29", 4, 4, 4)]


def run(*words: int | Iterable[int], core: int = 0, cycles: int = 100_000, pruss: Pruss | None = None) -> Pruss:
    """Load, run until HALT and return the machine."""
    pruss = pruss or Pruss()
    pruss.load(core, image(*words))
    pruss.start(core)
    pruss.run_until(pruss.cycle + cycles)
    assert not pruss.running(core), "the program did not halt"
    return pruss


def load_word(register: str, address: int, length: Operand = 4) -> list[int]:
    """LBBO of an absolute address; uses R28 for it."""
    return [*ldi32("r28", address), memory("lbbo", register, "r28", 0, length)]


def store_word(register: str, address: int, length: Operand = 4) -> list[int]:
    return [*ldi32("r28", address), memory("sbbo", register, "r28", 0, length)]


class AdcBench:
    """The ADC without firmware: the host writes its registers.

    Args:
        inputs: analog input of each step, from step 1.
        open_delay: ADC clocks, each step.
        sample_delay: ADC clocks, each step.
        mode: STEPCONFIG mode, 1 continuous, 0 one-shot.
    """

    def __init__(
        self,
        inputs: tuple[int, ...] = (0, 1),
        open_delay: int = 10,
        sample_delay: int = 0,
        mode: int = 1,
        averaging: int = 0,
        adc: AdcErrors | None = None,
        seed: int = 0,
    ) -> None:
        self.pruss = Pruss(BusTiming(), adc or AdcErrors(), seed)
        self.pruss.write_word(CLOCK_GATE, 2)
        self.write(CTRL, CTRL_RUN & ~1)
        self.write(CLKDIV, 7)
        for step, ain in enumerate(inputs):
            self.write(0x64 + 8 * step, mode | averaging << 2 | 8 << 15 | ain << 19)
            self.write(0x68 + 8 * step, open_delay | sample_delay << 24)
        self.steps = (1 << len(inputs)) - 1 << 1

    def write(self, offset: int, value: int) -> None:
        self.pruss.write_word(ADC + offset, value)

    def read(self, offset: int) -> int:
        return self.pruss.read_word(ADC + offset)

    def level(self, ain: int, volts: float) -> None:
        """A constant voltage for good."""
        self.pruss.set_pulses(ain, [0.0], [volts], 0.0)

    def begin(self) -> None:
        self.write(CTRL, CTRL_RUN)
        self.write(STEPENABLE, self.steps)

    def drain(self) -> np.ndarray:
        """All words of FIFO0."""
        return np.array([self.read(FIFO0DATA) for _ in range(self.read(FIFO0COUNT))], dtype=np.int64)

    def collect(self, cycles: int, poll: int = 20_000) -> np.ndarray:
        """Run so long and return every word of FIFO0 that came."""
        end, words = self.pruss.cycle + cycles, []
        while self.pruss.cycle < end:
            self.pruss.run_until(min(self.pruss.cycle + poll, end))
            words.append(self.drain())
        return np.concatenate(words)
