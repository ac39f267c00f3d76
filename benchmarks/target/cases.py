"""What is counted: classes, rates and phases, each on a recorded stretch of the twin."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from rpmu.acquire.recording import Recorder
from rpmu.calibrate.certificate import Certificate
from rpmu.calibrate.profile import load_profile
from rpmu.calibrate.record import Adc, Channel, Device, Issue, Reference, Site, Uncertainty
from rpmu.config import Config, parse
from tests.e2e.rig import run_chain

FROM_S, UNTIL_S = 6.5, 8.5  # of the recording: the time is locked and every window is full
RECORDED_S = 9.0
REFERENCE = "reference-a-120v"  # 1 kHz, needs a gain and a delay
THESIS = "thesis-100hz"  # needs an equaliser


@dataclass(frozen=True)
class Case:
    """One configuration.

    Attributes:
        performance_class: "P" or "M".
        rate: reports per second.
        phases: 1 or 3.
        profile: front end.
        calibrated: a certificate with all that it can correct, instead of the nominal profile.
        most_instructions: goal per report; None for none.
        most_macs: likewise.
    """

    performance_class: str
    rate: int
    phases: int = 1
    profile: str = REFERENCE
    calibrated: bool = False
    most_instructions: int | None = None
    most_macs: int | None = None

    @property
    def name(self) -> str:
        """For table and record."""
        words = [f"{self.performance_class}{self.rate}"]
        words += ["three phases"] * (self.phases == 3) + ["100 Hz front end"] * (self.profile == THESIS)
        words += ["calibrated"] * self.calibrated
        return ", ".join(words)

    @property
    def toml(self) -> str:
        """The configuration file."""
        channels = "".join(
            f'[[channel]]\nname = "V{phase}"\nkind = "voltage"\nphase = "{phase}"\nain = {ain}\n'
            for phase, ain in list(zip("ABC", (0, 2, 3), strict=True))[: self.phases]
        )
        return (
            f'[station]\nperformance_class = "{self.performance_class}"\nreporting_rate_per_s = {self.rate}\n'
            f'phases = {self.phases}\n{channels}[calibration]\nprofile = "{self.profile}"\n'
            '[gps]\nconfigure = false\n[server]\nlisten = ["127.0.0.1:0"]\n'
        )

    def job(self, folder: Path) -> dict[str, Any]:
        """The case as the guest understands it, with its files in `folder`."""
        file = folder / f"{self.name.replace(', ', '-').replace(' ', '-')}.toml"
        file.write_text(self.toml.replace("[calibration]", calibration(folder)) if self.calibrated else self.toml)
        recording = record(folder, self.phases, self.profile)
        return {"config": str(file), "recording": str(recording), "from_s": FROM_S, "until_s": UNTIL_S}


ONE = {"most_instructions": 300_000, "most_macs": 10_000}
THREE = {"most_instructions": 500_000}
CASES = (
    Case("P", 60, **ONE),
    Case("M", 60, **ONE),
    Case("M", 60, profile=THESIS, **ONE),
    Case("P", 120, **ONE),
    Case("P", 60, calibrated=True, **ONE),
    Case("M", 10),
    Case("P", 60, 3, **THREE),
    Case("M", 60, 3, **THREE),
)


def calibration(folder: Path) -> str:
    """The section of a configuration that has a certificate with a level table, a temperature term and an angle."""
    front_end = load_profile(REFERENCE).front_end
    values = {"gain": front_end.gain, "f0_hz": front_end.f0_hz, "q": front_end.q, "delay_s": front_end.delay_s}
    levels = {"level_v": (100.0, 115.0, 130.0), "level_gain": (1.0, 1.001, 1.0), "level_phase_deg": (0.0, 0.05, 0.0)}
    warmth = {"gain_ppm_per_k": 50.0, "phase_deg_per_k": 0.001}
    certificate = Certificate(
        Device("BENCH", REFERENCE, 120.0, 60),
        Issue(date(2020, 1, 1), date(2099, 1, 1), 1, "generator", simulated=True),
        Reference(0.02, 0.2),
        Uncertainty(0.05, (55.0, 65.0)),
        (Channel("VA", **values, **levels, **warmth),),
        Adc(1.8),
        site=Site(25.0),
    )
    file, sensor = folder / "certificate.toml", folder / "temperature"
    file.write_text(certificate.render())
    sensor.write_text("31500\n")
    return f'[calibration]\ncertificate = "{file}"\ntemperature_file = "{sensor}"'


@cache
def record(folder: Path, phases: int, profile: str) -> Path:
    """A recording of the twin, made anew: firmware, ADC, crystal and receiver as they are now."""
    path = folder / f"recording-{phases}-{profile}.rpmu"
    path.unlink(missing_ok=True)
    config: Config = parse(Case("M", 60, phases, profile).toml.encode())
    run_chain(RECORDED_S, config, Recorder(path))
    return path
