"""The analogue chain between outlet and ADC pin, simulated as the continuous-time system it is.

mains -> second-order low-pass (gain, f0, Q) -> bias, noise, rails of the amplifier -> RC at the pin. Between the points
of a grid of 200 kHz the input is a straight line (first-order hold), and for such an input the discrete recursion is
exact: its matrices come from the matrix exponential, not from a digital filter's approximation. What the straight line
itself would cost, (2 pi f dt)^2 / 12 or 0.07 % at 3 kHz, is given back by adding a twelfth of the second difference;
of it 4e-5 of the response is left at 3 kHz. The delay is not filtered at all: the source is asked for its value that
much earlier.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rpmu.calibrate.profile import Profile
from rpmu.twin.emulator_library import load_library
from rpmu.twin.laws import Floats

# 1 - D^2/12, the second difference D^2 carried forward from the last four samples: undoes the hold's droop, no delay
UNHOLD = np.array([10.0, 5.0, -4.0, 1.0]) / 12.0
RETUNE = 1e-7  # a change of the step by less than this changes no phasor in its eighth digit


def exponential(matrix: Floats) -> Floats:
    """The exponential of a small matrix: its Taylor series where the norm is at most a half, squared up again."""
    doublings = max(0, math.frexp(float(np.linalg.norm(matrix, 1)))[1] + 1)
    scaled = np.ldexp(matrix, -doublings)
    result: Floats = np.eye(len(matrix))
    term = result
    for k in range(1, 19):  # 0.5^18 / 18! is far below the last digit
        term = term @ scaled / k
        result = result + term
    for _ in range(doublings):
        result = result @ result
    return result


def held(numerator: Floats, denominator: Floats, step_s: float) -> tuple[Floats, Floats]:
    """Coefficients b, a of the recursion that is exact for straight lines between samples (first-order hold).

    The state under a ramp follows from one exponential: of the system, extended by its input and the input's slope.
    """
    n = len(denominator) - 1
    pace = (denominator[n] / denominator[0]) ** (1.0 / n)  # of the system: with it as unit, no coefficient is large
    scale = denominator[0] * pace ** np.arange(n + 1)
    a, b = denominator / scale, np.concatenate([np.zeros(n + 1 - len(numerator)), numerator]) / scale
    system = np.diag(np.ones(n - 1), -1)
    system[0] = -a[1:]  # controller form: the states are derivatives of one signal, the highest first
    output = b[1:] - a[1:] * b[0]
    extended = np.zeros((n + 2, n + 2))
    extended[:n, :n] = system * step_s * pace
    extended[0, n] = step_s * pace
    extended[n, n + 1] = 1.0
    whole = exponential(extended)
    forward, at_start, slope = whole[:n, :n], whole[:n, n], whole[:n, n + 1]
    drive, direct = at_start - slope + forward @ slope, b[0] + output @ slope
    poles, zeros = (np.asarray(np.poly(m), np.float64) for m in (forward, forward - np.outer(drive, output)))
    return zeros + (direct - 1.0) * poles, poles


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
        self._filter = load_library().emulator_filter
        self._step_s = 0.0
        self._b: Floats = np.zeros(0)
        self._a: Floats = np.zeros(0)

    def run(self, x: NDArray[np.float64], step_s: float) -> Floats:
        """Filter the next samples, float64 [channels, n], `step_s` apart."""
        if abs(step_s - self._step_s) > RETUNE * step_s:
            b, a = held(*self._continuous, step_s)
            self._b, self._step_s = np.convolve(b, UNHOLD), step_s
            self._a = np.concatenate([a, np.zeros(len(UNHOLD) - 1)])
        y = np.empty(x.shape)
        for row, out, state in zip(np.ascontiguousarray(x, np.float64), y, self._state, strict=True):
            self._filter(self._b, self._a, len(self._b), state, row, out, len(row))
        return y


class AnalogChain:
    """The front end of one unit.

    Args:
        profiles: what each channel is built like.
        seed: of the amplifiers' noise.

    Attributes:
        clipped: samples at which an amplifier met a rail.
    """

    def __init__(self, *profiles: Profile, seed: int = 0) -> None:
        self._channels = [_ChannelChain(profile) for profile in profiles]
        self._rng = np.random.default_rng([seed, 0xAF])
        self.clipped = 0

    def run(self, volts: Floats, step_s: float) -> Floats:
        """Volts at the ADC pins for the next mains volts, float64 [channels, n], `step_s` apart."""
        noise_sd = np.sqrt(0.5 / step_s)  # of a density of 1
        rows = []
        for channel, row in zip(self._channels, volts, strict=True):
            p = channel.profile
            out = channel.low_pass.run(row[None], step_s) + p.bias_v
            if p.noise_v_per_rthz:
                out += p.noise_v_per_rthz * noise_sd * self._rng.standard_normal(out.shape)
            self.clipped += int(np.count_nonzero((out < p.amplifier_low_v) | (out > p.amplifier_high_v)))
            np.clip(out, p.amplifier_low_v, p.amplifier_high_v, out=out)
            rows.append(out if channel.rc is None else channel.rc.run(out, step_s))
        return np.concatenate(rows)


class _ChannelChain:
    """The filters of one channel."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        w0 = 2.0 * np.pi * profile.f0_hz
        self.low_pass = HeldFilter([profile.gain * w0 * w0], [1.0, w0 / profile.q, w0 * w0], 1)
        self.rc: HeldFilter | None = None
        if np.isfinite(profile.rc_pole_hz):
            w1 = 2.0 * np.pi * profile.rc_pole_hz
            self.rc = HeldFilter([w1], [1.0, w1], 1)
