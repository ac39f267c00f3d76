"""Plots of designed banks: response of the three filters against their mask. Needs matplotlib."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np

from rpmu.estimate.bank_table import BankTable
from rpmu.estimate.mask import build_mask
from rpmu.estimate.plan import Plan

ROWS = ("phasor, |H0|", "first derivative, |H1| in Hz", "second derivative, |H2| in Hz/s")


def plot_bank(table: BankTable, plan: Plan, path: Path) -> None:
    """Draw magnitude against offset for the three filters, with the tolerances of the stop bands.

    Args:
        table: the finished bank.
        plan: the task it was designed for.
        path: PNG or SVG to write.
    """
    mpl.use("Agg")
    from matplotlib import pyplot as plt  # after the backend is chosen

    mask = build_mask(plan)
    n = np.arange(-table.before, table.after + 1) / plan.bank_rate_hz
    offset = np.linspace(0, min(6 * plan.nominal_hz, plan.bank_rate_hz / 2), 4000)
    response = np.abs(table.taps @ np.exp(2j * np.pi * np.multiply.outer(n, offset)))
    figure, axes = plt.subplots(3, 1, figsize=(8, 9), sharex=True, constrained_layout=True)
    for j, axis in enumerate(axes):
        axis.semilogy(offset, np.maximum(response[j], 1e-9), linewidth=1)
        stop = (mask.target[:, j] == 0) & (mask.offset_hz > plan.range_hz) & (mask.offset_hz <= offset[-1])
        axis.semilogy(mask.offset_hz[stop], mask.tolerance[stop, j], "r_", markersize=4)
        axis.set_ylabel(ROWS[j])
        axis.grid(visible=True, alpha=0.3)
    rates = ", ".join(str(rate) for rate in table.rates)
    figure.suptitle(f"{plan.performance_class} class, {plan.nominal_hz} Hz, {rates} reports/s; red: tolerance")
    axes[-1].set_xlabel("offset from the nominal frequency, Hz")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
