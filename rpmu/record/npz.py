"""Waveforms in NumPy's .npz: the project's own interchange format.

Contract: `samples` float [n_channels, n] (or [n]) in volts, `sample_rate_hz`, optional `first_sample_time_ns` (UTC) and
`channel_names`. Collections that came before the contract hold raw counts under another name (`volts`, `counts`,
`ch`) and a JSON string `meta` with `fs_hz` or `sample_period_us` and perhaps `scale_v_per_count`: those are read too.
Pickled objects are never loaded.
"""

from __future__ import annotations

import json
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpmu.errors import InputError
from rpmu.record.waveform import Waveform

FALLBACK_ARRAYS = ("volts", "counts", "ch")
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    tokenize.TokenError,  # numpy parses an array's header as Python source
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    EOFError,
    NotImplementedError,  # a compression method zipfile does not know
    RuntimeError,  # an encrypted member
    OverflowError,
)


def read(path: Path, array: str | None, rate_hz: float | None, scale: float | None) -> Waveform:
    """Read one .npz; see `rpmu.record.waveform.read_waveform` for the arguments."""
    arrays = _load(path)
    meta = _meta(path, arrays)
    name = array or next((n for n in ("samples", *FALLBACK_ARRAYS) if n in arrays), "samples")
    samples = _oriented(path, arrays, name)
    if scale is None and name != "samples":
        scale = _number(path, "meta scale_v_per_count", meta.get("scale_v_per_count", 1.0))
    names = _names(path, arrays, len(samples))
    return Waveform(
        samples=samples * (1.0 if scale is None else scale),
        sample_rate_hz=_rate(path, arrays, meta) if rate_hz is None else rate_hz,
        first_sample_time_ns=_integer(path, arrays, "first_sample_time_ns"),
        channel_names=names,
        units=("V",) * len(names),
    )


def _load(path: Path) -> dict[str, NDArray[Any]]:
    try:
        archive = np.load(path, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            return {"": archive}  # a .npy under a wrong name: the caller finds no `samples` in it
        with archive:
            return {name: archive[name] for name in archive.files}
    except DAMAGE as error:
        raise InputError(f"{path}: is not a whole NPZ file of plain arrays ({_first_line(error)})") from error


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]


def _meta(path: Path, arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    if "meta" not in arrays:
        return {}
    try:
        meta = json.loads(str(arrays["meta"]))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: 'meta' is not JSON ({error})") from error
    return meta if isinstance(meta, dict) else {}


def _oriented(path: Path, arrays: dict[str, NDArray[Any]], name: str) -> NDArray[np.float64]:
    """The named array as float64 [n_channels, n]; only an array outside the contract may lie the other way round."""
    if name not in arrays:
        raise InputError(
            f"{path}: has no array {name!r}; it holds {', '.join(sorted(arrays)) or 'nothing'}: name one by array="
        )
    data = arrays[name]
    if data.dtype.kind not in "fiu" or data.ndim not in (1, 2):
        raise InputError(
            f"{path}: array {name!r} is {data.dtype} of shape {data.shape}, but must hold real numbers [n_channels, n]"
        )
    data = np.atleast_2d(data).astype(np.float64)
    return np.ascontiguousarray(data.T) if name == "ch" and data.shape[0] > data.shape[1] else data


def _names(path: Path, arrays: dict[str, NDArray[Any]], n_channels: int) -> tuple[str, ...]:
    if "channel_names" not in arrays:
        return tuple(f"ch{i}" for i in range(n_channels))
    names = tuple(str(name) for name in np.atleast_1d(arrays["channel_names"]))
    if len(names) != n_channels:
        raise InputError(f"{path}: has {len(names)} channel_names for {n_channels} channels")
    return names


def _rate(path: Path, arrays: dict[str, NDArray[Any]], meta: dict[str, Any]) -> float:
    if "sample_rate_hz" in arrays:
        return _number(path, "sample_rate_hz", arrays["sample_rate_hz"])
    if "fs_hz" in meta:
        return _number(path, "meta fs_hz", meta["fs_hz"])
    if "sample_period_us" in meta:
        period_us = _number(path, "meta sample_period_us", meta["sample_period_us"])
        return 1e6 / period_us if period_us else float("nan")
    raise InputError(f"{path}: has no 'sample_rate_hz'; add it to the file, or give rate_hz")


def _number(path: Path, name: str, value: Any) -> float:
    try:
        return float(np.asarray(value, dtype=np.float64).item())
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: {name!r} must be one number ({_first_line(error)})") from error


def _integer(path: Path, arrays: dict[str, NDArray[Any]], name: str) -> int | None:
    """An integer that may be beyond float64's 53 bits, so it must be stored as one."""
    if name not in arrays:
        return None
    value = arrays[name]
    if value.size != 1 or value.dtype.kind not in "iu":
        raise InputError(
            f"{path}: {name!r} is {value.dtype} of shape {value.shape}, but must be one integer (UTC in ns)"
        )
    return int(value.item())
