"""The analogue chain between outlet and ADC pin, simulated as the continuous-time system it is.

mains -> second-order low-pass (gain, f0, Q) -> bias, noise, rails of the amplifier -> RC at the pin. Between the points
of a grid of 200 kHz the input is a straight line (first-order hold), and for such an input the discrete recursion is
exact: its matrices come from the matrix exponential, not from a digital filter's approximation. What the straight line
itself would cost, (2 pi f dt)^2 / 12 or 0.07 % at 3 kHz, is given back by adding a twelfth of the second difference;
of it 4e-5 of the response is left at 3 kHz. The delay is not filtered at all: the source is asked for its value that
much earlier.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from rpmu.calibrate.profile import Profile
from rpmu.twin.laws import Floats

# 1 - D^2/12, the second difference D^2 carried forward from the last four samples: undoes the hold's droop, no delay
UNHOLD = np.array([10.0, 5.0, -4.0, 1.0]) / 12.0
RETUNE = 1e-7  # a change of the step by less than this changes no phasor in its eighth digit


class HeldFilter:
    """A continuous-time transfer function as a recursion that is exact for straight lines between samples.

    Args:
        numerator: coefficients in s, highest power first.
        denominator: likewise.
        channels: number of independent channels.
    """

    def __init__(self, numerator: Sequence[float], denominator: Sequence[float], channels: int) -> None:
        self._continuous = (np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64))
        self._state = np.zeros((channels, len(denominator) - 1 + len(UNHOLD) - 1))
        self._step_s = 0.0
        self._b: Floats = np.zeros(0)
        self._a: Floats = np.zeros(0)

    def run(self, x: NDArray[np.float64], step_s: float) -> Floats:
        """Filter the next samples, float64 [channels, n], `step_s` apart."""
        if abs(step_s - self._step_s) > RETUNE * step_s:
            b, a, _ = signal.cont2discrete(self._continuous, step_s, method="foh")
            self._b, self._a, self._step_s = np.convolve(np.ravel(b), UNHOLD), np.ravel(a), step_s
        y, self._state = signal.lfilter(self._b, self._a, x, axis=-1, zi=self._state)
        return np.asarray(y)


class AnalogChain:
    """The front end of one unit.

    Args:
        profile: its design values.
        channels: phases.
        seed: of the amplifier's noise.
    """

    def __init__(self, profile: Profile, channels: int = 1, seed: int = 0) -> None:
        self.profile = profile
        w0 = 2.0 * np.pi * profile.f0_hz
        self._low_pass = HeldFilter([profile.gain * w0 * w0], [1.0, w0 / profile.q, w0 * w0], channels)
        self._rc: HeldFilter | None = None
        if np.isfinite(profile.rc_pole_hz):
            w1 = 2.0 * np.pi * profile.rc_pole_hz
            self._rc = HeldFilter([w1], [1.0, w1], channels)
        self._rng = np.random.default_rng([seed, 0xAF])
        self.clipped = 0

    def run(self, volts: Floats, step_s: float) -> Floats:
        """Volts at the ADC pins for the next mains volts, float64 [channels, n], `step_s` apart.

        `clipped` counts the samples at which the amplifier met a rail.
        """
        p = self.profile
        out = self._low_pass.run(volts, step_s) + p.bias_v
        if p.noise_v_per_rthz:
            out += p.noise_v_per_rthz * np.sqrt(0.5 / step_s) * self._rng.standard_normal(out.shape)
        self.clipped += int(np.count_nonzero((out < p.amplifier_low_v) | (out > p.amplifier_high_v)))
        np.clip(out, p.amplifier_low_v, p.amplifier_high_v, out=out)
        return out if self._rc is None else self._rc.run(out, step_s)
