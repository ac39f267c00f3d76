"""Numbered scenarios on the twin: the whole chain, whatever happens to the time, judged by the outlet's truth.

The assertion that matters is the same in all of them: no frame ever claims a better time than it has. A frame's claim
is STAT's PMU_TQ; its time error is the angle of its phasor against the truth, which at 59.97 Hz also shows a wrong
whole second (as 0.5 ms a second). tests/timing has many more scenarios, on a simulator of the clock alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from rpmu.calibrate.profile import load_profile
from rpmu.twin.crystal import CrystalSettings
from rpmu.twin.faults import parse_faults
from rpmu.twin.gps import GpsSettings
from tests.e2e.rig import NS_PER_S, START_NS, configuration, run_chain

PMU_TQ_BOUND_S = {1: 1e-7, 2: 1e-6, 3: 1e-5, 4: 1e-4, 5: 1e-3, 6: 1e-2, 7: np.inf}
NOISE_S = 0.25e-6  # of the phasor's own angle: ten standard deviations of what calm reports show
SOURCE = "nominal,frequency_hz=59.97"
PROFILE = load_profile("reference-a-120v")


@dataclass(frozen=True)
class Scenario:
    """One scenario.

    Attributes:
        seconds: simulated.
        faults: what goes wrong (the words of `--fault`).
        locked: seconds since the start at which the frames say that they are in sync.
        unlocked: ... and that they are not.
        peak_s: largest time error while in sync.
        unknowable: seconds in which the claim is not judged: nothing tells of a crystal's jump before the next PPS.
        twin: other settings of the twin.
    """

    seconds: float = 20.0
    faults: str = ""
    locked: tuple[float, ...] = (12.0, 19.0)
    unlocked: tuple[float, ...] = ()
    peak_s: float = 0.5e-6
    unknowable: tuple[float, float] = (0.0, 0.0)
    twin: dict = field(default_factory=dict)


def crystal(**settings):
    """A crystal, 58.8 ppm off unless told."""
    return {"crystal": CrystalSettings(**({"ppm": 58.8, "walk_ppb_per_rts": 0.1} | settings))}


def slope(factor):
    """A PPS input whose time constant is not the one the daemon was told."""
    return {"profile": replace(PROFILE, pps_tau_s=PROFILE.pps_tau_s * factor)}


SCENARIOS = {
    "601 calm": Scenario(twin=crystal()),
    "602 crystal exactly right: every PPS at the same place between samples": Scenario(
        twin=crystal(ppm=0.0, walk_ppb_per_rts=0.0)
    ),
    "603 one sample period per second off": Scenario(twin=crystal(ppm=16.6667, walk_ppb_per_rts=0.0)),
    "604 two of them": Scenario(twin=crystal(ppm=33.3333, walk_ppb_per_rts=0.0)),
    "605 drift of 1 ppb/s": Scenario(twin=crystal(drift_ppb_per_s=1.0)),
    "606 PPS jitter of 30 ns": Scenario(twin={"gps": GpsSettings(pps_jitter_ns=30.0)}),
    "607 PPS jitter of 1 us": Scenario(twin={"gps": GpsSettings(pps_jitter_ns=1000.0)}, peak_s=5e-6),
    "608 slope 2 % wrong": Scenario(twin=slope(1.02)),
    "609 slope 10 % wrong": Scenario(twin=slope(1.1), peak_s=2e-6),
    "610 one PPS missing": Scenario(faults="pps_missing@12+1", locked=(11.0, 12.5, 13.5, 19.0)),
    "611 PPS missing for 10 s": Scenario(
        seconds=30, faults="pps_missing@10+10", locked=(9.0, 26.0), unlocked=(18.0,), peak_s=1e-6
    ),
    "612 double PPS": Scenario(faults="pps_double@12+3"),
    "613 late PPS": Scenario(faults="pps_late@12+1=50", locked=(11.0, 19.0)),
    "614 sentences name a wrong second for a while": Scenario(faults="nmea_second@10+5=1", locked=(9.0,)),
    "615 receiver falls silent": Scenario(seconds=34, faults="gps_silent@10+60", locked=(9.0,), unlocked=(32.0,)),
    "616 fix lost and found": Scenario(seconds=34, faults="gps_loss@10+10", locked=(9.0, 32.0), unlocked=(18.0,)),
    "617 reader stalls": Scenario(faults="reader_stalled@12+0.5"),
    "618 ADC overruns": Scenario(faults="adc_overrun@12.3", peak_s=1e-6),
    "619 cold start with wrong whole seconds": Scenario(
        seconds=40, locked=(), unlocked=(20.0, 39.0), twin={"gps": GpsSettings(cold_start_s=5.0, cold_leap_error_s=3)}
    ),
    "621 fix lost, found, and then the crystal steps by 3 ppm": Scenario(
        seconds=32,
        faults="gps_loss@8+6,crystal_step@22=3",
        locked=(21.0,),
        unlocked=(31.0,),  # a PPS that moved is watched before it is believed
        peak_s=10e-6,
        unknowable=(22.0, 23.0),
    ),
    "620 crystal steps by 1 ppm": Scenario(seconds=40, faults="crystal_step@10=1", locked=(9.0, 38.0), peak_s=5e-6),
}


def in_sync_at(outcome, second):
    """Whether the frames at a second since the start are in sync; None where there are none."""
    near = [f for f in outcome.frames if abs(f.time_ns - START_NS - second * NS_PER_S) < 0.3 * NS_PER_S]
    return None if not near else all(frame.pmus[0].stat.in_sync for frame in near)


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name):
    scenario = SCENARIOS[name]
    twin = {"crystal": CrystalSettings(ppm=23.0, walk_ppb_per_rts=0.1)} | scenario.twin
    faults = tuple(parse_faults(scenario.faults)) if scenario.faults else ()
    outcome = run_chain(scenario.seconds, configuration(), source=SOURCE, faults=faults, seed=601, **twin)
    frames = [frame for frame in outcome.frames if not frame.pmus[0].stat.data_error]
    base = outcome.frames[0].config.time_base if outcome.frames else 1
    time_ns = np.array(
        [f.soc * NS_PER_S + round(f.fracsec * 60 / base) * NS_PER_S // 60 for f in frames], dtype=np.int64
    )
    if frames:
        truth = outcome.twin.truth(time_ns)
        phasors = np.array([frame.pmus[0].phasors[0] for frame in frames])
        error_s = np.abs(np.angle(phasors / truth.phasors[:, 0])) / (2 * np.pi * 60)
        claim_s = np.array([PMU_TQ_BOUND_S[frame.pmus[0].stat.pmu_tq] for frame in frames])
        in_sync = np.array([frame.pmus[0].stat.in_sync for frame in frames])
        elapsed_s = (time_ns - START_NS) / NS_PER_S
        claim_s[(elapsed_s > scenario.unknowable[0]) & (elapsed_s < scenario.unknowable[1])] = np.inf
        worst = np.argmax(error_s - claim_s)
        assert (error_s <= claim_s + NOISE_S).all(), f"claims {claim_s[worst]} s, is {error_s[worst]} s off"
        assert error_s[in_sync].max(initial=0.0) <= scenario.peak_s
        assert (np.diff(time_ns) > 0).all(), "time never runs backwards"
    for second in scenario.locked:
        assert in_sync_at(outcome, second) is True, f"in sync at {second} s"
    for second in scenario.unlocked:
        assert not in_sync_at(outcome, second), f"not in sync at {second} s"
