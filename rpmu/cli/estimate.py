"""`rpmu estimate`: phasors, frequency and ROCOF of a recording, as CSV or JSON lines."""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from functools import reduce
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from rpmu.calibrate.profile import load_profile
from rpmu.errors import InputError
from rpmu.estimate import FrontEnd, Reports, estimate_waveform
from rpmu.estimate.alternatives import ESTIMATORS
from rpmu.record.waveform import Waveform, read_waveform

HELP = "Estimate synchrophasors from a recording (NPZ, CSV, WAV, FLAC or COMTRADE), offline."


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rpmu estimate`."""
    parser.add_argument("file", metavar="FILE", help="recording; NPZ: samples, sample_rate_hz, first_sample_time_ns")
    parser.add_argument(
        "--nominal", type=int, default=60, metavar="HZ", help="nominal frequency, 50 or 60 (default 60)"
    )
    parser.add_argument("--class", dest="performance_class", default="M", metavar="P|M", help="performance class")
    parser.add_argument(
        "--rate", type=int, default=60, metavar="N", help="reports per second; negative: seconds per report"
    )
    parser.add_argument("--phases", type=int, default=1, metavar="1|3", help="3: sequence components (default 1)")
    parser.add_argument(
        "--front-end", metavar="FILE", help="TOML or JSON with gain, f0_hz, q, delay_s, or a profile of calibration/"
    )
    parser.add_argument(
        "--estimator", default="fir", metavar="NAME", help=f"one of {', '.join(ESTIMATORS)}; several, side by side: A,B"
    )
    parser.add_argument("--channels", metavar="A,B,C", help="names or numbers of the channels, in this order")
    parser.add_argument("--scale", type=float, metavar="X", help="volts per unit of the file's numbers")
    parser.add_argument("--sample-rate", type=float, metavar="HZ", help="sample rate, instead of the file's own")
    parser.add_argument("--array", metavar="NAME", help="array of an NPZ that is not called 'samples'")
    parser.add_argument("--rectangular", action="store_true", help="real and imaginary parts, not magnitude and angle")
    parser.add_argument("-o", "--output", metavar="OUT.csv", help="write here, not to the standard output")
    parser.add_argument("--json", action="store_true", help="one JSON object per report, not CSV")


def run(args: argparse.Namespace) -> int:
    """Estimate and write; returns the exit code."""
    channels = args.channels.split(",") if args.channels else None
    waveform = read_waveform(args.file, channels, args.scale, array=args.array, rate_hz=args.sample_rate)
    start_ns = waveform.first_sample_time_ns
    if start_ns is None:
        print(f"rpmu estimate: {args.file} does not say when it starts; times count from its start", file=sys.stderr)
        start_ns = 0
    found = {}
    for name in args.estimator.split(","):
        reports = estimate_waveform(
            waveform.samples,
            waveform.sample_rate_hz,
            start_ns,
            nominal_hz=args.nominal,
            performance_class=args.performance_class,
            reporting_rate=args.rate,
            phases=args.phases,
            front_end=front_ends(args.front_end, waveform),
            estimator=name,
        )
        found[name] = output_columns(reports, waveform, rectangular=args.rectangular)
    columns = found[args.estimator] if len(found) == 1 else side_by_side(found)
    if not len(columns["time_ns"]):
        raise InputError(f"{args.file}: {waveform.duration_s:g} s are too short for one report; use a longer recording")
    write = write_json if args.json else write_csv
    _to_output(args.output, lambda stream: write(stream, columns))
    return 0


def front_ends(path: str | None, waveform: Waveform) -> list[FrontEnd]:
    """One front end per channel: the file's, with the recording's own channel skew on top."""
    base = read_front_end(Path(path)) if path else FrontEnd()
    return [replace(base, delay_s=base.delay_s - skew) for skew in waveform.skew_s]


def read_front_end(path: Path) -> FrontEnd:
    """Read gain, f0_hz, q and delay_s from a TOML or JSON file, at its top or in its table `front_end`, or a profile.

    Raises:
        InputError: the file cannot be read, or holds a key that is none of these or not a number.
    """
    try:
        text = path.read_text()
        document: dict[str, Any] = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a front end: {error}") from error
    if "schema" in document:  # a profile of calibration/: it knows more than the four numbers
        return load_profile(path).front_end
    table = document.get("front_end", document)
    known = {field.name for field in fields(FrontEnd)}
    if not isinstance(table, dict) or not known & table.keys():
        raise InputError(f"{path}: holds no front end; allowed keys are {', '.join(sorted(known))}")
    wrong = [key for key in known & table.keys() if not isinstance(table[key], (int, float))]
    strange = table.keys() - known if table is not document else set()
    if wrong or strange:
        raise InputError(f"{path}: front end: {', '.join([*wrong, *strange])}: must be numbers named {sorted(known)}")
    return FrontEnd(**{key: float(table[key]) for key in known & table.keys()})


def output_columns(reports: Reports, waveform: Waveform, *, rectangular: bool) -> dict[str, NDArray[Any]]:
    """Name and values of every output column, in their order."""
    columns: dict[str, NDArray[Any]] = {
        "time_ns": reports.time_ns,
        "frequency_hz": reports.frequency_hz,
        "rocof_hz_per_s": reports.rocof_hz_per_s,
    }
    for i, name in enumerate(waveform.channel_names):
        unit = "a" if waveform.units[i].strip().lower() in ("a", "ka") else "v"
        columns |= _phasor_columns(name, unit, reports.phasors[:, i], rectangular=rectangular)
    if reports.positive_sequence is not None:
        columns |= _phasor_columns("V1", "v", reports.positive_sequence, rectangular=rectangular)
    return columns


def side_by_side(found: dict[str, dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """The columns of several estimators at the instants that all of them report, each under its own name."""
    shared = reduce(np.intersect1d, [columns["time_ns"] for columns in found.values()])
    joined: dict[str, NDArray[Any]] = {"time_ns": shared}
    for estimator, columns in found.items():
        rows = np.isin(columns["time_ns"], shared)
        joined |= {f"{estimator}_{name}": column[rows] for name, column in columns.items() if name != "time_ns"}
    return joined


def _phasor_columns(
    name: str, unit: str, phasor: NDArray[np.complex128], *, rectangular: bool
) -> dict[str, NDArray[Any]]:
    if rectangular:
        return {f"{name}_real_{unit}": phasor.real, f"{name}_imag_{unit}": phasor.imag}
    return {f"{name}_magnitude_{unit}": np.abs(phasor), f"{name}_angle_rad": np.angle(phasor)}


def _rows(columns: dict[str, NDArray[Any]]) -> Iterable[tuple[Any, ...]]:
    return zip(*(values.tolist() for values in columns.values()), strict=True)


def write_csv(stream: TextIO, columns: dict[str, NDArray[Any]]) -> None:
    """A header and one line per report; an invalid one has `nan`."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(_rows(columns))


def write_json(stream: TextIO, columns: dict[str, NDArray[Any]]) -> None:
    """One object per report and line, keyed like the CSV; null for what is invalid."""
    for row in _rows(columns):
        values = (None if value != value else value for value in row)  # only NaN differs from itself
        stream.write(json.dumps(dict(zip(columns, values, strict=True))) + "\n")


def _to_output(path: str | None, write: Callable[[TextIO], None]) -> None:
    if path is None:
        write(sys.stdout)
        return
    try:
        with Path(path).open("w", newline="") as stream:
            write(stream)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error}") from error
