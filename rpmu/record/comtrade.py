"""COMTRADE, the file format of protection relays and fault recorders (IEEE C37.111, IEC 60255-24).

Two files of one name: .cfg says what the channels are, line by line, and .dat holds the records: number, time stamp,
analogue values, digital bits; a .cff holds both in one file (comtrade_cff.py). Read here: revisions 1991, 1999 and
2013, data in ASCII, BINARY, BINARY32 and FLOAT32. A value is a * x + b in the channel's unit (kV and mV become V), as
seen on the side of the instrument transformer that the PS column names. Digital channels are skipped. Facts checked
against recordings of several makers.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rpmu.errors import InputError
from rpmu.record.comtrade_cff import split_cff
from rpmu.record.waveform import Waveform, rate_of_times

Side = Literal["primary", "secondary"]

PREFIXES = {
    "kV": ("V", 1e3),
    "KV": ("V", 1e3),
    "mV": ("V", 1e-3),
    "MV": ("V", 1e6),
    "kA": ("A", 1e3),
    "mA": ("A", 1e-3),
}
DATA_TYPES = {"BINARY": "<i2", "BINARY32": "<i4", "FLOAT32": "<f4"}
MISSING = {"BINARY": -(2**15), "BINARY32": -(2**31)}
MISSING_ASCII_1991 = 999999.0
MISSING_TIME_STAMP = 0xFFFFFFFF
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class AnalogChannel:
    """One analogue channel of the .cfg: value = a * x + b, in `unit`."""

    name: str
    unit: str
    a: float
    b: float
    skew_us: float
    primary: float
    secondary: float
    side: str


@dataclass(frozen=True)
class Config:
    """What a .cfg says, as far as samples need it."""

    revision: int
    analogs: tuple[AnalogChannel, ...]
    n_digital: int
    sections: tuple[tuple[float, int], ...]  # (rate in Hz, number of the last sample at it)
    start_ns: int | None
    trigger_ns: int | None
    data_type: str
    stamp_unit_s: float


def read(path: Path, side: Side | None, rate_hz: float | None) -> Waveform:
    """Read a pair of .cfg and .dat, given either, or a .cff.

    Args:
        path: the .cfg, the .dat or the .cff.
        side: wanted side of the instrument transformers; None leaves the values as recorded.
        rate_hz: sampling rate, instead of the file's own.
    """
    if path.suffix.lower() == ".cff":
        config_path = data_path = path
        config_bytes, data_bytes = split_cff(path)
    else:
        config_path, data_path = partner(path, ".cfg"), partner(path, ".dat")
        config_bytes, data_bytes = config_path.read_bytes(), data_path.read_bytes()
    config = read_config(config_path, config_bytes)
    stamps, raw = read_data(data_path, data_bytes, config)
    if not config.analogs:
        raise InputError(f"{config_path}: has no analogue channel")
    missing = int(np.count_nonzero(np.isnan(raw)))
    if missing:
        _fill(data_path, raw)
    for row, analog in zip(raw, config.analogs, strict=True):
        row *= analog.a
        row += analog.b
        row *= PREFIXES.get(analog.unit, ("", 1.0))[1] * _side_factor(config_path, analog, side)
    return Waveform(
        samples=raw,
        sample_rate_hz=_rate(config_path, config, stamps) if rate_hz is None else rate_hz,
        first_sample_time_ns=config.start_ns,
        channel_names=tuple(analog.name for analog in config.analogs),
        units=tuple(PREFIXES.get(analog.unit, (analog.unit, 1.0))[0] for analog in config.analogs),
        skew_s=tuple(analog.skew_us * 1e-6 for analog in config.analogs),
        trigger_time_ns=config.trigger_ns,
        missing=missing,
    )


def partner(path: Path, suffix: str) -> Path:
    """The file of the pair with this suffix, in whatever case the recorder wrote it."""
    for candidate in (path.with_suffix(suffix), path.with_suffix(suffix.upper())):
        if candidate.is_file():
            return candidate
    raise InputError(f"{path}: its other half {path.with_suffix(suffix).name} is missing beside it")


class _Lines:
    """The lines of a .cfg, handed out one by one, with their number in every complaint."""

    def __init__(self, path: Path, content: bytes) -> None:
        self.path = path
        self._lines = content.decode("utf-8", errors="replace").splitlines()
        self._number = 0

    def next(self, what: str, at_least: int, default: str | None = None) -> list[str]:
        """Fields of the next line, stripped; `what` it holds and how many fields it needs."""
        if self._number >= len(self._lines):
            if default is not None:
                return [cell.strip() for cell in default.split(",")]
            raise InputError(f"{self.path}: ends after line {self._number}, before {what}")
        self._number += 1
        fields = [cell.strip() for cell in self._lines[self._number - 1].split(",")]
        if len(fields) < at_least:
            raise self.error(f"{what} needs {at_least} fields and has {len(fields)}")
        return fields

    def error(self, message: str) -> InputError:
        return InputError(f"{self.path}, line {self._number}: {message}")

    def number(self, text: str, what: str) -> float:
        try:
            value = float(text)
        except ValueError as error:
            raise self.error(f"{what} is {text!r}, which is not a number") from error
        if not np.isfinite(value):
            raise self.error(f"{what} is {text!r}, which is not finite")
        return value

    def count(self, text: str, what: str, most: int = 10**9) -> int:
        value = self.number(text, what)
        if value != int(value) or not 0 <= value <= most:
            raise self.error(f"{what} is {text!r}, but must be a whole number from 0 to {most}")
        return int(value)


def read_config(path: Path, content: bytes) -> Config:
    """Read a .cfg of any revision; `path` is for the messages."""
    lines = _Lines(path, content)
    station = lines.next("station, device and revision", 2)
    revision = lines.count(station[2], "the revision year", 9999) if len(station) > 2 and station[2] else 1991
    counts = lines.next("the numbers of channels", 3)
    n_analog = lines.count(counts[1].upper().rstrip("A"), "the number of analogue channels", 99999)
    n_digital = lines.count(counts[2].upper().rstrip("D"), "the number of digital channels", 99999)
    analogs = tuple(_analog(lines) for _ in range(n_analog))
    for _ in range(n_digital):
        lines.next("a digital channel", 1)
    lines.next("the line frequency", 1)
    sections = _sections(lines)
    start, start_digits = _instant(lines, "the start time", revision)
    trigger, _ = _instant(lines, "the trigger time", revision)
    data_type = lines.next("the data file's type", 1)[0].upper()
    if data_type != "ASCII" and data_type not in DATA_TYPES:
        raise lines.error(f"the data file's type is {data_type!r}; allowed are ASCII, {', '.join(DATA_TYPES)}")
    multiplier = lines.number(lines.next("the time stamp multiplier", 1, "1")[0] or "1", "the time stamp multiplier")
    offset_ns = _utc_offset_ns(lines) if revision >= 2013 else 0
    return Config(
        revision=revision,
        analogs=analogs,
        n_digital=n_digital,
        sections=sections,
        start_ns=None if start is None else start - offset_ns,
        trigger_ns=None if trigger is None else trigger - offset_ns,
        data_type=data_type,
        stamp_unit_s=(1e-9 if start_digits > 6 else 1e-6) * multiplier,
    )


def _analog(lines: _Lines) -> AnalogChannel:
    """One analogue line; the last three fields came with revision 1999."""
    fields = lines.next("an analogue channel", 10)
    primary, secondary, side = (*fields[10:13], "", "", "")[:3]
    return AnalogChannel(
        name=fields[1],
        unit=fields[4],
        a=lines.number(fields[5], "the multiplier a"),
        b=lines.number(fields[6], "the offset b"),
        skew_us=lines.number(fields[7] or "0", "the skew"),
        primary=lines.number(primary or "1", "the primary ratio"),
        secondary=lines.number(secondary or "1", "the secondary ratio"),
        side=side.upper()[:1],
    )


def _sections(lines: _Lines) -> tuple[tuple[float, int], ...]:
    """The sampling rates and up to which sample each holds; a rate of 0 means: see the time stamps."""
    n_rates = lines.count(lines.next("the number of sampling rates", 1)[0], "the number of sampling rates", 999)
    sections = []
    for _ in range(max(1, n_rates)):
        rate, last = lines.next("a sampling rate and its last sample", 2)[:2]
        sections.append((lines.number(rate, "the sampling rate"), lines.count(last, "the number of the last sample")))
    return tuple(sections)


def _instant(lines: _Lines, what: str, revision: int) -> tuple[int | None, int]:
    """An instant as ns since the epoch (None where the recorder had no clock), and the digits of its second."""
    fields = lines.next(what, 1)
    date, time = (*fields, "")[:2]
    try:
        first, second, year = (int(part) for part in date.split("/"))
        # revision 1991 writes mm/dd/yy, the later ones dd/mm/yyyy
        month, day = (first, second) if revision < 1999 else (second, first)
        year += 0 if year > 99 else 1900 if year >= 70 else 2000
        hours, minutes, seconds = time.split(":")
        whole, _, fraction = seconds.partition(".")
        midnight = datetime(year, month, day, tzinfo=UTC)
        clock = timedelta(hours=int(hours), minutes=int(minutes), seconds=int(whole))
        ns = int((fraction + "000000000")[:9])
    except (ValueError, OverflowError):
        return None, 6  # "00/00/0000" and the like: legal, and means that the recorder did not know
    return (midnight - EPOCH) // timedelta(microseconds=1) * 1000 + clock // timedelta(microseconds=1) * 1000 + ns, len(
        fraction
    )


def _utc_offset_ns(lines: _Lines) -> int:
    """Revision 2013 says how far its time stamps are ahead of UTC: "-5h30", "2", "0", or "x" for not applicable."""
    code = lines.next("the time code", 1, "0")[0].lower()
    if code in ("", "x"):
        return 0
    hours, _, minutes = code.partition("h")
    sign = -1 if hours.startswith("-") else 1
    total_minutes = 60 * abs(int(lines.number(hours, "the time code"))) + lines.count(minutes or "0", "the time code")
    return sign * total_minutes * 60 * 10**9


def read_data(path: Path, content: bytes, config: Config) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The records of a .dat.

    Returns:
        The time stamps float64 [n], NaN where missing, and the raw values float64 [n_analog, n], NaN where missing.
    """
    stamps, values = (_ascii if config.data_type == "ASCII" else _binary)(path, content, config)
    expected = config.sections[-1][1]
    if expected and len(stamps) < expected:
        raise InputError(
            f"{path}: holds {len(stamps)} records, but its .cfg announces {expected}: the file was cut short"
        )
    return (stamps[:expected], values[:, :expected].copy()) if expected else (stamps, values)


def _binary(path: Path, content: bytes, config: Config) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    kind = DATA_TYPES[config.data_type]
    record = np.dtype(
        [
            ("number", "<u4"),
            ("stamp", "<u4"),
            ("analog", kind, (len(config.analogs),)),
            ("digital", "<u2", (-(-config.n_digital // 16),)),
        ]
    )
    if len(content) % record.itemsize:
        raise InputError(
            f"{path}: {len(content)} bytes are no whole number of records of {record.itemsize} bytes "
            f"({len(config.analogs)} analogue {config.data_type}, {config.n_digital} digital channels); the file was "
            "cut short or belongs to another .cfg"
        )
    records = np.frombuffer(content, record)
    stamps = records["stamp"].astype(np.float64)
    stamps[records["stamp"] == MISSING_TIME_STAMP] = np.nan
    values = records["analog"].T.astype(np.float64)
    if config.data_type in MISSING and config.revision >= 1999:
        values[values == MISSING[config.data_type]] = np.nan
    return stamps, values


def _ascii(path: Path, content: bytes, config: Config) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    n_analog = len(config.analogs)
    text = content.decode("utf-8", errors="replace").replace("\x1a", "")  # DOS ended a text file with Ctrl-Z
    lines = [line for line in text.splitlines() if line.strip()]
    table = np.full((len(lines), 1 + n_analog), np.nan)
    for row, line in enumerate(lines):
        cells = line.split(",")
        if len(cells) < 2 + n_analog:
            raise InputError(f"{path}, record {row + 1}: has {len(cells)} fields, but needs {2 + n_analog} or more")
        try:
            table[row] = [float(cell) if cell.strip() else np.nan for cell in cells[1 : 2 + n_analog]]
        except ValueError as error:
            raise InputError(f"{path}, record {row + 1}: {error}") from error
    values = np.ascontiguousarray(table[:, 1:].T)
    if config.revision < 1999:
        values[values == MISSING_ASCII_1991] = np.nan
    return table[:, 0].copy(), values


def _fill(path: Path, raw: NDArray[np.float64]) -> None:
    """Draw straight lines over missing samples, in place."""
    index = np.arange(raw.shape[1])
    for channel, row in enumerate(raw):
        missing = np.isnan(row)
        if missing.all():
            raise InputError(f"{path}: every sample of analogue channel {channel + 1} is marked as missing")
        if missing.any():
            row[missing] = np.interp(index[missing], index[~missing], row[~missing])


def _side_factor(path: Path, analog: AnalogChannel, side: Side | None) -> float:
    recorded = {"P": "primary", "S": "secondary"}.get(analog.side)
    if side is None or recorded == side:
        return 1.0
    if recorded is None or not analog.primary or not analog.secondary:
        raise InputError(f"{path}: channel {analog.name!r} does not say how to convert it to the {side} side")
    ratio = analog.primary / analog.secondary
    return ratio if side == "primary" else 1.0 / ratio


def _rate(path: Path, config: Config, stamps: NDArray[np.float64]) -> float:
    """The one sampling rate; from the time stamps where the .cfg gives 0."""
    if len(config.sections) > 1:
        shown = ", ".join(f"{rate:g} Hz up to sample {last}" for rate, last in config.sections)
        raise InputError(f"{path}: changes its sampling rate ({shown}); convert it to one rate first")
    rate = config.sections[0][0]
    if rate:
        return rate
    if np.isnan(stamps).any():
        raise InputError(f"{path}: gives the rate 0, and time stamps are missing in the .dat; give rate_hz")
    return rate_of_times(path, stamps, config.stamp_unit_s)
