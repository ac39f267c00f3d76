"""Data frames as tables: CSV as they come, Parquet (optional package pyarrow) in batches.

One row per report instant, the columns of every PMU side by side; names carry the unit, and with several PMUs the
station's name in front. Missing values are empty (CSV) or null (Parquet).
"""

from __future__ import annotations

import csv
import math
from cmath import phase
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, TextIO

from rpmu.c37118 import ConfigFrame, DataFrame
from rpmu.errors import InputError

PARQUET_BATCH_ROWS = 3600
Value = float | int | None


class FrameTable(Protocol):
    """Takes data frames one by one."""

    def add(self, frame: DataFrame) -> None:
        """Append one row."""

    def close(self) -> None:
        """Write what is left."""


def column_names(config: ConfigFrame) -> list[str]:
    """The columns of a stream."""
    names = ["time_ns", "time_quality"]
    for number, pmu in enumerate(config.pmus):
        front = f"{pmu.name or number}_" if len(config.pmus) > 1 else ""
        names += [f"{front}stat", f"{front}frequency_hz", f"{front}rocof_hz_per_s"]
        for channel in pmu.phasors:
            unit = "a" if channel.is_current else "v"
            names += [f"{front}{channel.name}_magnitude_{unit}", f"{front}{channel.name}_angle_rad"]
        names += [f"{front}{analog.name or f'analog{n}'}" for n, analog in enumerate(pmu.analogs)]
        names += [f"{front}digital{n}" for n in range(len(pmu.digitals))]
    return [name if names.count(name) == 1 else f"{name}_{at}" for at, name in enumerate(names)]


def row_of(frame: DataFrame) -> list[Value]:
    """The values of one data frame, in the order of the columns."""
    row: list[Value] = [frame.time_ns, int(frame.time_quality)]
    for data in frame.pmus:
        row += [int(data.stat), _known(data.frequency_hz), _known(data.rocof_hz_per_s)]
        for value in data.phasors:
            row += [_known(abs(value)), _known(phase(value))]
        row += [_known(value) for value in data.analogs]
        row += data.digitals
    return row


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


class CsvTable:
    """A CSV file; a changed configuration begins a new header line after an empty one."""

    def __init__(self, path: Path) -> None:
        """Create the file.

        Raises:
            InputError: it exists already, or cannot be written.
        """
        self._file: TextIO = open_new(path)
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._config: ConfigFrame | None = None

    def add(self, frame: DataFrame) -> None:
        """Append one row."""
        if frame.config is not self._config:
            if self._config is not None:
                self._file.write("\n")
            self._config = frame.config
            self._writer.writerow(column_names(frame.config))
        self._writer.writerow(row_of(frame))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def open_new(path: Path) -> TextIO:
    """A new text file.

    Raises:
        InputError: it exists already, or cannot be written.
    """
    try:
        return path.open("x", encoding="utf-8", newline="")
    except FileExistsError:
        raise InputError(f"{path} exists already; a recording is never overwritten") from None
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None


class ParquetTable:
    """A Parquet file (zstd); a changed configuration begins another file, NAME-2.parquet and so on."""

    def __init__(self, path: Path) -> None:
        """Check that it can be written.

        Raises:
            InputError: pyarrow is not installed, or the file exists.
        """
        try:
            self._arrow: Any = import_module("pyarrow")
            self._parquet: Any = import_module("pyarrow.parquet")
        except ImportError:
            raise InputError("Parquet needs the package pyarrow: pip install pyarrow") from None
        open_new(path).close()
        self._path = path
        self._parts = 0
        self._config: ConfigFrame | None = None
        self._rows: list[list[Value]] = []
        self._writer: Any = None

    def add(self, frame: DataFrame) -> None:
        """Append one row."""
        if frame.config is not self._config:
            self.close()
            self._config = frame.config
            self._open(frame.config)
        self._rows.append(row_of(frame))
        if len(self._rows) >= PARQUET_BATCH_ROWS:
            self._write()

    def close(self) -> None:
        """Write the rest and finish the file."""
        self._write()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _open(self, config: ConfigFrame) -> None:
        arrow = self._arrow
        self._parts += 1
        name = self._path.name if self._parts == 1 else f"{self._path.stem}-{self._parts}{self._path.suffix}"
        integers = ("time_ns", "time_quality", "stat")
        columns = [
            (name, arrow.int64() if name.endswith(integers) or "digital" in name else arrow.float64())
            for name in column_names(config)
        ]
        self._writer = self._parquet.ParquetWriter(
            self._path.with_name(name), arrow.schema(columns), compression="zstd"
        )

    def _write(self) -> None:
        if self._rows and self._writer is not None:
            schema = self._writer.schema
            columns = [
                self._arrow.array(column, kind)
                for column, kind in zip(zip(*self._rows, strict=True), schema.types, strict=True)
            ]
            self._writer.write_table(self._arrow.table(columns, schema=schema))
            self._rows.clear()
