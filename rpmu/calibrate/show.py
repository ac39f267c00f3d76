"""A certificate in words, one fact a line: what a person wants to know before trusting it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from rpmu.calibrate.certificate import Certificate
from rpmu.calibrate.record import LEVEL_TABLE, Channel


def certificate_lines(certificate: Certificate, today: date | None = None) -> list[str]:
    """The lines.

    Args:
        certificate: any.
        today: to say whether it has expired; None leaves that out.
    """
    return [*_head(certificate, today), *_channels(certificate), *_evidence(certificate), *_site(certificate)]


def summary(certificate: Certificate) -> str:
    """Half a sentence for the status: which, of when, until when, how good."""
    issue, uncertainty = certificate.certificate, certificate.uncertainty
    low, high = uncertainty.band_hz
    return (
        f"certificate {issue.number} of {issue.date_utc} ({issue.method}), valid until {issue.valid_until_utc}, "
        f"{uncertainty.tve_percent:.3g} % TVE (k = {uncertainty.coverage_k:g}) from {low:g} to {high:g} Hz"
    )


def _head(certificate: Certificate, today: date | None) -> Iterator[str]:
    device, issue, reference = certificate.device, certificate.certificate, certificate.reference
    yield f"device      {device.serial} ({device.board}), front end {device.profile}"
    if device.transformer:
        yield f"transformer {device.transformer}"
    if issue.simulated:
        yield "SIMULATED   made on the digital twin: it says nothing about a real device"
    yield f"certificate {issue.number} of {issue.date_utc}, by {issue.method}" + _by(issue.operator)
    expired = today is not None and certificate.expired(today)
    yield f"valid until {issue.valid_until_utc}" + (" - EXPIRED" if expired else "")
    who = " ".join(part for part in (reference.make, reference.model, reference.serial) if part) or "not named"
    limits = f"magnitude {reference.magnitude_percent:g} %, time {reference.time_us:g} us (k = 2)"
    yield f"reference   {who}: {limits}" + (f", time from {reference.time_source}" if reference.time_source else "")
    if issue.ambient_c is not None:
        yield f"ambient     {issue.ambient_c:g} °C"
    low, high = certificate.uncertainty.band_hz
    yield (
        f"uncertainty {certificate.uncertainty.tve_percent:.3g} % TVE from {low:g} to {high:g} Hz "
        f"(k = {certificate.uncertainty.coverage_k:g}, electronics alone)"
    )
    if issue.note:
        yield f"note        {issue.note}"


def _by(operator: str) -> str:
    return f", {operator}" if operator else ""


def _channels(certificate: Certificate) -> Iterator[str]:
    for channel in certificate.channel:
        yield f"channel     {channel.name}: {'not inverting' if channel.polarity > 0 else 'inverting'}"
        yield _parameter("gain", channel, f"{channel.gain:.7g} V/V", f"{channel.u_gain_percent:.3g} %")
        yield _parameter("delay", channel, f"{channel.delay_s * 1e6:+.3f} us", f"{channel.u_delay_s * 1e6:.3g} us")
        yield _parameter("f0", channel, f"{channel.f0_hz:.6g} Hz", f"{channel.u_f0_percent:.3g} %")
        yield _parameter("q", channel, f"{channel.q:.6g}", f"{channel.u_q_percent:.3g} %")
        if channel.skew_s:
            yield f"  {'skew':9} {f'{channel.skew_s * 1e6:+.3f} us':18} ± {channel.u_skew_s * 1e6:.3g} us"
        measured = "nominal" if channel.u_dc_counts is None else f"± {f'{channel.u_dc_counts:.3g} counts':12} measured"
        yield f"  {'mid-scale':9} {f'{channel.dc_counts:.2f} counts':18} {measured}"
        if channel.gain_ppm_per_k or channel.phase_deg_per_k:
            about = f"about {certificate.temperature.reference_c:g} °C"
            yield f"  warmth    {channel.gain_ppm_per_k:+.2f} ppm/K, {channel.phase_deg_per_k:+.5f}°/K {about}"
        known = [f", ± {u:.3f} % TVE" for u in channel.u_level_percent] or [""] * len(channel.level_v)
        rows = zip(channel.level_v, channel.level_gain, channel.level_phase_deg, known, strict=True)
        for volts, gain, phase, within in rows:
            yield f"  level     {volts:7.2f} V: gain {100 * (gain - 1):+.4f} %, phase {phase:+.4f}°{within}"


def _parameter(name: str, channel: Channel, value: str, uncertainty: str) -> str:
    origin = "fitted" if name in channel.fitted else "nominal"
    return f"  {name:9} {value:18} ± {uncertainty:12} {origin}"


def _evidence(certificate: Certificate) -> Iterator[str]:
    fitted, table = sum(p.used for p in certificate.point), sum(p.why == LEVEL_TABLE for p in certificate.point)
    yield f"points      {len(certificate.point)}: {fitted} fitted, {table} in the level table"
    for point in certificate.point:
        if not point.used and point.why != LEVEL_TABLE:
            yield f"  left out  {point.channel} {point.frequency_hz:g} Hz {point.voltage_v:g} V: {point.why}"
    for check in certificate.verification:
        where = f"{check.channel} {check.frequency_hz:g} Hz {check.voltage_v:g} V"
        yield f"verified    {where}: TVE {check.tve_percent:.4f} %"
    if certificate.certificate.raw_data_sha256:
        yield f"raw data    {certificate.certificate.raw_data_file}, {certificate.certificate.raw_data_sha256[:16]}..."
    yield f"sha256      {certificate.sha256}"


def _site(certificate: Certificate) -> Iterator[str]:
    site = certificate.site
    leg = f", leg {site.leg}" if site.leg else ""
    yield f"site        angle offset {site.angle_offset_deg:+.4f}°{leg}" + (f", {site.note}" if site.note else "")
