"""Data frames for people and for programs: the table of `rpmu pdc watch`, and its JSON objects.

The names and units of the JSON fields are a contract; missing values (NaN) are null, as JSON has no NaN.
"""

from __future__ import annotations

import json
import math
from cmath import phase
from collections.abc import Sized
from datetime import UTC, datetime
from typing import Any

from rpmu.c37118 import ConfigFrame, DataError, DataFrame, PmuConfig, PmuData, Stat

ERRORS = {
    DataError.GOOD: "",
    DataError.PMU_ERROR: "PMU error",
    DataError.TEST_OR_ABSENT: "absent or test",
    DataError.DO_NOT_USE: "do not use",
}
HEADINGS = f"{'UTC':<23}  {'PMU':<16}  {'Hz':>9}  {'Hz/s':>8}  {'frames':>7}  {'missing':>7}  state; phasors"


def to_json(frame: DataFrame) -> str:
    """One data frame as one line of JSON."""
    pmus = zip(frame.config.pmus, frame.pmus, strict=True)
    record = {
        "idcode": frame.idcode,
        "soc": frame.soc,
        "fracsec": frame.fracsec,
        "time_ns": frame.time_ns,
        "pmus": [_pmu_record(config, data) for config, data in pmus],
    }
    return json.dumps(record, ensure_ascii=False, allow_nan=False)


def _pmu_record(config: PmuConfig, data: PmuData) -> dict[str, Any]:
    return {
        "name": config.name,
        "idcode": config.idcode,
        "stat": int(data.stat),
        "phasors": [
            {"name": channel.name, "magnitude": _number(abs(value)), "angle_rad": _number(phase(value))}
            for channel, value in zip(config.phasors, data.phasors, strict=True)
        ],
        "frequency_hz": _number(data.frequency_hz),
        "rocof_hz_per_s": _number(data.rocof_hz_per_s),
        "analogs": [_number(value) for value in data.analogs],
        "digitals": list(data.digitals),
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def to_rows(frame: DataFrame, frames: int, missing: int) -> list[str]:
    """One data frame as lines of the table, one per PMU.

    Args:
        frame: what to show.
        frames: data frames so far.
        missing: of them missing so far.
    """
    time = datetime.fromtimestamp(frame.time_ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    stamp = f"{time}.{frame.time_ns // 1_000_000 % 1000:03d}"
    rows = []
    for config, data in zip(frame.config.pmus, frame.pmus, strict=True):
        phasors = [
            _phasor(channel.name, "A" if channel.is_current else "V", value)
            for channel, value in zip(config.phasors, data.phasors, strict=True)
        ]
        rows.append(
            f"{stamp:<23}  {config.name[:16]:<16}  {data.frequency_hz:9.4f}  {data.rocof_hz_per_s:8.4f}  "
            f"{frames:7d}  {missing:7d}  {describe_stat(data.stat, frame)}; {'  '.join(phasors)}"
        )
    return rows


def _phasor(name: str, unit: str, value: complex) -> str:
    return f"{name} {abs(value):.2f} {unit} {math.degrees(phase(value)):+.2f}°"


def describe_stat(stat: Stat, frame: DataFrame) -> str:
    """What is not well, in words; "ok" if nothing."""
    remarks = [ERRORS[stat.data_error]]
    if not stat.in_sync:
        remarks.append("not in sync")
    if not frame.time_quality.locked:
        remarks.append(f"time within {frame.time_quality.error_bound_s:g} s")
    if stat.config_change:
        remarks.append("configuration will change")
    if stat.trigger:
        remarks.append(f"trigger {stat.trigger_reason}")
    if stat.modified:
        remarks.append("modified")
    return ", ".join(remark for remark in remarks if remark) or "ok"


def describe_config(config: ConfigFrame) -> str:
    """A configuration in one line."""
    rate = f"{config.data_rate} frames/s" if config.data_rate > 0 else f"one frame in {-config.data_rate} s"
    pmus = ", ".join(
        f"{pmu.name} ({_count(pmu.phasors, 'phasor')}, {_count(pmu.analogs, 'analog')}, "
        f"{_count(pmu.digitals, 'digital word')})"
        for pmu in config.pmus[:8]
    )
    more = f" and {len(config.pmus) - 8} more" if len(config.pmus) > 8 else ""
    return f"IDCODE {config.idcode}, {rate}: {pmus}{more}"


def _count(channels: Sized, name: str) -> str:
    return f"{len(channels)} {name}{'' if len(channels) == 1 else 's'}"
