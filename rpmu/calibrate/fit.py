"""Weighted complex least squares of the front end: H(f) = gain / (1 - (f/f0)^2 + j f/(f0 Q)) exp(-j 2 pi f delay).

The default fits gain and delay and leaves f0 and Q at nominal: over the PMU's band a 1 kHz low-pass is a gain and a
delay, and its f0 and Q cannot be told from them (points from 50 to 70 Hz give them to worse than 100 %). They are
fitted only when a point lies above f0/3, and a fit that would not know its parameters is refused with the reason and
with what to add. A reading that the others contradict is left out and named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import exp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpmu.calibrate.uncertainty import DELAY, F0, GAIN, ReferenceError, Spread, Tolerance, draw, log_slopes
from rpmu.calibrate.uncertainty import Q as Q_FACTOR
from rpmu.errors import InputError, RpmuError
from rpmu.estimate.front_end import FrontEnd

Floats = NDArray[np.float64]

NAMES = ("gain", "delay", "f0", "q")
DEFAULT = ("gain", "delay")
LARGEST_CONDITION = 1e4
OUTLIER_CHANCE = 1e-3  # of a good reading to be left out in a fit
LEAST_OUTLIER = 2e-4  # nobody is thrown out for 0.02 %
LARGEST_SHARE_OUT = 0.25
LEAST_FREEDOM = 6  # degrees of freedom that must remain when a reading is left out
DELAY_SCALE_S = 1e-3  # 1 ms of delay weighs like a factor of e of gain; only for the conditioning


@dataclass(frozen=True)
class Reading:
    """The front end's response as found at one point.

    Attributes:
        frequency_hz: of the signal.
        voltage_v: RMS volts of it.
        response: H found: volts at the ADC pin per volt of mains.
        sigma: relative standard deviation of its real and of its imaginary part, without the reference's own error.
    """

    frequency_hz: float
    voltage_v: float
    response: complex
    sigma: float = 1e-4


@dataclass(frozen=True)
class FitSettings:
    """What to fit and what is known beforehand.

    Attributes:
        nominal: where the fit starts, and what stays for what is not fitted.
        parameters: of gain, delay, f0 and q.
        band_hz: where the TVE is stated.
        reference: error common to all readings.
        tolerance: of the nominal f0 and q.
        magnitude_only: readings have no phase (a multimeter); fits the gain alone.
    """

    nominal: FrontEnd
    parameters: tuple[str, ...] = DEFAULT
    band_hz: tuple[float, float] = (55.0, 65.0)
    reference: ReferenceError = field(default_factory=ReferenceError)
    tolerance: Tolerance = field(default_factory=Tolerance)
    magnitude_only: bool = False


@dataclass(frozen=True)
class FitResult:
    """What the readings say.

    Attributes:
        front_end: fitted; its gain is positive, the sign is `polarity`.
        polarity: 1 or -1.
        fitted: the parameters that were fitted.
        spread: of the four parameters' errors.
        tve_percent: expanded uncertainty (k = 2) over the band.
        residual_percent: |reading / fit - 1| of every reading, those left out included.
        left_out: for each reading, why it was not used; empty if it was.
    """

    front_end: FrontEnd
    polarity: int
    fitted: tuple[str, ...]
    spread: Spread
    tve_percent: float
    residual_percent: tuple[float, ...]
    left_out: tuple[str, ...]

    @property
    def u_gain_percent(self) -> float:
        """Expanded uncertainty (k = 2) of the gain."""
        return 100.0 * self.spread.expanded(GAIN)

    @property
    def u_delay_s(self) -> float:
        """Of the delay."""
        return self.spread.expanded(DELAY)

    @property
    def scatter_percent(self) -> float:
        """Standard deviation of the readings in use about the fit."""
        used = [r for r, why in zip(self.residual_percent, self.left_out, strict=True) if not why]
        return float(np.sqrt(np.mean(np.square(used)) / 2))

    @property
    def u_f0_percent(self) -> float:
        """Of f0."""
        return 100.0 * self.spread.expanded(F0)

    @property
    def u_q_percent(self) -> float:
        """Of Q."""
        return 100.0 * self.spread.expanded(Q_FACTOR)


class DegenerateFitError(InputError):
    """The readings do not determine the parameters; the sentence says what to add."""


def fit_front_end(readings: Sequence[Reading], settings: FitSettings) -> FitResult:
    """Fit, with outliers left out.

    Args:
        readings: one per point (passes averaged), of one channel.
        settings: what to fit.

    Raises:
        DegenerateFitError: they do not determine what is to be fitted.
        InputError: no readings, or unknown parameters.
    """
    problem = _Problem(readings, settings)
    problem.refuse_degenerate()
    used: NDArray[np.bool_] = np.ones(len(readings), dtype=bool)
    left_out = [""] * len(readings)
    fit = problem.solve(used)
    while problem.may_spare(used):
        worst, without = fit.worst(), used.copy()
        without[worst] = False
        refit = problem.solve(without)
        chance = len(readings) * refit.chance(worst)
        if chance > OUTLIER_CHANCE or refit.residuals[worst] < LEAST_OUTLIER:
            break
        used, fit = without, refit
        left_out[worst] = f"{100 * refit.residuals[worst]:.3g} % from what the others say (chance {chance:.0e})"
    problem.refuse_unknown(fit)
    return problem.result(fit, tuple(left_out))


def refuse_plan(frequencies_hz: Sequence[float], settings: FitSettings) -> None:
    """Refuse points that could not determine what is to be fitted, before anybody has measured them.

    Raises:
        DegenerateFitError: the sentence says what to add.
        InputError: no points, or unknown parameters.
    """
    response = settings.nominal.response(np.asarray(frequencies_hz, dtype=np.float64))
    readings = [Reading(f, 1.0, h) for f, h in zip(frequencies_hz, response.tolist(), strict=True)]
    _Problem(readings, settings).refuse_degenerate()


class _Problem:
    """The readings of one channel against one nominal front end."""

    def __init__(self, readings: Sequence[Reading], settings: FitSettings) -> None:
        if not readings:
            raise InputError("there is no reading to fit; take some points first")
        unknown = [name for name in settings.parameters if name not in NAMES]
        if unknown or not settings.parameters:
            raise InputError(f"cannot fit {unknown or 'nothing'}; allowed are {', '.join(NAMES)}")
        self.settings = settings
        self.f = np.array([reading.frequency_hz for reading in readings])
        self.sigma = np.array([max(reading.sigma, 1e-9) for reading in readings])
        measured = np.array([reading.response for reading in readings])
        if settings.magnitude_only:
            measured = np.abs(measured) * settings.nominal.response(self.f) / abs(settings.nominal.response(self.f))
        mean = np.mean(measured / settings.nominal.response(self.f))
        self.polarity = 1 if mean.real >= 0 else -1
        self.measured = self.polarity * measured
        names = ("gain",) if settings.magnitude_only else settings.parameters
        self.names = tuple(name for name in NAMES if name in names)
        self.free = tuple(NAMES.index(name) for name in self.names)
        self.fixed = tuple(i for i in range(4) if i not in self.free)
        self.equations = 1 if settings.magnitude_only else 2

    def front_end(self, delta: Floats) -> FrontEnd:
        """Nominal moved by (ln gain, delay, ln f0, ln Q)."""
        n = self.settings.nominal
        gain, delay, f0, q = (float(value) for value in delta)
        return FrontEnd(n.gain * exp(gain), n.f0_hz * exp(f0), n.q * exp(q), n.delay_s + delay)

    def rows(self, values: NDArray[Any]) -> Floats:
        """Complex [n, ...] as the real equations it stands for, real parts first."""
        if self.settings.magnitude_only:
            return np.asarray(values.real, dtype=np.float64)
        return np.concatenate([values.real, values.imag])

    def jacobian(self, front_end: FrontEnd) -> Floats:
        """Weighted, float64 [equations, 4]."""
        return self.rows(log_slopes(front_end, self.f) / self.sigma[:, None])

    def refuse_degenerate(self) -> None:
        """Refuse what no solver should be asked for."""
        self._refuse_few_frequencies()
        if not {"f0", "q"} & set(self.names):
            return
        limit = self.settings.nominal.f0_hz / 3.0
        if self.f.max() < limit:
            raise DegenerateFitError(
                f"f0 and q cannot be fitted: the highest point is {self.f.max():g} Hz, and below f0/3 = {limit:.0f} Hz "
                f"they look like a gain and a delay; add points such as {1.2 * limit:.0f} and {3 * limit:.0f} Hz, or "
                "fit gain and delay alone"
            )
        scaled = self.jacobian(self.settings.nominal)[:, self.free] * self._scale()
        condition = np.linalg.cond(scaled / np.linalg.norm(scaled, axis=0))
        if condition > LARGEST_CONDITION:
            raise DegenerateFitError(
                f"the points do not tell {', '.join(self.names)} apart (condition number {condition:.1g}, allowed are "
                f"{LARGEST_CONDITION:.0g}); spread the frequencies further, up to about {3 * limit:.0f} Hz"
            )

    def _refuse_few_frequencies(self) -> None:
        needed = -(-len(self.free) // self.equations)
        needed += needed > 1  # with more than one frequency, one more than the least, so that they can contradict
        have = len(np.unique(np.round(self.f, 3)))
        if have < needed:
            raise DegenerateFitError(
                f"{', '.join(self.names)} need points at {needed} or more frequencies, but there are {have}; add "
                f"{needed - have}, or fit fewer parameters"
            )

    def _scale(self) -> Floats:
        return np.array([DELAY_SCALE_S if i == DELAY else 1.0 for i in self.free])

    def solve(self, used: NDArray[np.bool_]) -> _Solution:
        """Least squares over the readings that are used."""
        try:
            from scipy.optimize import least_squares
        except ImportError:
            raise RpmuError("calibration needs scipy, which is not installed: pip install 'rpmu[design]'") from None
        scale, keep = self._scale(), np.tile(used, self.equations)

        def full(x: Floats) -> Floats:
            delta = np.zeros(4)
            delta[list(self.free)] = x * scale
            return delta

        def residual(x: Floats) -> Floats:
            ratio = self.measured / self.front_end(full(x)).response(self.f) - 1.0
            return self.rows(ratio / self.sigma)[keep]

        def slopes(x: Floats) -> Floats:
            front_end = self.front_end(full(x))
            ratio = self.measured / front_end.response(self.f) / self.sigma
            return self.rows(-log_slopes(front_end, self.f) * ratio[:, None])[keep][:, self.free] * scale

        found = least_squares(residual, np.zeros(len(self.free)), slopes, xtol=1e-14, ftol=1e-14, gtol=1e-14)
        return _Solution(self, full(found.x), used)

    def may_spare(self, used: NDArray[np.bool_]) -> bool:
        """Whether one more reading can be left out and the rest still contradict each other."""
        left = self.equations * (np.count_nonzero(used) - 1) - len(self.free)
        return bool(np.count_nonzero(~used) < int(LARGEST_SHARE_OUT * len(used)) and left >= LEAST_FREEDOM)

    def refuse_unknown(self, fit: _Solution) -> None:
        """Refuse an f0 or q that came out no better than the parts' tolerance."""
        limits = {"f0": self.settings.tolerance.f0_percent, "q": self.settings.tolerance.q_percent}
        for name in self.names:
            sigma = 100 * np.sqrt(fit.covariance[NAMES.index(name), NAMES.index(name)])
            if name in limits and sigma > limits[name]:
                raise DegenerateFitError(
                    f"{name} would be known to ±{sigma:.2g} % only, no better than the {limits[name]:g} % of the "
                    "parts; add points at higher frequencies or more passes, or fit gain and delay alone"
                )

    def result(self, fit: _Solution, left_out: tuple[str, ...]) -> FitResult:
        """The fit with its uncertainties."""
        s = self.settings
        freedom = fit.freedom if fit.estimated else 0
        spread = draw(fit.covariance, freedom, fit.follow, self.fixed, s.reference, s.tolerance)
        tve_percent = spread.tve_percent(fit.front_end, s.band_hz)
        residuals = tuple(float(100 * value) for value in fit.residuals)
        return FitResult(fit.front_end, self.polarity, self.names, spread, tve_percent, residuals, left_out)


class _Solution:
    """One solved problem and what follows from it."""

    def __init__(self, problem: _Problem, delta: Floats, used: NDArray[np.bool_]) -> None:
        self.front_end = problem.front_end(delta)
        self._problem = problem
        keep = np.tile(used, problem.equations)
        ratio = problem.measured / self.front_end.response(problem.f) - 1.0
        rows = problem.rows(ratio / problem.sigma)[keep]
        self.residuals: Floats = np.abs(ratio)
        self.chi_square = float(rows @ rows)
        self.freedom = int(np.count_nonzero(keep)) - len(problem.free)
        # From four degrees of freedom on, the scatter that the readings show is believed, not the one they claim.
        self.estimated = self.freedom >= 4
        variance = self.chi_square / max(self.freedom, 1)
        self._variance = variance if self.estimated else max(1.0, variance if self.freedom else 1.0)
        self._rows, self._used = problem.rows(ratio / problem.sigma), used
        self._j = problem.jacobian(self.front_end)
        free, fixed = list(problem.free), list(problem.fixed)
        inverse = np.linalg.pinv(self._j[keep][:, free] * problem._scale())
        inverse *= problem._scale()[:, None]
        self.covariance: Floats = np.zeros((4, 4))
        self.covariance[np.ix_(free, free)] = self._variance * inverse @ inverse.T
        self.follow: Floats = np.zeros((4, len(fixed)))
        self.follow[free] = inverse @ self._j[keep][:, fixed]

    def worst(self) -> int:
        """The reading in use without which chi-square falls most: r' (1 - h)^-1 r, h its block of the hat matrix."""
        falls = [self._fall(index) if used else -np.inf for index, used in enumerate(self._used)]
        return int(np.argmax(falls))

    def _fall(self, index: int) -> float:
        rows = self._rows_of(index)
        rest = np.eye(len(rows)) - self._predicted(rows)
        return float(self._rows[rows] @ np.linalg.pinv(rest) @ self._rows[rows])

    def chance(self, index: int) -> float:
        """Probability that a good reading is as far from what the others predict (F test)."""
        from scipy.stats import f

        rows = self._rows_of(index)
        variance = max(self._variance, 1e-30) * (np.eye(len(rows)) + self._predicted(rows))
        r = self._rows[rows]
        return float(f.sf(float(r @ np.linalg.pinv(variance) @ r) / len(rows), len(rows), self.freedom))

    def _rows_of(self, index: int) -> list[int]:
        return list(range(index, len(self._rows), len(self._used)))

    def _predicted(self, rows: list[int]) -> Floats:
        """Covariance of the prediction for these rows, in units of the variance."""
        j = self._j[rows]
        return np.asarray(j @ self.covariance @ j.T / max(self._variance, 1e-300))
