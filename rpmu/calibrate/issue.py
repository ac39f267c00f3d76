"""From the readings of a session to a certificate: one fit per channel, level table, verification.

Readings near the nominal voltage are fitted; other levels at the nominal frequency make the level table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from math import degrees, hypot, sqrt

import numpy as np

from rpmu import __version__
from rpmu.calibrate.certificate import Certificate
from rpmu.calibrate.fit import DEFAULT, FitResult, FitSettings, Reading, fit_front_end, refuse_plan
from rpmu.calibrate.readings import Base
from rpmu.calibrate.record import (
    LEVEL_TABLE,
    Adc,
    Channel,
    Device,
    Issue,
    Point,
    Reference,
    Site,
    Uncertainty,
    Verification,
)
from rpmu.calibrate.session import Session, Target
from rpmu.calibrate.uncertainty import ReferenceError
from rpmu.errors import InputError
from rpmu.mid_scale import MidScale, combined

NEAR_NOMINAL = 0.15  # a level within this of the highest share of readings is fitted
YEARS_VALID = 1
BETWEEN_LEVELS_LSB = 0.03  # k = 2, what the level table's straight lines leave of the INL (tests/calibrate/study.py)


@dataclass(frozen=True)
class IssueSettings:
    """What the readings do not say.

    Attributes:
        serial: of the device.
        reference: what it was compared with.
        today: day of the calibration.
        parameters: to fit.
        band_hz: where the uncertainty is stated.
        operator: who did it.
        ambient_c: temperature, if read.
        simulated: on the twin.
        site: where it is plugged in.
    """

    serial: str
    reference: Reference
    today: date
    parameters: tuple[str, ...] = DEFAULT
    band_hz: tuple[float, float] = (55.0, 65.0)
    operator: str = ""
    ambient_c: float | None = None
    simulated: bool = False
    site: Site = Site()  # noqa: RUF009 - frozen, and without contents


def issue(session: Session, base: Base, settings: IssueSettings) -> Certificate:
    """The certificate that the session's readings make.

    Raises:
        InputError: there are none, or they do not determine what is to be fitted.
    """
    if not session.entries:
        raise InputError(f"{session.path}: has no readings; nothing was written")
    method = str(session.about["method"])
    channels, points, checks = [], [], []
    for name in session.channels:
        readings = [e.reading for e in session.entries if e.channel == name and not e.verify]
        held_back = [e.reading for e in session.entries if e.channel == name and e.verify]
        channel, own_points = channel_of(name, readings, base, settings, method == "dmm")
        rests = [e.mid_scale for e in session.entries if e.channel == name]
        channels.append(with_mid_scale(channel, [rest for rest in rests if rest is not None]))
        points += own_points
        checks += [verification(channel, reading, method == "dmm") for reading in held_back]
    profile, t = base.profile, settings.today
    return Certificate(
        Device(settings.serial, profile.name, profile.nominal_voltage_v, profile.nominal_frequency_hz),
        Issue(
            t,
            # The 29th of February ends on the 28th.
            date(t.year + YEARS_VALID, t.month, min(t.day, 28) if t.month == 2 else t.day),
            1,
            method,
            settings.operator,
            __version__,
            session.kept_name,
            session.sha256,
            ambient_c=settings.ambient_c,
            simulated=settings.simulated,
        ),
        settings.reference,
        Uncertainty(max(channel.u_tve_percent for channel in channels), settings.band_hz),
        with_skews(channels, settings.reference.time_us * 1e-6) if method == "generator" else tuple(channels),
        Adc(profile.vref_v, _divided(session)),
        point=tuple(points),
        verification=tuple(checks),
        site=settings.site,
    )


def with_mid_scale(channel: Channel, rests: Sequence[MidScale]) -> Channel:
    """The channel with the mid-scale that was seen at its readings; the profile's stays if nobody told."""
    found = combined(rests)
    return channel if found is None else replace(channel, dc_counts=found.counts, u_dc_counts=found.u_counts)


def with_skews(channels: Sequence[Channel], reference_s: float = 0.0) -> tuple[Channel, ...]:
    """Channels that had one signal at the same time: the delay of the first, and what each lies behind it.

    Args:
        channels: each with its own delay.
        reference_s: the part of every delay's uncertainty that all share, so that it drops out of the skew (k = 2).
    """
    first = channels[0]
    own = [sqrt(max(c.u_delay_s**2 - reference_s**2, 0.0)) for c in channels]
    known = [0.0, *(hypot(own[0], u) for u in own[1:])]
    rows = zip(channels, known, strict=True)
    return tuple(replace(c, delay_s=first.delay_s, skew_s=c.delay_s - first.delay_s, u_skew_s=u) for c, u in rows)


def _divided(session: Session) -> bool:
    """Whether the converter's reference was divided out all the time.

    Raises:
        InputError: at some points only.
    """
    found = {entry.divided for entry in session.entries}
    if len(found) > 1:
        raise InputError(
            f"{session.path}: the converter's reference channel was in use at some points only (its wire may be loose: "
            "`rpmu doctor` tells); mend that, name another --session and measure again"
        )
    return found.pop()


def check_plan(plan: Sequence[Target], base: Base, settings: IssueSettings, method: str) -> None:
    """Refuse a plan whose points could not make a certificate, before anybody has measured them.

    Raises:
        InputError: the sentence says what to add.
    """
    nominal_hz, nominal_v = base.profile.nominal_frequency_hz, base.profile.nominal_voltage_v
    points = [(t.frequency_hz or nominal_hz, t.voltage_v or nominal_v) for t in plan if not t.verify]
    level_v = _main_level([v for _, v in points], nominal_v)
    frequencies = [f for f, v in points if abs(v / level_v - 1) <= NEAR_NOMINAL]
    refuse_plan(frequencies, FitSettings(base.front_end, settings.parameters, magnitude_only=method == "dmm"))


def channel_of(
    name: str, readings: Sequence[Reading], base: Base, settings: IssueSettings, magnitude_only: bool = False
) -> tuple[Channel, list[Point]]:
    """One channel of a certificate from its readings, and what became of each of them.

    Raises:
        InputError: the readings do not determine what is to be fitted.
    """
    table = base.level_table(name)
    level_v = _main_level([r.voltage_v for r in readings], base.profile.nominal_voltage_v)
    if table is not None and all(abs(r.voltage_v / level_v - 1) <= NEAR_NOMINAL for r in readings):
        return _with_old_table(name, table, readings, base, settings, magnitude_only)
    main = [r for r in readings if abs(r.voltage_v / level_v - 1) <= NEAR_NOMINAL]
    reference = ReferenceError(settings.reference.magnitude_percent / 2, settings.reference.time_us * 1e-6 / 2)
    start, tolerance = base.start(name)
    fit = fit_front_end(
        main, FitSettings(start, settings.parameters, settings.band_hz, reference, tolerance, magnitude_only)
    )
    known = () if start == base.front_end else ("f0", "q")
    plain = _as_channel(name, fit, base)
    plain = replace(plain, fitted=tuple(dict.fromkeys((*plain.fitted, *known))))
    channel = with_levels(plain, [r for r in readings if r not in main], level_v, fit, base)
    points = [_point(name, r, why) for r, why in zip(main, fit.left_out, strict=True)]
    points += [_point(name, r, LEVEL_TABLE) for r in readings if r not in main]
    return channel, points


def _with_old_table(
    name: str, table: Channel, readings: Sequence[Reading], base: Base, settings: IssueSettings, magnitude_only: bool
) -> tuple[Channel, list[Point]]:
    """A channel whose readings are at one level, behind the level table of the certificate that the PMU runs with."""
    level = [replace(r, response=r.response / table.level_response(r.voltage_v)) for r in readings]
    channel, points = channel_of(name, level, base.without_levels, settings, magnitude_only)
    added = np.sqrt(np.maximum(np.square(table.u_level_percent) - table.u_tve_percent**2, 0.0)).tolist()
    return (
        replace(
            channel,
            level_v=table.level_v,
            level_gain=table.level_gain,
            level_phase_deg=table.level_phase_deg,
            u_level_percent=tuple(hypot(channel.u_tve_percent, u) for u in added),
        ),
        points,
    )


def _main_level(levels_v: Sequence[float], nominal_v: float) -> float:
    """The level that is fitted: the one nearest to nominal."""
    if not levels_v:
        raise InputError("there is no reading to fit: every point is a check point; add some with --points")
    return min(levels_v, key=lambda v: abs(v - nominal_v))


def _as_channel(name: str, fit: FitResult, base: Base) -> Channel:
    front_end = fit.front_end
    return Channel(
        name,
        gain=abs(front_end.gain),
        f0_hz=front_end.f0_hz,
        q=front_end.q,
        delay_s=front_end.delay_s,
        dc_counts=base.profile.bias_v / base.profile.volts_per_count,
        polarity=fit.polarity if front_end.gain > 0 else -fit.polarity,
        fitted=fit.fitted,
        u_gain_percent=min(100 * fit.spread.expanded(0), 100.0),
        u_delay_s=fit.u_delay_s,
        u_f0_percent=min(fit.u_f0_percent, 100.0),
        u_q_percent=min(fit.u_q_percent, 100.0),
        u_tve_percent=min(fit.tve_percent, 100.0),
    )


def with_levels(channel: Channel, others: Sequence[Reading], level_v: float, fit: FitResult, base: Base) -> Channel:
    """The channel with its level table: each other level against the fit, and 1 at the level of the fit.

    An entry's uncertainty is the fit's, the scatter of points about the fit, the entry's own, and what lies between two
    levels: of the converter's non-linearity, and of a bend that the table itself shows (a transformer's core).
    """
    if not others:
        return channel
    rows = {round(level_v, 3): (1.0 + 0j, 0.0)}
    for r in others:
        rows[round(r.voltage_v, 3)] = complex(r.response / channel.front_end.response(r.frequency_hz)), r.sigma
    counts_per_v = abs(channel.gain) * sqrt(2) / base.profile.volts_per_count
    bends = _bends(sorted(rows), [rows[v][0] for v in sorted(rows)])
    parts = [
        (channel.u_tve_percent, 2 * fit.scatter_percent, 200 * rows[v][1], 100 * bend, v)
        for v, bend in zip(sorted(rows), bends, strict=True)
    ]
    return replace(
        channel,
        level_v=tuple(sorted(rows)),
        level_gain=tuple(abs(rows[v][0]) for v in sorted(rows)),
        level_phase_deg=tuple(degrees(float(np.angle(rows[v][0]))) for v in sorted(rows)),
        u_level_percent=tuple(hypot(*u, 100 * BETWEEN_LEVELS_LSB / (counts_per_v * v)) for *u, v in parts),
    )


def _bends(levels_v: Sequence[float], factors: Sequence[complex]) -> list[float]:
    """What a straight line between two levels misses at most of a curve through them, relative, about each level."""
    bends = [0.0] * len(levels_v)
    for i in range(1, len(levels_v) - 1):
        before_v, after_v = levels_v[i] - levels_v[i - 1], levels_v[i + 1] - levels_v[i]
        slopes = (factors[i] - factors[i - 1]) / before_v, (factors[i + 1] - factors[i]) / after_v
        curvature = 2 * abs(slopes[1] - slopes[0]) / (before_v + after_v)
        bends[i] = curvature * max(before_v, after_v) ** 2 / 8
    if len(bends) > 2:
        bends[0], bends[-1] = bends[1], bends[-2]  # no curve can be laid through an end
    return bends


def _point(name: str, reading: Reading, why: str) -> Point:
    sigma = reading.sigma
    return Point(
        name,
        reading.frequency_hz,
        reading.voltage_v,
        abs(reading.response),
        degrees(float(np.angle(reading.response))),
        100 * sigma / sqrt(2),
        degrees(sigma / sqrt(2)),
        used=not why,
        why=why,
    )


def verification(channel: Channel, reading: Reading, magnitude_only: bool = False) -> Verification:
    """What a certificate's channel leaves at a reading."""
    predicted = complex(channel.front_end.response(reading.frequency_hz) * channel.level_response(reading.voltage_v))
    ratio = reading.response / predicted
    error = abs(abs(ratio) - 1) if magnitude_only else abs(ratio - 1)
    return Verification(channel.name, reading.frequency_hz, reading.voltage_v, 100 * error)
