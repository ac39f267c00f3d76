"""The specification a bank is designed to: offsets from the nominal frequency with targets and tolerances.

A tone at f0 + v lies at v after demodulation; the filters' targets in the pass band are 1, v and -2 pi v^2, elsewhere
0. An interferer of relative amplitude a at v adds a |H0| to TVE, a |H1| Hz to FE and about a |H2| Hz/s to RFE, so
every tolerance is a limit of IEC/IEEE 60255-118-1:2018 divided by the amplitude of the disturbance and by a margin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rpmu.estimate.plan import Plan

Floats = NDArray[np.float64]

CORNER_STEP_S = 1e-3


@dataclass(frozen=True)
class Mask:
    """Points of the specification.

    Attributes:
        offset_hz: float64 [n], distance from the nominal frequency.
        target: float64 [n, 3].
        tolerance: float64 [n, 3].
    """

    offset_hz: Floats
    target: Floats
    tolerance: Floats

    @staticmethod
    def join(parts: list[Mask]) -> Mask:
        """All points of all parts."""
        return Mask(
            np.concatenate([p.offset_hz for p in parts]),
            np.concatenate([p.target for p in parts]),
            np.concatenate([p.tolerance for p in parts]),
        )


def build_mask(plan: Plan) -> Mask:
    """Every point the bank is designed to."""
    return Mask.join([_pass_band(plan), _harmonics(plan), _image(plan), _stop_band(plan)])


def ramp_corners(plan: Plan, j: int) -> tuple[Floats, float]:
    """Ages of a ramp's begin, s, from the standard's exclusion (2/Fs, 7/Fs) to the filter's end, and their tolerance.

    A filter that looks further back than the exclusion still sees the corner. Frequency, Hz; ROCOF, Hz/s: the limits
    for 1 Hz/s divided by ten (P) and five (M), where next to the begin alone it matters.
    """
    excluded_s, before_s = (2 if plan.is_p else 7) / plan.rate, plan.reaches[j][0] / plan.bank_rate_hz
    if j == 0 or before_s <= excluded_s:
        return np.empty(0), 1.0
    limit = 0.01 if j == 1 else 0.4 if plan.is_p else 0.2
    return np.arange(excluded_s, before_s, CORNER_STEP_S), limit / (10 if plan.is_p else 5)


def _stop(offset_hz: Floats, h0: float, h1: float, h2: float) -> Mask:
    shape = (len(offset_hz), 3)
    return Mask(offset_hz, np.zeros(shape), np.broadcast_to([h0, h1, h2], shape))


def _pass_band(plan: Plan) -> Mask:
    """Steady tones are put right by the read-out; what counts here is modulation, at its limits divided by ten."""
    edge = plan.range_hz
    v = np.concatenate([[0.0], np.linspace(0.05 * edge, edge + (0.6 if plan.is_p else 0.0), 26)])
    if plan.is_p:
        slope, bend = 0.02, 0.07 if plan.rate <= 30 else 0.1
    else:
        slope, bend = _m_pass_band(plan)
    rise = (v / edge) ** 2
    tolerance = np.stack(
        [1e-4 + 0.012 * rise, 1e-5 + (2e-3 + slope * rise) * v, 2e-3 + bend * 2 * np.pi * v**2],
        axis=1,
    )
    tolerance[0] = 1e-6, 1e-6, 1e-4
    return Mask(v, np.stack([np.ones_like(v), v, -2 * np.pi * v**2], axis=1), tolerance)


def _m_pass_band(plan: Plan) -> tuple[float, float]:
    """What the frequency and the ROCOF filter may lose at the edge, relative: the more, the quieter they are.

    Modulation of 5 Hz, with limits of 12 % (FE) and 90 % (RFE), leaves margins of ten and more.
    """
    if plan.is_slow:
        return 0.0, 0.03
    if plan.rate <= 30:
        return 0.04, 0.055
    return 0.06, 0.062 if plan.rate <= 60 else 0.058


def _harmonics(plan: Plan) -> Mask:
    """Harmonics 0 and 2 to 51 where they fold to after the decimator, weighted by what it leaves of them.

    What lies above half of the sample rate has folded before any filter of ours: that is the converter's business.
    """
    f0, fd = plan.nominal_hz, plan.bank_rate_hz
    amplitude = 0.01 if plan.is_p else 0.1
    limits = np.array([0.01, 0.005 if plan.is_p or plan.rate <= 20 else 0.025, 0.4 if plan.is_p else 2.0])
    margin, width = (6, 0.03) if plan.is_tight else (25, 0.6)
    parts = []
    for h in [0, *range(2, 52)]:
        left = float(plan.decimator_gain(float(h * f0)))
        if left < 3e-6 or h * f0 >= plan.sample_rate_hz / 2:
            continue
        for offset in ((h - 1) * f0, -(h + 1) * f0):
            folded = abs((offset + fd / 2) % fd - fd / 2)
            points = np.clip(folded + np.array([-width, 0.0, width]), 0, fd / 2)
            parts.append(_stop(points, *(limits / (amplitude * margin * left))))
    return Mask.join(parts)


def _image(plan: Plan) -> Mask:
    """The mirror image of a real signal; what is left of it is subtracted, the faster the less it is."""
    reach = plan.range_hz + 0.5
    v = np.linspace(2 * plan.nominal_hz - reach, 2 * plan.nominal_hz + reach, 15)
    if not plan.is_p and not plan.is_slow:
        return Mask.join([_stop(v, 3e-4, 0.01, 2.0), _turned_image(plan)])
    if plan.is_tight:
        return _stop(v, 3e-5, 6e-4, 0.25)
    return _stop(v, 3e-4, 0.01, 2.0)


def _turned_image(plan: Plan) -> Mask:
    """The ROCOF filter turned by d (retune.py) meets the image at 2 f0 + 2 d, and nobody subtracts it there."""
    reach = 2 * plan.range_hz + 0.5
    v = np.linspace(2 * plan.nominal_hz - reach, 2 * plan.nominal_hz + reach, 45)
    return _stop(v, 1.0, 1.0, 0.01)


def _stop_band(plan: Plan) -> Mask:
    """P: only against growth between the harmonics. M: out-of-band interference and its image, which reaches 3 f0."""
    f0, nyquist = plan.nominal_hz, plan.bank_rate_hz / 2
    if plan.is_p:
        return _stop(np.arange(1.3 * f0, nyquist, 6.0), 0.1, 8.0, 4000.0)
    far = min(3 * f0 + 6, nyquist)
    step = 0.2 / max(before + after for before, after in plan.windows_s)
    near = np.append(np.arange(plan.rate / 2, far, step), far)
    # ROCOF has no limit here. But it shifts the frequency by up to half a decimated sample, which at 640 Hz is long.
    near_rocof = 10.0 if plan.is_slow else 2.0 if plan.rate <= 30 else 40.0 if plan.rate <= 60 else 50.0
    parts = [_stop(near, 0.13 / 8, 0.1 / 8, near_rocof)]
    if far < nyquist:
        parts.append(_stop(np.arange(far, nyquist, 2 * step), 0.13 / 5, 3.0, 1000.0))
    return Mask.join(parts)
