"""What the signal passed before it was sampled, and how to undo it.

H(f) = gain / (1 - (f/f0)^2 + j f/(f0 Q)) * exp(-j 2 pi f delay): a second-order low-pass and a constant delay, the
model of the analogue front end, of its calibration certificate and of the twin (docs/front-end.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpmu.errors import InputError


@dataclass(frozen=True)
class FrontEnd:
    """A second-order low-pass with a delay, between the mains and the samples.

    Attributes:
        gain: output volts per input volt at DC of the low-pass.
        f0_hz: corner frequency; infinite for none.
        q: quality factor.
        delay_s: constant delay on top of the low-pass (further poles, channel skew), s; may be negative.
    """

    gain: float = 1.0
    f0_hz: float = float("inf")
    q: float = 0.7071067811865476
    delay_s: float = 0.0

    def __post_init__(self) -> None:
        if not self.gain or not np.isfinite(self.gain):
            raise InputError(f"front end: gain is {self.gain}, but must be a finite number other than 0")
        if not self.f0_hz > 0 or not self.q > 0:
            raise InputError(f"front end: f0_hz {self.f0_hz} and q {self.q} must both be positive")

    def response(self, frequency_hz: NDArray[Any] | float) -> NDArray[np.complex128]:
        """Complex response H(f), complex128 of the shape of `frequency_hz`."""
        f = np.asarray(frequency_hz, dtype=np.float64)
        u = f / self.f0_hz
        lowpass = self.gain / (1.0 - u * u + 1j * u / self.q)
        return np.asarray(lowpass * np.exp(-2j * np.pi * f * self.delay_s), dtype=np.complex128)
