"""Droop of the decimator that the PRU runs before the estimator.

A CIC of order N by a factor D has the response (sin(pi f D / fs) / (D sin(pi f / fs)))^N and a constant delay. The
delay is taken off in the time map; what is left is a real droop, which the estimator's read-out takes off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class CicResponse:
    """A CIC decimator, without its delay.

    Attributes:
        order: number of stages.
        decimation: scans per sample.
        scan_rate_hz: rate before the decimator, Hz.
    """

    order: int
    decimation: int
    scan_rate_hz: float

    def response(self, frequency_hz: NDArray[Any] | float) -> NDArray[np.float64]:
        """Real gain at each frequency, 1 at DC."""
        x = np.asarray(frequency_hz, dtype=np.float64) / self.scan_rate_hz
        return np.asarray((np.sinc(x * self.decimation) / np.sinc(x)) ** self.order, dtype=np.float64)
