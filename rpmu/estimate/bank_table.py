"""Designed filter banks as files: what the designer writes on a PC and the device reads with numpy alone.

A table holds three filters and the decimator before them (half of what is symmetric), with the report of the design.
Tables ship with the package for the streams that the PRU gives by itself: 12 kHz with one channel, and less with more
channels, because a scan then has more steps.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rpmu.errors import InputError
from rpmu.estimate.classes import STANDARD_RATES, design_rate

VERSION = 2
TABLES = Path(__file__).parent / "tables"
STREAM_RATE_HZ = 12_000  # the PRU's stream of one channel
STREAM_RATES_HZ = (12_000, 7_500, 6_000, 4_800, 3_000)  # of 1, 2, 3, 4, and of 5 or 6 channels: tables ship for these
SAME_RATE = 200e-6  # a scan is a whole number of ADC clocks, so rates that differ by less are the same one

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class BankTable:
    """A designed bank: phasor, first and second derivative of the signal demodulated at the nominal frequency.

    Attributes:
        nominal_hz: 50 or 60.
        performance_class: "P" or "M".
        rates: the reporting rates that this bank serves.
        sample_rate_hz: rate before the decimator, for which it was designed.
        decimation: samples per decimated sample.
        decimator: float64 [odd], taps of the decimator, [1.0] for none.
        taps: float64 [3, before + after + 1], at sample_rate_hz / decimation.
        reaches: taps of each filter before and after its centre. Where they are equal, rows 0 and 2 are even, 1 is odd.
        report: design report: used share of the tolerance per filter, noise gains, windows.
    """

    nominal_hz: int
    performance_class: str
    rates: tuple[int, ...]
    sample_rate_hz: float
    decimation: int
    decimator: Floats
    taps: Floats
    reaches: tuple[tuple[int, int], ...]
    report: dict[str, object]

    @property
    def before(self) -> int:
        """Taps before the centre."""
        return max(before for before, _ in self.reaches)

    @property
    def after(self) -> int:
        """Taps after the centre."""
        return max(after for _, after in self.reaches)

    def save(self, path: Path) -> None:
        """Write the table as NPZ; only half of each symmetric filter is stored."""
        filters = {
            f"taps{j}": row[self.before - (0 if before == after else before) : self.before + after + 1]
            for j, (row, (before, after)) in enumerate(zip(self.taps, self.reaches, strict=True))
        }
        head = {
            "version": VERSION,
            "nominal_hz": self.nominal_hz,
            "performance_class": self.performance_class,
            "rates": self.rates,
            "sample_rate_hz": self.sample_rate_hz,
            "decimation": self.decimation,
            "reaches": self.reaches,
            "report": self.report,
        }
        np.savez(
            path,
            head=np.frombuffer(json.dumps(head).encode(), dtype=np.uint8),
            decimator=self.decimator[len(self.decimator) // 2 :],
            **filters,
        )


def load_table(path: Path) -> BankTable:
    """Read a table written by `BankTable.save`.

    Raises:
        InputError: the file is of another version.
    """
    with np.load(path) as file:
        head = json.loads(file["head"].tobytes())
        if head["version"] != VERSION:
            raise InputError(
                f"{path.name}: filter table of version {head['version']}, but this program reads {VERSION}"
            )
        decimator, halves = file["decimator"], [file[f"taps{j}"] for j in range(3)]
    reaches = tuple((before, after) for before, after in head["reaches"])
    longest = max(before for before, _ in reaches)
    taps = np.zeros((3, longest + max(after for _, after in reaches) + 1))
    for j, ((before, after), row) in enumerate(zip(reaches, halves, strict=True)):
        whole = row if before != after else np.concatenate([row[:0:-1] * (-1 if j == 1 else 1), row])
        taps[j, longest - before : longest + after + 1] = whole
    return BankTable(
        head["nominal_hz"],
        head["performance_class"],
        tuple(head["rates"]),
        head["sample_rate_hz"],
        head["decimation"],
        np.concatenate([decimator[:0:-1], decimator]),
        taps,
        reaches,
        head["report"],
    )


def bank_rates(nominal_hz: int, performance_class: str, reporting_rate: int) -> tuple[int, ...]:
    """The standard rates that share one bank with `reporting_rate`: P up to 30/s is one bank, the others have one each.

    The slow P rates have time for a longer window for ROCOF than latency allows at 50 and 60/s.
    """
    rate = design_rate(nominal_hz, reporting_rate)
    if performance_class == "M" or rate > 30:
        return (rate,)
    return tuple(slow for slow in STANDARD_RATES[nominal_hz] if slow <= 30)


def table_path(
    nominal_hz: int, performance_class: str, reporting_rate: int, stream_rate_hz: int = STREAM_RATE_HZ
) -> Path:
    """Where the shipped table for a stream lies."""
    rates = bank_rates(nominal_hz, performance_class, reporting_rate)
    return TABLES / f"{nominal_hz}hz-{performance_class.lower()}{rates[-1]}-{stream_rate_hz}.npz"


def shipped_table(
    nominal_hz: int, performance_class: str, reporting_rate: int, sample_rate_hz: float
) -> BankTable | None:
    """The shipped table for a nominal sample rate, or None if that is no stream of the PRU's own."""
    for rate_hz in STREAM_RATES_HZ:
        if abs(sample_rate_hz / rate_hz - 1) < SAME_RATE:
            return load_table(table_path(nominal_hz, performance_class, reporting_rate, rate_hz))
    return None
