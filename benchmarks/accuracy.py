"""Accuracy of the whole chain on the twin: what a PDC receives against what the outlet did.

Real firmware image, 12-bit ADC with 0.5 LSB of noise, crystal 58.8 ppm off, receiver with 10 ns of jitter, front end
of the reference design. The bound beside each figure is the standard's (IEC/IEEE 60255-118-1).
"""

from __future__ import annotations

import numpy as np

from rpmu.twin.crystal import CrystalSettings
from tests.e2e.rig import configuration, run_chain

SECONDS = 26.0
CASES = (
    ("M", 60, 60, "59.9"),
    ("M", 60, 60, "60"),
    ("M", 60, 60, "60.1"),
    ("P", 60, 60, "60"),
    ("M", 60, 10, "60"),
    ("M", 50, 50, "50"),
)


def main() -> None:
    """Print one line per case."""
    crystal = CrystalSettings(ppm=58.8, walk_ppb_per_rts=0.1)
    print("class rate  f Hz   TVE % worst (1)   time us worst   FE mHz worst, sd (5)   RFE Hz/s worst, sd   reports")
    for performance_class, nominal_hz, rate, frequency_hz in CASES:
        config = configuration(
            performance_class=performance_class, nominal_frequency_hz=nominal_hz, reporting_rate_per_s=rate
        )
        source = f"nominal,frequency_hz={frequency_hz},voltage_v={230 if nominal_hz == 50 else 120}"
        outcome = run_chain(SECONDS, config, source=source, crystal=crystal)
        truth = outcome.twin.truth(outcome.time_ns)
        ratio = outcome.phasors[:, 0] / truth.phasors[:, 0]
        time_us = np.angle(ratio) / (2 * np.pi * truth.frequency_hz) * 1e6
        fe_mhz = 1e3 * (outcome.frequency_hz - truth.frequency_hz)
        rocof = np.array([frame.pmus[0].rocof_hz_per_s for frame in outcome.good]) - truth.rocof_hz_per_s
        print(
            f"{performance_class:5} {rate:4}  {frequency_hz:5} {100 * np.abs(ratio - 1).max():12.4f} "
            f"{np.abs(time_us).max():17.3f} {np.abs(fe_mhz).max():15.3f}, {fe_mhz.std():.3f} "
            f"{np.abs(rocof).max():14.4f}, {rocof.std():.4f} {len(ratio):9}",
            flush=True,
        )
