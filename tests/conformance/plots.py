"""`python -m tests.conformance.plots DIR`: recorded events as the estimator sees them, next to an independent fit."""

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np

from rpmu.estimate import estimate_waveform
from rpmu.record.waveform import read_waveform

mpl.use("Agg")
from matplotlib import pyplot as plt

SHIPPED = Path(__file__).parents[1] / "data" / "waveforms"
SHARED = Path(__file__).parents[3] / "shared" / "data" / "waveforms"  # no licence to ship these
EVENTS = {
    "sag": (SHARED / "opq_hawaii_9354_box1.npz", 60, "0", "a sag at a 120 V outlet, 12 kHz"),
    "generator": (SHARED / "comtrade" / "generator_2.cfg", 60, "0", "a fault near a 13.8 kV generator, COMTRADE"),
    "line": (SHIPPED / "wisp_3.cfg", 50, "F6-VB", "a line that loses phase B, then all three, COMTRADE"),
}


def sliding_rms(x, rate_hz, nominal_hz):
    """RMS over one cycle, independent of any phasor; and its times, s."""
    n = round(rate_hz / nominal_hz)
    power = np.convolve(x**2, np.full(n, 1 / n), mode="valid")
    return (np.arange(len(power)) + (n - 1) / 2) / rate_hz, np.sqrt(power)


def plot_event(name, folder):
    file, nominal_hz, channel, title = EVENTS[name]
    w = read_waveform(file, [channel])
    figure, axes = plt.subplots(3, 1, figsize=(8, 8), sharex=True, constrained_layout=True)
    t, rms = sliding_rms(w.samples[0] - w.samples[0].mean(), w.sample_rate_hz, nominal_hz)
    axes[0].plot(t, rms, "0.7", linewidth=3, label="RMS of one cycle of the wave")
    for performance_class in "PM":
        r = estimate_waveform(w.samples, w.sample_rate_hz, 0, nominal_hz, performance_class, nominal_hz)
        at = r.time_ns / 1e9
        axes[0].plot(at, np.abs(r.phasors[:, 0]), ".-", markersize=3, linewidth=0.8, label=f"class {performance_class}")
        axes[1].plot(at, r.frequency_hz, ".-", markersize=3, linewidth=0.8)
        axes[2].plot(at, r.rocof_hz_per_s, ".-", markersize=3, linewidth=0.8)
    for axis, label in zip(axes, ("magnitude, V", "frequency, Hz", "ROCOF, Hz/s"), strict=True):
        axis.set_ylabel(label)
        axis.grid(visible=True, alpha=0.3)
    axes[0].legend()
    axes[2].set_xlabel("time, s")
    figure.suptitle(f"{title}; {nominal_hz} reports/s")
    figure.savefig(folder / f"estimator-{name}.png", dpi=80)
    plt.close(figure)


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/img")
    folder.mkdir(parents=True, exist_ok=True)
    for event, (file, *_) in EVENTS.items():
        if file.exists():
            plot_event(event, folder)
        else:
            print(f"{event}: skipped, {file.name} is not here (no licence to ship it)")
