"""Waveforms in CSV: a header line with the names, then one row per sample.

The column `time_ns` (integer UTC ns), or `time_s`, `time_ms` or `time_us` (from any zero), gives the rate, and
`time_ns` also the UTC of the first sample; every other column is a channel. Instead of a time column, comment lines
`# sample_rate_hz: 12000` and `# first_sample_time_ns: ...` may stand on top, or rate_hz may be given. The separator is
a comma, a semicolon or a tab. Without a header line the columns are ch0, ch1, ...
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpmu.errors import InputError
from rpmu.record.waveform import Waveform, rate_of_times

TIME_UNITS_S = {"time_ns": 1e-9, "time_us": 1e-6, "time_ms": 1e-3, "time_s": 1.0}
COMMENT_KEYS = ("sample_rate_hz", "first_sample_time_ns")


def read(path: Path, rate_hz: float | None) -> Waveform:
    """Read one CSV file."""
    comments, header, first_row = _head(path)
    delimiter = max(",;\t", key=header.count)
    names, skip = _column_names(header, delimiter, first_row)
    time_names = [name for name in names if name in TIME_UNITS_S]
    if len(time_names) > 1:
        raise InputError(f"{path}: has the time columns {', '.join(time_names)}; keep one of them")
    data_columns = [i for i, name in enumerate(names) if name not in TIME_UNITS_S]
    if not data_columns:
        raise InputError(f"{path}: has no column of samples, only {', '.join(names)}")
    samples = _columns(path, delimiter, skip, data_columns, np.float64)
    if samples.shape[1] < 2:
        raise InputError(f"{path}: holds {samples.shape[1]} rows of samples; a waveform needs 2 or more")
    rate, first_time_ns = _timing(path, comments, delimiter, skip, names, rate_hz)
    channel_names = tuple(names[i] for i in data_columns)
    return Waveform(samples, rate, first_time_ns, channel_names, ("V",) * len(channel_names))


def _head(path: Path) -> tuple[dict[str, str], str, int]:
    """The comment settings on top, the first line that is not a comment, and its line number from 0."""
    comments: dict[str, str] = {}
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines):
            if line.startswith("#"):
                key, _, value = line[1:].partition(":")
                comments[key.strip()] = value.strip()
            elif line.strip():
                return comments, line.strip(), number
    raise InputError(f"{path}: holds no samples")


def _column_names(header: str, delimiter: str, number: int) -> tuple[list[str], int]:
    """Names of the columns, and how many lines to skip before the data."""
    cells = [cell.strip().strip('"') for cell in header.split(delimiter)]
    try:
        [float(cell) for cell in cells]
    except ValueError:
        return cells, number + 1
    return [f"ch{i}" for i in range(len(cells))], number


def _columns(path: Path, delimiter: str, skip: int, columns: list[int], dtype: type) -> NDArray[Any]:
    """Columns as an array [n_columns, n]."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "input contained no data": the caller's check says it better
            warnings.simplefilter("error", DeprecationWarning)  # numpy 1.24 would cut "1.5" to the integer 1
            data: NDArray[Any] = np.loadtxt(
                path,
                dtype,
                comments="#",
                delimiter=delimiter,
                skiprows=skip,
                usecols=columns,
                ndmin=2,
                encoding="utf-8-sig",
            )
    except (ValueError, OverflowError, DeprecationWarning) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: {reason} (rows counted after line {skip}, columns from 0)") from error
    return np.ascontiguousarray(data.T)


def _timing(
    path: Path, comments: dict[str, str], delimiter: str, skip: int, names: list[str], rate_hz: float | None
) -> tuple[float, int | None]:
    """Sampling rate and UTC of the first sample, from the option, the time column, or the comments."""
    time_name = next((name for name in names if name in TIME_UNITS_S), None)
    first_ns = _comment(path, comments, "first_sample_time_ns", int)
    if time_name is None:
        rate = rate_hz if rate_hz is not None else _comment(path, comments, "sample_rate_hz", float)
        if rate is None:
            raise InputError(
                f"{path}: nothing says the sampling rate: add a column {', '.join(TIME_UNITS_S)}, a line "
                "'# sample_rate_hz: ...', or give rate_hz"
            )
        return float(rate), None if first_ns is None else int(first_ns)
    is_ns = time_name == "time_ns"  # beyond float64's 53 bits, so never through a float
    times = _columns(path, delimiter, skip, [names.index(time_name)], np.int64 if is_ns else np.float64)[0]
    if is_ns and len(times):
        first_ns = int(times[0])
    relative = np.asarray(times - times[:1].sum(), dtype=np.float64)
    rate = rate_of_times(path, relative, TIME_UNITS_S[time_name]) if rate_hz is None else rate_hz
    return float(rate), None if first_ns is None else int(first_ns)


def _comment(path: Path, comments: dict[str, str], key: str, kind: type[int] | type[float]) -> int | float | None:
    if key not in comments:
        return None
    try:
        return kind(comments[key])
    except ValueError as error:
        raise InputError(f"{path}: the line '# {key}: {comments[key]}' must give one {kind.__name__}") from error
