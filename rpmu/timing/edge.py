"""The instant of a PPS edge, in fractions of a scan, from the raw samples on its RC slope.

The ADC sees v(t) = base + step (1 - exp(-(t - t0)/tau)) for t > t0. With tau near one scan period two or three samples
lie on the slope, and 12 bits on them give t0 to some 10 ns, a thousandth of a scan, provided that tau and the
plateau are right: 1 % of tau is 110 ns. So both are learned: every edge is a small maximum a posteriori fit of
(t0, tau, step, base) with what earlier edges taught as the prior, and its posterior is the next one's prior. Samples
at the converter's stop carry no voltage and are left out. Without an RC no sample lies on the slope; then all that is
known is that the edge fell between two samples, and the result says so instead of pretending to a Gaussian. The same
holds for samples on no exponential, of which one may be spoiled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rpmu.acquire.blocks import ADC_BITS, PpsEvent

FULL_SCALE = 2**ADC_BITS - 1
PLATEAU_SAMPLES = 16  # the last ones of an event: the slope is over long before
SMALLEST_STEP = 200.0  # counts; less is no 3.3 V pulse behind a divider
NOISE_FLOOR = 0.5  # counts: quantisation alone is 0.29
STEP_TOLERANCE = 0.1  # relative, of a plateau that cannot be seen because it clips
TAU_WALK = 3e-4  # relative, per edge: the drift of a capacitor over minutes
STEP_WALK = 1e-3
ITERATIONS = 12
MISFIT_SIGMAS = 6.0  # residual of a fit that is none, in terms of the noise ...
MISFIT = 0.003  # ... and at least this part of the step
MOST_MISFITS = 3  # in a row; more are what the input is like now, and have to be learned
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
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
        self._covariance = np.diag([(tau_tolerance * tau_scans) ** 2, 0.0])
        self._misfits = 0  # in a row
        self._tau_limits = (0.02, 8.0)

    def rescale(self, ratio: float) -> None:
        """Scans come faster by a factor: what is counted in them is that much more."""
        self.tau *= ratio
        self._covariance = self._covariance * np.outer([ratio, 1.0], [ratio, 1.0])

    def fit(self, event: PpsEvent) -> Edge:
        """Find the edge in an ADC event.

        Args:
            event: with raw samples.

        Returns:
            Its position on the axis of scan numbers.

        Raises:
            BadEdgeError: if the samples are no step from a quiet base to a quiet plateau.
        """
        volts = event.samples.astype(np.float64)
        base, plateau, noise = self._levels(volts, event.crossing)
        clipped = plateau >= FULL_SCALE - 1
        self._learn_step(plateau - base, noise, clipped)
        first = int(np.argmax(volts > base + max(0.5 * (plateau - base), 8 * noise)))
        margin = max(8 * noise, 0.01 * (plateau - base))
        on_slope = (volts > base + margin) & (volts < plateau - margin)
        if on_slope[max(first - 2, 0) : first + 8].any():
            index = np.flatnonzero(volts < FULL_SCALE - 1) if clipped else np.arange(volts.size)
            edge = self._fit_slope(event.first_scan, index, volts[index], base, noise)
            if edge is not None:
                return edge
        while first > 0 and volts[first - 1] > base + margin:  # on the slope the edge was before the first of them
            first -= 1
        return Edge(event.first_scan + first, -0.5, 1 / math.sqrt(12), 0.5, 0.0, self.tau, self._tau_sigma)

    @property
    def _tau_sigma(self) -> float:
        return math.sqrt(float(self._covariance[0, 0]))

    def _levels(self, volts: FloatArray, crossing: int) -> tuple[float, float, float]:
        """Base, plateau and noise, counts; refuses what is no step."""
        if crossing < 4 or volts.size < crossing + PLATEAU_SAMPLES + 4:
            raise BadEdgeError(f"{crossing} samples before and {volts.size - crossing} after the crossing are too few")
        base, before = _mean_and_variance(volts[: crossing - 2].tolist())
        plateau, after = _mean_and_variance(volts[-PLATEAU_SAMPLES:].tolist())
        step = plateau - base
        spread = math.sqrt(max(before, after))
        if step < SMALLEST_STEP:
            raise BadEdgeError(f"the step is {step:.0f} counts, less than {SMALLEST_STEP:.0f}")
        if spread > max(0.02 * step, 10.0):
            raise BadEdgeError(f"base or plateau moves by {spread:.0f} counts RMS: no steady levels around the edge")
        noise = math.sqrt((before + after) / 2)
        return base, plateau, max(noise, NOISE_FLOOR)

    def _learn_step(self, step: float, noise: float, clipped: bool) -> None:
        """Widen the prior for this edge; set the step's from the plateau where that can be seen."""
        self._covariance[0, 0] += (TAU_WALK * self.tau) ** 2
        self._covariance[1, 1] += (STEP_WALK * self.step) ** 2
        moved = abs(step - self.step) > 0.05 * step
        if clipped and self.step < step:
            self.step = step * (1 + STEP_TOLERANCE / 2)
            self._covariance[1, :] = self._covariance[:, 1] = 0.0
            self._covariance[1, 1] = (STEP_TOLERANCE * self.step) ** 2
        elif not clipped and moved:
            self.step = step
            self._covariance[1, :] = self._covariance[:, 1] = 0.0
            self._covariance[1, 1] = (0.01 * step) ** 2 + noise**2

    def _fit_slope(
        self, first_scan: int, index: NDArray[np.intp], volts: FloatArray, base: float, noise: float
    ) -> Edge | None:
        """Gauss-Newton on (t0, tau, step, base) with the learned prior; None if the slope says too little."""
        times = index.astype(np.float64)
        prior = np.zeros((4, 4))
        prior[1:3, 1:3] = np.linalg.inv(self._covariance)
        centre = np.array([0.0, self.tau, self.step, base])
        state = centre.copy()
        state[0] = self._first_guess(times, volts, base)
        for _ in range(ITERATIONS):
            slopes, model = _slope(times, *state.tolist())
            try:
                covariance = np.linalg.inv(slopes @ slopes.T / noise**2 + prior)
            except np.linalg.LinAlgError:
                return None
            change = covariance @ (slopes @ (volts - model) / noise**2 + prior @ (centre - state))
            state = self._moved(state.tolist(), change.tolist())
            if abs(change[0]) < 1e-6:
                break
        _, model = _slope(times, *state.tolist())
        away = volts - model
        residual = math.sqrt(float(away @ away) / len(away))
        self._misfits = self._misfits + 1 if residual > max(MISFIT_SIGMAS * noise, MISFIT * self.step) else 0
        if 0 < self._misfits <= MOST_MISFITS:
            return None  # no exponential: a spoiled sample, or a level that was not seen as it is
        covariance = covariance * max(1.0, residual / noise) ** 2
        sigma = math.sqrt(max(float(covariance[0, 0]), 0.0))
        if not sigma < 1 / math.sqrt(12):
            return None  # worse than the plain interval between two samples
        self.tau, self.step = float(state[1]), float(state[2])
        self._covariance = covariance[1:3, 1:3].copy()
        return Edge(first_scan, float(state[0]), sigma, 0.0, residual, self.tau, self._tau_sigma)

    def _moved(self, state: list[float], change: list[float]) -> FloatArray:
        """The next state: no step is longer than half of tau (t0, tau) or of the step (step, base)."""
        longest = [0.5 * abs(state[1])] * 2 + [0.5 * abs(state[2])] * 2
        t0, tau, step, base = [
            value + min(max(by, -most), most) for value, by, most in zip(state, change, longest, strict=True)
        ]
        least, most = self._tau_limits
        return np.array([t0, min(max(tau, least), most), step, base])

    def _first_guess(self, times: FloatArray, volts: FloatArray, base: float) -> float:
        """t0 from the one sample nearest to the middle of the step."""
        share = (volts - base) / self.step
        middle = int(np.argmin(np.abs(share - 0.5)))
        return float(times[middle] + self.tau * math.log(1 - min(max(share[middle], 0.02), 0.98)))


def _mean_and_variance(values: list[float]) -> tuple[float, float]:
    """Of a handful of numbers, for which numpy takes ten times as long."""
    mean = sum(values) / len(values)
    return mean, sum([(value - mean) ** 2 for value in values]) / len(values)


def _slope(times: FloatArray, t0: float, tau: float, step: float, base: float) -> tuple[FloatArray, FloatArray]:
    """Derivatives [4, n] by (t0, tau, step, base), and values [n], of the exponential step at rising times."""
    on = int(np.searchsorted(times, t0, side="right"))  # the first sample after the edge
    x = (times[on:] - t0) / tau
    decay = np.exp(-x)
    slopes = np.zeros((4, len(times)))
    slopes[0, on:] = along = decay * (-step / tau)
    slopes[1, on:] = along * x
    slopes[2, on:] = risen = 1.0 - decay
    slopes[3] = 1.0
    model = np.full(len(times), base)
    model[on:] += step * risen
    return slopes, model
