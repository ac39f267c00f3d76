"""`python -m tests.conformance.bounds`: how quiet a ROCOF filter can be at all, next to how quiet ours are.

The least white-noise gain of any filter of the window's length whose response stays within the tolerances is a least
distance problem, which non-negative least squares solves exactly (Lawson and Hanson, Solving Least Squares Problems,
chapter 23). So what lies below the bound is out of reach of every design with this window and these margins.
"""

from dataclasses import replace

import numpy as np
from scipy.optimize import nnls

from rpmu.estimate.bank_table import bank_rates, load_table, table_path
from rpmu.estimate.design import normalised
from rpmu.estimate.mask import Mask, build_mask
from rpmu.estimate.plan import Plan
from tests.conformance.chain import FULL_SCALE_V, NOMINAL_V
from tests.conformance.limits import Task, steady_limits

CASES = (Task(60, "P", 30), Task(60, "P", 60), Task(60, "P", 120), Task(60, "M", 60), Task(60, "M", 120))
SCAN_RATE_HZ, NOISE_LSB = 60_000.0, np.sqrt(0.5**2 + 1 / 12)  # of the converter, its rounding included
PEAKS = 3.3  # the worst of some hundred reports, in standard deviations
ROW = 2  # of the bank: the second derivative, ROCOF
NOTHING = 1e-12  # of a row: the sine at no frequency
LOOSE = (1.0, 2.0, 5.0)  # the pass band's tolerance, times


def rocof_noise(gain: float, bank_rate_hz: float, volts: float) -> float:
    """Standard deviation of ROCOF at nominal frequency, Hz/s, from a filter's white-noise gain."""
    volts_rms = NOISE_LSB * 2 * FULL_SCALE_V / 4096
    return float(gain * volts_rms * np.sqrt(bank_rate_hz / SCAN_RATE_HZ) / volts)


def least_gain(plan: Plan, mask: Mask, row: int = ROW) -> tuple[float, float]:
    """The least white-noise gain of a filter within the mask, and the largest share of a tolerance that it uses.

    The error of a filter that is not symmetric is a complex number. Its circle is replaced by the octagon around it, so
    what comes out may be less than any filter can reach, but never more.
    """
    parts, targets = normalised(plan, row, mask)
    if len(parts) == 2:
        parts, targets = (np.concatenate([x, [x[0] + x[1], x[0] - x[1]] / np.sqrt(2)]) for x in (parts, targets))
    rows, wanted = parts.reshape(-1, parts.shape[2]), targets.ravel()
    if len(parts) == 1:
        whole = np.full(rows.shape[1], np.sqrt(2.0))  # from half of the taps to all
        if row != 1:
            whole[0] = 1.0
        rows = rows / whole
    some = np.abs(rows).max(axis=1) > NOTHING
    rows, wanted = rows[some], wanted[some]
    above, height = np.vstack([rows, -rows]), np.concatenate([wanted - 1, -wanted - 1])
    system = np.vstack([above.T, height])
    goal = np.zeros(len(system))
    goal[-1] = 1.0
    multipliers, _ = nnls(system, goal, maxiter=50_000)
    miss = system @ multipliers - goal
    taps = -miss[:-1] / miss[-1]
    return float(np.linalg.norm(taps)), float(np.abs(rows @ taps - wanted).max())


def loosened(mask: Mask, plan: Plan, factor: float) -> Mask:
    """The mask with a pass band that may be so many times worse."""
    inside = (np.abs(mask.offset_hz) <= plan.range_hz + 0.6) & (mask.target[:, ROW] != 0)
    tolerance = mask.tolerance.copy()
    tolerance[inside, ROW] *= factor
    return replace(mask, tolerance=tolerance)


def bounds(task: Task) -> tuple[float, list[float], float]:
    """ROCOF noise at 10 % magnitude: ours, the least for each of `LOOSE`, and what would meet the limit, Hz/s."""
    rate = bank_rates(task.nominal_hz, task.performance_class, task.rate)[-1]
    plan = Plan(task.nominal_hz, task.performance_class, rate, 12_000.0)
    table = load_table(table_path(task.nominal_hz, task.performance_class, task.rate))
    mask, volts = build_mask(plan), 0.1 * NOMINAL_V
    ours = rocof_noise(float(np.linalg.norm(table.taps[ROW])), plan.bank_rate_hz, volts)
    least = [rocof_noise(least_gain(plan, loosened(mask, plan, f))[0], plan.bank_rate_hz, volts) for f in LOOSE]
    return ours, least, steady_limits(task, "frequency")[2] / PEAKS


def main() -> None:
    """Print the table of docs/estimator.md."""
    print("| | ours | least, same margins | pass band twice as loose | five times | would meet the limit |")
    print("|---|---|---|---|---|---|")
    for task in CASES:
        ours, least, enough = bounds(task)
        print(f"| {task.name} | {ours:.3f} | " + " | ".join(f"{x:.3f}" for x in least) + f" | {enough:.3f} |")


if __name__ == "__main__":
    main()
