"""Taylor weighted least squares: a phasor that is a polynomial in time, fitted at +f0 and -f0 at once.

The model x(t) = Re{sqrt 2 (X0 + X1 t + X2 t^2 / 2) exp(j 2 pi f0 t)} is fitted to a Kaiser-weighted window centred on
the report (de la O Serna 2007; Platas-Garza and de la O Serna 2010). For fixed f0 the fit is a bank of FIR filters
with flat zeros at the image, and without a mask: what it does to harmonics and interferers is what falls out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rpmu.estimate.classes import design_rate
from rpmu.estimate.kernel import Measurement, PlainKernel, lead_signal, undo_front_ends
from rpmu.estimate.settings import EstimatorSettings

Floats = NDArray[np.float64]

ORDER = 2
KAISER_BETA = 6.0
P_CYCLES = 4.0
P_FAST_CYCLES = 1.85  # 100 and 120 reports/s
M_REPORTS = 6.0  # window in reporting intervals: a longer one loses 5 Hz of deviation, a shorter one lets more through


class TwlsKernel(PlainKernel):
    """Taylor weighted least squares, as `Kernel`."""

    def __init__(self, settings: EstimatorSettings) -> None:
        rate = design_rate(settings.nominal_hz, settings.reporting_rate)
        if settings.performance_class == "P":
            window_s = (P_FAST_CYCLES if rate >= 100 else P_CYCLES) / settings.nominal_hz
        else:
            window_s = M_REPORTS / rate
        self._settings = settings
        self._rate_hz = settings.sample_rate_hz
        half = int(window_s * self._rate_hz / 2)
        self.decimation, self.decimator = 1, np.ones(1)
        self.before = self.after = half
        self.delay_s = 0.0
        self._taps = taylor_taps(half, self._rate_hz, settings.nominal_hz)

    def measure_clean(self, windows: Floats, shift: Floats, rate_ratio: float) -> Measurement:
        """See `PlainKernel`."""
        f0, dt = self._settings.nominal_hz, shift[:, None] / self._rate_hz
        x = np.moveaxis((windows @ self._taps).view(np.complex128), 0, 1)  # [m, n_channels, 3]
        turned = np.exp(2j * np.pi * f0 * dt)
        phasors = (x[..., 0] + dt * x[..., 1] + dt**2 / 2 * x[..., 2]) * turned
        lead = lead_signal(np.moveaxis(x, 1, 0), self._settings.phases)
        with np.errstate(divide="ignore", invalid="ignore"):
            r1, r2 = lead[:, 1] / lead[:, 0], lead[:, 2] / lead[:, 0]
        rocof = (r2.imag - 2 * r1.real * r1.imag) / (2 * np.pi) * rate_ratio**2
        frequency = (f0 + r1.imag / (2 * np.pi)) * rate_ratio + rocof * dt[:, 0]
        return Measurement(undo_front_ends(phasors, frequency, self._settings), frequency, rocof)


def taylor_taps(half: int, rate_hz: float, nominal_hz: float) -> Floats:
    """Taps that give X0, X1, X2 (real and imaginary parts in turn), float64 [2 half + 1, 6]."""
    n = np.arange(-half, half + 1)
    scale = max(half, 1)  # powers of t in [-1, 1] keep the fit well conditioned
    powers = (n / scale)[:, None] ** np.arange(ORDER + 1)
    carrier = np.sqrt(2) * np.exp(2j * np.pi * nominal_hz * n / rate_hz)[:, None]
    basis = np.stack([(powers * carrier).real, -(powers * carrier).imag], axis=2).reshape(len(n), -1)
    weight = np.kaiser(len(n), KAISER_BETA)[:, None]
    taps = np.linalg.lstsq(weight * basis, np.diag(weight[:, 0]), rcond=None)[0].T
    to_derivative = np.array([1.0, 1.0, 2.0]) * (rate_hz / scale) ** np.arange(ORDER + 1)
    return np.ascontiguousarray(taps * np.repeat(to_derivative, 2))
