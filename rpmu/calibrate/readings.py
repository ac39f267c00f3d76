"""From the frames of a running PMU to readings of its front end, without I/O.

The PMU reports X = X_raw / H_used, where H_used is the profile or certificate it runs with. Against a true phasor T
that gives H = (X / T) H_used: what it runs with drops out. A reading is the mean of three passes; it is taken only
once the two halves of the collected time agree, and its scatter is that of the passes.
"""

from __future__ import annotations

import cmath
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpmu.c37118 import DataFrame
from rpmu.calibrate.certificate import Certificate
from rpmu.calibrate.fit import Reading
from rpmu.calibrate.profile import Profile
from rpmu.calibrate.record import Channel
from rpmu.calibrate.uncertainty import Tolerance
from rpmu.errors import InputError
from rpmu.estimate.front_end import FrontEnd
from rpmu.timing.status import STATUS_BIT_NAMES

Complex = NDArray[np.complex128]

NS_PER_S = 1_000_000_000
PASSES = 3
FRAMES_SO_FAR = 30
UNSTABLE = 1e-3  # the two halves of a reading differ by more than this: somebody is still turning a knob
CLIPPING = "the input clips"
CLIPPED = 1 << STATUS_BIT_NAMES.index("INPUT CLIPPED")
DIVIDED = 1 << STATUS_BIT_NAMES.index("VREF DIVIDED OUT")
_RUNS_WITH = re.compile(r"; runs with (\S+ [^;]+)")
GAIN_RANGE = (0.7, 1.4)
LARGEST_ANGLE_DEG = 20.0


@dataclass(frozen=True)
class Base:
    """What the PMU runs with while it is calibrated.

    Attributes:
        profile: nominal profile, from which the fit starts.
        certificate: what it runs with instead of the profile, or None.
    """

    profile: Profile
    certificate: Certificate | None = None

    def used(self, channel: str, frequency_hz: float, voltage_v: float) -> complex:
        """H_used of a channel, with everything that was taken off the raw phasor."""
        if self.certificate is None:
            return complex(self.profile.front_end.response(frequency_hz))
        entry = self.certificate.channel_named(channel)
        site = cmath.exp(1j * math.radians(self.certificate.site.angle_offset_deg))
        return complex(entry.front_end.response(frequency_hz) * entry.level_response(voltage_v)) * site

    def gain_of(self, channel: str, reading: Reading) -> float:
        """What the PMU says of a reading's level, relative to the truth."""
        return abs(reading.response / self.used(channel, reading.frequency_hz, reading.voltage_v))

    def start(self, channel: str) -> tuple[FrontEnd, Tolerance]:
        """Where the fit of a channel starts: nominal, with f0 and Q of the certificate if they were measured once."""
        nominal, known = self.profile.front_end, self.certificate
        names = {one.name for one in known.channel} if known is not None else set()
        if known is None or channel not in names or not {"f0", "q"} <= set(known.channel_named(channel).fitted):
            return nominal, Tolerance()
        tested = known.channel_named(channel)
        tolerance = Tolerance(f0_percent=tested.u_f0_percent / 2, q_percent=tested.u_q_percent / 2)
        return replace(nominal, f0_hz=tested.f0_hz, q=tested.q), tolerance

    def level_table(self, channel: str) -> Channel | None:
        """The channel of the certificate, if that has a level table for it."""
        known = self.certificate.channel if self.certificate is not None else ()
        return next((one for one in known if one.name == channel and one.level_v), None)

    @property
    def without_levels(self) -> Base:
        """The same without level tables."""
        if self.certificate is None:
            return self
        none: dict[str, Any] = {"level_v": (), "level_gain": (), "level_phase_deg": (), "u_level_percent": ()}
        plain = tuple(replace(channel, **none) for channel in self.certificate.channel)
        return replace(self, certificate=replace(self.certificate, channel=plain))

    def refuse_other(self, header: str) -> None:
        """Refuse a PMU that says in its header that it runs with something else.

        Raises:
            InputError: it does; what it has divided by would be put into the certificate.
        """
        found = _RUNS_WITH.search(header)
        own = self.profile.identity if self.certificate is None else self.certificate.identity
        if found is None or found[1] == own:
            return
        kind, name = found[1].split(" ", 1)
        hint = f"--profile {name}, and no --certificate"
        if kind == "certificate":
            hint = "that certificate, its file or history folder, as --certificate"
        raise InputError(f"the PMU says that it runs with {found[1]}, but the command was told {own}; give {hint}")

    @property
    def front_end(self) -> FrontEnd:
        """Nominal."""
        return self.profile.front_end


def usable(frame: DataFrame) -> str:
    """Why a frame of the device cannot be used; empty if it can. Test mode is no reason: it is not calibrated yet."""
    pmu = frame.pmus[0]
    if not pmu.stat.in_sync:
        return "not in sync"
    if not all(cmath.isfinite(phasor) for phasor in pmu.phasors):
        return "without numbers"
    return CLIPPING if pmu.digitals and pmu.digitals[0] & CLIPPED else ""


def divided_by_reference(frame: DataFrame) -> bool:
    """Whether the device divides out what its converter's reference channel says."""
    return bool(frame.pmus[0].digitals and frame.pmus[0].digitals[0] & DIVIDED)


def generator_phasor(
    time_ns: int, frequency_hz: float, voltage_v: float, angle_deg: float, nominal_hz: float, started_ns: int = 0
) -> complex:
    """Synchrophasor of a generator that has run undisturbed since a known second.

    Args:
        time_ns: UTC of the report.
        frequency_hz: of the generator; taken as the decimal number it is written as, so that no phase is lost.
        voltage_v: RMS.
        angle_deg: of its sine at `started_ns`, 0 for a crest.
        nominal_hz: of the PMU.
        started_ns: UTC of a whole second. For whole Hz any second will do, since all are alike.
    """
    run = Fraction(str(frequency_hz)) * Fraction(time_ns - started_ns, NS_PER_S)
    turns = run - Fraction(str(nominal_hz)) * Fraction(time_ns % NS_PER_S, NS_PER_S)
    return cmath.rect(voltage_v, math.radians(angle_deg) + 2 * math.pi * float(turns % 1))


@dataclass
class Collector:
    """Frames of one point until they make a reading.

    Attributes:
        channels: names.
        base: what the PMU runs with.
        needed: frames for a reading.
        may_invert: a channel may be upside down against its reference.
    """

    channels: Sequence[str]
    base: Base
    needed: int
    may_invert: bool = False
    _responses: list[list[complex]] = field(default_factory=list)
    _frequencies: list[float] = field(default_factory=list)
    _volts: list[float] = field(default_factory=list)

    def add(self, phasors: Sequence[complex], truth: Sequence[complex], frequency_hz: float) -> None:
        """One frame: what the PMU said, and what it should have said."""
        self._responses.append(
            [
                phasors[i] / truth[i] * self.base.used(name, frequency_hz, abs(phasors[i]))
                for i, name in enumerate(self.channels)
            ]
        )
        self._frequencies.append(frequency_hz)
        self._volts.append(abs(truth[0]))

    def restart(self) -> None:
        """Forget everything: the point changed."""
        self._responses.clear()
        self._frequencies.clear()
        self._volts.clear()

    @property
    def progress(self) -> float:
        """From 0 to 1."""
        return min(len(self._responses) / self.needed, 1.0)

    @property
    def so_far(self) -> str:
        """What the first channel's newest frames say, in words."""
        newest = self._responses[-FRAMES_SO_FAR:]
        if not newest:
            return ""
        mean = complex(np.mean([row[0] for row in newest]))
        return f"{from_nominal(mean / self.base.front_end.response(self._frequencies[-1]))} from nominal"

    def take(self) -> dict[str, Reading] | None:
        """The readings by channel, once there are enough frames and they are stable; begins anew after that.

        Raises:
            InputError: a reading that no front end of this profile can give.
        """
        if len(self._responses) < self.needed:
            return None
        values: Complex = np.array(self._responses[-self.needed :])
        half = self.needed // 2
        drift = np.abs(values[:half].mean(axis=0) / values[half:].mean(axis=0) - 1)
        if drift.max() > UNSTABLE:
            del self._responses[:half], self._frequencies[:half], self._volts[:half]
            return None
        frequency, volts = float(np.mean(self._frequencies)), float(np.mean(self._volts))
        readings = {name: self._reading(name, values[:, i], frequency, volts) for i, name in enumerate(self.channels)}
        self.restart()
        return readings

    def _reading(self, name: str, values: Complex, frequency_hz: float, voltage_v: float) -> Reading:
        passes = np.array([part.mean() for part in np.array_split(values, PASSES)])
        mean = complex(np.median(values.real) + 1j * np.median(values.imag))
        mean = complex(values[np.abs(values / mean - 1) <= 5 * _scatter(values / mean)].mean())
        by_passes = float(np.abs(passes / mean - 1).std(ddof=1)) / math.sqrt(PASSES)
        by_frames = _scatter(values / mean) / math.sqrt(len(values))
        self._refuse_strange(name, mean / complex(self.base.front_end.response(frequency_hz)), frequency_hz)
        return Reading(frequency_hz, voltage_v, mean, max(by_passes, by_frames, 1e-6))

    def _refuse_strange(self, name: str, ratio: complex, frequency_hz: float) -> None:
        low, high = GAIN_RANGE
        if not low <= abs(ratio) <= high:
            raise InputError(
                f"{name} at {frequency_hz:.2f} Hz reads {abs(ratio):.3g} times what profile {self.base.profile.name} "
                f"says, allowed are {low:g} to {high:g}: check the level, the wiring (swapped channels?) and the "
                "profile"
            )
        angle = math.degrees(cmath.phase(ratio))
        if abs(angle) >= 180 - LARGEST_ANGLE_DEG and not self.may_invert:
            raise InputError(
                f"{name} at {frequency_hz:.2f} Hz is upside down ({angle:+.1f}° from its reference): turn the plug, or "
                "swap the channel's two wires; if the channel is meant to invert, give --inverting"
            )
        if LARGEST_ANGLE_DEG < abs(angle) < 180 - LARGEST_ANGLE_DEG:
            raise InputError(
                f"{name} at {frequency_hz:.2f} Hz is {angle:+.1f}° from its reference, allowed are "
                f"{LARGEST_ANGLE_DEG:g}°: {_likely_cause(angle)}"
            )


def from_nominal(ratio: Complex | complex) -> str:
    """A ratio to the nominal front end, in words."""
    value = complex(ratio)
    return f"gain {100 * (abs(value) - 1):+.4f} %, angle {math.degrees(cmath.phase(value)):+.4f}°"


def _likely_cause(angle_deg: float) -> str:
    if abs(abs(angle_deg) - 120) <= LARGEST_ANGLE_DEG:
        return (
            "that is another phase of the three: channels are swapped, here or at the reference (a generator with "
            "three phases needs --three-phase)"
        )
    return "the reference is not in sync with UTC, or measures something else"


def _scatter(ratio: Complex) -> float:
    """Robust standard deviation of one component: of a complex Gaussian, the median modulus is 1.177 of it."""
    return max(float(np.median(np.abs(ratio - np.median(ratio.real) - 1j * np.median(ratio.imag)))) / 1.177, 1e-12)
