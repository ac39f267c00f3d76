"""What a front end does to a square wave of known shape: its response at every odd harmonic.

The wave goes into the filter and, by the divider of the PPS, to the PPS input at the same time. There its rising edges
are found like those of the PPS, to some 10 ns, which gives period and phase on the axis of the scans. Harmonic k of a
wave that is high half the time has 1/k of the fundamental's amplitude and starts with it at the edge, so one wave is a
dozen tones whose ratios are exact. The amplitude of all of them is the supply's, known to a few percent: a gain cannot
be had from it, but f0, Q, delay and the skew between channels can.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import atan, hypot, isinf, pi

import numpy as np
from numpy.typing import NDArray

from rpmu.acquire.blocks import AcquisitionInfo, PpsEvent, SampleBlock
from rpmu.calibrate.fit import NAMES, FitResult, FitSettings, Reading, fit_front_end
from rpmu.calibrate.profile import Profile
from rpmu.errors import InputError
from rpmu.estimate.cic import CicResponse
from rpmu.estimate.front_end import FrontEnd
from rpmu.timing.edge import BadEdgeError, EdgeFitter

HIGHEST_HZ = 2000.0  # above, the RC pole's tolerance would be taken for the filter's ...
HIGHEST_WITHOUT_RC_HZ = 4000.0  # ... and where none stands apart, the decimator leaves too little
SAMPLES_PER_PERIOD = 3  # of the highest harmonic
LEAST_EDGES = 10
LEAST_COUNTS = 20.0  # of the fundamental's amplitude: less is noise and pick-up, not the tone
SHAPE = 2e-4  # relative: what the converter's non-linearity does to a harmonic
TAU_TOLERANCE = 0.1


@dataclass(frozen=True)
class ToneRecord:
    """What was sampled while one square wave was on.

    Attributes:
        frequency_hz: asked for.
        blocks: samples, gaps allowed.
        events: edges at the PPS input; some may be missing.
    """

    frequency_hz: float
    blocks: Sequence[SampleBlock]
    events: Sequence[PpsEvent]


@dataclass(frozen=True)
class Wave:
    """The square wave on the axis of the scans.

    Attributes:
        origin: whole scan from which positions count.
        start: position of a rising edge, scans from the origin.
        period: scans.
    """

    origin: int
    start: float
    period: float


def find_wave(record: ToneRecord, info: AcquisitionInfo, tau_s: float) -> Wave:
    """Period and phase from the edges, by a straight line through them.

    Raises:
        InputError: there are none, or not of this frequency.
    """
    scan_rate = float(info.scan_rate_hz)
    fitter = EdgeFitter(tau_s * scan_rate, TAU_TOLERANCE)
    origin = record.events[0].first_scan if record.events else 0
    positions: list[float] = []
    for _ in range(2):  # the second time with a slope that is known
        positions = []
        for event in record.events:
            try:
                edge = fitter.fit(event)
            except BadEdgeError:
                continue
            if edge.half_width_scans == 0:
                positions.append(edge.scan - origin + edge.fraction)
    if len(positions) < LEAST_EDGES:
        raise InputError(
            f"the tone of {record.frequency_hz:g} Hz does not reach the PPS input ({len(positions)} edges seen): set "
            "jumper JP2 to the tone, and see that the PWM pin is the one wired"
        )
    found, nominal = np.array(positions), scan_rate / record.frequency_hz
    number = np.round((found - found[0]) / nominal)
    period, start = np.polyfit(number, found, 1)
    if np.abs(found - start - number * period).max() > 0.2 or abs(period / nominal - 1) > 1e-3:
        raise InputError(
            f"the edges at the PPS input are not those of the tone of {record.frequency_hz:g} Hz: is the receiver "
            "still on it? Set jumper JP2 to the tone"
        )
    return Wave(origin, float(start), float(period))


def highest_hz(info: AcquisitionInfo, profile: Profile) -> float:
    """Up to where harmonics are fitted.

    Two RCs (Q 0.5) turn so gently about their corner that up to 2 kHz f0 and Q look much the same, and a bend of the
    converter moves both; up to 4 kHz it moves f0 half as much. Several inputs are sampled too slowly for that.
    """
    fast = info.sample_rate_hz >= SAMPLES_PER_PERIOD * HIGHEST_WITHOUT_RC_HZ
    return HIGHEST_WITHOUT_RC_HZ if fast and isinf(profile.rc_pole_hz) else HIGHEST_HZ


def responses(record: ToneRecord, info: AcquisitionInfo, profile: Profile, tone_v: float) -> list[list[Reading]]:
    """For each channel, the response at every odd harmonic, the RC pole as a delay as in `Profile.front_end`.

    Raises:
        InputError: the tone does not arrive.
    """
    wave = find_wave(record, info, profile.pps_tau_s)
    good = [block for block in record.blocks if not block.bad_scans]
    codes = np.concatenate([block.codes for block in good]).astype(np.float64) * info.counts_per_code
    newest = np.concatenate([b.first_scan - wave.origin + np.arange(len(b.codes)) * info.decimation for b in good])
    orders = np.arange(1, int(highest_hz(info, profile) * wave.period / float(info.scan_rate_hz)) + 1, 2)
    found = []
    for channel in range(info.channels):
        instants = newest - float(info.cic_delay_scans) - float(info.skew_scans(channel))
        angle = 2 * np.pi * np.outer(instants - wave.start, orders) / wave.period
        basis = np.hstack([np.cos(angle), np.sin(angle), np.ones((len(angle), 1))])
        # the columns are nearly orthogonal, so the normal equations lose nothing, and take a tenth of the time
        solved = np.linalg.solve(basis.T @ basis, basis.T @ codes[:, channel])
        rest = codes[:, channel] - basis @ solved
        amplitudes = solved[: len(orders)] - 1j * solved[len(orders) : -1]
        if abs(amplitudes[0]) < LEAST_COUNTS:
            raise InputError(
                f"the tone of {record.frequency_hz:g} Hz does not come through channel {channel} "
                f"({abs(amplitudes[0]):.1f} counts): set jumper JP1, and see that R7 is fitted"
            )
        sigma = float(np.std(rest)) * np.sqrt(2 / len(rest)) / np.abs(amplitudes)
        found.append(_readings(orders, amplitudes, sigma, wave, info, profile, tone_v))
    return found


def _readings(
    orders: NDArray[np.int64],
    amplitudes: NDArray[np.complex128],
    sigma: NDArray[np.float64],
    wave: Wave,
    info: AcquisitionInfo,
    profile: Profile,
    tone_v: float,
) -> list[Reading]:
    scan_rate = float(info.scan_rate_hz)
    f = orders * scan_rate / wave.period
    sent = -2j * tone_v / (np.pi * orders)  # of a wave from 0 to tone_v that rises at 0, as cosines
    droop = CicResponse(info.cic_order, info.decimation, scan_rate).response(f)
    u = profile.nominal_frequency_hz / profile.rc_pole_hz
    rc_delay_s = atan(u) / (2 * pi * profile.nominal_frequency_hz)
    as_delay = np.exp(-2j * np.pi * f * rc_delay_s) / hypot(1.0, u)
    response = amplitudes * profile.volts_per_count / sent / droop * (1 + 1j * f / profile.rc_pole_hz) * as_delay
    rows = zip(f.tolist(), response.tolist(), np.hypot(sigma, SHAPE).tolist(), strict=True)
    return [Reading(hz, tone_v, h, s) for hz, h, s in rows]


def with_jumper(profile: Profile) -> FrontEnd:
    """From the tone to the samples, nominal: R7 at the filter's node loads it and lowers its Q."""
    plain = profile.front_end
    gain = profile.tone_gain * plain.gain / profile.gain
    delay_s = plain.delay_s - profile.delay_s + profile.tone_delay_s
    return FrontEnd(gain, profile.f0_hz, profile.tone_q, delay_s)


def without_jumper(q: float, profile: Profile) -> float:
    """Q of the filter in service from that with R7 at its node."""
    return 1.0 / (1.0 / q + 1.0 / profile.q - 1.0 / profile.tone_q)


def fit_tones(readings: Sequence[Reading], profile: Profile) -> FitResult:
    """Gain from the tone, f0, Q with the jumper in, and delay.

    Raises:
        InputError: the tones do not determine them.
    """
    return fit_front_end(readings, FitSettings(with_jumper(profile), NAMES))
