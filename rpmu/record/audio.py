"""Waveforms in WAV and FLAC, through libsndfile (package soundfile, part of `rpmu[twin]`).

Samples come as fractions of full scale; give `scale` in volts per full scale. The rate is what the recorder believed:
no sound card is a frequency standard, so expect tens of ppm.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rpmu.errors import InputError
from rpmu.record.waveform import Waveform


def read(path: Path, rate_hz: float | None) -> Waveform:
    """Read one WAV or FLAC file."""
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: the package is there, the C library is not
        raise InputError(
            f"{path}: reading WAV and FLAC needs the package soundfile: pip install 'rpmu[twin]'"
        ) from error
    _refuse_cut_riff(path)
    try:
        samples, rate = soundfile.read(path, dtype="float64", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"{path}: is not a whole {path.suffix[1:].upper()} file ({error})") from error
    n_channels = samples.shape[1]
    return Waveform(
        samples=np.ascontiguousarray(samples.T),
        sample_rate_hz=float(rate) if rate_hz is None else rate_hz,
        first_sample_time_ns=None,
        channel_names=tuple(f"ch{i}" for i in range(n_channels)),
        units=("V",) * n_channels,
    )


def _refuse_cut_riff(path: Path) -> None:
    """Refuse a WAV that was cut short: libsndfile would read the rest of it without a word."""
    with path.open("rb") as file:
        head = file.read(8)
    announced = int.from_bytes(head[4:8], "little")
    streamed = announced in (0, 0xFFFFFFFF)  # written to a pipe: the length was never known
    if head[:4] == b"RIFF" and not streamed and announced + 8 > path.stat().st_size:
        raise InputError(f"{path}: announces {announced + 8} bytes and has {path.stat().st_size}: not a whole WAV file")
