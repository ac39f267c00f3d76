"""The whole chain on recorded mains, judged by an independent sine fit of the recording itself.

Recordings whose licence lets us ship them lie in tests/data; the others are used where `../shared` is beside the
checkout, and skipped visibly elsewhere. A short recording is looped, and judged where it is steady in each pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from rpmu.record import read_waveform
from tests.e2e.rig import NS_PER_S, START_NS, configuration, run_chain
from tests.e2e.sine_fit import SineFit, fit_windows

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "tests" / "data" / "waveforms"
SHARED = ROOT.parent / "shared" / "data" / "waveforms"
LOCKED_S = 7.0


@dataclass(frozen=True)
class Recording:
    """One recording, how to play it and where it is steady.

    Attributes:
        path: file.
        nominal_hz: of its grid.
        channel: which channel is played.
        scale: volts of the outlet per unit of the file, to fit the front end's range.
        judge_s: the part (seconds of the recording) that is judged.
        window_s: of the sine fit.
        loop: whether it is played again and again.
        play_s: how long.
    """

    path: Path
    nominal_hz: int
    scale: float
    judge_s: tuple[float, float]
    channel: str = "0"
    window_s: float = 0.5
    loop: bool = False
    play_s: float = 15.0

    @property
    def spec(self) -> str:
        """The words of `--source`."""
        return f"file:{self.path},loop={'true' if self.loop else 'false'},channel={self.channel},scale={self.scale}"


RECORDINGS = {
    "50 Hz mains, Wuhan": Recording(SHIPPED / "enf_whu_100_first60s.npz", 50, 0.17, (7.5, 14.0)),
    "50 Hz relay event (COMTRADE)": Recording(SHIPPED / "wisp_3.cfg", 50, 3.9, (0.15, 0.39), "F5-VA", 0.12, loop=True),
    "120 V 60 Hz outlet, Hawaii": Recording(SHARED / "opq_hawaii_8873_first48s.npz", 60, 0.0068, (7.5, 14.0)),
    "13.8 kV generator event (COMTRADE)": Recording(
        SHARED / "comtrade" / "generator_2.cfg", 60, 0.016, (1.3, 2.05), "VA_GC1", 0.15, loop=True
    ),
}


def fit_recording(recording: Recording) -> SineFit:
    """What the sine fit says of the part that is judged."""
    waveform = read_waveform(recording.path, [recording.channel], recording.scale)
    rate_hz = waveform.sample_rate_hz
    first, last = (round(s * rate_hz) for s in recording.judge_s)
    return fit_windows(waveform.samples[0][first:last], rate_hz, recording.nominal_hz, recording.window_s)


def measured(recording: Recording) -> SineFit:
    """What the PDC got while that part was played: mean magnitude and frequency."""
    config = configuration(
        nominal_frequency_hz=recording.nominal_hz, performance_class="P", reporting_rate_per_s=recording.nominal_hz
    )
    outcome = run_chain(recording.play_s, config, source=recording.spec)
    assert outcome.status.drops == 0
    elapsed_s = (outcome.time_ns - START_NS) / NS_PER_S
    source = outcome.twin.source
    at_s = elapsed_s % (source.samples.shape[1] / source.rate_hz) if recording.loop else elapsed_s
    margin_s = 2 / recording.nominal_hz  # a P class window reaches less than two cycles to either side
    inside = (at_s > recording.judge_s[0] + margin_s) & (at_s < recording.judge_s[1] - margin_s)
    inside &= elapsed_s > LOCKED_S
    assert np.count_nonzero(inside) >= 20
    return SineFit(float(np.abs(outcome.phasors[inside, 0]).mean()), float(outcome.frequency_hz[inside].mean()))


def need(path: Path) -> None:
    """Skip, naming the file, where a recording that may not be shipped is not there."""
    if not path.exists():
        pytest.skip(f"{path.name} may not be shipped, and ../shared/data is not beside this checkout")


@pytest.mark.parametrize("name", RECORDINGS)
def test_recorded_mains(name, capsys):
    recording = RECORDINGS[name]
    need(recording.path)
    fit, pmu = fit_recording(recording), measured(recording)
    with capsys.disabled():
        print(f"\n  {name} ({recording.path.name}): fit {fit.rms:.3f} V {fit.frequency_hz:.4f} Hz, "
              f"PDC {pmu.rms:.3f} V {pmu.frequency_hz:.4f} Hz")  # fmt: skip
    assert pmu.rms == pytest.approx(fit.rms, rel=2e-3)
    assert pmu.frequency_hz == pytest.approx(fit.frequency_hz, abs=5e-3)


def test_cycles_of_us_homes(tmp_path, capsys):
    path = SHARED / "plaid_cycles_even.npz"
    need(path)
    with np.load(path) as archive:
        cycles = archive["volts"].astype(float)
    row = cycles[7]
    file = tmp_path / "plaid.npz"
    np.savez(file, samples=np.tile(row, 60 * 11)[None, :], sample_rate_hz=30_000.0)
    recording = Recording(file, 60, 1.0, (7.5, 10.5), play_s=11.0)
    fit, pmu = fit_recording(recording), measured(recording)
    with capsys.disabled():
        print(f"\n  PLAID cycle: fit {fit.rms:.3f} V {fit.frequency_hz:.4f} Hz, "
              f"PDC {pmu.rms:.3f} V {pmu.frequency_hz:.4f} Hz")  # fmt: skip
    assert pmu.rms == pytest.approx(fit.rms, rel=2e-3)
    assert pmu.frequency_hz == pytest.approx(fit.frequency_hz, abs=5e-3)
