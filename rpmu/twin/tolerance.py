"""Units off the line: a board as its parts make it, not as its design says. What calibration is there to find.

Resistors of 1 % and C0G capacitors of 5 %, each uniform; gain, f0 and Q follow from them to first order. A filter with
multiple feedback: gain = R2/R1, f0 = 1/(2 pi sqrt(R2 R3 C1 C2)), Q = sqrt(C1/C2) times what the resistors hardly move.
Two RCs one after the other (design B): gain = R3/(R1 + R2), each real pole by its own RC, and so Q never above 1/2.
On top a transformer whose ratio and lead nobody knows, a converter with its reference, offset and non-linearity, and a
crystal.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import acosh, exp, sqrt

import numpy as np
from numpy.typing import NDArray

from rpmu.calibrate.profile import Profile
from rpmu.errors import InputError
from rpmu.twin.pruss_values import AdcErrors

R_PERCENT, C_PERCENT = 1.0, 5.0
RATIO_PERCENT = 1.0  # of the transformer
DELAY_S = 90e-6  # of the transformer: 1.9 degrees at 60 Hz
SKEW_S = 0.5e-6  # between the RC at the PPS pin and the one at a mains pin
BIAS_PERCENT = 1.0
VDD_PERCENT = 1.0  # of the 1.8 V that the converter measures against
CRYSTAL_PPM = 100.0
OFFSET_LSB, NOISE_LSB = 2.0, 0.5
INL_LSB = (0.5, 2.0)  # largest deviation: from good to the data sheet's limit
CODES = 4096
STEP_EVERY = 512  # a successive-approximation converter's capacitors do not quite match: steps where the high bits turn
BENDS = 5
REAL_POLES_Q = 0.5  # no two RCs have more, and no filter that is meant to resonate has less


@dataclass(frozen=True)
class Unit:
    """One board.

    Attributes:
        profile: its front end.
        adc: its converter.
        crystal_ppm: its crystal.
        electronics_delay_s: its delay without the transformer's.
    """

    profile: Profile
    adc: AdcErrors = field(default_factory=lambda: AdcErrors(noise_lsb_rms=NOISE_LSB))
    crystal_ppm: float = 23.0
    electronics_delay_s: float = 0.0


def unit_of(profile: Profile, unit: int) -> Unit:
    """A unit by its number: every value uniform within its tolerance, the same for the same number.

    Args:
        profile: the design.
        unit: its number; 0 is exactly the design, with a converter that has nothing but noise.

    Raises:
        InputError: the number is negative.
    """
    if unit < 0:
        raise InputError(f"unit {unit}: units are numbered from 0 (exactly nominal)")
    if unit == 0:
        return Unit(profile, electronics_delay_s=_electronics_s(profile))
    rng = np.random.default_rng([unit, 0x0FF])
    built, electronics_delay_s, vdd, offset, crystal = _front_end(profile, rng)
    adc = AdcErrors(
        offset_lsb=OFFSET_LSB * offset,
        gain=1.0 + 0.01 * VDD_PERCENT * vdd,
        noise_lsb_rms=NOISE_LSB,
        vref_v=profile.vref_v,
        inl_lsb=tuple(non_linearity(rng, float(rng.uniform(*INL_LSB))).tolist()),
    )
    return Unit(built, adc, CRYSTAL_PPM * crystal, electronics_delay_s)


def channels_of(profile: Profile, unit: int, channels: int) -> tuple[tuple[Profile, float], ...]:
    """Front end, and its delay without the transformer's, of each channel of a unit; the first is that of `unit_of`.

    Every channel has parts and a transformer of its own.
    """
    first = unit_of(profile, unit)
    if unit == 0:
        return ((profile, _electronics_s(profile)),) * channels
    more = (_front_end(profile, np.random.default_rng([unit, channel, 0x0FF]))[:2] for channel in range(1, channels))
    return ((first.profile, first.electronics_delay_s), *more)


def _front_end(profile: Profile, rng: np.random.Generator) -> tuple[Profile, float, float, float, float]:
    """A channel of random parts, its delay without the transformer's, and three numbers from -1 to 1."""
    r1, r2, r3, r4 = (0.01 * R_PERCENT * rng.uniform(-1.0, 1.0, 4)).tolist()
    c1, c2, c4 = (0.01 * C_PERCENT * rng.uniform(-1.0, 1.0, 3)).tolist()
    ratio, delay, skew, bias, vdd, offset, crystal = rng.uniform(-1.0, 1.0, 7).tolist()
    if profile.q <= REAL_POLES_Q:
        parts = 1.0 + r3 - 0.5 * (r1 + r2)
        f0_hz, q = two_rcs(profile, r3 + c1, r4 + c4)
    else:
        parts = 1.0 + r2 - r1
        f0_hz, q = profile.f0_hz * (1.0 - 0.5 * (r2 + r3 + c1 + c2)), profile.q * (1.0 + 0.5 * (c1 - c2))
    built = replace(
        profile,
        gain=profile.gain * parts * (1.0 + 0.01 * RATIO_PERCENT * ratio),
        f0_hz=f0_hz,
        q=q,
        rc_pole_hz=profile.rc_pole_hz * (1.0 - r4 - c4),
        delay_s=profile.delay_s + DELAY_S * delay + SKEW_S * skew,
        bias_v=profile.bias_v * (1.0 + 0.01 * BIAS_PERCENT * bias),
    )
    return built, _electronics_s(profile) + SKEW_S * skew, vdd, offset, crystal


def two_rcs(profile: Profile, first: float, second: float) -> tuple[float, float]:
    """f0 and Q of two real poles whose RCs are off by these shares; which of the poles is lower does not matter."""
    apart = acosh(REAL_POLES_Q / profile.q)  # half the logarithm of the poles' ratio
    poles_hz = profile.f0_hz * exp(-apart) * (1.0 - first), profile.f0_hz * exp(apart) * (1.0 - second)
    f0_hz = sqrt(poles_hz[0] * poles_hz[1])
    return f0_hz, f0_hz / sum(poles_hz)


def _electronics_s(profile: Profile) -> float:
    """Nominal delay without the transformer's, where the profile knows it."""
    return profile.tone_delay_s if profile.tone_gain else profile.delay_s


def non_linearity(rng: np.random.Generator, largest_lsb: float) -> NDArray[np.float64]:
    """A converter's integral non-linearity by its end points, float64 [CODES], LSB: a smooth bend and eight steps."""
    x = np.arange(CODES) / (CODES - 1)
    order = np.arange(1, BENDS + 1)
    bend = np.sin(np.pi * np.outer(x, order)) @ (rng.standard_normal(BENDS) / order)
    steps = np.repeat(np.cumsum(rng.standard_normal(CODES // STEP_EVERY)), STEP_EVERY)
    table = bend / np.abs(bend).max() + 0.5 * steps / np.abs(steps).max()
    table -= np.interp(x, [0.0, 1.0], table[[0, -1]])
    return np.asarray(largest_lsb * table / np.abs(table).max())
