"""From the three outputs of a bank to phasor, frequency and ROCOF: read-out curves and image subtraction.

Rows p0, p1, p2 are the phasor and its first and second derivative. Around the window's centre the phasor is
X(t) = p0 exp(r t + c t^2 / 2) with r = p1/p0 and c = p2/p0 - r^2: Im r is the deviation from nominal in rad/s, Re r the
growth, Im c is ROCOF times 2 pi. What the finished bank does to a tone is known exactly, so its errors are taken off
through curves over the deviation.

A real signal also brings its mirror image at -(f0 + d): the conjugate of the phasor, so what it adds to the rows is
known once r and c are. Row j gets conj(p0) (i_j0 + i_j1 (conj r - conj r0) + i_j2 conj c), where r0 is the r of the
pure tone for which the row's response i_j0 to the image and its time moments i_j1, i_j2 were looked up. The filters
leave so little of it (1e-5 of the phasor, 1 mHz, 1 Hz/s) that r needs c only roughly; then c follows from r exactly.

The arithmetic is written once for Python numbers (one report: an order of magnitude less overhead than numpy on the
target) and for numpy arrays (many reports).
"""

from __future__ import annotations

import cmath
from collections.abc import Sequence
from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpmu.estimate.bank import ChannelBank
from rpmu.estimate.pieces import Number, Pieces, chords, middles, nodes, parabolas
from rpmu.values import value

Polynomial = tuple[Number, ...]  # coefficients, that of the highest power first
Floats = NDArray[np.float64]
Complex = NDArray[np.complex128]

POINTS = 71
MOST_DEGREES = 16
CHIRP_HZ_PER_S = 0.01
# Row and moment of the image's curves; the two that are left out would move TVE by 2e-5 at most.
IMAGES = ((0, 0), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2))
TAYLOR = (1.0, 1.0, 0.5)
ROW_SCALES = (1.0, 2 * pi, 2 * pi)  # from the rows of a bank, whose derivatives are over 2 pi
# Positive sequence over the sum of the phases' sizes, a third in order: with less, frequency would be read from noise.
LEAST_SEQUENCE = 1 / 30
PER_TURN = 0.5 / pi
ONE = 1 + 0j  # complex, since operations of a float and a complex number are dearer


def evaluate(p: Polynomial, x: Number) -> Number:
    """Horner's rule."""
    value: Number = 0.0
    for coefficient in p:
        value = value * x + coefficient
    return value


@dataclass(frozen=True)
class Curves:
    """What a channel's bank does, as polynomials in x = d / reach.

    Attributes:
        reach_hz: largest deviation d for which the polynomials hold.
        reach_raw: largest raw deviation Im(p1/p0) for which `inverse` holds.
        gain: response of the phasor row.
        inverse: d, Hz, from raw deviation / reach_raw.
        slope: what Re(p1/p0) shows for a pure tone, Hz.
        curvature: c of a pure tone, Hz/s; its imaginary part is what the ROCOF read-out shows.
        chirp: gain of the ROCOF read-out for a small chirp.
        image: [row][moment], response of each row to the image and its first two time moments.
        retune: response of the phasor row turned to d, relative to the one that is not.
    """

    reach_hz: float
    reach_raw: float
    gain: Polynomial
    inverse: Polynomial
    slope: Polynomial
    curvature: Polynomial
    chirp: Polynomial
    image: tuple[tuple[Polynomial, Polynomial, Polynomial], ...]
    retune: Polynomial


def _fit(x: Floats, y: NDArray[Any], tolerance: float) -> Polynomial:
    """The polynomial of least degree within `tolerance`."""
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
        r1, r2 = p[1] / p[0], p[2] / p[0]
        return np.asarray(r2.imag - 4 * pi * r1.real * r1.imag)

    images = _moments(bank.response(-(f0 + d)), x, reach, -1)
    tolerances = ((1e-7, 1e-7, 1e-8), (1e-6, 1e-6, 1e-7), (1e-4, 1e-4, 1e-5))
    reach_raw = float(np.abs(r1.imag).max())
    return Curves(
        reach_hz=reach,
        reach_raw=reach_raw,
        gain=_fit(x, z[0], 1e-7),
        inverse=_fit(r1.imag / reach_raw, d, 1e-8),
        slope=_fit(x, r1.real, 1e-8),
        curvature=_fit(x, r2 - 2 * pi * r1**2, 1e-7),
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
class Channel:
    """A channel among those that share one frequency.

    Attributes:
        kind: which of the group's distinct banks it has.
        weight: what it counts in the signal that frequency is read from.
        skew_s: how much later than at the first channel a wave is sampled.
        sensitivity: relative change of its kind's analogue response at f0 per relative change of frequency.
    """

    kind: int
    weight: complex
    skew_s: float
    sensitivity: complex


class GroupReader:
    """Reads the channels that share one frequency.

    The curves are looked up once, at the deviation before the image is subtracted: that is right to a millihertz, and
    over a millihertz they do not change. The deviation itself is read after it.

    Frequency is that of the positive sequence, or where there is next to none, as with phases in the wrong order, that
    of the strongest phase.

    Args:
        nominal_hz: nominal frequency.
        curves: of each distinct bank among the channels, that of the first channel first.
        channels: in order.
    """

    def __init__(self, nominal_hz: float, curves: Sequence[Curves], channels: Sequence[Channel]) -> None:
        self._carrier = 2j * pi * nominal_hz
        self.channels = channels
        self._weights = [channel.weight for channel in channels]
        self._skew_s = channels[0].skew_s  # of a channel that is alone
        # of each kind: where its curves lie, its sensitivity, and the channels that have it
        self._members: list[tuple[slice, complex, list[tuple[int, float]]]] = []
        for k in range(len(curves)):
            alike = [(i, channel) for i, channel in enumerate(channels) if channel.kind == k]
            places = [(i, channel.skew_s) for i, channel in alike]
            self._members.append((slice(9 * k, 9 * k + 6), alike[0][1].sensitivity, places))
        self._set_scale(1.0)
        lead = curves[0]
        reach = 2 * pi * lead.reach_raw
        raw = nodes(reach)
        deviation = 2 * pi * evaluate(lead.inverse, raw / reach)
        x = np.clip(deviation / (2 * pi * lead.reach_hz), -1, 1)
        flat = 0 * x  # for a curve that is a constant
        curvature, chirp = evaluate(lead.curvature, x) + 0j + flat, evaluate(lead.chirp, x) + flat
        slope = 2 * pi * evaluate(lead.slope, x) + flat
        columns = [middles(1j * raw - slope), *parabolas(1j * (deviation - raw) - slope), *chords(2 * pi * curvature)]
        if len(channels) == 1:  # whose image is as large as itself: what `read` would divide by is known
            moment = ROW_SCALES[2] * TAYLOR[2] * (evaluate(lead.image[2][2], x) + 0j + flat)
            chirp = chirp * (1 - np.abs(moment / (evaluate(lead.gain, x) + 0j)) ** 2)
        columns += chords(1 / (2 * pi * chirp))
        for kind in curves:
            gain = evaluate(kind.gain, x) + 0j + flat
            columns += chords(1 / gain)
            for row, moment in IMAGES:
                image = evaluate(kind.image[row][moment], x) + 0j + flat
                columns.append(middles(ROW_SCALES[row] * TAYLOR[moment] * image / gain.conjugate()))
        self._pieces = Pieces(columns, reach)

    def read(
        self, rows: Sequence[Number], shift_s: Number, scale: float
    ) -> tuple[list[Number], Number, Number, Number, Sequence[Number]]:
        """Read one report, or m at once.

        Args:
            rows: p0, p1, p2 of the first channel, then of the next: complex numbers, or complex128 [m].
            shift_s: from the centre of the window to the instant, nominal seconds: one float, or float64 [m].
            scale: true sample rate / nominal sample rate.

        Returns:
            Phasors of the channels at the instant; at the centre: deviation, Hz, and ROCOF, Hz/s, of the signal that
            frequency is read from, its p0 without image, and what each channel counts in it.
        """
        several = len(rows) > 3
        weights, s0, s1, s2 = self._weighted(rows) if several else (self._weights, *rows)
        one = isinstance(s0, complex)
        exp: Any = cmath.exp if one else np.exp
        lookup: Any = self._pieces.at if one else self._pieces.at_all
        s0 = (s0 or ONE) if one else np.where(s0 == 0, ONE, s0)  # a dead channel reads as zero volts
        raw = (s1 / s0).imag
        if several:
            u, (r0, d0, d1, d2, v0, v1, h0, h1, *own) = lookup(raw)
            image, (i00, i10, i11, i12, i20, i21, i22) = self._image(rows, own, weights)
        else:
            u, (r0, d0, d1, d2, v0, v1, h0, h1, g0, g1, i00, i10, i11, i12, i20, i21, i22) = lookup(raw)
            image = s0.conjugate()
        lead = s0 - image * i00
        inverse = ONE / lead
        mirror, r = image * inverse, s1 * inverse
        bent = s2 * inverse - v0 - v1 * u - mirror * i20
        c = bent - r * r
        r = r - mirror * (i10 + i11 * (r.conjugate() + r0) + i12 * c.conjugate())
        off = r.conjugate() + r0
        c = bent - mirror * i21 * off - r * r
        i22 = mirror * i22
        c = c - i22 * c.conjugate()  # c + i22 conj(c) was c, but for the square of i22, ...
        if several:
            size = abs(i22)
            c = c * (1 / (1 - size * size))  # ... which for one channel is in h0 and h1
        u_clean = u + (r.imag - raw) * self._pieces.per_unit
        r_true = r + d0 + (d2 * u_clean + d1) * u_clean
        speed = self._carrier + r_true
        if scale != self._scale:
            self._set_scale(scale)
        if not several:
            late = shift_s + self._skew_s * scale
            turn = exp((speed + c * (0.5 * late)) * late)
            p0: Any = lead * turn * ((g0 + g1 * u) * self._at_scale[0])
            alone = (p0 if rows[0] else 0j) if one else np.where(rows[0] == 0, 0, p0)
            return [alone], r_true.imag * PER_TURN, c.imag * (h0 + h1 * u), lead, weights
        turned = self._turned(rows, own, (u, off, r, c, speed), shift_s, scale)
        return turned, r_true.imag * PER_TURN, c.imag * (h0 + h1 * u), lead, weights

    def _turned(
        self, rows: Sequence[Number], curves: Sequence[Number], motion: Sequence[Number], shift_s: Number, scale: float
    ) -> list[Number]:
        """Phasors of several channels at the instant, each with its own image taken off.

        Args:
            rows: as `read` gets them.
            curves: of all kinds, as looked up.
            motion: of the signal that frequency is read from: where that lies in the table, p1 / p0 of its image
                and its own, the bend, and the speed at which phasors turn.
            shift_s: as `read` gets it.
            scale: likewise.
        """
        u, off, r, c, speed = motion
        exp: Any = cmath.exp if isinstance(c, complex) else np.exp
        bend = c.conjugate()
        phasors: list[Number] = [0j] * len(self.channels)
        for (own, _, members), at_scale in zip(self._members, self._at_scale, strict=True):
            g0, g1, i00, i10, i11, i12 = curves[own]
            gain = (g0 + g1 * u) * at_scale
            i1 = i10 + i11 * off + i12 * bend
            for i, skew_s in members:
                p0, late = rows[3 * i], shift_s + skew_s * scale
                image = p0.conjugate()
                p0 = p0 - image * i00
                turn: Any = exp((speed + c * (0.5 * late)) * late)
                p0 = p0 + (rows[3 * i + 1] - image * i1 - r * p0) * late  # its own p1 may differ from r p0
                phasors[i] = p0 * turn * gain
        return phasors

    def _set_scale(self, scale: float) -> None:
        """What the sample rate, which changes once a second, does to the gain of each kind."""
        e = scale - 1  # parts per million, so a term of first order in it is exact to parts per billion
        self._scale, self._at_scale = scale, [1 - sensitivity * e for _, sensitivity, _ in self._members]

    def _weighted(self, rows: Sequence[Number]) -> tuple[Sequence[Number], Number, Number, Number]:
        """What each phase counts in the signal that frequency is read from, and the rows of that signal."""
        (w0, w1, w2), (a0, a1, a2, b0, b1, b2, c0, c1, c2) = self._weights, rows
        s0 = w0 * a0 + w1 * b0 + w2 * c0
        hidden: Any = abs(s0) < LEAST_SEQUENCE * (abs(a0) + abs(b0) + abs(c0))
        if hidden if isinstance(hidden, bool) else hidden.any():
            w0, w1, w2 = self._strongest(hidden, (a0, b0, c0))
            s0 = w0 * a0 + w1 * b0 + w2 * c0
        return (w0, w1, w2), s0, w0 * a1 + w1 * b1 + w2 * c1, w0 * a2 + w1 * b2 + w2 * c2

    def _strongest(self, hidden: Any, phasors: Sequence[Number]) -> list[Number]:
        """What each phase counts where the positive sequence hides: the strongest alone."""
        strongest: Any = np.argmax(np.abs(phasors), axis=0)
        if isinstance(hidden, bool):
            return [complex(i == strongest) for i in range(len(phasors))]
        return [np.where(hidden, i == strongest, weight) for i, weight in enumerate(self._weights)]

    def _image(
        self, rows: Sequence[Number], curves: Sequence[Number], weights: Sequence[Number]
    ) -> tuple[Number, Sequence[Number]]:
        """The image in the signal that frequency is read from: a factor, and what it multiplies."""
        w0, w1, w2 = weights
        turned = w0 * rows[0].conjugate(), w1 * rows[3].conjugate(), w2 * rows[6].conjugate()
        if len(self._members) == 1:
            return turned[0] + turned[1] + turned[2], curves[2:]
        images = [sum([turned[i] for i, _ in members]) for _, _, members in self._members]
        return ONE, [sum(image * curves[9 * k + j] for k, image in enumerate(images)) for j in range(2, 9)]
