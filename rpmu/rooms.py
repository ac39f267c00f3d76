"""What each room is told: the one configuration, translated into the settings of acquire, timing, estimate and serve.

The rooms do not know the configuration file, and the file's schema does not know the rooms; this is where they meet.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

from rpmu import __version__
from rpmu.acquire.blocks import ADC_BITS
from rpmu.c37118 import ConfigFrame
from rpmu.calibrate.certificate import Certificate, device_serial, read_certificate
from rpmu.calibrate.profile import load_profile
from rpmu.calibrate.record import Channel
from rpmu.calibrate.show import summary
from rpmu.config import Config
from rpmu.errors import InputError
from rpmu.estimate import Estimator, EstimatorSettings
from rpmu.pipeline import Calibration
from rpmu.serve import AccessList, Endpoint, Limits, ServerSettings, SpontaneousTarget, TlsSettings, parse_address
from rpmu.serve.contents import stream_configuration
from rpmu.thermometer import TemperatureTerm, Thermometer
from rpmu.timing.leap import LeapSchedule, parse_leap_file
from rpmu.timing.settings import TimingSettings

log = logging.getLogger(__name__)

SYSTEM_LEAP_FILES = ("/usr/share/zoneinfo/leap-seconds.list", "/usr/share/zoneinfo/leapseconds")
NS_PER_DAY = 86_400 * 1_000_000_000
DEFAULT_PROFILES = {50: "reference-a-230v", 60: "reference-a-120v"}


def estimator_settings(config: Config) -> EstimatorSettings:
    """What to estimate. Rates and front ends are filled in when the firmware has said what it samples."""
    station = config.station
    return EstimatorSettings(
        nominal_hz=station.nominal_frequency_hz,
        performance_class=station.performance_class,
        reporting_rate=station.reporting_rate_per_s,
        phases=station.phases,
        n_channels=len(config.channels),
    )


def window_and_delay_s(config: Config, calibration: Calibration) -> tuple[float, float]:
    """Length of the samples behind one report, and from a report's instant to the newest of them, both in s."""
    settings = replace(
        estimator_settings(config),
        sample_rate_hz=float(config.sampler_settings().sample_rate_hz),
        front_end=calibration.front_ends,
    )
    estimator = Estimator(settings)
    return estimator.window_s, estimator.group_delay_s


def stream(config: Config, calibration: Calibration) -> ConfigFrame:
    """The configuration frame of the stream.

    Raises:
        InputError: no such class or rate.
    """
    return stream_configuration(config, *window_and_delay_s(config, calibration))


def timing_settings(config: Config) -> TimingSettings:
    """Constants and limits of time."""
    time = config.time
    return TimingSettings(
        pps_input=config.pulse_input,
        pps_tau_s=time.pps_tau_s,
        pps_delay_ns=time.pps_delay_ns,
        pin_latency_ns=time.pin_latency_ns,
        nmea_delay_s=time.nmea_delay_s,
        drift_ppb_per_s=time.drift_ppb_per_s,
        lock_limit_ns=time.lock_limit_ns,
        holdover_limit_ns=time.holdover_limit_ns,
    )


def check_time(config: Config) -> None:
    """Find what only the timing room finds.

    Raises:
        InputError: a setting that it refuses, or a leap-second file that cannot be read.
    """
    timing_settings(config)
    leap_schedule(config)


def leap_schedule(config: Config) -> LeapSchedule:
    """Known leap seconds: of the configured file, or of the system's own (tzdata), where it has one.

    Raises:
        InputError: the configured file cannot be read or is not a leap-second list.
    """
    name = config.time.leap_second_file
    if name is not None:
        return _leap_file(name)
    for name in SYSTEM_LEAP_FILES:
        if Path(name).is_file():
            try:
                return _leap_file(name)
            except InputError as error:
                log.warning("%s; going on without", error)
    return LeapSchedule()


def _leap_file(name: str) -> LeapSchedule:
    try:
        return parse_leap_file(Path(name).read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"time.leap_second_file: {name} cannot be read ({error})") from error


def profile_name(config: Config) -> str:
    """Name or path of the front-end profile: the configured one, or the reference design of the nominal frequency."""
    return config.calibration.profile or DEFAULT_PROFILES[config.station.nominal_frequency_hz]


def calibration(config: Config, serial: str | None = None) -> Calibration:
    """What turns codes into volts: the configured certificate, or the nominal profile of the front end.

    Args:
        config: of the PMU.
        serial: of the device; None for one that has none, whose certificate is then taken as it is.

    Raises:
        InputError: no such profile, or a certificate that is broken or of another device.
    """
    if config.calibration.certificate is not None:
        return _certified(config, read_certificate(config.calibration.certificate), serial)
    profile = load_profile(profile_name(config))
    front_ends = (profile.front_end,) * len(config.channels)
    origin = f"nominal profile {profile.name}, no certificate"
    return Calibration(
        front_ends,
        profile.volts_per_count,
        profile.bias_v,
        valid=False,
        reference_v=reference_v(config),
        range_v=(profile.amplifier_low_v, profile.amplifier_high_v),
        origin=origin,
        identity=profile.identity,
    )


def reference_v(config: Config) -> float | None:
    """The known voltage on the converter's reference channel, if it is read."""
    return None if config.sampling.reference_ain is None else config.sampling.reference_v


def _certified(config: Config, certificate: Certificate, serial: str | None) -> Calibration:
    names = tuple(channel.name for channel in config.channels)
    certificate.refuse_other(certificate.device.serial if serial is None else serial, names)
    if certificate.adc.divided_by_reference is not (reference_v(config) is not None):
        made = "in use" if certificate.adc.divided_by_reference else "not in use"
        raise InputError(
            f"the certificate was made with the ADC's reference channel {made}, but the configuration says otherwise: "
            "set [sampling] reference_ain as it was then, or calibrate again"
        )
    channels = [certificate.channel_named(name) for name in names]
    volts_per_count = certificate.adc.vref_v / 2**ADC_BITS
    profile = load_profile(profile_name(config))
    return Calibration(
        front_ends=tuple(channel.front_end for channel in channels),
        volts_per_count=volts_per_count,
        bias_v=tuple(volts_per_count * channel.dc_counts for channel in channels),
        valid=True,
        expires_ns=_midnight_ns(certificate.certificate.valid_until_utc) + NS_PER_DAY,
        levels=tuple(c.level_response for c in channels) if any(c.level_v for c in channels) else (),
        site_angle_rad=math.radians(certificate.site.angle_offset_deg),
        reference_v=reference_v(config),
        temperature=_temperature(config, certificate.temperature.reference_c, channels),
        range_v=(profile.amplifier_low_v, profile.amplifier_high_v),
        origin=summary(certificate),
        identity=certificate.identity,
    )


def _temperature(config: Config, reference_c: float, channels: Sequence[Channel]) -> TemperatureTerm | None:
    """The channels' temperature terms, if there are any and a sensor is named."""
    told = config.calibration
    if told.temperature_file is None or not any(c.gain_ppm_per_k or c.phase_deg_per_k for c in channels):
        return None
    return TemperatureTerm(
        reference_c,
        tuple(1e-6 * channel.gain_ppm_per_k for channel in channels),
        tuple(math.radians(channel.phase_deg_per_k) for channel in channels),
        Thermometer(Path(told.temperature_file), told.temperature_scale),
    )


def _midnight_ns(day: date) -> int:
    return round(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000_000


def board_calibration(config: Config, today: date) -> Calibration:
    """The calibration of a real device, which measures without a valid certificate only when told to.

    A board may not know the date when it starts; what it says is good for refusing, and the date of GPS decides while
    it runs (`Pipeline`): from the day after the last, data is marked as test data.

    Args:
        config: of the PMU.
        today: date of the host.

    Raises:
        InputError: there is no certificate, or it is broken, of another device, or expired.
    """
    told = config.calibration
    if told.certificate is None:
        if not told.allow_uncalibrated:
            raise InputError(
                "this device has no calibration certificate: run `rpmu calibrate` and set [calibration] certificate, "
                "or set [calibration] allow_uncalibrated = true to measure with nominal values (marked as test data)"
            )
        return replace(calibration(config), test_mode=True)
    found = calibration(config, device_serial(told.serial))
    if found.expired(_midnight_ns(today)) and not told.allow_expired:
        raise InputError(
            f"{told.certificate}: {found.origin} has expired: calibrate again, or set [calibration] "
            "allow_expired = true to go on with it (marked as test data)"
        )
    return found


def server_settings(config: Config) -> ServerSettings:
    """Where to listen, whom to serve, how much a peer may cost.

    Raises:
        InputError: settings that contradict each other.
    """
    server = config.server
    targets = tuple(
        SpontaneousTarget(
            parse_address(destination),
            server.configuration_interval_s,
            server.multicast_ttl,
            server.multicast_interface,
        )
        for destination in server.spontaneous
    )
    return ServerSettings(
        endpoints=tuple(
            Endpoint(server.transport, parse_address(listen), server.udp_data_port) for listen in server.listen
        ),
        spontaneous=targets,
        access=AccessList.parse(*server.access),
        limits=Limits(
            max_clients=server.max_clients,
            max_clients_per_address=server.max_clients_per_address,
            max_queue_bytes=server.max_queue_bytes,
            max_stall_s=server.max_stall_s,
        ),
        tls=_tls(config),
        sync_version=server.sync_version,
        notice_s=server.notice_s,
        selectable_rates=server.selectable_rates_per_s,
    )


def _tls(config: Config) -> TlsSettings | None:
    server = config.server
    if server.tls_certificate is None:
        return None
    if server.tls_key is None:
        raise InputError("server: tls_certificate is given without tls_key; TLS needs both")
    client_ca = Path(server.tls_client_ca) if server.tls_client_ca is not None else None
    return TlsSettings(Path(server.tls_certificate), Path(server.tls_key), client_ca)


def header_text(config: Config) -> str:
    """Text of the header frame."""
    station = config.station
    return config.server.header or (
        f"{station.name}: rpmu {__version__}, class {station.performance_class}, "
        f"{station.nominal_frequency_hz} Hz, {station.reporting_rate_per_s} reports/s"
    )
