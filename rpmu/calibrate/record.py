"""What a calibration certificate says, as values; units are in the names.

Device data (what the front end of this unit does) and site data (which way the plug is in, which leg of the service,
what the transformer down the street turns) are kept apart: a device that moves keeps its certificate, and `[site]` is
not under its hash.
"""

from __future__ import annotations

import cmath
import math
from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import date

from rpmu.calibrate.tables import bounded, chosen
from rpmu.errors import InputError
from rpmu.estimate.front_end import FrontEnd

METHODS = ("generator", "reference", "dmm", "self-test")
LEVEL_TABLE = "level table"  # why a point is not in the fit that is used all the same
PARAMETERS = ("gain", "delay", "f0", "q")


@dataclass(frozen=True)
class Device:
    """The unit that was calibrated.

    Attributes:
        serial: of the board; the daemon refuses another one's certificate.
        profile: nominal profile of its front end, which the fit started from.
        nominal_voltage_v: RMS volts of the mains.
        nominal_frequency_hz: 50 or 60.
        board: what it is built on.
        transformer: type and serial of the adapter or transformer, which belongs to the calibration.
    """

    serial: str
    profile: str
    nominal_voltage_v: float = bounded(1.0, 1000.0)
    nominal_frequency_hz: float = bounded(50.0, 60.0)
    board: str = "BeagleBone Black"
    transformer: str = ""


@dataclass(frozen=True)
class Issue:
    """The certificate itself.

    Attributes:
        date_utc: day of the calibration.
        valid_until_utc: last day on which it holds.
        number: in the device's history, from 1.
        method: generator, reference, dmm or self-test.
        operator: who did it.
        rpmu_version: what computed it.
        raw_data_file: the session file with every reading.
        raw_data_sha256: of that file.
        previous_sha256: content hash of the certificate before it; empty for the first.
        ambient_c: temperature of the room, if it was read.
        simulated: made on the digital twin; worth nothing for a real device.
        note: anything.
    """

    date_utc: date
    valid_until_utc: date
    number: int = bounded(1, 1_000_000)
    method: str = chosen(*METHODS)
    operator: str = ""
    rpmu_version: str = ""
    raw_data_file: str = ""
    raw_data_sha256: str = ""
    previous_sha256: str = ""
    ambient_c: float | None = bounded(-60.0, 100.0, None)
    simulated: bool = False
    note: str = ""


@dataclass(frozen=True)
class Reference:
    """What the device was compared with, and its own expanded uncertainty (k = 2).

    Attributes:
        magnitude_percent: of its magnitude.
        time_us: of its time (for a DMM, which has none: 0, and the delay is not fitted).
        make: maker.
        model: model.
        serial: serial number.
        calibration_due_utc: when its own calibration ends.
        time_source: where its time comes from.
    """

    magnitude_percent: float = bounded(0.0, 100.0)
    time_us: float = bounded(0.0, 1e6)
    make: str = ""
    model: str = ""
    serial: str = ""
    calibration_due_utc: date | None = None
    time_source: str = ""


@dataclass(frozen=True)
class Channel:
    """One channel of the front end, and how well it is known.

    H(f) = polarity gain / (1 - (f/f0)^2 + j f/(f0 Q)) exp(-j 2 pi f (delay + skew)), times the level table.

    Attributes:
        name: of the phasor.
        gain: volts at the ADC pin per volt of mains, at DC of the low-pass.
        f0_hz: corner.
        q: quality factor.
        delay_s: constant delay; negative for a transformer's lead.
        skew_s: what this channel's conversion is late by, beyond what the firmware's schedule says.
        dc_counts: mid-scale in 12-bit counts: the front end's bias and the converter's offset.
        polarity: 1, or -1 if the channel inverts.
        fitted: which of gain, delay, f0 and q were fitted; the rest is nominal.
        level_v: RMS volts of the level table, rising; empty for none.
        level_gain: gain at these levels, relative to `gain`.
        level_phase_deg: phase at these levels, relative.
        u_level_percent: expanded uncertainty (k = 2) at and between these levels, as TVE at nominal frequency.
        u_gain_percent: expanded uncertainty (k = 2) of the gain.
        u_delay_s: of the delay.
        u_f0_percent: of f0; where it is not fitted, what its tolerance was taken to be.
        u_q_percent: likewise.
        u_tve_percent: of the equalised phasor anywhere in the band, as TVE.
        u_skew_s: of the skew; 0 for the channel that the others are compared with.
        u_dc_counts: of the mid-scale; None where it is the profile's and nobody measured it.
        gain_ppm_per_k: temperature term of the gain, about `Temperature.reference_c`.
        phase_deg_per_k: of the phase at nominal frequency.
    """

    name: str
    gain: float = bounded(1e-6, 1.0)
    f0_hz: float = bounded(10.0, 1e6)
    q: float = bounded(0.1, 10.0)
    delay_s: float = bounded(-1e-3, 1e-2)
    skew_s: float = bounded(-1e-3, 1e-3, 0.0)
    dc_counts: float = bounded(0.0, 4095.0, 2048.0)
    polarity: int = bounded(-1, 1, 1)
    fitted: tuple[str, ...] = chosen(*PARAMETERS, default=())
    level_v: tuple[float, ...] = bounded(0.0, 1e6, ())
    level_gain: tuple[float, ...] = bounded(0.5, 2.0, ())
    level_phase_deg: tuple[float, ...] = bounded(-30.0, 30.0, ())
    u_level_percent: tuple[float, ...] = bounded(0.0, 1e4, (), later=True)
    u_gain_percent: float = bounded(0.0, 100.0, 100.0)
    u_delay_s: float = bounded(0.0, 1.0, 0.0)
    u_f0_percent: float = bounded(0.0, 100.0, 100.0)
    u_q_percent: float = bounded(0.0, 100.0, 100.0)
    u_tve_percent: float = bounded(0.0, 100.0, 100.0)
    u_skew_s: float = bounded(0.0, 1.0, 0.0, later=True)
    u_dc_counts: float | None = bounded(0.0, 4096.0, None)
    gain_ppm_per_k: float = bounded(-1e5, 1e5, 0.0, later=True)
    phase_deg_per_k: float = bounded(-10.0, 10.0, 0.0, later=True)

    def __post_init__(self) -> None:
        if self.polarity == 0:
            raise InputError(f"channel {self.name}: polarity is 0, but must be 1 or -1")
        if not len(self.level_v) == len(self.level_gain) == len(self.level_phase_deg):
            raise InputError(f"channel {self.name}: level_v, level_gain and level_phase_deg must be equally long")
        if self.u_level_percent and len(self.u_level_percent) != len(self.level_v):
            raise InputError(f"channel {self.name}: u_level_percent must be as long as level_v, or empty")
        if any(b <= a for a, b in zip(self.level_v, self.level_v[1:], strict=False)):
            raise InputError(f"channel {self.name}: level_v must rise")

    @property
    def front_end(self) -> FrontEnd:
        """What the estimator has to undo: the low-pass with its sign and the whole delay."""
        return FrontEnd(self.polarity * self.gain, self.f0_hz, self.q, self.delay_s + self.skew_s)

    def level_response(self, voltage_v: float) -> complex:
        """The level table's factor; 1 without a table, its end outside it.

        Asked for with every report: for one number, numpy's interpolation would be thirty times as dear.
        """
        levels, gains, phases_deg = self.level_v, self.level_gain, self.level_phase_deg
        if len(levels) < 2:
            return cmath.rect(gains[0], math.radians(phases_deg[0])) if levels else 1 + 0j
        upper = bisect_right(levels, voltage_v, 1, len(levels) - 1)
        lower = upper - 1
        share = min(max((voltage_v - levels[lower]) / (levels[upper] - levels[lower]), 0.0), 1.0)
        gain = gains[lower] + share * (gains[upper] - gains[lower])
        phase_deg = phases_deg[lower] + share * (phases_deg[upper] - phases_deg[lower])
        return cmath.rect(gain, math.radians(phase_deg))


@dataclass(frozen=True)
class Adc:
    """The converter.

    Attributes:
        vref_v: full scale, V.
        divided_by_reference: the gain holds with the converter's reference channel divided out, and only so.
    """

    vref_v: float = bounded(0.5, 5.0, 1.8)
    divided_by_reference: bool = field(default=False, metadata={"later": True})


@dataclass(frozen=True)
class Temperature:
    """About what the channels' temperature terms turn; the daemon applies them where a sensor is configured.

    Attributes:
        reference_c: temperature at which the rest of the certificate holds.
    """

    reference_c: float = bounded(-60.0, 100.0, 25.0)


@dataclass(frozen=True)
class Uncertainty:
    """What the uncertainties mean.

    Attributes:
        tve_percent: the worst channel's, anywhere in the band; without the estimator's and the time's share.
        band_hz: from and to.
        coverage_k: 2: the true value lies within in about 95 of 100 cases.
    """

    tve_percent: float = bounded(0.0, 100.0)
    band_hz: tuple[float, ...] = bounded(0.0, 1e5)
    coverage_k: float = bounded(1.0, 3.0, 2.0)


@dataclass(frozen=True)
class Point:
    """One reading of one channel against the reference.

    Attributes:
        channel: name of the channel.
        frequency_hz: of the signal.
        voltage_v: RMS volts of it, as the reference says.
        magnitude_ratio: |H| found, volts at the ADC pin per volt of mains.
        phase_deg: angle of H found.
        sigma_percent: scatter of one reading's magnitude, 1 sigma.
        sigma_deg: scatter of its angle.
        used: whether it went into the fit.
        why: why not.
    """

    channel: str
    frequency_hz: float = bounded(0.1, 1e5)
    voltage_v: float = bounded(1e-6, 1e6)
    magnitude_ratio: float = bounded(0.0, 10.0)
    phase_deg: float = bounded(-360.0, 360.0)
    sigma_percent: float = bounded(0.0, 100.0, 0.0)
    sigma_deg: float = bounded(0.0, 360.0, 0.0)
    used: bool = True
    why: str = ""

    @property
    def response(self) -> complex:
        """H at this point."""
        return cmath.rect(self.magnitude_ratio, math.radians(self.phase_deg))


@dataclass(frozen=True)
class Verification:
    """A point that no fit has seen.

    Attributes:
        channel: name of the channel.
        frequency_hz: of the signal.
        voltage_v: RMS volts of it.
        tve_percent: what the certificate leaves there, against the same reference.
    """

    channel: str
    frequency_hz: float = bounded(0.1, 1e5)
    voltage_v: float = bounded(1e-6, 1e6)
    tve_percent: float = bounded(0.0, 1e4)


@dataclass(frozen=True)
class Site:
    """Where the device is plugged in; not under the hash, and free to be edited.

    Attributes:
        angle_offset_deg: taken off every phasor's angle.
        leg: of a split-phase service, or the phase.
        note: anything.
    """

    angle_offset_deg: float = bounded(-360.0, 360.0, 0.0)
    leg: str = ""
    note: str = ""
