"""An independent measurement to judge the chain by: the four-parameter sine fit of IEEE 1057.

It shares nothing with the estimator: least squares of sine, cosine and offset at a trial frequency, and Gauss-Newton
on the frequency, window by window of a recording at its own sampling rate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class SineFit:
    """Result of a fit: RMS magnitude in the unit of the samples, frequency in Hz."""

    rms: float
    frequency_hz: float


def fit_sine(samples: NDArray[np.float64], rate_hz: float, guess_hz: float) -> SineFit:
    """Fit a + b cos + c sin with unknown frequency to one window of samples [n]."""
    time_s = (np.arange(samples.size) - samples.size / 2) / rate_hz
    omega = 2 * np.pi * guess_hz
    cosine = sine = 0.0
    for _ in range(12):
        c, s = np.cos(omega * time_s), np.sin(omega * time_s)
        slope = time_s * (sine * c - cosine * s)
        columns = np.column_stack([c, s, np.ones_like(c), slope])
        if not cosine and not sine:
            columns = columns[:, :3]  # no amplitude yet: the slope in frequency is not defined
        solution, *_ = np.linalg.lstsq(columns, samples, rcond=None)
        cosine, sine = float(solution[0]), float(solution[1])
        if solution.size == 4:
            omega += float(solution[3])
    return SineFit(float(np.hypot(cosine, sine) / np.sqrt(2)), float(omega / (2 * np.pi)))


def fit_windows(samples: NDArray[np.float64], rate_hz: float, guess_hz: float, window_s: float = 0.5) -> SineFit:
    """Mean of the fits of consecutive windows of `window_s`: what a frequency that wanders does on average."""
    length = round(window_s * rate_hz)
    windows = [samples[i : i + length] for i in range(0, samples.size - length + 1, length)]
    fits = [fit_sine(window, rate_hz, guess_hz) for window in windows]
    return SineFit(float(np.mean([fit.rms for fit in fits])), float(np.mean([fit.frequency_hz for fit in fits])))
