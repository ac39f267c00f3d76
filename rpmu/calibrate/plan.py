"""The points of a procedure: what the options say, or what suits the front end if they say nothing.

Frequencies at nominal level tell gain and delay, other levels at nominal frequency make the level table, and a check
point is measured like any other but kept out of the fit: it says what the fit is worth.
"""

from __future__ import annotations

from collections.abc import Sequence

from rpmu.calibrate.profile import Profile
from rpmu.calibrate.session import Target
from rpmu.errors import InputError

OFFSETS_HZ = (-5.0, -2.0, 0.0, 2.0, 5.0)
LEVELS = (0.1, 0.2, 0.4, 0.6, 0.8, 1.2)  # of nominal: the converter's non-linearity between them is within 0.03 LSB
CHECK = ((3.0, 0.9),)
VERIFY = ((-3.0, 0.9), (3.0, 0.9), (0.3, 0.5))


def two_numbers(what: str, text: str) -> tuple[float, float]:
    """Two positive numbers such as 60:120.

    Raises:
        InputError: they are not; names `what`.
    """
    try:
        first, second = text.split(":")
        numbers = float(first), float(second)
    except ValueError:
        raise InputError(f"{what} is {text!r}, but must be two numbers such as 60:120") from None
    if not (0 < numbers[0] < float("inf") and 0 < numbers[1] < float("inf")):
        raise InputError(f"{what} is {text!r}, but both numbers must be positive, such as 60:120")
    return numbers


def targets(text: str, *, verify: bool) -> list[Target]:
    """Points as HZ:V,HZ:V,...

    Raises:
        InputError: one is none.
    """
    return [Target(*two_numbers("a point", part), verify) for part in text.split(",") if part]


def generator_plan(profile: Profile, points: str | None, check: str | None) -> list[Target]:
    """The points of a generator: given, or five frequencies and six more levels, and one check point."""
    hz, volts = profile.nominal_frequency_hz, profile.nominal_voltage_v
    if points is not None:
        fitted = targets(points, verify=False)
    else:
        fitted = [Target(hz + offset, volts) for offset in OFFSETS_HZ]
        fitted += [Target(hz, round(level * volts, 6)) for level in LEVELS]
    return fitted + _check_points(profile, check, CHECK)


def verify_plan(profile: Profile, check: str | None) -> list[Target]:
    """The points of a verification against a generator: given, or three that the plan of a calibration has not."""
    return _check_points(profile, check, VERIFY)


def _check_points(profile: Profile, check: str | None, otherwise: Sequence[tuple[float, float]]) -> list[Target]:
    if check is not None:
        return targets(check, verify=True)
    hz, volts = profile.nominal_frequency_hz, profile.nominal_voltage_v
    return [Target(hz + offset, round(level * volts, 6), True) for offset, level in otherwise]
