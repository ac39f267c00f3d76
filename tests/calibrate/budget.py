"""`python -m tests.calibrate.budget`: the TVE budget, each contribution switched on alone on the full twin, and all.

Without a contribution everything is ideal: nominal front end, a converter that only rounds, a crystal and a receiver
without error. Mains at 60.05 Hz, M class, 60 reports/s, through emulator, daemon and TCP. The computed column is the
budget of docs/accuracy.md for design A; --write puts the table there.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from rpmu.calibrate.certificate import add_to_history
from rpmu.calibrate.issue import IssueSettings, channel_of
from rpmu.calibrate.profile import load_profile
from rpmu.calibrate.record import Adc, Channel, Reference
from rpmu.config import Config
from rpmu.twin.crystal import CrystalSettings
from rpmu.twin.gps import GpsSettings
from rpmu.twin.pruss import AdcErrors
from rpmu.twin.tolerance import NOISE_LSB, non_linearity, unit_of
from rpmu.twin.transformer import Magnetising
from tests.calibrate.device import Device, Tone
from tests.calibrate.study import GENERATOR, LEVEL_POINTS
from tests.calibrate.test_in_the_daemon import certificate_of
from tests.e2e.rig import configuration, run_chain

PAGE = Path(__file__).parents[2] / "docs" / "accuracy.md"
BEGIN, END = "<!-- begin of what the budget writes -->", "<!-- end of what the budget writes -->"
NOMINAL = load_profile("reference-a-120v")
UNIT = 7
LEVELS_V = (120, 12)
NEAR_LINE = ((59.7, 120.0), (60.0, 120.0), (60.3, 120.0), *LEVEL_POINTS)
SECONDS, HARMONICS = 20.0, "3:1.5;5:2.0;7:1.5"
QUIET = GpsSettings(pps_jitter_ns=0.0, pps_sawtooth_ns=0.0)
INL = tuple(non_linearity(np.random.default_rng(2), 2.0).tolist())
SWINGING = {"temperature_ppb": 500.0, "temperature_period_s": 600.0, "walk_ppb_per_rts": 0.1}
WARMER = {"gain": 1.0005, "f0_hz": 0.9989}  # 20 K: 25 ppm/K between R1 and R2; 25 and 30 ppm/K of R and C
CORE = Magnetising()  # 20 % of the magnetising inductance from nominal to 120 % of the voltage
TRANSFORMER_S = 0.27 / 360 / 60  # 20 K of copper: 0.39 %/K of a lead of 3.4 degrees
REFERENCE_OFF = 1.0006  # 30 ppm/K, 20 K
SOURCE_OFF = 1.001


@dataclass(frozen=True)
class Contribution:
    """One thing that is not ideal.

    Attributes:
        name: in the table.
        computed: what the budget says of it at 120 V, percent; empty if it has no such line.
        twin: settings of the twin.
        source: words added to the mains.
        config: what the daemon is told otherwise.
        level: of the outlet, relative to the column's.
    """

    name: str
    computed: str = ""
    twin: dict[str, Any] = field(default_factory=dict)
    source: str = ""
    config: Callable[[Config], Config] = lambda config: config
    level: float = 1.0


def with_channel(channel: Channel, divided: bool = False) -> Callable[[Config], Config]:
    """A daemon that runs with this channel's certificate."""

    def configured(config: Config) -> Config:
        certificate = replace(certificate_of(NOMINAL), channel=(channel,), adc=Adc(1.8, divided))
        path, _ = add_to_history(Path(tempfile.mkdtemp(prefix="rpmu-budget-")), certificate)
        return replace(config, calibration=replace(config.calibration, certificate=str(path)))

    return configured


def with_reference(config: Config) -> Config:
    """A daemon that reads the converter's reference channel."""
    return replace(config, sampling=replace(config.sampling, reference_ain=2))


@cache
def calibrated(
    error: float = 1.0, reference_channel: bool = False, unit: int = UNIT, core: Magnetising | None = None
) -> Channel:
    """A unit after the generator's procedure, the generator's magnitude off by this factor.

    With a transformer's core at frequencies near the line's: iron minds volts per hertz.
    """
    from rpmu.calibrate.readings import Base

    built, base = unit_of(NOMINAL, unit), Base(NOMINAL)
    if reference_channel:  # the converter's full scale was divided out while it was calibrated
        built = replace(built, adc=replace(built.adc, gain=1.0))
    device = Device(built, unit, magnetising=core)
    readings = [device.reading(Tone(f, v), base) for f, v in (GENERATOR.points if core is None else NEAR_LINE)]
    readings = [replace(r, response=r.response * error) for r in readings]
    return channel_of("VA", readings, base, IssueSettings("TWIN-7", Reference(0.1, 0.2), date(2026, 1, 1)))[0]


def nominal_channel(error: float = 1.0) -> Channel:
    """The nominal front end, its gain found wrong by this factor."""
    plain = NOMINAL.front_end
    return Channel("VA", plain.gain * error, plain.f0_hz, plain.q, plain.delay_s)


def built(profile: Any) -> dict[str, Any]:
    """A twin of this front end."""
    return {"profile": profile}


def all_of_it(config: Config) -> Config:
    """The daemon of the last line: certificate from a generator that is off, converter's reference in use."""
    return with_channel(calibrated(SOURCE_OFF, True, core=CORE), True)(with_reference(config))


def contributions() -> list[Contribution]:
    """The lines of the table; the first is the ideal, the last is all of them."""
    ideal = Contribution("nothing but the converter's rounding")
    return [ideal, *of_converter(), *of_time(), *of_front_end(), *of_transformer(), *of_source(), all_together()]


def of_converter() -> list[Contribution]:
    """What the converter does, and its supply."""
    low = AdcErrors(gain=1.005)
    return [
        Contribution("converter: noise of 0.5 LSB", "0.01 (0.09)", {"adc": AdcErrors(noise_lsb_rms=NOISE_LSB)}),
        Contribution("converter: non-linearity of 2 LSB", "0.05 (0.3)", {"adc": AdcErrors(inl_lsb=INL)}),
        Contribution("converter: offset of 2 LSB", "", {"adc": AdcErrors(offset_lsb=2.0)}),
        Contribution("VDD_ADC 0.5 % off, nothing done about it", "0.5", {"adc": low}),
        Contribution(
            "the same with the 1.25 V reference, itself 0.06 % off (20 K)",
            "0.06",
            {"adc": low, "reference_v": 1.25 * REFERENCE_OFF},
            config=with_reference,
        ),
    ]


def of_time() -> list[Contribution]:
    """What crystal, PPS and the sequence of the channels do to the instants."""
    slow_slope = replace(NOMINAL, pps_tau_s=NOMINAL.pps_tau_s * 1.1)
    return [
        Contribution("crystal 100 ppm off", "", {"crystal": CrystalSettings(ppm=100.0)}),
        Contribution("crystal: 0.5 ppm of swing in 10 min, and its walk", "", {"crystal": CrystalSettings(**SWINGING)}),
        Contribution("PPS: 10 ns of jitter, 5 ns of saw-tooth", "0.04", {"gps": GpsSettings()}),
        Contribution("PPS: slope 10 % from nominal", "0.04", built(slow_slope)),
        Contribution("channel skew of 0.5 us, not calibrated", "0.02", {"skew_s": (0.5e-6,)}),
    ]


def of_front_end() -> list[Contribution]:
    """What a unit off the line does, before and after its calibration, and as it gets warmer."""
    seven = unit_of(NOMINAL, UNIT)
    warm = {"gain": NOMINAL.gain * WARMER["gain"], "f0_hz": NOMINAL.f0_hz * WARMER["f0_hz"]}
    return [
        Contribution("front end of unit 7, not calibrated", "", built(seven.profile)),
        Contribution(
            "front end and converter of unit 7, calibrated without error",
            "",
            {"profile": seven.profile, "adc": replace(seven.adc, noise_lsb_rms=0.0)},
            config=with_channel(calibrated()),
        ),
        Contribution("filter 20 K warmer", "0.10", built(replace(NOMINAL, **warm))),
    ]


def of_transformer() -> list[Contribution]:
    """What the plug-in transformer does: its copper with temperature, its core with the voltage."""
    warm_adapter = replace(NOMINAL, delay_s=NOMINAL.delay_s + TRANSFORMER_S)
    return [
        Contribution("transformer 20 K warmer", "0.48", built(warm_adapter)),
        Contribution("transformer's core: outlet 20 % low", "1.2", {"magnetising": CORE}, level=0.8),
        Contribution("transformer's core: outlet 10 % low", "", {"magnetising": CORE}, level=0.9),
        Contribution(
            "the same, halfway between two levels of its calibration's table",
            "0.5",
            {"magnetising": CORE},
            config=with_channel(calibrated(unit=0, core=CORE)),
            level=0.9,
        ),
    ]


def of_source() -> list[Contribution]:
    """What the generator of the calibration and the mains themselves do."""
    return [
        Contribution("calibrated against a source 0.1 % off", "0.10", config=with_channel(nominal_channel(SOURCE_OFF))),
        Contribution("mains with 3 % of harmonics", "", source=f",harmonics={HARMONICS}"),
    ]


def all_together() -> Contribution:
    """Unit 7 with everything against it at once."""
    seven = unit_of(NOMINAL, UNIT)
    worst = replace(
        seven.profile,
        gain=seven.profile.gain * WARMER["gain"],
        f0_hz=seven.profile.f0_hz * WARMER["f0_hz"],
        delay_s=seven.profile.delay_s + TRANSFORMER_S,
        pps_tau_s=NOMINAL.pps_tau_s * 1.1,
    )
    return Contribution(
        "all of it: unit 7 calibrated 0.1 % off, then 20 K warmer and 10 % low, with the reference channel",
        "about 0.7",
        {
            "magnetising": CORE,
            "profile": worst,
            "adc": seven.adc,
            "reference_v": 1.25 * REFERENCE_OFF,
            "crystal": CrystalSettings(ppm=100.0, **SWINGING),
            "gps": GpsSettings(),
        },
        f",harmonics={HARMONICS}",
        all_of_it,
        0.9,
    )


def measured(contribution: Contribution, voltage_v: float, seconds: float = SECONDS) -> tuple[float, float]:
    """TVE of the mean phasor and of the worst report, percent."""
    ideal = {"profile": NOMINAL, "adc": AdcErrors(), "crystal": CrystalSettings(), "gps": QUIET}
    config = contribution.config(configuration())
    source = f"nominal,frequency_hz=60.05,voltage_v={voltage_v * contribution.level:g}{contribution.source}"
    outcome = run_chain(seconds, config, source=source, **(ideal | contribution.twin))
    ratio = outcome.phasors[:, 0] / outcome.twin.truth(outcome.time_ns).phasors[:, 0]
    return float(100 * abs(ratio.mean() - 1)), float(100 * np.abs(ratio - 1).max())


def row(contribution: Contribution) -> str:
    """One line of the table."""
    cells = [f"{mean:.4f}, {worst:.4f}" for mean, worst in (measured(contribution, v) for v in LEVELS_V)]
    return f"| {contribution.name} | {' | '.join(cells)} | {contribution.computed} |"


HEAD = """\
| switched on, % TVE | 120 V: mean, worst report | 12 V: mean, worst report | computed, 120 V (12 V) |
|---|---|---|---|"""


def main() -> None:
    """Run it; with --write into docs/accuracy.md."""
    parser = argparse.ArgumentParser(description="The TVE budget on the twin.")
    parser.add_argument("--write", action="store_true", help="into docs/")
    args = parser.parse_args()
    print(HEAD)
    rows = [HEAD]
    for contribution in contributions():
        rows.append(row(contribution))
        print(rows[-1], flush=True)
    if args.write:
        page = PAGE.read_text(encoding="utf-8")
        head, rest = page.split(BEGIN)
        text = "\n\n" + "\n".join(rows) + "\n\n"
        PAGE.write_text(head + BEGIN + text + END + rest.split(END)[1], encoding="utf-8")


if __name__ == "__main__":
    main()
