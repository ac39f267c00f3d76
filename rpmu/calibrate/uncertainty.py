"""What is not known after a fit: per parameter, and as TVE of the equalised phasor over a band.

Parameters are delta = (ln gain, delay, ln f0, ln Q); a small error of them is the relative phasor error
sum_i (d ln H / d delta_i) delta_i. Three things make it: scatter of the readings (Student's t, since the scatter itself
is estimated), the reference's own error, common to all readings, and the tolerance of what was not fitted, together
with what the fitted parameters did to follow it. They are drawn, not added up: the largest of |error| over a band is
not Gaussian. `k = 2` means the radius that holds 95.45 % of the draws. Seeded, so a certificate can be computed again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rpmu.estimate.front_end import FrontEnd

Floats = NDArray[np.float64]
Complex = NDArray[np.complex128]

COVERAGE = 95.45  # percent of a Gaussian within two standard deviations
DRAWS = 8000
BAND_POINTS = 11
GAIN, DELAY, F0, Q = range(4)


@dataclass(frozen=True)
class Tolerance:
    """What nominal values are worth where nobody has measured them.

    Attributes:
        delay_s: limit of the delay, anything within it as likely: a transformer's lead of up to 2 degrees.
        f0_percent: standard deviation of the corner. Of four parts each uniform, R within 1 % and C within 5 %.
        q_percent: of the quality factor, likewise.
    """

    delay_s: float = 90e-6
    f0_percent: float = 2.1
    q_percent: float = 2.1


@dataclass(frozen=True)
class ReferenceError:
    """Error of the reference that all readings share, one standard deviation.

    Attributes:
        gain_percent: of its magnitude.
        time_s: of its time.
    """

    gain_percent: float = 0.0
    time_s: float = 0.0


@dataclass(frozen=True)
class Spread:
    """Draws of the parameters' errors about the fitted values, float64 [DRAWS, 4]."""

    draws: Floats

    def expanded(self, parameter: int) -> float:
        """Expanded uncertainty (k = 2) of one parameter: relative, or s for the delay."""
        return float(np.percentile(np.abs(self.draws[:, parameter]), COVERAGE))

    def tve_percent(self, front_end: FrontEnd, band_hz: tuple[float, float]) -> float:
        """Expanded uncertainty of the equalised phasor: largest TVE anywhere in the band, percent."""
        slopes = log_slopes(front_end, np.linspace(*band_hz, BAND_POINTS))
        errors = np.abs(self.draws @ slopes.T).max(axis=1)
        return float(100.0 * np.percentile(errors, COVERAGE))


def log_slopes(front_end: FrontEnd, frequency_hz: Floats) -> Complex:
    """Slopes d ln H / d (ln gain, delay, ln f0, ln Q), complex128 [n, 4]."""
    f = np.asarray(frequency_hz, dtype=np.float64)
    u = f / front_end.f0_hz
    lossy = 1j * u / front_end.q
    denominator = 1.0 - u * u + lossy
    return np.column_stack(
        [np.ones_like(lossy), -2j * np.pi * f, (lossy - 2.0 * u * u) / denominator, lossy / denominator]
    )


def draw(
    statistical: Floats,
    freedom: int,
    follow: Floats,
    fixed: tuple[int, ...],
    reference: ReferenceError,
    tolerance: Tolerance,
) -> Spread:
    """Draw the errors of the four parameters.

    Args:
        statistical: float64 [4, 4], covariance from the readings' scatter; zero where not fitted.
        freedom: degrees of freedom of that scatter; 0 if it was known beforehand.
        follow: float64 [4, len(fixed)]: how far the fitted parameters go when a fixed one is wrong by 1.
        fixed: parameters at their nominal value.
        reference: what all readings share.
        tolerance: of the fixed parameters.
    """
    rng = np.random.default_rng(0xCA11B)
    draws = rng.multivariate_normal(np.zeros(4), statistical, DRAWS, method="svd")
    if freedom:
        draws *= np.sqrt(freedom / rng.chisquare(freedom, DRAWS))[:, None]
    draws[:, GAIN] += 0.01 * reference.gain_percent * rng.standard_normal(DRAWS)
    draws[:, DELAY] += reference.time_s * rng.standard_normal(DRAWS)
    deviations = {
        DELAY: tolerance.delay_s * rng.uniform(-1.0, 1.0, DRAWS),
        F0: 0.01 * tolerance.f0_percent * rng.standard_normal(DRAWS),
        Q: 0.01 * tolerance.q_percent * rng.standard_normal(DRAWS),
    }
    for column, parameter in enumerate(fixed):
        wrong = deviations.get(parameter, np.zeros(DRAWS))
        # The true value is nominal + wrong, and the fit has answered by `follow`: errors are true minus fitted.
        draws -= np.outer(wrong, follow[:, column])
        draws[:, parameter] += wrong
    return Spread(draws)
