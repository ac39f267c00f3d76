"""Temperature terms from certificates of one device that were made at different temperatures.

Each certificate says what every channel's response at nominal frequency was, and how warm it was; a straight line
through log magnitude and angle gives its ppm and degrees per kelvin. The sensor must be the one that the daemon reads
later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from math import degrees

import numpy as np

from rpmu import __version__
from rpmu.calibrate.certificate import Certificate
from rpmu.calibrate.record import Channel, Temperature
from rpmu.errors import InputError

LEAST_SPAN_K = 8.0
WITH_PHASE = ("generator", "reference")


def with_temperature_terms(history: Sequence[Certificate], today: date) -> Certificate:
    """The newest certificate, with the terms that the whole history gives.

    Args:
        history: of one device, oldest first.
        today: day of issue.

    Raises:
        InputError: too few, or all equally warm.
    """
    usable = [c for c in history if c.certificate.ambient_c is not None and c.certificate.method in WITH_PHASE]
    warmth = [c.certificate.ambient_c or 0.0 for c in usable]
    if len(usable) < 2 or max(warmth) - min(warmth) < LEAST_SPAN_K:
        found = ", ".join(f"{celsius:g} °C" for celsius in warmth) or "none"
        raise InputError(
            "temperature terms need two or more calibrations by generator or reference with --ambient-c, "
            f"{LEAST_SPAN_K:g} K or more apart; the history has: {found}"
        )
    newest = usable[-1]
    channels = tuple(_with_terms(channel, usable, warmth) for channel in newest.channel)
    temperature = Temperature(warmth[-1])
    numbers = ", ".join(str(c.certificate.number) for c in usable)
    issue = replace(
        newest.certificate,
        date_utc=today,
        rpmu_version=__version__,
        note=f"temperature terms from certificates {numbers}",
    )
    return replace(newest, certificate=issue, temperature=temperature, channel=channels)


def _with_terms(channel: Channel, history: Sequence[Certificate], warmth: Sequence[float]) -> Channel:
    hz = history[-1].device.nominal_frequency_hz
    responses = np.array([complex(c.channel_named(channel.name).front_end.response(hz)) for c in history])
    ratios = np.log(responses / responses[-1])
    gain, phase = (float(np.polyfit(np.array(warmth), part, 1)[0]) for part in (ratios.real, ratios.imag))
    return replace(channel, gain_ppm_per_k=1e6 * gain, phase_deg_per_k=degrees(phase))
