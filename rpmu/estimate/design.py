"""Filter design on a PC: weighted least squares against the mask, with a ridge against noise.

Every row of the mask is divided by its tolerance, so a residual of 1 means "tolerance used up". The ridge counts the
noise that the filter lets through in the same units. Where the first solution leaves the mask, rows with large
residuals gain weight until it does not (Lawson). Shrinking the weights of the others as well gives the quietest
filters inside the mask, but their pass band ripples, and ramps suffer: that was tried, and is not done here.

`python -m rpmu.estimate.design` rebuilds the shipped tables, of every stream of the PRU; with --sample-rate it designs
for that rate alone, with --plot it draws what was reached. The daemon never imports this module, which needs scipy.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr, solve_triangular

from rpmu.estimate.bank_table import STREAM_RATE_HZ, STREAM_RATES_HZ, BankTable, bank_rates, table_path
from rpmu.estimate.classes import STANDARD_RATES
from rpmu.estimate.mask import Mask, build_mask
from rpmu.estimate.plan import Plan

Floats = NDArray[np.float64]

ROUNDS = 60
ENOUGH = 0.8  # share of the tolerance at which reweighting stops
INPUT_NOISE = 4e-4  # of one sample, relative to the fundamental
RIDGE = 100.0  # so many times the noise on the output counts like the limit of the standard
RIDGE_LIGHT = 30.0  # phasor, and M up to 15/s: noise is no matter there, and steps come out better
RIDGE_HEAVY = 200.0  # ROCOF of M from 50/s on, and frequency from 100/s on: noise above all at 10 % magnitude


def basis(j: int, offset_hz: Floats, half: int, rate_hz: float) -> Floats:
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
    stacked = np.vstack([a, ridge * np.eye(a.shape[1])])
    q, r = qr(stacked, mode="economic", overwrite_a=True, check_finite=False)
    return np.asarray(solve_triangular(r, q[: len(b)].T @ b, check_finite=False))


def _ridge(plan: Plan, j: int) -> float:
    if plan.is_slow or j == 0:
        return RIDGE_LIGHT
    if plan.is_p or plan.rate <= 30 or (plan.rate <= 60 and j == 1):
        return RIDGE
    return RIDGE_HEAVY


def solve_filter(plan: Plan, j: int, mask: Mask) -> tuple[Floats, float]:
    """Half taps of filter j and the largest share of a tolerance that it uses.

    Returns:
        float64 [half + 1] taps from the centre on, and the largest normalised residual (below 1: every tolerance met).
    """
    a = basis(j, mask.offset_hz, plan.half_lengths[j], plan.bank_rate_hz) / mask.tolerance[:, j, None]
    b = mask.target[:, j] / mask.tolerance[:, j]
    limit = (0.01, 0.005, 0.4 if plan.is_p else 0.1)[j]
    ridge = _ridge(plan, j) * INPUT_NOISE / (np.sqrt(plan.decimation) * limit)
    ridge = np.sqrt(2) * max(ridge, 1e-9 * np.linalg.norm(a, axis=0).max())  # sqrt(2): from half of the taps to all
    weight, best, best_residual = np.ones(len(b)), np.zeros(a.shape[1]), np.inf
    for _ in range(ROUNDS):
        x = _least_squares(a * weight[:, None], b * weight, ridge)
        residual = np.abs(a @ x - b)
        worst = float(residual.max())
        if worst < best_residual:
            best, best_residual = x, worst
        if worst < ENOUGH:
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
    report: dict[str, object] = {
        "tolerance_used": used,
        "windows_s": [round(2 * m / plan.bank_rate_hz, 6) for m in plan.half_lengths],
        "noise_gain": [float(f"{np.linalg.norm(row):.6g}") for row in taps],
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


def plans(sample_rate_hz: float = STREAM_RATE_HZ) -> list[Plan]:
    """Every class, rate and nominal frequency, each bank once."""
    tasks = {
        (nominal, cls, bank_rates(nominal, cls, rate)[-1])
        for nominal, rates in STANDARD_RATES.items()
        for rate in rates
        for cls in ("P", "M")
    }
    return [Plan(nominal, cls, rate, float(sample_rate_hz)) for nominal, cls, rate in sorted(tasks)]


def main() -> None:
    """Design banks and write their tables."""
    parser = argparse.ArgumentParser(description="Design filter banks and write their tables.")
    parser.add_argument("names", nargs="*", help="only tables whose name starts with one of these, e.g. 60hz-m60")
    parser.add_argument("--sample-rate", type=float, metavar="HZ", help="only for this rate (default: all that ship)")
    parser.add_argument("--output", type=Path, metavar="DIR", help="write here, not into the package")
    parser.add_argument("--plot", type=Path, metavar="DIR", help="draw the achieved masks here (needs matplotlib)")
    args = parser.parse_args()
    for rate_hz in STREAM_RATES_HZ if args.sample_rate is None else (args.sample_rate,):
        for plan in plans(rate_hz):
            path = table_path(plan.nominal_hz, plan.performance_class, plan.rate, round(rate_hz))
            if not args.names or any(path.name.startswith(name + "-") for name in args.names):
                _design(plan, path, rate_hz in STREAM_RATES_HZ, args.output, args.plot)


def _design(plan: Plan, path: Path, shipped: bool, output: Path | None, plot: Path | None) -> None:
    """Design one bank, write its table to where it ships or to another folder, say and draw what was reached."""
    table = design_bank(plan)
    if output or shipped:
        table.save((output or path.parent) / path.name)
    print(f"{path.stem}: tolerance used {table.report['tolerance_used']}, windows {table.report['windows_s']} s")
    if plot:
        from rpmu.estimate.plot import plot_bank  # here, because only this needs matplotlib

        plot_bank(table, plan, plot / f"{path.stem}.png")


if __name__ == "__main__":
    main()
