"""What comes out of the ring: blocks of samples and PPS events, as values.

The scan number is the time axis of the whole acquisition: the firmware counts ADC scans, the reader extends its 32
bits to 64, and everything later (PPS edge, sample, gap) is a position on it. No time and no volts here.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rpmu.values import value

ADC_INPUT_CLOCK_HZ = 24_000_000  # the crystal; the ADC divides it, the PRU multiplies it to 200 MHz
COUNTER_HZ = 200_000_000  # the PRU's IEP counter: exactly 25/3 of the crystal, so 200/3 ticks per 3 MHz ADC clock
ADC_BITS = 12


@dataclass(frozen=True)
class AcquisitionInfo:
    """What the running firmware was told and what it measured; constant from START to the next START.

    Attributes:
        channels: number of analog channels in every sample.
        adc_clkdiv: ADC clock = 24 MHz / (adc_clkdiv + 1).
        scan_adc_clocks: length of one scan in ADC clocks, as measured by the firmware at start.
        decimation: scans per sample.
        cic_order: order of the decimating filter.
        output_shift: right shift applied to the decimator's output.
        skew_adc_clocks: for each channel, how many ADC clocks its sampling instant lies before the PPS channel's in
            the same scan.
        firmware_version: "major.minor".
    """

    channels: int
    adc_clkdiv: int
    scan_adc_clocks: int
    decimation: int
    cic_order: int
    output_shift: int
    skew_adc_clocks: tuple[int, ...]
    firmware_version: str

    @property
    def adc_clock_hz(self) -> Fraction:
        """Nominal ADC clock."""
        return Fraction(ADC_INPUT_CLOCK_HZ, self.adc_clkdiv + 1)

    @property
    def scan_rate_hz(self) -> Fraction:
        """Nominal scans per second."""
        return self.adc_clock_hz / self.scan_adc_clocks

    @property
    def sample_rate_hz(self) -> Fraction:
        """Nominal samples per second."""
        return self.scan_rate_hz / self.decimation

    @property
    def counter_ticks_per_scan(self) -> Fraction:
        """Exact counter ticks (5 ns) per scan: both clocks come from one crystal."""
        return COUNTER_HZ / self.scan_rate_hz

    @property
    def counts_per_code(self) -> float:
        """12-bit ADC counts per unit of a sample's code (the decimator's gain and shift undone)."""
        return float(2**self.output_shift) / float(self.decimation**self.cic_order)

    @property
    def cic_delay_scans(self) -> Fraction:
        """Group delay of the decimator: a sample stands for an instant this much before its newest scan."""
        return Fraction(self.cic_order * (self.decimation - 1), 2)

    def skew_scans(self, channel: int) -> Fraction:
        """How far, in scans, a channel's sampling instant lies before the PPS channel's in the same scan."""
        return Fraction(self.skew_adc_clocks[channel], self.scan_adc_clocks)


@value
class SampleBlock:
    """Consecutive samples of all channels.

    Attributes:
        first_scan: number of the newest scan in the first sample; sample i has first_scan + i * decimation. The CIC
            delay and the channel skew are not taken off.
        codes: uint16 [n_samples, channels], the decimator's output.
        epoch: changes when the ADC sequencer was restarted; then sampling instants may have moved by a part of a scan.
        counter: PRU counter (5 ns ticks, extended to 64 bits) when `first_scan` was read: late by 0 to about 100 ticks.
        lost_samples: samples missing between the previous block and this one (never silently: 0 means none).
        bad_scans: scans hereabouts that the firmware had to substitute; the samples must not be trusted if > 0.
        clipped_scans: scans since the samples that were read before, and just after these, in which an input had left
            its range; of blocks that were read together each has them all.
    """

    first_scan: int
    codes: NDArray[np.uint16]
    epoch: int
    counter: int
    lost_samples: int = 0
    bad_scans: int = 0
    clipped_scans: int = 0


@value
class PpsEvent:
    """One rising edge of the PPS.

    Attributes:
        source: "adc" (raw samples on the RC slope) or "pin" (an interval of the PRU counter).
        epoch: epoch of the scans.
        first_scan: scan number of samples[0]; for "pin" the newest scan at the edge.
        samples: uint16 [n] raw 12-bit PPS samples, one per scan; empty for "pin".
        crossing: index in `samples` of the first one above the threshold.
        counter_before: PRU counter, 64 bits: "pin": last seen low.
        counter_after: PRU counter, 64 bits: "pin": first seen high.
    """

    source: Literal["adc", "pin"]
    epoch: int
    first_scan: int
    samples: NDArray[np.uint16]
    crossing: int
    counter_before: int
    counter_after: int
