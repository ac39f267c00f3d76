"""What goes into the emulated PRU subsystem and comes out of it: timing and error parameters, statistics, faults."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from rpmu.errors import RpmuError


class PruFault(RpmuError):  # noqa: N818  # the word of the chip's manuals for what it is
    """The firmware did what would hang the chip, or left what the model knows; names core, PC and address.

    Attributes:
        kind: `instruction`, `address`, `port_closed`, `clock_gated`, `not_modelled` or `analog`.
        core: 0 or 1; -1 for an access by the host.
        pc: word address of the instruction.
        address: the data address, 0 where there is none.
        cycle: PRU cycle at which it happened.
    """

    def __init__(self, kind: str, core: int, pc: int, address: int, cycle: int, message: str) -> None:
        where = f"PRU{core} at PC {pc} (byte 0x{4 * pc:04X}), cycle {cycle}" if core >= 0 else "host access"
        super().__init__(f"{where}: {message}")
        self.kind, self.core, self.pc, self.address, self.cycle = kind, core, pc, address, cycle


@dataclass(frozen=True)
class BusTiming:
    """Cycles per access. Defaults: TI's table of AM335x read latencies (best case); `iep_read` from memory.

    A load of w words costs `read + w - 1` from RAM and DDR and `w * read` from devices; stores are posted and cost
    `write + w - 1`. `external_jitter` adds 0 to that many cycles, uniform and seeded, to each read outside the PRUSS
    (L4 41 to 60 cycles: `external_jitter=19`).
    """

    local_ram_read: int = 3
    local_ram_write: int = 2
    cfg_read: int = 3
    ctrl_read: int = 4
    iep_read: int = 12
    local_device_write: int = 2
    adc_read: int = 41
    prcm_read: int = 88
    l3_read: int = 36
    ddr_read: int = 43
    external_write: int = 2
    external_jitter: int = 0


@dataclass(frozen=True)
class AdcErrors:
    """What the converter does to the voltage, and the open questions of its sequencer.

    code = clip(round(v * gain / vref_v * 4096 + offset_lsb + inl + noise), 0, 4095)

    Attributes:
        offset_lsb: added offset, LSB of 12 bits.
        gain: factor, 1 is ideal.
        noise_lsb_rms: Gaussian, independent per conversion, seeded.
        vref_v: full scale in volts.
        inl_lsb: integral non-linearity, a table spread evenly over codes 0 to 4095, interpolated; empty for none.
        extra_clocks_per_scan: ADC clocks of the pass through idle after each scan (0 to 2; not documented).
        averaging_extra_clock: with hardware averaging a further conversion takes 14 (False) or 15 (True) clocks plus
            sample delay; two public sources disagree.
    """

    offset_lsb: float = 0.0
    gain: float = 1.0
    noise_lsb_rms: float = 0.0
    vref_v: float = 1.8
    inl_lsb: tuple[float, ...] = ()
    extra_clocks_per_scan: int = 0
    averaging_extra_clock: bool = False


class AdcEvent(enum.IntEnum):
    """Faults of the ADC to inject; `amount` counts words or cycles."""

    FORCE_OVERRUN = 0  # flag set, module latched
    FORCE_UNDERFLOW = 1
    DROP_WORDS = 2  # the next words vanish: tag slip
    DUPLICATE_WORDS = 3  # the next words arrive twice: tag slip
    STALL = 4  # the sequencer stands still for that many cycles


@dataclass(frozen=True)
class ProbeResult:
    """Distances between successive visits of one place, in PRU cycles."""

    visits: int
    max_gap_cycles: int
    max_gap_at_cycle: int
    max_gap_pc: int
    mean_gap_cycles: float


@dataclass(frozen=True)
class Statistics:
    """What happened since creation; `count_reads` are the firmware's looks at FIFO0COUNT."""

    instructions: tuple[int, int]
    stall_cycles: tuple[int, int]
    conversions: int
    overruns: int
    underflows: int
    words_dropped: int
    words_read: int
    protected_writes: int
    fifo_high_water: int
    count_reads: ProbeResult
