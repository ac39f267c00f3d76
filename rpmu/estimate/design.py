"""Filter design: weighted least squares against a mask of tolerances, on a PC, with scipy.

The signal is demodulated at the nominal frequency f0; a tone at f0 + v then lies at v. Three filters approximate
1, v and -2 pi v^2 in the pass band and 0 elsewhere. Every tolerance is a limit of IEC/IEEE 60255-118-1:2018 divided by
the amplitude of the disturbance and by a margin, so a residual of 1 means "tolerance used up". Reweighting (Lawson)
turns the least squares into nearly a minimax; a ridge in units of noise keeps the filters lean.

Run `python -m rpmu.estimate.design` to rebuild the shipped tables. The daemon never imports this module.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr, solve_triangular
from scipy.signal import firwin

from rpmu.estimate.bank_table import STREAM_RATE_HZ, BankTable, bank_rates, table_path
from rpmu.estimate.classes import STANDARD_RATES, frequency_range_hz, latency_limit_s

Floats = NDArray[np.float64]

KAISER_BETA = 11.71  # 115 dB
M_WINDOWS_S = {10: 1.20, 12: 1.00, 15: 0.80, 20: 0.62, 25: 0.50, 30: 0.38, 50: 0.20, 60: 0.17, 100: 0.105, 120: 0.09}
ROUNDS = 60


@dataclass(frozen=True)
class Plan:
    """One design task: class, rate, nominal frequency and sample rate, and what follows from them."""

    nominal_hz: int
    performance_class: str
    rate: int
    sample_rate_hz: float
    ahead_s: float = 0.0  # delay outside the bank that counts against the latency

    @property
    def is_p(self) -> bool:
        """P class."""
        return self.performance_class == "P"

    @property
    def is_tight(self) -> bool:
        """P class at 100 and 120 reports/s, where latency binds the window to under two cycles."""
        return self.is_p and self.rate >= 100

    @property
    def range_hz(self) -> float:
        """Half range of the frequency test."""
        return frequency_range_hz(self.performance_class, self.rate)

    @property
    def decimation(self) -> int:
        """Samples per decimated sample."""
        target = (7000 if self.is_tight else 2500) if self.is_p else 640
        return max(1, int(self.sample_rate_hz // target))

    @property
    def bank_rate_hz(self) -> float:
        """Rate of the bank's input."""
        return self.sample_rate_hz / self.decimation

    @cached_property
    def decimator(self) -> Floats:
        """Taps of the decimator: flat to f0 + 12 Hz, and nothing folds into the band around f0."""
        if self.decimation == 1:
            return np.ones(1)
        transition = self.bank_rate_hz - 2 * (self.nominal_hz + 12)
        length = (115 - 7.95) / (2.285 * 2 * np.pi * transition / self.sample_rate_hz) + 1
        taps = int(np.ceil(length)) | 1
        cutoff = self.bank_rate_hz / 2
        return np.asarray(firwin(taps, cutoff, window=("kaiser", KAISER_BETA), fs=self.sample_rate_hz))

    def decimator_gain(self, frequency_hz: Floats | float) -> Floats:
        """Magnitude of the decimator at a frequency, relative to the nominal one."""
        half = len(self.decimator) // 2
        n = np.arange(-half, half + 1) / self.sample_rate_hz

        def gain(f: Floats | float) -> Floats:
            return np.asarray(np.cos(2 * np.pi * np.multiply.outer(f, n)) @ self.decimator)

        return np.abs(gain(frequency_hz) / gain(float(self.nominal_hz)))

    @cached_property
    def windows_s(self) -> tuple[float, float, float]:
        """Lengths of the three filters, s."""
        if self.is_p:
            cycles = (2.4, 3.0, 3.2)
            wanted = (cycles[0] / self.nominal_hz, cycles[1] / self.nominal_hz, cycles[2] / self.nominal_hz)
        else:
            wanted = (0.9 * M_WINDOWS_S[self.rate], M_WINDOWS_S[self.rate], M_WINDOWS_S[self.rate])
        outside = (len(self.decimator) // 2 + self.decimation) / self.sample_rate_hz + 0.5e-3 + self.ahead_s
        cap = 2 * (latency_limit_s(self.performance_class, self.rate) - outside)
        if self.is_tight:
            wanted = (cap, cap, cap)
        return min(wanted[0], cap), min(wanted[1], cap), min(wanted[2], cap)

    @property
    def half_lengths(self) -> tuple[int, int, int]:
        """Taps on one side of the centre, per filter."""
        a, b, c = (int(w * self.bank_rate_hz / 2) for w in self.windows_s)
        return a, b, c


@dataclass(frozen=True)
class Mask:
    """Points of the specification: offset, target and tolerance of the three filters.

    Attributes:
        offset_hz: float64 [n], distance from the nominal frequency.
        target: float64 [n, 3].
        tolerance: float64 [n, 3].
    """

    offset_hz: Floats
    target: Floats
    tolerance: Floats

    @staticmethod
    def join(parts: list[Mask]) -> Mask:
        """All points of all parts."""
        return Mask(
            np.concatenate([p.offset_hz for p in parts]),
            np.concatenate([p.target for p in parts]),
            np.concatenate([p.tolerance for p in parts]),
        )


def _stop(offset_hz: Floats, h0: float, h1: float, h2: float) -> Mask:
    shape = (len(offset_hz), 3)
    return Mask(offset_hz, np.zeros(shape), np.broadcast_to([h0, h1, h2], shape))


def _pass_band(plan: Plan) -> Mask:
    edge = plan.range_hz
    v = np.concatenate([[0.0], np.linspace(0.05 * edge, edge + (0.6 if plan.is_p else 0.0), 26)])
    slack = (0.1 if plan.is_tight else 0.01) if plan.is_p else 0.03
    tolerance = np.stack(
        [1e-4 + 0.012 * (v / edge) ** 2, 1e-5 + 2e-3 * v, 2e-3 + slack * 2 * np.pi * v**2],
        axis=1,
    )
    tolerance[0] = 1e-6, 1e-6, 1e-4
    return Mask(v, np.stack([np.ones_like(v), v, -2 * np.pi * v**2], axis=1), tolerance)


def _harmonics(plan: Plan) -> Mask:
    """Harmonics 0 and 2 to 51 where they fold to after the decimator, weighted by what it leaves of them."""
    f0, fd = plan.nominal_hz, plan.bank_rate_hz
    amplitude = 0.01 if plan.is_p else 0.1
    limits = np.array([0.01, 0.005 if plan.is_p or plan.rate <= 20 else 0.025, 0.4 if plan.is_p else 2.0])
    margin, width = (6, 0.03) if plan.is_tight else (25, 0.6)
    parts = []
    for h in [0, *range(2, 52)]:
        left = float(plan.decimator_gain(float(h * f0)))
        if left < 3e-6:
            continue
        for offset in ((h - 1) * f0, -(h + 1) * f0):
            folded = abs((offset + fd / 2) % fd - fd / 2)
            points = np.clip(folded + np.array([-width, 0.0, width]), 0, fd / 2)
            parts.append(_stop(points, *(limits / (amplitude * margin * left))))
    return Mask.join(parts)


def _image(plan: Plan) -> Mask:
    reach = plan.range_hz + 0.5
    v = np.linspace(2 * plan.nominal_hz - reach, 2 * plan.nominal_hz + reach, 15)
    if plan.is_p:
        return _stop(v, 3e-4, 0.02, 8.0 if plan.is_tight else 6.0)
    return _stop(v, 3e-4, 0.01, 2.0)


def _stop_band(plan: Plan) -> Mask:
    """P: only against growth between the harmonics. M: out-of-band interference and its image, which reaches 3 f0."""
    f0, nyquist = plan.nominal_hz, plan.bank_rate_hz / 2
    if plan.is_p:
        return _stop(np.arange(1.3 * f0, nyquist, 6.0), 0.1, 8.0, 4000.0)
    far = min(3 * f0 + 6, nyquist)
    step = 0.2 / plan.windows_s[1]
    near = np.append(np.arange(plan.rate / 2, far, step), far)
    parts = [_stop(near, 0.13 / 8, 0.1 / 8, 10.0)]
    if far < nyquist:
        parts.append(_stop(np.arange(far, nyquist, 2 * step), 0.13 / 5, 3.0, 1000.0))
    return Mask.join(parts)


def build_mask(plan: Plan) -> Mask:
    """Every point the bank is designed to."""
    return Mask.join([_pass_band(plan), _harmonics(plan), _image(plan), _stop_band(plan)])


def _basis(j: int, offset_hz: Floats, half: int, rate_hz: float) -> Floats:
    """Responses of the unknown half taps: cosines for the even filters, sines for the odd one."""
    n = np.arange(1 if j == 1 else 0, half + 1)
    turns = np.multiply.outer(offset_hz, n / rate_hz)
    if j == 1:
        return np.asarray(2 * np.sin(2 * np.pi * turns))
    columns = 2 * np.cos(2 * np.pi * turns)
    columns[:, 0] = 1.0
    return np.asarray(columns)


def _least_squares(a: Floats, b: Floats, ridge: float) -> Floats:
    """Minimise |a x - b|^2 + ridge^2 |x|^2 by QR (the normal equations would lose half of the digits)."""
    n = a.shape[1]
    stacked = np.vstack([a, ridge * np.eye(n)])
    q, r = qr(stacked, mode="economic", overwrite_a=True, check_finite=False)
    return np.asarray(solve_triangular(r, q[: len(b)].T @ b, check_finite=False))


def solve_filter(plan: Plan, j: int, mask: Mask) -> tuple[Floats, float]:
    """Half taps of filter j and the largest share of a tolerance that it uses.

    Returns:
        float64 [half + 1] taps from the centre on, and the largest normalised residual (below 1: every tolerance met).
    """
    half = plan.half_lengths[j]
    a = _basis(j, mask.offset_hz, half, plan.bank_rate_hz) / mask.tolerance[:, j, None]
    b = mask.target[:, j] / mask.tolerance[:, j]
    limit = (0.01, 0.005, 0.4 if plan.is_p else 0.1)[j]
    ridge = 30 * 4e-4 / (np.sqrt(plan.decimation) * limit)
    ridge = np.sqrt(2) * max(ridge, 1e-9 * np.linalg.norm(a, axis=0).max())
    weight = np.ones(len(b))
    best, best_residual = np.zeros(a.shape[1]), np.inf
    for _ in range(ROUNDS):
        x = _least_squares(a * weight[:, None], b * weight, ridge)
        residual = np.abs(a @ x - b)
        worst = float(residual.max())
        if worst < best_residual:
            best, best_residual = x, worst
        if worst < 0.8:
            break
        weight = weight * np.maximum(residual / min(worst, 1.0), 0.8) ** 0.6
        weight /= np.sqrt(np.mean(weight**2))
    return (np.concatenate([[0.0], best]) if j == 1 else best), best_residual


def design_bank(plan: Plan) -> BankTable:
    """Design the three filters of a plan."""
    mask = build_mask(plan)
    longest = max(plan.half_lengths)
    taps = np.zeros((3, 2 * longest + 1))
    used = []
    for j in range(3):
        half_taps, worst = solve_filter(plan, j, mask)
        n = len(half_taps) - 1
        taps[j, longest : longest + n + 1] = half_taps
        taps[j, longest - n : longest] = half_taps[:0:-1] * (-1 if j == 1 else 1)
        used.append(round(worst, 4))
    noise = [float(np.linalg.norm(row)) for row in taps]
    report: dict[str, object] = {
        "tolerance_used": used,
        "windows_s": [round(2 * m / plan.bank_rate_hz, 6) for m in plan.half_lengths],
        "noise_gain": noise,
        "mask_points": len(mask.offset_hz),
    }
    rates = bank_rates(plan.nominal_hz, plan.performance_class, plan.rate)
    return BankTable(
        plan.nominal_hz,
        plan.performance_class,
        rates,
        plan.sample_rate_hz,
        plan.decimation,
        plan.decimator,
        taps,
        report,
    )


def stream_plans() -> list[Plan]:
    """The designs that ship: every class, rate and nominal frequency at 12 kHz, each bank once."""
    tasks = {
        (nominal, cls, bank_rates(nominal, cls, rate)[-1])
        for nominal, rates in STANDARD_RATES.items()
        for rate in rates
        for cls in ("P", "M")
    }
    return [Plan(nominal, cls, rate, float(STREAM_RATE_HZ)) for nominal, cls, rate in sorted(tasks)]


def main() -> None:
    """Rebuild the shipped tables, or those whose name contains one of the words given."""
    parser = argparse.ArgumentParser(
        description="Design the filter banks for the 12 kHz stream and write their tables."
    )
    parser.add_argument("names", nargs="*", help="only tables whose file name contains one of these, e.g. 60hz-m60")
    names = parser.parse_args().names
    for plan in stream_plans():
        path = table_path(plan.nominal_hz, plan.performance_class, plan.rate)
        if names and not any(name in path.name for name in names):
            continue
        table = design_bank(plan)
        table.save(path)
        print(f"{path.name}: tolerance used {table.report['tolerance_used']}, windows {table.report['windows_s']} s")


if __name__ == "__main__":
    main()
