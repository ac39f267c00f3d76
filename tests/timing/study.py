"""How well the locked clock keeps time, and whether it knows: both PPS inputs, crystals that make the edge stand still.

`make time` (or `python -m tests.timing.study`) prints the table of docs/accuracy.md: 30 simulated minutes a case, on
the twin with the committed firmware; test_study.py runs a minute of each. A crystal of 0, 16.667 or 33.333 ppm puts
the edge at the same place between two scans in every second, exactly, and nothing else moves in those cases but the
receiver's noise.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rpmu.timing import TimingSettings
from rpmu.twin.crystal import CrystalSettings
from tests.timing.rig import Rig

PIN = 14
ONE_SCAN_PPM = 1e6 / 60_000  # per second


@dataclass(frozen=True)
class Limits:
    """Of the time error while in sync, ns."""

    rms_ns: float
    peak_ns: float


LIMITS = {"adc": Limits(100.0, 500.0), "pin": Limits(50.0, 500.0)}
CRYSTALS = {
    "0 ppm": CrystalSettings(),
    "16.667 ppm": CrystalSettings(ppm=ONE_SCAN_PPM),
    "33.333 ppm": CrystalSettings(ppm=2 * ONE_SCAN_PPM),
    "58.8 ppm, walking": CrystalSettings(ppm=58.8, walk_ppb_per_rts=0.1),
    "16.667 ppm, warming and cooling": CrystalSettings(
        ppm=ONE_SCAN_PPM, temperature_ppb=300.0, temperature_period_s=900.0, walk_ppb_per_rts=0.1
    ),
}


@dataclass(frozen=True)
class Case:
    """A PPS input and a crystal, by its name."""

    pps_input: Literal["adc", "pin"]
    crystal: str


CASES = tuple(Case(pps_input, crystal) for pps_input in ("adc", "pin") for crystal in CRYSTALS)


@dataclass(frozen=True)
class Figures:
    """What came out, of all looks in sync.

    Attributes:
        rms_ns, mean_ns, peak_ns: of the time error.
        sigma_ns: median of the standard uncertainty that was stated.
        honesty: RMS of the error in units of that.
        worst: largest error in units of it.
        lies: looks, in sync or not, at which the error was outside what the codes say.
        first_s: seconds until in sync.
    """

    rms_ns: float
    mean_ns: float
    peak_ns: float
    sigma_ns: float
    honesty: float
    worst: float
    lies: int
    first_s: float


def measure(case: Case, seconds: float) -> Figures:
    """Run one case."""
    pin = PIN if case.pps_input == "pin" else None
    rig = Rig(TimingSettings(pps_input=case.pps_input), pps_pin=pin, crystal=CRYSTALS[case.crystal])
    rig.run(seconds)
    errors, in_sync = rig.errors_ns(), rig.column(7).astype(bool)
    locked, sigma = errors[in_sync], rig.column(8)[in_sync]
    return Figures(
        rms_ns=float(np.sqrt(np.mean(locked**2))),
        mean_ns=float(np.mean(locked)),
        peak_ns=float(np.abs(locked).max()),
        sigma_ns=float(np.median(sigma)),
        honesty=float(np.sqrt(np.mean((locked / sigma) ** 2))),
        worst=float(np.abs(locked / sigma).max()),
        lies=int(np.count_nonzero(np.abs(errors) > rig.claims_ns())),
        first_s=float(rig.column(4)[in_sync][0]),
    )


def misses(case: Case, figures: Figures) -> list[str]:
    """The limits that do not hold, in words."""
    limits = LIMITS[case.pps_input]
    return [
        f"{what} is {value:.3g}, but must be below {limit:g}"
        for what, value, limit in (
            ("RMS of the error, ns,", figures.rms_ns, limits.rms_ns),
            ("largest error, ns,", figures.peak_ns, limits.peak_ns),
            ("RMS of the error in units of its sigma", figures.honesty, 1.25),
            ("largest error in units of its sigma", figures.worst, 4.5),
            ("number of looks outside the codes", figures.lies, 1),
            ("time to lock, s,", figures.first_s, 10.0),
        )
        if not value < limit
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one line per case; 1 if a limit does not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.timing.study", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0, help="simulated, a case (30)")
    parser.add_argument("--jobs", type=int, default=None, help="processes (as many as there are processors)")
    options = parser.parse_args(arguments)
    print("| PPS input | crystal | RMS | peak | mean | stated sigma | RMS error / sigma | worst | locked after |")
    print("|---|---|---|---|---|---|---|---|---|")
    failed = 0
    with ProcessPoolExecutor(options.jobs) as pool:
        for case, f in zip(CASES, pool.map(measure, CASES, [60.0 * options.minutes] * len(CASES)), strict=True):
            print(
                f"| {case.pps_input} | {case.crystal} | {f.rms_ns:.1f} ns | {f.peak_ns:.0f} ns | {f.mean_ns:+.1f} ns | "
                f"{f.sigma_ns:.1f} ns | {f.honesty:.2f} | {f.worst:.1f} | {f.first_s:.1f} s |",
                flush=True,
            )
            for miss in misses(case, f):
                print(f"  missed: {miss}", flush=True)
                failed = 1
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
