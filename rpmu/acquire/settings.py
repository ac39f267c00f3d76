"""What to sample and how, checked before the hardware hears of it.

One step of the ADC sequencer takes open delay + 1 + sample delay clocks until the input is held, then 14 to convert and
move on (AM335x TRM, chapter 12). Steps run one after another, so each channel is held a known while before the PPS.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from rpmu.acquire import layout
from rpmu.acquire.blocks import ADC_INPUT_CLOCK_HZ, COUNTER_HZ
from rpmu.errors import InputError

STEP_ADC_CLOCKS = 15  # of a step without delays: 1 to sample, 13 to convert, 1 to move on
MAX_AIN = 6  # AIN7 is wired to the board's own supply
MAX_OPEN_DELAY = 2**18 - 1
MAX_SAMPLE_DELAY = 255
MAX_PPS_PIN = layout.MAX_PPS_PIN
MAX_CODE = 2**16 - 1
ADC_FULL_SCALE = 4095

# Scan lengths, in ADC clocks, that divide a cycle of 50 and of 60 Hz at 3 MHz into whole numbers of scans.
COHERENT_SCAN_ADC_CLOCKS = (40, 50, 80, 100, 125, 200)
SETTLING_OPEN_DELAY = 2
SETTLING_SAMPLE_DELAY = 8  # the front end's 220 ohm and 47 nF recover from the sampling capacitor in that time


@dataclass(frozen=True)
class SamplerSettings:
    """What to sample and how.

    Attributes:
        ain: analog input (0 to 6) of each channel, in the order of the ADC's steps.
        pps_ain: analog input of the PPS, the last step.
        adc_clkdiv: ADC clock = 24 MHz / (adc_clkdiv + 1), at most 3 MHz.
        open_delay_adc_clocks: of each step, PPS last: wait after the multiplexer has switched.
        sample_delay_adc_clocks: of each step, PPS last: longer connection of the sampling capacitor.
        decimation: scans per sample.
        output_shift: right shift of the decimator's output, so that it fits into 16 bits.
        pps_high_counts: a PPS sample at or above this ...
        pps_low_counts: ... after one at or below this is an edge (12-bit counts).
        pps_pin: bit of R31 with a second PPS input, or None.
        measure_scans: scans that the firmware times at start.
    """

    ain: tuple[int, ...] = (0,)
    pps_ain: int = 1
    adc_clkdiv: int = 7
    open_delay_adc_clocks: tuple[int, ...] = (2, 2)
    sample_delay_adc_clocks: tuple[int, ...] = (8, 8)
    decimation: int = 5
    output_shift: int = 3
    pps_high_counts: int = 1000
    pps_low_counts: int = 500
    pps_pin: int | None = None
    measure_scans: int = 3000

    def __post_init__(self) -> None:
        """Refuse what the hardware cannot do or the data sheet forbids.

        Raises:
            InputError: a setting is out of its range; the message names it and the range.
        """
        _check_inputs(self)
        _check_delays(self)
        _check_clock_and_filter(self)
        _check_pps(self)

    @classmethod
    def for_inputs(cls, ain: tuple[int, ...], pps_ain: int, **others: Any) -> SamplerSettings:
        """Settings whose steps share the shortest coherent scan that lets every input settle.

        Args:
            ain: analog input of each channel.
            pps_ain: analog input of the PPS.
            others: any other setting.
        """
        open_delays, sample_delays = settled_delays(len(ain) + 1)
        settings: dict[str, Any] = {
            "ain": ain,
            "pps_ain": pps_ain,
            "open_delay_adc_clocks": open_delays,
            "sample_delay_adc_clocks": sample_delays,
            "output_shift": fitting_shift(others.get("decimation", cls.decimation)),
        }
        return cls(**(settings | others))

    @property
    def channels(self) -> int:
        """Number of analog channels."""
        return len(self.ain)

    @property
    def scan_adc_clocks(self) -> int:
        """Length of a scan if the sequencer spends nothing between two scans; the firmware measures the real one."""
        return sum(self._step_adc_clocks())

    @property
    def scan_rate_hz(self) -> Fraction:
        """Scans per second that `scan_adc_clocks` gives."""
        return Fraction(ADC_INPUT_CLOCK_HZ, (self.adc_clkdiv + 1) * self.scan_adc_clocks)

    @property
    def sample_rate_hz(self) -> Fraction:
        """Samples per second that `scan_adc_clocks` gives."""
        return self.scan_rate_hz / self.decimation

    @property
    def skew_adc_clocks(self) -> tuple[int, ...]:
        """For each channel, how many ADC clocks before the PPS of the same scan it is held.

        Clocks that the sequencer spends between scans are outside this distance and do not change it.
        """
        held = []
        start = 0
        for open_delay, sample_delay in zip(self.open_delay_adc_clocks, self.sample_delay_adc_clocks, strict=True):
            held.append(start + open_delay + sample_delay)
            start += STEP_ADC_CLOCKS + open_delay + sample_delay
        return tuple(held[-1] - instant for instant in held[:-1])

    def _step_adc_clocks(self) -> list[int]:
        delays = zip(self.open_delay_adc_clocks, self.sample_delay_adc_clocks, strict=True)
        return [STEP_ADC_CLOCKS + open_delay + sample_delay for open_delay, sample_delay in delays]


@dataclass(frozen=True)
class InputRange:
    """What the firmware watches the inputs for: a scan in which one leaves this range is counted.

    Attributes:
        lowest: 12-bit count that is still within.
        highest: likewise.
        channels: how many of the channels are watched, the first ones.
    """

    lowest: int = 0
    highest: int = ADC_FULL_SCALE
    channels: int = 0


def settled_delays(steps: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Open and sample delays of each step: settled inputs, and a scan that is coherent with 50 and 60 Hz.

    Two steps give 50 ADC clocks (60 kHz), three 80 (37.5 kHz), four 100 (30 kHz), five 125 (24 kHz), six and seven
    200 (15 kHz).
    """
    least = steps * (STEP_ADC_CLOCKS + SETTLING_OPEN_DELAY + SETTLING_SAMPLE_DELAY)
    scan = next((length for length in COHERENT_SCAN_ADC_CLOCKS if length >= least), least)
    share, rest = divmod(scan - least, steps)
    opens = tuple(SETTLING_OPEN_DELAY + share + (step < rest) for step in range(steps))
    return opens, (SETTLING_SAMPLE_DELAY,) * steps


def fitting_shift(decimation: int) -> int:
    """The smallest right shift that fits the decimator's full scale into 16 bits."""
    full_scale: int = ADC_FULL_SCALE * decimation**layout.CIC_ORDER
    return max(0, full_scale.bit_length() - 16)


def _check(good: bool, name: str, got: object, allowed: str) -> None:
    if not good:
        raise InputError(f"sampling: {name} is {got}, but must be {allowed}")


def _check_inputs(settings: SamplerSettings) -> None:
    inputs = (*settings.ain, settings.pps_ain)
    _check(1 <= settings.channels <= layout.MAX_CHANNELS, "the number of channels", settings.channels, "1 to 6")
    _check(all(0 <= ain <= MAX_AIN for ain in inputs), "ain", inputs, "0 to 6 (AIN7 is the board's own)")
    _check(len(set(inputs)) == len(inputs), "ain", inputs, "a different input for each channel and the PPS")


def _check_delays(settings: SamplerSettings) -> None:
    opens, samples = settings.open_delay_adc_clocks, settings.sample_delay_adc_clocks
    steps = settings.channels + 1
    for name, delays, most in (
        ("open_delay_adc_clocks", opens, MAX_OPEN_DELAY),
        ("sample_delay_adc_clocks", samples, MAX_SAMPLE_DELAY),
    ):
        _check(len(delays) == steps, name, delays, f"{steps} numbers: one per channel, then the PPS")
        _check(all(0 <= delay <= most for delay in delays), name, delays, f"0 to {most} each")


def _check_clock_and_filter(settings: SamplerSettings) -> None:
    clkdiv, decimation, shift = settings.adc_clkdiv, settings.decimation, settings.output_shift
    least = layout.MIN_ADC_CLKDIV  # faster conversions run, with wrong low bits
    _check(least <= clkdiv <= 0xFFFF, "adc_clkdiv", clkdiv, f"{least} to 65535: the data sheet's limit is 3 MHz")
    slowest_hz = Fraction(COUNTER_HZ, layout.MAX_SCAN_TICKS)
    rate_hz = settings.scan_rate_hz
    _check(rate_hz >= slowest_hz, "the scan rate", f"{float(rate_hz):.6g} Hz", f"{float(slowest_hz):.6g} Hz or more")
    _check(1 <= decimation <= layout.MAX_DECIMATION, "decimation", decimation, f"1 to {layout.MAX_DECIMATION}")
    least = fitting_shift(decimation)
    _check(least <= shift <= 16, "output_shift", shift, f"{least} to 16 with decimation {decimation}, to fit 16 bits")
    fewest, most = layout.MIN_MEASURE_SCANS, layout.MAX_MEASURE_SCANS
    _check(fewest <= settings.measure_scans <= most, "measure_scans", settings.measure_scans, f"{fewest} to {most}")


def _check_pps(settings: SamplerSettings) -> None:
    low, high, pin = settings.pps_low_counts, settings.pps_high_counts, settings.pps_pin
    _check(0 <= low < high, "pps_low_counts", low, f"0 or more and below pps_high_counts ({high})")
    _check(high <= ADC_FULL_SCALE, "pps_high_counts", high, f"at most {ADC_FULL_SCALE}")
    most = layout.MAX_PPS_PIN
    _check(pin is None or 0 <= pin <= most, "pps_pin", pin, f"an input bit of R31, 0 to {most}, or none")
