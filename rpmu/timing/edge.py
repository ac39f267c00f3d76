"""The instant of a PPS edge, in fractions of a scan, from the raw samples on its RC slope.

The ADC sees v(t) = base + step (1 - exp(-(t - t0)/tau)) for t > t0. With tau near one scan period two or three samples
lie on the slope, and 12 bits on them give t0 to some 10 ns, a thousandth of a scan, provided that tau and the
plateau are right: 1 % of tau is 110 ns. So both are learned: every edge is a small maximum a posteriori fit of
(t0, tau, step, base) with what earlier edges taught as the prior, and its posterior is the next one's prior. Samples
at the converter's stop carry no voltage and are left out. Without an RC no sample lies on the slope; then all that is
known is that the edge fell between two samples, and the result says so instead of pretending to a Gaussian. The same
holds for samples on no exponential, of which one may be spoiled.

The fit is the method of Gauss and Newton. It needs of the Jacobian only sums of products, and in most of them only the
few samples on the slope have a part: before the edge no derivative but that by the base differs from zero, and well
after it the curve is the plateau. So plain numbers, a dozen samples and a matrix of 3 by 3 do at a fraction of the cost
what arrays would. The first guess is mostly within 1e-3 scans, from where one round is enough.
"""

from __future__ import annotations

import math
from operator import mul
from typing import NamedTuple

from rpmu.acquire.blocks import ADC_BITS, PpsEvent
from rpmu.values import value

FULL_SCALE = 2**ADC_BITS - 1
PLATEAU_SAMPLES = 16  # the last ones of an event: the slope is over long before
SMALLEST_STEP = 200.0  # counts; less is no 3.3 V pulse behind a divider
NOISE_FLOOR = 0.5  # counts: quantisation alone is 0.29
STEP_TOLERANCE = 0.1  # relative, of a plateau that cannot be seen because it clips
TAU_WALK = 3e-4  # relative, per edge: the drift of a capacitor over minutes
STEP_WALK = 1e-3
MOST_ROUNDS = 12
CONVERGED = 1e-3  # of tau: a round that moves edge and tau by less leaves some 1e-6 of error
SLOPE_TAUS = 12.0  # so long samples tell of the edge: after that they are the plateau, to 6e-6 of the step
TAU_LIMITS = (0.02, 8.0)  # scans
MISFIT_SIGMAS = 6.0  # residual of a fit that is none, in terms of the noise ...
MISFIT = 0.003  # ... and at least this part of the step
MOST_MISFITS = 3  # in a row; more are what the input is like now, and have to be learned


@value
class Edge:
    """Where in the scans an edge lies.

    Attributes:
        scan: whole number of the position.
        fraction: and its fraction, of a scan; not necessarily below 1.
        sigma_scans: standard uncertainty of the position.
        half_width_scans: 0 for a fitted edge; otherwise the edge lies anywhere within +- this of the position.
        residual_counts: RMS of the samples about the fitted curve.
        tau_scans: time constant as learned so far.
        tau_sigma_scans: its standard uncertainty.
    """

    scan: int
    fraction: float
    sigma_scans: float
    half_width_scans: float = 0.0
    residual_counts: float = 0.0
    tau_scans: float = 0.0
    tau_sigma_scans: float = 0.0


class BadEdgeError(ValueError):
    """The samples are no PPS step; the message says why."""


class _Curve(NamedTuple):
    """An exponential step: its beginning and time constant, scans; its height and what it rises from, counts."""

    t0: float
    tau: float
    step: float
    base: float


class _Spread(NamedTuple):
    """What is known of tau and step: variances and covariance, or the inverse of that matrix."""

    tau: float
    tau_step: float
    step: float


class EdgeFitter:
    """Fits edges one after another and learns what they have in common.

    Attributes:
        tau: time constant, scans.
        step: height of the step, counts; 0 until the first edge.
    """

    def __init__(self, tau_scans: float, tau_tolerance: float) -> None:
        """Start from a nominal time constant, scans, and its relative standard uncertainty."""
        self.tau = tau_scans
        self.step = 0.0
        self._known = _Spread((tau_tolerance * tau_scans) ** 2, 0.0, 0.0)
        self._misfits = 0  # in a row

    def rescale(self, ratio: float) -> None:
        """Scans come faster by a factor: what is counted in them is that much more."""
        self.tau *= ratio
        tau, tau_step, step = self._known
        self._known = _Spread(tau * ratio**2, tau_step * ratio, step)

    def fit(self, event: PpsEvent) -> Edge:
        """Find the edge in an ADC event.

        Args:
            event: with raw samples.

        Returns:
            Its position on the axis of scan numbers.

        Raises:
            BadEdgeError: if the samples are no step from a quiet base to a quiet plateau.
        """
        counts: list[int] = event.samples.tolist()
        base, plateau, noise = _levels(counts, event.crossing)
        clipped = plateau >= FULL_SCALE - 1
        self._learn_step(plateau - base, noise, clipped)
        half = base + 0.5 * (plateau - base)
        first = next(i for i, count in enumerate(counts) if count > half)
        margin = max(8 * noise, 0.01 * (plateau - base))
        low, high = base + margin, plateau - margin
        if any(low < count < high for count in counts[max(first - 2, 0) : first + 8]):
            samples = _Samples(_unclipped(counts) if clipped else counts)
            edge = self._fit_slope(event.first_scan, samples, first, base, noise)
            if edge is not None:
                return edge
        while first > 0 and counts[first - 1] > low:  # on the slope the edge was before the first of them
            first -= 1
        return Edge(event.first_scan + first, -0.5, 1 / math.sqrt(12), 0.5, 0.0, self.tau, math.sqrt(self._known.tau))

    def _learn_step(self, step: float, noise: float, clipped: bool) -> None:
        """Widen the prior for this edge; set the step's from the plateau where that can be seen."""
        tau, tau_step, of_step = self._known
        self._known = _Spread(tau + (TAU_WALK * self.tau) ** 2, tau_step, of_step + (STEP_WALK * self.step) ** 2)
        if clipped and self.step < step:
            self.step = step * (1 + STEP_TOLERANCE / 2)
            self._known = _Spread(self._known.tau, 0.0, (STEP_TOLERANCE * self.step) ** 2)
        elif not clipped and abs(step - self.step) > 0.05 * step:
            self.step = step
            self._known = _Spread(self._known.tau, 0.0, (0.01 * step) ** 2 + noise**2)

    def _fit_slope(self, first_scan: int, samples: _Samples, first: int, base: float, noise: float) -> Edge | None:
        """Fit (t0, tau, step, base) with the learned prior; None if the slope says too little."""
        guess = samples.first_guess(first, self.tau, self.step, base)
        solution = self._gauss_newton(samples, _Curve(guess, self.tau, self.step, base), noise)
        if solution is None:
            return None
        curve, change, squares = solution
        residual = math.sqrt(max(squares, 0.0) / samples.n)
        self._misfits = self._misfits + 1 if residual > max(MISFIT_SIGMAS * noise, MISFIT * self.step) else 0
        if 0 < self._misfits <= MOST_MISFITS:
            return None  # no exponential: a spoiled sample, or a level that was not seen as it is
        variance = max(noise, residual) ** 2
        sigma = math.sqrt(change.t0_variance * variance)
        if not sigma < 1 / math.sqrt(12):
            return None  # worse than the plain interval between two samples
        self.tau, self.step = curve.tau, curve.step
        self._known = _Spread(*[part * variance for part in change.known])
        return Edge(first_scan, curve.t0, sigma, 0.0, residual, self.tau, math.sqrt(self._known.tau))

    def _gauss_newton(self, samples: _Samples, curve: _Curve, noise: float) -> tuple[_Curve, _Change, float] | None:
        """From a curve to the best one: that, the last change, and the sum of squares of the residuals."""
        prior = _inverse(self._known, noise**2)
        rounds = 0
        while True:
            change = _solve(samples.normal_equations(curve), prior, self.tau - curve.tau, self.step - curve.step)
            if change is None:
                return None
            before, curve = curve, _moved(curve, change)
            rounds += 1
            if change.small_at(before):
                return curve, change, change.rr
            if rounds == MOST_ROUNDS:
                return curve, change, samples.normal_equations(curve).rr


class _Normal(NamedTuple):
    """Normal equations of (t0, tau, step), which have the derivatives a, b, c; r are the residuals.

    The base, whose derivative is 1 everywhere, is eliminated: that takes the mean off the others and off the residuals.
    """

    aa: float
    ab: float
    ac: float
    bb: float
    bc: float
    cc: float
    ar: float
    br: float
    cr: float
    rr: float
    mean_a: float
    mean_b: float
    mean_c: float
    mean_r: float


class _Change(NamedTuple):
    """What a round finds.

    Attributes:
        t0, tau, step, base: by how much the curve shall change.
        rr: sum of squares of the residuals that it then has.
        t0_variance: if the samples have a variance of 1.
        known: of tau and step, likewise.
    """

    t0: float
    tau: float
    step: float
    base: float
    rr: float
    t0_variance: float
    known: _Spread

    def small_at(self, curve: _Curve) -> bool:
        """Whether the curve is as good as linear so far; where the edge meets a sample it has a kink."""
        small = max(abs(self.t0), abs(self.tau)) < CONVERGED * curve.tau
        return small and math.floor(curve.t0) == math.floor(curve.t0 + self.t0)


class _Samples:
    """The samples of an event, up to the first that clipped."""

    def __init__(self, counts: list[int]) -> None:
        self._counts = counts
        self.n = len(counts)
        self._sum, self._squares = sum(counts), sum(map(mul, counts, counts))

    def first_guess(self, first: int, tau: float, step: float, base: float) -> float:
        """t0 from the sample nearest to the middle of the step: the first above, or the one before it."""
        share = (self._counts[first] - base) / step if first < self.n else math.inf
        share_before = (self._counts[first - 1] - base) / step
        if share + share_before > 1.0:
            first, share = first - 1, share_before
        return first + tau * math.log(1 - min(max(share, 0.02), 0.98))

    def normal_equations(self, curve: _Curve) -> _Normal:
        """At a curve.

        The curve is base + step - step d after the edge, where d decays; with x, the time from t0 in units of tau, the
        derivatives are a = -step / tau d, b = a x and c = 1 - d. So all sums follow from those of d and d x.
        """
        t0, tau, step, base = curve
        n, plateau = self.n, base + step
        on = min(max(math.floor(t0) + 1, 0), n)  # the first sample after the edge
        flat = min(on + math.ceil(SLOPE_TAUS * tau), n)
        d1 = dx = dd = ddx = ddxx = dw = dxw = 0.0  # w: from the plateau to the samples
        for time, count in enumerate(self._counts[on:flat], on):
            x = (time - t0) / tau
            d = math.exp(-x)
            along, w = d * x, count - plateau
            d1 += d
            dx += along
            dd += d * d
            ddx += d * along
            ddxx += along * along
            dw += d * w
            dxw += along * w
        if flat < n:  # d goes on as a geometric series; the squares, and products with w, are nothing any more
            d1 += math.exp((t0 - flat) / tau) * math.expm1((flat - n) / tau) / math.expm1(-1.0 / tau)
        slope, after = -step / tau, n - on
        a1, b1, c1 = slope * d1, slope * dx, after - d1
        cc, dr = after - 2.0 * d1 + dd, dw + step * dd
        cr = sum(self._counts[on:]) - after * base - step * c1 - dr
        r1 = self._sum - n * base - step * c1
        rr = self._squares - base * (2.0 * self._sum - n * base) - step * (2.0 * cr + step * cc)
        a, b, c, r = a1 / n, b1 / n, c1 / n, r1 / n
        return _Normal(
            slope * slope * dd - a1 * a,
            slope * slope * ddx - a1 * b,
            slope * (d1 - dd) - a1 * c,
            slope * slope * ddxx - b1 * b,
            slope * (dx - ddx) - b1 * c,
            cc - c1 * c,
            slope * dr - a1 * r,
            slope * (dxw + step * ddx) - b1 * r,
            cr - c1 * r,
            rr - r1 * r,
            a, b, c, r,
        )  # fmt: skip


def _solve(normal: _Normal, prior: _Spread, to_tau: float, to_step: float) -> _Change | None:
    """One round of Gauss and Newton.

    Args:
        normal: equations at the curve.
        prior: information on tau and step, in units of what a sample gives.
        to_tau: from the curve's to that which the prior expects.
        to_step: likewise.

    Returns:
        The change, or None if all that does not determine a curve.
    """
    aa, ab, ac, bb, bc, cc, ar, br, cr, rr, mean_a, mean_b, mean_c, mean_r = normal
    bb, bc, cc = bb + prior.tau, bc + prior.tau_step, cc + prior.step
    br += prior.tau * to_tau + prior.tau_step * to_step
    cr += prior.tau_step * to_tau + prior.step * to_step
    # The inverse of the symmetric matrix, by its minors.
    a_a, a_b, a_c = bb * cc - bc * bc, ac * bc - ab * cc, ab * bc - ac * bb
    determinant = aa * a_a + ab * a_b + ac * a_c
    if not determinant > 0.0:
        return None
    b_b, b_c, c_c = aa * cc - ac * ac, ab * ac - aa * bc, aa * bb - ab * ab
    t0 = (a_a * ar + a_b * br + a_c * cr) / determinant
    tau = (a_b * ar + b_b * br + b_c * cr) / determinant
    step = (a_c * ar + b_c * br + c_c * cr) / determinant
    base = mean_r - mean_a * t0 - mean_b * tau - mean_c * step
    rr -= ar * t0 + br * tau + cr * step  # what samples and prior together lose; and what of that was the prior's
    rr += tau * (prior.tau * (2 * to_tau - tau) + prior.tau_step * (2 * to_step - step))
    rr += step * (prior.tau_step * (2 * to_tau - tau) + prior.step * (2 * to_step - step))
    known = _Spread(b_b / determinant, b_c / determinant, c_c / determinant)
    return _Change(t0, tau, step, base, rr, a_a / determinant, known)


def _inverse(spread: _Spread, scale: float) -> _Spread:
    """Of the matrix, times a number."""
    tau, tau_step, step = spread
    scale /= tau * step - tau_step * tau_step
    return _Spread(step * scale, -tau_step * scale, tau * scale)


def _moved(curve: _Curve, change: _Change) -> _Curve:
    """The next curve: no change is longer than half of tau (t0, tau) or of the step (step, base)."""
    t0, tau, step, base = curve
    by_scans, by_counts = 0.5 * tau, 0.5 * abs(step)
    least, most = TAU_LIMITS
    return _Curve(
        t0 + min(max(change.t0, -by_scans), by_scans),
        min(max(tau + min(max(change.tau, -by_scans), by_scans), least), most),
        step + min(max(change.step, -by_counts), by_counts),
        base + min(max(change.base, -by_counts), by_counts),
    )


def _levels(counts: list[int], crossing: int) -> tuple[float, float, float]:
    """Base, plateau and noise, counts; refuses what is no step."""
    if crossing < 4 or len(counts) < crossing + PLATEAU_SAMPLES + 4:
        raise BadEdgeError(f"{crossing} samples before and {len(counts) - crossing} after the crossing are too few")
    base, before = _mean_and_variance(counts[: crossing - 2])
    plateau, after = _mean_and_variance(counts[-PLATEAU_SAMPLES:])
    step = plateau - base
    spread = math.sqrt(max(before, after))
    if step < SMALLEST_STEP:
        raise BadEdgeError(f"the step is {step:.0f} counts, less than {SMALLEST_STEP:.0f}")
    if spread > max(0.02 * step, 10.0):
        raise BadEdgeError(f"base or plateau moves by {spread:.0f} counts RMS: no steady levels around the edge")
    return base, plateau, max(math.sqrt((before + after) / 2), NOISE_FLOOR)


def _unclipped(counts: list[int]) -> list[int]:
    """Those before the first that clipped."""
    return counts[: next(i for i, count in enumerate(counts) if count >= FULL_SCALE - 1)]


def _mean_and_variance(counts: list[int]) -> tuple[float, float]:
    """Of whole numbers, exact until the division: so the difference of two large ones does no harm."""
    n, total = len(counts), sum(counts)
    return total / n, (sum(map(mul, counts, counts)) * n - total * total) / (n * n)
