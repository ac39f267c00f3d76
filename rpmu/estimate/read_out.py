"""From the three outputs of a bank to phasor, frequency and ROCOF: read-out curves and image subtraction.

What the finished bank does to a tone at f0 + d is known exactly, so its pass-band errors are taken off through
polynomials in d. A real signal also brings its mirror image at -(f0 + d): the conjugate of the phasor, hence known
once the phasor is known, and subtracted in a few fixed-point steps with a local model of the phasor,
X(t) = X0 (1 + a t + c t^2 / 2) exp(j 2 pi d t).

The arithmetic below is written once for Python numbers (one report: an order of magnitude less overhead than numpy
on the target) and for numpy arrays (many reports).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import pi
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpmu.estimate.bank import ChannelBank
from rpmu.estimate.pieces import Pieces
from rpmu.values import value

Number = Any  # float or complex, or an array of them: the same operators
Polynomial = tuple[Number, ...]  # coefficients, that of the highest power first
Rows = tuple[Number, Number, Number]
Floats = NDArray[np.float64]
Complex = NDArray[np.complex128]

POINTS = 71
MOST_DEGREES = 16
CHIRP_HZ_PER_S = 0.01


def evaluate(p: Polynomial, x: Number) -> Number:
    """Horner's rule."""
    value: Number = 0.0
    for coefficient in p:
        value = value * x + coefficient
    return value


def ratio(a: Number, b: Number) -> Number:
    """Quotient; zero where b is zero, so that a dead channel reads as zero volts."""
    if isinstance(b, complex):
        return a / b if b else 0j
    return np.divide(a, b, out=np.zeros_like(b), where=b != 0)


def clip(x: Number, limit: float) -> Number:
    """x, held within +-limit."""
    return max(-limit, min(limit, x)) if isinstance(x, float) else np.clip(x, -limit, limit)


@dataclass(frozen=True)
class Curves:
    """Read-out curves of a channel's bank as polynomials in x = d / reach.

    Attributes:
        reach_hz: largest deviation d for which the polynomials hold.
        reach_raw: largest raw deviation Im(p1/p0) for which `inverse` holds.
        gain: response of the phasor row.
        inverse: d, Hz, from raw deviation / reach_raw.
        slope: what Re(p1/p0) shows for a pure tone, Hz.
        curvature: what the second derivative shows for a pure tone, 1/s^2.
        rocof_bias: what the ROCOF read-out shows for a pure tone, Hz/s.
        chirp: gain of the ROCOF read-out for a small chirp.
        image: [row][moment], response of each row to the image and its first two time moments.
        retune: response of the phasor row turned to d, relative to the one that is not.
        pieces: gain, slope, curvature and the nine of image, for one report.
    """

    reach_hz: float
    reach_raw: float
    gain: Polynomial
    inverse: Polynomial
    slope: Polynomial
    curvature: Polynomial
    rocof_bias: Polynomial
    chirp: Polynomial
    image: tuple[tuple[Polynomial, Polynomial, Polynomial], ...]
    retune: Polynomial
    pieces: Pieces = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        curves = (self.gain, self.slope, self.curvature, *(p for row in self.image for p in row))
        object.__setattr__(self, "pieces", Pieces([p[::-1] for p in curves]))

    def at(self, x: Number) -> list[Number]:
        """Values of gain, slope, curvature, and of image row by row, at x or an array of them."""
        if isinstance(x, float) and x == x:
            return self.pieces.at(x)
        curves = (self.gain, self.slope, self.curvature, *(p for row in self.image for p in row))
        return [evaluate(p, x) for p in curves]


def raw_rocof(r1: Number, r2: Number) -> Number:
    """ROCOF from the relative first and second derivative, Hz/s: Im(X''/X) of 2 pi, less the cross term of AM."""
    return r2.imag - 4 * pi * r1.real * r1.imag


def _fit(x: Floats, y: NDArray[Any], tolerance: float) -> Polynomial:
    """The polynomial of least degree within `tolerance`, so that the read-out costs no more than it must."""
    for degree in range(MOST_DEGREES + 1):
        p = np.polynomial.polynomial.polyfit(x, y, degree)
        if np.abs(np.polynomial.polynomial.polyval(x, p) - y).max() <= tolerance:
            break
    return tuple(p[::-1].tolist())


def _moments(response: Complex, x: Floats, reach_hz: float, sign: int) -> list[Complex]:
    """A response and its first two time moments, each [3, n]: derivatives by frequency over (j 2 pi)^k."""
    fit = np.polynomial.chebyshev.chebfit(x, response.T, MOST_DEGREES)
    moments = [response]
    for k in (1, 2):
        derived = np.polynomial.chebyshev.chebder(fit, k)
        value = np.polynomial.chebyshev.chebval(x, derived)
        moments.append(np.asarray(value / (2j * pi * sign * reach_hz) ** k, dtype=np.complex128))
    return moments


def build_curves(bank: ChannelBank, range_hz: float) -> Curves:
    """Read-out curves of a finished bank over 1.2 times the frequency range."""
    reach, f0 = 1.2 * range_hz, bank.table.nominal_hz
    x = np.cos(pi * (np.arange(POINTS) + 0.5) / POINTS)
    d = reach * x
    z, _, z_square = _moments(bank.response(f0 + d), x, reach, +1)
    r1, r2 = z[1] / z[0], z[2] / z[0]

    def chirped(rate: float) -> Floats:
        p = z + 1j * pi * rate * z_square
        return np.asarray(raw_rocof(p[1] / p[0], p[2] / p[0]))

    images = _moments(bank.response(-(f0 + d)), x, reach, -1)
    tolerances = ((1e-7, 1e-7, 1e-8), (1e-6, 1e-6, 1e-7), (1e-4, 1e-4, 1e-5))
    reach_raw = float(np.abs(r1.imag).max())
    slope = r1.real
    return Curves(
        reach_hz=reach,
        reach_raw=reach_raw,
        gain=_fit(x, z[0], 1e-7),
        inverse=_fit(r1.imag / reach_raw, d, 1e-8),
        slope=_fit(x, slope, 1e-8),
        curvature=_fit(x, 2 * pi * r2 + (2 * pi * r1.imag) ** 2 - 8j * pi**2 * slope * r1.imag, 1e-3),
        rocof_bias=_fit(x, raw_rocof(r1, r2), 1e-7),
        chirp=_fit(x, (chirped(CHIRP_HZ_PER_S) - chirped(-CHIRP_HZ_PER_S)) / (2 * CHIRP_HZ_PER_S), 1e-6),
        image=tuple(
            (
                _fit(x, images[0][j], tolerances[j][0]),
                _fit(x, images[1][j], tolerances[j][1]),
                _fit(x, images[2][j], tolerances[j][2]),
            )
            for j in range(3)
        ),
        retune=_fit(x, bank.taps_response(np.array([float(f0)]))[0] * bank.path(f0 + d) / z[0], 1e-5),
    )


@value
class LocalModel:
    """The phasor around the window's centre.

    Attributes:
        x: deviation / reach, held within the curves.
        deviation_hz: d.
        slope: first derivative over the phasor, over 2 pi, as read, Hz.
        a: relative slope of the magnitude, 1/s.
        c: relative curvature, 1/s^2, complex.
        rocof_hz_per_s: rate of change of frequency.
    """

    x: Number
    deviation_hz: Number
    slope: Number
    a: Number
    c: Number
    rocof_hz_per_s: Number


def read_deviation(curves: Curves, raw: Number) -> tuple[Number, Number]:
    """Deviation d, Hz, from the raw one, and x."""
    held = clip(raw, curves.reach_raw)
    deviation = evaluate(curves.inverse, held * (1 / curves.reach_raw)) + (raw - held)
    return deviation, clip(deviation, curves.reach_hz) * (1 / curves.reach_hz)


def read_bend(r1: Number, r2: Number, slope: Number, curvature: Number) -> tuple[Number, Number]:
    """Magnitude slope a and curvature c of the local model; `slope` and `curvature` are what a pure tone shows."""
    a, w = (2 * pi) * (r1.real - slope), (2 * pi) * r1.imag
    return a, (2 * pi) * r2 + w * w - 2j * a * w - curvature


def read_group(
    curves: Sequence[Curves], weights: Sequence[complex], rows: Sequence[Rows], iterations: int
) -> tuple[LocalModel, list[Rows]]:
    """Read the channels that share one frequency, with the image subtracted from each.

    The curves are evaluated once, at the deviation before the subtraction: that is right to a millihertz, and over a
    millihertz they do not change.

    Args:
        curves: read-out curves per channel.
        weights: what each channel counts in the signal that frequency is read from.
        rows: the three outputs per channel: complex numbers, or complex128 [m].
        iterations: fixed-point steps of the image subtraction.

    Returns:
        The model, and per channel the rows without image.
    """
    lead = curves[0]
    clean = list(rows)
    s = weighted(weights, clean)
    r1, r2 = ratio(s[1], s[0]), ratio(s[2], s[0])
    _, x = read_deviation(lead, r1.imag)
    mirrors = _mirrors(curves, x)
    _, slope, curvature = mirrors[0][:3]
    for _ in range(iterations):
        a, c = read_bend(r1, r2, slope, curvature)
        bend = 0.5 * c.conjugate()
        for i, (gain, _, _, i00, i01, i02, i10, i11, i12, i20, i21, i22) in enumerate(mirrors):
            mirror = (clean[i][0] / gain).conjugate()
            p0, p1, p2 = rows[i]
            clean[i] = (
                p0 - mirror * (i00 + a * i01 + bend * i02),
                p1 - mirror * (i10 + a * i11 + bend * i12),
                p2 - mirror * (i20 + a * i21 + bend * i22),
            )
        s = weighted(weights, clean)
        r1, r2 = ratio(s[1], s[0]), ratio(s[2], s[0])
    deviation, x = read_deviation(lead, r1.imag)
    a, c = read_bend(r1, r2, slope, curvature)
    rocof = (raw_rocof(r1, r2) - evaluate(lead.rocof_bias, x)) / evaluate(lead.chirp, x)
    return LocalModel(x, deviation, r1, a, c, rocof), clean


def _mirrors(curves: Sequence[Curves], x: Number) -> list[list[Number]]:
    """What `Curves.at` gives for each channel; channels with the same curves share it."""
    values: list[list[Number]] = []
    for i, curve in enumerate(curves):
        values.append(values[-1] if i and curve is curves[i - 1] else curve.at(x))
    return values


def weighted(weights: Sequence[complex], rows: Sequence[Rows]) -> Rows:
    """The rows of the signal that frequency is read from: of the one channel, or the positive sequence of three."""
    if len(rows) == 1:
        return rows[0]
    s0, s1, s2 = (sum(w * row[j] for w, row in zip(weights, rows, strict=True)) for j in range(3))
    return s0, s1, s2


def phasor_at(curves: Curves, model: LocalModel, rows: Rows, shift_s: Number, tone: Number) -> Number:
    """Phasor of a channel `shift_s` after the centre of the window.

    The local model is that of the channel's group; where the channel changes differently, its own slope counts.

    Args:
        curves: read-out curves of the channel.
        model: local model of the group.
        rows: the channel's rows without image.
        shift_s: from the centre of the window to the instant, s.
        tone: exp(j 2 pi (f0 + d) shift_s).
    """
    grown = 1 + shift_s * (model.a + 0.5 * shift_s * model.c)
    own = rows[1] - rows[0] * model.slope
    return (rows[0] * grown + (2 * pi * shift_s) * own) * tone / evaluate(curves.gain, model.x)
