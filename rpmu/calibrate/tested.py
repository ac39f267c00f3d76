"""What a self-test changes in a certificate: f0, Q and skew; the response at nominal frequency stays as it was.

Without a certificate before it there is one now whose gain is nominal: good to a few percent, and it says so. A later
calibration starts from the f0 and Q found here.
"""

from __future__ import annotations

import cmath
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from math import hypot, pi

from rpmu import __version__
from rpmu.calibrate.certificate import Certificate
from rpmu.calibrate.profile import Profile
from rpmu.calibrate.record import Adc, Channel, Device, Issue, Reference, Uncertainty
from rpmu.calibrate.self_test import Found
from rpmu.calibrate.uncertainty import Tolerance
from rpmu.errors import InputError
from rpmu.estimate.front_end import FrontEnd

U_GAIN_PERCENT = 4.0  # of a gain that nobody measured: resistors, transformer and supply, a percent or two each
HALF_BAND_HZ = 5.0


def after_self_test(
    found: Sequence[Found], profile: Profile, previous: Certificate | None, serial: str, today: date, simulated: bool
) -> Certificate:
    """The next certificate.

    Args:
        found: what the self-test says, by channel.
        profile: nominal front end.
        previous: the newest certificate of the device, or None.
        serial: of the device.
        today: day of the test.
        simulated: on the twin.

    Raises:
        InputError: the previous one is of another front end, has expired or lacks a channel.
    """
    if previous is None:
        return _first(found, profile, serial, today, simulated)
    if previous.device.profile != profile.name:
        raise InputError(
            f"the certificate is of front end {previous.device.profile}, not {profile.name}; give --profile"
        )
    if previous.expired(today):
        raise InputError("the certificate has expired, and a self-test does not renew it: calibrate again")
    names = {one.name: one for one in found}
    channels = tuple(
        _updated(channel, names[channel.name], profile) if channel.name in names else channel
        for channel in previous.channel
    )
    missing = set(names) - {channel.name for channel in channels}
    if missing:
        raise InputError(f"the certificate has no channel {', '.join(sorted(missing))}; calibrate it first")
    issue = replace(
        previous.certificate,
        date_utc=today,
        method="self-test",
        rpmu_version=__version__,
        raw_data_file="",
        raw_data_sha256="",
        simulated=simulated,
        note=f"f0, Q and skew by self-test, the rest as in certificate {previous.certificate.number}",
    )
    return replace(previous, certificate=issue, channel=channels, point=(), verification=())


def _updated(channel: Channel, found: Found, profile: Profile) -> Channel:
    """With another low-pass and the same response at nominal frequency."""
    hz = profile.nominal_frequency_hz
    bare = FrontEnd(1.0, found.f0_hz, found.q)
    ratio = complex(channel.polarity * channel.front_end.response(hz) / bare.response(hz))
    # the jumper moves the mid-scale, so one that was measured without it stays
    rest = (found.dc_counts, found.u_dc_counts)
    if channel.u_dc_counts is not None and channel.u_dc_counts < found.u_dc_counts:
        rest = (channel.dc_counts, channel.u_dc_counts)
    return replace(
        channel,
        gain=abs(ratio),
        f0_hz=found.f0_hz,
        q=found.q,
        delay_s=-cmath.phase(ratio) / (2 * pi * hz) - found.skew_s,
        skew_s=found.skew_s,
        u_skew_s=found.u_skew_s,
        dc_counts=rest[0],
        u_dc_counts=rest[1],
        fitted=tuple(dict.fromkeys((*channel.fitted, "f0", "q"))),
        u_f0_percent=found.u_f0_percent,
        u_q_percent=found.u_q_percent,
    )


def _first(found: Sequence[Found], profile: Profile, serial: str, today: date, simulated: bool) -> Certificate:
    hz, limit_s = profile.nominal_frequency_hz, Tolerance().delay_s
    u_tve = hypot(U_GAIN_PERCENT, 100 * 2 * pi * (hz + HALF_BAND_HZ) * limit_s)
    channels = tuple(
        Channel(
            one.name,
            gain=abs(profile.front_end.gain),
            f0_hz=one.f0_hz,
            q=one.q,
            delay_s=one.delay_s - one.skew_s,
            skew_s=one.skew_s,
            u_skew_s=one.u_skew_s,
            dc_counts=one.dc_counts,
            u_dc_counts=one.u_dc_counts,
            polarity=1 if profile.gain > 0 else -1,
            fitted=("f0", "q"),
            u_gain_percent=U_GAIN_PERCENT,
            u_delay_s=limit_s,
            u_f0_percent=one.u_f0_percent,
            u_q_percent=one.u_q_percent,
            u_tve_percent=u_tve,
        )
        for one in found
    )
    note = "gain nominal and transformer unknown: calibrate by generator, reference or dmm"
    day = min(today.day, 28) if today.month == 2 else today.day
    return Certificate(
        Device(serial, profile.name, profile.nominal_voltage_v, hz),
        Issue(
            today,
            date(today.year + 1, today.month, day),
            1,
            "self-test",
            rpmu_version=__version__,
            simulated=simulated,
            note=note,
        ),
        Reference(100.0, 0.0, model="none"),
        Uncertainty(u_tve, (hz - HALF_BAND_HZ, hz + HALF_BAND_HZ)),
        channels,
        Adc(profile.vref_v),
    )


def moved(found: Sequence[Found], previous: Certificate | None) -> dict[str, float]:
    """By how many percent f0 or Q, whichever moved more, differs from the last test; of channels tested before."""
    changes: dict[str, float] = {}
    known = {channel.name: channel for channel in previous.channel} if previous is not None else {}
    for one in found:
        before = known.get(one.name)
        if before is not None and {"f0", "q"} <= set(before.fitted):
            ratios = (one.f0_hz / before.f0_hz - 1, one.q / before.q - 1)
            changes[one.name] = 100 * max(ratios, key=abs)
    return changes
