"""Reports from a recording: the streaming estimator, fed in blocks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from rpmu.estimate.cic import CicResponse
from rpmu.estimate.estimator import Estimator
from rpmu.estimate.front_end import FrontEnd
from rpmu.estimate.reports import Reports, join_reports
from rpmu.estimate.settings import EstimatorSettings
from rpmu.timing.time_map import TimeMap

BLOCK_S = 1.0


def estimate_waveform(
    samples: ArrayLike,
    sample_rate_hz: float,
    first_sample_time_ns: int,
    nominal_hz: int = 60,
    performance_class: str = "M",
    reporting_rate: int = 60,
    phases: int = 1,
    front_end: FrontEnd | Sequence[FrontEnd] | None = None,
    estimator: str = "fir",
    cic: CicResponse | None = None,
) -> Reports:
    """Estimate synchrophasors from recorded samples.

    Args:
        samples: float64 [n] or [n_channels, n], volts as sampled; NaN where one is missing.
        sample_rate_hz: true sample rate, from 8 samples per nominal cycle to 100 kHz.
        first_sample_time_ns: UTC of the first sample, integer ns.
        nominal_hz: 50 or 60.
        performance_class: "P" or "M".
        reporting_rate: reports per second; negative: seconds per report.
        phases: 1, or 3 for sequence components and frequency from the positive sequence.
        front_end: what the signal passed before it was sampled; one for all channels or one each.
        estimator: "fir" or the name of another one.
        cic: droop of a CIC decimator before the samples.

    Returns:
        The reports whose whole window lies in the recording.

    Raises:
        InputError: a value outside of what is supported.
    """
    data = np.atleast_2d(np.asarray(samples, dtype=np.float64))
    settings = EstimatorSettings(
        nominal_hz=nominal_hz,
        performance_class=performance_class,
        reporting_rate=reporting_rate,
        phases=phases,
        n_channels=len(data),
        sample_rate_hz=float(sample_rate_hz),
        estimator=estimator,
        front_end=front_end,
        cic=cic,
    )
    streaming = Estimator(settings)
    ns_per_index = 1e9 / float(sample_rate_hz)
    block = max(1, round(sample_rate_hz * BLOCK_S))
    anchor = TimeMap(0, int(first_sample_time_ns), ns_per_index)
    parts = [
        streaming.push(data[:, i : i + block], i, anchor.anchored_at(i)) for i in range(0, max(1, data.shape[1]), block)
    ]
    return join_reports(parts)
