"""Units off the line: a front end as its parts make it, not as its design says.

R 1 %, C0G 5 %, a bias and a reference a little off, and a transformer whose lead nobody knows to a degree: what
calibration is there to find.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rpmu.calibrate.profile import Profile
from rpmu.errors import InputError

GAIN_PERCENT = 3.0
F0_PERCENT = 4.4
Q_PERCENT = 3.0
DELAY_S = 40e-6  # 0.9 degrees at 60 Hz
BIAS_PERCENT = 1.0


def unit_of(profile: Profile, unit: int) -> Profile:
    """The front end of one unit: every value uniform within its tolerance, the same for the same number.

    Args:
        profile: the design.
        unit: its number; 0 is exactly the design.

    Raises:
        InputError: the number is negative.
    """
    if unit < 0:
        raise InputError(f"unit {unit}: units are numbered from 0 (exactly nominal)")
    if unit == 0:
        return profile
    gain, f0, q, delay, bias = np.random.default_rng([unit, 0x0FF]).uniform(-1.0, 1.0, 5).tolist()
    return replace(
        profile,
        gain=profile.gain * (1.0 + 0.01 * GAIN_PERCENT * gain),
        f0_hz=profile.f0_hz * (1.0 + 0.01 * F0_PERCENT * f0),
        q=profile.q * (1.0 + 0.01 * Q_PERCENT * q),
        delay_s=profile.delay_s + DELAY_S * delay,
        bias_v=profile.bias_v * (1.0 + 0.01 * BIAS_PERCENT * bias),
    )
