"""A recorded waveform as a value, and the one door to every file format it may lie in.

`read_waveform` looks at the file's suffix, hands over to the module of that format, and then does what all formats
share: choosing channels, scaling, and refusing what cannot be a waveform (no samples, no rate, not a number). Every
fault is one `InputError` sentence with the file and the place in it; a reader that runs into anything else has a bug.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rpmu.errors import InputError

SUFFIXES = (".npz", ".csv", ".wav", ".flac", ".cfg", ".dat", ".cff")


@dataclass(frozen=True)
class Waveform:
    """Uniformly sampled channels.

    Attributes:
        samples: float64 [n_channels, n], in the unit of `units` (volts unless the file says otherwise).
        sample_rate_hz: samples per second and channel.
        first_sample_time_ns: UTC of sample 0, integer ns since the Unix epoch; None where the file does not say.
        channel_names: one name per channel.
        units: one unit per channel: "V", "A", or what the file calls it.
        skew_s: per channel, how much later than the sample's nominal instant it was taken (COMTRADE's skew).
        trigger_time_ns: UTC of the recorder's trigger, or None.
        missing: samples the file marks as missing; they were filled by straight lines.
    """

    samples: NDArray[np.float64]
    sample_rate_hz: float
    first_sample_time_ns: int | None
    channel_names: tuple[str, ...]
    units: tuple[str, ...]
    skew_s: tuple[float, ...] = field(default=())
    trigger_time_ns: int | None = None
    missing: int = 0

    def __post_init__(self) -> None:
        if not self.skew_s:
            object.__setattr__(self, "skew_s", (0.0,) * len(self.channel_names))

    @property
    def duration_s(self) -> float:
        """Length, s."""
        return float(self.samples.shape[1] / self.sample_rate_hz)

    def select(self, indices: Sequence[int]) -> Waveform:
        """The same recording with only these channels, in this order."""
        return replace(
            self,
            samples=self.samples[list(indices)],
            channel_names=tuple(self.channel_names[i] for i in indices),
            units=tuple(self.units[i] for i in indices),
            skew_s=tuple(self.skew_s[i] for i in indices),
        )


def read_waveform(
    path: str | Path,
    channels: Sequence[str | int] | str | int | None = None,
    scale: float | None = None,
    *,
    array: str | None = None,
    rate_hz: float | None = None,
    side: Literal["primary", "secondary"] | None = None,
) -> Waveform:
    """Read a recording: NPZ, CSV, WAV, FLAC or COMTRADE (.cfg or .dat with its partner beside it; .cff).

    Args:
        path: the file; its suffix decides the format.
        channels: names or indices from 0 of the channels wanted, in that order; None for all.
        scale: volts per unit of the file's numbers. None takes the file's own calibration where it has one (an NPZ
            `meta` with `scale_v_per_count`, COMTRADE's a and b), else 1. For WAV and FLAC the unit is full scale.
        array: name of the array in an NPZ that does not follow the contract (`samples`).
        rate_hz: sampling rate, instead of the file's own.
        side: for COMTRADE, the side of the instrument transformer; None leaves the values as recorded.

    Raises:
        InputError: the file is missing, not readable, damaged, or does not hold what was asked for.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"{path}: the suffix {path.suffix!r} is not one of a recording; allowed are {', '.join(SUFFIXES)}"
        )
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    waveform = _read(path, scale, array, side, rate_hz)
    waveform = _checked(path, waveform)
    if channels is None:
        return waveform
    return waveform.select(_indices(path, waveform, [channels] if isinstance(channels, (str, int)) else channels))


def _read(
    path: Path,
    scale: float | None,
    array: str | None,
    side: Literal["primary", "secondary"] | None,
    rate_hz: float | None,
) -> Waveform:
    """Hand over to the module of the format; a fault of the file system becomes one sentence."""
    from rpmu.record import audio, comtrade, csv_file, npz  # here, because they make Waveforms themselves

    try:
        match path.suffix.lower():
            case ".npz":
                return npz.read(path, array, rate_hz, scale)
            case ".csv":
                return _scaled(csv_file.read(path, rate_hz), scale)
            case ".wav" | ".flac":
                return _scaled(audio.read(path, rate_hz), scale)
            case _:
                return _scaled(comtrade.read(path, side, rate_hz), scale)
    except (OSError, UnicodeDecodeError, MemoryError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error


def _scaled(waveform: Waveform, scale: float | None) -> Waveform:
    return waveform if scale is None else replace(waveform, samples=waveform.samples * scale)


def _checked(path: Path, waveform: Waveform) -> Waveform:
    """Refuse what is not a waveform, whatever format it came from."""
    samples = waveform.samples
    if samples.ndim != 2 or samples.shape[0] == 0 or samples.shape[1] < 2:
        raise InputError(
            f"{path}: the samples have the shape {samples.shape}, but must be [n_channels, n] with n of 2 or more"
        )
    if not (np.isfinite(waveform.sample_rate_hz) and waveform.sample_rate_hz > 0):
        raise InputError(f"{path}: the sampling rate is {waveform.sample_rate_hz}, but must be a positive number of Hz")
    bad = np.argwhere(~np.isfinite(samples))
    if len(bad):
        channel, index = (int(i) for i in bad[0])
        raise InputError(
            f"{path}: channel {waveform.channel_names[channel]!r}, sample {index}, is {samples[channel, index]}, not a "
            f"finite number ({len(bad)} such samples); repair or cut the recording"
        )
    return waveform


def _indices(path: Path, waveform: Waveform, wanted: Sequence[str | int]) -> list[int]:
    names = list(waveform.channel_names)
    found = []
    for channel in wanted:
        if isinstance(channel, str) and channel in names:
            found.append(names.index(channel))
        elif str(channel).isdecimal() and int(channel) < len(names):
            found.append(int(channel))
        else:
            near = get_close_matches(str(channel), names, 1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
            raise InputError(
                f"{path}: there is no channel {channel!r}{hint}; it has {shown}, or 0 to {len(names) - 1} by position"
            )
    if not found:
        raise InputError(f"{path}: no channel was asked for; name at least one")
    return found


def rate_of_times(path: Path, times: NDArray[np.float64], unit_s: float) -> float:
    """Sampling rate, Hz, of evenly spaced time stamps.

    Args:
        path: for the message.
        times: [n] in any unit, relative to the first one where float64 would not hold them exactly.
        unit_s: that unit, s.

    Raises:
        InputError: fewer than two, not increasing, or off a straight line by half a sampling period or more.
    """
    n = len(times)
    span = float(times[-1] - times[0]) if n > 1 else 0.0
    if not (np.isfinite(span) and span > 0):
        raise InputError(f"{path}: the time stamps do not increase, so they give no sampling rate; give rate_hz")
    period = span / (n - 1)
    off = np.abs(times - times[0] - period * np.arange(n))
    if not np.all(off < 0.5 * period):
        place = int(np.argmax(~(off < 0.5 * period)))
        raise InputError(
            f"{path}: the time stamps are not evenly spaced (at sample {place} off by {off[place] / period:.3g} "
            "sampling periods); resample the recording, or give rate_hz to ignore them"
        )
    return 1.0 / (period * unit_s)
