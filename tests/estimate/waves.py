"""Steady test waves and their synchrophasors, for the tests of the estimator."""

import numpy as np

from rpmu.estimate import FrontEnd

START_NS = 1_700_000_000_123_456_789
RATE_HZ = 12_000 * (1 + 17e-6)
RMS_V = 120.0


def tone(frequency_hz, duration_s, angle=0.3, rate_hz=RATE_HZ, phases=1, front_end=None):
    """Channels [phases, n] of a steady wave, and its synchrophasor at any UTC."""
    front_end = front_end or FrontEnd()
    t = np.arange(int(duration_s * rate_hz)) / rate_hz + (START_NS % 10**9) / 1e9
    passed = front_end.response(frequency_hz)
    shifts = np.array([0, -2, 2][:phases]) * np.pi / 3
    angles = 2 * np.pi * frequency_hz * t + angle + shifts[:, None] + np.angle(passed)
    return RMS_V * np.sqrt(2) * np.abs(passed) * np.cos(angles)


def synchrophasor(time_ns, frequency_hz, nominal_hz, angle=0.3):
    seconds = (time_ns - START_NS // 10**9 * 10**9) / 1e9
    return RMS_V * np.exp(1j * (2 * np.pi * (frequency_hz - nominal_hz) * seconds + angle))
