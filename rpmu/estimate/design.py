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
from rpmu.estimate.mask import Mask, build_mask, ramp_corners
from rpmu.estimate.plan import Plan

Floats = NDArray[np.float64]

ROUNDS = 60
ENOUGH = 0.8  # share of the tolerance at which reweighting stops
INPUT_NOISE = 4e-4  # of one sample, relative to the fundamental
RIDGE = 100.0  # so many times the noise on the output counts like the limit of the standard
RIDGE_LIGHT = 30.0  # phasor, and M up to 15/s: noise is no matter there, and steps come out better
RIDGE_HEAVY = 200.0  # frequency and ROCOF of M from 100/s on: noise above all at 10 % magnitude
RIDGE_HEAVIEST = 300.0  # ROCOF of M at 50 and 60/s, which has room for it
RIDGE_TIGHT = 150.0  # ROCOF of P at 100 and 120/s


def basis(j: int, offset_hz: Floats, reach: tuple[int, int], rate_hz: float) -> Floats:
    """Responses of the unknown taps of filter j, and how they stack: float64 [m, n], or [2 m, n].

    As far before the centre as after it: half of the taps, cosines for the even filters and sines for the odd one, and
    the response is real (of the odd one: imaginary). Else all taps, and the part in which the target lies on top of the
    other one, which should be nothing.
    """
    before, after = reach
    symmetric = before == after
    n = np.arange((1 if j == 1 else 0) if symmetric else -before, after + 1)
    angle = 2 * np.pi * np.multiply.outer(offset_hz, n / rate_hz)
    if not symmetric:
        parts = (np.sin(angle), np.cos(angle)) if j == 1 else (np.cos(angle), np.sin(angle))
        return np.concatenate(parts)
    if j == 1:
        return np.asarray(2 * np.sin(angle))
    columns = 2 * np.cos(angle)
    columns[:, 0] = 1.0
    return np.asarray(columns)


def corner_rows(before_s: Floats, reach: tuple[int, int], rate_hz: float) -> Floats:
    """What is left in the output, for each 1 Hz/s of a ramp that began so long before the report: float64 [m, n].

    Before its begin the phase lies pi (t + begin)^2 off the ramp's, and what the filter sees of that is an error.
    """
    t = np.arange(-reach[0], reach[1] + 1) / rate_hz
    return np.asarray(np.pi * np.minimum(np.add.outer(before_s, t), 0.0) ** 2)


def normalised(plan: Plan, j: int, mask: Mask) -> tuple[Floats, Floats]:
    """The rows and the wanted values of filter j in units of the tolerances.

    Returns:
        float64 [parts, m, n] and [parts, m]: one part for a symmetric filter, else two, whose errors add as squares.
    """
    reach, points = plan.reaches[j], len(mask.offset_hz)
    rows = basis(j, mask.offset_hz, reach, plan.bank_rate_hz)
    rows = rows.reshape(-1, points, rows.shape[1])
    wanted = np.zeros(rows.shape[:2])
    wanted[0] = mask.target[:, j]
    rows, wanted = rows / mask.tolerance[:, j, None], wanted / mask.tolerance[:, j]
    begin_s, tolerance = ramp_corners(plan, j)
    if not len(begin_s):
        return rows, wanted
    corners = np.zeros((2, len(begin_s), rows.shape[2]))
    corners[0] = corner_rows(begin_s, reach, plan.bank_rate_hz) / tolerance
    return np.concatenate([rows, corners], axis=1), np.pad(wanted, ((0, 0), (0, len(begin_s))))


def _least_squares(a: Floats, b: Floats, ridge: float) -> Floats:
    """Minimise |a x - b|^2 + ridge^2 |x|^2 by QR (the normal equations would lose half of the digits)."""
    stacked = np.vstack([a, ridge * np.eye(a.shape[1])])
    q, r = qr(stacked, mode="economic", overwrite_a=True, check_finite=False)
    return np.asarray(solve_triangular(r, q[: len(b)].T @ b, check_finite=False))


def _ridge(plan: Plan, j: int) -> float:
    if plan.is_tight and j == 2:
        return float(RIDGE_TIGHT * np.sqrt(plan.bank_rate_hz / 12_000))  # the same noise in fewer taps
    if plan.is_slow or j == 0:
        return RIDGE_LIGHT
    if plan.is_p or plan.rate <= 30 or (plan.rate <= 60 and j == 1):
        return RIDGE
    return RIDGE_HEAVIEST if plan.rate <= 60 else RIDGE_HEAVY


def solve_filter(plan: Plan, j: int, mask: Mask) -> tuple[Floats, float]:
    """All taps of filter j and the largest share of a tolerance that it uses.

    Returns:
        float64 [before + after + 1], and the largest normalised residual (below 1: every tolerance met).
    """
    rows, wanted = normalised(plan, j, mask)
    a, b = rows.reshape(-1, rows.shape[2]), wanted.ravel()
    before, after = plan.reaches[j]
    limit = (0.01, 0.005, 0.4 if plan.is_p else 0.1)[j]
    ridge = _ridge(plan, j) * INPUT_NOISE / (np.sqrt(plan.decimation) * limit)
    ridge = max(ridge, 1e-9 * np.linalg.norm(a, axis=0).max())
    if before == after:
        ridge *= np.sqrt(2)  # from half of the taps to all
    weight, best, best_residual = np.ones(wanted.shape[1]), np.zeros(a.shape[1]), np.inf
    for _ in range(ROUNDS):
        stacked = np.tile(weight, len(wanted))
        x = _least_squares(a * stacked[:, None], b * stacked, ridge)
        residual = np.linalg.norm((a @ x - b).reshape(wanted.shape), axis=0)
        worst = float(residual.max())
        if worst < best_residual:
            best, best_residual = x, worst
        if worst < ENOUGH:
            break
        weight = weight * np.maximum(residual / min(worst, 1.0), 0.8) ** 0.6
        weight /= np.sqrt(np.mean(weight**2))
    if before != after:
        return best, best_residual
    half = np.concatenate([[0.0], best]) if j == 1 else best
    return np.concatenate([half[:0:-1] * (-1 if j == 1 else 1), half]), best_residual


def design_bank(plan: Plan) -> BankTable:
    """Design the three filters of a plan."""
    mask = build_mask(plan)
    before, after = (max(ends) for ends in zip(*plan.reaches, strict=True))
    taps = np.zeros((3, before + after + 1))
    used = []
    for j, reach in enumerate(plan.reaches):
        taps[j, before - reach[0] : before + reach[1] + 1], worst = solve_filter(plan, j, mask)
        used.append(round(worst, 4))
    report: dict[str, object] = {
        "tolerance_used": used,
        "windows_s": [[round(m / plan.bank_rate_hz, 6) for m in reach] for reach in plan.reaches],
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
        plan.reaches,
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
